//! The words in what the service said, without the key, should it ever echo it.
//!
//! The last step before anything leaves this crate, after all is decided: what is read (task ids, links, prompts, codes) is
//! read from the answer as it came. An accepted submission is known as one whatever the key is.

use veobatch_core::{Outcome, Progress, Refusal, TaskFailure, Trouble, Upgrade};

use crate::key::ApiKey;
use crate::routes::veo::record_info::RecordInfo;

pub(crate) fn outcome(key: &ApiKey, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Accepted(task) => Outcome::Accepted(task),
        Outcome::Refused(refusal) => Outcome::Refused(Refusal { message: key.mask(&refusal.message), ..refusal }),
        Outcome::NotSent(why) => Outcome::NotSent(key.mask(&why)),
        Outcome::Unknown(why) => Outcome::Unknown(key.mask(&why)),
    }
}

pub(crate) fn record_info(key: &ApiKey, info: RecordInfo) -> RecordInfo {
    let progress = match info.progress {
        Progress::Failed(failure) => Progress::Failed(TaskFailure { message: key.mask(&failure.message), ..failure }),
        Progress::Missing(words) => Progress::Missing(key.mask(&words)),
        Progress::Trouble(met) => Progress::Trouble(trouble(key, &met)),
        progress @ (Progress::Running | Progress::Made { .. } | Progress::NoOutput) => progress,
    };
    RecordInfo { progress, ..info }
}

pub(crate) fn upgrade(key: &ApiKey, upgrade: Upgrade) -> Upgrade {
    match upgrade {
        Upgrade::Ready(link) => Upgrade::Ready(link),
        Upgrade::Waiting(words) => Upgrade::Waiting(key.mask(&words)),
        Upgrade::Unavailable(words) => Upgrade::Unavailable(key.mask(&words)),
        upgrade @ Upgrade::NotAsked(_) => upgrade,
        Upgrade::Trouble(met) => Upgrade::Trouble(trouble(key, &met)),
    }
}

pub(crate) fn trouble(key: &ApiKey, trouble: &Trouble) -> Trouble {
    Trouble { kind: trouble.kind, message: key.mask(&trouble.message), retry_after: trouble.retry_after }
}
