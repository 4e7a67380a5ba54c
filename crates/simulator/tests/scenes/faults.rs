//! What is lost, broken off and garbled.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use veobatch_simulator::{Config, Fault, Rule, Simulator};

use crate::client::{ended, get, instant, link, post, prompt, record, start, submit, try_submit};

async fn with_submit(rule: Rule) -> Simulator {
    let mut config = instant();
    config.faults.submit = vec![rule];
    start(config).await
}

#[tokio::test]
async fn an_answer_that_is_lost_after_accepting_leaves_a_paid_task() {
    for fault in [Fault::Close, Fault::Reset] {
        let simulator = with_submit(Rule::nth(fault, [2]).after_accepting()).await;
        submit(&simulator, &prompt("first")).await;
        try_submit(&simulator, &prompt("second")).await.unwrap_err();
        let bill = simulator.bill().await;
        assert_eq!((bill.accepted.len(), bill.answers_lost, bill.charged), (2, 1, 120), "{fault:?}");
        let line = &bill.accepted[1];
        assert_eq!((line.prompt.as_str(), line.answer_lost, line.fault), ("second", true, Some(fault)));
        assert_eq!(ended(&simulator, &line.task_id).await["data"]["successFlag"], 1);
    }
}

#[tokio::test]
async fn a_fault_before_accepting_leaves_nothing() {
    for fault in [Fault::Close, Fault::Reset, Fault::Unread] {
        let simulator = with_submit(Rule::nth(fault, [1])).await;
        try_submit(&simulator, &prompt("first")).await.unwrap_err();
        let bill = simulator.bill().await;
        assert_eq!((bill.accepted.len(), bill.charged, bill.turned_away[&0]), (0, 0, 1), "{fault:?}");
        submit(&simulator, &prompt("second")).await;
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_not() {
    let kind = async |fault| {
        let simulator = with_submit(Rule::always(fault)).await;
        let error = try_submit(&simulator, &prompt("a")).await.unwrap_err();
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
        source.map(std::io::Error::kind)
    };
    assert_eq!(kind(Fault::Reset).await, Some(std::io::ErrorKind::ConnectionReset));
    assert_eq!(kind(Fault::Close).await, None);
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let simulator = with_submit(Rule::always(Fault::Half).after_accepting()).await;
    let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
    assert!(!answer.is_whole && !answer.body.is_empty());
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    assert_eq!(simulator.bill().await.answers_lost, 1);
}

#[tokio::test]
async fn a_garbled_answer_may_hide_a_task_or_not() {
    let cases = [
        (Rule::always(Fault::Html), 502),
        (Rule::always(Fault::Html).code(503), 503),
        (Rule::always(Fault::Html).code(200), 200),
        (Rule::always(Fault::NotJson), 200),
        (Rule::always(Fault::Empty), 200),
    ];
    for (rule, status) in cases {
        for (rule, accepted) in [(rule.clone(), 0), (rule.after_accepting(), 1)] {
            let fault = rule.fault;
            let simulator = with_submit(rule).await;
            let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
            assert_eq!(answer.status, status, "{fault:?}");
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err(), "{fault:?}");
            assert_eq!(simulator.bill().await.accepted.len(), accepted, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_error_in_the_envelope_may_have_made_a_task() {
    for (rule, accepted) in [(Rule::always(Fault::Code), 0), (Rule::always(Fault::Code).after_accepting(), 1)] {
        let simulator = with_submit(rule).await;
        let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (200, Some(500)));
        assert_eq!(simulator.bill().await.accepted.len(), accepted);
    }
    for code in [402, 408, 429, 433, 451, 455, 505, 550] {
        let simulator = with_submit(Rule::always(Fault::Code).code(code)).await;
        assert_eq!(try_submit(&simulator, &prompt("a")).await.unwrap().json()["code"], code);
    }
}

#[tokio::test]
async fn an_answer_may_come_late_or_never() {
    let simulator = with_submit(Rule::always(Fault::Stall).delay_ms(150).after_accepting()).await;
    let began = Instant::now();
    submit(&simulator, &prompt("a")).await;
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert!(!simulator.bill().await.accepted[0].answer_lost);
    let simulator = with_submit(Rule::always(Fault::Hang).after_accepting()).await;
    let waited = timeout(Duration::from_millis(150), try_submit(&simulator, &prompt("a"))).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(simulator.bill().await.answers_lost, 1);
}

#[tokio::test]
async fn a_client_that_follows_a_redirection_of_a_submission_pays_twice() {
    let simulator = with_submit(Rule::nth(Fault::Redirect, [1]).code(307).after_accepting()).await;
    let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
    assert_eq!(answer.status, 307);
    post(&simulator, answer.header("location"), &prompt("a")).await;
    assert_eq!(simulator.bill().await.accepted.len(), 2);
}

#[tokio::test]
async fn rules_may_name_a_prompt_and_end_after_some_times() {
    let simulator = with_submit(Rule::always(Fault::Code).prompt("dog").times(2)).await;
    let mut codes = Vec::new();
    for text in ["a cat", "a dog", "a cat", "a dog", "a dog"] {
        codes.push(crate::client::code(&simulator, &prompt(text)).await);
    }
    assert_eq!(codes, [200, 500, 200, 500, 200]);
}

#[tokio::test]
async fn the_same_seed_loses_the_same_answers_and_another_seed_others() {
    async fn lost(seed: u64) -> Vec<u64> {
        let mut config = Config { seed, ..instant() };
        config.limits.rate = None;
        config.faults.submit = vec![Rule::chance(Fault::Code, 0.3).after_accepting()];
        let simulator = start(config).await;
        for _ in 0..40 {
            try_submit(&simulator, &prompt("a")).await.unwrap();
        }
        let bill = simulator.bill().await;
        bill.accepted.iter().filter(|line| line.answer_lost).map(|line| line.submission).collect()
    }
    let (first, again, other) = (lost(7).await, lost(7).await, lost(8).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!((4..22).contains(&first.len()), "{first:?}");
}

#[tokio::test]
async fn polls_fail_for_each_task_on_its_own() {
    let mut config = instant();
    config.faults.poll = vec![Rule::nth(Fault::Html, [1]), Rule::nth(Fault::Code, [2]).code(429)];
    let simulator = start(config).await;
    for text in ["a", "b"] {
        let id = submit(&simulator, &prompt(text)).await;
        let place = format!("/api/v1/veo/record-info?taskId={id}");
        assert_eq!(get(&simulator, &place).await.status, 502);
        assert_eq!(get(&simulator, &place).await.status, 429);
        assert_eq!(record(&simulator, &id).await["code"], 200);
    }
}

#[tokio::test]
async fn downloads_fail_in_every_way_and_then_succeed() {
    let rules = [
        Rule::nth(Fault::Truncate, [1]),
        Rule::nth(Fault::ResetMidway, [2]),
        Rule::nth(Fault::WrongLength, [3]),
        Rule::nth(Fault::Corrupt, [4]),
        Rule::nth(Fault::Html, [5]).code(200),
        Rule::nth(Fault::Status, [6]).code(403),
        Rule::nth(Fault::Redirect, [7]),
    ];
    let mut config = instant();
    config.faults.download = rules.to_vec();
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    let place = link(&simulator, &id).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(get(&simulator, &place).await);
    }
    let whole = &seen[7].body;
    assert_eq!((whole.len(), seen[7].is_whole), (300_000, true));
    for broken in &seen[..2] {
        assert_eq!((broken.is_whole, broken.header("content-length")), (false, "300000"));
        assert!(broken.body.len() < whole.len() && whole.starts_with(&broken.body));
    }
    assert_eq!((seen[2].is_whole, seen[2].body.len()), (true, 200_000));
    assert_eq!(seen[3].body.len(), whole.len());
    assert_ne!(&seen[3].body, whole);
    assert!(seen[4].status == 200 && seen[4].header("content-type").starts_with("text/html"));
    assert_eq!(seen[5].status, 403);
    assert_eq!(seen[6].status, 302);
    assert_eq!(&get(&simulator, seen[6].header("location")).await.body, whole);
    assert_eq!(simulator.bill().await.accepted[0].downloads, 9);
}

#[tokio::test]
async fn a_download_in_drops_is_whole_in_the_end() {
    let mut config = instant();
    config.faults.download = vec![Rule::always(Fault::Trickle).delay_ms(200)];
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    let place = link(&simulator, &id).await;
    let began = Instant::now();
    let file = get(&simulator, &place).await;
    assert!(file.is_whole && file.body.len() == 300_000);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_unreachable_service_answers_nobody() {
    let simulator = start(Config { unreachable: true, ..instant() }).await;
    try_submit(&simulator, &prompt("a")).await.unwrap_err();
    simulator.update(instant()).unwrap();
    submit(&simulator, &prompt("a")).await;
}
