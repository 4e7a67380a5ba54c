//! The listener: connections, requests and their limits. What an unknown sender sends costs little, and only for a limited
//! time.

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

/// Concurrent connections; others wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;

/// Time limit for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Time limit for a whole connection: below the 15 s that the sender waits.
const CONNECTION_LIMIT: Duration = Duration::from_secs(12);

/// Time limit for the body of a request.
const BODY_LIMIT: Duration = Duration::from_secs(5);

/// Largest body, in bytes; those seen have a few kB.
const MAX_BODY: usize = 256 << 10;

/// How long open connections are waited for at shutdown.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Serves callbacks until `stop`.
pub(crate) async fn serve(receiver: Arc<Receiver>, listener: Arc<TcpListener>, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut running = JoinSet::new();
    while let Some((stream, permit)) = stop.run_until_cancelled(next(&listener, &room, &mut running)).await {
        let receiver = Arc::clone(&receiver);
        let connection = async move {
            answer_connection(&receiver, stream).await;
            drop(permit);
        };
        running.spawn(connection.in_current_span());
    }
    let ended = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_LIMIT, ended).await.is_err() {
        debug!("closing callback connections; their senders will try again");
    }
    info!("callbacks: {}", receiver.counts);
}

/// The next connection and its permit. Reaps connections that have ended.
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
            // Usually out of file descriptors: others must be closed first.
            Err(error) => {
                debug!(%error, "a callback connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Answers one request, within its time limit.
async fn answer_connection(receiver: &Receiver, stream: TcpStream) {
    let answer = service_fn(|request| async { Ok::<_, Infallible>(answer(receiver, request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(CONNECTION_LIMIT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a callback connection ended early"),
        Err(_) => debug!("a callback connection took too long"),
    }
}

async fn answer(receiver: &Receiver, request: Request<Incoming>) -> Response<Full<Bytes>> {
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
    let body = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await;
    let outcome = match body {
        Ok(Ok(body)) => receive(receiver, path, &head.headers, &body.to_bytes()).await,
        Ok(Err(_)) | Err(_) => CallbackOutcome::Malformed,
    };
    receiver.counts.add(outcome);
    debug!(?outcome, "received a callback");
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
