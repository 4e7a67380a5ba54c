//! Hints: what machines tell each other to work faster, and what workers tell people. When callbacks were heard, how long videos
//! take, why a worker submits nothing.
//!
//! No payment depends on a hint, and losing one loses no job. So the ledger stores each as text that it does not understand, and
//! replaces it only if it still says what the new text was computed from.

use std::collections::BTreeMap;

use veobatch_core::{Durations, Heard, Timestamp, VideoKind};

use crate::{Ledger, LedgerError};

/// So many kinds of videos are kept: a model's name comes from a file, and may be anything.
pub const KINDS: usize = 32;

/// What a hint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintKind {
    /// The callback of the latest submission that was heard; there is one.
    Heard,
    /// How long videos took, by [`VideoKind`].
    Durations,
    /// What a worker says of itself, by [`NoteKind`].
    Note,
}

/// The name of the one hint of [`HintKind::Heard`].
pub(crate) const LATEST: &str = "latest";

impl HintKind {
    /// As it is stored, in the words of the first format.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Durations => "seen",
            Self::Note => "notes",
        }
    }
}

/// A hint as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Which one of its kind.
    pub name: String,
    /// When it was put, by the ledger's clock.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// What only a worker can see, and says for people elsewhere. Nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It submits nothing for now. Said again and again as long as that is so.
    Braked,
    /// It ended because the service refused its key.
    KeyRefused,
}

impl NoteKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Braked, Self::KeyRefused];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Braked => "braked",
            Self::KeyRefused => "key_refused",
        }
    }
}

/// What a worker said last of a kind; any of them, should there be several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// In words.
    pub words: String,
    /// When it was said.
    pub at: Timestamp,
}

/// The notes among these hints, of kinds that this program knows.
pub(crate) fn notes(hints: &[Hint]) -> Vec<Note> {
    let note = |kind: NoteKind| {
        let hint = hints.iter().find(|hint| hint.name == kind.as_str())?;
        Some(Note { kind, words: hint.text.clone(), at: hint.at })
    };
    NoteKind::ALL.into_iter().filter_map(note).collect()
}

impl dyn Ledger + '_ {
    /// Remembers that a callback was heard now, for a submission made at `submitted`; that of the latest submission stays.
    ///
    /// # Errors
    /// As [`Ledger::put_hint`]; so it is below.
    pub async fn hear(&self, submitted: Timestamp) -> Result<(), LedgerError> {
        let new = submitted.as_millis().to_string();
        let is_later = |was: &str| was.parse().is_ok_and(|was: u64| was > submitted.as_millis());
        self.swap(HintKind::Heard, LATEST, |was| (!was.is_some_and(is_later)).then(|| Some(new.clone()))).await
    }

    /// The callback of the latest submission that any machine heard, if one was ever heard.
    pub async fn heard(&self) -> Result<Option<Heard>, LedgerError> {
        let latest = self.hints(HintKind::Heard).await?.into_iter().find(|hint| hint.name == LATEST);
        Ok(latest
            .and_then(|hint| Some(Heard { submitted: Timestamp::from_millis(hint.text.parse().ok()?), at: hint.at })))
    }

    /// Adds how long videos took to what all machines have seen, for the [`KINDS`] kinds heard of last.
    ///
    /// A repetition adds it twice. That loses nothing but precision, so an answer that was lost is not asked for again.
    pub async fn observe(&self, seen: &[(VideoKind, Durations)]) -> Result<(), LedgerError> {
        for (kind, more) in seen {
            self.swap(HintKind::Durations, kind.as_str(), |was| {
                let mut table = was.map(read).unwrap_or_default();
                table.append(more);
                Some(Some(table.to_text()))
            })
            .await?;
        }
        let mut known = self.hints(HintKind::Durations).await?;
        known.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.name.cmp(&b.name)));
        for oldest in known.iter().skip(KINDS) {
            self.put_hint(HintKind::Durations, &oldest.name, Some(&oldest.text), None).await?;
        }
        Ok(())
    }

    /// How long videos took on all machines, by kind.
    pub async fn durations(&self) -> Result<Vec<(VideoKind, Durations)>, LedgerError> {
        let hints = self.hints(HintKind::Durations).await?;
        let all: BTreeMap<_, _> =
            hints.into_iter().map(|hint| (VideoKind::from_stored(hint.name), read(&hint.text))).collect();
        Ok(all.into_iter().collect())
    }

    /// Says something of this worker, for people; without words it takes back what was said of that kind.
    pub async fn note(&self, kind: NoteKind, words: Option<&str>) -> Result<(), LedgerError> {
        self.swap(HintKind::Note, kind.as_str(), |_| Some(words.map(ToOwned::to_owned))).await
    }

    /// Replaces what a hint says by what `next` makes of it (`None`: it stays), until nobody else was faster.
    async fn swap(
        &self,
        kind: HintKind,
        name: &str,
        next: impl Fn(Option<&str>) -> Option<Option<String>> + Send + Sync,
    ) -> Result<(), LedgerError> {
        loop {
            let known = self.hints(kind).await?.into_iter().find(|hint| hint.name == name);
            let was = known.as_ref().map(|hint| hint.text.as_str());
            let Some(now) = next(was) else { return Ok(()) };
            if now.is_none() && was.is_none() || self.put_hint(kind, name, was, now.as_deref()).await? {
                return Ok(());
            }
        }
    }
}

/// Nothing, if it is damaged: it is a hint.
fn read(text: &str) -> Durations {
    Durations::parse(text).unwrap_or_default()
}
