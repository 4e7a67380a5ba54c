//! `veobatch check`: what is wrong with prompt files, or what they would do.

use clap::Args;
use serde_json::{Value, json};
use veobatch_core::BatchId;
use veobatch_producer::{Checked, Comparison, Estimate, Problem, Problems};

use crate::args::files::PromptFiles;
use crate::args::settings::{PaceSettings, Settings};
use crate::exit::{BAD_INPUT, DONE};
use crate::failure::{Failure, Result};
use crate::output::format::{counted, number};
use crate::output::table::plain;
use crate::output::ui;
use crate::report::costs;
use crate::report::costs::{Costs, New};
use crate::report::forecast::Forecasts;
use crate::session::Session;
use crate::session::admission::outcome;
use crate::session::{admission, prices};

/// Jobs that are shown as a sample.
const SAMPLE: usize = 3;

/// Check prompt files, and estimate their cost
///
/// Reports every mistake at once; without one, what the files would do. Spends nothing, stores nothing and needs no API key.
/// If there is a ledger, it also reports which jobs are known already.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch check jobs.yaml
  veobatch check night/*.jsonl --json

Exits with 0 if the files can be admitted, 2 if something is wrong with them, 3 if the ledger cannot be reached.")]
pub(crate) struct Check {
    #[command(flatten)]
    files: PromptFiles,

    #[command(flatten)]
    pub(crate) pace: PaceSettings,
}

impl Check {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let batch = match (self.files.paths.iter().any(|path| path.as_os_str() == "-"), &self.files.batch) {
            // Nothing is stored, so any name will do.
            (true, None) => Some("stdin"),
            (_, batch) => batch.as_deref(),
        };
        let sources = admission::sources(&self.files.paths, batch)?;
        let mut checked = match admission::read(sources).await? {
            Ok(checked) => checked,
            Err(problems) => return refuse(settings, &problems),
        };
        admission::set_options(&mut checked, &self.files.options)?;
        let session = Session::existing(settings).await?;
        let comparison = compare(session.as_ref(), &checked).await?;
        if let Some(comparison) = &comparison
            && !comparison.conflicts.is_empty()
        {
            return refuse(settings, &comparison.conflicts);
        }
        let forecasts = match &session {
            Some(session) => Forecasts::of(&*session.ledger, &checked.batches()).await?,
            None => Forecasts::usual(),
        };
        let forecasts = forecasts.paced(&self.pace);
        let prices = prices::of(self.pace.prices.as_deref())?;
        let new = New::of_each(&checked, comparison.as_ref(), &prices);
        let estimate: Estimate = new.iter().map(|new| new.estimate.clone()).sum();
        let expected = costs::expected(&forecasts, &checked, &new);
        if settings.json {
            let mut document = document(&checked, comparison.as_ref(), &estimate);
            if let Value::Object(object) = &mut document {
                let forecast = expected.iter().map(|(expected, _)| expected.document());
                object.insert("forecast".to_owned(), forecast.collect());
            }
            ui::json(&document)?;
        } else {
            tell(&checked, comparison.as_ref(), &estimate, Costs::of(estimate.credits, &expected))?;
            for (expected, _) in &expected {
                ui::data(format_args!("  {}", expected.words()))?;
            }
        }
        Ok(DONE)
    }
}

/// What the ledger knows, if there is one.
async fn compare(session: Option<&Session>, checked: &Checked) -> Result<Option<Comparison>> {
    let Some(session) = session else { return Ok(None) };
    veobatch_producer::compare(&*session.ledger, checked)
        .await
        .map(Some)
        .map_err(|error| Failure::unavailable("compare the files with the ledger").because(&error))
}

fn refuse(settings: &Settings, problems: &Problems) -> Result<u8> {
    if settings.json {
        let list: Vec<&Problem> = problems.iter().collect();
        ui::json(&json!({"ok": false, "problems": list, "total_problems": problems.total()}))?;
        return Ok(BAD_INPUT);
    }
    Err(admission::wrong(problems))
}

fn tell(checked: &Checked, comparison: Option<&Comparison>, estimate: &Estimate, costs: Costs) -> Result<()> {
    for warning in checked.warnings() {
        ui::message(format_args!("warning: {warning}"));
    }
    ui::data(format_args!("{} in {}: good", counted(checked.total(), "job"), names(&checked.batches())))?;
    if let Some(comparison) = comparison {
        for batch in &comparison.batches {
            ui::data(format_args!("  {}: {} new, {} known", batch.batch, number(batch.new), number(batch.known)))?;
            for line in outcome::lines(&batch.batch, &batch.policy) {
                ui::data(format_args!("  {line}"))?;
            }
        }
    }
    ui::data(format_args!("  estimated cost: {costs}"))?;
    for (model, count) in &estimate.unpriced {
        ui::data(format_args!("  plus {} of model {model}, whose price is unknown", counted(*count, "job")))?;
    }
    for (key, spec) in checked.preview(SAMPLE) {
        let shape = format!("{}, {}, {}", spec.model, spec.aspect_ratio.as_str(), spec.resolution.as_str());
        ui::data(format_args!("  {key} ({shape}): {}", plain(&spec.prompt, 60)))?;
    }
    if checked.total() > SAMPLE as u64 {
        ui::data(format_args!("  … and {} more", number(checked.total() - SAMPLE as u64)))?;
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
