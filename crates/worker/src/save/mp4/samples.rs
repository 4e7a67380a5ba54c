//! Where a track's samples are according to its tables, and whether their data are there.
//!
//! ```text
//! stsz: size of each sample    stsc: samples in each chunk    stco, co64: where each chunk begins
//! ```

use std::io::{Read, Seek};

use super::boxes::CheckError::{self, NotAVideo};
use super::boxes::{BROKEN, Fields, Part};

/// The media data of a file: the contents of its `mdat` boxes.
#[derive(Debug, Default)]
pub(super) struct Media(Vec<(u64, u64)>);

impl Media {
    pub(super) fn add(&mut self, part: Part) {
        self.0.push((part.begin, part.end));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails unless the media data contain the `length` bytes at `at`.
    pub(super) fn require(&self, at: u64, length: u64) -> Result<(), CheckError> {
        let end = at.checked_add(length);
        let is_in = |(from, to): &(u64, u64)| *from <= at && end.is_some_and(|end| end <= *to);
        if length == 0 || self.0.iter().any(is_in) {
            Ok(())
        } else {
            Err(NotAVideo("lacks media data that its index names"))
        }
    }
}

/// The sizes of samples.
#[derive(Debug)]
enum Sizes {
    /// All of the same size: their number and the size.
    Same(u64, u64),
    Each(Vec<u64>),
}

impl Sizes {
    fn count(&self) -> u64 {
        match self {
            Self::Same(count, _) => *count,
            Self::Each(sizes) => sizes.len() as u64,
        }
    }

    /// The bytes of `count` samples starting with number `first`; `None` if there are too few.
    fn sum(&self, first: u64, count: u64) -> Option<u64> {
        let end = first.checked_add(count).filter(|end| *end <= self.count())?;
        match self {
            Self::Same(_, size) => count.checked_mul(*size),
            Self::Each(sizes) => {
                let sizes = sizes.get(usize::try_from(first).ok()?..usize::try_from(end).ok()?)?;
                sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size))
            }
        }
    }
}

/// The tables of a track that were read so far.
#[derive(Debug, Default)]
pub(super) struct Tables {
    sizes: Option<Sizes>,
    /// First chunk (from 1) of a run, and the samples in each of its chunks.
    runs: Vec<(u64, u64)>,
    offsets: Vec<u64>,
}

impl Tables {
    /// Reads the box `part` of an `stbl`, if it is one of the tables.
    pub(super) fn take<R: Read + Seek>(&mut self, file: &mut R, part: Part) -> Result<(), CheckError> {
        let read = match &part.kind {
            b"stsz" | b"stz2" | b"stsc" | b"stco" | b"co64" => Fields::of(file, part)?,
            _ => return Ok(()),
        };
        self.read(part.kind, read).ok_or(BROKEN)
    }

    fn read(&mut self, kind: [u8; 4], mut fields: Fields) -> Option<()> {
        fields.version()?;
        let entries = |fields: &Fields, count: u32, bits: usize| {
            let count = usize::try_from(count).ok()?;
            (count.checked_mul(bits)?.div_ceil(8) <= fields.left()).then_some(count)
        };
        match &kind {
            b"stsz" => {
                let (size, count) = (fields.u32()?, fields.u32()?);
                self.sizes = Some(if size == 0 {
                    let count = entries(&fields, count, 32)?;
                    Sizes::Each((0..count).map_while(|_| fields.u32().map(u64::from)).collect())
                } else {
                    Sizes::Same(count.into(), size.into())
                });
            }
            b"stz2" => {
                let (bits, count) = (fields.u32()? & 0xff, fields.u32()?);
                let count = entries(&fields, count, usize::try_from(bits).ok()?)?;
                let small = |fields: &mut Fields| match bits {
                    4 => fields.u8().map(|two| vec![u64::from(two >> 4), u64::from(two & 15)]),
                    8 => fields.u8().map(|size| vec![size.into()]),
                    16 => fields.u16().map(|size| vec![size.into()]),
                    _ => None,
                };
                let mut sizes = Vec::new();
                while sizes.len() < count {
                    sizes.extend(small(&mut fields)?);
                }
                sizes.truncate(count);
                self.sizes = Some(Sizes::Each(sizes));
            }
            b"stsc" => {
                let count = fields.u32()?;
                for _ in 0..entries(&fields, count, 96)? {
                    let (first, samples, _) = (fields.u32()?, fields.u32()?, fields.u32()?);
                    self.runs.push((first.into(), samples.into()));
                }
            }
            b"stco" => {
                let count = fields.u32()?;
                let count = entries(&fields, count, 32)?;
                self.offsets = (0..count).map_while(|_| fields.u32().map(u64::from)).collect();
            }
            _ => {
                let count = fields.u32()?;
                let count = entries(&fields, count, 64)?;
                self.offsets = (0..count).map_while(|_| fields.u64()).collect();
            }
        }
        Some(())
    }

    /// The number of samples with data according to these tables; fails unless `media` contains all of their data.
    pub(super) fn check(&self, media: &Media) -> Result<u64, CheckError> {
        let Some(sizes) = self.sizes.as_ref().filter(|sizes| sizes.count() > 0) else { return Ok(0) };
        let mut total = 0_u64;
        let (mut sample, mut runs, mut in_each) = (0, self.runs.iter().peekable(), None);
        for (chunk, offset) in (1..).zip(&self.offsets) {
            while let Some((_, samples)) = runs.next_if(|(first, _)| *first <= chunk) {
                in_each = Some(*samples);
            }
            let count = in_each.ok_or(BROKEN)?;
            let bytes = sizes.sum(sample, count).ok_or(BROKEN)?;
            media.require(*offset, bytes)?;
            sample += count;
            total = total.saturating_add(bytes);
        }
        if sample == sizes.count() { Ok(if total > 0 { sample } else { 0 }) } else { Err(BROKEN) }
    }
}
