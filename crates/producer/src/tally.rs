//! How many jobs of which model and size: enough to say what they will cost, with any price list.

use std::collections::BTreeMap;

use serde::Serialize;
use veobatch_core::{Credits, Prices, Resolution, Spec};

/// What jobs are expected to cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// For all jobs whose model has a price.
    pub credits: Credits,
    /// Models without a price, with the number of their jobs.
    pub unpriced: BTreeMap<String, u64>,
}

/// Jobs by model and resolution.
#[derive(Clone, Debug, Default)]
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
                    Some(price) => estimate.credits = [estimate.credits, price.times(n)].into_iter().sum(),
                    None => *estimate.unpriced.entry(model.clone()).or_default() += n,
                }
            }
        }
        estimate
    }
}
