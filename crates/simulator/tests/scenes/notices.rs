//! Callbacks.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use veobatch_simulator::Config;

use crate::client::{instant, start, submit, until};

/// Takes the next request and answers it with this status; its head and its body.
async fn take(listener: &TcpListener, status: u16) -> (String, Value) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            break (head.to_lowercase(), body);
        }
        assert!(read > 0, "broken off: {text}");
    };
    stream.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    (head, body)
}

fn soon() -> Config {
    let mut config = instant();
    config.callbacks.retry_ms = 1;
    config
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=abc", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn a_finished_task_is_announced_until_the_receiver_takes_it() {
    let (listener, url) = listen().await;
    let mut config = soon();
    config.callbacks.hmac_key = Some("secret".to_owned());
    let simulator = start(config).await;
    let id = submit(&simulator, &json!({"prompt": "a", "callBackUrl": url})).await;
    take(&listener, 503).await;
    let (head, body) = take(&listener, 200).await;
    assert!(head.starts_with("post /hook?token=abc http/1.1"), "{head}");
    assert!(head.contains("x-webhook-timestamp: ") && head.contains("x-webhook-signature: "), "{head}");
    assert_eq!((&body["code"], &body["data"]["taskId"]), (&json!(200), &json!(id)));
    assert!(body["data"]["info"]["resultUrls"][0].as_str().unwrap().starts_with(&simulator.base_url()));
    until("the bill shows it", async || (simulator.bill().await.accepted[0].callbacks == [2, 1]).then_some(())).await;
}

#[tokio::test]
async fn a_receiver_that_never_takes_it_is_given_up_after_three_retries() {
    let (listener, url) = listen().await;
    let simulator = start(soon()).await;
    submit(&simulator, &json!({"prompt": "[refuse]", "callBackUrl": url})).await;
    for _ in 0..4 {
        assert_eq!(take(&listener, 500).await.1["code"], 400);
    }
    until("the bill shows it", async || (simulator.bill().await.accepted[0].callbacks == [4, 0]).then_some(())).await;
}

#[tokio::test]
async fn a_notification_may_come_twice() {
    let (listener, url) = listen().await;
    let mut config = soon();
    config.callbacks.deliveries = 2;
    let simulator = start(config).await;
    submit(&simulator, &json!({"prompt": "a", "callBackUrl": url})).await;
    let (first, second) = (take(&listener, 200).await.1, take(&listener, 200).await.1);
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_notification_may_have_each_of_its_forms_and_a_signature_that_is_wrong() {
    use veobatch_simulator::{CallbackForm, SignatureFault};
    let (listener, url) = listen().await;
    let mut config = soon();
    config.callbacks.hmac_key = Some("secret".to_owned());
    config.callbacks.form = CallbackForm::Top;
    config.callbacks.signature = SignatureFault::Old;
    let simulator = start(config.clone()).await;
    let id = submit(&simulator, &json!({"prompt": "[fail]", "callBackUrl": url})).await;
    let (head, body) = take(&listener, 200).await;
    assert_eq!((&body["taskId"], &body["data"]), (&json!(id), &Value::Null));
    let stamp = head.lines().find_map(|line| line.strip_prefix("x-webhook-timestamp: ")).unwrap();
    let accepted_ms = simulator.bill().await.accepted[0].at_ms;
    assert!(stamp.trim().parse::<u64>().unwrap() + 3500 < accepted_ms / 1000, "{stamp}");

    config.callbacks.form = CallbackForm::Snake;
    simulator.update(config.clone()).unwrap();
    let id = submit(&simulator, &json!({"prompt": "a", "callBackUrl": url})).await;
    assert_eq!(take(&listener, 200).await.1["data"]["task_id"], json!(id));

    config.callbacks.form = CallbackForm::NamelessFailure;
    simulator.update(config).unwrap();
    submit(&simulator, &json!({"prompt": "[fail]", "callBackUrl": url})).await;
    assert!(!take(&listener, 200).await.1.to_string().contains("task"));
}
