//! What is documented, and the dialects.

use hyper::Method;
use serde_json::{Value, json};
use veobatch_simulator::{
    AspectKey, BalanceForm, Bill, FailureForm, NotReady, ResultUrls, Shape, Simulator, Size, Status, Times,
};

use crate::client::{code, ended, get, instant, link, post, prompt, record, request, send, start, submit, try_submit};

#[tokio::test]
async fn an_accepted_prompt_becomes_a_record_with_a_link() {
    let simulator = start(instant()).await;
    let id = submit(&simulator, &prompt("a cat")).await;
    let record = ended(&simulator, &id).await;
    assert_eq!(record["code"], 200);
    let data = &record["data"];
    assert_eq!((&data["taskId"], &data["successFlag"], &data["errorCode"]), (&json!(id), &json!(1), &Value::Null));
    assert_eq!(data["response"]["resolution"], "720p");
    assert!(data["response"]["resultUrls"][0].as_str().unwrap().starts_with("http://veo.test/files/"));
    let fields: Value = serde_json::from_str(data["paramJson"].as_str().unwrap()).unwrap();
    assert_eq!(fields["prompt"], "a cat");
    assert!(data["completeTime"].as_u64() >= data["createTime"].as_u64());
}

#[tokio::test]
async fn the_seed_shape_has_a_status_and_a_json_string() {
    let mut config = instant();
    config.dialect.shape = Shape::Seed;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a cat")).await;
    let record = ended(&simulator, &id).await;
    assert_eq!(record["data"]["status"], 1);
    let links: Vec<String> = serde_json::from_str(record["data"]["resultUrls"].as_str().unwrap()).unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(record["data"]["response"], Value::Null);
}

#[tokio::test]
async fn links_and_times_come_in_every_form_that_was_seen() {
    let simulator = start(instant()).await;
    let id = submit(&simulator, &prompt("a cat")).await;
    let path = link(&simulator, &id).await;
    let plain = format!("http://veo.test{path}");
    let forms = [
        (ResultUrls::Array, json!([plain])),
        (ResultUrls::JsonString, json!(format!("[\"{plain}\"]"))),
        (ResultUrls::Unquoted, json!(format!("[{plain}]"))),
        (ResultUrls::Bare, json!(plain)),
    ];
    for (form, expected) in forms {
        let mut config = instant();
        config.dialect.result_urls = form;
        simulator.update(config).unwrap();
        assert_eq!(record(&simulator, &id).await["data"]["response"]["resultUrls"], expected);
    }
    for (form, length) in [(Times::Iso, "2026-07-25T17:20:00.000Z".len()), (Times::Plain, "2026-07-25 17:20:00".len())]
    {
        let mut config = instant();
        config.dialect.times = form;
        simulator.update(config).unwrap();
        assert_eq!(record(&simulator, &id).await["data"]["createTime"].as_str().unwrap().len(), length);
    }
}

#[tokio::test]
async fn what_is_not_in_order_is_refused_with_the_documented_code_and_costs_nothing() {
    let simulator = start(instant()).await;
    let image = "https://example.com/a.jpg";
    let cases = [
        (400, json!({"prompt": " "})),
        (400, json!({"model": "veo3"})),
        (400, json!("a text")),
        (422, json!({"prompt": "a", "model": "veo9"})),
        (422, json!({"prompt": "a", "aspect_ratio": "4:3"})),
        (422, json!({"prompt": "a", "resolution": "4K"})),
        (422, json!({"prompt": "a", "duration": 5})),
        (422, json!({"prompt": "a", "seeds": 9999})),
        (422, json!({"prompt": "a", "seeds": 100_000})),
        (422, json!({"prompt": "a", "imageUrls": image})),
        (422, json!({"prompt": "a", "imageUrls": ["data:image/png;base64,AA"]})),
        (422, json!({"prompt": "a", "imageUrls": [image, image, image]})),
        (422, json!({"prompt": "a", "imageUrls": [image], "generationType": "TEXT_2_VIDEO"})),
        (422, json!({"prompt": "a", "generationType": "FIRST_AND_LAST_FRAMES_2_VIDEO"})),
        (422, json!({"prompt": "a", "imageUrls": [image], "model": "veo3", "generationType": "REFERENCE_2_VIDEO"})),
        (422, json!({"prompt": "a", "aspect_ratio": "9:16", "enableFallback": true})),
    ];
    for (expected, body) in &cases {
        let answer = try_submit(&simulator, body).await.unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (200, Some(*expected)), "{body}");
    }
    let bill = simulator.bill().await;
    assert_eq!((bill.accepted.len(), bill.charged, bill.submissions), (0, 0, cases.len() as u64));
    assert_eq!((bill.turned_away[&400], bill.turned_away[&422]), (3, 13));
}

