use proptest::prelude::*;
use veobatch_core::Trouble;

use super::*;
use crate::transport::exchange::Reply;

const URL: &str = "https://h.example/big.mp4";

fn http(status: u16, body: &str) -> Upgrade {
    read(Exchange::Answered(Reply { status, body: body.into(), ..Reply::default() }), 0)
}

#[test]
fn a_link_is_the_answer_in_every_shape_and_beside_every_code() {
    for body in [
        r#"{"code":200,"msg":"success","data":{"resultUrl":"https://h.example/big.mp4"}}"#,
        r#"{"code":200,"data":{"result_url":"https://h.example/big.mp4"}}"#,
        r#"{"code":200,"data":{"videoUrl":"https://h.example/big.mp4"}}"#,
        r#"{"code":200,"data":"https://h.example/big.mp4"}"#,
        r#"{"code":200,"data":{"resultUrls":"[\"https://h.example/big.mp4\"]"}}"#,
        r#"{"code":422,"msg":"The video has been generated successfully","data":{"taskId":"t","resultUrls":["https://h.example/big.mp4"],"imageUrls":["https://h.example/i.png"]}}"#,
        r#"{"code":200,"data":{"taskId":"t","info":{"resultUrls":["https://h.example/big.mp4"],"imageUrls":[]}}}"#,
        r#"{"code":200,"data":{"task_id":"t","result_urls":["https://h.example/big.mp4"],"media_ids":[]}}"#,
    ] {
        assert_eq!(http(200, body), Upgrade::Ready(URL.into()), "{body}");
    }
}

#[test]
fn the_video_that_was_asked_for_is_taken_out_of_a_list() {
    let body = |urls: &str| format!(r#"{{"code":200,"data":{{"resultUrls":[{urls}]}}}}"#);
    let second = |urls| read(Exchange::Answered(Reply { status: 200, body: body(urls).into(), ..Reply::default() }), 1);
    assert_eq!(second(r#""https://h.example/a","https://h.example/b""#), Upgrade::Ready("https://h.example/b".into()));
    assert_eq!(second(r#""https://h.example/b""#), Upgrade::Ready("https://h.example/b".into()));
}

#[test]
fn a_version_that_is_being_made_is_waited_for() {
    for (status, body) in [
        (
            200,
            r#"{"code":400,"msg":"1080P is processing. It should be ready in 1-2 minutes. Please check back shortly.","data":null}"#,
        ),
        (400, r#"{"code":400,"msg":"1080P is processing. It should be ready in 1-2 minutes.","data":null}"#),
        (
            200,
            r#"{"code":422,"msg":"4k is processing. It should be ready in 5-10 minutes.","data":{"taskId":"t","resultUrls":null,"imageUrls":null}}"#,
        ),
        (200, r#"{"code":422,"msg":"records are being generated"}"#),
        (200, r#"{"code":200,"msg":"success","data":{"taskId":"t","resultUrls":null,"imageUrls":null}}"#),
        (200, r#"{"code":200,"data":null}"#),
        (200, r#"{"code":200,"data":{"resultUrl":""}}"#),
        (200, r#"{"code":422,"msg":"record is null"}"#),
        (200, r#"{"code":500,"msg":"still processing"}"#),
        (200, r#"{"code":500,"msg":"internal error"}"#),
        (500, r#"{"code":500,"msg":"internal error"}"#),
        (200, r#"{"code":408,"msg":"timeout"}"#),
    ] {
        assert!(matches!(http(status, body), Upgrade::Waiting(_)), "{status} {body}");
    }
}

#[test]
fn a_version_that_will_never_come_is_given_up() {
    for body in [
        r#"{"code":500,"msg":"The 4K version of this video is unavailable, it failed in processing"}"#,
        r#"{"code":422,"msg":"Temporarily supports records within 14 days"}"#,
        r#"{"code":400,"msg":"This ratio is not supported"}"#,
        r#"{"code":404,"msg":"no such task"}"#,
        r#"{"code":451,"msg":"x"}"#,
        r#"{"code":501,"msg":"x"}"#,
        r#"{"code":505,"msg":"x"}"#,
    ] {
        assert!(matches!(http(200, body), Upgrade::Unavailable(_)), "{body}");
    }
}

#[test]
fn trouble_is_of_the_kind_that_the_code_says() {
    use TroubleKind::{Busy, KeyRefused, RateLimited, Transport};
    let kind = |upgrade| match upgrade {
        Upgrade::Trouble(Trouble { kind, .. }) => Some(kind),
        Upgrade::Ready(_) | Upgrade::Waiting(_) | Upgrade::Unavailable(_) | Upgrade::NotAsked(_) => None,
    };
    for (code, expected) in [
        (401, KeyRefused),
        (403, KeyRefused),
        (429, RateLimited),
        (430, RateLimited),
        (455, Busy),
        (550, Busy),
        (402, Transport),
        (433, Transport),
    ] {
        assert_eq!(kind(http(200, &format!(r#"{{"code":{code},"msg":"x"}}"#))), Some(expected), "{code}");
        // A 403 that is not the service's own says that something stands in between.
        let page = if code == 403 { TroubleKind::Blocked } else { expected };
        assert_eq!(kind(http(code, "<html>")), Some(page), "HTTP {code}");
    }
    for (status, body) in [(404, "<html>"), (200, "<html>"), (200, "{}"), (408, ""), (500, "<html>"), (502, "")] {
        assert_eq!(kind(http(status, body)), Some(Transport), "{status} {body}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in any::<u16>(), body in any::<Vec<u8>>(), index in any::<u32>()) {
        read(Exchange::Answered(Reply { status, body, ..Reply::default() }), index);
    }
}
