//! People, and what befalls machines: commands at random moments, over a line as bad as everybody's; processes that are
//! stopped or asked to end, a laptop that sleeps, a ledger that is gone for a while, an account without credits.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use veobatch_core::{BatchId, Event, JobId, JobKey, Resolution, Spec, State, StateName, Verdict, WorkPolicy};
use veobatch_ledger::{
    Admission, BatchFlag, Change, Changed, JobFilter, Ledger as _, LedgerError, Lookup, NewJob, NoRetry, Stored, change,
};

use super::MOST_MACHINES;
use super::ledger::Line;
use super::process::Scene;
use super::service::{Orders, Service};
use super::stage::WORLD;
use super::terms;
use super::world::World;
use crate::upkeep::sweep::sweep;

/// A prompt file: a batch and its jobs.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) batch: BatchId,
    pub(super) jobs: Vec<NewJob>,
}

impl File {
    pub(super) fn new(name: &str, jobs: u64, max_attempts: u64, larger: bool) -> Self {
        let job = |n| NewJob {
            id: JobId::parse(&format!("{name}-{n}")).unwrap(),
            spec: Spec {
                prompt: format!("a video of {name}-{n}"),
                policy: WorkPolicy { max_attempts: u32::try_from(max_attempts).unwrap(), ..WorkPolicy::default() },
                resolution: if larger && n % 2 == 0 { Resolution::P1080 } else { Resolution::P720 },
                ..Spec::default()
            },
        };
        Self { batch: BatchId::parse(name).unwrap(), jobs: (0..jobs).map(job).collect() }
    }

    /// Enqueues the first `count` jobs; those that are known already are left as they are.
    pub(super) async fn enqueue(&self, line: &Line, count: usize) -> Result<u64, LedgerError> {
        let admission = Admission::random();
        let staged = line.stage(&admission, &self.batch, &self.jobs[..count]).await?;
        assert!(staged.conflicts.is_empty(), "{staged:?}");
        line.publish(&admission, std::slice::from_ref(&self.batch), None).await?;
        Ok(staged.new)
    }
}

