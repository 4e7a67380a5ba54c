//! How likely a video is to end when, from what was seen of others: smoothed, and with room for surprises.
//!
//! Ages are compared by their ratio, so all is done on a grid of them in which each is 3 % above the last. Where videos end
//! is spread over its neighbourhood (a kernel with the usual width for so many), and a small part is spread
//! widely around the median: a service that became slower is then looked at in growing gaps, not in short ones for ever.
//! Those that will take longer than anybody has seen yet are spread beyond that.

use crate::life_table::LifeTable;

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

/// How far those go that take longer than anybody has seen, in the logarithm.
const BEYOND: f64 = 0.35;

/// How likely a video is to end when.
#[derive(Clone, Debug)]
pub(super) struct Density {
    /// Half of them take less.
    pub(super) median: f64,
    /// Ascending, in seconds.
    pub(super) ages: Vec<f64>,
    /// The part of videos that end between the age before and this one; together 1.
    pub(super) mass: Vec<f64>,
}

/// Some of the videos: where they end, as the logarithm of the age, and which part of all they are.
type Point = (f64, f64);

impl Density {
    /// Of what `table` has seen; `None` as long as nobody knows how long half of them take.
    pub(super) fn of(table: &LifeTable) -> Option<Self> {
        let median = table.quantile(0.5)?.as_secs_f64();
        let endings = table.endings();
        let middle = |from: f64, to: f64| f64::midpoint(from, to).ln();
        let points: Vec<Point> =
            endings.iter().map(|ending| (middle(ending.from, ending.to), ending.left_before - ending.left)).collect();
        let quartiles = table.quantile(0.25).zip(table.quantile(0.75));
        let between = quartiles.map(|(lower, upper)| (upper.as_secs_f64() / lower.as_secs_f64()).ln());
        let width = width(&points, between, table.ended());
        let ages: Vec<f64> = std::iter::successors(Some(median * FROM), |age| Some(age * RATIO))
            .take_while(|age| *age < median * TO)
            .collect();
        let mut mass = vec![0.0; ages.len()];
        for (center, part) in &points {
            spread(&mut mass, &ages, *center, width, (1.0 - SURPRISES) * part);
        }
        spread(&mut mass, &ages, median.ln(), SURPRISE, SURPRISES);
        let unseen = endings.last().map_or(0.0, |last| last.left);
        let beyond = ages.partition_point(|age| *age <= table.oldest());
        if let (Some(mass), Some(ages)) = (mass.get_mut(beyond..), ages.get(beyond..)) {
            // Half of such a distribution lies beyond its middle.
            spread(mass, ages, table.oldest().ln(), BEYOND, 2.0 * (1.0 - SURPRISES) * unseen);
        }
        let whole: f64 = mass.iter().sum();
        let mass = mass.into_iter().map(|part| part / whole).collect();
        Some(Self { median, ages, mass })
    }
}

/// Silverman's rule: 0.9 times the spread, by the fifth root of the number. Of the spread's two measures the smaller one,
/// so that outliers do not blur the rest.
fn width(points: &[Point], between_quartiles: Option<f64>, ended: u64) -> f64 {
    let whole: f64 = points.iter().map(|(_, part)| part).sum();
    let mean = points.iter().map(|(log, part)| log * part).sum::<f64>() / whole;
    let deviation = (points.iter().map(|(log, part)| (log - mean).powi(2) * part).sum::<f64>() / whole).sqrt();
    let spread = between_quartiles.map_or(deviation, |between| deviation.min(between / 1.34));
    (0.9 * spread * count(ended).powf(-0.2)).max(NARROWEST)
}

fn count(ended: u64) -> f64 {
    f64::from(u32::try_from(ended).unwrap_or(u32::MAX))
}

/// Adds `weight`, spread as a normal distribution in the logarithm. What lies beyond the grid is left out.
fn spread(mass: &mut [f64], ages: &[f64], center: f64, width: f64, weight: f64) {
    let step = RATIO.ln();
    for (part, age) in mass.iter_mut().zip(ages) {
        let distance = (age.ln() - step / 2.0 - center) / width;
        *part += weight * step / (width * std::f64::consts::TAU.sqrt()) * (-distance * distance / 2.0).exp();
    }
}
