//! Records: `record-info` (docs/kie-api.md, section 3), the authority on what became of a task.

use serde_json::{Map, Value, json};

use crate::account::Held;
use crate::account::task::{Outcome, Task, TaskKind, TaskState};
use crate::clock::iso;
use crate::config::{Config, Dialect, FailureForm, ResultUrls, Shape, Size, Times};
use crate::rng::Rng;
use crate::routes::signature::signature;
use crate::transport::answer::Answer;
use crate::transport::call::Call;
use crate::video::shape::Resolution;

pub(crate) fn answer(call: &Call) -> Answer {
    let Some(id) = call.query("taskId").filter(|id| !id.is_empty()) else {
        return call.envelope(422, "taskId cannot be empty", &Value::Null);
    };
    let now_ms = call.state.clock.now_ms();
    let mut account = call.state.account();
    let Some(held) = account.find(&id) else {
        drop(account);
        return call.faulty(call.envelope(422, "recordInfo is null", &Value::Null), 1, None);
    };
    held.tally.polls += 1;
    let nth = held.tally.polls;
    let answer = respond(call, held, now_ms);
    if call.config.faults.poll.is_empty() {
        return answer;
    }
    let task = held.task.clone();
    drop(account);
    call.faulty(answer, nth, Some(&task))
}

fn respond(call: &Call, held: &mut Held, now_ms: u64) -> Answer {
    let generation = &call.config.generation;
    let age = now_ms.saturating_sub(held.task.accepted_ms);
    if held.tally.polls <= generation.null_polls || age < generation.null_ms {
        return call.envelope(422, "record is null", &Value::Null);
    }
    if age > generation.record_lifetime_ms {
        return call.envelope(422, "Temporarily supports records within 14 days", &Value::Null);
    }
    let state = held.task.state(now_ms);
    let is_blank = state == TaskState::Succeeded && {
        held.tally.seen += 1;
        held.tally.seen <= generation.blank_polls || held.task.outcome == Outcome::Nothing
    };
    if state == TaskState::Failed || (state == TaskState::Succeeded && !is_blank) {
        held.tally.told_ms.get_or_insert(now_ms);
    }
    let links = (state == TaskState::Succeeded && !is_blank).then(|| links(call, &held.task));
    let dialect = &call.config.dialect;
    let seed_shape = match dialect.shape {
        Shape::Current => false,
        Shape::Seed => true,
        Shape::Mixed => Rng::of(&held.task.id).chance(0.5),
    };
    let record = if seed_shape {
        seed(&held.task, state, links.as_deref())
    } else {
        current(dialect, &held.task, state, links.as_deref())
    };
    match (&held.task.outcome, state, dialect.failure) {
        (Outcome::Failed { code, message, .. }, TaskState::Failed, FailureForm::Code) => {
            call.envelope(*code, message, &Value::Null)
        }
        (Outcome::Failed { code, message, .. }, TaskState::Failed, FailureForm::CodeAndRecord) => {
            call.envelope(*code, message, &record)
        }
        _ => call.envelope(200, "success", &record),
    }
}

/// The links of a finished task.
fn links(call: &Call, task: &Task) -> Vec<String> {
    let videos = call.config.generation.videos.max(1);
    (0..videos).map(|index| link(&call.config, &call.base(), &task.id, index, task.resolution.word())).collect()
}

/// A link into the file host; `version` is a resolution or `joined`.
pub(crate) fn link(config: &Config, base: &str, id: &str, index: u32, version: &str) -> String {
    let path = format!("/files/{id}/{index}-{version}.mp4");
    if config.files.signed {
        format!("{base}{path}?signature={}", signature(&path, 0))
    } else {
        format!("{base}{path}")
    }
}

/// `successFlag`, or the seed's `status`.
fn flag(task: &Task, state: TaskState) -> u8 {
    match (&task.outcome, state) {
        (_, TaskState::Generating) => 0,
        (_, TaskState::Succeeded) => 1,
        (Outcome::Failed { flag, .. }, TaskState::Failed) => *flag,
        (_, TaskState::Failed) => 2,
    }
}

fn seed(task: &Task, state: TaskState, links: Option<&[String]>) -> Value {
    let mut record = Map::new();
    record.insert("taskId".to_owned(), task.id.clone().into());
    record.insert("status".to_owned(), flag(task, state).into());
    if let Some(links) = links {
        record.insert("resultUrls".to_owned(), written(ResultUrls::JsonString, links));
    }
    if let (Outcome::Failed { code, message, .. }, TaskState::Failed) = (&task.outcome, state) {
        record.insert("errorCode".to_owned(), (*code).into());
        record.insert("errorMessage".to_owned(), message.clone().into());
    }
    record.into()
}

fn current(dialect: &Dialect, task: &Task, state: TaskState, links: Option<&[String]>) -> Value {
    let (code, message) = match (&task.outcome, state) {
        (Outcome::Failed { code, message, .. }, TaskState::Failed) => (Some(*code), message.as_str()),
        _ => (None, ""),
    };
    let response = (state == TaskState::Succeeded).then(|| response(dialect, task, links));
    let completed = (state != TaskState::Generating).then(|| time(dialect.times, task.finish_ms));
    json!({
        "taskId": task.id,
        "paramJson": task.fields,
        "successFlag": flag(task, state),
        "errorCode": code,
        "errorMessage": message,
        "createTime": time(dialect.times, task.accepted_ms),
        "completeTime": completed,
        "fallbackFlag": false,
        "response": response,
    })
}

fn response(dialect: &Dialect, task: &Task, links: Option<&[String]>) -> Value {
    let joined = links.and_then(<[String]>::first).filter(|_| task.kind == TaskKind::Extend).map(|link| {
        let ending = format!("-{}.mp4", task.resolution.word());
        vec![link.replace(&ending, "-joined.mp4")]
    });
    json!({
        "taskId": task.id,
        "resultUrls": links.map(|links| written(dialect.result_urls, links)),
        "originUrls": Value::Null,
        "fullResultUrls": joined,
        "resolution": (dialect.size == Size::Labelled).then(|| task.resolution.word()),
    })
}

/// Links in one of the forms of `resultUrls`.
pub(crate) fn written(form: ResultUrls, links: &[String]) -> Value {
    match form {
        ResultUrls::Array => links.into(),
        ResultUrls::JsonString => Value::String(Value::from(links).to_string()),
        ResultUrls::Unquoted => Value::String(format!("[{}]", links.join(", "))),
        ResultUrls::Bare => links.first().cloned().into(),
    }
}

fn time(form: Times, at_ms: u64) -> Value {
    match form {
        Times::EpochMs => at_ms.into(),
        Times::Iso => format!("{}Z", iso(at_ms)).into(),
        Times::Plain => iso(at_ms).replace('T', " ").split('.').next().unwrap_or_default().into(),
    }
}

/// The resolution that a link's version means; `joined` is the whole movie of an extension.
pub(crate) fn version(word: &str, task: &Task) -> Option<(Resolution, bool)> {
    match word {
        "joined" if task.kind == TaskKind::Extend => Some((task.resolution, true)),
        _ => Resolution::parse(word).map(|resolution| (resolution, false)),
    }
}
