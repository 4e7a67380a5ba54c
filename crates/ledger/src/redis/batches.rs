//! Batches: which there are, with their counts; their flags and settings.

use std::collections::{BTreeMap, HashMap};

use redis::Cmd;
use serde_json::json;
use veobatch_core::{BatchId, BatchSettings, Credits, StateName, TimeRange, Timestamp};

use super::ledger::RedisLedger;
use super::reply::read;
use super::row::damaged;
use super::scripts::texts;
use crate::{BatchFlag, BatchSummary, BatchUpdate, Batches, LedgerError};

/// Batches asked for in one go.
const CHUNK: usize = 500;

impl RedisLedger {
    pub(super) async fn list_batches(&self, which: &Batches) -> Result<Vec<BatchSummary>, LedgerError> {
        let most = if let Batches::All { limit, .. } = which { *limit } else { usize::MAX };
        let numbers = match which {
            Batches::All { after, .. } => self.all(after.as_ref()).await?,
            Batches::Active => self.rested(&[&self.live()]).await?,
            Batches::Recent { since } => {
                let recent = self.by_score("ZRANGEBYSCORE", "rest").arg(since.as_millis()).arg("+inf").clone();
                self.rested(&[&self.live(), &recent]).await?
            }
            Batches::Rested { before, limit } => {
                let mut rested = self.by_score("ZREVRANGEBYSCORE", "rest");
                rested.arg(format!("({}", before.as_millis())).arg("-inf").arg("LIMIT").arg(0).arg(*limit);
                self.rested(&[&rested]).await?
            }
            Batches::Whole { before } => {
                let mut whole = self.by_score("ZRANGEBYSCORE", "whole");
                whole.arg("-inf").arg(format!("({}", before.as_millis()));
                let mut numbers = self.rested(&[&whole]).await?;
                let live = self.rested(&[&self.live()]).await?;
                numbers.retain(|number| live.binary_search(number).is_err());
                numbers
            }
            Batches::Named(names) if names.is_empty() => Vec::new(),
            Batches::Named(names) => {
                let mut ask = Cmd::new();
                ask.arg("HMGET").arg(self.server.key("names"));
                for name in names {
                    ask.arg(name.folded());
                }
                let numbers: Vec<Option<u32>> = self.server.ask(&ask).await?;
                numbers.into_iter().flatten().collect()
            }
        };
        self.summaries(&numbers, most).await
    }

    fn live(&self) -> Cmd {
        Cmd::new().arg("SMEMBERS").arg(self.server.key("live")).clone()
    }

    fn by_score(&self, command: &str, key: &str) -> Cmd {
        Cmd::new().arg(command).arg(self.server.key(key)).clone()
    }

