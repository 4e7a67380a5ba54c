//! What a file says anew of how to work at a job: that is set and nothing else, and no job is moved by it.

use veobatch_core::{After, Context, Event, Record, Restated, StateName, WorkPolicy, after};

use crate::scenes::{NOW, policy, records};

fn moved(record: &Record, restated: Restated) -> Option<Record> {
    let context = Context { now: NOW, jitter: 0.5, policy: &policy() };
    match after(record, &Event::Restated(restated), &context) {
        After::Moved(next) => Some(*next),
        After::Same(_) => None,
    }
}

#[test]
fn it_is_set_and_moves_nothing_in_every_state_but_done_and_cancelled() {
    let both = Restated { priority: Some(7), max_attempts: Some(9) };
    for (name, record) in records() {
        let next = moved(&record, both);
        if matches!(record.state.name(), StateName::Done | StateName::Cancelled) {
            assert_eq!(next, None, "{name}");
            continue;
        }
        let next = next.unwrap();
        assert_eq!(next.history.len(), record.history.len() + 2, "{name}: each is told");
        let history = next.history.clone();
        assert_eq!(next, Record { priority: 7, max_attempts: 9, history, ..record }, "{name}");
        assert_eq!(moved(&next, both), Some(next), "{name}: said twice it changes nothing");
    }
}

#[test]
fn what_a_file_says_as_before_is_left_as_a_person_set_it() {
    let (before, says) = (WorkPolicy::default(), WorkPolicy { max_attempts: 2, ..WorkPolicy::default() });
    let (_, record) = records().swap_remove(0);
    let by_hand = Record { priority: 10, max_attempts: 1, ..record };
    let next = moved(&by_hand, before.restated(says)).unwrap();
    assert_eq!((next.priority, next.max_attempts), (10, 2));
    assert_eq!(says.restated(says), Restated::default());
}
