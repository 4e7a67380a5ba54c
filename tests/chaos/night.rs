//! The night: workers, a Redis server, the network between them, a hostile service, and somebody who types commands.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};
use veobatch_simulator::{Config, Fault, Faults, Rate, Rule};
use veobatch_tests::{Link, Prompts, RedisServer, Running, Scene, Weather, quick};

use crate::dice::Dice;
use crate::{PROGRAM, figures::Figures};

/// Workers, each on a machine of its own.
const WORKERS: usize = 3;

/// Jobs of a batch.
pub(crate) const BATCH: usize = 40;

/// The account's allowance, and so the pace.
const RATE: usize = 20;

/// Everything that can be harmed.
pub(crate) struct Night {
    pub(crate) scene: Scene,
    pub(crate) batches: Vec<String>,
    pub(crate) figures: Figures,
    /// Tasks that were paid for in time that Redis forgot.
    pub(crate) forgotten: Vec<String>,
    pub(crate) dice: Dice,
    to_ledger: Link,
    to_service: Link,
    workers: Vec<Option<Running>>,
}

fn service(seed: u64) -> Config {
    let mut config = Config { seed, ..quick() };
    config.generation.median_ms = 3_000;
    config.generation.failed = 0.05;
    config.upgrade_1080p.median_ms = 1_000;
    config.files.video_bytes = 200_000;
    config.limits.rate = Some(Rate { requests: RATE, window_ms: 1_000 });
    config
}

fn port_of(url: &str) -> Result<u16> {
    let end = url.rsplit(':').next().context("no port")?;
    Ok(end.split('/').next().unwrap_or(end).parse()?)
}

impl Night {
    pub(crate) async fn begin(seed: u64) -> Result<Self> {
        let scene = Scene::on_redis(PROGRAM, service(seed)).await?;
        let redis = scene.redis.as_ref().context("a scene on Redis")?.url();
        let to_ledger = Link::before(port_of(&redis)?).await?;
        let to_service = Link::before(port_of(&scene.simulator.base_url())?).await?;
        let scene = scene
            .with("VEOBATCH_LEDGER", &format!("redis://127.0.0.1:{}/0", to_ledger.port()))
            .with("VEOBATCH_API_BASE", &format!("http://127.0.0.1:{}", to_service.port()))
            .with("VEOBATCH_RATE", &format!("{RATE}/1s"))
            .with("VEOBATCH_MAX_IN_FLIGHT", "80");
        let (batches, figures, dice) = (Vec::new(), Figures::default(), Dice::new(seed));
        let (forgotten, workers) = (Vec::new(), Vec::new());
        let mut night = Self { scene, batches, figures, forgotten, dice, to_ledger, to_service, workers };
        night.enqueue().await?;
        for n in 0..WORKERS {
            night.workers.push(Some(night.start(n)?));
        }
        Ok(night)
    }

    /// So many seconds.
    pub(crate) fn seconds(&mut self, (low, high): (u64, u64)) -> Duration {
        Duration::from_secs(self.dice.between(low, high))
    }

    fn start(&self, n: usize) -> Result<Running> {
        self.scene.start(&["worker", "--state-dir", &format!("machine-{n}")])
    }

    /// One batch more, some of its jobs in two sizes.
    pub(crate) async fn enqueue(&mut self) -> Result<()> {
        let name = format!("night-{}", self.batches.len() + 1);
        let prompts = (1..=BATCH).fold(Prompts::of(&name), |prompts, n| {
            let more = if n % 8 == 0 { "resolution: 1080p" } else { "" };
            prompts.job(&format!("job-{n}"), &format!("{name}, scene {n}"), more)
        });
        self.scene.prompts(&format!("{name}.yaml"), &prompts)?;
        self.batches.push(name);
        self.admit_all().await;
        Ok(())
    }

    /// Enqueues every file, again: what is known already adds nothing.
    pub(crate) async fn admit_all(&self) {
        for name in &self.batches {
            self.command(&["enqueue", &format!("{name}.yaml")]).await;
        }
    }

    /// Somebody types a command. In a storm it may fail.
    async fn command(&self, words: &[&str]) {
        if let Ok(running) = self.scene.start(words) {
            drop(running.wait(Duration::from_secs(30)).await);
        }
    }

    /// Something happens.
    pub(crate) async fn next(&mut self) -> Result<()> {
        match self.dice.between(0, 13) {
            0..=2 => self.kill().await?,
            3..=4 => self.stop().await?,
            5 => self.terminate().await?,
            6 => self.restart_redis().await?,
            7..=9 => self.trouble_the_network().await,
            10..=11 => self.trouble_the_service()?,
            _ => self.order().await,
        }
        sleep(Duration::from_millis(self.dice.between(100, 1_200))).await;
        self.refill()
    }

    pub(crate) fn refill(&mut self) -> Result<()> {
        for n in 0..self.workers.len() {
            let is_gone = match self.workers.get_mut(n) {
                Some(Some(worker)) => !worker.is_running()?,
                Some(None) => true,
                None => false,
            };
            if is_gone {
                let started = self.start(n)?;
                self.workers.splice(n..=n, [Some(started)]);
            }
        }
        Ok(())
    }

    fn victim(&mut self) -> Option<Running> {
        let n = usize::try_from(self.dice.between(0, WORKERS as u64 - 1)).ok()?;
        self.workers.get_mut(n)?.take()
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(worker) = self.victim() {
            self.figures.killed += 1;
            worker.kill().await?;
        }
        Ok(())
    }

