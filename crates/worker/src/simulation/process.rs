//! One working process, put together from the parts that `work` puts together, without apalis in between; and a machine,
//! which starts one process after the other over the same state directory.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use veobatch_api::{ApiKey, ClientConfig};
use veobatch_core::Lane;

use super::crash::ended;
use super::network::Wire;
use super::scene::Scene;
use super::state::processes::Process;
use crate::lane::claimer::DueClaimer;
use crate::runtime::claim::Claim;
use crate::runtime::leases::Renewals;
use crate::runtime::supervise::{run_periodically, supervise};
use crate::simulation::state::processes::Owner;
use crate::submit::claimer::SubmissionClaimer;
use crate::work::hand_back;
use crate::work::parts::Parts;
use crate::work::startup::prepare;
use crate::{Callbacks, Client, Concurrency, Options, Past, Stop, Until, WorkError};

/// Machines in one story.
pub(super) const MAX_MACHINES: usize = 3;

/// From the end of a process to the start of the next one on its machine, at most, and a bit for the start itself.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(25);

impl Scene {
    fn options(&self, state_dir: &Path, lanes: &[Lane]) -> Options {
        Options {
            output: self.dir.join("videos"),
            state_dir: state_dir.to_owned(),
            lanes: lanes.to_vec(),
            concurrency: Concurrency { submit: 4, follow: 4, save: 2 },
            policy: self.policy.clone(),
            only: None,
            window: None,
            until: Until::Stopped,
            private_hosts: true,
            accept_data_loss: false,
            min_free: 0,
            downloads: crate::Downloads::default(),
            past: Past::default(),
            callbacks: self.policy.callbacks.then(|| Callbacks {
                listen: String::new(),
                url: url::Url::parse("http://127.0.0.1/callbacks").unwrap(),
                key: None,
            }),
            in_doubt: self.in_doubt,
            // Late evidence meets whole jobs and compact ones.
            compact_after: Some(Duration::from_secs(600)),
        }
    }

    /// A process from its start to its graceful end. A kill drops it anywhere.
    pub(super) async fn process(self, owner: Owner, state_dir: PathBuf, lanes: &'static [Lane], stop: Stop) {
        let wire = Arc::new(Wire { state: Arc::clone(&self.state), inbox: Arc::clone(&self.inbox), owner });
        let base = url::Url::parse("http://127.0.0.1/").unwrap();
        let config = ClientConfig::new(base, ApiKey::parse("key").unwrap());
        let client = Arc::new(Client::simulated(config, Arc::clone(&wire) as Arc<_>));
        let files = self.files.clone().simulated(wire);
        let (ledger, options) = (Arc::new(self.line(owner)), self.options(&state_dir, lanes));
        let mut start = self.ledger.start_worker().await.unwrap();
        start.guarantee.may_go_back = self.rewinds;
        let prepared = prepare(ledger, client, files, &options, &start, &stop).await;
        let parts = match prepared {
            Ok(parts) => Rc::new(parts),
            // The error names the directory, which is another one every time.
            Err(WorkError::Directory(_)) if self.state.is_hindered() => {
                self.state.say(|| format!("p{owner} cannot start: a disk is bad"));
                return ended(&self.state, owner);
            }
            Err(error) => return self.state.violated(format!("p{owner} cannot start: {error}")),
        };
        if let Some(berth) = self.state.processes.0.lock().unwrap().get_mut(&owner) {
            berth.journal = Some(parts.upkeep.journal.clone());
            berth.receiver.clone_from(&parts.receiver);
        }
        let (claimers, steps) = (TaskTracker::new(), TaskTracker::new());
        let left = Rc::new(std::cell::RefCell::new(Vec::new()));
        for lane in lanes {
            self.lane(owner, *lane, &parts, (&claimers, &steps), &left);
        }
        let last = self.upkeep(owner, &parts, &options, &claimers);
        parts.context.shutdown.closing.cancelled().await;
        self.end(owner, &parts, (claimers, steps), &left).await;
        last.cancel();
        drop(parts.upkeep.journal.finish());
        self.state.say(|| format!("p{owner} has ended"));
        ended(&self.state, owner);
    }

