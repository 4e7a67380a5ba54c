//! What a policy presumes about a job in doubt (`--in-doubt`). It may lead to a second payment, so it is never the
//! default, it is bounded, and it never goes against what is known.

use super::context::{Context, Moved};
use crate::job::delay::NEXT_ATTEMPT;
use crate::job::doubt::{Presumption, objection};
use crate::job::record::{Record, State};
use crate::names::id::Token;

pub(super) fn presumed(record: &Record, token: &Token, because: Presumption, context: &Context<'_>) -> Moved {
    let State::InDoubt { attempt, .. } = &record.state else { return Err("is not in doubt") };
    if attempt.token != *token {
        return Err("is in doubt about another attempt by now");
    }
    if let Some(objection) = objection(record, because) {
        return Err(objection);
    }
    let mut next = record.clone();
    next.trouble = None;
    next.note(context.now, because.words());
    next.earlier.push(token.clone());
    next.state = State::Queued { due: Some(context.now + NEXT_ATTEMPT) };
    Ok(next)
}
