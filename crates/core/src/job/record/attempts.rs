//! What a record knows of its attempts: the present one, those that may have been paid for, and those that ended.

use super::Record;
use super::attempt::Attempt;
use super::state::State;
use crate::names::id::Token;

/// Most attempts that ended whose tokens are kept. Of one that was dropped a late word raises a doubt once more, which costs
/// a person a question and never a payment.
const MAX_ENDED: usize = 32;

impl Record {
    /// The number of the present or last attempt; 0 if none was made.
    pub fn attempt(&self) -> u32 {
        match &self.state {
            State::Submitting { attempt } => attempt.number,
            State::Queued { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::InDoubt { .. }
            | State::Failed { .. }
            | State::Cancelled => self.attempts,
        }
    }

    /// Whether `token` is that of an attempt of this job, as far as its record goes back.
    pub fn knows(&self, token: &Token) -> bool {
        let open = self.attempts_open().map(|(attempt, _)| &attempt.token);
        let last = self.last.iter().map(|attempt| &attempt.token);
        let others = self.earlier.iter().chain(&self.ended).chain(self.strays.iter().map(|stray| &stray.token));
        // Every one of them is compared, and each wholly: the time it takes says nothing of how near a guess was.
        open.chain(last).chain(others).fold(false, |known, of| known | of.equals(token))
    }

    /// Whether it is done and keeps no token of its attempts: it is compact, or from a ledger of format 1.
    pub fn has_forgotten_its_attempts(&self) -> bool {
        matches!(self.state, State::Done { .. }) && self.last.is_none() && self.ended.is_empty()
    }

    /// The attempts that may have been paid for and of which nobody knows it, with the reason; the one that the state is
    /// about first.
    pub fn attempts_open(&self) -> impl Iterator<Item = (&Attempt, Option<&str>)> {
        let own = match &self.state {
            State::Submitting { attempt } => Some((attempt, None)),
            State::InDoubt { attempt, why, .. } => Some((attempt, Some(why.as_str()))),
            State::Queued { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::Done { .. }
            | State::Failed { .. }
            | State::Cancelled => None,
        };
        own.into_iter().chain(self.open.iter().map(|open| (&open.attempt, Some(open.why.as_str()))))
    }

    /// Makes `attempt` the last one; the one before it is remembered by its token.
    pub(crate) fn succeed(&mut self, attempt: Attempt) {
        if let Some(before) = self.last.replace(attempt) {
            self.end(before.token);
        }
    }

    /// Remembers that the attempt of `token` ended.
    pub(crate) fn end(&mut self, token: Token) {
        if self.knows(&token) {
            return;
        }
        if self.ended.len() >= MAX_ENDED {
            self.ended.remove(0);
        }
        self.ended.push(token);
    }
}
