//! Where a request goes: who may ask, what answers, and what is counted.

mod control;
mod files;
mod links;
mod signature;
pub(crate) mod veo;

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;

use self::veo::{record, submission, upgrade};
use crate::endpoint::Endpoint;
use crate::state::State;
use crate::transport::answer::Answer;
use crate::transport::call::{Call, place};

/// Answers a request, and counts it.
pub(crate) async fn respond(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let endpoint = Endpoint::of(&head.method, place(head.uri.path()));
    let call = Call { config: state.config(), arrived: state.clock.now(), state, head, endpoint };
    *call.state.account().requests.entry(endpoint).or_default() += 1;
    let answer = route(&call, body).await;
    let mut account = call.state.account();
    *account.answers.entry(endpoint).or_default().entry(answer.code).or_default() += 1;
    drop(account);
    answer
}

async fn route(call: &Call, body: Incoming) -> Answer {
    let is_api = !matches!(call.endpoint, Endpoint::File | Endpoint::Control | Endpoint::Unknown);
    if is_api && let Some(refused) = refused(call) {
        return refused;
    }
    match call.endpoint {
        Endpoint::Generate | Endpoint::Extend => submission::answer(call, body).await,
        Endpoint::RecordInfo => record::answer(call),
        Endpoint::Video1080p => upgrade::answer_1080p(call),
        Endpoint::Video4k => upgrade::answer_4k(call, body).await,
        Endpoint::Credit => links::answer_credit(call),
        Endpoint::DownloadUrl => links::answer_download_url(call, body).await,
        Endpoint::File => files::answer(call),
        Endpoint::Control => control::answer(call, body).await,
        Endpoint::Unknown => call.code(404),
    }
}

/// The answer for those who may not ask, or while the service is closed for maintenance.
fn refused(call: &Call) -> Option<Answer> {
    let header = call.head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = header.strip_prefix("Bearer ").unwrap_or_default().trim();
    let keys = &call.config.keys;
    if key.is_empty() || !(keys.is_empty() || keys.iter().any(|known| known == key)) {
        return Some(call.code(401));
    }
    call.config.maintenance.then(|| call.code(455))
}
