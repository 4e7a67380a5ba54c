//! The file host: `/files/<task>/<index>-<version>.mp4`, with ranges, validators and expiry.
//!
//! It asks for no key, as the real one does not. Files are made on demand and are the same each time.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE};

use crate::account::task::{Outcome, Task, TaskState};
use crate::clock::iso;
use crate::rng::Rng;
use crate::routes::signature::signature;
use crate::routes::veo::record::version;
use crate::transport::answer::Answer;
use crate::transport::call::Call;
use crate::video::Movie;
use crate::video::shape::Resolution;

/// A path of the file host, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FilePath<'a> {
    pub(crate) id: &'a str,
    index: u32,
    version: &'a str,
}

pub(crate) fn parse(path: &str) -> Option<FilePath<'_>> {
    let (id, name) = path.strip_prefix("/files/")?.split_once('/')?;
    let (index, version) = name.strip_suffix(".mp4")?.split_once('-')?;
    Some(FilePath { id, index: index.parse().ok()?, version })
}

pub(crate) fn answer(call: &Call) -> Answer {
    let found = parse(call.path()).and_then(|path| find(call, &path));
    let Some((movie, task, nth)) = found else { return missing(404) };
    if is_expired(call, &task) {
        return missing(call.config.files.expired_status);
    }
    let answer = ranged(call, &movie, &task);
    if call.head.method == Method::HEAD || call.config.faults.download.is_empty() {
        return answer;
    }
    call.faulty(answer, nth, Some(&task))
}

/// The movie behind a path, if its task has come so far.
fn find(call: &Call, path: &FilePath<'_>) -> Option<(Movie, Task, u64)> {
    let now_ms = call.state.clock.now_ms();
    let mut account = call.state.account();
    let held = account.find(path.id)?;
    let (resolution, joined) = version(path.version, &held.task)?;
    let is_made = held.task.resolution == resolution
        || held.upgraded(resolution).and_then(|upgrade| upgrade.ready_ms).is_some_and(|ready| ready <= now_ms);
    let is_there = held.task.state(now_ms) == TaskState::Succeeded && held.task.outcome == Outcome::Video && is_made;
    if !is_there || path.index >= call.config.generation.videos.max(1) {
        return None;
    }
    if call.head.method == Method::GET {
        held.tally.downloads += 1;
    }
    let bytes = size(call.config.files.video_bytes, resolution);
    Some((held.task.movie(path.index, resolution, joined, bytes), held.task.clone(), held.tally.downloads))
}

/// Better versions are bigger.
fn size(video_bytes: usize, resolution: Resolution) -> usize {
    match resolution {
        Resolution::P720 => video_bytes,
        Resolution::P1080 => video_bytes.saturating_mul(2),
        Resolution::P4k => video_bytes.saturating_mul(6),
    }
}

/// A plain link dies some time after its task's end; a minted one at the time it says.
fn is_expired(call: &Call, task: &Task) -> bool {
    let now_ms = call.state.clock.now_ms();
    let minted = call.query("expires").and_then(|until| until.parse::<u64>().ok());
    match minted {
        Some(until) => now_ms > until || call.query("signature").as_deref() != Some(&signature(call.path(), until)),
        None => now_ms.saturating_sub(task.finish_ms) > call.config.files.link_lifetime_ms,
    }
}

fn missing(status: u16) -> Answer {
    let code = if status == 403 { "AccessDenied" } else { "NoSuchKey" };
    Answer::new(status, "application/xml", format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"))
}

/// The file, or the part of it that was asked for (RFC 9110, 13 and 14).
fn ranged(call: &Call, movie: &Movie, task: &Task) -> Answer {
    let tag = format!("\"{:016x}\"", Rng::of(&movie.name).next());
    let header = |name| call.head.headers.get(name).and_then(|value| value.to_str().ok());
    let bytes = Bytes::from(movie.file());
    let whole = bytes.len();
    let range = header(RANGE).filter(|_| header(IF_RANGE).is_none_or(|expected| expected == tag));
    let mut answer = if header(IF_NONE_MATCH) == Some(&tag) {
        Answer::new(304, "video/mp4", Bytes::new())
    } else {
        match range.map_or(Range::Whole, |range| span(range, whole)) {
            Range::Whole => Answer::new(200, "video/mp4", bytes),
            Range::Part(from, to) => {
                let mut part = Answer::new(206, "video/mp4", bytes.slice(from..to));
                part.headers.push((CONTENT_RANGE, format!("bytes {from}-{}/{whole}", to - 1)));
                part
            }
            Range::Beyond => {
                let mut beyond = Answer::new(416, "video/mp4", Bytes::new());
                beyond.headers.push((CONTENT_RANGE, format!("bytes */{whole}")));
                beyond
            }
        }
    };
    answer.headers.push((ETAG, tag));
    answer.headers.push((ACCEPT_RANGES, "bytes".to_owned()));
    answer.headers.push((LAST_MODIFIED, http_date(task.finish_ms)));
    answer
}

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From this byte to before that one; never empty.
    Part(usize, usize),
    Beyond,
}

/// Understands a single range; anything else is the whole file, as the standard allows.
fn span(header: &str, whole: usize) -> Range {
    let Some((from, to)) = header.strip_prefix("bytes=").and_then(|span| span.split_once('-')) else {
        return Range::Whole;
    };
    let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(last)) if last >= from => (from, last.saturating_add(1).min(whole)),
        (Ok(from), Err(_)) if to.is_empty() => (from, whole),
        (Err(_), Ok(suffix)) if from.is_empty() => (whole.saturating_sub(suffix), whole),
        _ => return Range::Whole,
    };
    if from < to { Range::Part(from, to) } else { Range::Beyond }
}

/// `Sat, 25 Jul 2026 17:20:00 GMT`
fn http_date(at_ms: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // the epoch was a Thursday
    let text = iso(at_ms);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month - 1)).copied().unwrap_or_default();
    let day = usize::try_from(at_ms / 86_400_000 % 7).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or_default();
    format!("{day}, {} {month} {} {} GMT", part(8, 10), part(0, 4), part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_as_the_standard_says() {
        assert_eq!(span("bytes=0-9", 100), Range::Part(0, 10));
        assert_eq!(span("bytes=90-", 100), Range::Part(90, 100));
        assert_eq!(span("bytes=-10", 100), Range::Part(90, 100));
        assert_eq!(span("bytes=50-1000", 100), Range::Part(50, 100));
        assert_eq!(span("bytes=100-", 100), Range::Beyond);
        assert_eq!(span("bytes=0-1,5-6", 100), Range::Whole);
        assert_eq!(span("lines=0-1", 100), Range::Whole);
    }

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(parse("/files/abc/0-720p.mp4"), Some(FilePath { id: "abc", index: 0, version: "720p" }));
        assert_eq!(parse("/files/abc"), None);
        assert_eq!(parse("/files/abc/x-720p.mp4"), None);
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(1_785_000_000_000), "Sat, 25 Jul 2026 17:20:00 GMT");
    }
}
