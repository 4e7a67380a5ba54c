//! How long videos of one kind take, as a life table: how many were seen to get through each stretch of ages, and how many
//! ended in it.
//!
//! ```text
//! age      … 60 s ─────── 61.8 s ─────── 63.7 s ─────── 65.6 s …
//! passed         396            391            388
//! ended            4              5              3             4 of 400 that were seen there ended: a hazard of 1 %
//! ```
//!
//! How long the *finished* videos took would mislead whenever submissions begin, or go on after a pause: of what was
//! submitted in the last minutes only the short ones have ended. Here each video counts as far as it was seen, whether it
//! has ended or not, and of those that reach an age the part that ends there is the same in any minute (the estimator of
//! Kaplan and Meier, with stretches of ages as actuaries have them).
//!
//! What was seen is kept in two generations, and the older one is dropped when the younger one is full: a service that
//! becomes faster or slower is followed. Workers add up what they see, and the ledger keeps the sum of all of it.

use std::fmt::Write as _;
use std::time::Duration;

/// The first stretch ends at this age, in seconds; each later one is longer than the one before by [`RATIO`].
const FIRST: f64 = 2.0;

/// 3 % of the age: less than what videos of one kind differ by.
const RATIO: f64 = 1.03;

/// The last stretch begins after an hour; what is older counts as that.
const LAST: f64 = 255.0;
const STRETCHES: usize = 256;

/// A generation is full when so many of its videos have ended: enough for quartiles, few enough to follow changes.
pub const GENERATION: u64 = 128;

/// What was seen of the videos of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifeTable {
    present: Generation,
    before: Generation,
}

/// Stretches of ages, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Generation(Vec<Stretch>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stretch {
    /// Seen unfinished from its beginning to its end.
    passed: u32,
    /// Seen unfinished at its beginning, and ended in it.
    ended: u32,
}

/// What a look adds to what is known: a video was seen unfinished from one age on, and to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// It was known before that it got so far.
    pub from: Duration,
    /// It got so far.
    pub to: Duration,
    /// And there it ended; otherwise it is still being made.
    pub ended: bool,
}

/// The part of videos that end in a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    /// The stretch's ends, in seconds.
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The part that end later than its beginning, and later than its end.
    pub(crate) left_before: f64,
    pub(crate) left: f64,
}

impl LifeTable {
    /// Adds what a look saw.
    pub fn add(&mut self, seen: &Seen) {
        self.present.add(seen);
        self.age();
    }

    /// Adds what others saw since they last told.
    pub fn append(&mut self, other: &Self) {
        self.present.append(&other.before);
        self.present.append(&other.present);
        self.age();
    }

    /// How many of them have ended.
    pub fn ended(&self) -> u64 {
        self.present.ended() + self.before.ended()
    }

    /// Nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.present.0.is_empty() && self.before.0.is_empty()
    }

    /// At which age this part of all has ended; `None` as long as nobody knows.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let left = 1.0 - part;
        let at = self.endings().into_iter().find(|ending| ending.left <= left + f64::EPSILON)?;
        let within = (at.left_before - left) / (at.left_before - at.left);
        Some(Duration::from_secs_f64(at.from + within.clamp(0.0, 1.0) * (at.to - at.from)))
    }

    /// Where videos end: those stretches in which some did, in the order of age.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        let all = self.whole();
        let (mut left, mut endings) = (1.0, Vec::new());
        for (index, stretch) in all.0.iter().enumerate().filter(|(_, stretch)| stretch.ended > 0) {
            let (ended, passed) = (f64::from(stretch.ended), f64::from(stretch.passed));
            let left_before = left;
            left *= passed / (passed + ended);
            endings.push(Ending { from: begins(index), to: begins(index + 1), left_before, left });
        }
        endings
    }

    /// The oldest age of which anything is known, in seconds.
    pub(crate) fn oldest(&self) -> f64 {
        begins(self.whole().0.len())
    }

    fn whole(&self) -> Generation {
        let mut all = self.present.clone();
        all.append(&self.before);
        all
    }

    fn age(&mut self) {
        if self.present.ended() >= GENERATION {
            self.before = std::mem::take(&mut self.present);
        }
    }

    /// As text, for the ledger.
    pub fn to_text(&self) -> String {
        format!("{};{}", self.present.to_text(), self.before.to_text())
    }

    /// Reads [`LifeTable::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let (present, before) = text.split_once(';')?;
        Some(Self { present: Generation::parse(present)?, before: Generation::parse(before)? })
    }
}

impl Generation {
    fn add(&mut self, seen: &Seen) {
        let (first, last) = (stretch(seen.from), stretch(seen.to));
        let count = if seen.ended { last + 1 } else { last };
        if self.0.len() < count {
            self.0.resize(count, Stretch::default());
        }
        for stretch in self.0.iter_mut().take(last).skip(first) {
            stretch.passed = stretch.passed.saturating_add(1);
        }
        if let Some(stretch) = self.0.get_mut(last).filter(|_| seen.ended) {
            stretch.ended = stretch.ended.saturating_add(1);
        }
    }

