//! Which ledger this is, and how far it has come: so that what a machine keeps of its payments is told to the right ledger,
//! and a ledger that was restored from a backup is known to be one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::LedgerError;

/// A ledger's random name for itself, made when it is bound and kept for good. A copy of a ledger has the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LedgerId(String);

/// Digits of an id: 64 random bits are enough to tell the ledgers of one directory apart.
const DIGITS: usize = 16;

impl LedgerId {
    /// A new one, from the system's randomness.
    pub fn random() -> Result<Self, LedgerError> {
        let mut bits = [0; 8];
        getrandom::fill(&mut bits).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Ok(Self(format!("{:016x}", u64::from_ne_bytes(bits))))
    }

    /// Reads an id as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == DIGITS && digits).then(|| Self(text.to_owned()))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which ledger it is, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: LedgerId,
    /// How many submissions it has granted, if it counts them (`SQLite`). An older copy of it has granted fewer.
    pub grants: Option<u64>,
    /// It was imported from an export whose ledger could not be marked as moved, so it may be older than what was paid for; and
    /// no person has agreed yet that it goes on.
    pub is_copy: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = LedgerId::random().unwrap();
        assert_eq!(LedgerId::parse(id.as_str()), Some(id));
        assert_eq!(LedgerId::parse("../../../../etc/"), None);
    }
}
