//! What must be true once everything has come to rest.

use std::fs;
use std::path::Path;

use veobatch_core::{FailureKind, Record, State, StateName, Stray, StrayState};
use veobatch_ledger::{JobFilter, Stored};

use crate::journal::line::findings;
use crate::simulation::prompt_file::PromptFile;
use crate::simulation::scene::Scene;
use crate::simulation::state::service::{Orders, Task, TaskEnd, content};

/// Looks at everything; each violation breaks the state.
pub(super) async fn check(scene: &Scene, files: &[PromptFile]) {
    for file in files {
        let jobs = scene.ledger.page(&file.batch, JobFilter::All, None, 1000).await.unwrap();
        if jobs.len() != file.jobs.len() {
            scene.state.violated(format!("{} of {} jobs are in the ledger", jobs.len(), file.jobs.len()));
        }
        for stored in &jobs {
            if let Err(words) = job(scene, stored) {
                scene.state.violated(format!("{}: {words}; {:?}", stored.key, stored.record));
            }
        }
        recount(scene, file, &jobs).await;
    }
    for dir in fs::read_dir(&scene.dir).unwrap().flatten() {
        let is_state = dir.file_name().to_string_lossy().starts_with("state-");
        if is_state && left_open(&dir.path(), scene.rewinds) > 0 {
            scene.state.violated(format!("a journal is left in {}", dir.path().display()));
        }
    }
}

/// Journals in `dir` with something to tell; with those that are only remembered, unless the ledger `rewinds`.
pub(super) fn left_open(dir: &Path, rewinds: bool) -> usize {
    let Ok(journals) = fs::read_dir(dir) else { return 0 };
    let is_open = |path: &Path| !findings(&fs::read(path).unwrap_or_default()).open.is_empty();
    let journals = journals.flatten().filter(|file| file.file_name().to_string_lossy().starts_with("journal-"));
    journals.filter(|journal| !rewinds || is_open(&journal.path())).count()
}

async fn recount(scene: &Scene, file: &PromptFile, jobs: &[Stored]) {
    let batches = scene.ledger.batches().await.unwrap();
    let summary = batches.iter().find(|batch| batch.batch == file.batch).unwrap();
    for state in StateName::ALL {
        let count = jobs.iter().filter(|stored| stored.record.state.name() == *state).count() as u64;
        if summary.count(*state) != count {
            scene.state.violated(format!("{count} jobs are {state}, and {} are counted", summary.count(*state)));
        }
    }
    let doubted = jobs.iter().filter(|stored| stored.record.state.name() == StateName::InDoubt).count();
    let flying = scene.ledger.account(0).await.unwrap().in_flight;
    if jobs.iter().all(|stored| stored.record.state.name().is_settled()) && doubted == 0 && flying > 100 {
        scene.state.violated(format!("{flying} are counted in flight"));
    }
}

