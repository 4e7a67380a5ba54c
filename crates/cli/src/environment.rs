//! The environment, where clap does not read it: the API key, which is never a flag.

use std::ffi::OsString;
use std::path::PathBuf;

use veobatch_api::ApiKey;
use veobatch_worker::WebhookKey;

use crate::failure::{Failure, Result};

/// The account's key, from `KIE_API_KEY` or from the file that `KIE_API_KEY_FILE` names.
pub(crate) fn api_key() -> Result<ApiKey> {
    let (text, from) = match (variable("KIE_API_KEY"), variable("KIE_API_KEY_FILE").map(PathBuf::from)) {
        (Some(text), _) => (text.to_string_lossy().into_owned(), "KIE_API_KEY".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Failure::bad_input(format!("read the API key from {} (KIE_API_KEY_FILE)", path.display()))
                    .because(&error)
            })?;
            (text, format!("the file {}", path.display()))
        }
        (None, None) => {
            return Err(Failure::bad_input("find the API key")
                .since("neither KIE_API_KEY nor KIE_API_KEY_FILE is set")
                .hint("export KIE_API_KEY=…   (or try without a key and without cost: --simulate)"));
        }
    };
    ApiKey::parse(&text).map_err(|error| Failure::bad_input(format!("read the API key from {from}")).because(&error))
}

/// The account's webhook key, from `KIE_WEBHOOK_KEY` or from the file that `KIE_WEBHOOK_KEY_FILE` names, if one is set.
pub(crate) fn webhook_key() -> Result<Option<WebhookKey>> {
    let (text, from) = match (variable("KIE_WEBHOOK_KEY"), variable("KIE_WEBHOOK_KEY_FILE").map(PathBuf::from)) {
        (Some(text), _) => (text.to_string_lossy().into_owned(), "KIE_WEBHOOK_KEY".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Failure::bad_input(format!("read the webhook key from {} (KIE_WEBHOOK_KEY_FILE)", path.display()))
                    .because(&error)
            })?;
            (text, format!("the file {}", path.display()))
        }
        (None, None) => return Ok(None),
    };
    match WebhookKey::parse(&text) {
        Some(key) => Ok(Some(key)),
        // An empty key would take every callback that is signed with nothing.
        None => Err(Failure::bad_input(format!("read the webhook key from {from}")).since("it is empty")),
    }
}

/// Whether a key is there at all.
pub(crate) fn has_key() -> bool {
    variable("KIE_API_KEY").or_else(|| variable("KIE_API_KEY_FILE")).is_some()
}

/// Whether colours are not wanted (<https://no-color.org>).
pub(crate) fn is_colourless() -> bool {
    variable("NO_COLOR").is_some()
}

/// Whether `name` is set, but to nothing.
pub(crate) fn is_empty(name: &str) -> bool {
    read(name).is_some_and(|value| value.is_empty())
}

/// A variable that is set to something: compose files pass on empty ones.
fn variable(name: &str) -> Option<OsString> {
    read(name).filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
