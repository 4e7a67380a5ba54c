//! Bringing a ledger on Redis to the present format.
//!
//! Workers on other machines may be at it. Those of format 1 check the format only when they start, and would write
//! records back without what they do not know. So nothing is granted any more, in a way that they obey, and the step
//! is taken once it is certain that none of them took a lease for [`QUIET`]. From then on whatever they would read first
//! is a key of another type, and every script of a later program checks the format (`format.lua`).
//!
//! ```text
//! 1 ─▶ watched (paused) ─▶ 1>2, no program of format 1 changes anything ─▶ specs and names, in bounded steps ─▶ 2
//! ```
//!
//! Whoever dies on the way leaves a ledger that the next one takes further: every step may be repeated.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Cmd, Script, Value};
use tokio::time::{Instant, sleep};
use veobatch_core::millis;

use super::reply::Reply;
use super::row::{CLASS_MARK, damaged};
use super::scripts::texts;
use super::server::Server;
use crate::LedgerError;
use crate::ledger::job::Fence;
use crate::migration::{FORMAT, is_unrecognizable, split};

/// No lease was taken for so long: whoever was granted a call has ended it (80 s), and told what became of it.
const QUIET: Duration = Duration::from_secs(90);

/// How long a lease of format 1 lasts.
const LEASE: Duration = Duration::from_secs(30);

/// Between two checks.
const TICK: Duration = Duration::from_millis(500);

/// Jobs that one step reads.
const CHUNK: usize = 400;

/// The format while the step to 2 is being taken.
const HALF_WAY: &str = "1>2";

macro_rules! step {
    ($($file:literal),+) => { Script::new(concat!(include_str!("lua/lib/prelude.lua"), $(include_str!($file)),+)) };
}

/// Brings the ledger from `found`, which is not the present format, to the present one.
pub(super) async fn migrate(server: &Server, found: &str) -> Result<(), LedgerError> {
    if found != "1" && found != HALF_WAY {
        return Err(LedgerError::Format { found: found.to_owned(), known: FORMAT });
    }
    let me = Fence::random().0;
    let before = match found {
        HALF_WAY => lock(server, &me).await?.then(|| "0".to_owned()),
        _ => watch(server, &me).await?,
    };
    // Somebody else has done it.
    let Some(before) = before else { return Ok(()) };
    tracing::info!("the ledger is brought from format 1 to {FORMAT}");
    if server.run::<u8>(&step!("lua/ops/migration/begin.lua"), &texts([&me])).await? == 0 {
        return Err(LedgerError::Unavailable("another program brings the ledger to a new format".to_owned()));
    }
    let numbers: Vec<u32> = server.ask(Cmd::new().arg("HVALS").arg(server.key("names"))).await?;
    for number in numbers {
        reindex(server, &me, &format!("b{number}:i"), &format!("b{number}"), "buckets").await?;
        split_specs(server, &me, number).await?;
    }
    // What a forgotten batch left behind is still to be cleared, by walking `t` from its beginning.
    let gone: Vec<u32> = server.ask(Cmd::new().arg("SMEMBERS").arg(server.key("gone"))).await?;
    for number in gone {
        reindex(server, &me, &format!("b{number}:i"), &format!("b{number}"), "buckets").await?;
        server.ask::<()>(Cmd::new().arg("HDEL").arg(server.key(&format!("b{number}"))).arg("cleared_tasks")).await?;
    }
    reindex(server, &me, "t", "meta", "task_buckets").await?;
    let mut done = redis::pipe();
    done.atomic();
    done.cmd("HDEL").arg(server.key("meta")).arg("tasks").ignore();
    done.cmd("HSET").arg(server.key("meta")).arg("format").arg(FORMAT).arg("recovers").arg(before).ignore();
    done.cmd("DEL").arg(server.key("migration")).ignore();
    server.ask_all::<()>(&done).await?;
    tracing::info!("the ledger has format {FORMAT} now");
    Ok(())
}

