//! The ledger on one Redis server (6.2 and newer), or on one node of a cluster, for any number of machines.
//!
//! Every change is one Lua script (`redis/lua/*`): a job's record, its place in the queue, the sums and the account
//! change together or not at all. The clock is the server's. All keys begin with one hash tag, the queue's name:
//! `{veobatch}:` if none is given. A queue is a ledger of its own, with an account of its own; in a cluster its keys are on
//! one node, and other queues may be on others. A batch is known by its number `n`, a job by `n:seq`.
//!
//! | key | what | written by | dies |
//! |---|---|---|---|
//! | `meta` | format, salt, binding, id, stamp of the last change, where the jobs were moved, the import that it is the target of, virtual time by priority, whether somebody set prices, number of batches, size of `t`, the server it is on and until when it recovers | open, bind, grant, stage, put | never |
//! | `migration` | who brings the ledger to a new format | open | when that is done, or after ten seconds |
//! | `l`, `log`, `batches` | nothing: keys of format 1 under another type, so that a program of that time stops at them | open | never |
//! | `confirmed` | when claims were last confirmed; written only to have something to wait for | confirmation | never |
//! | `names` | folded name → `n` | stage | abandon, of an empty one |
//! | `b<n>` | name, created, admitted, published, admission and since when, paused (and why), cancelling, weight, priority, schedule, from, until, budget, credits, `c:<state>` counts, `beside`: how many are over and due all the same, virtual time when not in `run` | all | with its name |
//! | `b<n>:j` | seq → id, price class, line break, content; then, if the file says how to work at it, a line break and that | stage; put of what a file says anew | compact |
//! | `b<n>:i<k>` | folded id → seq, in small hashes | stage | clear: only a person forgets ids |
//! | `b<n>:s` | seq → header, line break, id, line break, body; none: a fresh job, or a compact one | grant, put | compact |
//! | `b<n>:c<seq/32>` | compact jobs: id, digest of id, price class and content, version, body; 32 packed in one value | compact | clear |
//! | `b<n>:u` | bitmap by seq: done and not compact | put, compact | clear |
//! | `b<n>:m:<state>` | bitmap by seq, for pages | stage, grant, put | clear |
//! | `b<n>:q` | bitmap by seq: ready, of priority 0 | stage, put, grant | never |
//! | `b<n>:r` | ready ones of other priorities, by priority and seq | stage, put, grant | when granted |
//! | `b<n>:z` | folded ids of what is staged, to drop it | stage | publish |
//! | `dead:<admission>:<batch>` | an admission that was dropped and must be told | stage | told, or a week |
//! | `run` | batches with ready jobs, by priority and virtual time | publish, put, grant, flag, arrange | when empty, paused, asleep or short |
//! | `live` | published batches that are not at rest | publish, flag, put | forget |
//! | `rest` | those that are, by since when | publish, flag, put | forget |
//! | `whole` | batches with done jobs that are not compact, by when the last one was done | put | compact, forget |
//! | `asleep` | those whose span has not begun, by when it does; or is over | as `run` | as it begins |
//! | `short` | those whose budget is used up | grant | put of a refund, arrange |
//! | `unpriced` | queued jobs without a price, or unreadable, by when they are looked at again | grant, account | grant |
//! | `unreadable` | job → since when a program could not read it, and why | claims, pages | put, or listed and read |
//! | `price` | class → expected price | account | never |
//! | `d:submit`, `d:follow`, `d:save` | jobs by due time; leased ones by their lease's end | put, grant, claim, leases | when they leave the lane |
//! | `leases` | job → fence, deliveries, lane | grant, claim | put |
//! | `f` | jobs in flight → until when they count | grant, put | put |
//! | `i` | token → job, while submitting or in doubt | grant | put |
//! | `t<k>` | digest of a task → its job, in small hashes | put | clear |
//! | `gone` | numbers of forgotten batches whose remains are still to be removed | forget | clear |
//! | `arrivals` | token → bound of its arrival | grant, upgrade, lowered by put | when older than W |
//! | `heard` | when the latest submission that was called back for was made, and when its callback came | hear | never |
//! | `seen` | kind of video → when it was told of last, and a life table of what was seen | seen | when others are told of |
//! | `polls` | how many follow-ups a second are allowed, and until when leave for them was used up | polls, claim | never |
//! | `u<hour>` | what became of the slots of that hour, by reason | grant, put | after three days |
//! | `notes` | kind → when a worker said so of itself, and what, for people | account | when that is over |
//! | `acct` | pace, cap, next slot, allowance, since when and why no slot is used, until when an upgrade's turn is, gate, daily budget | account, grant, upgrade, put | never |
//!
//! A job that was admitted and not touched costs its entries in `:j` and `:i<k>` and some bits: it needs no queue entry.
//! One that is followed has its id in `:s` too, so that its polls need not read `:j`.
//! A compact one costs its entries in `:c<k>`, `:i<k>` and `t<k>`. A late change of it writes `:s` again, which then counts;
//! its id and the digest stay in `:c<k>`. A forgotten batch is `b<n>` without a name until `clear` is through with it; its
//! `:s` is `:gone` then.

