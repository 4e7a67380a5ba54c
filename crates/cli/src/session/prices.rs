//! The price list that estimates use.

use std::path::Path;

use veobatch_core::Prices;

use crate::failure::{Failure, Result};

/// The list that `--prices` names, or the one that is built in.
pub(crate) fn of(path: Option<&Path>) -> Result<Prices> {
    let Some(path) = path else { return Ok(Prices::default()) };
    let what = || {
        Failure::bad_input(format!("read the prices {}", path.display()))
            .hint("a price list is {MODEL: {720p: CREDITS, 1080p: CREDITS, 4k: CREDITS}}, in YAML or JSON")
    };
    let text = std::fs::read_to_string(path).map_err(|error| what().because(&error))?;
    veobatch_producer::parse_yaml(&text).map_err(|why| what().since(why))
}
