//! One working process, put together from the parts that `work` puts together, without apalis in between; and a machine,
//! which starts one process after the other over the same state directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use veobatch_api::{ApiKey, ClientConfig, FileHost};
use veobatch_core::{InDoubtPolicy, Lane, Outcome, PollPolicy, Token};
use veobatch_ledger::SqliteLedger;

use super::ledger::{Leases, Line};
use super::network::{Inbox, Wire};
use super::stage::{Owner, Stage};
use super::world::World;
use crate::account::access;
use crate::account::balance::watch;
use crate::journal::line::Line as JournalLine;
use crate::lane::claimer::Due;
use crate::lane::step::step;
use crate::runtime::claim::Claim;
use crate::runtime::claimer::supervise;
use crate::runtime::leases::Renewals;
use crate::runtime::worker::Worker;
use crate::submit::claimer::Submissions;
use crate::upkeep::maintenance::duties;
use crate::upkeep::run_periodically;
use crate::work::{hand_back, prepare};
use crate::{Callbacks, Client, Concurrency, Options, Past, Stop, Until, WorkError};

/// From the end of a process to the start of the next one on its machine, at most, and a bit for the start itself.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(25);

/// What everything in one scene has in common.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) stage: Rc<Stage>,
    pub(super) world: Arc<World>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ledger: veobatch_ledger::SharedLedger,
    pub(super) sqlite: Arc<SqliteLedger>,
    /// The ledger goes back in time.
    pub(super) rewinds: bool,
    pub(super) leases: Arc<Leases>,
    pub(super) files: FileHost,
    pub(super) dir: PathBuf,
    pub(super) policy: PollPolicy,
    pub(super) in_doubt: InDoubtPolicy,
}

/// A process that was started: its journal, and how it is told to end.
#[derive(Debug, Default)]
pub(super) struct Berth {
    pub(super) state_dir: PathBuf,
    worker: Option<Arc<Worker>>,
    pub(super) stop: Stop,
}

pub(super) type Berths = Mutex<BTreeMap<Owner, Berth>>;

impl Scene {
    pub(super) fn line(&self, owner: Owner) -> Line {
        Line {
            ledger: Arc::clone(&self.ledger),
            world: Arc::clone(&self.world),
            owner,
            leases: Arc::clone(&self.leases),
        }
    }

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
        let wire = Arc::new(Wire { world: Arc::clone(&self.world), inbox: Arc::clone(&self.inbox), owner });
        let base = url::Url::parse("http://127.0.0.1/").unwrap();
        let config = ClientConfig::new(base, ApiKey::parse("key").unwrap());
        let client = Arc::new(Client::simulated(config, Arc::clone(&wire) as Arc<_>));
        let files = self.files.clone().simulated(wire);
        let (ledger, options) = (Arc::new(self.line(owner)), self.options(&state_dir, lanes));
        let mut start = self.ledger.start_worker().await.unwrap();
        start.guarantee.may_go_back = self.rewinds;
        let prepared = prepare(ledger, client, files, &options, &start, &stop).await;
        let worker = match prepared {
            Ok(worker) => Arc::new(worker),
            // Why names the directory, which is another one every time.
            Err(WorkError::Directory(_)) if self.world.is_hindered() => {
                self.world.say(|| format!("p{owner} cannot start: a disk is bad"));
                return self.world.ended(owner);
            }
            Err(error) => return self.world.violated(format!("p{owner} cannot start: {error}")),
        };
        if let Some(berth) = self.world.berths.lock().unwrap().get_mut(&owner) {
            berth.worker = Some(Arc::clone(&worker));
        }
        let (claimers, steps) = (TaskTracker::new(), TaskTracker::new());
        let left = Rc::new(std::cell::RefCell::new(Vec::new()));
        for lane in lanes {
            self.lane(owner, *lane, &worker, (&claimers, &steps), &left);
        }
        let kept = tokio_util::sync::CancellationToken::new();
        let renewals = run_periodically(Arc::clone(&worker), Box::new(Renewals), kept.clone());
        self.stage.enter(owner, "leases", renewals);
        self.stage.enter(owner, "balance", watch(Arc::clone(&worker), kept.clone()));
        self.stage.enter(owner, "access", access::watch(Arc::clone(&worker), kept.clone()));
        for duty in duties(&Until::Stopped, options.compact_after) {
            let (name, closing) = (duty.name(), worker.shutdown.closing.clone());
            let supervised = claimers.track_future(run_periodically(Arc::clone(&worker), duty, closing));
            self.stage.enter(owner, name, supervised);
        }
        worker.shutdown.closing.cancelled().await;
        self.end(owner, &worker, (claimers, steps), &left).await;
        kept.cancel();
        drop(worker.journal.finish());
        self.world.say(|| format!("p{owner} has ended"));
        self.world.ended(owner);
    }

    /// What apalis does with a lane.
    fn lane(
        &self,
        owner: Owner,
        lane: Lane,
        worker: &Arc<Worker>,
        (claimers, steps): (&TaskTracker, &TaskTracker),
        left: &Rc<std::cell::RefCell<Vec<Claim>>>,
    ) {
        let slots = if lane == Lane::Save { 2 } else { 4 };
        let (sender, mut claims) = mpsc::channel(slots);
        let claiming = Arc::clone(worker);
        match lane {
            Lane::Submit => {
                let claimer = Submissions::new(claiming, slots, sender);
                let run = async move { supervise(|| claimer.run()).await };
                self.stage.enter(owner, "submit claimer", claimers.track_future(run));
            }
            Lane::Follow | Lane::Save => {
                let claimer = Due::new(claiming, lane, slots, sender);
                let run = async move { supervise(|| claimer.run()).await };
                self.stage.enter(owner, "due claimer", claimers.track_future(run));
            }
        }
        let (stage, worker, steps, left) = (Rc::clone(&self.stage), Arc::clone(worker), steps.clone(), Rc::clone(left));
        let taking = async move {
            while let Some(claim) = claims.recv().await {
                if worker.shutdown.closing.is_cancelled() {
                    left.borrow_mut().push(claim);
                } else {
                    stage.enter(owner, lane.as_str(), steps.track_future(step(Arc::clone(&worker), claim)));
                }
            }
        };
        self.stage.enter(owner, "lane", claimers.track_future(taking));
    }

    async fn end(
        &self,
        owner: Owner,
        worker: &Arc<Worker>,
        (claimers, steps): (TaskTracker, TaskTracker),
        left: &Rc<std::cell::RefCell<Vec<Claim>>>,
    ) {
        self.world.say(|| format!("p{owner} is ending"));
        claimers.close();
        claimers.wait().await;
        steps.close();
        let patience = tokio::time::timeout(Duration::from_secs(75), steps.wait()).await;
        if patience.is_err() {
            // Whoever is stuck longer than the product waits is cut off: for us, the whole process.
            self.stage.kill(owner);
            std::future::pending::<()>().await;
        }
        hand_back(worker, left.take()).await;
    }

    /// A machine: whenever its process is gone, the next one starts over the same state directory.
    pub(super) async fn machine(self, name: usize) {
        let state_dir = self.dir.join(format!("state-{name}"));
        loop {
            let owner = self.world.next_owner(name);
            let stop = Stop::default();
            let berth = Berth { state_dir: state_dir.clone(), worker: None, stop: stop.clone() };
            self.world.berths.lock().unwrap().insert(owner, berth);
            // Somebody submits; and a machine that has submitted need not do so for ever.
            let pays = name == 0 || !self.world.chance(0.2);
            let lanes = if pays { Lane::ALL } else { &[Lane::Follow, Lane::Save] };
            self.world.say(|| format!("p{owner} starts on machine {name}: {lanes:?}"));
            self.stage.enter(owner, "process", self.clone().process(owner, state_dir.clone(), lanes, stop));
            self.world.death(owner).await;
            if self.world.is_closing() {
                return;
            }
            let pause = self.world.roll(|dice| dice.ms(0, 20_000));
            tokio::time::sleep(pause).await;
        }
    }
}