    /// The numbers of batches that `asked` for, once it is known of each where it belongs, in order.
    async fn rested(&self, asked: &[&Cmd]) -> Result<Vec<u32>, LedgerError> {
        let mut all = redis::pipe();
        all.cmd("HGET").arg(self.server.key("meta")).arg("rested");
        for cmd in asked {
            all.add_command((*cmd).clone());
        }
        let mut answers: Vec<redis::Value> = self.server.ask_all(&all).await?;
        if answers.first() == Some(&redis::Value::Nil) {
            let _: u32 = self.server.run(&self.scripts.rested, &[]).await?;
            answers = self.server.ask_all(&all).await?;
        }
        let mut numbers: Vec<u32> = Vec::new();
        for answer in answers.into_iter().skip(1) {
            numbers.extend(read::<Vec<u32>>(answer)?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The numbers of all batches behind `after`, in order.
    async fn all(&self, after: Option<&BatchId>) -> Result<Vec<u32>, LedgerError> {
        let known: HashMap<String, u32> =
            self.server.ask(Cmd::new().arg("HGETALL").arg(self.server.key("names"))).await?;
        let from = match after {
            None => 0,
            Some(name) => match known.get(&name.folded()) {
                Some(number) => *number,
                None => return Ok(Vec::new()),
            },
        };
        let mut numbers: Vec<u32> = known.into_values().filter(|number| *number > from).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Of these batches the first `most` that are visible.
    async fn summaries(&self, numbers: &[u32], most: usize) -> Result<Vec<BatchSummary>, LedgerError> {
        let mut all = Vec::new();
        for chunk in numbers.chunks(CHUNK.min(most).max(1)) {
            if all.len() >= most {
                break;
            }
            let mut asked = redis::pipe();
            for number in chunk {
                asked.cmd("HGETALL").arg(self.server.key(&format!("b{number}")));
                asked.cmd("ZSCORE").arg(self.server.key("rest")).arg(*number);
            }
            let answers: Vec<redis::Value> = self.server.ask_all(&asked).await?;
            let mut answers = answers.into_iter();
            while let (Some(fields), Some(rested)) = (answers.next(), answers.next()) {
                let fields = read(fields)?;
                let rested: Option<u64> = read(rested)?;
                all.extend(summary(&fields, rested)?);
            }
        }
        all.truncate(most);
        Ok(all)
    }
}

/// What is said of a batch, if it is visible.
fn summary(fields: &HashMap<String, String>, rested: Option<u64>) -> Result<Option<BatchSummary>, LedgerError> {
    let text = |name: &str| fields.get(name).map_or("", String::as_str);
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    if number("published") == 0 {
        return Ok(None);
    }
    let name = text("name");
    let batch = BatchId::parse(name).map_err(|_| damaged("a batch's name", name.as_bytes()))?;
    let counts: BTreeMap<StateName, u64> =
        StateName::ALL.iter().map(|state| (*state, number(&format!("c:{state}")))).filter(|(_, n)| *n > 0).collect();
    let created = Timestamp::from_millis(number("created"));
    let set = |name: &str| fields.contains_key(name);
    let time = |name: &str, usual| fields.get(name).map_or(usual, |_| Timestamp::from_millis(number(name)));
    let credits = |name: &str| text(name).parse().ok().map(Credits::from_millis);
    let usual = BatchSettings::default();
    let settings = BatchSettings {
        weight: text("weight").parse().unwrap_or(usual.weight),
        priority: text("priority").parse().unwrap_or(usual.priority),
        range: TimeRange { from: time("from", usual.range.from), until: time("until", usual.range.until) },
        schedule: text("schedule").to_owned(),
        budget: credits("budget"),
    };
    Ok(Some(BatchSummary {
        batch,
        counts,
        paused: set("paused"),
        paused_because: fields.get("why").cloned(),
        cancelling: set("cancelling"),
        created,
        rested: rested.map(Timestamp::from_millis),
        terms: settings,
        credits: credits("credits").unwrap_or_default(),
    }))
}

impl RedisLedger {
    pub(super) async fn change_batch(&self, batch: &BatchId, new: &BatchUpdate) -> Result<(), LedgerError> {
        let update = settings(new).to_string();
        match self.server.run::<u8>(&self.scripts.update_batch, &texts([&batch.folded(), &update])).await? {
            0 => Err(LedgerError::UnknownBatch(batch.clone())),
            _ => Ok(()),
        }
    }
}

/// What `update_batch.lua` is to change.
fn settings(new: &BatchUpdate) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), json!(value));
        }
    };
    set("weight", new.weight.map(|weight| weight.to_string()));
    set("priority", new.priority.map(|priority| priority.to_string()));
    set("budget", new.budget.map(|budget| budget.map_or_else(String::new, |credits| credits.as_millis().to_string())));
    set("schedule", new.schedule.clone());
    set("from", new.range.map(|range| range.from.as_millis().to_string()));
    set("until", new.range.map(|range| range.until.as_millis().to_string()));
    set("only_if", new.only_if.clone());
    if let Some(flag) = &new.flag {
        let flag = match flag {
            BatchFlag::Paused(on) => json!({"name": "paused", "on": on}),
            BatchFlag::PausedBecause(why) => json!({"name": "paused", "on": true, "why": why}),
            BatchFlag::Cancelling(on) => json!({"name": "cancelling", "on": on}),
        };
        all.insert("flag".to_owned(), flag);
    }
    all.into()
}
