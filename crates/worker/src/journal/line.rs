//! The lines of a journal, and what follows from them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use veobatch_core::{JobKey, Outcome, Token};
use veobatch_ledger::LedgerId;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A claim with this token is about to be made.
    Claiming(Token),
    /// The request is about to be sent. On disk before it is.
    Sending { token: Token, job: JobKey },
    /// The call ended. On disk before the outcome is stored in the ledger.
    Answer { token: Token, outcome: Outcome },
    /// The ledger has the outcome, or needs none.
    Settled(Token),
}

impl Line {
    pub(crate) fn token(&self) -> &Token {
        match self {
            Self::Claiming(token) | Self::Settled(token) | Self::Sending { token, .. } | Self::Answer { token, .. } => {
                token
            }
        }
    }

    /// One line of JSON with its line break: the line and its ledger.
    pub(crate) fn to_bytes(&self, ledger: &LedgerId) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&Stamped { line: self, ledger }).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// A line on disk and its ledger. Lines of earlier versions do not name it.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, Option<LedgerId>)> {
        let Read { line, ledger } = serde_json::from_slice(bytes).ok()?;
        Some((line, ledger))
    }
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    line: &'a Line,
    ledger: &'a LedgerId,
}

#[derive(Deserialize)]
struct Read {
    #[serde(flatten)]
    line: Line,
    #[serde(default)]
    ledger: Option<LedgerId>,
}

/// What a journal says about one attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// The call ended with this outcome, which the ledger may not have.
    Answered {
        token: Token,
        /// `None` if the journal does not name it.
        job: Option<JobKey>,
        outcome: Outcome,
    },
    /// Nothing was sent for certain; the ledger may have granted the claim.
    NeverSent(Token),
    /// It was about to be sent, and no answer was written: its process died, and it may have been paid for.
    Interrupted { token: Token, job: JobKey },
}

/// What a journal says: what the ledger may not have, and what it was given already.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Its ledger, if the journal names one.
    pub(crate) ledger: Option<LedgerId>,
    /// Attempts that are not settled.
    pub(crate) open: Vec<Finding>,
    /// Settled attempts that were or may have been paid for, in case the ledger went back in time.
    pub(crate) settled: Vec<Finding>,
}

/// Reads the journal of a process that is gone.
///
/// A last line that was truncated by a crash or a power cut hides nothing: a request is sent only after its whole line is on
/// disk. Damage anywhere else could hide a line, so then nothing is concluded from the absence of a line.
pub(crate) fn findings(text: &[u8]) -> Findings {
    let (lines, ledger, tail) = read(text);
    let mut order = Vec::new();
    let mut attempts: BTreeMap<&Token, Vec<&Line>> = BTreeMap::new();
    for line in &lines {
        let of = attempts.entry(line.token()).or_insert_with(|| {
            order.push(line.token());
            Vec::new()
        });
        of.push(line);
    }
    let mut found = Findings { ledger, ..Findings::default() };
    for token in order {
        let Some(lines) = attempts.get(token) else { continue };
        let finding = finding(token, lines);
        if lines.iter().any(|line| matches!(line, Line::Settled(_))) {
            found.settled.extend(finding.if_paid());
        } else if !matches!(finding, Finding::NeverSent(_)) || tail.proves_absence_of(token) {
            found.open.push(finding);
        }
    }
    found
}

impl Findings {
    /// What was or may have been paid for, settled or not.
    pub(crate) fn paid(self) -> impl Iterator<Item = Finding> {
        self.settled.into_iter().chain(self.open).filter_map(Finding::if_paid)
    }
}

impl Finding {
    /// The lines that express this finding.
    pub(crate) fn to_lines(&self) -> Vec<Line> {
        let sending = |token: &Token, job: &JobKey| Line::Sending { token: token.clone(), job: job.clone() };
        match self {
            Self::Answered { token, job, outcome } => {
                let answer = Line::Answer { token: token.clone(), outcome: outcome.clone() };
                job.iter().map(|job| sending(token, job)).chain([answer]).collect()
            }
            Self::NeverSent(token) => vec![Line::Claiming(token.clone())],
            Self::Interrupted { token, job } => vec![sending(token, job)],
        }
    }

