//! The ledger on one Redis server (6.2 and newer), or on one node of a cluster, for any number of machines.
//!
//! Every change is one Lua script (`redis/lua/*`): a job's record, its place in the queue, the counters and the account
//! change together or not at all. The clock is the server's. All keys begin with one hash tag, the queue's name:
//! `{veobatch}:` if none is given. A queue is a ledger of its own, with an account of its own; in a cluster its keys are on
//! one node, and other queues may be on others. A batch is known by its number `n`, a job by `n:seq`.
//!
//! | key | what | written by | dies |
//! |---|---|---|---|
//! | `meta` | format, salt, binding, id, stamp of the last change, where the jobs were moved, the import that it is the target of, virtual time by priority, whether somebody set prices, number of batches, the server it is on and until when it recovers | open, bind, grant, stage, put | never |
//! | `migration` | who brings the ledger to a new format | open | when that is done, or after ten seconds |
//! | `l`, `log`, `batches` | nothing: keys of format 1 under another type, so that a program of that time stops at them | open | never |
//! | `confirmed` | when claims were last confirmed; written only to have something to wait for | confirmation | never |
//! | `names` | folded name → `n` | stage | forget; abandon, of an empty one |
//! | `b<n>` | name, created, admitted, published, admission and since when, paused (and why), cancelling, weight, priority, schedule, from, until, budget, credits, `c:<state>` counts, `beside`: how many are over and due all the same, virtual time when not in `run` | all | with its name |
//! | `b<n>:j` | seq → id, price class, line break, content; then, if the file says how to work at it, a line break and that | stage; put of what a file says anew | compact |
//! | `b<n>:i` | folded id → seq | stage | clear: only a person forgets ids |
//! | `b<n>:s` | seq → header, line break, id, line break, body; none: a fresh job, or a compact one | grant, put | compact |
//! | `b<n>:c<seq/32>` | compact jobs: id, digest of id, price class and content, version, body; 32 packed in one value | compact | clear |
//! | `b<n>:u` | bitmap by seq: done and not compact | put, compact | clear |
//! | `b<n>:m:<state>` | bitmap by seq, for pages | stage, grant, put | clear |
//! | `b<n>:q` | bitmap by seq: ready, of priority 0 | stage, put, grant | clear |
//! | `b<n>:r` | ready ones of other priorities, by priority and seq | stage, put, grant | when granted |
//! | `b<n>:z` | folded ids of what is staged, to drop it | stage | publish |
//! | `dead:<admission>:<batch>` | an admission that was dropped and must be told | stage, forget | when it was told, publish, or a week |
//! | `run` | batches with ready jobs, by priority and virtual time | publish, put, grant, `update_batch` | when empty, paused, asleep or short |
//! | `live` | published batches that are not at rest | publish, `update_batch`, put | forget |
//! | `rest` | those that are, by since when | publish, `update_batch`, put | forget |
//! | `whole` | batches with done jobs that are not compact, by when the last one was done | put | compact, forget |
//! | `asleep` | those outside of their window: by when it opens; or it is over for good | as `run` | as it begins |
//! | `short` | those whose budget is used up | grant | put of a refund, `update_batch` |
//! | `unpriced` | queued jobs without a price, or unreadable, by when they are tried again | grant, account | grant |
//! | `unreadable` | job → since when a program could not read it, and why | claims, pages | put, or listed and read |
//! | `price` | class → expected price | account | never |
//! | `d:submit`, `d:follow`, `d:save` | jobs by due time; leased ones by their lease's end | put, grant, claim, leases | when they leave the lane |
//! | `leases` | job → fence, deliveries, lane | grant, claim | put |
//! | `f` | jobs in flight → until when they count | grant, put | put |
//! | `i` | token → job, while submitting or in doubt | grant | put |
//! | `t` | digest of a task → its job | put | clear |
//! | `gone` | numbers of forgotten batches whose remains are still to be removed | forget | clear |
//! | `arrivals` | token → bound of its arrival | grant, upgrade, lowered by put | when older than W |
//! | `heard`, `seen`, `notes` | hints, by name: when it was put, and the text. Of the latest callback, of durations by kind of video, of what workers say of themselves | hint | when it is replaced by nothing |
//! | `polls` | how many follow-ups a second are allowed, and until when leave for them was used up | account, claim | never |
//! | `u<hour>` | what became of the slots of that hour, by reason | grant, put | after three days |
//! | `acct` | pace, cap, next slot, allowance, since when and why no slot is used, until when an upgrade's turn is, gate, daily budget | account, grant, upgrade, put | never |
//!
//! A job that was admitted and not touched costs its entries in `:j` and `:i` and some bits: it needs no queue entry.
//! One that is followed has its id in `:s` too, so that its polls need not read `:j`.
//! A compact one costs its entries in `:c<k>`, `:i` and `t`. A late change of it writes `:s` again, which then counts;
//! its id and the digest stay in `:c<k>`. A forgotten batch is `b<n>` without a name until `clear` is through with it; its
//! `:s` is `:gone` then.

