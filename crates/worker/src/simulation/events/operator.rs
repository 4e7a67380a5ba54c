//! People, and what befalls machines: commands at random moments, over a line as bad as everybody's; processes that are
//! stopped or asked to end, a laptop that sleeps, a ledger that is gone for a while, an account without credits.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use veobatch_core::{Event, JobKey, State, StateName, Verdict};
use veobatch_ledger::{BatchFlag, Change, Changed, JobFilter, Ledger as _, Lookup, NoRetry, Stored, change};

use crate::simulation::events::limits;
use crate::simulation::ledger::LedgerLine;
use crate::simulation::process::MAX_MACHINES;
use crate::simulation::prompt_file::PromptFile;
use crate::simulation::scene::Scene;
use crate::simulation::state::SimState;
use crate::simulation::state::processes::ENVIRONMENT;
use crate::simulation::state::service::{Orders, Service};
use crate::upkeep::cancellations::sweep;

/// Gives orders until there are no more faults.
pub(crate) async fn give_orders(scene: Scene, files: Rc<Vec<PromptFile>>) {
    let line = scene.line(ENVIRONMENT);
    while !scene.state.is_calm() {
        let pause = scene.state.random(|rng| rng.ms(1_000, 20_000));
        sleep(pause).await;
        if scene.state.is_calm() {
            return;
        }
        let file = &files[scene.state.below(files.len() as u64) as usize];
        let job = file.jobs[scene.state.below(file.jobs.len() as u64) as usize].id.clone();
        let key = JobKey { batch: file.batch.clone(), job };
        let what = scene.state.below(13);
        scene.state.say(|| format!("a person does {what} to {key}"));
        match what {
            0 => drop(line.update_batch(&file.batch, &BatchFlag::Paused(true).into()).await),
            1..=3 => drop(line.update_batch(&file.batch, &BatchFlag::Paused(false).into()).await),
            4 => order(&scene, &line, &key, Order::Cancel).await,
            5 if scene.state.chance(0.3) => cancel_all(&scene, &line, file).await,
            6 | 7 => order(&scene, &line, &key, Order::Retry).await,
            8 => drop(file.enqueue(&line, file.jobs.len()).await),
            12 => limits::change(&scene, file).await,
            _ => resolve(&scene, &line, file).await,
        }
    }
}

/// What a person wants of one job.
#[derive(Clone, Debug)]
enum Order {
    Retry,
    Cancel,
    Resolve(Verdict),
}

/// Gives an order for a job, and takes down what it may explain: also where it is not known whether it happened.
async fn order(scene: &Scene, line: &LedgerLine, key: &JobKey, order: Order) {
    let Ok(Some(stored)) = line.find(Lookup::Name(key)).await else { return };
    let job = key.job.as_str();
    let before = scene.state.service.lock().unwrap().orders(job).clone();
    explain(&mut scene.state.service.lock().unwrap(), &stored, &order);
    let event = match &order {
        Order::Retry => Event::Retry,
        Order::Cancel => Event::Cancel,
        Order::Resolve(verdict) => Event::Resolve(verdict.clone()),
    };
    let change_it = Change { event: &event, lease: None, settle: None, jitter: 0.5, policy: &scene.policy };
    let result = change(line, stored, &change_it, &mut NoRetry).await;
    scene.state.say(|| {
        format!("{order:?} for {key}: {}", if matches!(result, Ok(Changed::Moved { .. })) { "done" } else { "no" })
    });
    if matches!(result, Ok(Changed::Same(_) | Changed::Lost)) {
        let mut service = scene.state.service.lock().unwrap();
        let orders = service.orders(job);
        // What was granted meanwhile was granted.
        *orders = Orders { doubted: std::mem::take(&mut orders.doubted), ..before };
    }
}

/// One order more.
fn explain(service: &mut Service, stored: &Stored, order: &Order) {
    let job = stored.key.job.as_str();
    match order {
        Order::Retry => service.orders(job).retries += 1,
        Order::Cancel => service.orders(job).cancels += 1,
        Order::Resolve(Verdict::Resubmit) => {
            service.orders(job).resubmits += 1;
            if let State::InDoubt { attempt, .. } = &stored.record.state {
                service.ordered(job, &attempt.token, &stored.record.strays);
            }
        }
        Order::Resolve(Verdict::GiveUp) => service.orders(job).given_up += 1,
        // Explains no payment.
        Order::Resolve(Verdict::Adopt(_)) => {}
    }
}

