//! Callbacks: the service reports that a task ended, with a POST to a URL that only it and this ledger know.
//!
//! ```text
//! submission ══ callBackUrl: <base>/<token>/<job> ══▶ the service
//!                                                        │ POST, repeated until answered with 200
//! [ledger] ◀── put ── receive ◀── verified ◀── listener
//!                        ╰─ unknown token: rate-limited
//! ```
//!
//! A callback is a hint. For a task that is being followed it makes the next poll due; for a paid call whose answer was lost
//! it brings the task id back, which is verified before it is used. It is answered with 200 only once the ledger has stored
//! it; otherwise the sender tries again. A sender that does not know the attempt's token changes nothing.

mod address;
mod body;
mod counts;
pub(crate) mod listener;
pub(crate) mod receive;
pub(crate) mod signature;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use url::Url;
use veobatch_core::{JobKey, Timestamp, Token};

pub(crate) use self::counts::CallbackOutcome;
use self::counts::Counts;
use self::signature::WebhookKey;
use crate::options::Callbacks;
use crate::runtime::context::Context;

/// Callbacks with unknown tokens that are answered with 404 per second, and in one burst; others get 429. A service that
/// repeats callbacks for attempts the ledger forgot stays below that; a sender that guesses tokens does not.
const UNKNOWN_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("not zero");
const UNKNOWN_BURST: NonZeroU32 = NonZeroU32::new(200).expect("not zero");

/// Minimum interval between two records in the ledger that callbacks arrive.
const HEARD_INTERVAL: Duration = Duration::from_secs(5);

/// Receives the callbacks of this process.
#[derive(Debug)]
pub(crate) struct Receiver {
    context: Arc<Context>,
    base: Url,
    key: Option<WebhookKey>,
    pub(crate) counts: Counts,
    unknown_callers: DefaultDirectRateLimiter,
    heard: Mutex<Timestamp>,
}

impl Receiver {
    pub(crate) fn new(context: Arc<Context>, callbacks: &Callbacks) -> Self {
        Self {
            context,
            base: callbacks.url.clone(),
            key: callbacks.key.clone(),
            counts: Counts::default(),
            unknown_callers: RateLimiter::direct(Quota::per_second(UNKNOWN_PER_SECOND).allow_burst(UNKNOWN_BURST)),
            heard: Mutex::new(Timestamp::default()),
        }
    }

    /// The callback URL of this attempt of this job.
    pub(crate) fn url(&self, token: &Token, job: &JobKey) -> Url {
        address::of(&self.base, token, job)
    }

    /// Whether it is time to record again that callbacks arrive.
    fn is_record_due(&self, now: Timestamp) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now.since(*heard) >= HEARD_INTERVAL;
        if is_due {
            *heard = now;
        }
        is_due
    }
}
