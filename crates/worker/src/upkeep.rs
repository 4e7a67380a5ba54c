//! Everything that runs periodically beside the lanes. Each task is supervised on its own (`runtime/supervise.rs`).

pub(crate) mod batches;
pub(crate) mod cancellations;
pub(crate) mod capacity;
pub(crate) mod compaction;
mod completion;
mod daily_budget;
mod in_doubt_policy;
mod journals;
mod pending_strays;
mod recurrence;
mod schedules;
mod tidy;

use std::sync::Arc;
use std::time::Duration;

use veobatch_core::{BatchId, InDoubtPolicy};

use crate::journal::Journal;
use crate::options::Until;
use crate::runtime::context::Context;
use crate::runtime::learning::DurationExchange;
use crate::runtime::supervise::PeriodicTask;
use crate::save::output::Output;
use crate::submit::backpressure::Backpressure;
use crate::upkeep::batches::{Batches, RefreshBatches};
use crate::upkeep::cancellations::Cancellations;
use crate::upkeep::capacity::CapacityCheck;
use crate::upkeep::compaction::Compactor;
use crate::upkeep::completion::Completion;
use crate::upkeep::daily_budget::DailyBudget;
use crate::upkeep::in_doubt_policy::{Doubts, InDoubtPolicyTask};
use crate::upkeep::journals::JournalReplay;
use crate::upkeep::schedules::Schedules;
use crate::upkeep::tidy::OldParts;

/// What the periodic tasks of one worker work on.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) context: Arc<Context>,
    pub(crate) journal: Journal,
    pub(crate) output: Output,
    pub(crate) batches: Arc<Batches>,
    pub(crate) backpressure: Arc<Backpressure>,
    pub(crate) in_doubt: InDoubtPolicy,
    /// Applies the policy to these batches only.
    pub(crate) only: Option<Vec<BatchId>>,
    /// Whether this process receives callbacks.
    pub(crate) hears: bool,
}

impl Upkeep {
    /// The tasks of a worker that runs until `until`, and makes jobs compact at `age`, if given.
    pub(crate) fn tasks(
        &self,
        capacity: CapacityCheck,
        until: &Until,
        age: Option<Duration>,
    ) -> Vec<Box<dyn PeriodicTask>> {
        let context = || Arc::clone(&self.context);
        let batches = || Arc::clone(&self.batches);
        let doubts = || Doubts { context: context(), policy: self.in_doubt, hears: self.hears };
        let exchange =
            DurationExchange { ledger: Arc::clone(&self.context.ledger), learning: Arc::clone(&self.context.learning) };
        let mut tasks: Vec<Box<dyn PeriodicTask>> = vec![
            Box::new(RefreshBatches { context: context(), batches: batches(), is_awaited: *until != Until::Stopped }),
            Box::new(Schedules::new(context(), batches())),
            Box::new(JournalReplay::new(context(), self.journal.clone(), batches())),
            Box::new(DailyBudget::new(context())),
            Box::new(capacity),
            Box::new(exchange),
            Box::new(Cancellations { context: context(), batches: batches() }),
            Box::new(Compactor::new(Arc::clone(&self.context.ledger), batches(), age)),
            Box::new(OldParts::new(self.output.clone())),
        ];
        if self.in_doubt != InDoubtPolicy::Hold {
            tasks.push(Box::new(InDoubtPolicyTask { doubts: doubts(), only: self.only.clone() }));
        }
        if *until != Until::Stopped {
            let is_held = self.backpressure.held().is_some();
            let completion = Completion::new(context(), until.clone(), is_held, doubts(), self.only.clone());
            tasks.push(Box::new(completion));
        }
        tasks
    }
}
