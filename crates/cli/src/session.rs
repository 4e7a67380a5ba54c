//! The ledger that the settings name, opened, and what lies beside it.

pub(crate) mod admission;
pub(crate) mod callbacks;
pub(crate) mod configure;
pub(crate) mod lookup;
pub(crate) mod orders;
pub(crate) mod past;
pub(crate) mod preflight;
pub(crate) mod prices;
pub(crate) mod remote;
pub(crate) mod work;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use veobatch_ledger::{LedgerError, LedgerUrl, SharedLedger};

use crate::args::settings::{Settings, WorkSettings};
use crate::failure::{Failure, Result};
use crate::output::ui;

/// The ledger's default, and that of `--simulate`.
const USUAL: &str = "sqlite:veobatch.db";
const SIMULATED: &str = "sqlite:veobatch-simulate.db";

/// An open ledger.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) url: LedgerUrl,
    pub(crate) ledger: SharedLedger,
}

impl Session {
    /// Opens the ledger; makes it if it is new.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let url = url(settings)?;
        let what = || format!("open the ledger {}", url.shown());
        let ledger = veobatch_ledger::open(&url).await.map_err(|error| {
            let failure = Failure::ledger(what(), &error);
            match (&url, failure.has_hint()) {
                (_, true) => failure,
                (LedgerUrl::Redis(_), false) => {
                    failure.hint("start Redis there, or use a file: --ledger sqlite:veobatch.db")
                }
                (LedgerUrl::Sqlite(_), false) => failure.hint("use another file: --ledger sqlite:PATH"),
            }
        })?;
        Ok(Self { url, ledger })
    }

    /// Opens the ledger if it is there: what only looks makes no new file.
    pub(crate) async fn existing(settings: &Settings) -> Result<Option<Self>> {
        match url(settings)? {
            LedgerUrl::Sqlite(path) if !path.exists() => Ok(None),
            LedgerUrl::Sqlite(_) | LedgerUrl::Redis(_) => {
                let session = Self::open(settings).await?;
                let account =
                    session.ledger.account(0).await.map_err(|error| Failure::ledger("read the ledger", &error))?;
                if let Some(to) = account.moved_to {
                    ui::message(format_args!(
                        "note: the jobs of this ledger were moved to {to}; this is their state at that time"
                    ));
                }
                Ok(Some(session))
            }
        }
    }

    /// Opens the ledger, which must be there: for commands that name something in it.
    pub(crate) async fn known(settings: &Settings) -> Result<Self> {
        match Self::existing(settings).await? {
            Some(session) => Ok(session),
            None => Err(nothing_there(settings)?),
        }
    }

    /// Whether this process could work on the ledger now. Another one may be faster, which the worker then finds.
    pub(crate) async fn has_place(&self) -> Result<bool> {
        match self.ledger.start_worker().await {
            Ok(_) => Ok(true),
            Err(LedgerError::WorkerPresent) => Ok(false),
            Err(error) => Err(Failure::ledger("work on the ledger", &error)),
        }
    }

    /// Where the journal of paid calls is kept.
    pub(crate) fn state_dir(&self, work: &WorkSettings) -> PathBuf {
        work.state_dir.clone().unwrap_or_else(|| usual_state_dir(&self.url))
    }

    /// Where the simulated service keeps its tasks.
    pub(crate) fn simulator_store(&self) -> PathBuf {
        match &self.url {
            LedgerUrl::Sqlite(path) => beside(path, "tasks.jsonl"),
            LedgerUrl::Redis(_) => PathBuf::from("veobatch-simulate.tasks.jsonl"),
        }
    }
}

/// The failure of a command that names something in a ledger that is not there.
pub(crate) fn nothing_there(settings: &Settings) -> Result<Failure> {
    let shown = url(settings)?.shown();
    Ok(Failure::bad_input(format!("open the ledger {shown}"))
        .since("there is no such file: no job has been admitted to it yet")
        .hint("admit jobs first: veobatch run FILE   (another ledger: --ledger sqlite:PATH)"))
}

/// Where the journal of paid calls of a ledger is kept, unless a person says otherwise.
pub(crate) fn usual_state_dir(ledger: &LedgerUrl) -> PathBuf {
    match ledger {
        LedgerUrl::Sqlite(path) => beside(path, "state"),
        // Each queue is an account of its own: what was paid for there is no evidence here.
        LedgerUrl::Redis(url) => PathBuf::from(
            url.other_queue().map_or_else(|| ".veobatch".to_owned(), |queue| format!(".veobatch-{queue}")),
        ),
    }
}

/// `veobatch.db` → `veobatch.state`.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name: OsString = file.file_stem().unwrap_or(file.as_os_str()).to_owned();
    name.push(".");
    name.push(extension);
    file.with_file_name(name)
}

/// The ledger's URL.
pub(crate) fn url(settings: &Settings) -> Result<LedgerUrl> {
    let usual = if settings.simulate { SIMULATED } else { USUAL };
    LedgerUrl::parse(settings.ledger.as_deref().unwrap_or(usual))
        .map_err(|error| Failure::ledger("understand --ledger", &error).hint("--ledger sqlite:veobatch.db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_ledger_lies_beside_it() {
        assert_eq!(beside(Path::new("a/veobatch.db"), "state"), Path::new("a/veobatch.state"));
        assert_eq!(beside(Path::new("night"), "tasks.jsonl"), Path::new("night.tasks.jsonl"));
    }

    #[test]
    fn each_queue_has_a_state_directory_of_its_own() {
        let of = |url: &str| usual_state_dir(&LedgerUrl::parse(url).unwrap());
        assert_eq!(of("redis://h:6379"), Path::new(".veobatch"));
        assert_eq!(of("redis://h:6379/?queue=night"), Path::new(".veobatch-night"));
        assert_eq!(of("sqlite:a/x.db"), Path::new("a/x.state"));
    }
}
