//! The morning: the bill, the ledger and the files are held against each other.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use veobatch_simulator::{Accepted, TaskKind};
use veobatch_tests::{Job, Movie};

use crate::night::{BATCH, Night};

/// What was found, if nothing was wrong.
pub(crate) async fn look(night: &Night) -> Result<String> {
    let bill = night.scene.bill().await;
    let mut paid: BTreeMap<&str, Vec<&Accepted>> = BTreeMap::new();
    for accepted in bill.accepted.iter().filter(|accepted| accepted.kind == TaskKind::Generate) {
        paid.entry(&accepted.prompt).or_default().push(accepted);
    }
    let strays = strays(night).await?;
    let mut doubted = 0;
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for batch in &night.batches {
        let jobs = night.scene.jobs(batch).await?;
        ensure!(jobs.len() == BATCH, "{batch} has {} jobs", jobs.len());
        for job in &jobs {
            let paid = paid.get(job.prompt.as_str()).map(Vec::as_slice).unwrap_or_default();
            one(night, job, paid, &strays).with_context(|| format!("{job:?}\npaid for: {paid:#?}"))?;
            doubted += paid.iter().filter(|paid| is_doubted(night, job, paid, &strays)).count();
            *states.entry(job.state.clone()).or_default() += 1;
        }
        sums(night, batch, &jobs).await?;
    }
    let leases = night.scene.redis.as_ref().context("a scene on Redis")?.ask("HLEN {veobatch}:leases")?;
    ensure!(leases.trim() == ":0", "leases are left: {leases}");
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let (accepted, lost, limited) = (bill.accepted.len(), bill.answers_lost, bill.rejected_429);
    Ok(format!(
        "{accepted} submissions paid for, none twice, {lost} answers lost, {limited} × 429; {}; {} of them forgotten by \
         Redis and known again, but for {doubted} in doubt",
        states.join(", "),
        night.forgotten.len()
    ))
}

/// Whether this payment was forgotten by Redis, and nobody had its answer.
fn is_doubted(night: &Night, job: &Job, paid: &Accepted, strays: &[String]) -> bool {
    job.state == "in_doubt" && night.forgotten.contains(&paid.task_id) && !strays.contains(&paid.task_id)
}

/// One job: paid for once for each attempt at most, at its end, and its file what was served.
fn one(night: &Night, job: &Job, paid: &[&Accepted], strays: &[String]) -> Result<()> {
    let attempts = usize::try_from(job.attempt)?;
    ensure!(paid.len() <= attempts, "paid for {} times in {attempts} attempts", paid.len());
    match job.state.as_str() {
        "done" => {
            ensure!(paid.iter().any(|paid| Some(&paid.task_id) == job.task_id.as_ref()), "done, and not paid for");
            for file in &job.files {
                Movie::open(&night.scene.path("videos").join(file))?;
            }
            ensure!(!job.files.is_empty(), "done without a file");
        }
        "failed" | "cancelled" | "in_doubt" => {}
        state => anyhow::bail!("it is still {state}"),
    }
    // What was paid for last is the job's own task, or known beside it, or the doubt that a person must settle.
    let last = paid.last().map(|paid| &paid.task_id);
    let is_known = last.is_none_or(|last| Some(last) == job.task_id.as_ref() || strays.contains(last));
    ensure!(is_known || job.state == "in_doubt", "a paid task is forgotten");
    Ok(())
}

/// The counts of a batch are those of its jobs.
async fn sums(night: &Night, batch: &str, jobs: &[Job]) -> Result<()> {
    let counts = night.scene.counts(batch).await?;
    let count = |state: &str| jobs.iter().filter(|job| job.state == state).count() as u64;
    let recount = (count("done"), count("failed"), count("in_doubt"), count("cancelled"));
    ensure!(
        (counts.done, counts.failed, counts.in_doubt, counts.cancelled) == recount,
        "{batch}: {counts:?}, but a recount gives {recount:?}"
    );
    Ok(())
}

async fn strays(night: &Night) -> Result<Vec<String>> {
    let status: Value = serde_json::from_str(&night.scene.run(&["status", "--json"]).await?.with_code(0)?.stdout)?;
    let strays = status.get("strays").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(strays.iter().filter_map(|stray| stray.get("task_id")?.as_str().map(str::to_owned)).collect())
}