    /// Everything beside the lanes. Leases, balance and access are kept until the returned token is cancelled.
    fn upkeep(&self, owner: Owner, parts: &Parts, options: &Options, claimers: &TaskTracker) -> CancellationToken {
        let (context, last) = (&parts.context, CancellationToken::new());
        let renewals = Renewals { ledger: Arc::clone(&context.ledger), leases: Arc::clone(&context.leases) };
        self.scheduler.spawn(owner, "leases", run_periodically(Box::new(renewals), last.clone()));
        let (balance, end) = (Arc::clone(&parts.stepper.balance), last.clone());
        self.scheduler.spawn(owner, "balance", async move { balance.watch(&end).await });
        let (access, end) = (Arc::clone(&parts.access), last.clone());
        self.scheduler.spawn(owner, "access", async move { access.watch(&end).await });
        for task in parts.upkeep.tasks(parts.capacity_check(options), &Until::Stopped, options.compact_after) {
            let (name, closing) = (task.name(), context.shutdown.closing.clone());
            self.scheduler.spawn(owner, name, claimers.track_future(run_periodically(task, closing)));
        }
        last
    }

    /// What apalis does with a lane.
    fn lane(
        &self,
        owner: Owner,
        lane: Lane,
        parts: &Rc<Parts>,
        (claimers, steps): (&TaskTracker, &TaskTracker),
        left: &Rc<std::cell::RefCell<Vec<Claim>>>,
    ) {
        let slots = if lane == Lane::Save { 2 } else { 4 };
        let (sender, mut claims) = mpsc::channel(slots);
        let context = Arc::clone(&parts.context);
        match lane {
            Lane::Submit => {
                let (journal, rules) = (parts.upkeep.journal.clone(), Arc::clone(&parts.rules));
                let claimer = SubmissionClaimer::new(context, journal, rules, slots, sender);
                let run = async move { supervise(|| claimer.run()).await };
                self.scheduler.spawn(owner, "submit claimer", claimers.track_future(run));
            }
            Lane::Follow | Lane::Save => {
                let claimer = DueClaimer::new(context, lane, slots, sender);
                let run = async move { supervise(|| claimer.run()).await };
                self.scheduler.spawn(owner, "due claimer", claimers.track_future(run));
            }
        }
        let (scheduler, parts, steps, left) =
            (Rc::clone(&self.scheduler), Rc::clone(parts), steps.clone(), Rc::clone(left));
        let taking = async move {
            while let Some(claim) = claims.recv().await {
                if parts.context.shutdown.closing.is_cancelled() {
                    left.borrow_mut().push(claim);
                } else {
                    scheduler.spawn(owner, lane.as_str(), steps.track_future(Arc::clone(&parts.stepper).step(claim)));
                }
            }
        };
        self.scheduler.spawn(owner, "lane", claimers.track_future(taking));
    }

    async fn end(
        &self,
        owner: Owner,
        parts: &Rc<Parts>,
        (claimers, steps): (TaskTracker, TaskTracker),
        left: &Rc<std::cell::RefCell<Vec<Claim>>>,
    ) {
        self.state.say(|| format!("p{owner} is ending"));
        claimers.close();
        claimers.wait().await;
        steps.close();
        let patience = tokio::time::timeout(Duration::from_secs(75), steps.wait()).await;
        if patience.is_err() {
            // Whoever is stuck longer than the product waits is cut off: for us, the whole process.
            self.scheduler.kill(owner);
            std::future::pending::<()>().await;
        }
        hand_back(parts, left.take()).await;
    }

    /// A machine: whenever its process is gone, the next one starts over the same state directory.
    pub(super) async fn machine(self, name: usize) {
        let state_dir = self.dir.join(format!("state-{name}"));
        loop {
            let owner = self.state.next_owner(name);
            let stop = Stop::default();
            let berth = Process { state_dir: state_dir.clone(), stop: stop.clone(), ..Process::default() };
            self.state.processes.0.lock().unwrap().insert(owner, berth);
            // Somebody submits; and a machine that has submitted need not do so for ever.
            let pays = name == 0 || !self.state.chance(0.2);
            let lanes = if pays { Lane::ALL } else { &[Lane::Follow, Lane::Save] };
            self.state.say(|| format!("p{owner} starts on machine {name}: {lanes:?}"));
            self.scheduler.spawn(owner, "process", self.clone().process(owner, state_dir.clone(), lanes, stop));
            self.state.death(owner).await;
            if self.state.is_closing() {
                return;
            }
            let pause = self.state.random(|rng| rng.ms(0, 20_000));
            tokio::time::sleep(pause).await;
        }
    }
}
