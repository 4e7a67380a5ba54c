//! The JSON shapes that scripts rely on. Keys may be added, never changed.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use veobatch_core::{Credits, JobKey, Record, Schedule, State, StateName, Stray, StrayState, Timestamp};
use veobatch_ledger::{Account, BatchSummary, Daily, Gate, Note, Stored, Unreadable};

/// One batch with its counts: an element of `status --json`.
pub(crate) fn batch(summary: &BatchSummary) -> Value {
    let mut object = Map::new();
    object.insert("batch".to_owned(), json!(summary.batch));
    object.insert("total".to_owned(), json!(summary.total()));
    for &state in StateName::ALL {
        object.insert(state.as_str().to_owned(), json!(summary.count(state)));
    }
    object.insert("paused".to_owned(), json!(summary.paused));
    object.insert("paused_because".to_owned(), json!(summary.paused_because));
    object.insert("cancelling".to_owned(), json!(summary.cancelling));
    object.insert("created".to_owned(), json!(Time(summary.created)));
    object.insert("at_rest_since".to_owned(), json!(summary.rested.map(Time)));
    let (terms, schedule) = (&summary.terms, Schedule::parse(&summary.terms.schedule).unwrap_or_default());
    object.insert("weight".to_owned(), json!(terms.weight));
    object.insert("priority".to_owned(), json!(terms.priority));
    object.insert("budget".to_owned(), json!(terms.budget.map(Credits::as_f64)));
    object.insert("credits".to_owned(), json!(summary.credits.as_f64()));
    object.insert("start_at".to_owned(), json!(schedule.start_at.map(|start| start.to_string())));
    object.insert("window".to_owned(), json!(schedule.window.map(|window| window.to_string())));
    object.insert("cron".to_owned(), json!(schedule.cron.map(|cron| cron.to_string())));
    Value::Object(object)
}

/// One job: an element of `jobs --json`.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(crate) struct Job<'a> {
    batch: &'a str,
    job: &'a str,
    state: &'static str,
    prompt: Option<&'a str>,
    task_id: Option<&'a str>,
    attempt: u32,
    files: Vec<String>,
    error: Option<&'a str>,
    trouble: Option<&'a str>,
    compacted: bool,
    unreadable: bool,
}

impl<'a> Job<'a> {
    pub(crate) fn of(stored: &'a Stored) -> Self {
        let record = &stored.record;
        Self {
            batch: stored.key.batch.as_str(),
            job: stored.key.job.as_str(),
            state: record.state.name().as_str(),
            prompt: (!stored.compacted).then_some(&stored.spec.prompt),
            task_id: record.task().map(|task| task.id.as_str()),
            attempt: record.attempt(),
            files: files(stored),
            error: error(record),
            trouble: record.trouble.as_deref(),
            compacted: stored.compacted,
            unreadable: false,
        }
    }

    /// One that this program cannot read.
    pub(crate) fn unreadable(job: &'a Unreadable) -> Self {
        Self {
            batch: job.key.batch.as_str(),
            job: job.key.job.as_str(),
            state: job.state.map_or("unknown", StateName::as_str),
            prompt: None,
            task_id: None,
            attempt: 0,
            files: Vec::new(),
            error: Some(&job.why),
            trouble: None,
            compacted: false,
            unreadable: true,
        }
    }
}

/// A task beside its job's own.
pub(crate) fn stray(stray: &Stray, key: &JobKey) -> Value {
    let (state, files, error) = match &stray.fate {
        StrayState::Awaited { .. } => ("generating", Vec::new(), None),
        StrayState::Made { .. } => ("downloading", Vec::new(), None),
        StrayState::Saved(files) => ("done", files.names(key), None),
        StrayState::Gone(why) => ("failed", Vec::new(), Some(why)),
    };
    json!({
        "task_id": stray.task, "at": Time(stray.at), "state": state, "files": files, "error": error,
        "trouble": stray.trouble,
    })
}

/// The job's finished files, relative to the output directory.
pub(crate) fn files(stored: &Stored) -> Vec<String> {
    match &stored.record.state {
        State::Done { files, .. } => files.names(&stored.key),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::InDoubt { .. }
        | State::Failed { .. }
        | State::Cancelled => Vec::new(),
    }
}

/// Why the job ended without a video, or is in doubt.
pub(crate) fn error(record: &Record) -> Option<&str> {
    match &record.state {
        State::Failed { failure, .. } => Some(&failure.message),
        State::InDoubt { why, .. } => Some(why),
        State::Queued { .. }
        | State::Submitting { .. }
        | State::Generating { .. }
        | State::Upscaling { .. }
        | State::Downloading { .. }
        | State::Done { .. }
        | State::Cancelled => None,
    }
}

/// The account.
pub(crate) fn account(account: &Account) -> Value {
    let gate = match &account.gate {
        Gate::Open => json!({"open": true, "until": null, "why": null, "no_credits": false}),
        Gate::Closed { until, why, no_credits, .. } => {
            json!({"open": false, "until": Time(*until), "why": why, "no_credits": no_credits})
        }
    };
    json!({
        "submissions": account.pace.submissions,
        "allowance": f64::from(account.allowance) / 1000.0,
        "per_ms": veobatch_core::millis(account.pace.per),
        "max_in_flight": account.pace.max_in_flight,
        "in_flight": account.in_flight,
        "next_slot": Time(account.next_slot),
        "gate": gate,
        "daily_budget": account.daily.as_ref().map(daily),
        "recovering_until": account.recovering_until.map(Time),
        "moved_to": account.moved_to,
        "workers": crate::report::account::present_notes(account).map(note).collect::<Vec<Value>>(),
        "now": Time(account.now),
        "calendar": Time(account.calendar),
    })
}

/// What a worker said of itself.
fn note(note: &Note) -> Value {
    json!({"note": note.kind.as_str(), "words": note.words, "at": Time(note.at)})
}

/// What a day's submissions may cost, and have cost.
fn daily(daily: &Daily) -> Value {
    json!({
        "credits": daily.budget.credits.as_f64(),
        "zone": daily.budget.zone,
        "spent": daily.spent.as_f64(),
        "from": Time(daily.day.from),
        "until": Time(daily.day.until),
    })
}

/// A point in time as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
