//! A server's keys as lines, page by page, as long as nothing changes.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};

use redis::Cmd;
use tokio::sync::mpsc;
use veobatch_core::account::{Pace, SLOT_HOURS};
use veobatch_core::{Timestamp, fold};

use super::super::ledger::RedisLedger;
use super::super::scripts::texts;
use super::super::{hints, identity};
use super::PAGE;
use super::row::Row;
use crate::LedgerError;
use crate::migration::FORMAT;
use crate::sqlite::wall_clock;
use crate::transfer::{
    AccountLine, Alias, Batch, Bytes, CHUNK, Daily, ExportEntry, Fast, Gate, Header, Heard, Low, Moved, Seen, Sent,
    Slot, TaskOf, UNLIMITED, VERSION,
};

type Fields = HashMap<String, Vec<u8>>;

/// `meta`, `acct`, `price`, `heard`, `seen`, `polls`, and the arrivals.
type Told = (Fields, Fields, Fields, Fields, Fields, Fields, Vec<(String, u64)>);

/// Entries of an index that are read in one go, about.
const ENTRIES: usize = 1000;

/// An export under way.
struct Reading<'a> {
    ledger: &'a RedisLedger,
    to: &'a mpsc::Sender<Sent>,
    stamp: String,
}

/// Sends the ledger.
pub(super) async fn all(ledger: &RedisLedger, source: &str, to: &mpsc::Sender<Sent>) -> Result<(), LedgerError> {
    let id = identity::id(&ledger.server).await?;
    let mut asked = redis::pipe();
    asked.atomic();
    for key in ["meta", "acct", "price", "heard", "seen", "polls"] {
        asked.cmd("HGETALL").arg(ledger.server.key(key));
    }
    asked.cmd("ZRANGE").arg(ledger.server.key("arrivals")).arg(0).arg(-1).arg("WITHSCORES");
    let told: Told = ledger.server.ask_all(&asked).await?;
    let time = identity::now(&ledger.server).await?;
    let (meta, arrivals) = (&told.0, told.6.clone());
    if let Some(moved) = text(meta, "moved") {
        return Err(Moved::parse(&moved).error());
    }
    let stamp = text(meta, "changed").unwrap_or_default();
    let header = Header {
        veobatch_ledger: VERSION,
        format: FORMAT,
        ledger: id,
        source: source.to_owned(),
        stamp: stamp.clone(),
        grants: number(meta, "grants"),
        time,
        exported: wall_clock()().to_string(),
    };
    let reading = Reading { ledger, to, stamp };
    reading.send(Sent::Header(Box::new(header))).await?;
    let mut account = account(&told, arrivals);
    account.slots = reading.slots(time).await?;
    reading.entry(ExportEntry::Account(Box::new(account))).await?;
    let numbers = reading.batches().await?;
    reading.tasks(&numbers).await?;
    reading.check().await
}

