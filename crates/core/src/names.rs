//! Names that become file names: batches are folders, jobs are files in them.
//!
//! A name is checked once, where it enters, for every file system the output directory may live on (Linux, macOS,
//! Windows shares); after that it is trusted. Two names that differ only in case or Unicode form would be one file on
//! some of them, so the ledger knows a name by its *folded* form.

pub(crate) mod id;

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Longest name, in bytes of UTF-8. File systems allow 255; a part file's suffix and a task id must still fit.
pub const MAX_NAME_BYTES: usize = 120;

/// The name of a batch: the folder its videos are written to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(String);

/// The name of a job, unique in its batch: the stem of its video's file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A job's full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The batch the job belongs to.
    pub batch: BatchId,
    /// The job in it.
    pub job: JobId,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.batch, self.job)
    }
}

/// Why a text cannot be a name. Completes "… is not usable as a name: it …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// A path separator, a character that Windows forbids, or a control character.
    #[error("contains {0:?}, which some file systems do not allow")]
    Character(char),
    /// A leading dot hides the file, or means a folder.
    #[error("starts with a dot")]
    LeadingDot,
    /// Windows drops these silently.
    #[error("ends with a dot or a space, or starts with a space")]
    Edge,
    /// `.2`, `.3` … name the further videos of a task.
    #[error("ends with a dot and digits, which veobatch uses for the further videos of a job")]
    Numbered,
    /// `CON`, `NUL`, `COM1` …
    #[error("is a device name on Windows")]
    Reserved,
}

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// Takes `text` as a name if every common file system can hold it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.to_owned()))
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form by which names are compared: composed (NFC) and lower case.
            pub fn folded(&self) -> String {
                fold(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name!(BatchId);
name!(JobId);

/// The form by which names are compared: composed (NFC) and lower case.
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if let Some(c) = text.chars().find(|&c| forbidden(c)) {
        return Err(NameError::Character(c));
    }
    if text.starts_with('.') {
        return Err(NameError::LeadingDot);
    }
    if text.ends_with(['.', ' ']) || text.starts_with(' ') {
        return Err(NameError::Edge);
    }
    let (stem, last) = text.rsplit_once('.').unwrap_or((text, ""));
    if !stem.is_empty() && !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::Numbered);
    }
    if reserved(text) { Err(NameError::Reserved) } else { Ok(()) }
}

fn forbidden(c: char) -> bool {
    // Bidirectional overrides and zero-width characters make two names look like one.
    let invisible =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    c.is_control() || invisible || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

fn reserved(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or(text).trim_end().to_ascii_lowercase();
    match stem.as_str() {
        "con" | "prn" | "aux" | "nul" => true,
        other => other
            .strip_prefix("com")
            .or_else(|| other.strip_prefix("lpt"))
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in ["cat-01", "Ein kleiner Kätzchen", "猫", "a.b", "v1.2a", "x".repeat(120).as_str()] {
            assert_eq!(JobId::parse(name).map(|id| id.as_str().to_owned()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_some_file_system_cannot_hold_are_refused() {
        use NameError::{Character, Edge, Empty, LeadingDot, Numbered, Reserved, TooLong};
        for (name, error) in [
            ("", Empty),
            (&"x".repeat(121), TooLong),
            ("../x", Character('/')),
            ("a\\b", Character('\\')),
            ("a\u{0}b", Character('\0')),
            ("a\u{202e}b", Character('\u{202e}')),
            ("..", LeadingDot),
            (".hidden", LeadingDot),
            ("dot.", Edge),
            (" x", Edge),
            ("cat.2", Numbered),
            ("CON", Reserved),
            ("nul.txt", Reserved),
            ("Lpt1", Reserved),
        ] {
            assert_eq!(JobId::parse(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn names_that_are_one_file_on_some_systems_fold_to_one() {
        assert_eq!(fold("CAFE\u{301}"), fold("café"));
        assert_ne!(fold("cat-1"), fold("cat-2"));
    }
}