/// Waits until no worker of format 1 can be at work; nothing is granted from now on. Returns until when nothing was granted
/// before, or nothing if another program has taken the step meanwhile.
async fn watch(server: &Server, me: &str) -> Result<Option<String>, LedgerError> {
    let script = step!("lua/ops/migration/watch.lua");
    let args = texts([
        me,
        &millis(QUIET + Duration::from_secs(10)).to_string(),
        &millis(QUIET).to_string(),
        &millis(LEASE).to_string(),
    ]);
    let (begun, mut first) = (Instant::now(), None);
    loop {
        let answer: Vec<Value> = server.run(&script, &args).await?;
        match Watched::parse(answer)? {
            Watched::Format(found) if found == FORMAT.to_string() => return Ok(None),
            Watched::Format(found) if found == HALF_WAY => {
                return Ok(lock(server, me).await?.then(|| "0".to_owned()));
            }
            Watched::Format(found) => return Err(LedgerError::Format { found, known: FORMAT }),
            Watched::Locked => {}
            Watched::Seen { mark, is_quiet, jobs, before } => {
                let (seen, paused_before) = first.get_or_insert_with(|| {
                    if !is_quiet {
                        let s = QUIET.as_secs();
                        tracing::warn!(
                            "the ledger has format 1 and is brought to {FORMAT}: nothing is submitted meanwhile, and for up to \
                             {s} s it is watched whether a worker of the older version is still at work"
                        );
                    }
                    (mark.clone(), before)
                });
                // Also with the last tick: a lease may have been taken right before it.
                if !is_quiet && *seen != mark {
                    let paused_before = paused_before.clone();
                    return Err(give_up(server, &paused_before, &jobs).await?);
                }
                if is_quiet || begun.elapsed() >= QUIET {
                    return Ok(Some(paused_before.clone()));
                }
            }
        }
        sleep(TICK).await;
    }
}

/// Lets workers of format 1 go on, and says which of them are there.
async fn give_up(server: &Server, paused_before: &str, jobs: &[String]) -> Result<LedgerError, LedgerError> {
    let mut undo = redis::pipe();
    undo.atomic();
    undo.cmd("HSET").arg(server.key("meta")).arg("recovers").arg(paused_before).ignore();
    undo.cmd("DEL").arg(server.key("migration")).ignore();
    server.ask_all::<()>(&undo).await?;
    let on = if jobs.is_empty() { String::new() } else { format!(" (on {})", jobs.join(", ")) };
    let others = others(server).await;
    let by = if others.is_empty() {
        String::new()
    } else {
        format!("; programs that use this Redis server right now: {}", others.join(", "))
    };
    let why = format!("workers of the older version are at work on it{on}{by}");
    Ok(LedgerError::Outdated { found: "1".to_owned(), known: FORMAT, why })
}

