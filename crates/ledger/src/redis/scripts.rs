//! The scripts: each a small Lua file behind the shared ones that it needs, and all behind the constants, which are Rust's.

use std::time::Duration;

use redis::Script;
use veobatch_core::{SOFT_DEADLINE, millis};

use crate::account::{
    ARRIVALS_KEPT, CAP_PER_POLL, CAREFUL_FROM, CAREFULLY, DAY_WAIT, GATE_MAX, LOOKS, LOWER, POLLS_AT_LEAST,
    POLLS_WORTH_WHILE, PROMOTED, Pace, RECOVERY_MARGIN, STEPS, TROUBLES, UNPRICED_WAIT, UPGRADE_TURN, WOKEN,
};
use crate::fastest::{ENOUGH, GENERATION, MARGIN};
use crate::slots::SLOT_HOURS;
use crate::unreadable::SET_ASIDE;

/// The numbers that scripts share with Rust, as `K.NAME`; times in ms.
fn constants() -> String {
    let ms = |time: Duration| millis(time).to_string();
    let Pace { submissions, per, max_in_flight } = Pace::default();
    let all = [
        ("ARRIVALS_KEPT", ms(ARRIVALS_KEPT)),
        ("CAP", max_in_flight.to_string()),
        ("CAP_PER_POLL", CAP_PER_POLL.to_string()),
        ("CAREFULLY", CAREFULLY.to_string()),
        ("CAREFUL_FROM", CAREFUL_FROM.to_string()),
        ("DAY_WAIT", ms(DAY_WAIT)),
        ("ENOUGH", ENOUGH.to_string()),
        ("GATE_MAX", ms(GATE_MAX)),
        ("GENERATION", GENERATION.to_string()),
        ("LOOKS", LOOKS.to_string()),
        ("LOWER", LOWER.to_string()),
        ("MARGIN", MARGIN.to_string()),
        ("PER", ms(per)),
        ("POLLS_AT_LEAST", POLLS_AT_LEAST.to_string()),
        ("POLLS_WORTH_WHILE", ms(POLLS_WORTH_WHILE)),
        ("PROMOTED", PROMOTED.to_string()),
        ("RECOVERY_MARGIN", ms(RECOVERY_MARGIN)),
        ("SET_ASIDE", ms(SET_ASIDE)),
        ("SLOT_HOURS", SLOT_HOURS.to_string()),
        ("SOFT_DEADLINE", ms(SOFT_DEADLINE)),
        ("STEPS", STEPS.to_string()),
        ("SUBMISSIONS", submissions.to_string()),
        ("TROUBLES", TROUBLES.to_string()),
        ("UNPRICED_WAIT", ms(UNPRICED_WAIT)),
        ("UPGRADE_TURN", ms(UPGRADE_TURN)),
        ("WOKEN", WOKEN.to_string()),
    ];
    let set: Vec<String> = all.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("local K = {{ {} }}\n", set.join(", "))
}

/// All of them, named for what they do.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) stage: Script,
    pub(super) publish: Script,
    pub(super) abandon: Script,
    pub(super) compare: Script,
    pub(super) grant: Script,
    pub(super) upgrade: Script,
    pub(super) claim: Script,
    pub(super) put: Script,
    pub(super) leases: Script,
    pub(super) read: Script,
    pub(super) account: Script,
    pub(super) slots: Script,
    pub(super) flag: Script,
    pub(super) arrange: Script,
    pub(super) heard: Script,
    pub(super) seen: Script,
    pub(super) polls: Script,
    pub(super) compact: Script,
    pub(super) forget: Script,
    pub(super) clear: Script,
    pub(super) set_aside: Script,
    pub(super) take_back: Script,
    pub(super) rested: Script,
}

macro_rules! script {
    ($constants:ident, $($file:literal),+) => {
        Script::new(&[&*$constants, include_str!("prelude.lua"), include_str!("format.lua"), $(include_str!($file)),+].concat())
    };
}

