//! How a job is spelled on the wire. The service renamed a field and its documentation disagrees with itself
//! (docs/kie-api.md, section 2 and C1), so the spelling can be chosen.

use serde_json::{Map, Value, json};
use url::Url;
use veobatch_core::{GenerationType, Spec};

/// Which generation of the service's documentation a request follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The current fields, with the ratio under both of its names and the same value.
    ///
    /// The default, for money's sake: a server that ignores the name it does not know would render 16:9 for 9:16 and
    /// charge for it, silently; a server that refuses unknown names says so with a 422, loudly and free of charge.
    #[default]
    Both,
    /// The current fields only (`aspect_ratio`).
    Current,
    /// The fields of 2025 only (`aspectRatio`, at most one image). What they cannot say is refused by [`Dialect::check`].
    Seed,
}

impl Dialect {
    /// Every value, with the word for it on the command line.
    pub const WORDS: &[(&str, Self)] = &[("both", Self::Both), ("current", Self::Current), ("seed", Self::Seed)];

    /// Says what of `spec` cannot be said in this dialect: to send the rest would pay for another video than asked for.
    pub fn check(self, spec: &Spec) -> Result<(), &'static str> {
        if self != Self::Seed {
            return Ok(());
        }
        if spec.images.len() > 1 {
            return Err("the seed dialect takes one image only");
        }
        if spec.generation_type == Some(GenerationType::Reference) {
            return Err("the seed dialect knows no reference images");
        }
        if spec.duration.is_some_and(|seconds| seconds != 8) {
            return Err("the seed dialect makes videos of 8 seconds only");
        }
        Ok(())
    }

    /// The body of a submission. A field given by name wins over one in `extra`, whichever way that is spelled.
    pub(crate) fn body(self, spec: &Spec, callback: Option<&Url>) -> Map<String, Value> {
        let mut body = spec.extra.clone();
        let mut put = |names: &[&str], value: Option<Value>| {
            let Some(value) = value else { return };
            for name in
                SPELLINGS.iter().filter(|group| names.iter().any(|name| group.contains(name))).copied().flatten()
            {
                body.shift_remove(*name);
            }
            for name in names {
                body.insert((*name).to_owned(), value.clone());
            }
        };
        put(&["prompt"], Some(json!(spec.prompt)));
        put(&["model"], Some(json!(spec.model)));
        let ratio: &[&str] = match self {
            Self::Both => &["aspect_ratio", "aspectRatio"],
            Self::Current => &["aspect_ratio"],
            Self::Seed => &["aspectRatio"],
        };
        put(ratio, Some(json!(spec.aspect_ratio.as_str())));
        put(&["imageUrls"], (!spec.images.is_empty()).then(|| json!(spec.images)));
        put(&["seeds"], spec.seed.map(|seed| json!(seed)));
        put(&["watermark"], spec.watermark.as_ref().map(|text| json!(text)));
        put(&["callBackUrl"], callback.map(|url| json!(url.as_str())));
        if self != Self::Seed {
            put(&["generationType"], spec.generation_type.map(|kind| json!(kind.as_str())));
            put(&["resolution"], Some(json!(spec.resolution.as_str())));
            put(&["duration"], spec.duration.map(|seconds| json!(seconds)));
            // Sent even when it was not asked for: the documented default changed from true to false (C9).
            put(&["enableTranslation"], Some(json!(spec.enable_translation.unwrap_or(false))));
        }
        body
    }
}

/// Names that mean the same field.
const SPELLINGS: &[&[&str]] = &[
    &["aspect_ratio", "aspectRatio"],
    &["imageUrls", "image_urls", "imageUrl"],
    &["generationType", "generation_type"],
    &["seeds", "seed"],
    &["watermark", "waterMark"],
    &["callBackUrl", "callbackUrl", "callback_url"],
    &["enableTranslation", "enable_translation"],
    &["prompt"],
    &["model"],
    &["resolution"],
    &["duration"],
];

#[cfg(test)]
mod tests {
    use veobatch_core::{AspectRatio, Resolution};

    use super::*;

    fn spec() -> Spec {
        Spec { prompt: "a cat".into(), aspect_ratio: AspectRatio::Portrait, ..Spec::default() }
    }

    fn full() -> Spec {
        Spec {
            model: "veo3".into(),
            images: vec!["https://example.com/a.png".into()],
            generation_type: Some(GenerationType::Frames),
            resolution: Resolution::K4,
            duration: Some(8),
            seed: Some(12345),
            watermark: Some("me".into()),
            enable_translation: Some(true),
            ..spec()
        }
    }

    #[test]
    fn every_dialect_always_sends_prompt_model_and_ratio() {
        let body = |dialect: Dialect| Value::Object(dialect.body(&spec(), None));
        let current = json!({"prompt": "a cat", "model": "veo3_fast", "aspect_ratio": "9:16", "resolution": "720p",
            "enableTranslation": false});
        assert_eq!(body(Dialect::Current), current);
        let seed = json!({"prompt": "a cat", "model": "veo3_fast", "aspectRatio": "9:16"});
        assert_eq!(body(Dialect::Seed), seed);
        let both = json!({"prompt": "a cat", "model": "veo3_fast", "aspect_ratio": "9:16", "aspectRatio": "9:16",
            "resolution": "720p", "enableTranslation": false});
        assert_eq!(body(Dialect::Both), both);
    }

    #[test]
    fn every_field_of_a_job_is_sent_in_the_services_spelling() {
        let callback = Url::parse("https://me.example/cb").unwrap();
        let sent = Value::Object(Dialect::Current.body(&full(), Some(&callback)));
        let expected = json!({"prompt": "a cat", "model": "veo3", "aspect_ratio": "9:16",
            "imageUrls": ["https://example.com/a.png"], "seeds": 12345, "watermark": "me",
            "callBackUrl": "https://me.example/cb", "generationType": "FIRST_AND_LAST_FRAMES_2_VIDEO",
            "resolution": "4k", "duration": 8, "enableTranslation": true});
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_field_given_by_name_wins_over_every_spelling_of_it_in_extra() {
        let extra = json!({"aspectRatio": "16:9", "aspect_ratio": "16:9", "prompt": "a dog", "seed": 1, "new": [1],
            "duration": 4});
        let Value::Object(extra) = extra else { panic!() };
        let sent = Value::Object(Dialect::Current.body(&Spec { seed: Some(12345), extra, ..spec() }, None));
        let expected = json!({"new": [1], "prompt": "a cat", "model": "veo3_fast", "aspect_ratio": "9:16",
            "resolution": "720p", "enableTranslation": false, "seeds": 12345, "duration": 4});
        assert_eq!(sent, expected);
    }

    #[test]
    fn what_a_dialect_cannot_say_is_refused_instead_of_left_out() {
        let image = || "https://example.com/a.png".to_owned();
        for spec in [
            Spec { images: vec![image(), image()], ..spec() },
            Spec { images: vec![image()], generation_type: Some(GenerationType::Reference), ..spec() },
            Spec { duration: Some(4), ..spec() },
        ] {
            assert!(Dialect::Seed.check(&spec).is_err(), "{spec:?}");
            assert!(Dialect::Current.check(&spec).is_ok());
            assert!(Dialect::Both.check(&spec).is_ok());
        }
        assert!(Dialect::Seed.check(&full()).is_ok());
    }
}
