//! Pace, tasks in flight, credits.

use std::time::Duration;

use serde_json::json;
use veobatch_simulator::{Rate, Status};

use crate::client::{code, ended, get, instant, post, prompt, start, submit, try_submit, until};

#[tokio::test]
async fn beyond_the_rate_there_is_429_until_the_window_has_room_again() {
    let mut config = instant();
    config.limits.rate = Some(Rate { requests: 3, window_ms: 400 });
    let simulator = start(config).await;
    for _ in 0..3 {
        assert_eq!(code(&simulator, &prompt("a")).await, 200);
    }
    let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (429, Some(429)));
    until("the window has room", async || (code(&simulator, &prompt("a")).await == 200).then_some(())).await;
    let bill = simulator.bill().await;
    let times: Vec<u64> = bill.accepted.iter().map(|line| line.at_ms).collect();
    assert!(times[3] - times[0] >= 399, "{times:?}");
    assert_eq!(bill.rejected_429, bill.submissions - 4);
}

#[tokio::test]
async fn asking_for_a_4k_version_counts_as_a_submission_and_for_a_1080p_version_does_not() {
    let mut config = instant();
    config.limits.rate = Some(Rate { requests: 2, window_ms: 60_000 });
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    ended(&simulator, &id).await;
    for _ in 0..3 {
        let small = get(&simulator, &format!("/api/v1/veo/get-1080p-video?taskId={id}")).await;
        assert_ne!(small.status, 429);
    }
    let large = async || post(&simulator, "/api/v1/veo/get-4k-video", &json!({"taskId": id})).await.status;
    assert_eq!([large().await, large().await], [200, 429]);
    assert_eq!(code(&simulator, &prompt("b")).await, 429);
}

#[tokio::test]
async fn rejected_requests_fill_the_window_only_if_so_configured() {
    let mut config = instant();
    config.limits.rate = Some(Rate { requests: 2, window_ms: 60_000 });
    config.limits.count_rejected = true;
    let simulator = start(config.clone()).await;
    assert_eq!(code(&simulator, &json!({"prompt": ""})).await, 400);
    assert_eq!(code(&simulator, &json!({"prompt": ""})).await, 400);
    assert_eq!(code(&simulator, &prompt("a")).await, 429);
    config.limits.count_rejected = false;
    let simulator = start(config).await;
    for expected in [400, 400, 400] {
        assert_eq!(code(&simulator, &json!({"prompt": ""})).await, expected);
    }
    assert_eq!(code(&simulator, &prompt("a")).await, 200);
}

#[tokio::test]
async fn without_a_rate_nothing_is_too_fast() {
    let mut config = instant();
    config.limits.rate = None;
    let simulator = start(config).await;
    for _ in 0..40 {
        assert_eq!(code(&simulator, &prompt("a")).await, 200);
    }
}

#[tokio::test]
async fn the_429_of_the_rate_may_hide_in_a_200() {
    let mut config = instant();
    config.limits.rate = Some(Rate { requests: 0, window_ms: 10_000 });
    config.dialect.status = Status::Always200;
    let simulator = start(config).await;
    let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (200, Some(429)));
}

#[tokio::test]
async fn tasks_in_flight_are_limited_and_ended_ones_make_room() {
    let mut config = instant();
    config.generation.median_ms = 150;
    config.limits.in_flight = Some(2);
    let simulator = start(config).await;
    let first = submit(&simulator, &prompt("a")).await;
    submit(&simulator, &prompt("b")).await;
    assert_eq!(code(&simulator, &prompt("c")).await, 429);
    ended(&simulator, &first).await;
    assert_eq!(code(&simulator, &prompt("c")).await, 200);
    let bill = simulator.bill().await;
    assert_eq!((bill.most_in_flight, bill.rejected_429), (2, 1));
}

#[tokio::test]
async fn without_credits_there_is_402_and_topping_up_helps() {
    let mut config = instant();
    config.credits = 100;
    let simulator = start(config.clone()).await;
    let id = submit(&simulator, &prompt("a")).await;
    assert_eq!(code(&simulator, &prompt("b")).await, 402);
    assert_eq!(get(&simulator, "/api/v1/chat/credit").await.json()["data"], 40);
    ended(&simulator, &id).await;
    config.credits = 120;
    simulator.update(config).unwrap();
    assert_eq!(code(&simulator, &prompt("b")).await, 200);
    assert_eq!(simulator.bill().await.balance, 0);
}

#[tokio::test]
async fn generation_takes_its_time_and_spreads() {
    let mut config = instant();
    config.generation.median_ms = 60_000;
    config.generation.sigma = 0.5;
    config.limits.rate = None;
    let simulator = start(config).await;
    for _ in 0..60 {
        submit(&simulator, &prompt("a")).await;
    }
    let bill = simulator.bill().await;
    let took = bill.accepted.iter().map(|line| Duration::from_millis(line.finish_ms.unwrap() - line.at_ms));
    let below = took.clone().filter(|took| *took < Duration::from_secs(60)).count();
    assert!((15..45).contains(&below), "{below} of 60 below the median");
    assert!(took.clone().max().unwrap() > took.min().unwrap() * 2);
    assert_eq!(bill.in_flight, 60);
}
