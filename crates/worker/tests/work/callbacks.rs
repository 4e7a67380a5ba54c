//! Scenes with callbacks: lost answers that come back, strangers at the door, and silence as evidence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use veobatch_core::{InDoubtPolicy, StateName, Timestamp};
use veobatch_ledger::{SharedLedger, SqliteLedger};
use veobatch_simulator::{CallbackForm, Config, Fault, Rule, SignatureFault};
use veobatch_worker::{Callbacks, Options, Stop, Until, WebhookKey, WorkerExit, compact};

use crate::faulty::{Faulty, Trick};
use crate::scene::{Scene, hurried};

/// A free port, at which a receiver is to listen.
async fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn hearing(scene: &Scene, until: Until, port: u16) -> Options {
    let url = Url::parse(&format!("http://127.0.0.1:{port}/hooks")).unwrap();
    let callbacks = Callbacks { listen: format!("127.0.0.1:{port}"), url, key: None };
    Options { callbacks: Some(callbacks), ..scene.options(until) }
}

/// Answers of these submissions are lost, after the service took them; it calls back soon and often.
fn losing(nth: impl IntoIterator<Item = u64>) -> Config {
    let mut config = hurried();
    config.callbacks.retry_ms = 50;
    config.faults.submit.push(Rule::nth(Fault::Close, nth).after_accepting());
    config
}

