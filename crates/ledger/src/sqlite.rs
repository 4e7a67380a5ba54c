//! The embedded ledger: one file, for one machine.
//!
//! Operations go to one writer thread, which runs everything that waits in one transaction, commits, and then answers
//! (`connection`); reads have a connection of their own. Commands in other processes work on the same file beside it, but
//! only one process may be the *worker* (`start_worker`). The file says its format; an unknown one is left alone.
//!
//! `schema.sql` says what is in the file.

mod account;
mod account_state;
mod admission;
mod alias;
mod arrivals;
mod batches;
mod clock;
mod compaction;
mod comparison;
mod connection;
mod counters;
mod hints;
mod identity;
mod leases;
mod ledger;
mod marks;
mod migration;
mod next_job;
mod opening;
#[cfg(feature = "simulated")]
mod past;
mod polls;
mod put;
mod reading;
mod rest;
mod row;
mod schema;
mod slots;
mod submission;
mod transaction;
mod transfer;
mod unreadable;
mod upgrade;
mod worker_lock;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use veobatch_core::{BatchId, JobId, Lane, Timestamp, Token};

use self::admission::Swept;
use self::clock::Reading;
use self::comparison::Draft;
use self::transaction::Transaction;
use crate::{
    Account, AccountUpdate, Admission, BatchSummary, BatchUpdate, Batches, Binding, Claimed, Compaction, Guarantee,
    Hint, HintKind, Info, JobFilter, Known, Lease, Ledger, LedgerError, Lookup, NewJob, Put, Staged, Stored,
    SubmissionClaim, TemplateAdvance, Unreadable, UpgradeClaim, Version, WorkerStart,
};

pub use self::clock::TimeSource;
pub(crate) use self::clock::wall_clock;
pub use self::ledger::SqliteLedger;
#[cfg(feature = "simulated")]
pub use self::past::Past;
pub(crate) use self::transfer::Transfer;

