//! One step of one claimed job: what the lanes' handlers run. It always comes to an end and never fails: what went wrong is
//! stored in the ledger like any other result.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use tracing::{Instrument as _, error};
use veobatch_core::{Event, Lane};
use veobatch_ledger::{Change, LedgerError, change};

use crate::account::balance::{Balance, Sender};
use crate::follow::Follower;
use crate::runtime::backoff::Backoff;
use crate::runtime::changes::{is_news, log};
use crate::runtime::claim::{Claim, span};
use crate::runtime::context::Context;
use crate::runtime::random;
use crate::runtime::supervise::panic_message;
use crate::save::Saver;
use crate::submit::Submitter;

/// A job claimed this often in a row without a put is parked: whatever ended its steps would end the next one too.
const MAX_DELIVERIES: u32 = 5;

/// Takes the steps of all lanes.
#[derive(Debug)]
pub(crate) struct Stepper {
    pub(crate) context: Arc<Context>,
    pub(crate) balance: Arc<Balance>,
    pub(crate) submitter: Submitter,
    pub(crate) follower: Follower,
    pub(crate) saver: Saver,
}

impl Stepper {
    /// Takes the next step of a claimed job.
    ///
    /// There may be many polls at once, so their future is kept small: the larger steps are boxed.
    pub(crate) async fn step(self: Arc<Self>, mut claim: Claim) {
        let span = span::around(&claim);
        async {
            claim.hold.progressed();
            match (claim.lane, claim.permit.take()) {
                // Panics in here are outcomes of a payment, and are caught where the payment is made.
                (Lane::Submit, Some(permit)) => Box::pin(self.submitter.submit(&claim, permit)).await,
                (Lane::Submit | Lane::Follow | Lane::Save, _) => self.guarded(&claim).await,
            }
        }
        .instrument(span)
        .await;
    }

    async fn guarded(&self, claim: &Claim) {
        let deliveries = claim.claimed.deliveries;
        if deliveries >= MAX_DELIVERIES {
            let why = format!("{} steps in a row ended without a result", deliveries - 1);
            return self.park(claim, why).await;
        }
        let work = async {
            let event = match claim.lane {
                Lane::Save => Box::pin(self.saver.save(claim)).await,
                Lane::Submit | Lane::Follow => self.follower.follow(claim).await,
            };
            match event {
                Some(event) => self.finish(claim, &event).await,
                None => self.context.release(claim).await,
            }
        };
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            self.park(claim, format!("a step panicked: {}", panic_message(panic.as_ref()))).await;
        }
    }

    async fn park(&self, claim: &Claim, why: String) {
        span::for_a_line(claim).in_scope(|| error!(%why, "parked"));
        let parked = Event::Stuck { why, deliveries: claim.claimed.deliveries };
        Box::pin(self.finish(claim, &parked)).await;
    }

    /// Stores the result of a step and ends its lease.
    ///
    /// If that fails the lease expires and the step is repeated: no step that ends here pays.
    async fn finish(&self, claim: &Claim, event: &Event) {
        let Context { ledger, learning, .. } = self.context.as_ref();
        let stored = claim.claimed.stored.clone();
        let (jitter, policy) = (random::jitter(), learning.policy());
        let lease = Some(&claim.claimed.lease);
        let result_of_step = Change { event, lease, settle: claim.settle.get().cloned(), jitter, policy: &policy };
        let mut backoff = StepBackoff { context: &self.context, claim, begun: None };
        let result = change(ledger.as_ref(), stored, &result_of_step, &mut backoff).await;
        self.balance.note_doubt(&claim.claimed.stored.key, &result, Sender::Another);
        if is_news(&result) {
            span::for_a_line(claim).in_scope(|| log(&result));
        } else {
            log(&result);
        }
    }
}

/// The backoff of one step, made at its first outage, since most steps meet none.
#[derive(Debug)]
struct StepBackoff<'a> {
    context: &'a Context,
    claim: &'a Claim,
    begun: Option<Backoff>,
}

#[async_trait]
impl veobatch_ledger::Backoff for StepBackoff<'_> {
    async fn again(&mut self, error: &LedgerError) -> bool {
        let closing = &self.context.shutdown.closing;
        let backoff = self.begun.get_or_insert_with(|| Backoff::until(closing.clone()));
        backoff.again(error).instrument(span::for_a_line(self.claim)).await
    }
}
