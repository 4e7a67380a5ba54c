//! What the end of a paid call tells the account: when its request arrived, and whether the gate closes.

use std::time::Duration;

use tokio::time::Instant;
use veobatch_api::{Answer, Delivery};
use veobatch_core::{Outcome, Refusal, RefusalKind, Token, Trouble, TroubleKind, Upgrade};
use veobatch_ledger::{Arrival, GateReport, Settle, TROUBLE_WAIT};

use crate::runtime::random;

/// How long the gate closes, at least, when the service or a firewall in front of it turns a call away.
pub(crate) const BLOCKED_WAIT: Duration = Duration::from_secs(20);

/// After 429 and 430, unless the service names a time (docs/kie-api.md, section 10: at least 10 s and jitter).
const RATE_LIMITED_WAIT: Duration = Duration::from_secs(10);

/// After 455 and 550: minutes, because the gate doubles it.
const BUSY_WAIT: Duration = Duration::from_secs(60);

/// Between two checks whether there are credits again; doubled by the gate.
const NO_CREDITS_WAIT: Duration = Duration::from_secs(60);

/// When the request of a paid call arrived, as far as its answer shows.
pub(crate) fn arrival<T>(answer: &Answer<T>) -> Arrival {
    match answer.delivery {
        Delivery::NotSent => Arrival::Never,
        Delivery::Unanswered => Arrival::Unknown,
        Delivery::Answered => {
            let ago = Instant::now().duration_since(answer.answered_at);
            Arrival::Answered { took: answer.took, ago }
        }
    }
}

/// What the answer to a submission says about the service.
pub(crate) fn after_submission(answer: &Answer<Outcome>) -> GateReport {
    match &answer.outcome {
        Outcome::Accepted(_) => GateReport::Healthy,
        Outcome::Refused(refusal) => after_refusal(refusal),
        Outcome::Unknown(why) if answer.is_blocked => blocked(why, answer.retry_after),
        Outcome::NotSent(why) | Outcome::Unknown(why) => troubled(why, answer.retry_after),
    }
}

/// How an upgrade call that took a slot under `token` ended, for the account.
pub(crate) fn after_upgrade(token: Token, answer: &Answer<Upgrade>) -> Settle {
    let closed = |kind, met: &Trouble| {
        let Trouble { message, retry_after, .. } = met.clone();
        after_refusal(&Refusal { kind, code: 0, message, retry_after })
    };
    let gate = match &answer.outcome {
        Upgrade::Ready(_) | Upgrade::Waiting(_) | Upgrade::Unavailable(_) => GateReport::Healthy,
        Upgrade::NotAsked(_) => GateReport::Silent,
        Upgrade::Trouble(met) => match met.kind {
            TroubleKind::RateLimited => closed(RefusalKind::RateLimited, met),
            TroubleKind::Busy => closed(RefusalKind::Busy, met),
            TroubleKind::KeyRefused => GateReport::Silent,
            TroubleKind::Blocked => blocked(&met.message, met.retry_after),
            // Any other answer, such as too few credits for this size, is about this video only.
            TroubleKind::Transport if answer.delivery == Delivery::Answered => GateReport::Silent,
            TroubleKind::Transport => troubled(&met.message, met.retry_after),
        },
    };
    Settle { token, arrival: arrival(answer), gate }
}

/// A missing or unreadable answer. If that closes the gate, then at least for as long as the answer `asked`.
pub(crate) fn troubled(why: &str, asked: Option<Duration>) -> GateReport {
    GateReport::Troubled { why: why.to_owned(), wait: TROUBLE_WAIT.max(asked.unwrap_or_default()) }
}

/// A firewall answers in place of the service: the next call would meet the same, and be in doubt too.
fn blocked(why: &str, asked: Option<Duration>) -> GateReport {
    GateReport::Closed { why: why.to_owned(), wait: blocked_wait(asked), no_credits: false, too_many: false }
}

/// How long the gate closes when a page asks for `asked`.
pub(crate) fn blocked_wait(asked: Option<Duration>) -> Duration {
    BLOCKED_WAIT.max(asked.unwrap_or_default())
}

/// What a refusal says about the service: whether other submissions should wait, and why.
fn after_refusal(refusal: &Refusal) -> GateReport {
    let asked = refusal.retry_after.unwrap_or_default();
    let closed = |wait: Duration, no_credits| {
        // The message of an upgrade call already contains its code.
        let code = if refusal.code == 0 { String::new() } else { format!(" ({})", refusal.code) };
        let why = format!("{}{code}", refusal.message);
        let too_many = refusal.kind == RefusalKind::RateLimited;
        GateReport::Closed { why, wait: wait.max(asked), no_credits, too_many }
    };
    match refusal.kind {
        RefusalKind::Job => GateReport::Healthy,
        RefusalKind::RateLimited => closed(RATE_LIMITED_WAIT + TROUBLE_WAIT.mul_f64(0.5 * random::jitter()), false),
        RefusalKind::Busy => closed(BUSY_WAIT, false),
        RefusalKind::NoCredits => closed(NO_CREDITS_WAIT, true),
        RefusalKind::KeyRefused => GateReport::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_closes_the_gate_for_as_long_as_it_asks_for_and_for_a_while_at_least() {
        for (asked, seconds) in [(None, 20), (Some(5), 20), (Some(90), 90)] {
            let (asked, wait) = (asked.map(Duration::from_secs), Duration::from_secs(seconds));
            assert_eq!(blocked_wait(asked), wait);
            assert!(matches!(blocked("a page", asked), GateReport::Closed { wait: closed, .. } if closed == wait));
        }
    }

    #[test]
    fn trouble_is_waited_out_as_long_as_the_service_asks() {
        for (asked, seconds) in [(None, 10), (Some(3), 10), (Some(40), 40)] {
            let report = troubled("503", asked.map(Duration::from_secs));
            assert_eq!(report, GateReport::Troubled { why: "503".to_owned(), wait: Duration::from_secs(seconds) });
        }
    }
}
