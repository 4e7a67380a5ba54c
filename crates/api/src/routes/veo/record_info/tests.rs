use proptest::prelude::*;
use veobatch_core::Trouble;

use super::*;

const URL: &str = "https://h.example/x.mp4";

fn task() -> TaskId {
    TaskId::parse("t1").unwrap()
}

fn http(status: u16, body: &str) -> RecordInfo {
    read(Exchange::Answered(Reply { status, body: body.into(), ..Reply::default() }), &task())
}

fn progress(body: &str) -> Progress {
    http(200, body).progress
}

fn made(resolution: Option<Resolution>) -> Progress {
    Progress::Made { urls: vec![URL.to_owned()], resolution }
}

fn trouble(progress: &Progress) -> Option<TroubleKind> {
    match progress {
        Progress::Trouble(Trouble { kind, .. }) => Some(*kind),
        Progress::Running | Progress::Made { .. } | Progress::NoOutput | Progress::Failed(_) | Progress::Missing(_) => {
            None
        }
    }
}

fn failed(progress: Progress) -> TaskFailure {
    match progress {
        Progress::Failed(failure) => failure,
        Progress::Running
        | Progress::Made { .. }
        | Progress::NoOutput
        | Progress::Trouble(_)
        | Progress::Missing(_) => panic!("{progress:?}"),
    }
}

#[test]
fn the_current_shape_of_a_finished_task_is_read() {
    let body = r#"{"code":200,"msg":"success","data":{
        "taskId":"t1","paramJson":"{\"prompt\":\"a cat\",\"waterMark\":\"\"}",
        "successFlag":1,"errorCode":null,"errorMessage":"",
        "createTime":1785000000000,"completeTime":1785000097000,"fallbackFlag":false,
        "response":{"taskId":"t1","resultUrls":["https://h.example/x.mp4"],
                    "originUrls":["https://h.example/o.mp4"],"fullResultUrls":null,"resolution":"1080p"}}}"#;
    let expected = RecordInfo { progress: made(Some(Resolution::P1080)), prompt: Some("a cat".into()) };
    assert_eq!(http(200, body), expected);
}

#[test]
fn every_other_shape_of_a_finished_task_is_read() {
    for body in [
        r#"{"code":200,"data":{"taskId":"t1","status":1,"resultUrls":"[\"https://h.example/x.mp4\"]"}}"#,
        r#"{"code":"200","data":{"successFlag":"1","response":{"resultUrls":"[https://h.example/x.mp4]"}}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":{"resultUrls":"https://h.example/x.mp4"}}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":null,"resultUrls":["https://h.example/x.mp4"]}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":{"resultUrls":[]},"resultUrls":["https://h.example/x.mp4"]}}"#,
        r#"{"code":200,"data":{"successFlag":1,"info":{"result_urls":["https://h.example/x.mp4"]}}}"#,
        r#"{"code":500,"data":{"successFlag":1,"response":{"resultUrls":["https://h.example/x.mp4"]}}}"#,
        r#"{"code":200,"data":{"successFlag":1,"status":2,"response":{"resultUrls":["https://h.example/x.mp4"]}}}"#,
        r#"{"code":200,"data":{"status":"SUCCESS","resultUrls":["https://h.example/x.mp4"]}}"#,
        r#"{"code":200,"data":{"resultUrls":["https://h.example/x.mp4"]}}"#,
    ] {
        assert_eq!(progress(body), made(None), "{body}");
    }
}

#[test]
fn a_flag_of_zero_runs_whatever_the_code_says() {
    for body in [
        r#"{"code":200,"data":{"successFlag":0,"response":null}}"#,
        r#"{"code":500,"data":{"successFlag":"0"}}"#,
        r#"{"code":400,"data":{"status":0}}"#,
        r#"{"code":200,"data":{"successFlag":0,"errorCode":null,"response":{"resultUrls":["https://h.example/x.mp4"]}}}"#,
        r#"{"code":200,"data":{"status":"generating"}}"#,
    ] {
        assert_eq!(progress(body), Progress::Running, "{body}");
    }
}

#[test]
fn made_without_a_link_is_no_output() {
    for body in [
        r#"{"code":200,"data":{"successFlag":1}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":{"resultUrls":null}}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":{"originUrls":["https://h.example/o.mp4"]}}}"#,
        r#"{"code":200,"data":{"successFlag":1,"response":{"resultUrls":["ftp://h.example/x.mp4"]}}}"#,
    ] {
        assert_eq!(progress(body), Progress::NoOutput, "{body}");
    }
}

#[test]
fn every_number_but_zero_and_one_has_failed() {
    for (flag, code, policy) in
        [("2", "500", false), ("3", "\"501\"", false), ("7", "400", true), ("\"2\"", "451", true)]
    {
        let body = format!(
            r#"{{"code":200,"msg":"success","data":{{"successFlag":{flag},"errorCode":{code},"errorMessage":"x"}}}}"#
        );
        let failure = failed(progress(&body));
        assert_eq!(failure.code.map(|code| code.to_string()), Some(code.trim_matches('"').to_owned()), "{body}");
        assert_eq!((failure.message.as_str(), failure.policy), ("x", policy), "{body}");
    }
}

