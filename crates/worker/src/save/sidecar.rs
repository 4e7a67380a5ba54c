//! `<job>.json` beside the videos: what was requested, which task made it, and which files it has.
//!
//! For people and their programs; and for the next step of the same job, which recognises by it to which task a file belongs.
//! Without the secrets of links.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use veobatch_api::redact;
use veobatch_core::{Resolution, Spec, Task, TaskId, Timestamp};
use veobatch_ledger::{Fence, Stored};

use crate::runtime::disk::Disk;
use crate::save::content::{Content, content};
use crate::save::mp4::Measured;
use crate::save::output::{self, Placed};

/// The content of a sidecar. Members may be added, never changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    pub(crate) batch: String,
    pub(crate) job: String,
    /// Null if the ledger no longer knows it: for a stray of a compact job.
    pub(crate) prompt: Option<String>,
    /// The other request parameters, spelled as in prompt files; empty if the prompt is null.
    parameters: Map<String, Value>,
    pub(crate) task_id: TaskId,
    pub(crate) attempt: u32,
    submitted_at: String,
    saved_at: String,
    pub(crate) files: Vec<FileEntry>,
    /// A remark for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
}

/// One video.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// In the sidecar's own folder.
    pub(crate) name: String,
    /// The link it came from, without the query.
    pub(crate) source: String,
    bytes: u64,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// Why width and height are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_unknown: Option<String>,
}

impl FileEntry {
    pub(crate) fn new(name: String, url: &str, content: &Content, picture: Measured) -> Self {
        Self {
            name,
            source: redact(url),
            bytes: content.bytes,
            sha256: content.sha256.clone(),
            width: picture.ok().map(|picture| picture.width),
            height: picture.ok().map(|picture| picture.height),
            size_unknown: picture.err().map(str::to_owned),
        }
    }
}

impl Sidecar {
    pub(crate) fn new(
        stored: &Stored,
        task: &Task,
        saved_at: Timestamp,
        files: Vec<FileEntry>,
        remark: Option<String>,
    ) -> Self {
        Self {
            batch: stored.key.batch.as_str().to_owned(),
            job: stored.key.job.as_str().to_owned(),
            prompt: (!stored.compacted).then(|| stored.spec.prompt.clone()),
            parameters: if stored.compacted { Map::new() } else { parameters(&stored.spec) },
            task_id: task.id.clone(),
            attempt: task.attempt,
            submitted_at: task.at.to_string(),
            saved_at: saved_at.to_string(),
            files,
            remark,
        }
    }

    /// Whether every file it names exists with this content.
    pub(crate) fn matches(&self, folder: &Path) -> io::Result<bool> {
        for file in &self.files {
            let there = content(&folder.join(&file.name))?;
            if there != Some(Content { bytes: file.bytes, sha256: file.sha256.clone() }) {
                return Ok(false);
            }
        }
        Ok(!self.files.is_empty())
    }

