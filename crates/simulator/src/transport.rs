//! How requests come in and answers go out, whole or broken.

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod connection;
