//! The account's balance before and after paid calls: evidence for a person who has to decide about a job in doubt.
//!
//! ```text
//! read at the start, and once a minute while calls are sent ─▶ the last readings
//! a job becomes in doubt ─▶ 10 s later one more reading ─▶ both are stored in the job's record
//! ```
//!
//! A task of its own: no paid call waits for a reading, and a reading that fails does no harm. No job is moved by it: others
//! may spend from the same account, and the service may charge late. While the gate is closed for lack of credits the
//! balance is read once a minute; when it has risen, one submission tries the gate, which the service rejects for free or
//! accepts.

mod readings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span};
use veobatch_core::{Credits, Event, JobKey, State, doubted};
use veobatch_ledger::{AccountUpdate, Changed, Gate, LedgerError, Lookup};

use self::readings::{Doubt, Known, Snapshot};
use crate::Client;
use crate::runtime::changes::log;
use crate::runtime::context::Context;

pub(crate) use self::readings::Sender;

/// Interval of readings while calls are sent.
const READ_INTERVAL: Duration = Duration::from_secs(60);

/// Minimum age of a doubt when the balance after it is read: the service may charge late.
const DOUBT_DELAY: Duration = Duration::from_secs(10);

/// How much longer the first doubt waits for others, so that one reading serves many.
const DOUBT_BATCH_DELAY: Duration = Duration::from_secs(5);

/// [`DOUBT_DELAY`] for a process that shuts down: a person is waiting.
const SHUTDOWN_DOUBT_DELAY: Duration = Duration::from_secs(2);

/// Time limit of the last reading at shutdown.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// How often a reading is tried for one doubt.
const MAX_TRIES: u32 = 3;

/// Reads the balance and keeps the last readings.
#[derive(Debug)]
pub(crate) struct Balance {
    context: Arc<Context>,
    client: Arc<Client>,
    known: Mutex<Known>,
    new_doubt: Notify,
}

impl Balance {
    pub(crate) fn new(context: Arc<Context>, client: Arc<Client>) -> Self {
        Self { context, client, known: Mutex::default(), new_doubt: Notify::new() }
    }

    /// A paid call begins.
    pub(crate) fn sending(&self) {
        self.known().sent += 1;
    }

    /// If `result` put the job in doubt, the balance around its attempt will be stored in its record.
    pub(crate) fn note_doubt(&self, key: &JobKey, result: &Result<Changed, LedgerError>, sender: Sender) {
        let Ok(Changed::Moved { from, to }) = result else { return };
        if let State::InDoubt { attempt, .. } = &to.state
            && doubted(from).is_none()
        {
            let (key, attempt) = (key.clone(), attempt.clone());
            self.known().add(Doubt { key, attempt, sender, since: Instant::now(), tries: 0 });
            self.new_doubt.notify_one();
        }
    }

    /// Reads the balance whenever that is useful, until `end`.
    pub(crate) async fn watch(&self, end: &CancellationToken) {
        end.run_until_cancelled(self.read()).await;
        let mut next_reading = Instant::now() + READ_INTERVAL;
        let mut refill = Refill::default();
        loop {
            let due = self.known().oldest_doubt().map(|since| since + DOUBT_DELAY + DOUBT_BATCH_DELAY);
            let next = due.map_or(next_reading, |due| due.min(next_reading));
            tokio::select! {
                () = end.cancelled() => break,
                () = self.new_doubt.notified() => continue,
                () = sleep_until(next) => {}
            }
            let is_due = due.is_some_and(|due| due <= Instant::now());
            let is_outdated = self.known().is_outdated();
            if (is_due || is_outdated)
                && let Some(after) = end.run_until_cancelled(self.read()).await
                && is_due
            {
                self.store_due(DOUBT_DELAY, after).await;
            }
            if next == next_reading {
                end.run_until_cancelled(self.try_gate(&mut refill)).await;
            }
            if is_due || next == next_reading {
                next_reading = Instant::now() + READ_INTERVAL;
            }
        }
        self.finish().await;
    }

    /// Stores the balance for recent doubts before the process ends, unless a person cannot wait.
    async fn finish(&self) {
        let Some(youngest) = self.known().youngest_doubt() else { return };
        let last = async {
            sleep_until(youngest + SHUTDOWN_DOUBT_DELAY).await;
            let after = self.read().await;
            self.store_due(Duration::ZERO, after).await;
        };
        let done = self.context.shutdown.now.run_until_cancelled(timeout(SHUTDOWN_LIMIT, last)).await;
        if !matches!(done, Some(Ok(()))) {
            debug!("the balance after the last doubts was not read");
        }
    }

