//! Files of `fixtures` were made by ffmpeg: a second of grey pictures, 64×36, most with a silent sound track.

use std::io::Cursor;

use proptest::prelude::*;

use super::made::{STRAIGHT, chunk, file, part, table, tkhd, trak, video};
use super::*;

const TURNED: [u32; 9] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000];

const GREY: Picture = Picture { width: 64, height: 36 };

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_bytes!(concat!("fixtures/", $name)).as_slice())
    };
}

const WHOLE: [(&str, &[u8]); 2] = [fixture!("index-first.mp4"), fixture!("index-last.mp4")];

const IN_FRAGMENTS: [(&str, &[u8]); 4] = [
    fixture!("fragments.mp4"),
    fixture!("fragments-base-moof.mp4"),
    fixture!("fragments-no-offset.mp4"),
    fixture!("dash.mp4"),
];

fn looked_at(bytes: &[u8]) -> Result<Measured, CheckError> {
    check(&mut Cursor::new(bytes), bytes.len() as u64)
}

fn why(bytes: &[u8]) -> String {
    looked_at(bytes).unwrap_err().to_string()
}

/// Where a box of this kind starts, and where its content does.
fn at(bytes: &[u8], kind: &[u8]) -> usize {
    bytes.windows(4).position(|four| four == kind).unwrap() - 4
}

#[test]
fn what_ffmpeg_makes_is_a_video_with_its_index_first_or_last_or_in_fragments() {
    for (name, bytes) in WHOLE.into_iter().chain(IN_FRAGMENTS).chain([fixture!("hybrid.mp4")]) {
        assert_eq!(looked_at(bytes).unwrap(), Ok(GREY), "{name}");
    }
    let (_, turned) = fixture!("turned.mp4");
    assert_eq!(looked_at(turned).unwrap(), Ok(GREY.turned()));
    let (_, sound) = fixture!("sound-only.mp4");
    assert_eq!(why(sound), "has no video track");
}

#[test]
fn a_file_that_broke_off_anywhere_is_no_video() {
    for (name, bytes) in WHOLE {
        for cut in 0..bytes.len() {
            assert!(looked_at(&bytes[..cut]).is_err(), "{cut} bytes of {name}");
        }
    }
    for (name, bytes) in IN_FRAGMENTS {
        // The end of a fragment is an end: how many were to come, no box says. The length of the download does.
        let mut ends = vec![bytes.len()];
        let whole = Part { kind: *b"file", start: 0, begin: 0, end: bytes.len() as u64 };
        each(&mut Cursor::new(bytes), whole, |_, part| {
            ends.push(usize::try_from(part.end).unwrap());
            Ok(())
        })
        .unwrap();
        for cut in (0..bytes.len()).filter(|cut| !ends.contains(cut)) {
            assert!(looked_at(&bytes[..cut]).is_err(), "{cut} bytes of {name}");
        }
        let index = bytes.windows(4).position(|four| four == b"moof").unwrap() - 4;
        assert!(looked_at(&bytes[..index]).is_err(), "{name} without a fragment");
    }
}

#[test]
fn media_data_that_are_shorter_than_the_index_says_are_found_out() {
    for (name, bytes) in WHOLE.into_iter().chain(IN_FRAGMENTS) {
        let (mdat, mut short) = (at(bytes, b"mdat"), bytes.to_vec());
        let size = u32::from_be_bytes(short[mdat..mdat + 4].try_into().unwrap());
        // One byte of the media data becomes part of a box that nobody looks at.
        let end = mdat + size as usize - 9;
        short[mdat..mdat + 4].copy_from_slice(&(size - 9).to_be_bytes());
        short[end..end + 8].copy_from_slice(b"\0\0\0\x09free");
        assert_eq!(why(&short), "lacks media data that its index names", "{name}");
    }
}

#[test]
fn a_picture_is_measured_as_it_is_shown() {
    let shown = |header: &[u8]| looked_at(&file(|at| vec![trak(header, b"vide", &chunk(at, &[9]))], &[7; 9])).unwrap();
    for (header, width, height) in [
        (tkhd(0, STRAIGHT, 1280, 720), 1280, 720),
        (tkhd(1, STRAIGHT, 1920, 1080), 1920, 1080),
        (tkhd(0, TURNED, 1280, 720), 720, 1280),
    ] {
        assert_eq!(shown(&header), Ok(Picture { width, height }));
    }
    assert!(shown(&tkhd(0, STRAIGHT, 0, 0)).unwrap_err().contains("neither"));
    assert!(shown(b"").unwrap_err().contains("no header"));
}

