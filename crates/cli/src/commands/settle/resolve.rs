//! `veobatch resolve`: a person settles a job whose paid call had an unknown outcome.

use clap::{ArgGroup, Args};
use veobatch_api::Dialect;
use veobatch_core::{Event, JobKey, Progress, Record, State, TaskId, Verdict, payable_once_settled};
use veobatch_ledger::{Changed, Ledger, Lookup, Stored};

use crate::args::settings::{Service, Settings};
use crate::exit::{DONE, UNFINISHED};
use crate::failure::{Failure, Result};
use crate::output::{confirm, ui};
use crate::report::json;
use crate::session::Session;
use crate::session::lookup;
use crate::session::orders::{Order, order};
use crate::session::remote::Account;

/// Settle a job in doubt, which may or may not have been paid for
///
/// Its paid call was cut off. Search the service's log, <https://kie.ai/logs>, for its prompt and time. If it is there, pass
/// its task id: the video is then followed and saved, and nothing is paid again. The id is checked first: no other job may
/// have it, and its prompt must be this job's.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("verdict").required(true).args(["task_id", "resubmit", "give_up"]))]
#[command(override_usage = "veobatch resolve <BATCH> <JOB> <--task-id <ID>|--resubmit|--give-up>")]
#[command(after_long_help = "Examples:
  veobatch resolve garden cat-01 --task-id 5f0c3d2e1b0a49788695a4b3c2d1e0ff
  veobatch resolve garden cat-01 --resubmit      it is not in the logs
  veobatch resolve garden cat-01 --give-up       let it go

Exits with 1 if the job is not in doubt, was given up already or you answer no, 2 if the task is not this job's, 3 if the \
API cannot be asked.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Resolve {
    /// The batch
    batch: String,

    /// The job
    job: String,

    /// It was made: the id of its task
    #[arg(long, value_name = "ID")]
    task_id: Option<String>,

    /// Submit it again; it may be paid for twice
    #[arg(long)]
    resubmit: bool,

    /// Give it up; if it was paid for, its video is lost
    #[arg(long)]
    give_up: bool,

    /// Accept the task even if its prompt differs or is unknown
    #[arg(long, requires = "task_id")]
    force: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    service: Service,
}

impl Resolve {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, &self.batch).await?.batch;
        let stored = lookup::job(ledger, &batch, &self.job).await?;
        let key = stored.key.clone();
        let verdict = match &self.task_id {
            Some(id) => Verdict::Adopt(self.checked(settings, &session, &stored, id).await?),
            None if self.resubmit => Verdict::Resubmit,
            None => Verdict::GiveUp,
        };
        // Otherwise a task that was paid for is taken up, or another attempt is in doubt: this order pays for nothing.
        let pays = verdict == Verdict::Resubmit && payable_once_settled(&stored.record).is_ok();
        if pays && !self.yes && ui::can_ask() {
            ui::message(format_args!(
                "{key} may have been paid for already ({}); if it was, this pays for it a second time",
                json::error(&stored.record).unwrap_or("its outcome is unknown")
            ));
            if !confirm::confirmed("submit it again?").await? {
                ui::message("nothing was changed");
                return Err(Failure::silent(UNFINISHED));
            }
        }
        settle(ledger, stored, verdict, settings).await
    }

    /// The task `id`, if it can be this job's.
    async fn checked(&self, settings: &Settings, session: &Session, stored: &Stored, id: &str) -> Result<TaskId> {
        let key = &stored.key;
        let refused = || Failure::bad_input(format!("take task {id} for job {key}"));
        let task = TaskId::parse(id)
            .ok_or_else(|| refused().since("this is not a task id").hint("copy it from https://kie.ai/logs"))?;
        let owner = session.ledger.owner(Lookup::Task(&task)).await?;
        if let Some(owner) = owner {
            return Err(refused()
                .since(format!("it belongs to job {owner}"))
                .hint(format!("veobatch show {} {}", owner.batch, owner.job)));
        }
        if !self.force {
            compare(&Account::of(settings, &self.service)?, session, stored, &task).await?;
        }
        Ok(task)
    }
}

/// Asks the service for the task's prompt, which must be the job's.
async fn compare(account: &Account, session: &Session, stored: &Stored, task: &TaskId) -> Result<()> {
    account.bind(&*session.ledger).await?;
    let remote = account.connect(Dialect::default(), Some(session)).await?;
    let info = remote.client.poll(task).await;
    remote.stop().await;
    let refused = || Failure::bad_input(format!("take task {task} for job {}", stored.key));
    match (&info.prompt, &info.progress) {
        (Some(prompt), _) if prompt.trim() == stored.spec.prompt.trim() => Ok(()),
        (Some(prompt), _) => Err(refused()
            .since(format!("its prompt is different: {:?}", crate::output::table::plain(prompt, 120)))
            .hint("find the right task at https://kie.ai/logs; if this is the right one, use --force")),
        (None, Progress::Trouble(trouble)) => Err(Failure::unavailable(format!("ask the service about task {task}"))
            .since(trouble.message.clone())
            .hint("try again in a minute, or skip the check: --force")),
        (None, Progress::Missing(why)) => Err(refused()
            .since(why.clone())
            .hint("check that the id is complete; a new task may be known in a minute; --force skips the check")),
        (None, Progress::Running | Progress::Made { .. } | Progress::NoOutput | Progress::Failed(_)) => Err(refused()
            .since("the service does not return its prompt, so it cannot be checked")
            .hint("if you are sure that it belongs to this job: --force")),
    }
}

async fn settle(ledger: &dyn Ledger, stored: Stored, verdict: Verdict, settings: &Settings) -> Result<u8> {
    let key = stored.key.clone();
    match order(ledger, stored, Order::all(&Event::Resolve(verdict))).await? {
        Changed::Moved { to, .. } => ui::message(settled(&key, &to)),
        Changed::Same(why) => return Err(unchanged(&key, why)),
        Changed::Lost => return Err(unchanged(&key, "is being worked on by another process")),
    }
    if settings.json
        && let Some(stored) = ledger.find(Lookup::Name(&key)).await?
    {
        ui::json(&json::Job::of(&stored))?;
    }
    Ok(DONE)
}

/// What the job is now.
fn settled(key: &JobKey, record: &Record) -> String {
    match &record.state {
        State::Queued { .. } => format!("{key} is queued again: a worker submits it, and it may be paid for twice"),
        State::Failed { .. } => format!("gave up {key}; it may have been paid for"),
        State::InDoubt { attempt, .. } => format!(
            "that is settled, but attempt {} of {key} may have been paid for too; settle it as well: veobatch show {} {}",
            attempt.number, key.batch, key.job
        ),
        State::Generating { task, .. } | State::Done { task, .. } => {
            format!("{key} is task {}: a worker follows and saves it, and nothing is paid again", task.id)
        }
        State::Submitting { .. } | State::Upscaling { .. } | State::Downloading { .. } | State::Cancelled => {
            format!("{key} is {}", record.state.name())
        }
    }
}

fn unchanged(key: &JobKey, why: &str) -> Failure {
    Failure::unfinished(format!("settle job {key}"))
        .since(format!("it {why}"))
        .hint(format!("veobatch show {} {}", key.batch, key.job))
}
