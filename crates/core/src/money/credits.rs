//! Amounts of the service's credits.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// An amount of the service's credits, in thousandths (balances may be fractions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(i64);

impl Credits {
    /// A whole number of credits.
    pub const fn whole(credits: i64) -> Self {
        Self(credits * 1000)
    }

    /// The nearest thousandth of `credits`.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and a balance is far below 2^53")]
    pub fn from_f64(credits: f64) -> Self {
        Self((credits * 1000.0).round() as i64)
    }

    /// From thousandths of a credit.
    pub const fn from_millis(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// In thousandths of a credit.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// `self - other`, but never below zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        (self - other).max(Self(0))
    }

    /// In credits.
    #[expect(clippy::cast_precision_loss, reason = "a balance is far below 2^53")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// `n` times as much.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX)))
    }
}

/// Saturates, as [`Sub`] and [`Sum`] do.
impl Add for Credits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Credits {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Below zero where `other` is more.
impl Sub for Credits {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|credits| credits.0).fold(0, i64::saturating_add))
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 == 0 { write!(f, "{}", self.0 / 1000) } else { write!(f, "{:.1}", self.as_f64()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_print_as_people_write_them() {
        assert_eq!(Credits::from_f64(812.5).to_string(), "812.5");
        assert_eq!(Credits::whole(100).to_string(), "100");
    }
}
