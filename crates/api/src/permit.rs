//! The permit for one call that may cost money.
//!
//! It is made from the ledger's [`Grant`] and from nothing else, and neither is `Clone` nor `Copy`. What pays takes the permit
//! by value: one claim, one permit, one call.

use std::marker::PhantomData;
use std::time::SystemTime;

use thiserror::Error;
use tokio::time::Instant;
use veobatch_core::{Grant, Token};

/// Leave to make one call, until a deadline. `I` issued the grant that it was made from, and `C` is what it is for.
#[derive(Debug)]
pub struct Permit<I, C> {
    pub(crate) leave: Leave,
    kind: PhantomData<(I, C)>,
}

/// What the line needs to know of a permit.
#[derive(Debug)]
pub(crate) struct Leave {
    pub(crate) token: Token,
    until: Instant,
    until_wall: SystemTime,
}

impl<I, C> Permit<I, C> {
    /// The permit that `grant` is good for, if the call begins before both deadlines: `until` by the monotonic clock, and
    /// `until_wall` by the wall clock, which goes on while a laptop sleeps and the monotonic one stands still (Linux).
    ///
    /// Both are to be well before the end of the lease that the grant belongs to, counted from before it was asked for.
    pub fn new(grant: Grant<I, C>, until: Instant, until_wall: SystemTime) -> Self {
        Self { leave: Leave { token: grant.into_token(), until, until_wall }, kind: PhantomData }
    }

    /// What it is known by: of a submission, the attempt's token.
    pub fn token(&self) -> &Token {
        &self.leave.token
    }
}

impl Leave {
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
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    pub(crate) fn leave(until: Instant, until_wall: SystemTime) -> Leave {
        Permit::new(Grant::<(), ()>::by(&(), Token::from_bits(1)), until, until_wall).leave
    }

    #[tokio::test]
    async fn a_permit_is_good_only_while_both_clocks_say_so() {
        let (now, wall) = (Instant::now(), wall_clock());
        assert!(leave(now + HOUR, wall + HOUR).check().is_ok());
        assert!(leave(now, wall + HOUR).check().is_err());
        assert!(leave(now + HOUR, wall).check().is_err());
    }
}
