//! The stored form of a spec: its content on the first line, all else on the second.

use serde::{Deserialize, Serialize};

use super::work_policy::{FORMAT_MAX_ATTEMPTS, FORMAT_PRIORITY, LeftOut, WorkPolicy};
use super::{AspectRatio, FORMAT_ASPECT_RATIO, FORMAT_MODEL, FORMAT_RESOLUTION, Resolution, Spec};

impl Spec {
    /// The content in its stored form: what makes this job another one than others. No line break is in it.
    pub fn content(&self) -> Vec<u8> {
        let LeftOut { model, aspect_ratio, resolution } = self.left_out;
        if !(model || aspect_ratio || resolution) {
            return serde_json::to_vec(self).unwrap_or_default();
        }
        let mut said = self.clone();
        if model {
            FORMAT_MODEL.clone_into(&mut said.model);
        }
        if aspect_ratio {
            said.aspect_ratio = FORMAT_ASPECT_RATIO;
        }
        if resolution {
            said.resolution = FORMAT_RESOLUTION;
        }
        serde_json::to_vec(&said).unwrap_or_default()
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.content();
        let rest = Rest::of(self);
        if rest != Rest::default() {
            bytes.push(b'\n');
            bytes.extend(serde_json::to_vec(&rest).unwrap_or_default());
        }
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let content = Self::content_of(bytes);
        let spec = serde_json::from_slice(content)?;
        // Format 1 had all in one line.
        let rest = bytes.get(content.len() + 1..).unwrap_or(content);
        Ok(serde_json::from_slice::<Rest>(rest)?.read_into(spec))
    }

    /// The content in a stored form, as [`Spec::content`] makes it.
    pub fn content_of(stored: &[u8]) -> &[u8] {
        stored.split(|byte| *byte == b'\n').next().unwrap_or_default()
    }
}

/// All of a stored spec that is not content.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Rest {
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
    fn of(spec: &Spec) -> Self {
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
    fn read_into(self, content: Spec) -> Spec {
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