/// Addresses of the other programs that ran a script within the last seconds; none if the server does not tell.
async fn others(server: &Server) -> Vec<String> {
    const MOST: usize = 8;
    let Ok(node) = server.owner_now().await else { return Vec::new() };
    let Ok(mine) = node.try_ask::<String>(Cmd::new().arg("CLIENT").arg("ID")).await else { return Vec::new() };
    let all: String = node.try_ask(Cmd::new().arg("CLIENT").arg("LIST")).await.unwrap_or_default();
    let field = |line: &str, name: &str| {
        line.split(' ')
            .find_map(|part| Some(part.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
            .unwrap_or_default()
    };
    let is_other = |line: &&str| {
        let is_recent = field(line, "idle").parse::<u32>().is_ok_and(|idle| idle <= 5);
        is_recent && field(line, "cmd").starts_with("eval") && field(line, "id") != mine
    };
    all.lines().filter(is_other).map(|line| field(line, "addr")).take(MOST).collect()
}

/// Waits until nobody else is at it; false if the step was taken meanwhile.
async fn lock(server: &Server, me: &str) -> Result<bool, LedgerError> {
    loop {
        let mut asked = redis::pipe();
        asked.cmd("SET").arg(server.key("migration")).arg(me).arg("NX").arg("PX").arg(10_000).ignore();
        asked.cmd("GET").arg(server.key("migration"));
        asked.cmd("HGET").arg(server.key("meta")).arg("format");
        let (holder, found): (Option<String>, String) = server.ask_all(&asked).await?;
        if found == FORMAT.to_string() {
            return Ok(false);
        }
        if holder.as_deref() == Some(me) {
            return Ok(true);
        }
        sleep(TICK).await;
    }
}

/// Brings an index together that format 1 kept in small hashes; `field` of `hash` says in how many.
async fn reindex(server: &Server, me: &str, index: &str, hash: &str, field: &str) -> Result<(), LedgerError> {
    let hash = server.key(hash);
    // A ledger without tasks does not say.
    let count: Option<u32> = server.ask(Cmd::new().arg("HGET").arg(&hash).arg(field)).await?;
    let script = step!("lua/ops/migration/reindex.lua");
    for at in 0..count.unwrap_or(1) {
        server.run::<u8>(&script, &texts([index, &at.to_string()])).await?;
        if at % 64 == 0 {
            keep_lock(server, me).await?;
        }
    }
    server.ask::<()>(Cmd::new().arg("HDEL").arg(&hash).arg(field)).await
}

/// The step goes on: nobody else takes it.
async fn keep_lock(server: &Server, me: &str) -> Result<(), LedgerError> {
    server.ask(Cmd::new().arg("SET").arg(server.key("migration")).arg(me).arg("PX").arg(10_000)).await
}

/// Brings the specs of a batch to format 2, and says by which names its jobs are known too.
async fn split_specs(server: &Server, me: &str, number: u32) -> Result<(), LedgerError> {
    let (survey, change) =
        (step!("lua/lib/archive.lua", "lua/ops/migration/survey.lua"), step!("lua/ops/migration/split.lua"));
    // What a name's next number is likely to be: only a repetition begins at 1 again.
    let mut numbers: HashMap<String, u64> = HashMap::new();
    let (mut from, mut unrecognizable) = (0, 0_u64);
    loop {
        let args = texts([&number.to_string(), &from.to_string(), &CHUNK.to_string()]);
        let jobs: Vec<(Vec<u8>, String, Vec<u8>)> = server.run(&survey, &args).await?;
        let (mut args, mut names) = (texts([&number.to_string()]), Vec::new());
        for (seq, (entry, id, body)) in (from..).zip(&jobs) {
            if entry.is_empty() {
                unrecognizable += u64::from(is_unrecognizable(id, body));
                continue;
            }
            let (head, id, spec) = parts(entry)?;
            let Some(split) = split(id, spec) else { continue };
            let new = [head, b"\n", &split.spec].concat();
            let name = split.also.unwrap_or_default();
            let nth = numbers.get(&name).copied().unwrap_or(1).to_string();
            args.extend([
                seq.to_string().into_bytes(),
                entry.clone(),
                new,
                name.clone().into_bytes(),
                nth.into_bytes(),
            ]);
            names.push(name);
        }
        if !names.is_empty() {
            let given: Vec<u64> = server.run(&change, &args).await?;
            numbers.extend(names.into_iter().zip(given.into_iter().map(|nth| nth + 1)));
        }
        keep_lock(server, me).await?;
        from += jobs.len();
        if jobs.len() < CHUNK {
            break;
        }
    }
    if unrecognizable > 0 {
        let key = server.key(&format!("b{number}"));
        server.ask::<()>(Cmd::new().arg("HSET").arg(key).arg("unsure").arg(unrecognizable)).await?;
    }
    Ok(())
}

/// The first line of an entry in `:j`, the id in it, and the spec.
fn parts(entry: &[u8]) -> Result<(&[u8], &str, &[u8]), LedgerError> {
    let read = || {
        let mut lines = entry.splitn(2, |byte| *byte == b'\n');
        let (head, spec) = (lines.next()?, lines.next()?);
        let id = head.split(|byte| *byte == CLASS_MARK).next()?;
        Some((head, std::str::from_utf8(id).ok()?, spec))
    };
    read().ok_or_else(|| damaged("a job's entry", entry))
}

/// What `watch.lua` says.
enum Watched {
    Format(String),
    Locked,
    Seen { mark: String, is_quiet: bool, jobs: Vec<String>, before: String },
}

impl Watched {
    fn parse(answer: Vec<Value>) -> Result<Self, LedgerError> {
        let mut reply = Reply::of(answer);
        let word: String = reply.take()?;
        Ok(match word.as_str() {
            "format" => Self::Format(reply.take()?),
            "locked" => Self::Locked,
            "watched" => {
                Self::Seen { mark: reply.take()?, is_quiet: reply.take()?, jobs: reply.take()?, before: reply.take()? }
            }
            other => return Err(damaged("the answer of a watch", other.as_bytes())),
        })
    }
}
