//! What a veobatch job is, what can happen to it, and what to do next.
//!
//! Pure: no I/O, no clock, no randomness. Everything that decides over money is here, in one table ([`after`]), and is
//! tested over every state and every event.
//!
//! ```text
//! (Record, Event, Context) ── after ──▶ Record ── facets ──▶ what the ledger may index by
//! (Record, Lane)          ── plan  ──▶ Step, the next thing to do
//! ```

pub mod account;
mod batch;
mod job;
mod money;
mod names;
mod polling;
mod time;

pub use batch::forecast::{Forecast, Rival, Throughput, forecast};
pub use batch::schedule::{Cron, MAX_STAMP_BYTES, Schedule, ScheduleError, Start, Window, Zone};
pub use batch::settings::{BatchSettings, MAX_BATCH_PRIORITY, MAX_WEIGHT, TimeRange};
pub use job::after::{After, Context, after};
pub use job::delay::UpgradePolicy;
pub use job::doubt::{
    CALLED_BACK_WITHIN, Heard, InDoubtPolicy, MAX_PRESUMED_ATTEMPTS, NextAction, Presumption, doubted, next_action,
};
pub use job::event::{
    Event, Outcome, Progress, Refusal, RefusalKind, SaveError, TaskFailure, TaskMatch, Trouble, TroubleKind, Upgrade,
    Verdict,
};
pub use job::facets::{Facets, Flight, Lane, StateName};
pub use job::grant::{Grant, Submission, Upgrading};
pub use job::payable::{Unpayable, payable, payable_once_settled};
pub use job::plan::{Step, plan};
pub use job::record::{
    Attempt, Called, Comparison, Failed, Failure, FailureKind, Files, HistoryEntry, Intent, OpenAttempt, Record,
    SOFT_DEADLINE, State, Stray, StrayState, Task,
};
pub use job::spec::kind::VideoKind;
pub use job::spec::{
    AspectRatio, FORMAT_ASPECT_RATIO, FORMAT_MAX_ATTEMPTS, FORMAT_MODEL, FORMAT_PRIORITY, FORMAT_RESOLUTION,
    GenerationType, LeftOut, Resolution, Restated, Spec, WorkPolicy,
};
pub use money::{Balances, Credits, ModelPrice, Prices, Reading};
pub use names::id::{MAX_TASK_ID_BYTES, TaskId, Token};
pub use names::{BatchId, JobId, JobKey, MAX_NAME_BYTES, NameError, fold};
pub use polling::{Durations, ENOUGH_DURATIONS, PollPolicy, PollSchedule, duration};
pub use time::{Timestamp, millis};
