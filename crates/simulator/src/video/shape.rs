//! The shape and the size of a picture.

use serde::{Deserialize, Serialize};

/// The shape of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ratio {
    #[serde(rename = "16:9")]
    Landscape,
    #[serde(rename = "9:16")]
    Portrait,
}

/// The size of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Resolution {
    #[serde(rename = "720p")]
    P720,
    #[serde(rename = "1080p")]
    P1080,
    #[serde(rename = "4k")]
    P4k,
}

impl Resolution {
    /// The word of the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::P720 => "720p",
            Self::P1080 => "1080p",
            Self::P4k => "4k",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::P720, Self::P1080, Self::P4k].into_iter().find(|known| known.word() == word)
    }

    /// Width and height, in this order.
    pub(crate) fn pixels(self, ratio: Ratio) -> (u32, u32) {
        let (long, short) = match self {
            Self::P720 => (1280, 720),
            Self::P1080 => (1920, 1080),
            Self::P4k => (3840, 2160),
        };
        match ratio {
            Ratio::Landscape => (long, short),
            Ratio::Portrait => (short, long),
        }
    }
}