    /// One reading, kept.
    async fn read(&self) -> Option<Snapshot> {
        let asked = self.known().sent;
        match self.client.credits().await {
            Ok(credits) => {
                let mut known = self.known();
                let reading = Snapshot { credits, answered: Instant::now(), sent: (asked, known.sent) };
                known.keep(reading);
                debug!(%credits, "read the balance");
                Some(reading)
            }
            // A refused key is noticed by the calls that matter.
            Err(trouble) => {
                debug!(why = %trouble.message, "the balance could not be read");
                None
            }
        }
    }

    /// Stores the balance around doubts that are at least `age` old. What fails is tried again, up to [`MAX_TRIES`].
    async fn store_due(&self, age: Duration, after: Option<Snapshot>) {
        let mut is_available = true;
        let due = self.known().take_due(age);
        for mut doubt in due {
            doubt.tries += 1;
            let is_last = doubt.tries >= MAX_TRIES;
            if is_available && (after.is_some() || is_last) {
                match self.store(&doubt, after).await {
                    Ok(()) => continue,
                    Err(_) => is_available = false,
                }
            }
            if !is_last {
                self.known().add(Doubt { since: Instant::now(), ..doubt });
            }
        }
    }

    async fn store(&self, doubt: &Doubt, after: Option<Snapshot>) -> Result<(), LedgerError> {
        // Taken before the ledger's time: a reading then counts as younger than it is, never as older.
        let then = Instant::now();
        let Some(stored) = self.context.ledger.find(Lookup::Name(&doubt.key)).await? else { return Ok(()) };
        if doubted(&stored.record) != Some(&doubt.attempt.token) {
            return Ok(());
        }
        let Some(balances) = self.known().around(doubt, after, (then, stored.now)) else { return Ok(()) };
        let event = Event::BalanceRead { token: doubt.attempt.token.clone(), balances };
        let span = info_span!("balance", batch = %doubt.key.batch, job = %doubt.key.job);
        let result = self.context.change(stored, &event).instrument(span.clone()).await;
        span.in_scope(|| log(&result));
        result.map(drop)
    }

    /// Lets a submission try the gate once the balance may cover one, before the gate's own wait is over.
    async fn try_gate(&self, refill: &mut Refill) {
        if let Err(error) = self.open_if_refilled(refill).await {
            debug!(%error, "it could not be checked whether there are credits again");
        }
    }

    async fn open_if_refilled(&self, refill: &mut Refill) -> Result<(), LedgerError> {
        let account = self.context.ledger.account(0).await?;
        if !matches!(account.gate, Gate::Closed { no_credits: true, .. }) {
            refill.last = None;
            return Ok(());
        }
        let Some(reading) = self.read().await else { return Ok(()) };
        let least = account.prices.values().min().copied().unwrap_or_default();
        if refill.may_pay(reading.credits, least) {
            info!(credits = %reading.credits, "the balance covers a submission: one tries the gate now");
            self.context
                .ledger
                .update_account(&AccountUpdate { credits_back: true, ..AccountUpdate::default() })
                .await?;
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notices when an account without credits has some again.
#[derive(Debug, Default)]
struct Refill {
    /// The balance at the last check, while the gate is closed for lack of credits.
    last: Option<Credits>,
}

impl Refill {
    /// Whether a balance of `credits` has risen and covers the lowest price. A key's own limit leaves the balance as it is.
    fn may_pay(&mut self, credits: Credits, least: Credits) -> bool {
        let is_more = self.last.is_none_or(|last| credits > last);
        self.last = Some(credits);
        is_more && credits > Credits::default() && credits >= least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_that_rose_to_a_price_is_worth_a_try_and_one_that_stays_is_not() {
        let mut refill = Refill::default();
        let least = Credits::whole(30);
        let told: Vec<bool> =
            [10, 10, 29, 30, 30, 90, 40, 50, 0].map(|credits| refill.may_pay(Credits::whole(credits), least)).into();
        assert_eq!(told, [false, false, false, true, false, true, false, true, false]);
        assert!(Refill::default().may_pay(Credits::whole(30), least), "it may have risen before the first check");
        assert!(!Refill::default().may_pay(Credits::default(), Credits::default()), "no price is known");
    }
}
