//! The account's balance beside the paid calls: evidence for a person who must decide about a job in doubt.
//!
//! ```text
//! read at the start, and once a minute while something is sent ─▶ the last few readings
//! a job becomes in doubt ─▶ a moment later: one more reading ─▶ both into the job's record
//! ```
//!
//! A task of its own: no paid call waits for a reading, and one that fails harms nothing. No job is moved by it: others may
//! spend from the same account, and the service may book late. While the gate is closed for want of credits it is read once
//! a minute, and a balance that rose lets one submission try the gate, which the service answers for free or accepts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span};
use veobatch_core::{Attempt, Balances, Credits, Event, JobKey, Reading, Timestamp, doubted};
use veobatch_ledger::{AccountUpdate, Change, Gate, LedgerError, Lookup, NoRetry, change};

use crate::runtime::random;
use crate::runtime::worker::{Worker, log};

/// Between two readings while something is sent.
const SELDOM: Duration = Duration::from_secs(60);

/// A doubt is this old, at least, when the balance after it is read: the service may book late.
const MOMENT: Duration = Duration::from_secs(10);

/// So much longer the first doubt waits for others, so that one reading is for many.
const COMPANY: Duration = Duration::from_secs(5);

/// [`MOMENT`], for a process that ends: somebody waits for it.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// What is left to do at the end gets so long.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Readings that are kept: an hour's, as a rule. An orphan is found a lease after its call.
const KEPT: usize = 64;

/// Doubts that may wait for a reading. Where there are more, the balance tells little of each.
const WAITING: usize = 1000;

/// How often a reading is tried for one doubt.
const TRIES: u32 = 3;

/// What this process knows of the account's balance, and who waits for a reading.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    known: Mutex<Known>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Paid calls that this process began.
    sent: u64,
    /// Oldest first.
    readings: VecDeque<Read>,
    /// Oldest first.
    doubts: VecDeque<Doubtful>,
}

/// One reading.
#[derive(Clone, Copy, Debug)]
struct Read {
    credits: Credits,
    answered: Instant,
    /// How many calls had begun when it was asked for, and when it was answered.
    sent: (u64, u64),
}

/// A job that became in doubt here.
#[derive(Clone, Debug)]
struct Doubtful {
    key: JobKey,
    attempt: Attempt,
    sender: Sender,
    since: Instant,
    tries: u32,
}

/// Who made the call that is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// This process.
    Us,
    /// One that is gone.
    Another,
}

impl Balance {
    /// A paid call begins.
    pub(crate) fn sending(&self) {
        self.known().sent += 1;
    }

    /// A job is in doubt about `attempt`: the balance around it is told to its record, soon.
    pub(crate) fn doubted(&self, key: &JobKey, attempt: &Attempt, sender: Sender) {
        let (key, attempt) = (key.clone(), attempt.clone());
        self.wait(Doubtful { key, attempt, sender, since: Instant::now(), tries: 0 });
        self.news.notify_one();
    }

    fn wait(&self, doubtful: Doubtful) {
        let mut known = self.known();
        if known.doubts.len() < WAITING {
            known.doubts.push_back(doubtful);
        }
    }

    fn keep(&self, read: Read) {
        let mut known = self.known();
        if known.readings.len() >= KEPT {
            known.readings.pop_front();
        }
        known.readings.push_back(read);
    }

    /// The doubts that are this old.
    fn due(&self, age: Duration) -> Vec<Doubtful> {
        let doubts = &mut self.known().doubts;
        let (due, others) = doubts.drain(..).partition(|doubtful| doubtful.since.elapsed() >= age);
        *doubts = others;
        Vec::from(due)
    }

    fn oldest(&self) -> Option<Instant> {
        self.known().doubts.front().map(|doubtful| doubtful.since)
    }

