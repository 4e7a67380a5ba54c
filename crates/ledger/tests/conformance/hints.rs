//! Hints: what was seen of videos, as all machines learn it; each replaced only if it still says what the new one came from.

use std::time::Duration;

use veobatch_core::{Durations, Spec, VideoKind};
use veobatch_ledger::{HintKind, KINDS};

use crate::bench::Bench;

fn kind(model: &str) -> VideoKind {
    VideoKind::of(&Spec { model: model.to_owned(), ..Spec::default() })
}

/// Videos that took so long, in seconds.
fn table(ended: &[u64]) -> Durations {
    let mut table = Durations::default();
    for seconds in ended {
        table.add(Duration::from_secs(*seconds));
    }
    table
}

pub(crate) async fn what_was_seen_is_added_up_for_all_by_kind(bench: &Bench) {
    let second = bench.second().await;
    assert_eq!(bench.ledger.durations().await.unwrap(), []);
    let (fast, slow) = (kind("veo3_fast"), kind("a model: with \"spaces\""));
    bench.ledger.observe(&[(fast.clone(), table(&[90, 88])), (slow.clone(), table(&[123]))]).await.unwrap();
    second.observe(&[(fast.clone(), table(&[99]))]).await.unwrap();
    second.observe(&[]).await.unwrap();
    let mut sum = table(&[90, 88]);
    sum.append(&table(&[99]));
    let all = vec![(slow, table(&[123])), (fast, sum)];
    assert_eq!(bench.ledger.durations().await.unwrap(), all);
    assert_eq!(bench.reopen().await.unwrap().durations().await.unwrap(), all);
}

pub(crate) async fn nothing_of_what_many_tell_at_once_is_lost(bench: &Bench) {
    let second = bench.second().await;
    let tell = async |ledger: &veobatch_ledger::SharedLedger| {
        for _ in 0..20 {
            ledger.observe(&[(kind("a"), table(&[70]))]).await.unwrap();
        }
    };
    tokio::join!(tell(&bench.ledger), tell(&second));
    let [(_, all)] = <[_; 1]>::try_from(bench.ledger.durations().await.unwrap()).unwrap();
    assert_eq!(all.count(), 40);
}

pub(crate) async fn kinds_that_nobody_told_of_for_long_are_forgotten(bench: &Bench) {
    let ledger = &bench.ledger;
    for n in 0..KINDS {
        ledger.observe(&[(kind(&format!("m{n:03}")), table(&[1]))]).await.unwrap();
        later(bench).await;
    }
    // Told of again: the next oldest goes.
    ledger.observe(&[(kind("m000"), table(&[2]))]).await.unwrap();
    later(bench).await;
    ledger.observe(&[(kind("new"), table(&[3]))]).await.unwrap();
    let kept: Vec<_> = ledger.durations().await.unwrap().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kept.len(), KINDS);
    assert!(kept.contains(&kind("m000")) && kept.contains(&kind("new")) && !kept.contains(&kind("m001")));
}

/// Returns once the ledger's clock has moved on.
async fn later(bench: &Bench) {
    let now = bench.ledger.info().await.unwrap().now;
    while bench.ledger.info().await.unwrap().now <= now {}
}

pub(crate) async fn a_hint_is_replaced_only_by_who_knows_what_it_says(bench: &Bench) {
    let (ledger, second) = (&bench.ledger, bench.second().await);
    let put = async |was, now| second.put_hint(HintKind::Note, "a name", was, now).await.unwrap();
    let said =
        async || ledger.hints(HintKind::Note).await.unwrap().into_iter().map(|hint| hint.text).collect::<Vec<_>>();
    assert!(!put(Some("x"), Some("one")).await, "there is none");
    assert!(put(None, Some("one two\nthree")).await);
    assert!(!put(None, Some("other")).await && !put(Some("one"), Some("other")).await && !put(Some(""), None).await);
    assert_eq!(said().await, ["one two\nthree"]);
    assert!(put(Some("one two\nthree"), Some("")).await, "an empty one is one");
    assert!(!put(None, None).await);
    assert_eq!(said().await, [""]);
    assert!(put(Some(""), None).await);
    assert_eq!(said().await, Vec::<String>::new());
    assert!(ledger.hints(HintKind::Heard).await.unwrap().is_empty(), "kinds are apart");
}