    pub(crate) fn token(&self) -> &Token {
        match self {
            Self::Answered { token, .. } | Self::NeverSent(token) | Self::Interrupted { token, .. } => token,
        }
    }

    /// The job, if known.
    pub(crate) fn job(&self) -> Option<&JobKey> {
        match self {
            Self::Answered { job, .. } => job.as_ref(),
            Self::Interrupted { job, .. } => Some(job),
            Self::NeverSent(_) => None,
        }
    }

    /// Itself, if it is worth scope again to a ledger that went back in time: its job might be paid for once more.
    pub(crate) fn if_paid(self) -> Option<Self> {
        match &self {
            Self::Answered { job: Some(_), outcome: Outcome::Accepted(_) | Outcome::Unknown(_), .. }
            | Self::Interrupted { .. } => Some(self),
            Self::Answered { .. } | Self::NeverSent(_) => None,
        }
    }
}

/// What the lines about one attempt amount to.
pub(super) fn finding<L: Borrow<Line>>(token: &Token, lines: &[L]) -> Finding {
    let (mut job, mut outcome) = (None, None);
    for line in lines.iter().map(Borrow::borrow) {
        match line {
            Line::Claiming(_) | Line::Settled(_) => {}
            Line::Sending { job: key, .. } => job = Some(key.clone()),
            Line::Answer { outcome: how, .. } => outcome = Some(how.clone()),
        }
    }
    let token = token.clone();
    match (outcome, job) {
        (Some(outcome), job) => Finding::Answered { token, job, outcome },
        (None, Some(job)) => Finding::Interrupted { token, job },
        (None, None) => Finding::NeverSent(token),
    }
}

/// What follows the last readable line.
enum Tail {
    /// Nothing, or the beginning of a line.
    Torn(Vec<u8>),
    /// Something that a crashed process does not leave behind, here or between two lines.
    Damaged,
}

impl Tail {
    fn proves_absence_of(&self, token: &Token) -> bool {
        match self {
            Self::Torn(rest) => !String::from_utf8_lossy(rest).contains(token.as_str()),
            Self::Damaged => false,
        }
    }
}

