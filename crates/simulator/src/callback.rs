//! Notifications of finished tasks (docs/kie-api.md, section 7): one POST, repeated while it is not taken, then given up.

mod signature;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;

use crate::account::task::{Outcome, Task};
use crate::config::{CallbackForm, Config, ResultUrls, Shape, SignatureFault};
use crate::rng::Rng;
use crate::routes::veo::record::{link, written};
use crate::state::State;

/// Waits for the end of a task and notifies whoever wanted to know. A task that never ends notifies nobody.
pub(crate) async fn deliver(state: Arc<State>, id: String) {
    let Some(task) = state.account().find(&id).map(|held| held.task.clone()) else { return };
    let Some(url) = task.callback.as_deref().and_then(|url| Url::parse(url).ok()) else { return };
    if task.outcome == Outcome::Never {
        return;
    }
    let wait = task.finish_ms.saturating_sub(state.clock.now_ms());
    tokio::time::sleep(Duration::from_millis(wait)).await;
    tokio::time::sleep(Duration::from_millis(state.config().callbacks.late_ms)).await;
    let config = state.config();
    if Rng::new(config.seed, "callback", task.submission).chance(config.callbacks.lost) {
        return;
    }
    for _ in 0..config.callbacks.deliveries {
        insist(&state, &config, &task, &url).await;
    }
}

/// Sends one notification until it is taken, or given up.
async fn insist(state: &State, config: &Config, task: &Task, url: &Url) {
    for attempt in 0..=config.callbacks.retries {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(config.callbacks.retry_ms)).await;
        }
        let limit = Duration::from_millis(config.callbacks.timeout_ms);
        let status = tokio::time::timeout(limit, post(state, config, task, url)).await.ok().flatten();
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        if let Some(held) = state.account().find(&task.id) {
            held.tally.callbacks_sent += 1;
            held.tally.callbacks_taken += u64::from(is_taken);
        }
        if is_taken {
            return;
        }
    }
}

/// Sends it once; the status of the answer, if there is one. Only `http://` is spoken.
async fn post(state: &State, config: &Config, task: &Task, url: &Url) -> Option<u16> {
    let host = url.host_str().filter(|_| url.scheme() == "http")?;
    let port = url.port_or_known_default()?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let place = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut request =
        Request::post(place).header(HOST, format!("{host}:{port}")).header(CONTENT_TYPE, "application/json");
    if let Some(key) = &config.callbacks.hmac_key {
        let (key, seconds) = match config.callbacks.signature {
            SignatureFault::None => (key.as_str(), epoch_seconds(state)),
            SignatureFault::OtherKey => ("another key", epoch_seconds(state)),
            SignatureFault::Old => (key.as_str(), epoch_seconds(state) - 3600),
        };
        let message = format!("{}.{seconds}", task.id);
        request = request
            .header("X-Webhook-Timestamp", seconds)
            .header("X-Webhook-Signature", signature::sign(key.as_bytes(), message.as_bytes()));
    }
    let body = match formed(config.callbacks.form, body(state, config, task)) {
        Some(body) => body.to_string(),
        None => "{\"code\": 200, \"data\"".to_owned(),
    };
    let request = request.body(Full::new(Bytes::from(body))).ok()?;
    // The connection is driven here, beside the request; it ends when the request is over and its sender dropped.
    let exchange = async move { sender.send_request(request).await.ok().map(|answer| answer.status().as_u16()) };
    tokio::join!(exchange, connection).0
}

fn body(state: &State, config: &Config, task: &Task) -> Value {
    let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}", state.address));
    let form = if config.dialect.shape == Shape::Seed { ResultUrls::JsonString } else { config.dialect.result_urls };
    match &task.outcome {
        Outcome::Failed { code, message, .. } => {
            json!({"code": code, "msg": message, "data": {"taskId": task.id, "fallbackFlag": false}})
        }
        Outcome::Video | Outcome::Nothing | Outcome::Never => {
            let links = (0..config.generation.videos.max(1))
                .map(|index| link(config, &base, &task.id, index, task.resolution.word()));
            let links: Vec<String> = if task.outcome == Outcome::Video { links.collect() } else { Vec::new() };
            let info = json!({"resultUrls": written(form, &links), "originUrls": Value::Null, "resolution": task.resolution.word()});
            json!({
                "code": 200,
                "msg": "Veo3.1 video generated successfully.",
                "data": {"taskId": task.id, "info": info, "promptJson": task.fields, "fallbackFlag": false},
            })
        }
    }
}

fn epoch_seconds(state: &State) -> u64 {
    state.clock.now().as_secs()
}

/// The notification in another of its forms; `None` if it is to be none.
fn formed(form: CallbackForm, mut body: Value) -> Option<Value> {
    let all = body.as_object_mut()?;
    let is_failure = all.get("code") != Some(&json!(200));
    let mut data = all.remove("data")?;
    let id = data.get("taskId").cloned();
    let inside = data.as_object_mut()?;
    match form {
        CallbackForm::Snake => {
            inside.remove("taskId");
            inside.insert("task_id".to_owned(), json!(id));
        }
        CallbackForm::Top => {
            inside.remove("taskId");
            all.insert("taskId".to_owned(), json!(id));
            data = if is_failure { Value::Null } else { data };
        }
        CallbackForm::NamelessFailure if is_failure => data = Value::Null,
        CallbackForm::Current | CallbackForm::NamelessFailure => {}
        CallbackForm::Broken => return None,
    }
    all.insert("data".to_owned(), data);
    Some(body)
}
