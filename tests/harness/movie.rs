//! A third reading of the MP4 format, only to see whether a file could be played.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// A file that has what a player needs: the type first, a movie with a track, and media data, whole to the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movie {
    /// Width of the picture.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
}

impl Movie {
    /// Reads the file at `path`; an error says what a player would miss.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        Self::read(&bytes).with_context(|| format!("{} cannot be played", path.display()))
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let boxes = boxes(bytes)?;
        ensure!(boxes.first().is_some_and(|(name, _)| name == b"ftyp"), "it does not begin with its type");
        let movie = find(&boxes, *b"moov")?;
        ensure!(!find(&boxes, *b"mdat")?.is_empty(), "its media data are empty");
        let track = self::boxes(find(&self::boxes(movie)?, *b"trak")?)?;
        let header = find(&track, *b"tkhd")?;
        let [.., w0, w1, _, _, h0, h1, _, _] = header else { bail!("its track header is cut off") };
        let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        Ok(Self { width: side(*w0, *w1), height: side(*h0, *h1) })
    }
}

type Box<'a> = ([u8; 4], &'a [u8]);

fn boxes(mut bytes: &[u8]) -> Result<Vec<Box<'_>>> {
    let mut boxes = Vec::new();
    while !bytes.is_empty() {
        let (size, rest) = bytes.split_first_chunk::<4>().context("a box is cut off")?;
        let (name, _) = rest.split_first_chunk::<4>().context("a box is cut off")?;
        let size = usize::try_from(u32::from_be_bytes(*size))?;
        ensure!(size >= 8, "a box has the impossible size {size}");
        let (whole, next) = bytes.split_at_checked(size).context("a box is longer than the file")?;
        boxes.push((*name, whole.get(8..).unwrap_or_default()));
        bytes = next;
    }
    Ok(boxes)
}

fn find<'a>(boxes: &[Box<'a>], name: [u8; 4]) -> Result<&'a [u8]> {
    let found = boxes.iter().find(|(other, _)| *other == name);
    found.map(|(_, content)| *content).with_context(|| format!("it has no {}", String::from_utf8_lossy(&name)))
}
