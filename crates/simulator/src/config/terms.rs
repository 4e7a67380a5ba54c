//! The terms of the account: what a video costs, and how much may be asked for (docs/kie-api.md, sections 9 and 11).

use serde::{Deserialize, Serialize};

use crate::video::shape::Resolution;

/// Credits for one video in each resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Credits at 720p.
    #[serde(rename = "720p")]
    pub p720: u64,
    /// Credits at 1080p; the difference to 720p is what an upgrade costs.
    #[serde(rename = "1080p")]
    pub p1080: u64,
    /// Credits at 4k; the difference to 720p is what an upgrade costs.
    #[serde(rename = "4k")]
    pub p4k: u64,
}

impl Price {
    pub(crate) fn of(self, resolution: Resolution) -> u64 {
        match resolution {
            Resolution::P720 => self.p720,
            Resolution::P1080 => self.p1080,
            Resolution::P4k => self.p4k,
        }
    }
}

/// How much may be asked of the service (docs/kie-api.md, section 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// New tasks in a sliding window, by the arrival of their requests; `null` for no limit. Beyond it: 429.
    pub rate: Option<Rate>,
    /// Whether requests that were turned away fill the window as well.
    pub count_rejected: bool,
    /// Tasks that may be generating at once; `null` for no limit. Beyond it: 429.
    pub in_flight: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: Some(Rate::default()), count_rejected: false, in_flight: Some(100) }
    }
}

/// So many requests in any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests in a window.
    pub requests: usize,
    /// Length of the window.
    pub window_ms: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { requests: 20, window_ms: 10_000 }
    }
}
