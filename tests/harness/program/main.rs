//! The program under test: exactly what `veobatch` does, except that it can be told where to die.

use veobatch_worker::Edge;

/// `EDGE:N`: the program kills itself when it comes to this edge for the Nth time.
const DIE_AT: &str = "VEOBATCH_TEST_DIE_AT";

fn main() -> std::process::ExitCode {
    #[expect(clippy::disallowed_methods, reason = "this is the specifications' own switch, and not a setting")]
    if let Ok(at) = std::env::var(DIE_AT) {
        let (edge, nth) = at.split_once(':').unwrap_or((&at, "1"));
        let Some(edge) = Edge::ALL.iter().find(|known| format!("{known:?}") == edge) else {
            return std::process::ExitCode::from(99);
        };
        edge.is_deadly(nth.parse().unwrap_or(1));
    }
    veobatch::main()
}
