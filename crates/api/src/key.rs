//! The API key: a secret that is parsed once, sent to the API base, and shown to nobody.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The account's API key. Its text leaves this crate in one header and in no other way: no `Display` of it, no `Debug`,
/// no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text is not an API key. Never says the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing, or only white space.
    #[error("the API key is empty")]
    Empty,
    /// Something that no key contains; typically two lines, or a quotation mark's stray companion.
    #[error("the API key contains a space, a line break or another character that no key has")]
    Character,
}

impl ApiKey {
    /// Takes `text`, without the white space around it, as a key: visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        Ok(Self(key.to_owned()))
    }

    /// Lower-case hexadecimal SHA-256 of `salt` and the key: tells whether two keys are the same without telling either.
    pub fn fingerprint(&self, salt: &[u8]) -> String {
        let length = u64::try_from(salt.len()).unwrap_or(u64::MAX);
        let digest =
            Sha256::new().chain_update(length.to_be_bytes()).chain_update(salt).chain_update(&self.0).finalize();
        digest.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `words` with the key blanked out, should the service ever echo it. For what is said to people, and for nothing that
    /// is read: a task id or a link may hold the same letters.
    pub(crate) fn mask(&self, words: &str) -> String {
        let stars = |n: usize| "*".repeat(n);
        let mut masked = words.replace(&self.0, &stars(self.0.len()));
        // Words that were cut short may end within it.
        for n in (1..self.0.len()).rev().filter(|_| words.contains('…')) {
            let begun = self.0.get(..n).unwrap_or_default();
            masked = masked.replace(&format!("{begun}…"), &format!("{}…", stars(n)));
        }
        masked
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(the API key)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_white_space_of_a_key_file_is_not_part_of_the_key() {
        assert_eq!(ApiKey::parse(" \tabc123\r\n"), ApiKey::parse("abc123"));
    }

    #[test]
    fn texts_that_are_no_keys_are_refused_without_being_said() {
        assert_eq!(ApiKey::parse(" \n"), Err(KeyError::Empty));
        for text in ["secret\nsecond", "sec ret", "sécret", "sec\0ret"] {
            let error = ApiKey::parse(text).unwrap_err();
            assert_eq!(error, KeyError::Character);
            assert!(!error.to_string().contains("sec"), "{error}");
        }
    }

    #[test]
    fn a_key_prints_without_its_text() {
        let key = ApiKey::parse("abc123").unwrap();
        assert!(!format!("{key:?} {key}").contains("abc"));
    }

    #[test]
    fn fingerprints_differ_by_key_and_by_salt_and_tell_neither() {
        let of = |key: &str, salt: &[u8]| ApiKey::parse(key).unwrap().fingerprint(salt);
        assert_eq!(of("abc", b"1"), of("abc", b"1"));
        assert_ne!(of("abc", b"1"), of("abd", b"1"));
        assert_ne!(of("abc", b"1"), of("abc", b"2"));
        assert_ne!(of("1abc", b""), of("abc", b"1"));
        assert_eq!(of("abc", b"1").len(), 64);
    }

    #[test]
    fn a_key_that_is_echoed_is_blanked_out() {
        let key = ApiKey::parse("abc").unwrap();
        assert_eq!(key.mask("abcabc or ab"), "****** or ab");
        assert_eq!(key.mask("it was ab… (401)"), "it was **… (401)");
        assert_eq!(key.mask("a cab… äb…"), "a c**… äb…");
        assert_eq!(key.mask(""), "");
    }
}
