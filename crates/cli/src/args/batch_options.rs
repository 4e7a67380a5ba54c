//! What the command line asks for the batches of its files; the files' own words hold where it says nothing.

use clap::Args;
use veobatch_core::{Credits, Cron, ScheduleError, Start, Window};
use veobatch_producer::{BatchOptions, Setting, parse_budget, parse_priority, parse_weight};

/// The terms of the batches, as options.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is asked for the batches (wins over the files; `none` takes it away)")]
pub(crate) struct BatchOptionArgs {
    /// Share of the slots among batches of the same priority, 1 to 1000
    #[arg(long, value_name = "N", value_parser = weight)]
    weight: Option<u16>,

    /// Rank among the batches, -100 to 100; higher goes first, whatever the shares
    #[arg(long, alias = "priority", value_name = "N", allow_negative_numbers = true, value_parser = priority)]
    batch_priority: Option<i16>,

    /// What all attempts together may cost
    #[arg(long, value_name = "CREDITS", value_parser = budget)]
    budget: Option<Setting<Credits>>,

    /// Submit nothing before: "2026-11-23 22:00 Europe/Berlin", or 2026-11-23T22:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = start_at)]
    start_at: Option<Setting<Start>>,

    /// Submit only then: "22:00-06:00 Europe/Berlin", or "mon-fri 22:00-06:00 Europe/Berlin"
    #[arg(long, value_name = "HOURS", value_parser = window_or_none)]
    window: Option<Setting<Window>>,

    /// Make a batch of these jobs again and again: "0 22 * * 1-5 Europe/Berlin"
    #[arg(long, value_name = "CRON", value_parser = cron)]
    cron: Option<Setting<Cron>>,
}

impl BatchOptionArgs {
    /// What they ask for.
    pub(crate) fn options(&self) -> BatchOptions {
        BatchOptions {
            weight: self.weight,
            priority: self.batch_priority,
            budget: self.budget.unwrap_or_default(),
            start_at: self.start_at.clone().unwrap_or_default(),
            window: self.window.clone().unwrap_or_default(),
            cron: self.cron.clone().unwrap_or_default(),
        }
    }
}

fn wanted(words: &str) -> String {
    format!("it has to be {words}")
}

fn weight(text: &str) -> Result<u16, String> {
    parse_weight(text).map_err(|words| wanted(&words))
}

fn priority(text: &str) -> Result<i16, String> {
    parse_priority(text).map_err(|words| wanted(&words))
}

fn budget(text: &str) -> Result<Setting<Credits>, String> {
    Setting::parse(text, parse_budget).map_err(|words| wanted(&words))
}

fn start_at(text: &str) -> Result<Setting<Start>, ScheduleError> {
    Setting::parse(text, Start::parse)
}

fn window_or_none(text: &str) -> Result<Setting<Window>, ScheduleError> {
    Setting::parse(text, Window::parse)
}

fn cron(text: &str) -> Result<Setting<Cron>, ScheduleError> {
    Setting::parse(text, Cron::parse)
}