#[test]
fn a_header_without_a_size_leaves_it_to_the_description_of_the_samples() {
    let (_, bytes) = fixture!("index-first.mp4");
    let mut bytes = bytes.to_vec();
    let end = at(&bytes, b"tkhd") + 92;
    bytes[end - 8..end].fill(0);
    assert_eq!(looked_at(&bytes).unwrap(), Ok(GREY));
    let matrix: Vec<u8> = TURNED.iter().flat_map(|n| n.to_be_bytes()).collect();
    bytes[end - 44..end - 8].copy_from_slice(&matrix);
    assert_eq!(looked_at(&bytes).unwrap(), Ok(GREY.turned()));
}

#[test]
fn the_size_of_a_sound_track_is_not_the_pictures() {
    let tracks = |at| {
        let odd = trak(&tkhd(0, STRAIGHT, 1, 1), b"soun", &chunk(at, &[100]));
        vec![odd, trak(&tkhd(0, STRAIGHT, 1280, 720), b"vide", &chunk(at + 100, &[300, 100]))]
    };
    assert_eq!(looked_at(&file(tracks, &[7; 500])).unwrap(), Ok(Picture { width: 1280, height: 720 }));
    assert_eq!(why(&file(tracks, &[7; 499])), "lacks media data that its index names");
}

#[test]
fn tables_of_every_form_are_understood() {
    let header = tkhd(0, STRAIGHT, 1280, 720);
    let small = |bits: u32, sizes: &[u8]| {
        let count = if bits == 4 { 3 } else { 2_u32 };
        part(b"stz2", &[&[0; 4][..], &bits.to_be_bytes(), &count.to_be_bytes(), sizes].concat())
    };
    for (sizes, samples, bytes) in [
        (table(b"stsz", &[50, 4]), 4, 200),
        (small(4, &[0x12, 0x30]), 3, 6),
        (small(8, &[100, 50]), 2, 150),
        (small(16, &[1, 0, 0, 4]), 2, 260),
    ] {
        let tracks = |at: usize| {
            let offset = (at as u64).to_be_bytes();
            let co64 = part(b"co64", &[&[0; 4][..], &1_u32.to_be_bytes(), &offset].concat());
            vec![trak(&header, b"vide", &[sizes.clone(), table(b"stsc", &[1, 1, samples, 1]), co64])]
        };
        assert!(looked_at(&file(tracks, &vec![7; bytes])).unwrap().is_ok());
        assert_eq!(why(&file(tracks, &vec![7; bytes - 1])), "lacks media data that its index names");
    }
    // Two chunks of two samples, one of one.
    let tracks = |at: usize| {
        let at = u32::try_from(at).unwrap();
        let runs = table(b"stsc", &[2, 1, 2, 1, 3, 1, 1]);
        let chunks = table(b"stco", &[3, at + 30, at, at + 10]);
        vec![trak(&header, b"vide", &[table(b"stsz", &[5, 5]), runs, chunks])]
    };
    assert!(looked_at(&file(tracks, &[7; 40])).unwrap().is_ok());
    assert_eq!(why(&file(tracks, &[7; 39])), "lacks media data that its index names");
}

#[test]
fn a_track_without_samples_is_no_video() {
    let header = tkhd(0, STRAIGHT, 1280, 720);
    let of = |tables: Vec<Vec<u8>>| file(|_| vec![trak(&header, b"vide", &tables)], &[7; 50]);
    let empty = "has a video track without samples";
    assert_eq!(why(&of(Vec::new())), empty);
    assert_eq!(why(&of(vec![table(b"stsz", &[0, 0])])), empty);
    assert_eq!(why(&file(|at| vec![trak(&header, b"vide", &chunk(at, &[0, 0]))], &[7; 50])), empty);
    assert!(why(&of(vec![table(b"stsz", &[1, 7])])).contains("add up"), "seven samples, and no chunk");
    assert!(why(&of(vec![table(b"stsz", &[0, 1000])])).contains("add up"), "a table that is cut off");
}

