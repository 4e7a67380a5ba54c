//! Checking: every source to its end, every problem at once, and nothing visible to anyone.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use veobatch_core::{BatchId, JobKey, Prices, Spec};
use veobatch_ledger::content_name;

use crate::asked::BatchOptions;
use crate::defaults::Defaults;
use crate::document::Document;
use crate::draft::Draft;
use crate::json;
use crate::lines;
use crate::node::{Node, Place};
use crate::problem::{Problem, Problems, Report};
use crate::roll::Roll;
use crate::rule::{self, Checked as Job};
use crate::source::{self, Format};
use crate::spool::{Entry, Spool, Waiting, Writer};
use crate::tally::{Estimate, Tally};
use crate::{Source, twice, yaml};

/// Largest YAML or JSON document, in bytes: unlike JSON lines it is held in memory as a whole.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Stands for a batch whose name was refused, while its jobs are looked at.
const NO_BATCH: u32 = u32::MAX;

/// Jobs that can be admitted: every file was read to its end and nothing is wrong with any.
pub struct Checked {
    pub(crate) batches: Vec<BatchId>,
    /// What is asked for each of them.
    pub(crate) asked: Vec<BatchOptions>,
    pub(crate) files: Vec<String>,
    pub(crate) spool: Spool,
    total: u64,
    /// How many jobs each batch has.
    sizes: Vec<u64>,
    /// What those are.
    tallies: Vec<Tally>,
    warnings: Problems,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").field("batches", &self.batches).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Checked {
    /// The batches, in the order of the sources.
    pub fn batches(&self) -> Vec<BatchId> {
        self.batches.clone()
    }

    /// Each batch with what is asked for it.
    pub fn asked(&self) -> impl Iterator<Item = (&BatchId, &BatchOptions)> {
        self.batches.iter().zip(&self.asked)
    }

    /// Asks for this, for all batches; what the files ask for holds where it says nothing.
    ///
    /// # Errors
    /// A batch that cannot have these terms.
    pub fn ask(&mut self, asked: &BatchOptions) -> Result<(), Box<Problem>> {
        for (batch, known) in self.batches.iter().zip(&mut self.asked) {
            *known = asked.or(known);
            if let Some(problem) = known.against(batch) {
                return Err(Box::new(problem));
            }
        }
        Ok(())
    }

    /// How many jobs there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many jobs the `n`-th batch has.
    pub fn jobs_of(&self, n: usize) -> u64 {
        self.sizes.get(n).copied().unwrap_or_default()
    }

    /// What a person should know, but does not stop anything.
    pub fn warnings(&self) -> &[Problem] {
        self.warnings.as_slice()
    }

    /// What all jobs are expected to cost.
    pub fn estimate(&self, prices: &Prices) -> Estimate {
        self.tallies.iter().map(|tally| tally.estimate(prices)).sum()
    }

    /// What the jobs of the `n`-th batch are expected to cost.
    pub fn estimate_of(&self, n: usize, prices: &Prices) -> Estimate {
        self.tallies.get(n).map(|tally| tally.estimate(prices)).unwrap_or_default()
    }

    /// The first `n` jobs; fewer if the temporary file cannot be read any more.
    pub fn preview(&self, n: usize) -> Vec<(JobKey, Spec)> {
        let jobs = self.spool.jobs().take(n).map_while(Result::ok);
        jobs.filter_map(|waiting| Some((self.key(&waiting)?, waiting.job.spec))).collect()
    }

    fn key(&self, waiting: &Waiting) -> Option<JobKey> {
        let batch = self.batches.get(waiting.batch as usize)?.clone();
        Some(JobKey { batch, job: waiting.job.id.clone() })
    }
}

/// Reads every source to its end. Blocks: it reads files.
///
/// # Errors
/// Everything that is wrong with any of them, in their order.
pub fn check(sources: &[Source]) -> Result<Checked, Problems> {
    check_with(sources, Defaults::default())
}

/// As [`check`], for a program with these defaults.
///
/// # Errors
/// As there.
pub fn check_with(sources: &[Source], defaults: Defaults) -> Result<Checked, Problems> {
    let mut intake = Intake::new(defaults);
    let mut reports = Vec::with_capacity(sources.len());
    for (n, source) in sources.iter().enumerate() {
        let mut report = Report::new(match source {
            Source::File(path) => path.display().to_string(),
            Source::Stdin { .. } => "standard input".to_owned(),
        });
        intake.begin(&report.file);
        let read = if sources.iter().take(n).any(|other| same(other, source)) {
            report.problem(None, Problem::new("this is given twice").hint("name it once"));
            Ok(())
        } else {
            match source {
                Source::File(path) => file(path, &mut report, &mut intake),
                Source::Stdin { batch } => stdin(batch, &mut report, &mut intake),
            }
        };
        if let Err(error) = read {
            report.problem(None, Problem::new(format!("reading stopped: {error}")));
        }
        reports.push(report);
    }
    intake.finish(reports)
}

fn same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::File(one), Source::File(other)) => {
            one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
        }
        (Source::Stdin { .. }, Source::Stdin { .. }) => true,
        (Source::File(_), Source::Stdin { .. }) | (Source::Stdin { .. }, Source::File(_)) => false,
    }
}

fn stdin(batch: &BatchId, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let batch = intake.batch(batch, None, report);
    lines::read(source::stdin()?, report, |job| intake.take(batch, job))
}

