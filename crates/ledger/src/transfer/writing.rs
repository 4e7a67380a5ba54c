//! Writing an export: one line after the other, and at the end what they were.

use std::io::Write;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::ends::{end_at, shown};
use super::{End, ExportEntry, Sent, digits};
use crate::{LedgerError, LedgerUrl};

/// Lines that wait to be written.
const WAITING: usize = 1_000;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Batches.
    pub batches: u64,
    /// Jobs.
    pub jobs: u64,
    /// Jobs that another process is admitting right now: they are not in it.
    pub left_out: u64,
}

/// Writes everything that the ledger at `url` knows, as of one moment. Changes nothing.
///
/// # Errors
/// [`LedgerError::Transfer`] if it changed meanwhile (Redis), was moved, or the lines cannot be written.
pub async fn export(url: &LedgerUrl, to: &mut (dyn Write + Send)) -> Result<Exported, LedgerError> {
    let (sender, mut lines) = mpsc::channel(WAITING);
    let place = end_at(url).await?;
    let mut writing = Writing { to, digest: Sha256::new(), lines: 0, batches: 0, jobs: 0, tasks: 0, left_out: 0 };
    let sent = async {
        let sent = place.export(&shown(url), sender).await;
        // Only then the channel is closed.
        drop(place);
        sent
    };
    let written = async {
        while let Some(sent) = lines.recv().await {
            writing.take(sent)?;
        }
        Ok(())
    };
    // Whoever cannot write any more lets the sender end with an error of its own, which says less.
    let (sent, written) = tokio::join!(sent, written);
    written.and(sent)?;
    writing.end()
}

struct Writing<'a> {
    to: &'a mut (dyn Write + Send),
    digest: Sha256,
    lines: u64,
    batches: u64,
    jobs: u64,
    tasks: u64,
    left_out: u64,
}

impl Writing<'_> {
    fn take(&mut self, sent: Sent) -> Result<(), LedgerError> {
        match sent {
            Sent::Header(header) => self.line(serde_json::to_vec(&header)?),
            Sent::LeftOut(jobs) => {
                self.left_out += jobs;
                Ok(())
            }
            Sent::ExportEntry(entry) => {
                self.batches += u64::from(matches!(*entry, ExportEntry::Batch(_)));
                self.jobs += u64::from(matches!(*entry, ExportEntry::Job(_)));
                self.tasks += u64::from(matches!(*entry, ExportEntry::Task(_)));
                self.line(serde_json::to_vec(&entry)?)
            }
        }
    }

    fn line(&mut self, mut line: Vec<u8>) -> Result<(), LedgerError> {
        line.push(b'\n');
        self.digest.update(&line);
        self.lines += 1;
        self.to.write_all(&line).map_err(|error| unwritable(&error))
    }

    fn end(self) -> Result<Exported, LedgerError> {
        let Self { to, digest, lines, batches, jobs, tasks, left_out } = self;
        let end = End { lines, batches, jobs, tasks, left_out, sha256: digits(&digest.finalize()) };
        let mut line = serde_json::to_vec(&ExportEntry::End(end))?;
        line.push(b'\n');
        to.write_all(&line).and_then(|()| to.flush()).map_err(|error| unwritable(&error))?;
        Ok(Exported { batches, jobs, left_out })
    }
}

fn unwritable(error: &std::io::Error) -> LedgerError {
    LedgerError::Transfer(format!("the export cannot be written: {error}"))
}
