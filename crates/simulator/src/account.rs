//! The account: its tasks, its credits, its limits, and the counts of what was asked of it.
//!
//! Everything here is computed from the time that is passed in; there are no timers. A request costs O(log n) at most.

pub(crate) mod order;
pub(crate) mod store;
pub(crate) mod task;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::io;
use std::time::Duration;

use self::order::Order;
use self::store::{Store, StoredEvent, Upgraded};
use self::task::{Outcome, Task, fate};
use crate::clock::millis;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::fault::{FaultKind, Occasion, Rule};
use crate::rng::Rng;
use crate::video::shape::Resolution;

/// A task and what was asked about it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) task: Task,
    pub(crate) tally: Tally,
    pub(crate) upgrades: Vec<Upgraded>,
}

/// Counts of one task; they start again with the process.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) polls: u64,
    /// Polls that saw the success.
    pub(crate) seen: u64,
    /// When a poll was first told how it ended, in milliseconds since the epoch.
    pub(crate) told_ms: Option<u64>,
    pub(crate) upgrades: u64,
    pub(crate) downloads: u64,
    pub(crate) callbacks_sent: u64,
    pub(crate) callbacks_taken: u64,
}

/// Why a submission that is in order was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooMany,
    NoCredits,
    /// The store could not be written.
    Broken,
}

/// The state of the service.
#[derive(Debug, Default)]
pub(crate) struct Account {
    tasks: Vec<Held>,
    by_id: HashMap<String, usize>,
    store: Option<Store>,
    /// Submissions that arrived so far.
    pub(crate) submissions: u64,
    pub(crate) turned_away: BTreeMap<u16, u64>,
    pub(crate) requests: BTreeMap<Endpoint, u64>,
    pub(crate) turned_off: u64,
    pub(crate) answers: BTreeMap<Endpoint, BTreeMap<u16, u64>>,
    /// How often each rule has held, by kind and place in the list.
    pub(crate) used: BTreeMap<(FaultKind, usize), u64>,
    pub(crate) most_in_flight: usize,
    pub(crate) charged: u64,
    pub(crate) refunded: u64,
    /// Arrivals of the requests that fill the window.
    window: VecDeque<Duration>,
    /// Ends of the tasks under way, in milliseconds.
    ends: BinaryHeap<Reverse<u64>>,
    /// Credits that come back, and when.
    refunds: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Account {
    /// An account that continues what a store remembers.
    pub(crate) fn new(store: Option<Store>, entries: Vec<StoredEvent>) -> Self {
        let mut account = Self::default();
        for entry in entries {
            account.replay(entry);
        }
        Self { store, ..account }
    }

    fn replay(&mut self, entry: StoredEvent) {
        match entry {
            StoredEvent::Accepted(task) => {
                self.submissions = self.submissions.max(task.submission);
                self.window.push_back(Duration::from_millis(task.accepted_ms));
                self.take_in(*task);
            }
            StoredEvent::TurnedAway { submission, code, .. } => {
                self.submissions = self.submissions.max(submission);
                *self.turned_away.entry(code).or_default() += 1;
            }
            StoredEvent::Upgraded { task, upgrade } => {
                self.charged += upgrade.price;
                if let Some(held) = self.find(&task) {
                    held.upgrades.push(upgrade);
                }
            }
        }
    }

    fn take_in(&mut self, task: Task) {
        self.charged += task.price;
        self.ends.push(Reverse(task.finish_ms));
        if task.refund {
            self.refunds.push(Reverse((task.finish_ms, task.price)));
        }
        self.by_id.insert(task.id.clone(), self.tasks.len());
        self.tasks.push(Held { task, tally: Tally::default(), upgrades: Vec::new() });
    }

    fn remember(&mut self, entry: &StoredEvent) -> io::Result<()> {
        self.store.as_mut().map_or(Ok(()), |store| store.append(entry))
    }

    pub(crate) fn find(&mut self, id: &str) -> Option<&mut Held> {
        self.tasks.get_mut(*self.by_id.get(id)?)
    }

    pub(crate) fn tasks(&self) -> &[Held] {
        &self.tasks
    }

    /// Credits left.
    pub(crate) fn balance(&mut self, now_ms: u64, config: &Config) -> u64 {
        while let Some(Reverse((at, price))) = self.refunds.peek().copied() {
            if at > now_ms {
                break;
            }
            self.refunds.pop();
            self.refunded += price;
        }
        config.credits.saturating_add(self.refunded).saturating_sub(self.charged)
    }

    /// Tasks under way.
    pub(crate) fn in_flight(&mut self, now_ms: u64) -> usize {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= now_ms) {
            self.ends.pop();
        }
        self.ends.len()
    }

    /// Whether the window of the rate limit has room for a request that arrived then. The request fills it now if
    /// rejected ones count, and otherwise once it is accepted.
    pub(crate) fn enters_window(&mut self, arrived: Duration, config: &Config) -> bool {
        let Some(rate) = config.limits.rate else { return true };
        let length = Duration::from_millis(rate.window_ms);
        while self.window.front().is_some_and(|first| *first + length <= arrived) {
            self.window.pop_front();
        }
        let has_room = self.window.len() < rate.requests;
        if config.limits.count_rejected {
            self.window.push_back(arrived);
        }
        has_room
    }

