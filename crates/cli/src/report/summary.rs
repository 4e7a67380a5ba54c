//! The end of a run: what became of its batches, and what to do about the rest.

use std::path::Path;

use veobatch_core::{Credits, Schedule, StateName};
use veobatch_ledger::{BatchSummary, Ledger};

use crate::exit::{DONE, UNFINISHED};
use crate::failure::Result;
use crate::output::table::plain;
use crate::output::ui;
use crate::report::attention::{self, Attention};
use crate::report::forecast::Forecasts;
use crate::report::messages;

/// Says what became of `batches`, and returns the exit code that says the same.
pub(crate) async fn tell(ledger: &dyn Ledger, batches: &[BatchSummary], output: &Path) -> Result<u8> {
    let forecasts = Forecasts::of(ledger, &[]).await?.priced(ledger, batches).await?;
    for batch in batches {
        if Schedule::recurs(&batch.terms.schedule) {
            for line in forecasts.lines(std::slice::from_ref(batch)) {
                ui::message(line);
            }
            ui::message("  a worker makes its runs: veobatch worker");
            continue;
        }
        let because = batch.paused_because.as_ref().map(|why| format!(" ({})", plain(why, 300))).unwrap_or_default();
        let paused =
            if batch.paused { format!("; paused{because}: veobatch resume {}", batch.batch) } else { String::new() };
        ui::message(format_args!("{}: {}{paused}", batch.batch, messages::counts(batch)));
        if batch.count(StateName::Done) > 0 {
            ui::message(format_args!("  videos: {}", output.join(batch.batch.as_str()).display()));
        }
    }
    let attention = Attention::of(ledger, batches, false).await?;
    for line in attention::text::lines(&attention) {
        ui::message(line);
    }
    Ok(code(batches))
}

/// What `batches` have cost so far, by the price list.
pub(crate) fn spent(batches: &[BatchSummary]) -> Credits {
    batches.iter().map(|batch| batch.credits).sum()
}

/// [`DONE`] only if every job is; those of a template are not to be done themselves.
pub(crate) fn code(batches: &[BatchSummary]) -> u8 {
    let is_template = |batch: &BatchSummary| Schedule::recurs(&batch.terms.schedule);
    let is_done = batches.iter().all(|batch| is_template(batch) || batch.count(StateName::Done) == batch.total());
    if is_done { DONE } else { UNFINISHED }
}
