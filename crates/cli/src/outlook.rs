//! What is to be expected of batches: how many of their jobs fit into the next window, when the last is done, when a
//! recurring one runs next.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use veobatch_core::{
    BatchId, BatchSettings, Credits, Durations, Forecast, Rival, Schedule, StateName, Throughput, TimeRange, Timestamp,
    VideoKind, Zone, forecast,
};
use veobatch_ledger::{BatchSummary, Batches, Ledger, Pace};
use veobatch_producer::BatchOptions;

use crate::budgets::{self, Scarce};
use crate::failure::Result;
use crate::named::looking;
use crate::settings::PaceSettings;
use crate::shapes::Time;
use crate::units::{Rate, counted, duration, number, rounded};

/// What a video takes as long as none of the account's own is known: a median for planning, not a promise of the service.
const USUAL: Duration = Duration::from_secs(90);

/// Batches of which something is said.
const SHOWN: usize = 10;

/// Each batch's expectation looks at all others: of more batches than this none is told one by one.
const FEW: usize = 500;

/// What expectations are made of.
#[derive(Debug)]
pub(crate) struct Outlook {
    pace: Pace,
    /// What a video usually takes.
    typical: Duration,
    batches: Vec<BatchSummary>,
    prices: BTreeMap<String, Credits>,
    /// What the next job of a batch with a budget costs, by the batch's folded name.
    next: BTreeMap<String, Credits>,
    now: Timestamp,
}

/// What is expected of one batch.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    outlook: &'a Outlook,
    batch: BatchId,
    jobs: u64,
    is_paused: bool,
    schedule: Schedule,
    forecast: Forecast,
    /// Its budget, if that ends before the jobs do.
    scarce: Option<Scarce>,
}

impl Outlook {
    /// From what the ledger knows of the batches that are not at rest, and of those that are `named`.
    pub(crate) async fn of(ledger: &dyn Ledger, named: &[BatchId]) -> Result<Self> {
        let account = ledger.account().await.map_err(|error| looking(&error))?;
        let known = ledger.durations().await.map_err(|error| looking(&error))?;
        let mut batches = ledger.list(&Batches::Active).await.map_err(|error| looking(&error))?;
        let named = ledger.list(&Batches::Named(named.to_vec())).await.map_err(|error| looking(&error))?;
        batches.extend(named.into_iter().filter(|batch| batch.rested.is_some()));
        let typical = typical(&known).unwrap_or(USUAL);
        let next = BTreeMap::new();
        Ok(Self { pace: account.pace, typical, batches, prices: account.prices, next, now: account.calendar })
    }

    /// Without a ledger.
    pub(crate) fn usual() -> Self {
        let now = veobatch_api::wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(0) + now;
        let (prices, next) = (BTreeMap::new(), BTreeMap::new());
        Self { pace: Pace::default(), typical: USUAL, batches: Vec::new(), prices, next, now }
    }

    /// At the pace that `settings` name, as far as they do: a run with them would store it first.
    pub(crate) fn paced(mut self, settings: &PaceSettings) -> Self {
        if let Some(Rate { count, per }) = settings.rate {
            self.pace = Pace { submissions: count, per, ..self.pace };
        }
        self.pace.max_in_flight = settings.max_in_flight.unwrap_or(self.pace.max_in_flight);
        self
    }

    /// With the prices by which the budgets of these batches are judged.
    pub(crate) async fn priced(mut self, ledger: &dyn Ledger, batches: &[BatchSummary]) -> Result<Self> {
        let is_limited = |batch: &&BatchSummary| batch.terms.budget.is_some() && batch.count(StateName::Queued) > 0;
        for batch in batches.iter().filter(is_limited).take(FEW) {
            let price = budgets::next_price(ledger, &batch.batch, &self.prices).await?;
            self.next.extend(price.map(|price| (batch.batch.folded(), price)));
        }
        Ok(self)
    }

