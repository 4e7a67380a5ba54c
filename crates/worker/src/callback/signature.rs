//! The signature of a callback: base64 of HMAC-SHA256 over `<task id>.<unix seconds>` (docs/kie-api.md, section 7).
//!
//! The signature does not cover the body, and the service documents no tolerance for the time: so it proves only that the
//! service sent something about this task recently. The token in the path ties it to the attempt.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Largest difference between a callback's time and ours, either way.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The account's webhook key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey(Vec<u8>);

impl WebhookKey {
    /// The key in `text`, without surrounding white space; `None` if nothing is left.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.as_bytes().to_vec()))
    }

    /// Whether `signature` was made with this key for `task` at `timestamp`, and that is about `now`. Compares in constant
    /// time.
    pub(super) fn verifies(&self, task: &str, timestamp: &str, signature: &str, now: Duration) -> bool {
        let is_digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let Some(at) = timestamp.parse().ok().filter(|_| is_digits).map(Duration::from_secs) else { return false };
        let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return false };
        mac.update(task.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.verify_slice(&signature).is_ok() && now.abs_diff(at) <= TOLERANCE
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac`: key, task, time, signature.
    const MADE: [(&str, &str, &str, &str); 3] = [
        ("webhook-key-1", "veo_task_abcdef123456", "1755000000", "OkSVnnGnsjKiiwPDSJX9Nc7KcshROyydzXG1rE+N1Zc="),
        ("k", "5f0c3d2e1b0a49788695a4b3c2d1e0ff", "1800000000", "b8jKqGI4MZfacWQhx4yS6reRVMoHK0TU9wd2Yre8Hyw="),
        (
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "t-1",
            "1",
            "+MVYHiZPIPgKe6uf9LOWY3jhVsEhW/E2V6O7jwUxEz8=",
        ),
    ];

    fn verifies(key: &str, task: &str, at: &str, signature: &str, now: u64) -> bool {
        WebhookKey::parse(key).unwrap().verifies(task, at, signature, Duration::from_secs(now))
    }

    #[test]
    fn signatures_made_elsewhere_are_verified() {
        for (key, task, at, signature) in MADE {
            assert!(verifies(key, task, at, signature, at.parse().unwrap()), "{task}");
        }
    }

    #[test]
    fn nothing_of_a_signature_may_differ() {
        let (key, task, at, signature) = MADE[0];
        let now = 1_755_000_000;
        for (key, task, at, signature) in [
            ("webhook-key-2", task, at, signature),
            (key, "veo_task_abcdef123457", at, signature),
            (key, task, "1755000001", signature),
            (key, task, at, MADE[1].3),
            (key, task, at, ""),
            (key, task, at, "OkSVnnGnsjKiiwPDSJX9Nc7KcshROyydzXG1rE+N1Q=="),
            (key, task, at, "not base64"),
            (key, task, "", signature),
            (key, task, "+1755000000", signature),
            (key, task, "soon", signature),
            (key, task, "99999999999999999999999", signature),
        ] {
            assert!(!verifies(key, task, at, signature, now), "{key} {task} {at} {signature}");
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let (key, task, at, signature) = MADE[0];
        let times = [-301, -300, 0, 300, 301].map(|by| 1_755_000_000_u64.saturating_add_signed(by));
        assert_eq!(times.map(|now| verifies(key, task, at, signature, now)), [false, true, true, true, false]);
    }

    #[test]
    fn a_key_prints_without_its_text() {
        assert!(!format!("{:?}", WebhookKey::parse(" secret\n").unwrap()).contains("secret"));
        assert_eq!(WebhookKey::parse(" \n"), None);
    }
}
