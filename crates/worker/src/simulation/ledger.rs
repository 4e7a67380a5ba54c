//! The ledger behind a bad line: the real one, whose calls are lost before or after they took effect, or come late.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use veobatch_core::{BatchId, JobId, Lane, Record, Spec, State, Timestamp, Token};
use veobatch_ledger::{
    Account, AccountUpdate, Admission, BatchSummary, BatchUpdate, Batches, Binding, Blocked, Claimed, Compaction,
    Fence, Hint, HintKind, Info, JobFilter, JobRef, Known, Lease, Ledger, LedgerError, Lookup, NewJob, Put,
    SharedLedger, Staged, Stored, SubmissionClaim, TemplateAdvance, Unreadable, UpgradeClaim, Version, WorkerStart,
};

use crate::simulation::state::SimState;
use crate::simulation::state::processes::Owner;

/// How long a call or its answer is on its way at most, in ms.
pub(super) const LONGEST_WAY: u64 = 45_000;

/// How often a grant stops the process that has it, where processes are stopped.
const STALL_CHANCE: f64 = 0.2;

/// The line of one process to the ledger.
#[derive(Debug)]
pub(super) struct LedgerLine {
    pub(super) ledger: SharedLedger,
    pub(super) state: Arc<SimState>,
    pub(super) owner: Owner,
    pub(super) leases: Arc<Leases>,
}

/// Who holds what, by what the ledger answered.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    fences: BTreeMap<JobRef, Fence>,
    /// Puts that took effect: repeating one is allowed whoever holds the job by then.
    taken: BTreeSet<u64>,
}

impl Leases {
    /// Who holds what now.
    pub(super) fn past(&self) -> BTreeMap<JobRef, Fence> {
        self.0.lock().unwrap().fences.clone()
    }

    /// Who held what then holds it again.
    pub(super) fn go_back(&self, past: BTreeMap<JobRef, Fence>) {
        self.0.lock().unwrap().fences = past;
    }

    fn leased(&self, claimed: &Claimed) {
        let Lease { job, fence } = claimed.lease.clone();
        self.0.lock().unwrap().fences.insert(job, fence);
    }

    /// Whether `put`, which was taken, may have been.
    fn allow(&self, put: &Put) -> bool {
        let mut held = self.0.lock().unwrap();
        let again = !held.taken.insert(put.nonce.0);
        again || put.fence.as_ref().is_none_or(|fence| held.fences.get(&put.job) == Some(fence))
    }
}

type Answer<T> = Result<T, LedgerError>;

impl LedgerLine {
    /// Makes `call` over the line.
    async fn through<T: Debug>(&self, name: &str, call: impl Future<Output = Answer<T>> + Send) -> Answer<T> {
        self.way().await?;
        let answer = call.await;
        // Where a result is stored is where it hurts to be killed.
        if name != "claim" && name != "list" {
            self.state.say(|| format!("p{} {name}: {}", self.owner, short(&answer)));
            self.state.matters(self.owner);
        }
        self.way().await?;
        answer
    }

    /// What is answered instead of a grant, after the ledger went back in time; but a grant that is there is repeated.
    async fn recovering(&self, token: &Token, stall: Duration) -> Answer<Option<SubmissionClaim>> {
        let now = self.state.timestamp();
        let wait = stall + Duration::from_secs(10);
        let Some(until) = self.state.recovery.lock().unwrap().begin(now, wait) else { return Ok(None) };
        if self.ledger.owner(Lookup::Token(token)).await?.is_some() {
            return Ok(None);
        }
        Ok(Some(SubmissionClaim::Wait { why: Blocked::Recovery, until: Some(until), now }))
    }

    fn granted(&self, token: &Token, claimed: &Claimed) {
        let mut service = self.state.service.lock().unwrap();
        let job = claimed.stored.key.job.as_str();
        service.granted(job, token, &claimed.stored.record.earlier);
        service.started(claimed.stored.key.batch.as_str(), claimed.stored.now);
        self.state.stalls.granted(job, self.owner, || self.state.faults().stops && self.state.chance(STALL_CHANCE));
        if let Some(broken) = service.broken.clone() {
            drop(service);
            self.state.violated(broken);
        }
    }

    /// There or back: now, late, or never.
    async fn way(&self) -> Answer<()> {
        let faults = self.state.faults();
        if self.state.chance(faults.slow) {
            let longest = if faults.rewinds { 12_000 } else { LONGEST_WAY };
            let wait = self.state.random(|rng| rng.one_of(&[100, 3_000, 12_000, longest]));
            sleep(Duration::from_millis(wait)).await;
        } else if self.state.chance(0.5) {
            tokio::task::yield_now().await;
        }
        let is_out = *self.state.outage.lock().unwrap() > self.state.now();
        if is_out || self.state.chance(faults.ledger / 2.0) {
            return Err(LedgerError::Unavailable("the line is bad".to_owned()));
        }
        Ok(())
    }
}

fn short(answer: &impl Debug) -> String {
    let words = format!("{answer:?}");
    words.chars().take(200).collect()
}

