//! What is looked after beside the lanes: schedules, the days of the daily budget, cancellations to finish, journals of
//! the dead, room for what is made, jobs in doubt, finished jobs to make compact, and whether all is done.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use veobatch_core::{BatchId, InDoubtPolicy, Schedule, StateName, Timestamp};
use veobatch_ledger::{Account, BatchSummary, Batches, LedgerError};

use crate::Until;
use crate::journal::replay::{Telling, replay};
use crate::runtime::backoff::Backoff;
use crate::runtime::worker::Worker;
use crate::submit::backpressure::CapacityCheck;
use crate::upkeep::PeriodicTask;
use crate::upkeep::compaction::Compactor;
use crate::upkeep::daily_budget::DailyBudget;
use crate::upkeep::in_doubt_policy::apply_policy;
use crate::upkeep::pending_strays::PendingStrays;
use crate::upkeep::schedules::Schedules;
use crate::upkeep::sweep::sweep;

/// Between two looks, if somebody waits for the end.
const LOOK: Duration = Duration::from_millis(500);

/// Between two looks, if there are schedules to keep.
const PUNCTUAL: Duration = Duration::from_secs(1);

/// Between two looks, if nobody waits for anything.
pub(crate) const SELDOM: Duration = Duration::from_secs(5);

/// Between two looks for journals that other processes left behind.
const REPLAY: Duration = Duration::from_secs(60);

/// Between two tellings of everything, while the ledger recovers and there are schedules: a run that it forgot is made
/// again in the meantime, and only then there are jobs that can be told of their tasks.
const RETOLD: Duration = Duration::from_secs(15);

/// Most unreadable jobs that whoever waits for the end leaves out of account.
const UNREADABLE: usize = 10_000;

/// The limit of a turn that asks a few questions.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// The limit of a turn that may have a whole batch to go through.
const LONG: Duration = Duration::from_secs(15 * 60);

/// Between two looks through the jobs in doubt.
const DOUBTS: Duration = Duration::from_secs(2);

/// Everything that is looked after, each by itself. Jobs are made compact at `age`, if it is given.
pub(crate) fn duties(until: &Until, age: Option<Duration>) -> Vec<Box<dyn PeriodicTask>> {
    let until = until.clone();
    let (doubts, awaited, schedules) = (Doubts::default(), PendingStrays::default(), Schedules::default());
    vec![
        Box::new(Looks { until, doubts, awaited, schedules }),
        Box::new(Reminder::new()),
        Box::new(DailyBudget::default()),
        Box::new(CapacityCheck::default()),
        Box::new(Lessons),
        Box::new(Cancellations),
        Box::new(Compactor::new(age)),
    ]
}

/// Tells the ledger what the journals know: what is new once in a while, and everything as soon as it may have gone back
/// in time. Nobody is granted anything for a while then, and this must be done before that is over: it does not wait for
/// a claim of this worker's to be refused, and is done again until the ledger took all of it.
#[derive(Debug)]
struct Reminder {
    replayed: Instant,
    telling: Telling,
    /// Until when the ledger recovered that is being told, or was.
    recovery: Option<Timestamp>,
}

impl Reminder {
    fn new() -> Self {
        Self { replayed: Instant::now(), telling: Telling::New, recovery: None }
    }

    /// `are_runs_made`: there are schedules, so the ledger may get back by itself what it forgot.
    async fn step(&mut self, worker: &Worker, account: &Account, are_runs_made: bool) {
        let recovery = account.recovering_until;
        if is_to_be_told(recovery, self.recovery, are_runs_made && self.replayed.elapsed() > RETOLD) {
            (self.recovery, self.telling) = (recovery, Telling::Again);
        }
        if self.telling == Telling::Again || self.replayed.elapsed() > REPLAY {
            if replay_again(worker, self.telling).await {
                self.telling = Telling::New;
            }
            self.replayed = Instant::now();
        }
    }

    /// What was told to nobody during the outage is in journals; and it may have been longer than a recovery.
    fn forget(&mut self, worker: &Worker) {
        if worker.journal.keeps_told() {
            self.telling = Telling::Again;
        }
        self.replayed = Instant::now().checked_sub(REPLAY).unwrap_or(self.replayed);
    }
}

#[async_trait]
impl PeriodicTask for Reminder {
    fn name(&self) -> &'static str {
        "tell the ledger what the journals know"
    }

    fn limit(&self) -> Duration {
        LONG
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        let account = worker.ledger.account(0).await?;
        worker.clock.saw_both(account.now, account.calendar);
        self.step(worker, &account, worker.batches.latest().iter().any(has_schedule)).await;
        // Nobody is granted anything for much longer, if it recovers.
        Ok(SELDOM)
    }

    fn outage(&mut self, worker: &Worker) {
        self.forget(worker);
    }
}

