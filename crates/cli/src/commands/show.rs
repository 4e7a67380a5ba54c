//! `veobatch show`: everything about one job.

mod doubt;

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::{Called, Schedule, Spec, State, Timestamp};
use veobatch_ledger::{Account, BatchSummary, Gate, Ledger, Stored};

use crate::exit::DONE;
use crate::failure::Result;
use crate::named::{self, looking};
use crate::opened::Opened;
use crate::outlook::{moment, next_run};
use crate::settings::Settings;
use crate::shapes::{self, Time};
use crate::table::plain;
use crate::units::duration;
use crate::{say, words};

use self::doubt::Doubt;

/// Show one job: its state and history, its files, and why it is not moving
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch show garden cat-01
  veobatch show garden cat-01 --json

Exits with 2 if the batch or the job is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Show {
    /// The batch
    batch: String,

    /// The job
    job: String,
}

impl Show {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let opened = Opened::known(settings).await?;
        let ledger = &*opened.ledger;
        let batch = named::batch(ledger, &self.batch).await?;
        let stored = named::job(ledger, &batch.batch, &self.job).await?;
        let why = waiting(ledger, &batch, &stored).await?;
        let doubt = Doubt::of(ledger, &stored).await?;
        if settings.json {
            say::json(&document(&stored, why.as_deref(), doubt.as_ref()))?;
        } else {
            for line in lines(&stored, why.as_deref(), doubt.as_ref(), settings) {
                say::data(line)?;
            }
        }
        Ok(DONE)
    }
}

/// Why the job is not moving right now; `None` if it is over.
async fn waiting(ledger: &dyn Ledger, batch: &BatchSummary, stored: &Stored) -> Result<Option<String>> {
    let now = stored.now;
    let leased = stored.leased_until.filter(|until| *until > now);
    let held = leased.map(|until| format!("a worker has it, until {} unless it goes on", until_words(until, now)));
    Ok(match &stored.record.state {
        State::Queued { due } => {
            let account = ledger.account().await.map_err(|error| looking(&error))?;
            Some(queued(batch, &account, stored, *due))
        }
        State::Submitting { .. } => {
            Some(held.unwrap_or_else(|| "its worker is gone: the next one to look finds it in doubt".to_owned()))
        }
        State::Generating { due, .. } => Some(held.unwrap_or_else(|| format!("the next look is {}", when(*due, now)))),
        State::Upscaling { due, .. } => {
            Some(held.unwrap_or_else(|| format!("the larger version is asked for {}", when(*due, now))))
        }
        State::Downloading { due, .. } => {
            Some(held.unwrap_or_else(|| format!("the download is due {}", when(*due, now))))
        }
        State::InDoubt { called: Some(Called { task: Some(task), comparison: Some(comparison) }), .. } => {
            Some(held.unwrap_or_else(|| {
                format!("a worker compares task {task} with it; that is {}", when(comparison.due, now))
            }))
        }
        State::InDoubt { .. } => Some(format!(
            "it waits for a person: veobatch resolve {} {} --task-id ID, --resubmit or --give-up",
            stored.key.batch, stored.key.job
        )),
        State::Done { .. } | State::Failed { .. } | State::Cancelled => None,
    })
}

/// What a queued job waits for: the first thing that is in the way.
fn queued(batch: &BatchSummary, account: &Account, stored: &Stored, due: Option<Timestamp>) -> String {
    if batch.cancelling {
        return "its batch is being cancelled".to_owned();
    }
    if batch.paused {
        return format!("its batch is paused: veobatch resume {}", batch.batch);
    }
    if let Some(words) = unscheduled(batch, account, stored) {
        return words;
    }
    if let Some(due) = due.filter(|due| *due > account.now) {
        return format!("it is submitted again {}", when(due, account.now));
    }
    if let Gate::Closed { until, why, .. } = &account.gate {
        return format!("the account's gate is closed: {}; next try {}", plain(why, 200), when(*until, account.now));
    }
    if let Some(words) = words::recovery(account) {
        return words;
    }
    if account.in_flight >= account.pace.max_in_flight {
        return format!("{} videos are in flight, which is as many as may be", account.in_flight);
    }
    format!("it waits for its turn; the account's next slot is {}", when(account.next_slot, account.now))
}

/// Why its batch may not submit now, by its schedule or its budget.
fn unscheduled(batch: &BatchSummary, account: &Account, stored: &Stored) -> Option<String> {
    let (terms, now) = (&batch.terms, account.now);
    let schedule = Schedule::parse(&terms.schedule).ok()?;
    let zone = schedule.zone();
    if let Some(cron) = &schedule.cron {
        let run = next_run(&schedule, now).map(|run| format!("; the next one at {} ({zone})", moment(&zone, run)));
        return Some(format!("it is copied into each run of its batch ({cron}){}", run.unwrap_or_default()));
    }
    let span = schedule.span(now);
    if now < span.from {
        let what = if schedule.window.is_some() { "its batch's window is closed until" } else { "its batch starts at" };
        return Some(format!("{what} {} ({zone})", moment(&zone, span.from)));
    }
    let (budget, class) = (terms.budget?, stored.spec.price_class());
    let Some(price) = account.prices.get(&class) else {
        return Some(format!("its batch has a budget, and the price of {class} is not known (--prices)"));
    };
    let is_short = batch.credits.plus(*price) > budget;
    is_short.then(|| format!("its batch's budget is used up: {} of {budget} credits", batch.credits))
}

