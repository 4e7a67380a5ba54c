//! Reading an export: wholly once before anything is changed, and then line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{End, ExportEntry, Header, VERSION, digits};
use crate::migration::FORMAT;
use crate::{LedgerError, LedgerId};

/// An export that is whole and unchanged, and that this program understands.
#[derive(Clone, Debug)]
pub struct CheckedExport {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) end: End,
}

impl CheckedExport {
    /// Which ledger was exported.
    pub fn ledger(&self) -> &LedgerId {
        &self.header.ledger
    }

    /// Where it was: a URL without a password.
    pub fn source(&self) -> &str {
        &self.header.source
    }

    /// How many submissions it had granted, if it counted them.
    pub fn grants(&self) -> Option<u64> {
        self.header.grants
    }

    /// How many batches there are.
    pub fn batches(&self) -> u64 {
        self.end.batches
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> u64 {
        self.end.jobs
    }
}

/// Reads the file to its end.
///
/// # Errors
/// [`LedgerError::Transfer`] if it cannot be read, is cut off, was changed, or is of a version that this program does not know.
pub fn check(path: &Path) -> Result<CheckedExport, LedgerError> {
    let (header, mut lines) = Lines::open(path)?;
    let mut seen = End { lines: 1, batches: 0, jobs: 0, tasks: 0, left_out: 0, sha256: String::new() };
    let mut jobs_left = 0;
    while let Some(entry) = lines.next()? {
        match &entry {
            ExportEntry::Account(_) if seen.lines == 1 => {}
            ExportEntry::Account(_) => return Err(lines.wrong("a second account")),
            ExportEntry::Batch(batch) if jobs_left == 0 && u64::from(batch.number) == seen.batches + 1 => {
                seen.batches += 1;
                jobs_left = batch.jobs;
            }
            ExportEntry::Batch(_) => return Err(lines.wrong("a batch that is not the next one")),
            ExportEntry::Job(_) if jobs_left == 0 => return Err(lines.wrong("a job of no batch")),
            ExportEntry::Job(_) => {
                seen.jobs += 1;
                jobs_left -= 1;
            }
            ExportEntry::Task(_) => seen.tasks += 1,
            ExportEntry::Alias(_) | ExportEntry::End(_) => {}
        }
        if !matches!(entry, ExportEntry::End(_)) {
            seen.lines += 1;
        }
    }
    let end = lines.end.take().ok_or_else(|| lines.wrong("no end"))?;
    let counted = End { left_out: end.left_out, sha256: end.sha256.clone(), ..seen };
    if counted != end || jobs_left != 0 {
        return Err(refused(path, "its last line counts other lines than there are"));
    }
    Ok(CheckedExport { path: path.to_owned(), header, end })
}

/// The lines behind the header, one by one. The end is checked, kept, and followed by nothing.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    text: BufReader<File>,
    digest: Sha256,
    number: u64,
    pub(crate) end: Option<End>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<(Header, Self), LedgerError> {
        let file = File::open(path).map_err(|error| refused(path, &error.to_string()))?;
        let mut lines = Self {
            path: path.to_owned(),
            text: BufReader::with_capacity(1 << 16, file),
            digest: Sha256::new(),
            number: 0,
            end: None,
        };
        let first = lines.read()?.ok_or_else(|| refused(path, "it is empty"))?;
        lines.digest.update(&first);
        let value: serde_json::Value = serde_json::from_slice(&first).unwrap_or_default();
        match value.get("veobatch_ledger").and_then(serde_json::Value::as_u64) {
            None => return Err(refused(path, "it is no export of a ledger")),
            Some(version) if version != u64::from(VERSION) => {
                let words =
                    format!("it has version {version}, and this veobatch knows version {VERSION}: use a newer one");
                return Err(refused(path, &words));
            }
            Some(_) => {}
        }
        let header: Header = serde_json::from_slice(&first).map_err(|error| lines.wrong(&error.to_string()))?;
        if header.format != FORMAT {
            let words = format!("its ledger has format {}, and this veobatch knows format {FORMAT}", header.format);
            return Err(refused(path, &words));
        }
        Ok((header, lines))
    }

