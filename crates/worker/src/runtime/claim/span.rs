//! Tracing spans that name the job in the log lines of a step.
//!
//! A span costs time whether or not a line is logged in it. Most polls log nothing, and there may be thousands per second:
//! so in the follow lane a step has no span unless debug lines are logged; each of the few other lines gets its own.

use tracing::{Level, Span, enabled, info_span};
use veobatch_core::Lane;

use crate::runtime::claim::Claim;

/// The span of a whole step; none if its lines have their own.
pub(crate) fn around(claim: &Claim) -> Span {
    if is_terse(claim.lane) { Span::none() } else { of(claim) }
}

/// The span of one line of a step; none if the whole step has one.
pub(crate) fn for_a_line(claim: &Claim) -> Span {
    if is_terse(claim.lane) { of(claim) } else { Span::none() }
}

fn is_terse(lane: Lane) -> bool {
    match lane {
        Lane::Follow => !enabled!(Level::DEBUG) && !enabled!(target: "veobatch_api", Level::DEBUG),
        Lane::Submit | Lane::Save => false,
    }
}

fn of(claim: &Claim) -> Span {
    let key = &claim.claimed.stored.key;
    info_span!("step", lane = %claim.lane, batch = %key.batch, job = %key.job)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, OnceLock};

    use tokio::sync::Semaphore;
    use tracing::subscriber::with_default;
    use veobatch_core::{BatchId, JobId, JobKey, Record, Spec, Timestamp};
    use veobatch_ledger::{Claimed, Fence, JobRef, Lease, Stored, Version};

    use super::*;
    use crate::runtime::leases::Leases;

    fn claim(lane: Lane) -> Claim {
        let (job, spec) = (JobRef { batch: 1, seq: 0 }, Spec::default());
        let key = JobKey { batch: BatchId::parse("garden").unwrap(), job: JobId::parse("cat-01").unwrap() };
        let (record, now) = (Record::fresh(&spec), Timestamp::default());
        let stored = Stored { key, job, spec, compacted: false, record, version: Version(0), now, leased_until: None };
        let lease = Lease { job, fence: Fence::random() };
        let hold = Arc::new(Leases::default()).hold(lease.clone(), lane);
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let claimed = Box::new(Claimed { stored, lease, deliveries: 1, grant: None });
        Claim { lane, claimed, permit: None, settle: OnceLock::new(), hold, _room: room }
    }

    #[tokio::test]
    async fn a_line_of_a_step_names_its_job_once_in_every_lane_and_at_every_level() {
        for lane in [Lane::Submit, Lane::Follow, Lane::Save] {
            for level in [Level::INFO, Level::DEBUG] {
                let file = tempfile::NamedTempFile::new().unwrap();
                let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
                let log = log.with_writer(Mutex::new(file.reopen().unwrap())).finish();
                let claim = claim(lane);
                with_default(log, || {
                    around(&claim).in_scope(|| for_a_line(&claim).in_scope(|| tracing::warn!("trouble")));
                });
                let line = std::fs::read_to_string(file.path()).unwrap();
                assert_eq!(line.matches("job=cat-01").count(), 1, "{lane} at {level}: {line}");
            }
        }
    }
}
