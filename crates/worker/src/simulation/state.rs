//! What all parts of a simulation share: chance, the clock, the faults, the log, and what was found to be broken.

pub(super) mod faults;
pub(super) mod processes;
pub(super) mod recovery;
pub(super) mod rng;
pub(super) mod service;
pub(super) mod stalls;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use veobatch_core::Timestamp;

use crate::runtime::disk::Disk;
use crate::runtime::disk::fault::Fault;
use crate::simulation::state::faults::Faults;
use crate::simulation::state::processes::Owner;
use crate::simulation::state::processes::Processes;
use crate::simulation::state::recovery::Recovery;
use crate::simulation::state::rng::Rng;
use crate::simulation::state::service::Service;
use crate::simulation::state::stalls::Stalls;

/// When every simulation begins.
const BEGINNING: u64 = 1_800_000_000_000;

#[derive(Debug)]
pub(super) struct SimState {
    start: Instant,
    /// By how much the wall clock ran on while the machine was asleep, in milliseconds.
    slept: Mutex<u64>,
    rng: Mutex<Rng>,
    faults: Mutex<Faults>,
    pub(super) service: Mutex<Service>,
    log: Mutex<Log>,
    broken: Mutex<Option<String>>,
    /// Processes that will be killed after so many more polls.
    struck: Mutex<BTreeMap<Owner, u64>>,
    /// Processes that are gone, and whether they were killed.
    deaths: Mutex<BTreeMap<Owner, bool>>,
    owners: Mutex<Owner>,
    calm: AtomicBool,
    closing: AtomicBool,
    pub(super) processes: Processes,
    died: tokio::sync::Notify,
    /// Until when the ledger cannot be reached at all.
    pub(super) outage: Mutex<u64>,
    /// After the ledger went back in time.
    pub(super) recovery: Mutex<Recovery>,
    pub(super) stalls: Stalls,
    /// By how many milliseconds the wall clock of each machine is wrong.
    pub(super) skews: Mutex<Vec<i64>>,
    /// What is wrong with the disks, and until when: the output's, which all machines share, and each machine's own.
    bad_disks: Mutex<BTreeMap<Option<usize>, (Fault, u64)>>,
    /// On which machine each process runs.
    machines: Mutex<BTreeMap<Owner, usize>>,
    /// Whose part was polled last.
    playing: AtomicU32,
}

#[derive(Debug)]
struct Log {
    trace: bool,
    hash: DefaultHasher,
    kills: u64,
    polls: u64,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) broken: Option<String>,
    pub(super) hash: u64,
    pub(super) virtual_ms: u64,
    pub(super) kills: u64,
    pub(super) polls: u64,
    pub(super) paid: u64,
    pub(super) rewinds: u64,
}

impl Outcome {
    pub(super) fn panicked(words: &str) -> Self {
        let broken = Some(format!("panicked: {words}"));
        Self { broken, hash: 0, virtual_ms: 0, kills: 0, polls: 0, paid: 0, rewinds: 0 }
    }
}

