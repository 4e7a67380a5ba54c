//! What a person asked for: one video. Written once into the ledger and never changed.
//!
//! The stored form is compact (short keys, only what differs from the defaults), because a queue holds hundreds of
//! thousands of them. The wire's spelling is the API client's business, the file's spelling the producer's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The model used when none is named; the service's own default since its Veo 3.1 generation (kie-api.md, section 2).
pub const DEFAULT_MODEL: &str = "veo3_fast";

/// One video, as asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// What the video shows. Never empty.
    #[serde(rename = "p")]
    pub prompt: String,
    /// The service's name of the model, passed through as it is.
    #[serde(rename = "m", skip_serializing_if = "is_default_model")]
    pub model: String,
    /// The shape of the picture.
    #[serde(rename = "a", skip_serializing_if = "is_default")]
    pub aspect_ratio: AspectRatio,
    /// Images to animate or refer to, as public http(s) URLs; at most three.
    #[serde(rename = "i", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// How the images are used; the service infers it from their number when it is absent.
    #[serde(rename = "g", skip_serializing_if = "Option::is_none")]
    pub generation_type: Option<GenerationType>,
    /// Size of the picture.
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    pub resolution: Resolution,
    /// Length in seconds: 4, 6 or 8. Absent: the service's default of 8.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub duration: Option<u8>,
    /// 10000 to 99999, for repeatable results where the service still honours it.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// A text burned into the picture.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Whether the service may translate the prompt to English; always sent when given, as its default changed.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub enable_translation: Option<bool>,
    /// Higher goes first within the batch.
    #[serde(rename = "y", skip_serializing_if = "is_default")]
    pub priority: i16,
    /// How many attempts may be paid for, the first one included. 1 never pays for a second.
    #[serde(rename = "n", skip_serializing_if = "is_one")]
    pub max_attempts: u32,
    /// Further fields, passed to the service as they are.
    #[serde(rename = "x", skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            model: DEFAULT_MODEL.to_owned(),
            aspect_ratio: AspectRatio::default(),
            images: Vec::new(),
            generation_type: None,
            resolution: Resolution::default(),
            duration: None,
            seed: None,
            watermark: None,
            enable_translation: None,
            priority: 0,
            max_attempts: 1,
            extra: Map::new(),
        }
    }
}

impl Spec {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// The shape of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AspectRatio {
    /// 16:9.
    #[default]
    #[serde(rename = "16:9")]
    Landscape,
    /// 9:16.
    #[serde(rename = "9:16")]
    Portrait,
    /// Whatever the image has; means something only with an image.
    Auto,
}

/// How a submission's images are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GenerationType {
    /// No images.
    #[serde(rename = "TEXT_2_VIDEO")]
    Text,
    /// One image to animate, or the first and the last frame.
    #[serde(rename = "FIRST_AND_LAST_FRAMES_2_VIDEO")]
    Frames,
    /// One to three images whose content the video takes up.
    #[serde(rename = "REFERENCE_2_VIDEO")]
    Reference,
}

/// Size of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// 1280 × 720, what every generation makes first.
    #[default]
    #[serde(rename = "720p")]
    P720,
    /// 1920 × 1080, made from the base video in one to three minutes more.
    #[serde(rename = "1080p")]
    P1080,
    /// 3840 × 2160, made from the base video in five to ten minutes more.
    #[serde(rename = "4k")]
    K4,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, with the word for it on the wire and in prompt files.
            pub const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word for it on the wire and in prompt files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(AspectRatio { Landscape => "16:9", Portrait => "9:16", Auto => "Auto" });
words!(GenerationType {
    Text => "TEXT_2_VIDEO",
    Frames => "FIRST_AND_LAST_FRAMES_2_VIDEO",
    Reference => "REFERENCE_2_VIDEO",
});
words!(Resolution { P720 => "720p", P1080 => "1080p", K4 => "4k" });

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_default_model(model: &String) -> bool {
    model == DEFAULT_MODEL
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_holds_only_what_differs_from_the_defaults() {
        let spec = Spec { prompt: "a cat".into(), ..Spec::default() };
        assert_eq!(spec.to_bytes(), br#"{"p":"a cat"}"#);
        assert_eq!(Spec::from_bytes(&spec.to_bytes()).unwrap(), spec);
    }

    #[test]
    fn every_field_survives_the_stored_form() {
        let spec = Spec {
            prompt: "a cat".into(),
            model: "veo9".into(),
            aspect_ratio: AspectRatio::Portrait,
            images: vec!["https://example.com/a.png".into()],
            generation_type: Some(GenerationType::Frames),
            resolution: Resolution::P1080,
            duration: Some(6),
            seed: Some(12345),
            watermark: Some("me".into()),
            enable_translation: Some(false),
            priority: -3,
            max_attempts: 2,
            extra: Map::from_iter([("enableFallback".to_owned(), Value::Bool(true))]),
        };
        assert_eq!(Spec::from_bytes(&spec.to_bytes()).unwrap(), spec);
    }
}
