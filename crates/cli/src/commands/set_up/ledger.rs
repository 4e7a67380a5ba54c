//! `veobatch ledger`: everything that a ledger knows, written as lines, and read into another one.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use veobatch_ledger::{CheckedExport, Exported, LedgerError, LedgerUrl, Moving};
use veobatch_worker::carry_journals;

use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::output::format::{counted, number};
use crate::output::ui;
use crate::session::{self, usual_state_dir};

/// Export the ledger, or import it into another one
///
/// An export is a backup, or the way from a file to Redis and back, with jobs in progress. An import moves the jobs: the ledger
/// that was exported refuses all changes from then on, so nothing is paid for twice.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch ledger export backup.jsonl
  veobatch ledger import backup.jsonl --ledger redis://localhost:6379/0

docs/ledger-export.md describes the format.")]
pub(crate) struct LedgerCommand {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    Export(Export),
    Import(Import),
}

/// Write everything that the ledger knows to a file, as JSON lines
///
/// The export shows one moment and changes nothing: a worker may go on with a file meanwhile; with Redis the export is
/// refused if something changed while it was written. The file holds prompts, but no key.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch ledger export backup.jsonl
  veobatch ledger export - | gzip > backup.jsonl.gz

Exits with 1 if the ledger changed meanwhile or was moved, 2 if there is no ledger or the file exists already, 3 if the \
ledger cannot be reached.")]
struct Export {
    /// A new file; `-` for standard output
    file: PathBuf,
}

/// Move an exported ledger into an empty one
///
/// Stop the workers, export, import: the old ledger (known from the file, or named with --source) must not have changed since
/// the export. From then on it refuses every change and says where its jobs went; it can still be read. If the import is
/// interrupted, the same command continues it; until it is complete, nothing can use the new ledger.
///
/// What the old ledger's state directory knows of paid calls is moved too. If workers ran on other machines, run `veobatch
/// worker` with the new ledger and the old --state-dir once on each of them.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch ledger import backup.jsonl --ledger redis://localhost:6379/0
  veobatch ledger import backup.jsonl --ledger sqlite:new.db --source-is-lost
  veobatch ledger import backup.jsonl --ledger sqlite:new.db --source redis://:PASSWORD@host:6379/0

Exits with 1 if the old ledger changed since the export or the new one is in use, 2 if the old one is not found, 3 if one \
of them cannot be reached.")]
struct Import {
    /// What `ledger export` wrote
    file: PathBuf,

    /// URL of the exported ledger, if it moved or needs a password
    #[arg(long, value_name = "URL")]
    source: Option<String>,

    /// The exported ledger is gone for good
    ///
    /// The new one is treated as restored from a backup: it submits nothing until it has taken over what journals and
    /// sidecars know, and a person has agreed (--accept-restored-ledger).
    #[arg(long)]
    source_is_lost: bool,

    /// State directory of the exported ledger
    ///
    /// [default: beside its file; with Redis: .veobatch]
    #[arg(long, value_name = "DIR")]
    source_state_dir: Option<PathBuf>,

    /// State directory of the new ledger
    ///
    /// [default: beside its file; with Redis: .veobatch]
    #[arg(long, value_name = "DIR", env = "VEOBATCH_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl LedgerCommand {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        match &self.which {
            Which::Export(export) => export.run(settings).await,
            Which::Import(import) => import.run(settings).await,
        }
    }
}

impl Export {
    async fn run(&self, settings: &Settings) -> Result<u8> {
        let url = session::url(settings)?;
        if !is_there(&url) {
            return Err(session::nothing_there(settings)?);
        }
        let failed = |error: &LedgerError| Failure::ledger(format!("export the ledger {}", url.shown()), error);
        if self.file == Path::new("-") {
            let mut to = BufWriter::new(io::stdout());
            let exported = veobatch_ledger::export(&url, &mut to).await.map_err(|error| failed(&error))?;
            tell(exported, "standard output");
            return Ok(DONE);
        }
        let shown = self.file.display();
        let unwritable = |error: &io::Error| Failure::bad_input(format!("write {shown}")).because(error);
        if self.file.exists() {
            return Err(Failure::bad_input(format!("write {shown}"))
                .since("it exists already")
                .hint("choose a new file name"));
        }
        // It has its name once all of it is there.
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let file = File::create(&part).map_err(|error| unwritable(&error))?;
        let mut to = BufWriter::new(file);
        let exported = veobatch_ledger::export(&url, &mut to).await;
        let exported = exported.map_err(|error| {
            drop(fs::remove_file(&part));
            failed(&error)
        })?;
        let file = to.into_inner().map_err(|error| unwritable(error.error()))?;
        file.sync_all().and_then(|()| fs::rename(&part, &self.file)).map_err(|error| unwritable(&error))?;
        if settings.json {
            ui::json(
                &json!({"file": self.file, "batches": exported.batches, "jobs": exported.jobs, "left_out": exported.left_out}),
            )?;
        }
        tell(exported, &shown.to_string());
        Ok(DONE)
    }
}