impl SimState {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let faults = Faults::of(&mut rng);
        let service = Service::new(&mut rng);
        let log = Log { trace, hash: DefaultHasher::new(), kills: 0, polls: 0 };
        let state = Self {
            start: Instant::now(),
            slept: Mutex::default(),
            rng: Mutex::new(rng),
            faults: Mutex::new(faults),
            service: Mutex::new(service),
            log: Mutex::new(log),
            broken: Mutex::default(),
            struck: Mutex::default(),
            deaths: Mutex::default(),
            owners: Mutex::default(),
            calm: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            processes: Processes::default(),
            died: tokio::sync::Notify::new(),
            outage: Mutex::default(),
            recovery: Mutex::default(),
            stalls: Stalls::default(),
            skews: Mutex::default(),
            bad_disks: Mutex::default(),
            machines: Mutex::default(),
            playing: AtomicU32::default(),
        };
        state.say(|| format!("{:?}", state.faults()));
        state
    }

    /// Milliseconds of true time since the beginning.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap() + *self.slept.lock().unwrap()
    }

    /// The ledger's clock.
    pub(super) fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING + self.now())
    }

    /// The wall clock of the machine whose process is at work.
    pub(super) fn wall(&self) -> SystemTime {
        let machine = self.playing_machine();
        let skew = machine.and_then(|machine| self.skews.lock().unwrap().get(machine).copied()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis((BEGINNING + self.now()).saturating_add_signed(skew))
    }

    /// The machine whose process is at work, if one is.
    pub(super) fn count_kill(&self) {
        self.log.lock().unwrap().kills += 1;
    }

    fn playing_machine(&self) -> Option<usize> {
        self.machines.lock().unwrap().get(&self.playing.load(Ordering::Relaxed)).copied()
    }

    /// For a while a disk is full, or cannot be written: that of a machine's state directory, or of the output.
    pub(super) fn spoil(&self, machine: Option<usize>, how_long: Duration) {
        let fault = self.random(|rng| if rng.chance(0.5) { Fault::ReadOnly } else { Fault::Full(0) });
        let until = self.now() + u64::try_from(how_long.as_millis()).unwrap();
        self.bad_disks.lock().unwrap().insert(machine, (fault, until));
        self.say(|| format!("the disk of {machine:?} is {fault:?} for {how_long:?}"));
    }

    /// What is wrong with a disk of the process that is at work.
    pub(super) fn fault(&self, disk: Disk) -> Option<Fault> {
        let place = match disk {
            Disk::State => Some(self.playing_machine()?),
            Disk::Output => None,
        };
        let (fault, until) = *self.bad_disks.lock().unwrap().get(&place)?;
        match fault {
            _ if until <= self.now() => None,
            Fault::Full(_) => Some(Fault::Full(self.below(40) as usize)),
            Fault::ReadOnly | Fault::Sync => Some(fault),
        }
    }

    /// Whether a disk that the process at work needs is not as it should be.
    pub(super) fn is_hindered(&self) -> bool {
        [Disk::State, Disk::Output].into_iter().any(|disk| self.fault(disk).is_some())
    }

    /// Some machine's wall clock is set, wrongly.
    pub(super) fn set_clock(&self, machine: usize) {
        let skew = self.random(|rng| i64::try_from(rng.below(600_000)).unwrap() - 300_000);
        let mut skews = self.skews.lock().unwrap();
        let machines = skews.len().max(machine + 1);
        skews.resize(machines, 0);
        skews[machine] = skew;
        self.say(|| format!("the clock of machine {machine} is wrong by {skew} ms"));
    }

    /// The machine sleeps: the wall clock runs on, the monotonic one stands still.
    pub(super) fn sleep(&self, how_long: Duration) {
        *self.slept.lock().unwrap() += u64::try_from(how_long.as_millis()).unwrap();
        self.say(|| format!("the machine was asleep for {how_long:?}"));
    }

    pub(super) fn random<T>(&self, random: impl FnOnce(&mut Rng) -> T) -> T {
        random(&mut self.rng.lock().unwrap())
    }

    pub(super) fn below(&self, end: u64) -> u64 {
        self.random(|rng| rng.below(end))
    }

    pub(super) fn chance(&self, often: f64) -> bool {
        often > 0.0 && self.random(|rng| rng.chance(often))
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.lock().unwrap().clone()
    }

    /// No more faults.
    pub(super) fn calm_down(&self) {
        let failures = self.faults().failures;
        *self.faults.lock().unwrap() = Faults { failures, ..Faults::default() };
        self.calm.store(true, Ordering::Relaxed);
        self.struck.lock().unwrap().clear();
        *self.outage.lock().unwrap() = 0;
        self.bad_disks.lock().unwrap().clear();
        self.say(|| "no more faults from here on".to_owned());
    }

    /// A line of the log.
    pub(super) fn say(&self, words: impl FnOnce() -> String) {
        let mut log = self.log.lock().unwrap();
        let (now, words) = (self.now(), words());
        (now, &words).hash(&mut log.hash);
        if log.trace {
            println!("{:>10.3} s  {words}", now as f64 / 1000.0);
        }
    }

    pub(super) fn polled(&self, owner: Owner, name: &'static str) {
        let mut log = self.log.lock().unwrap();
        log.polls += 1;
        (owner, name).hash(&mut log.hash);
        self.playing.store(owner, Ordering::Relaxed);
    }

    /// Something happened in `owner` that matters: perhaps it is killed at one of its next awaits.
    pub(super) fn matters(&self, owner: Owner) {
        let strikes = self.faults().strikes;
        if self.chance(strikes) {
            let polls = self.random(|rng| rng.between(1, 12));
            self.struck.lock().unwrap().entry(owner).or_insert(polls);
        }
    }

    /// Whether `owner`, which was just polled, is killed now.
    pub(super) fn strikes(&self, owner: Owner) -> bool {
        let mut struck = self.struck.lock().unwrap();
        if let Some(polls) = struck.get_mut(&owner) {
            *polls -= 1;
            if *polls == 0 {
                struck.remove(&owner);
                return true;
            }
        }
        drop(struck);
        let kills = self.faults().kills;
        self.chance(kills)
    }

    /// `owner` is gone, killed or by itself.
    pub(super) fn gone(&self, owner: Owner, killed: bool) {
        self.deaths.lock().unwrap().insert(owner, killed);
        self.struck.lock().unwrap().remove(&owner);
        self.died.notify_waiters();
    }

    pub(super) fn was_killed(&self, owner: Owner) -> bool {
        self.deaths.lock().unwrap().get(&owner) == Some(&true)
    }

    /// A process that begins on `machine`.
    pub(super) fn next_owner(&self, machine: usize) -> Owner {
        let mut last = self.owners.lock().unwrap();
        *last += 1;
        self.machines.lock().unwrap().insert(*last, machine);
        *last
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// No process is started any more.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Resolves once `owner` was killed.
    pub(super) async fn death(&self, owner: Owner) {
        loop {
            let died = self.died.notified();
            if self.deaths.lock().unwrap().contains_key(&owner) {
                return;
            }
            died.await;
        }
    }

    pub(super) fn violated(&self, words: String) {
        self.say(|| format!("BROKEN: {words}"));
        self.broken.lock().unwrap().get_or_insert(words);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.lock().unwrap().is_some()
    }

    pub(super) fn outcome(&self) -> Outcome {
        let log = self.log.lock().unwrap();
        Outcome {
            broken: self.broken.lock().unwrap().clone(),
            hash: log.hash.finish(),
            virtual_ms: self.now(),
            kills: log.kills,
            polls: log.polls,
            paid: self.service.lock().unwrap().paid(),
            rewinds: self.recovery.lock().unwrap().times,
        }
    }
}
