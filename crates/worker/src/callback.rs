//! Callbacks: the service tells that a task ended, by a POST to a URL that only it and this ledger know.
//!
//! ```text
//! submission ══ callBackUrl: <base>/<token>/<job> ══▶ the service
//!                                                        │ POST, repeated until it is answered with 200
//! [ledger] ◀── put ── receive ◀── verified ◀── door
//!                        ╰─ unknown token: limited
//! ```
//!
//! A callback is a hint. For a task that is followed it makes the next look due; for a paid call whose answer was lost it
//! brings the task id back, which is compared before it is taken. It is answered with 200 only once the ledger has it,
//! so that the sender tries again otherwise. Whoever does not know the attempt's token changes nothing.

mod address;
mod body;
mod counts;
pub(crate) mod listener;
pub(crate) mod receive;
mod signature;

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use url::Url;
use veobatch_core::{JobKey, Timestamp, Token};

pub(crate) use self::counts::CallbackOutcome;
use self::counts::Counts;
pub use self::signature::WebhookKey;

/// Callbacks with unknown tokens that are answered as such in a second, and at once after a rest. A service that retells
/// what a ledger forgot stays below that; whoever guesses tokens is told to go away.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("not zero");
const BURST: NonZeroU32 = NonZeroU32::new(200).expect("not zero");

/// How often it is written down, at most, that callbacks are heard.
const HEARD_GAP: Duration = Duration::from_secs(5);

/// How callbacks are asked for and heard.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// Where to listen: `HOST:PORT`.
    pub listen: String,
    /// How the service reaches that: the base of every callback URL. Without user, query and fragment.
    pub url: Url,
    /// Verifies signatures; without one the token alone is proof.
    pub key: Option<WebhookKey>,
}

/// The receiver of this process, as every step sees it.
#[derive(Debug)]
pub(crate) struct Receiver {
    base: Url,
    key: Option<WebhookKey>,
    pub(crate) counts: Counts,
    strangers: DefaultDirectRateLimiter,
    heard: Mutex<Timestamp>,
}

impl Receiver {
    pub(crate) fn new(callbacks: &Callbacks) -> Self {
        Self {
            base: callbacks.url.clone(),
            key: callbacks.key.clone(),
            counts: Counts::default(),
            strangers: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST)),
            heard: Mutex::new(Timestamp::default()),
        }
    }

    /// Where the service calls back for this attempt of this job.
    pub(crate) fn url(&self, token: &Token, job: &JobKey) -> Url {
        address::of(&self.base, token, job)
    }

    /// Whether it is time to write down again that callbacks are heard.
    fn is_news(&self, now: Timestamp) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = now.since(*heard) >= HEARD_GAP;
        if is_news {
            *heard = now;
        }
        is_news
    }
}