fn read(text: &[u8]) -> (Vec<Line>, Option<LedgerId>, Tail) {
    let (mut lines, mut ledger) = (Vec::new(), None);
    let mut unread: BTreeSet<usize> = BTreeSet::new();
    let pieces: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (number, piece) in pieces.iter().enumerate() {
        match Line::parse(piece) {
            Some((line, of)) if piece.ends_with(b"\n") => {
                lines.push(line);
                ledger = ledger.or(of);
            }
            Some(_) | None => {
                unread.insert(number);
            }
        }
    }
    let last = pieces.last().copied().unwrap_or_default();
    let tail = match unread.iter().next() {
        None => Tail::Torn(Vec::new()),
        Some(first) if first + 1 == pieces.len() && !last.ends_with(b"\n") && !last.contains(&0) => {
            Tail::Torn(last.to_vec())
        }
        Some(_) => Tail::Damaged,
    };
    (lines, ledger, tail)
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, JobId, TaskId};

    use super::*;

    fn token(n: u128) -> Token {
        Token::from_bits(n)
    }

    fn key() -> JobKey {
        JobKey { batch: BatchId::parse("b").unwrap(), job: JobId::parse("j").unwrap() }
    }

    fn ledger() -> LedgerId {
        LedgerId::parse("00000000000000aa").unwrap()
    }

    fn text(lines: &[Line]) -> Vec<u8> {
        lines.iter().flat_map(|line| line.to_bytes(&ledger())).collect()
    }

    fn sending(n: u128) -> Line {
        Line::Sending { token: token(n), job: key() }
    }

    fn answer(n: u128) -> Line {
        let outcome = Outcome::Accepted(TaskId::parse("t").unwrap());
        Line::Answer { token: token(n), outcome }
    }

    #[test]
    fn each_attempt_is_judged_by_the_furthest_line_that_speaks_of_it() {
        let text = text(&[
            Line::Claiming(token(1)),
            Line::Claiming(token(2)),
            sending(1),
            Line::Claiming(token(3)),
            sending(3),
            answer(3),
            Line::Claiming(token(4)),
            Line::Settled(token(4)),
        ]);
        let outcome = Outcome::Accepted(TaskId::parse("t").unwrap());
        assert_eq!(
            findings(&text).open,
            [
                Finding::Interrupted { token: token(1), job: key() },
                Finding::NeverSent(token(2)),
                Finding::Answered { token: token(3), job: Some(key()), outcome }
            ]
        );
    }

    #[test]
    fn what_may_have_been_paid_for_is_remembered_after_it_was_told() {
        let refused = Outcome::NotSent("no network".to_owned());
        let text = text(&[
            sending(1),
            answer(1),
            Line::Settled(token(1)),
            sending(2),
            Line::Answer { token: token(2), outcome: refused },
            Line::Settled(token(2)),
            Line::Claiming(token(3)),
            Line::Settled(token(3)),
            sending(4),
            Line::Settled(token(4)),
        ]);
        let Findings { open, settled, .. } = findings(&text);
        assert_eq!(open, []);
        assert_eq!(settled.iter().map(Finding::token).collect::<Vec<_>>(), [&token(1), &token(4)]);
    }

    #[test]
    fn a_torn_last_line_hides_nothing_except_about_the_token_it_names() {
        let mut whole = text(&[Line::Claiming(token(1)), Line::Claiming(token(2))]);
        let torn = sending(2).to_bytes(&ledger());
        whole.extend(&torn[..torn.len() - 5]);
        assert_eq!(findings(&whole).open, [Finding::NeverSent(token(1))]);
    }

    #[test]
    fn nothing_is_concluded_from_absence_in_a_damaged_journal() {
        let claiming = Line::Claiming(token(1)).to_bytes(&ledger());
        for damage in [&b"garbage\n"[..], b"\0\0\0\0", b"{\"sending\"\n", b"\xff\xfe\n{\"x\""] {
            assert_eq!(findings(&[&claiming[..], damage].concat()).open, [], "{damage:?}");
        }
        let answered = [&b"garbage\n"[..], &text(&[sending(1), answer(1)])].concat();
        assert_eq!(findings(&answered).open.len(), 1);
    }

    #[test]
    fn every_line_is_read_as_it_was_written() {
        for line in [Line::Claiming(token(1)), sending(2), answer(3), Line::Settled(token(4))] {
            assert_eq!(Line::parse(&line.to_bytes(&ledger())), Some((line, Some(ledger()))));
        }
    }

    #[test]
    fn a_line_of_an_earlier_program_names_no_ledger_and_a_journal_is_of_the_first_one_named() {
        let mut old = br#"{"claiming":"00000000000000000000000000000001"}"#.to_vec();
        old.push(b'\n');
        assert_eq!(Line::parse(&old), Some((Line::Claiming(token(1)), None)));
        assert_eq!(findings(&old).ledger, None);
        old.extend(Line::Settled(token(1)).to_bytes(&ledger()));
        assert_eq!(findings(&old), Findings { ledger: Some(ledger()), ..Findings::default() });
    }

    #[test]
    fn a_finding_is_found_again_in_its_own_lines() {
        let lines = [sending(1), answer(1), sending(2)];
        let found: Vec<Finding> = findings(&text(&lines)).paid().collect();
        assert_eq!(found.len(), 2);
        let again: Vec<Line> = found.iter().flat_map(Finding::to_lines).collect();
        assert_eq!(again, lines);
    }
}