/// Whether a job is put in doubt about an attempt for which it was submitted again already.
fn is_doubted_again(put: &Put) -> bool {
    let record = Record::load(Some(&put.body), None, &Spec::default()).unwrap();
    matches!(&record.state, State::InDoubt { attempt, .. } if record.earlier.contains(&attempt.token))
}

/// Methods that only go through the line.
macro_rules! through {
    ($(async fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Ledger for LedgerLine {
            $(async fn $name(&self $(, $arg: $type)*) -> Answer<$answer> {
                self.through(stringify!($name), self.ledger.$name($($arg),*)).await
            })+

            async fn bind(
                &self,
                api_base: &str,
                fingerprint: &(dyn for<'a> Fn(&'a [u8]) -> String + Send + Sync),
                binding: Binding,
            ) -> Answer<bool> {
                self.ledger.bind(api_base, fingerprint, binding).await
            }

            async fn info(&self) -> Answer<Info> {
                self.ledger.info().await
            }

            async fn find(&self, lookup: Lookup<'_>) -> Answer<Option<Stored>> {
                self.through("find", self.ledger.find(lookup)).await
            }

            async fn put_hint(
                &self,
                kind: HintKind,
                name: &str,
                was: Option<&str>,
                now: Option<&str>,
            ) -> Answer<bool> {
                self.through("put_hint", self.ledger.put_hint(kind, name, was, now)).await
            }

            async fn claim_submission(
                &self,
                token: &Token,
                only: Option<&[BatchId]>,
                lease: Duration,
                stall: Duration,
            ) -> Answer<SubmissionClaim> {
                let claim = async {
                    if let Some(wait) = self.recovering(token, stall).await? {
                        return Ok(wait);
                    }
                    let claim = self.ledger.claim_submission(token, only, lease, stall).await;
                    if let Ok(SubmissionClaim::Granted(claimed)) = &claim {
                        self.leases.leased(claimed);
                        self.granted(token, claimed);
                    }
                    claim
                };
                self.through("claim_submission", claim).await
            }

            async fn claim(
                &self,
                lane: Lane,
                max: usize,
                lease: Duration,
            ) -> Answer<(Vec<Claimed>, Option<Timestamp>)> {
                let claim = async {
                    let claims = self.ledger.claim(lane, max, lease).await?;
                    claims.0.iter().for_each(|claimed| self.leases.leased(claimed));
                    Ok(claims)
                };
                self.through("claim", claim).await
            }

            async fn account(&self, slot_hours: u32) -> Answer<Account> {
                let account = async {
                    let recovering_until = self.state.recovery.lock().unwrap().until(self.state.timestamp());
                    Ok(Account { recovering_until, ..self.ledger.account(slot_hours).await? })
                };
                self.through("account", account).await
            }

            async fn put(&self, put: &Put) -> Answer<Version> {
                if let (Some(task), Some(_)) = (&put.task, &put.settle) {
                    // Who tells the ledger of an answer has it on disk.
                    self.state.service.lock().unwrap().journaled.insert(task.clone());
                }
                let stored = async {
                    let version = self.ledger.put(put).await?;
                    self.state.service.lock().unwrap().stored(&put.body);
                    if !self.leases.allow(put) {
                        self.state.violated(format!("a put without its lease was taken: {put:?}"));
                    }
                    if is_doubted_again(put) {
                        self.state.violated(format!("a doubt that was settled is raised again: {put:?}"));
                    }
                    Ok(version)
                };
                self.through("put", stored).await
            }

            async fn start_worker(&self) -> Answer<WorkerStart> {
                self.ledger.start_worker().await
            }
        }
    };
}

through! {
    async fn stage(&self, admission: &Admission, batch: &BatchId, jobs: &[NewJob]) -> Staged;
    async fn publish(&self, admission: &Admission, batches: &[BatchId], advance: Option<&TemplateAdvance>) -> ();
    async fn abandon(&self, admission: &Admission, batches: &[BatchId]) -> ();
    async fn compare(&self, batch: &BatchId, jobs: &[NewJob]) -> Known;
    async fn claim_upgrade(&self, lease: &Lease, token: &Token, stall: Option<Duration>) -> UpgradeClaim;
    async fn confirm(&self, token: &Token) -> Option<u64>;
    async fn renew(&self, leases: &[Lease], lease: Option<Duration>) -> Vec<bool>;
    async fn page(&self, batch: &BatchId, filter: JobFilter, after: Option<&JobId>, limit: usize) -> Vec<Stored>;
    async fn unreadable(&self, max: usize) -> Vec<Unreadable>;
    async fn compact(&self, jobs: &[Compaction]) -> u64;
    async fn forget(&self, batch: Option<&BatchId>) -> bool;
    async fn list(&self, which: &Batches) -> Vec<BatchSummary>;
    async fn update_batch(&self, batch: &BatchId, update: &BatchUpdate) -> ();
    async fn update_account(&self, update: &AccountUpdate) -> Account;
    async fn hints(&self, kind: HintKind) -> Vec<Hint>;
}
