//! The same in lines, with the commands that settle it.

use veobatch_core::{FailureKind, JobKey};

use super::{Attention, Failures, kind};
use crate::failure::UNREADABLE;
use crate::output::format::{counted, number};
use crate::output::table::plain;
use crate::report::messages::{REASON, spoken, stray};

/// How many lines of one kind are printed before the rest is only counted.
const SHOWN: usize = 10;

/// What needs a person, with the commands that settle it.
pub(crate) fn lines(attention: &Attention) -> Vec<String> {
    let mut lines = Vec::new();
    if !attention.failures.is_empty() {
        failed(&mut lines, &attention.failures);
    }
    if !attention.doubts.is_empty() {
        lines.push("in doubt: each may have been paid for, and a person has to decide:".to_owned());
        for doubt in attention.doubts.iter().take(SHOWN) {
            let others = if doubt.open > 1 { format!(" ({} attempts are open)", doubt.open) } else { String::new() };
            lines.push(format!("  {}: {}{others}", doubt.key, plain(&doubt.why, REASON)));
            lines.push(format!(
                "    veobatch resolve {} {} --task-id ID   (see https://kie.ai/logs), --resubmit or --give-up",
                doubt.key.batch, doubt.key.job
            ));
        }
        more(&mut lines, attention.doubts.len(), "job");
    }
    if !attention.unsaved.is_empty() {
        lines.push("made but not saved yet; saving is retried, nothing is lost:".to_owned());
        for (reason, count, first) in attention.unsaved.iter().take(SHOWN) {
            lines.push(format!("  {:>5} × {}, for example {first}", number(*count), plain(reason, REASON)));
        }
        more(&mut lines, attention.unsaved.len(), "reason");
    }
    beside(&mut lines, attention);
    if !attention.strays.is_empty() {
        lines.push("extra tasks that were paid for, followed and saved like their job's own:".to_owned());
        let strays = attention.strays.iter().take(SHOWN);
        lines.extend(strays.map(|(key, beside)| format!("  {key}: task {}: {}", beside.task, stray(beside, key))));
        more(&mut lines, attention.strays.len(), "task");
    }
    unreadable(&mut lines, attention);
    lines.extend(cut(attention).into_iter().map(str::to_owned));
    lines
}

/// Attempts beside a job's own task that may have been paid for.
fn beside(lines: &mut Vec<String>, attention: &Attention) {
    if !attention.open.is_empty() {
        lines.push(
            "extra attempts that may have been paid for; kept for their callbacks, no further attempt is made:"
                .to_owned(),
        );
        for (key, open) in attention.open.iter().take(SHOWN) {
            lines.push(format!("  {key}: attempt {}: {}", open.attempt.number, plain(&open.why, REASON)));
        }
        more(lines, attention.open.len(), "attempt");
    }
}

/// Jobs that this program cannot read.
fn unreadable(lines: &mut Vec<String>, attention: &Attention) {
    if !attention.unreadable.is_empty() {
        lines.push(
            "cannot be read by this version; set aside, nothing is paid for them, other jobs are not affected:"
                .to_owned(),
        );
        for job in attention.unreadable.iter().take(SHOWN) {
            let state = job.state.map_or("unknown", spoken);
            lines.push(format!("  {} ({state}): {}", job.key, plain(&job.why, REASON)));
        }
        more(lines, attention.unreadable.len(), "job");
        lines.push(format!("  {UNREADABLE}"));
    }
}

/// Failures by reason, and what may be done about them.
fn failed(lines: &mut Vec<String>, failures: &[Failures]) {
    lines.push("failed, by reason:".to_owned());
    for failures in failures.iter().take(SHOWN) {
        let (first, reason) = (&failures.first, plain(&failures.reason, REASON));
        let kind = kind(failures.kind).replace('_', " ");
        lines.push(format!("  {:>5} × {reason} ({kind}), for example {first}", number(failures.count)));
    }
    more(lines, failures.len(), "reason");
    // What was given up in doubt may have been paid for: `retry` leaves it.
    let is_given_up = |failures: &&Failures| failures.kind == FailureKind::GivenUp;
    if let Some(failures) = failures.iter().find(|failures| !is_given_up(failures)) {
        let JobKey { batch, job } = &failures.first;
        lines.push(format!(
            "  retry them: veobatch retry {batch}   (some: --code C, --reason TEXT; details: veobatch show {batch} {job})"
        ));
    }
    if let Some(failures) = failures.iter().find(is_given_up) {
        let JobKey { batch, job } = &failures.first;
        lines.push(format!("  those given up while in doubt: veobatch resolve {batch} {job} --resubmit"));
    }
}

/// Where not all jobs were searched.
fn cut(attention: &Attention) -> Vec<&'static str> {
    let mut lines = Vec::new();
    if attention.is_partial {
        lines.push(
            "(more failed or are in doubt: the first 1,000 of each batch were checked; all of them: veobatch jobs BATCH \
             --state STATE)",
        );
    }
    if attention.is_partial_beside {
        lines.push(
            "(extra tasks, and videos that cannot be saved, were searched for among the first 1,000 jobs of each batch and \
             state)",
        );
    }
    lines
}

fn more(lines: &mut Vec<String>, all: usize, one: &str) {
    let rest = u64::try_from(all.saturating_sub(SHOWN)).unwrap_or_default();
    if rest > 0 {
        lines.push(format!("  … and {} more", counted(rest, one)));
    }
}
