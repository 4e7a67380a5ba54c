//! The parts of one worker, put together. Each part holds only what it uses; only `work` and the simulation see all of them.

use std::sync::Arc;

use veobatch_api::FileHost;
use veobatch_core::Lane;

use crate::Client;
use crate::account::access::Access;
use crate::account::balance::Balance;
use crate::account::upgrade::Upgrader;
use crate::callback::Receiver;
use crate::follow::Follower;
use crate::follow::verify_task::TaskVerifier;
use crate::journal::Journal;
use crate::lane::step::Stepper;
use crate::options::Options;
use crate::runtime::context::Context;
use crate::save::Saver;
use crate::save::links::LinkRenewer;
use crate::save::output::Output;
use crate::submit::Submitter;
use crate::submit::backpressure::Backpressure;
use crate::submit::claimer::SubmitRules;
use crate::submit::refusal_streak::RefusalStreaks;
use crate::submit::worker_window::WorkerWindow;
use crate::upkeep::Upkeep;
use crate::upkeep::batches::Batches;
use crate::upkeep::capacity::{CapacityCheck, OutputDisk};

/// One worker.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) context: Arc<Context>,
    pub(crate) stepper: Arc<Stepper>,
    pub(crate) rules: Arc<SubmitRules>,
    pub(crate) upkeep: Upkeep,
    pub(crate) access: Arc<Access>,
    /// Of callbacks, if this process receives them.
    pub(crate) receiver: Option<Arc<Receiver>>,
}

impl Parts {
    /// `held` is the reason why nothing is submitted until a person agrees, if there is one.
    pub(crate) fn new(
        context: Context,
        client: Arc<Client>,
        files: FileHost,
        (output, journal): (Output, Journal),
        options: &Options,
        held: Option<String>,
    ) -> Self {
        let context = Arc::new(context);
        let access = Arc::new(Access::new(Arc::clone(&context), Arc::clone(&client)));
        let balance = Arc::new(Balance::new(Arc::clone(&context), Arc::clone(&client)));
        let callbacks = options.callbacks.as_ref();
        let receiver = callbacks.map(|callbacks| Arc::new(Receiver::new(Arc::clone(&context), callbacks)));
        let streaks = Arc::new(RefusalStreaks::default());
        let window = Arc::new(WorkerWindow::new(options.window.clone()));
        let backpressure = Arc::new(Backpressure::new(held));
        let upgrader =
            Upgrader { context: Arc::clone(&context), client: Arc::clone(&client), access: Arc::clone(&access) };
        let submitter = Submitter {
            context: Arc::clone(&context),
            client: Arc::clone(&client),
            journal: journal.clone(),
            receiver: receiver.clone(),
            balance: Arc::clone(&balance),
            access: Arc::clone(&access),
            streaks: Arc::clone(&streaks),
        };
        let verifier = TaskVerifier {
            context: Arc::clone(&context),
            client: Arc::clone(&client),
            access: Arc::clone(&access),
            receiver: receiver.clone(),
        };
        let follower = Follower {
            context: Arc::clone(&context),
            client: Arc::clone(&client),
            files: files.clone(),
            access: Arc::clone(&access),
            upgrader: upgrader.clone(),
            verifier,
        };
        let saver = Saver {
            context: Arc::clone(&context),
            files,
            output: output.clone(),
            downloads: options.downloads,
            links: LinkRenewer { client, access: Arc::clone(&access), upgrader },
        };
        let rules = SubmitRules {
            backpressure: Arc::clone(&backpressure),
            access: Arc::clone(&access),
            window: Arc::clone(&window),
            only: options.only.clone(),
            asks_for_callbacks: receiver.is_some(),
        };
        let upkeep = Upkeep {
            context: Arc::clone(&context),
            journal,
            output,
            batches: Arc::new(Batches::new(streaks, window)),
            backpressure,
            in_doubt: options.in_doubt,
            only: options.only.clone(),
            hears: receiver.is_some(),
        };
        let stepper = Stepper { context: Arc::clone(&context), balance, submitter, follower, saver };
        Self { context, stepper: Arc::new(stepper), rules: Arc::new(rules), upkeep, access, receiver }
    }

    /// The check that makes submissions wait.
    pub(crate) fn capacity_check(&self, options: &Options) -> CapacityCheck {
        let saves = options.lanes.contains(&Lane::Save);
        CapacityCheck::new(
            Arc::clone(&self.context),
            Arc::clone(&self.upkeep.batches),
            Arc::clone(&self.upkeep.backpressure),
            Arc::clone(&self.access),
            saves.then(|| OutputDisk::new(self.upkeep.output.clone(), options.min_free)),
            options.lanes.contains(&Lane::Submit),
        )
    }
}
