//! How likely a video is to end when, from how long others took: smoothed, and with room for surprises.
//!
//! Durations are compared by their ratio, so all is done on a grid of ages in which each is 2 % above the last. Each sample
//! is spread over its neighbourhood (a kernel with the usual width for that many samples), and a small part is spread
//! widely around the median: a service that became slower is then looked at in growing gaps, not in short ones for ever.

use std::time::Duration;

/// From one age to the next: also the shortest gap between two looks.
const RATIO: f64 = 1.03;

/// The grid, in medians.
const FROM: f64 = 0.2;
const TO: f64 = 12.0;

/// The part that is spread widely, and how widely: 0.8 in the logarithm, a factor of 2.2.
const SURPRISES: f64 = 0.04;
const SURPRISE: f64 = 0.8;

/// Narrowest kernel, in the logarithm.
const NARROWEST: f64 = 0.03;

/// How likely a video is to end when.
#[derive(Clone, Debug)]
pub(super) struct Density {
    /// Half of the samples were shorter.
    pub(super) median: f64,
    /// Ascending, in seconds.
    pub(super) ages: Vec<f64>,
    /// The part of videos that end between the age before and this one; together 1.
    pub(super) mass: Vec<f64>,
}

impl Density {
    /// Of `took`; `None` without a sample above zero.
    pub(super) fn of(took: &[Duration]) -> Option<Self> {
        let mut logs: Vec<f64> = took.iter().map(Duration::as_secs_f64).filter(|s| *s > 0.0).map(f64::ln).collect();
        logs.sort_unstable_by(f64::total_cmp);
        let quantile = |part: usize| logs.get(logs.len() * part / 4).copied();
        let (lower, middle, upper) = (quantile(1)?, quantile(2)?, quantile(3)?);
        let width = width(&logs, upper - lower);
        let median = middle.exp();
        let ages: Vec<f64> = std::iter::successors(Some(median * FROM), |age| Some(age * RATIO))
            .take_while(|age| *age < median * TO)
            .collect();
        let mut mass = vec![0.0; ages.len()];
        for center in &logs {
            spread(&mut mass, &ages, *center, width, 1.0 - SURPRISES);
        }
        spread(&mut mass, &ages, middle, SURPRISE, SURPRISES * count(&logs));
        let whole: f64 = mass.iter().sum();
        let mass = mass.into_iter().map(|part| part / whole).collect();
        Some(Self { median, ages, mass })
    }
}

/// Silverman's rule: 0.9 times the spread, by the fifth root of the number. Of the spread's two measures the smaller one,
/// so that outliers do not blur the rest.
fn width(logs: &[f64], between_quartiles: f64) -> f64 {
    let n = count(logs);
    let mean = logs.iter().sum::<f64>() / n;
    let deviation = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n).sqrt();
    (0.9 * deviation.min(between_quartiles / 1.34) * n.powf(-0.2)).max(NARROWEST)
}

fn count(logs: &[f64]) -> f64 {
    logs.iter().map(|_| 1.0).sum()
}

/// Adds `weight`, spread as a normal distribution in the logarithm. What lies beyond the grid is left out.
fn spread(mass: &mut [f64], ages: &[f64], center: f64, width: f64, weight: f64) {
    let step = RATIO.ln();
    for (part, age) in mass.iter_mut().zip(ages) {
        let distance = (age.ln() - step / 2.0 - center) / width;
        *part += weight * step / width * (-distance * distance / 2.0).exp();
    }
}
