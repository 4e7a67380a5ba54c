//! What the ledgers of format 1 hold.

use std::collections::BTreeMap;

use veobatch_core::{BatchId, JobId, JobKey, Resolution, Spec, StateName, WorkPolicy};
use veobatch_ledger::{Admission, JobFilter, Ledger, Lookup, NewJob, content_name};

/// Every batch, with how many jobs are in which state.
const BATCHES: &[(&str, &str)] = &[
    ("daily", "queued 2"),
    ("daily-2026-11-28", "done 2"),
    ("night", "queued 2"),
    ("old", "done 5"),
    (
        "states",
        "queued 2, submitting 1, generating 1, upscaling 1, downloading 1, done 3, failed 1, in_doubt 1, cancelled 1",
    ),
    ("unnamed", "queued 4, done 6"),
];

/// What was said of how to work at jobs that still have their content: attempts, priority.
const POLICIES: &[(&str, &str, u32, i16)] = &[
    ("states", "done", 1, 0),
    ("states", "done-policy", 3, 2),
    ("states", "queued", 1, 0),
    ("states", "queued-policy", 2, 9),
    ("night", "moon", 1, 0),
];

/// The ledger is whole: nothing is lost, and everything can be read.
pub(crate) async fn is_whole(ledger: &dyn Ledger) {
    let found: BTreeMap<String, String> = ledger
        .batches()
        .await
        .unwrap()
        .into_iter()
        .map(|batch| {
            let counts = StateName::ALL.iter().map(|state| (state, batch.count(*state))).filter(|(_, n)| *n > 0);
            let counts: Vec<String> = counts.map(|(state, n)| format!("{state} {n}")).collect();
            (batch.batch.to_string(), counts.join(", "))
        })
        .collect();
    let expected: BTreeMap<String, String> =
        BATCHES.iter().map(|(batch, counts)| ((*batch).to_owned(), (*counts).to_owned())).collect();
    assert_eq!(found, expected);
    for batch in found.keys() {
        let batch = BatchId::parse(batch).unwrap();
        let jobs = ledger.page(&batch, JobFilter::All, None, 1000).await.unwrap();
        assert!(!jobs.is_empty());
        for job in jobs {
            assert_eq!(ledger.find(Lookup::Name(&job.key)).await.unwrap().unwrap().record, job.record);
        }
    }
    for (batch, job, max_attempts, priority) in POLICIES {
        let key = key(batch, job);
        let record = ledger.find(Lookup::Name(&key)).await.unwrap().unwrap().record;
        assert_eq!((record.max_attempts, record.priority), (*max_attempts, *priority), "{key}");
    }
    let twice = ledger.find(Lookup::Name(&key("states", "twice"))).await.unwrap().unwrap();
    assert_eq!(twice.record.strays.len(), 1);
    let account = ledger.account(0).await.unwrap();
    assert!(account.daily.is_some() && account.prices.len() == 3);
    let night = ledger.batches().await.unwrap().into_iter().find(|batch| batch.batch.as_str() == "night").unwrap();
    assert_eq!((night.terms.weight, night.terms.priority), (3, 2));
    assert!(night.terms.budget.is_some() && night.terms.schedule.contains("2099"));
}

/// The lines of `unnamed.yaml` and `old.yaml` as they come from the files now: id (empty: made), prompt, size, attempts, priority.
type Line = (&'static str, &'static str, Resolution, u32, i16);
const UNNAMED: &[Line] = &[
    ("", "Unnamed: a fox", Resolution::P720, 1, 0),
    ("", "Unnamed: a fox", Resolution::P720, 2, 0),
    ("", "Unnamed: a hare", Resolution::P720, 2, 0),
    ("", "Unnamed: a hare", Resolution::P720, 2, 0),
    ("", "Unnamed: an owl", Resolution::P720, 1, 5),
    ("", "Unnamed: a badger", Resolution::P720, 1, 0),
    ("", "Unnamed: a badger", Resolution::P720, 1, 0),
    ("", "Unnamed: an otter", Resolution::P720, 3, -7),
    ("", "Unnamed: a fox", Resolution::P1080, 2, 0),
    ("", "Unnamed: a fox", Resolution::P720, 1, 0),
];
const OLD: &[Line] = &[
    ("named", "Old: a named lighthouse", Resolution::P720, 1, 0),
    ("named-policy", "Old: a named lighthouse with a policy", Resolution::P720, 2, 3),
    ("", "Old: a lighthouse without a name", Resolution::P720, 1, 0),
    ("", "Old: a lighthouse without a name, with a policy", Resolution::P720, 2, 0),
    ("", "Old: a lighthouse without a name, with a rank", Resolution::P720, 1, 5),
];

