//! Brings the settings of batches to what is asked for them: before their jobs are visible, so that they hold for the first.

use veobatch_core::{BatchId, BatchSettings, Schedule, Timestamp};
use veobatch_ledger::{BatchUpdate, Batches, Ledger, LedgerError};

use crate::batch_options::BatchOptions;
use crate::check::checked::Checked;

/// What of a batch's settings was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedBatch {
    /// The batch.
    pub batch: BatchId,
    /// Each change, in words: `weight 3 (was 1)`.
    pub changes: Vec<String>,
}

/// Changes the settings of the batches that the ledger has, as far as something else is asked for them.
///
/// May be repeated. An admission does it by itself.
pub async fn update_batches(ledger: &dyn Ledger, checked: &Checked) -> Result<Vec<UpdatedBatch>, LedgerError> {
    update_batches_with(ledger, checked, &[]).await
}

/// As [`update_batches`], for the batches in `staged` too, which may not be visible yet.
pub(crate) async fn update_batches_with(
    ledger: &dyn Ledger,
    checked: &Checked,
    staged: &[BatchId],
) -> Result<Vec<UpdatedBatch>, LedgerError> {
    let mut updated = Vec::new();
    if checked.options().all(|(_, asked)| *asked == BatchOptions::default()) {
        return Ok(updated);
    }
    let named = checked.options().map(|(batch, _)| batch.clone()).collect();
    let (known, now) = (ledger.list(&Batches::Named(named)).await?, ledger.info().await?.calendar);
    for (batch, asked) in checked.options() {
        let summary = known.iter().find(|summary| summary.batch.folded() == batch.folded());
        let changes = match summary {
            Some(summary) => update_batch(ledger, batch, &summary.terms, asked, now).await?,
            // Nobody sees it yet, so nobody else changes it.
            None if staged.contains(batch) => {
                let (update, changes) = difference(&BatchSettings::default(), asked, now)?;
                if !changes.is_empty() {
                    ledger.update_batch(batch, &update).await?;
                }
                changes
            }
            None => continue,
        };
        if !changes.is_empty() {
            updated.push(UpdatedBatch { batch: batch.clone(), changes });
        }
    }
    Ok(updated)
}

/// Brings one published batch that had the settings `before` to what is asked for it. Returns each change, in words.
///
/// The schedule of a template also says which of its runs were made. A worker that makes one meanwhile is not undone: the
/// update is computed anew from what the batch has then.
pub async fn update_batch(
    ledger: &dyn Ledger,
    batch: &BatchId,
    before: &BatchSettings,
    asked: &BatchOptions,
    now: Timestamp,
) -> Result<Vec<String>, LedgerError> {
    let (mut update, first) = difference(before, asked, now)?;
    let (mut before, mut changes) = (before.clone(), first.clone());
    while !changes.is_empty() {
        update.only_if = update.schedule.is_some().then(|| before.schedule.clone());
        ledger.update_batch(batch, &update).await?;
        let Some(summary) = ledger.list(&Batches::Named(vec![batch.clone()])).await?.pop() else { break };
        before = summary.terms;
        (update, changes) = difference(&before, asked, now)?;
    }
    Ok(first)
}

/// What leads from `before` to what is asked for, and each change in words.
fn difference(
    before: &BatchSettings,
    asked: &BatchOptions,
    now: Timestamp,
) -> Result<(BatchUpdate, Vec<String>), LedgerError> {
    let after = asked.terms(before, now).map_err(|error| LedgerError::Damaged(error.to_string()))?;
    let is_other = before.schedule != after.schedule;
    let update = BatchUpdate {
        flag: None,
        weight: (before.weight != after.weight).then_some(after.weight),
        priority: (before.priority != after.priority).then_some(after.priority),
        budget: (before.budget != after.budget).then_some(after.budget),
        schedule: is_other.then(|| after.schedule.clone()),
        range: is_other.then_some(after.range),
        only_if: None,
    };
    Ok((update, changes(before, &after)))
}

/// The same in words.
fn changes(before: &BatchSettings, after: &BatchSettings) -> Vec<String> {
    fn shown(value: Option<impl ToString>) -> String {
        value.map_or_else(|| "none".to_owned(), |value| value.to_string())
    }
    let schedule = |terms: &BatchSettings| Schedule::parse(&terms.schedule).unwrap_or_default();
    let (was, is) = (schedule(before), schedule(after));
    let both = [
        ("weight", before.weight.to_string(), after.weight.to_string()),
        ("priority", before.priority.to_string(), after.priority.to_string()),
        ("budget", shown(before.budget), shown(after.budget)),
        ("start_at", shown(was.start_at), shown(is.start_at)),
        ("window", shown(was.window), shown(is.window)),
        ("cron", shown(was.cron), shown(is.cron)),
    ];
    let changed = both.into_iter().filter(|(_, was, is)| was != is);
    changed.map(|(name, was, is)| format!("{name} {is} (was {was})")).collect()
}
