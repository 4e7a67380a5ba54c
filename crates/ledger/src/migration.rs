//! The formats of a ledger, and what the steps from one to the next make of what is stored.
//!
//! ```text
//! 1 ──▶ 2    how to work at a job stands apart from its content (a line of its own in the stored spec), and jobs whose
//!            made id covered it are known by their content's name too
//! ```
//!
//! A newer program that opens an older ledger takes its steps, under a lock, before anything else (`sqlite::migration`,
//! `redis::migration`); an older program that meets a newer ledger stops with [`LedgerError::Format`]. A step is done
//! for good: it must not change with the types of the rest of the program, so what it reads and writes is described here
//! once more (only [`Older`], which recognizes jobs, knows the present types). Ledgers of every format are kept in `tests/fixtures` and opened by the tests.
//!
//! [`LedgerError::Format`]: crate::LedgerError::Format

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use veobatch_core::{JobId, Spec, WorkPolicy};

/// The format that this program reads and writes.
pub(crate) const FORMAT: u32 = 2;

/// Digits and letters that no one takes for another, and that look the same in every case: RFC 4648, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The bytes of a content's hash that make a name: 80 bits, which a billion jobs do not exhaust.
const NAME_BYTES: usize = 10;

/// The name of a job that is given none: 16 characters that depend on its content only.
pub fn content_name(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let mut name = String::with_capacity(16);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in hash.iter().take(NAME_BYTES) {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            let letter = BASE32.get((bits >> held) as usize & 31).copied().unwrap_or(b'a');
            name.push(char::from(letter));
        }
    }
    name
}

/// A job of format 1 whose spec said how to work at it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Its spec in format 2.
    pub(crate) spec: Vec<u8>,
    /// Its content's name, if its id was made from all that its spec said: a line without an id asks for that name now.
    pub(crate) also: Option<String>,
}

/// What the step to format 2 makes of a job; `None`: nothing, it is stored as it was.
pub(crate) fn split(id: &str, spec: &[u8]) -> Option<Split> {
    let mut content: SpecOf1 = serde_json::from_slice(spec).ok()?;
    let said = SpecOf1 { y: content.y.take(), n: content.n.take(), ..SpecOf1::default() };
    if said == SpecOf1::default() {
        return None;
    }
    let content = serde_json::to_vec(&content).ok()?;
    let also = (parts_of(id).0 == content_name(spec)).then(|| content_name(&content));
    let spec = [content.as_slice(), b"\n", &serde_json::to_vec(&said).ok()?].concat();
    Some(Split { spec, also })
}

/// A job as format 1 would have named and stored it, where that differs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Older {
    /// Folded.
    pub(crate) id: String,
    pub(crate) spec: Vec<u8>,
}

impl Older {
    /// What a finished job is recognized by whose content is gone: it was compact before the step to format 2.
    pub(crate) fn of(id: &JobId, spec: &Spec) -> Option<Self> {
        if spec.policy == WorkPolicy::default() {
            return None;
        }
        let mut all: SpecOf1 = serde_json::from_slice(&spec.content()).ok()?;
        let WorkPolicy { priority, max_attempts } = spec.policy;
        all.y = (priority != 0).then(|| priority.into());
        all.n = (max_attempts != 1).then(|| max_attempts.into());
        let spec = serde_json::to_vec(&all).ok()?;
        let (_, nth) = parts_of(id.as_str());
        let made = || format!("{}{nth}", content_name(&spec));
        let id = if looks_made(id.as_str()) { made() } else { id.folded() };
        Some(Self { id, spec })
    }
}

/// Whether a compact job of format 1 may have been a line without an id that said how to work at it. Its content is gone,
/// and with it the name that such a line has now.
pub(crate) fn is_unrecognizable(id: &str, body: &[u8]) -> bool {
    looks_made(id) && said_how(body)
}

/// Whether an id looks like one that was made from a content.
pub(crate) fn looks_made(id: &str) -> bool {
    let (base, _) = parts_of(id);
    base.len() == 16 && base.bytes().all(|byte| BASE32.contains(&byte))
}

