use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const STRAIGHT: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
const TURNED: [u32; 9] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000];

fn part(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, content].concat()
}

fn tkhd(version: u8, matrix: [u32; 9], width: u32, height: u32) -> Vec<u8> {
    let times = if version == 1 { 32 } else { 20 };
    let mut content = vec![version, 0, 0, 3];
    content.extend(vec![0; times + 16]);
    content.extend(matrix.iter().flat_map(|n| n.to_be_bytes()));
    content.extend([width << 16, height << 16].iter().flat_map(|n| n.to_be_bytes()));
    part(b"tkhd", &content)
}

fn trak(header: &[u8], handler: &[u8]) -> Vec<u8> {
    let hdlr = part(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat());
    part(b"trak", &[header, &part(b"mdia", &hdlr)].concat())
}

fn video(tracks: &[Vec<u8>]) -> Vec<u8> {
    let moov = [part(b"mvhd", &[0; 100]), tracks.concat()].concat();
    [part(b"ftyp", b"isom\0\0\x02\0isomiso2"), part(b"moov", &moov), part(b"mdat", &[7; 500])].concat()
}

fn looked_at(bytes: &[u8]) -> Result<Option<Picture>, CheckError> {
    check(&mut Cursor::new(bytes), bytes.len() as u64)
}

fn why(bytes: &[u8]) -> String {
    looked_at(bytes).unwrap_err().to_string()
}

#[test]
fn a_whole_video_is_taken_and_its_picture_measured() {
    let sound = trak(&tkhd(0, STRAIGHT, 0, 0), b"soun");
    for (header, picture) in [
        (tkhd(0, STRAIGHT, 1280, 720), Picture { width: 1280, height: 720 }),
        (tkhd(1, STRAIGHT, 1920, 1080), Picture { width: 1920, height: 1080 }),
        (tkhd(0, TURNED, 1280, 720), Picture { width: 720, height: 1280 }),
    ] {
        let bytes = video(&[sound.clone(), trak(&header, b"vide")]);
        assert_eq!(looked_at(&bytes).unwrap(), Some(picture));
    }
    assert_eq!(looked_at(&video(&[sound])).unwrap(), None);
}

#[test]
fn the_size_of_a_sound_track_is_not_the_pictures() {
    let odd = trak(&tkhd(0, STRAIGHT, 1, 1), b"soun");
    let real = trak(&tkhd(0, STRAIGHT, 1280, 720), b"vide");
    assert_eq!(looked_at(&video(&[odd, real])).unwrap(), Some(Picture { width: 1280, height: 720 }));
}

#[test]
fn long_sizes_and_a_last_box_up_to_the_end_are_understood() {
    let head = part(b"ftyp", b"isom");
    let moov = part(b"moov", &part(b"mvhd", &[0; 100]));
    let long = [&[0, 0, 0, 1][..], b"mdat", &116_u64.to_be_bytes(), &[0; 100]].concat();
    let open = [&[0, 0, 0, 0][..], b"mdat", &[0; 100]].concat();
    for media in [long, open] {
        assert!(looked_at(&[head.clone(), moov.clone(), media].concat()).is_ok());
    }
}

#[test]
fn what_is_no_whole_video_is_refused_with_a_reason() {
    let whole = video(&[]);
    assert!(why(&whole[..whole.len() - 1]).contains("cut off"));
    assert!(why(&[&whole[..], b"tail"].concat()).contains("add up"));
    assert_eq!(why(b""), "is empty");
    assert_eq!(why(b"<!doctype html><html><body>gone</body></html>"), "is a web page");
    assert_eq!(why(b"{\"code\":404,\"msg\":\"gone\"}"), "is a JSON text");
    assert!(why(&part(b"free", &[0; 9])).contains("begin"));
    assert!(why(&[part(b"ftyp", b"isom"), part(b"mdat", b"x")].concat()).contains("index"));
    assert!(why(&[part(b"ftyp", b"isom"), part(b"moov", b"")].concat()).contains("no media"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = looked_at(&bytes);
    }

    #[test]
    fn no_damage_to_a_video_makes_the_check_panic(at in 0_usize..800, byte: u8, cut in 0_usize..900) {
        let mut bytes = video(&[trak(&tkhd(0, STRAIGHT, 1280, 720), b"vide")]);
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut.max(1));
        let _ = looked_at(&bytes);
    }

    #[test]
    fn a_video_that_broke_off_is_never_taken(cut in 0_usize..10_000) {
        let bytes = video(&[trak(&tkhd(0, STRAIGHT, 1280, 720), b"vide")]);
        prop_assert!(looked_at(&bytes[..cut % bytes.len()]).is_err());
    }
}
