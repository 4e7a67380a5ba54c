//! Every end of the paid call: what is said about it, and how many requests left.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use url::Url;
use veobatch_api::{ApiKey, ClientConfig, Delivery, Dialect, Permit};
use veobatch_core::{Grant, Outcome, RefusalKind, Spec, TaskId, Token};

use crate::server::{Act, Server, answer, mute, nobody, with};
use crate::{Client, HOUR, Tests, permit};

const KEY: &str = "sk-very-secret";
const ACCEPTED: &str = r#"{"code":200,"msg":"success","data":{"taskId":"t1"}}"#;

fn client(base: Url) -> Client {
    let config = ClientConfig::new(base, ApiKey::parse(KEY).unwrap());
    Client::new(ClientConfig { submit_timeout: Duration::from_secs(4), ..config }).unwrap()
}

async fn submit(base: Url) -> Outcome {
    submit_with(&client(base)).await
}

async fn submit_with(client: &Client) -> Outcome {
    let spec = Spec { prompt: "a cat".into(), ..Spec::default() };
    let answer = client.submit(permit(), &spec, None).await;
    assert!(!format!("{answer:?}").contains(KEY), "{answer:?}");
    answer.outcome
}

fn accepted() -> Outcome {
    Outcome::Accepted(TaskId::parse("t1").unwrap())
}

