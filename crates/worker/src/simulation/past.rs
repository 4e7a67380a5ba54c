//! A ledger that goes back in time, as a Redis does that lost what it was told last: to what it was up to 90 s ago. Then, as
//! there, the first who asks for a submission begins a pause in which nothing is granted.
//!
//! What was admitted stays: a file that is gone is another story. So is a worker that is cut off or stopped for all of the
//! pause: what its journal knows is not told in time, so stops, outages and slow calls are shorter than that in these stories.

use std::time::Duration;

use tokio::time::sleep;
use veobatch_core::Timestamp;

use super::process::Scene;

/// Nothing that was undone is older, in milliseconds.
const AGO: u64 = 90_000;

/// How it is with the ledger's past.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// How often it went back.
    pub(super) times: u64,
    /// It went back, and nobody has asked it for a submission since.
    fresh: bool,
    /// Stored in the ledger, so it goes back with it.
    until: Timestamp,
}

impl Recovery {
    /// Until when nothing is granted, as whoever asks for a submission at `now` is told; the first begins the pause.
    pub(super) fn begin(&mut self, now: Timestamp, wait: Duration) -> Option<Timestamp> {
        if std::mem::take(&mut self.fresh) {
            self.until = now + wait;
        }
        self.until(now)
    }

    /// Until when nothing is granted, as whoever only looks is told.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        (now < self.until).then_some(self.until)
    }
}

/// Puts the ledger back, now and then, until the weather is calm.
pub(super) async fn rewind(scene: Scene) {
    let world = &scene.world;
    while !world.is_calm() {
        let (wait, ago) = world.roll(|dice| (dice.ms(1_000, 60_000), dice.ms(200, AGO)));
        sleep(wait).await;
        let (past, leases) = (scene.sqlite.past().unwrap(), scene.leases.past());
        let until = world.recovery.lock().unwrap().until;
        sleep(ago).await;
        if world.is_calm() {
            return;
        }
        scene.sqlite.go_back(&past).unwrap();
        scene.leases.go_back(leases);
        let mut recovery = world.recovery.lock().unwrap();
        *recovery = Recovery { times: recovery.times + 1, fresh: true, until };
        drop(recovery);
        // What only the ledger knew of is in doubt again.
        world.service.lock().unwrap().called.clear();
        world.say(|| format!("the ledger is what it was {ago:?} ago"));
    }
}
