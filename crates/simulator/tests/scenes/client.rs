//! A small HTTP client of our own, which sees what is on the wire, and the beginnings of most scenes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use veobatch_simulator::{Config, Simulator};

/// A service whose videos take a few milliseconds.
pub(crate) fn instant() -> Config {
    let mut config = Config::quick();
    config.generation.median_ms = 1;
    config.generation.sigma = 0.0;
    config.upgrade_1080p.median_ms = 1;
    config.upgrade_4k.median_ms = 1;
    config
}

pub(crate) async fn start(config: Config) -> Simulator {
    Simulator::start(config, ([127, 0, 0, 1], 0).into(), None).await.unwrap()
}

/// An answer whose body may have been broken off.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request on a connection of its own. An error is a connection that ended before the head of the answer.
pub(crate) async fn send(simulator: &Simulator, request: Request<Full<Bytes>>) -> Result<Reply, hyper::Error> {
    let stream = TcpStream::connect(simulator.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let mut bytes = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                is_whole = false;
                break;
            };
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        let status = head.status.as_u16();
        Ok(Reply { status, head: Response::from_parts(head, ()), body: bytes, is_whole })
    };
    // The exchange drops its sender at the end, and with it the connection ends.
    tokio::join!(exchange, connection).0
}

pub(crate) fn request(method: Method, place: &str, body: &Value) -> Request<Full<Bytes>> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    Request::builder()
        .method(method)
        .uri(place)
        .header("host", "veo.test")
        .header("authorization", "Bearer key")
        .body(Full::new(Bytes::from(text)))
        .unwrap()
}

pub(crate) async fn get(simulator: &Simulator, place: &str) -> Reply {
    send(simulator, request(Method::GET, place, &Value::Null)).await.unwrap()
}

pub(crate) async fn post(simulator: &Simulator, place: &str, body: &Value) -> Reply {
    send(simulator, request(Method::POST, place, body)).await.unwrap()
}

/// Submits, whatever comes back.
pub(crate) async fn try_submit(simulator: &Simulator, body: &Value) -> Result<Reply, hyper::Error> {
    send(simulator, request(Method::POST, "/api/v1/veo/generate", body)).await
}

/// Submits a plain prompt, and returns the code of the answer.
pub(crate) async fn code(simulator: &Simulator, body: &Value) -> u64 {
    try_submit(simulator, body).await.unwrap().json()["code"].as_u64().unwrap()
}

/// Submits and returns the task's id.
pub(crate) async fn submit(simulator: &Simulator, body: &Value) -> String {
    let answer = try_submit(simulator, body).await.unwrap().json();
    answer["data"]["taskId"].as_str().unwrap_or_else(|| panic!("not accepted: {answer}")).to_owned()
}

pub(crate) fn prompt(text: &str) -> Value {
    json!({"prompt": text, "model": "veo3_fast"})
}

pub(crate) async fn record(simulator: &Simulator, id: &str) -> Value {
    get(simulator, &format!("/api/v1/veo/record-info?taskId={id}")).await.json()
}

/// Polls until the record is one of an ended task.
pub(crate) async fn ended(simulator: &Simulator, id: &str) -> Value {
    until("the task has ended", async || {
        let record = record(simulator, id).await;
        let flag = record["data"]["successFlag"].as_u64().or(record["data"]["status"].as_u64());
        flag.filter(|flag| *flag > 0).map(|_| record)
    })
    .await
}

/// Waits for a state, with a deadline.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// The path of the first link of an ended task.
pub(crate) async fn link(simulator: &Simulator, id: &str) -> String {
    let record = ended(simulator, id).await;
    let url = record["data"]["response"]["resultUrls"][0].as_str().unwrap_or_else(|| panic!("no link: {record}"));
    url.strip_prefix("http://veo.test").unwrap().to_owned()
}