mod account;
mod address;
mod admission;
mod answers;
mod batches;
mod claims;
mod collector;
mod compaction;
mod confirmation;
mod connection;
mod guarantee;
mod heard;
mod migration;
mod pages;
mod polls;
mod scripts;
mod seen;
mod server;
mod shared;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use veobatch_core::{BatchId, Durations, Heard, JobId, JobKey, Lane, StateName, TaskId, Timestamp, Token, VideoKind};

pub use self::address::RedisUrl;
use self::collector::Collector;
use self::confirmation::Confirmation;
use self::pages::Which;
use self::scripts::Scripts;
use self::server::Server;
use crate::{
    Account, Admission, BatchFlag, BatchSummary, BatchUpdate, Batches, Claimed, Compaction, Guarantee, Identity, Known,
    Lease, Ledger, LedgerError, NewJob, Pace, Put, Settings, SlotUse, Staged, Stored, SubmissionClaim, TemplateAdvance,
    Unreadable, UpgradeClaim, Version, WorkerPlace,
};

/// A ledger on a Redis server. Cheap calls, all over one connection that is made anew when it breaks.
#[derive(Debug)]
pub struct RedisLedger {
    server: Arc<Server>,
    scripts: Scripts,
    collector: Collector,
    confirmation: Confirmation,
    nudge: Notify,
}

impl RedisLedger {
    /// The rules of the account as its scripts have them. A test compares them with [`veobatch_core::account`].
    #[doc(hidden)]
    pub fn account_rules() -> String {
        scripts::account_rules()
    }

    /// Connects to the server that has the queue of `url`, and checks its version and the ledger's format. TLS needs rustls'
    /// process-wide provider to be installed.
    pub async fn open(url: &RedisUrl) -> Result<Self, LedgerError> {
        let server = Server::connect(url).await?;
        shared::check_format(&server).await?;
        Ok(Self::on(server))
    }

    fn on(server: Server) -> Self {
        let server = Arc::new(server);
        let confirmation = Confirmation::new(server.clone());
        Self { server, scripts: Scripts::new(), collector: Collector::new(), confirmation, nudge: Notify::new() }
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        shared::now(&self.server).await
    }

    async fn calendar(&self) -> Result<Timestamp, LedgerError> {
        shared::now(&self.server).await
    }

    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<(), LedgerError> {
        let salt = shared::salt(&self.server).await?;
        shared::bind(&self.server, api_base, &fingerprint(&salt)).await?;
        shared::id(&self.server).await.map(drop)
    }

    /// Grants are not counted: a server that went back in time says so by itself, and is told again by itself.
    async fn identity(&self, at_least: u64) -> Result<Identity, LedgerError> {
        if at_least > 0 {
            shared::accept(&self.server).await?;
        }
        let id = shared::id(&self.server).await?;
        Ok(Identity { id, grants: None, is_copy: shared::is_copy(&self.server).await? })
    }

    async fn is_bound(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<bool, LedgerError> {
        let salt = shared::salt(&self.server).await?;
        shared::is_bound(&self.server, api_base, &fingerprint(&salt)).await
    }

    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        self.stage_jobs(admission, batch, jobs).await
    }

    async fn publish(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        self.publish_batches(admission, batches, None).await?;
        self.nudge.notify_waiters();
        Ok(())
    }

