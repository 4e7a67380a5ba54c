//! What new jobs are expected to cost: once, or in each run of a batch that recurs.

use std::fmt;

use veobatch_core::{Credits, Prices};
use veobatch_producer::{Checked, Comparison, Estimate};

use crate::output::format::dollars;
use crate::report::forecast::{BatchForecast, Forecasts};

/// What of a batch is new.
#[derive(Clone, Debug, Default)]
pub(crate) struct New {
    /// So many jobs.
    pub(crate) jobs: u64,
    /// What they cost.
    pub(crate) estimate: Estimate,
}

impl New {
    /// Of each batch: what the comparison admits, or all of it where there is no ledger to compare with.
    pub(crate) fn of_each(checked: &Checked, comparison: Option<&Comparison>, prices: &Prices) -> Vec<Self> {
        let all = |n| Self { jobs: checked.jobs_of(n), estimate: checked.estimate_of(n, prices) };
        comparison.map_or_else(
            || (0..checked.batches().len()).map(all).collect(),
            |comparison| {
                let compared = comparison.batches.iter();
                compared.map(|batch| Self { jobs: batch.admitted, estimate: batch.estimate(prices) }).collect()
            },
        )
    }
}

/// What is expected of each batch that has something new, with what that costs.
pub(crate) fn expected<'a>(
    forecasts: &'a Forecasts,
    checked: &Checked,
    new: &[New],
) -> Vec<(BatchForecast<'a>, Credits)> {
    let batches = checked.options().zip(new).filter(|(_, new)| new.jobs > 0);
    let expected = batches.filter_map(|((batch, asked), New { jobs, estimate })| {
        Some((forecasts.with(batch, *jobs, estimate.each(), asked)?, estimate.credits))
    });
    expected.collect()
}

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    pub(crate) once: Credits,
    pub(crate) per_run: Credits,
}

impl Costs {
    /// Of all that is new, which costs `all`.
    pub(crate) fn of(all: Credits, expected: &[(BatchForecast<'_>, Credits)]) -> Self {
        let recurring = expected.iter().filter(|(expected, _)| expected.recurs());
        let per_run = recurring.map(|(_, credits)| *credits).sum();
        Self { once: all.saturating_sub(per_run), per_run }
    }
}

/// `480 credits (US$2.40)`.
impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = Credits::default();
        let told = |credits: Credits| format!("{credits} credits ({})", dollars(credits));
        match (self.once, self.per_run) {
            (once, none) if none == nothing => f.write_str(&told(once)),
            (none, per_run) if none == nothing => write!(f, "{} per run", told(per_run)),
            (once, per_run) => write!(f, "{}, and {} per recurring run", told(once), told(per_run)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recurs_costs_so_much_per_run() {
        let words = |once, per_run| {
            let [once, per_run] = [once, per_run].map(Credits::whole);
            Costs { once, per_run }.to_string()
        };
        assert_eq!(words(480, 0), "480 credits (US$2.40)");
        assert_eq!(words(0, 120), "120 credits (US$0.60) per run");
        let both = "480 credits (US$2.40), and 120 credits (US$0.60) per recurring run";
        assert_eq!(words(480, 120), both);
    }
}
