//! Pauses a batch when many of its jobs in a row are refused for the same reason: a mistake in the whole batch, which would
//! otherwise turn all of it into failures overnight.
//!
//! Counted in this process, per batch, in the order of the answers: refusals that concern the job itself, with the same code
//! and message, and no accepted job in between. Other answers do not count.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{error, warn};
use veobatch_core::{BatchId, Outcome, Refusal, RefusalKind, Timestamp};
use veobatch_ledger::{BatchFlag, BatchSummary, Ledger, LedgerError};

/// Consecutive identical refusals that pause a batch.
const MAX_STREAK: u32 = 10;

/// Longest reason stored with the batch, in characters.
const MAX_REASON: usize = 300;

/// The current streak of each batch.
#[derive(Debug, Default)]
pub(crate) struct RefusalStreaks(Mutex<HashMap<String, Streak>>);

#[derive(Debug, Default)]
struct Streak {
    code: u16,
    message: String,
    count: u32,
    /// The batch is being paused, once.
    is_pausing: bool,
    /// Attempts from before the last pause do not count.
    since: Timestamp,
}

impl RefusalStreaks {
    /// Counts the outcome of an attempt of `batch` that began `at`, and pauses the batch if the streak is too long.
    pub(crate) async fn record(&self, ledger: &dyn Ledger, batch: &BatchId, at: Timestamp, outcome: &Outcome) {
        let Some(because) = self.count(batch, at, outcome) else { return };
        match pause(ledger, batch, because.clone()).await {
            Ok(now) => {
                warn!(%batch, %because, "paused the batch: correct it, or continue with `veobatch resume`");
                self.forget(batch, now);
            }
            Err(error) => {
                error!(%batch, %error, %because, "the batch could not be paused; the next refusal tries again");
                self.streaks().entry(batch.folded()).or_default().is_pausing = false;
            }
        }
    }

    /// Resets the streaks of paused batches: once resumed, they are counted anew.
    pub(crate) fn reset_paused(&self, batches: &[BatchSummary]) {
        let mut streaks = self.streaks();
        if !streaks.is_empty() {
            for batch in batches.iter().filter(|batch| batch.paused) {
                if let Some(streak) = streaks.get_mut(&batch.batch.folded()) {
                    streak.count = 0;
                }
            }
        }
    }

    /// The reason to pause the batch, if its streak is too long.
    fn count(&self, batch: &BatchId, at: Timestamp, outcome: &Outcome) -> Option<String> {
        let mut streaks = self.streaks();
        match outcome {
            Outcome::Refused(Refusal { kind: RefusalKind::Job, code, message, .. }) => {
                let streak = streaks.entry(batch.folded()).or_default();
                if at <= streak.since || streak.is_pausing {
                    return None;
                }
                if (streak.code, streak.message.as_str()) != (*code, message.as_str()) {
                    (streak.code, streak.message, streak.count) = (*code, message.clone(), 0);
                }
                streak.count += 1;
                streak.is_pausing = streak.count >= MAX_STREAK;
                let words: String = message.chars().take(MAX_REASON).collect();
                streak.is_pausing.then(|| format!("{} jobs in a row were refused: {words} ({code})", streak.count))
            }
            Outcome::Accepted(_) => {
                if let Some(streak) = streaks.get_mut(&batch.folded()) {
                    streak.count = 0;
                }
                None
            }
            Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
        }
    }

    fn forget(&self, batch: &BatchId, since: Timestamp) {
        self.streaks().insert(batch.folded(), Streak { since, ..Streak::default() });
    }

