//! What some batches ask for: a budget, and not to start before some time of the storm. Held against every payment, and every
//! grant. A ledger that went back in time forgets what was spent, so stories with one have no budgets.

use veobatch_core::{Credits, Schedule, Start, Timestamp};
use veobatch_ledger::{BatchUpdate, LedgerError, PriceList};

use super::person::File;
use super::process::Scene;

/// What every video costs.
const PRICE: Credits = Credits::whole(60);

/// A batch's terms, as far as they bind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    /// So many videos may be paid for: the most that was ever allowed.
    pub(super) videos: Option<u64>,
    /// Nothing is granted before.
    pub(super) start: Option<Timestamp>,
}

/// The price of all that files ask for.
pub(super) fn prices() -> PriceList {
    let classes = File::new("any", 2, 1, true).jobs.into_iter().map(|job| (job.spec.price_class(), PRICE));
    PriceList { by_class: classes.collect(), asked: true }
}

/// Gives a batch that is there its terms, or none.
pub(super) async fn arrange(scene: &Scene, file: &File) {
    let world = &scene.world;
    let (limited, late) = (!scene.rewinds && world.chance(0.3), world.chance(0.2));
    let videos = world.roll(|dice| dice.between(1, 2 * file.jobs.len() as u64));
    let wait = world.roll(|dice| dice.ms(1_000, 120_000));
    if limited {
        allow(scene, file, videos).await;
    }
    if late {
        let start = Start::parse(&(world.timestamp() + wait).to_string()).unwrap();
        let at = start.at();
        let schedule = Schedule { start_at: Some(start), ..Schedule::default() };
        let range = Some(schedule.open_range(world.timestamp()));
        let terms = BatchUpdate { schedule: Some(schedule.to_string()), range, ..BatchUpdate::default() };
        if scene.ledger.update_batch(&file.batch, &terms).await.is_ok() {
            world.service.lock().unwrap().bound(file.batch.as_str()).start = Some(at);
        }
    }
}

/// A person changes how many videos of a batch may be paid for, where that is limited.
pub(super) async fn change(scene: &Scene, file: &File) {
    let videos = scene.world.below(2 * file.jobs.len() as u64);
    let is_limited = scene.world.service.lock().unwrap().bound(file.batch.as_str()).videos.is_some();
    if is_limited {
        allow(scene, file, videos).await;
    }
}

async fn allow(scene: &Scene, file: &File, videos: u64) {
    let name = file.batch.as_str();
    let before = scene.world.service.lock().unwrap().bound(name).videos;
    // Before it is asked for: what is granted meanwhile may be by the old terms or by the new ones.
    let most = before.map_or(videos, |before| before.max(videos));
    scene.world.service.lock().unwrap().bound(name).videos = Some(most);
    let budget = Some(Some(Credits::whole(60 * i64::try_from(videos).unwrap())));
    let terms = BatchUpdate { budget, ..BatchUpdate::default() };
    match scene.ledger.update_batch(&file.batch, &terms).await {
        Ok(()) => {}
        // It has not been enqueued yet, so it has no terms.
        Err(LedgerError::UnknownBatch(_)) => scene.world.service.lock().unwrap().bound(name).videos = before,
        Err(error) => panic!("{error}"),
    }
}

/// After the storm as many may be paid for as there are.
pub(super) async fn lift(scene: &Scene, file: &File) {
    scene.world.service.lock().unwrap().bound(file.batch.as_str()).videos = None;
    let none = BatchUpdate { budget: Some(None), ..BatchUpdate::default() };
    scene.ledger.update_batch(&file.batch, &none).await.unwrap();
}
