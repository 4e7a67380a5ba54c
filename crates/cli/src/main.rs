//! The `veobatch` program; everything is in the library, so that the specifications can build on it.

use std::process::ExitCode;

/// The system's allocator takes a fifth of the processor time of a worker that polls thousands of tasks a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    veobatch::main()
}
