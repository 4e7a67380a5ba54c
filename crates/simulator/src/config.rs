//! How the simulated service behaves: its account, its speed, its dialect and its faults.
//!
//! Every field has a default, unknown fields are refused, and the names are those of the file that a person writes:
//!
//! ```yaml
//! seed: 7
//! generation: { median_ms: 90000, sigma: 0.5, failed: 0.02 }
//! limits: { rate: { requests: 20, window_ms: 10000 }, in_flight: 100 }
//! faults:
//!   submit: [{ fault: close, after_accepting: true, nth: [3] }]   # the third answer is lost
//!   download: [{ fault: truncate, probability: 0.05 }]
//! ```
//!
//! Times are in milliseconds, probabilities between 0 and 1, money in credits. The defaults are those of the vendor's
//! documentation (docs/kie-api.md, by section).

mod dialect;
mod terms;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use dialect::{AspectKey, BalanceForm, Dialect, FailureForm, NotReady, ResultUrls, Shape, Size, Status, Times};
pub use terms::{Limits, Price, Rate};

use crate::fault::Faults;
use crate::video::shape::Resolution;

/// Everything that can be set. [`Config::default`] is the documented service; [`Config::quick`] is one in a hurry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where all chance starts; the same seed gives the n-th submission the same fate.
    pub seed: u64,
    /// The bearer keys that are accepted. Empty: any key that is not empty.
    pub keys: Vec<String>,
    /// Credits the account was ever given; the balance is this minus what was charged. Raise it to top up.
    pub credits: u64,
    /// Credits for one video, by model and resolution (docs/kie-api.md, section 9). A model that is not listed is an invalid model.
    pub prices: BTreeMap<String, Price>,
    /// The model of a request that names none; without one such a request is refused with 422 (docs/kie-api.md, section 2 and C2).
    pub default_model: Option<String>,
    /// Every API endpoint answers 455.
    pub maintenance: bool,
    /// Connections are cut as soon as they are opened, with a reset: the service is gone.
    pub unreachable: bool,
    /// The address in result links, such as `http://simulator:8080`; without one it is the `Host` the client used.
    pub public_url: Option<String>,
    /// How much may be asked of it.
    pub limits: Limits,
    /// What becomes of an accepted submission, and when.
    pub generation: Generation,
    /// The 1080p version on request (docs/kie-api.md, section 4).
    pub upgrade_1080p: Upgrade,
    /// The 4k version on request (docs/kie-api.md, section 5).
    pub upgrade_4k: Upgrade,
    /// The files behind the result links.
    pub files: Files,
    /// Notifications of finished tasks (docs/kie-api.md, section 7).
    pub callbacks: Callbacks,
    /// In which of its dialects the service speaks.
    pub dialect: Dialect,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        let price = |p720| Price { p720, p1080: p720 + 5, p4k: p720 + 120 };
        Self {
            seed: 1,
            keys: Vec::new(),
            credits: 1_000_000,
            prices: [("veo3", 250), ("veo3_fast", 60), ("veo3_lite", 30)]
                .map(|(model, credits)| (model.to_owned(), price(credits)))
                .into(),
            default_model: Some("veo3_fast".to_owned()),
            maintenance: false,
            unreachable: false,
            public_url: None,
            limits: Limits::default(),
            generation: Generation::default(),
            upgrade_1080p: Upgrade {
                median_ms: 90_000,
                not_ready: vec![NotReady::Processing400],
                ..Upgrade::default()
            },
            upgrade_4k: Upgrade { median_ms: 420_000, ..Upgrade::default() },
            files: Files::default(),
            callbacks: Callbacks::default(),
            dialect: Dialect::default(),
            faults: Faults::default(),
        }
    }
}

impl Config {
    /// The documented service, but with videos in about five seconds: for a try-out on one's own machine.
    #[must_use]
    pub fn quick() -> Self {
        let mut config = Self::default();
        config.generation.median_ms = 5_500;
        config.generation.sigma = 0.25;
        config.upgrade_1080p.median_ms = 2_500;
        config.upgrade_4k.median_ms = 4_000;
        config
    }