    async fn publish_run(
        &self,
        admission: &Admission,
        run: &BatchId,
        advance: &TemplateAdvance,
    ) -> Result<(), LedgerError> {
        self.publish_batches(admission, std::slice::from_ref(run), Some(advance)).await?;
        self.nudge.notify_waiters();
        Ok(())
    }

    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        self.abandon_batches(admission, batches).await
    }

    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError> {
        self.compare_jobs(batch, jobs).await
    }

    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError> {
        self.grant(token, only, lease, stall).await
    }

    async fn claim_upgrade(
        &self,
        lease: &Lease,
        token: &Token,
        stall: Option<Duration>,
    ) -> Result<UpgradeClaim, LedgerError> {
        self.grant_upgrade(lease, token, stall).await
    }

    async fn confirm(&self, token: &Token) -> Result<Option<u64>, LedgerError> {
        self.confirmation.of(token).await?;
        Ok(None)
    }

    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
        self.claim_due(lane, max, lease).await
    }

    async fn put(&self, put: &Put) -> Result<Version, LedgerError> {
        self.collector.put(self, put).await
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<bool>, LedgerError> {
        self.change_leases(leases, Some(lease)).await
    }

    async fn release(&self, leases: &[Lease]) -> Result<(), LedgerError> {
        self.change_leases(leases, None).await?;
        self.nudge.notify_waiters();
        Ok(())
    }

    async fn read(&self, key: &JobKey) -> Result<Option<Stored>, LedgerError> {
        let (batch, job) = (key.batch.folded(), key.job.folded());
        let Some((row, now)) = self.read_one(&["key", &batch, &job]).await? else { return Ok(None) };
        Ok(Some(row.stored(now)??))
    }

    async fn page(
        &self,
        batch: &BatchId,
        state: Option<StateName>,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        self.read_page(batch, state.map_or(Which::All, Which::In), after, limit).await
    }

    async fn whole(&self, batch: &BatchId, after: Option<&JobId>, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        self.read_page(batch, Which::Whole, after, limit).await
    }

    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError> {
        self.list_unreadable(max).await
    }

    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError> {
        self.compact_jobs(jobs).await
    }

    async fn forget(&self, batch: &BatchId) -> Result<(), LedgerError> {
        self.forget_batch(batch).await
    }

    async fn clear(&self) -> Result<bool, LedgerError> {
        self.clear_some().await
    }

    async fn find_token(&self, token: &Token) -> Result<Option<JobKey>, LedgerError> {
        self.read_one(&["token", token.as_str()]).await?.map(|(row, _)| row.key()).transpose()
    }

    async fn find_task(&self, task: &TaskId) -> Result<Option<JobKey>, LedgerError> {
        self.read_one(&["task", task.as_str()]).await?.map(|(row, _)| row.key()).transpose()
    }

    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
        self.list_batches(which).await
    }

    async fn flag(&self, batch: &BatchId, flag: BatchFlag) -> Result<(), LedgerError> {
        self.set_flag(batch, &flag).await?;
        self.nudge.notify_waiters();
        Ok(())
    }

    async fn arrange(&self, batch: &BatchId, arrangement: &BatchUpdate) -> Result<(), LedgerError> {
        self.arrange_batch(batch, arrangement).await?;
        self.nudge.notify_waiters();
        Ok(())
    }

    async fn account(&self) -> Result<Account, LedgerError> {
        self.account_with(&Settings::default()).await
    }

    async fn slots(&self, hours: u32) -> Result<SlotUse, LedgerError> {
        self.slot_use(hours).await
    }

    async fn hear(&self, submitted: Timestamp) -> Result<(), LedgerError> {
        self.remember_heard(submitted).await
    }

    async fn heard(&self) -> Result<Option<Heard>, LedgerError> {
        heard::last(&self.server).await
    }

    async fn observe(&self, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError> {
        self.add_seen(seen).await
    }

    async fn durations(&self) -> Result<Vec<(VideoKind, Durations)>, LedgerError> {
        seen::all(&self.server).await
    }

    async fn configure(&self, settings: &Settings) -> Result<Pace, LedgerError> {
        let before = self.account_with(settings).await?.pace;
        self.nudge.notify_waiters();
        Ok(before)
    }

    async fn limit_polls(&self, per_second: Option<u32>) -> Result<u32, LedgerError> {
        let before = self.set_poll_limit(per_second).await?;
        self.nudge.notify_waiters();
        Ok(before)
    }

    async fn guarantee(&self) -> Result<Guarantee, LedgerError> {
        guarantee::of(&*self.server.owner_now().await?).await
    }

    async fn take_worker_place(&self) -> Result<Option<WorkerPlace>, LedgerError> {
        Ok(None)
    }

    /// Knows of this process's own changes only: workers look at least once a second anyway.
    async fn nudged(&self) {
        self.nudge.notified().await;
    }
}
