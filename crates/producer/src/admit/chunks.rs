//! The spool in chunks, read ahead.

use std::io;

use tokio::sync::mpsc;
use veobatch_ledger::{NewJob, STAGE_CHUNK};

use crate::check::checked::Checked;
use crate::formats::node::Place;

/// Chunks under way at the same time.
pub(crate) const IN_FLIGHT: usize = 3;

/// Jobs of one batch that go to the ledger together.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) batch: u32,
    pub(crate) jobs: Vec<NewJob>,
    /// Each job's file and place.
    pub(crate) places: Vec<(u32, Place)>,
}

/// Reads the spool ahead, on a thread for blocking work that ends when nobody listens any more.
pub(crate) fn chunks(checked: &Checked) -> mpsc::Receiver<io::Result<Chunk>> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let jobs = checked.spool.jobs();
    tokio::task::spawn_blocking(move || {
        let new =
            |batch| Chunk { batch, jobs: Vec::with_capacity(STAGE_CHUNK), places: Vec::with_capacity(STAGE_CHUNK) };
        let mut chunk = new(0);
        for spooled in jobs {
            let spooled = match spooled {
                Ok(spooled) => spooled,
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            if chunk.jobs.len() == STAGE_CHUNK || (spooled.batch != chunk.batch && !chunk.jobs.is_empty()) {
                let full = std::mem::replace(&mut chunk, new(spooled.batch));
                if sender.blocking_send(Ok(full)).is_err() {
                    return;
                }
            }
            chunk.batch = spooled.batch;
            chunk.places.push((spooled.file, spooled.at));
            chunk.jobs.push(spooled.job);
        }
        if !chunk.jobs.is_empty() {
            let _ = sender.blocking_send(Ok(chunk));
        }
    });
    receiver
}
