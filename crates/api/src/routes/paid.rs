//! How a call ended that may have cost money, whatever was asked.

use std::time::Duration;

use reqwest::Request;
use tokio::time::Instant;

use crate::permit::Leave;
use crate::transport::connection::Connection;
use crate::transport::exchange::{self, Exchange};

/// How a paid call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What became of it.
    pub outcome: T,
    /// From handing the request to the network to the answer's end.
    pub took: Duration,
    /// When the answer was there. The request arrived at the service before this, if it did.
    pub answered_at: Instant,
    /// Whether the request left.
    pub delivery: Delivery,
    /// How long the answer asked us to wait, whatever became of the call.
    pub retry_after: Option<Duration>,
    /// Something in front of the service answered in its place (403): the next call would meet the same.
    pub is_blocked: bool,
}

/// Whether a request left, and arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is provable that no byte of it left.
    NotSent,
    /// No answer came: it may still arrive.
    Unanswered,
    /// Something answered, however badly: it arrived before that.
    Answered,
}

impl<T> Answer<T> {
    /// What is answered without asking anybody.
    pub(crate) fn unsent(outcome: T) -> Self {
        let (took, answered_at) = (Duration::ZERO, Instant::now());
        Self { outcome, took, answered_at, delivery: Delivery::NotSent, retry_after: None, is_blocked: false }
    }

    pub(crate) fn map<U>(self, read: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { outcome, took, answered_at, delivery, retry_after, is_blocked } = self;
        Answer { outcome: read(outcome), took, answered_at, delivery, retry_after, is_blocked }
    }
}

/// Sends `request` at most once, and while `leave` is good.
pub(crate) async fn pay(line: &Connection, request: Request, leave: Leave) -> Answer<Exchange> {
    let started = Instant::now();
    let wire = exchange::pay(line, request, leave).await;
    let answered_at = Instant::now();
    let (delivery, retry_after) = match &wire {
        Exchange::NotSent(_) => (Delivery::NotSent, None),
        Exchange::NoAnswer(_) => (Delivery::Unanswered, None),
        Exchange::Answered(reply) => (Delivery::Answered, reply.retry_after),
    };
    let is_blocked = matches!(&wire, Exchange::Answered(reply) if reply.is_blocked());
    let took = answered_at.duration_since(started);
    Answer { outcome: wire, took, answered_at, delivery, retry_after, is_blocked }
}
