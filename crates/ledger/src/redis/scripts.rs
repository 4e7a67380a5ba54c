//! The scripts: each a small Lua file behind the shared ones that it needs, and all behind the constants, which are Rust's.

use std::time::Duration;

use redis::Script;
use veobatch_core::{SOFT_DEADLINE, millis};

use crate::account::{LOOKS, UNPRICED_WAIT};
use crate::unreadable::SET_ASIDE;

/// The numbers that scripts share with Rust, as `K.NAME`; times in ms.
fn constants() -> String {
    let ms = |time: Duration| millis(time).to_string();
    let all = [
        ("LOOKS", LOOKS.to_string()),
        ("SET_ASIDE", ms(SET_ASIDE)),
        ("SOFT_DEADLINE", ms(SOFT_DEADLINE)),
        ("UNPRICED_WAIT", ms(UNPRICED_WAIT)),
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
}

macro_rules! script {
    ($constants:ident, $($file:literal),+) => {
        Script::new(&[&*$constants, include_str!("prelude.lua"), $(include_str!($file)),+].concat())
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        let k = constants();
        Self {
            stage: script!(k, "index.lua", "queue.lua", "staging.lua", "finished.lua", "stage.lua"),
            publish: script!(k, "queue.lua", "recovery.lua", "publish.lua"),
            abandon: script!(k, "index.lua", "queue.lua", "staging.lua", "abandon.lua"),
            compare: script!(k, "index.lua", "finished.lua", "compare.lua"),
            grant: script!(k, "queue.lua", "pace.lua", "idle.lua", "recovery.lua", "aside.lua", "grant.lua"),
            claim: script!(k, "many.lua", "leave.lua", "aside.lua", "claim.lua"),
            put: script!(
                k,
                "index.lua",
                "queue.lua",
                "many.lua",
                "pace.lua",
                "idle.lua",
                "gate.lua",
                "finished.lua",
                "put.lua"
            ),
            leases: script!(k, "leases.lua"),
            read: script!(k, "index.lua", "finished.lua", "read.lua"),
            account: script!(k, "pace.lua", "account.lua"),
            slots: script!(k, "pace.lua", "idle.lua", "slots.lua"),
            flag: script!(k, "queue.lua", "flag.lua"),
            arrange: script!(k, "queue.lua", "arrange.lua"),
            heard: script!(k, "heard.lua"),
            seen: script!(k, "seen.lua"),
            polls: script!(k, "leave.lua", "polls.lua"),
            compact: script!(k, "finished.lua", "compact.lua"),
            forget: script!(k, "forget.lua"),
            clear: script!(k, "finished.lua", "clear.lua"),
            set_aside: script!(k, "aside.lua", "set_aside.lua"),
            take_back: script!(k, "pace.lua", "idle.lua", "aside.lua", "take_back.lua"),
        }
    }
}