mod account;
mod address;
mod admission;
mod batches;
mod collector;
mod compaction;
mod confirmation;
mod connection;
mod guarantee;
mod hints;
mod identity;
mod leases;
mod ledger;
mod migration;
mod opening;
mod put;
mod reading;
mod reply;
mod row;
mod scripts;
mod server;
mod submission;
mod transfer;
mod unreadable;
mod upgrade;

use std::time::Duration;

use async_trait::async_trait;
use veobatch_core::{BatchId, JobId, Lane, Timestamp, Token};

pub use self::address::RedisUrl;
pub use self::ledger::RedisLedger;
use crate::{
    Account, AccountUpdate, Admission, BatchSummary, BatchUpdate, Batches, Binding, Claimed, Compaction, Hint,
    HintKind, Info, JobFilter, Known, Lease, Ledger, LedgerError, Lookup, NewJob, Put, Staged, Stored, SubmissionClaim,
    TemplateAdvance, Unreadable, UpgradeClaim, Version, WorkerStart,
};

#[async_trait]
impl Ledger for RedisLedger {
    /// Grants are not counted: a server that went back in time says so by itself, and is told again by itself.
    async fn info(&self) -> Result<Info, LedgerError> {
        identity::info(&self.server).await
    }

    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
        binding: Binding,
    ) -> Result<bool, LedgerError> {
        let salt = identity::salt(&self.server).await?;
        match binding {
            Binding::Check => identity::is_bound(&self.server, api_base, &fingerprint(&salt)).await,
            Binding::Bind => {
                identity::bind(&self.server, api_base, &fingerprint(&salt)).await?;
                identity::id(&self.server).await.map(|_| true)
            }
        }
    }

    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        self.stage_jobs(admission, batch, jobs).await
    }

    async fn publish(
        &self,
        admission: &Admission,
        batches: &[BatchId],
        advance: Option<&TemplateAdvance>,
    ) -> Result<(), LedgerError> {
        self.publish_batches(admission, batches, advance).await?;
        self.wake.wake();
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
        self.put_one(put).await
    }

    async fn renew(&self, leases: &[Lease], lease: Option<Duration>) -> Result<Vec<bool>, LedgerError> {
        let held = self.change_leases(leases, lease).await?;
        if lease.is_none() {
            self.wake.wake();
        }
        Ok(held)
    }

    async fn find(&self, lookup: Lookup<'_>) -> Result<Option<Stored>, LedgerError> {
        let found = match lookup {
            Lookup::Name(key) => self.read_one(&["key", &key.batch.folded(), &key.job.folded()]).await?,
            Lookup::Token(token) => self.read_one(&["token", token.as_str()]).await?,
            Lookup::Task(task) => self.read_one(&["task", task.as_str()]).await?,
        };
        let Some((row, now)) = found else { return Ok(None) };
        Ok(Some(row.stored(now)??))
    }

    async fn page(
        &self,
        batch: &BatchId,
        filter: JobFilter,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        self.read_page(batch, filter, after, limit).await
    }

    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError> {
        self.list_unreadable(max).await
    }

    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError> {
        self.compact_jobs(jobs).await
    }

    async fn forget(&self, batch: Option<&BatchId>) -> Result<bool, LedgerError> {
        match batch {
            Some(batch) => self.forget_batch(batch).await.map(|()| true),
            None => self.clear_some().await,
        }
    }

    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
        self.list_batches(which).await
    }

    async fn update_batch(&self, batch: &BatchId, update: &BatchUpdate) -> Result<(), LedgerError> {
        self.change_batch(batch, update).await?;
        self.wake.wake();
        Ok(())
    }

    async fn account(&self, slot_hours: u32) -> Result<Account, LedgerError> {
        self.account_with(&AccountUpdate::default(), slot_hours).await
    }

    async fn update_account(&self, update: &AccountUpdate) -> Result<Account, LedgerError> {
        let before = self.account_with(update, 0).await?;
        self.wake.wake();
        Ok(before)
    }

    async fn hints(&self, kind: HintKind) -> Result<Vec<Hint>, LedgerError> {
        hints::all(&self.server, kind).await
    }

    async fn put_hint(
        &self,
        kind: HintKind,
        name: &str,
        was: Option<&str>,
        now: Option<&str>,
    ) -> Result<bool, LedgerError> {
        self.replace_hint(kind, name, was, now).await
    }

    /// The signal knows of this process's own changes only: workers ask at least once a second anyway.
    async fn start_worker(&self) -> Result<WorkerStart, LedgerError> {
        let guarantee = guarantee::of(&*self.server.owner_now().await?).await?;
        Ok(WorkerStart { lock: None, guarantee, wake: self.wake.clone() })
    }
}
