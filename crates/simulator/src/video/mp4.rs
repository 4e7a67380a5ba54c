//! The MP4 file around a stream: `ftyp`, `moov`, `free` (padding), `mdat` (ISO/IEC 14496-12 and -15).
//!
//! The index comes first, so that a player may start early, and the pictures last, so that a file cut short lacks some.

use super::picture::{Frame, Picture};

/// Ticks a second of all times in the file.
const TIMESCALE: u32 = 24_000;

/// Puts the frames into a file, with `padding` bytes of nothing in between.
pub(crate) fn file(picture: &Picture, frames: &[Frame], per_second: u32, padding: &[u8]) -> Vec<u8> {
    let ftyp = boxed(*b"ftyp", &[b"isom", &be32(0x200), b"isomiso2avc1mp41"]);
    let free = boxed(*b"free", &[padding]);
    let samples: Vec<Vec<u8>> =
        frames.iter().map(|frame| [&be32(len32(&frame.nal))[..], &frame.nal].concat()).collect();
    let index = |offset| movie(picture, frames, per_second, offset);
    let before = ftyp.len() + index(0).len() + free.len() + 8;
    let moov = index(u32::try_from(before).unwrap_or(u32::MAX));
    let mdat = boxed(*b"mdat", &[&samples.concat()]);
    [ftyp, moov, free, mdat].concat()
}

fn movie(picture: &Picture, frames: &[Frame], per_second: u32, offset: u32) -> Vec<u8> {
    let tick = TIMESCALE / per_second;
    let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    let length = tick.saturating_mul(count);
    let movie_header = boxed(
        *b"mvhd",
        &[
            &[0; 12],
            &be32(TIMESCALE),
            &be32(length),
            &be32(0x1_0000),
            &be16(0x100),
            &[0; 10],
            &matrix(),
            &[0; 24],
            &be32(2),
        ],
    );
    let track_header = boxed(
        *b"tkhd",
        &[
            &be32(3), // enabled, in the movie
            &[0; 8],
            &be32(1),
            &[0; 4],
            &be32(length),
            &[0; 16],
            &matrix(),
            &be32(picture.width << 16),
            &be32(picture.height << 16),
        ],
    );
    let media_header = boxed(*b"mdhd", &[&[0; 12], &be32(TIMESCALE), &be32(length), &be16(0x55c4), &[0; 2]]); // "und"
    let hdlr = boxed(*b"hdlr", &[&[0; 8], b"vide", &[0; 12], b"VideoHandler\0"]);
    let vmhd = boxed(*b"vmhd", &[&be32(1), &[0; 8]]);
    let url = boxed(*b"url ", &[&be32(1)]); // the samples are in this file
    let dinf = boxed(*b"dinf", &[&boxed(*b"dref", &[&[0; 4], &be32(1), &url])]);
    let minf = boxed(*b"minf", &[&vmhd, &dinf, &samples(picture, frames, tick, offset)]);
    let mdia = boxed(*b"mdia", &[&media_header, &hdlr, &minf]);
    boxed(*b"moov", &[&movie_header, &boxed(*b"trak", &[&track_header, &mdia])])
}

/// `stbl`: what the samples are, how long, how big and where.
fn samples(picture: &Picture, frames: &[Frame], tick: u32, offset: u32) -> Vec<u8> {
    let count = be32(u32::try_from(frames.len()).unwrap_or(u32::MAX));
    let times = boxed(*b"stts", &[&[0; 4], &be32(1), &count, &be32(tick)]);
    let keys: Vec<[u8; 4]> = (1..).zip(frames).filter(|(_, frame)| frame.is_key).map(|(n, _)| be32(n)).collect();
    let synced = boxed(*b"stss", &[&[0; 4], &be32(u32::try_from(keys.len()).unwrap_or(u32::MAX)), &keys.concat()]);
    let chunks = boxed(*b"stsc", &[&[0; 4], &be32(1), &be32(1), &count, &be32(1)]);
    let sizes: Vec<[u8; 4]> = frames.iter().map(|frame| be32(len32(&frame.nal) + 4)).collect();
    let lengths = boxed(*b"stsz", &[&[0; 8], &count, &sizes.concat()]);
    let offsets = boxed(*b"stco", &[&[0; 4], &be32(1), &be32(offset)]);
    boxed(*b"stbl", &[&description(picture), &times, &synced, &chunks, &lengths, &offsets])
}

/// `stsd` with one `avc1` entry and its decoder configuration.
fn description(picture: &Picture) -> Vec<u8> {
    let (sequence, parameters) = (picture.sequence(), Picture::parameters());
    let decoder = boxed(
        *b"avcC",
        &[
            &[1, 66, 0xc0, picture.level(), 0xff, 0xe1],
            &be16(len16(&sequence)),
            &sequence,
            &[1],
            &be16(len16(&parameters)),
            &parameters,
        ],
    );
    let entry = boxed(
        *b"avc1",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &be16(u16::try_from(picture.width).unwrap_or(u16::MAX)),
            &be16(u16::try_from(picture.height).unwrap_or(u16::MAX)),
            &be32(0x48_0000), // 72 dots an inch, both ways
            &be32(0x48_0000),
            &[0; 4],
            &be16(1),
            &[0; 32],
            &be16(24),
            &[0xff, 0xff],
            &decoder,
        ],
    );
    boxed(*b"stsd", &[&[0; 4], &be32(1), &entry])
}

fn boxed(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&be32(len32(&body) + 8)[..], &kind, &body].concat()
}

fn matrix() -> Vec<u8> {
    [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000_u32].iter().flat_map(|cell| cell.to_be_bytes()).collect()
}

fn be32(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

fn be16(value: u16) -> [u8; 2] {
    value.to_be_bytes()
}

fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn len16(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
