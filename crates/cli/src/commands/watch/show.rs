//! `veobatch show`: everything about one job.

mod doubt;

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::{Attempt, BatchId, JobId, JobKey, Spec};
use veobatch_ledger::{Ledger, LedgerError, Lookup, Stored};

use crate::args::settings::{Output, Settings};
use crate::exit::DONE;
use crate::failure::{Result, UNREADABLE};
use crate::output::table::plain;
use crate::output::ui;
use crate::report::blocked::Blocked;
use crate::report::json::{self, Time};
use crate::report::messages;
use crate::session::Session;
use crate::session::lookup;

use self::doubt::Doubt;

/// Show one job: its history, its files, why it is not moving
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch show garden cat-01
  veobatch show garden cat-01 --json

Exits with 2 if the batch or the job is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Show {
    /// The batch
    batch: String,

    /// The job
    job: String,

    #[command(flatten)]
    output: Output,
}

impl Show {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, &self.batch).await?;
        if let Some((key, why)) = self.unreadable(ledger, &batch.batch).await {
            return tell_unreadable(settings, &key, &why);
        }
        let stored = lookup::job(ledger, &batch.batch, &self.job).await?;
        let account = ledger.account(0).await?;
        let why = Blocked::of(&stored, &batch, &account);
        let doubt = Doubt::of(ledger, &stored).await?;
        if settings.json {
            ui::json(&document(&stored, why.as_ref(), doubt.as_ref()))?;
        } else {
            for line in lines(&stored, why.as_ref(), doubt.as_ref(), &self.output.output) {
                ui::data(line)?;
            }
        }
        Ok(DONE)
    }

    /// The job's name and what cannot be read, if it is there and this program cannot read it.
    async fn unreadable(&self, ledger: &dyn Ledger, batch: &BatchId) -> Option<(JobKey, String)> {
        let key = JobKey { batch: batch.clone(), job: JobId::parse(&self.job).ok()? };
        match ledger.find(Lookup::Name(&key)).await {
            Err(LedgerError::Unreadable { key, why }) => Some((key, why)),
            Ok(_) | Err(_) => None,
        }
    }
}

fn tell_unreadable(settings: &Settings, key: &JobKey, why: &str) -> Result<u8> {
    if settings.json {
        ui::json(&json!({"batch": key.batch, "job": key.job, "unreadable": true, "error": why}))?;
        return Ok(DONE);
    }
    ui::data(format_args!("{key}: cannot be read by this version, and is set aside"))?;
    ui::data(format_args!("  {:<9} {}", "reason", plain(why, 500)))?;
    ui::data(format_args!("  {:<9} {UNREADABLE}", "to do"))?;
    Ok(DONE)
}

fn lines(stored: &Stored, why: Option<&Blocked>, doubt: Option<&Doubt>, output: &Path) -> Vec<String> {
    let record = &stored.record;
    let mut lines = vec![format!("{}: {}", stored.key, messages::spoken(record.state.name()))];
    let mut say = |name: &str, value: &str| lines.push(format!("  {name:<9} {value}"));
    if let Some(error) = json::error(record) {
        say("reason", &plain(error, 500));
    }
    if let Some(trouble) = &record.trouble {
        say("trouble", &plain(trouble, 500));
    }
    if let Some(why) = why {
        say("waiting", &why.words);
    }
    for line in doubt.map(|doubt| doubt.lines(stored.now)).unwrap_or_default() {
        say("doubt", &line);
    }
    for open in &record.open {
        let Attempt { number, at, token, .. } = &open.attempt;
        say(
            "doubt",
            &plain(&format!("attempt {number} may have been paid for too, by {at}: {} (token {token})", open.why), 500),
        );
    }
    if let Some(task) = record.task() {
        say("task", &format!("{} (submitted {})", task.id, task.at));
    }
    let (attempt, allowed) = (record.attempt(), record.max_attempts);
    let by_hand = if attempt > allowed { ", ordered by a person" } else { "" };
    say("attempt", &format!("{attempt} ({allowed} allowed by the file{by_hand})"));
    for file in json::files(stored) {
        say("file", &output.join(file).display().to_string());
    }
    if stored.compacted {
        let files = json::files(stored);
        let sidecar = files.first().map(|file| output.join(file).with_extension("json").display().to_string());
        let place = sidecar.map(|path| format!("; they are in {path}")).unwrap_or_default();
        say("details", &format!("prompt, parameters and history were dropped when the job was compacted{place}"));
    } else {
        say("prompt", &plain(&stored.spec.prompt, 1000));
        for (name, value) in parameters(&stored.spec) {
            say(name, &plain(&value, 300));
        }
    }
    if record.priority != 0 {
        say("priority", &record.priority.to_string());
    }
    for stray in &record.strays {
        let became = messages::stray(stray, &stored.key);
        say("stray", &format!("task {}, paid for too ({}): {became}", stray.task, stray.at));
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
    more("extra", (!spec.extra.is_empty()).then(|| Value::Object(spec.extra.clone()).to_string()));
    parameters
}

fn document(stored: &Stored, why: Option<&Blocked>, doubt: Option<&Doubt>) -> Value {
    let (record, spec) = (&stored.record, &stored.spec);
    let history = record.history.iter().map(|entry| json!({"at": Time(entry.0), "what": entry.1}));
    let strays = record.strays.iter().map(|stray| json::stray(stray, &stored.key));
    let open = record.attempts_open().map(
        |(attempt, why)| json!({"attempt": attempt.number, "token": attempt.token, "at": Time(attempt.at), "why": why}),
    );
    let mut document = json!(json::Job::of(stored));
    if let Value::Object(object) = &mut document {
        object.insert("waiting".to_owned(), json!(why.map(|why| why.word)));
        object.insert("waiting_words".to_owned(), json!(why.map(|why| &why.words)));
        object.insert("priority".to_owned(), json!(record.priority));
        object.insert("credits".to_owned(), json!(record.credits.as_f64()));
        object.insert("max_attempts".to_owned(), json!(record.max_attempts));
        object.insert("submitted".to_owned(), json!(record.task().map(|task| Time(task.at))));
        object.insert("doubt".to_owned(), json!(doubt.map(Doubt::document)));
        object.insert("history".to_owned(), history.collect());
        object.insert("strays".to_owned(), strays.collect());
        object.insert("open_attempts".to_owned(), open.collect());
        let spec = json!({
            "prompt": spec.prompt, "model": spec.model, "aspect_ratio": spec.aspect_ratio.as_str(),
            "resolution": spec.resolution.as_str(), "images": spec.images,
            "generation_type": spec.generation_type.map(veobatch_core::GenerationType::as_str),
            "duration": spec.duration, "seed": spec.seed, "watermark": spec.watermark,
            "enable_translation": spec.enable_translation, "priority": spec.policy.priority,
            "max_attempts": spec.policy.max_attempts, "extra": spec.extra,
        });
        object.insert("spec".to_owned(), if stored.compacted { Value::Null } else { spec });
    }
    document
}
