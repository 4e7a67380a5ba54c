//! The tracks in an index (`moov`): what each contains, the size of its picture, where its samples are.

use std::io::{Read, Seek};

use super::boxes::{BROKEN, CheckError, Fields, Part, each};
use super::picture::{Measured, Picture};
use super::samples::Tables;

/// One track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: u32,
    pub(super) is_video: bool,
    pub(super) picture: Measured,
    pub(super) tables: Tables,
}

/// The tracks in `movie`, in order.
pub(super) fn all<R: Read + Seek>(file: &mut R, movie: Part) -> Result<Vec<Track>, CheckError> {
    let mut tracks = Vec::new();
    each(file, movie, |file, part| {
        if part.kind == *b"trak" {
            tracks.push(track(file, part)?);
        }
        Ok(())
    })?;
    Ok(tracks)
}

/// What was read of one track so far.
#[derive(Debug, Default)]
struct Found {
    header: Option<Header>,
    handler: Option<[u8; 4]>,
    coded: Option<Picture>,
    tables: Tables,
}

fn track<R: Read + Seek>(file: &mut R, track: Part) -> Result<Track, CheckError> {
    let mut found = Found::default();
    each(file, track, |file, part| inside(file, *b"trak", part, &mut found))?;
    let Found { header, handler, coded, tables } = found;
    let picture = match (&header, coded) {
        (Some(Header { shown: Some(shown), .. }), _) => Ok(*shown),
        // The coded size is the displayed size, unless the header says otherwise.
        (Some(Header { is_turned: true, .. }), Some(coded)) => Ok(coded.turned()),
        (_, Some(coded)) => Ok(coded),
        (Some(_), None) => Err("neither the header of its track nor the description of its samples names one"),
        (None, None) => Err("its track has no header"),
    };
    Ok(Track { id: header.map_or(0, |header| header.id), is_video: handler == Some(*b"vide"), picture, tables })
}

/// Reads `part`, a box in a box of kind `parent`, into `found`.
fn inside<R: Read + Seek>(file: &mut R, parent: [u8; 4], part: Part, found: &mut Found) -> Result<(), CheckError> {
    match (&parent, &part.kind) {
        (b"trak", b"mdia") | (b"mdia", b"minf") | (b"minf", b"stbl") => {
            each(file, part, |file, inner| inside(file, part.kind, inner, found))
        }
        (b"trak", b"tkhd") => {
            found.header = Header::read(Fields::of(file, part)?);
            Ok(())
        }
        (b"mdia", b"hdlr") => {
            let mut fields = Fields::of(file, part)?;
            // Version and flags, a reserved field, then the kind of the track.
            found.handler = Some(fields.skip(8).and_then(|()| fields.next()).ok_or(BROKEN)?);
            Ok(())
        }
        (b"stbl", b"stsd") => {
            found.coded = coded(Fields::of(file, part)?);
            Ok(())
        }
        (b"stbl", _) => found.tables.take(file, part),
        _ => Ok(()),
    }
}

/// The id of a track, and how its picture is displayed.
#[derive(Debug)]
struct Header {
    id: u32,
    shown: Option<Picture>,
    /// By 90°.
    is_turned: bool,
}

impl Header {
    /// Width and height are 16.16 fixed point, and swapped if the matrix rotates the picture by 90°.
    fn read(mut fields: Fields) -> Option<Self> {
        let (version, _) = fields.version()?;
        // Creation and modification time; track id; a reserved field and the duration.
        let times = if version == 1 { 8 } else { 4 };
        fields.skip(2 * times)?;
        let id = fields.u32()?;
        fields.skip(4 + times)?;
        // Reserved, layer, group, volume.
        fields.skip(16)?;
        let (a, b, _, c, d) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        fields.skip(16)?;
        let shown = Picture::of(fields.u32()? >> 16, fields.u32()? >> 16);
        let is_turned = a == 0 && d == 0 && b != 0 && c != 0;
        Some(Self { id, shown: if is_turned { shown.map(Picture::turned) } else { shown }, is_turned })
    }
}

/// The size of the picture in the first sample description (`stsd`), if the samples are pictures.
fn coded(mut fields: Fields) -> Option<Picture> {
    fields.version()?;
    // Their number; size and kind of the first; reserved fields and data reference; reserved fields.
    fields.skip(4 + 8 + 8 + 16)?;
    Picture::of(fields.u16()?.into(), fields.u16()?.into())
}
