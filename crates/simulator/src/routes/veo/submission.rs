//! Submissions: `generate` (docs/kie-api.md, section 2) and `extend` (docs/kie-api.md, section 6). Here money is spent.
//!
//! The order of things: arrival is numbered and timed, faults before the acceptance, the rate limit, what the fields
//! say, credits, tasks in flight, *acceptance* (the task exists, is charged and is stored), faults after it, the answer.

mod request;

use std::time::Duration;

use hyper::body::Incoming;
use serde_json::json;

use crate::account::{Arrival, Refusal};
use crate::clock::millis;
use crate::endpoint::Endpoint;
use crate::fault::{Fault, FaultKind, Occasion, Rule};
use crate::transport::answer::Answer;
use crate::transport::call::{Call, read};

use self::request::{Invalid, parse_extend, parse_generate};

pub(crate) async fn answer(call: &Call, body: Incoming) -> Answer {
    let submission = {
        let mut account = call.state.account();
        account.submissions += 1;
        account.submissions
    };
    let early = Occasion { nth: submission, prompt: "", key: 0, is_early: true };
    let unread = call.state.account().rule(&call.config, FaultKind::Submit, &early);
    if unread.is_some() {
        return turned_away(call, submission, call.spoiled(call.code(500), unread.as_ref()));
    }
    // A request that is cut off has not been made.
    let Some(body) = read(body).await else { return turned_away(call, submission, call.code(400)) };
    let fields: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let prompt = fields.get("prompt").and_then(serde_json::Value::as_str).unwrap_or_default();
    let rule =
        call.state.account().rule(&call.config, FaultKind::Submit, &Occasion { prompt, is_early: false, ..early });
    let (before, after) = match rule {
        Some(rule) if rule.after_accepting => (None, Some(rule)),
        other => (other, None),
    };
    if let Some(rule) = before {
        if rule.fault != Fault::Stall {
            return turned_away(call, submission, call.spoiled(call.code(500), Some(&rule)));
        }
        tokio::time::sleep(Duration::from_millis(rule.delay_ms.unwrap_or_default())).await;
    }
    match accepted(call, submission, &fields, after.as_ref()) {
        Ok(id) => {
            let answer = call.envelope(200, "success", &json!({"taskId": id}));
            call.spoiled(answer, after.as_ref())
        }
        Err(answer) => turned_away(call, submission, answer),
    }
}

/// Accepts the submission if it is in order; there is no `.await` in here, so nobody sees half of it.
fn accepted(call: &Call, submission: u64, fields: &serde_json::Value, rule: Option<&Rule>) -> Result<String, Answer> {
    let config = &call.config;
    let now = call.state.clock.now();
    let mut account = call.state.account();
    if !account.enters_window(call.arrived, config) {
        return Err(call.code(429));
    }
    let order = if call.endpoint == Endpoint::Extend {
        let source = fields.get("taskId").and_then(serde_json::Value::as_str);
        let source = source.and_then(|id| account.find(id));
        parse_extend(fields, config, source.map(|held| &*held), millis(now))
    } else {
        parse_generate(fields, config)
    };
    let order = order.map_err(|Invalid { code, message }| call.envelope(code, &message, &serde_json::Value::Null))?;
    let callback = order.callback.is_some();
    let id =
        account.accept(order, Arrival { submission, arrived: call.arrived, now, config, rule }).map_err(|refusal| {
            call.code(match refusal {
                Refusal::TooMany => 429,
                Refusal::NoCredits => 402,
                Refusal::Broken => 500,
            })
        })?;
    if callback {
        // Only fails while the service is being stopped, when nobody is called back any more.
        let _ = call.state.callbacks.send(id.clone());
    }
    Ok(id)
}

fn turned_away(call: &Call, submission: u64, answer: Answer) -> Answer {
    let at_ms = call.state.clock.now_ms();
    call.state.account().turn_away(submission, at_ms, answer.code);
    answer
}
