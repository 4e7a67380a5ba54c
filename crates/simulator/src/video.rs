//! Real, playable MP4 files without an encoder, each task's different.
//!
//! A file depends on nothing but its [`Movie`]: asked for twice, it is the same to the byte, so nothing is kept on disk.

mod bits;
mod mp4;
mod picture;
pub(crate) mod shape;

use crate::rng::Rng;
use picture::Picture;

/// Pictures a second; what Veo makes.
const PER_SECOND: u32 = 24;

/// What there is to know to make a file.
#[derive(Debug, Clone)]
pub(crate) struct Movie {
    /// What its colours and its padding derive from; also written into the file as text.
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) seconds: u32,
    /// The file is padded to this many bytes if it would be smaller.
    pub(crate) bytes: usize,
}

impl Movie {
    /// The whole file.
    pub(crate) fn file(&self) -> Vec<u8> {
        let mut rng = Rng::of(&self.name);
        let picture = Picture::new(self.width, self.height, &mut rng);
        let frames: Vec<_> = (0..self.seconds.max(1) * PER_SECOND).map(|n| picture.frame(n, PER_SECOND)).collect();
        let title = format!("veobatch-simulator {}\n", self.name);
        let bare = mp4::file(&picture, &frames, PER_SECOND, title.as_bytes()).len();
        let mut padding = title.into_bytes();
        let wanted = padding.len() + self.bytes.saturating_sub(bare);
        while padding.len() < wanted {
            padding.extend_from_slice(&rng.next().to_le_bytes());
        }
        padding.truncate(wanted);
        mp4::file(&picture, &frames, PER_SECOND, &padding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movie(name: &str) -> Movie {
        Movie { name: name.to_owned(), width: 1280, height: 720, seconds: 8, bytes: 300_000 }
    }

    /// The boxes at one level: type and body.
    fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            found.push((String::from_utf8_lossy(&bytes[4..8]).into_owned(), &bytes[8..size]));
            bytes = &bytes[size..];
        }
        found
    }

    fn inside<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        path.iter().fold(bytes, |level, name| {
            boxes(level).into_iter().find(|(kind, _)| kind == name).unwrap_or_else(|| panic!("no {name}")).1
        })
    }

    fn number(bytes: &[u8], at: usize) -> usize {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    #[test]
    fn a_file_has_its_boxes_in_order_and_exactly_the_size_asked_for() {
        let file = movie("a").file();
        let kinds: Vec<String> = boxes(&file).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["ftyp", "moov", "free", "mdat"]);
        assert_eq!(file.len(), 300_000);
    }

    #[test]
    fn the_sample_table_points_at_whole_nal_units_that_fill_the_media_data() {
        let file = movie("a").file();
        let table = inside(&file, &["moov", "trak", "mdia", "minf", "stbl"]);
        let (sizes, mut at) = (inside(table, &["stsz"]), number(inside(table, &["stco"]), 8));
        let count = number(sizes, 8);
        assert_eq!(count, 8 * 24);
        assert_eq!(number(inside(table, &["stss"]), 4), 8, "a key picture a second");
        for sample in 0..count {
            let size = number(sizes, 12 + sample * 4);
            assert_eq!(number(&file, at) + 4, size, "sample {sample}");
            let expected = if sample % 24 == 0 { 0x65 } else { 0x41 };
            assert_eq!(file[at + 4], expected, "sample {sample}");
            at += size;
        }
        assert_eq!(at, file.len());
    }

    #[test]
    fn two_tasks_never_have_the_same_pictures_and_one_task_always_has() {
        let media = |name: &str| {
            let file = movie(name).file();
            inside(&file, &["mdat"]).to_vec()
        };
        assert_ne!(media("a"), media("b"));
        assert_eq!(movie("a").file(), movie("a").file());
    }

    #[test]
    fn the_file_says_its_size_on_the_screen() {
        for (width, height) in [(1280, 720), (720, 1280), (1920, 1080), (3840, 2160)] {
            let file = Movie { width, height, ..movie("a") }.file();
            let header = inside(&file, &["moov", "trak", "tkhd"]);
            assert_eq!((number(header, 76) >> 16, number(header, 80) >> 16), (width as usize, height as usize));
        }
    }
}