/// Gives orders until the weather is calm.
pub(super) async fn person(scene: Scene, files: Rc<Vec<File>>) {
    let line = scene.line(WORLD);
    while !scene.world.is_calm() {
        let pause = scene.world.roll(|dice| dice.ms(1_000, 20_000));
        sleep(pause).await;
        if scene.world.is_calm() {
            return;
        }
        let file = &files[scene.world.below(files.len() as u64) as usize];
        let job = file.jobs[scene.world.below(file.jobs.len() as u64) as usize].id.clone();
        let key = JobKey { batch: file.batch.clone(), job };
        let what = scene.world.below(13);
        scene.world.say(|| format!("a person does {what} to {key}"));
        match what {
            0 => drop(line.update_batch(&file.batch, &BatchFlag::Paused(true).into()).await),
            1..=3 => drop(line.update_batch(&file.batch, &BatchFlag::Paused(false).into()).await),
            4 => order(&scene, &line, &key, Order::Cancel).await,
            5 if scene.world.chance(0.3) => cancel_all(&scene, &line, file).await,
            6 | 7 => order(&scene, &line, &key, Order::Retry).await,
            8 => drop(file.enqueue(&line, file.jobs.len()).await),
            12 => terms::change(&scene, file).await,
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
async fn order(scene: &Scene, line: &Line, key: &JobKey, order: Order) {
    let Ok(Some(stored)) = line.find(Lookup::Name(key)).await else { return };
    let job = key.job.as_str();
    let before = scene.world.service.lock().unwrap().orders(job).clone();
    explain(&mut scene.world.service.lock().unwrap(), &stored, &order);
    let event = match &order {
        Order::Retry => Event::Retry,
        Order::Cancel => Event::Cancel,
        Order::Resolve(verdict) => Event::Resolve(verdict.clone()),
    };
    let change_it = Change { event: &event, lease: None, settle: None, jitter: 0.5, policy: &scene.policy };
    let result = change(line, stored, &change_it, &mut NoRetry).await;
    scene.world.say(|| {
        format!("{order:?} for {key}: {}", if matches!(result, Ok(Changed::Moved { .. })) { "done" } else { "no" })
    });
    if matches!(result, Ok(Changed::Same(_) | Changed::Lost)) {
        let mut service = scene.world.service.lock().unwrap();
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

async fn cancel_all(scene: &Scene, line: &Line, file: &File) {
    for job in &file.jobs {
        scene.world.service.lock().unwrap().orders(job.id.as_str()).cancels += 1;
    }
    if line.update_batch(&file.batch, &BatchFlag::Cancelling(true).into()).await.is_ok() {
        drop(sweep(line, &file.batch, &scene.policy, &mut |_| {}).await);
    }
}

/// Settles a job in doubt, with a look at the account's log of tasks.
async fn resolve(scene: &Scene, line: &Line, file: &File) {
    let Ok(doubted) = line.page(&file.batch, JobFilter::In(StateName::InDoubt), None, 10).await else { return };
    let Some(stored) = doubted.first() else { return };
    let State::InDoubt { attempt, .. } = &stored.record.state else { return };
    let task = {
        let service = scene.world.service.lock().unwrap();
        service.tasks.iter().find(|task| task.token == attempt.token).map(|task| task.id.clone())
    };
    let verdict = match (task, scene.world.below(4)) {
        (Some(task), 0..=2) => Verdict::Adopt(task),
        (None, 0 | 1) | (Some(_), _) => Verdict::Resubmit,
        (None, _) => Verdict::GiveUp,
    };
    order(scene, line, &stored.key, Order::Resolve(verdict)).await;
}

/// What befalls machines and the account, until the weather is calm.
pub(super) async fn chance(scene: Scene) {
    let world = &scene.world;
    while !world.is_calm() {
        let pause = world.roll(|dice| dice.ms(2_000, 25_000));
        sleep(pause).await;
        let weather = world.weather();
        let alive: Vec<_> = world.berths.lock().unwrap().keys().copied().collect();
        let victim = alive.get(world.below(alive.len() as u64) as usize).copied();
        // A ledger that goes back waits for a minute and a half for what workers know.
        let longest = if weather.rewinds { 25_000 } else { 100_000 };
        let span = world.roll(|dice| dice.one_of(&[3_000, 25_000, 40_000, longest]));
        let span = Duration::from_millis(span);
        match (world.below(9), victim) {
            (0, Some(owner)) if weather.stops => {
                world.say(|| format!("p{owner} is stopped for {span:?}"));
                scene.stage.stop(owner);
                sleep(span).await;
                scene.stage.go_on(owner);
                world.say(|| format!("p{owner} goes on"));
            }
            (1, Some(owner)) if weather.stops => {
                if let Some(berth) = world.berths.lock().unwrap().get(&owner) {
                    berth.stop.graceful.cancel();
                }
            }
            (2, _) if weather.sleeps => {
                world.sleep(span * if world.chance(0.5) { 1 } else { 60 });
                scene.inbox.look();
            }
            (3, _) if weather.ledger > 0.0 => {
                let span = if weather.rewinds { span.min(Duration::from_secs(25)) } else { span };
                *world.outage.lock().unwrap() = world.now() + u64::try_from(span.as_millis()).unwrap();
                world.say(|| format!("the ledger is gone for {span:?}"));
            }
            (4 | 5, _) if weather.payments > 0.0 => {
                let code = world.roll(|dice| dice.one_of(&[402, 455]));
                turned_away(world, code, span).await;
            }
            (6, _) if world.chance(weather.locked_out) => {
                let code = world.roll(|dice| dice.one_of(&[401, 403]));
                turned_away(world, code, span).await;
            }
            (8, _) if world.chance(weather.disks) => {
                let machine = world.below(1 + MOST_MACHINES as u64).checked_sub(1);
                world.spoil(machine.map(|machine| machine as usize), span);
            }
            (7, _) if world.chance(weather.clocks) => world.set_clock(world.below(MOST_MACHINES as u64) as usize),
            _ => {}
        }
    }
}

async fn turned_away(world: &World, code: u16, span: Duration) {
    world.say(|| format!("the service answers {code} for {span:?}"));
    world.service.lock().unwrap().turn_away(Some(code));
    sleep(span).await;
    world.service.lock().unwrap().turn_away(None);
}
