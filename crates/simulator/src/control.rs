//! What a test asks and arranges from another process: `/simulator/…`. It asks for no key.

use hyper::Method;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::call::{Call, read};
use crate::config::Config;

pub(crate) async fn answer(call: &Call, body: Incoming) -> Answer {
    let method = &call.head.method;
    match call.path() {
        "/simulator/bill" if method == Method::GET => shown(&call.world.bill(call.query("summary").is_some())),
        "/simulator/config" if method == Method::GET => shown(&*call.config),
        "/simulator/config" if method == Method::PUT => configure(call, body, Value::Object(Map::new())).await,
        "/simulator/config" if method == Method::PATCH => {
            let current = serde_json::to_value(&*call.config).unwrap_or_default();
            configure(call, body, current).await
        }
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
async fn configure(call: &Call, body: Incoming, mut base: Value) -> Answer {
    let Some(body) = read(body).await else { return refused("the body could not be read") };
    let patch: Value = match serde_json::from_slice(&body) {
        Ok(patch) => patch,
        Err(error) => return refused(&error.to_string()),
    };
    merge(&mut base, patch);
    let config: Config = match serde_json::from_value(base) {
        Ok(config) => config,
        Err(error) => return refused(&error.to_string()),
    };
    if let Err(error) = config.check() {
        return refused(&error.to_string());
    }
    let answer = shown(&config);
    call.world.configure(config);
    answer
}

fn refused(error: &str) -> Answer {
    Answer::json(400, &json!({"error": error}))
}

/// Objects are merged, everything else is replaced. Unlike RFC 7396, `null` is a value: it switches a limit off.
fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let mut base = json!({"limits": {"rate": {"requests": 20}, "in_flight": 100}, "seed": 1});
        merge(&mut base, json!({"limits": {"rate": null}, "seed": 2}));
        assert_eq!(base, json!({"limits": {"rate": null, "in_flight": 100}, "seed": 2}));
    }
}
