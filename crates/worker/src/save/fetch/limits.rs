//! Limits on downloads, against files that never end and hosts that send almost nothing.

use std::time::Duration;

use tokio::time::Instant;
use veobatch_api::DownloadError;

use crate::options::Downloads;

/// A video of a few seconds has some dozen MB; 30 s of 4k may have ten times as much. No video of this service has 4 GiB.
///
/// The lowest rate is that of a poor telephone line, and the total time suffices for 4 GiB at 600 KiB/s. If the file host
/// supports ranges, nothing is lost at the time limit: the next try resumes.
impl Default for Downloads {
    fn default() -> Self {
        Self {
            largest: 4 << 30,
            slowest: 4 << 10,
            over: Duration::from_secs(60),
            within: Duration::from_secs(2 * 3600),
        }
    }
}

/// Watches one download. Only the time spent waiting for the host counts against its rate.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    limits: &'a Downloads,
    began: Instant,
    waited: Duration,
    came: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(limits: &'a Downloads) -> Self {
        Self { limits, began: Instant::now(), waited: Duration::ZERO, came: 0 }
    }

    /// Whether the total time is over.
    pub(super) fn is_over(&self) -> bool {
        self.began.elapsed() > self.limits.within
    }

    /// Whether a file of `bytes` is too large.
    pub(super) fn is_too_much(&self, bytes: u64) -> bool {
        bytes > self.limits.largest
    }

    /// `bytes` arrived after waiting for `waited`.
    pub(super) fn came(&mut self, bytes: u64, waited: Duration) -> Result<(), DownloadError> {
        let transfer = |message| Err(DownloadError::Transfer { message, retry_after: None });
        if self.is_over() {
            return transfer(format!("it did not come within {} minutes", self.limits.within.as_secs() / 60));
        }
        (self.waited, self.came) = (self.waited + waited, self.came + bytes);
        if self.waited < self.limits.over {
            return Ok(());
        }
        let (waited, came) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.came));
        if u128::from(came) * 1000 < u128::from(self.limits.slowest) * waited.as_millis() {
            return transfer(format!("the host is too slow: {} KiB in {} s", came >> 10, waited.as_secs()));
        }
        Ok(())
    }
}

/// Why a file of at least `bytes` is not fetched; `None` if it is not too large.
pub(super) fn too_large(limits: &Downloads, bytes: u64) -> Option<String> {
    let (has, most) = (size(bytes), size(limits.largest));
    (bytes > limits.largest).then(|| format!("it has {has} or more, and --max-download-size is {most}"))
}

/// A size in whole units, rounded up.
fn size(bytes: u64) -> String {
    if bytes < 10 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Downloads = Downloads {
        largest: 1000 << 20,
        slowest: 4 << 10,
        over: Duration::from_secs(60),
        within: Duration::from_secs(600),
    };

    #[tokio::test(start_paused = true)]
    async fn a_host_that_drips_is_given_up_after_a_minute_and_one_whose_client_is_slow_is_not() {
        let second = Duration::from_secs(1);
        let mut watch = Watch::new(&LIMITS);
        let drops: Vec<bool> = (0..61).map(|_| watch.came(4000, second).is_ok()).collect();
        assert_eq!(drops.iter().position(|is_fine| !is_fine), Some(59));
        let mut watch = Watch::new(&LIMITS);
        assert!((0..600).all(|_| watch.came(4096, second).is_ok()), "just fast enough");
        let mut watch = Watch::new(&LIMITS);
        for _ in 0..9 {
            tokio::time::advance(59 * second).await;
            assert!(watch.came(10, Duration::from_millis(1)).is_ok(), "our own disk was slow, not the host");
        }
        tokio::time::advance(100 * second).await;
        let error = watch.came(1 << 20, Duration::ZERO).unwrap_err().to_string();
        assert!(watch.is_over() && error.contains("within 10 minutes"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn unless_a_person_says_otherwise_four_kib_a_second_are_enough_for_two_hours() {
        let (limits, minute) = (Downloads::default(), Duration::from_secs(60));
        let mut watch = Watch::new(&limits);
        assert!(watch.came((240 << 10) - 1, minute).is_err(), "in drops");
        for _ in 0..2 {
            assert!(watch.came(240 << 10, minute).is_ok() && !watch.is_over());
            tokio::time::advance(60 * minute).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(watch.is_over());
    }

    #[test]
    fn a_file_is_too_large_only_beyond_the_limit() {
        assert_eq!(too_large(&LIMITS, 1000 << 20), None);
        assert_eq!(too_large(&Downloads::default(), 4 << 30), None);
        assert!(too_large(&Downloads::default(), (4 << 30) + 1).is_some());
        let words = too_large(&LIMITS, (1000 << 20) + 1).unwrap();
        assert_eq!(words, "it has 1001 MiB or more, and --max-download-size is 1000 MiB");
    }
}