#[tokio::test]
async fn every_documented_field_is_accepted_and_is_on_the_bill() {
    let simulator = start(instant()).await;
    let image = "https://example.com/a.jpg";
    let body = json!({
        "prompt": "a", "model": "veo3_lite", "imageUrls": [image, image, image], "generationType": "REFERENCE_2_VIDEO",
        "aspect_ratio": "Auto", "duration": 8, "resolution": "1080p", "seeds": 10_000, "enableFallback": false,
        "enableTranslation": true, "watermark": "w", "somethingNew": {"a": 1},
    });
    let id = submit(&simulator, &body).await;
    let bill: Bill = serde_json::from_slice(&get(&simulator, "/simulator/bill").await.body).unwrap();
    let line = &bill.accepted[0];
    assert_eq!((&line.task_id, &line.fields, line.price), (&id, &body, 35));
    assert_eq!((bill.charged, bill.balance), (35, 1_000_000 - 35));
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_told_401_in_a_200_or_as_a_real_one() {
    let mut config = instant();
    config.keys = vec!["right".to_owned()];
    let simulator = start(config.clone()).await;
    let answer = try_submit(&simulator, &prompt("a")).await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (200, Some(401)));
    config.dialect.status = Status::Real;
    simulator.update(config).unwrap();
    assert_eq!(try_submit(&simulator, &prompt("a")).await.unwrap().status, 401);
    let mut keyless = request(Method::POST, "/api/v1/veo/generate", &prompt("a"));
    keyless.headers_mut().remove("authorization");
    simulator.update(instant()).unwrap();
    assert_eq!(send(&simulator, keyless).await.unwrap().json()["code"], 401);
    assert_eq!(simulator.bill().await.submissions, 0);
}

#[tokio::test]
async fn a_prompt_that_policy_refuses_is_accepted_first_and_its_credits_come_back() {
    let simulator = start(instant()).await;
    let id = submit(&simulator, &prompt("[refuse] a cat")).await;
    let record = ended(&simulator, &id).await;
    assert_eq!((&record["code"], &record["data"]["successFlag"]), (&json!(200), &json!(2)));
    assert_eq!(record["data"]["errorCode"], 400);
    assert_eq!(record["data"]["response"], Value::Null);
    let bill = simulator.bill().await;
    assert_eq!((bill.charged, bill.refunded, bill.balance), (60, 60, 1_000_000));
}

#[tokio::test]
async fn a_failure_may_be_a_bare_code() {
    let mut config = instant();
    config.dialect.failure = FailureForm::Code;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("[refuse]")).await;
    let record = crate::client::until("it has failed", async || {
        Some(record(&simulator, &id).await).filter(|record| record["code"] != 200)
    })
    .await;
    assert_eq!((&record["code"], &record["data"]), (&json!(400), &Value::Null));
}

#[tokio::test]
async fn a_record_may_be_null_at_first_and_an_unknown_one_always_is() {
    let mut config = instant();
    config.generation.null_polls = 2;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(record(&simulator, &id).await["code"].as_u64().unwrap());
    }
    assert_eq!(codes, [422, 422, 200]);
    assert_eq!(record(&simulator, "nobody").await["code"], 422);
    assert_eq!(simulator.bill().await.accepted[0].polls, 3);
}

#[tokio::test]
async fn a_spelling_of_the_ratio_that_is_not_understood_is_silently_wide() {
    for (key, snake, camel) in
        [(AspectKey::Both, "9:16", "9:16"), (AspectKey::Snake, "9:16", "16:9"), (AspectKey::Camel, "16:9", "9:16")]
    {
        let mut config = instant();
        config.dialect.aspect_key = key;
        let simulator = start(config).await;
        for (field, expected) in [("aspect_ratio", snake), ("aspectRatio", camel)] {
            let id = submit(&simulator, &json!({"prompt": "a", field: "9:16"})).await;
            let file = get(&simulator, &link(&simulator, &id).await).await.body;
            assert_eq!(crate::files::ratio(&file), expected, "{key:?} {field}");
        }
    }
}

/// Asks until the 1080p version is there, and returns all codes that were seen.
async fn codes_of_1080p(simulator: &Simulator, id: &str) -> (Vec<u64>, Value) {
    let place = format!("/api/v1/veo/get-1080p-video?taskId={id}&index=0");
    let mut codes = Vec::new();
    let answer = crate::client::until("1080p is there", async || {
        let answer = get(simulator, &place).await.json();
        codes.push(answer["code"].as_u64().unwrap());
        Some(answer).filter(|answer| answer["data"]["resultUrl"].is_string())
    })
    .await;
    (codes, answer)
}

#[tokio::test]
async fn the_1080p_version_is_started_by_the_first_request_and_paid_once() {
    let mut config = instant();
    // Longer than four requests take on a busy machine.
    config.upgrade_1080p.median_ms = 1500;
    config.upgrade_1080p.not_ready =
        vec![NotReady::Error500, NotReady::Empty200, NotReady::Generating422, NotReady::Processing400];
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    ended(&simulator, &id).await;
    let (codes, answer) = codes_of_1080p(&simulator, &id).await;
    assert_eq!(codes[..4], [500, 200, 422, 400]);
    let path = answer["data"]["resultUrl"].as_str().unwrap().strip_prefix("http://veo.test").unwrap();
    assert_eq!(crate::files::size(&get(&simulator, path).await.body), (1920, 1080));
    codes_of_1080p(&simulator, &id).await;
    let bill = simulator.bill().await;
    assert_eq!((bill.charged, bill.accepted[0].upgrades.len()), (65, 1));
}

