//! What some batches ask for: a budget, and not to start before some time of the storm. Held against every payment, and every
//! grant. A ledger that went back in time forgets what was spent, so stories with one have no budgets.

use veobatch_core::{Credits, Schedule, Start};
use veobatch_ledger::{BatchUpdate, LedgerError, PriceList};

use crate::simulation::prompt_file::PromptFile;
use crate::simulation::scene::Scene;

/// What every video costs.
const PRICE: Credits = Credits::whole(60);

/// The price of all that files ask for.
pub(crate) fn prices() -> PriceList {
    let classes = PromptFile::new("any", 2, 1, true).jobs.into_iter().map(|job| (job.spec.price_class(), PRICE));
    PriceList { by_class: classes.collect(), asked: true }
}

/// Gives a batch that is there its terms, or none.
pub(crate) async fn set(scene: &Scene, file: &PromptFile) {
    let state = &scene.state;
    let (limited, late) = (!scene.rewinds && state.chance(0.3), state.chance(0.2));
    let videos = state.random(|rng| rng.between(1, 2 * file.jobs.len() as u64));
    let wait = state.random(|rng| rng.ms(1_000, 120_000));
    if limited {
        allow(scene, file, videos).await;
    }
    if late {
        let start = Start::parse(&(state.timestamp() + wait).to_string()).unwrap();
        let at = start.at();
        let schedule = Schedule { start_at: Some(start), ..Schedule::default() };
        let range = Some(schedule.open_range(state.timestamp()));
        let terms = BatchUpdate { schedule: Some(schedule.to_string()), range, ..BatchUpdate::default() };
        if scene.ledger.update_batch(&file.batch, &terms).await.is_ok() {
            state.service.lock().unwrap().bound(file.batch.as_str()).start = Some(at);
        }
    }
}

/// A person changes how many videos of a batch may be paid for, where that is limited.
pub(crate) async fn change(scene: &Scene, file: &PromptFile) {
    let videos = scene.state.below(2 * file.jobs.len() as u64);
    let is_limited = scene.state.service.lock().unwrap().bound(file.batch.as_str()).videos.is_some();
    if is_limited {
        allow(scene, file, videos).await;
    }
}

async fn allow(scene: &Scene, file: &PromptFile, videos: u64) {
    let name = file.batch.as_str();
    let before = scene.state.service.lock().unwrap().bound(name).videos;
    // Before it is asked for: what is granted meanwhile may be by the old terms or by the new ones.
    let most = before.map_or(videos, |before| before.max(videos));
    scene.state.service.lock().unwrap().bound(name).videos = Some(most);
    let budget = Some(Some(Credits::whole(60 * i64::try_from(videos).unwrap())));
    let terms = BatchUpdate { budget, ..BatchUpdate::default() };
    match scene.ledger.update_batch(&file.batch, &terms).await {
        Ok(()) => {}
        // It has not been enqueued yet, so it has no terms.
        Err(LedgerError::UnknownBatch(_)) => scene.state.service.lock().unwrap().bound(name).videos = before,
        Err(error) => panic!("{error}"),
    }
}

/// After the storm as many may be paid for as there are.
pub(crate) async fn lift(scene: &Scene, file: &PromptFile) {
    scene.state.service.lock().unwrap().bound(file.batch.as_str()).videos = None;
    let none = BatchUpdate { budget: Some(None), ..BatchUpdate::default() };
    scene.ledger.update_batch(&file.batch, &none).await.unwrap();
}
