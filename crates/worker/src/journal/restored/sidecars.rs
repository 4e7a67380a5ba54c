//! Replays the sidecars of the output directory into a ledger that forgot them: the job is done with the task they name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use veobatch_core::{
    Attempt, BatchId, Event, Files, JobId, JobKey, Outcome, PollPolicy, Progress, Record, State, Token, Upgrade,
};
use veobatch_ledger::{Change, Changed, Ledger, LedgerError, Lookup, change};

use crate::WorkError;
use crate::journal::replay::Replayed;
use crate::runtime::backoff::Backoff;
use crate::runtime::{blocking, random};
use crate::save::sidecar::{self, Found, Sidecar};

/// Replays every sidecar below `output`.
pub(super) async fn replay(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    output: &Path,
    backoff: &mut Backoff,
) -> Result<Replayed, WorkError> {
    let unreadable = |error: io::Error| {
        WorkError::Directory(format!("the sidecars in {} cannot be read: {error}", output.display()))
    };
    let root = output.to_owned();
    let folders = blocking::run(move || folders(&root)).await.flatten().map_err(unreadable)?;
    let mut told = Replayed::everything();
    for (batch, folder) in folders {
        let at = folder.clone();
        let saved = blocking::run(move || saved_in(&at, &batch)).await.flatten().map_err(unreadable)?;
        for one in saved {
            replay_one(ledger, policy, &one, backoff, &mut told).await?;
        }
    }
    Ok(told)
}

/// A sidecar that was found.
struct Saved {
    key: JobKey,
    sidecar: Sidecar,
    /// It is the job's own, and its files exist.
    is_whole: bool,
}

fn folders(root: &Path) -> io::Result<Vec<(BatchId, PathBuf)>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let batch = entry.file_name().to_str().and_then(|name| BatchId::parse(name).ok());
        if let Some(batch) = batch.filter(|_| entry.path().is_dir()) {
            folders.push((batch, entry.path()));
        }
    }
    Ok(folders)
}

/// The sidecars in a batch's folder. A job's own come first, since those of strays matter only to a job without one.
fn saved_in(folder: &Path, batch: &BatchId) -> io::Result<Vec<Saved>> {
    let mut saved = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "json") || stem.starts_with('.') {
            continue;
        }
        let Found::Sidecar(sidecar) = sidecar::read(folder, stem)? else { continue };
        let Some(job) = JobId::parse(&sidecar.job).ok().filter(|_| sidecar.batch == batch.as_str()) else { continue };
        let is_own = stem == job.as_str();
        let is_whole = is_own && sidecar.has_files(folder)?;
        saved.push((!is_own, Saved { key: JobKey { batch: batch.clone(), job }, sidecar: *sidecar, is_whole }));
    }
    saved.sort_by_key(|(is_beside, _)| *is_beside);
    Ok(saved.into_iter().map(|(_, saved)| saved).collect())
}

async fn replay_one(
    ledger: &dyn Ledger,
    policy: &PollPolicy,
    saved: &Saved,
    backoff: &mut Backoff,
    told: &mut Replayed,
) -> Result<(), WorkError> {
    let Saved { key, sidecar, is_whole } = saved;
    let stored = match ledger.find(Lookup::Name(key)).await {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            told.gone.insert(key.clone());
            return Ok(());
        }
        // It is not granted, so it is not paid for again.
        Err(LedgerError::Unreadable { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Forgotten and enqueued again with another content: this is another job's video.
    let is_another = sidecar.prompt.as_ref().is_some_and(|prompt| !stored.compacted && *prompt != stored.spec.prompt);
    if is_another || matches!(stored.record.state, State::Done { .. }) {
        return Ok(());
    }
    let task = &sidecar.task_id;
    for event in events(&stored.record, sidecar, *is_whole) {
        let Some(stored) = ledger.find(Lookup::Name(key)).await? else { break };
        let change_of = Change { event: &event, lease: None, settle: None, jitter: random::jitter(), policy };
        match change(ledger, stored, &change_of, backoff).await {
            Ok(Changed::Moved { .. }) => {
                told.moved.insert(key.clone());
            }
            Ok(Changed::Same(_) | Changed::Lost) => {}
            Err(LedgerError::TaskTaken { by }) => {
                warn!(job = %key, %task, %by, "a sidecar names a task that belongs to another job");
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    info!(job = %key, %task, "replayed from its sidecar");
    Ok(())
}

/// What happened according to a sidecar: the attempt was accepted; and if its files exist, they were made, in the requested
/// size or the nearest one, and saved. No larger version is paid for again.
fn events(record: &Record, sidecar: &Sidecar, is_whole: bool) -> Vec<Event> {
    let (task, token) = (sidecar.task_id.clone(), token_of(&record.state, sidecar));
    let mut events = vec![Event::Submission { token, outcome: Outcome::Accepted(task.clone()) }];
    let count = u32::try_from(sidecar.files.len()).ok().filter(|_| is_whole);
    if let Some(count) = count {
        let urls: Vec<String> = sidecar.files.iter().map(|file| file.source.clone()).collect();
        let to = record.resolution;
        let progress = Progress::Made { urls: urls.clone(), resolution: Some(to) };
        events.push(Event::Polled { task: task.clone(), progress });
        if let Some(url) = urls.into_iter().next() {
            events.push(Event::Upgraded { task: task.clone(), to, upgrade: Upgrade::Ready(url) });
        }
        let remark = sidecar.remark.clone();
        events.push(Event::Saved { task, files: Files::Usual(count), remark });
    }
    events
}

/// The token of the open attempt, if the sidecar belongs to it; otherwise one that the job does not know.
fn token_of(state: &State, sidecar: &Sidecar) -> Token {
    match state {
        State::Submitting { attempt: Attempt { token, number, .. } }
        | State::InDoubt { attempt: Attempt { token, number, .. }, .. }
            if *number == sidecar.attempt =>
        {
            token.clone()
        }
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => Token::of_attempt(random::bits(), false),
    }
}