fn when(at: Timestamp, now: Timestamp) -> String {
    let wait = at.since(now);
    if wait.is_zero() { "due now (is a worker running?)".to_owned() } else { format!("due in {}", duration(wait)) }
}

fn until_words(at: Timestamp, now: Timestamp) -> String {
    format!("{} from now", duration(at.since(now)))
}

fn lines(stored: &Stored, why: Option<&str>, doubt: Option<&Doubt>, settings: &Settings) -> Vec<String> {
    let record = &stored.record;
    let mut lines = vec![format!("{}: {}", stored.key, words::spoken(record.state.name()))];
    let mut say = |name: &str, value: &str| lines.push(format!("  {name:<9} {value}"));
    if let Some(error) = shapes::error(record) {
        say("reason", &plain(error, 500));
    }
    if let Some(trouble) = &record.trouble {
        say("trouble", &plain(trouble, 500));
    }
    if let Some(why) = why {
        say("waiting", why);
    }
    for line in doubt.map(|doubt| doubt.lines(stored.now)).unwrap_or_default() {
        say("doubt", &line);
    }
    if let Some(task) = record.task() {
        say("task", &format!("{} (submitted {})", task.id, task.at));
    }
    let (attempt, allowed) = (record.attempt(), record.max_attempts);
    let by_hand = if attempt > allowed { ", ordered by hand" } else { "" };
    say("attempt", &format!("{attempt} ({allowed} allowed by the file{by_hand})"));
    for file in shapes::files(stored) {
        say("file", &settings.output.join(file).display().to_string());
    }
    if stored.compacted {
        let files = shapes::files(stored);
        let sidecar = files.first().map(|file| settings.output.join(file).with_extension("json").display().to_string());
        let place = sidecar.map(|path| format!("; they are in {path}")).unwrap_or_default();
        say("details", &format!("prompt, parameters and history were dropped when the job was compacted{place}"));
    } else {
        say("prompt", &plain(&stored.spec.prompt, 1000));
        for (name, value) in parameters(&stored.spec) {
            say(name, &plain(&value, 300));
        }
    }
    for stray in &record.strays {
        let became = words::stray(stray, &stored.key);
        say("stray", &format!("task {}, paid for beside this one ({}): {became}", stray.task, stray.at));
    }
    if !record.history.is_empty() {
        lines.push("  history".to_owned());
        lines.extend(record.history.iter().map(|entry| format!("    {}  {}", entry.0, plain(&entry.1, 300))));
    }
    lines
}

/// What was asked for, beside the prompt.
fn parameters(spec: &Spec) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("model", spec.model.clone()),
        ("shape", format!("{}, {}", spec.aspect_ratio.as_str(), spec.resolution.as_str())),
    ];
    let mut more = |name, value: Option<String>| parameters.extend(value.map(|value| (name, value)));
    more("duration", spec.duration.map(|seconds| format!("{seconds} s")));
    more("images", (!spec.images.is_empty()).then(|| spec.images.join(" ")));
    more("type", spec.generation_type.map(|kind| kind.as_str().to_owned()));
    more("seed", spec.seed.map(|seed| seed.to_string()));
    more("watermark", spec.watermark.clone());
    more("priority", (spec.priority != 0).then(|| spec.priority.to_string()));
    more("extra", (!spec.extra.is_empty()).then(|| Value::Object(spec.extra.clone()).to_string()));
    parameters
}

fn document(stored: &Stored, why: Option<&str>, doubt: Option<&Doubt>) -> Value {
    let (record, spec) = (&stored.record, &stored.spec);
    let history = record.history.iter().map(|entry| json!({"at": Time(entry.0), "what": entry.1}));
    let strays = record.strays.iter().map(|stray| shapes::stray(stray, &stored.key));
    let mut document = json!(shapes::Job::of(stored));
    if let Value::Object(object) = &mut document {
        object.insert("waiting".to_owned(), json!(why));
        object.insert("max_attempts".to_owned(), json!(record.max_attempts));
        object.insert("submitted".to_owned(), json!(record.task().map(|task| Time(task.at))));
        object.insert("doubt".to_owned(), json!(doubt.map(Doubt::document)));
        object.insert("history".to_owned(), history.collect());
        object.insert("strays".to_owned(), strays.collect());
        let spec = json!({
            "prompt": spec.prompt, "model": spec.model, "aspect_ratio": spec.aspect_ratio.as_str(),
            "resolution": spec.resolution.as_str(), "images": spec.images,
            "generation_type": spec.generation_type.map(veobatch_core::GenerationType::as_str),
            "duration": spec.duration, "seed": spec.seed, "watermark": spec.watermark,
            "enable_translation": spec.enable_translation, "priority": spec.priority,
            "max_attempts": spec.max_attempts, "extra": spec.extra,
        });
        object.insert("spec".to_owned(), if stored.compacted { Value::Null } else { spec });
    }
    document
}
