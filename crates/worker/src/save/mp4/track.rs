//! What an index (`moov`) says of the tracks: what each is for, how large its picture is shown, where its samples are.

use std::io::{Read, Seek};

use super::boxes::{BROKEN, Fields, Part, each};
use super::samples::Tables;
use super::{CheckError, Measured, Picture};

/// One track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: u32,
    pub(super) is_video: bool,
    pub(super) picture: Measured,
    pub(super) tables: Tables,
}

/// The tracks in `movie`, in its order.
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

/// What is read of one track, box by box.
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
        // As it is coded is how it is shown, unless the header says otherwise.
        (Some(Header { is_turned: true, .. }), Some(coded)) => Ok(coded.turned()),
        (_, Some(coded)) => Ok(coded),
        (Some(_), None) => Err("neither the header of its track nor the description of its samples names one"),
        (None, None) => Err("its track has no header"),
    };
    Ok(Track { id: header.map_or(0, |header| header.id), is_video: handler == Some(*b"vide"), picture, tables })
}

/// Takes what `part`, a box in one of the kind `parent`, says of their track.
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
            // Version and flags, a reserved field, then what the track is for.
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

/// Which track, and how its picture is shown.
#[derive(Debug)]
struct Header {
    id: u32,
    shown: Option<Picture>,
    /// By a quarter.
    is_turned: bool,
}

impl Header {
    /// Width and height are 16.16 fixed point, and swapped if the matrix turns the picture by a quarter.
    fn read(mut fields: Fields) -> Option<Self> {
        let (version, _) = fields.version()?;
        // When it was made and changed; which track; a reserved field, and how long it is.
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

/// The picture as the first description of samples (`stsd`) has it, if they are pictures.
fn coded(mut fields: Fields) -> Option<Picture> {
    fields.version()?;
    // How many there are; size and kind of the first; reserved fields and where its data are; reserved fields.
    fields.skip(4 + 8 + 8 + 16)?;
    Picture::of(fields.u16()?.into(), fields.u16()?.into())
}
