//! An import under way, from its beginning to the target that can be used.

use super::check::{CheckedExport, Lines};
use super::ends::{end_at, shown};
use super::{CHUNK, Endpoint, ExportEntry, Import, Moved, refuse_moved};
use crate::ledger::job::Nonce;
use crate::{LedgerError, LedgerUrl};

/// An import whose source changes no more, and whose target nothing else can use.
#[must_use = "it has only begun"]
pub struct Moving {
    checked: CheckedExport,
    import: Import,
    source: Option<Box<dyn Endpoint>>,
    target: Box<dyn Endpoint>,
    added: u64,
}

impl std::fmt::Debug for Moving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moving").field("import", &self.import).field("added", &self.added).finish_non_exhaustive()
    }
}

impl Moving {
    /// Takes the target and marks the source; `None` if this file was imported into this target before, and all is done.
    /// Without a source the target will count as one that was restored from a backup.
    ///
    /// # Errors
    /// [`LedgerError::Transfer`] says what is in the way: a target that is not empty, a source that changed since, is worked on,
    /// or was moved. Both are as they were.
    pub async fn begin(
        checked: CheckedExport,
        source: Option<&LedgerUrl>,
        target: &LedgerUrl,
    ) -> Result<Option<Self>, LedgerError> {
        let into = end_at(target).await?;
        let known = into.standing().await?.import.filter(|known| known.digest == checked.end.sha256);
        if known.as_ref().is_some_and(|known| known.done) {
            return Ok(None);
        }
        let from = match source {
            Some(source) => Some(end_at(source).await?),
            None => None,
        };
        let id = known.map_or_else(|| format!("{:016x}", Nonce::random().0), |known| known.id);
        let digest = checked.end.sha256.clone();
        let header = &checked.header;
        let import = Import {
            id,
            digest,
            ledger: header.ledger.clone(),
            grants: header.grants.map(|grants| grants + 1),
            exported: header.time,
            is_copy: from.is_none(),
            begun: header.time,
            done: false,
        };
        let moved = Moved { import: import.id.clone(), to: shown(target), given_up: false };
        if let Some(from) = &from {
            is_the_one(from.as_ref(), &checked, &moved).await?;
            from.mark(&checked.header.stamp, &moved, true).await?;
        }
        let added = into.begin(&import).await?;
        if let Some(from) = &from
            && let Err(error) = from.mark(&checked.header.stamp, &moved, false).await
        {
            if added == 0 && !matches!(error, LedgerError::Unavailable(_)) {
                into.call_off(&import).await?;
            }
            return Err(error);
        }
        Ok(Some(Self { checked, import, source: from, target: into, added }))
    }

    /// Adds everything, and puts the target in use. `seen` is told of how many of the jobs there are by then.
    ///
    /// # Errors
    /// Whatever happens: the same import, begun again, goes on from there.
    pub async fn finish(mut self, seen: impl FnMut(u64)) -> Result<(), LedgerError> {
        self.fill(seen).await?;
        self.give_up().await?;
        self.target.finish(&self.import).await
    }

    /// Adds what the target does not have yet.
    async fn fill(&mut self, mut seen: impl FnMut(u64)) -> Result<(), LedgerError> {
        let (header, mut lines) = Lines::open(&self.checked.path)?;
        if header != self.checked.header {
            return Err(LedgerError::Transfer("the file was changed meanwhile".to_owned()));
        }
        let (mut at, mut chunk, mut jobs) = (0, Vec::new(), 0);
        while let Some(entry) = lines.next()? {
            if matches!(entry, ExportEntry::End(_)) {
                continue;
            }
            jobs += u64::from(matches!(entry, ExportEntry::Job(_)));
            chunk.push(entry);
            if chunk.len() == CHUNK {
                self.add(&mut at, &mut chunk).await?;
                seen(jobs);
            }
        }
        if lines.end.as_ref() != Some(&self.checked.end) {
            return Err(LedgerError::Transfer("the file was changed meanwhile".to_owned()));
        }
        self.add(&mut at, &mut chunk).await
    }

    /// No other import takes over from now on.
    async fn give_up(&self) -> Result<(), LedgerError> {
        match &self.source {
            Some(source) => source.give_up(&self.import).await,
            None => Ok(()),
        }
    }

    async fn add(&mut self, at: &mut u64, chunk: &mut Vec<ExportEntry>) -> Result<(), LedgerError> {
        let from = *at;
        *at += chunk.len() as u64;
        if *at > self.added && !chunk.is_empty() {
            self.target.add(&self.import, from, chunk).await?;
            self.added = *at;
        }
        chunk.clear();
        Ok(())
    }
}

