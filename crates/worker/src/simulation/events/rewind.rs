//! A ledger that goes back in time, as a Redis does that lost what it was told last: to what it was up to 90 s ago. Then, as
//! there, the first who asks for a submission begins a pause in which nothing is granted.
//!
//! What was admitted stays: a file that is gone is another story. So is a worker that is cut off or stopped for all of the
//! pause: what its journal knows is not told in time, so stops, outages and slow calls are shorter than that in these stories.

use tokio::time::sleep;

use crate::simulation::scene::Scene;
use crate::simulation::state::recovery::Recovery;

/// Nothing that was undone is older, in milliseconds.
const AGO: u64 = 90_000;

/// Puts the ledger back now and then, until there are no more faults.
pub(crate) async fn rewind(scene: Scene) {
    let state = &scene.state;
    while !state.is_calm() {
        let (wait, ago) = state.random(|rng| (rng.ms(1_000, 60_000), rng.ms(200, AGO)));
        sleep(wait).await;
        let (past, leases) = (scene.sqlite.past().unwrap(), scene.leases.past());
        let until = state.recovery.lock().unwrap().until;
        sleep(ago).await;
        if state.is_calm() {
            return;
        }
        scene.sqlite.go_back(&past).unwrap();
        scene.leases.go_back(leases);
        let mut recovery = state.recovery.lock().unwrap();
        *recovery = Recovery { times: recovery.times + 1, fresh: true, until };
        drop(recovery);
        // What only the ledger knew of is in doubt again.
        state.service.lock().unwrap().called.clear();
        state.say(|| format!("the ledger is what it was {ago:?} ago"));
    }
}
