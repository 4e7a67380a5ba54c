//! Submissions that arrive at the service, whatever became of their senders.

use std::time::Duration;

use super::callbacks;
use crate::simulation::network::Arriving;
use crate::simulation::scene::Scene;
use crate::simulation::state::processes::ENVIRONMENT;

/// The service takes each submission when it arrives. Runs for ever.
pub(crate) async fn serve(scene: Scene) {
    let (state, inbox) = (&scene.state, &scene.inbox);
    loop {
        match inbox.next() {
            Some(at) if at <= state.now() => {
                if let Some(arriving) = inbox.take() {
                    take(&scene, at, arriving);
                }
            }
            Some(at) => {
                let wait = Duration::from_millis(at - state.now());
                let _ = tokio::time::timeout(wait, inbox.changed()).await;
            }
            None => inbox.changed().await,
        }
    }
}

fn take(scene: &Scene, at: u64, arriving: Arriving) {
    let state = &scene.state;
    let Arriving { token, body, answer } = arriving;
    let faults = state.faults();
    let turns_away = state.chance(faults.payments / 10.0);
    let mut service = state.service.lock().unwrap();
    let said = service.submitted(at, &token, &body, faults.failures, turns_away);
    let (broken, callback) = (service.broken.clone(), service.callback.take());
    drop(service);
    state.say(|| format!("the service takes {token} (at {at}): {}", said.1));
    if let Some(broken) = broken {
        state.violated(broken);
    }
    if let Some((task, url, ready, end)) = callback {
        scene.scheduler.spawn(ENVIRONMENT, "callback", callbacks::call(scene.clone(), task, url, ready, end));
    }
    let _ = answer.send(said);
}
