//! The door: connections, requests and their limits. What a stranger sends costs little, and never more than its time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info};

use super::Receiver;
use super::counts::CallbackOutcome;
use super::receive::receive;
use crate::runtime::worker::Worker;

/// Connections at a time; others wait in the system's queue.
const CONNECTIONS: usize = 256;

/// For the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// For a whole connection, from its first byte to its last: below the 15 s that the sender waits.
const WITHIN: Duration = Duration::from_secs(12);

/// For the body of a request.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// Largest body; those seen have a few kB.
const MOST_BODY: usize = 256 << 10;

/// How long connections under way are waited for at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Serves callbacks until `stop`.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    receiver: Arc<Receiver>,
    listener: Arc<TcpListener>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut running = JoinSet::new();
    while let Some((stream, permit)) = stop.run_until_cancelled(next(&listener, &room, &mut running)).await {
        let (worker, receiver) = (Arc::clone(&worker), Arc::clone(&receiver));
        let conversation = async move {
            converse(&worker, &receiver, stream).await;
            drop(permit);
        };
        running.spawn(conversation.in_current_span());
    }
    let ended = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_WITHIN, ended).await.is_err() {
        debug!("connections of callbacks are cut off; their senders try again");
    }
    info!("callbacks: {}", receiver.counts);
}

/// The next connection, and the room for it. Those that have ended are forgotten meanwhile.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    running: &mut JoinSet<()>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        while running.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // Out of file descriptors, mostly: others must be closed first.
            Err(error) => {
                debug!(%error, "a connection of a callback could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Answers one request, within its time.
async fn converse(worker: &Worker, receiver: &Receiver, stream: TcpStream) {
    let answer = service_fn(|request| async { Ok::<_, Infallible>(answer(worker, receiver, request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(WITHIN, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection of a callback ended early"),
        Err(_) => debug!("a connection of a callback took too long"),
    }
}

async fn answer(worker: &Worker, receiver: &Receiver, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/health" {
        return match head.method {
            Method::GET | Method::HEAD => respond(StatusCode::OK, receiver.counts.document().to_string()),
            _ => respond(StatusCode::METHOD_NOT_ALLOWED, "{}"),
        };
    }
    if head.method != Method::POST {
        return respond(StatusCode::METHOD_NOT_ALLOWED, "{}");
    }
    let body = tokio::time::timeout(BODY_WITHIN, Limited::new(body, MOST_BODY).collect()).await;
    let outcome = match body {
        Ok(Ok(body)) => receive(worker, receiver, path, &head.headers, &body.to_bytes()).await,
        Ok(Err(_)) | Err(_) => CallbackOutcome::Malformed,
    };
    receiver.counts.add(outcome);
    debug!(?outcome, "a callback");
    respond(status(outcome), "{}")
}

fn status(outcome: CallbackOutcome) -> StatusCode {
    match outcome {
        CallbackOutcome::Taken | CallbackOutcome::Known => StatusCode::OK,
        CallbackOutcome::Unknown => StatusCode::NOT_FOUND,
        CallbackOutcome::Forged => StatusCode::UNAUTHORIZED,
        CallbackOutcome::Malformed => StatusCode::BAD_REQUEST,
        CallbackOutcome::Refused => StatusCode::CONFLICT,
        CallbackOutcome::Deferred => StatusCode::SERVICE_UNAVAILABLE,
        CallbackOutcome::Limited => StatusCode::TOO_MANY_REQUESTS,
    }
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
