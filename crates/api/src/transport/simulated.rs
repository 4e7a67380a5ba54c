//! What stands in for the network in a simulation: it gets whole requests, and gives answers or none.
//!
//! Everything on this side of it is the product's: how a request is spelled, what an answer means, which outcome is
//! unknown. Exists only with the feature `simulated`, which no crate of the product turns on.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use reqwest::{Body, Request, Response};
use tokio::sync::mpsc;
use url::Url;
use veobatch_core::Token;

use super::undelivered::Undelivered;
pub use crate::permit::simulated::{WallClock, set_wall_clock};

/// Carries requests. A request whose future is dropped may have left all the same.
pub trait Network: fmt::Debug + Send + Sync {
    /// Carries one request to whoever answers it.
    fn carry(&self, sent: Sent) -> Pin<Box<dyn Future<Output = Result<Answer, Lost>> + Send>>;
}

/// A request as it leaves.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `GET`, `POST`.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// The first byte that is asked for, where it is not 0.
    pub from: u64,
    /// What is sent.
    pub body: Vec<u8>,
    /// The attempt that it pays for, if it pays. Not on the wire.
    pub attempt: Option<Token>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// In lower case, with their values.
    pub headers: Vec<(&'static str, String)>,
    /// How many bytes are to come, if it is said.
    pub length: Option<u64>,
    /// The bytes, as they come. Fewer than were said must end with an error.
    pub body: mpsc::Receiver<io::Result<Bytes>>,
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It is provable that no byte of the request left.
    NotSent(String),
    /// The request may have arrived.
    NoAnswer(String),
}

impl From<Lost> for Undelivered {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::NotSent(why) => Self::NotSent(why),
            Lost::NoAnswer(why) => Self::NoAnswer(why),
        }
    }
}

impl Sent {
    pub(crate) fn of(request: &Request, attempt: Option<Token>) -> Self {
        let range = request.headers().get(reqwest::header::RANGE).and_then(|range| range.to_str().ok());
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok());
        Self {
            method: request.method().to_string(),
            url: request.url().clone(),
            from: from.unwrap_or_default(),
            body: request.body().and_then(Body::as_bytes).unwrap_or_default().to_owned(),
            attempt,
        }
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let mut builder = hyper::Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            builder = builder.header(name, value);
        }
        let body = Arriving { chunks: answer.body, left: answer.length };
        // Only a simulation with an impossible header comes to the default.
        builder.body(Body::wrap(body)).unwrap_or_default().into()
    }
}

/// A body on its way.
#[derive(Debug)]
struct Arriving {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.chunks.poll_recv(cx).map(|chunk| {
            let chunk = chunk?;
            if let (Ok(chunk), Some(left)) = (&chunk, &mut self.left) {
                *left = left.saturating_sub(chunk.len() as u64);
            }
            Some(chunk.map(Frame::data))
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}
