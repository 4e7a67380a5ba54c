//! The calls of the service: how each is spelled, and what its answer means.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod envelope;
pub(crate) mod links;
pub(crate) mod masked;
pub(crate) mod paid;
pub(crate) mod veo;
