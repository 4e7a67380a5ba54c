//! Result links, in all the shapes in which the service has written them.

use serde_json::Value;
use url::Url;

/// The http(s) links in `value`: an array, an array written as a JSON text, a bracketed list without quotes, or one bare
/// link (docs/kie-api.md, section 3). What is no link is left out; the order stays.
pub(crate) fn read(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).filter_map(link).collect(),
        Value::String(text) => read_text(text.trim()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// `text` if it is one http(s) link.
pub(crate) fn link(text: &str) -> Option<String> {
    let text = text.trim();
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && !text.contains(char::is_whitespace)).then(|| text.to_owned())
}

fn read_text(text: &str) -> Vec<String> {
    if let Ok(value @ (Value::Array(_) | Value::String(_))) = serde_json::from_str(text) {
        return match value {
            Value::String(inner) => link(&inner).into_iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => read(&value),
        };
    }
    let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return link(text).into_iter().collect();
    };
    // A comma may also stand inside a link: only one that a new link follows separates.
    let mut found: Vec<String> = Vec::new();
    for part in inner.split(',') {
        let part = part.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        match (link(part), found.last_mut()) {
            (Some(next), _) => found.push(next),
            (None, Some(last)) => last.extend([",", part]),
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_are_read_in_every_shape_seen() {
        let (a, b) = ("https://h.example/a.mp4", "https://h.example/b.mp4?x=1,2");
        for shape in [
            json!([a, b]),
            json!(format!("[\"{a}\",\"{b}\"]")),
            json!(format!("[{a},{b}]")),
            json!(format!("[{a}, {b}]")),
            json!(format!("['{a}', '{b}']")),
            json!([a, null, 7, "", "nonsense", "data:x", "file:///etc/passwd", b]),
        ] {
            assert_eq!(read(&shape), [a, b], "{shape}");
        }
        assert_eq!(read(&json!(a)), [a]);
        assert_eq!(read(&json!(format!("\"{a}\""))), [a]);
    }

    #[test]
    fn what_holds_no_link_gives_none() {
        for shape in [json!(null), json!(""), json!("[]"), json!([]), json!({}), json!(3), json!("null"), json!("[,]")]
        {
            assert!(read(&shape).is_empty(), "{shape}");
        }
    }
}
