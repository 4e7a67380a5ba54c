//! Looking without touching.

use veobatch_core::{JobId, State, StateName};

use crate::bench::{Bench, LONG, admit, batch, ids, job, jobs, key, moved, put, put_of, read, submission};
use veobatch_ledger::{JobFilter, Lookup};

pub(crate) async fn jobs_are_read_by_their_folded_names(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "Night", &[job("Café"), job("b")]).await;
    let stored = ledger.find(Lookup::Name(&key("NIGHT", "CAFE\u{301}"))).await.unwrap().unwrap();
    assert_eq!(stored.key, key("Night", "Café"), "as it was written");
    assert_eq!((stored.spec, stored.version.0, stored.leased_until), (job("Café").spec, 0, None));
    assert_eq!(stored.record.state, State::Queued { due: None });
    assert_eq!(ledger.find(Lookup::Name(&key("night", "c"))).await.unwrap(), None);
    assert_eq!(ledger.find(Lookup::Name(&key("day", "b"))).await.unwrap(), None);
}

pub(crate) async fn a_page_walks_in_file_order_over_more_than_a_thousand_jobs(bench: &Bench) {
    let ledger = &bench.ledger;
    let all = jobs("a", 2345);
    admit(ledger, "before", &jobs("x", 3)).await;
    admit(ledger, "n", &all).await;
    admit(ledger, "behind", &jobs("y", 3)).await;
    for state in [None, Some(StateName::Queued)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = ledger.page(&batch("n"), state.into(), after.as_ref(), 5000).await.unwrap();
            assert!(page.len() <= 1000);
            let Some(last) = page.last() else { break };
            after = Some(last.key.job.clone());
            seen.extend(ids(&page));
        }
        let expected: Vec<_> = all.iter().map(|job| job.id.to_string()).collect();
        assert_eq!(seen, expected);
    }
    assert_eq!(ledger.page(&batch("n"), JobFilter::All, None, 7).await.unwrap().len(), 7);
}

pub(crate) async fn a_page_of_one_state_holds_only_that_state(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 9)).await;
    for id in ["a00001", "a00004", "a00008"] {
        let stored = read(ledger, "n", id).await;
        put(ledger, &put_of(&stored, None, &moved(&stored.record, State::Cancelled))).await;
    }
    let page = async |state, after: Option<&str>| {
        let after = after.map(|id| JobId::parse(id).unwrap());
        ids(&ledger.page(&batch("n"), JobFilter::In(state), after.as_ref(), 9).await.unwrap())
    };
    assert_eq!(page(StateName::Cancelled, None).await, ["a00001", "a00004", "a00008"]);
    // The job to go on after need not be in that state.
    assert_eq!(page(StateName::Cancelled, Some("a00002")).await, ["a00004", "a00008"]);
    assert_eq!(page(StateName::Queued, Some("A00004")).await, ["a00005", "a00006", "a00007"]);
    assert!(page(StateName::Done, None).await.is_empty());
}

pub(crate) async fn pages_of_what_is_unknown_are_empty(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 2)).await;
    assert!(ledger.page(&batch("other"), JobFilter::All, None, 9).await.unwrap().is_empty());
    assert!(ledger.page(&batch("n"), JobFilter::All, Some(&JobId::parse("zzz").unwrap()), 9).await.unwrap().is_empty());
}

pub(crate) async fn batches_are_listed_oldest_first(bench: &Bench) {
    let ledger = &bench.ledger;
    for name in ["c", "A", "b"] {
        admit(ledger, name, &jobs("j", 2)).await;
    }
    admit(ledger, "C", &jobs("k", 2)).await;
    let batches = ledger.batches().await.unwrap();
    assert_eq!(batches.iter().map(|b| b.batch.as_str()).collect::<Vec<_>>(), ["c", "A", "b"]);
    assert_eq!(batches.iter().map(veobatch_ledger::BatchSummary::total).collect::<Vec<_>>(), [4, 2, 2]);
    assert!(batches.is_sorted_by_key(|b| b.created));
    assert!(batches[0].created <= ledger.info().await.unwrap().now);
}

pub(crate) async fn a_leased_job_says_until_when(bench: &Bench) {
    let ledger = &bench.ledger;
    admit(ledger, "n", &jobs("a", 2)).await;
    let claimed = submission(ledger).await;
    let until = Some(claimed.stored.now + LONG);
    assert_eq!(claimed.stored.leased_until, until);
    let page = ledger.page(&batch("n"), JobFilter::All, None, 9).await.unwrap();
    assert_eq!(page.iter().map(|stored| stored.leased_until).collect::<Vec<_>>(), [until, None]);
}
