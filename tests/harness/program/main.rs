//! The program under test: exactly what `veobatch` does, except that it can be told where to die, or to fall asleep.

use veobatch_worker::{Failpoint, FailpointAction, hang_while_there_is};

/// `FAILPOINT:N`: the program kills itself when it reaches this failpoint for the Nth time.
const DIE_AT: &str = "VEOBATCH_TEST_DIE_AT";

/// The same, but it stops itself there (SIGSTOP), until somebody lets it go on.
const STOP_AT: &str = "VEOBATCH_TEST_STOP_AT";

/// The output directory's disk hangs whenever there is a file at this path.
const HANG_WHILE: &str = "VEOBATCH_TEST_HANG_WHILE";

fn main() -> std::process::ExitCode {
    for (name, action) in [(DIE_AT, FailpointAction::Kill), (STOP_AT, FailpointAction::Stop)] {
        #[expect(clippy::disallowed_methods, reason = "this is the specifications' own switch, and not a setting")]
        let Ok(at) = std::env::var(name) else { continue };
        let (failpoint, nth) = at.split_once(':').unwrap_or((&at, "1"));
        let Some(failpoint) = Failpoint::ALL.iter().find(|known| format!("{known:?}") == failpoint) else {
            return std::process::ExitCode::from(99);
        };
        failpoint.arm(action, nth.parse().unwrap_or(1));
    }
    #[expect(clippy::disallowed_methods, reason = "this is the specifications' own switch, and not a setting")]
    if let Ok(path) = std::env::var(HANG_WHILE) {
        hang_while_there_is(path.into());
    }
    veobatch::main()
}
