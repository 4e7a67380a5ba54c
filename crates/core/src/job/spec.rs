//! What a person asked for: one video, and how to work at it.
//!
//! What changes the video is the job's *content*, and its identity: made ids, comparisons and digests are of the content
//! alone. How to work at it ([`WorkPolicy`]) may change, and the job stays the same.
//!
//! ```text
//! {"p":"a cat","r":"1080p"}      line 1: the content
//! {"n":2}                        line 2: all else, if any of it differs from the format's defaults
//! ```
//!
//! The stored form is compact (short keys, only what differs from the defaults), because a queue holds hundreds of
//! thousands of them. Defaults that are left out are constants of the format, never the program's: a ledger lives longer
//! than a program. The wire's spelling is the API client's business, the file's spelling the producer's.

pub(crate) mod kind;
mod stored;
mod work_policy;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::work_policy::{FORMAT_MAX_ATTEMPTS, FORMAT_PRIORITY, LeftOut, Restated, WorkPolicy};
use super::defaults::is_default;

/// The model of a stored spec that names none.
pub const FORMAT_MODEL: &str = "veo3_fast";

/// The shape of a stored spec that gives none.
pub const FORMAT_ASPECT_RATIO: AspectRatio = AspectRatio::Landscape;

/// The size of a stored spec that gives none.
pub const FORMAT_RESOLUTION: Resolution = Resolution::P720;

/// One video, as asked for. Its serialized form is its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// What the video shows. Never empty.
    #[serde(rename = "p")]
    pub prompt: String,
    /// The service's name of the model, passed through as it is.
    #[serde(rename = "m", skip_serializing_if = "is_format_model")]
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
    /// Further fields, passed to the service as they are.
    #[serde(rename = "x", skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// How to work at it, as its file said last.
    #[serde(skip)]
    pub policy: WorkPolicy,
    /// Which fields the file left to a program whose default is not the format's.
    #[serde(skip)]
    pub left_out: LeftOut,
}

/// What a stored spec means that says nothing but its prompt.
impl Default for Spec {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            model: FORMAT_MODEL.to_owned(),
            aspect_ratio: FORMAT_ASPECT_RATIO,
            images: Vec::new(),
            generation_type: None,
            resolution: FORMAT_RESOLUTION,
            duration: None,
            seed: None,
            watermark: None,
            enable_translation: None,
            extra: Map::new(),
            policy: WorkPolicy::default(),
            left_out: LeftOut::default(),
        }
    }
}

/// The shape of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AspectRatio {
    /// 16:9.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// 1280 × 720, what every generation makes first.
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

impl Default for AspectRatio {
    fn default() -> Self {
        FORMAT_ASPECT_RATIO
    }
}

impl Default for Resolution {
    fn default() -> Self {
        FORMAT_RESOLUTION
    }
}

fn is_format_model(model: &String) -> bool {
    model == FORMAT_MODEL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat() -> Spec {
        Spec { prompt: "a cat".into(), ..Spec::default() }
    }

    #[test]
    fn the_stored_form_holds_only_what_differs_from_the_defaults() {
        assert_eq!(cat().to_bytes(), br#"{"p":"a cat"}"#);
        assert_eq!(Spec::from_bytes(&cat().to_bytes()).unwrap(), cat());
    }

    #[test]
    fn every_field_survives_the_stored_form() {
        let spec = Spec {
            prompt: "a\ncat".into(),
            model: "veo9".into(),
            aspect_ratio: AspectRatio::Portrait,
            images: vec!["https://example.com/a.png".into()],
            generation_type: Some(GenerationType::Frames),
            resolution: Resolution::P1080,
            duration: Some(6),
            seed: Some(12345),
            watermark: Some("me".into()),
            enable_translation: Some(false),
            extra: Map::from_iter([("enableFallback".to_owned(), Value::Bool(true))]),
            policy: WorkPolicy { priority: -3, max_attempts: 2 },
            left_out: LeftOut { model: true, aspect_ratio: true, resolution: true },
        };
        assert_eq!(Spec::from_bytes(&spec.to_bytes()).unwrap(), spec);
    }

    #[test]
    fn how_to_work_at_a_job_is_not_its_content() {
        let twice = Spec { policy: WorkPolicy { priority: 7, max_attempts: 2 }, ..cat() };
        assert_eq!(twice.content(), cat().content());
        assert_eq!(twice.to_bytes(), b"{\"p\":\"a cat\"}\n{\"y\":7,\"n\":2}");
        assert_eq!(Spec::content_of(&twice.to_bytes()), cat().content());
        assert_eq!(Spec::content_of(&cat().to_bytes()), cat().content());
    }

    #[test]
    fn a_spec_of_the_first_format_is_read() {
        let read = Spec::from_bytes(br#"{"p":"a cat","y":7,"n":2}"#).unwrap();
        assert_eq!(read, Spec { policy: WorkPolicy { priority: 7, max_attempts: 2 }, ..cat() });
        assert_eq!(Spec::content_of(&read.to_bytes()), cat().content());
    }

    /// Of a program that makes portraits at 1080p with another model, where a file says nothing.
    #[test]
    fn what_a_program_chose_is_stored_and_is_not_content() {
        let chosen = Spec {
            model: "veo9".into(),
            aspect_ratio: AspectRatio::Portrait,
            resolution: Resolution::P1080,
            left_out: LeftOut { model: true, aspect_ratio: true, resolution: true },
            ..cat()
        };
        assert_eq!(chosen.content(), cat().content());
        assert_eq!(Spec::from_bytes(&chosen.to_bytes()).unwrap(), chosen, "and it stays what was chosen");
        let said = Spec { left_out: LeftOut::default(), ..chosen };
        assert_eq!(said.content(), br#"{"p":"a cat","m":"veo9","a":"9:16","r":"1080p"}"#);
    }
}
