//! What a file, or the command line, asks for a whole batch: its share, its rank, its budget, when it may submit.
//!
//! What is not named stays as it is, `none` takes it away. The same words are understood in a document's top-level fields
//! and as options, so both are read here.

use veobatch_core::{
    BatchId, BatchSettings, Credits, Cron, MAX_BATCH_PRIORITY, MAX_NAME_BYTES, MAX_STAMP_BYTES, MAX_WEIGHT, Schedule,
    ScheduleError, Start, Timestamp, Window,
};

use crate::formats::node::{Node, Shape};
use crate::problem::Problem;

/// The largest budget; far more than any account has, and exact in every ledger.
const MAX_BUDGET: f64 = 1e9;

/// What becomes of a term that a batch may have or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Setting<T> {
    /// Nothing is said: it stays.
    #[default]
    Keep,
    /// It is taken away.
    Clear,
    /// It becomes this.
    Set(T),
}

/// What is asked for a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchOptions {
    /// Its share of the slots.
    pub weight: Option<u16>,
    /// Its rank among the batches.
    pub priority: Option<i16>,
    /// What all its attempts together may cost.
    pub budget: Setting<Credits>,
    /// Not before.
    pub start_at: Setting<Start>,
    /// Only then.
    pub window: Setting<Window>,
    /// Made anew at each of these instants.
    pub cron: Setting<Cron>,
}

/// The fields of a document that are a batch's terms.
pub(crate) const FIELDS: &[&str] = &["weight", "priority", "budget", "start_at", "window", "cron"];

impl<T: Clone> Setting<T> {
    /// Reads `none`, or what `parse` reads.
    pub fn parse<E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Self, E> {
        if text.trim() == "none" { Ok(Self::Clear) } else { parse(text).map(Self::Set) }
    }

    /// What is there in the end, if `before` was there.
    pub(crate) fn over(&self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value.clone()),
        }
    }

    fn or(&self, other: &Self) -> Self {
        if matches!(self, Self::Keep) { other.clone() } else { self.clone() }
    }
}

