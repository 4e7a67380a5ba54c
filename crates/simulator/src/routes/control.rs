//! What a test asks and arranges from another process: `/simulator/…`. It asks for no key.

use hyper::Method;
use hyper::body::Incoming;
use serde_json::json;

use crate::config::Config;
use crate::transport::answer::Answer;
use crate::transport::call::{Call, read};

pub(crate) async fn answer(call: &Call, body: Incoming) -> Answer {
    let method = &call.head.method;
    match call.path() {
        "/simulator/bill" if method == Method::GET => shown(&call.state.bill(call.query("summary").is_some())),
        "/simulator/config" if method == Method::GET => shown(&*call.config),
        "/simulator/config" if method == Method::PUT => configure(call, body, &Config::default()).await,
        "/simulator/config" if method == Method::PATCH => configure(call, body, &call.config).await,
        _ => Answer::json(404, &json!({"error": "no such place; there are /simulator/bill and /simulator/config"})),
    }
}

fn shown(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer::new(200, "application/json", body),
        Err(error) => Answer::json(500, &json!({"error": error.to_string()})),
    }
}

/// Lays the body over the `base` and makes it the configuration.
async fn configure(call: &Call, body: Incoming, base: &Config) -> Answer {
    let Some(body) = read(body).await else { return refused("the body could not be read") };
    let changes = match serde_json::from_slice(&body) {
        Ok(changes) => changes,
        Err(error) => return refused(&error.to_string()),
    };
    match base.with(changes) {
        Ok(config) => {
            let answer = shown(&config);
            call.state.configure(config);
            answer
        }
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(error: &str) -> Answer {
    Answer::json(400, &json!({"error": error}))
}
