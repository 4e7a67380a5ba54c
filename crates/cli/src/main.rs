//! The `veobatch` program; everything is in the library, so that the specifications can build on it.

use std::process::ExitCode;

fn main() -> ExitCode {
    veobatch::main()
}
