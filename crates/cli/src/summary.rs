//! The end of a run: what became of its batches, and what to do about the rest.

use std::path::Path;

use veobatch_core::{Credits, Schedule, StateName};
use veobatch_ledger::{BatchSummary, Ledger};

use crate::exit::{DONE, UNFINISHED};
use crate::failure::Result;
use crate::findings::Findings;
use crate::outlook::Outlook;
use crate::say;
use crate::table::plain;
use crate::words;

/// Says what became of `batches`, and returns the exit code that says the same.
pub(crate) async fn tell(ledger: &dyn Ledger, batches: &[BatchSummary], output: &Path) -> Result<u8> {
    let outlook = Outlook::of(ledger, &[]).await?.priced(ledger, batches).await?;
    for batch in batches {
        if Schedule::recurs(&batch.terms.schedule) {
            for line in outlook.lines(std::slice::from_ref(batch)) {
                say::words(line);
            }
            say::words("  its runs are made, and worked on, by: veobatch worker");
            continue;
        }
        let because = batch.paused_because.as_ref().map(|why| format!(" ({})", plain(why, 300))).unwrap_or_default();
        let paused =
            if batch.paused { format!("; paused{because}: veobatch resume {}", batch.batch) } else { String::new() };
        say::words(format_args!("{}: {}{paused}", batch.batch, words::counts(batch)));
        if batch.count(StateName::Done) > 0 {
            say::words(format_args!("  videos: {}", output.join(batch.batch.as_str()).display()));
        }
    }
    let findings = Findings::of(ledger, batches, false).await?;
    for line in words::findings(&findings) {
        say::words(line);
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
