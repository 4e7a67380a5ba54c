//! From prompt files to jobs in the ledger, with a person told what it means and asked before it costs.

pub(crate) mod outcome;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use veobatch_api::Dialect;
use veobatch_core::{BatchId, Credits, StateName};
use veobatch_producer::{AdmitError, Admitted, Checked, Comparison, Estimate, PolicyChange, Problems, Source};

use self::outcome::AdmissionOutcome;
use crate::args::batch_options::BatchOptionArgs;
use crate::args::files::{Admissible, PromptFiles};
use crate::args::settings::Settings;
use crate::exit::UNFINISHED;
use crate::failure::{Failure, Result};
use crate::output::counting::Counting;
use crate::output::format::{counted, number};
use crate::output::{confirm, ui};
use crate::report::costs::{Costs, New, expected};
use crate::report::forecast::Forecasts;
use crate::report::messages;
use crate::report::progress::summaries;
use crate::session::Session;
use crate::session::prices;
use crate::session::remote::{Account, Balance};

/// Reads every file to its end; everything that is wrong is told at once.
pub(crate) async fn check(files: &PromptFiles) -> Result<Checked> {
    let sources = sources(&files.paths, files.batch.as_deref())?;
    let mut checked = read(sources).await?.map_err(|problems| wrong(&problems))?;
    set_options(&mut checked, &files.options)?;
    for warning in checked.warnings() {
        ui::message(format_args!("warning: {warning}"));
    }
    Ok(checked)
}

/// What `-` and file names mean.
pub(crate) fn sources(files: &[PathBuf], batch: Option<&str>) -> Result<Vec<Source>> {
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if batch.is_some() && !files.iter().any(is_stdin) {
        return Err(Failure::bad_input("use --batch")
            .since("it names the batch of standard input; a file sets its own with `batch: NAME`")
            .hint("veobatch enqueue - --batch NAME < jobs.jsonl"));
    }
    let source = |path: &PathBuf| {
        if !is_stdin(path) {
            return Ok(Source::File(path.clone()));
        }
        let name = batch.ok_or_else(|| {
            Failure::bad_input("read standard input")
                .since("its batch needs a name")
                .hint("veobatch enqueue - --batch NAME < jobs.jsonl")
        })?;
        let batch = BatchId::parse(name)
            .map_err(|error| Failure::bad_input("use --batch").since(format!("{name:?} {error}")))?;
        Ok(Source::Stdin { batch })
    };
    files.iter().map(source).collect()
}

/// Checks sources on a thread where reading may block.
pub(crate) async fn read(sources: Vec<Source>) -> Result<std::result::Result<Checked, Problems>> {
    tokio::task::spawn_blocking(move || veobatch_producer::check(&sources))
        .await
        .map_err(|error| Failure::unavailable("read the prompt files").because(&error))
}

/// Adds what the command line asks for.
pub(crate) fn set_options(checked: &mut Checked, options: &BatchOptionArgs) -> Result<()> {
    checked.set_options(&options.options()?).map_err(|problem| {
        let failure = Failure::bad_input("use the batch options").since(problem.message);
        problem.hint.into_iter().fold(failure, Failure::hint)
    })
}

/// The failure that tells every problem.
pub(crate) fn wrong(problems: &Problems) -> Failure {
    ui::message(problems);
    Failure::bad_input(format!("use the prompt files: {}", counted(problems.total(), "problem")))
        .hint("correct the lines above, then check again: veobatch check FILE   (nothing was admitted)")
}

/// An admission by one command.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) session: &'a Session,
    pub(crate) account: Option<&'a Account>,
    pub(crate) files: &'a Admissible,
    /// The price list that was named.
    pub(crate) prices: Option<&'a Path>,
}

