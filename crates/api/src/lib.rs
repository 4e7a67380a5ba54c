//! Talks to the Veo API of kie.ai; the only crate that can spend money, and the only one that speaks HTTP.
//!
//! ```text
//! Spec ── Dialect ──▶ JSON ─▶ Client::submit ══▶ the service        (takes a Permit by value)
//!                             Client::upgrade ══▶ the service        (takes a Permit by value)
//!                             Client::poll …  ──▶ the service        (spend nothing)
//!                             FileHost::open  ──▶ the result's host  (never with the key)
//! bytes on the wire ── classification ──▶ accepted, refused, not sent, unknown
//! ```
//!
//! Promises: one permit puts at most one request on the wire; what became of a submission is decided in one
//! pure function, and what is not provably free is *unknown*; the key reaches the API base and nothing else.
//! Keeps no state, paces nothing, and repeats nothing but a free call whose connection ended without an answer: the rest
//! is the ledger's and the worker's business.

mod classification;
mod client;
mod download;
mod key;
mod permit;
mod routes;
mod text;
mod transport;

pub use client::{Client, ClientConfig, ConfigError};
pub use download::{Download, DownloadError, FileHost, FileHostConfig, Part, Resume};
pub use key::{ApiKey, KeyError};
pub use permit::{Permit, wall_clock};
pub use routes::paid::{Answer, Delivery};
pub use routes::veo::dialect::Dialect;
pub use routes::veo::record_info::RecordInfo;
pub use text::redact;
pub use transport::address::is_loopback;
#[cfg(feature = "simulated")]
pub use transport::simulated;
pub use transport::tls::install_crypto;