/// Sends a request as it is; the status and the body of the answer.
async fn send(port: u16, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    drop(stream.write_all(request).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

async fn post(port: u16, path: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    send(port, request.as_bytes()).await.0
}

/// How many callbacks had this fate, as the receiver says.
async fn counted(port: u16, fate: &str) -> u64 {
    let (status, body) = send(port, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(status, 200, "{body}");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    health.pointer(&format!("/callbacks/{fate}")).and_then(serde_json::Value::as_u64).unwrap()
}

async fn until_listening(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_counted(port: u16, fate: &str, least: u64) {
    for _ in 0..4000 {
        if counted(port, fate).await >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("fewer than {least} are {fate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_come_back_with_their_tasks_in_every_form_and_nothing_is_paid_twice() {
    for form in [CallbackForm::Current, CallbackForm::Snake, CallbackForm::Top] {
        let mut config = losing([2, 5]);
        config.callbacks.form = form;
        config.callbacks.deliveries = 2;
        let scene = Scene::new(config).await;
        scene.admit("garden", 6).await;
        let port = port().await;
        assert_eq!(
            scene.work_with(hearing(&scene, Until::Idle, port)).await.unwrap(),
            WorkerExit::Finished,
            "{form:?}"
        );
        assert_eq!(scene.count(StateName::Done).await, 6, "{form:?}");
        let bill = scene.simulator.bill().await;
        assert_eq!((bill.submissions, bill.accepted.len()), (6, 6), "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_overtakes_its_own_answer_is_the_same_task_and_not_a_second_one() {
    let mut config = hurried();
    config.faults.submit.push(Rule { delay_ms: Some(3_000), ..Rule::nth(Fault::Stall, [1]) }.after_accepting());
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let port = port().await;
    let overtaken = async {
        until_listening(port).await;
        until_counted(port, "taken", 1).await;
        assert_eq!(scene.count(StateName::Submitting).await, 0, "the answer is not there yet, the task is");
    };
    let work = scene.work_with(hearing(&scene, Until::Idle, port));
    assert_eq!(tokio::join!(work, overtaken).0.unwrap(), WorkerExit::Finished);
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    assert_eq!((done.record.attempts, done.record.strays.len()), (1, 0), "{:?}", done.record.history);
    assert_eq!(scene.simulator.bill().await.submissions, 1);
    assert_eq!(scene.ledger().account(0).await.unwrap().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_was_called_back_for_ends_a_job_in_doubt_as_failed() {
    let mut config = losing([1]);
    config.generation.failed = 1.0;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let port = port().await;
    assert_eq!(scene.work_with(hearing(&scene, Until::Idle, port)).await.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Failed).await, 1);
    assert_eq!(scene.simulator.bill().await.submissions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_without_a_task_id_says_that_it_was_made_and_leaves_it_in_doubt() {
    let mut config = losing([1]);
    config.generation.failed = 1.0;
    config.callbacks.form = CallbackForm::NamelessFailure;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let port = port().await;
    assert_eq!(scene.work_with(hearing(&scene, Until::Idle, port)).await.unwrap(), WorkerExit::Finished);
    let [doubt] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
    assert!(doubt.record.history.last().unwrap().1.contains("without a task id"), "{:?}", doubt.record.history);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_callbacks_are_believed_where_there_is_a_key() {
    for (fault, believed) in
        [(SignatureFault::None, true), (SignatureFault::OtherKey, false), (SignatureFault::Old, false)]
    {
        let mut config = losing([1]);
        config.callbacks.hmac_key = Some("the webhook key".to_owned());
        config.callbacks.signature = fault;
        let scene = Scene::new(config).await;
        scene.admit("garden", 1).await;
        let port = port().await;
        let until = if believed { Until::Idle } else { Until::Stopped };
        let mut options = hearing(&scene, until, port);
        options.callbacks.as_mut().unwrap().key = WebhookKey::parse("the webhook key");
        if believed {
            assert_eq!(scene.work_with(options).await.unwrap(), WorkerExit::Finished);
            assert_eq!(scene.count(StateName::Done).await, 1);
            continue;
        }
        let stop = Stop::default();
        let look = async {
            scene.until(|batch| batch.count(StateName::InDoubt) == 1).await;
            until_counted(port, "forged", 1).await;
            stop.graceful.cancel();
        };
        let (ended, ()) = tokio::join!(scene.work_over(scene.ledger(), options, stop.clone()), look);
        assert_eq!(ended.unwrap(), WorkerExit::Stopped);
        assert_eq!(scene.count(StateName::InDoubt).await, 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_token_changes_nothing_and_is_counted() {
    let mut config = losing([1]);
    config.callbacks.lost = 1.0;
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    let (port, stop) = (port().await, Stop::default());
    let strangers = async {
        scene.until(|batch| batch.count(StateName::InDoubt) == 1 && batch.count(StateName::Done) == 1).await;
        let before = scene.page("garden", StateName::InDoubt).await;
        // "garden/job-0", in base64.
        let path = |token: &str| format!("/hooks/{token}/Z2FyZGVuL2pvYi0w");
        let body = r#"{"code":200,"data":{"taskId":"stolen"}}"#;
        let guess = path(&format!("{:032x}", 0xcb));
        assert_eq!(post(port, &guess, body).await, 404);
        assert_eq!(post(port, &path("short"), body).await, 404);
        assert_eq!(post(port, "/", body).await, 404);
        assert_eq!(post(port, &guess.replace("Z2FyZGVu", "Z2FyZGVX"), body).await, 404);
        assert_eq!(post(port, &guess, "not json").await, 400);
        // Whoever is cut off while it still sends may not see the answer.
        assert!(matches!(post(port, &guess, &"x".repeat(300_000)).await, 400 | 0));
        assert_eq!(send(port, format!("GET {guess} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.0, 405);
        assert_eq!((counted(port, "unknown").await, counted(port, "malformed").await), (4, 2));
        assert_eq!((counted(port, "taken").await, counted(port, "known").await), (0, 0));
        let after = scene.page("garden", StateName::InDoubt).await;
        assert_eq!((before[0].version, &before[0].record), (after[0].version, &after[0].record));
        stop.graceful.cancel();
    };
    let work = scene.work_over(scene.ledger(), hearing(&scene, Until::Stopped, port), stop.clone());
    assert_eq!(tokio::join!(work, strangers).0.unwrap(), WorkerExit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_token_is_to_come_back_while_the_ledger_recovers() {
    for (trick, status, fate) in [(Trick::Recover, 503, "deferred"), (Trick::Nothing, 404, "unknown")] {
        let scene = Scene::new(hurried()).await;
        scene.admit("garden", 1).await;
        let (port, stop) = (port().await, Stop::default());
        let stranger = async {
            until_listening(port).await;
            // "garden/job-0", in base64.
            let guess = format!("/hooks/{:032x}/Z2FyZGVuL2pvYi0w", 0xcb);
            assert_eq!(post(port, &guess, r#"{"code":200,"data":{"taskId":"stolen"}}"#).await, status, "{trick:?}");
            assert_eq!(counted(port, fate).await, 1, "{trick:?}");
            stop.graceful.cancel();
        };
        let ledger = Arc::new(Faulty::new(scene.ledger(), trick));
        let work = scene.work_over(ledger, hearing(&scene, Until::Stopped, port), stop.clone());
        assert_eq!(tokio::join!(work, stranger).0.unwrap(), WorkerExit::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_another_job_or_another_prompt_is_refused_and_the_job_stays_in_doubt() {
    let mut config = losing([1]);
    config.callbacks.lost = 1.0;
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    let (port, stop) = (port().await, Stop::default());
    let liars = async {
        scene.until(|batch| batch.count(StateName::InDoubt) == 1 && batch.count(StateName::Done) == 1).await;
        let [doubt] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
        let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
        let token = veobatch_core::doubted(&doubt.record).unwrap().clone();
        let name = if doubt.key.job.as_str() == "job-0" { "Z2FyZGVuL2pvYi0w" } else { "Z2FyZGVuL2pvYi0x" };
        let path = format!("/hooks/{token}/{name}");
        let owned = done.record.task().unwrap().id.clone();
        assert_eq!(post(port, &path, &format!(r#"{{"code":200,"data":{{"taskId":"{owned}"}}}}"#)).await, 409);

        // A task of the account that nobody here owns, for another prompt.
        let other = scene.submit_beside("a prompt of somebody else").await;
        assert_eq!(post(port, &path, &format!(r#"{{"code":200,"data":{{"taskId":"{other}"}}}}"#)).await, 200);
        until_counted(port, "refused", 2).await;
        // It is counted a moment before it is written down.
        let is_noted = async || {
            let [doubt] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
            doubt.record.history.iter().any(|entry| entry.1.contains("refused"))
        };
        while !is_noted().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Told again, it is known, and not looked up again.
        assert_eq!(post(port, &path, &format!(r#"{{"code":200,"data":{{"taskId":"{other}"}}}}"#)).await, 200);
        stop.graceful.cancel();
    };
    let work = scene.work_over(scene.ledger(), hearing(&scene, Until::Stopped, port), stop.clone());
    assert_eq!(tokio::join!(work, liars).0.unwrap(), WorkerExit::Stopped);
    assert_eq!(scene.count(StateName::InDoubt).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_cannot_take_is_asked_for_again_and_taken_later() {
    let mut config = losing([1]);
    config.callbacks.retries = 50;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let faulty = Arc::new(Faulty::new(scene.ledger(), Trick::AwayForCallbacks));
    let (port, seen) = (port().await, Arc::clone(&faulty));
    let back = async {
        until_counted(port, "deferred", 2).await;
        assert_eq!(scene.count(StateName::InDoubt).await, 1);
        seen.come_back();
    };
    let (ended, ()) = tokio::join!(scene.work_over(faulty, hearing(&scene, Until::Idle, port), Stop::default()), back);
    assert_eq!(ended.unwrap(), WorkerExit::Finished);
    assert_eq!(scene.count(StateName::Done).await, 1);
    assert_eq!(scene.simulator.bill().await.submissions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_a_crowd_are_turned_away_who_knows_the_token_is_not_and_who_dawdles_is_cut_off() {
    let mut config = losing([1]);
    config.callbacks.lost = 1.0;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let (port, stop) = (port().await, Stop::default());
    let guess = format!("/hooks/{:032x}/Z2FyZGVuL2pvYi0w", 0xcb);
    let crowd = async {
        scene.until(|batch| batch.count(StateName::InDoubt) == 1).await;
        let [doubt] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
        let token = veobatch_core::doubted(&doubt.record).unwrap();
        let genuine = format!("/hooks/{token}/Z2FyZGVuL2pvYi0w");
        let started = tokio::time::Instant::now();
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.extend(futures::future::join_all((0..50).map(|_| post(port, &guess, "{\"taskId\":\"t\"}"))).await);
        }
        // 200 at once, and 50 in each second after.
        let most = 200 + 50 * (usize::try_from(started.elapsed().as_secs()).unwrap() + 1);
        let looked_up = answers.iter().filter(|status| **status == 404).count();
        assert!((200..=most).contains(&looked_up), "{looked_up} of {most}");
        assert_eq!(answers.iter().filter(|status| **status == 429).count(), 1000 - looked_up);
        // In the middle of the crowd, and after it.
        let crowd = futures::future::join_all((0..50).map(|_| post(port, &guess, "{\"taskId\":\"t\"}")));
        let task = scene.simulator.bill().await.accepted[0].task_id.clone();
        let told = format!(r#"{{"code":200,"data":{{"taskId":"{task}"}}}}"#);
        let (answers, told) = tokio::join!(crowd, post(port, &genuine, &told));
        assert!(answers.contains(&429), "the limit is not reached: {answers:?}");
        assert_eq!(told, 200, "what is genuine is turned away because of others");
        scene.until(|batch| batch.count(StateName::Done) == 1).await;

        let began = tokio::time::Instant::now();
        let slow_head = send(port, b"POST /x HTTP/1.1\r\nhost: x\r\n");
        let slow_body = send(port, b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{");
        let (head, body) = tokio::join!(slow_head, slow_body);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(matches!(head.0, 0 | 408) && body.0 == 400, "{head:?} {body:?}");
        stop.graceful.cancel();
    };
    let work = scene.work_over(scene.ledger(), hearing(&scene, Until::Stopped, port), stop.clone());
    assert_eq!(tokio::join!(work, crowd).0.unwrap(), WorkerExit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_repeated_after_the_job_is_done_is_answered_with_200_also_if_it_is_compact() {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    let (port, stop) = (port().await, Stop::default());
    let late = async {
        scene.until(|batch| batch.count(StateName::Done) == 1).await;
        let task = scene.simulator.bill().await.accepted[0].clone();
        let url = Url::parse(task.fields["callBackUrl"].as_str().unwrap()).unwrap();
        let body = |task: &str| format!(r#"{{"code":200,"data":{{"taskId":"{task}"}}}}"#);
        let before = scene.page("garden", StateName::Done).await;
        assert_eq!(post(port, url.path(), &body(&task.task_id)).await, 200);
        let after = scene.page("garden", StateName::Done).await;
        assert_eq!((before[0].version, &before[0].record), (after[0].version, &after[0].record));
        compact(scene.ledger().as_ref(), &Scene::batch("garden"), Duration::ZERO).await.unwrap();
        assert!(scene.page("garden", StateName::Done).await[0].compacted);
        assert_eq!(post(port, url.path(), &body(&task.task_id)).await, 200);
        // Nor is it a way for strangers: they would have to name that very task.
        assert_eq!(post(port, &format!("/hooks/{:032x}/Z2FyZGVuL2pvYi0w", 0xcb), &body("another")).await, 404);
        stop.graceful.cancel();
    };
    let work = scene.work_over(scene.ledger(), hearing(&scene, Until::Stopped, port), stop.clone());
    assert_eq!(tokio::join!(work, late).0.unwrap(), WorkerExit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_callback_of_an_attempt_that_was_submitted_again_is_kept_beside_the_job() {
    let mut config = losing([1]);
    config.callbacks.late_ms = 6_000;
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let ((ledger, ahead), port, stop) = (clocked(&scene).await, port().await, Stop::default());
    let options = Options { in_doubt: InDoubtPolicy::Resubmit, ..hearing(&scene, Until::Stopped, port) };
    let story = async {
        scene.until_billed(1).await;
        scene.until(|batch| batch.count(StateName::Queued) == 1).await;
        ahead.store(minutes(1), Ordering::SeqCst);
        scene.until_billed(2).await;
        until_counted(port, "taken", 1).await;
        scene.until(|batch| batch.count(StateName::Done) == 1).await;
        stop.graceful.cancel();
    };
    let (ended, ()) = tokio::join!(scene.work_over(ledger, options, stop.clone()), story);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    let bill = scene.simulator.bill().await;
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    let known: Vec<_> = done.record.strays.iter().map(|stray| stray.task.as_str().to_owned()).collect();
    assert_eq!(known, [bill.accepted[0].task_id.clone()], "{:?}", done.record.history);
}

/// A ledger whose clock can be moved on.
async fn clocked(scene: &Scene) -> (SharedLedger, Arc<AtomicU64>) {
    let ahead = Arc::new(AtomicU64::new(0));
    let offset = Arc::clone(&ahead);
    let clock = move || {
        #[expect(clippy::disallowed_methods, reason = "the scene's own clock")]
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(u64::try_from(wall.as_millis()).unwrap() + offset.load(Ordering::SeqCst))
    };
    let ledger = SqliteLedger::open_with(&scene.path("ledger.db"), Arc::new(clock)).await.unwrap();
    (Arc::new(ledger), ahead)
}

fn minutes(minutes: u64) -> u64 {
    minutes * 60_000
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_evidence_once_a_later_submission_was_called_back_for_and_a_new_attempt_is_made() {
    let mut config = hurried();
    // The first call is cut off before the service took it: nobody will ever call back.
    config.faults.submit.push(Rule::nth(Fault::Close, [1]));
    let scene = Scene::new(config).await;
    scene.admit("garden", 1).await;
    let ((ledger, ahead), port, stop) = (clocked(&scene).await, port().await, Stop::default());
    let ledger = Arc::new(Faulty::new(ledger, Trick::CountHeard));
    let watched = Arc::clone(&ledger);
    let mut options = hearing(&scene, Until::Stopped, port);
    options.in_doubt = InDoubtPolicy::Silence(Duration::from_secs(7200));
    let story = async {
        scene.until(|batch| batch.count(StateName::InDoubt) == 1).await;
        ahead.store(minutes(130), Ordering::SeqCst);
        // Beyond its time, but nothing was heard: two looks at it change nothing. The third has begun, so two have ended.
        watched.until_asked(watched.asked() + 3).await;
        assert_eq!(scene.count(StateName::InDoubt).await, 1);
        scene.admit("meadow", 1).await;
        until_counted(port, "taken", 1).await;
        scene.until(|batch| batch.count(StateName::InDoubt) == 0).await;
        ahead.store(minutes(132), Ordering::SeqCst);
        scene.until(|batch| batch.count(StateName::Done) == 1).await;
        stop.graceful.cancel();
    };
    let (ended, ()) = tokio::join!(scene.work_over(ledger, options, stop.clone()), story);
    assert_eq!(ended.unwrap(), WorkerExit::Stopped);
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    let history: Vec<_> = done.record.history.iter().map(|entry| entry.1.as_str()).collect();
    assert!(history.iter().any(|words| words.contains("--in-doubt silence")), "{history:?}");
    assert_eq!((done.record.attempts, done.record.earlier.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_prefers_to_pay_twice_gets_a_new_attempt_but_not_for_what_was_cancelled() {
    let mut config = hurried();
    config.faults.submit.push(Rule::nth(Fault::Close, [1, 2]).after_accepting());
    let scene = Scene::new(config).await;
    scene.admit("garden", 2).await;
    assert_eq!(scene.work(Until::Idle).await.unwrap(), WorkerExit::Finished);
    let [first, _] = scene.page("garden", StateName::InDoubt).await.try_into().unwrap();
    scene.cancel_job(first).await;

    let ((ledger, ahead), stop) = (clocked(&scene).await, Stop::default());
    let options = Options { in_doubt: InDoubtPolicy::Resubmit, ..scene.options(Until::Idle) };
    let story = async {
        scene.until(|batch| batch.count(StateName::Queued) == 1).await;
        ahead.store(minutes(1), Ordering::SeqCst);
    };
    let (ended, ()) = tokio::join!(scene.work_over(ledger, options, stop), story);
    assert_eq!(ended.unwrap(), WorkerExit::Finished);
    assert_eq!((scene.count(StateName::Done).await, scene.count(StateName::InDoubt).await), (1, 1));
    assert_eq!(scene.simulator.bill().await.submissions, 3);
    let [done] = scene.page("garden", StateName::Done).await.try_into().unwrap();
    assert!(done.record.history.iter().any(|entry| entry.1.contains("may be paid twice")));
}
