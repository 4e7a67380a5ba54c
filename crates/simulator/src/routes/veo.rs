//! The Veo routes: submissions, records, larger versions.

pub(crate) mod record;
pub(crate) mod submission;
pub(crate) mod upgrade;
