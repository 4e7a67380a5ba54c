//! How things are printed: the two streams, questions, tables, numbers.

pub(crate) mod confirm;
pub(crate) mod counting;
pub(crate) mod format;
pub(crate) mod table;
pub(crate) mod ui;
