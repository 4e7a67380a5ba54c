//! The best ages to look at, if looks cost something and so does every second in which a finished video is not noticed.
//!
//! An inspection schedule by dynamic programming: after a look at age A that found nothing, the next one is at the age B
//! for which the cost of that look, of the delay of what ends between A and B, and of all that follows is least. The price
//! of a look is then searched, so that a video costs about [`LOOKS`] of them. With one price for all ages, looks are dense
//! where many of the videos that are left end, and sparse where few do.

use super::density::Density;

/// Looks at a video, on average, if their price is not bound by [`CHEAPEST`]. The goal is at most 4 (issue 4); jitter and a
/// spread that is known from few videos take the rest.
const LOOKS: f64 = 4.0;

/// A look must save at least this part of the median: videos that all take equally long need fewer than [`LOOKS`].
const CHEAPEST: f64 = 0.01;

/// And more than so many medians saves none.
const DEAREST: f64 = 1.0;

/// From this many medians on a delay counts in proportion to the age: a minute matters less to what took an hour. So a few
/// very long videos do not draw looks away from the usual ones.
const LONG: f64 = 2.0;

/// Halvings of the price's range; 1 % is near enough.
const SEARCH: u32 = 9;

/// When to look, by index into the ages of the density.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// At first.
    pub(super) first: usize,
    /// After a look at each age, but the last one.
    pub(super) next: Vec<usize>,
}

/// The best plan of about [`LOOKS`] looks.
pub(super) fn plan(density: &Density) -> Plan {
    let costs = Costs::of(density);
    let (mut low, mut high) = ((CHEAPEST * density.median).ln(), (DEAREST * density.median).ln());
    if costs.looks(&costs.best(low.exp())) > LOOKS {
        for _ in 0..SEARCH {
            let middle = f64::midpoint(low, high);
            if costs.looks(&costs.best(middle.exp())) > LOOKS { low = middle } else { high = middle }
        }
        low = high;
    }
    costs.best(low.exp())
}

/// Sums over a density, so that the delay between any two looks is known at once.
#[derive(Debug)]
struct Costs<'a> {
    ages: &'a [f64],
    /// By index: the part of videos that end later.
    left: Vec<f64>,
    /// By index: the weights of all that end up to there, and their weights times when they end.
    weights: Vec<(f64, f64)>,
}

impl<'a> Costs<'a> {
    fn of(density: &'a Density) -> Self {
        let (mut left, mut weight, mut moment, mut before) = (1.0_f64, 0.0, 0.0, 0.0);
        let mut sums = Self { ages: &density.ages, left: Vec::new(), weights: Vec::new() };
        for (age, mass) in density.ages.iter().zip(&density.mass) {
            let ends = f64::midpoint(before, *age);
            let weighed = mass * (LONG * density.median / ends).min(1.0);
            left -= mass;
            weight += weighed;
            moment += weighed * ends;
            before = *age;
            sums.left.push(left.max(0.0));
            sums.weights.push((weight, moment));
        }
        sums
    }

    /// The best plan if a look costs as much as `price` seconds of delay.
    fn best(&self, price: f64) -> Plan {
        let count = self.ages.len();
        let mut rest = vec![0.0; count];
        let mut next = vec![count; count];
        for now in (0..count.saturating_sub(1)).rev() {
            let weights = self.weights.get(now).copied().unwrap_or_default();
            let left = self.left.get(now).copied().unwrap_or_default();
            let (cost, to) = self.step(weights, left * price, now + 1, &rest);
            if let (Some(place), Some(at)) = (rest.get_mut(now), next.get_mut(now)) {
                (*place, *at) = (cost, to);
            }
        }
        next.pop();
        let (_, first) = self.step((0.0, 0.0), price, 0, &rest);
        Plan { first, next }
    }

    /// The cheapest next look among those at `from` and later: what it and all that follows cost, and which one.
    fn step(&self, before: (f64, f64), look: f64, from: usize, rest: &[f64]) -> (f64, usize) {
        let mut best = (f64::INFINITY, from);
        for (to, ((age, weights), rest)) in self.ages.iter().zip(&self.weights).zip(rest).enumerate().skip(from) {
            let cost = look + age * (weights.0 - before.0) - (weights.1 - before.1);
            // The delay only grows from here on, and what follows costs something.
            if cost > best.0 {
                break;
            }
            if cost + rest < best.0 {
                best = (cost + rest, to);
            }
        }
        best
    }

    /// How many looks a video costs on average.
    fn looks(&self, plan: &Plan) -> f64 {
        let (mut at, mut looks) = (plan.first, 1.0);
        while let Some(next) = plan.next.get(at) {
            looks += self.left.get(at).copied().unwrap_or_default();
            at = *next;
        }
        looks
    }
}
