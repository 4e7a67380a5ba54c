//! Whether a file is a complete MP4 with a video track, and the size of its picture. Reads indexes only; trusts nothing it
//! reads.
//!
//! An MP4 is a sequence of boxes, each with its size and a four-letter kind; some contain boxes (ISO/IEC 14496-12):
//!
//! ```text
//! ftyp │ moov [ trak [ tkhd (matrix, width, height) │ mdia [ hdlr (vide) │ minf [ stbl (tables of samples) ] ] ] … ] │ mdat
//! ftyp │ moov [ … no samples …  mvex ] │ moof [ traf … ] │ mdat │ moof │ mdat …      in fragments
//! ```
//!
//! A truncated file has boxes that do not add up to its length, or samples outside of its media data; a web page has no
//! boxes. A file is a video if a video track has samples, and the media data contain all samples of all tracks that the
//! index names. Nothing is decoded.

mod boxes;
mod fragments;
#[cfg(test)]
pub(crate) mod made;
mod picture;
mod samples;
mod track;

use std::io::{Cursor, Read, Seek, SeekFrom};

use self::boxes::{CheckError::NotAVideo, Part, each};
use self::samples::Media;
use self::track::Track;

pub(crate) use self::boxes::CheckError;
pub(crate) use self::picture::{Measured, Picture};

/// Checks the file of `length` bytes, and returns the size of its picture.
pub(crate) fn check<R: Read + Seek>(file: &mut R, length: u64) -> Result<Measured, CheckError> {
    let whole = Part { kind: *b"file", start: 0, begin: 0, end: length };
    let (mut first, mut movie, mut media, mut moofs) = (None, None, Media::default(), Vec::new());
    each(file, whole, |_, part| {
        first.get_or_insert(part.kind);
        match &part.kind {
            b"moov" if movie.is_none() => movie = Some(part),
            b"mdat" => media.add(part),
            b"moof" => moofs.push(part),
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| if first.is_none() { not_an_mp4(file, error) } else { error })?;
    if first != Some(*b"ftyp") {
        return Err(not_an_mp4(file, NotAVideo("does not begin like an MP4")));
    }
    if media.is_empty() {
        return Err(NotAVideo("has no media data"));
    }
    let movie = movie.ok_or(NotAVideo("has no index"))?;
    let tracks = track::all(file, movie)?;
    let mut counts = fragments::Counts::new();
    for track in &tracks {
        *counts.entry(track.id).or_default() += track.tables.check(&media)?;
    }
    if !moofs.is_empty() {
        let usual = fragments::usual(file, movie)?;
        for moof in moofs {
            fragments::check(file, moof, &usual, &media, &mut counts)?;
        }
    }
    let mut videos = tracks.iter().filter(|track| track.is_video).peekable();
    if videos.peek().is_none() {
        return Err(NotAVideo("has no video track"));
    }
    let has_samples = |track: &&Track| counts.get(&track.id).is_some_and(|count| *count > 0);
    videos.find(has_samples).map(|track| track.picture).ok_or(NotAVideo("has a video track without samples"))
}

/// A better message for a file that does not begin with a box.
fn not_an_mp4<R: Read + Seek>(file: &mut R, otherwise: CheckError) -> CheckError {
    let mut start = [0; 64];
    let count = file.seek(SeekFrom::Start(0)).and_then(|_| file.read(&mut start)).unwrap_or_default();
    let begin = start.get(..count).unwrap_or_default().trim_ascii_start();
    match begin.first() {
        None => NotAVideo("is empty"),
        Some(b'<') => NotAVideo("is a web page"),
        Some(b'{') => NotAVideo("is a JSON text"),
        Some(_) => otherwise,
    }
}

/// Kind and size of the box that begins with `bytes`; `None` if there are too few bytes, or the box extends to the end of the
/// file.
pub(crate) fn header(bytes: &[u8]) -> Option<([u8; 4], u64)> {
    let [a, b, c, d, kind @ ..] = *bytes.first_chunk::<8>()?;
    let (size, least) = match u32::from_be_bytes([a, b, c, d]) {
        1 => (u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?), 16),
        size => (u64::from(size), 8),
    };
    (size >= least).then_some((kind, size))
}

/// The picture described by an index (a whole `moov` box).
pub(crate) fn picture_of(index: &[u8]) -> Option<Picture> {
    let (kind, size) = header(index)?;
    let begin = if index.first_chunk()? == &1_u32.to_be_bytes() { 16 } else { 8 };
    let movie = Part { kind, start: 0, begin, end: size.min(index.len() as u64) };
    let tracks = track::all(&mut Cursor::new(index), movie).ok()?;
    tracks.iter().find(|track| track.is_video)?.picture.ok()
}

#[cfg(test)]
#[path = "mp4/tests.rs"]
mod tests;
