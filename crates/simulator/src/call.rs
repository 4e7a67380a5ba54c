//! One request on its way through the service: who may ask, where it goes to, and what is counted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use serde_json::Value;

use crate::answer::{Answer, coded};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::fault::{Occasion, Rule};
use crate::task::Task;
use crate::world::World;
use crate::{control, file, link, record, submission, upgrade};

/// Largest body that is read.
const MOST_BODY: usize = 4 << 20;

/// A request, without its body.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) config: Arc<Config>,
    pub(crate) head: Parts,
    pub(crate) endpoint: Endpoint,
    /// When its head had been read.
    pub(crate) arrived: Duration,
}

impl Call {
    /// Answers a request, and counts it.
    pub(crate) async fn answer(world: Arc<World>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let endpoint = Endpoint::of(&head.method, place(head.uri.path()));
        let call = Self { config: world.config(), arrived: world.clock.now(), world, head, endpoint };
        *call.world.account().requests.entry(endpoint).or_default() += 1;
        let answer = call.route(body).await;
        let mut account = call.world.account();
        *account.answers.entry(endpoint).or_default().entry(answer.code).or_default() += 1;
        drop(account);
        answer
    }

    async fn route(&self, body: Incoming) -> Answer {
        let is_api = !matches!(self.endpoint, Endpoint::File | Endpoint::Control | Endpoint::Unknown);
        if is_api && let Some(refused) = self.refused() {
            return refused;
        }
        match self.endpoint {
            Endpoint::Generate | Endpoint::Extend => submission::answer(self, body).await,
            Endpoint::RecordInfo => record::answer(self),
            Endpoint::Video1080p => upgrade::answer_1080p(self),
            Endpoint::Video4k => upgrade::answer_4k(self, body).await,
            Endpoint::Credit => link::answer_credit(self),
            Endpoint::DownloadUrl => link::answer_download_url(self, body).await,
            Endpoint::File => file::answer(self),
            Endpoint::Control => control::answer(self, body).await,
            Endpoint::Unknown => self.code(404),
        }
    }

    /// The answer for those who may not ask, or to whom nobody listens.
    fn refused(&self) -> Option<Answer> {
        let header = self.head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = header.strip_prefix("Bearer ").unwrap_or_default().trim();
        let keys = &self.config.keys;
        if key.is_empty() || !(keys.is_empty() || keys.iter().any(|known| known == key)) {
            return Some(self.code(401));
        }
        self.config.maintenance.then(|| self.code(455))
    }

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
        let rule = self.world.account().rule(&self.config, self.endpoint.faults(), &occasion);
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
        host.map_or_else(|| format!("http://{}", self.world.address), |host| format!("http://{host}"))
    }
}

/// Reads a body, or nothing if it is broken off or too long.
pub(crate) async fn read(body: Incoming) -> Option<Bytes> {
    Limited::new(body, MOST_BODY).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// A redirected request is served as if it had not been.
fn place(path: &str) -> &str {
    path.strip_prefix("/moved").unwrap_or(path)
}