    /// Whether every file it names exists with this length. Their content is not read.
    pub(crate) fn has_files(&self, folder: &Path) -> io::Result<bool> {
        for file in &self.files {
            match fs::metadata(folder.join(&file.name)) {
                Ok(there) if there.len() == file.bytes => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(!self.files.is_empty())
    }

    /// Writes it under `stem`, atomically; replaces an earlier one of the same task.
    pub(crate) fn write(&self, folder: &Path, stem: &str, fence: &Fence) -> io::Result<Placed> {
        let part = folder.join(format!(".{stem}.{fence}.json.part"));
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        Disk::Output.is_writable()?;
        let mut file = File::create(&part)?;
        Disk::Output.write(&mut file, &text)?;
        Disk::Output.sync(&file)?;
        if matches!(read(folder, stem)?, Found::Sidecar(known) if known.task_id == self.task_id) {
            fs::rename(&part, path(folder, stem))?;
            return Ok(Placed::Yes);
        }
        let placed = output::place(&part, &path(folder, stem))?;
        if placed == Placed::Taken {
            drop(fs::remove_file(&part));
        }
        Ok(placed)
    }
}

/// What was found in place of a sidecar.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Sidecar(Box<Sidecar>),
    /// A file that is not a sidecar.
    Other,
}

/// The sidecar of `stem`.
pub(crate) fn read(folder: &Path, stem: &str) -> io::Result<Found> {
    Disk::Output.is_there();
    match fs::read(path(folder, stem)) {
        Ok(text) if text.is_empty() => Ok(Found::Nothing),
        Ok(text) => Ok(serde_json::from_slice(&text).map_or(Found::Other, |sidecar| Found::Sidecar(Box::new(sidecar)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn path(folder: &Path, stem: &str) -> PathBuf {
    folder.join(format!("{stem}.json"))
}

/// What was requested besides the prompt, spelled as in prompt files. What was left to the service is omitted.
fn parameters(spec: &Spec) -> Map<String, Value> {
    let Spec {
        prompt: _,
        model,
        aspect_ratio,
        images,
        generation_type,
        resolution,
        duration,
        seed,
        watermark,
        enable_translation,
        extra,
        policy: _,
        left_out: _,
    } = spec;
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), value);
        }
    };
    set("model", Some(model.as_str().into()));
    set("aspect_ratio", Some(aspect_ratio.as_str().into()));
    set("resolution", Some(resolution.as_str().into()));
    let images: Vec<String> = images.iter().map(|url| redact(url)).collect();
    set("images", (!images.is_empty()).then(|| images.into()));
    set("generation_type", generation_type.map(|kind| kind.as_str().into()));
    set("duration", duration.map(Into::into));
    set("seed", seed.map(Into::into));
    set("watermark", watermark.clone().map(Into::into));
    set("enable_translation", enable_translation.map(Into::into));
    set("extra", (!extra.is_empty()).then(|| Value::Object(extra.clone())));
    parameters
}

/// A remark about a picture that has another shape or a smaller size than requested, or whose size is unknown.
pub(crate) fn remark(spec: &Spec, picture: Measured) -> Option<String> {
    use veobatch_core::AspectRatio::{Auto, Landscape, Portrait};
    let picture = match picture {
        Ok(picture) => picture,
        Err(why) => return Some(format!("the size of its picture is not known: {why}")),
    };
    let (width, height) = (u64::from(picture.width), u64::from(picture.height));
    let wrong = match spec.aspect_ratio {
        Landscape => (width * 9).abs_diff(height * 16) * 50 > height * 16,
        Portrait => (width * 16).abs_diff(height * 9) * 50 > height * 9,
        Auto => false,
    };
    let short = match spec.resolution {
        Resolution::P720 => 720,
        Resolution::P1080 => 1080,
        Resolution::K4 => 2160,
    };
    let asked = match (wrong, width.min(height) < short) {
        (false, false) => return None,
        (true, false) => spec.aspect_ratio.as_str().to_owned(),
        (false, true) => spec.resolution.as_str().to_owned(),
        (true, true) => format!("{} {}", spec.aspect_ratio.as_str(), spec.resolution.as_str()),
    };
    Some(format!("asked for {asked}, the service made {picture}"))
}

#[cfg(test)]
mod tests {
    use veobatch_core::AspectRatio;

    use super::*;
    use crate::save::mp4::Picture;

    fn said(aspect_ratio: AspectRatio, resolution: Resolution, width: u32, height: u32) -> Option<String> {
        remark(&Spec { aspect_ratio, resolution, ..Spec::default() }, Ok(Picture { width, height }))
    }

    #[test]
    fn another_shape_or_a_smaller_size_than_asked_for_is_remarked_upon() {
        use AspectRatio::{Auto, Landscape, Portrait};
        use Resolution::{K4, P720, P1080};
        assert_eq!(said(Landscape, P720, 1280, 720), None);
        assert_eq!(said(Portrait, P720, 720, 1280), None);
        assert_eq!(said(Landscape, P1080, 1920, 1088), None);
        assert_eq!(said(Auto, P720, 1000, 1000), None);
        let words = |asked: &str, made: &str| Some(format!("asked for {asked}, the service made {made}"));
        assert_eq!(said(Portrait, P720, 1280, 720), words("9:16", "1280×720"));
        assert_eq!(said(Landscape, P1080, 1280, 720), words("1080p", "1280×720"));
        assert_eq!(said(Portrait, K4, 1920, 1080), words("9:16 4k", "1920×1080"));
        let unknown = remark(&Spec::default(), Err("its track has no header"));
        assert_eq!(unknown.unwrap(), "the size of its picture is not known: its track has no header");
    }

    #[test]
    fn a_video_whose_picture_has_no_known_size_says_why() {
        let content = Content { bytes: 1, sha256: String::new() };
        let entry = FileEntry::new("a.mp4".to_owned(), "https://h/a.mp4", &content, Err("its track has no header"));
        let told = serde_json::to_value(&entry).unwrap();
        let why = Value::from("its track has no header");
        assert_eq!((told.get("size_unknown"), told.get("width"), told.get("height")), (Some(&why), None, None));
    }

    #[test]
    fn parameters_tell_what_was_asked_for_without_the_secrets_of_links() {
        let images = vec!["https://u:p@host/me.jpg?sig=1".to_owned()];
        let spec = Spec { prompt: "a cat".into(), images, duration: Some(6), ..Spec::default() };
        let text = Value::Object(parameters(&spec)).to_string();
        assert_eq!(
            text,
            r#"{"model":"veo3_fast","aspect_ratio":"16:9","resolution":"720p","images":["https://host/me.jpg"],"duration":6}"#
        );
    }
}