    /// One line for each of `batches` of which there is something to say.
    pub(crate) fn lines(&self, batches: &[BatchSummary]) -> Vec<String> {
        let mut expected = batches.iter().filter_map(|batch| self.known(batch)).filter(Expected::is_of_interest);
        let mut lines: Vec<String> = expected.by_ref().take(SHOWN).map(|expected| expected.words()).collect();
        if expected.next().is_some() {
            lines.push("… and more: veobatch status BATCH".to_owned());
        }
        lines
    }

    /// A batch's element of `status --json` with what is expected of it.
    pub(crate) fn of_a_batch(&self, batch: &BatchSummary, mut shape: Value) -> Value {
        let is_one_of_few = self.batches.len() <= FEW;
        let known = is_one_of_few.then(|| self.known(batch)).flatten();
        let forecast = known.filter(Expected::is_of_interest).map(|expected| expected.document());
        if let Value::Object(object) = &mut shape {
            object.insert("forecast".to_owned(), json!(forecast));
        }
        shape
    }

    /// What is expected of a batch of the ledger; nothing if its schedule cannot be read.
    pub(crate) fn known(&self, batch: &BatchSummary) -> Option<Expected<'_>> {
        let schedule = Schedule::parse(&batch.terms.schedule).ok()?;
        let jobs = batch.count(StateName::Queued);
        let each = self.next.get(&batch.batch.folded()).copied();
        let expected = self.expected(&batch.batch, jobs, &batch.terms, schedule, batch.paused);
        Some(expected.limited(batch.terms.budget, batch.credits, each))
    }

    /// What is expected of a batch with `new` jobs more, which cost `each`, and with what is asked for it.
    pub(crate) fn with(
        &self,
        batch: &BatchId,
        new: u64,
        each: Option<Credits>,
        asked: &BatchOptions,
    ) -> Option<Expected<'_>> {
        let known = self.batches.iter().find(|known| known.batch.folded() == batch.folded());
        let terms = known.map(|known| known.terms.clone()).unwrap_or_default();
        let terms = asked.terms(&terms, self.now).ok()?;
        let schedule = Schedule::parse(&terms.schedule).ok()?;
        let queued = known.map_or(0, |known| known.count(StateName::Queued));
        let is_paused = known.is_some_and(|known| known.paused);
        let used = known.map(|known| known.credits).unwrap_or_default();
        let expected = self.expected(batch, queued + new, &terms, schedule, is_paused);
        Some(expected.limited(terms.budget, used, each))
    }

    fn expected(
        &self,
        batch: &BatchId,
        jobs: u64,
        terms: &BatchSettings,
        schedule: Schedule,
        is_paused: bool,
    ) -> Expected<'_> {
        let throughput =
            Throughput { spacing: self.pace.spacing(), cap: self.pace.max_in_flight, duration: self.typical };
        let rivals: Vec<Rival> =
            self.batches.iter().filter(|rival| rival.batch.folded() != batch.folded()).filter_map(rival).collect();
        let forecast = match next_run(&schedule, self.now) {
            // Of the next run: whoever is queued now will be done by then, or not; nobody knows.
            Some(run) => forecast(jobs, terms, &schedule.of_a_run(), &[], &throughput, run),
            None => forecast(jobs, terms, &schedule, &rivals, &throughput, self.now),
        };
        Expected { outlook: self, batch: batch.clone(), jobs, is_paused, schedule, forecast, scarce: None }
    }
}

