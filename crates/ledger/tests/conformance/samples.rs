//! How long videos took, as all machines learn it.

use std::time::Duration;

use veobatch_core::{Spec, VideoKind};
use veobatch_ledger::{KINDS, SAMPLES};

use crate::bench::Bench;

fn kind(model: &str) -> VideoKind {
    VideoKind::of(&Spec { model: model.to_owned(), ..Spec::default() })
}

fn seconds(n: usize) -> Duration {
    Duration::from_secs(n.try_into().unwrap())
}

pub(crate) async fn how_long_videos_took_is_known_to_all_by_kind(bench: &Bench) {
    let second = bench.second().await;
    assert_eq!(bench.ledger.samples().await.unwrap(), []);
    let (fast, slow) = (kind("veo3_fast"), kind("a model: with \"spaces\""));
    let took =
        [(fast.clone(), seconds(90)), (slow.clone(), Duration::from_millis(123_456)), (fast.clone(), seconds(88))];
    bench.ledger.sample(&took).await.unwrap();
    second.sample(&[(fast.clone(), seconds(99))]).await.unwrap();
    second.sample(&[]).await.unwrap();
    let all = vec![(slow, vec![Duration::from_millis(123_456)]), (fast, vec![seconds(90), seconds(88), seconds(99)])];
    assert_eq!(bench.ledger.samples().await.unwrap(), all);
    assert_eq!(bench.reopen().await.unwrap().samples().await.unwrap(), all);
}

pub(crate) async fn the_last_ones_of_each_kind_are_kept_in_order(bench: &Bench) {
    let ledger = &bench.ledger;
    let many: Vec<_> = (0..SAMPLES + 70).map(|n| (kind("a"), seconds(n))).collect();
    ledger.sample(&[(kind("b"), seconds(1)), (kind("b"), Duration::MAX)]).await.unwrap();
    ledger.sample(&many).await.unwrap();
    let [(_, a), (_, b)] = <[_; 2]>::try_from(ledger.samples().await.unwrap()).unwrap();
    assert_eq!(a, (70..SAMPLES + 70).map(seconds).collect::<Vec<_>>());
    assert_eq!(b, [seconds(1), Duration::from_millis(u32::MAX.into())], "what is too long for its place is cut");
}

pub(crate) async fn kinds_that_nobody_told_of_for_long_are_forgotten(bench: &Bench) {
    let ledger = &bench.ledger;
    for n in 0..KINDS {
        ledger.sample(&[(kind(&format!("m{n:03}")), seconds(1))]).await.unwrap();
        later(bench).await;
    }
    // Told of again: the next oldest goes.
    ledger.sample(&[(kind("m000"), seconds(2))]).await.unwrap();
    later(bench).await;
    ledger.sample(&[(kind("new"), seconds(3))]).await.unwrap();
    let kept: Vec<_> = ledger.samples().await.unwrap().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kept.len(), KINDS);
    assert!(kept.contains(&kind("m000")) && kept.contains(&kind("new")) && !kept.contains(&kind("m001")));
}

/// Returns once the ledger's clock has moved on.
async fn later(bench: &Bench) {
    let now = bench.ledger.now().await.unwrap();
    while bench.ledger.now().await.unwrap() <= now {}
}
