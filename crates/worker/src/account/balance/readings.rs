//! The last readings of the balance, and what they show about one attempt.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use veobatch_core::{Attempt, Balances, Credits, JobKey, Reading, Timestamp};

/// Readings that are kept: usually those of an hour. An orphaned attempt is found one lease after its call.
const KEPT_READINGS: usize = 64;

/// Doubts that may wait for a reading. With more of them the balance says little about each.
const MAX_DOUBTS: usize = 1000;

/// What this process knows about the balance, and which jobs in doubt wait for a reading.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Paid calls that this process began.
    pub(super) sent: u64,
    /// Oldest first.
    readings: VecDeque<Snapshot>,
    /// Oldest first.
    doubts: VecDeque<Doubt>,
}

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    pub(super) credits: Credits,
    pub(super) answered: Instant,
    /// How many calls had begun when it was asked for, and when it was answered.
    pub(super) sent: (u64, u64),
}

/// A job that this process put in doubt.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) key: JobKey,
    pub(super) attempt: Attempt,
    pub(super) sender: Sender,
    pub(super) since: Instant,
    pub(super) tries: u32,
}

/// Who made the call that is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    ThisProcess,
    /// A process that is gone.
    Another,
}

impl Known {
    pub(super) fn add(&mut self, doubt: Doubt) {
        if self.doubts.len() < MAX_DOUBTS {
            self.doubts.push_back(doubt);
        }
    }

    pub(super) fn keep(&mut self, reading: Snapshot) {
        if self.readings.len() >= KEPT_READINGS {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
    }

    /// Takes out the doubts that are at least `age` old.
    pub(super) fn take_due(&mut self, age: Duration) -> Vec<Doubt> {
        let (due, others) = self.doubts.drain(..).partition(|doubt| doubt.since.elapsed() >= age);
        self.doubts = others;
        Vec::from(due)
    }

    pub(super) fn oldest_doubt(&self) -> Option<Instant> {
        self.doubts.front().map(|doubt| doubt.since)
    }

    pub(super) fn youngest_doubt(&self) -> Option<Instant> {
        self.doubts.back().map(|doubt| doubt.since)
    }

    /// Whether a call was sent that the last reading may not include.
    pub(super) fn is_outdated(&self) -> bool {
        self.readings.back().is_none_or(|last| last.sent.0 != self.sent)
    }

    /// The balance around an attempt; `None` if nothing is known. `then` and `now` are the same moment on both clocks.
    pub(super) fn around(
        &self,
        doubt: &Doubt,
        after: Option<Snapshot>,
        (then, now): (Instant, Timestamp),
    ) -> Option<Balances> {
        let at = |reading: &Snapshot| {
            let ago = then.saturating_duration_since(reading.answered);
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(ago))
        };
        let before = self.readings.iter().rev().find(|reading| at(reading) < doubt.attempt.at);
        let reading = |reading: &Snapshot| Reading { credits: reading.credits, at: at(reading) };
        let others = before.zip(after).map_or(0, |(before, after)| {
            let own = u64::from(doubt.sender == Sender::ThisProcess);
            after.sent.1.saturating_sub(before.sent.0).saturating_sub(own)
        });
        let balances = Balances { before: before.map(reading), after: after.as_ref().map(reading), others };
        (balances.before.is_some() || balances.after.is_some()).then_some(balances)
    }
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, JobId, Token};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn doubt(sender: Sender, sent: u64) -> Doubt {
        let attempt = Attempt { token: Token::from_bits(7), number: 1, at: at(sent), price: Credits::default() };
        let key = JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() };
        Doubt { key, attempt, sender, since: Instant::now(), tries: 0 }
    }

    fn read(start: Instant, after: u64, credits: i64, sent: (u64, u64)) -> Snapshot {
        Snapshot { credits: Credits::whole(credits), answered: start + Duration::from_secs(after), sent }
    }

    #[tokio::test(start_paused = true)]
    async fn the_balance_before_is_the_last_one_that_was_read_before_the_intent() {
        let start = Instant::now();
        let readings = [read(start, 0, 900, (0, 0)), read(start, 60, 600, (4, 5)), read(start, 120, 300, (9, 9))];
        let known = Known { sent: 12, readings: readings.into(), doubts: VecDeque::new() };
        let after = read(start, 130, 240, (12, 12));
        let clock = (start + Duration::from_secs(131), at(131));
        let around = |sender, sent| known.around(&doubt(sender, sent), Some(after), clock).unwrap();
        let reading = |credits, seconds| Some(Reading { credits: Credits::whole(credits), at: at(seconds) });
        assert_eq!(
            around(Sender::ThisProcess, 100),
            Balances { before: reading(600, 60), after: reading(240, 130), others: 7 },
            "eight were sent since the reading was asked for, one of them the one in doubt"
        );
        assert_eq!(around(Sender::Another, 121).others, 3);
        assert_eq!(around(Sender::Another, 121).before, reading(300, 120));
        let none_before = Balances { before: None, after: reading(240, 130), others: 0 };
        assert_eq!(around(Sender::ThisProcess, 0), none_before);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_where_nothing_is_known() {
        let known = Known::default();
        assert_eq!(known.around(&doubt(Sender::ThisProcess, 1), None, (Instant::now(), NOW)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_waits_its_time_and_the_balance_is_read_again_only_if_something_was_sent() {
        let (mut known, delay) = (Known::default(), Duration::from_secs(10));
        assert!(known.is_outdated(), "nothing was read yet");
        known.keep(read(Instant::now(), 0, 900, (0, 0)));
        assert!(!known.is_outdated());
        known.sent += 1;
        assert!(known.is_outdated());
        known.add(doubt(Sender::ThisProcess, 1));
        tokio::time::advance(delay.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(known.take_due(delay).len(), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((known.take_due(delay).len(), known.oldest_doubt()), (1, None));
    }
}
