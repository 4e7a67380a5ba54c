//! One step of one claimed job: what the lanes' handlers run. Always comes to an end, and never says that it failed:
//! what went wrong is told to the ledger like anything else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tracing::{Instrument as _, error};
use veobatch_core::{Event, Lane};

use crate::runtime::claim::Claim;
use crate::runtime::span;
use crate::runtime::worker::Worker;
use crate::{follow, save, submit};

/// A job that is claimed for so often in a row without a put is parked: whatever ended its steps ends the next one too.
const TOO_MANY_DELIVERIES: u32 = 5;

/// Takes the next step of a claimed job.
///
/// Polls are many, so their future is kept small: the larger steps have places of their own.
pub(crate) async fn step(worker: Arc<Worker>, mut claim: Claim) {
    let span = span::around(&claim);
    async {
        claim.hold.alive();
        match (claim.lane, claim.permit.take()) {
            // Its panics are outcomes of a payment, and handled where the payment is.
            (Lane::Submit, Some(permit)) => Box::pin(submit::submit(&worker, &claim, permit)).await,
            (Lane::Submit | Lane::Follow | Lane::Save, _) => guarded(&worker, &claim).await,
        }
    }
    .instrument(span)
    .await;
}

async fn guarded(worker: &Worker, claim: &Claim) {
    let deliveries = claim.claimed.deliveries;
    if deliveries >= TOO_MANY_DELIVERIES {
        let why = format!("{} steps in a row ended without a result", deliveries - 1);
        return park(worker, claim, why).await;
    }
    let work = async {
        match claim.lane {
            Lane::Save => Box::pin(save::save(worker, claim)).await,
            Lane::Submit | Lane::Follow => follow::follow(worker, claim).await,
        }
    };
    if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
        park(worker, claim, format!("a step panicked: {}", panic_words(panic.as_ref()))).await;
    }
}

async fn park(worker: &Worker, claim: &Claim, why: String) {
    span::for_a_line(claim).in_scope(|| error!(%why, "parked"));
    let parked = Event::Stuck { why, deliveries: claim.claimed.deliveries };
    Box::pin(worker.tell(claim, &parked)).await;
}

/// What a panic said.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}
