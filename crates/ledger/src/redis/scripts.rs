//! The scripts: each a small Lua file behind the shared ones that it needs.

use redis::Script;

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
}

macro_rules! script {
    ($($file:literal),+) => { Script::new(concat!(include_str!("prelude.lua"), $(include_str!($file)),+)) };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            stage: script!("index.lua", "queue.lua", "staging.lua", "finished.lua", "stage.lua"),
            publish: script!("queue.lua", "recovery.lua", "publish.lua"),
            abandon: script!("index.lua", "queue.lua", "staging.lua", "abandon.lua"),
            compare: script!("index.lua", "finished.lua", "compare.lua"),
            grant: script!("queue.lua", "pace.lua", "idle.lua", "recovery.lua", "grant.lua"),
            claim: script!("many.lua", "leave.lua", "claim.lua"),
            put: script!(
                "index.lua",
                "queue.lua",
                "many.lua",
                "pace.lua",
                "idle.lua",
                "gate.lua",
                "finished.lua",
                "put.lua"
            ),
            leases: script!("leases.lua"),
            read: script!("index.lua", "finished.lua", "read.lua"),
            account: script!("pace.lua", "account.lua"),
            slots: script!("pace.lua", "idle.lua", "slots.lua"),
            flag: script!("queue.lua", "flag.lua"),
            arrange: script!("queue.lua", "arrange.lua"),
            heard: script!("heard.lua"),
            seen: script!("seen.lua"),
            polls: script!("leave.lua", "polls.lua"),
            compact: script!("finished.lua", "compact.lua"),
            forget: script!("forget.lua"),
            clear: script!("finished.lua", "clear.lua"),
        }
    }
}
