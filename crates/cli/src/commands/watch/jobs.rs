//! `veobatch jobs`: the jobs of a batch, one line each.

use clap::Args;
use clap::builder::PossibleValuesParser;
use veobatch_core::{BatchId, JobId, StateName};
use veobatch_ledger::{BatchSummary, Ledger, Stored, Unreadable};

use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::{Failure, Result, UNREADABLE};
use crate::output::format::{counted, number};
use crate::output::table::{Table, plain};
use crate::output::ui;
use crate::report::attention::unreadable_of;
use crate::report::{json, messages};
use crate::session::Session;
use crate::session::lookup;

/// Jobs that are read at a time.
const PAGE: usize = 1000;

/// Lines that people are shown unless they ask for more.
const LINES: usize = 100;

/// List the jobs of a batch, in file order
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch jobs garden
  veobatch jobs garden --state failed
  veobatch jobs garden --after cat-100 --limit 100
  veobatch jobs garden --json | jq -r '.[] | select(.state == \"done\") | .files[]'

Without --limit: every job with --json, the first 100 otherwise.
Exits with 2 if the batch is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Jobs {
    /// The batch
    batch: String,

    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(states()))]
    state: Option<String>,

    /// At most N jobs
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only jobs after this one
    #[arg(long, value_name = "JOB")]
    after: Option<String>,
}

fn states() -> Vec<&'static str> {
    StateName::ALL.iter().map(|state| state.as_str()).collect()
}

impl Jobs {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let summary = lookup::batch(ledger, &self.batch).await?;
        let state = self.state.as_deref().and_then(StateName::parse);
        let after = match &self.after {
            Some(name) => Some(lookup::job(ledger, &summary.batch, name).await?.key.job),
            None => None,
        };
        let mut pages = Pages { ledger, batch: &summary.batch, state, after, left: self.limit.unwrap_or(usize::MAX) };
        if settings.json {
            return document(&mut pages, &summary).await;
        }
        if self.limit.is_none() {
            pages.left = LINES;
        }
        let mut shown = 0;
        while let Some(page) = pages.next().await? {
            for line in table(&page).lines() {
                ui::data(line)?;
            }
            shown += page.len();
        }
        let unreadable = pages.unreadable(&summary).await?;
        shown += unreadable.len();
        for line in unreadable_table(&unreadable).lines() {
            ui::data(line)?;
        }
        if !unreadable.is_empty() {
            ui::message(UNREADABLE);
        }
        let all = state.map_or(summary.total(), |state| summary.count(state));
        if self.limit.is_none() && shown >= LINES {
            pages.left = 1;
            let last = pages.after.clone();
            if let (Some(last), Some(_)) = (last, pages.next().await?) {
                let (shown, all) = (number(LINES as u64), counted(all, "job"));
                let name = &summary.batch;
                ui::message(format_args!("{shown} of {all} shown; the next: veobatch jobs {name} --after {last}"));
            }
        }
        Ok(DONE)
    }
}

/// A batch's jobs, page by page.
struct Pages<'a> {
    ledger: &'a dyn Ledger,
    batch: &'a BatchId,
    state: Option<StateName>,
    after: Option<JobId>,
    left: usize,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Stored>>> {
        let want = self.left.min(PAGE);
        if want == 0 {
            return Ok(None);
        }
        let page = self.ledger.page(self.batch, self.state.into(), self.after.as_ref(), want).await?;
        self.left = if page.len() < want { 0 } else { self.left - page.len() };
        match page.last() {
            Some(last) => self.after = Some(last.key.job.clone()),
            None => return Ok(None),
        }
        Ok(Some(page))
    }

    /// Those that this program cannot read, once the pages came to their end; they come last.
    async fn unreadable(&self, batch: &BatchSummary) -> Result<Vec<Unreadable>> {
        if self.left > 0 {
            return Ok(Vec::new());
        }
        let mut all = unreadable_of(self.ledger, std::slice::from_ref(batch)).await?;
        all.retain(|job| self.state.is_none() || job.state.is_none() || self.state == job.state);
        Ok(all)
    }
}

/// Prints a list of all jobs as they are read: a batch may have more of them than fit into memory.
async fn document(pages: &mut Pages<'_>, batch: &BatchSummary) -> Result<u8> {
    let mut text = String::from("[");
    let mut separator = "\n";
    let mut add = |text: &mut String, job: &json::Job<'_>| {
        let job = serde_json::to_string(job)
            .map_err(|error| Failure::unavailable("write the answer as JSON").because(&error))?;
        text.push_str(std::mem::replace(&mut separator, ",\n"));
        text.push_str(&job);
        Ok::<_, Failure>(())
    };
    while let Some(page) = pages.next().await? {
        for stored in &page {
            add(&mut text, &json::Job::of(stored))?;
        }
        ui::raw(text.as_bytes())?;
        text.clear();
    }
    for job in &pages.unreadable(batch).await? {
        add(&mut text, &json::Job::unreadable(job))?;
    }
    text.push_str("\n]\n");
    ui::raw(text.as_bytes())?;
    Ok(DONE)
}

fn table(jobs: &[Stored]) -> Table {
    let mut table = Table::new(usize::MAX);
    for stored in jobs {
        let record = &stored.record;
        let detail = json::error(record)
            .map(|error| plain(error, 100))
            .or_else(|| json::files(stored).first().cloned())
            .or_else(|| record.trouble.as_deref().map(|trouble| plain(trouble, 100)))
            .unwrap_or_else(|| plain(&stored.spec.prompt, 60));
        table.row([stored.key.job.to_string(), messages::spoken(record.state.name()).to_owned(), detail]);
    }
    table
}

fn unreadable_table(jobs: &[Unreadable]) -> Table {
    let mut table = Table::new(usize::MAX);
    for job in jobs {
        let state = job.state.map_or("unknown", messages::spoken);
        let detail = format!("cannot be read by this version: {}", plain(&job.why, 100));
        table.row([job.key.job.to_string(), state.to_owned(), detail]);
    }
    table
}
