//! Fetching result files: from hosts that are strangers, by links that came from outside, never with the key.
//!
//! Follows redirects by itself, hop by hop, so that every hop meets the same rules: http or https, never from https to
//! http, and no address but public ones. Writes nothing and judges no content: that is the worker's business.

mod opening;

use std::time::Duration;

use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect;
use thiserror::Error;
use url::Url;

use self::opening::Wanted;
use crate::address::{PublicOnly, is_loopback};
use crate::client::ConfigError;
use crate::{tls, words};

/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FileHostConfig {
    /// Whether links to this machine and to private networks are followed: only when the API itself is there.
    pub private: bool,
    /// Sent with every request.
    pub user_agent: String,
    /// Longest silence, before the answer and within it. There is no limit of the whole: files are large, lines slow.
    pub read_timeout: Duration,
}

impl FileHostConfig {
    /// The usual settings beside this API base. A base that names a private *network* by an address, or this machine,
    /// may hand out links of the same kind; no other may.
    pub fn beside(base: &Url) -> Self {
        Self {
            private: is_loopback(base) || crate::address::check_literal(base).is_err(),
            user_agent: concat!("veobatch/", env!("CARGO_PKG_VERSION")).to_owned(),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// Whatever hosts the results.
#[derive(Clone, Debug)]
pub struct FileHost {
    /// Without a proxy; resolves names itself, to public addresses only.
    direct: reqwest::Client,
    /// Through the system's proxy, which resolves names: only literal addresses can be refused.
    proxied: reqwest::Client,
    /// The system's proxy, as it was when this was made; the clients know no other either.
    proxy: std::sync::Arc<Matcher>,
    private: bool,
    #[cfg(feature = "simulated")]
    simulated: Option<std::sync::Arc<dyn crate::simulated::Network>>,
}

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
    response: reqwest::Response,
}

impl FileHost {
    /// A fetcher; sends nothing yet.
    pub fn new(config: &FileHostConfig) -> Result<Self, ConfigError> {
        tls::install_crypto();
        let user_agent = reqwest::header::HeaderValue::from_str(&config.user_agent)?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(user_agent.clone())
                .redirect(redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                // Fetches are few and long: a connection that was kept is more likely dead than of use.
                .pool_max_idle_per_host(0)
                .read_timeout(config.read_timeout)
        };
        let direct = if config.private { builder().no_proxy() } else { builder().no_proxy().dns_resolver(PublicOnly) };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| ConfigError::Setup(words::causes(&error)))
        };
        // A small container that only simulates may have no root certificates, and needs none.
        let has_roots = builder().build().is_ok() || !config.private;
        let with_roots = |builder: reqwest::ClientBuilder| if has_roots { builder } else { builder.tls_certs_only([]) };
        let (direct, proxied) = (build(with_roots(direct))?, build(with_roots(builder()))?);
        Ok(Self {
            direct,
            proxied,
            proxy: std::sync::Arc::new(Matcher::from_system()),
            private: config.private,
            #[cfg(feature = "simulated")]
            simulated: None,
        })
    }

    /// The same fetcher, with its requests carried by `network`.
    #[cfg(feature = "simulated")]
    #[must_use]
    pub fn simulated(self, network: std::sync::Arc<dyn crate::simulated::Network>) -> Self {
        Self { simulated: Some(network), ..self }
    }

    /// Opens the file at `url`, from where an earlier fetch ended if the host still has the same file.
    ///
    /// # Errors
    ///
    /// [`DownloadError`]'s variants are what to do next.
    pub async fn open(&self, url: &str, from: Option<Resume>) -> Result<Download, DownloadError> {
        let wanted = from.as_ref().filter(|from| from.offset > 0).map_or(Wanted::Whole, Wanted::Rest);
        let opened = opening::open(self, url, wanted).await?;
        match opened {
            Some(download) => Ok(download),
            // What is there is no beginning of this file: all of it, then.
            None => opening::open(self, url, Wanted::Whole).await?.ok_or_else(|| {
                let message = "the host refuses a part of the file that was not asked for".to_owned();
                DownloadError::Transfer { message, retry_after: None }
            }),
        }
    }

    /// Fetches at most `most` bytes of the file at `url` from byte `from` on, or its first ones from a host that sends no
    /// parts; none if the file ends before. Keeps nothing open.
    ///
    /// # Errors
    ///
    /// As [`FileHost::open`].
    pub async fn part(&self, url: &str, from: u64, most: usize) -> Result<Part, DownloadError> {
        let Some(mut download) = opening::open(self, url, Wanted::Part(from, most)).await? else {
            return Ok(Part { starts_at: from, bytes: Vec::new() });
        };
        let mut bytes = Vec::new();
        while bytes.len() < most
            && let Some(chunk) = download.chunk().await?
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(most);
        Ok(Part { starts_at: download.starts_at, bytes })
    }
}

impl Download {
    /// The next bytes; `None` once all have come. Not to be called after an error.
    ///
    /// Cancel-safe: no bytes are lost if the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        self.response.chunk().await.map_err(|error| DownloadError::Transfer {
            message: words::causes(&error.without_url()),
            retry_after: None,
        })
    }
}