    /// This configuration with some fields changed: objects are merged, everything else is replaced, and `null` is a
    /// value like any other (it switches a limit off). So a person's file may change a few fields of [`Config::quick`].
    pub fn with(&self, changes: Value) -> Result<Self, ConfigError> {
        let not_understood = |error: serde_json::Error| ConfigError::NotUnderstood(error.to_string());
        let mut fields = serde_json::to_value(self).map_err(not_understood)?;
        merge(&mut fields, changes);
        let config: Self = serde_json::from_value(fields).map_err(not_understood)?;
        config.check().map(|()| config)
    }

    /// Says what is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), ConfigError> {
        let generation = &self.generation;
        let chances = [
            ("generation.failed", generation.failed),
            ("generation.refused", generation.refused),
            ("generation.stuck", generation.stuck),
            ("generation.no_output", generation.no_output),
            ("callbacks.lost", self.callbacks.lost),
            ("upgrade_1080p.unavailable", self.upgrade_1080p.unavailable),
            ("upgrade_4k.unavailable", self.upgrade_4k.unavailable),
        ];
        let rules = self.faults.all().filter_map(|rule| rule.probability.map(|chance| ("faults", chance)));
        for (field, value) in chances.into_iter().chain(rules) {
            if !(0.0..=1.0).contains(&value) {
                return Err(ConfigError::NotAProbability { field, value });
            }
        }
        for (field, value) in [
            ("generation.sigma", generation.sigma),
            ("upgrade_1080p.sigma", self.upgrade_1080p.sigma),
            ("upgrade_4k.sigma", self.upgrade_4k.sigma),
        ] {
            if !(0.0..=10.0).contains(&value) {
                return Err(ConfigError::NotASpread { field, value });
            }
        }
        Ok(())
    }

    /// What one video costs, if there is such a model.
    pub(crate) fn price(&self, model: &str, resolution: Resolution) -> Option<u64> {
        self.prices.get(model).map(|price| price.of(resolution))
    }
}

fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes,
    }
}

/// A configuration that cannot be meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A field is unknown, or its value is of another kind.
    #[error("the configuration is not understood: {0}")]
    NotUnderstood(String),
    /// Probabilities lie between 0 and 1.
    #[error("{field} is {value}, which is no probability between 0 and 1")]
    NotAProbability {
        /// The field, or `faults` for a rule of a fault.
        field: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// The spread of a log-normal time lies between 0 and 10.
    #[error("{field} is {value}, which is no spread between 0 and 10")]
    NotASpread {
        /// The field.
        field: &'static str,
        /// What it was set to.
        value: f64,
    },
}

/// What becomes of an accepted submission, and when.
///
/// A prompt may decide its own fate with a marker: `[refuse]`, `[fail]`, `[stuck]` or `[no-output]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generation {
    /// Half of the tasks take longer than this.
    pub median_ms: u64,
    /// Spread of the log-normal time; 0 makes all tasks take the median.
    pub sigma: f64,
    /// Share of tasks that fail for technical reasons: flag 2 with 422 or 500, flag 3 with 501, in turns.
    pub failed: f64,
    /// Share of tasks that policy refuses, after acceptance: flag 2 with 400.
    pub refused: f64,
    /// Share of tasks that never end.
    pub stuck: f64,
    /// Share of tasks that succeed without a link.
    pub no_output: f64,
    /// The first so many polls of a task are told that there is no such record (422; docs/kie-api.md, section 3).
    pub null_polls: u64,
    /// For so long after the acceptance there is no such record (422; docs/kie-api.md, section 3).
    pub null_ms: u64,
    /// The first so many polls that see a success see it without links.
    pub blank_polls: u64,
    /// Links a task's result has.
    pub videos: u32,
    /// Credits come back for tasks that fail or are refused.
    pub refund: bool,
    /// Records older than this are gone (docs/kie-api.md, section 11).
    pub record_lifetime_ms: u64,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            median_ms: 90_000,
            sigma: 0.4,
            failed: 0.0,
            refused: 0.0,
            stuck: 0.0,
            no_output: 0.0,
            null_polls: 0,
            null_ms: 0,
            blank_polls: 0,
            videos: 1,
            refund: true,
            record_lifetime_ms: 14 * 86_400_000,
        }
    }
}