/// An id without the number of a repeated content, and that number with its dash.
fn parts_of(id: &str) -> (&str, &str) {
    let dash = id.find('-').unwrap_or(id.len());
    let (base, nth) = id.split_at(dash);
    let is_number = nth.len() > 1 && nth.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    if is_number { (base, nth) } else { (id, "") }
}

/// Whether the body of a compact job has other than the usual attempts or priority, or cannot be read.
fn said_how(body: &[u8]) -> bool {
    /// Places 6 and 8 of the short form.
    const PLACES: [(usize, i64); 2] = [(6, 1), (8, 0)];
    let is_other = |value: Option<&Value>, usual: i64| value.is_some_and(|value| value.as_i64() != Some(usual));
    match serde_json::from_slice(body) {
        Ok(Value::Array(short)) => PLACES.iter().any(|(at, usual)| is_other(short.get(*at), *usual)),
        Ok(Value::Object(record)) => is_other(record.get("n"), 1) || is_other(record.get("y"), 0),
        Ok(_) | Err(_) => true,
    }
}

/// What format 1 stored of a spec, in its order; what is absent has its default. `y` is the priority, `n` how many attempts.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct SpecOf1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_always_has_the_same_name() {
        assert_eq!(content_name(br#"{"p":"a cat"}"#), "aumb4yqrzpwayp6w");
    }

    #[test]
    fn a_spec_of_format_1_keeps_its_content_to_the_byte_and_says_how_to_work_at_it_apart() {
        let old = r#"{"p":"a \"cat\" ü","m":"veo3","r":"4k","s":12345,"y":-3,"n":2,"x":{"a":[1.5,null],"b":1}}"#;
        let id = content_name(old.as_bytes());
        let split = split(&format!("{id}-12"), old.as_bytes()).unwrap();
        let content = r#"{"p":"a \"cat\" ü","m":"veo3","r":"4k","s":12345,"x":{"a":[1.5,null],"b":1}}"#;
        let text = String::from_utf8(split.spec.clone()).unwrap();
        assert_eq!(text.split_once('\n'), Some((content, r#"{"y":-3,"n":2}"#)));
        assert_eq!(split.also, Some(content_name(content.as_bytes())));
        // And the rest of the program reads and writes just that.
        let spec = Spec::from_bytes(&split.spec).unwrap();
        assert_eq!(spec.to_bytes(), split.spec);
        let also = JobId::parse(&format!("{}-12", content_name(content.as_bytes()))).unwrap();
        let older = Older::of(&also, &spec).unwrap();
        assert_eq!((older.id, String::from_utf8(older.spec).unwrap()), (format!("{id}-12"), old.to_owned()));
    }

    #[test]
    fn a_spec_that_says_nothing_of_how_to_work_at_it_stays_what_it_is() {
        assert_eq!(split("cat", br#"{"p":"a cat","r":"4k"}"#), None);
        assert_eq!(split("cat", b"{\"p\":\"a cat\"}\n{\"n\":2}"), None, "nor is a step taken twice");
        assert_eq!(split("cat", b"?"), None);
    }

    #[test]
    fn an_id_that_a_person_gave_stays_the_only_name() {
        assert_eq!(split("cat-01", br#"{"p":"a cat","n":2}"#).unwrap().also, None);
    }

    #[test]
    fn only_compact_jobs_with_a_made_id_and_a_policy_cannot_be_recognized() {
        for (id, body, expected) in [
            ("abcdefghijklmnop", r#"["t",5,1]"#, false),
            ("abcdefghijklmnop", r#"["t",5,1,60000,1,1,2]"#, true),
            ("abcdefghijklmnop-2", r#"["t",5,1,60000,1,1,1,"720p",5]"#, true),
            ("cat-01", r#"["t",5,1,60000,1,1,2]"#, false),
            ("abcdefghijklmnop", r#"{"n":3}"#, true),
            ("abcdefghijklmnop", "?", true),
        ] {
            assert_eq!(is_unrecognizable(id, body.as_bytes()), expected, "{id} {body}");
        }
    }
}
