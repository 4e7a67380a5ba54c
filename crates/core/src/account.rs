//! The rules of the account that all machines share, as pure functions: no SQL, no Lua, no clock.
//!
//! The ledger loads the [`AccountState`], asks, and stores it again in the same transaction. On `SQLite` these functions decide;
//! on Redis, whose transaction is a script, `redis/lua/lib/account/*.lua` have each of them under the same name, and a test holds
//! the two equal. Times that end in `_us` are microseconds since 1970 (a slot may be shorter than a millisecond).
//!
//! | file | decides |
//! |---|---|
//! | `submission` | the four together: may a submission go now |
//! | `pace` | when the next slot is due, and what a 429 does to the allowance |
//! | `min_rtt` | how long before its answer a submission must have arrived |
//! | `gate` | the circuit breaker: when nothing is submitted because the service takes nothing |
//! | `budget` | whether a batch or the day can pay for a submission |
//! | `slots` | what every slot was used for, or why it was not |
//! | `polls` | how many polls may be made now |
//!
//! `state` has the types; it decides nothing.

mod budget;
mod gate;
mod min_rtt;
mod pace;
mod polls;
mod slots;
mod state;
mod submission;

pub use budget::{DAY_WAIT, Daily, DailyBudget, Day, DayRoom, UNPRICED_WAIT, expected_price, is_over_budget};
pub use gate::{GATE_MAX, GateReport, MOST_DOUBLINGS, TROUBLE_WAIT, TROUBLES};
pub use min_rtt::{ENOUGH_ANSWERS, GENERATION_ANSWERS, MARGIN_MS, MinRtt};
pub use pace::{
    ARRIVALS_KEPT, CAREFUL_FROM, CAREFULLY, LOWER, RECOVERY_MARGIN, STEPS, UPGRADE_RECHECK, UPGRADE_TURN, lowered_bound,
};
pub use polls::{CAP_PER_POLL, POLLS_AT_LEAST, POLLS_WORTH_WHILE, PollBucket, poll_rate};
pub use slots::{SLOT_HOURS, SlotCount};
pub use state::{AccountState, Blocked, Facts, Gate, Idle, Pace, Probe, Throttled};