async fn cancel_all(scene: &Scene, line: &LedgerLine, file: &PromptFile) {
    for job in &file.jobs {
        scene.state.service.lock().unwrap().orders(job.id.as_str()).cancels += 1;
    }
    if line.update_batch(&file.batch, &BatchFlag::Cancelling(true).into()).await.is_ok() {
        drop(sweep(line, &file.batch, &scene.policy, &mut |_| {}).await);
    }
}

/// Settles a job in doubt, with a look at the account's log of tasks.
async fn resolve(scene: &Scene, line: &LedgerLine, file: &PromptFile) {
    let Ok(doubted) = line.page(&file.batch, JobFilter::In(StateName::InDoubt), None, 10).await else { return };
    let Some(stored) = doubted.first() else { return };
    let State::InDoubt { attempt, .. } = &stored.record.state else { return };
    let task = {
        let service = scene.state.service.lock().unwrap();
        service.tasks.iter().find(|task| task.token == attempt.token).map(|task| task.id.clone())
    };
    let verdict = match (task, scene.state.below(4)) {
        (Some(task), 0..=2) => Verdict::Adopt(task),
        (None, 0 | 1) | (Some(_), _) => Verdict::Resubmit,
        (None, _) => Verdict::GiveUp,
    };
    order(scene, line, &stored.key, Order::Resolve(verdict)).await;
}

/// What happens to machines and the account, until there are no more faults.
pub(crate) async fn befall(scene: Scene) {
    let state = &scene.state;
    while !state.is_calm() {
        let pause = state.random(|rng| rng.ms(2_000, 25_000));
        sleep(pause).await;
        let faults = state.faults();
        let alive: Vec<_> = state.processes.0.lock().unwrap().keys().copied().collect();
        let victim = alive.get(state.below(alive.len() as u64) as usize).copied();
        // A ledger that goes back waits for a minute and a half for what workers know.
        let longest = if faults.rewinds { 25_000 } else { 100_000 };
        let span = state.random(|rng| rng.one_of(&[3_000, 25_000, 40_000, longest]));
        let span = Duration::from_millis(span);
        match (state.below(9), victim) {
            (0, Some(owner)) if faults.stops => {
                state.say(|| format!("p{owner} is stopped for {span:?}"));
                scene.scheduler.stop(owner);
                sleep(span).await;
                scene.scheduler.go_on(owner);
                state.say(|| format!("p{owner} goes on"));
            }
            (1, Some(owner)) if faults.stops => {
                if let Some(berth) = state.processes.0.lock().unwrap().get(&owner) {
                    berth.stop.graceful.cancel();
                }
            }
            (2, _) if faults.sleeps => {
                state.sleep(span * if state.chance(0.5) { 1 } else { 60 });
                scene.inbox.wake();
            }
            (3, _) if faults.ledger > 0.0 => {
                let span = if faults.rewinds { span.min(Duration::from_secs(25)) } else { span };
                *state.outage.lock().unwrap() = state.now() + u64::try_from(span.as_millis()).unwrap();
                state.say(|| format!("the ledger is gone for {span:?}"));
            }
            (4 | 5, _) if faults.payments > 0.0 => {
                let code = state.random(|rng| rng.one_of(&[402, 455]));
                turned_away(state, code, span).await;
            }
            (6, _) if state.chance(faults.locked_out) => {
                let code = state.random(|rng| rng.one_of(&[401, 403]));
                turned_away(state, code, span).await;
            }
            (8, _) if state.chance(faults.disks) => {
                let machine = state.below(1 + MAX_MACHINES as u64).checked_sub(1);
                state.spoil(machine.map(|machine| machine as usize), span);
            }
            (7, _) if state.chance(faults.clocks) => state.set_clock(state.below(MAX_MACHINES as u64) as usize),
            _ => {}
        }
    }
}

async fn turned_away(state: &SimState, code: u16, span: Duration) {
    state.say(|| format!("the service answers {code} for {span:?}"));
    state.service.lock().unwrap().turn_away(Some(code));
    sleep(span).await;
    state.service.lock().unwrap().turn_away(None);
}
