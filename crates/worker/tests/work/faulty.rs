//! A ledger behind a bad line: the real one, with one thing that goes wrong. It counts what is read through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use veobatch_core::{BatchId, JobId, Lane, Schedule, Timestamp, Token};
use veobatch_ledger::{
    Account, AccountUpdate, Admission, BatchSummary, BatchUpdate, Batches, Binding, Claimed, Compaction, Hint,
    HintKind, Info, JobFilter, Known, Lease, Ledger, LedgerError, Lookup, NewJob, Put, SharedLedger, Staged, Stored,
    SubmissionClaim, TemplateAdvance, Unreadable, UpgradeClaim, Version, WorkerStart,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Nothing.
    Nothing,
    /// Nothing that settles a paid call arrives.
    RefuseEvidence,
    /// Every second answer to a claim of a submission is lost.
    LoseGrants,
    /// Every second claim is unknown to the server that is to confirm it.
    ForgetClaims,
    /// The first poll's put panics.
    PanicOnce,
    /// It may have gone back in time, and recovers; the first two looks for a task are lost, the third is the trick.
    Recover,
    /// It was imported from one that is lost, and all looks for a task are lost.
    Copy,
    /// Before a run of the template `daily` is staged, others deal with its instant; and nobody sees that run any more.
    TakeTurn,
    /// Every look at all batches but the first hangs.
    HangLooks,
    /// Jobs cannot be read, as callbacks do, until it comes back.
    AwayForCallbacks,
    /// Nothing does; it is counted how often it is asked whether callbacks were heard.
    CountHeard,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    inner: SharedLedger,
    trick: Trick,
    count: AtomicU64,
    tricked: Notify,
    read: Read,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Lists of batches.
    pub(crate) lists: AtomicU64,
    /// Batches in the longest of them.
    pub(crate) longest: AtomicU64,
    /// Pages of jobs.
    pub(crate) pages: AtomicU64,
}

impl Faulty {
    pub(crate) fn new(inner: SharedLedger, trick: Trick) -> Self {
        Self { inner, trick, count: AtomicU64::new(0), tricked: Notify::new(), read: Read::default() }
    }

    pub(crate) fn read(&self) -> &Read {
        &self.read
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn come_back(&self) {
        self.count.store(1, Ordering::SeqCst);
    }

    /// Resolves once it went wrong.
    pub(crate) async fn tricked(&self) {
        self.tricked.notified().await;
    }

    /// How often it was counted.
    pub(crate) fn asked(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves once it was counted so often.
    pub(crate) async fn until_asked(&self, times: u64) {
        while self.asked() < times {
            self.tricked().await;
        }
    }

    fn lost<T>() -> Result<T, LedgerError> {
        Err(LedgerError::Unavailable("the line is bad".to_owned()))
    }
}

type Answer<T> = Result<T, LedgerError>;

#[async_trait]
impl Ledger for Faulty {
    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Answer<SubmissionClaim> {
        let answer = self.inner.claim_submission(token, only, lease, stall).await?;
        let granted = matches!(answer, SubmissionClaim::Granted(_));
        if self.trick == Trick::LoseGrants && granted && self.count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return Self::lost();
        }
        Ok(answer)
    }

    async fn claim_upgrade(&self, lease: &Lease, token: &Token, stall: Option<Duration>) -> Answer<UpgradeClaim> {
        self.inner.claim_upgrade(lease, token, stall).await
    }

    async fn confirm(&self, token: &Token) -> Answer<Option<u64>> {
        if self.trick == Trick::ForgetClaims && self.count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return Err(LedgerError::LostLease);
        }
        self.inner.confirm(token).await
    }

    async fn put(&self, put: &Put) -> Answer<Version> {
        if self.trick == Trick::RefuseEvidence && put.settle.is_some() {
            self.tricked.notify_one();
            return Self::lost();
        }
        let first = || self.count.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(
            !(self.trick == Trick::PanicOnce && put.settle.is_none() && first()),
            "this put panics, as it was told to"
        );
        self.inner.put(put).await
    }

