//! The scripts: each a small Lua file behind the shared ones that it needs, and all behind the constants, which are Rust's.

use std::time::Duration;

use redis::Script;
use veobatch_core::account::{
    ARRIVALS_KEPT, CAP_PER_POLL, CAREFUL_FROM, CAREFULLY, DAY_WAIT, ENOUGH_ANSWERS, GATE_MAX, GENERATION_ANSWERS,
    LOWER, MARGIN_MS, MOST_DOUBLINGS, POLLS_AT_LEAST, POLLS_WORTH_WHILE, Pace, RECOVERY_MARGIN, SLOT_HOURS, STEPS,
    TROUBLES, UNPRICED_WAIT, UPGRADE_RECHECK, UPGRADE_TURN,
};
use veobatch_core::{SOFT_DEADLINE, millis};

use crate::ledger::account::{MOST_CANDIDATES, PROMOTED, WOKEN};
use crate::ledger::unreadable::SET_ASIDE;

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
        ("ENOUGH", ENOUGH_ANSWERS.to_string()),
        ("GATE_MAX", ms(GATE_MAX)),
        ("GENERATION", GENERATION_ANSWERS.to_string()),
        ("MOST_CANDIDATES", MOST_CANDIDATES.to_string()),
        ("LOWER", LOWER.to_string()),
        ("MARGIN", MARGIN_MS.to_string()),
        ("MOST_DOUBLINGS", MOST_DOUBLINGS.to_string()),
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
        ("UPGRADE_RECHECK", ms(UPGRADE_RECHECK)),
        ("UPGRADE_TURN", ms(UPGRADE_TURN)),
        ("WOKEN", WOKEN.to_string()),
    ];
    let set: Vec<String> = all.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("local K = {{ {} }}\n", set.join(", "))
}

macro_rules! libraries {
    ($($name:ident: $($file:literal),+;)+) => { $(const $name: &str = concat!($(include_str!(concat!("lua/lib/", $file, ".lua"))),+);)+ };
}

libraries! {
    PRELUDE: "prelude", "format";
    ACCOUNT: "account/pace", "account/gate", "account/slots", "account/budget", "account/polls", "account/decision";
    ACCOUNT_STATE: "account_state";
    ARCHIVE: "archive";
    BATCH_READ: "batch_read";
    CHANGE_JOB: "change_job";
    MOVED: "moved", "stamp";
    NAMES: "names";
    NEXT_JOB: "next_job";
    POLL_BUCKET: "poll_bucket";
    QUEUE: "queue";
    RECOVERY: "recovery";
    REST: "rest";
    STAGING: "staging";
    STAMP: "stamp";
    UNREADABLE: "unreadable";
}

/// The account's rules behind their constants: for the test that holds them equal to those of core.
pub(super) fn account_rules() -> String {
    constants() + ACCOUNT
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
    pub(super) update_batch: Script,
    pub(super) hint: Script,
    pub(super) compact: Script,
    pub(super) forget: Script,
    pub(super) clear: Script,
    pub(super) set_aside: Script,
    pub(super) take_back: Script,
    pub(super) rested: Script,
}

macro_rules! script {
    ($constants:ident, $op:literal $(, $library:ident)*) => {
        Script::new(&[&*$constants, PRELUDE, $($library,)* include_str!(concat!("lua/ops/", $op, ".lua"))].concat())
    };
}

/// What changes something, and is refused by a ledger that was moved.
macro_rules! change {
    ($constants:ident, $op:literal $(, $library:ident)*) => { script!($constants, $op, MOVED $(, $library)*) };
}

impl Scripts {
    pub(super) fn new() -> Self {
        let k = constants();
        Self {
            stage: change!(k, "stage", NAMES, QUEUE, STAGING, ARCHIVE),
            publish: change!(k, "publish", QUEUE, RECOVERY, REST),
            abandon: change!(k, "abandon", NAMES, QUEUE, STAGING),
            compare: script!(k, "compare", NAMES, ARCHIVE),
            grant: change!(k, "grant", ACCOUNT, ACCOUNT_STATE, QUEUE, RECOVERY, UNREADABLE, NEXT_JOB),
            upgrade: change!(k, "upgrade", ACCOUNT, ACCOUNT_STATE, RECOVERY),
            claim: change!(k, "claim", ACCOUNT, BATCH_READ, POLL_BUCKET, UNREADABLE),
            put: change!(k, "put", ACCOUNT, ACCOUNT_STATE, NAMES, QUEUE, BATCH_READ, ARCHIVE, REST, CHANGE_JOB),
            leases: change!(k, "leases"),
            read: script!(k, "read", NAMES, ARCHIVE),
            account: script!(k, "account", STAMP, ACCOUNT, ACCOUNT_STATE, POLL_BUCKET, QUEUE),
            update_batch: change!(k, "update_batch", QUEUE, REST),
            hint: change!(k, "hint"),
            compact: change!(k, "compact", ARCHIVE),
            forget: change!(k, "forget"),
            clear: change!(k, "clear", ARCHIVE),
            rested: script!(k, "rested", REST),
            set_aside: script!(k, "set_aside", UNREADABLE),
            take_back: change!(k, "take_back", ACCOUNT, ACCOUNT_STATE, UNREADABLE),
        }
    }
}

/// Arguments of a script.
pub(super) fn texts<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What only the form of the keys knows, and no rule.
    const REDIS_S_OWN: [&str; 10] = [
        "BATCH_LEVEL",
        "BLOCK",
        "HOUR_US",
        "KEYS_AT_ONCE",
        "LEVEL",
        "SECOND_US",
        "STEP",
        "TASKS_AT_ONCE",
        "UNLIMITED",
        "WIDTH",
    ];

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
        let folder =
            |name: &str| std::fs::read_dir(format!("{}/src/redis/lua/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for entry in folder("lib").chain(folder("lib/account")).chain(folder("ops")) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Steps of a migration and ends of a transfer decide nothing about the account.
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
