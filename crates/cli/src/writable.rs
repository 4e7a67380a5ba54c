//! Whether a directory can be written to, found out before anything is paid for.

use std::fs::{self, File};
use std::path::Path;

use crate::failure::{Failure, Result};

/// Makes `directory` if it is not there, and tries whether files can be written to it.
pub(crate) fn check(directory: &Path, flag: &str) -> Result<()> {
    let probe = directory.join(format!(".veobatch-probe-{}", std::process::id()));
    let tried = fs::create_dir_all(directory).and_then(|()| File::create(&probe)).and_then(|_| fs::remove_file(&probe));
    tried.map_err(|error| {
        Failure::bad_input(format!("use the directory {}", directory.display()))
            .because(&error)
            .hint(format!("make it writable, or name another one: {flag} DIR"))
    })
}