    async fn info(&self) -> Answer<Info> {
        let mut info = self.inner.info().await?;
        info.identity.is_copy |= self.trick == Trick::Copy;
        Ok(info)
    }

    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
        binding: Binding,
    ) -> Answer<bool> {
        self.inner.bind(api_base, fingerprint, binding).await
    }

    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Answer<Staged> {
        if self.trick == Trick::TakeTurn && self.count.fetch_add(1, Ordering::SeqCst) == 0 {
            let template = BatchId::parse("daily").unwrap();
            let known = self.inner.batches().await?.into_iter().find(|known| known.batch == template).unwrap();
            let Schedule { cron, .. } = Schedule::parse(&known.terms.schedule).unwrap();
            let schedule =
                Schedule { cron: Some(cron.unwrap().since(self.inner.info().await?.now)), ..Schedule::default() };
            let schedule = Some(schedule.to_string());
            self.inner.update_batch(&template, &BatchUpdate { schedule, ..BatchUpdate::default() }).await?;
            self.tricked.notify_one();
        }
        self.inner.stage(admission, batch, jobs).await
    }

    async fn publish(
        &self,
        admission: &Admission,
        batches: &[BatchId],
        advance: Option<&TemplateAdvance>,
    ) -> Answer<()> {
        self.inner.publish(admission, batches, advance).await
    }

    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Answer<()> {
        self.inner.abandon(admission, batches).await
    }

    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Answer<Known> {
        self.inner.compare(batch, jobs).await
    }

    async fn claim(&self, lane: Lane, max: usize, lease: Duration) -> Answer<(Vec<Claimed>, Option<Timestamp>)> {
        self.inner.claim(lane, max, lease).await
    }

    async fn renew(&self, leases: &[Lease], lease: Option<Duration>) -> Answer<Vec<bool>> {
        self.inner.renew(leases, lease).await
    }

    async fn find(&self, lookup: Lookup<'_>) -> Answer<Option<Stored>> {
        let is_away = self.trick == Trick::AwayForCallbacks && self.count.load(Ordering::SeqCst) == 0;
        if is_away && matches!(lookup, Lookup::Name(_)) {
            return Self::lost();
        }
        if self.trick == Trick::Copy && matches!(lookup, Lookup::Task(_)) {
            return Self::lost();
        }
        if self.trick == Trick::Recover && matches!(lookup, Lookup::Task(_)) {
            if self.count.fetch_add(1, Ordering::SeqCst) < 2 {
                return Self::lost();
            }
            self.tricked.notify_one();
        }
        self.inner.find(lookup).await
    }

    async fn page(
        &self,
        batch: &BatchId,
        filter: JobFilter,
        after: Option<&JobId>,
        limit: usize,
    ) -> Answer<Vec<Stored>> {
        self.read.pages.fetch_add(1, Ordering::SeqCst);
        self.inner.page(batch, filter, after, limit).await
    }

    async fn unreadable(&self, max: usize) -> Answer<Vec<Unreadable>> {
        self.inner.unreadable(max).await
    }

    async fn compact(&self, jobs: &[Compaction]) -> Answer<u64> {
        self.inner.compact(jobs).await
    }

    async fn forget(&self, batch: Option<&BatchId>) -> Answer<bool> {
        self.inner.forget(batch).await
    }

    async fn list(&self, which: &Batches) -> Answer<Vec<BatchSummary>> {
        if self.trick == Trick::HangLooks && self.count.fetch_add(1, Ordering::SeqCst) > 0 {
            self.tricked.notify_one();
            std::future::pending::<()>().await;
        }
        let batches = self.inner.list(which).await?;
        self.read.longest.fetch_max(batches.len() as u64, Ordering::SeqCst);
        self.read.lists.fetch_add(1, Ordering::SeqCst);
        Ok(batches)
    }

    async fn update_batch(&self, batch: &BatchId, update: &BatchUpdate) -> Answer<()> {
        self.inner.update_batch(batch, update).await
    }

    async fn account(&self, slot_hours: u32) -> Answer<Account> {
        let recovering_until = (self.trick == Trick::Recover).then(|| Timestamp::from_millis(4_000_000_000_000));
        Ok(Account { recovering_until, ..self.inner.account(slot_hours).await? })
    }

    async fn update_account(&self, update: &AccountUpdate) -> Answer<Account> {
        self.inner.update_account(update).await
    }

    async fn hints(&self, kind: HintKind) -> Answer<Vec<Hint>> {
        if self.trick == Trick::CountHeard && kind == HintKind::Heard {
            self.count.fetch_add(1, Ordering::SeqCst);
            self.tricked.notify_one();
        }
        self.inner.hints(kind).await
    }

    async fn put_hint(&self, kind: HintKind, name: &str, was: Option<&str>, now: Option<&str>) -> Answer<bool> {
        self.inner.put_hint(kind, name, was, now).await
    }

    async fn start_worker(&self) -> Answer<WorkerStart> {
        let mut start = self.inner.start_worker().await?;
        start.guarantee.may_go_back = self.trick == Trick::Recover;
        Ok(start)
    }
}
