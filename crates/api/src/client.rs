//! The client of the Veo API: the calls that pay, and those that follow what was paid for.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{ClientBuilder, Method, Request, redirect, retry};
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;
use veobatch_core::{
    Credits, Outcome, Refusal, RefusalKind, Resolution, Spec, Submission, TaskId, Trouble, Upgrade, Upgrading,
};

use crate::key::ApiKey;
use crate::permit::Permit;
use crate::routes::paid::{Answer, pay};
use crate::routes::veo::dialect::Dialect;
use crate::routes::veo::record_info::RecordInfo;
use crate::routes::veo::{record_info, upgrade};
use crate::routes::{account, masked};
use crate::transport::address::is_loopback;
use crate::transport::connection::{Connection, paying};
use crate::transport::exchange::Exchange;
use crate::transport::{exchange, tls};
use crate::{classification, text};

/// A connection, TLS included, gets this part of the whole paid call's time: 15 s of 60 s. Far less than the whole on
/// purpose: a connection that is not made in time proves that nothing was sent, a call that is not answered in time
/// proves nothing.
const CONNECT_SHARE: u32 = 4;

/// How long a polling connection may idle.
const IDLE: Duration = Duration::from_secs(5);

/// Where and how to call.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The API's base, such as `https://api.kie.ai`; may have a path.
    pub base: Url,
    /// The account's key.
    pub key: ApiKey,
    /// How submissions are spelled.
    pub dialect: Dialect,
    /// Sent with every call. Plain: odd ones are blocked (docs/kie-api.md, section 1).
    pub user_agent: String,
    /// Limit of the whole paid call.
    pub submit_timeout: Duration,
    /// Limit of every other call.
    pub poll_timeout: Duration,
}

impl ClientConfig {
    /// The usual settings.
    pub fn new(base: Url, key: ApiKey) -> Self {
        Self {
            base,
            key,
            dialect: Dialect::default(),
            user_agent: concat!("veobatch/", env!("CARGO_PKG_VERSION")).to_owned(),
            submit_timeout: Duration::from_secs(60),
            poll_timeout: Duration::from_secs(20),
        }
    }
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The base is not an http(s) URL with a host and without user, query and fragment.
    #[error("the API base must be an http(s) URL such as https://api.kie.ai, without user, query or fragment")]
    Base,
    /// The user agent or the key cannot stand in a header.
    #[error("the user agent holds a character that cannot be sent")]
    Header(#[from] InvalidHeaderValue),
    /// TLS could not be set up: most often, this machine has no root certificates.
    #[error("the HTTP client could not be set up (are root certificates, `ca-certificates`, installed?): {0}")]
    Setup(String),
}

/// The Veo API. What pays takes permits that were made from grants of the issuer `I`, and no others.
pub struct Client<I> {
    config: ClientConfig,
    paid: Connection,
    free: Connection,
    issuer: PhantomData<fn() -> I>,
}

impl<I> Client<I> {
    /// A client; sends nothing yet.
    ///
    /// # Errors
    ///
    /// All of them are for a person to correct before the program goes on.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let base = &config.base;
        let plain = base.username().is_empty() && base.password().is_none();
        let ends = base.query().is_none() && base.fragment().is_none();
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() || !plain || !ends {
            return Err(ConfigError::Base);
        }
        tls::install_crypto();
        let paid = paying(builder(&config)?.timeout(config.submit_timeout));
        let free = builder(&config)?.timeout(config.poll_timeout).pool_idle_timeout(IDLE);
        let build = |builder: ClientBuilder| {
            builder.build().map(Connection::Network).map_err(|error| ConfigError::Setup(text::causes(&error)))
        };
        Ok(Self { paid: build(paid)?, free: build(free)?, config, issuer: PhantomData })
    }

    /// A client whose calls `network` carries.
    #[cfg(feature = "simulated")]
    pub fn simulated(config: ClientConfig, network: std::sync::Arc<dyn crate::transport::simulated::Network>) -> Self {
        let paid = Connection::Simulated(std::sync::Arc::clone(&network), config.submit_timeout);
        let free = Connection::Simulated(network, config.poll_timeout);
        Self { config, paid, free, issuer: PhantomData }
    }

