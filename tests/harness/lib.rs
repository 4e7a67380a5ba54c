//! Scenes for the specifications: a simulated service, a ledger, and the real program as child processes.
//!
//! ```text
//!   specification ── arranges ──▶ Simulator ◀── HTTP ── veobatch (child processes) ──▶ SQLite file, Redis server
//!        │  ▲                        │                        ▲        │
//!        │  └───────── bill ─────────┘                        │        └─▶ files in a folder of the scene
//!        └──────────── starts, asks (`status --json`), signals by process id
//! ```
//!
//! Whatever the processes of a scene said is searched, as the scene ends, for what no log may tell.
//!
//! Nothing sleeps for luck: a scene waits for a state, with a deadline, and tells what it saw if that passes. Whatever
//! a scene started ends with it. Ports are free ones, folders are temporary, and no Redis server is used but its own.

mod counts;
#[path = "../../crates/ledger/tests/fixtures/load.rs"]
mod fixture;
mod link;
mod movie;
mod prompts;
mod redis;
mod running;
mod scene;
mod secrets;
mod terminal;

pub use counts::{Counts, Job};
pub use fixture::Fixture;
pub use link::{Link, Weather};
pub use movie::Movie;
pub use prompts::{Prompts, prompt};
pub use redis::RedisServer;
pub use running::{Ended, Running};
pub use scene::{KEY, Scene, quick};
pub use terminal::Terminal;
