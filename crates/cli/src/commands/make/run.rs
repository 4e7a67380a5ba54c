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

use crate::args::files::Admissible;
use crate::args::settings::{AccountSettings, Service, Settings, WorkSettings};
use crate::exit::{DONE, INTERRUPTED};
use crate::failure::Result;
use crate::output::format::{dollars, duration};
use crate::output::ui;
use crate::report::progress::{Progress, TICK, summaries};
use crate::report::{messages, summary};
use crate::session::Session;
use crate::session::admission::outcome::AdmissionOutcome;
use crate::session::admission::{self, Admission};
use crate::session::past::Past;
use crate::session::remote::Account;
use crate::session::work::{self, Shown, Work};
use crate::session::{callbacks, preflight};
use crate::signals::Signals;

/// How often a process that only watches tries to take over.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// Make the videos of prompt files
///
/// Checks the files, shows what is new and what it is expected to cost, admits it, then submits at the account's pace, follows
/// each video and saves it. You can interrupt it at any time: the same command continues where it was, and never pays twice.
/// If another process works on the ledger already, this one admits its files and watches.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch run jobs.yaml --simulate
  veobatch run jobs.yaml
  veobatch run night/*.jsonl --output /srv/videos --yes
  veobatch run jobs.yaml --window '22:00-06:00 Europe/Berlin' --budget 5000

Exits with 0 if every job of the files' batches is done, 1 if some ended otherwise or are paused, 2 if a file or a \
setting is wrong, 3 if the ledger or the API cannot be used, 130 if interrupted.")]
pub(crate) struct Run {
    #[command(flatten)]
    files: Admissible,

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
    session: Session,
    account: Account,
    taken: AdmissionOutcome,
    is_done: bool,
    /// What the batches had cost when the work began, and when that was.
    spent: Credits,
    began: Instant,
}

impl Start {
    /// Says what `batches` cost since then, and how long that took.
    fn tell_cost(&self, settings: &Settings, batches: &[BatchSummary]) {
        let spent = summary::spent(batches).saturating_sub(self.spent);
        let money = if settings.simulate { "(simulated)".to_owned() } else { format!("({})", dollars(spent)) };
        ui::message(format_args!("spent {spent} credits {money} in {}", duration(self.began.elapsed())));
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
                if let Ok(batches) = timeout(LAST_LOOK, summaries(&*start.session.ledger, &start.taken.batches)).await {
                    let batches = batches?;
                    for batch in &batches {
                        ui::message(format_args!("{}: {}", batch.batch, messages::counts(batch)));
                    }
                    start.tell_cost(settings, &batches);
                }
                ui::message("interrupted: everything is recorded; the same command continues from here");
                Ok(INTERRUPTED)
            }
        }
    }

    /// Everything up to the admission.
    async fn start(&self, settings: &Settings) -> Result<Start> {
        let account = Account::of(settings, &self.service)?;
        callbacks::check(settings, &self.service, &self.work)?;
        let checked = admission::check(&self.files.files).await?;
        let session = Session::open(settings).await?;
        account.bind(&*session.ledger).await?;
        preflight::check(&self.work.output.output, "--output").await?;
        preflight::check(&session.state_dir(&self.work), "--state-dir").await?;
        session.configure(settings, &self.account).await?;
        let prices = self.account.pace.prices.as_deref();
        let admission = Admission { settings, session: &session, account: Some(&account), files: &self.files, prices };
        let taken = admission.admit(checked).await?;
        let known = summaries(&*session.ledger, &taken.batches).await?;
        let (is_done, spent) = (summary::code(&known) == DONE, summary::spent(&known));
        Ok(Start { session, account, taken, is_done, spent, began: Instant::now() })
    }

    /// Works until the batches are settled; while another process has the place, watches it, and takes over when it ends.
    async fn toil(&self, settings: &Settings, start: &Start, signals: &mut Signals) -> Result<Work> {
        let mut shown = Shown { progress: Progress::new(), batches: &start.taken.batches };
        let mut is_told = false;
        let result = loop {
            if start.session.has_place().await? {
                let remote = start.account.connect(self.work.dialect(), Some(&start.session)).await?;
                let until = Until::Settled(start.taken.batches.clone());
                let options = work::options(settings, &self.work, &start.session, &remote, until)?;
                let options = signals.unless(Box::pin(self.past.agreed(&start.session, options))).await?;
                let work = work::work(&start.session, &remote, options, signals, Some(&mut shown)).await;
                remote.stop().await;
                match work {
                    Ok(Work::NoPlace) => {}
                    other => break other,
                }
            }
            if !is_told {
                is_told = true;
                ui::message(format_args!(
                    "another veobatch process is working on {}; watching it, and taking over when it ends",
                    start.session.url.shown()
                ));
            }
            tokio::select! {
                is_settled = watch(&start.session, &mut shown) => if is_settled {
                    break Ok(Work::Finished);
                },
                () = signals.next() => {
                    ui::message("no longer watching; the jobs stay admitted, and the other process continues");
                    break Ok(Work::Interrupted);
                }
            }
        };
        shown.update(&start.session).await;
        shown.progress.end();
        result
    }

    async fn end(&self, settings: &Settings, start: &Start) -> Result<u8> {
        let ledger = &*start.session.ledger;
        let batches = summaries(ledger, &start.taken.batches).await?;
        if settings.json {
            ui::json(&start.taken.document(&batches))?;
        }
        let code = summary::tell(ledger, &batches, &self.work.output.output).await?;
        if !start.is_done {
            start.tell_cost(settings, &batches);
        }
        Ok(code)
    }
}

/// Watches who works, until the batches are settled (true) or it is time to try to take over (false).
async fn watch(session: &Session, shown: &mut Shown<'_>) -> bool {
    let until = Instant::now() + TAKE_OVER;
    while Instant::now() < until {
        if shown.update(session).await {
            return true;
        }
        sleep(TICK).await;
    }
    false
}
