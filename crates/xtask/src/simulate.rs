//! `cargo xtask simulate`: replays one seed of the worker's simulation with its log, or runs as many as wanted.
//!
//! The same test as in CI, told by the environment which seeds it is about.

use anyhow::{Result, bail};

use crate::command::{cargo, run as run_command};

/// The test that runs seeds.
const TEST: &str = "simulation::no_seed_pays_twice_or_loses_what_was_paid_for";

/// `--seed N`, `--seeds FROM..TO`, `--trace`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (seeds, trace) = wanted(words)?;
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "veobatch-worker", "--lib"]);
    command.args(["--", "--exact", TEST, "--nocapture"]);
    if let Some(seeds) = seeds {
        command.env("VEOBATCH_SIMULATE", seeds);
    }
    if trace {
        command.env("VEOBATCH_SIMULATE_TRACE", "1");
    }
    run_command(&mut command)
}

fn wanted(words: &[String]) -> Result<(Option<String>, bool)> {
    let (mut seeds, mut trace) = (None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.as_slice().first()) {
            ("--trace", _) => trace = true,
            ("--seed" | "--seeds", Some(value)) if is_seeds(value, word == "--seeds") => {
                seeds = Some(value.clone());
                words.next();
            }
            (word, _) => bail!("{word}: say `--seed N`, `--seeds FROM..TO` or `--trace`"),
        }
    }
    Ok((seeds, trace))
}

fn is_seeds(value: &str, many: bool) -> bool {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    match value.split_once("..") {
        Some((from, to)) => many && is_number(from) && is_number(to),
        None => !many && is_number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_number_or_a_range_of_them() {
        let wanted = |words: &str| wanted(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(wanted("").unwrap(), (None, false));
        assert_eq!(wanted("--seed 7 --trace").unwrap(), (Some("7".to_owned()), true));
        assert_eq!(wanted("--seeds 7..90").unwrap(), (Some("7..90".to_owned()), false));
        for words in ["--seed", "--seed x", "--seed 1..2", "--seeds 5", "--seeds 5..", "7"] {
            assert!(wanted(words).is_err(), "{words}");
        }
    }
}
