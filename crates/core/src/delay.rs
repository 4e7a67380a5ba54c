//! When to look again. Pure arithmetic; the jitter is brought by the caller.

use std::sync::Arc;
use std::time::Duration;

use crate::id::Token;
use crate::kind::VideoKind;
use crate::rhythm::{Rhythm, Rhythms};
use crate::spec::Resolution;

/// Media are kept by the service for 14 days (kie-api.md, section 11); after that there is nothing to follow or save.
pub(crate) const RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long a task may stay unknown to `record-info` before it counts as lost. Right after creation the record may be
/// missing for a while (section 3); half an hour is far beyond anything reported, and a lost job can still be retried.
pub(crate) const MISSING_GRACE: Duration = Duration::from_secs(30 * 60);

/// Polls that must have found nothing, besides [`MISSING_GRACE`]; also how often "made, but no video" is asked again.
pub(crate) const MISSING_POLLS: u32 = 8;

/// How long trouble may keep a larger version away before the base video is taken. The larger one is paid for since it
/// was first asked for; an outage of an hour is no reason to drop it, and links may last for a day only.
pub(crate) const UPGRADE_TROUBLE: Duration = Duration::from_secs(12 * 3600);

/// First wait before another attempt of a generation that failed.
pub(crate) const NEXT_ATTEMPT: Duration = Duration::from_secs(30);

/// First wait after a request that could not be sent, or a video that could not be saved.
const RETRY_FIRST: Duration = Duration::from_secs(5);

/// Longest wait of that kind.
const RETRY_MAX: Duration = Duration::from_secs(10 * 60);

/// A task that is older than all that are known is looked at each time that its age has grown by this part of it.
const GROWTH: u32 = 8;

/// The shortest gap between two polls of one task.
const SHORTEST: Duration = Duration::from_millis(100);

/// How soon a task is looked at again if the service called back during a look.
pub(crate) const AFTER_CALLBACK: Duration = Duration::from_secs(1);

/// How much later, and how much less often, a task is looked at whose end the service announces by a callback: half as
/// often. A lost callback then delays a video by half a minute or so, and the polls that it saves are most of them.
const CALLED_BACK: u32 = 2;

/// How much less often a 4k version is asked for: it takes five to ten minutes, not one to three (kie-api.md, section 11), and
/// each asking takes a submission's slot.
const SCARCE: u32 = 3;

/// First wait of a job whose steps end without a result; doubles up to [`PARK_DOUBLINGS`] times.
const PARK_FIRST: Duration = Duration::from_secs(3600);
const PARK_DOUBLINGS: u32 = 4;

/// How often and how long a job is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// From acceptance to the first poll, as long as nothing was learned.
    pub poll_first: Duration,
    /// A person told `poll_first`: it holds whatever is learned.
    pub poll_first_told: bool,
    /// The longest gap between two polls of one task.
    pub poll_max: Duration,
    /// Between two askings for a larger version in 1080p; three times as long for 4k.
    pub upgrade_gap: Duration,
    /// How long the service may answer that a larger version is being made before the base video is taken.
    pub upgrade_limit: Duration,
    /// This process hears callbacks: looks at what is announced are only the safety net.
    pub callbacks: bool,
    /// How long videos take, as far as it was learned.
    pub rhythms: Arc<Rhythms>,
}

/// Videos take one to five minutes (kie-api.md, section 11); a 1080p version one to three, asked for every 20 to 30
/// seconds; a 4k version five to ten.
impl Default for Policy {
    fn default() -> Self {
        Self {
            poll_first: Duration::from_secs(45),
            poll_first_told: false,
            poll_max: Duration::from_secs(120),
            upgrade_gap: Duration::from_secs(20),
            upgrade_limit: Duration::from_secs(20 * 60),
            callbacks: false,
            rhythms: Arc::default(),
        }
    }
}

/// What is looked at: what its kind's rhythm and its attempt's callback depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked<'a> {
    /// Its kind, if it is a job's own task.
    pub(crate) kind: Option<&'a VideoKind>,
    /// The attempt that made it, if it is known.
    pub(crate) token: Option<&'a Token>,
    /// Since its submission.
    pub(crate) age: Duration,
}

impl Policy {
    /// From acceptance to the first poll.
    pub(crate) fn first_poll(&self, of: &Looked<'_>, jitter: f64) -> Duration {
        let wait = match self.rhythm(of) {
            Some(rhythm) if !self.poll_first_told => {
                let first = rhythm.first();
                let gap = rhythm.next(first).map_or(first, |next| next.saturating_sub(first));
                blurred(first.saturating_sub(of.age), gap, jitter)
            }
            Some(_) | None => spread(self.poll_first, jitter),
        };
        wait * self.slower(of)
    }

