//! `veobatch run`: admit prompt files, and work until their batches end.
//!
//! ```text
//! check ─▶ open, bind ─▶ compare, say what it costs ─▶ admit ─▶ work, or watch who does ─▶ summary
//!   2         2, 3               3 (key refused)                        130                  0, 1
//! ```

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep, timeout};
use veobatch_core::Credits;
use veobatch_ledger::BatchSummary;
use veobatch_worker::Until;

use crate::admission::{Admission, Files};
use crate::exit::{DONE, INTERRUPTED};
use crate::failure::Result;
use crate::opened::Opened;
use crate::past::Past;
use crate::progress::{Progress, TICK, summaries};
use crate::remote::Account;
use crate::settings::{AccountSettings, Service, Settings, WorkSettings};
use crate::signals::Signals;
use crate::taken::Taken;
use crate::units::{dollars, duration};
use crate::working::{self, Shown, Work};
use crate::{callbacks, say, summary, words, writable};

/// How often a process that only watches tries to take over.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// Admit prompt files and make their videos: work until those batches end
///
/// Checks the files, says what is new and what it will cost, admits it, then submits at the account's pace, follows
/// every video and saves it. Interrupt it whenever you like: the same command goes on where it was, and never pays twice.
/// If another process works on the ledger already, this one admits its files and watches.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch run jobs.yaml --simulate
  veobatch run jobs.yaml
  veobatch run night/*.jsonl --output /srv/videos --yes
  veobatch run jobs.yaml --window '22:00-06:00 Europe/Berlin' --budget 5000

Exits with 0 if every job of the files' batches is done, 1 if some ended otherwise or are paused, 2 if a file or a
setting is wrong, 3 if the ledger or the API cannot be used, 130 when interrupted.")]
pub(crate) struct Run {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    service: Service,

    #[command(flatten)]
    account: AccountSettings,

    #[command(flatten)]
    work: WorkSettings,

    #[command(flatten)]
    past: Past,
}

/// How long an interrupted run tries to say how far its batches are.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// What is worked on.
struct Start {
    opened: Opened,
    account: Account,
    taken: Taken,
    is_done: bool,
    /// What the batches had cost when the work began, and when that was.
    spent: Credits,
    began: Instant,
}

impl Start {
    /// Says what `batches` cost since then, and how long that took.
    fn tell_cost(&self, settings: &Settings, batches: &[BatchSummary]) {
        let spent = summary::spent(batches).saturating_sub(self.spent);
        let money = if settings.simulate { "of simulated money".to_owned() } else { format!("({})", dollars(spent)) };
        say::words(format_args!("spent {spent} credits {money} in {}", duration(self.began.elapsed())));
    }
}

impl Run {
    pub(crate) async fn run(&self, settings: &Settings, mut signals: Signals) -> Result<u8> {
        let start = signals.unless(self.start(settings)).await?;
        if start.is_done {
            return self.end(settings, &start).await;
        }
        match self.toil(settings, &start, &mut signals).await? {
            Work::Finished | Work::NoPlace => self.end(settings, &start).await,
            Work::Interrupted => {
                // A ledger that does not answer keeps nobody who wants to leave.
                if let Ok(batches) = timeout(LAST_LOOK, summaries(&*start.opened.ledger, &start.taken.batches)).await {
                    let batches = batches?;
                    for batch in &batches {
                        say::words(format_args!("{}: {}", batch.batch, words::counts(batch)));
                    }
                    start.tell_cost(settings, &batches);
                }
                say::words("interrupted: everything is recorded, and the same command goes on from here");
                Ok(INTERRUPTED)
            }
        }
    }

    /// Everything up to the admission.
    async fn start(&self, settings: &Settings) -> Result<Start> {
        let account = Account::of(settings, &self.service)?;
        callbacks::check(settings, &self.service, &self.work)?;
        let checked = self.files.check().await?;
        let opened = Opened::open(settings).await?;
        account.bind(&*opened.ledger).await?;
        writable::check(&self.work.output.output, "--output").await?;
        writable::check(&opened.state_dir(&self.work), "--state-dir").await?;
        opened.configure(settings, &self.account).await?;
        let prices = self.account.pace.prices.as_deref();
        let admission = Admission { settings, opened: &opened, account: Some(&account), files: &self.files, prices };
        let taken = admission.admit(checked).await?;
        let known = summaries(&*opened.ledger, &taken.batches).await?;
        let (is_done, spent) = (summary::code(&known) == DONE, summary::spent(&known));
        Ok(Start { opened, account, taken, is_done, spent, began: Instant::now() })
    }

    /// Works until the batches are settled; while another process has the place, watches it, and takes over when it ends.
    async fn toil(&self, settings: &Settings, start: &Start, signals: &mut Signals) -> Result<Work> {
        let mut shown = Shown { progress: Progress::new(), batches: &start.taken.batches };
        let mut is_told = false;
        let result = loop {
            if start.opened.has_place().await? {
                let remote = start.account.connect(self.work.dialect(), Some(&start.opened)).await?;
                let until = Until::Settled(start.taken.batches.clone());
                let options = working::options(settings, &self.work, &start.opened, &remote, until)?;
                let options = signals.unless(Box::pin(self.past.agreed(&start.opened, options))).await?;
                let work = working::work(&start.opened, &remote, options, signals, Some(&mut shown)).await;
                remote.stop().await;
                match work {
                    Ok(Work::NoPlace) => {}
                    other => break other,
                }
            }
            if !is_told {
                is_told = true;
                say::words(format_args!(
                    "another veobatch process works on {}: watching it, and going on here when it ends",
                    start.opened.url.shown()
                ));
            }
            tokio::select! {
                is_settled = watch(&start.opened, &mut shown) => if is_settled {
                    break Ok(Work::Finished);
                },
                () = signals.next() => {
                    say::words("no longer watching; the jobs stay admitted, and the other process goes on");
                    break Ok(Work::Interrupted);
                }
            }
        };
        shown.update(&start.opened).await;
        shown.progress.end();
        result
    }

    async fn end(&self, settings: &Settings, start: &Start) -> Result<u8> {
        let ledger = &*start.opened.ledger;
        let batches = summaries(ledger, &start.taken.batches).await?;
        if settings.json {
            say::json(&start.taken.document(&batches))?;
        }
        let code = summary::tell(ledger, &batches, &self.work.output.output).await?;
        if !start.is_done {
            start.tell_cost(settings, &batches);
        }
        Ok(code)
    }
}

/// Watches who works, until the batches are settled (true) or it is time to try to take over (false).
async fn watch(opened: &Opened, shown: &mut Shown<'_>) -> bool {
    let until = Instant::now() + TAKE_OVER;
    while Instant::now() < until {
        if shown.update(opened).await {
            return true;
        }
        sleep(TICK).await;
    }
    false
}
