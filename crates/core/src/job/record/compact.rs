//! The record of a finished job as it is kept for ever: what was paid for and what was written, nothing else.
//!
//! The short form is a JSON array in which what is usual at the end is left out, such as
//! `["5f0c3d2e1b0a49788695a4b3c2d1e0ff",1795368605999,1]`. It is used only where reading it gives the same record back;
//! any other record is stored as usual, without its history. So a field that is new here is never lost, only longer.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Record;
use super::state::{Files, State, Task};
use crate::job::spec::WorkPolicy;
use crate::job::spec::kind::VideoKind;
use crate::job::spec::{Resolution, Spec};
use crate::money::Credits;
use crate::names::id::TaskId;
use crate::time::Timestamp;

impl Record {
    /// The body of this record once nothing but a stray can change the job any more: without its history, its kind and the
    /// tokens of its attempts. `None` unless the job is done, and nothing was or may have been paid for beside its task.
    pub fn compact(&self) -> Option<Vec<u8>> {
        let State::Done { task, files } = &self.state else { return None };
        if !self.strays.is_empty() || !self.open.is_empty() {
            return None;
        }
        let kept = Self { history: Vec::new(), kind: VideoKind::default(), ended: Vec::new(), ..self.clone() };
        let short = Short::of(&kept, task, files).body();
        let is_whole = Short::read(&short).is_ok_and(|read| read == kept);
        Some(if is_whole { short } else { kept.body() })
    }

    /// Since when the job is done; `None` if it is not.
    pub fn done_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Done { task, .. } => Some(self.history.last().map_or(task.at, |entry| entry.0)),
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::InDoubt { .. }
            | State::Failed { .. }
            | State::Cancelled => None,
        }
    }
}

/// The short form, in the order in which it is written.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Short(TaskId, Timestamp, Files, Credits, u32, u32, u32, Resolution, i16, bool);

impl Short {
    fn of(record: &Record, task: &Task, files: &Files) -> Self {
        let Record { credits, attempts, max_attempts, resolution, priority, cancelled, .. } = *record;
        let (id, files) = (task.id.clone(), files.clone());
        Self(id, task.at, files, credits, attempts, task.attempt, max_attempts, resolution, priority, cancelled)
    }

    /// What is usual behind the files, one value a place.
    fn usual(&self) -> Self {
        Self(self.0.clone(), self.1, self.2.clone(), Credits::default(), 1, 1, 1, Resolution::P720, 0, false)
    }

    fn body(&self) -> Vec<u8> {
        let values = |short: &Self| match serde_json::to_value(short) {
            Ok(serde_json::Value::Array(values)) => values,
            Ok(_) | Err(_) => Vec::new(),
        };
        let (mut values, usual) = (values(self), values(&self.usual()));
        while values.len() > 3 && values.last() == usual.get(values.len() - 1) {
            values.pop();
        }
        serde_json::to_vec(&values).unwrap_or_default()
    }

    /// Reads a body that [`Short::is`] one.
    pub(super) fn read(body: &[u8]) -> Result<Record, serde_json::Error> {
        let Self(id, at, files, credits, attempts, attempt, max_attempts, resolution, priority, cancelled) =
            serde_json::from_slice(body)?;
        let state = State::Done { task: Task { id, attempt, at }, files };
        let policy = WorkPolicy { priority, max_attempts };
        let fresh = Record::fresh(&Spec { resolution, policy, ..Spec::default() });
        Ok(Record { state, attempts, credits, cancelled, ..fresh })
    }

    /// Whether a body is in the short form.
    pub(super) fn is(body: &[u8]) -> bool {
        body.first() == Some(&b'[')
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Places)
    }
}

struct Places;

impl<'de> Visitor<'de> for Places {
    type Value = Short;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the short form of a finished job")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut places: A) -> Result<Short, A::Error> {
        let missing = || A::Error::custom("the short form of a finished job ends too early");
        Ok(Short(
            places.next_element()?.ok_or_else(missing)?,
            places.next_element()?.ok_or_else(missing)?,
            places.next_element()?.ok_or_else(missing)?,
            places.next_element()?.unwrap_or_default(),
            places.next_element()?.unwrap_or(1),
            places.next_element()?.unwrap_or(1),
            places.next_element()?.unwrap_or(1),
            places.next_element()?.unwrap_or_default(),
            places.next_element()?.unwrap_or_default(),
            places.next_element()?.unwrap_or_default(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::record::{Attempt, HistoryEntry, Stray};
    use crate::names::id::Token;

    fn done() -> Record {
        let task = Task { id: TaskId::parse("5f0c3d2e").unwrap(), attempt: 1, at: Timestamp::from_millis(7) };
        let state = State::Done { task, files: Files::Usual(1) };
        let history = vec![HistoryEntry(Timestamp::from_millis(9), "saved".into())];
        Record { state, attempts: 1, history, ..Record::fresh(&Spec::default()) }
    }

    fn stray() -> Stray {
        Stray::new(TaskId::parse("x").unwrap(), Token::from_bits(1), Timestamp::default())
    }

    #[test]
    fn a_usual_finished_job_is_its_task_and_its_files() {
        assert_eq!(done().compact().unwrap(), br#"["5f0c3d2e",7,1]"#);
        assert_eq!(done().done_since(), Some(Timestamp::from_millis(9)));
    }

    #[test]
    fn a_compact_record_is_the_record_without_its_history() {
        let attempt =
            Attempt { token: Token::from_bits(7), number: 2, at: Timestamp::default(), price: Credits::default() };
        let State::Done { task, .. } = done().state else { panic!() };
        let named = State::Done { task, files: Files::Named(vec!["a.mp4".into(), "b.mp4".into()]) };
        for record in [
            done(),
            Record { attempts: 3, max_attempts: 4, ..done() },
            Record { credits: Credits::whole(60), ..done() },
            Record { resolution: Resolution::K4, ..done() },
            Record { priority: -7, cancelled: true, ..done() },
            Record { state: named, ..done() },
            // What the short form has no place for.
            Record { last: Some(attempt), ..done() },
            Record { failed_task: TaskId::parse("y"), trouble: Some("t".into()), ..done() },
        ] {
            let body = record.compact().unwrap();
            let read = Record::load(Some(&body), None, &Spec::default()).unwrap();
            assert_eq!(read, Record { history: Vec::new(), ..record });
            assert_eq!(read.compact(), Some(body), "compacting it again changes nothing");
        }
    }

    #[test]
    fn a_compact_record_of_another_model_is_as_short() {
        let kind = VideoKind::of(&Spec { model: "veo3".into(), ..Spec::default() });
        assert_eq!(Record { kind, ..done() }.compact(), done().compact());
    }

    #[test]
    fn only_what_is_done_and_has_no_strays_is_compacted() {
        assert_eq!(Record { strays: vec![stray()], ..done() }.compact(), None);
        assert_eq!(Record { state: State::Cancelled, ..done() }.compact(), None);
        assert_eq!(Record { state: State::Cancelled, ..done() }.done_since(), None);
    }

    #[test]
    fn a_short_form_that_is_cut_off_is_an_error() {
        assert!(Record::load(Some(b"[\"5f0c3d2e\",7]"), None, &Spec::default()).is_err());
    }
}