/// A better version of a finished video, made on request and paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upgrade {
    /// Half of the upgrades take longer than this, from the first request on.
    pub median_ms: u64,
    /// Spread of the log-normal time.
    pub sigma: f64,
    /// Share of videos for which there will never be one.
    pub unavailable: f64,
    /// What is said while it is being made, in turns; only for 1080p (docs/kie-api.md, section 4), as 4k has one documented form.
    pub not_ready: Vec<NotReady>,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self { median_ms: 90_000, sigma: 0.2, unavailable: 0.0, not_ready: Vec::new() }
    }
}

impl Upgrade {
    pub(crate) fn median(&self) -> Duration {
        Duration::from_millis(self.median_ms)
    }
}

/// The files behind the result links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Size to which each file is padded; a bare 720p video of 8 s has some 170 kB.
    pub video_bytes: usize,
    /// Result links work for so long after the task's end.
    pub link_lifetime_ms: u64,
    /// Links of `/api/v1/common/download-url` work for so long (docs/kie-api.md, section 8).
    pub minted_lifetime_ms: u64,
    /// HTTP status of a link that has expired, 403 or 404.
    pub expired_status: u16,
    /// Result links carry a signature, as those of file stores do. Nobody checks it.
    pub signed: bool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            video_bytes: 300_000,
            link_lifetime_ms: 14 * 86_400_000,
            minted_lifetime_ms: 20 * 60_000,
            expired_status: 403,
            signed: false,
        }
    }
}

/// Notifications of finished tasks, for requests that carried a `callBackUrl` with `http://`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Callbacks {
    /// Signs each one (`X-Webhook-Timestamp`, `X-Webhook-Signature`).
    pub hmac_key: Option<String>,
    /// The receiver has so long to answer.
    pub timeout_ms: u64,
    /// Further attempts after one that was not answered with 2xx.
    pub retries: u32,
    /// Pause before a further attempt.
    pub retry_ms: u64,
    /// How often each one is delivered.
    pub deliveries: u32,
    /// Share of notifications that are never sent.
    pub lost: f64,
    /// How much later than the end of its task each one is sent.
    pub late_ms: u64,
    /// Where the task's id stands in it.
    pub form: CallbackForm,
    /// What is wrong with its signature.
    pub signature: SignatureFault,
}

/// Where the task's id stands in a notification (docs/kie-api.md, section 7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackForm {
    /// `data.taskId`
    #[default]
    Current,
    /// `data.task_id`
    Snake,
    /// `taskId`, beside `data`; a failure has no `data`.
    Top,
    /// A failure has no `data`, and so no id; a success as [`CallbackForm::Current`].
    NamelessFailure,
    /// No JSON at all.
    Broken,
}

/// What is wrong with the signature of a notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFault {
    /// Nothing.
    #[default]
    None,
    /// Made with another key.
    OtherKey,
    /// Made an hour ago.
    Old,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            hmac_key: None,
            timeout_ms: 15_000,
            retries: 3,
            retry_ms: 5_000,
            deliveries: 1,
            lost: 0.0,
            late_ms: 0,
            form: CallbackForm::Current,
            signature: SignatureFault::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_may_name_only_what_it_changes() {
        let text = r#"{"generation": {"median_ms": 10}, "limits": {"rate": null},
                       "faults": {"submit": [{"fault": "close", "after_accepting": true, "nth": [3]}]}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.generation.median_ms, 10);
        assert_eq!(config.limits.rate, None);
        assert_eq!(config.limits.in_flight, Some(100));
        assert_eq!(config.faults.submit.len(), 1);
    }

    #[test]
    fn changes_touch_what_they_name_and_nothing_else() {
        let changes = json!({"limits": {"rate": null}, "upgrade_4k": {"unavailable": 0.5}});
        let config = Config::quick().with(changes).unwrap();
        assert_eq!((config.limits.rate, config.limits.in_flight), (None, Some(100)));
        assert_eq!(config.upgrade_4k.median_ms, Config::quick().upgrade_4k.median_ms);
        assert!(Config::quick().with(json!({"limits": {"rates": null}})).is_err());
        assert!(Config::quick().with(json!({"generation": {"failed": 7}})).is_err());
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"genration": {}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"faults": {"submit": [{"fault": "explode"}]}}"#).is_err());
    }

    #[test]
    fn a_probability_beyond_one_is_refused() {
        let mut config = Config::default();
        assert_eq!(config.check(), Ok(()));
        config.generation.failed = 1.5;
        assert!(config.check().unwrap_err().to_string().contains("generation.failed"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let config = Config::quick();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }
}
