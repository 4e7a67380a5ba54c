//! A process that is stopped between a grant and its call, and goes on when its job was granted once more: what it tells
//! then is about an attempt that is over, while the next one may be under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::process::Scene;
use super::stage::{Owner, WORLD};
use super::world::World;

/// How often a grant stops the one who has it, where processes are stopped.
const OFTEN: f64 = 0.2;

/// How long a stopped process waits for another grant at most; where the ledger goes back, well below the recovery pause.
const LONGEST: Duration = Duration::from_secs(120);
const LONGEST_WITH_REWINDS: Duration = Duration::from_secs(25);

/// From going on until everything is told, in calm weather.
const TELLS_WITHIN: Duration = Duration::from_secs(20);

/// Who is stopped, and who is about to be.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    wanted: Mutex<Vec<(Owner, Arc<Notify>)>>,
    /// By the job that was granted: rung when it is granted to somebody else.
    stopped: Mutex<BTreeMap<String, (Owner, Arc<Notify>)>>,
    news: Notify,
    /// How many are stopped, or went on so lately that they may still have something to tell.
    under_way: AtomicU32,
}

impl Stalls {
    /// `job` was granted to `owner`, who may be stopped for it.
    pub(super) fn granted(&self, world: &World, job: &str, owner: Owner) {
        let mut stopped = self.stopped.lock().unwrap();
        if let Some((_, again)) = stopped.get(job).filter(|(first, _)| *first != owner) {
            again.notify_one();
            stopped.remove(job);
        } else if world.weather().stops && world.chance(OFTEN) {
            let again = Arc::new(Notify::new());
            stopped.insert(job.to_owned(), (owner, Arc::clone(&again)));
            self.wanted.lock().unwrap().push((owner, again));
            self.under_way.fetch_add(1, Ordering::Relaxed);
            self.news.notify_one();
        }
    }

    /// Whether somebody may still tell of a grant of long ago.
    pub(super) fn are_over(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }
}

/// Stops who is to be stopped. Runs for ever.
pub(super) async fn stall(scene: Scene) {
    loop {
        scene.world.stalls.news.notified().await;
        let wanted = std::mem::take(&mut *scene.world.stalls.wanted.lock().unwrap());
        for (owner, again) in wanted {
            scene.world.say(|| format!("p{owner} is stopped with a grant"));
            scene.stage.stop(owner);
            scene.stage.enter(WORLD, "stall", go_on(scene.clone(), owner, again));
        }
    }
}

async fn go_on(scene: Scene, owner: Owner, again: Arc<Notify>) {
    let longest = if scene.world.weather().rewinds { LONGEST_WITH_REWINDS } else { LONGEST };
    let is_again = timeout(longest, again.notified()).await.is_ok();
    let wait = scene.world.roll(|dice| dice.ms(0, 10_000));
    sleep(wait).await;
    scene.world.say(|| format!("p{owner} goes on; its job was granted again: {is_again}"));
    scene.stage.go_on(owner);
    sleep(TELLS_WITHIN).await;
    scene.world.stalls.under_way.fetch_sub(1, Ordering::Relaxed);
}