/// Jobs as the producer makes them of lines.
fn jobs(lines: &[Line]) -> Vec<NewJob> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let mut job = |(id, prompt, resolution, max_attempts, priority): &Line| {
        let policy = WorkPolicy { priority: *priority, max_attempts: *max_attempts };
        let spec = Spec { prompt: (*prompt).to_owned(), resolution: *resolution, policy, ..Spec::default() };
        let base = if id.is_empty() { content_name(&spec.content()) } else { (*id).to_owned() };
        let nth = times.entry(base.clone()).or_default();
        *nth += 1;
        let id = if *nth == 1 { base } else { format!("{base}-{nth}") };
        NewJob { id: JobId::parse(&id).unwrap(), spec }
    };
    lines.iter().map(&mut job).collect()
}

/// Every line is a known job, whatever its id was made from; and only what is surplus is new.
pub(crate) async fn knows_its_lines(ledger: &dyn Ledger) {
    let (unnamed, old) = (BatchId::parse("unnamed").unwrap(), BatchId::parse("old").unwrap());
    let known = ledger.compare(&unnamed, &jobs(UNNAMED)).await.unwrap();
    assert_eq!((known.known, known.conflicts.len()), (10, 0));
    // Nobody says how to work at them any more: the same lines all the same.
    let bare: Vec<Line> = UNNAMED.iter().map(|line| (line.0, line.1, line.2, 1, 0)).collect();
    assert_eq!(ledger.compare(&unnamed, &jobs(&bare)).await.unwrap().known, 10);
    let surplus = [bare, vec![("", "Unnamed: a fox", Resolution::P720, 1, 0)]].concat();
    let admission = Admission::random();
    let staged = ledger.stage(&admission, &unnamed, &jobs(&surplus)).await.unwrap();
    assert_eq!((staged.new, staged.known, staged.conflicts.len()), (1, 10, 0));
    ledger.abandon(&admission, std::slice::from_ref(&unnamed)).await.unwrap();

    // Content that is gone: what may be one of them is neither new nor known, until all of them are recognized.
    let other = jobs(&[("", "Old: another one", Resolution::P720, 1, 0)]);
    for lines in [
        other.clone(),
        jobs(&[("", OLD[3].1, Resolution::P720, 1, 0)]),
        jobs(&[("", OLD[3].1, Resolution::P720, 3, 0)]),
    ] {
        let asked = ledger.compare(&old, &lines).await.unwrap();
        assert_eq!((asked.known, asked.conflicts.len()), (0, 1), "{lines:?}");
        let staged = ledger.stage(&admission, &old, &lines).await.unwrap();
        assert_eq!((staged.new, staged.known, staged.conflicts.len()), (0, 0, 1), "{lines:?}");
    }
    let edited = jobs(&[("named-policy", OLD[1].1, Resolution::P720, 4, 3)]);
    assert_eq!(ledger.compare(&old, &edited).await.unwrap().conflicts.len(), 1);
    let named = jobs(&[("another", "Old: another one", Resolution::P720, 1, 0)]);
    assert_eq!(ledger.stage(&admission, &old, &named).await.unwrap().new, 1);
    ledger.abandon(&admission, std::slice::from_ref(&old)).await.unwrap();
    let known = ledger.compare(&old, &jobs(OLD)).await.unwrap();
    assert_eq!((known.known, known.conflicts.len()), (5, 0));
    assert_eq!(ledger.stage(&admission, &old, &jobs(OLD)).await.unwrap().known, 5);
    let staged = ledger.stage(&admission, &old, &other).await.unwrap();
    assert_eq!((staged.new, staged.conflicts.len()), (1, 0), "nothing is left that it could be");
    ledger.abandon(&admission, std::slice::from_ref(&old)).await.unwrap();
    // And it can be asked for by that name.
    let name = jobs(OLD)[3].id.clone();
    let found = ledger.find(Lookup::Name(&JobKey { batch: old, job: name.clone() })).await.unwrap().unwrap();
    assert_ne!(found.key.job, name);
}

pub(crate) fn key(batch: &str, job: &str) -> JobKey {
    JobKey { batch: BatchId::parse(batch).unwrap(), job: JobId::parse(job).unwrap() }
}
