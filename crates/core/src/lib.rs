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
mod after;
mod balances;
mod delay;
mod doubt;
mod event;
mod facets;
mod forecast;
mod grant;
mod id;
mod kind;
mod name;
mod outcome;
mod payable;
mod plan;
mod polling;
mod price;
mod record;
mod schedule;
mod spec;
mod stray;
mod terms;
mod time;
mod work_policy;

pub use after::{After, Context, after};
pub use balances::{Balances, Reading};
pub use delay::UpgradePolicy;
pub use doubt::{
    CALLED_BACK_WITHIN, Heard, InDoubtPolicy, MAX_PRESUMED_ATTEMPTS, NextAction, Presumption, doubted, next_action,
};
pub use event::{Event, SaveError, TaskMatch, Verdict};
pub use facets::{Facets, Flight, Lane, StateName};
pub use forecast::{Forecast, Rival, Throughput, forecast};
pub use grant::{Grant, Submission, Upgrading};
pub use id::{MAX_TASK_ID_BYTES, TaskId, Token};
pub use kind::VideoKind;
pub use name::{BatchId, JobId, JobKey, MAX_NAME_BYTES, NameError, fold};
pub use outcome::{Outcome, Progress, Refusal, RefusalKind, TaskFailure, Trouble, TroubleKind, Upgrade};
pub use payable::{Unpayable, payable, payable_once_settled};
pub use plan::{Step, plan};
pub use polling::{Durations, ENOUGH_DURATIONS, PollPolicy, PollSchedule, duration};
pub use price::{Credits, ModelPrice, Prices};
pub use record::{
    Attempt, Called, Comparison, Failed, Failure, FailureKind, Files, HistoryEntry, Intent, OpenAttempt, Record,
    SOFT_DEADLINE, State, Task,
};
pub use schedule::{Cron, MAX_STAMP_BYTES, Schedule, ScheduleError, Start, Window, Zone};
pub use spec::{AspectRatio, FORMAT_ASPECT_RATIO, FORMAT_MODEL, FORMAT_RESOLUTION, GenerationType, Resolution, Spec};
pub use stray::{Stray, StrayState};
pub use terms::{BatchSettings, MAX_BATCH_PRIORITY, MAX_WEIGHT, TimeRange};
pub use time::{Timestamp, millis};
pub use work_policy::{FORMAT_MAX_ATTEMPTS, FORMAT_PRIORITY, LeftOut, Restated, WorkPolicy};