#[tokio::test]
async fn a_better_version_that_will_never_be_is_refused_and_free() {
    let mut config = instant();
    config.upgrade_1080p.unavailable = 1.0;
    config.upgrade_4k.unavailable = 1.0;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    ended(&simulator, &id).await;
    let hd = get(&simulator, &format!("/api/v1/veo/get-1080p-video?taskId={id}")).await.json();
    let uhd = post(&simulator, "/api/v1/veo/get-4k-video", &json!({"taskId": id})).await.json();
    assert_eq!((&hd["code"], &uhd["code"]), (&json!(422), &json!(500)));
    assert_eq!(simulator.bill().await.charged, 60);
}

#[tokio::test]
async fn the_4k_version_is_reported_done_by_a_422_with_links() {
    let mut config = instant();
    // Longer than the requests before the end take on a busy machine.
    config.upgrade_4k.median_ms = 1500;
    config.limits.rate = None;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    ended(&simulator, &id).await;
    let ask = async || post(&simulator, "/api/v1/veo/get-4k-video", &json!({"taskId": id})).await.json();
    let first = ask().await;
    assert_eq!((&first["code"], &first["data"]["resultUrls"]), (&json!(200), &Value::Null));
    let second = ask().await;
    assert_eq!((&second["code"], &second["data"]["resultUrls"]), (&json!(422), &Value::Null));
    let done = crate::client::until("4k is there", async || {
        Some(ask().await).filter(|answer| answer["data"]["resultUrls"].is_array())
    })
    .await;
    assert_eq!(done["code"], 422);
    assert_eq!(simulator.bill().await.charged, 180);
}

#[tokio::test]
async fn a_video_may_have_the_size_that_was_asked_for_or_not_without_a_word_of_it() {
    for (size, label, price) in
        [(Size::Labelled, json!("4k"), 180), (Size::Unlabelled, Value::Null, 180), (Size::BaseOnly, Value::Null, 60)]
    {
        let mut config = instant();
        config.dialect.size = size;
        let simulator = start(config).await;
        let id = submit(&simulator, &json!({"prompt": "a", "resolution": "4k"})).await;
        let record = ended(&simulator, &id).await;
        assert_eq!(record["data"]["response"]["resolution"], label, "{size:?}");
        assert_eq!(simulator.bill().await.charged, price, "{size:?}");
    }
}

#[tokio::test]
async fn an_extension_is_a_task_of_its_own_with_the_joined_film() {
    let simulator = start(instant()).await;
    let source = submit(&simulator, &prompt("a")).await;
    ended(&simulator, &source).await;
    let body = json!({"taskId": source, "prompt": "and then", "model": "quality"});
    let answer = post(&simulator, "/api/v1/veo/extend", &body).await.json();
    let id = answer["data"]["taskId"].as_str().unwrap().to_owned();
    let record = ended(&simulator, &id).await;
    let joined = record["data"]["response"]["fullResultUrls"][0].as_str().unwrap();
    let film = get(&simulator, joined.strip_prefix("http://veo.test").unwrap()).await.body;
    assert_eq!(crate::files::seconds(&film), 16);
    assert_eq!(simulator.bill().await.accepted[1].price, 250);
    let unknown = post(&simulator, "/api/v1/veo/extend", &json!({"taskId": "x", "prompt": "and"})).await.json();
    assert_eq!(unknown["code"], 404);
}

#[tokio::test]
async fn the_balance_comes_in_every_form_that_was_seen() {
    let forms = [
        (BalanceForm::Integer, json!(100)),
        (BalanceForm::Decimal, json!(100.5)),
        (BalanceForm::Text, json!("100")),
        (BalanceForm::Object, json!({"credits": 100})),
    ];
    for (form, expected) in forms {
        let mut config = instant();
        config.credits = 100;
        config.dialect.balance = form;
        let simulator = start(config).await;
        assert_eq!(get(&simulator, "/api/v1/chat/credit").await.json()["data"], expected);
    }
}

#[tokio::test]
async fn the_configuration_can_be_changed_from_outside_and_nonsense_changes_nothing() {
    let simulator = start(instant()).await;
    let patch = async |body: &Value| send(&simulator, request(Method::PATCH, "/simulator/config", body)).await.unwrap();
    assert_eq!(patch(&json!({"maintenance": true})).await.json()["maintenance"], true);
    assert_eq!(code(&simulator, &prompt("a")).await, 455);
    assert_eq!(patch(&json!({"maintenance": 3})).await.status, 400);
    assert_eq!(patch(&json!({"generation": {"failed": 3.0}})).await.status, 400);
    assert_eq!(patch(&json!({"maintenance": false})).await.status, 200);
    assert_eq!(code(&simulator, &prompt("a")).await, 200);
    let whole = send(&simulator, request(Method::PUT, "/simulator/config", &json!({"seed": 9}))).await.unwrap().json();
    assert_eq!((&whole["seed"], &whole["generation"]["median_ms"]), (&json!(9), &json!(90_000)));
}
