//! The calls that follow a paid task.

use std::time::Duration;

use url::Url;
use veobatch_api::{ApiKey, ClientConfig};
use veobatch_core::{Credits, Progress, Resolution, TaskId, TroubleKind, Upgrade};

use crate::server::{Act, Server, answer, nobody, with};
use crate::{Client, permit};

fn client(base: Url) -> Client {
    Client::new(ClientConfig::new(base, ApiKey::parse("sk-very-secret").unwrap())).unwrap()
}

/// One that loses patience soon.
fn hasty(base: Url) -> Client {
    let config = ClientConfig::new(base, ApiKey::parse("sk-very-secret").unwrap());
    Client::new(ClientConfig { poll_timeout: Duration::from_millis(500), ..config }).unwrap()
}

fn task() -> TaskId {
    TaskId::parse("t+1").unwrap()
}

async fn poll(base: Url) -> Progress {
    client(base).poll(&task()).await.progress
}

#[track_caller]
fn assert_trouble(progress: &Progress, kind: TroubleKind) {
    assert!(matches!(progress, Progress::Trouble(trouble) if trouble.kind == kind), "{progress:?}");
}

#[tokio::test]
async fn a_poll_asks_for_the_task_by_its_escaped_id() {
    let server = Server::saying(answer(200, r#"{"code":200,"data":{"taskId":"t+1","successFlag":0}}"#));
    assert_eq!(poll(server.url()).await, Progress::Running);
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.line(), "GET /api/v1/veo/record-info?taskId=t%2B1");
    assert_eq!(seen.header("authorization").unwrap(), "Bearer sk-very-secret");
}

#[tokio::test]
async fn whatever_goes_wrong_with_a_poll_teaches_nothing() {
    assert_trouble(&poll(nobody()).await, TroubleKind::Transport);
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"code\":200,\"data\":{\"successFlag\":2}}";
    for act in [Act::Reset, Act::Stall, Act::Say] {
        for begun in ["", broken] {
            let server = Server::start(move |_, _| act(begun.to_owned()));
            assert_trouble(&hasty(server.url()).poll(&task()).await.progress, TroubleKind::Transport);
        }
    }
    for (status, body) in [(502, "<html>"), (500, r#"{"code":500,"msg":"x"}"#), (302, ""), (404, "<html>")] {
        let server = Server::saying(answer(status, body));
        assert_trouble(&poll(server.url()).await, TroubleKind::Transport);
    }
}

/// The classic trap: a kept connection that the server gives up at the moment the next request is written.
#[tokio::test]
async fn a_free_call_whose_kept_connection_dies_under_it_is_made_once_more() {
    let answers = [
        r#"{"code":200,"data":{"taskId":"t+1","successFlag":0}}"#,
        r#"{"code":200,"data":812.5}"#,
        r#"{"code":200,"data":"https://h.example/new"}"#,
    ];
    // Each is answered on the connection that the one before had died for, which is kept, and dies under the next.
    let server = Server::start(move |_, number| match number {
        1 | 3 => Act::Reset(String::new()),
        number => Act::Keep(answer(200, answers[number / 2])),
    });
    let client = client(server.url());
    assert_eq!(client.poll(&task()).await.progress, Progress::Running);
    assert_eq!(client.credits().await, Ok(Credits::from_f64(812.5)));
    let fresh = client.fresh_url("https://h.example/old").await;
    assert_eq!(fresh, Ok(Some("https://h.example/new".to_owned())));
    let seen = server.seen();
    let connections: Vec<_> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1, 2]);
    assert_eq!(seen[3].body, seen[4].body);
}