/// The source must be the ledger that was exported, and not be moved elsewhere for good.
async fn is_the_one(source: &dyn Endpoint, checked: &CheckedExport, moved: &Moved) -> Result<(), LedgerError> {
    let standing = source.standing().await?;
    if standing.id.as_ref() != Some(&checked.header.ledger) {
        return Err(LedgerError::Transfer(format!(
            "the ledger at {} is not the one that was exported from there (name it with --source, or say --source-is-lost)",
            checked.header.source
        )));
    }
    refuse_moved(standing.moved.as_ref(), moved)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use veobatch_core::{BatchId, JobId, Spec};

    use super::*;
    use crate::{Admission, NewJob, check, export, open};

    async fn admit(url: &LedgerUrl, name: &str) {
        let (ledger, admission) = (open(url).await.unwrap(), Admission::random());
        let (batch, id) = (BatchId::parse(name).unwrap(), JobId::parse("1").unwrap());
        ledger.stage(&admission, &batch, &[NewJob { id, spec: Spec::default() }]).await.unwrap();
        ledger.publish(&admission, &[batch], None).await.unwrap();
    }

    #[tokio::test]
    async fn an_import_that_died_between_two_steps_is_taken_to_its_end_and_by_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let [source, target, other] =
            ["source.db", "target.db", "other.db"].map(|name| LedgerUrl::Sqlite(dir.path().join(name)));
        admit(&source, "garden").await;
        let (file, mut lines) = (dir.path().join("all.jsonl"), Vec::new());
        export(&source, &mut lines).await.unwrap();
        fs::write(&file, lines).unwrap();
        let begin = async |target: &LedgerUrl| Moving::begin(check(&file).unwrap(), Some(&source), target).await;

        let mut whole = begin(&target).await.unwrap().unwrap();
        whole.fill(|_| ()).await.unwrap();
        drop(whole);
        assert!(matches!(open(&target).await, Err(LedgerError::Importing)));

        let mut given_up = begin(&target).await.unwrap().unwrap();
        given_up.fill(|_| ()).await.unwrap();
        given_up.give_up().await.unwrap();
        drop(given_up);
        assert!(matches!(open(&target).await, Err(LedgerError::Importing)));
        let Err(LedgerError::Transfer(why)) = begin(&other).await else { panic!("another one took over") };
        assert!(why.contains("were moved to") && why.contains("target.db"), "{why}");
        admit(&other, "its own").await;

        begin(&target).await.unwrap().unwrap().finish(|_| ()).await.unwrap();
        assert!(begin(&target).await.unwrap().is_none(), "all is done");
        assert_eq!(open(&target).await.unwrap().batches().await.unwrap()[0].total(), 1);
    }

    #[tokio::test]
    async fn only_the_ledger_that_was_exported_is_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let [source, stranger, target] =
            ["source.db", "stranger.db", "target.db"].map(|name| LedgerUrl::Sqlite(dir.path().join(name)));
        for url in [&source, &stranger] {
            admit(url, "garden").await;
        }
        let (file, mut lines) = (dir.path().join("all.jsonl"), Vec::new());
        export(&source, &mut lines).await.unwrap();
        fs::write(&file, lines).unwrap();
        let Err(LedgerError::Transfer(why)) = Moving::begin(check(&file).unwrap(), Some(&stranger), &target).await
        else {
            panic!("it was taken for the source")
        };
        assert!(why.contains("is not the one that was exported"), "{why}");
        for url in [&stranger, &target] {
            admit(url, "more").await;
        }
    }

    #[tokio::test]
    async fn a_file_that_was_written_anew_meanwhile_is_not_imported() {
        let dir = tempfile::tempdir().unwrap();
        let [source, target] = ["source.db", "target.db"].map(|name| LedgerUrl::Sqlite(dir.path().join(name)));
        admit(&source, "garden").await;
        let (file, mut before, mut after) = (dir.path().join("all.jsonl"), Vec::new(), Vec::new());
        export(&source, &mut before).await.unwrap();
        admit(&source, "more").await;
        export(&source, &mut after).await.unwrap();
        fs::write(&file, after).unwrap();
        let moving = Moving::begin(check(&file).unwrap(), Some(&source), &target).await.unwrap().unwrap();
        fs::write(&file, before).unwrap();
        let refused = moving.finish(|_| ()).await.unwrap_err();
        assert!(refused.to_string().contains("changed meanwhile"), "{refused}");
        assert!(matches!(open(&target).await, Err(LedgerError::Importing)));
    }
}
