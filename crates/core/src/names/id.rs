//! Identifiers that are not names: the service's task ids and our attempt tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The service's id of a task. Opaque: three shapes are in use, and none tells what kind of task it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(String);

/// Longest task id that is taken for one, in bytes; those seen are 32 to 36 long.
pub const MAX_TASK_ID_BYTES: usize = 128;

impl TaskId {
    /// Takes `text` as a task id: 1 to [`MAX_TASK_ID_BYTES`] visible ASCII characters without quotes, slashes or
    /// spaces, so that it can stand in a URL, a file name and a log line.
    pub fn parse(text: &str) -> Option<Self> {
        let usable = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'=' | b'+');
        let fits = (1..=MAX_TASK_ID_BYTES).contains(&text.len()) && !text.starts_with('.');
        (fits && text.bytes().all(usable)).then(|| Self(text.to_owned()))
    }

    /// The id as the service wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The unguessable name of one attempt to submit one job: 32 hexadecimal digits.
///
/// It ties together the intent in the ledger, the lines of a journal and callbacks. 120 of its bits are random; the last
/// byte says whether the attempt was sent with a callback URL ([`Token::carries_callback`]). So that is known wherever the
/// attempt is known, also after a crash or a lost answer, without being stored anywhere else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

/// Its first digits only: whoever knows all of them can call back.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}…)", self.0.get(..6).unwrap_or_default())
    }
}

/// The last byte of a token whose attempt carries a callback URL.
const CALLBACK: u128 = 0xcb;

impl Token {
    /// The token of an attempt that is about to be made, from random bits.
    pub fn of_attempt(bits: u128, carries_callback: bool) -> Self {
        let random = bits & !0xff;
        let last = bits & 0xff;
        let last = match (carries_callback, last == CALLBACK) {
            (true, _) => CALLBACK,
            (false, true) => !CALLBACK & 0xff,
            (false, false) => last,
        };
        Self::from_bits(random | last)
    }

    /// Whether the attempt was sent, if it was, with a callback URL.
    pub fn carries_callback(&self) -> bool {
        self.0.ends_with("cb")
    }

    /// The token made of these bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// Reads a token as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == 32 && digits).then(|| Self(text.to_owned()))
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn equals(&self, other: &Self) -> bool {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        let differing = one.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b));
        one.len() == other.len() && std::hint::black_box(differing) == 0
    }

    /// The 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_of_every_shape_seen_are_taken_and_dangerous_ones_are_not() {
        for good in
            ["veo_task_abcdef123456", "5f0c3d2e1b0a49788695a4b3c2d1e0ff", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"]
        {
            assert!(TaskId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "../x", ".x", "a b", "a/b", "a\"b", "ä", &"x".repeat(129)] {
            assert!(TaskId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let token = Token::from_bits(0xff);
        assert_eq!(Token::parse(token.as_str()), Some(token.clone()));
        assert_eq!(Token::parse("ff"), None);
        assert!(token.equals(&Token::from_bits(0xff)) && !token.equals(&Token::from_bits(0xfe)));
    }

    #[test]
    fn a_token_says_whether_its_attempt_carries_a_callback_whatever_its_random_bits_are() {
        for bits in [0, 0xcb, 0x34, u128::MAX, 0xcb << 8] {
            assert!(Token::of_attempt(bits, true).carries_callback(), "{bits:x}");
            assert!(!Token::of_attempt(bits, false).carries_callback(), "{bits:x}");
        }
        assert_ne!(Token::of_attempt(0x1cb, true), Token::of_attempt(0x2cb, true));
    }
}
