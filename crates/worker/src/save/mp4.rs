//! Whether a file is a whole MP4 with a video in it, and how large its picture is. Reads indexes only; trusts nothing it
//! reads.
//!
//! An MP4 is a row of boxes, each with its size and a four-letter kind; some hold boxes themselves (ISO/IEC 14496-12):
//!
//! ```text
//! ftyp │ moov [ trak [ tkhd (matrix, width, height) │ mdia [ hdlr (vide) │ minf [ stbl (tables of samples) ] ] ] … ] │ mdat
//! ftyp │ moov [ … no samples …  mvex ] │ moof [ traf … ] │ mdat │ moof │ mdat …      in fragments
//! ```
//!
//! A file that broke off has boxes that do not add up to its length, or samples beyond its media data; a page of a web
//! server has none. It is a video if a video track has samples, and media data are where the index says that all samples
//! of all tracks are. Whether those can be decoded is not looked at.

mod boxes;
mod fragments;
#[cfg(test)]
pub(crate) mod made;
mod samples;
mod track;

use std::fmt;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use veobatch_core::Resolution;

use self::boxes::{Part, each};
use self::samples::Media;
use self::track::Track;

/// Size of a picture as it is shown, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
}

impl Picture {
    /// A picture of this size; `None` if it has none.
    fn of(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }

    /// The same, turned by a quarter.
    fn turned(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    /// The largest size that it has, by its shorter side.
    pub(crate) fn resolution(self) -> Resolution {
        match self.width.min(self.height) {
            2160.. => Resolution::K4,
            1080.. => Resolution::P1080,
            _ => Resolution::P720,
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// The size of a picture, or why it is not known.
pub(crate) type Measured = Result<Picture, &'static str>;

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

/// Checks the file of `length` bytes, and says how large its picture is.
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
    .map_err(|error| if first.is_none() { not_even_begun(file, error) } else { error })?;
    if first != Some(*b"ftyp") {
        return Err(not_even_begun(file, NotAVideo("does not begin as an MP4 does")));
    }
    if media.is_empty() {
        return Err(NotAVideo("holds no media"));
    }
    let movie = movie.ok_or(NotAVideo("holds no index of its media"))?;
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
    videos.find(has_samples).map(|track| track.picture).ok_or(NotAVideo("has a video track without a picture in it"))
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

/// Kind and size of the box that begins with `bytes`; `None` if they are too few, or it ends with the file.
pub(crate) fn header(bytes: &[u8]) -> Option<([u8; 4], u64)> {
    let [a, b, c, d, kind @ ..] = *bytes.first_chunk::<8>()?;
    let (size, least) = match u32::from_be_bytes([a, b, c, d]) {
        1 => (u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?), 16),
        size => (u64::from(size), 8),
    };
    (size >= least).then_some((kind, size))
}

/// The picture that an index, a whole `moov`, tells; `None` if it tells none.
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
