//! What the two upgrade calls say (docs/kie-api.md, sections 4 and 5). Both *start* the paid upgrade when first called, and
//! fetch it later.
//!
//! A link in the payload is the answer, whatever the code: the 4k call reports success as 422. Without one, the words
//! tell what the codes cannot. What is in doubt waits: the state table gives up after a limit, and keeps the base video.

use serde_json::Value;
use veobatch_core::{TroubleKind, Upgrade};

use crate::routes::answer::{answered, trouble, trouble_from};
use crate::routes::envelope::{Envelope, member};
use crate::routes::links;
use crate::transport::exchange::Exchange;

/// Words after which no larger version will come.
const NEVER: [&str; 8] = [
    "unavailable",
    "not available",
    "14 days",
    "not support",
    "unsupported",
    "not eligible",
    "cannot be upgraded",
    "already 1080p",
];

/// What `wire` says about the video number `index` of a task.
pub(crate) fn read(wire: Exchange, index: u32) -> Upgrade {
    let reply = match answered(wire) {
        Ok(reply) => reply,
        Err(trouble) => return Upgrade::Trouble(trouble),
    };
    let Some(envelope) = Envelope::read(&reply.body).filter(Envelope::has_code) else {
        return Upgrade::Trouble(trouble_from(&reply, None));
    };
    if let Some(link) = link(&envelope.data, index) {
        return Upgrade::Ready(link);
    }
    let code = envelope.effective(reply.status);
    let message = envelope.message.clone().unwrap_or_else(|| "no words were given".to_owned());
    let says = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|words| message.contains(words))
    };
    let words = format!("{message} ({code})");
    match code {
        401 | 403 | 429 | 430 | 455 | 550 => Upgrade::Trouble(trouble_from(&reply, Some(&envelope))),
        // Not a reason to give the larger version up: it is asked for again, within the limit.
        402 | 433 => Upgrade::Trouble(trouble(TroubleKind::Transport, words, reply.retry_after)),
        _ if says(&NEVER) => Upgrade::Unavailable(words),
        404 | 451 | 501 | 505 => Upgrade::Unavailable(words),
        // The base video exists, so a record that is "null", "blank" or "not exist" is the upgrade's, not yet made. Any
        // other code is the service's own word about this video too (500 early on): asked again, but not for long.
        _ => Upgrade::Waiting(words),
    }
}

fn link(data: &Value, index: u32) -> Option<String> {
    const ONE: [&str; 4] = ["resultUrl", "result_url", "videoUrl", "video_url"];
    const MANY: [&str; 2] = ["resultUrls", "result_urls"];
    if let Some(link) = data.as_str().and_then(links::link) {
        return Some(link);
    }
    ["info", "response"].iter().filter_map(|name| data.get(name)).chain([data]).find_map(|place| {
        let one = ONE.iter().find_map(|name| links::link(place.get(name)?.as_str()?));
        let mut many = member(place, &MANY).map(links::read).unwrap_or_default();
        // The call asked for one video. Where it lists several, they stand in the task's order.
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let listed = if many.len() > at { Some(many.swap_remove(at)) } else { many.pop() };
        one.or(listed)
    })
}

#[cfg(test)]
#[path = "upgrade/tests.rs"]
mod tests;