/// What changes something, and is refused by a ledger that was moved.
macro_rules! change {
    ($constants:ident, $($file:literal),+) => { script!($constants, "moved.lua", "stamp.lua", $($file),+) };
}

impl Scripts {
    pub(super) fn new() -> Self {
        let k = constants();
        Self {
            stage: change!(k, "index.lua", "queue.lua", "staging.lua", "finished.lua", "stage.lua"),
            publish: change!(k, "queue.lua", "recovery.lua", "rest.lua", "publish.lua"),
            abandon: change!(k, "index.lua", "queue.lua", "staging.lua", "abandon.lua"),
            compare: change!(k, "index.lua", "finished.lua", "compare.lua"),
            grant: change!(
                k,
                "queue.lua",
                "pace.lua",
                "idle.lua",
                "taken.lua",
                "recovery.lua",
                "aside.lua",
                "grant.lua"
            ),
            upgrade: change!(k, "pace.lua", "idle.lua", "taken.lua", "recovery.lua", "upgrade.lua"),
            claim: change!(k, "many.lua", "leave.lua", "aside.lua", "claim.lua"),
            put: change!(
                k,
                "index.lua",
                "queue.lua",
                "many.lua",
                "pace.lua",
                "idle.lua",
                "gate.lua",
                "finished.lua",
                "rest.lua",
                "put.lua"
            ),
            leases: change!(k, "leases.lua"),
            read: script!(k, "index.lua", "finished.lua", "read.lua"),
            account: script!(k, "stamp.lua", "queue.lua", "pace.lua", "gate.lua", "account.lua"),
            slots: script!(k, "pace.lua", "idle.lua", "slots.lua"),
            flag: change!(k, "queue.lua", "rest.lua", "flag.lua"),
            arrange: change!(k, "queue.lua", "arrange.lua"),
            heard: change!(k, "heard.lua"),
            seen: change!(k, "seen.lua"),
            polls: script!(k, "leave.lua", "polls.lua"),
            compact: change!(k, "finished.lua", "compact.lua"),
            forget: change!(k, "forget.lua"),
            clear: change!(k, "finished.lua", "clear.lua"),
            rested: script!(k, "rest.lua", "rested.lua"),
            set_aside: script!(k, "aside.lua", "set_aside.lua"),
            take_back: change!(k, "pace.lua", "idle.lua", "aside.lua", "take_back.lua"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What only the form of the keys knows, and no rule.
    const REDIS_S_OWN: [&str; 10] =
        ["BATCH_LEVEL", "BLOCK", "BUCKETS", "FILL", "HOUR", "KEYS_AT_ONCE", "LEVEL", "STEP", "UNLIMITED", "WIDTH"];

    fn is_name(text: &str) -> bool {
        text.len() > 1 && text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
    }

    /// The names of a line's numbers, if it gives some names to numbers.
    fn named_numbers(line: &str) -> Vec<&str> {
        let Some((names, value)) = line.strip_prefix("local ").and_then(|rest| rest.split_once(" = ")) else {
            return Vec::new();
        };
        let is_number = value.starts_with(|letter: char| letter.is_ascii_digit());
        names.split(", ").filter(|name| is_number && is_name(name)).collect()
    }

    #[test]
    fn every_number_of_the_account_s_rules_is_rust_s() {
        let rendered = constants();
        let rendered: BTreeSet<&str> = rendered.split([' ', ',']).filter(|word| is_name(word)).collect();
        let mut used = BTreeSet::new();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|is| is != "lua") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
                let ends = |letter: char| letter != '_' && !letter.is_ascii_uppercase();
                used.extend(line.split("K.").skip(1).map(|rest| rest.split(ends).next().unwrap().to_owned()));
                for name in named_numbers(line) {
                    assert!(REDIS_S_OWN.contains(&name), "{name} is a number of its own in {}", path.display());
                }
            }
        }
        assert_eq!(used.iter().map(String::as_str).collect::<BTreeSet<_>>(), rendered);
    }
}
