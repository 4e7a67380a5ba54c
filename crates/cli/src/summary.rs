//! The end of a run: what became of its batches, and what to do about the rest.

use std::path::Path;

use veobatch_core::StateName;
use veobatch_ledger::{BatchSummary, Ledger};

use crate::exit::{DONE, UNFINISHED};
use crate::failure::Result;
use crate::findings::Findings;
use crate::say;
use crate::words;

/// Says what became of `batches`, and returns the exit code that says the same.
pub(crate) async fn tell(ledger: &dyn Ledger, batches: &[BatchSummary], output: &Path) -> Result<u8> {
    for batch in batches {
        let paused = if batch.paused { "; paused: veobatch resume " } else { "" };
        let name = if batch.paused { batch.batch.as_str() } else { "" };
        say::words(format_args!("{}: {}{paused}{name}", batch.batch, words::counts(batch)));
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

/// [`DONE`] only if every job is.
pub(crate) fn code(batches: &[BatchSummary]) -> u8 {
    let is_done = batches.iter().all(|batch| batch.count(StateName::Done) == batch.total());
    if is_done { DONE } else { UNFINISHED }
}
