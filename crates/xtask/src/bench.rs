//! `cargo xtask bench`.
use anyhow::{Result, bail};

pub(crate) fn run(_: &[String]) -> Result<()> {
    bail!("nothing yet")
}
