//! Every state times every event, held against the table as it is written down.

use std::fmt::Write as _;

use veobatch_core::{After, Context, Lane, Record, StateName, after};

use crate::scenes::{NOW, events, policy, records};

/// The state after the event; `+stray` if a task was put aside; `-` where nothing changes.
fn cell(record: &Record, event: &veobatch_core::Event) -> String {
    match after(record, event, &Context { now: NOW, jitter: 0.5, policy: &policy() }) {
        After::Same(_) => "-".to_owned(),
        After::Moved(next) => {
            let stray = if next.strays.len() > record.strays.len() { " +stray" } else { "" };
            format!("{}{stray}", next.state.name())
        }
    }
}

fn table() -> String {
    let mut text = String::new();
    for (state, record) in records() {
        writeln!(text, "{state}").unwrap();
        for (event, happens) in events() {
            let cell = cell(&record, &happens);
            if cell != "-" {
                writeln!(text, "    {event:<24} {cell}").unwrap();
            }
        }
    }
    text
}

#[test]
fn the_table_is_what_is_written_down() {
    let written = include_str!("table.txt");
    let computed = table();
    for (line, (is, should)) in computed.lines().zip(written.lines()).enumerate() {
        assert_eq!(is, should, "line {} of table.txt", line + 1);
    }
    assert_eq!(computed.lines().count(), written.lines().count(), "the whole table is now:\n{computed}");
}

#[test]
fn a_settled_or_queued_job_is_in_no_other_lane_and_every_other_is_due_somewhere() {
    for (state, record) in records() {
        let facets = record.facets();
        let lane = facets.due.map(|(lane, _)| lane);
        match facets.state {
            StateName::Generating | StateName::Upscaling => assert_eq!(lane, Some(Lane::Follow), "{state}"),
            StateName::Downloading => assert_eq!(lane, Some(Lane::Save), "{state}"),
            StateName::Queued => assert!(matches!(lane, None | Some(Lane::Submit)), "{state}"),
            // Only to have the task compared that a callback named.
            StateName::InDoubt => assert_eq!(lane.is_some(), state == "in_doubt, called back", "{state}"),
            StateName::Submitting | StateName::Done | StateName::Failed | StateName::Cancelled => {
                assert_eq!(lane, None, "{state}");
            }
        }
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    for (state, record) in records() {
        let read = Record::load(Some(&record.body()), None, &veobatch_core::Spec::default()).unwrap();
        if record.state.name() == StateName::Submitting {
            assert_eq!(read.state.name(), StateName::Queued, "the intent is the ledger's, not the body's");
        } else {
            assert_eq!(read, record, "{state}");
        }
    }
}
