//! The service's envelope, `{"code": …, "msg": …, "data": …}`, read leniently.
//!
//! Everything may be missing, null, of another type or accompanied by strangers (docs/kie-api.md, section 1). Nothing here
//! fails: what cannot be read is absent.

use serde_json::{Map, Value};

use crate::text;

/// What was read of one answer's body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Envelope {
    /// The service's own code, where there is one.
    code: Option<u16>,
    /// Its words, ready to be shown.
    pub(crate) message: Option<String>,
    /// The payload; `Null` if there is none.
    pub(crate) data: Value,
    /// Further members beside the three.
    beside: Map<String, Value>,
}

impl Envelope {
    /// The envelope in `body`; `None` if that is no JSON object.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut beside)) = serde_json::from_slice(strip_bom(body)) else { return None };
        let code = beside.remove("code").and_then(|code| number(&code)).and_then(|code| u16::try_from(code).ok());
        let message = ["msg", "message", "error"]
            .into_iter()
            .filter_map(|name| beside.get(name)?.as_str())
            .map(text::plain)
            .find(|message| !message.is_empty());
        let data = beside.remove("data").unwrap_or_default();
        Some(Self { code, message, data, beside })
    }

    /// The code that counts: the service's own, unless HTTP says error where it says success (docs/kie-api.md, section 1).
    pub(crate) fn effective(&self, status: u16) -> u16 {
        match self.code {
            Some(code) if status >= 400 && is_success(code) => status,
            Some(code) => code,
            None => status,
        }
    }

    /// Whether the service itself gave a code, rather than something in front of it.
    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some()
    }

    /// What it holds beside code and words, as JSON; `None` if there is nothing else.
    pub(crate) fn rest(&self) -> Option<String> {
        let is_said = |value: &Value| value.as_str().map(text::plain) == self.message;
        let beside = self.beside.iter().filter(|(_, value)| !is_said(value));
        let data = Some(("data".to_owned(), self.data.clone())).filter(|(_, data)| !data.is_null());
        let rest: Map<String, Value> = beside.map(|(name, value)| (name.clone(), value.clone())).chain(data).collect();
        (!rest.is_empty()).then(|| Value::Object(rest).to_string())
    }

    /// The first of `names` that is present and not null in the payload.
    pub(crate) fn datum(&self, names: &[&str]) -> Option<&Value> {
        member(&self.data, names)
    }

    /// The task id: in the payload, or beside it.
    pub(crate) fn task_id(&self) -> Option<String> {
        const NAMES: [&str; 2] = ["taskId", "task_id"];
        let beside = || NAMES.iter().find_map(|name| self.beside.get(*name));
        let id = self.datum(&NAMES).or_else(beside)?;
        match id {
            Value::String(id) if !id.trim().is_empty() => Some(id.trim().to_owned()),
            Value::Number(id) => Some(id.to_string()),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Whether `code` means that a request was taken. 201 was seen by one client (docs/kie-api.md, section 2).
pub(crate) fn is_success(code: u16) -> bool {
    (200..300).contains(&code)
}

/// The first of `names` that is present and not null in `value`.
pub(crate) fn member<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| value.get(name)).find(|value| !value.is_null())
}

/// A whole number, also one that came as a text or with a fraction of zero.
pub(crate) fn number(value: &Value) -> Option<i64> {
    let number = decimal(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in the range of the next line's check")]
    let whole = number as i64;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(whole)
}

/// A finite number, also one that came as a text.
pub(crate) fn decimal(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite())
}

fn strip_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Envelope {
        Envelope::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_code_that_counts_is_the_services_own_except_where_http_contradicts_its_success() {
        for (status, body, effective) in [
            (200, r#"{"code":401}"#, 401),
            (200, r#"{"code":"422"}"#, 422),
            (500, r#"{"code":455}"#, 455),
            (429, r#"{"code":200}"#, 429),
            (502, r#"{"msg":"x"}"#, 502),
            (200, r#"{"code":200.0}"#, 200),
            (200, r#"{"code":null}"#, 200),
            (200, r#"{"code":70000}"#, 200),
        ] {
            assert_eq!(read(body).effective(status), effective, "{status} {body}");
        }
    }

    #[test]
    fn a_task_id_is_found_wherever_the_service_has_put_one() {
        for body in [
            r#"{"data":{"taskId":"t"}}"#,
            r#"{"data":{"taskId":null,"task_id":"t"}}"#,
            r#"{"taskId":"t","data":null}"#,
            r#"{"data":{"taskId":" t "}}"#,
        ] {
            assert_eq!(read(body).task_id().as_deref(), Some("t"), "{body}");
        }
        assert_eq!(read(r#"{"data":{"taskId":12}}"#).task_id().as_deref(), Some("12"));
        for body in [r#"{"data":{"taskId":""}}"#, r#"{"data":"t"}"#, r#"{"data":{"taskId":{}}}"#, "{}"] {
            assert_eq!(read(body).task_id(), None, "{body}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_envelope() {
        for body in ["", "<html>", "[]", "null", "{\"code\":200"] {
            assert_eq!(Envelope::read(body.as_bytes()), None, "{body}");
        }
    }
}
