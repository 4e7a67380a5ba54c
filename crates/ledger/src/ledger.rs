//! The contract that both ledgers keep.

pub(crate) mod account;
pub(crate) mod batch;
pub(crate) mod error;
pub(crate) mod grant;
pub(crate) mod hints;
pub(crate) mod identity;
pub(crate) mod info;
pub(crate) mod job;
pub(crate) mod slots;
pub(crate) mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use veobatch_core::{BatchId, JobId, JobKey, Lane, Timestamp, Token};

use self::account::{Account, AccountUpdate};
use self::batch::{BatchSummary, BatchUpdate, Batches, TemplateAdvance};
use self::error::LedgerError;
use self::grant::UpgradeClaim;
use self::hints::{Hint, HintKind};
use self::info::{Binding, Info, WorkerStart};
use self::job::{
    Admission, Claimed, Compaction, JobFilter, Known, Lease, Lookup, NewJob, Put, Staged, Stored, SubmissionClaim,
    Version,
};
use self::unreadable::Unreadable;

/// The durable record of every job, which is also the queue.
///
/// Every method is one atomic step, safe to call from any number of tasks and (on Redis) machines. What is said below
/// is true *and durable* once it returns `Ok`. After [`LedgerError::Unavailable`] it may or may not have happened: every
/// method may be called again with the same arguments, and then has the effect of one call.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug + 'static {
    /// Returns the ledger's clocks and its identity. A ledger without an id gets one.
    async fn info(&self) -> Result<Info, LedgerError>;

    /// Binds the ledger to its API base and account if it is not bound yet and `binding` is [`Binding::Bind`]; it has an id from
    /// then on. Returns whether it is bound.
    ///
    /// `fingerprint` computes the salted fingerprint of the key from the ledger's salt, so the key itself never comes here.
    ///
    /// # Errors
    /// [`LedgerError::Bound`] if it is bound to another base or key.
    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
        binding: Binding,
    ) -> Result<bool, LedgerError>;

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

    /// Publishes everything that `admission` staged into `batches`, all at once. If the batch is a run of a recurring one, `advance`
    /// moves its template's schedule on in the same step: both happen or neither. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::Dropped`], and nothing was published, if another admission took this one's place, or this one never staged
    /// into one of the batches; or if the template was forgotten, paused or is being cancelled, has no queued job left, or its
    /// schedule is not what `advance` expects. Stage again.
    async fn publish(
        &self,
        admission: &Admission,
        batches: &[BatchId],
        advance: Option<&TemplateAdvance>,
    ) -> Result<(), LedgerError>;

    /// Removes what `admission` staged into `batches` and did not publish, and each batch that has no job then.
    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError>;

    /// Compares `jobs` with the published ones of `batch` as [`Ledger::stage`] does, without storing anything.
    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError>;

    /// Takes the next queued job *and* a submission slot in one step, and sets the intent `token` beside its record.
    ///
    /// The claim **is** the intent: when this returns [`SubmissionClaim::Granted`] the job is `submitting`, counted in
    /// flight, and the follow lane finds it when the lease ends. A job is granted only if its batch is published, not
    /// paused, in its window, and in `only` (if given); its price is known and fits into what is left of the batch's budget and
    /// the day's, where there is one; the gate is open (or half-open, and this is the one that goes through); the
    /// cap has room; the pace's spacing is due; and fewer than N bounds of arrival are younger than W. `stall` is the
    /// submit call's total time limit, the first bound of this one's arrival. A slot is never taken without a job.
    ///
    /// The batch is the one of the highest priority that had the least for its weight. If what is left of its budget is less
    /// than the price of its first job, all of it waits; a job without a price, where there is a budget, is tried again
    /// after ten minutes and lets the others go. What is set aside for a job is in its facets from now on.
    ///
    /// If several things are in the way, the first of recovery, gate, cap, slot and work is returned; if every batch with work is
    /// blocked, budget or window. A ledger whose server may have gone back in time (restarted, or promoted in place of another)
    /// grants nothing for `stall` and ten seconds: by then every call that was granted before has ended, and workers have told
    /// what their journals know.
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

    /// Grants one upgrade call for the job that is held by `lease`: it is `upscaling`, or `downloading` what an upgrade made.
    ///
    /// With `stall` the call counts in the account's pace as a submission does: it takes a slot, but no job and no place under
    /// the cap. Recovery, gate, spacing and the bounds of arrival are checked as in [`Ledger::claim_submission`], and `stall` is
    /// the first bound of its own arrival; [`Put::settle`] says what became of it. If there is no slot yet, the answer is when
    /// the next one is that no other upgrade waits for. Until a second after that, no submission takes it: what is paid for goes
    /// first. Without `stall` the call takes no slot and waits for nothing.
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

    /// Returns once the claim of `token` is stored as safely as the ledger can store it: on a disk, and on a replica if there is
    /// one. Nothing must be paid for before. Returns how many submissions the ledger has granted by then, if it counts them
    /// ([`Identity::grants`](crate::Identity::grants)).
    ///
    /// The claim itself is confirmed, in the history of the server that has it: a server that took that one's place in between,
    /// without the claim, does not confirm it.
    ///
    /// # Errors
    /// [`LedgerError::LostLease`] if the ledger knows no open attempt with this token, because it went back in time or
    /// the attempt is over: the call must not be made. [`LedgerError::Unavailable`] if it could not be made safe in a few
    /// seconds.
    async fn confirm(&self, token: &Token) -> Result<Option<u64>, LedgerError>;

    /// Leases up to `max` (at most [`CLAIM_MAX`]) due jobs of `lane` (follow or save), earliest due first.
    ///
    /// Nobody else gets them until the lease ends; then they are due again by themselves. A lease whose time is over is still held
    /// (by [`Ledger::put`] and [`Ledger::renew`]) until somebody else claims the job. A job in any state may be due, also a settled
    /// one. One that this program cannot read is neither leased nor waited for. `spec` is filled in for the save lane, and in the
    /// follow lane for jobs without a body.
    ///
    /// The second value is when the next job of the lane is due, if one is waiting; a leased one counts at the end of its lease.
    /// A claim of 0 jobs returns only that. In the follow lane no more jobs are leased than the account's poll rate allows
    /// ([`AccountUpdate::poll_rate`]); then the second value is when more may be.
    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError>;

    /// Replaces a job's body and facets, if its version is still `put.version` and, for a lease holder, its fence
    /// still matches. Takes the old facets out of every index and counter and puts the new ones in; ends the holder's lease;
    /// clears the intent unless the state stays `submitting`; settles the account if `put.settle` is given; stores
    /// `put.spec` if it is given and the job has a spec.
    ///
    /// A put without a fence on a leased job leaves the lease alone (the holder will get [`LedgerError::Changed`]),
    /// unless the job is no longer due in any lane, or due in another one: then the lease ends, and deliveries are
    /// counted anew.
    /// Repeating a put (same nonce) whose answer was lost returns `Ok`, as long as nothing else has changed the job since.
    /// A job that is gone is `Changed`, and so is one that is to be `submitting` and is not: only a claim makes it so.
    /// Checked in this order: nonce, fence, version, task.
    ///
    /// # Errors
    /// [`LedgerError::Changed`]: another version; reload, reapply, put. [`LedgerError::LostLease`]: the fence is not the
    /// current one. [`LedgerError::TaskTaken`]: `put.task` belongs to another job. Nothing was changed.
    async fn put(&self, put: &Put) -> Result<Version, LedgerError>;

    /// Extends leases: they end `lease` from now. Without a duration it gives the jobs back, due now.
    ///
    /// Returns `false` for each lease that is no longer held, and for one to be given back whose job is `submitting`: those stay
    /// as they are.
    async fn renew(&self, leases: &[Lease], lease: Option<Duration>) -> Result<Vec<bool>, LedgerError>;

    /// Finds a published job by its name, by the token of its open attempt (submitting or in doubt), or by a task of its own.
    ///
    /// # Errors
    /// [`LedgerError::Unreadable`] if it is there, and this program cannot read it.
    async fn find(&self, lookup: Lookup<'_>) -> Result<Option<Stored>, LedgerError>;

    /// Returns the published jobs of a batch that pass `filter`, in file order, `after` a job: at most `limit`, at most 1000. None
    /// if the batch or the job is unknown. Jobs that this program cannot read are left out, and noted for
    /// [`Ledger::unreadable`].
    async fn page(
        &self,
        batch: &BatchId,
        filter: JobFilter,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError>;

    /// Returns up to `max` of the published jobs that this program cannot read, of those that a claim or a page met; the one met
    /// first comes first. Claims of any lane pass over them (see [`Unreadable`]). Each is read again here, and is listed no more
    /// once it can be read.
    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError>;

    /// Stores the compact bodies of done jobs and drops their specs. A digest of each content is kept, so that [`Ledger::stage`]
    /// and [`Ledger::compare`] tell the same content from another as before. Returns how many jobs this call made compact.
    ///
    /// A job is left as it is if it has another version, is not done, is due in a lane, or is compact already. The
    /// version stays: a put that was prepared before is stored, and makes the job whole again but for its spec.
    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError>;

    /// With a batch: forgets it with all its jobs and their ids, at once and for everybody; the same file is new from now on.
    /// Without: removes a bounded part of what forgotten batches left behind. Returns whether there may be more to remove.
    ///
    /// # Errors
    /// [`LedgerError::Unsettled`] unless every job is done, failed or cancelled and none is due in a lane all the same (a
    /// leased one is); [`LedgerError::Busy`] while jobs are being admitted to it; [`LedgerError::UnknownBatch`], also if it was
    /// forgotten before. Nothing was changed.
    async fn forget(&self, batch: Option<&BatchId>) -> Result<bool, LedgerError>;

    /// Lists published batches, oldest first, with their counts by state.
    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError>;

    /// Changes a batch's flag (only of a published batch), its settings, or both; effective at once for every worker.
    ///
    /// # Errors
    /// [`LedgerError::UnknownBatch`].
    async fn update_batch(&self, batch: &BatchId, update: &BatchUpdate) -> Result<(), LedgerError>;

    /// Returns the account: slots, gate, cap, in flight, budget, prices. With `slot_hours` also what became of the slots of the last
    /// so many hours by the clock, the present one included (at most [`SLOT_HOURS`](crate::SLOT_HOURS)); 0 costs nothing.
    async fn account(&self, slot_hours: u32) -> Result<Account, LedgerError>;

    /// Changes the account for all workers. Returns it as it was before.
    async fn update_account(&self, update: &AccountUpdate) -> Result<Account, LedgerError>;

    /// Returns the hints of a kind, by name.
    async fn hints(&self, kind: HintKind) -> Result<Vec<Hint>, LedgerError>;

    /// Replaces a hint if it still says `was` (`None`: there is none) by `now` (`None`: removes it). Returns `false`, and changes
    /// nothing, if it says something else.
    async fn put_hint(
        &self,
        kind: HintKind,
        name: &str,
        was: Option<&str>,
        now: Option<&str>,
    ) -> Result<bool, LedgerError>;

    /// Returns what a worker starts with: the lock of the one working process, if the ledger allows only one (`SQLite`); what the
    /// ledger can promise about durability; and the signal that something in this process became due.
    ///
    /// # Errors
    /// [`LedgerError::WorkerPresent`] if another process has the lock.
    async fn start_worker(&self) -> Result<WorkerStart, LedgerError>;
}

impl dyn Ledger + '_ {
    /// Every published batch. For what is done once: in years they become many.
    ///
    /// # Errors
    /// As [`Ledger::list`].
    pub async fn batches(&self) -> Result<Vec<BatchSummary>, LedgerError> {
        self.list(&Batches::All { after: None, limit: usize::MAX }).await
    }

    /// Whose a token or a task is; known also where the job cannot be read.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub async fn owner(&self, lookup: Lookup<'_>) -> Result<Option<JobKey>, LedgerError> {
        match self.find(lookup).await {
            Ok(found) => Ok(found.map(|stored| stored.key)),
            Err(LedgerError::Unreadable { key, .. }) => Ok(Some(key)),
            Err(error) => Err(error),
        }
    }
}

/// A ledger behind a pointer: nothing above it knows which one it is.
pub type SharedLedger = Arc<dyn Ledger>;

/// Most jobs in one [`Ledger::stage`] call: 5 ms of a Redis server's time. With 200 a server that syncs
/// every call to its disk takes a fifth longer for a whole file.
pub const STAGE_CHUNK: usize = 400;

/// Most jobs in one [`Ledger::claim`]; more at once only make the others wait.
pub const CLAIM_MAX: usize = 64;

/// An admission that staged nothing for so long is taken for dead.
pub const STAGING_TIMEOUT: Duration = Duration::from_secs(60);
