//! The embedded ledger: one file, for one machine.
//!
//! Operations go to one writer thread, which runs everything that waits in one transaction, commits, and then answers
//! (`writer`); reads have a connection of their own. Commands in other processes work on the same file beside it, but
//! only one process may be the *worker* (`take_worker_place`). The file says its format; an unknown one is left alone.
//!
//! | table | one row is | written by | dies |
//! |---|---|---|---|
//! | `account` | the account: time, binding, pace, gate, sums over all jobs | every change | with the file |
//! | `upgrade_turn` | until when no submission takes a slot, as an upgrade waits for one | `claim_upgrade` | as the upgrade takes it |
//! | `note` | what a worker said of itself, for people | `configure` | when that is over |
//! | `arrival` | a submission and the upper bound of its arrival | `claim_submission`; lowered by `put` | a minute after it stopped mattering |
//! | `batch` | a batch, its flags, terms and credits, its turn, and the admission that stages into it | `stage`, `publish`, `flag`, claims | `abandon`, if nothing was published; `clear`, once it was forgotten |
//! | `tally` | how many jobs of a batch are in a state | every change of a job | with its batch |
//! | `spec` | what was asked for: the content, and in a second line how to work at it, if the file says so | `stage`; `put` of what a file says anew | `compact`; with its job |
//! | `live`, `rest` | a batch that is not at rest; one that is, and since when | `publish`, `flag`, every change that ends a job or takes it up again | `forget` |
//! | `level` | the turn that the batches of a priority have come to | claims | never |
//! | `slot` | what became of the slots of an hour, by reason | claims, `put` | after three days |
//! | `price` | what submissions of a class are expected to cost | `configure` | never |
//! | `dropped` | an admission that was taken for dead, so that it cannot go on half-way | `stage` of the next one | never: one short row for each producer that died or stalled |
//! | `job` | where a job is, its lease, its body | `stage`, claims, `put`, `compact` | if it was never published: `abandon`, or the next admission; with a forgotten batch: `clear` |
//! | `heard` | the callback of the latest submission that was heard | `hear` | with the file |
//! | `lineage` | the ledger's id, and how many submissions it has granted | `bind`, claims | with the file |
//! | `seen` | a kind of video, when it was told of last, and a life table of what was seen | `observe` | when others are told of |
//! | `polls` | how many follow-ups a second are allowed, and until when leave for them was used up | `limit_polls`, claims | with the file |
//! | `transfer` | how often the ledger was changed and when last, where its jobs were moved, the import that it is the target of | every change; imports | with the file |
//! | `unreadable` | a job that a program could not read, since when, and why | claims, pages | when a program that can read it stores or lists it |
//! | `task` | a task id (or its digest, if it was imported) and the job it belongs to | `put`, imports | with a forgotten batch: `clear` |
//!
//! `job.id` is the batch's number and the sequence in it (32 bits each), so a batch is a range in file order. `rank`
//! orders the queued ones (in the index `job_ready` as long as they wait for no time); `due` in `lane` is when a job is
//! looked at next, and for a leased one when its lease ends; `flight` is until when it counts towards the cap; `token`,
//! `at` and `writer` (the fence of the claim that made it) are the intent. A queued job has none of these but its rank.
//! A finished job that is `compact` has a short body, and the `digest` of its content instead of the spec; a late change makes
//! it whole again, but for its spec. A batch that was `forgotten` has a name that no file can have, until it is cleared
//! away; the column says how far the table `task` was looked through for it.

mod account;
mod admission;
mod alias;
mod batch;
mod clock;
mod compaction;
mod heard;
mod lease;
mod lineage;
mod migration;
#[cfg(feature = "simulated")]
mod past;
mod place;
mod polls;
mod put;
mod reading;
mod rest;
mod row;
mod schema;
mod seen;
mod settings;
mod slots;
mod submission;
mod sums;
mod transfer;
mod unreadable;
mod upgrade;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use veobatch_core::{BatchId, Durations, Heard, JobId, JobKey, Lane, StateName, TaskId, Timestamp, Token, VideoKind};

