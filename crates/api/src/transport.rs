//! How requests leave this program, and answers come in.

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod exchange;
#[cfg(feature = "simulated")]
pub mod simulated;
pub(crate) mod tls;
pub(crate) mod undelivered;