    /// Whether something was sent that the last reading may not have seen.
    fn is_outdated(&self) -> bool {
        let known = self.known();
        known.readings.back().is_none_or(|last| last.sent.0 != known.sent)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the balance whenever that is of use, until `end`.
pub(crate) async fn watch(worker: Arc<Worker>, end: CancellationToken) {
    let balance = &worker.balance;
    end.run_until_cancelled(read(&worker)).await;
    let mut seldom = Instant::now() + SELDOM;
    let mut empty = Empty::default();
    loop {
        let due = balance.oldest().map(|since| since + MOMENT + COMPANY);
        let next = due.map_or(seldom, |due| due.min(seldom));
        tokio::select! {
            () = end.cancelled() => break,
            () = balance.news.notified() => continue,
            () = sleep_until(next) => {}
        }
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if (is_due || balance.is_outdated())
            && let Some(after) = end.run_until_cancelled(read(&worker)).await
            && is_due
        {
            weigh(&worker, MOMENT, after).await;
        }
        if next == seldom {
            end.run_until_cancelled(empty.look(&worker)).await;
        }
        if is_due || next == seldom {
            seldom = Instant::now() + SELDOM;
        }
    }
    finish(&worker).await;
}

/// An account without credits to spend, as long as its gate is closed for that.
#[derive(Debug, Default)]
struct Empty {
    /// What the balance was when it was looked at last.
    known: Option<Credits>,
}

impl Empty {
    /// Lets a submission try the gate as soon as the balance may be enough for one, rather than when its wait is over.
    async fn look(&mut self, worker: &Worker) {
        if let Err(error) = self.try_look(worker).await {
            debug!(%error, "whether there are credits to spend is not known");
        }
    }

    async fn try_look(&mut self, worker: &Worker) -> Result<(), LedgerError> {
        let account = worker.ledger.account(0).await?;
        if !matches!(account.gate, Gate::Closed { no_credits: true, .. }) {
            self.known = None;
            return Ok(());
        }
        let Some(read) = read(worker).await else { return Ok(()) };
        let least = account.prices.values().min().copied().unwrap_or_default();
        if self.may_pay(read.credits, least) {
            info!(credits = %read.credits, "the balance covers a submission: one tries the gate now");
            worker.ledger.update_account(&AccountUpdate { credits_back: true, ..AccountUpdate::default() }).await?;
        }
        Ok(())
    }

    /// Whether a balance of `credits` is news, and covers the least price. A key's own cap leaves the balance as it is.
    fn may_pay(&mut self, credits: Credits, least: Credits) -> bool {
        let is_more = self.known.is_none_or(|known| credits > known);
        self.known = Some(credits);
        is_more && credits > Credits::default() && credits >= least
    }
}

/// What was in doubt a moment ago is weighed before the process ends, unless a person cannot wait.
async fn finish(worker: &Worker) {
    let balance = &worker.balance;
    let Some(youngest) = balance.known().doubts.back().map(|doubtful| doubtful.since) else { return };
    let last = async {
        sleep_until(youngest + LAST_MOMENT).await;
        let after = read(worker).await;
        weigh(worker, Duration::ZERO, after).await;
    };
    let ended = worker.shutdown.now.run_until_cancelled(timeout(END_WITHIN, last)).await;
    if !matches!(ended, Some(Ok(()))) {
        debug!("the balance after the last doubts was not read");
    }
}

/// Tells the doubts that are this old what is known of the balance around them; those that have bad luck wait again.
async fn weigh(worker: &Worker, age: Duration, after: Option<Read>) {
    let mut is_there = true;
    for mut doubtful in worker.balance.due(age) {
        doubtful.tries += 1;
        let is_last = doubtful.tries >= TRIES;
        if is_there && (after.is_some() || is_last) {
            match tell(worker, &doubtful, after).await {
                Ok(()) => continue,
                Err(_) => is_there = false,
            }
        }
        if !is_last {
            worker.balance.wait(Doubtful { since: Instant::now(), ..doubtful });
        }
    }
}

/// One reading, kept.
async fn read(worker: &Worker) -> Option<Read> {
    let asked = worker.balance.known().sent;
    match worker.client.credits().await {
        Ok(credits) => {
            let sent = (asked, worker.balance.known().sent);
            let read = Read { credits, answered: Instant::now(), sent };
            worker.balance.keep(read);
            debug!(%credits, "the balance");
            Some(read)
        }
        // A refused key is met by the calls that matter.
        Err(trouble) => {
            debug!(why = %trouble.message, "the balance could not be read");
            None
        }
    }
}

async fn tell(worker: &Worker, doubtful: &Doubtful, after: Option<Read>) -> Result<(), LedgerError> {
    // Taken before the ledger says its time: a reading then counts as younger than it is, rather than as older.
    let asked = Instant::now();
    let Some(stored) = worker.ledger.find(Lookup::Name(&doubtful.key)).await? else { return Ok(()) };
    if doubted(&stored.record) != Some(&doubtful.attempt.token) {
        return Ok(());
    }
    let Some(balances) = around(&worker.balance.known(), doubtful, after, (asked, stored.now)) else { return Ok(()) };
    let event = Event::BalanceRead { token: doubtful.attempt.token.clone(), balances };
    let policy = worker.learning.policy();
    let told = Change { event: &event, lease: None, settle: None, jitter: random::jitter(), policy: &policy };
    let span = info_span!("balance", batch = %doubtful.key.batch, job = %doubtful.key.job);
    let result = change(worker.ledger.as_ref(), stored, &told, &mut NoRetry).instrument(span.clone()).await;
    span.in_scope(|| log(&result));
    result.map(drop)
}

/// What is known of the balance around an attempt; `None` if nothing is. `clock`: the ledger's time, and when that was.
fn around(
    known: &Known,
    doubtful: &Doubtful,
    after: Option<Read>,
    (then, now): (Instant, Timestamp),
) -> Option<Balances> {
    let at = |read: &Read| {
        let ago = then.saturating_duration_since(read.answered);
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(ago))
    };
    let before = known.readings.iter().rev().find(|read| at(read) < doubtful.attempt.at);
    let reading = |read: &Read| Reading { credits: read.credits, at: at(read) };
    let others = before.zip(after).map_or(0, |(before, after)| {
        let own = u64::from(doubtful.sender == Sender::Us);
        after.sent.1.saturating_sub(before.sent.0).saturating_sub(own)
    });
    let balances = Balances { before: before.map(reading), after: after.as_ref().map(reading), others };
    (balances.before.is_some() || balances.after.is_some()).then_some(balances)
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, JobId, Token};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn doubtful(sender: Sender, sent: u64) -> Doubtful {
        let attempt = Attempt { token: Token::from_bits(7), number: 1, at: at(sent), price: Credits::default() };
        let key = JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() };
        Doubtful { key, attempt, sender, since: Instant::now(), tries: 0 }
    }

    fn read(start: Instant, after: u64, credits: i64, sent: (u64, u64)) -> Read {
        Read { credits: Credits::whole(credits), answered: start + Duration::from_secs(after), sent }
    }

    #[tokio::test(start_paused = true)]
    async fn the_balance_before_is_the_last_one_that_was_read_before_the_intent() {
        let start = Instant::now();
        let readings = [read(start, 0, 900, (0, 0)), read(start, 60, 600, (4, 5)), read(start, 120, 300, (9, 9))];
        let known = Known { sent: 12, readings: readings.into(), doubts: VecDeque::new() };
        let after = read(start, 130, 240, (12, 12));
        let clock = (start + Duration::from_secs(131), at(131));
        let around = |sender, sent| super::around(&known, &doubtful(sender, sent), Some(after), clock).unwrap();
        let reading = |credits, seconds| Some(Reading { credits: Credits::whole(credits), at: at(seconds) });
        assert_eq!(
            around(Sender::Us, 100),
            Balances { before: reading(600, 60), after: reading(240, 130), others: 7 },
            "eight were sent since the reading was asked for, one of them the one in doubt"
        );
        assert_eq!(around(Sender::Another, 121).others, 3);
        assert_eq!(around(Sender::Another, 121).before, reading(300, 120));
        assert_eq!(around(Sender::Us, 0), Balances { before: None, after: reading(240, 130), others: 0 });
    }

    #[test]
    fn a_balance_that_rose_to_a_price_is_worth_a_try_and_one_that_stays_is_not() {
        let mut empty = Empty::default();
        let least = Credits::whole(30);
        let told: Vec<bool> =
            [10, 10, 29, 30, 30, 90, 40, 50, 0].map(|credits| empty.may_pay(Credits::whole(credits), least)).into();
        assert_eq!(told, [false, false, false, true, false, true, false, true, false]);
        assert!(Empty::default().may_pay(Credits::whole(30), least), "it may have risen before the first look");
        assert!(!Empty::default().may_pay(Credits::default(), Credits::default()), "no price is known");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_where_nothing_is_known() {
        let known = Known::default();
        assert_eq!(around(&known, &doubtful(Sender::Us, 1), None, (Instant::now(), NOW)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_waits_its_moment_and_the_balance_is_read_again_only_if_something_was_sent() {
        let balance = Balance::default();
        assert!(balance.is_outdated(), "nothing was read yet");
        balance.keep(read(Instant::now(), 0, 900, (0, 0)));
        assert!(!balance.is_outdated());
        balance.sending();
        assert!(balance.is_outdated());
        let Doubtful { key, attempt, sender, .. } = doubtful(Sender::Us, 1);
        balance.doubted(&key, &attempt, sender);
        tokio::time::advance(MOMENT.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(balance.due(MOMENT).len(), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((balance.due(MOMENT).len(), balance.oldest()), (1, None));
    }
}
