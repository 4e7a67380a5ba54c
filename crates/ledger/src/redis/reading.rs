//! Reading: jobs by name, pages in file order.

use redis::Cmd;
use veobatch_core::{BatchId, JobId, StateName, Timestamp};

use super::ledger::RedisLedger;
use super::row::Row;
use super::scripts::texts;
use crate::ledger::unreadable::Unreadable;
use crate::{JobFilter, LedgerError, Stored};

/// Most jobs of one page.
const PAGE_MAX: usize = 1000;

/// Jobs read in one call: 1 ms of the server's time.
pub(super) const READ_CHUNK: usize = 200;

/// Bytes of a bitmap that are read in one go: 131,072 jobs.
const BITMAP_CHUNK: usize = 16 * 1024;

/// The bitmap by sequence number that tells which jobs of a batch a page is of.
fn bitmap(filter: JobFilter, number: u32) -> Option<String> {
    match filter {
        JobFilter::All => None,
        JobFilter::In(state) => Some(format!("b{number}:m:{state}")),
        JobFilter::Whole => Some(format!("b{number}:u")),
    }
}

/// The state that its jobs are in.
fn state_of(filter: JobFilter) -> Option<StateName> {
    match filter {
        JobFilter::All => None,
        JobFilter::In(state) => Some(state),
        JobFilter::Whole => Some(StateName::Done),
    }
}

impl RedisLedger {
    /// What a question about one job found.
    pub(super) async fn read_one(&self, args: &[&str]) -> Result<Option<(Row, Timestamp)>, LedgerError> {
        let (now, mut rows) = self.rows(&args.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>()).await?;
        Ok(rows.pop().map(|row| (row, now)))
    }

    pub(super) async fn rows(&self, args: &[Vec<u8>]) -> Result<(Timestamp, Vec<Row>), LedgerError> {
        let (now, rows): (u64, Vec<Row>) = self.server.run(&self.scripts.read, args).await?;
        Ok((Timestamp::from_millis(now), rows))
    }

    pub(super) async fn read_page(
        &self,
        batch: &BatchId,
        filter: JobFilter,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Stored>, LedgerError> {
        let limit = limit.min(PAGE_MAX);
        let Some((number, published)) = self.extent(batch).await? else { return Ok(Vec::new()) };
        let mut from = 0;
        if let Some(after) = after {
            match self.read_one(&["key", &batch.folded(), &after.folded()]).await? {
                Some((row, _)) => from = row.place().seq as usize + 1,
                None => return Ok(Vec::new()),
            }
        }
        let (mut page, mut unreadable) = (Vec::new(), Vec::new());
        while page.len() < limit && from < published {
            let most = READ_CHUNK.min(limit - page.len());
            let (seqs, next) = match bitmap(filter, number) {
                None => ((from..published).take(most).collect(), (from + most).min(published)),
                Some(bitmap) => self.set_bits(&bitmap, from, published, most).await?,
            };
            from = next;
            for job in self.read_seqs(number, &seqs).await? {
                match job {
                    // Some may have moved on since the bitmap was read.
                    Ok(job) if state_of(filter).is_none_or(|state| job.record.state.name() == state) => page.push(job),
                    Ok(_) => {}
                    Err(job) => unreadable.push(job),
                }
            }
        }
        self.set_aside(&unreadable).await?;
        Ok(page)
    }

    /// The number of a batch and of its published jobs.
    async fn extent(&self, batch: &BatchId) -> Result<Option<(u32, usize)>, LedgerError> {
        let number: Option<u32> =
            self.server.ask(Cmd::new().arg("HGET").arg(self.server.key("names")).arg(batch.folded())).await?;
        let Some(number) = number else { return Ok(None) };
        let published: Option<usize> = self
            .server
            .ask(Cmd::new().arg("HGET").arg(self.server.key(&format!("b{number}"))).arg("published"))
            .await?;
        Ok(Some((number, published.unwrap_or(0))))
    }

    /// Up to `most` jobs of a bitmap from `from` on, and where the next page starts.
    async fn set_bits(
        &self,
        bitmap: &str,
        from: usize,
        published: usize,
        most: usize,
    ) -> Result<(Vec<usize>, usize), LedgerError> {
        let first = from / 8;
        let bits: Vec<u8> = self
            .server
            .ask(Cmd::new().arg("GETRANGE").arg(self.server.key(bitmap)).arg(first).arg(first + BITMAP_CHUNK - 1))
            .await?;
        let end = if bits.len() < BITMAP_CHUNK { published } else { published.min((first + bits.len()) * 8) };
        let seqs: Vec<usize> =
            ones(&bits, first * 8).filter(|seq| (from..published).contains(seq)).take(most).collect();
        let next = match seqs.last() {
            Some(last) if seqs.len() == most => last + 1,
            Some(_) | None => end,
        };
        Ok((seqs, next))
    }

    async fn read_seqs(&self, number: u32, seqs: &[usize]) -> Result<Vec<Result<Stored, Unreadable>>, LedgerError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut args = texts(["seqs", &number.to_string()]);
        args.extend(seqs.iter().map(|seq| seq.to_string().into_bytes()));
        let (now, rows) = self.rows(&args).await?;
        rows.iter().map(|row| row.stored(now)).collect()
    }
}

/// The numbers of the set bits, the first of which is `from`; Redis counts from the highest bit of a byte.
fn ones(bytes: &[u8], from: usize) -> impl Iterator<Item = usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(move |(at, byte)| {
        (0..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| from + at * 8 + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_numbered_from_the_highest_of_a_byte() {
        assert_eq!(ones(&[0b1000_0001, 0, 0b0100_0000], 8).collect::<Vec<_>>(), [8, 15, 25]);
    }
}