impl BatchOptions {
    /// What this names, and for the rest what `other` names.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            weight: self.weight.or(other.weight),
            priority: self.priority.or(other.priority),
            budget: self.budget.or(&other.budget),
            start_at: self.start_at.or(&other.start_at),
            window: self.window.or(&other.window),
            cron: self.cron.or(&other.cron),
        }
    }

    /// Reads one of [`FIELDS`] of a document.
    pub(crate) fn set(&mut self, field: &str, node: &Node<'_>) -> Result<(), Box<Problem>> {
        let shown = node.shown().unwrap_or_default();
        let number = || match &node.shape {
            Shape::Number(number) => Ok(number.to_string()),
            Shape::Text(text) if field == "budget" && text.trim() == "none" => Ok("none".to_owned()),
            Shape::Null
            | Shape::Bool(_)
            | Shape::Text(_)
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::Unrepresentable(_) => {
                let unquoted =
                    shown.trim().parse::<f64>().ok().map(|_| format!("write it without quotes: {}", shown.trim()));
                let problem = Problem::new(format!("`{field}` must be a number, not {}", node.kind()));
                Err(Box::new(problem.text_if(node.shown()).hint_if(unquoted)))
            }
        };
        let text = || match &node.shape {
            Shape::Text(text) => Ok(text.as_ref()),
            Shape::Null
            | Shape::Bool(_)
            | Shape::Number(_)
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::Unrepresentable(_) => {
                let problem = Problem::new(format!("`{field}` must be text, not {}", node.kind()));
                Err(Box::new(problem.text_if(node.shown())))
            }
        };
        let wrong = |error: ScheduleError| {
            let problem = Problem::new(format!("`{field}`: {}", error.message)).text(&shown);
            Box::new(problem.hint_if(error.hint))
        };
        let range = |message: String| Box::new(Problem::new(format!("`{field}` must be {message}")).text(&shown));
        match field {
            "weight" => self.weight = Some(parse_weight(&number()?).map_err(range)?),
            "priority" => self.priority = Some(parse_priority(&number()?).map_err(range)?),
            "budget" => self.budget = Setting::parse(&number()?, parse_budget).map_err(range)?,
            "start_at" => self.start_at = Setting::parse(text()?, Start::parse).map_err(wrong)?,
            "window" => self.window = Setting::parse(text()?, Window::parse).map_err(wrong)?,
            _ => self.cron = Setting::parse(text()?, Cron::parse).map_err(wrong)?,
        }
        Ok(())
    }

    /// The fields that both name, with different values.
    pub(crate) fn contradicts(&self, other: &Self) -> Vec<&'static str> {
        let joined = self.or(other);
        let same = [
            other.weight.is_none() || joined.weight == other.weight,
            other.priority.is_none() || joined.priority == other.priority,
            other.budget == Setting::Keep || joined.budget == other.budget,
            other.start_at == Setting::Keep || joined.start_at == other.start_at,
            other.window == Setting::Keep || joined.window == other.window,
            other.cron == Setting::Keep || joined.cron == other.cron,
        ];
        FIELDS.iter().zip(same).filter(|(_, same)| !same).map(|(field, _)| *field).collect()
    }

    /// Whether `batch` can have these settings.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, batch: &BatchId) -> Result<(), Box<Problem>> {
        let room = MAX_NAME_BYTES - MAX_STAMP_BYTES;
        if !matches!(self.cron, Setting::Set(_)) || batch.as_str().len() <= room {
            return Ok(());
        }
        let problem = Problem::new(format!("the name of a recurring batch has at most {room} bytes"));
        Err(Box::new(problem.text(batch.as_str()).hint("the date is added to it for each run; choose a shorter name")))
    }

    /// The schedule that a batch has from now on, if it had `before`.
    pub fn schedule(&self, before: &Schedule, now: Timestamp) -> Schedule {
        let start_at = self.start_at.over(before.start_at.clone());
        let cron = match (&self.cron, &before.cron) {
            // What it has made is not made again because its file is enqueued again.
            (Setting::Set(asked), Some(known)) if known.is_like(asked) => Some(known.clone()),
            (Setting::Set(asked), _) => Some(asked.clone().since(now)),
            (Setting::Keep, known) => known.clone(),
            (Setting::Clear, _) => None,
        };
        let first = start_at.as_ref().map(|start| Timestamp::from_millis(start.at().as_millis().saturating_sub(1)));
        let cron = cron.map(|cron| cron.since(first.unwrap_or_default()));
        Schedule { start_at, window: self.window.over(before.window.clone()), cron }
    }

    /// The terms of a batch that had `before`.
    pub fn terms(&self, before: &BatchSettings, now: Timestamp) -> Result<BatchSettings, ScheduleError> {
        let schedule = self.schedule(&Schedule::parse(&before.schedule)?, now);
        Ok(BatchSettings {
            weight: self.weight.unwrap_or(before.weight),
            priority: self.priority.unwrap_or(before.priority),
            range: schedule.open_range(now),
            schedule: schedule.to_string(),
            budget: self.budget.over(before.budget),
        })
    }
}

/// Reads a share. The error completes "must be …".
pub fn parse_weight(text: &str) -> Result<u16, String> {
    let weight = text.trim().parse().ok().filter(|weight| (1..=MAX_WEIGHT).contains(weight));
    weight.ok_or_else(|| format!("a whole number from 1 to {MAX_WEIGHT}"))
}

/// Reads a rank among batches. The error completes "must be …".
pub fn parse_priority(text: &str) -> Result<i16, String> {
    let range = -MAX_BATCH_PRIORITY..=MAX_BATCH_PRIORITY;
    let priority = text.trim().parse().ok().filter(|priority| range.contains(priority));
    priority.ok_or_else(|| format!("a whole number from -{MAX_BATCH_PRIORITY} to {MAX_BATCH_PRIORITY}"))
}

