//! The options of a batch on the command line; what they do not name, the files decide.

use clap::Args;
use veobatch_core::{Credits, Cron, ScheduleError, Start, Window};
use veobatch_producer::{BatchOptions, Setting, parse_budget, parse_priority, parse_weight};

use crate::failure::{Failure, Result};

/// The options of a batch.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Batch options (override the file; `none` clears)")]
pub(crate) struct BatchOptionArgs {
    /// Share of the slots at equal priority, 1 to 1000
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = weight)]
    weight: Option<u16>,

    /// Rank among the batches, -100 to 100; higher goes first
    #[arg(long, hide_short_help = true, alias = "batch-priority", value_name = "N", allow_negative_numbers = true)]
    priority: Option<i16>,

    /// Most credits that all attempts together may cost
    #[arg(long, hide_short_help = true, value_name = "CREDITS", value_parser = budget)]
    budget: Option<Setting<Credits>>,

    /// Submit nothing before, such as "2026-11-23 22:00 UTC"
    ///
    /// With a time zone, "2026-11-23 22:00 Europe/Berlin", or an offset, 2026-11-23T22:00:00+01:00.
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = start_at)]
    start_at: Option<Setting<Start>>,

    /// Submit only then, such as "22:00-06:00 Europe/Berlin"
    ///
    /// With days: "mon-fri 22:00-06:00 Europe/Berlin".
    #[arg(long, hide_short_help = true, value_name = "HOURS", value_parser = window_or_none)]
    window: Option<Setting<Window>>,

    /// Run the jobs at times such as "0 22 * * 1-5 UTC"
    ///
    /// Minute, hour, day of the month, month, day of the week, and the time zone. Each run is paid for anew.
    #[arg(long, hide_short_help = true, value_name = "CRON", value_parser = cron)]
    cron: Option<Setting<Cron>>,
}

impl BatchOptionArgs {
    /// What they ask for.
    pub(crate) fn options(&self) -> Result<BatchOptions> {
        // Queued jobs have a wider range, so this is not checked as it is read.
        let priority = self.priority.map(|priority| parse_priority(&priority.to_string())).transpose();
        let priority = priority.map_err(|range| Failure::bad_input("use --priority").since(wanted(&range)))?;
        Ok(BatchOptions {
            weight: self.weight,
            priority,
            budget: self.budget.unwrap_or_default(),
            start_at: self.start_at.clone().unwrap_or_default(),
            window: self.window.clone().unwrap_or_default(),
            cron: self.cron.clone().unwrap_or_default(),
        })
    }

    /// Whether none is given.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The priority, if nothing else is given.
    pub(crate) fn only_priority(&self) -> Option<i16> {
        self.priority.filter(|_| *self == Self { priority: self.priority, ..Self::default() })
    }
}

fn wanted(words: &str) -> String {
    format!("it must be {words}")
}

fn weight(text: &str) -> std::result::Result<u16, String> {
    parse_weight(text).map_err(|words| wanted(&words))
}

fn budget(text: &str) -> std::result::Result<Setting<Credits>, String> {
    Setting::parse(text, parse_budget).map_err(|words| wanted(&words))
}

fn start_at(text: &str) -> std::result::Result<Setting<Start>, ScheduleError> {
    Setting::parse(text, Start::parse)
}

fn window_or_none(text: &str) -> std::result::Result<Setting<Window>, ScheduleError> {
    Setting::parse(text, Window::parse)
}

fn cron(text: &str) -> std::result::Result<Setting<Cron>, ScheduleError> {
    Setting::parse(text, Cron::parse)
}
