//! The size of a video's picture.

use std::fmt;

use veobatch_core::Resolution;

/// Size of a picture as displayed, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Picture {
    /// A picture of this size; `None` if a side is zero.
    pub(super) fn of(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }

    /// The same, rotated by 90°.
    pub(super) fn turned(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    /// The largest resolution it fills, by its shorter side.
    pub(crate) fn resolution(self) -> Resolution {
        match self.width.min(self.height) {
            2160.. => Resolution::K4,
            1080.. => Resolution::P1080,
            _ => Resolution::P720,
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// The size of a picture, or why it is not known.
pub(crate) type Measured = Result<Picture, &'static str>;
