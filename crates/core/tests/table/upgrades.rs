//! Larger versions: what counts as a try, and what decides whether one is bought.

use std::time::Duration;

use veobatch_core::{After, Context, Event, Progress, Record, Resolution, Spec, State, StateName, Upgrade, after};

use crate::scenes::{NOW, policy, task};

const HOUR: Duration = Duration::from_secs(3600);

fn happens(record: &Record, event: &Event) -> Record {
    match after(record, event, &Context { now: NOW + 13 * HOUR, jitter: 0.5, policy: &policy() }) {
        After::Moved(next) => *next,
        After::Same(why) => panic!("{why}"),
    }
}

fn job(resolution: Resolution, state: State) -> Record {
    Record { state, ..Record::fresh(&Spec { resolution, ..Spec::default() }) }
}

fn upscaling(tries: u32) -> State {
    State::Upscaling { task: task(), base: vec!["https://files.example/b.mp4".into()], since: NOW, tries, due: NOW }
}

#[test]
fn a_version_that_could_not_be_asked_for_is_due_later_and_counts_as_no_try() {
    let before = Record { trouble: Some("processing".into()), ..job(Resolution::K4, upscaling(7)) };
    let due = NOW + 14 * HOUR;
    let mut record = before.clone();
    for _ in 0..100 {
        let upgrade = Upgrade::NotAsked(due);
        record = happens(&record, &Event::Upgraded { task: task().id, to: Resolution::K4, upgrade });
    }
    let State::Upscaling { due: then, tries, since, .. } = &record.state else { panic!("{record:?}") };
    assert_eq!((*then, *tries, *since, &record.trouble), (due, 7, NOW, &before.trouble));
    assert_eq!(record.history, before.history);
}

#[test]
fn a_4k_version_is_asked_for_a_third_as_often() {
    for (size, gap) in [(Resolution::P1080, 20), (Resolution::K4, 60)] {
        let waiting = Upgrade::Waiting("processing".into());
        let next = happens(&job(size, upscaling(0)), &Event::Upgraded { task: task().id, to: size, upgrade: waiting });
        let State::Upscaling { due, .. } = next.state else { panic!("{next:?}") };
        assert_eq!(due, NOW + 13 * HOUR + Duration::from_secs(gap));
    }
}

#[test]
fn a_larger_version_is_bought_only_where_the_video_is_known_to_be_smaller() {
    use Resolution::{K4, P720, P1080};
    for (wanted, has, becomes) in [
        (P720, None, StateName::Downloading),
        (P1080, None, StateName::Downloading),
        (K4, None, StateName::Downloading),
        (P1080, Some(P720), StateName::Upscaling),
        (K4, Some(P1080), StateName::Upscaling),
        (K4, Some(K4), StateName::Downloading),
        (P720, Some(P1080), StateName::Downloading),
    ] {
        let (task, due) = (task(), NOW);
        let generating = State::Generating { task, polls: 0, misses: 0, due, called: false };
        let progress = Progress::Made { urls: vec!["https://files.example/b.mp4".into()], resolution: has };
        let next = happens(&job(wanted, generating), &Event::Polled { task: crate::scenes::task().id, progress });
        assert_eq!(next.state.name(), becomes, "{wanted:?} {has:?}");
        let is_said = next.history.iter().any(|entry| entry.1.contains("size is not known"));
        assert_eq!(is_said, wanted > P720 && has.is_none(), "{:?}", next.history);
    }
}
