//! How many jobs of which model and size: enough to say what they will cost, with any price list.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde::Serialize;
use veobatch_core::{Credits, Prices, Resolution, Spec};

/// What jobs are expected to cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// For all jobs whose model has a price.
    pub credits: Credits,
    /// How many those are.
    pub priced: u64,
    /// Models without a price, with the number of their jobs.
    pub unpriced: BTreeMap<String, u64>,
}

impl Estimate {
    /// What one of the jobs that have a price is expected to cost, on average.
    pub fn each(&self) -> Option<Credits> {
        let jobs = i64::try_from(self.priced).ok().filter(|jobs| *jobs > 0)?;
        Some(Credits::from_millis(self.credits.as_millis() / jobs))
    }
}

impl Sum for Estimate {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut all, one| {
            all.credits += one.credits;
            all.priced += one.priced;
            for (model, n) in one.unpriced {
                *all.unpriced.entry(model).or_default() += n;
            }
            all
        })
    }
}

/// Jobs by model and resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<String, BTreeMap<Resolution, u64>>);

impl Tally {
    /// Counts `n` more jobs like `spec`.
    pub(crate) fn add(&mut self, spec: &Spec, n: u64) {
        if let Some(sizes) = self.0.get_mut(spec.model.as_str()) {
            *sizes.entry(spec.resolution).or_default() += n;
        } else {
            self.0.insert(spec.model.clone(), BTreeMap::from([(spec.resolution, n)]));
        }
    }

    pub(crate) fn estimate(&self, prices: &Prices) -> Estimate {
        let mut estimate = Estimate::default();
        for (model, sizes) in &self.0 {
            for (&resolution, &n) in sizes {
                let spec = Spec { model: model.clone(), resolution, ..Spec::default() };
                match prices.of(&spec) {
                    Some(price) => {
                        estimate.credits += price.times(n);
                        estimate.priced += n;
                    }
                    None => *estimate.unpriced.entry(model.clone()).or_default() += n,
                }
            }
        }
        estimate
    }
}