impl Expected<'_> {
    /// With a budget, so much of it used, for jobs that cost `each`.
    fn limited(mut self, budget: Option<Credits>, used: Credits, each: Option<Credits>) -> Self {
        // Each run has the whole budget.
        let used = if self.recurs() { Credits::default() } else { used };
        let both = budget.zip(each);
        self.scarce = both.and_then(|(budget, each)| Scarce::of(budget, used, each, self.jobs));
        self
    }

    /// Whether its jobs are made again and again.
    pub(crate) fn recurs(&self) -> bool {
        self.schedule.cron.is_some()
    }

    /// Whether there is anything to say: jobs that wait, or a schedule.
    pub(crate) fn is_of_interest(&self) -> bool {
        self.recurs() || (self.jobs > 0 && !self.is_paused)
    }

    /// In words, on one line.
    pub(crate) fn words(&self) -> String {
        let words = self.recurring().unwrap_or_else(|| self.submitted());
        let scarce = self.scarce.filter(|_| !self.is_paused).map(|scarce| format!("; {}", scarce.words()));
        format!("{}: {words}{}", self.batch, scarce.unwrap_or_default())
    }

    /// What is said of a batch that is no template.
    fn submitted(&self) -> String {
        let Self { jobs, forecast, .. } = self;
        let pace = &self.outlook.pace;
        let (count, per) = (number(pace.submissions.into()), duration(pace.per));
        let speed = format!("at {count} in {per} and {} in flight", number(pace.max_in_flight.into()));
        let end = self.end();
        match (&self.schedule.window, &self.schedule.start_at) {
            (Some(window), _) => {
                let which = self.which();
                let all = counted(*jobs, "job");
                let fits = match forecast.fits {
                    fits if fits >= *jobs => format!("all of {all} fit"),
                    fits => format!("about {} of {all} fit", number(rounded(fits))),
                };
                format!("{speed} {fits} into {which} ({window}); {end}")
            }
            (None, Some(start)) if self.outlook.now < start.at() => {
                format!("not before {start}; {speed} {end}")
            }
            (None, _) => format!("{} to submit; {speed} {end}", counted(*jobs, "job")),
        }
    }

    /// What is said of a template.
    fn recurring(&self) -> Option<String> {
        let cron = self.schedule.cron.as_ref()?;
        if self.jobs == 0 {
            return Some(format!("recurring ({cron}), ended: none of its jobs is left"));
        }
        if self.is_paused {
            return Some(format!("recurring ({cron}), paused: no runs are made"));
        }
        let zone = self.schedule.zone();
        let next = next_run(&self.schedule, self.outlook.now).map_or_else(
            || "no run within four years".to_owned(),
            |run| format!("next run at {}, of {}", moment(&zone, run), counted(self.jobs, "job")),
        );
        Some(format!("recurring ({cron}): {next}"))
    }

    /// "present window", "tonight's window", "next window".
    fn which(&self) -> &'static str {
        let (zone, now, stretch) = (self.schedule.zone(), self.outlook.now, self.forecast.stretch);
        if stretch.contains(now) {
            "the present window"
        } else if zone.day(now) == zone.day(stretch.from) && *zone.time(stretch.from) >= *"17:00" {
            "tonight's window"
        } else {
            "the next window"
        }
    }

    fn end(&self) -> String {
        match self.forecast.done {
            Some(done) => {
                let zone = self.schedule.zone();
                format!(
                    "the last would be done on {} at about {}{}",
                    zone.day(done),
                    zone.time(done),
                    named(&self.schedule, &zone)
                )
            }
            None => "the last would not be done within years".to_owned(),
        }
    }

    /// As a value of `forecast`.
    pub(crate) fn document(&self) -> Value {
        let Forecast { stretch, fits, done } = self.forecast;
        json!({
            "batch": self.batch,
            "jobs": self.jobs,
            "fits": fits,
            "affordable": self.scarce.map(|scarce| scarce.jobs),
            "opens": (stretch.from > TimeRange::ALWAYS.from).then_some(Time(stretch.from)),
            "closes": (stretch.until < TimeRange::ALWAYS.until).then_some(Time(stretch.until)),
            "done": done.map(Time),
            "next_run": next_run(&self.schedule, self.outlook.now).filter(|_| !self.is_paused && self.jobs > 0).map(Time),
        })
    }
}

