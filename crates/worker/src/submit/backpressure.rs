//! Submissions wait while their videos could not be saved. Set by a periodic check (`upkeep/capacity.rs`), read before each
//! claim.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether submissions of this process wait.
#[derive(Debug)]
pub(crate) struct Backpressure {
    /// The ledger was restored, and no person has agreed to continue: until this process ends.
    held: Option<String>,
    is_on: AtomicBool,
}

impl Backpressure {
    pub(crate) fn new(held: Option<String>) -> Self {
        Self { held, is_on: AtomicBool::new(false) }
    }

    /// Whether submissions must wait.
    pub(crate) fn is_on(&self) -> bool {
        self.held.is_some() || self.is_on.load(Ordering::SeqCst)
    }

    /// Why they wait for a person, so that nothing queued moves by itself.
    pub(crate) fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    /// Makes submissions wait, or lets them continue.
    pub(crate) fn set(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::SeqCst);
    }
}
