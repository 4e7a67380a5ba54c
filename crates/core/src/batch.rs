//! What a batch asks of the queue, and when it will be done.

pub(crate) mod forecast;
pub(crate) mod schedule;
pub(crate) mod settings;
