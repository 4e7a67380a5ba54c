//! What became of a paid call: the one place that decides it.
//!
//! ```text
//! a task id anywhere ─────────────────────────▶ accepted, whatever the code
//! nothing left this machine ──────────────────▶ not sent
//! a code on the list of definite refusals ────▶ refused
//! everything else ────────────────────────────▶ unknown: may be paid for, never sent again by itself
//! ```
//!
//! Pure. When in doubt it says *unknown*: that costs a person a minute, the opposite mistake costs a second payment.

use veobatch_core::{Outcome, Refusal, RefusalKind, TaskId};

use crate::routes::envelope::Envelope;
use crate::text;
use crate::transport::exchange::{Exchange, Reply};

/// What became of the paid call on whose wire this happened.
pub(crate) fn outcome(wire: Exchange) -> Outcome {
    match wire {
        Exchange::NotSent(why) => Outcome::NotSent(why),
        Exchange::NoAnswer(why) => Outcome::Unknown(format!("no answer: {why}")),
        Exchange::Answered(reply) => answered(&reply),
    }
}

fn answered(reply: &Reply) -> Outcome {
    let envelope = Envelope::read(&reply.body);
    let named = envelope.as_ref().map_or_else(|| cut_off_task_id(&reply.body), Envelope::task_id);
    if let Some(id) = named {
        return match TaskId::parse(&id) {
            Some(id) => Outcome::Accepted(id),
            None => Outcome::Unknown(format!("the service named a task id of no known shape: {}", text::plain(&id))),
        };
    }
    let message = envelope.as_ref().and_then(|envelope| envelope.message.clone());
    let message = message.unwrap_or_else(|| text::page(&reply.body));
    let refusal = match (&reply.broken, envelope) {
        // Half an answer proves nothing: what is missing may be the task id.
        (Some(_), _) => None,
        (None, Some(envelope)) if envelope.has_code() => spoken(reply.status, &envelope),
        (None, Some(_) | None) => bare(reply.status),
    };
    match refusal {
        Some((kind, code)) => Outcome::Refused(Refusal { kind, code, message, retry_after: reply.retry_after }),
        None => Outcome::Unknown(doubt(reply, &message)),
    }
}

/// The refusal in an answer of the service's own making. A redirect was not made by what makes videos.
fn spoken(status: u16, envelope: &Envelope) -> Option<(RefusalKind, u16)> {
    let code = envelope.effective(status);
    let redirected = (300..400).contains(&status);
    refusal(code).filter(|_| !redirected).map(|kind| (kind, code))
}

/// The refusal in an answer without the service's envelope: a gateway, a firewall, a proxy, or the bare HTTP server.
///
/// Below 500 the listed codes are definite. Whatever stands in front of the service and answers 400, 401, 404, 413 or 429
/// itself does so *instead of* handing the request on; and a program that made a task and then answers 4xx with a foreign
/// body is not plausible. Besides, a refusal of this kind leads to a new submission by itself only for 401 and 429 (and
/// for 402, 430, 433 and 455, which nothing but the service uses), where the answer is given before any work by its very
/// meaning.
///
/// 403 is not among them. Firewalls and filtering proxies give it to requests that they do not hand on, and also *in place
/// of answers* that they do not like: behind such a page there may be a task that was made. From 500 on a gateway speaks of a request that it *did* hand on, so nothing is definite (505,
/// 550 included).
fn bare(status: u16) -> Option<(RefusalKind, u16)> {
    match status {
        403 => None,
        413 => Some((RefusalKind::Job, status)),
        400..500 => refusal(status).map(|kind| (kind, status)),
        _ => None,
    }
}

/// The list of definite refusals (docs/kie-api.md, section 10). Not on it, among others: 408 (nothing came from upstream in
/// time), 500 and 501 (a task may have been made and failed).
fn refusal(code: u16) -> Option<RefusalKind> {
    match code {
        400 | 404 | 422 | 451 | 505 => Some(RefusalKind::Job),
        429 | 430 => Some(RefusalKind::RateLimited),
        455 | 550 => Some(RefusalKind::Busy),
        402 | 433 => Some(RefusalKind::NoCredits),
        401 | 403 => Some(RefusalKind::KeyRefused),
        _ => None,
    }
}

/// What was seen, for the person who has to find out what it was.
fn doubt(reply: &Reply, message: &str) -> String {
    let envelope = Envelope::read(&reply.body);
    let code = envelope.as_ref().map(|envelope| envelope.effective(reply.status));
    let code = code.filter(|code| *code != reply.status).map(|code| format!(", code {code}")).unwrap_or_default();
    if let Some(why) = &reply.broken {
        return format!("HTTP {}{code}, but the answer broke off ({why})", reply.status);
    }
    // Without words of its own, the message is the answer itself.
    let rest = envelope.filter(|envelope| envelope.message.is_some()).map(|envelope| envelope.rest());
    let rest = rest.map(|rest| rest.as_deref().map_or_else(|| "nothing else".to_owned(), text::part));
    let rest = rest.map(|rest| format!("; the answer holds {rest}")).unwrap_or_default();
    format!("HTTP {}{code} without a task id: {message}{rest}", reply.status)
}

/// The task id in a JSON answer that broke off after it: the id is known, whatever else is missing.
fn cut_off_task_id(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('{') {
        return None;
    }
    ["\"taskId\"", "\"task_id\""].into_iter().find_map(|name| {
        let (_, after) = text.split_once(name)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let (id, _) = value.split_once('"')?;
        (!id.is_empty()).then(|| id.to_owned())
    })
}

#[cfg(test)]
#[path = "classification/tests.rs"]
mod tests;
