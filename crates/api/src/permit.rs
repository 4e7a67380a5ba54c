//! The permit for one paid call.
//!
//! A claim of the submit lane is the intent to pay, and only such a claim may make a permit: it has checked window,
//! pause, gate, cap and budget, holds the slot, and the intent is durable. The permit is neither `Clone` nor `Copy`, and
//! [`crate::Client::submit`] takes it by value: one claim, one call.

use std::time::SystemTime;

use thiserror::Error;
use tokio::time::Instant;
use veobatch_core::Token;

/// Leave to make one paid call, until a deadline.
#[derive(Debug)]
pub struct SubmitPermit {
    token: Token,
    until: Instant,
    until_wall: SystemTime,
}

impl SubmitPermit {
    /// The permit of the claim that wrote `token` as its intent.
    ///
    /// **The worker's submit lane is the only caller.** Both deadlines are the end of the claim's lease, seen when it
    /// was claimed: `until` by the monotonic clock, and `until_wall` by the wall clock, which goes on while a laptop
    /// sleeps and the monotonic one stands still (Linux).
    pub fn from_claim(token: Token, until: Instant, until_wall: SystemTime) -> Self {
        Self { token, until, until_wall }
    }

    /// The attempt that it is for.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whether the call may still leave. Asked before there is a connection, and once more when it stands: making one
    /// takes time, and a laptop may sleep meanwhile.
    pub(crate) fn check(&self) -> Result<(), TooLate> {
        if Instant::now() >= self.until || wall_clock() >= self.until_wall { Err(TooLate) } else { Ok(()) }
    }
}

/// Nothing was sent: by now somebody else may have been given the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the claim's time was over before the request was sent")]
pub(crate) struct TooLate;

/// The wall clock that permits are held against: only it notices that this machine was asleep.
pub fn wall_clock() -> SystemTime {
    #[cfg(feature = "simulated")]
    if let Some(now) = simulated::now() {
        return now;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    SystemTime::now()
}

/// A wall clock that a simulation on this thread sets.
#[cfg(feature = "simulated")]
pub(crate) mod simulated {
    use std::cell::RefCell;
    use std::time::SystemTime;

    /// Tells the time.
    pub type WallClock = Box<dyn Fn() -> SystemTime>;

    thread_local! {
        static CLOCK: RefCell<Option<WallClock>> = const { RefCell::new(None) };
    }

    /// From now on this thread's wall clock is `clock`; `None`: it is the system's again.
    pub fn set_wall_clock(clock: Option<WallClock>) {
        CLOCK.set(clock);
    }

    pub(super) fn now() -> Option<SystemTime> {
        CLOCK.with_borrow(|clock| clock.as_ref().map(|now| now()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[expect(clippy::disallowed_methods, reason = "a permit is what is tested")]
    fn permit(until: Instant, ahead: bool) -> SubmitPermit {
        let now = wall_clock();
        let wall = if ahead { now + HOUR } else { now };
        SubmitPermit::from_claim(Token::from_bits(1), until, wall)
    }

    #[tokio::test]
    async fn a_permit_is_good_only_while_both_clocks_say_so() {
        let now = Instant::now();
        assert!(permit(now + HOUR, true).check().is_ok());
        assert!(permit(now, true).check().is_err());
        assert!(permit(now + HOUR, false).check().is_err());
    }
}
