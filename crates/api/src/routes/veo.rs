//! The Veo routes (docs/kie-api.md, sections 2 to 5).

pub(crate) mod dialect;
pub(crate) mod record_info;
pub(crate) mod upgrade;