use self::admission::{Draft, Swept};
use self::clock::Clock;
use self::reading::Which;
use self::writer::{Desk, Step};
use crate::{
    Account, Admission, BatchFlag, BatchSummary, BatchUpdate, Batches, Claimed, Compaction, Guarantee, Identity, Known,
    Lease, Ledger, LedgerError, NewJob, Pace, Put, Settings, SlotUse, Staged, Stored, SubmissionClaim, TemplateAdvance,
    Unreadable, UpgradeClaim, Version, WorkerPlace,
};

pub use self::clock::TimeSource;
pub(crate) use self::clock::wall_clock;
#[cfg(feature = "simulated")]
pub use self::past::Past;
pub(crate) use self::transfer::Transfer;

/// A ledger in a `SQLite` file.
#[derive(Debug)]
pub struct SqliteLedger {
    /// Absent in memory, where only the writer's connection sees anything.
    reader: Option<Desk>,
    writer: Desk,
    clock: Arc<Clock>,
    nudged: Arc<Notify>,
    path: Option<PathBuf>,
}

impl SqliteLedger {
    /// Opens the file, makes it if it is not there, and checks its format.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, clock::wall_clock()).await
    }

    /// As [`SqliteLedger::open`], with time from `source`.
    pub async fn open_with(path: &Path, source: TimeSource) -> Result<Self, LedgerError> {
        let at = path.to_owned();
        let (writer, reader) = tokio::task::spawn_blocking(move || {
            let writer = schema::open(&at)?;
            transfer::check_begun(&writer)?;
            Ok::<_, LedgerError>((writer, schema::open_reader(&at)?))
        })
        .await
        .map_err(|error| LedgerError::Unavailable(error.to_string()))??;
        // Known by one name, however it was written: the worker's place is beside it.
        let path = path.canonicalize().map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Self::start(writer, Some(reader), Some(path), source)
    }

    /// A ledger that is gone when it is dropped, for simulations and tests.
    pub fn in_memory(source: TimeSource) -> Result<Self, LedgerError> {
        Self::start(schema::in_memory()?, None, None, source)
    }

    /// As [`SqliteLedger::in_memory`], but each operation runs in its caller, in a transaction of its own: no thread but
    /// the caller's has a part in what happens when. For simulations.
    pub fn in_caller(source: TimeSource) -> Result<Self, LedgerError> {
        let (clock, nudged) = (Arc::new(Clock::new(source)), Arc::new(Notify::new()));
        let writer = Desk::here(schema::in_memory()?, Arc::clone(&clock), Arc::clone(&nudged));
        Ok(Self { reader: None, writer, clock, nudged, path: None })
    }

    fn start(
        writer: rusqlite::Connection,
        reader: Option<rusqlite::Connection>,
        path: Option<PathBuf>,
        source: TimeSource,
    ) -> Result<Self, LedgerError> {
        let (clock, nudged) = (Arc::new(Clock::new(source)), Arc::new(Notify::new()));
        clock.at_least(writer.query_row("SELECT ledger_time FROM account", [], |found| row::get_time(found, 0))?);
        let reader = reader.map(|reader| Desk::reading(reader, Arc::clone(&clock))).transpose()?;
        let writer = Desk::writing(writer, Arc::clone(&clock), Arc::clone(&nudged), path.is_none())?;
        Ok(Self { reader, writer, clock, nudged, path })
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Step<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.ask(operation).await
    }

    async fn look<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Step<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.reader.as_ref().unwrap_or(&self.writer).ask(|step| operation(step)).await
    }
}

impl SqliteLedger {
    async fn page_of(
        &self,
        batch: &BatchId,
        which: Which,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        let wanted = reading::Wanted { batch: batch.folded(), which, after: after.map(JobId::folded), limit };
        let (stored, unreadable) = self.look(move |step| reading::page(step, &wanted)).await?;
        if !unreadable.is_empty() {
            unless_moved(self.write(move |step| unreadable::note(step, &unreadable)).await)?;
        }
        Ok(stored)
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        Ok(self.clock.read().now)
    }

    async fn calendar(&self) -> Result<Timestamp, LedgerError> {
        Ok(self.clock.read().wall)
    }

    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<(), LedgerError> {
        let salt = self.look(account::salt).await?;
        let (api_base, fingerprint) = (api_base.to_owned(), fingerprint(&salt));
        // Asked of the writer, which refuses for a ledger that was moved.
        self.write(move |step| account::bind(step, &api_base, &fingerprint)).await?;
        self.identity(0).await.map(drop)
    }

