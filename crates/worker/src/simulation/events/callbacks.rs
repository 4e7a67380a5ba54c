//! Callbacks: the service calls whoever works, some seconds after a task has ended, tries again if it is not answered
//! with success, and sometimes calls twice. A stranger calls too.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use url::Url;
use veobatch_core::{TaskId, Token};

use crate::callback::receive::receive;
use crate::callback::{CallbackOutcome, Receiver};
use crate::simulation::scene::Scene;
use crate::simulation::state::SimState;
use crate::simulation::state::processes::Owner;
use crate::simulation::state::service::TaskEnd;

/// How long the service waits for an answer (docs/kie-api.md, section 7).
const WITHIN: Duration = Duration::from_secs(15);

/// One call, and three more if it fails.
const TRIES: u32 = 4;

/// The service calls back about `task` once it has ended.
pub(crate) async fn call(scene: Scene, task: TaskId, url: Url, ready: u64, end: TaskEnd) {
    let state = &scene.state;
    while state.now() < ready {
        // Time may jump.
        sleep(Duration::from_millis((ready - state.now()).min(5_000))).await;
    }
    if state.chance(0.3) {
        forge(&scene, &task, &url).await;
    }
    let code = if end == TaskEnd::Made { 200 } else { 501 };
    let body =
        json!({"code": code, "msg": "said", "data": {"taskId": task.as_str(), "info": {"resultUrls": []}}}).to_string();
    let mut again = state.chance(0.1);
    for _ in 0..TRIES {
        let wait = state.random(|rng| rng.ms(50, 3_000));
        sleep(wait).await;
        let times = state.recovery.lock().unwrap().times;
        let outcome = post(&scene, url.path(), &body).await;
        state.say(|| format!("called back about {task}: {outcome:?}"));
        match outcome {
            Some(CallbackOutcome::Taken | CallbackOutcome::Known) => {
                taken(state, &task, times);
                if !std::mem::take(&mut again) {
                    break;
                }
            }
            Some(
                CallbackOutcome::Unknown
                | CallbackOutcome::Forged
                | CallbackOutcome::Malformed
                | CallbackOutcome::Refused,
            ) => return,
            Some(CallbackOutcome::Deferred | CallbackOutcome::Limited) | None => {
                let wait = state.random(|rng| rng.ms(2_000, 60_000));
                sleep(wait).await;
            }
        }
    }
    // Somebody kept it, or it was on its way for long: an attempt may be under way by then that it does not speak of.
    while state.chance(state.faults().replays) {
        let wait = state.random(|rng| rng.ms(5_000, 100_000));
        sleep(wait).await;
        let times = state.recovery.lock().unwrap().times;
        let outcome = post(&scene, url.path(), &body).await;
        state.say(|| format!("called back once more about {task}: {outcome:?}"));
        if matches!(outcome, Some(CallbackOutcome::Taken | CallbackOutcome::Known)) {
            taken(state, &task, times);
        }
    }
}

/// The ledger knows of `task`, unless it went back in time since.
fn taken(state: &SimState, task: &TaskId, times: u64) {
    if state.recovery.lock().unwrap().times == times {
        state.service.lock().unwrap().called.insert(task.clone());
    }
}

/// A stranger knows a job and a task, and guesses the token.
async fn forge(scene: &Scene, task: &TaskId, url: &Url) {
    let token = Token::of_attempt(u128::from(scene.state.below(u64::MAX)), true);
    let job = url.path().rsplit('/').next().unwrap_or_default();
    let body = json!({"code": 200, "data": {"taskId": task.as_str()}}).to_string();
    let outcome = post(scene, &format!("/{token}/{job}"), &body).await;
    if matches!(outcome, Some(CallbackOutcome::Taken | CallbackOutcome::Known)) {
        scene.state.violated(format!("a forged callback about {task} was taken: {outcome:?}"));
    }
}

/// What one of the working processes makes of it; nothing, if it is killed or does not answer in time.
async fn post(scene: &Scene, path: &str, body: &str) -> Option<CallbackOutcome> {
    let working = scene.state.processes.working();
    let (owner, receiver): (Owner, Option<Arc<Receiver>>) =
        working.get(scene.state.below(working.len() as u64) as usize)?.clone();
    drop(working);
    let (answer, answered) = oneshot::channel();
    let (path, body) = (path.to_owned(), body.to_owned());
    let hearing = async move {
        if let Some(receiver) = receiver {
            let outcome = receive(&receiver, &path, &HeaderMap::new(), body.as_bytes()).await;
            let _ = answer.send(outcome);
        }
    };
    scene.scheduler.spawn(owner, "callback", hearing);
    timeout(WITHIN, answered).await.ok()?.ok()
}
