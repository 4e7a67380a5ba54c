//! The ledger: the only truth about every job, and the only queue.
//!
//! ```text
//!            stage, publish            claim_submission, claim                 put
//! producer ────────────────▶ [ledger] ────────────────────────▶ worker ─────────────────▶ [ledger]
//!                                       leased, with a fence            version and fence
//! ```
//!
//! The ledger is dumb: it stores a body it cannot read and indexes it by its [`veobatch_core::Facets`]. A job's record
//! and its place in the queue change in one atomic step, so there is no second message that could be lost, doubled or
//! left over, and no recovery code: a first delivery, a poll, a retry and the restart after a power cut are all "a job
//! is due".
//!
//! [`change`] is how anyone changes a job: load, `after(state, event)` in core, put; again if somebody was faster.
//! Two implementations keep one contract, [`Ledger`], and one conformance suite holds both to it.

mod account;
mod change;
mod digest;
mod error;
mod grant;
mod identity;
mod job;
mod kinds;
mod migration;
mod open;
mod random;
mod redis;
mod restate;
mod slots;
mod sqlite;
mod transfer;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use veobatch_core::{BatchId, Durations, Heard, JobId, JobKey, Lane, StateName, TaskId, Timestamp, Token, VideoKind};

pub use account::{Account, Arrival, Note, NoteKind, PriceList, Settings, Settle};
pub use change::{Backoff, Change, Changed, NoRetry, change, change_unless};
pub use error::LedgerError;
pub use grant::{Issuer, SubmissionGrant, UpgradeClaim, UpgradeGrant};
pub use identity::{Identity, LedgerId};
pub use job::{
    Admission, BatchFlag, BatchSummary, BatchUpdate, Batches, Claimed, Compaction, Fence, JobRef, Known, Lease, NewJob,
    Nonce, Put, Restatement, Staged, Stored, SubmissionClaim, TemplateAdvance, Version,
};
pub use kinds::KINDS;
pub use migration::content_name;
pub use open::{Guarantee, LedgerUrl, open};
#[cfg(feature = "simulated")]
pub use random::simulated;
pub use redis::{RedisLedger, RedisUrl};
pub use restate::restate;
pub use slots::{SlotUse, Unused};
#[cfg(feature = "simulated")]
pub use sqlite::Past;
pub use sqlite::{SqliteLedger, TimeSource};
pub use transfer::{Checked, Exported, Moving, check, export};
pub use unreadable::Unreadable;
pub use veobatch_core::account::{
    Blocked, Daily, DailyBudget, Day, GATE_MAX, Gate, GateReport, Pace, SLOT_HOURS, TROUBLE_WAIT, TROUBLES,
};

