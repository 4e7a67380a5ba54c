//! What becomes of finished jobs: compact in time, forgotten if a person wants that.

use veobatch_core::{BatchId, millis};

use super::ledger::RedisLedger;
use super::row::damaged;
use super::scripts::texts;
use crate::{Compaction, LedgerError, STAGING_TIMEOUT};

/// Jobs made compact in one call: 2 ms of the server's time.
const CHUNK: usize = 100;

impl RedisLedger {
    pub(super) async fn compact_jobs(&self, jobs: &[Compaction]) -> Result<u64, LedgerError> {
        let mut compacted = 0;
        for jobs in jobs.chunks(CHUNK) {
            let mut args = Vec::with_capacity(jobs.len() * 4);
            for Compaction { job, version, body } in jobs {
                args.extend(texts([&job.batch.to_string(), &job.seq.to_string(), &version.0.to_string()]));
                args.push(body.clone());
            }
            compacted += self.server.run::<u64>(&self.scripts.compact, &args).await?;
        }
        Ok(compacted)
    }

    pub(super) async fn forget_batch(&self, batch: &BatchId) -> Result<(), LedgerError> {
        let args = texts([&batch.folded(), &millis(STAGING_TIMEOUT).to_string()]);
        let answer: String = self.server.run(&self.scripts.forget, &args).await?;
        match answer.as_str() {
            "forgotten" => Ok(()),
            "unknown" => Err(LedgerError::UnknownBatch(batch.clone())),
            "busy" => Err(LedgerError::Busy { batch: batch.clone() }),
            "unsettled" => Err(LedgerError::Unsettled(batch.clone())),
            other => Err(damaged("the answer to forgetting a batch", other.as_bytes())),
        }
    }

    pub(super) async fn clear_some(&self) -> Result<bool, LedgerError> {
        Ok(self.server.run::<u8>(&self.scripts.clear, &[]).await? == 1)
    }
}