impl Admission<'_> {
    /// Says what `checked` means, asks if a person is there, and admits it.
    pub(crate) async fn admit(&self, checked: Checked) -> Result<AdmissionOutcome> {
        let ledger = &*self.session.ledger;
        let batches = checked.batches();
        let comparison = veobatch_producer::compare_first(ledger, &checked, self.files.limit)
            .await
            .map_err(|error| failed(&error))?;
        if !comparison.conflicts.is_empty() {
            return Err(failed(&AdmitError::Conflicts(comparison.conflicts)));
        }
        self.tell(&comparison).await?;
        if comparison.admitted() == 0 {
            self.update(&checked).await?;
            let policy = self.restate(&checked, &comparison).await?;
            return Ok(AdmissionOutcome { batches, policy });
        }
        let prices = prices::of(self.prices)?;
        let estimate = comparison.estimate(&prices);
        let forecasts = Forecasts::of(ledger, &batches).await?;
        let expected = expected(&forecasts, &checked, &New::of_each(&checked, Some(&comparison), &prices));
        let costs = Costs::of(estimate.credits, &expected);
        let balance = self.balance().await?;
        ui::message(cost(comparison.admitted(), &estimate, costs, balance, self.settings.simulate));
        for (expected, _) in &expected {
            ui::message(expected.words());
        }
        self.ask(&comparison).await?;
        let admitted = self.store(checked, comparison.admitted()).await?;
        let policy = admitted.into_iter().map(|admitted| (admitted.batch, admitted.policy)).collect();
        Ok(AdmissionOutcome { batches, policy })
    }

    /// Says how many jobs are new, and how far the known ones are.
    async fn tell(&self, comparison: &Comparison) -> Result<()> {
        let batches: Vec<BatchId> = comparison.batches.iter().map(|batch| batch.batch.clone()).collect();
        let known = summaries(&*self.session.ledger, &batches).await?;
        let is_new = comparison.admitted() > 0;
        for compared in &comparison.batches {
            let batch = &compared.batch;
            let Some(summary) = known.iter().find(|summary| summary.batch.folded() == batch.folded()) else {
                ui::message(format_args!("{batch}: {}, all new", counted(compared.new, "job")));
                continue;
            };
            let is_done = summary.count(StateName::Done) == summary.total();
            let total = summary.total();
            ui::message(match (compared.new, is_done) {
                (0, true) => format!("{batch}: everything is done already ({})", counted(total, "job")),
                (0, false) => format!("{batch}: nothing new; {} known: {}", number(total), messages::counts(summary)),
                (new, true) => format!("{batch}: {} new, {} known, all of them done", number(new), number(total)),
                (new, false) => {
                    format!("{batch}: {} new, {} known: {}", number(new), number(total), messages::counts(summary))
                }
            });
            for line in outcome::lines(batch, &compared.policy) {
                ui::message(line);
            }
        }
        if !is_new && known.len() > 1 && known.iter().all(|summary| summary.count(StateName::Done) == summary.total()) {
            ui::message("everything is done already");
        }
        Ok(())
    }

    /// Changes the settings of batches that have no new jobs.
    async fn update(&self, checked: &Checked) -> Result<()> {
        let updated = veobatch_producer::update_batches(&*self.session.ledger, checked)
            .await
            .map_err(|error| Failure::ledger("change the settings of the batches", &error))?;
        for updated in updated {
            ui::message(format_args!("{}: {}", updated.batch, updated.changes.join(", ")));
        }
        Ok(())
    }

    /// Sets what the files say anew of how to work at known jobs.
    async fn restate(&self, checked: &Checked, comparison: &Comparison) -> Result<Vec<(BatchId, Vec<PolicyChange>)>> {
        if comparison.batches.iter().all(|compared| compared.policy.is_empty()) {
            return Ok(Vec::new());
        }
        veobatch_producer::restate(&*self.session.ledger, checked).await.map_err(|error| failed(&error))
    }

    /// The real account's balance, if there is a key to ask with. A refused key ends it here.
    async fn balance(&self) -> Result<Option<Credits>> {
        let (Some(account @ Account::Real { .. }), false) = (self.account, self.settings.simulate) else {
            return Ok(None);
        };
        let remote = account.connect(Dialect::default(), None).await?;
        match remote.balance().await? {
            Balance::Credits(credits) => Ok(Some(credits)),
            // The ledger is bound, so key and base were right once: the jobs wait for the service.
            Balance::Later(why) | Balance::Unreachable(why) => {
                ui::message(format_args!("warning: balance unknown: {why}"));
                Ok(None)
            }
        }
    }

    async fn ask(&self, comparison: &Comparison) -> Result<()> {
        if self.files.yes || self.settings.simulate || !ui::can_ask() {
            return Ok(());
        }
        let question = format!("admit {}?", counted(comparison.admitted(), "new job"));
        if confirm::confirmed(&question).await? {
            return Ok(());
        }
        ui::message("nothing was admitted");
        Err(Failure::silent(UNFINISHED))
    }

    async fn store(&self, checked: Checked, new: u64) -> Result<Vec<Admitted>> {
        let counting = RefCell::new(Counting::new("admitting", checked.total()));
        let told = |done| counting.borrow_mut().set(done);
        let admitted = veobatch_producer::admit(&self.session.ledger, checked, self.files.limit, told).await;
        drop(counting);
        let admitted = admitted.map_err(|error| failed(&error))?;
        for batch in admitted.iter().filter(|batch| !batch.settings.is_empty()) {
            ui::message(format_args!("{}: {}", batch.batch, batch.settings.join(", ")));
        }
        let stored: u64 = admitted.iter().map(|batch| batch.new).sum();
        ui::message(format_args!("{} admitted to {}", counted(stored, "job"), self.session.url.shown()));
        if stored != new {
            ui::message("(another process admitted some of them meanwhile)");
        }
        Ok(admitted)
    }
}

