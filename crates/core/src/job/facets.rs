//! The few facts about a job that the ledger may index by. Everything else is an opaque body to it.

use std::fmt;

use crate::money::Credits;
use crate::time::Timestamp;

/// What the ledger knows of a job. It takes the old ones out of its indexes and puts the new ones in, in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facets {
    /// Counted, and listed by.
    pub state: StateName,
    /// In which lane the job is due, and when. A queued job without one is due now, in the submit lane; a submitting
    /// one is due in the follow lane when its lease ends, which is the ledger's to know.
    pub due: Option<(Lane, Timestamp)>,
    /// Orders the queued jobs of a batch: higher first, then by sequence.
    pub priority: i16,
    /// How long it counts towards the cap.
    pub flight: Flight,
    /// What its attempts may have cost so far, the present one included; counts towards its batch's budget.
    pub credits: Credits,
}

/// How long a job counts as in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flight {
    /// Not at all.
    None,
    /// Until then, whatever becomes of it.
    Until(Timestamp),
    /// Until the next change.
    Unlimited,
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant),+ }

        impl $type {
            /// All of them, in the order of a job's life.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it: in keys, logs, JSON and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

names!(
    /// The states by name.
    StateName {
        /// Waits for a slot.
        Queued => "queued",
        /// The paid call is under way.
        Submitting => "submitting",
        /// The service is making the video.
        Generating => "generating",
        /// A larger version is being made.
        Upscaling => "upscaling",
        /// The video is being fetched.
        Downloading => "downloading",
        /// On disk.
        Done => "done",
        /// Ended without a video.
        Failed => "failed",
        /// The paid call's outcome is unknown.
        InDoubt => "in_doubt",
        /// Ended by a person before anything was paid.
        Cancelled => "cancelled",
    }
);

names!(
    /// The three kinds of work.
    Lane {
        /// Paid calls.
        Submit => "submit",
        /// Polls.
        Follow => "follow",
        /// Downloads.
        Save => "save",
    }
);

impl StateName {
    /// True once nothing but a person moves the job.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::InDoubt | Self::Cancelled)
    }
}
