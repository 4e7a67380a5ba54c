//! How long ago a submission arrived at the service, at the latest: the bound that the shared pace is kept by.
//!
//! The answer took `L`, the fastest of the last 500 took `L_min`. The submission cannot have arrived later than
//! `sent + (L − L_min)` plus the shortest way there, and the next one takes at least that shortest way too; 50 ms cover
//! that a minimum over 500 answers is not the true one (LEDGER-NOTES.md, "Pace", point 3). Seen from now:
//! `answered ago + L_min − 50 ms`.
//!
//! A minimum over a few answers is no minimum: if the first submission of a process is held up on its way there, its own
//! answer is the fastest. Until [`ENOUGH`] were seen, the bound is the time of the answer, which is safe by itself.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Answers that are remembered.
const REMEMBERED: usize = 500;

/// What a minimum over the remembered answers may miss.
const MARGIN: Duration = Duration::from_millis(50);

/// Answers before their minimum is relied on: if even half of them are held up, one in a million minima is wrong.
const ENOUGH: usize = 20;

/// How long the last answers took.
#[derive(Debug, Default)]
pub(crate) struct Fastest(Mutex<VecDeque<Duration>>);

impl Fastest {
    /// Remembers an answer that took `took` and came `ago`, and says how long ago its request arrived, at the latest.
    pub(crate) fn arrived(&self, took: Duration, ago: Duration) -> Duration {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= REMEMBERED {
            answers.pop_front();
        }
        answers.push_back(took);
        if answers.len() < ENOUGH {
            return ago;
        }
        let fastest = answers.iter().min().copied().unwrap_or_default();
        ago + fastest.saturating_sub(MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_slow_answer_counts_only_by_what_it_exceeds_the_fastest() {
        let fastest = Fastest::default();
        for _ in 1..ENOUGH {
            // Whatever they say: nobody knows yet whether this is fast.
            assert_eq!(fastest.arrived(ms(900), ms(7)), ms(7));
        }
        assert_eq!(fastest.arrived(ms(900), ms(0)), ms(850));
        assert_eq!(fastest.arrived(ms(300), ms(7)), ms(257));
        assert_eq!(fastest.arrived(ms(1500), ms(0)), ms(250));
        assert_eq!(fastest.arrived(ms(20), ms(3)), ms(3));
    }

    #[test]
    fn an_answer_is_forgotten_after_five_hundred_others() {
        let fastest = Fastest::default();
        fastest.arrived(ms(60), ms(0));
        for _ in 2..ENOUGH {
            fastest.arrived(ms(500), ms(0));
        }
        for _ in ENOUGH..501 {
            assert_eq!(fastest.arrived(ms(500), ms(0)), ms(10));
        }
        assert_eq!(fastest.arrived(ms(500), ms(0)), ms(450));
    }
}