/// Reads a budget in credits. The error completes "must be …".
pub fn parse_budget(text: &str) -> Result<Credits, String> {
    let credits = text.trim().parse().ok().filter(|credits: &f64| (0.0..=MAX_BUDGET).contains(credits));
    credits.map(Credits::from_f64).ok_or_else(|| "an amount of credits, such as 5000, or none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn asked(window: Setting<&str>, cron: Setting<&str>) -> BatchOptions {
        fn read<T: Clone>(wish: Setting<&str>, parse: impl Fn(&str) -> Result<T, ScheduleError>) -> Setting<T> {
            match wish {
                Setting::Keep => Setting::Keep,
                Setting::Clear => Setting::Clear,
                Setting::Set(text) => Setting::Set(parse(text).unwrap()),
            }
        }
        BatchOptions { window: read(window, Window::parse), cron: read(cron, Cron::parse), ..BatchOptions::default() }
    }

    #[test]
    fn what_is_not_named_stays_and_none_takes_it_away() {
        let now = at("2026-11-23T12:00:00Z");
        let first = BatchOptions {
            weight: Some(3),
            budget: Setting::Set(Credits::whole(600)),
            ..asked(Setting::Set("22:00-06:00 UTC"), Setting::Keep)
        };
        let terms = first.terms(&BatchSettings::default(), now).unwrap();
        assert_eq!(
            (terms.weight, terms.budget, terms.schedule.as_str()),
            (3, Some(Credits::whole(600)), "window 22:00-06:00 UTC")
        );
        assert_eq!(terms.range.from, at("2026-11-23T22:00:00Z"));
        assert_eq!(BatchOptions::default().terms(&terms, now), Ok(terms.clone()));
        let after =
            BatchOptions { priority: Some(-5), ..asked(Setting::Clear, Setting::Keep) }.terms(&terms, now).unwrap();
        assert_eq!(after, BatchSettings { weight: 3, priority: -5, budget: terms.budget, ..BatchSettings::default() });
    }

    #[test]
    fn a_recurrence_begins_when_it_is_asked_for_or_starts_and_asking_again_repeats_nothing() {
        let now = at("2026-11-23T22:30:00Z");
        let nightly = asked(Setting::Keep, Setting::Set("0 22 * * * UTC"));
        let pending = |schedule: &Schedule| schedule.cron.as_ref().and_then(Cron::pending).map(|at| at.to_string());
        let first = nightly.schedule(&Schedule::default(), now);
        assert_eq!(pending(&first).as_deref(), Some("2026-11-24T22:00:00Z"));
        let later = nightly.schedule(&first, at("2026-11-25T12:00:00Z"));
        assert_eq!(later, first);
        let other = asked(Setting::Keep, Setting::Set("0 23 * * * UTC")).schedule(&first, at("2026-11-25T12:00:00Z"));
        assert_eq!(pending(&other).as_deref(), Some("2026-11-25T23:00:00Z"));
        let start_at = Setting::Set(Start::parse("2026-12-01 22:00 UTC").unwrap());
        let started = BatchOptions { start_at, ..nightly }.schedule(&Schedule::default(), now);
        assert_eq!(pending(&started).as_deref(), Some("2026-12-01T22:00:00Z"));
    }

    #[test]
    fn an_option_wins_over_the_file_and_two_files_must_agree() {
        let file = BatchOptions { weight: Some(2), ..asked(Setting::Set("22:00-06:00 UTC"), Setting::Keep) };
        let option = BatchOptions { weight: Some(5), ..asked(Setting::Clear, Setting::Keep) };
        assert_eq!(option.or(&file), option);
        assert_eq!(BatchOptions::default().or(&file), file);
        assert_eq!(file.contradicts(&option), ["weight", "window"]);
        assert!(file.contradicts(&file).is_empty() && file.contradicts(&BatchOptions::default()).is_empty());
    }
}
