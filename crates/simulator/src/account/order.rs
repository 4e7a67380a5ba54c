//! What a submission asks the account for.

use super::task::TaskKind;
use crate::video::shape::{Ratio, Resolution};

/// What a submission that is in order asks for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kind: TaskKind,
    pub(crate) prompt: String,
    pub(crate) model: String,
    pub(crate) ratio: Ratio,
    pub(crate) resolution: Resolution,
    pub(crate) seconds: u32,
    /// The body, as JSON.
    pub(crate) fields: String,
    pub(crate) source: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) price: u64,
}
