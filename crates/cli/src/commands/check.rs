//! `veobatch check`: what is wrong with prompt files, or what they would do.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::BatchId;
use veobatch_producer::{Checked, Comparison, Estimate, Problem, Problems};

use crate::costs::{Costs, New};
use crate::exit::{BAD_INPUT, DONE};
use crate::failure::{Failure, Result};
use crate::opened::Opened;
use crate::outlook::Outlook;
use crate::settings::{PaceSettings, Settings};
use crate::table::plain;
use crate::terms::Terms;
use crate::units::{counted, number};
use crate::{admission, costs, prices, say, taken};

/// Jobs that are shown as a sample.
const SAMPLE: usize = 3;

/// Say everything that is wrong with prompt files, or what they would do and cost
///
/// Spends nothing, stores nothing and needs no API key. If there is a ledger, it also says what of the files is known
/// to it already.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  veobatch check jobs.yaml
  veobatch check night/*.jsonl --json

Exits with 0 if the files can be admitted, 2 if something is wrong with them, 3 if the ledger cannot be reached.")]
pub(crate) struct Check {
    /// Prompt files: YAML, JSON lines or JSON; `-` reads JSON lines from standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The batch of what standard input brings
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,

    #[command(flatten)]
    terms: Terms,

    #[command(flatten)]
    pub(crate) pace: PaceSettings,
}

impl Check {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let batch = match (self.files.iter().any(|path| path.as_os_str() == "-"), &self.batch) {
            // Nothing is stored, so any name will do.
            (true, None) => Some("stdin"),
            (_, batch) => batch.as_deref(),
        };
        let sources = admission::sources(&self.files, batch)?;
        let mut checked = match admission::read(sources).await? {
            Ok(checked) => checked,
            Err(problems) => return refuse(settings, &problems),
        };
        admission::ask(&mut checked, &self.terms)?;
        let opened = Opened::existing(settings).await?;
        let comparison = compare(opened.as_ref(), &checked).await?;
        if let Some(comparison) = &comparison
            && !comparison.conflicts.is_empty()
        {
            return refuse(settings, &comparison.conflicts);
        }
        let outlook = match &opened {
            Some(opened) => Outlook::of(&*opened.ledger, &checked.batches()).await?,
            None => Outlook::usual(),
        };
        let outlook = outlook.paced(&self.pace);
        let prices = prices::of(self.pace.prices.as_deref())?;
        let new = New::of_each(&checked, comparison.as_ref(), &prices);
        let estimate: Estimate = new.iter().map(|new| new.estimate.clone()).sum();
        let expected = costs::expected(&outlook, &checked, &new);
        if settings.json {
            let mut document = document(&checked, comparison.as_ref(), &estimate);
            if let Value::Object(object) = &mut document {
                let forecast = expected.iter().map(|(expected, _)| expected.document());
                object.insert("forecast".to_owned(), forecast.collect());
            }
            say::json(&document)?;
        } else {
            tell(&checked, comparison.as_ref(), &estimate, Costs::of(estimate.credits, &expected))?;
            for (expected, _) in &expected {
                say::data(format_args!("  {}", expected.words()))?;
            }
        }
        Ok(DONE)
    }
}

/// What the ledger knows, if there is one.
async fn compare(opened: Option<&Opened>, checked: &Checked) -> Result<Option<Comparison>> {
    let Some(opened) = opened else { return Ok(None) };
    veobatch_producer::compare(&*opened.ledger, checked)
        .await
        .map(Some)
        .map_err(|error| Failure::unavailable("compare the files with the ledger").because(&error))
}

fn refuse(settings: &Settings, problems: &Problems) -> Result<u8> {
    if settings.json {
        let list: Vec<&Problem> = problems.iter().collect();
        say::json(&json!({"ok": false, "problems": list, "total_problems": problems.total()}))?;
        return Ok(BAD_INPUT);
    }
    Err(admission::wrong(problems))
}

fn tell(checked: &Checked, comparison: Option<&Comparison>, estimate: &Estimate, costs: Costs) -> Result<()> {
    for warning in checked.warnings() {
        say::words(format_args!("warning: {warning}"));
    }
    say::data(format_args!("{} in {}: good", counted(checked.total(), "job"), names(&checked.batches())))?;
    if let Some(comparison) = comparison {
        for batch in &comparison.batches {
            say::data(format_args!("  {}: {} new, {} known", batch.batch, number(batch.new), number(batch.known)))?;
            for line in taken::lines(&batch.batch, &batch.policy) {
                say::data(format_args!("  {line}"))?;
            }
        }
    }
    say::data(format_args!("  what is new costs {costs}"))?;
    for (model, count) in &estimate.unpriced {
        say::data(format_args!("  and {} of model {model}, whose price is not known", counted(*count, "job")))?;
    }
    for (key, spec) in checked.preview(SAMPLE) {
        let shape = format!("{}, {}, {}", spec.model, spec.aspect_ratio.as_str(), spec.resolution.as_str());
        say::data(format_args!("  {key} ({shape}): {}", plain(&spec.prompt, 60)))?;
    }
    if checked.total() > SAMPLE as u64 {
        say::data(format_args!("  … and {} more", number(checked.total() - SAMPLE as u64)))?;
    }
    Ok(())
}

fn names(batches: &[BatchId]) -> String {
    match batches {
        [batch] => format!("batch {batch}"),
        _ => counted(batches.len() as u64, "batch").replace("batchs", "batches"),
    }
}

fn document(checked: &Checked, comparison: Option<&Comparison>, estimate: &Estimate) -> Value {
    let batches: Vec<Value> = match comparison {
        Some(comparison) => comparison.batches.iter().map(|batch| json!(batch)).collect(),
        None => checked.batches().iter().map(|batch| json!({"batch": batch})).collect(),
    };
    json!({
        "ok": true,
        "jobs": checked.total(),
        "new": comparison.map_or(checked.total(), Comparison::admitted),
        "batches": batches,
        "credits": estimate.credits.as_f64(),
        "unpriced": estimate.unpriced,
        "warnings": checked.warnings(),
    })
}