#[test]
fn a_failure_without_words_and_code_still_says_something() {
    let failure = failed(progress(r#"{"code":200,"msg":"success","data":{"successFlag":3}}"#));
    assert_eq!(failure.code, None);
    assert_eq!(failure.message, "the service declared the task failed, state 3");
}

#[test]
fn a_failure_whose_words_speak_of_the_content_is_a_matter_of_policy() {
    for words in ["Violates our Policy", "only English prompts", "Your request was rejected by Flow(X)", "unsafe image"]
    {
        let body = format!(r#"{{"code":200,"data":{{"successFlag":2,"errorCode":500,"errorMessage":"{words}"}}}}"#);
        assert!(failed(progress(&body)).policy, "{words}");
    }
}

#[test]
fn a_code_alone_fails_a_task_only_if_the_service_itself_gave_it() {
    for code in [400, 451, 501, 531] {
        let body = format!(r#"{{"code":{code},"msg":"no","data":null}}"#);
        for status in [200, code] {
            assert_eq!(failed(http(status, &body).progress).code, Some(code));
        }
        assert_eq!(trouble(&http(code, "<html>").progress), Some(TroubleKind::Transport));
        assert_eq!(trouble(&http(code, r#"{"error":"x"}"#).progress), Some(TroubleKind::Transport));
    }
}

#[test]
fn a_task_is_missing_only_if_the_service_itself_says_so() {
    for body in [
        r#"{"code":422,"msg":"recordInfo is null","data":null}"#,
        r#"{"code":422,"msg":"record is null"}"#,
        r#"{"code":422,"msg":"Temporarily supports records within 14 days"}"#,
        r#"{"code":422,"msg":null,"data":null}"#,
        r#"{"code":404,"msg":"not found","data":null}"#,
    ] {
        assert!(matches!(progress(body), Progress::Missing(_)), "{body}");
    }
    for body in [
        r#"{"code":422,"msg":"record status is not success"}"#,
        r#"{"code":422,"msg":"record result data is blank"}"#,
        r#"{"code":422,"msg":"record result data not exist"}"#,
    ] {
        assert_eq!(trouble(&progress(body)), Some(TroubleKind::Transport), "{body}");
    }
    assert_eq!(trouble(&http(404, "<html>").progress), Some(TroubleKind::Transport));
}

#[test]
fn trouble_is_of_the_kind_that_the_code_says() {
    use TroubleKind::{Busy, KeyRefused, RateLimited, Transport};
    for (code, kind) in [
        (401, KeyRefused),
        (403, KeyRefused),
        (429, RateLimited),
        (430, RateLimited),
        (455, Busy),
        (550, Busy),
        (402, Transport),
        (408, Transport),
        (500, Transport),
        (502, Transport),
        (505, Transport),
        (999, Transport),
    ] {
        let body = format!(r#"{{"code":{code},"msg":"x","data":null}}"#);
        assert_eq!(trouble(&progress(&body)), Some(kind), "{code}");
        // A firewall's page says nothing of the key.
        let kind = if code == 403 { TroubleKind::Blocked } else { kind };
        for body in ["<html>", "", r#"{"error":"denied"}"#] {
            assert_eq!(trouble(&http(code, body).progress), Some(kind), "HTTP {code}: {body}");
        }
    }
    let nothing = read(Exchange::NoAnswer("reset".into()), &task());
    assert_eq!(trouble(&nothing.progress), Some(Transport));
}

#[test]
fn what_cannot_be_understood_teaches_nothing() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"code":200}"#,
        r#"{"code":200,"data":null}"#,
        r#"{"code":200,"data":"x"}"#,
        r#"{"code":200,"data":{"taskId":"t1"}}"#,
        r#"{"code":200,"data":{"successFlag":"odd"}}"#,
        r#"{"code":200,"data":{"taskId":"other","successFlag":1,"response":{"resultUrls":["https://h.example/x.mp4"]}}}"#,
        r#"{"code":200,"data":{"taskId":"other","successFlag":2}}"#,
    ] {
        assert_eq!(trouble(&progress(body)), Some(TroubleKind::Transport), "{body}");
    }
}

#[test]
fn the_prompt_is_read_where_it_is_repeated() {
    for (parameters, prompt) in [
        (r#""paramJson":"{\"prompt\":\"a cat\"}""#, Some("a cat")),
        (r#""paramJson":{"prompt":"a cat"}"#, Some("a cat")),
        (r#""promptJson":"{\"prompt\":\"a cat\"}""#, Some("a cat")),
        (r#""paramJson":null,"promptJson":{"prompt":"a cat"}"#, Some("a cat")),
        (r#""paramJson":"{\"prompt\":\"a c"#, None),
        (r#""paramJson":"{prompt:a}""#, None),
        (r#""x":1"#, None),
    ] {
        let body = format!(r#"{{"code":200,"data":{{"successFlag":0,{parameters}}}}}"#);
        assert_eq!(http(200, &body).prompt.as_deref(), prompt, "{parameters}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in any::<u16>(), body in any::<Vec<u8>>()) {
        read(Exchange::Answered(Reply { status, body, ..Reply::default() }), &task());
    }

    #[test]
    fn no_bend_of_an_answer_makes_it_panic(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        let mut body = br#"{"code":200,"msg":"m","data":{"successFlag":1,"errorCode":0,"paramJson":"{\"prompt\":1}",
            "response":{"resultUrls":"[https://h.example/x,https://h.example/y]","resolution":"4k"}}}"#.to_vec();
        if let Some(place) = body.get_mut(at) { *place = byte; }
        body.truncate(body.len() - cut.min(body.len()));
        read(Exchange::Answered(Reply { status: 200, body, ..Reply::default() }), &task());
    }

    #[test]
    fn no_shape_of_the_links_makes_it_panic(text in ".*") {
        links::read(&Value::String(text.clone()));
        text::plain(&text);
        text::redact(&text);
        text::page(text.as_bytes());
    }
}