/// What the new jobs are expected to cost, and whether the balance covers it.
fn cost(new: u64, estimate: &Estimate, costs: Costs, balance: Option<Credits>, is_simulated: bool) -> String {
    let (jobs, credits) = (counted(new, "job"), estimate.credits);
    if is_simulated {
        return format!("{jobs} to submit; simulated cost: {credits} credits, nothing is paid");
    }
    let mut words = vec![format!("{jobs} to submit; estimated cost: {costs}")];
    words.extend(estimate.unpriced.iter().map(|(model, count)| {
        format!("plus {} of model {model}, whose price is unknown (--prices)", counted(*count, "job"))
    }));
    words.extend(balance.map(|balance| format!("balance: {balance} credits")));
    let mut words = words.join("; ");
    if balance.is_some_and(|balance| balance < credits) {
        words.push_str(
            "\nwarning: the balance does not cover that; submissions stop when it is used up, and continue when it is topped up",
        );
    }
    words
}

fn failed(error: &AdmitError) -> Failure {
    match error {
        AdmitError::Conflicts(problems) => {
            ui::message(problems);
            Failure::bad_input("use the prompt files: some ids are known already, with other content")
                .hint("give changed jobs new ids   (nothing was admitted)")
        }
        AdmitError::Busy(_) => Failure::unavailable("admit the jobs").because(error),
        AdmitError::Ledger(error) => Failure::ledger("admit the jobs", error),
        AdmitError::Spool(_) => Failure::unavailable("admit the jobs")
            .because(error)
            .hint("free some space in the temporary directory, then run the command again"),
    }
}

#[cfg(test)]
mod tests {
    use crate::output::format::dollars;

    use super::*;

    #[test]
    fn standard_input_needs_a_name_and_files_have_their_own() {
        assert!(sources(&["-".into()], None).is_err());
        assert!(sources(&["a.yaml".into()], Some("x")).is_err());
        assert_eq!(sources(&["-".into(), "a.yaml".into()], Some("x")).unwrap().len(), 2);
        assert!(sources(&["-".into()], Some("../x")).is_err());
    }

    #[test]
    fn the_example_file_is_good_and_costs_what_it_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../jobs.example.yaml");
        let checked = veobatch_producer::check(&[Source::File(path.into())]).unwrap();
        assert!(checked.warnings().is_empty(), "{:?}", checked.warnings());
        let credits = checked.estimate(&veobatch_core::Prices::default()).credits;
        let words = std::fs::read_to_string(path).unwrap();
        assert!(words.contains(&format!("{credits} credits, {}", dollars(credits))), "{credits}");
    }

    #[test]
    fn what_the_example_file_offers_is_good_too() {
        let text = include_str!("../../../../jobs.example.yaml");
        let offered = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
        assert_eq!(text.lines().filter(|line| offered(line)).count(), 5);
        let taken = |line: &str| if offered(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") };
        let path = std::env::temp_dir().join(format!("veobatch-offered-{}.yaml", std::process::id()));
        std::fs::write(&path, text.lines().map(taken).collect::<String>()).unwrap();
        let checked = veobatch_producer::check(&[Source::File(path.clone())]);
        std::fs::remove_file(&path).unwrap();
        let checked = checked.unwrap();
        let (_, asked) = checked.options().next().unwrap();
        assert_eq!(asked.weight, Some(2));
    }

    #[test]
    fn the_cost_is_told_with_what_is_not_known() {
        let estimate = Estimate { credits: Credits::whole(480), ..Estimate::default() };
        let costs = Costs { once: Credits::whole(480), ..Costs::default() };
        assert_eq!(
            cost(8, &estimate, costs, Some(Credits::whole(500)), false),
            "8 jobs to submit; estimated cost: 480 credits (US$2.40); balance: 500 credits"
        );
        assert!(cost(8, &estimate, costs, Some(Credits::whole(5)), false).contains("does not cover"));
        assert!(cost(8, &estimate, costs, None, true).contains("nothing is paid"));
    }
}
