//! Why a command ended early: an exit code, words, and a command that may help. Printed once, at the edge.
//!
//! ```text
//! error: failed to open the ledger redis://localhost:6379/0
//!   because the ledger cannot be reached: connection refused
//!
//! hint: start Redis, or use a file: --ledger sqlite:veobatch.db
//! ```

use std::error::Error;
use std::fmt;

use veobatch_ledger::LedgerError;

use crate::exit::{BAD_INPUT, DONE, INTERRUPTED, UNAVAILABLE, UNFINISHED};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What to do about a job that this program cannot read.
pub(crate) const UNREADABLE: &str = "a newer version of veobatch may have written it: install that version here too, and the job \
     continues by itself; otherwise it is damaged, and a backup of the ledger may still have it. Nothing is paid for it meanwhile";

/// The end of a command that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    code: u8,
    /// Completes "failed to …"; empty: nothing is said.
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// What was given cannot be used; `what` completes "failed to …".
    pub(crate) fn bad_input(what: impl Into<String>) -> Self {
        Self::new(BAD_INPUT, what.into())
    }

    /// What was asked for does not fit the state that things are in.
    pub(crate) fn unfinished(what: impl Into<String>) -> Self {
        Self::new(UNFINISHED, what.into())
    }

    /// Something that is needed cannot be reached.
    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::new(UNAVAILABLE, what.into())
    }

    /// A person stopped it; what there is to say was said.
    pub(crate) fn interrupted() -> Self {
        Self::new(INTERRUPTED, String::new())
    }

    /// Ends with this code; what there is to say was said.
    pub(crate) fn silent(code: u8) -> Self {
        Self::new(code, String::new())
    }

    /// Nobody reads standard output any more, which is no error.
    pub(crate) fn unread() -> Self {
        Self::new(DONE, String::new())
    }

    /// What the ledger said; what to do about it decides the code.
    pub(crate) fn ledger(what: impl Into<String>, error: &LedgerError) -> Self {
        let what = what.into();
        match error {
            LedgerError::Unavailable(_)
            | LedgerError::Changed
            | LedgerError::LostLease
            | LedgerError::Dropped
            | LedgerError::Damaged(_) => Self::unavailable(what).because(error),
            LedgerError::Format { found, known } if found.parse::<u32>().is_ok_and(|found| found < *known) => {
                Self::unavailable(what).because(error).hint(
                    "it was set back to a time before it was migrated to this version; run the command again, which migrates it",
                )
            }
            LedgerError::Format { .. } => Self::unavailable(what).because(error).hint(
                "a newer version of veobatch has used this ledger; install that version, or a newer one, on every machine",
            ),
            LedgerError::Outdated { .. } => Self::unavailable(what).because(error).hint(
                "stop those workers (Ctrl-C, and wait for them to end), then run the same command again; nothing was changed",
            ),
            LedgerError::Busy { .. } => {
                Self::unavailable(what).because(error).hint("wait for it to end, then run the same command again")
            }
            LedgerError::WorkerPresent => Self::unavailable(what).because(error).hint(
                "a SQLite file takes one worker at a time; watch it with `veobatch status`, or use Redis for several: \
                 --ledger redis://HOST:6379/0",
            ),
            LedgerError::Bound { .. } => Self::bad_input(what).because(error).hint(
                "use the key and the API base that it was first used with; for another account, use another ledger \
                 (--ledger sqlite:OTHER.db), which does not know what was paid for with this one",
            ),
            LedgerError::UnknownBatch(_) => {
                Self::bad_input(what).because(error).hint("list the batches: veobatch status")
            }
            LedgerError::Moved { to } => Self::bad_input(what)
                .because(error)
                .hint(format!("use that one: --ledger '{to}' (with its password, if it has one)")),
            LedgerError::Importing => Self::unavailable(what)
                .because(error)
                .hint("finish it with the same command: veobatch ledger import FILE"),
            LedgerError::Transfer(_) => Self::unfinished(what).because(error),
            LedgerError::Unsettled(batch) => Self::unfinished(what)
                .because(error)
                .hint(format!("see what is left of it: veobatch status {batch}")),
            LedgerError::Unreadable { .. } => Self::unfinished(what).because(error).hint(UNREADABLE),
            LedgerError::Url(_) | LedgerError::TaskTaken { .. } => Self::bad_input(what).because(error),
        }
    }

    fn new(code: u8, what: String) -> Self {
        Self(Box::new(Told { code, what, causes: Vec::new(), hint: None }))
    }

    /// Adds `error` and everything beneath it as causes.
    #[must_use]
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let words = cause.to_string();
            // A transparent layer says the same again.
            if self.0.causes.last() != Some(&words) {
                self.0.causes.push(words);
            }
            next = cause.source();
        }
        self
    }

    /// Adds a cause in words.
    #[must_use]
    pub(crate) fn since(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// Adds what to type next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.0.code
    }

    pub(crate) fn has_hint(&self) -> bool {
        self.0.hint.is_some()
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.what.is_empty()
    }
}

/// The failure of a read; whatever changes something says what.
impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::ledger("read the ledger", &error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: failed to {}", self.0.what)?;
        for cause in &self.0.causes {
            write!(f, "\n  because {}", cause.replace('\n', "\n    "))?;
        }
        if let Some(hint) = &self.0.hint {
            f.write_str("\n\nhint: ")?;
            f.write_str(hint)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_a_hint() {
        let error = LedgerError::Unavailable("connection refused".into());
        let failure = Failure::ledger("open the ledger", &error).hint("start Redis");
        assert_eq!(
            failure.to_string(),
            "error: failed to open the ledger\n  because the ledger cannot be reached: connection refused\n\n\
             hint: start Redis"
        );
        assert_eq!(failure.code(), UNAVAILABLE);
    }

    #[test]
    fn a_ledger_of_another_account_is_bad_input() {
        let error = LedgerError::Bound { what: "another API key".into() };
        assert_eq!(Failure::ledger("open the ledger", &error).code(), BAD_INPUT);
    }
}
