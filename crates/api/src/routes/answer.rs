//! What every answer of a free call is read by: whole or not, and what kind of trouble.

use std::time::Duration;

use veobatch_core::{Trouble, TroubleKind};

use super::envelope::Envelope;
use crate::text;
use crate::transport::exchange::{Exchange, Reply};

/// The answer, whole.
pub(crate) fn answered(wire: Exchange) -> Result<Reply, Trouble> {
    match wire {
        Exchange::NotSent(why) | Exchange::NoAnswer(why) => Err(trouble(TroubleKind::Transport, why, None)),
        Exchange::Answered(Reply { status, broken: Some(why), .. }) => {
            let words = format!("HTTP {status}, but the answer broke off ({why})");
            Err(trouble(TroubleKind::Transport, words, None))
        }
        Exchange::Answered(reply) => Ok(reply),
    }
}

/// The trouble in an answer that taught nothing.
pub(crate) fn trouble_from(reply: &Reply, envelope: Option<&Envelope>) -> Trouble {
    let code = envelope.map_or(reply.status, |envelope| envelope.effective(reply.status));
    let kind = match code {
        403 if reply.is_blocked() => TroubleKind::Blocked,
        401 | 403 => TroubleKind::KeyRefused,
        429 | 430 => TroubleKind::RateLimited,
        455 | 550 => TroubleKind::Busy,
        _ => TroubleKind::Transport,
    };
    let message = envelope.and_then(|envelope| envelope.message.clone()).unwrap_or_else(|| text::page(&reply.body));
    trouble(kind, format!("{message} ({code})"), reply.retry_after)
}

/// Trouble of this kind.
pub(crate) fn trouble(kind: TroubleKind, message: String, retry_after: Option<Duration>) -> Trouble {
    Trouble { kind, message, retry_after }
}
