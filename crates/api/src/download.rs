//! Fetching result files: from hosts that are strangers, by links that came from outside, never with the key.
//!
//! Follows redirects by itself, hop by hop, so that every hop meets the same rules: http or https, never from https to
//! http, and no address but public ones. Writes nothing and judges no content: that is the worker's business.

mod file;
mod host;
mod opening;

pub use self::file::{Download, DownloadError, Part, Resume};
pub use self::host::{FileHost, FileHostConfig};
