//! The program under test: exactly what `veobatch` does.

fn main() -> std::process::ExitCode {
    veobatch::main()
}