fn file(path: &Path, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let opened = match source::open(path) {
        Ok(opened) => opened,
        Err(problem) => {
            report.problem(None, *problem);
            return Ok(());
        }
    };
    match opened.format {
        Format::Lines => {
            let batch = named_for(path, report, intake);
            lines::read(opened.reader, report, |job| intake.take(batch, job))
        }
        Format::Yaml | Format::Json => {
            let mut bytes = Vec::new();
            opened.reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX_DOCUMENT {
                let problem = Problem::new("the document is larger than 64 megabytes");
                report.problem(None, problem.hint("write it as JSON lines (.jsonl), which may have any size"));
                return Ok(());
            }
            let text = text(bytes, report);
            if text.trim().is_empty() {
                report.problem(None, lines::empty(text.is_empty()));
                return Ok(());
            }
            let node = if opened.format == Format::Yaml {
                yaml::parse(&text, report)
            } else {
                json::parse(&text, 1).map_err(|broken| report.problem(broken.0, broken.1)).ok()
            };
            node.map_or(Ok(()), |node| document(path, node, report, intake))
        }
    }
}

/// The bytes as text; lines that are none are reported, and stay readable for the rest of the check.
fn text(bytes: Vec<u8>, report: &mut Report) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        for (n, line) in error.as_bytes().split(|&byte| byte == b'\n').enumerate() {
            let _ = lines::utf8(line, u32::try_from(n + 1).unwrap_or(u32::MAX), report);
        }
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

fn document(path: &Path, node: Node<'_>, report: &mut Report, intake: &mut Intake) -> io::Result<()> {
    let document = Document::read(node, report);
    let batch = match &document.batch {
        None => named_for(path, report, intake),
        Some(given) => match BatchId::parse(&given.value) {
            Ok(batch) => intake.batch(&batch, Some(given.at), report),
            Err(error) => {
                let words = format!("a batch becomes a folder's name, and this one {error}");
                report.problem(given.at, Problem::new(words).text(&given.value));
                NO_BATCH
            }
        },
    };
    intake.ask(batch, &document, report);
    for node in document.jobs {
        let draft = Draft::read(node, report);
        if let Some(job) = draft.and_then(|draft| rule::fit(draft, &document.defaults, report)) {
            intake.take(batch, job)?;
        }
    }
    Ok(())
}

fn named_for(path: &Path, report: &mut Report, intake: &mut Intake) -> u32 {
    match source::batch(path) {
        Ok(batch) => intake.batch(&batch, None, report),
        Err(problem) => {
            report.problem(None, *problem);
            NO_BATCH
        }
    }
}

/// Where good jobs go, of all sources.
struct Intake {
    defaults: Defaults,
    batches: Vec<BatchId>,
    sizes: Vec<u64>,
    tallies: Vec<Tally>,
    asked: Vec<BatchOptions>,
    files: Vec<String>,
    /// The number of each file's first job.
    starts: Vec<u64>,
    writer: Writer,
    roll: Roll,
}

impl Intake {
    fn new(defaults: Defaults) -> Self {
        let (batches, sizes, tallies, asked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (files, starts) = (Vec::new(), Vec::new());
        let (writer, roll) = (Writer::new(), Roll::default());
        Self { defaults, batches, sizes, tallies, asked, files, starts, writer, roll }
    }

    /// What comes now is of this file.
    fn begin(&mut self, file: &str) {
        self.files.push(file.to_owned());
        self.starts.push(self.roll.total());
    }

    /// The number of a batch; files that name the same one join.
    fn batch(&mut self, batch: &BatchId, at: Option<Place>, report: &mut Report) -> u32 {
        let known = self.batches.iter().position(|known| known.folded() == batch.folded());
        let n = known.unwrap_or_else(|| {
            self.batches.push(batch.clone());
            self.asked.push(BatchOptions::default());
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
    fn ask(&mut self, batch: u32, document: &Document<'_>, report: &mut Report) {
        let n = batch as usize;
        let (Some(name), Some(known)) = (self.batches.get(n), self.asked.get_mut(n)) else { return };
        let place = |field: &str| document.asked_at.iter().find(|(given, _)| *given == field).map(|(_, at)| *at);
        for field in known.contradicts(&document.asked) {
            let words = format!("batch {name} is given another `{field}` by another file");
            report.problem(place(field), Problem::new(words).hint("say it once"));
        }
        *known = known.or(&document.asked);
        if let Some(problem) = document.asked.against(name) {
            report.problem(place("cron"), problem);
        }
    }

    fn take(&mut self, batch: u32, job: Job) -> io::Result<()> {
        let spec = self.defaults.fill(job.spec, job.left_out);
        let stored = spec.to_bytes();
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let made = job.id.is_none().then(|| content_name(Spec::content_of(&stored)));
        let name = made.as_deref().or(job.id.as_ref().map(veobatch_core::JobId::as_str)).unwrap_or_default();
        self.roll.enter(batch, name, made.is_some());
        if let Some(tally) = self.tallies.get_mut(batch as usize) {
            tally.add(&spec, 1);
        }
        if let Some(size) = self.sizes.get_mut(batch as usize) {
            *size += 1;
        }
        self.writer.write(&Entry { batch, file, at: job.at, name, made: made.is_some(), spec: &stored })
    }

    fn finish(self, mut reports: Vec<Report>) -> Result<Checked, Problems> {
        let total = self.roll.total();
        let mut called = self.roll.call();
        twice::warn(&called.twins, &self.starts, &mut reports);
        let spool = self.writer.finish(std::mem::take(&mut called.twins)).and_then(|spool| {
            twice::report(&called, &spool, &self.files, &mut reports)?;
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
        let Self { batches, sizes, tallies, asked, files, .. } = self;
        Ok(Checked { batches, asked, files, spool, total, sizes, tallies, warnings })
    }
}