/// What a video usually takes: the medians of all kinds, each as far as it was seen.
fn typical(known: &[(VideoKind, Durations)]) -> Option<Duration> {
    let seen = known.iter().filter_map(|(_, known)| Some((known.quantile(0.5)?, known.count())));
    let (sum, count) = seen.fold((Duration::ZERO, 0), |(sum, count), (median, more)| {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        (sum.saturating_add(median.saturating_mul(more)), more.saturating_add(count))
    });
    sum.checked_div(count)
}

/// What keeps one of `batches` from submitting now, if it is its schedule.
pub(crate) fn closed(batches: &[BatchSummary], now: Timestamp) -> Option<String> {
    let waits = |batch: &BatchSummary| {
        let moves = batch.count(StateName::Queued) > 0 && !batch.paused && !batch.terms.schedule.is_empty();
        let schedule = moves.then(|| Schedule::parse(&batch.terms.schedule).ok()).flatten()?;
        let (range, zone) = (schedule.open_range(now), schedule.zone());
        let is_ahead = schedule.cron.is_none() && now < range.from;
        is_ahead.then(|| format!("{}: nothing is submitted before {} ({zone})", batch.batch, moment(&zone, range.from)))
    };
    batches.iter().find_map(waits)
}

/// The next instant of a template.
pub(crate) fn next_run(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let cron = schedule.cron.as_ref()?;
    let pending = cron.pending()?;
    if pending > now { Some(pending) } else { cron.next(now) }
}

/// `23 November, 22:00`.
pub(crate) fn moment(zone: &Zone, at: Timestamp) -> String {
    format!("{}, {}", zone.day(at), zone.time(at))
}

/// The zone, where nothing else names it.
fn named(schedule: &Schedule, zone: &Zone) -> String {
    if schedule.window.is_some() { String::new() } else { format!(" ({zone})") }
}

