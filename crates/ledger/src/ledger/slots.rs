//! What became of the slots, as it is told: the evidence that the allowance is used while there is work and nothing is in the way.

use std::collections::BTreeMap;

/// Why a slot was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unused {
    /// No queued job.
    Work,
    /// As many in flight as the cap allows.
    Cap,
    /// The gate was closed.
    Gate,
    /// No batch with work was in its window.
    Window,
    /// A budget was used up.
    Budget,
    /// The ledger may have gone back in time.
    Recovery,
    /// Earlier submissions may have arrived late: their answers were slow, or did not come.
    Answers,
    /// No worker asked in time.
    Unasked,
    /// Taken, and its worker was gone before it told what became of it.
    Lost,
    /// Taken, and nothing was sent.
    Unsent,
}

impl Unused {
    /// All of them, with their words in keys and JSON.
    pub const WORDS: &[(&str, Self)] = &[
        ("work", Self::Work),
        ("cap", Self::Cap),
        ("gate", Self::Gate),
        ("window", Self::Window),
        ("budget", Self::Budget),
        ("recovery", Self::Recovery),
        ("answers", Self::Answers),
        ("unasked", Self::Unasked),
        ("lost", Self::Lost),
        ("unsent", Self::Unsent),
    ];

    /// Whether work was there and only the pace was in the way: the share of the allowance that was used is of those.
    fn is_loss(self) -> bool {
        match self {
            Self::Answers | Self::Unasked | Self::Lost | Self::Unsent => true,
            Self::Work | Self::Cap | Self::Gate | Self::Window | Self::Budget | Self::Recovery => false,
        }
    }
}

/// What became of the slots of some hours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotUse {
    /// Submissions.
    pub used: f64,
    /// The others, by reason.
    pub unused: BTreeMap<Unused, f64>,
}

impl SlotUse {
    /// All slots that there were.
    pub fn allowed(&self) -> f64 {
        self.used + self.unused.values().sum::<f64>()
    }

    /// Of the slots that could have been used, with work there and nothing else in the way, the share that was. `None` if
    /// there were none.
    pub fn share(&self) -> Option<f64> {
        let lost: f64 = self.unused.iter().filter(|(why, _)| why.is_loss()).map(|(_, count)| count).sum();
        let all = self.used + lost;
        (all > 0.0).then(|| self.used / all)
    }

    /// Adds what a ledger keeps under a word; `used` there is what was granted, whatever became of it.
    pub(crate) fn add(&mut self, word: &str, amount: f64) {
        if word == USED {
            self.used += amount;
        }
        if let Some((_, why)) = Unused::WORDS.iter().find(|(known, _)| *known == word) {
            *self.unused.entry(*why).or_default() += amount;
            if matches!(why, Unused::Lost | Unused::Unsent) {
                self.used -= amount;
            }
        }
    }
}

/// The word for granted slots.
const USED: &str = "used";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_slots_that_nothing_else_was_in_the_way_of() {
        let mut slots = SlotUse::default();
        assert_eq!(slots.share(), None);
        for (word, amount) in [("used", 90.0), ("used", 10.0), ("gate", 50.0), ("lost", 1.0), ("unasked", 25.0)] {
            slots.add(word, amount);
        }
        assert!((slots.used - 99.0).abs() < 1e-9 && (slots.allowed() - 175.0).abs() < 1e-9, "{slots:?}");
        assert!((slots.share().unwrap() - 99.0 / 125.0).abs() < 1e-9);
    }
}
