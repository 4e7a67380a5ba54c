//! Sources: how they are opened, what format they have, and the batch they are named for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use veobatch_core::BatchId;

use crate::problem::Problem;

/// How much is looked at to tell the format.
const HEAD: u64 = 64 << 10;

/// Where jobs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file in YAML, JSON lines or JSON: by its extension, else by its content.
    File(PathBuf),
    /// Standard input, as JSON lines.
    Stdin {
        /// Standard input has no name that a batch could take.
        batch: BatchId,
    },
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Lines,
}

/// A file that is open, its byte order mark passed over.
pub(crate) struct Opened {
    pub(crate) format: Format,
    pub(crate) reader: Box<dyn BufRead>,
}

/// Opens `path` and tells its format by its extension, else by its content.
pub(crate) fn open(path: &Path) -> Result<Opened, Box<Problem>> {
    let mut file = File::open(path).map_err(|error| Box::new(unreadable(&error)))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(|error| Box::new(unreadable(&error)))?;
    if let Some(problem) = foreign(&head) {
        return Err(Box::new(problem));
    }
    let skip = bom(&head);
    let format = format(path, head.get(skip..).unwrap_or_default());
    let mut start = Cursor::new(head);
    start.set_position(skip as u64);
    Ok(Opened { format, reader: Box::new(BufReader::with_capacity(128 << 10, start.chain(file))) })
}

/// Standard input, its byte order mark passed over.
pub(crate) fn stdin() -> io::Result<impl BufRead> {
    let mut reader = BufReader::with_capacity(128 << 10, io::stdin());
    let skip = bom(reader.fill_buf()?);
    reader.consume(skip);
    Ok(reader)
}

/// The batch that a file is named for.
pub(crate) fn batch(path: &Path) -> Result<BatchId, Box<Problem>> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    BatchId::parse(&stem).map_err(|error| {
        let problem = Problem::new(format!("the batch is named after the file, and this name {error}")).text(&stem);
        Box::new(problem.hint("rename the file, or write `batch: NAME` into it (YAML, JSON)"))
    })
}

fn bom(head: &[u8]) -> usize {
    if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

fn unreadable(error: &io::Error) -> Problem {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        Problem::new("there is no such file")
    } else if kind == io::ErrorKind::PermissionDenied {
        Problem::new("the file may not be read by this user")
    } else if kind == io::ErrorKind::IsADirectory {
        Problem::new("this is a folder, not a file")
    } else {
        Problem::new(format!("the file cannot be read: {error}"))
    }
}

/// What is no UTF-8 for sure, and what to do about it.
fn foreign(head: &[u8]) -> Option<Problem> {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Some(Problem::new("the file is UTF-16").hint("save it as UTF-8"));
    }
    let packed =
        [b"\x1f\x8b".as_slice(), b"PK\x03\x04", b"\x28\xb5\x2f\xfd"].iter().any(|magic| head.starts_with(magic));
    packed.then(|| Problem::new("the file is compressed").hint("unpack it first"))
}

fn format(path: &Path, head: &[u8]) -> Format {
    let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("jsonl" | "ndjson" | "jsonlines") => Format::Lines,
        Some("json") => json_format(head),
        _ => match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => json_format(head),
            _ => Format::Yaml,
        },
    }
}

/// One document or a job a line? Only lines have a whole object in the first line, and more after it (or no `jobs`).
fn json_format(head: &[u8]) -> Format {
    let head = head.trim_ascii_start();
    let mut lines = head.splitn(2, |&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let more = lines.next().is_some_and(|rest| !rest.trim_ascii().is_empty());
    let whole = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(first).ok();
    match whole {
        Some(object) if more || !object.contains_key("jobs") => Format::Lines,
        Some(_) | None => Format::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_the_extension_else_by_the_content() {
        let of = |name: &str, head: &str| format(Path::new(name), head.as_bytes());
        assert_eq!(of("a.yaml", "{"), Format::Yaml);
        assert_eq!(of("a.YML", ""), Format::Yaml);
        assert_eq!(of("a.jsonl", "- a"), Format::Lines);
        assert_eq!(of("a.json", "{\n\"jobs\": []}"), Format::Json);
        assert_eq!(of("a.json", "{\"jobs\": []}\n"), Format::Json);
        assert_eq!(of("a.json", "[\n]"), Format::Json);
        assert_eq!(of("a.json", "{\"prompt\": \"x\"}\n{\"prompt\": \"y\"}\n"), Format::Lines);
        assert_eq!(of("a", "\n {\"prompt\": \"x\"}"), Format::Lines);
        assert_eq!(of("a.txt", "jobs:\n"), Format::Yaml);
    }
}