/// A video in one fragment of so many samples, whose size only the index tells: the `usual` one of their track.
fn in_a_fragment(usual: u32, samples: u32, media: usize) -> Vec<u8> {
    let words =
        |kind: &[u8], words: &[u32]| part(kind, &words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>());
    let usual = part(b"mvex", &words(b"trex", &[0, 1, 1, 0, usual, 0]));
    let track = trak(&tkhd(0, STRAIGHT, GREY.width, GREY.height), b"vide", &[]);
    let moov = part(b"moov", &[part(b"mvhd", &[0; 100]), track, usual].concat());
    // Where the fragment begins; and from there, where its data do.
    let run = [words(b"tfhd", &[0x2_0000, 1]), words(b"trun", &[1, samples, 60])].concat();
    let fragment = part(b"moof", &part(b"traf", &run));
    assert_eq!(fragment.len() + 8, 60);
    [part(b"ftyp", b"isom"), moov, fragment, part(b"mdat", &vec![7; media])].concat()
}

#[test]
fn samples_of_a_fragment_have_the_size_that_the_index_calls_usual_where_nothing_else_is_said() {
    assert_eq!(looked_at(&in_a_fragment(100, 3, 300)).unwrap(), Ok(GREY));
    assert_eq!(why(&in_a_fragment(100, 3, 299)), "lacks media data that its index names");
}

#[test]
fn samples_of_no_byte_are_no_picture() {
    assert_eq!(why(&in_a_fragment(0, 3, 300)), "has a video track without samples");
}

#[test]
fn long_sizes_and_a_last_box_up_to_the_end_are_understood() {
    let whole = video(&[7; 100]);
    let head = &whole[..at(&whole, b"mdat")];
    let long = |at: usize| vec![trak(&tkhd(0, STRAIGHT, 8, 8), b"vide", &chunk(at + 8, &[100]))];
    let long = file(long, b"");
    let long = [&long[..long.len() - 8], &[0, 0, 0, 1], b"mdat", &116_u64.to_be_bytes(), &[7; 100]].concat();
    let open = [head, &[0, 0, 0, 0], b"mdat", &[7; 100]].concat();
    for bytes in [long, open] {
        assert!(looked_at(&bytes).unwrap().is_ok());
        assert!(looked_at(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn what_is_no_whole_video_is_refused_with_a_reason() {
    let whole = video(&[7; 500]);
    assert!(why(&whole[..whole.len() - 1]).contains("cut off"));
    assert!(why(&[&whole[..], b"tail"].concat()).contains("add up"));
    assert_eq!(why(b""), "is empty");
    assert_eq!(why(b"<!doctype html><html><body>gone</body></html>"), "is a web page");
    assert_eq!(why(b"{\"code\":404,\"msg\":\"gone\"}"), "is a JSON text");
    assert!(why(&part(b"free", &[0; 9])).contains("begin"));
    assert!(why(&[part(b"ftyp", b"isom"), part(b"mdat", b"x")].concat()).contains("index"));
    assert!(why(&[part(b"ftyp", b"isom"), part(b"moov", b"")].concat()).contains("no media"));
}

#[test]
fn boxes_in_boxes_without_end_are_no_way_to_exhaust_the_stack() {
    // Each size counts what follows it: the first box holds all others.
    let sizes: Vec<u8> =
        (0_u32..200_000).flat_map(|depth| [(8 * (200_000 - depth)).to_be_bytes(), *b"mdia"].concat()).collect();
    let bytes = [part(b"ftyp", b"isom"), part(b"moov", &part(b"trak", &sizes)), part(b"mdat", b"x")].concat();
    assert_eq!(why(&bytes), "has no video track");
}

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = looked_at(&bytes);
    }

    #[test]
    fn no_damage_to_a_video_makes_the_check_panic(which in 0_usize..7, at: u16, byte: u8, cut in 0_usize..9000) {
        let handmade = video(&[7; 500]);
        let all = WHOLE.into_iter().chain(IN_FRAGMENTS).map(|(_, bytes)| bytes).chain([&handmade[..]]);
        let mut bytes = all.into_iter().nth(which).unwrap().to_vec();
        let length = bytes.len();
        bytes[usize::from(at) % length] = byte;
        bytes.truncate(cut.max(1));
        let _ = looked_at(&bytes);
    }
}
