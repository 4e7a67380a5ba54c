//! From the names that a person typed to batches and jobs; for a name that is not there, those that are like it.

use veobatch_core::{BatchId, JobId, JobKey, fold};
use veobatch_ledger::{BatchSummary, Batches, JobFilter, Ledger, Lookup, Stored};

use crate::failure::{Failure, Result};

/// How many jobs are looked at for a similar name.
const LOOK: usize = 1000;

/// How many similar names are told.
const TELL: usize = 3;

/// The batch called `name`.
pub(crate) async fn batch(ledger: &dyn Ledger, name: &str) -> Result<BatchSummary> {
    if let Ok(batch) = BatchId::parse(name)
        && let Some(found) = ledger.list(&Batches::Named(vec![batch])).await?.pop()
    {
        return Ok(found);
    }
    let batches = ledger.batches().await?;
    let failure = Failure::bad_input(format!("find batch {name:?}")).since("there is no such batch in this ledger");
    let near = near(name, batches.iter().map(|summary| summary.batch.as_str()));
    Err(failure.hint(if near.is_empty() {
        "list the batches: veobatch status".to_owned()
    } else {
        format!("did you mean {near}? All of them: veobatch status")
    }))
}

/// The job called `name` in `batch`.
pub(crate) async fn job(ledger: &dyn Ledger, batch: &BatchId, name: &str) -> Result<Stored> {
    if let Ok(job) = JobId::parse(name) {
        let key = JobKey { batch: batch.clone(), job };
        if let Some(stored) = ledger.find(Lookup::Name(&key)).await? {
            return Ok(stored);
        }
    }
    let some = ledger.page(batch, JobFilter::All, None, LOOK).await?;
    let near = near(name, some.iter().map(|stored| stored.key.job.as_str()));
    let failure = Failure::bad_input(format!("find job {name:?}")).since(format!("batch {batch} has no such job"));
    Err(failure.hint(if near.is_empty() {
        format!("list its jobs: veobatch jobs {batch}")
    } else {
        format!("did you mean {near}? All of them: veobatch jobs {batch}")
    }))
}

/// Up to [`TELL`] of `known` that are like `name`, the most similar first.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let name = fold(name);
    let mut found: Vec<(f64, &str)> = known
        .map(|known| (strsim::jaro_winkler(&name, &fold(known)), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found.iter().take(TELL).map(|(_, known)| *known).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_told_and_others_are_not() {
        let known = ["garden", "gardens-2", "office"];
        assert_eq!(near("gardn", known.into_iter()), "garden or gardens-2");
        assert_eq!(near("zzz", known.into_iter()), "");
    }
}
