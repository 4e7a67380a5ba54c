//! What decides how long a video takes: the model, and what it is made from. Videos are learned about by kind.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FORMAT_MODEL, GenerationType, Spec};

/// Behind a model's name: made from frames, or from reference images. Made from words: nothing.
const FRAMES: &str = "+frames";
const REFERENCE: &str = "+reference";

/// Longer names of models are cut: no model has one, and kinds are kept in the ledger by name.
const MAX_MODEL_CHARS: usize = 60;

/// Model and way of making, as one short word: `veo3_fast`, `veo3_fast+frames`, `veo3+reference`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VideoKind(String);

/// What a stored record means that says nothing: made from words, by the format's model.
impl Default for VideoKind {
    fn default() -> Self {
        Self(FORMAT_MODEL.to_owned())
    }
}

impl VideoKind {
    /// The kind of what `spec` asks for. Where it does not say how its images are used, the service takes up to two for
    /// frames and three for references.
    pub fn of(spec: &Spec) -> Self {
        let inferred = match spec.images.len() {
            0 => GenerationType::Text,
            1 | 2 => GenerationType::Frames,
            _ => GenerationType::Reference,
        };
        let making = match spec.generation_type.unwrap_or(inferred) {
            GenerationType::Text => "",
            GenerationType::Frames => FRAMES,
            GenerationType::Reference => REFERENCE,
        };
        Self(spec.model.chars().take(MAX_MODEL_CHARS).chain(making.chars()).collect())
    }

    /// As it was stored.
    pub fn from_stored(word: String) -> Self {
        Self(word)
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For people: `veo3_fast`, `veo3_fast (from frames)`, `veo3 (from reference images)`.
impl fmt::Display for VideoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.strip_suffix(FRAMES), self.0.strip_suffix(REFERENCE)) {
            (Some(model), _) => write!(f, "{model} (from frames)"),
            (_, Some(model)) => write!(f, "{model} (from reference images)"),
            (None, None) => f.write_str(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_model_and_what_the_video_is_made_from() {
        let of = |images: usize, generation_type| {
            let images = vec!["https://example.com/a.png".to_owned(); images];
            let kind = VideoKind::of(&Spec { images, generation_type, ..Spec::default() });
            (kind.as_str().to_owned(), kind.to_string())
        };
        let both = |word: &str, shown: &str| (word.to_owned(), shown.to_owned());
        assert_eq!(of(0, None), both("veo3_fast", "veo3_fast"));
        assert_eq!(of(2, None), both("veo3_fast+frames", "veo3_fast (from frames)"));
        assert_eq!(of(3, None), both("veo3_fast+reference", "veo3_fast (from reference images)"));
        assert_eq!(of(1, Some(GenerationType::Reference)), of(3, None));
        assert_eq!(VideoKind::of(&Spec::default()), VideoKind::default());
    }

    #[test]
    fn a_name_of_any_length_is_a_short_word() {
        let spec = Spec { model: "ü".repeat(1000), ..Spec::default() };
        assert_eq!(VideoKind::of(&spec).as_str().chars().count(), MAX_MODEL_CHARS);
    }
}