/// The end of a killed process: its futures go, then its lock; and perhaps what was not synced.
pub(super) fn falls(world: &World, owner: Owner, fall: impl FnOnce()) {
    let berth = world.berths.lock().unwrap().remove(&owner);
    fall();
    let Some(berth) = berth else { return };
    if let Some(worker) = &berth.worker
        && world.chance(world.weather().power)
    {
        let (path, lines) = worker.journal.on_disk();
        cut(world, &path, usize::try_from(lines).unwrap());
    }
    remember(world, &berth.state_dir);
}

/// The power fails: what was not synced is lost, but perhaps for the beginning of it.
fn cut(world: &World, path: &Path, lines: usize) {
    let Ok(text) = fs::read(path) else { return };
    let safe: usize = text.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
    let kept = safe + world.below((text.len() - safe) as u64 + 1) as usize;
    world.say(|| format!("the power fails: {} of {} bytes of a journal are left", kept, text.len()));
    fs::write(path, &text[..kept]).unwrap();
}

impl World {
    /// Whether the journal of `owner`, as a power cut would leave it, says that it is about to pay for `token`.
    pub(super) fn is_written_down(&self, owner: Owner, token: &Token) -> bool {
        let berths = self.berths.lock().unwrap();
        let Some(worker) = berths.get(&owner).and_then(|berth| berth.worker.as_ref()) else { return false };
        let (path, lines) = worker.journal.on_disk();
        let text = fs::read(path).unwrap_or_default();
        let safe = text.split(|byte| *byte == b'\n').take(usize::try_from(lines).unwrap());
        let mut lines = safe.filter_map(JournalLine::parse).map(|(line, _)| line);
        lines.any(|line| matches!(line, JournalLine::Sending { token: of, .. } if of == *token))
    }

    /// The processes that have started.
    pub(super) fn working(&self) -> Vec<(Owner, Arc<Worker>)> {
        let berths = self.berths.lock().unwrap();
        berths.iter().filter_map(|(owner, berth)| Some((*owner, Arc::clone(berth.worker.as_ref()?)))).collect()
    }
}

/// What the journals of a machine know of accepted tasks: from now on nobody may forget it.
fn remember(world: &World, state_dir: &Path) {
    let Ok(files) = fs::read_dir(state_dir) else { return };
    for file in files.flatten() {
        let text = fs::read(file.path()).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some((JournalLine::Answer { outcome: Outcome::Accepted(task), .. }, _)) = JournalLine::parse(line) {
                world.service.lock().unwrap().journaled.insert(task);
            }
        }
    }
}
