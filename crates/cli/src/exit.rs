//! Exit codes: a contract that scripts rely on.

/// Everything asked for was done; for `run`: every job of its batches is done; for `worker --until-idle`: nothing can move
/// without a person.
pub const DONE: u8 = 0;

/// For `run`: some jobs ended otherwise, are in doubt, or are paused. For orders: some job was left as it was, or a person
/// said no.
pub const UNFINISHED: u8 = 1;

/// Bad input: arguments, a prompt file, an unknown batch or job, no API key, a ledger that belongs to another account.
pub const BAD_INPUT: u8 = 2;

/// The ledger or the API cannot be reached, the key is refused, or another worker has the only place.
pub const UNAVAILABLE: u8 = 3;

/// Interrupted by Ctrl-C, SIGTERM or SIGHUP.
pub const INTERRUPTED: u8 = 130;

/// For the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    everything asked for was done (run: every job of its batches is done; worker --until-idle:
       nothing can move without a person, whatever became of the jobs)
  1    run: some jobs ended otherwise, are in doubt, or are paused; an order, such as cancel:
       some job was left as it was; a question was answered with no
  2    bad input: arguments, a prompt file, an unknown batch or job, no API key,
       a ledger that belongs to another account
  3    the ledger or the API cannot be reached, or the key is refused
  130  interrupted";