    /// The gap to the next poll of a task that is not finished; doubled by each poll in a row that taught nothing.
    ///
    /// As the rhythm of its kind says. Where there is none, or the task is older than all that are known: constant while a
    /// finish is likely, then in proportion to the age, which is exponential growth in time.
    pub(crate) fn next_poll(&self, of: &Looked<'_>, misses: u32, jitter: f64) -> Duration {
        let planned = self.rhythm(of).map(|rhythm| rhythm.next(of.age).map(|next| next.saturating_sub(of.age)));
        let gap = match planned {
            Some(Some(gap)) => gap,
            Some(None) => of.age / GROWTH,
            None => (of.age / GROWTH).max(self.poll_first / 3),
        };
        let gap = doubled(gap.max(SHORTEST), misses).min(self.poll_max);
        blurred(gap, gap, jitter) * self.slower(of)
    }

    fn rhythm(&self, of: &Looked<'_>) -> Option<&Rhythm> {
        of.kind.and_then(|kind| self.rhythms.of(kind))
    }

    fn slower(&self, of: &Looked<'_>) -> u32 {
        if self.callbacks && of.token.is_some_and(Token::carries_callback) { CALLED_BACK } else { 1 }
    }

    /// How many answers that a larger version is being made there are in [`Policy::upgrade_limit`].
    pub(crate) fn upgrade_tries(&self, to: Resolution) -> u32 {
        let gap = self.upgrade_gap_of(to).max(Duration::from_millis(1)).as_millis();
        u32::try_from(self.upgrade_limit.as_millis() / gap).unwrap_or(u32::MAX)
    }

    /// The gap to the next asking for a larger version.
    pub(crate) fn next_upgrade(&self, to: Resolution, jitter: f64) -> Duration {
        spread(self.upgrade_gap_of(to), jitter)
    }

    fn upgrade_gap_of(&self, to: Resolution) -> Duration {
        match to {
            Resolution::P720 | Resolution::P1080 => self.upgrade_gap,
            Resolution::K4 => self.upgrade_gap * SCARCE,
        }
    }
}

/// The wait before the `tries`-th repetition (from 1) of something that costs nothing.
pub(crate) fn retry(tries: u32, jitter: f64) -> Duration {
    spread(doubled(RETRY_FIRST, tries.saturating_sub(1)).min(RETRY_MAX), jitter)
}

/// The wait of a job whose steps ended `times` in a row without a result.
pub(crate) fn park(times: u32) -> Duration {
    doubled(PARK_FIRST, times.min(PARK_DOUBLINGS))
}

fn doubled(delay: Duration, times: u32) -> Duration {
    delay.saturating_mul(1 << times.min(16))
}

/// `delay` ± 10 %, for a `jitter` evenly spread over 0 to 1.
fn spread(delay: Duration, jitter: f64) -> Duration {
    blurred(delay, delay, jitter)
}

/// `delay` ± 10 % of `gap`, for a `jitter` evenly spread over 0 to 1.
fn blurred(delay: Duration, gap: Duration, jitter: f64) -> Duration {
    (delay + gap.mul_f64(0.2 * jitter.clamp(0.0, 1.0))).saturating_sub(gap / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(age: u64) -> Looked<'static> {
        Looked { kind: None, token: None, age: Duration::from_secs(age) }
    }

    #[test]
    fn polls_are_near_constant_while_a_finish_is_likely_and_spread_out_after() {
        let policy = Policy::default();
        let gap = |age| policy.next_poll(&aged(age), 0, 0.5).as_secs();
        assert_eq!([gap(45), gap(90), gap(240), gap(600), gap(7200)], [15, 15, 30, 75, 120]);
    }

    #[test]
    fn trouble_doubles_the_gap_up_to_the_longest_one() {
        let policy = Policy::default();
        let gap = |misses| policy.next_poll(&aged(60), misses, 0.5).as_secs();
        assert_eq!([gap(0), gap(1), gap(2), gap(30)], [15, 30, 60, 120]);
    }

    #[test]
    fn what_is_announced_by_a_callback_is_looked_at_half_as_often_while_callbacks_are_heard() {
        let (announced, silent) = (Token::of_attempt(1 << 9, true), Token::of_attempt(1 << 9, false));
        let hearing = Policy { callbacks: true, ..Policy::default() };
        let looks = |policy: &Policy, token: &Token| {
            let of = Looked { token: Some(token), ..aged(0) };
            (policy.first_poll(&of, 0.5).as_secs(), policy.next_poll(&of, 0, 0.5).as_secs())
        };
        assert_eq!(looks(&hearing, &announced), (90, 30));
        assert_eq!(looks(&hearing, &silent), (45, 15));
        assert_eq!(looks(&Policy::default(), &announced), (45, 15));
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for jitter in [-1.0, 0.0, 0.3, 1.0, 7.0] {
            let delay = spread(Duration::from_secs(100), jitter);
            assert!((Duration::from_secs(90)..=Duration::from_secs(110)).contains(&delay), "{delay:?}");
        }
    }
}
