//! One request on its way through the service, and what every answer to it needs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::request::Parts;
use serde_json::Value;

use crate::account::task::Task;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::fault::{Occasion, Rule};
use crate::state::State;
use crate::transport::answer::{Answer, coded};

/// Largest body that is read.
const MOST_BODY: usize = 4 << 20;

/// A request, without its body.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) config: Arc<Config>,
    pub(crate) head: Parts,
    pub(crate) endpoint: Endpoint,
    /// When its head had been read.
    pub(crate) arrived: Duration,
}

impl Call {
    /// An answer in the envelope.
    pub(crate) fn envelope(&self, code: u16, message: &str, data: &Value) -> Answer {
        Answer::envelope(self.config.dialect.status, code, message, data)
    }

    /// An error with the documentation's words.
    pub(crate) fn code(&self, code: u16) -> Answer {
        coded(self.config.dialect.status, code)
    }

    /// An answer as it becomes under a rule.
    pub(crate) fn spoiled(&self, answer: Answer, rule: Option<&Rule>) -> Answer {
        let place = self.head.uri.path_and_query().map_or("/", |place| place.as_str());
        match rule {
            Some(rule) => answer.spoiled(rule, self.config.dialect.status, place),
            None => answer,
        }
    }

    /// The same, for the rule of this endpoint that holds for the `nth` request about a task.
    pub(crate) fn faulty(&self, answer: Answer, nth: u64, task: Option<&Task>) -> Answer {
        let (prompt, key) = task.map_or(("", 0), |task| (task.prompt.as_str(), task.submission));
        let occasion = Occasion { nth, prompt, key, is_early: false };
        let rule = self.state.account().rule(&self.config, self.endpoint.faults(), &occasion);
        self.spoiled(answer, rule.as_ref())
    }

    /// The path, without the prefix of a redirection.
    pub(crate) fn path(&self) -> &str {
        place(self.head.uri.path())
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.head.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Where this client reaches the service.
    pub(crate) fn base(&self) -> String {
        if let Some(public) = &self.config.public_url {
            return public.trim_end_matches('/').to_owned();
        }
        let host = self.head.headers.get(HOST).and_then(|host| host.to_str().ok());
        host.map_or_else(|| format!("http://{}", self.state.address), |host| format!("http://{host}"))
    }
}

/// Reads a body, or nothing if it is broken off or too long.
pub(crate) async fn read(body: Incoming) -> Option<Bytes> {
    Limited::new(body, MOST_BODY).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// A redirected request is served as if it had not been.
pub(crate) fn place(path: &str) -> &str {
    path.strip_prefix("/moved").unwrap_or(path)
}