fn has_schedule(batch: &BatchSummary) -> bool {
    !batch.terms.schedule.is_empty()
}

/// Whether everything is to be told again: in a recovery that is not the `known` one, and in that too once it `is_late`.
fn is_to_be_told(recovery: Option<Timestamp>, known: Option<Timestamp>, is_late: bool) -> bool {
    recovery.is_some() && (recovery != known || is_late)
}

/// Looks at all batches: keeps schedules, applies what `--in-doubt` says, finds that all is done.
#[derive(Debug)]
struct Looks {
    until: Until,
    doubts: Doubts,
    awaited: PendingStrays,
    schedules: Schedules,
}

#[async_trait]
impl PeriodicTask for Looks {
    fn name(&self) -> &'static str {
        "look at the batches"
    }

    fn limit(&self) -> Duration {
        LONG
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        let until = self.until.clone();
        if look(worker, &until, self).await? {
            info!("nothing is left to do");
            worker.shutdown.finished();
        }
        Ok(match until {
            Until::Stopped if self.schedules.any => PUNCTUAL,
            Until::Stopped => SELDOM,
            Until::Idle | Until::Settled(_) => LOOK,
        })
    }
}

/// Learns how long videos take, from what all workers saw.
#[derive(Debug)]
struct Lessons;

#[async_trait]
impl PeriodicTask for Lessons {
    fn name(&self) -> &'static str {
        "learn how long videos take"
    }

    fn limit(&self) -> Duration {
        SHORT
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        worker.learning.step(worker.ledger.as_ref()).await;
        Ok(SELDOM)
    }
}

/// Finishes cancellations of whole batches.
#[derive(Debug)]
struct Cancellations;

#[async_trait]
impl PeriodicTask for Cancellations {
    fn name(&self) -> &'static str {
        "finish cancellations"
    }

    /// What was cancelled stays so.
    fn limit(&self) -> Duration {
        LONG
    }

    async fn turn(&mut self, worker: &Worker) -> Result<Duration, LedgerError> {
        if worker.batches.latest().iter().any(|batch| batch.cancelling) {
            for batch in worker.ledger.list(&Batches::Active).await?.iter().filter(|batch| batch.cancelling) {
                let swept = sweep(worker.ledger.as_ref(), &batch.batch, &worker.learning.policy(), &mut |_| {}).await?;
                if swept > 0 {
                    info!(batch = %batch.batch, swept, "a cancellation was carried out");
                }
            }
        }
        Ok(LOOK)
    }
}

/// When jobs in doubt were looked through last, and whether one of them may still move.
#[derive(Debug, Default)]
struct Doubts {
    looked: Option<Instant>,
    may_move: bool,
}

/// Keeps schedules and applies what `--in-doubt` says; says whether what this worker waits for has come true.
async fn look(worker: &Worker, until: &Until, looks: &mut Looks) -> Result<bool, LedgerError> {
    // What is at rest stays as it is, however much it has become in years.
    let batches = worker.batches.keep(worker.ledger.list(&Batches::Active).await?);
    worker.window.look(&batches);
    worker.refusal_streaks.look(&batches);
    let is_moving = looks.schedules.step(worker, &batches).await?;
    // What was looked at knows nothing of a run that was made since.
    let at_rest = !is_moving && is_over(worker, until, batches.to_vec()).await?;
    if !at_rest {
        looks.awaited.forget();
    }
    let is_over = at_rest && nothing_awaited(worker, until, &mut looks.awaited).await?;
    if !is_over && worker.in_doubt == InDoubtPolicy::Hold {
        return Ok(false);
    }
    let doubts = &mut looks.doubts;
    let is_recent = doubts.looked.is_some_and(|looked| looked.elapsed() < DOUBTS);
    if is_recent && (doubts.may_move || !is_over) {
        return Ok(false);
    }
    let served: Vec<&BatchSummary> = match &worker.only {
        Some(only) => only.iter().filter_map(|name| named(&batches, name)).collect(),
        None => batches.iter().collect(),
    };
    let was_waiting = doubts.looked.is_some() && doubts.may_move;
    doubts.may_move = apply_policy(worker, &served).await?;
    if is_over && doubts.may_move && !was_waiting {
        // Said at `warn`: whoever waits for the end would wonder.
        warn!("all else is done, but jobs in doubt may still move by themselves (a callback, or --in-doubt): waiting");
    }
    doubts.looked = Some(Instant::now());
    // What was in doubt a moment ago may be under way by now.
    Ok(is_over && !doubts.may_move && self::is_over(worker, until, worker.ledger.list(&Batches::Active).await?).await?)
}