#[tokio::test]
async fn a_free_call_is_made_twice_at_most_and_once_where_the_service_is_only_silent() {
    let server = Server::start(|_, _| Act::Reset(String::new()));
    assert_trouble(&poll(server.url()).await, TroubleKind::Transport);
    assert_eq!(server.seen().len(), 2);
    let server = Server::start(|_, _| Act::Stall(String::new()));
    assert_trouble(&hasty(server.url()).poll(&task()).await.progress, TroubleKind::Transport);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_poll_that_is_told_to_slow_down_says_how_long() {
    let server = Server::saying(with(429, "retry-after: 9\r\n", ""));
    let Progress::Trouble(trouble) = poll(server.url()).await else { panic!() };
    assert_eq!((trouble.kind, trouble.retry_after), (TroubleKind::RateLimited, Some(Duration::from_secs(9))));
}

#[tokio::test]
async fn a_refused_key_inside_http_200_is_seen() {
    let server = Server::saying(answer(200, r#"{"code":401,"msg":"no"}"#));
    assert_trouble(&poll(server.url()).await, TroubleKind::KeyRefused);
    assert_eq!(client(server.url()).credits().await.unwrap_err().kind, TroubleKind::KeyRefused);
}

#[tokio::test]
async fn a_larger_version_is_asked_for_by_get_or_by_post() {
    let server = Server::saying(answer(200, r#"{"code":200,"data":{"resultUrl":"https://h.example/b.mp4"}}"#));
    let client = client(server.url());
    for size in [Resolution::P1080, Resolution::K4] {
        let ready = Upgrade::Ready("https://h.example/b.mp4".into());
        assert_eq!(client.upgrade(permit(), &task(), size, 0).await.outcome, ready);
    }
    let [small, large] = server.seen().try_into().unwrap();
    assert_eq!([small.connection, large.connection], [0, 1], "as any call that may pay");
    assert_eq!(small.line(), "GET /api/v1/veo/get-1080p-video?taskId=t%2B1&index=0");
    assert_eq!(large.line(), "POST /api/v1/veo/get-4k-video");
    assert_eq!(large.body, r#"{"taskId":"t+1","index":0}"#);
    assert!(matches!(client.upgrade(permit(), &task(), Resolution::P720, 0).await.outcome, Upgrade::Unavailable(_)));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_upgrade_that_loses_its_answer_is_not_asked_for_twice() {
    let server = Server::start(|_, _| Act::Reset(String::new()));
    let upgrade = client(server.url()).upgrade(permit(), &task(), Resolution::K4, 0).await.outcome;
    assert!(matches!(upgrade, Upgrade::Trouble(_)), "{upgrade:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_balance_is_asked_for() {
    let server = Server::saying(answer(200, r#"{"code":200,"data":812.5}"#));
    assert_eq!(client(server.url()).credits().await, Ok(Credits::from_f64(812.5)));
    assert_eq!(server.seen()[0].line(), "GET /api/v1/chat/credit");
}

#[tokio::test]
async fn a_fresh_link_is_asked_for_by_the_old_one() {
    let server = Server::saying(answer(200, r#"{"code":200,"data":"https://h.example/new"}"#));
    let fresh = client(server.url()).fresh_url("https://h.example/old").await;
    assert_eq!(fresh, Ok(Some("https://h.example/new".to_owned())));
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.line(), "POST /api/v1/common/download-url");
    assert_eq!(seen.body, r#"{"url":"https://h.example/old"}"#);
}

/// Whatever the key is: it is blanked out of words, and of nothing that is read.
#[tokio::test]
async fn links_and_prompts_come_as_the_service_wrote_them() {
    for key in ["e", "sig=1", "https", "data", "https://h.example/e.mp4?sig=1"] {
        let client = |base| Client::new(ClientConfig::new(base, ApiKey::parse(key).unwrap())).unwrap();
        let link = || "https://h.example/e.mp4?sig=1".to_owned();
        let made = r#"{"code":200,"data":{"taskId":"t+1","successFlag":1,"paramJson":"{\"prompt\":\"data, e, https\"}",
            "response":{"resultUrls":["https://h.example/e.mp4?sig=1"]}}}"#;
        let info = client(Server::saying(answer(200, made)).url()).poll(&task()).await;
        assert_eq!(info.progress, Progress::Made { urls: vec![link()], resolution: None }, "the key is {key}");
        assert_eq!(info.prompt.as_deref(), Some("data, e, https"), "the key is {key}");
        let server = Server::saying(answer(200, r#"{"code":200,"data":"https://h.example/e.mp4?sig=1"}"#));
        let ready = client(server.url()).upgrade(permit(), &task(), Resolution::K4, 0).await.outcome;
        assert_eq!(ready, Upgrade::Ready(link()), "the key is {key}");
        assert_eq!(client(server.url()).fresh_url("https://h.example/old").await, Ok(Some(link())), "the key is {key}");
    }
}

#[tokio::test]
async fn a_key_that_is_echoed_is_in_no_words() {
    let says = |body: &str| Server::saying(answer(200, &body.replace("KEY", "sk-very-secret")));
    let failed = says(r#"{"code":200,"data":{"successFlag":2,"errorMessage":"unsafe, says KEY"}}"#);
    let Progress::Failed(failure) = poll(failed.url()).await else { panic!() };
    assert_eq!((failure.message.as_str(), failure.policy), ("unsafe, says **************", true));
    for body in [
        r#"{"code":401,"msg":"no such key: KEY"}"#,
        r#"{"code":422,"msg":"4k unavailable for KEY"}"#,
        r#"{"code":422,"msg":"processing for KEY"}"#,
        r#"{"code":422,"msg":"no such record for KEY"}"#,
        "a page that says KEY",
    ] {
        let server = says(body);
        let client = client(server.url());
        let upgrade = client.upgrade(permit(), &task(), Resolution::K4, 0).await.outcome;
        let said = format!("{:?} {upgrade:?} {:?}", client.poll(&task()).await, client.credits().await);
        assert!(said.contains("**************") && !said.contains("secret"), "{said}");
    }
}
