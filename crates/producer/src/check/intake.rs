//! Where good jobs go, of all sources: into the spool, counted and compared by name.

use std::io;

use veobatch_core::{BatchId, Spec};
use veobatch_ledger::content_name;

use super::checked::Checked;
use super::document::Document;
use super::draft::Draft;
use super::duplicates::{self, Names};
use super::validate::{ValidJob, validate};
use crate::batch_options::BatchOptions;
use crate::defaults::Defaults;
use crate::estimate::Tally;
use crate::formats::node::{Node, Place};
use crate::problem::{Problem, Problems, Report};
use crate::spool::{UnspooledJob, Writer};

/// Where good jobs go, of all sources.
pub(super) struct Intake {
    defaults: Defaults,
    batches: Vec<BatchId>,
    sizes: Vec<u64>,
    tallies: Vec<Tally>,
    options: Vec<BatchOptions>,
    files: Vec<String>,
    /// The number of each file's first job.
    starts: Vec<u64>,
    writer: Writer,
    names: Names,
}

impl Intake {
    pub(super) fn new(defaults: Defaults) -> Self {
        let (batches, sizes, tallies, options) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (files, starts) = (Vec::new(), Vec::new());
        let (writer, names) = (Writer::new(), Names::default());
        Self { defaults, batches, sizes, tallies, options, files, starts, writer, names }
    }

    /// What comes now is of this file.
    pub(super) fn begin(&mut self, file: &str) {
        self.files.push(file.to_owned());
        self.starts.push(self.names.total());
    }

    /// The number of a batch; files that name the same one join.
    pub(super) fn batch(&mut self, batch: &BatchId, at: Option<Place>, report: &mut Report) -> u32 {
        let known = self.batches.iter().position(|known| known.folded() == batch.folded());
        let n = known.unwrap_or_else(|| {
            self.batches.push(batch.clone());
            self.options.push(BatchOptions::default());
            self.sizes.push(0);
            self.tallies.push(Tally::default());
            self.batches.len() - 1
        });
        if let Some(known) = self.batches.get(n).filter(|known| *known != batch) {
            let words = format!("batch {batch} differs from batch {known} only in case or Unicode form");
            report.problem(at, Problem::new(words).hint("give one of them another name: they would share a folder"));
        }
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Keeps what a document asks for its batch; files of one batch must not contradict each other.
    pub(super) fn ask(&mut self, batch: u32, document: &Document<'_>, report: &mut Report) {
        let n = batch as usize;
        let (Some(name), Some(known)) = (self.batches.get(n), self.options.get_mut(n)) else { return };
        let place = |field: &str| document.options_at.iter().find(|(given, _)| *given == field).map(|(_, at)| *at);
        for field in known.contradicts(&document.options) {
            let words = format!("batch {name} has a different `{field}` in another file");
            report.problem(place(field), Problem::new(words).hint("keep one of them"));
        }
        *known = known.or(&document.options);
        if let Err(problem) = document.options.check(name) {
            report.problem(place("cron"), *problem);
        }
    }

    /// Takes a job, if nothing is wrong with it.
    pub(super) fn job(
        &mut self,
        batch: u32,
        node: Node<'_>,
        defaults: &Draft<'_>,
        report: &mut Report,
    ) -> io::Result<()> {
        let draft = Draft::read(node, report);
        let job = draft.and_then(|draft| validate(draft, defaults, report));
        job.map_or(Ok(()), |job| self.take(batch, job))
    }

    fn take(&mut self, batch: u32, job: ValidJob) -> io::Result<()> {
        let spec = self.defaults.fill(job.spec, job.left_out);
        let stored = spec.to_bytes();
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let made = job.id.is_none().then(|| content_name(Spec::content_of(&stored)));
        let name = made.as_deref().or(job.id.as_ref().map(veobatch_core::JobId::as_str)).unwrap_or_default();
        self.names.add(batch, name, made.is_some());
        if let Some(tally) = self.tallies.get_mut(batch as usize) {
            tally.add(&spec, 1);
        }
        if let Some(size) = self.sizes.get_mut(batch as usize) {
            *size += 1;
        }
        self.writer.write(&UnspooledJob { batch, file, at: job.at, name, made: made.is_some(), spec: &stored })
    }

    pub(super) fn finish(self, mut reports: Vec<Report>) -> Result<Checked, Problems> {
        let total = self.names.total();
        let mut duplicates = self.names.find_duplicates();
        duplicates::warn(&duplicates.twins, &self.starts, &mut reports);
        let spool = self.writer.finish(std::mem::take(&mut duplicates.twins)).and_then(|spool| {
            duplicates::report(&duplicates, &spool, &self.files, &mut reports)?;
            Ok(spool)
        });
        let (mut problems, mut warnings) = (Problems::default(), Problems::default());
        for mut report in reports {
            report.problems.sort();
            problems.append(report.problems);
            warnings.append(report.warnings);
        }
        let spool = spool
            .map_err(|error| Problems::from(Problem::new(format!("the temporary file cannot be used: {error}"))))?;
        if !problems.is_empty() {
            return Err(problems);
        }
        let Self { batches, sizes, tallies, options, files, .. } = self;
        Ok(Checked { batches, options, files, spool, total, sizes, tallies, warnings })
    }
}
