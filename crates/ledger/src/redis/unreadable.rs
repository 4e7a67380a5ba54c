//! Jobs that this program cannot read (see [`crate::ledger::unreadable`]).

use std::collections::HashMap;

use redis::Cmd;
use veobatch_core::Timestamp;

use super::ledger::RedisLedger;
use super::reading::READ_CHUNK;
use super::scripts::texts;
use crate::ledger::unreadable::Unreadable;
use crate::{JobRef, LedgerError};

impl RedisLedger {
    /// Puts these on the list of what this program cannot read; what it claimed is held by nobody and due again later.
    pub(super) async fn set_aside(&self, unreadable: &[Unreadable]) -> Result<(), LedgerError> {
        for jobs in unreadable.chunks(READ_CHUNK) {
            let mut args = Vec::with_capacity(jobs.len() * 4);
            for Unreadable { job, fence, why, .. } in jobs {
                let fence = fence.as_ref().map_or("", |fence| &fence.0);
                args.extend(texts([&*job.batch.to_string(), &job.seq.to_string(), fence, why]));
            }
            let new: Vec<bool> = self.server.run(&self.scripts.set_aside, &args).await?;
            jobs.iter().zip(new).filter(|(_, new)| *new).for_each(|(job, _)| job.log());
        }
        Ok(())
    }

    /// What is on the list and still cannot be read. What can be, or is gone, leaves it.
    pub(super) async fn list_unreadable(&self, max: usize) -> Result<Vec<Unreadable>, LedgerError> {
        let list = self.server.key("unreadable");
        let noted: Vec<(String, String)> = self.server.ask(Cmd::new().arg("HGETALL").arg(&list)).await?;
        let since = |text: &str| text.split(' ').next().and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis);
        let mut noted: Vec<(Timestamp, &str)> =
            noted.iter().map(|(member, text)| (since(text).unwrap_or_default(), member.as_str())).collect();
        noted.sort_unstable();
        let mut unreadable = Vec::new();
        for chunk in noted.chunks(READ_CHUNK) {
            if unreadable.len() >= max {
                break;
            }
            let mut args = texts(["members"]);
            args.extend(chunk.iter().map(|(_, member)| member.as_bytes().to_vec()));
            let (now, rows) = self.rows(&args).await?;
            let mut known: HashMap<String, Unreadable> = HashMap::new();
            for row in rows {
                let JobRef { batch, seq } = row.place();
                if let Err(job) = row.stored(now)? {
                    known.insert(format!("{batch}:{seq}"), job);
                }
            }
            let mut gone = Cmd::new();
            gone.arg("HDEL").arg(&list);
            let before = unreadable.len();
            for (since, member) in chunk {
                match known.remove(*member) {
                    Some(job) => unreadable.push(Unreadable { since: *since, ..job }),
                    None => drop(gone.arg(*member)),
                }
            }
            if unreadable.len() - before < chunk.len() {
                self.server.ask::<u32>(&gone).await?;
            }
        }
        unreadable.truncate(max);
        Ok(unreadable)
    }
}
