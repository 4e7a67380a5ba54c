//! Whether a directory can be written to, found out before anything is paid for.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::failure::{Failure, Result};

/// A file system that takes longer does not answer at all.
const WITHIN: Duration = Duration::from_secs(30);

/// Makes `directory` if it is not there, and tries whether files can be written to it.
pub(crate) async fn check(directory: &Path, flag: &str) -> Result<()> {
    let path = directory.to_owned();
    let tried = match timeout(WITHIN, spawn_blocking(move || attempt(&path))).await {
        Ok(tried) => tried.map_err(io::Error::other).flatten(),
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "it does not respond; it may be a network disk that hangs"))
        }
    };
    tried.map_err(|error| {
        Failure::bad_input(format!("use the directory {}", directory.display()))
            .because(&error)
            .hint(format!("make it writable, or use another one: {flag} DIR"))
    })
}

fn attempt(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".veobatch-probe-{}", std::process::id()));
    fs::create_dir_all(directory)?;
    File::create(&probe)?;
    fs::remove_file(&probe)
}
