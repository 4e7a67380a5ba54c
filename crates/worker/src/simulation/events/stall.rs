//! A process that is stopped between a grant and its call, and goes on when its job was granted once more: what it tells
//! then is about an attempt that is over, while the next one may be under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::simulation::scene::Scene;
use crate::simulation::state::processes::{ENVIRONMENT, Owner};

/// How long a stopped process waits for another grant at most; where the ledger goes back, well below the recovery pause.
const LONGEST: Duration = Duration::from_secs(120);
const LONGEST_WITH_REWINDS: Duration = Duration::from_secs(25);

/// From going on until everything is told, in calm faults.
const TELLS_WITHIN: Duration = Duration::from_secs(20);

/// Stops who is to be stopped. Runs for ever.
pub(crate) async fn stall(scene: Scene) {
    loop {
        scene.state.stalls.news.notified().await;
        let wanted = std::mem::take(&mut *scene.state.stalls.wanted.lock().unwrap());
        for (owner, again) in wanted {
            scene.state.say(|| format!("p{owner} is stopped with a grant"));
            scene.scheduler.stop(owner);
            scene.scheduler.spawn(ENVIRONMENT, "stall", go_on(scene.clone(), owner, again));
        }
    }
}

async fn go_on(scene: Scene, owner: Owner, again: Arc<Notify>) {
    let longest = if scene.state.faults().rewinds { LONGEST_WITH_REWINDS } else { LONGEST };
    let is_again = timeout(longest, again.notified()).await.is_ok();
    let wait = scene.state.random(|rng| rng.ms(0, 10_000));
    sleep(wait).await;
    scene.state.say(|| format!("p{owner} goes on; its job was granted again: {is_again}"));
    scene.scheduler.go_on(owner);
    sleep(TELLS_WITHIN).await;
    scene.state.stalls.under_way.fetch_sub(1, Ordering::Relaxed);
}
