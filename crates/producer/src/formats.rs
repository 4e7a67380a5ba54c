//! From files and standard input to nodes: what is written, and where.

pub(crate) mod json;
pub(crate) mod jsonl;
pub(crate) mod node;
pub(crate) mod source;
pub(crate) mod yaml;
