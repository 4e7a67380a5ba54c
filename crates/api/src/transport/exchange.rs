//! One exchange on the wire: what was sent, and what came back, before anybody judges it.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Request, Response};

use super::connection::Connection;
use super::undelivered::Undelivered;
use crate::permit::Leave;
use crate::routes::envelope::Envelope;
use crate::text;

/// Most bytes of an answer that are read; the service's answers have a few hundred.
const MAX_ANSWER: usize = 1 << 20;

/// Longest wait that is taken over from the service. It documents none (docs/kie-api.md, section 11).
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What happened on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// It is provable that no byte of the request left.
    NotSent(String),
    /// The request may have arrived; no answer came.
    NoAnswer(String),
    /// An answer came.
    Answered(Reply),
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// HTTP's.
    pub(crate) status: u16,
    /// The wait that the service asked for.
    pub(crate) retry_after: Option<Duration>,
    /// As much of the body as came.
    pub(crate) body: Vec<u8>,
    /// Why the body is not whole, if it is not.
    pub(crate) broken: Option<String>,
}

impl Reply {
    /// Whether something in front of the service turned the request away, or hid the answer: 403 without the service's
    /// own code.
    pub(crate) fn is_blocked(&self) -> bool {
        self.status == 403 && !Envelope::read(&self.body).is_some_and(|envelope| envelope.has_code())
    }
}

/// Sends `request`, which pays, at most once and while `leave` is good, and reads the answer.
pub(crate) async fn pay(line: &Connection, request: Request, leave: Leave) -> Exchange {
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    received(line.pay(request, leave).await, &method, &path).await
}

/// Sends `request`, which is free, and reads the answer.
pub(crate) async fn ask(line: &Connection, request: Request) -> Exchange {
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    received(line.ask(request).await, &method, &path).await
}

async fn received(answer: Result<Response, Undelivered>, method: &Method, path: &str) -> Exchange {
    let wire = match answer {
        Ok(response) => Exchange::Answered(reply(response).await),
        Err(Undelivered::NotSent(why)) => Exchange::NotSent(why),
        Err(Undelivered::NoAnswer(why)) => Exchange::NoAnswer(why),
    };
    match &wire {
        Exchange::Answered(Reply { status, .. }) => tracing::debug!(%method, path, status, "answered"),
        Exchange::NotSent(why) | Exchange::NoAnswer(why) => tracing::debug!(%method, path, why, "not answered"),
    }
    wire
}

async fn reply(mut response: Response) -> Reply {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let mut body = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER => break Some("it is too long".to_owned()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break None,
            Err(error) => break Some(text::causes(&error.without_url())),
        }
    };
    Reply { status, retry_after, body, broken }
}

/// `Retry-After` in seconds; its other form, a date, needs a clock that is right and is left out.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
