//! The videos and their links.

use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::client::{Reply, get, instant, link, post, prompt, request, send, start, submit};

/// The number at this place behind the first box of this kind, wherever it is.
fn behind(file: &[u8], kind: [u8; 4], offset: usize) -> u32 {
    let at = file.windows(4).position(|window| *window == kind).unwrap() + 4 + offset;
    u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
}

/// Width and height as the track header says.
pub(crate) fn size(file: &[u8]) -> (u32, u32) {
    (behind(file, *b"tkhd", 76) >> 16, behind(file, *b"tkhd", 80) >> 16)
}

pub(crate) fn ratio(file: &[u8]) -> &'static str {
    let (width, height) = size(file);
    if width > height { "16:9" } else { "9:16" }
}

/// Duration as the movie header says.
pub(crate) fn seconds(file: &[u8]) -> u32 {
    behind(file, *b"mvhd", 16) / behind(file, *b"mvhd", 12)
}

#[tokio::test]
async fn the_picture_is_as_large_and_the_film_as_long_as_was_asked_for() {
    let simulator = start(instant()).await;
    let cases = [
        (json!({"prompt": "a"}), (1280, 720), 8),
        (json!({"prompt": "a", "aspect_ratio": "9:16", "duration": 4}), (720, 1280), 4),
        (json!({"prompt": "a", "resolution": "1080p", "duration": 6}), (1920, 1080), 6),
        (json!({"prompt": "a", "resolution": "4k", "aspect_ratio": "9:16"}), (2160, 3840), 8),
    ];
    for (body, pixels, length) in cases {
        let id = submit(&simulator, &body).await;
        let file = get(&simulator, &link(&simulator, &id).await).await.body;
        assert_eq!((size(&file), seconds(&file)), (pixels, length), "{body}");
    }
}

#[tokio::test]
async fn no_two_tasks_have_the_same_file_and_one_task_always_has() {
    let simulator = start(instant()).await;
    let (first, second) = (submit(&simulator, &prompt("a")).await, submit(&simulator, &prompt("a")).await);
    let (first, second) = (link(&simulator, &first).await, link(&simulator, &second).await);
    let file = get(&simulator, &first).await.body;
    assert_eq!(get(&simulator, &first).await.body, file);
    assert_ne!(get(&simulator, &second).await.body, file);
}

async fn ask(
    simulator: &veobatch_simulator::Simulator,
    method: Method,
    place: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request: Request<_> = request(method, place, &Value::Null);
    request.headers_mut().remove("authorization");
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    send(simulator, request).await.unwrap()
}

#[tokio::test]
async fn a_download_can_be_continued_and_needs_no_key() {
    let simulator = start(instant()).await;
    let place = link(&simulator, &submit(&simulator, &prompt("a")).await).await;
    let head = ask(&simulator, Method::HEAD, &place, &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "300000", 0));
    assert!(head.header("last-modified").ends_with("GMT"));
    let whole = ask(&simulator, Method::GET, &place, &[]).await;
    let rest =
        ask(&simulator, Method::GET, &place, &[("range", "bytes=1000-"), ("if-range", head.header("etag"))]).await;
    assert_eq!((rest.status, rest.header("content-range")), (206, "bytes 1000-299999/300000"));
    assert_eq!(rest.body, whole.body[1000..]);
    let other = ask(&simulator, Method::GET, &place, &[("range", "bytes=1000-"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, 300_000));
    assert_eq!(ask(&simulator, Method::GET, &place, &[("range", "bytes=300000-")]).await.status, 416);
    let known = ask(&simulator, Method::GET, &place, &[("if-none-match", head.header("etag"))]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn what_was_not_made_is_not_there() {
    let mut config = instant();
    config.generation.median_ms = 60_000;
    let simulator = start(config).await;
    let id = submit(&simulator, &prompt("a")).await;
    for place in
        [format!("/files/{id}/0-720p.mp4"), format!("/files/{id}/1-720p.mp4"), "/files/x/0-720p.mp4".to_owned()]
    {
        assert_eq!(get(&simulator, &place).await.status, 404, "{place}");
    }
    simulator.update(instant()).unwrap();
    let place = link(&simulator, &submit(&simulator, &prompt("a")).await).await;
    assert_eq!(get(&simulator, &place.replace("720p", "1080p")).await.status, 404);
}

#[tokio::test]
async fn an_expired_link_is_replaced_by_a_fresh_one() {
    let simulator = start(instant()).await;
    let place = link(&simulator, &submit(&simulator, &prompt("a")).await).await;
    let mut config = instant();
    config.files.link_lifetime_ms = 0;
    simulator.update(config).unwrap();
    crate::client::until("the link has expired", async || (get(&simulator, &place).await.status == 403).then_some(()))
        .await;
    let mint = async |url: String| post(&simulator, "/api/v1/common/download-url", &json!({"url": url})).await.json();
    let fresh = mint(format!("http://veo.test{place}")).await;
    let fresh = fresh["data"].as_str().unwrap().strip_prefix("http://veo.test").unwrap().to_owned();
    assert_eq!(get(&simulator, &fresh).await.body.len(), 300_000);
    assert_eq!(get(&simulator, &fresh.replace("expires=1", "expires=2")).await.status, 403);
    assert_eq!(mint("https://example.com/a.mp4".to_owned()).await["code"], 422);
}