#[async_trait]
impl Ledger for SqliteLedger {
    async fn info(&self) -> Result<Info, LedgerError> {
        let identity = self.identity().await?;
        let Reading { now, wall } = self.clock.read();
        Ok(Info { now, calendar: wall, identity })
    }

    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
        binding: Binding,
    ) -> Result<bool, LedgerError> {
        let salt = self.read(identity::salt).await?;
        let (api_base, fingerprint) = (api_base.to_owned(), fingerprint(&salt));
        match binding {
            Binding::Check => {
                let check = move |tx: &Transaction<'_>| {
                    marks::check_usable(tx.sql)?;
                    identity::is_bound(tx, &api_base, &fingerprint)
                };
                self.read(check).await
            }
            Binding::Bind => {
                // Asked of the writer, which refuses for a ledger that was moved.
                self.write(move |tx| identity::bind(tx, &api_base, &fingerprint)).await?;
                self.identity().await.map(|_| true)
            }
        }
    }

    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        let drafts = Arc::new(Draft::of(jobs));
        loop {
            let (admission, batch, drafts) = (admission.0.clone(), batch.clone(), Arc::clone(&drafts));
            if let Swept::All(staged) = self.write(move |tx| admission::stage(tx, &admission, &batch, &drafts)).await? {
                return Ok(staged);
            }
        }
    }

    async fn publish(
        &self,
        admission: &Admission,
        batches: &[BatchId],
        advance: Option<&TemplateAdvance>,
    ) -> Result<(), LedgerError> {
        let (admission, batches, advance) = (admission.0.clone(), folded(batches), advance.cloned());
        self.write(move |tx| admission::publish(tx, &admission, &batches, advance.as_ref())).await
    }

    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        let batches = folded(batches);
        loop {
            let (admission, batches) = (admission.0.clone(), batches.clone());
            if let Swept::All(()) = self.write(move |tx| admission::abandon(tx, &admission, &batches)).await? {
                return Ok(());
            }
        }
    }

    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Known, LedgerError> {
        let (batch, drafts) = (batch.folded(), Draft::of(jobs));
        let folded = batch.clone();
        if self.read(move |tx| comparison::is_unsure(tx, &folded)).await? {
            let (folded, drafts) = (batch.clone(), Draft::of(jobs));
            self.write(move |tx| admission::recognize_in(tx, &folded, &drafts)).await?;
        }
        self.read(move |tx| admission::compare(tx, &batch, &drafts)).await
    }

    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError> {
        let wanted = submission::ClaimRequest { token: token.clone(), only: only.map(folded), lease, stall };
        self.write(move |tx| submission::claim(tx, &wanted)).await
    }

    async fn claim_upgrade(
        &self,
        lease: &Lease,
        token: &Token,
        stall: Option<Duration>,
    ) -> Result<UpgradeClaim, LedgerError> {
        let (lease, token) = (lease.clone(), token.clone());
        self.write(move |tx| upgrade::claim(tx, &lease, &token, stall)).await
    }

    /// Whatever is granted is on the disk already.
    async fn confirm(&self, token: &Token) -> Result<Option<u64>, LedgerError> {
        let token = token.clone();
        self.read(move |tx| reading::token_job(tx, &token)).await?.ok_or(LedgerError::LostLease)?;
        Ok(self.identity().await?.grants)
    }

    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
        self.write(move |tx| leases::claim(tx, lane, max, lease)).await
    }

    async fn put(&self, put: &Put) -> Result<Version, LedgerError> {
        let put = put.clone();
        self.write(move |tx| put::put(tx, &put)).await
    }

    async fn renew(&self, leases: &[Lease], lease: Option<Duration>) -> Result<Vec<bool>, LedgerError> {
        let leases = leases.to_vec();
        match lease {
            Some(lease) => self.write(move |tx| leases::renew(tx, &leases, lease)).await,
            None => self.write(move |tx| leases::release(tx, &leases)).await,
        }
    }

    async fn find(&self, lookup: Lookup<'_>) -> Result<Option<Stored>, LedgerError> {
        match lookup {
            Lookup::Name(key) => {
                let (batch, job) = (key.batch.folded(), key.job.folded());
                self.read(move |tx| reading::read(tx, &batch, &job)).await
            }
            Lookup::Token(token) => {
                let token = token.clone();
                self.read(move |tx| reading::find_token(tx, &token)).await
            }
            Lookup::Task(task) => {
                let task = task.clone();
                self.read(move |tx| reading::find_task(tx, &task)).await
            }
        }
    }

    async fn page(
        &self,
        batch: &BatchId,
        filter: JobFilter,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        let wanted = reading::PageQuery { batch: batch.folded(), filter, after: after.map(JobId::folded), limit };
        let (stored, unreadable) = self.read(move |tx| reading::page(tx, &wanted)).await?;
        if !unreadable.is_empty() {
            unless_moved(self.write(move |tx| unreadable::note(tx, &unreadable)).await)?;
        }
        Ok(stored)
    }

    async fn unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError> {
        let (unreadable, others) = self.read(move |tx| unreadable::list(tx, max)).await?;
        if !others.is_empty() {
            let read = self.write(move |tx| others.iter().try_for_each(|id| unreadable::was_read(tx, *id)));
            unless_moved(read.await)?;
        }
        Ok(unreadable)
    }

    async fn compact(&self, jobs: &[Compaction]) -> Result<u64, LedgerError> {
        let mut compacted = 0;
        for some in jobs.chunks(compaction::CHUNK) {
            let some = some.to_vec();
            compacted += self.write(move |tx| compaction::compact(tx, &some)).await?;
        }
        Ok(compacted)
    }

    async fn forget(&self, batch: Option<&BatchId>) -> Result<bool, LedgerError> {
        if let Some(batch) = batch.cloned() {
            return self.write(move |tx| compaction::forget(tx, &batch)).await.map(|()| true);
        }
        // Workers ask often, and nearly always there is nothing: that takes no turn of the writer.
        Ok(self.read(compaction::is_left).await? && self.write(compaction::clear).await?)
    }

    async fn list(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
        let which = which.clone();
        self.read(move |tx| batches::list(tx, &which)).await
    }

    async fn update_batch(&self, batch: &BatchId, update: &BatchUpdate) -> Result<(), LedgerError> {
        let (batch, update) = (batch.clone(), update.clone());
        self.write(move |tx| batches::update(tx, &batch, &update)).await
    }

    async fn account(&self, slot_hours: u32) -> Result<Account, LedgerError> {
        self.read(move |tx| account::account(tx, slot_hours)).await
    }

    async fn update_account(&self, update: &AccountUpdate) -> Result<Account, LedgerError> {
        let update = update.clone();
        self.write(move |tx| account::update(tx, &update)).await
    }

    async fn hints(&self, kind: HintKind) -> Result<Vec<Hint>, LedgerError> {
        self.read(move |tx| hints::all(tx.sql, kind)).await
    }

    async fn put_hint(
        &self,
        kind: HintKind,
        name: &str,
        was: Option<&str>,
        now: Option<&str>,
    ) -> Result<bool, LedgerError> {
        let (name, was, now) = (name.to_owned(), was.map(ToOwned::to_owned), now.map(ToOwned::to_owned));
        self.write(move |tx| hints::put(tx, kind, &name, was.as_deref(), now.as_deref())).await
    }

    async fn start_worker(&self) -> Result<WorkerStart, LedgerError> {
        let lock = self.path.as_deref().map(worker_lock::take).transpose()?;
        Ok(WorkerStart { lock, guarantee: Guarantee::default(), wake: self.wake.clone() })
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
