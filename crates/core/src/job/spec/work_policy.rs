//! How to work at a job: all of a spec that may change without making it another job.

/// The priority of a stored spec that gives none.
pub const FORMAT_PRIORITY: i16 = 0;

/// The attempts that a stored spec allows if it does not say.
pub const FORMAT_MAX_ATTEMPTS: u32 = 1;

/// How to work at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkPolicy {
    /// Higher goes first within the batch.
    pub priority: i16,
    /// How many attempts may be paid for, the first one included. 1 never pays for a second.
    pub max_attempts: u32,
}

impl Default for WorkPolicy {
    fn default() -> Self {
        Self { priority: FORMAT_PRIORITY, max_attempts: FORMAT_MAX_ATTEMPTS }
    }
}

impl WorkPolicy {
    /// Where `says` differs from this, which its file said before.
    pub fn restated(self, says: Self) -> Restated {
        Restated {
            priority: (says.priority != self.priority).then_some(says.priority),
            max_attempts: (says.max_attempts != self.max_attempts).then_some(says.max_attempts),
        }
    }
}

/// What a file says differently from what it said before; what is `None` it says as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restated {
    /// See [`WorkPolicy::priority`].
    pub priority: Option<i16>,
    /// See [`WorkPolicy::max_attempts`].
    pub max_attempts: Option<u32>,
}

/// Fields that a file did not give, and that hold the default of the program that admitted it, which is not the format's.
///
/// They are no content: what one program chose does not make the line another job for the next program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// [`super::Spec::model`].
    pub model: bool,
    /// [`super::Spec::aspect_ratio`].
    pub aspect_ratio: bool,
    /// [`super::Spec::resolution`].
    pub resolution: bool,
}
