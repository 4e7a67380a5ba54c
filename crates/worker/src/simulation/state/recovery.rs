//! A ledger that went back in time: the pause in which it grants nothing.

use std::time::Duration;

use veobatch_core::Timestamp;

/// How it is with the ledger's past.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// How often it went back.
    pub(crate) times: u64,
    /// It went back, and nobody has asked it for a submission since.
    pub(crate) fresh: bool,
    /// Stored in the ledger, so it goes back with it.
    pub(crate) until: Timestamp,
}

impl Recovery {
    /// Until when nothing is granted, as whoever asks for a submission at `now` is told; the first begins the pause.
    pub(crate) fn begin(&mut self, now: Timestamp, wait: Duration) -> Option<Timestamp> {
        if std::mem::take(&mut self.fresh) {
            self.until = now + wait;
        }
        self.until(now)
    }

    /// Until when nothing is granted, as whoever only looks is told.
    pub(crate) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        (now < self.until).then_some(self.until)
    }
}