/// The durable record of every job, which is also the queue.
///
/// Every method is one atomic step, safe to call from any number of tasks and (on Redis) machines. What is said below
/// is true *and durable* once it returns `Ok`. After [`LedgerError::Unavailable`] it may or may not have happened: every
/// method may be called again with the same arguments, and then has the effect of one call.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug + 'static {
    /// The ledger's clock, the only one for due times, leases and slots.
    async fn now(&self) -> Result<Timestamp, LedgerError>;

    /// The clock that windows, days and recurrences go by. It is behind [`Ledger::now`] where a `SQLite` file was used with a
    /// wall clock that was ahead: then the ledger's own time runs on from there, and this is what the wall clock says.
    async fn calendar(&self) -> Result<Timestamp, LedgerError>;

    /// Binds the ledger to its API base and account at the first call; afterwards checks them. Gives it an id if it has none:
    /// ledgers that were bound by earlier programs get theirs at their next binding.
    ///
    /// `fingerprint` computes the salted fingerprint of the key from the ledger's salt, so the key itself never comes here.
    ///
    /// # Errors
    /// [`LedgerError::Bound`] if it is bound to another base or key.
    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<(), LedgerError>;

    /// Whether the ledger is bound as [`Ledger::bind`] would bind it; `false` if it is not bound yet. Changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::Bound`] as there.
    async fn is_bound(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<bool, LedgerError>;

    /// Which ledger it is, and how many submissions it has granted, raised to `at_least` if it was told of more: a restored
    /// one has caught up once it was told what became of those that it had forgotten. With any number but 0 a person has agreed
    /// that it goes on, also if it is a copy ([`Identity::is_copy`]).
    async fn identity(&self, at_least: u64) -> Result<Identity, LedgerError>;

    /// Stores new jobs of `batch` (made if it is not there), in order, visible to nobody until [`Ledger::publish`].
    ///
    /// At most [`STAGE_CHUNK`] jobs a call. A job whose id (folded) is known, published or staged by this very admission,
    /// is left as it is: counted in `known` if its content and written id are the same bytes, else named in `conflicts`.
    /// How to work at it is no content.
    /// Only one admission stages into a batch at a time; one that made no progress for [`STAGING_TIMEOUT`] is dropped
    /// by the next, with everything it staged.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] while another admission is staging into this batch. [`LedgerError::Dropped`] if this one
    /// was taken for dead meanwhile: what it staged is gone, begin anew with another [`Admission`].
    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError>;

    /// Shows everything that `admission` staged into `batches`, all at once. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::Dropped`] if another admission took its place meanwhile (or it never staged into one of them):
    /// nothing was shown, stage again.
    async fn publish(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError>;

    /// Publishes `run`, and with it says of its template what `turn` says, in one step: either both are there or neither.
    /// Repeating it changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::Dropped`] as in [`Ledger::publish`], or if the template's schedule is another one by now (somebody
    /// else dealt with that instant, or changed it, or forgot the template), or the template is paused, being cancelled or
    /// has no queued job left: nothing was shown.
    async fn publish_run(
        &self,
        admission: &Admission,
        run: &BatchId,
        advance: &TemplateAdvance,
    ) -> Result<(), LedgerError>;

    /// Drops what `admission` staged into `batches` and did not publish. A batch that is left without jobs is forgotten.
    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError>;

    /// Which of `jobs` are known (published) already, compared as in [`Ledger::stage`], without storing anything.
    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError>;

    /// Takes the next queued job *and* a submission slot in one step, and sets the intent `token` beside its record.
    ///
    /// The claim **is** the intent: when this returns [`SubmissionClaim::Granted`] the job is `submitting`, counted in
    /// flight, and the follow lane finds it when the lease ends. A job is granted only if its batch is published, not
    /// paused, in its span, and in `only` (if given); its price is known and fits into what is left of the batch's budget and
    /// the day's, where there is one; the gate is open (or half-open, and this is the one that goes through); the
    /// cap has room; the pace's spacing is due; and fewer than N bounds of arrival are younger than W. `stall` is the
    /// submit call's total time limit, the first bound of this one's arrival. A slot is never taken without a job.
    ///
    /// The batch is the one of the highest priority that had the least for its weight. If what is left of its budget is less
    /// than the price of its first job, all of it waits; a job without a price, where there is a budget, is looked at again
    /// after ten minutes and lets the others go. What is set aside for a job is in its facets from now on.
    ///
    /// If several things are in the way, the first of recovery, gate, cap, slot, work is told; if every batch with work is
    /// kept from it, budget or window. A ledger whose server may
    /// have gone back in time (started anew, or promoted in the place of another) grants nothing for `stall` and ten
    /// seconds: what was granted before has ended by then, and workers have told what their journals know.
    ///
    /// Called again with a token that was granted and is still submitting, it returns that same grant (same fence;
    /// lease and first bound of arrival anew), so an answer that was lost costs nothing.
    ///
    /// # Errors
    /// [`LedgerError::LostLease`] if the token's job was claimed by somebody else meanwhile, or is in doubt by now, or if
    /// `stall` is over since it was last granted (its slot may be another's): the call must not be made.
    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError>;

    /// Grants one upgrade call of the job that is held by `lease`: it is `upscaling`, or `downloading` what an upgrade made.
    ///
    /// With `stall` the call counts in the account's pace as a submission does: it takes a slot, but no job and no place
    /// under the cap. Recovery, gate, spacing and the bounds of arrival are looked at as in [`Ledger::claim_submission`], and
    /// `stall` is the first bound of its own arrival; what became of it is told with [`Put::settle`]. If there is no slot yet,
    /// it is told when the next one is that no other upgrade waits for (of the next N), and until a second after that none is granted to a
    /// submission, unless the upgrades have come for theirs before: what is paid for goes first. Without `stall` it takes no slot and waits for nothing.
    ///
    /// Called again with a token that was granted, it returns that same grant (first bound of arrival anew).
    ///
    /// # Errors
    /// [`LedgerError::LostLease`] if the lease is no longer held, or the job is in another state.
    async fn claim_upgrade(
        &self,
        lease: &Lease,
        token: &Token,
        stall: Option<Duration>,
    ) -> Result<UpgradeClaim, LedgerError>;

    /// Returns once the claim that `token` was granted is stored as safely as the ledger can: on a disk, and on a replica
    /// if there is one. A call must not be paid for before. Returns how many submissions the ledger has granted by then, if
    /// it counts them ([`Identity::grants`]).
    ///
    /// It is the claim that is confirmed, in the history of the server that has it: one that took that server's place
    /// in between, without the claim, does not confirm it.
    ///
    /// # Errors
    /// [`LedgerError::LostLease`] if the ledger knows no open attempt with this token, because it went back in time or
    /// the attempt is over: the call must not be made. [`LedgerError::Unavailable`] if it could not be made safe in a few
    /// seconds.
    async fn confirm(&self, token: &Token) -> Result<Option<u64>, LedgerError>;

    /// Leases up to `max` (at most [`CLAIM_MAX`]) due jobs of `lane` (follow or save), earliest due first.
    ///
    /// Nobody else is given them until the lease ends; then they are due again by themselves. A lease whose time is over
    /// is still held (by [`Ledger::put`], [`Ledger::renew`], [`Ledger::release`]) until somebody else claims the job.
    /// `spec` is filled in for the save lane, and in the follow lane for jobs that have no body yet. The second value is
    /// when the next job of the lane is due, if one is waiting; a leased one counts at the end of its lease. A claim of 0
    /// jobs only tells that; one that this program cannot read is neither leased nor waited for. A job in any state may be due here, also a settled one. In the follow lane no more are leased than
    /// [`Ledger::limit_polls`] leaves; then the second value is when some more may be.
    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError>;

    /// Replaces a job's body and facets, if its version is still `put.version` and, for a lease holder, its fence
    /// still matches. Takes the old facets out of every index and sum and puts the new ones in; ends the holder's lease;
    /// clears the intent unless the state stays `submitting`; settles the account if `put.settle` is given; stores
    /// `put.spec` if it is given and the job has a spec.
    ///
    /// A put without a fence on a leased job leaves the lease alone (the holder will get [`LedgerError::Changed`]),
    /// unless the job is no longer due in any lane, or due in another one: then the lease ends, and deliveries are
    /// counted anew.
    /// Repeating a put (same nonce) whose answer was lost returns `Ok`, as long as nothing else has changed the job since.
    /// A job that is gone is `Changed`, and so is one that is to be `submitting` and is not: only a claim makes it so.
    /// Looked at in this order: nonce, fence, version, task.
    ///
    /// # Errors
    /// [`LedgerError::Changed`]: another version; reload, reapply, put. [`LedgerError::LostLease`]: the fence is not the
    /// current one. [`LedgerError::TaskTaken`]: `put.task` belongs to another job. Nothing was changed.
    async fn put(&self, put: &Put) -> Result<Version, LedgerError>;

    /// Prolongs leases; `false` for each that is no longer held.
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<bool>, LedgerError>;

    /// Gives leased jobs back, due again now. Those not held, and those in `submitting`, are left as they are.
    async fn release(&self, leases: &[Lease]) -> Result<(), LedgerError>;

    /// One job, by name (folded).
    ///
    /// # Errors
    /// [`LedgerError::Unreadable`] if it is there, and this program cannot read it.
    async fn read(&self, key: &JobKey) -> Result<Option<Stored>, LedgerError>;

    /// The published jobs of a batch in file order, `after` a job, of one state or all. At most `limit`, at most 1000.
    /// None of a batch that is unknown, and none after a job that is unknown. A job that this program cannot read is left
    /// out, and noted for [`Ledger::unreadable`].
    async fn page(
        &self,
        batch: &BatchId,
        state: Option<StateName>,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError>;

    /// The done jobs of a batch that are not compact, in file order, `after` a job; otherwise as [`Ledger::page`].
    /// What is compact already costs next to nothing, however much it is.
    async fn whole(&self, batch: &BatchId, after: Option<&JobId>, limit: usize) -> Result<Vec<Stored>, LedgerError>;

    /// Up to `max` of the published jobs that this program cannot read, of those that a claim or a page met; the one met first
    /// comes first. Claims of any lane pass over them (see [`Unreadable`]); here each is read again, and one that can be read
    /// by now is no longer listed.
    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError>;

    /// Stores the compact bodies of done jobs, and drops their specs; a digest of the content is kept, so that [`Ledger::stage`] and
    /// [`Ledger::compare`] tell the same content from other content as before. Returns how many this call made compact.
    ///
    /// A job is left as it is if it has another version, is not done, is due in a lane, or is compact already. The
    /// version stays: a put that was prepared before is stored, and makes the job whole again but for its spec.
    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError>;

    /// Forgets a batch with all its jobs and their ids, at once and for everybody: the same file is new from now on.
    /// What it leaves behind is removed by [`Ledger::clear`].
    ///
    /// # Errors
    /// [`LedgerError::Unsettled`] unless every job is done, failed or cancelled and none is due in a lane all the same (a
    /// leased one is); [`LedgerError::Busy`] while jobs are being admitted to it; [`LedgerError::UnknownBatch`], also if it was forgotten before. Nothing was changed.
    async fn forget(&self, batch: &BatchId) -> Result<(), LedgerError>;

    /// Removes some of what forgotten batches left behind, a bounded part; `false` once there is nothing left.
    async fn clear(&self) -> Result<bool, LedgerError>;

    /// The job whose open attempt (submitting or in doubt) has this token.
    async fn find_token(&self, token: &Token) -> Result<Option<JobKey>, LedgerError>;

    /// The job that a task belongs to.
    async fn find_task(&self, task: &TaskId) -> Result<Option<JobKey>, LedgerError>;

    /// The published batches that are asked for, oldest first, with their counts by state.
    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError>;

    /// Every published batch. For what is done once: in years they become many.
    async fn batches(&self) -> Result<Vec<BatchSummary>, LedgerError> {
        self.list(&Batches::All { after: None, limit: usize::MAX }).await
    }

    /// Sets a flag of a whole batch, effective at once for every worker.
    ///
    /// # Errors
    /// [`LedgerError::UnknownBatch`].
    async fn flag(&self, batch: &BatchId, flag: BatchFlag) -> Result<(), LedgerError>;

    /// Changes the terms of a batch, published or not, effective at once for every worker.
    ///
    /// # Errors
    /// [`LedgerError::UnknownBatch`].
    async fn arrange(&self, batch: &BatchId, arrangement: &BatchUpdate) -> Result<(), LedgerError>;

    /// The account: slots, gate, cap, in flight, budget, prices.
    async fn account(&self) -> Result<Account, LedgerError>;

    /// What became of the slots of the last `hours` (at most [`SLOT_HOURS`]), by the clock: the present hour is one of them.
    async fn slots(&self, hours: u32) -> Result<SlotUse, LedgerError>;

    /// Remembers that a callback was heard now, for a submission made at `submitted`; that of the latest submission stays.
    async fn hear(&self, submitted: Timestamp) -> Result<(), LedgerError>;

    /// The callback of the latest submission that any machine heard, if one was ever heard.
    async fn heard(&self) -> Result<Option<Heard>, LedgerError>;

    /// Adds what was seen of videos to what all machines have seen, for the [`KINDS`] kinds heard of last.
    ///
    /// The one method that a repetition does twice. It loses nothing but precision, so an answer that was lost is not
    /// asked for again.
    async fn observe(&self, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError>;

    /// What all machines have seen of videos, by kind.
    async fn durations(&self) -> Result<Vec<(VideoKind, Durations)>, LedgerError>;

    /// Changes the pace, the cap, the prices or the daily budget for all, or what a worker says of itself; returns the pace and cap that were in force before.
    async fn configure(&self, settings: &Settings) -> Result<Pace, LedgerError>;

    /// How many jobs of the follow lane may be claimed in a second by all machines together; `per_second` changes it for all.
    /// Returns what was in force before: a twenty-fifth of the cap and at least 10, until somebody told a number.
    async fn limit_polls(&self, per_second: Option<u32>) -> Result<u32, LedgerError>;

    /// What this ledger can promise about durability, and what it cannot, for the start of a worker.
    async fn guarantee(&self) -> Result<Guarantee, LedgerError>;

    /// Takes the place of the one working process, if the ledger allows only one (`SQLite`).
    ///
    /// The value holds the place until it is dropped. `None`: any number of workers may work here.
    ///
    /// # Errors
    /// [`LedgerError::WorkerPresent`] if another process has it.
    async fn take_worker_place(&self) -> Result<Option<WorkerPlace>, LedgerError>;

    /// Resolves when the ledger knows that something in this process became due (a hint; it may never resolve).
    async fn nudged(&self);
}

/// The place of the one working process; held until dropped.
pub type WorkerPlace = Box<dyn std::any::Any + Send + Sync>;

/// A ledger behind a pointer: nothing above it knows which one it is.
pub type SharedLedger = Arc<dyn Ledger>;

/// Most jobs in one [`Ledger::stage`] call: 5 ms of a Redis server's time. With 200 a server that syncs
/// every call to its disk takes a fifth longer for a whole file.
pub const STAGE_CHUNK: usize = 400;

/// Most jobs in one [`Ledger::claim`]; more at once only make the others wait.
pub const CLAIM_MAX: usize = 64;

/// An admission that staged nothing for so long is taken for dead.
pub const STAGING_TIMEOUT: Duration = Duration::from_secs(60);
