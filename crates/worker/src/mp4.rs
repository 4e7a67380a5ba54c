//! Whether a file is a whole MP4, and how large its picture is. Reads headers only; trusts nothing it reads.
//!
//! An MP4 is a row of boxes, each with its size and a four-letter kind; some hold boxes themselves. What is looked at:
//!
//! ```text
//! ftyp │ moov [ trak [ tkhd (matrix, width, height) │ mdia [ hdlr (vide) ] ] … ] │ mdat      (ISO/IEC 14496-12)
//! ```
//!
//! A file that broke off has boxes that do not add up to its length; a page of a web server has none.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// Boxes that are looked at in one box; a real file has dozens, a fragmented one thousands.
const MOST_BOXES: usize = 100_000;

/// Size of a picture as it is shown, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// Why a file could not be taken for a video.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// It is none, or not a whole one. Completes "what came is not a whole video: it …".
    #[error("{0}")]
    NotAVideo(&'static str),
    /// It could not be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

use CheckError::NotAVideo;

/// A box: its kind, and where its content begins and ends in the file.
#[derive(Clone, Copy)]
struct Part {
    kind: [u8; 4],
    begin: u64,
    end: u64,
}

/// Checks the structure of the file of `length` bytes, and says how large its picture is if it has one.
pub(crate) fn check<R: Read + Seek>(file: &mut R, length: u64) -> Result<Option<Picture>, CheckError> {
    let whole = Part { kind: *b"file", begin: 0, end: length };
    let (mut first, mut movie, mut media) = (None, None, false);
    each(file, whole, |_, part| {
        first.get_or_insert(part.kind);
        match &part.kind {
            b"moov" if movie.is_none() => movie = Some(part),
            b"mdat" => media = true,
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| if first.is_none() { not_even_begun(file, error) } else { error })?;
    if first != Some(*b"ftyp") {
        return Err(not_even_begun(file, NotAVideo("does not begin as an MP4 does")));
    }
    if !media {
        return Err(NotAVideo("holds no media"));
    }
    let movie = movie.ok_or(NotAVideo("holds no index of its media"))?;
    picture(file, movie)
}

/// Words for a file that does not begin with a box.
fn not_even_begun<R: Read + Seek>(file: &mut R, otherwise: CheckError) -> CheckError {
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

/// Calls `visit` for each box in `parent`, which they must fill exactly.
fn each<R: Read + Seek>(
    file: &mut R,
    parent: Part,
    mut visit: impl FnMut(&mut R, Part) -> Result<(), CheckError>,
) -> Result<(), CheckError> {
    const BROKEN: CheckError = NotAVideo("is cut off, or its parts do not add up");
    let mut at = parent.begin;
    for _ in 0..MOST_BOXES {
        if at == parent.end {
            return Ok(());
        }
        let rest = parent.end - at;
        let header: [u8; 8] = if rest >= 8 { read(file, at)? } else { return Err(BROKEN) };
        let [a, b, c, d, kind @ ..] = header;
        let (size, header) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (rest, 8),
            1 if rest >= 16 => (u64::from_be_bytes(read(file, at + 8)?), 16),
            size => (u64::from(size), 8),
        };
        if size < header || size > rest {
            return Err(BROKEN);
        }
        visit(file, Part { kind, begin: at + header, end: at + size })?;
        at += size;
    }
    Err(NotAVideo("has more parts than any video"))
}

/// The picture of the first video track in `movie`.
fn picture<R: Read + Seek>(file: &mut R, movie: Part) -> Result<Option<Picture>, CheckError> {
    let mut found = None;
    each(file, movie, |file, part| {
        if part.kind == *b"trak" && found.is_none() {
            found = track(file, part)?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn track<R: Read + Seek>(file: &mut R, track: Part) -> Result<Option<Picture>, CheckError> {
    let (mut size, mut video) = (None, true);
    each(file, track, |file, part| {
        match &part.kind {
            b"tkhd" => size = header(file, part)?,
            b"mdia" => each(file, part, |file, part| {
                // Version and flags, a reserved field, then what the track is for.
                if part.kind == *b"hdlr" && part.end - part.begin >= 12 {
                    video = read::<_, 4>(file, part.begin + 8)? == *b"vide";
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(size.filter(|_| video))
}

/// Width and height of a track header: 16.16 fixed point, swapped if the matrix turns the picture by a quarter.
fn header<R: Read + Seek>(file: &mut R, part: Part) -> Result<Option<Picture>, CheckError> {
    let length = part.end - part.begin;
    let [version] = if length >= 1 { read(file, part.begin)? } else { return Ok(None) };
    // Version and flags, times, track, duration; then 16 bytes to the matrix.
    let matrix = if version == 1 { 4 + 32 + 16 } else { 4 + 20 + 16 };
    if length < matrix + 44 {
        return Ok(None);
    }
    let fields: [u8; 44] = read(file, part.begin + matrix)?;
    let mut numbers = fields.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    let mut next = || numbers.next().unwrap_or_default();
    let (a, b, _, c, d) = (next(), next(), next(), next(), next());
    for _ in 0..4 {
        next();
    }
    let (width, height) = (next() >> 16, next() >> 16);
    let quarter = a == 0 && d == 0 && b != 0 && c != 0;
    let picture = if quarter { Picture { width: height, height: width } } else { Picture { width, height } };
    Ok((width > 0 && height > 0).then_some(picture))
}

fn read<R: Read + Seek, const N: usize>(file: &mut R, at: u64) -> Result<[u8; N], CheckError> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "mp4/tests.rs"]
mod tests;