fn rival(batch: &BatchSummary) -> Option<Rival> {
    let jobs = batch.count(StateName::Queued);
    let moves = jobs > 0 && !batch.paused && !batch.cancelling && !Schedule::recurs(&batch.terms.schedule);
    moves.then_some(Rival { jobs, weight: batch.terms.weight, priority: batch.terms.priority })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use veobatch_core::{Event, JobId, JobKey, Spec, Start};
    use veobatch_ledger::{Admission, NewJob, SqliteLedger};

    use super::*;
    use crate::orders::{Order, order};

    fn at(text: &str) -> Timestamp {
        Start::parse(text).unwrap().at()
    }

    fn batch(name: &str, queued: u64, schedule: &str) -> BatchSummary {
        BatchSummary {
            batch: BatchId::parse(name).unwrap(),
            counts: BTreeMap::from([(StateName::Queued, queued)]),
            paused: false,
            paused_because: None,
            cancelling: false,
            created: Timestamp::default(),
            rested: None,
            terms: BatchSettings { schedule: schedule.to_owned(), ..BatchSettings::default() },
            credits: Credits::default(),
        }
    }

    fn outlook(now: &str, batches: Vec<BatchSummary>) -> Outlook {
        Outlook { batches, now: at(now), ..Outlook::usual() }
    }

    #[test]
    fn what_a_video_usually_takes_is_of_all_kinds_that_were_seen() {
        let table = |seconds: u64, count: u64| {
            let mut table = Durations::default();
            for _ in 0..count {
                table.add(Duration::from_secs(seconds));
            }
            table
        };
        let kind = |name: &str| VideoKind::from_stored(name.to_owned());
        let known = [(kind("a"), table(150, 200)), (kind("b"), table(50, 200)), (kind("c"), Durations::default())];
        let all = typical(&known).unwrap().as_secs();
        assert!((95..=105).contains(&all), "{all}");
        assert_eq!(typical(&known[2..]), None);
    }

    const NIGHT: &str = "window 22:00-06:00 Europe/Berlin";

    #[test]
    fn how_much_fits_into_the_night_is_told_in_the_words_of_its_zone() {
        let night = batch("night", 50_000, NIGHT);
        let outlook = outlook("2026-11-23T17:00:00Z", vec![night.clone(), batch("small", 1_000, "")]);
        assert_eq!(
            outlook.known(&night).unwrap().words(),
            "night: at 20 in 10 s and 100 in flight about 31,000 of 50,000 jobs fit into tonight's window \
             (22:00-06:00 Europe/Berlin); the last would be done on 25 November at about 02:46"
        );
        let few = batch("few", 10, NIGHT);
        let words = outlook.known(&few).unwrap().words();
        assert!(
            words.contains("all of 10 jobs fit into tonight's window") && words.contains("23 November at about 22:01"),
            "{words}"
        );
        let json = outlook.known(&night).unwrap().document();
        assert_eq!((json["fits"].as_u64(), json["opens"].as_str()), (Some(31_000), Some("2026-11-23T21:00:00Z")));
    }

    #[test]
    fn a_closed_window_is_told_while_it_is_waited_for() {
        let (day, night) = (at("2026-11-23T17:00:00Z"), at("2026-11-23T22:00:00Z"));
        let both = [batch("open", 5, ""), batch("night", 5, NIGHT)];
        let words = "night: nothing is submitted before 23 November, 22:00 (Europe/Berlin)";
        assert_eq!(closed(&both, day).as_deref(), Some(words));
        assert_eq!(closed(&both, night), None);
        assert_eq!(closed(&[batch("night", 0, NIGHT), batch("t", 5, "cron 0 22 * * * UTC since 0")], day), None);
    }

    #[test]
    fn what_is_asked_for_a_new_batch_counts() {
        let outlook = outlook("2026-11-23T23:00:00Z", vec![batch("night", 5, "")]);
        let window =
            veobatch_producer::Setting::parse("22:00-06:00 Europe/Berlin", veobatch_core::Window::parse).unwrap();
        let asked = BatchOptions { window, ..BatchOptions::default() };
        let words = outlook.with(&BatchId::parse("night").unwrap(), 5, None, &asked).unwrap().words();
        assert!(words.contains("all of 10 jobs fit into the present window"), "{words}");
        let open = outlook.with(&BatchId::parse("other").unwrap(), 5, None, &BatchOptions::default()).unwrap();
        assert_eq!(
            open.words(),
            "other: 5 jobs to submit; at 20 in 10 s and 100 in flight the last would be done on 23 November at about 23:01 (UTC)"
        );
        assert_eq!(open.document()["closes"], Value::Null);
    }

    #[test]
    fn the_pace_that_is_named_is_the_one_that_is_reckoned_with() {
        let words = |line: &str| {
            let crate::arguments::Which::Check(check) = crate::arguments::parse(line).unwrap().command else {
                panic!()
            };
            let outlook = outlook("2026-11-23T23:00:00Z", Vec::new()).paced(&check.pace);
            outlook.with(&BatchId::parse("few").unwrap(), 100, None, &BatchOptions::default()).unwrap().words()
        };
        let told = words("check few.yaml --rate 1/10s --max-in-flight 3");
        assert!(
            told.contains("at 1 in 10 s and 3 in flight the last would be done on 23 November at about 23:51"),
            "{told}"
        );
        assert!(words("check few.yaml --rate 2/s").contains("at 2 in 1 s and 100 in flight"));
        assert!(words("check few.yaml --max-in-flight 3").contains("at 20 in 10 s and 3 in flight"));
    }

    #[test]
    fn a_budget_that_ends_before_the_jobs_do_is_told() {
        let used = Credits::whole(1_250);
        let known = BatchSummary { credits: used, ..batch("night", 90, "") };
        let mut outlook = outlook("2026-11-23T23:00:00Z", vec![known.clone()]);
        let budget = veobatch_producer::Setting::Set(Credits::whole(5_000));
        let asked = BatchOptions { budget, ..BatchOptions::default() };
        let with = |outlook: &Outlook, name: &str, asked: &BatchOptions| {
            let expected = outlook.with(&BatchId::parse(name).unwrap(), 10, Some(Credits::whole(60)), asked).unwrap();
            (expected.words(), expected.document()["affordable"].as_u64())
        };
        let left = "; what is left of its budget of 5,000 credits is enough for about 62 of them";
        let (words, jobs) = with(&outlook, "night", &asked);
        assert!(words.ends_with(left) && jobs == Some(62), "{words}");
        for (name, asked) in [("night", &BatchOptions::default()), ("other", &asked)] {
            let (words, jobs) = with(&outlook, name, asked);
            assert!(!words.contains("budget") && jobs.is_none(), "{words}");
        }
        // As `status` has it: a budget of its own, and the price of its next job, if that is known.
        let terms = BatchSettings { budget: Some(Credits::whole(5_000)), ..BatchSettings::default() };
        let known = BatchSummary { terms, ..known };
        assert!(!outlook.known(&known).unwrap().words().contains("budget"));
        outlook.next.insert("night".to_owned(), Credits::whole(60));
        assert!(outlook.known(&known).unwrap().words().ends_with(left));
        assert!(
            outlook
                .known(&BatchSummary { credits: Credits::default(), ..known })
                .unwrap()
                .words()
                .ends_with("83 of them")
        );
    }

    #[tokio::test]
    async fn batches_at_rest_cost_no_forecast_anything_unless_they_are_named() {
        let ledger = SqliteLedger::in_memory(Arc::new(|| Timestamp::from_millis(1_000_000))).unwrap();
        let (admission, job) = (Admission::random(), JobId::parse("1").unwrap());
        let [rested, moving] = ["rested", "moving"].map(|name| BatchId::parse(name).unwrap());
        for batch in [&rested, &moving] {
            ledger.stage(&admission, batch, &[NewJob { id: job.clone(), spec: Spec::default() }]).await.unwrap();
        }
        ledger.publish(&admission, &[rested.clone(), moving]).await.unwrap();
        let stored = ledger.read(&JobKey { batch: rested.clone(), job }).await.unwrap().unwrap();
        order(&ledger, stored, Order::all(&Event::Cancel)).await.unwrap();
        for (named, all) in [(&[][..], &["moving"][..]), (&[rested], &["moving", "rested"])] {
            let outlook = Outlook::of(&ledger, named).await.unwrap();
            let names: Vec<&str> = outlook.batches.iter().map(|batch| batch.batch.as_str()).collect();
            assert_eq!(names, all);
        }
    }

    #[test]
    fn a_template_tells_its_next_run() {
        let mut outlook = outlook("2026-11-23T12:00:00Z", Vec::new());
        let template = |queued| batch("t", queued, "cron 0 22 * * 1-5 Europe/Berlin since 0");
        let words = |batch: &BatchSummary| outlook.known(batch).unwrap().words();
        assert_eq!(
            words(&template(3)),
            "t: recurring (0 22 * * 1-5 Europe/Berlin): next run at 23 November, 22:00, of 3 jobs"
        );
        assert!(words(&template(0)).contains("ended"));
        let terms = BatchSettings { budget: Some(Credits::whole(100)), ..template(3).terms };
        let limited = BatchSummary { terms, credits: Credits::whole(99), ..template(3) };
        outlook.next.insert("t".to_owned(), Credits::whole(60));
        let words = outlook.known(&limited).unwrap().words();
        assert!(words.ends_with("of 3 jobs; its budget of 100 credits is enough for about 1 of them"), "{words}");
        let words = |batch: &BatchSummary| outlook.known(batch).unwrap().words();
        assert!(words(&BatchSummary { paused: true, ..template(3) }).contains("paused"));
    }
}
