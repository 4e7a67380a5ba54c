use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn http(status: u16, body: &str) -> Outcome {
    outcome(Exchange::Answered(Reply { status, body: body.into(), ..Reply::default() }))
}

fn kind(outcome: &Outcome) -> Option<RefusalKind> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.kind),
        Outcome::Accepted(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    }
}

const HTML: &str = "<html><head><title>Oops</title></head></html>";

#[test]
fn a_task_id_is_acceptance_whatever_stands_beside_it() {
    for (status, body) in [
        (200, r#"{"code":200,"msg":"success","data":{"taskId":"t1"}}"#),
        (200, r#"{"code":201,"data":{"taskId":"t1"}}"#),
        (200, r#"{"code":500,"msg":"oops","data":{"taskId":"t1"}}"#),
        (200, r#"{"code":422,"data":{"taskId":"t1"}}"#),
        (500, r#"{"code":500,"data":{"taskId":"t1"}}"#),
        (307, r#"{"code":200,"data":{"taskId":"t1"}}"#),
        (200, r#"{"taskId":"t1"}"#),
        (200, r#"{"code":"200","data":{"task_id":"t1"},"extra":[1]}"#),
        (200, r#"{"code":200,"msg":"success","data":{"taskId":"t1","rest":"cut o"#),
    ] {
        assert_eq!(http(status, body), Outcome::Accepted(TaskId::parse("t1").unwrap()), "{status} {body}");
    }
}

#[test]
fn every_code_on_the_list_is_a_definite_refusal_by_http_or_by_envelope() {
    use RefusalKind::{Busy, Job, KeyRefused, NoCredits, RateLimited};
    for (code, expected) in [
        (400, Job),
        (404, Job),
        (422, Job),
        (451, Job),
        (505, Job),
        (429, RateLimited),
        (430, RateLimited),
        (455, Busy),
        (550, Busy),
        (402, NoCredits),
        (433, NoCredits),
        (401, KeyRefused),
        (403, KeyRefused),
    ] {
        let envelope = format!(r#"{{"code":{code},"msg":"no","data":null}}"#);
        for status in [200, code, 500] {
            assert_eq!(kind(&http(status, &envelope)), Some(expected), "HTTP {status}, code {code}");
        }
        let contradicted = http(code, r#"{"code":200,"msg":"success"}"#);
        assert_eq!(kind(&contradicted), Some(expected), "HTTP {code}, code 200");
    }
}

#[test]
fn codes_on_no_list_leave_it_unknown() {
    for code in [0, 100, 200, 201, 204, 302, 405, 406, 408, 409, 410, 418, 499, 500, 501, 502, 503, 504, 520, 531, 999]
    {
        for status in [200, 500] {
            let outcome = http(status, &format!(r#"{{"code":{code},"msg":"x","data":null}}"#));
            assert!(matches!(outcome, Outcome::Unknown(_)), "HTTP {status}, code {code}: {outcome:?}");
        }
    }
}

#[test]
fn success_without_a_task_id_is_unknown() {
    for body in [
        r#"{"code":200,"msg":"success","data":null}"#,
        r#"{"code":200,"data":{"taskId":""}}"#,
        r#"{"code":200,"data":{"taskId":null}}"#,
        r#"{"code":200,"data":{"taskId":"../../etc"}}"#,
        r#"{"code":200,"data":[]}"#,
        "{}",
        "[]",
        "",
        "ok",
        HTML,
        r#"{"code":200,"data":{"taskId":"cut o"#,
        "<script>{\"taskId\":\"t1\"}</script>",
    ] {
        assert!(matches!(http(200, body), Outcome::Unknown(_)), "{body}");
    }
}

#[test]
fn a_refusal_without_an_envelope_is_definite_below_500_only() {
    use RefusalKind::{Job, KeyRefused, NoCredits, RateLimited};
    for body in [HTML, "", r#"{"error":"denied"}"#] {
        for (status, expected) in [
            (400, Some(Job)),
            (401, Some(KeyRefused)),
            (402, Some(NoCredits)),
            (403, None),
            (404, Some(Job)),
            (413, Some(Job)),
            (422, Some(Job)),
            (429, Some(RateLimited)),
            (405, None),
            (407, None),
            (408, None),
            (409, None),
            (499, None),
            (500, None),
            (501, None),
            (502, None),
            (503, None),
            (504, None),
            (505, None),
            (520, None),
            (524, None),
            (550, None),
            (301, None),
            (302, None),
            (307, None),
            (308, None),
            (200, None),
        ] {
            assert_eq!(kind(&http(status, body)), expected, "HTTP {status} {body}");
        }
    }
}

#[test]
fn a_redirect_refuses_nothing_even_in_the_services_own_words() {
    assert!(matches!(http(302, r#"{"code":401,"msg":"log in"}"#), Outcome::Unknown(_)));
}

#[test]
fn half_an_answer_proves_nothing_but_a_task_id_in_it() {
    let half = |status, body: &str| {
        let broken = Some("reset".to_owned());
        outcome(Exchange::Answered(Reply { status, body: body.into(), broken, ..Reply::default() }))
    };
    for (status, body) in [(200, r#"{"code":4"#), (401, ""), (429, r#"{"code":429,"msg":"slow"}"#), (403, "<html>")] {
        assert!(matches!(half(status, body), Outcome::Unknown(_)), "{status} {body}");
    }
    assert!(matches!(half(200, r#"{"code":200,"data":{"taskId":"t1""#), Outcome::Accepted(_)));
}

#[test]
fn what_was_not_answered_is_unknown_and_what_was_not_sent_is_not() {
    assert!(matches!(outcome(Exchange::NoAnswer("reset".into())), Outcome::Unknown(_)));
    assert_eq!(outcome(Exchange::NotSent("refused".into())), Outcome::NotSent("refused".into()));
}

#[test]
fn a_refusal_carries_the_services_words_and_the_wait_it_asked_for() {
    let reply = Reply {
        status: 429,
        body: br#"{"code":429,"msg":"slow\r\n down, see https://h.example/x?key=1"}"#.to_vec(),
        retry_after: Some(Duration::from_secs(7)),
        broken: None,
    };
    let refusal = Refusal {
        kind: RefusalKind::RateLimited,
        code: 429,
        message: "slow down, see https://h.example/x".into(),
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(outcome(Exchange::Answered(reply)), Outcome::Refused(refusal));
}

#[test]
fn a_doubt_says_what_was_seen() {
    let says = |outcome| match outcome {
        Outcome::Unknown(words) => words,
        Outcome::Accepted(_) | Outcome::Refused(_) | Outcome::NotSent(_) => panic!("{outcome:?}"),
    };
    assert_eq!(says(http(502, HTML)), "HTTP 502 without a task id: a web page, \"Oops\"");
    assert_eq!(
        says(http(200, r#"{"code":500,"msg":"oh"}"#)),
        "HTTP 200, code 500 without a task id: oh; the answer holds nothing else"
    );
    assert_eq!(says(http(200, r#"{"code":200,"id":"t1"}"#)), r#"HTTP 200 without a task id: {"code":200,"id":"t1"}"#);
    // Words alone do not tell what was wrong with it.
    assert_eq!(
        says(http(200, r#"{"code":200,"msg":"success","data":{"jobId":"t1","see":"https:\/\/h.example\/x?sig=1"}}"#)),
        r#"HTTP 200 without a task id: success; the answer holds {"data":{"jobId":"t1","see":"https://h.example/x"}}"#
    );
    assert_eq!(
        says(http(200, r#"{"code":200,"msg":"success","error":"full"}"#)),
        r#"HTTP 200 without a task id: success; the answer holds {"error":"full"}"#
    );
    let long = says(http(200, &format!(r#"{{"code":200,"msg":"success","data":"{}"}}"#, "x".repeat(9_999))));
    assert!(long.chars().count() < 250 && long.ends_with("xxx…"), "{long}");
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in any::<u16>(), body in any::<Vec<u8>>(), broken in any::<Option<String>>()) {
        outcome(Exchange::Answered(Reply { status, body, broken, retry_after: None }));
    }

    #[test]
    fn nothing_is_refused_by_a_code_on_no_list(status in any::<u16>(), code in any::<u16>()) {
        let outcome = http(status, &format!(r#"{{"code":{code}}}"#));
        if kind(&outcome).is_some() {
            prop_assert!(refusal(code).is_some() || refusal(status).is_some() || status == 413);
        }
    }
}
