//! What the ledger knows, in words and as JSON.

pub(crate) mod account;
pub(crate) mod attention;
pub(crate) mod blocked;
pub(crate) mod budgets;
pub(crate) mod costs;
pub(crate) mod durations;
pub(crate) mod forecast;
pub(crate) mod json;
pub(crate) mod messages;
pub(crate) mod progress;
pub(crate) mod slots;
pub(crate) mod summary;