    /// **Pays.** Asks the service once to make the video `spec`, and says what became of it. Never fails, never retries.
    ///
    /// At most one request leaves: no redirect is followed, no request repeated, no kept connection used. The permit's
    /// deadlines are checked before the connection is made, and again once it stands, before the first byte is sent.
    /// Dropping the future half-way leaves an unknown outcome; so does a crash.
    pub async fn submit(&self, permit: Permit<I, Submission>, spec: &Spec, callback: Option<&Url>) -> Answer<Outcome> {
        let answer = match self.submission(spec, callback) {
            Ok(request) => pay(&self.paid, request, permit.leave).await.map(classification::outcome),
            Err(outcome) => Answer::unsent(outcome),
        };
        answer.map(|outcome| masked::outcome(&self.config.key, outcome))
    }

    /// How the task is.
    pub async fn poll(&self, task: &TaskId) -> RecordInfo {
        let wire = self.call(Method::GET, "veo/record-info", &[("taskId", task.as_str())], None).await;
        masked::record_info(&self.config.key, record_info::read(wire, task))
    }

    /// **Pays, if it is the first call of its size**; later ones fetch what it bought. Asks once for a larger version of the
    /// task's video number `index` (0 for the first), as [`Client::submit`] asks for a video.
    pub async fn upgrade(
        &self,
        permit: Permit<I, Upgrading>,
        task: &TaskId,
        to: Resolution,
        index: u32,
    ) -> Answer<Upgrade> {
        let request = match to {
            Resolution::P720 => {
                return Answer::unsent(Upgrade::Unavailable("720p is what every generation makes".to_owned()));
            }
            Resolution::P1080 => {
                let query = [("taskId", task.as_str()), ("index", &index.to_string())];
                self.request(Method::GET, "veo/get-1080p-video", &query, None)
            }
            Resolution::K4 => {
                let body = json!({"taskId": task.as_str(), "index": index});
                self.request(Method::POST, "veo/get-4k-video", &[], Some(&body))
            }
        };
        let answer = match request {
            Ok(request) => pay(&self.paid, request, permit.leave).await,
            Err(why) => Answer::unsent(Exchange::NotSent(why)),
        };
        answer.map(|wire| masked::upgrade(&self.config.key, upgrade::read(wire, index)))
    }

    /// The account's balance.
    pub async fn credits(&self) -> Result<Credits, Trouble> {
        let credits = account::credits(self.call(Method::GET, "chat/credit", &[], None).await);
        credits.map_err(|trouble| masked::trouble(&self.config.key, &trouble))
    }

    /// A new link to the result file at `url`, good for 20 minutes; `None` if the service makes none for this file.
    pub async fn fresh_url(&self, url: &str) -> Result<Option<String>, Trouble> {
        let body = json!({ "url": url });
        let fresh = account::fresh_url(self.call(Method::POST, "common/download-url", &[], Some(body)).await);
        fresh.map_err(|trouble| masked::trouble(&self.config.key, &trouble))
    }

    fn submission(&self, spec: &Spec, callback: Option<&Url>) -> Result<Request, Outcome> {
        self.config.dialect.check(spec).map_err(|why| {
            let message = format!("not sent: {why}");
            Outcome::Refused(Refusal { kind: RefusalKind::Job, code: 422, message, retry_after: None })
        })?;
        let body = Value::Object(self.config.dialect.body(spec, callback));
        self.request(Method::POST, "veo/generate", &[], Some(&body)).map_err(Outcome::NotSent)
    }

    async fn call(&self, method: Method, path: &str, query: &[(&str, &str)], body: Option<Value>) -> Exchange {
        match self.request(method, path, query, body.as_ref()) {
            Ok(request) => exchange::ask(&self.free, request).await,
            Err(why) => Exchange::NotSent(why),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Request, String> {
        let mut url = self.config.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.config.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::new(method, url);
        if let Some(body) = body {
            let bytes = serde_json::to_vec(body).map_err(|error| text::causes(&error))?;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(bytes.into());
        }
        Ok(request)
    }
}

impl<I> fmt::Debug for Client<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What both HTTP clients have in common: the key, no redirect, no retry, no proxy on this machine itself.
fn builder(config: &ClientConfig) -> Result<ClientBuilder, ConfigError> {
    let mut bearer = HeaderValue::from_str(&config.key.bearer())?;
    bearer.set_sensitive(true);
    let headers =
        HeaderMap::from_iter([(AUTHORIZATION, bearer), (ACCEPT, HeaderValue::from_static("application/json"))]);
    let builder = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(HeaderValue::from_str(&config.user_agent)?)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(config.submit_timeout / CONNECT_SHARE);
    let builder = if is_loopback(&config.base) { builder.no_proxy() } else { builder };
    // Without TLS its set-up must not fail for want of root certificates (a small container that only simulates).
    Ok(if config.base.scheme() == "http" { builder.tls_certs_only([]) } else { builder })
}
