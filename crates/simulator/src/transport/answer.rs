//! An answer, and every way in which it can go wrong on the wire.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::config::Status;
use crate::fault::{Fault, Rule};
use crate::rng::Rng;
use crate::transport::connection::{Connection, Cut};

/// Pause before a cut, in which what was written leaves the machine.
const BEFORE_CUT: Duration = Duration::from_millis(30);
/// Pieces of a slow download.
const DROPS: u32 = 20;
/// Default of a rule's delay.
const DELAY_MS: u64 = 5_000;

/// What is sent back, and in what manner.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The code of the body, or the status where there is none. 0 once nothing of it arrives.
    pub(crate) code: u16,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
    pub(crate) manner: Manner,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Whole,
    /// So many bytes of the body, then the cut.
    Part(usize, Cut),
    Drops(Duration),
    /// Nothing but the cut.
    None(Cut),
    Never,
}

impl Answer {
    /// A body of this type.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            code: status,
            headers: vec![(CONTENT_TYPE, content_type.to_owned())],
            body: body.into(),
            delay: Duration::ZERO,
            manner: Manner::Whole,
        }
    }

    /// Plain JSON with a status.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// The API's envelope (docs/kie-api.md, section 1).
    pub(crate) fn envelope(dialect: Status, code: u16, message: &str, data: &Value) -> Self {
        let status = match dialect {
            Status::Real if (400..600).contains(&code) => code,
            Status::Envelope if code == 429 => code,
            Status::Real | Status::Envelope | Status::Always200 => 200,
        };
        Self { code, ..Self::json(status, &json!({"code": code, "msg": message, "data": data})) }
    }

    /// The same, later.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// What becomes of it under a rule. `path` is where the request went to.
    pub(crate) fn spoiled(self, rule: &Rule, dialect: Status, path: &str) -> Self {
        let length = self.body.len();
        let delay = Duration::from_millis(rule.delay_ms.unwrap_or(DELAY_MS));
        let lost = |manner| Self { code: 0, manner, ..Self::new(200, "application/json", Bytes::new()) };
        match rule.fault {
            Fault::Unread | Fault::Close => lost(Manner::None(Cut::Close)),
            Fault::Reset => lost(Manner::None(Cut::Reset)),
            Fault::Hang => lost(Manner::Never),
            Fault::Half => Self { manner: Manner::Part(length / 2, Cut::Close), ..self },
            Fault::Truncate => Self { manner: Manner::Part(length * 2 / 3, Cut::Close), ..self },
            Fault::ResetMidway => Self { manner: Manner::Part(length / 2, Cut::Reset), ..self },
            Fault::Stall => self.after(delay),
            Fault::Trickle => Self { manner: Manner::Drops(delay), ..self },
            Fault::Code => coded(dialect, rule.code.unwrap_or(500)),
            Fault::Html => page(rule.code.unwrap_or(502)),
            Fault::Status => bare(rule.code.unwrap_or(404)),
            Fault::NotJson => {
                Self::new(200, "application/json", "{\"code\":200,\"msg\":\"success\",\"data\":{\"taskId")
            }
            Fault::Empty => Self::new(200, "application/json", ""),
            Fault::Redirect => moved(rule.code.unwrap_or(302), path),
            Fault::WrongLength => Self { body: self.body.slice(..length * 2 / 3), ..self },
            Fault::Corrupt => Self { body: noise(&self.body), ..self },
        }
    }

    /// Sends it: the response, or how the connection is cut instead.
    pub(crate) async fn send(self, line: &Connection) -> Result<Response<UnsyncBoxBody<Bytes, Cut>>, Cut> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let length = self.body.len();
        let body = match self.manner {
            Manner::Never => std::future::pending().await,
            Manner::None(cut) => {
                line.cut(cut);
                return Err(cut);
            }
            Manner::Whole => Full::new(self.body).map_err(|never: Infallible| match never {}).boxed_unsync(),
            Manner::Part(sent, cut) => part(self.body.slice(..sent), cut, line.clone()),
            Manner::Drops(total) => drops(&self.body, total),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        Ok(response)
    }
}

/// The words that the vendor's documentation puts beside a code (docs/kie-api.md, section 10).
pub(crate) fn coded(dialect: Status, code: u16) -> Answer {
    let message = match code {
        400 => "Bad request",
        401 => "You do not have access permissions",
        402 => "Insufficient credits",
        404 => "Not found",
        408 => "Timeout: the upstream gave no result",
        422 => "Validation error",
        429 => "Your call frequency is too high",
        430 => "Call frequency too high, please try again later",
        433 => "The apiKey has reached its daily limit",
        451 => "Failed to fetch the image. Kindly verify any access limits set by you or your service provider",
        455 => "The service is currently undergoing maintenance",
        501 => "Generation failed",
        505 => "This feature is currently disabled",
        550 => "The queue is full, please try again later",
        _ => "Server error, please try again later or contact customer service",
    };
    Answer::envelope(dialect, code, message, &Value::Null)
}

fn page(status: u16) -> Answer {
    let text = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body><center><h1>{status} – please come back later</h1></center><hr><center>nginx</center></body></html>\n"
    );
    Answer::new(status, "text/html; charset=utf-8", text)
}

fn bare(status: u16) -> Answer {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    let code: String = reason.split_whitespace().collect();
    Answer::new(status, "application/xml", format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"))
}

fn moved(status: u16, path: &str) -> Answer {
    let mut answer = Answer::new(status, "text/plain", "moved\n");
    answer.headers.push((LOCATION, format!("/moved{path}")));
    answer
}

/// As long as the body, but noise from the start.
fn noise(body: &Bytes) -> Bytes {
    let mut rng = Rng::of("noise");
    let start: Vec<u8> =
        std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten().take(body.len().min(8_192)).collect();
    let rest = body.slice(start.len()..);
    [&start[..], &rest].concat().into()
}

fn part(sent: Bytes, cut: Cut, line: Connection) -> UnsyncBoxBody<Bytes, Cut> {
    let pieces = stream::unfold(Some(sent), move |left| {
        let line = line.clone();
        async move {
            if let Some(bytes) = left.filter(|bytes| !bytes.is_empty()) {
                return Some((Ok(Frame::data(bytes)), None));
            }
            tokio::time::sleep(BEFORE_CUT).await;
            line.cut(cut);
            Some((Err(cut), None))
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn drops(body: &Bytes, total: Duration) -> UnsyncBoxBody<Bytes, Cut> {
    let size = body.len().div_ceil(DROPS as usize).max(1);
    let pieces = stream::unfold(body.clone(), move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(total / DROPS).await;
        let piece = left.split_to(size.min(left.len()));
        Some((Ok(Frame::data(piece)), left))
    });
    StreamBody::new(pieces).boxed_unsync()
}
