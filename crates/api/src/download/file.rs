//! A file on its way, and why it did not come.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::text;

/// Where an earlier, broken-off fetch of the same file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Bytes that are there.
    pub offset: u64,
    /// The [`Download::validator`] of the fetch that brought them.
    pub validator: String,
}

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where they begin: where they were asked for, or 0 from a host that sends no parts.
    pub starts_at: u64,
    /// As many as were asked for, if the file has so many.
    pub bytes: Vec<u8>,
}

/// Why a file, or the rest of it, did not come. Named for what can be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DownloadError {
    /// The link is refused, expired or none: ask for a new one.
    #[error("the link does not work: {0}")]
    Link(String),
    /// The host or the network: try again later, and go on where it ended.
    #[error("the file host or the network failed: {message}")]
    Transfer {
        /// In words.
        message: String,
        /// How long the host asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The link, or a redirect, leads where files must not be fetched from.
    #[error("the link is not followed: {0}")]
    Refused(String),
}

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    /// The file's byte that comes first: the resume's offset if the host agreed, else 0 (start over).
    pub starts_at: u64,
    /// Bytes that are to come, if the host said so. Fewer are an error, not an end.
    pub length: Option<u64>,
    /// Bytes of the whole file, if the host said so.
    pub total: Option<u64>,
    /// What tells whether the file is still the same one: a strong `ETag`, else `Last-Modified`. Kept for [`Resume`].
    pub validator: Option<String>,
    /// What the host says it is.
    pub content_type: Option<String>,
    pub(super) response: reqwest::Response,
}

impl Download {
    /// The next bytes; `None` once all have come. Not to be called after an error.
    ///
    /// Cancel-safe: no bytes are lost if the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        self.response
            .chunk()
            .await
            .map_err(|error| DownloadError::Transfer { message: text::causes(&error.without_url()), retry_after: None })
    }
}
