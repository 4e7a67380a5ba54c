//! Redis goes back in time, as by a failover to a replica that lagged behind, or an older disk that was put back.
//!
//! ```text
//! a batch ─▶ remember ─▶ payments, and harm ─▶ kill, the file of then, start ─▶ nothing is paid for, journals are told ─▶ …
//! ```
//!
//! The time in which nothing is granted is left as it is, and the checks of the morning stay what they are: no attempt
//! is paid for twice, and what was paid for in the time that was forgotten is known again, or in doubt if its answer was
//! lost. That holds because of what happens here and is promised no further: every machine keeps its journals and is
//! back before that time is over (killed workers start again over the same directory); and what is forgotten are claims
//! and their outcomes, no admission (enqueueing its file again would make its jobs new) and no order of a person.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};
use veobatch_simulator::TaskKind;

use crate::night::Night;

/// So many payments at least are to be forgotten, if they come within [`PATIENCE`].
const FORGOTTEN: usize = 5;

const PATIENCE: Duration = Duration::from_secs(20);

impl Night {
    pub(crate) async fn rewind(&mut self) -> Result<()> {
        self.enqueue().await?;
        self.redis()?.remember()?;
        let known = self.paid().await;
        let end = Instant::now() + Duration::from_millis(self.dice.between(3_000, 7_000));
        while Instant::now() < end || (self.paid().await.len() < known.len() + FORGOTTEN && end.elapsed() < PATIENCE) {
            match self.dice.between(0, 4) {
                0..=1 => self.kill().await?,
                2 => self.trouble_the_network().await,
                3 => self.trouble_the_service()?,
                _ => {}
            }
            sleep(Duration::from_millis(self.dice.between(100, 800))).await;
            self.refill()?;
        }
        let redis = self.scene.redis.as_mut().context("a scene on Redis")?;
        redis.kill()?;
        redis.go_back()?;
        redis.start_again().await?;
        self.figures.rewound += 1;
        self.forgotten.extend(self.paid().await.into_iter().skip(known.len()));
        self.until_noticed().await
    }

    /// The tasks that were paid for, in their order.
    async fn paid(&self) -> Vec<String> {
        let accepted = self.scene.bill().await.accepted;
        accepted.into_iter().filter(|task| task.kind == TaskKind::Generate).map(|task| task.task_id).collect()
    }

    /// Whoever asks for a claim first makes the server notice that it is another one.
    async fn until_noticed(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.redis()?.recovery_left()?.is_zero() {
            if Instant::now() > deadline {
                bail!("no worker noticed that the server is another one");
            }
            self.refill()?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Lets the time be over in which nothing is granted, with every machine at work: their journals are to be told.
    pub(crate) async fn recovered(&mut self) -> Result<()> {
        while !self.redis()?.recovery_left()?.is_zero() {
            self.refill()?;
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }
}
