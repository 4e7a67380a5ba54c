//! What `record-info` says about a task, in all its shapes (docs/kie-api.md, section 3).
//!
//! The task's own flag outranks the envelope's code, and the envelope's code counts only where the service itself gave
//! one: a gateway's page never fails a task that was paid for. What cannot be read teaches nothing, and is asked again.

use serde_json::Value;
use veobatch_core::{Progress, Resolution, TaskFailure, TaskId, TroubleKind};

use crate::routes::answer::{answered, trouble, trouble_from};
use crate::routes::envelope::{Envelope, is_success, member, number};
use crate::routes::links;
use crate::text;
use crate::transport::exchange::{Exchange, Reply};

/// An answer of `record-info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordInfo {
    /// How the task is.
    pub progress: Progress,
    /// The prompt that the task was submitted with, where the answer repeats it: tells whose task it is.
    pub prompt: Option<String>,
}

impl RecordInfo {
    fn of(progress: Progress) -> Self {
        Self { progress, prompt: None }
    }
}

/// What `wire` says about `task`.
pub(crate) fn read(wire: Exchange, task: &TaskId) -> RecordInfo {
    let reply = match answered(wire) {
        Ok(reply) => reply,
        Err(trouble) => return RecordInfo::of(Progress::Trouble(trouble)),
    };
    let Some(envelope) = Envelope::read(&reply.body) else {
        return RecordInfo::of(Progress::Trouble(trouble_from(&reply, None)));
    };
    if envelope.task_id().is_some_and(|named| named != task.as_str()) {
        let words = "the service answered about another task".to_owned();
        return RecordInfo::of(Progress::Trouble(trouble(TroubleKind::Transport, words, None)));
    }
    let prompt = envelope.datum(&["paramJson", "promptJson", "param"]).and_then(prompt);
    RecordInfo { progress: progress(&reply, &envelope), prompt }
}

/// The task's own state.
enum Flag {
    Running,
    Made,
    Failed(String),
    /// A word that is on no list: a guess could pay for a second attempt.
    Unheard(String),
}

fn progress(reply: &Reply, envelope: &Envelope) -> Progress {
    match envelope.datum(&["successFlag", "success_flag", "status"]).and_then(flag) {
        Some(Flag::Running) => Progress::Running,
        Some(Flag::Made) => made(envelope).unwrap_or(Progress::NoOutput),
        Some(Flag::Failed(flag)) => Progress::Failed(failure(envelope, reply.status, &flag)),
        Some(Flag::Unheard(word)) => {
            let words = format!("the service gave a state that is not known: {word}");
            Progress::Trouble(trouble(TroubleKind::Transport, words, None))
        }
        None => unflagged(reply, envelope),
    }
}

/// 0 runs, 1 is made, every other number has failed: the documentation names 2 and 3 in one place and 2 in another.
fn flag(value: &Value) -> Option<Flag> {
    if let Some(flag) = number(value) {
        return Some(match flag {
            0 => Flag::Running,
            1 => Flag::Made,
            other => Flag::Failed(other.to_string()),
        });
    }
    let word = match value {
        Value::String(word) => word.trim().to_ascii_lowercase(),
        Value::Bool(made) => return Some(if *made { Flag::Made } else { Flag::Running }),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(match word.as_str() {
        "" => return None,
        "waiting" | "queued" | "queuing" | "pending" | "processing" | "generating" | "running" => Flag::Running,
        "success" | "succeeded" | "completed" => Flag::Made,
        "fail" | "failed" => Flag::Failed(word),
        _ => Flag::Unheard(text::plain(&word)),
    })
}

/// The product is `resultUrls`; `originUrls` and `fullResultUrls` are other videos (docs/kie-api.md, section 3).
fn made(envelope: &Envelope) -> Option<Progress> {
    const URLS: [&str; 2] = ["resultUrls", "result_urls"];
    let nested = ["response", "info"].into_iter().filter_map(|name| envelope.data.get(name));
    let places: Vec<&Value> = nested.chain([&envelope.data]).collect();
    let lists = places.iter().filter_map(|place| member(place, &URLS));
    let urls = lists.map(links::read).find(|urls| !urls.is_empty())?;
    let size = places.iter().find_map(|place| member(place, &["resolution"])?.as_str());
    Some(Progress::Made { urls, resolution: size.and_then(resolution) })
}

fn resolution(word: &str) -> Option<Resolution> {
    let word = word.trim();
    Resolution::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, size)| *size)
}

/// The service's word without a flag; only its own envelope's code counts.
fn unflagged(reply: &Reply, envelope: &Envelope) -> Progress {
    let code = envelope.effective(reply.status);
    let message = envelope.message.clone().unwrap_or_default();
    match code {
        _ if !envelope.has_code() => Progress::Trouble(trouble_from(reply, Some(envelope))),
        400 | 451 | 501 | 531 => Progress::Failed(failure(envelope, reply.status, "")),
        404 => Progress::Missing(missing(&message, code)),
        422 if !is_unfinished(&message) => Progress::Missing(missing(&message, code)),
        code if is_success(code) => match made(envelope) {
            Some(made) => made,
            None => Progress::Trouble(trouble(TroubleKind::Transport, "the answer holds no state".to_owned(), None)),
        },
        _ => Progress::Trouble(trouble_from(reply, Some(envelope))),
    }
}

/// Whether these words of a 422 speak of a record that exists and is not finished.
fn is_unfinished(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["not success", "result data", "process", "generating", "being generated", "check back"]
        .iter()
        .any(|words| message.contains(words))
}

fn missing(message: &str, code: u16) -> String {
    format!("the service does not know the task: {message} ({code})")
}

fn failure(envelope: &Envelope, status: u16, flag: &str) -> TaskFailure {
    let own = envelope.datum(&["errorCode", "error_code"]).and_then(number).and_then(|code| u16::try_from(code).ok());
    let effective = envelope.effective(status);
    let code = own.filter(|code| *code != 0).or((!is_success(effective)).then_some(effective));
    let own = envelope.datum(&["errorMessage", "error_message", "failMsg"]).and_then(Value::as_str).map(text::plain);
    let outer = || envelope.message.clone().filter(|message| !message.eq_ignore_ascii_case("success"));
    let message = own.filter(|message| !message.is_empty()).or_else(outer);
    let message = message.unwrap_or_else(|| format!("the service declared the task failed, state {flag}"));
    let policy = matches!(code, Some(400 | 451)) || is_policy(&message);
    TaskFailure { code, message, policy }
}

/// Whether a failure's words speak of the content, so that another attempt would end, and perhaps cost, the same.
fn is_policy(message: &str) -> bool {
    const WORDS: [&str; 11] = [
        "policy",
        "policies",
        "violat",
        "unsafe",
        "safety",
        "prohibited",
        "sensitive",
        "nsfw",
        "moderation",
        "only english",
        "rejected by flow",
    ];
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// The prompt inside the parameters that the service repeats: an object, or one written as a text.
fn prompt(value: &Value) -> Option<String> {
    match value {
        Value::Object(parameters) => parameters.get("prompt")?.as_str().map(str::to_owned),
        Value::String(text) => match serde_json::from_str(text).ok()? {
            Value::Object(parameters) => parameters.get("prompt")?.as_str().map(str::to_owned),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
#[path = "record_info/tests.rs"]
mod tests;
