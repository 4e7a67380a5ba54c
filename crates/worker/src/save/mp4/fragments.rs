//! The samples of a fragmented file: fragments, each with an index of its own (`moof`) before its media data.
//!
//! ```text
//! moov [ mvex [ trex (usual size) ] ] │ moof [ traf [ tfhd (track, usual size, base) │ trun (sizes) … ] … ] │ mdat │ moof …
//! ```

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::boxes::{BROKEN, CheckError, Fields, Part, each};
use super::samples::Media;

/// The usual size of a sample, by track (`trex`).
pub(super) type Usual = BTreeMap<u32, u32>;

/// Number of samples found, by track.
pub(super) type Counts = BTreeMap<u32, u64>;

/// The usual sample sizes that a `moov` gives for the fragments that follow.
pub(super) fn usual<R: Read + Seek>(file: &mut R, movie: Part) -> Result<Usual, CheckError> {
    let mut usual = Usual::new();
    each(file, movie, |file, part| match &part.kind {
        b"mvex" => each(file, part, |file, part| {
            if part.kind == *b"trex" {
                let mut fields = Fields::of(file, part)?;
                let mut read = || {
                    fields.version()?;
                    let track = fields.u32()?;
                    // Sample description and duration.
                    fields.skip(8)?;
                    Some((track, fields.u32()?))
                };
                let (track, size) = read().ok_or(BROKEN)?;
                usual.insert(track, size);
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok(usual)
}

/// Counts the samples of the fragment `moof`; fails unless `media` contains all of their data.
pub(super) fn check<R: Read + Seek>(
    file: &mut R,
    moof: Part,
    usual: &Usual,
    media: &Media,
    counts: &mut Counts,
) -> Result<(), CheckError> {
    // By default, a track's data follow those of the track before.
    let mut after = moof.start;
    each(file, moof, |file, part| {
        if part.kind != *b"traf" {
            return Ok(());
        }
        let mut of: Option<Header> = None;
        each(file, part, |file, part| {
            match &part.kind {
                b"tfhd" => {
                    let header = Header::read(Fields::of(file, part)?, moof.start, after, usual).ok_or(BROKEN)?;
                    after = header.base;
                    of = Some(header);
                }
                b"trun" => {
                    let header = of.as_ref().ok_or(BROKEN)?;
                    let run = Run::read(Fields::of(file, part)?, header, after).ok_or(BROKEN)?;
                    media.require(run.at, run.bytes)?;
                    after = run.at.checked_add(run.bytes).ok_or(BROKEN)?;
                    if run.bytes > 0 {
                        *counts.entry(header.track).or_default() += run.samples;
                    }
                }
                _ => {}
            }
            Ok(())
        })
    })
}

/// What applies to all runs of a track in one fragment.
struct Header {
    track: u32,
    base: u64,
    usual: u32,
}

impl Header {
    fn read(mut fields: Fields, fragment: u64, after: u64, usual: &Usual) -> Option<Self> {
        let (_, flags) = fields.version()?;
        let has = |flag| flags & flag != 0;
        let track = fields.u32()?;
        let base = match (has(0x1), has(0x2_0000)) {
            (true, _) => fields.u64()?,
            (false, true) => fragment,
            (false, false) => after,
        };
        for flag in [0x2, 0x8] {
            if has(flag) {
                fields.skip(4)?;
            }
        }
        let own = if has(0x10) { Some(fields.u32()?) } else { None };
        let usual = own.or_else(|| usual.get(&track).copied()).unwrap_or_default();
        Some(Self { track, base, usual })
    }
}

/// Consecutive samples.
struct Run {
    at: u64,
    bytes: u64,
    samples: u64,
}

impl Run {
    fn read(mut fields: Fields, header: &Header, after: u64) -> Option<Self> {
        let (_, flags) = fields.version()?;
        let has = |flag| flags & flag != 0;
        let samples = u64::from(fields.u32()?);
        let at = if has(0x1) {
            let offset = i32::from_be_bytes(fields.next()?);
            header.base.checked_add_signed(offset.into())?
        } else {
            after
        };
        if has(0x4) {
            fields.skip(4)?;
        }
        let others: usize = [0x400, 0x800].into_iter().filter(|flag| has(*flag)).count() * 4;
        if !has(0x200) {
            return Some(Self { at, bytes: samples.checked_mul(header.usual.into())?, samples });
        }
        let mut bytes = 0_u64;
        for _ in 0..samples {
            if has(0x100) {
                fields.skip(4)?;
            }
            bytes = bytes.checked_add(fields.u32()?.into())?;
            fields.skip(others)?;
        }
        Some(Self { at, bytes, samples })
    }
}
