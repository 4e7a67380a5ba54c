//! What passed the check.

use std::fmt;

use veobatch_core::{BatchId, JobKey, Prices, Spec};

use crate::batch_options::BatchOptions;
use crate::estimate::{Estimate, Tally};
use crate::problem::{Problem, Problems};
use crate::spool::{Spool, SpooledJob};

/// Jobs that can be admitted: every file was read to its end and nothing is wrong with any.
pub struct Checked {
    pub(crate) batches: Vec<BatchId>,
    /// What is options for each of them.
    pub(crate) options: Vec<BatchOptions>,
    pub(crate) files: Vec<String>,
    pub(crate) spool: Spool,
    pub(super) total: u64,
    /// How many jobs each batch has.
    pub(super) sizes: Vec<u64>,
    /// What those are.
    pub(super) tallies: Vec<Tally>,
    pub(super) warnings: Problems,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").field("batches", &self.batches).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Checked {
    /// The batches, in the order of the sources.
    pub fn batches(&self) -> Vec<BatchId> {
        self.batches.clone()
    }

    /// Each batch with what is options for it.
    pub fn options(&self) -> impl Iterator<Item = (&BatchId, &BatchOptions)> {
        self.batches.iter().zip(&self.options)
    }

    /// Asks for this, for all batches; what the files ask for holds where it says nothing.
    ///
    /// # Errors
    /// A batch that cannot have these terms.
    pub fn set_options(&mut self, options: &BatchOptions) -> Result<(), Box<Problem>> {
        for (batch, known) in self.batches.iter().zip(&mut self.options) {
            *known = options.or(known);
            known.check(batch)?;
        }
        Ok(())
    }

    /// How many jobs there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many jobs the `n`-th batch has.
    pub fn jobs_of(&self, n: usize) -> u64 {
        self.sizes.get(n).copied().unwrap_or_default()
    }

    /// What a person should know, but does not stop anything.
    pub fn warnings(&self) -> &[Problem] {
        self.warnings.as_slice()
    }

    /// What all jobs are expected to cost.
    pub fn estimate(&self, prices: &Prices) -> Estimate {
        self.tallies.iter().map(|tally| tally.estimate(prices)).sum()
    }

    /// What the jobs of the `n`-th batch are expected to cost.
    pub fn estimate_of(&self, n: usize, prices: &Prices) -> Estimate {
        self.tallies.get(n).map(|tally| tally.estimate(prices)).unwrap_or_default()
    }

    /// The first `n` jobs; fewer if the temporary file cannot be read any more.
    pub fn preview(&self, n: usize) -> Vec<(JobKey, Spec)> {
        let jobs = self.spool.jobs().take(n).map_while(Result::ok);
        jobs.filter_map(|spooled| Some((self.key(&spooled)?, spooled.job.spec))).collect()
    }

    fn key(&self, spooled: &SpooledJob) -> Option<JobKey> {
        let batch = self.batches.get(spooled.batch as usize)?.clone();
        Some(JobKey { batch, job: spooled.job.id.clone() })
    }
}