fn text(of: &Fields, field: &str) -> Option<String> {
    of.get(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn number<T: std::str::FromStr>(of: &Fields, field: &str) -> Option<T> {
    text(of, field)?.parse().ok()
}

fn account((meta, acct, price, heard, seen, polls, _): &Told, arrivals: Vec<(String, u64)>) -> AccountLine {
    let usual = Pace::default();
    let bound = text(meta, "bound");
    let (api_base, fingerprint) = bound.as_deref().and_then(|bound| bound.split_once('\n')).unzip();
    let rank = |(token, bound): &(String, u64)| (*bound, token.clone());
    let mut arrivals = arrivals;
    arrivals.sort_by_key(rank);
    let hints =
        |of: &Fields| hints::read_all(of.keys().filter_map(|name| Some((name.clone(), text(of, name)?))).collect());
    let prices = price.keys().filter_map(|class| Some((class.clone(), number(price, class)?)));
    AccountLine {
        salt: meta.get("salt").cloned().map(Bytes),
        api_base: api_base.map(str::to_owned),
        fingerprint: fingerprint.map(str::to_owned),
        submissions: number(acct, "n").unwrap_or(usual.submissions),
        per: number(acct, "w").unwrap_or(veobatch_core::millis(usual.per)),
        max_in_flight: number(acct, "cap").unwrap_or(usual.max_in_flight),
        poll_rate: number(polls, "rate"),
        prices: prices.collect(),
        prices_asked: meta.contains_key("priced"),
        daily: daily(acct),
        next_slot: number::<f64>(acct, "tat").map_or(0, micros),
        arrivals,
        upgrade_turn: number(acct, "upgrade_turn"),
        lowered: number(acct, "low").map(|to| Low {
            to,
            since: number(acct, "low_since").unwrap_or_default(),
            peak: number(acct, "peak").unwrap_or_default(),
        }),
        gate: gate(acct),
        troubles: number(acct, "troubles").unwrap_or_default(),
        fastest: Fast {
            present: number(acct, "fast"),
            count: number(acct, "fast_n").unwrap_or_default(),
            before: number(acct, "fast_was"),
        },
        heard: Heard::of(&hints(heard)),
        seen: Seen::of(hints(seen)),
        slots: Vec::new(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a time in microseconds is far below 2^63")]
fn micros(ms: f64) -> i64 {
    (ms * 1000.0).round() as i64
}

fn daily(acct: &Fields) -> Option<Daily> {
    Some(Daily {
        credits: number(acct, "daily")?,
        zone: text(acct, "zone")?,
        from: number(acct, "day_from").unwrap_or_default(),
        until: number(acct, "day_until").unwrap_or_default(),
        spent: number(acct, "day_spent").unwrap_or_default(),
    })
}

fn gate(acct: &Fields) -> Option<Gate> {
    let trial = text(acct, "probe").map(|token| (token, number(acct, "probe_until").unwrap_or_default()));
    Some(Gate {
        until: number(acct, "until")?,
        why: text(acct, "why").unwrap_or_default(),
        no_credits: text(acct, "no_credits").as_deref() == Some("1"),
        closings: number(acct, "closings").unwrap_or_default(),
        trial,
    })
}

impl Reading<'_> {
    async fn send(&self, sent: Sent) -> Result<(), LedgerError> {
        let gone = |_| LedgerError::Unavailable("nobody writes the export any more".to_owned());
        self.to.send(sent).await.map_err(gone)
    }

    async fn entry(&self, entry: ExportEntry) -> Result<(), LedgerError> {
        self.send(Sent::ExportEntry(Box::new(entry))).await
    }

    fn key(&self, name: &str) -> String {
        self.ledger.server.key(name)
    }

    /// It is still what it was.
    async fn check(&self) -> Result<(), LedgerError> {
        let stamp = self.ledger.meta("changed").await?.unwrap_or_default();
        if stamp == self.stamp { Ok(()) } else { Err(changed_meanwhile()) }
    }

    async fn slots(&self, now: Timestamp) -> Result<Vec<Slot>, LedgerError> {
        let hour = i64::try_from(now.as_millis() / 3_600_000).unwrap_or_default();
        let mut slots = Vec::new();
        for hour in hour - i64::from(SLOT_HOURS)..=hour {
            let key = self.key(&format!("u{hour}"));
            let reasons: BTreeMap<String, f64> = self.ledger.server.ask(Cmd::new().arg("HGETALL").arg(key)).await?;
            let rounded = |n: f64| (n * 1e6).round() / 1e6;
            slots.extend(reasons.into_iter().map(|(why, n)| Slot { hour, why, n: rounded(n) }));
        }
        Ok(slots)
    }

    /// Sends the batches and their jobs; returns their numbers in the ledger.
    async fn batches(&self) -> Result<Vec<u32>, LedgerError> {
        let mut numbers: Vec<u32> = self.ledger.server.ask(Cmd::new().arg("HVALS").arg(self.key("names"))).await?;
        numbers.sort_unstable();
        let (mut published, mut left_out) = (Vec::new(), 0);
        for n in numbers {
            let mut asked = redis::pipe();
            asked.cmd("HGETALL").arg(self.key(&format!("b{n}")));
            asked.cmd("ZSCORE").arg(self.key("rest")).arg(n);
            let (fields, rested): (Fields, Option<u64>) = self.ledger.server.ask_all(&asked).await?;
            let jobs: u32 = number(&fields, "published").unwrap_or_default();
            left_out += u64::from(number::<u32>(&fields, "admitted").unwrap_or_default().saturating_sub(jobs));
            if jobs == 0 {
                continue;
            }
            published.push(n);
            let at = u32::try_from(published.len()).unwrap_or(u32::MAX);
            self.entry(ExportEntry::Batch(Box::new(batch(&fields, at, jobs, rested)))).await?;
            let names = self.jobs(n, at, jobs).await?;
            self.aliases(n, at, &names).await?;
        }
        self.send(Sent::LeftOut(left_out)).await?;
        Ok(published)
    }

    /// Returns a hash of what each job is found by.
    async fn jobs(&self, n: u32, at: u32, jobs: u32) -> Result<Vec<u64>, LedgerError> {
        let mut names = Vec::with_capacity(jobs as usize);
        let step = u32::try_from(CHUNK).unwrap_or(u32::MAX);
        for from in (0..jobs).step_by(CHUNK) {
            let end = jobs.min(from + step);
            let args = texts([&self.stamp, &n.to_string(), &from.to_string(), &end.to_string()]);
            let rows: Vec<Row> = self.ledger.server.run(&PAGE, &args).await?;
            if rows.is_empty() {
                return Err(changed_meanwhile());
            }
            for (seq, row) in (from..end).zip(rows) {
                let job = row.job(at, seq);
                names.push(hash(&field_of(&job.id)));
                self.entry(ExportEntry::Job(Box::new(job))).await?;
            }
        }
        Ok(names)
    }

    /// Names in the index that are not their job's own.
    async fn aliases(&self, n: u32, at: u32, names: &[u64]) -> Result<(), LedgerError> {
        let mut found: Vec<(u32, String)> = Vec::new();
        let mut cursor = None;
        while let Some(entries) = self.scan(&format!("b{n}:i"), &mut cursor).await? {
            for (name, seq) in entries {
                let seq: u32 = seq.parse().unwrap_or(u32::MAX);
                if names.get(seq as usize).is_some_and(|own| *own != hash(&name)) {
                    found.push((seq, name));
                }
            }
        }
        found.sort();
        found.dedup();
        for (seq, name) in found {
            self.entry(ExportEntry::Alias(Alias { batch: at, seq, name })).await?;
        }
        Ok(())
    }

    async fn tasks(&self, numbers: &[u32]) -> Result<(), LedgerError> {
        let mut sent = BTreeSet::new();
        let mut cursor = None;
        while let Some(entries) = self.scan("t", &mut cursor).await? {
            for (sha1, member) in entries {
                let position = member.split_once(':').and_then(|(n, seq)| {
                    // Of a forgotten batch, and not cleared away yet.
                    Some((numbers.binary_search(&n.parse().ok()?).ok()? + 1, seq.parse().ok()?))
                });
                // A scan may tell an entry twice.
                if let Some((at, seq)) = position
                    && sent.insert(hash(&sha1))
                {
                    let batch = u32::try_from(at).unwrap_or(u32::MAX);
                    self.entry(ExportEntry::Task(TaskOf { batch, seq, sha1 })).await?;
                }
            }
        }
        Ok(())
    }

    /// The next entries of an index; `None` once there are no more. The cursor is absent before the first.
    async fn scan(&self, key: &str, cursor: &mut Option<u64>) -> Result<Option<Vec<(String, String)>>, LedgerError> {
        if *cursor == Some(0) {
            return Ok(None);
        }
        let mut asked = Cmd::new();
        asked.arg("HSCAN").arg(self.key(key)).arg(cursor.unwrap_or(0)).arg("COUNT").arg(ENTRIES);
        let (next, entries) = self.ledger.server.ask(&asked).await?;
        *cursor = Some(next);
        Ok(Some(entries))
    }
}

fn changed_meanwhile() -> LedgerError {
    LedgerError::Transfer(
        "the ledger changed while it was exported, so the lines are not of one moment: stop its workers and try again"
            .to_owned(),
    )
}

/// A job's name as the index has it (`name_field` in `names.lua`).
fn field_of(id: &str) -> String {
    const LONGEST: usize = 40;
    let folded = fold(id);
    if folded.len() > LONGEST { format!("#{}", sha1_smol::Sha1::from(folded).digest()) } else { folded }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn batch(fields: &Fields, at: u32, jobs: u32, rested: Option<u64>) -> Batch {
    Batch {
        number: at,
        name: text(fields, "name").unwrap_or_default(),
        jobs,
        created: number(fields, "created").unwrap_or_default(),
        paused: fields.contains_key("paused"),
        paused_because: text(fields, "why"),
        cancelling: fields.contains_key("cancelling"),
        weight: number(fields, "weight").unwrap_or(1),
        priority: number(fields, "priority").unwrap_or_default(),
        schedule: text(fields, "schedule").unwrap_or_default(),
        from: number(fields, "from").unwrap_or_default(),
        until: number(fields, "until").unwrap_or(UNLIMITED),
        budget: number(fields, "budget"),
        rested,
        unsure: number(fields, "unsure").unwrap_or_default(),
    }
}
