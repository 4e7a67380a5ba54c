//! Delays of retries and upgrades. Pure arithmetic; the jitter is brought by the caller.

use std::time::Duration;

use crate::job::spec::Resolution;

/// Media are kept by the service for 14 days (docs/kie-api.md, section 11); after that there is nothing to follow or save.
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

/// How soon a task is polled again if the service called back during a poll.
pub(crate) const AFTER_CALLBACK: Duration = Duration::from_secs(1);

/// How much less often a 4k version is asked for: it takes five to ten minutes, not one to three (docs/kie-api.md, section 11), and
/// each asking takes a submission's slot.
const SCARCE: u32 = 3;

/// First wait of a job whose steps end without a result; doubles up to [`PARK_DOUBLINGS`] times.
const PARK_FIRST: Duration = Duration::from_secs(3600);
const PARK_DOUBLINGS: u32 = 4;

/// How often and for how long a larger version is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct UpgradePolicy {
    /// Between two requests for a 1080p version; three times as long for 4k.
    pub gap: Duration,
    /// How long the service may answer that the version is being made before the base video is taken.
    pub limit: Duration,
}

/// 1080p takes one to three minutes and is asked for every 20 to 30 s; 4k takes five to ten (docs/kie-api.md, section 11).
impl Default for UpgradePolicy {
    fn default() -> Self {
        Self { gap: Duration::from_secs(20), limit: Duration::from_secs(20 * 60) }
    }
}

impl UpgradePolicy {
    /// How many answers that a larger version is being made there are in [`UpgradePolicy::limit`].
    pub(crate) fn tries(&self, to: Resolution) -> u32 {
        let gap = self.gap_of(to).max(Duration::from_millis(1)).as_millis();
        u32::try_from(self.limit.as_millis() / gap).unwrap_or(u32::MAX)
    }

    /// The gap to the next asking for a larger version.
    pub(crate) fn next(&self, to: Resolution, jitter: f64) -> Duration {
        spread(self.gap_of(to), jitter)
    }

    fn gap_of(&self, to: Resolution) -> Duration {
        match to {
            Resolution::P720 | Resolution::P1080 => self.gap,
            Resolution::K4 => self.gap * SCARCE,
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
    jittered(delay, delay, jitter)
}

/// `delay` ± 10 % of `gap`, for a `jitter` evenly spread over 0 to 1.
pub(crate) fn jittered(delay: Duration, gap: Duration, jitter: f64) -> Duration {
    (delay + gap.mul_f64(0.2 * jitter.clamp(0.0, 1.0))).saturating_sub(gap / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth() {
        for jitter in [-1.0, 0.0, 0.3, 1.0, 7.0] {
            let delay = spread(Duration::from_secs(100), jitter);
            assert!((Duration::from_secs(90)..=Duration::from_secs(110)).contains(&delay), "{delay:?}");
        }
    }
}
