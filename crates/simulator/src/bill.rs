//! The bill: what was accepted, when, for which prompt, at what price, and all that was asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::Held;
use crate::account::task::{TaskKind, TaskState};
use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::state::State;

/// Everything the service knows about what it was asked and what it charged.
///
/// Accepted submissions, upgrades, charges and `turned_away` survive a restart with a store; the other counts are those
/// of this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// The service's clock, milliseconds since the epoch.
    pub now_ms: u64,
    /// Every accepted submission, in the order of acceptance.
    pub accepted: Vec<Accepted>,
    /// Accepted submissions whose answer the client could not have understood.
    pub answers_lost: u64,
    /// Submissions that arrived, accepted or not; those with a wrong key or during maintenance are not counted.
    pub submissions: u64,
    /// Submissions that were not accepted, by the code they were told (0: no answer).
    pub turned_away: BTreeMap<u16, u64>,
    /// How many of them were told 429.
    pub rejected_429: u64,
    /// Requests by endpoint.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Connections that were reset because the service was unreachable.
    pub turned_off: u64,
    /// Answers by endpoint and code of the body (HTTP status where there is none; 0: no answer).
    pub answers: BTreeMap<Endpoint, BTreeMap<u16, u64>>,
    /// Tasks that were being generated at once, at most.
    pub most_in_flight: usize,
    /// Tasks that are being generated now.
    pub in_flight: usize,
    /// Credits charged, without what came back.
    pub charged: u64,
    /// Credits that came back for failed tasks.
    pub refunded: u64,
    /// Credits left.
    pub balance: u64,
}

/// One accepted submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its number among all submissions, from 1.
    pub submission: u64,
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// The id that the client was told, or should have been.
    pub task_id: String,
    /// Which endpoint took it.
    pub kind: TaskKind,
    /// The prompt.
    pub prompt: String,
    /// The model.
    pub model: String,
    /// Credits charged for it.
    pub price: u64,
    /// The whole body that was received.
    pub fields: Value,
    /// Whether the client could not have learnt the task's id from the answer.
    pub answer_lost: bool,
    /// What happened to the answer, if anything did.
    pub fault: Option<Fault>,
    /// How the task stands.
    pub state: TaskState,
    /// When it ended or will end; `null` for never.
    pub finish_ms: Option<u64>,
    /// When a status poll was first told how it ended; `null` if none was.
    pub told_ms: Option<u64>,
    /// Status polls.
    pub polls: u64,
    /// Downloads, whole or in part.
    pub downloads: u64,
    /// Better versions that were asked for.
    pub upgrades: Vec<UpgradeBill>,
    /// Attempts to call back, and those that were answered with 2xx.
    pub callbacks: [u64; 2],
}

/// One better version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeBill {
    /// `1080p` or `4k`.
    pub resolution: String,
    /// When it was first asked for, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Credits charged for it.
    pub price: u64,
}

impl State {
    /// Writes the bill; without the list of submissions if only a summary is wanted.
    pub(crate) fn bill(&self, is_summary: bool) -> Bill {
        let (now_ms, config) = (self.clock.now_ms(), self.config());
        let mut account = self.account();
        let balance = account.balance(now_ms, &config);
        let in_flight = account.in_flight(now_ms);
        let tasks = account.tasks();
        let answers_lost = tasks.iter().filter(|held| is_lost(held.task.fault)).count();
        let accepted = if is_summary { Vec::new() } else { tasks.iter().map(|held| accepted(held, now_ms)).collect() };
        Bill {
            now_ms,
            accepted,
            answers_lost: u64::try_from(answers_lost).unwrap_or(u64::MAX),
            submissions: account.submissions,
            turned_away: account.turned_away.clone(),
            rejected_429: account.turned_away.get(&429).copied().unwrap_or_default(),
            requests: account.requests.clone(),
            turned_off: account.turned_off,
            answers: account.answers.clone(),
            most_in_flight: account.most_in_flight,
            in_flight,
            charged: account.charged,
            refunded: account.refunded,
            balance,
        }
    }
}

fn is_lost(fault: Option<Fault>) -> bool {
    fault.is_some_and(|fault| !fault.delivers())
}

fn accepted(held: &Held, now_ms: u64) -> Accepted {
    let (task, tally) = (&held.task, &held.tally);
    let upgrades = held.upgrades.iter().map(|upgrade| UpgradeBill {
        resolution: upgrade.resolution.word().to_owned(),
        at_ms: upgrade.asked_ms,
        price: upgrade.price,
    });
    Accepted {
        submission: task.submission,
        at_ms: task.accepted_ms,
        task_id: task.id.clone(),
        kind: task.kind,
        prompt: task.prompt.clone(),
        model: task.model.clone(),
        price: task.price,
        fields: serde_json::from_str(&task.fields).unwrap_or_default(),
        answer_lost: is_lost(task.fault),
        fault: task.fault,
        state: task.state(now_ms),
        finish_ms: (task.finish_ms != u64::MAX).then_some(task.finish_ms),
        told_ms: tally.told_ms,
        polls: tally.polls,
        downloads: tally.downloads,
        upgrades: upgrades.collect(),
        callbacks: [tally.callbacks_sent, tally.callbacks_taken],
    }
}
