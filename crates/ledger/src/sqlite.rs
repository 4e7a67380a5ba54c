//! placeholder
#![expect(unused_variables, clippy::todo, reason = "placeholder")]
use crate::*;
use async_trait::async_trait;
use std::time::Duration;
use veobatch_core::*;
/// placeholder
#[derive(Debug)]
pub struct SqliteLedger;
impl SqliteLedger {
    /// placeholder
    pub async fn open(at: &std::path::Path) -> Result<Self, LedgerError> {
        todo!()
    }
}
#[async_trait]
impl Ledger for SqliteLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        todo!()
    }
    async fn bind(
        &self,
        api_base: &str,
        fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
    ) -> Result<(), LedgerError> {
        todo!()
    }
    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        todo!()
    }
    async fn publish(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        todo!()
    }
    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> Result<(), LedgerError> {
        todo!()
    }
    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Result<Staged, LedgerError> {
        todo!()
    }
    async fn claim_submission(
        &self,
        token: &Token,
        only: Option<&[BatchId]>,
        lease: Duration,
        stall: Duration,
    ) -> Result<SubmissionClaim, LedgerError> {
        todo!()
    }
    async fn claim(
        &self,
        lane: Lane,
        max: usize,
        lease: Duration,
    ) -> Result<(Vec<Claimed>, Option<Timestamp>), LedgerError> {
        todo!()
    }
    async fn put(&self, put: &Put) -> Result<Version, LedgerError> {
        todo!()
    }
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<bool>, LedgerError> {
        todo!()
    }
    async fn release(&self, leases: &[Lease]) -> Result<(), LedgerError> {
        todo!()
    }
    async fn read(&self, key: &JobKey) -> Result<Option<Stored>, LedgerError> {
        todo!()
    }
    async fn page(
        &self,
        batch: &BatchId,
        state: Option<StateName>,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        todo!()
    }
    async fn find_token(&self, token: &Token) -> Result<Option<JobKey>, LedgerError> {
        todo!()
    }
    async fn find_task(&self, task: &TaskId) -> Result<Option<JobKey>, LedgerError> {
        todo!()
    }
    async fn batches(&self) -> Result<Vec<BatchSummary>, LedgerError> {
        todo!()
    }
    async fn flag(&self, batch: &BatchId, flag: BatchFlag) -> Result<(), LedgerError> {
        todo!()
    }
    async fn account(&self) -> Result<Account, LedgerError> {
        todo!()
    }
    async fn configure(&self, settings: &Settings) -> Result<Pace, LedgerError> {
        todo!()
    }
    async fn guarantee(&self) -> Result<Guarantee, LedgerError> {
        todo!()
    }
    async fn take_worker_place(&self) -> Result<Option<WorkerPlace>, LedgerError> {
        todo!()
    }
    async fn nudged(&self) {
        todo!()
    }
}
