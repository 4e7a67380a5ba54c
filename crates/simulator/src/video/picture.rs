//! An H.264 stream without an encoder: scrolling bands of colour that belong to one task.
//!
//! Once a second a key picture: in each row of macroblocks the first one carries its samples as they are (`I_PCM`), all
//! others repeat their left neighbour (Intra 16x16, horizontal prediction, no residual: exactly one byte each). In
//! between, pictures that are nothing but skipped macroblocks. Constrained baseline, so that everything can play it.

use super::bits::Bits;
use crate::rng::Rng;

/// Anchor colours down the picture; between two of them the colour flows.
const ANCHORS: u64 = 6;
/// How far the bands move from one key picture to the next, in parts of the picture's height.
const STEPS: u64 = 24;

/// The pictures of one video.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    anchors: Vec<[u8; 3]>,
}

/// One coded picture.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) nal: Vec<u8>,
    pub(crate) is_key: bool,
}

impl Picture {
    pub(crate) fn new(width: u32, height: u32, rng: &mut Rng) -> Self {
        let colour = |rng: &mut Rng| [shade(rng, 50, 170), shade(rng, 60, 130), shade(rng, 60, 130)];
        Self { width, height, anchors: (0..ANCHORS).map(|_| colour(rng)).collect() }
    }

    fn columns(&self) -> u32 {
        self.width.div_ceil(16)
    }

    fn rows(&self) -> u32 {
        self.height.div_ceil(16)
    }

    /// Level of Annex A that allows this many macroblocks at 24 pictures a second.
    pub(crate) fn level(&self) -> u8 {
        match self.columns() * self.rows() {
            0..=3_600 => 31,
            3_601..=8_192 => 40,
            _ => 51,
        }
    }

    /// The sequence parameter set, as a NAL unit (7.3.2.1).
    pub(crate) fn sequence(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(66, 8); // baseline
        bits.put(0b1100_0000, 8); // and also within constrained baseline and main
        bits.put(u32::from(self.level()), 8);
        bits.unsigned(0); // id
        bits.unsigned(0); // frame numbers of 4 bits
        bits.unsigned(2); // output order is decoding order
        bits.unsigned(1); // one reference picture
        bits.put(0, 1); // no gaps
        bits.unsigned(self.columns() - 1);
        bits.unsigned(self.rows() - 1);
        bits.put(1, 1); // frames only
        bits.put(1, 1); // direct 8x8 inference
        let (right, bottom) = ((self.columns() * 16 - self.width) / 2, (self.rows() * 16 - self.height) / 2);
        if right + bottom == 0 {
            bits.put(0, 1);
        } else {
            bits.put(1, 1);
            for crop in [0, right, 0, bottom] {
                bits.unsigned(crop);
            }
        }
        bits.put(0, 1); // no usability information
        bits.into_nal(0x67)
    }

    /// The picture parameter set, as a NAL unit (7.3.2.2): CAVLC, one slice group, deblocking may be switched off.
    pub(crate) fn parameters() -> Vec<u8> {
        let mut bits = Bits::default();
        bits.unsigned(0);
        bits.unsigned(0);
        bits.put(0, 2); // CAVLC; no picture order in the slices
        bits.unsigned(0); // one slice group
        bits.unsigned(0); // one reference, list 0
        bits.unsigned(0); // and list 1
        bits.put(0, 3); // no weighted prediction
        bits.unsigned(0); // quantiser 26
        bits.unsigned(0);
        bits.unsigned(0); // chroma as luma
        bits.put(0b100, 3); // deblocking control present
        bits.into_nal(0x68)
    }

    /// The picture with this number, at so many pictures a second.
    pub(crate) fn frame(&self, number: u32, per_second: u32) -> Frame {
        let (second, in_second) = (number / per_second, number % per_second);
        if in_second == 0 {
            Frame { nal: self.key(second), is_key: true }
        } else {
            Frame { nal: self.repeat(in_second), is_key: false }
        }
    }

    fn key(&self, second: u32) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.unsigned(0); // first macroblock
        bits.unsigned(7); // all slices of this picture are I
        bits.unsigned(0); // parameter set
        bits.put(0, 4); // frame number
        bits.unsigned(second % 2); // two key pictures in a row differ
        bits.put(0, 2); // marking
        bits.unsigned(0); // quantiser as it is
        bits.unsigned(1); // no deblocking
        // mb_type 2 `011`, chroma horizontal `010`, quantiser `1`, no coefficients `1`.
        let repeats = vec![0b0110_1011; self.columns().saturating_sub(2) as usize];
        for row in 0..self.rows() {
            bits.unsigned(25); // I_PCM
            bits.aligned(&self.samples(row, second));
            // The same again, but after an I_PCM neighbour "no coefficients" is the six bits `000011`.
            bits.put(0b011_0101, 7);
            bits.put(0b00_0011, 6);
            for repeat in &repeats {
                bits.put(*repeat, 8);
            }
        }
        bits.into_nal(0x65)
    }

    fn repeat(&self, in_second: u32) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.unsigned(0);
        bits.unsigned(5); // all slices of this picture are P
        bits.unsigned(0);
        bits.put(in_second % 16, 4);
        bits.put(0, 3); // references as they are, no marking
        bits.unsigned(0);
        bits.unsigned(1);
        bits.unsigned(self.columns() * self.rows()); // all skipped
        bits.into_nal(0x41)
    }

    /// The 384 samples of the first macroblock of a row: luma line by line, then both chroma planes.
    fn samples(&self, row: u32, second: u32) -> Vec<u8> {
        let mut samples = Vec::with_capacity(384);
        for line in 0..16 {
            samples.extend([self.colour(row * 16 + line, second)[0]; 16]);
        }
        for plane in [1, 2] {
            for line in 0..8 {
                let colour = self.colour(row * 16 + line * 2, second);
                samples.extend([colour.get(plane).copied().unwrap_or(128); 8]);
            }
        }
        samples
    }

    /// The colour of a line: between two anchors, shifted a little every second.
    fn colour(&self, line: u32, second: u32) -> [u8; 3] {
        let height = u64::from(self.height.max(1));
        let place = u64::from(line) * STEPS + u64::from(second) * height;
        let scaled = place * ANCHORS * 256 / (height * STEPS);
        let (anchor, weight) = ((scaled / 256) % ANCHORS, scaled % 256);
        let at = |index: u64| {
            let index = usize::try_from(index % ANCHORS).unwrap_or(0);
            self.anchors.get(index).copied().unwrap_or([128; 3])
        };
        let (from, to) = (at(anchor), at(anchor + 1));
        let mix = |from: u8, to: u8| {
            let mixed = (u64::from(from) * (256 - weight) + u64::from(to) * weight) / 256;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])]
    }
}

/// A sample value from `least` on, never near the forbidden ends of the range.
fn shade(rng: &mut Rng, least: u8, spread: u64) -> u8 {
    least.saturating_add((rng.below(spread) & 0xff) as u8)
}
