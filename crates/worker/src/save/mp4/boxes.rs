//! The boxes that an MP4 is made of: each has a size, a four-letter kind, and content, often boxes again.

use std::io::{self, Read, Seek, SeekFrom};

use self::CheckError::NotAVideo;

/// Why a file was not accepted as a video.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// It is not a video, or not a complete one. Completes "the data is not a whole video: it …".
    #[error("{0}")]
    NotAVideo(&'static str),
    /// It could not be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

/// Most boxes in one box; a real file has dozens, a fragmented one thousands.
const MAX_BOXES: usize = 100_000;

/// Largest table that is read, in bytes; that of an hour of video has 1 MiB.
const MAX_TABLE: u64 = 64 << 20;

pub(super) const BROKEN: CheckError = NotAVideo("is cut off, or its parts do not add up");

/// A box: its kind, where it starts, and where its content begins and ends in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) kind: [u8; 4],
    pub(super) start: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// Calls `visit` for each box in `parent`, which the boxes must fill exactly.
pub(super) fn each<R: Read + Seek>(
    file: &mut R,
    parent: Part,
    mut visit: impl FnMut(&mut R, Part) -> Result<(), CheckError>,
) -> Result<(), CheckError> {
    let mut at = parent.begin;
    for _ in 0..MAX_BOXES {
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
        visit(file, Part { kind, start: at, begin: at + header, end: at + size })?;
        at += size;
    }
    Err(NotAVideo("has more boxes than any video"))
}

/// The `N` bytes at `at`.
pub(super) fn read<R: Read + Seek, const N: usize>(file: &mut R, at: u64) -> Result<[u8; N], CheckError> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The fields of one box, read in order. Reading beyond its end yields `None`.
#[derive(Debug)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    at: usize,
}

impl Fields {
    pub(super) fn of<R: Read + Seek>(file: &mut R, part: Part) -> Result<Self, CheckError> {
        let length = part.end - part.begin;
        if length > MAX_TABLE {
            return Err(NotAVideo("has a larger index than any video"));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(part.begin))?;
        file.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(BROKEN);
        }
        Ok(Self { bytes, at: 0 })
    }

    /// The next field of `N` bytes.
    pub(super) fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let field = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*field)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.next().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.next().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.next().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.next().map(u64::from_be_bytes)
    }

    /// The version and the flags.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Some((version, word & 0x00ff_ffff))
    }

    /// Skips `bytes`.
    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }
}