    async fn terminate(&mut self) -> Result<()> {
        if let Some(worker) = self.victim() {
            self.figures.terminated += 1;
            worker.terminate().await?;
            worker.wait(Duration::from_secs(100)).await?;
        }
        Ok(())
    }

    /// A laptop is closed and opened again, sometimes after its leases are over.
    async fn stop(&mut self) -> Result<()> {
        let n = usize::try_from(self.dice.between(0, WORKERS as u64 - 1))?;
        let time = Duration::from_millis(if self.dice.between(0, 3) == 0 {
            self.dice.between(31_000, 36_000)
        } else {
            self.dice.between(100, 5_000)
        });
        let Some(Some(worker)) = self.workers.get(n) else { return Ok(()) };
        self.figures.stopped += 1;
        worker.stop().await?;
        sleep(time).await;
        worker.go_on().await
    }

    async fn restart_redis(&mut self) -> Result<()> {
        self.figures.redis_killed += 1;
        let away = Duration::from_millis(self.dice.between(50, 3_000));
        let redis = self.scene.redis.as_mut().context("a scene on Redis")?;
        let end = Instant::now() + redis.recovery_left()?;
        redis.kill()?;
        sleep(away).await;
        redis.start_again().await?;
        // It syncs every write, so it has forgotten nothing; a minute and a half without payments would only be quiet.
        // If it went back before, and its time is not over, it goes on to its end.
        sleep(Duration::from_secs(2)).await;
        redis.recover_for(end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn redis(&self) -> Result<&RedisServer> {
        self.scene.redis.as_ref().context("a scene on Redis")
    }

    pub(crate) async fn trouble_the_network(&mut self) {
        self.figures.network += 1;
        let weather = match self.dice.between(0, 1) {
            0 => Weather::Cut,
            _ => Weather::Slow(Duration::from_millis(self.dice.between(20, 400))),
        };
        let time = Duration::from_millis(self.dice.between(200, 4_000));
        let link = if self.dice.between(0, 1) == 0 { &self.to_ledger } else { &self.to_service };
        link.set(weather);
        sleep(time).await;
        link.set(Weather::Fair);
    }

    pub(crate) fn trouble_the_service(&mut self) -> Result<()> {
        self.figures.service += 1;
        let submit = [
            vec![],
            vec![Rule::chance(Fault::Close, 0.1).after_accepting()],
            vec![Rule::chance(Fault::Reset, 0.05).after_accepting(), Rule::chance(Fault::Stall, 0.3).delay_ms(2_000)],
            vec![Rule::chance(Fault::Html, 0.1), Rule::chance(Fault::NotJson, 0.05).after_accepting()],
            vec![Rule::chance(Fault::Code, 0.05).code(500)],
        ];
        let others = [
            vec![],
            vec![Rule::chance(Fault::Html, 0.2), Rule::chance(Fault::Hang, 0.01)],
            vec![Rule::chance(Fault::Close, 0.2), Rule::chance(Fault::Code, 0.1).code(429)],
        ];
        let download = [
            vec![],
            vec![Rule::chance(Fault::Truncate, 0.3), Rule::chance(Fault::Html, 0.1).code(200)],
            vec![Rule::chance(Fault::ResetMidway, 0.3), Rule::chance(Fault::WrongLength, 0.1)],
            vec![Rule::chance(Fault::Status, 0.2).code(403), Rule::chance(Fault::Trickle, 0.2).delay_ms(1_500)],
        ];
        let faults = Faults {
            submit: self.dice.one_of(&submit).unwrap_or_default(),
            poll: self.dice.one_of(&others).unwrap_or_default(),
            upgrade: self.dice.one_of(&others).unwrap_or_default(),
            download: self.dice.one_of(&download).unwrap_or_default(),
            other: Vec::new(),
        };
        Ok(self.scene.simulator.set_faults(faults)?)
    }

    async fn order(&mut self) {
        self.figures.commands += 1;
        let Some(batch) = self.dice.one_of(&self.batches) else { return };
        let job = format!("job-{}", self.dice.between(1, BATCH as u64));
        match self.dice.between(0, 5) {
            0 => self.command(&["pause", &batch]).await,
            1 => self.command(&["resume", &batch]).await,
            2 => self.command(&["cancel", &batch, &job]).await,
            3 => self.command(&["retry", &batch, "--state", "cancelled"]).await,
            4 => self.command(&["retry", &batch, &job, "--state", "cancelled"]).await,
            _ => self.admit_all().await,
        }
    }

    /// The storm is over: everything is mended, and every machine works until nothing moves any more.
    pub(crate) async fn calm(&mut self) -> Result<()> {
        self.to_ledger.set(Weather::Fair);
        self.to_service.set(Weather::Fair);
        self.scene.simulator.set_faults(Faults::default())?;
        self.recovered().await?;
        for worker in self.workers.drain(..).flatten() {
            worker.terminate().await?;
            worker.wait(Duration::from_secs(100)).await?;
        }
        self.admit_all().await;
        for batch in &self.batches {
            self.scene.run(&["resume", batch]).await?.with_code(0)?;
        }
        // The gate may be closed for some minutes by now.
        let patience = Duration::from_secs(600);
        for n in 0..WORKERS {
            let words = ["worker", "--until-idle", "--state-dir", &format!("machine-{n}")];
            self.scene.start(&words)?.wait(patience).await?.with_code(0)?;
        }
        Ok(())
    }
}
