//! Jobs brought in, submitted and changed, as fast as the ledger takes them.

use std::time::Duration;

use tokio::task::JoinSet;
use veobatch_core::{BatchId, Event, JobId, Outcome, PollPolicy, Resolution, Spec, TaskId, Token};
use veobatch_ledger::{
    AccountUpdate, Admission, Arrival, Change, Claimed, GateReport, NewJob, NoRetry, Nonce, STAGE_CHUNK, Settle,
    SharedLedger, SubmissionClaim, change,
};

pub(crate) const LEASE: Duration = Duration::from_secs(120);

/// Neither pace nor cap holds anything back.
pub(crate) async fn unbound(ledger: &SharedLedger) {
    let rate = Some((1_000_000, Duration::from_secs(1)));
    ledger
        .update_account(&AccountUpdate { rate, max_in_flight: Some(10_000_000), ..AccountUpdate::default() })
        .await
        .unwrap();
    ledger.update_account(&AccountUpdate { poll_rate: Some(10_000_000), ..AccountUpdate::default() }).await.unwrap();
}

/// Admits `count` jobs with 200 bytes of prompt each.
pub(crate) async fn admit(ledger: &SharedLedger, batch: &BatchId, count: usize, resolution: Resolution) {
    let admission = Admission::random();
    let job = |n: usize| {
        let filler = "a small cat plays in a sunny garden ".repeat(6);
        let prompt = format!("{n:08} {filler}").chars().take(200).collect();
        let id = JobId::parse(&format!("job-{n:08}")).unwrap();
        NewJob { id, spec: Spec { prompt, resolution, ..Spec::default() } }
    };
    for first in (0..count).step_by(STAGE_CHUNK) {
        let jobs: Vec<NewJob> = (first..count.min(first + STAGE_CHUNK)).map(job).collect();
        ledger.stage(&admission, batch, &jobs).await.unwrap();
    }
    ledger.publish(&admission, std::slice::from_ref(batch), None).await.unwrap();
}

/// One claim of a submission, if there is a job.
pub(crate) async fn claim(ledger: &SharedLedger) -> Option<(Token, Claimed)> {
    let token = Token::from_bits((u128::from(Nonce::random().0) << 64) | u128::from(Nonce::random().0));
    loop {
        match ledger.claim_submission(&token, None, LEASE, LEASE).await.unwrap() {
            SubmissionClaim::Granted(claimed) => return Some((token, *claimed)),
            SubmissionClaim::Wait { why: veobatch_ledger::Blocked::Work, .. } => return None,
            SubmissionClaim::Wait { .. } => tokio::task::yield_now().await,
        }
    }
}

/// What a claimed job's paid call came to.
pub(crate) async fn ended(ledger: &SharedLedger, token: Token, claimed: Claimed, outcome: Outcome) {
    let event = Event::Submission { token: token.clone(), outcome };
    let settle = Settle { token, arrival: Arrival::Ago(Duration::ZERO), gate: GateReport::Healthy };
    let policy = PollPolicy { first: Some(Duration::ZERO), ..PollPolicy::default() };
    let lease = Some(&claimed.lease);
    let told = Change { event: &event, lease, settle: Some(settle), jitter: 0.5, policy: &policy };
    change(&**ledger, claimed.stored, &told, &mut NoRetry).await.unwrap();
}

/// Claims everything and does this to each; returns how many there were.
pub(crate) async fn with_all<F, A>(ledger: &SharedLedger, act: F) -> usize
where
    F: Fn(SharedLedger, Token, Claimed) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = ()> + Send,
{
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while let Some((token, claimed)) = claim(&ledger).await {
                act(ledger.clone(), token, claimed).await;
                count += 1;
            }
            count
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Every job accepted: generating, with a task, and due now.
pub(crate) async fn submit_all(ledger: &SharedLedger) -> usize {
    with_all(ledger, |ledger, token, claimed| async move {
        let task = task_of(&claimed);
        ended(&ledger, token, claimed, Outcome::Accepted(task)).await;
    })
    .await
}

pub(crate) fn task_of(claimed: &Claimed) -> TaskId {
    let job = claimed.stored.job;
    TaskId::parse(&format!("{:016x}{:016x}", u64::from(job.batch), u64::from(job.seq))).unwrap()
}
