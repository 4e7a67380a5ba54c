//! Whatever hosts the results: with and without the system's proxy, and never at a private address unless the API is there.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect;
use url::Url;

use crate::client::ConfigError;
use crate::text;
use crate::transport::address::{PublicOnly, is_loopback};
use crate::transport::tls;

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
            private: is_loopback(base) || crate::transport::address::check_literal(base).is_err(),
            user_agent: concat!("veobatch/", env!("CARGO_PKG_VERSION")).to_owned(),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// Whatever hosts the results.
#[derive(Clone, Debug)]
pub struct FileHost {
    /// Without a proxy; resolves names itself, to public addresses only.
    pub(super) direct: reqwest::Client,
    /// Through the system's proxy, which resolves names: only literal addresses can be refused.
    pub(super) proxied: reqwest::Client,
    /// The system's proxy, as it was when this was made; the clients know no other either.
    pub(super) proxy: std::sync::Arc<Matcher>,
    pub(super) private: bool,
    #[cfg(feature = "simulated")]
    pub(super) simulated: Option<std::sync::Arc<dyn crate::transport::simulated::Network>>,
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
        let build =
            |builder: reqwest::ClientBuilder| builder.build().map_err(|error| ConfigError::Setup(text::causes(&error)));
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
    pub fn simulated(self, network: std::sync::Arc<dyn crate::transport::simulated::Network>) -> Self {
        Self { simulated: Some(network), ..self }
    }
}
