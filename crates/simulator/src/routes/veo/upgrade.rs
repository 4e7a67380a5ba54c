//! Better versions of a finished video: 1080p (docs/kie-api.md, section 4) and 4k (docs/kie-api.md, section 5). The first request starts one and is charged; each one for 4k
//! counts in the rate limit (docs/kie-api.md, section 11).

use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::account::store::Upgraded;
use crate::account::task::{Outcome, TaskState};
use crate::account::{Held, Refusal};
use crate::clock::millis;
use crate::config::{NotReady, Upgrade};
use crate::rng::Rng;
use crate::routes::veo::record::link;
use crate::transport::answer::Answer;
use crate::transport::call::{Call, read};
use crate::video::shape::Resolution;

/// Where a better version stands.
enum Stage {
    /// There is no such task, or not yet, or no longer.
    Refused(u16, &'static str),
    /// It was started by this request.
    Started,
    Making,
    Ready,
    Unavailable,
}

pub(crate) fn answer_1080p(call: &Call) -> Answer {
    let id = call.query("taskId").unwrap_or_default().into_owned();
    let index = call.query("index").and_then(|index| index.parse().ok()).unwrap_or(0);
    let (stage, nth) = stage(call, &id, Resolution::P1080, &call.config.upgrade_1080p);
    let answer = match stage {
        Stage::Refused(code, message) => call.envelope(code, message, &Value::Null),
        Stage::Unavailable => call.envelope(422, "The 1080P version of this video does not exist", &Value::Null),
        Stage::Ready => {
            let url = link(&call.config, &call.base(), &id, index, Resolution::P1080.word());
            call.envelope(200, "success", &json!({"resultUrl": url}))
        }
        Stage::Started | Stage::Making => not_ready(call, nth),
    };
    faulty(call, &id, nth, answer)
}

pub(crate) async fn answer_4k(call: &Call, body: Incoming) -> Answer {
    let fields: Value = read(body).await.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    if !call.state.account().enters_window_beside(call.arrived, &call.config) {
        return call.code(429);
    }
    let id = fields.get("taskId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let index = fields.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
    let (stage, nth) = stage(call, &id, Resolution::P4k, &call.config.upgrade_4k);
    let data = |links: Value| json!({"taskId": id, "resultUrls": links, "imageUrls": Value::Null});
    let answer = match stage {
        Stage::Refused(code, message) => call.envelope(code, message, &Value::Null),
        Stage::Unavailable => call.envelope(500, "The 4K version of this video is unavailable", &json!({"taskId": id})),
        Stage::Started => call.envelope(200, "success", &data(Value::Null)),
        Stage::Making => {
            let message = "4k is processing. It should be ready in 5-10 minutes. Please check back shortly.";
            call.envelope(422, message, &data(Value::Null))
        }
        Stage::Ready => {
            let url = link(&call.config, &call.base(), &id, index, Resolution::P4k.word());
            call.envelope(422, "The video has been generated successfully", &data(json!([url])))
        }
    };
    faulty(call, &id, nth, answer)
}

/// Where the better version of a task stands, and how often it was asked for.
fn stage(call: &Call, id: &str, resolution: Resolution, settings: &Upgrade) -> (Stage, u64) {
    let (config, now_ms) = (&call.config, call.state.clock.now_ms());
    let mut account = call.state.account();
    let Some(held) = account.find(id) else { return (Stage::Refused(422, "record is null"), 1) };
    held.tally.upgrades += 1;
    let nth = held.tally.upgrades;
    if let Some(stage) = known(held, resolution, now_ms, config.generation.record_lifetime_ms) {
        return (stage, nth);
    }
    let (model, base, submission) = (held.task.model.clone(), held.task.resolution, held.task.submission);
    let mut rng = Rng::new(config.seed, resolution.word(), submission);
    let is_unavailable = rng.chance(settings.unavailable);
    let time = rng.log_normal(settings.median(), settings.sigma);
    let extra = config.price(&model, resolution).unwrap_or_default();
    let price = extra.saturating_sub(config.price(&model, base).unwrap_or_default());
    let upgrade = Upgraded {
        resolution,
        asked_ms: now_ms,
        ready_ms: (!is_unavailable).then(|| now_ms.saturating_add(millis(time))),
        price: if is_unavailable { 0 } else { price },
    };
    let stage = match account.upgrade(id, upgrade, config) {
        Ok(()) if is_unavailable => Stage::Unavailable,
        Ok(()) => Stage::Started,
        Err(Refusal::NoCredits) => Stage::Refused(402, "Insufficient credits"),
        Err(_) => Stage::Refused(500, "Server error, please try again later"),
    };
    (stage, nth)
}

/// The stage of a task whose better version need not, or cannot, be started.
fn known(held: &Held, resolution: Resolution, now_ms: u64, lifetime_ms: u64) -> Option<Stage> {
    let task = &held.task;
    if now_ms.saturating_sub(task.accepted_ms) > lifetime_ms {
        return Some(Stage::Refused(422, "Temporarily supports records within 14 days"));
    }
    if task.state(now_ms) != TaskState::Succeeded || task.outcome != Outcome::Video {
        return Some(Stage::Refused(422, "record status is not success"));
    }
    if task.resolution == resolution {
        return Some(Stage::Ready);
    }
    held.upgraded(resolution).map(|upgrade| match upgrade.ready_ms {
        None => Stage::Unavailable,
        Some(ready_ms) if ready_ms <= now_ms => Stage::Ready,
        Some(_) => Stage::Making,
    })
}

fn not_ready(call: &Call, nth: u64) -> Answer {
    let forms = &call.config.upgrade_1080p.not_ready;
    let turn = usize::try_from(nth.saturating_sub(1)).unwrap_or(0).checked_rem(forms.len()).unwrap_or(0);
    match forms.get(turn).copied().unwrap_or(NotReady::Processing400) {
        NotReady::Processing400 => {
            let message = "1080P is processing. It should be ready in 1-2 minutes. Please check back shortly.";
            call.envelope(400, message, &Value::Null)
        }
        NotReady::Generating422 => call.envelope(422, "The 1080P records are being generated", &Value::Null),
        NotReady::Empty200 => call.envelope(200, "success", &json!({})),
        NotReady::Error500 => call.code(500),
    }
}

fn faulty(call: &Call, id: &str, nth: u64, answer: Answer) -> Answer {
    if call.config.faults.upgrade.is_empty() {
        return answer;
    }
    let task = call.state.account().find(id).map(|held| held.task.clone());
    call.faulty(answer, nth, task.as_ref())
}