/// Whether what is waited for is at rest, but for jobs that this program cannot read.
async fn is_over(worker: &Worker, until: &Until, mut batches: Vec<BatchSummary>) -> Result<bool, LedgerError> {
    let is_held = worker.backpressure.is_held();
    if matches!(until, Until::Stopped) || are_at_rest(until, &batches, is_held) {
        return Ok(!matches!(until, Until::Stopped));
    }
    let unreadable = worker.ledger.unreadable(UNREADABLE).await?;
    batches = batches.into_iter().map(|batch| batch.without(&unreadable)).collect();
    Ok(!unreadable.is_empty() && are_at_rest(until, &batches, is_held))
}

fn are_at_rest(until: &Until, batches: &[BatchSummary], is_held: bool) -> bool {
    let rests = |batch: &BatchSummary| rests(batch, is_held);
    match until {
        Until::Stopped => false,
        Until::Idle => batches.iter().all(rests),
        Until::Settled(those) => those.iter().all(|name| named(batches, name).is_none_or(rests)),
    }
}

/// Whether the tasks beside the jobs are at rest, as the jobs are.
async fn nothing_awaited(worker: &Worker, until: &Until, awaited: &mut PendingStrays) -> Result<bool, LedgerError> {
    let those = match until {
        Until::Stopped | Until::Idle => None,
        Until::Settled(those) => Some(those.as_slice()),
    };
    awaited.are_over(worker.ledger.as_ref(), those).await
}

fn named<'a>(batches: &'a [BatchSummary], name: &BatchId) -> Option<&'a BatchSummary> {
    let folded = name.folded();
    batches.iter().find(|batch| batch.batch.folded() == folded)
}

/// True if nothing of the batch moves without a person, what is in doubt aside. A closed window opens by itself; a
/// template's own jobs never move; and where submissions are held, nothing that is queued does.
fn rests(batch: &BatchSummary, is_held: bool) -> bool {
    let moving = [StateName::Submitting, StateName::Generating, StateName::Upscaling, StateName::Downloading];
    let queued =
        batch.count(StateName::Queued) > 0 && !is_held && !batch.paused && !Schedule::recurs(&batch.terms.schedule);
    !batch.cancelling && !queued && moving.into_iter().all(|state| batch.count(state) == 0)
}

/// Whether the ledger took everything.
async fn replay_again(worker: &Worker, telling: Telling) -> bool {
    let mut backoff = Backoff::until(worker.shutdown.closing.clone());
    let ledger = worker.ledger.as_ref();
    let told = replay(&worker.journal, telling, ledger, &worker.learning.policy(), &mut backoff).await;
    debug!(?telling, ?told, "looked for journals");
    told.map_or_else(
        |error| {
            warn!(%error, "the journals cannot be looked at");
            false
        },
        |told| told.all,
    )
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchSettings, Credits};

    use super::*;

    fn batch(counts: &[(StateName, u64)], paused: bool) -> BatchSummary {
        BatchSummary {
            batch: BatchId::parse("b").unwrap(),
            counts: counts.iter().copied().collect(),
            paused,
            cancelling: false,
            created: Timestamp::default(),
            rested: None,
            paused_because: None,
            terms: BatchSettings::default(),
            credits: Credits::default(),
        }
    }

    #[test]
    fn a_recovery_is_told_of_once_and_where_runs_are_made_again_and_again() {
        let until = |ms| Some(Timestamp::from_millis(ms));
        assert!(is_to_be_told(until(5), None, false) && is_to_be_told(until(6), until(5), false));
        assert!(!is_to_be_told(until(5), until(5), false) && is_to_be_told(until(5), until(5), true));
        assert!(!is_to_be_told(None, until(5), true) && !is_to_be_told(None, None, false));
    }

    #[test]
    fn a_batch_rests_once_only_a_person_could_move_it() {
        use StateName::{Cancelled, Done, Downloading, Failed, Generating, InDoubt, Queued};
        assert!(rests(&batch(&[], false), false));
        assert!(rests(&batch(&[(Done, 3), (Failed, 1), (InDoubt, 2), (Cancelled, 1), (Queued, 0)], false), false));
        assert!(rests(&batch(&[(Queued, 5)], true), false));
        assert!(!rests(&batch(&[(Queued, 5)], false), false));
        assert!(rests(&batch(&[(Queued, 5)], false), true));
        assert!(!rests(&batch(&[(Generating, 1)], true), false));
        assert!(!rests(&batch(&[(Downloading, 1)], true), false));
        assert!(!rests(&BatchSummary { cancelling: true, ..batch(&[], false) }, false));
    }
}