    fn append(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), Stretch::default());
        }
        for (mine, more) in self.0.iter_mut().zip(&other.0) {
            mine.passed = mine.passed.saturating_add(more.passed);
            mine.ended = mine.ended.saturating_add(more.ended);
        }
    }

    fn ended(&self) -> u64 {
        self.0.iter().map(|stretch| u64::from(stretch.ended)).sum()
    }

    /// A word a stretch: how many passed, and behind a plus how many ended, if any did.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for Stretch { passed, ended } in &self.0 {
            // Writing to a string cannot fail.
            let _ = if *ended > 0 { write!(text, "{passed}+{ended} ") } else { write!(text, "{passed} ") };
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let stretch = |word: &str| {
            let (passed, ended) = word.split_once('+').unwrap_or((word, "0"));
            Some(Stretch { passed: passed.parse().ok()?, ended: ended.parse().ok()? })
        };
        let stretches: Vec<Stretch> = text.split_whitespace().map(stretch).collect::<Option<_>>()?;
        (stretches.len() <= STRETCHES).then_some(Self(stretches))
    }
}

/// The stretch in which this age lies.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the last stretch")]
fn stretch(age: Duration) -> usize {
    let ratios = (age.as_secs_f64() / FIRST).ln() / RATIO.ln();
    (ratios.floor() + 1.0).clamp(0.0, LAST) as usize
}

/// The age at which a stretch begins, in seconds.
fn begins(index: usize) -> f64 {
    let Some(before) = index.checked_sub(1) else { return 0.0 };
    FIRST * RATIO.powi(i32::try_from(before).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(from: u64, to: u64, ended: bool) -> Seen {
        Seen { from: Duration::from_secs(from), to: Duration::from_secs(to), ended }
    }

    fn near(table: &LifeTable, part: f64, seconds: f64) {
        let quantile = table.quantile(part).unwrap().as_secs_f64();
        assert!((quantile / seconds - 1.0).abs() < RATIO - 1.0, "{part}: {quantile}, not {seconds}");
    }

    #[test]
    fn videos_that_all_ended_have_their_own_quartiles() {
        let mut table = LifeTable::default();
        for took in 1..=99 {
            table.add(&seen(0, 50 + took, true));
        }
        assert_eq!(table.ended(), 99);
        for (part, seconds) in [(0.25, 75.0), (0.5, 100.0), (0.75, 125.0)] {
            near(&table, part, seconds);
        }
    }

    #[test]
    fn those_that_are_still_being_made_count_as_far_as_they_were_seen() {
        let mut table = LifeTable::default();
        // Of 100 half take 60 s and half 120 s, and only the short ones have ended.
        for _ in 0..50 {
            table.add(&seen(0, 60, true));
            table.add(&seen(0, 45, false));
            table.add(&seen(45, 70, false));
        }
        near(&table, 0.25, 60.0);
        near(&table, 0.5, 61.0);
        assert_eq!(table.quantile(0.6), None, "nobody knows yet");
        for _ in 0..50 {
            table.add(&seen(70, 120, true));
        }
        near(&table, 0.75, 120.0);
    }

    #[test]
    fn a_service_that_changes_is_followed_and_what_is_old_is_forgotten() {
        let mut table = LifeTable::default();
        for _ in 0..1000 {
            table.add(&seen(0, 60, true));
        }
        assert!(table.ended() < 2 * GENERATION);
        for _ in 0..2 * GENERATION {
            table.add(&seen(0, 200, true));
        }
        near(&table, 0.01, 199.0);
    }

    #[test]
    fn a_table_is_read_as_it_was_written_and_parts_add_up() {
        let (mut whole, mut parts) = (LifeTable::default(), [LifeTable::default(), LifeTable::default()]);
        for n in 0..100 {
            let look = seen(n, n + 30, n % 3 == 0);
            whole.add(&look);
            parts[usize::from(n % 2 == 0)].add(&look);
        }
        let mut sum = LifeTable::default();
        for part in &parts {
            sum.append(part);
        }
        assert_eq!(sum, whole);
        assert_eq!(LifeTable::parse(&whole.to_text()).unwrap(), whole);
        assert_eq!(LifeTable::parse(";").unwrap(), LifeTable::default());
        let long = format!("{};", "1 ".repeat(STRETCHES + 1));
        for text in ["", "1 2", "1;x", "1+;", "-1;", &long] {
            assert_eq!(LifeTable::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_age_has_its_stretch() {
        for index in 1..256 {
            let inside = Duration::from_secs_f64(begins(index) * 1.001);
            assert_eq!(stretch(inside), index);
        }
        assert_eq!((stretch(Duration::ZERO), stretch(Duration::MAX)), (0, 255));
        let mut table = LifeTable::default();
        table.add(&Seen { from: Duration::ZERO, to: Duration::MAX, ended: true });
        assert!(table.to_text().len() < 1000, "{}", table.to_text().len());
    }
}
