//! What is known of a paid call whose outcome is not, for the person who must decide.

use serde_json::{Value, json};
use veobatch_core::{Attempt, CALLED_BACK_WITHIN, Called, Heard, State, Timestamp};
use veobatch_ledger::{Ledger, Stored};

use crate::failure::Result;
use crate::named::looking;
use crate::shapes::Time;
use crate::units::duration;

/// The evidence about a job in doubt.
#[derive(Debug)]
pub(super) struct Doubt {
    attempt: Attempt,
    called: Option<Called>,
    heard: Option<Heard>,
}

impl Doubt {
    /// What the ledger knows, if the job is in doubt.
    pub(super) async fn of(ledger: &dyn Ledger, stored: &Stored) -> Result<Option<Self>> {
        let State::InDoubt { attempt, called, .. } = &stored.record.state else { return Ok(None) };
        let heard = ledger.heard().await.map_err(|error| looking(&error))?;
        Ok(Some(Self { attempt: attempt.clone(), called: called.clone(), heard }))
    }

    pub(super) fn lines(&self, now: Timestamp) -> Vec<String> {
        let age = now.since(self.attempt.at);
        vec![
            format!("attempt {} was submitted {} ({} ago)", self.attempt.number, self.attempt.at, duration(age)),
            format!("its token is {}", self.attempt.token),
            self.callback(now),
            "the balance before and after it is not recorded: look at https://kie.ai/logs around that time".to_owned(),
        ]
    }

    fn callback(&self, now: Timestamp) -> String {
        match (&self.called, self.later()) {
            (Some(Called { task: Some(task), comparison: Some(_) }), _) => {
                format!("the service called back: task {task}; the next look of a worker compares it")
            }
            (Some(Called { task: Some(task), comparison: None }), _) => {
                format!("the service called back about task {task}, which was refused: see the history")
            }
            (Some(Called { task: None, .. }), _) => {
                "the service called back without a task id: it was made, and has most likely failed".to_owned()
            }
            (None, _) if !self.attempt.token.carries_callback() => {
                "it was sent without a callback URL, so silence means nothing".to_owned()
            }
            (None, Some(heard)) => format!(
                "it was sent with a callback URL, and nobody called back; a later submission was, {}: it was most likely \
                 not made",
                heard.at
            ),
            (None, None) if now.since(self.attempt.at) < CALLED_BACK_WITHIN => {
                "it was sent with a callback URL, and may still be called back".to_owned()
            }
            (None, None) => {
                "it was sent with a callback URL, and nobody called back; nor was any later submission".to_owned()
            }
        }
    }

    /// The callback of a later submission, if one came when this one's was due.
    fn later(&self) -> Option<Heard> {
        self.heard
            .filter(|heard| heard.submitted > self.attempt.at && heard.at >= self.attempt.at.after(CALLED_BACK_WITHIN))
    }

    pub(super) fn document(&self) -> Value {
        let heard = self.heard.map(|heard| json!({"submitted": Time(heard.submitted), "at": Time(heard.at)}));
        let task = self.called.as_ref().and_then(|called| called.task.as_ref());
        json!({
            "submitted": Time(self.attempt.at), "token": self.attempt.token,
            "callback_sent": self.attempt.token.carries_callback(),
            "called_back": self.called.is_some(), "named_task": task, "last_heard": heard,
        })
    }
}