    fn streaks(&self) -> MutexGuard<'_, HashMap<String, Streak>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when it was paused: everything granted by then was granted before the pause.
async fn pause(ledger: &dyn Ledger, batch: &BatchId, because: String) -> Result<Timestamp, LedgerError> {
    ledger.update_batch(batch, &BatchFlag::PausedBecause(because).into()).await?;
    Ok(ledger.info().await?.now)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use veobatch_core::{BatchSettings, Credits, TaskId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn batch(name: &str) -> BatchId {
        BatchId::parse(name).unwrap()
    }

    fn refused(kind: RefusalKind, message: &str) -> Outcome {
        Outcome::Refused(Refusal { kind, code: 422, message: message.into(), retry_after: None })
    }

    /// How many of `outcomes` of the batch `name` it takes until it is to be paused.
    fn paused_after(refusals: &RefusalStreaks, name: &str, outcomes: &[Outcome]) -> Option<usize> {
        let paused = |outcome: &Outcome| refusals.count(&batch(name), NOW, outcome).is_some();
        outcomes.iter().position(paused).map(|place| place + 1)
    }

    #[test]
    fn ten_like_refusals_in_a_row_are_a_mistake_of_the_batch() {
        let refusals = RefusalStreaks::default();
        let no = refused(RefusalKind::Job, "no such model");
        assert_eq!(paused_after(&refusals, "n", &vec![no.clone(); 12]), Some(10));
        assert_eq!(refusals.count(&batch("n"), NOW, &no), None, "it is being paused already");
        refusals.streaks().get_mut("n").unwrap().is_pausing = false;
        let because = refusals.count(&batch("N"), NOW, &no).unwrap();
        assert_eq!(because, "11 jobs in a row were refused: no such model (422)");
        assert_eq!(paused_after(&refusals, "other", &vec![no; 9]), None, "each batch has its own count");
    }

    #[test]
    fn an_accepted_job_or_another_reason_begins_anew_and_other_answers_say_nothing() {
        let no = || refused(RefusalKind::Job, "no");
        let other = refused(RefusalKind::Job, "another reason");
        let accepted = Outcome::Accepted(TaskId::parse("t").unwrap());
        for between in [accepted, other] {
            let outcomes = [vec![no(); 9], vec![between], vec![no(); 10]].concat();
            assert_eq!(paused_after(&RefusalStreaks::default(), "n", &outcomes), Some(20));
        }
        for silent in [refused(RefusalKind::Busy, "no"), Outcome::Unknown("lost".into()), Outcome::NotSent("x".into())]
        {
            let outcomes = [vec![no(); 9], vec![silent], vec![no()]].concat();
            assert_eq!(paused_after(&RefusalStreaks::default(), "n", &outcomes), Some(11));
        }
    }

    #[test]
    fn what_was_under_way_at_the_pause_does_not_count_after_it() {
        let refusals = RefusalStreaks::default();
        let no = refused(RefusalKind::Job, "no");
        refusals.forget(&batch("n"), NOW);
        assert_eq!(paused_after(&refusals, "n", &vec![no.clone(); 30]), None);
        let later = NOW + std::time::Duration::from_millis(1);
        let after: Vec<bool> = (0..10).map(|_| refusals.count(&batch("n"), later, &no).is_some()).collect();
        assert_eq!(after.iter().position(|paused| *paused), Some(9));
    }

    #[test]
    fn a_batch_that_is_seen_paused_begins_anew() {
        let refusals = RefusalStreaks::default();
        let no = refused(RefusalKind::Job, "no");
        assert_eq!(paused_after(&refusals, "n", &vec![no.clone(); 9]), None);
        let summary = |paused| BatchSummary {
            batch: batch("n"),
            counts: BTreeMap::new(),
            paused,
            paused_because: None,
            cancelling: false,
            created: NOW,
            rested: None,
            terms: BatchSettings::default(),
            credits: Credits::default(),
        };
        refusals.reset_paused(&[summary(true)]);
        assert_eq!(paused_after(&refusals, "n", &vec![no.clone(); 9]), None);
        refusals.reset_paused(&[summary(false)]);
        assert_eq!(paused_after(&refusals, "n", &[no]), Some(1));
    }
}
