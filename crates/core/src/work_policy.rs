//! How to work at a job: all of a spec that may change without making it another job.

use serde::{Deserialize, Serialize};

use crate::spec::{AspectRatio, Resolution, Spec};

/// The priority of a stored spec that gives none.
pub const FORMAT_PRIORITY: i16 = 0;

/// The attempts that a stored spec allows if it does not say.
pub const FORMAT_MAX_ATTEMPTS: u32 = 1;

/// How to work at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkPolicy {
    /// Higher goes first within the batch.
    pub priority: i16,
    /// How many attempts may be paid for, the first one included. 1 never pays for a second.
    pub max_attempts: u32,
}

impl Default for WorkPolicy {
    fn default() -> Self {
        Self { priority: FORMAT_PRIORITY, max_attempts: FORMAT_MAX_ATTEMPTS }
    }
}

impl WorkPolicy {
    /// Where `says` differs from this, which its file said before.
    pub fn restated(self, says: Self) -> Restated {
        Restated {
            priority: (says.priority != self.priority).then_some(says.priority),
            max_attempts: (says.max_attempts != self.max_attempts).then_some(says.max_attempts),
        }
    }
}

/// What a file says differently from what it said before; what is `None` it says as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restated {
    /// See [`WorkPolicy::priority`].
    pub priority: Option<i16>,
    /// See [`WorkPolicy::max_attempts`].
    pub max_attempts: Option<u32>,
}

/// Fields that a file did not give, and that hold the default of the program that admitted it, which is not the format's.
///
/// They are no content: what one program chose does not make the line another job for the next program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// [`Spec::model`].
    pub model: bool,
    /// [`Spec::aspect_ratio`].
    pub aspect_ratio: bool,
    /// [`Spec::resolution`].
    pub resolution: bool,
}

/// All of a stored spec that is not content.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rest {
    #[serde(rename = "y", skip_serializing_if = "is_format_priority")]
    priority: i16,
    #[serde(rename = "n", skip_serializing_if = "is_format_max_attempts")]
    max_attempts: u32,
    /// What was chosen where nothing was said.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    chosen: Option<Chosen>,
}

impl Default for Rest {
    fn default() -> Self {
        Self { priority: FORMAT_PRIORITY, max_attempts: FORMAT_MAX_ATTEMPTS, chosen: None }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chosen {
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<AspectRatio>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution>,
}

impl Rest {
    pub(crate) fn of(spec: &Spec) -> Self {
        let LeftOut { model, aspect_ratio, resolution } = spec.left_out;
        let chosen = (model || aspect_ratio || resolution).then(|| Chosen {
            model: model.then(|| spec.model.clone()),
            aspect_ratio: aspect_ratio.then_some(spec.aspect_ratio),
            resolution: resolution.then_some(spec.resolution),
        });
        let WorkPolicy { priority, max_attempts } = spec.policy;
        Self { priority, max_attempts, chosen }
    }

    /// `content`, and this with it.
    pub(crate) fn read_into(self, content: Spec) -> Spec {
        let policy = WorkPolicy { priority: self.priority, max_attempts: self.max_attempts };
        let Some(Chosen { model, aspect_ratio, resolution }) = self.chosen else {
            return Spec { policy, ..content };
        };
        Spec {
            left_out: LeftOut {
                model: model.is_some(),
                aspect_ratio: aspect_ratio.is_some(),
                resolution: resolution.is_some(),
            },
            model: model.unwrap_or(content.model),
            aspect_ratio: aspect_ratio.unwrap_or(content.aspect_ratio),
            resolution: resolution.unwrap_or(content.resolution),
            policy,
            ..content
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_format_priority(priority: &i16) -> bool {
    *priority == FORMAT_PRIORITY
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_format_max_attempts(count: &u32) -> bool {
    *count == FORMAT_MAX_ATTEMPTS
}