    /// The next entry; none behind the end.
    pub(crate) fn next(&mut self) -> Result<Option<ExportEntry>, LedgerError> {
        let Some(line) = self.read()? else {
            return if self.end.is_some() {
                Ok(None)
            } else {
                Err(refused(&self.path, "it is cut off: its end is missing"))
            };
        };
        if self.end.is_some() {
            return Err(self.wrong("more behind the end"));
        }
        let entry: ExportEntry = serde_json::from_slice(&line).map_err(|error| self.wrong(&error.to_string()))?;
        if let ExportEntry::End(end) = &entry {
            if digits(&self.digest.clone().finalize()) != end.sha256 {
                return Err(refused(&self.path, "it was changed since it was written"));
            }
            self.end = Some(end.clone());
        } else {
            self.digest.update(&line);
        }
        Ok(Some(entry))
    }

    /// A line with its line break.
    fn read(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut line = Vec::new();
        self.text.read_until(b'\n', &mut line).map_err(|error| refused(&self.path, &error.to_string()))?;
        self.number += 1;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) => Err(refused(&self.path, "it is cut off in the middle of a line")),
        }
    }

    fn wrong(&self, what: &str) -> LedgerError {
        refused(&self.path, &format!("line {}: {what} (was it written by a newer veobatch?)", self.number))
    }
}

fn refused(path: &Path, why: &str) -> LedgerError {
    LedgerError::Transfer(format!("{} cannot be imported: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
    use veobatch_core::{BatchId, JobId, Spec};

    use super::*;
    use crate::{Admission, Ledger as _, LedgerUrl, NewJob, SqliteLedger, export};

    type Edit<'a> = &'a dyn Fn(&mut Vec<Value>);

    /// The lines of a ledger with two batches of one job each, as values.
    async fn exported(folder: &Path) -> Vec<Value> {
        let path = folder.join("ledger.db");
        let (ledger, admission) = (SqliteLedger::open(&path).await.unwrap(), Admission::random());
        let batches = ["a", "b"].map(|name| BatchId::parse(name).unwrap());
        for batch in &batches {
            let job = NewJob { id: JobId::parse("1").unwrap(), spec: Spec::default() };
            ledger.stage(&admission, batch, &[job]).await.unwrap();
        }
        ledger.publish(&admission, &batches, None).await.unwrap();
        let mut lines = Vec::new();
        export(&LedgerUrl::Sqlite(path), &mut lines).await.unwrap();
        lines.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Checks these lines, whose digest is right.
    fn checked(folder: &Path, mut lines: Vec<Value>) -> Result<CheckedExport, String> {
        let text = |lines: &[Value]| lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n";
        let mut end = lines.pop().unwrap();
        let before = text(&lines);
        end["end"]["sha256"] = json!(digits(&Sha256::digest(&before)));
        fs::write(folder.join("all.jsonl"), before + &text(&[end])).unwrap();
        check(&folder.join("all.jsonl")).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn lines_that_cannot_be_of_one_ledger_are_refused_although_their_digest_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let lines = exported(dir.path()).await;
        let kinds: Vec<&String> = lines.iter().map(|line| line.as_object().unwrap().keys().next().unwrap()).collect();
        assert_eq!(kinds, ["veobatch_ledger", "account", "batch", "job", "batch", "job", "end"]);
        assert_eq!(checked(dir.path(), lines.clone()).unwrap().jobs(), 2);

        let edited = |edit: Edit<'_>| {
            let mut lines = lines.clone();
            edit(&mut lines);
            checked(dir.path(), lines).unwrap_err()
        };
        let cases: [(Edit<'_>, &str); 8] = [
            (&|lines| lines[0]["format"] = json!(99), "its ledger has format 99"),
            (&|lines| lines.insert(2, lines[1].clone()), "a second account"),
            (&|lines| lines[4]["batch"]["number"] = json!(3), "a batch that is not the next one"),
            (&|lines| drop(lines.remove(3)), "a batch that is not the next one"),
            (&|lines| lines.insert(4, lines[3].clone()), "a job of no batch"),
            (&|lines| drop(lines.remove(5)), "counts other lines"),
            (&|lines| lines[4]["batch"]["jobs"] = json!(2), "counts other lines"),
            (&|lines| lines[6]["end"]["tasks"] = json!(1), "counts other lines"),
        ];
        for (edit, words) in cases {
            let why = edited(edit);
            assert!(why.contains(words), "{words}: {why}");
        }
        // As many as there should be, and fewer than their batch says.
        let why = edited(&|lines| {
            lines.remove(5);
            lines[5]["end"]["jobs"] = json!(1);
            lines[5]["end"]["lines"] = json!(5);
        });
        assert!(why.contains("counts other lines"), "{why}");
    }
}