    /// Whether the window has room for a request that is no submission and counts as one; then it fills it.
    pub(crate) fn enters_window_beside(&mut self, arrived: Duration, config: &Config) -> bool {
        let has_room = self.enters_window(arrived, config);
        if has_room && !config.limits.count_rejected {
            self.window.push_back(arrived);
        }
        has_room
    }

    /// Accepts a submission that has passed [`Self::enters_window`]: afterwards the task exists, is charged and stored.
    pub(crate) fn accept(&mut self, order: Order, arrival: Arrival<'_>) -> Result<String, Refusal> {
        let (config, now_ms) = (arrival.config, millis(arrival.now));
        if self.balance(now_ms, config) < order.price {
            return Err(Refusal::NoCredits);
        }
        let in_flight = self.in_flight(now_ms);
        if config.limits.in_flight.is_some_and(|most| in_flight >= most) {
            return Err(Refusal::TooMany);
        }
        let task = arrival.task(order);
        let id = task.id.clone();
        let entry = StoredEvent::Accepted(Box::new(task));
        self.remember(&entry).map_err(|_| Refusal::Broken)?;
        if !config.limits.count_rejected {
            self.window.push_back(arrival.arrived);
        }
        if let StoredEvent::Accepted(task) = entry {
            self.take_in(*task);
        }
        self.most_in_flight = self.most_in_flight.max(in_flight + 1);
        Ok(id)
    }

    /// Notes that a submission was turned away with this code (0: no answer).
    pub(crate) fn turn_away(&mut self, submission: u64, at_ms: u64, code: u16) {
        *self.turned_away.entry(code).or_default() += 1;
        // A count that a full disk loses is not worth an error: nobody was promised it.
        let _ = self.remember(&StoredEvent::TurnedAway { submission, at_ms, code });
    }

    /// Starts a better version of a task's video, or says why not.
    pub(crate) fn upgrade(&mut self, id: &str, upgrade: Upgraded, config: &Config) -> Result<(), Refusal> {
        if self.balance(upgrade.asked_ms, config) < upgrade.price {
            return Err(Refusal::NoCredits);
        }
        self.remember(&StoredEvent::Upgraded { task: id.to_owned(), upgrade }).map_err(|_| Refusal::Broken)?;
        self.charged += upgrade.price;
        if let Some(held) = self.find(id) {
            held.upgrades.push(upgrade);
        }
        Ok(())
    }

    /// The first rule that holds for this kind of request on this occasion.
    pub(crate) fn rule(&mut self, config: &Config, kind: FaultKind, occasion: &Occasion<'_>) -> Option<Rule> {
        let rules = config.faults.of(kind);
        if rules.is_empty() {
            return None;
        }
        let mut rng = Rng::new(config.seed, "fault", (occasion.key << 24) ^ (occasion.nth << 3) ^ kind as u64);
        let used = &mut self.used;
        let holds = |(place, rule): &(usize, &Rule)| {
            let used = used.get(&(kind, *place)).copied().unwrap_or_default();
            rule.holds(occasion, used, &mut rng)
        };
        let (place, rule) = rules.iter().enumerate().find(holds)?;
        *self.used.entry((kind, place)).or_default() += 1;
        Some(rule.clone())
    }
}

impl Held {
    /// The better version in this resolution, if it was asked for.
    pub(crate) fn upgraded(&self, resolution: Resolution) -> Option<Upgraded> {
        self.upgrades.iter().find(|upgrade| upgrade.resolution == resolution).copied()
    }
}

/// The circumstances of a submission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) submission: u64,
    /// When its first byte came.
    pub(crate) arrived: Duration,
    pub(crate) now: Duration,
    pub(crate) config: &'a Config,
    /// What will happen to its answer.
    pub(crate) rule: Option<&'a Rule>,
}

impl Arrival<'_> {
    fn task(&self, order: Order) -> Task {
        let (seed, accepted_ms) = (self.config.seed, millis(self.now));
        let generation = &self.config.generation;
        let (outcome, time) = fate(generation, seed, self.submission, &order.prompt);
        // The time is part of the id, so that no two services ever give out the same one.
        let mut rng = Rng::new(seed ^ u64::from(self.now.subsec_nanos()) ^ accepted_ms, "id", self.submission);
        Task {
            id: format!("{:016x}{:016x}", rng.next(), rng.next()),
            submission: self.submission,
            kind: order.kind,
            prompt: order.prompt,
            model: order.model,
            ratio: order.ratio,
            resolution: order.resolution,
            seconds: order.seconds,
            fields: order.fields,
            source: order.source,
            callback: order.callback,
            price: order.price,
            accepted_ms,
            finish_ms: time.map_or(u64::MAX, |time| accepted_ms.saturating_add(millis(time))),
            refund: generation.refund && matches!(outcome, Outcome::Failed { .. }),
            outcome,
            fault: self.rule.map(|rule| rule.fault),
        }
    }
}