#[track_caller]
fn assert_unknown(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[track_caller]
fn assert_not_sent(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_firewalls_page_may_hide_an_acceptance_and_is_told_apart_from_a_refused_key() {
    for (body, is_blocked) in [("<html><title>Attention</title>", true), (r#"{"code":403,"msg":"not allowed"}"#, false)]
    {
        let server = Server::saying(with(403, "retry-after: 70\r\n", body));
        let spec = Spec { prompt: "a cat".into(), ..Spec::default() };
        let answer = client(server.url()).submit(permit(), &spec, None).await;
        assert_eq!((answer.is_blocked, answer.retry_after), (is_blocked, Some(Duration::from_secs(70))));
        match answer.outcome {
            Outcome::Unknown(why) => assert!(is_blocked && why.contains("Attention"), "{why}"),
            Outcome::Refused(refusal) => assert!(!is_blocked && refusal.kind == RefusalKind::KeyRefused),
            outcome @ (Outcome::Accepted(_) | Outcome::NotSent(_)) => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn an_accepted_submission_was_one_post_with_key_type_and_a_plain_user_agent() {
    let server = Server::saying(answer(200, ACCEPTED));
    assert_eq!(submit(server.url()).await, accepted());
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.line(), "POST /api/v1/veo/generate");
    assert_eq!(seen.header("authorization").unwrap(), format!("Bearer {KEY}"));
    assert_eq!(seen.header("content-type").unwrap(), "application/json");
    assert!(seen.header("user-agent").unwrap().starts_with("veobatch/"));
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["prompt"], "a cat");
    assert_eq!((&body["aspect_ratio"], &body["aspectRatio"]), (&"16:9".into(), &"16:9".into()));
}

#[tokio::test]
async fn a_base_with_a_path_keeps_it() {
    let server = Server::saying(answer(200, ACCEPTED));
    assert_eq!(submit(server.url().join("gateway/").unwrap()).await, accepted());
    assert_eq!(server.seen()[0].line(), "POST /gateway/api/v1/veo/generate");
}

#[tokio::test]
async fn a_callback_is_named_in_the_submission() {
    let server = Server::saying(answer(200, ACCEPTED));
    let callback = Url::parse("https://me.example/cb/7").unwrap();
    client(server.url()).submit(permit(), &Spec::default(), Some(&callback)).await;
    assert!(server.seen()[0].body.contains(r#""callBackUrl":"https://me.example/cb/7""#));
}

#[tokio::test]
async fn a_refused_connection_is_not_sent_and_said_in_words() {
    let Outcome::NotSent(words) = submit(nobody()).await else { panic!() };
    assert!(words.to_lowercase().contains("refused") && !words.contains("client error"), "{words}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_sent() {
    assert_not_sent(&submit(Url::parse("https://nothing.invalid/").unwrap()).await);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_sent() {
    let (address, _) = mute(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_not_sent(&submit(Url::parse(&format!("https://{address}/")).unwrap()).await);
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_not_sent() {
    let (address, _) = mute(None);
    assert_not_sent(&submit(Url::parse(&format!("https://{address}/")).unwrap()).await);
}

#[tokio::test]
async fn http_2_is_not_offered() {
    let (address, first_bytes) = mute(Some(b"no"));
    assert_not_sent(&submit(Url::parse(&format!("https://{address}/")).unwrap()).await);
    let hello = first_bytes.recv().unwrap();
    let offers = |protocol: &[u8]| hello.windows(protocol.len()).any(|window| window == protocol);
    assert!(offers(b"\x08http/1.1"));
    assert!(!offers(b"\x02h2"));
}

#[tokio::test]
async fn a_reset_before_the_answer_is_unknown_and_not_sent_again() {
    let server = Server::start(|_, _| Act::Reset(String::new()));
    assert_unknown(&submit(server.url()).await);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_orderly_end_without_an_answer_is_unknown_and_not_sent_again() {
    let server = Server::saying("");
    assert_unknown(&submit(server.url()).await);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn half_an_answer_is_unknown_and_not_sent_again() {
    for act in [Act::Reset, Act::Say] {
        let server =
            Server::start(move |_, _| act("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"code\":2".to_owned()));
        assert_unknown(&submit(server.url()).await);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn half_a_refusal_is_unknown() {
    let server = Server::saying("HTTP/1.1 429 Slow\r\ncontent-length: 50\r\n\r\n{\"code\":429");
    assert_unknown(&submit(server.url()).await);
}

#[tokio::test]
async fn half_an_answer_that_names_the_task_is_accepted() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n";
    let server = Server::saying(format!("{head}{{\"code\":200,\"data\":{{\"taskId\":\"t1\""));
    assert_eq!(submit(server.url()).await, accepted());
}

#[tokio::test]
async fn a_timeout_is_unknown_whether_the_answer_has_begun_or_not() {
    let stall = async |begun: &'static str| {
        let server = Server::start(move |_, _| Act::Stall(begun.to_owned()));
        assert_unknown(&submit(server.url()).await);
        assert_eq!(server.seen().len(), 1);
    };
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"code\":2";
    tokio::join!(stall(""), stall("HTTP/1.1 200 OK\r\n"), stall(half));
}

#[tokio::test]
async fn server_errors_and_pages_are_unknown_and_not_sent_again() {
    for (status, body) in [
        (500, r#"{"code":500,"msg":"x","data":null}"#),
        (200, r#"{"code":500,"msg":"x","data":null}"#),
        (501, r#"{"code":501,"msg":"x"}"#),
        (408, r#"{"code":408,"msg":"x"}"#),
        (502, "<html>502</html>"),
        (503, ""),
        (200, "<html>maintenance</html>"),
        (200, r#"{"code":200,"msg":"success","data":null}"#),
        (204, ""),
    ] {
        let server = Server::saying(answer(status, body));
        assert_unknown(&submit(server.url()).await);
        assert_eq!(server.seen().len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_unknown() {
    let server = Server::saying(answer(200, &" ".repeat(3 << 20)));
    assert_unknown(&submit(server.url()).await);
}

#[tokio::test]
async fn nonsense_instead_of_http_is_unknown_and_not_sent_again() {
    let server = Server::saying("\0\0\0what?\r\n\r\n");
    assert_unknown(&submit(server.url()).await);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_task_id_beside_an_error_is_accepted() {
    let server = Server::saying(answer(200, r#"{"code":500,"msg":"x","data":{"taskId":"t1"}}"#));
    assert_eq!(submit(server.url()).await, accepted());
}

#[tokio::test]
async fn a_redirect_is_unknown_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let second = Server::saying(answer(200, ACCEPTED));
        let first = Server::saying(with(status, &format!("location: {}\r\n", second.url()), ""));
        assert_unknown(&submit(first.url()).await);
        assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_refusal_carries_the_wait_that_was_asked_for() {
    let server = Server::saying(with(429, "retry-after: 17\r\n", r#"{"code":429,"msg":"slow down"}"#));
    let Outcome::Refused(refusal) = submit(server.url()).await else { panic!() };
    assert_eq!((refusal.kind, refusal.code), (RefusalKind::RateLimited, 429));
    assert_eq!((refusal.message.as_str(), refusal.retry_after), ("slow down", Some(Duration::from_secs(17))));
}

#[tokio::test]
async fn an_answer_that_cannot_be_understood_tells_the_wait_that_was_asked_for() {
    for (headers, wait) in [("retry-after: 40\r\n", Some(Duration::from_secs(40))), ("", None)] {
        let server = Server::saying(with(503, headers, "<html>"));
        let answer = client(server.url()).submit(permit(), &Spec::default(), None).await;
        assert_unknown(&answer.outcome);
        assert_eq!((answer.delivery, answer.retry_after), (Delivery::Answered, wait));
    }
}

#[tokio::test]
async fn a_key_that_the_service_echoes_is_not_repeated() {
    let server = Server::saying(answer(200, &format!(r#"{{"code":401,"msg":"bad key {KEY}"}}"#)));
    let Outcome::Refused(refusal) = submit(server.url()).await else { panic!() };
    assert_eq!(refusal.message, "bad key **************");
}

/// A key may be as short as a letter of the answer.
#[tokio::test]
async fn an_accepted_submission_is_known_whatever_the_key_is() {
    let body = r#"{"code":200,"msg":"success","data":{"taskId":"veo-task-k8e2"}}"#;
    for key in ["k", "e", "2", "\"", "taskId", "code", "data", "veo-task-k8e2", body] {
        let server = Server::saying(answer(200, body));
        let client = Client::new(ClientConfig::new(server.url(), ApiKey::parse(key).unwrap())).unwrap();
        let answer = client.submit(permit(), &Spec::default(), None).await;
        assert_eq!(answer.outcome, Outcome::Accepted(TaskId::parse("veo-task-k8e2").unwrap()), "the key is {key}");
    }
}

#[tokio::test]
async fn every_submission_has_a_connection_of_its_own() {
    let server = Server::start(|_, _| Act::Keep(answer(200, ACCEPTED)));
    let client = client(server.url());
    for _ in 0..3 {
        assert_eq!(submit_with(&client).await, accepted());
    }
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

/// The classic trap: a kept connection that the server gives up at the moment the next request is written.
#[tokio::test]
async fn a_connection_that_dies_under_the_next_submission_is_never_met() {
    let server = Server::start(|seen, _| match seen.connection {
        0 => Act::Keep(answer(200, ACCEPTED)),
        _ => Act::Reset(String::new()),
    });
    let client = client(server.url());
    assert_eq!(submit_with(&client).await, accepted());
    assert_unknown(&submit_with(&client).await);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_permit_that_has_run_out_sends_nothing() {
    let server = Server::saying(answer(200, ACCEPTED));
    let grant = Grant::by(&Tests, Token::from_bits(7));
    let late = Permit::new(grant, Instant::now() + HOUR, SystemTime::UNIX_EPOCH);
    let answer = client(server.url()).submit(late, &Spec::default(), None).await;
    assert_not_sent(&answer.outcome);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_job_that_the_dialect_cannot_say_is_refused_and_not_sent() {
    let server = Server::saying(answer(200, ACCEPTED));
    let config = ClientConfig::new(server.url(), ApiKey::parse(KEY).unwrap());
    let client = Client::new(ClientConfig { dialect: Dialect::Seed, ..config }).unwrap();
    let spec = Spec { duration: Some(4), ..Spec::default() };
    let Outcome::Refused(refusal) = client.submit(permit(), &spec, None).await.outcome else { panic!() };
    assert_eq!(refusal.kind, RefusalKind::Job);
    assert!(server.seen().is_empty());
}

#[test]
fn a_base_that_is_none_is_refused() {
    for base in ["ftp://h.example/", "https://u:p@h.example/", "https://h.example/?a", "https://h.example/#a", "data:x"]
    {
        let config = ClientConfig::new(Url::parse(base).unwrap(), ApiKey::parse(KEY).unwrap());
        let error = Client::new(config).unwrap_err();
        assert!(!error.to_string().contains(KEY));
    }
}

#[test]
fn a_client_prints_without_its_key() {
    let client = client(Url::parse("https://h.example/").unwrap());
    assert!(!format!("{client:?}").contains("secret"));
}
