//! The names of a job's fields: ours, and the service's own spellings.

/// A field of a job in a prompt file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Prompt,
    Id,
    Model,
    AspectRatio,
    Images,
    GenerationType,
    Resolution,
    Duration,
    Seed,
    Watermark,
    EnableTranslation,
    Priority,
    MaxAttempts,
    Extra,
}

/// Every field with its name and the other ways to write it.
const NAMES: &[(Field, &str, &[&str])] = &[
    (Field::Prompt, "prompt", &[]),
    (Field::Id, "id", &[]),
    (Field::Model, "model", &[]),
    (Field::AspectRatio, "aspect_ratio", &["aspectRatio"]),
    (Field::Images, "images", &["imageUrls", "image_urls"]),
    (Field::GenerationType, "generation_type", &["generationType"]),
    (Field::Resolution, "resolution", &[]),
    (Field::Duration, "duration", &[]),
    (Field::Seed, "seed", &["seeds"]),
    (Field::Watermark, "watermark", &[]),
    (Field::EnableTranslation, "enable_translation", &["enableTranslation"]),
    (Field::Priority, "priority", &[]),
    (Field::MaxAttempts, "max_attempts", &["maxAttempts"]),
    (Field::Extra, "extra", &[]),
];

/// Words that people use for a field and that do not look like its name.
const WORDS: &[(&str, &str)] = &[
    ("text", "prompt"),
    ("description", "prompt"),
    ("name", "id"),
    ("key", "id"),
    ("ratio", "aspect_ratio"),
    ("aspect", "aspect_ratio"),
    ("imageurl", "images"),
    ("type", "generation_type"),
    ("mode", "generation_type"),
    ("quality", "resolution"),
    ("size", "resolution"),
    ("seconds", "duration"),
    ("length", "duration"),
    ("attempts", "max_attempts"),
    ("retries", "max_attempts"),
    ("translate", "enable_translation"),
];

impl Field {
    /// How many fields there are.
    pub(crate) const COUNT: usize = NAMES.len();

    /// The field that is written as `name`, exactly.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let is = |written: &str, others: &[&str]| written == name || others.contains(&name);
        NAMES.iter().find(|(_, written, others)| is(written, others)).map(|(field, ..)| *field)
    }

    /// People write anything there, `#` included.
    pub(crate) fn is_free_text(self) -> bool {
        matches!(self, Self::Prompt | Self::Id | Self::Watermark)
    }

    /// The name we give it.
    pub(crate) fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, name, _)| name)
    }
}

/// What to do about a field that does not exist.
pub(crate) fn advice(unknown: &str) -> Option<String> {
    match plain(unknown).as_str() {
        "callbackurl" => return Some("veobatch sets the callback itself; leave it out".to_owned()),
        "enablefallback" => return Some("put it under `extra`, which is passed on as it is".to_owned()),
        "batch" => return Some("a line cannot name its batch: the file's name is the batch's".to_owned()),
        "weight" | "budget" | "startat" | "window" | "cron" => {
            return Some(
                "it applies to a whole batch: write it at the top of a YAML or JSON document, or as an option of \
                 `run` or `enqueue`"
                    .to_owned(),
            );
        }
        "jobs" | "defaults" => return Some("a whole document belongs in a .json or .yaml file".to_owned()),
        _ => (),
    }
    let ours =
        NAMES.iter().flat_map(|(_, name, others)| others.iter().chain([name]).map(move |spelling| (*spelling, *name)));
    nearest(unknown, ours.chain(WORDS.iter().copied())).map(|name| format!("did you mean `{name}`?"))
}

/// The value of the entry whose key is spelled almost like `word`.
pub(crate) fn nearest<'a>(word: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let word = plain(word);
    let near = entries.map(|(key, value)| (strsim::damerau_levenshtein(&word, &plain(key)), key.len(), value));
    let (distance, length, value) = near.min_by_key(|(distance, ..)| *distance)?;
    (distance <= (length.max(word.len()) / 3).clamp(1, 3) && distance < length).then_some(value)
}

fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stands_where_its_number_says() {
        for (n, (field, name, _)) in NAMES.iter().enumerate() {
            assert_eq!((*field as usize, field.name()), (n, *name));
        }
    }

    #[test]
    fn misspelled_fields_are_recognized() {
        for (wrong, right) in [
            ("aspct_ratio", "aspect_ratio"),
            ("aspect-ratio", "aspect_ratio"),
            ("AspectRatio", "aspect_ratio"),
            ("promt", "prompt"),
            ("imageUrl", "images"),
            ("image", "images"),
            ("maxAttemps", "max_attempts"),
            ("ids", "id"),
            ("text", "prompt"),
        ] {
            assert_eq!(advice(wrong), Some(format!("did you mean `{right}`?")), "{wrong}");
        }
        assert_eq!(advice("colour"), None);
        assert_eq!(advice("x"), None);
    }
}