fn tell(Exported { batches, jobs, left_out }: Exported, to: &str) {
    ui::message(format_args!("exported {} of {} to {to}", counted(jobs, "job"), batches_of(batches)));
    if left_out > 0 {
        let jobs = counted(left_out, "job");
        ui::message(format_args!("{jobs} that were being admitted are not in it; enqueue their file again"));
    }
}

fn batches_of(batches: u64) -> String {
    if batches == 1 { "1 batch".to_owned() } else { format!("{} batches", number(batches)) }
}

fn is_there(url: &LedgerUrl) -> bool {
    match url {
        LedgerUrl::Sqlite(path) => path.exists(),
        LedgerUrl::Redis(_) => true,
    }
}

impl Import {
    async fn run(&self, settings: &Settings) -> Result<u8> {
        let target = session::url(settings)?;
        let what = || format!("import {} into {}", self.file.display(), target.shown());
        let checked = veobatch_ledger::check(&self.file).map_err(|error| Failure::ledger(what(), &error))?;
        let named = self.source.as_deref().unwrap_or(checked.source());
        let source = LedgerUrl::parse(named).map_err(|error| Failure::ledger("understand --source", &error))?;
        let from = self.source(&source, &checked).await?;
        let moving = Moving::begin(checked.clone(), from, &target).await;
        let Some(moving) = moving.map_err(|error| self.failed(what(), &error))? else {
            ui::message(format_args!(
                "{} was imported into {} already; nothing to do",
                self.file.display(),
                target.shown()
            ));
            return Ok(DONE);
        };
        if from.is_some() {
            ui::message(format_args!(
                "{} refuses all changes from now on: its jobs move to {}",
                source.shown(),
                target.shown()
            ));
        }
        let journals = self.carry(&source, &target, &checked)?;
        let jobs = checked.jobs();
        let mut told = 0;
        let seen = |done: u64| {
            if done >= told + STEP && done < jobs {
                told = done;
                ui::message(format_args!("{} of {} jobs", number(done), number(jobs)));
            }
        };
        moving.finish(seen).await.map_err(|error| self.failed(what(), &error))?;
        if settings.json {
            let (batches, ledger) = (checked.batches(), target.shown());
            ui::json(&json!({"ledger": ledger, "batches": batches, "jobs": jobs, "journals": journals}))?;
        }
        self.tell(&checked, &target, journals);
        Ok(DONE)
    }

    fn failed(&self, what: String, error: &LedgerError) -> Failure {
        let failure = Failure::ledger(what, error);
        if failure.has_hint() || self.source_is_lost || !matches!(error, LedgerError::Unavailable(_)) {
            return failure;
        }
        failure.hint(
            "run the same command again: it continues where it stopped (for a ledger that is gone: --source-is-lost)",
        )
    }

    /// The ledger that was exported; none if it is lost.
    async fn source<'a>(&self, source: &'a LedgerUrl, checked: &CheckedExport) -> Result<Option<&'a LedgerUrl>> {
        let what = || format!("find the ledger that was exported ({})", source.shown());
        if !self.source_is_lost {
            return if is_there(source) {
                Ok(Some(source))
            } else {
                Err(Failure::bad_input(what())
                    .since("there is no such file")
                    .hint("name it with --source, or use --source-is-lost if it is gone for good"))
            };
        }
        if is_there(source)
            && let Ok(ledger) = veobatch_ledger::open(source).await
            && let Ok(account) = ledger.account(0).await
            && account.moved_to.is_none()
            && ledger.info().await.is_ok_and(|found| found.identity.id == *checked.ledger())
        {
            return Err(Failure::bad_input(format!("do without the ledger {}", source.shown()))
                .since("it still exists, and would submit the same jobs")
                .hint("leave out --source-is-lost"));
        }
        Ok(None)
    }

    /// What the old state directory knows of paid calls goes along.
    fn carry(&self, source: &LedgerUrl, target: &LedgerUrl, checked: &CheckedExport) -> Result<usize> {
        // One variable names the directory of both.
        let given = self.source_state_dir.clone().or_else(|| self.state_dir.clone());
        let from = given.unwrap_or_else(|| usual_state_dir(source));
        let to = self.state_dir.clone().unwrap_or_else(|| usual_state_dir(target));
        let grants = checked.grants().map(|grants| grants + 1).filter(|_| !self.source_is_lost);
        carry_journals(&from, &to, checked.ledger(), grants).map_err(|error| {
            Failure::unavailable(format!("take the journals of paid calls from {} to {}", from.display(), to.display()))
                .because(&error)
                .hint("then run the same command again: it continues where it stopped")
        })
    }

    fn tell(&self, checked: &CheckedExport, target: &LedgerUrl, journals: usize) {
        let (jobs, batches) = (counted(checked.jobs(), "job"), batches_of(checked.batches()));
        ui::message(format_args!("imported {jobs} of {batches} into {}", target.shown()));
        if journals > 0 {
            let journals = counted(journals as u64, "journal");
            ui::message(format_args!(
                "moved {journals} of paid calls: the next worker on this machine reports them to the ledger"
            ));
        }
        if self.source_is_lost {
            ui::message("nothing is submitted until you agree: veobatch worker --accept-restored-ledger");
        }
    }
}

/// Jobs between two words about how far it is.
const STEP: u64 = 50_000;
