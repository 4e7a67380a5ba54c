//! What a callback says: which task. Everything else is read from `record-info`.
//!
//! The payloads differ by generation and by case (docs/kie-api.md, section 7): the id is in `data.taskId`, `data.task_id` or
//! `taskId`; links are an array or a JSON text; a failure may come with `data: null`.

use serde_json::Value;
use veobatch_core::TaskId;

/// A readable payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// The task, if it names one.
    pub(super) task: Option<TaskId>,
}

/// Parses a payload; `None` if it is not one, or names something that cannot be a task id.
pub(super) fn parse(bytes: &[u8]) -> Option<Body> {
    let Value::Object(body) = serde_json::from_slice(bytes).ok()? else { return None };
    let data = body.get("data").map(opened);
    let inside = data.as_ref().and_then(Value::as_object);
    let named = [inside, Some(&body)].into_iter().flatten().find_map(|place| {
        ["taskId", "task_id"].into_iter().filter_map(|name| place.get(name)).find(|value| !value.is_null())
    });
    let task = match named {
        None => None,
        Some(Value::String(text)) => Some(TaskId::parse(text)?),
        Some(Value::Number(number)) => Some(TaskId::parse(&number.to_string())?),
        Some(_) => return None,
    };
    let says_something = task.is_some() || body.contains_key("code") || body.contains_key("data");
    says_something.then_some(Body { task })
}

/// `data`, which some senders send as a string that contains JSON.
fn opened(data: &Value) -> Value {
    match data {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(text: &str) -> String {
        let task = parse(text.as_bytes()).unwrap_or_else(|| panic!("not understood: {text}")).task;
        task.map_or("none".to_owned(), |task| task.to_string())
    }

    #[test]
    fn every_shape_that_was_seen_names_its_task() {
        for text in [
            r#"{"code":200,"msg":"ok","data":{"taskId":"t-1","info":{"resultUrls":["https://h/a.mp4"],"originUrls":null,"resolution":"1080p"},"promptJson":{"prompt":"x"},"fallbackFlag":false}}"#,
            r#"{"code":200,"msg":"ok","data":{"taskId":"t-1","info":{"resultUrls":"[\"https://h/a.mp4\"]"},"promptJson":"{mis}"}}"#,
            r#"{"code":200,"data":{"task_id":"t-1","result_urls":["https://h/a.mp4"],"media_ids":["m"]}}"#,
            r#"{"taskId":"t-1","code":200,"data":{"info":{"resultUrls":"https://h/a.mp4"}}}"#,
            r#"{"taskId":"t-1","code":500,"msg":"Internal Error - Timeout","data":null}"#,
            r#"{"code":501,"msg":"failed","data":{"taskId":"t-1","fallbackFlag":false}}"#,
            r#"{"code":400,"msg":"policy","data":"{\"taskId\":\"t-1\"}"}"#,
            r#"{"task_id":"t-1"}"#,
        ] {
            assert_eq!(task(text), "t-1", "{text}");
        }
    }

    #[test]
    fn a_failure_may_name_no_task() {
        for text in
            [r#"{"code":500,"msg":"x","data":null}"#, r#"{"code":422,"data":{"taskId":null}}"#, r#"{"code":501}"#]
        {
            assert_eq!(task(text), "none", "{text}");
        }
    }

    #[test]
    fn what_is_no_payload_is_refused_whole() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "\"x\"",
            "{\"code\":200",
            r#"{"data":{"taskId":"../x"}}"#,
            r#"{"taskId":[1]}"#,
            &deep,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_stranger_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn damage_never_makes_up_another_task(at in 0_usize..80, byte: u8, cut in 1_usize..90) {
            let mut bytes = br#"{"code":200,"msg":"made","data":{"info":{"resolution":"720p"},"taskId":"task-1"}}"#.to_vec();
            let place = at % 60;
            bytes[place] = byte;
            bytes.truncate(cut);
            if let Some(Body { task: Some(task) }) = parse(&bytes) {
                prop_assert_eq!(task.as_str(), "task-1");
            }
        }
    }
}
