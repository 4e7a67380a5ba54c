//! What goes wrong in a story, and how often.

use super::rng::Rng;

/// How bad it gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// How often a call that is free meets trouble.
    pub(crate) calls: f64,
    /// How often a paid call meets trouble.
    pub(crate) payments: f64,
    /// How often a download meets trouble.
    pub(crate) files: f64,
    /// How often the ledger does not answer.
    pub(crate) ledger: f64,
    /// How often it answers late.
    pub(crate) slow: f64,
    /// How often a process is killed after a poll.
    pub(crate) kills: f64,
    /// How often a process is killed soon after something that matters.
    pub(crate) strikes: f64,
    /// How often a kill takes what was not synced with it.
    pub(crate) power: f64,
    /// Whether processes are stopped and asked to end.
    pub(crate) stops: bool,
    /// Whether this machine sleeps.
    pub(crate) sleeps: bool,
    /// How often a task fails.
    pub(crate) failures: f64,
    /// How often the wall clock of a machine is set, wrong by minutes.
    pub(crate) clocks: f64,
    /// How often a disk is full or read-only for a while.
    pub(crate) disks: f64,
    /// How often the service refuses the key for a while.
    pub(crate) locked_out: f64,
    /// Whether the ledger goes back in time.
    pub(crate) rewinds: bool,
    /// How often a callback is heard a second time, long after the first.
    pub(crate) replays: f64,
}

impl Faults {
    /// Every seed has its own: most kinds of trouble are absent from most seeds, so that each is also met alone.
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let mut some = |level: &[f64]| if rng.chance(0.5) { rng.one_of(level) } else { 0.0 };
        let faults = Self {
            calls: some(&[0.05, 0.3, 0.7]),
            payments: some(&[0.1, 0.3, 0.6]),
            files: some(&[0.1, 0.4]),
            ledger: some(&[0.01, 0.1, 0.3]),
            slow: some(&[0.02, 0.2]),
            kills: some(&[0.0005, 0.003]),
            strikes: some(&[0.02, 0.1, 0.25]),
            power: some(&[0.5, 1.0]),
            stops: some(&[1.0]) > 0.0,
            sleeps: some(&[1.0]) > 0.0,
            failures: some(&[0.15, 0.5]),
            clocks: some(&[0.5, 1.0]),
            disks: some(&[0.5, 1.0]),
            locked_out: some(&[0.5, 1.0]),
            replays: some(&[0.3, 0.7]),
            rewinds: some(&[0.5]) > 0.0 && some(&[0.5]) > 0.0,
        };
        if !faults.rewinds {
            return faults;
        }
        // Whoever cannot tell what it knows for all of the pause is another story.
        let (ledger, slow) = (faults.ledger.min(0.1), faults.slow.min(0.02));
        Self { ledger, slow, sleeps: false, disks: 0.0, locked_out: 0.0, ..faults }
    }
}