fn job(scene: &Scene, stored: &Stored) -> Result<(), String> {
    let record = &stored.record;
    let service = scene.state.service.lock().unwrap();
    let name = stored.key.job.as_str();
    let orders = service.orders.get(name).cloned().unwrap_or_default();
    let tasks: Vec<&Task> = service.tasks.iter().filter(|task| task.job == name).collect();
    if let Some(until) = stored.leased_until.filter(|until| *until > stored.now) {
        return Err(format!("is still leased until {until}"));
    }
    if let Some(words) = record.history.iter().find(|entry| entry.1.contains("panicked")) {
        return Err(format!("a step panicked: {}", words.1));
    }
    for task in &tasks {
        let delivered = service.delivered.iter().any(|(id, owner)| *id == task.id && !scene.state.was_killed(*owner));
        let is_known = delivered || service.is_known(&task.id);
        owned(record, task, &orders, is_known)?;
    }
    for stray in &record.strays {
        stray_ended(scene, stored, stray, &tasks)?;
    }
    match &record.state {
        State::Done { task, files } => {
            for file in files.names(&stored.key) {
                whole(scene, &file, task.id.as_str())?;
            }
            Ok(())
        }
        State::InDoubt { attempt, .. } => {
            let killed = service.sent.get(&attempt.token).is_none_or(|owner| scene.state.was_killed(*owner));
            let answered = tasks.iter().any(|task| task.token == attempt.token && service.is_known(&task.id));
            if answered {
                Err(format!("is in doubt although a journal has its answer (killed: {killed})"))
            } else {
                Ok(())
            }
        }
        State::Failed { failure, task } => match failure.kind {
            FailureKind::Refused if service.told_refused.contains(name) => Ok(()),
            FailureKind::GivenUp if orders.given_up > 0 => Ok(()),
            FailureKind::Generation | FailureKind::Policy => {
                let told = |id| tasks.iter().any(|known| known.id == id && known.told);
                if task.clone().is_some_and(|task| told(task.id)) {
                    Ok(())
                } else {
                    Err("no task of it failed".to_owned())
                }
            }
            kind @ (FailureKind::Refused | FailureKind::GivenUp | FailureKind::NoOutput | FailureKind::Lost) => {
                Err(format!("nobody said that it is {kind:?}"))
            }
        },
        State::Cancelled if orders.cancels > 0 => Ok(()),
        State::Cancelled => Err("nobody cancelled it".to_owned()),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. } => Err("has not come to its end".to_owned()),
    }
}

/// A task that was paid for is the job's; or the service's own word, a doubt, or a person is the reason why not.
fn owned(record: &Record, task: &Task, orders: &Orders, is_known: bool) -> Result<(), String> {
    let is_own = record.task().is_some_and(|own| own.id == task.id);
    let is_stray = record.strays.iter().any(|stray| stray.task == task.id);
    if is_own || is_stray || task.told {
        return Ok(());
    }
    let doubted = record.attempts_open().any(|(attempt, _)| attempt.token == task.token);
    // Whoever lets a job in doubt be submitted again gives up what it may have made, a policy as well as a person.
    let presumed = record.earlier.contains(&task.token);
    if !is_known && (doubted || presumed || orders.given_up > 0 || orders.resubmits > 0) {
        return Ok(());
    }
    let word = if is_known { "which was known" } else { "whose answer was lost" };
    Err(format!("task {} ({:?}), {word}, is forgotten", task.id, task.end))
}

/// A task beside the job's own is saved too, unless the service failed it or it became the job's own after all.
fn stray_ended(scene: &Scene, stored: &Stored, stray: &Stray, tasks: &[&Task]) -> Result<(), String> {
    match &stray.fate {
        StrayState::Saved(files) => {
            files.names(&stored.key).iter().try_for_each(|file| whole(scene, file, stray.task.as_str()))
        }
        StrayState::Gone(_) if tasks.iter().any(|task| task.id == stray.task && task.told) => Ok(()),
        StrayState::Gone(why) => Err(format!("stray {} is given up: {why}", stray.task)),
        StrayState::Awaited { .. } | StrayState::Made { .. } => {
            let is_own = stored.record.task().is_some_and(|own| own.id == stray.task);
            if is_own { Ok(()) } else { Err(format!("stray {} has not come to its end", stray.task)) }
        }
    }
}

/// The file is there, whole, and that of this task; and so is its sidecar.
fn whole(scene: &Scene, name: &str, task: &str) -> Result<(), String> {
    let path = scene.dir.join("videos").join(name);
    let bytes = fs::read(&path).map_err(|error| format!("is done, but {name} cannot be read: {error}"))?;
    if bytes != content(task, "base") && bytes != content(task, "larger") {
        return Err(format!("is done, but {name} is not the video of {task}"));
    }
    let sidecar =
        fs::read_to_string(path.with_extension("json")).map_err(|error| format!("has no sidecar: {error}"))?;
    if sidecar.contains(task) { Ok(()) } else { Err("has another task's sidecar".to_owned()) }
}

/// Tasks that were made, of these jobs.
pub(super) fn made(scene: &Scene) -> usize {
    scene.state.service.lock().unwrap().tasks.iter().filter(|task| task.end == TaskEnd::Made).count()
}