    async fn identity(&self, at_least: u64) -> Result<Identity, LedgerError> {
        match self.look(lineage::known).await? {
            Some(known) if known.grants >= Some(at_least) && (at_least == 0 || !known.is_copy) => Ok(known),
            Some(_) | None => self.write(move |step| lineage::identify(step, at_least)).await,
        }
    }

    async fn is_bound(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<bool, LedgerError> {
        let salt = self.look(account::salt).await?;
        let (api_base, fingerprint) = (api_base.to_owned(), fingerprint(&salt));
        self.look(move |step| {
            transfer::check_usable(step.sql)?;
            account::is_bound(step, &api_base, &fingerprint)
        })
        .await
    }

    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        let drafts = Arc::new(Draft::of(jobs));
        loop {
            let (admission, batch, drafts) = (admission.0.clone(), batch.clone(), Arc::clone(&drafts));
            if let Swept::All(staged) =
                self.write(move |step| admission::stage(step, &admission, &batch, &drafts)).await?
            {
                return Ok(staged);
            }
        }
    }

    async fn publish(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        let (admission, batches) = (admission.0.clone(), folded(batches));
        self.write(move |step| admission::publish(step, &admission, &batches, None)).await
    }

    async fn publish_run(
        &self,
        admission: &Admission,
        run: &BatchId,
        advance: &TemplateAdvance,
    ) -> Result<(), LedgerError> {
        let (admission, runs, advance) = (admission.0.clone(), vec![run.folded()], advance.clone());
        self.write(move |step| admission::publish(step, &admission, &runs, Some(&advance))).await
    }

    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        let batches = folded(batches);
        loop {
            let (admission, batches) = (admission.0.clone(), batches.clone());
            if let Swept::All(()) = self.write(move |step| admission::abandon(step, &admission, &batches)).await? {
                return Ok(());
            }
        }
    }

    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError> {
        let (batch, drafts) = (batch.folded(), Draft::of(jobs));
        let folded = batch.clone();
        if self.look(move |step| admission::is_unsure(step, &folded)).await? {
            let (folded, drafts) = (batch.clone(), Draft::of(jobs));
            self.write(move |step| admission::recognize_in(step, &folded, &drafts)).await?;
        }
        self.look(move |step| admission::compare(step, &batch, &drafts)).await
    }

    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError> {
        let wanted = submission::Wanted { token: token.clone(), only: only.map(folded), lease, stall };
        self.write(move |step| submission::claim(step, &wanted)).await
    }

    async fn claim_upgrade(
        &self,
        lease: &Lease,
        token: &Token,
        stall: Option<Duration>,
    ) -> Result<UpgradeClaim, LedgerError> {
        let (lease, token) = (lease.clone(), token.clone());
        self.write(move |step| upgrade::claim(step, &lease, &token, stall)).await
    }

    /// Whatever is granted is on the disk already.
    async fn confirm(&self, token: &Token) -> Result<Option<u64>, LedgerError> {
        self.find_token(token).await?.ok_or(LedgerError::LostLease)?;
        Ok(self.identity(0).await?.grants)
    }

    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
        self.write(move |step| lease::claim(step, lane, max, lease)).await
    }

    async fn put(&self, put: &Put) -> Result<Version, LedgerError> {
        let put = put.clone();
        self.write(move |step| put::put(step, &put)).await
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<bool>, LedgerError> {
        let leases = leases.to_vec();
        self.write(move |step| lease::renew(step, &leases, lease)).await
    }

    async fn release(&self, leases: &[Lease]) -> Result<(), LedgerError> {
        let leases = leases.to_vec();
        self.write(move |step| lease::release(step, &leases)).await
    }

    async fn read(&self, key: &JobKey) -> Result<Option<Stored>, LedgerError> {
        let (batch, job) = (key.batch.folded(), key.job.folded());
        self.look(move |step| reading::read(step, &batch, &job)).await
    }

    async fn page(
        &self,
        batch: &BatchId,
        state: Option<StateName>,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        self.page_of(batch, state.map_or(Which::All, Which::In), after, limit).await
    }

    async fn whole(&self, batch: &BatchId, after: Option<&JobId>, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        self.page_of(batch, Which::Whole, after, limit).await
    }

    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError> {
        let (unreadable, others) = self.look(move |step| unreadable::list(step, max)).await?;
        if !others.is_empty() {
            let read = self.write(move |step| others.iter().try_for_each(|id| unreadable::was_read(step, *id)));
            unless_moved(read.await)?;
        }
        Ok(unreadable)
    }

    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError> {
        let mut compacted = 0;
        for some in jobs.chunks(compaction::CHUNK) {
            let some = some.to_vec();
            compacted += self.write(move |step| compaction::compact(step, &some)).await?;
        }
        Ok(compacted)
    }

    async fn forget(&self, batch: &BatchId) -> Result<(), LedgerError> {
        let batch = batch.clone();
        self.write(move |step| compaction::forget(step, &batch)).await
    }

    async fn clear(&self) -> Result<bool, LedgerError> {
        // Workers ask often, and nearly always there is nothing: that takes no turn of the writer.
        Ok(self.look(compaction::is_left).await? && self.write(compaction::clear).await?)
    }

    async fn find_token(&self, token: &Token) -> Result<Option<JobKey>, LedgerError> {
        let token = token.clone();
        self.look(move |step| reading::find_token(step, &token)).await
    }

    async fn find_task(&self, task: &TaskId) -> Result<Option<JobKey>, LedgerError> {
        let task = task.clone();
        self.look(move |step| reading::find_task(step, &task)).await
    }

    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
        let which = which.clone();
        self.look(move |step| rest::list(step, &which)).await
    }

    async fn flag(&self, batch: &BatchId, flag: BatchFlag) -> Result<(), LedgerError> {
        let batch = batch.clone();
        self.write(move |step| batch::flag(step, &batch, &flag)).await
    }

    async fn arrange(&self, batch: &BatchId, arrangement: &BatchUpdate) -> Result<(), LedgerError> {
        let (batch, new) = (batch.clone(), arrangement.clone());
        self.write(move |step| batch::arrange(step, &batch, &new)).await
    }

    async fn account(&self) -> Result<Account, LedgerError> {
        self.look(account::account).await
    }

    async fn slots(&self, hours: u32) -> Result<SlotUse, LedgerError> {
        self.look(move |step| slots::slots(step, hours)).await
    }

    async fn hear(&self, submitted: Timestamp) -> Result<(), LedgerError> {
        self.write(move |step| heard::hear(step, submitted)).await
    }

    async fn heard(&self) -> Result<Option<Heard>, LedgerError> {
        self.look(heard::heard).await
    }

    async fn observe(&self, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError> {
        let seen = seen.to_vec();
        self.write(move |step| seen::add(step, &seen)).await
    }

    async fn durations(&self) -> Result<Vec<(VideoKind, Durations)>, LedgerError> {
        self.look(seen::all).await
    }

    async fn configure(&self, settings: &Settings) -> Result<Pace, LedgerError> {
        let settings = settings.clone();
        self.write(move |step| settings::configure(step, &settings)).await
    }

    async fn limit_polls(&self, per_second: Option<u32>) -> Result<u32, LedgerError> {
        match per_second {
            None => self.look(polls::rate).await,
            Some(rate) => self.write(move |step| polls::limit(step, rate.max(1))).await,
        }
    }

    async fn guarantee(&self) -> Result<Guarantee, LedgerError> {
        Ok(Guarantee::default())
    }

    async fn take_worker_place(&self) -> Result<Option<WorkerPlace>, LedgerError> {
        self.path.as_deref().map(place::take).transpose()
    }

    async fn nudged(&self) {
        self.nudged.notified().await;
    }
}

/// What is only noted needs no note in a ledger that changes no more.
fn unless_moved(noted: Result<(), LedgerError>) -> Result<(), LedgerError> {
    match noted {
        Err(LedgerError::Moved { .. }) => Ok(()),
        result => result,
    }
}

fn folded(batches: &[BatchId]) -> Vec<String> {
    batches.iter().map(BatchId::folded).collect()
}
