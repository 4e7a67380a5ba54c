//! `veobatch retry`: jobs that failed, once more.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::PossibleValuesParser;
use veobatch_core::{After, Context, Credits, Event, PollPolicy, Prices, Record, Schedule, State, StateName, after};
use veobatch_ledger::{BatchSummary, Ledger, Stored};

use crate::args::settings::Settings;
use crate::exit::UNFINISHED;
use crate::failure::{Failure, Result};
use crate::output::counting::Counting;
use crate::output::format::counted;
use crate::output::{confirm, ui};
use crate::report::costs::Costs;
use crate::session::Session;
use crate::session::lookup;
use crate::session::orders::{self, Meant, Order, Outcome};

/// Try failed jobs again; shows the cost and asks first
///
/// A job is paid for again only if the service itself refused it or declared it failed; a video that was made but never
/// fetched is only fetched. Cancelled jobs stay cancelled without --state cancelled. Jobs in doubt are never touched: see
/// `veobatch resolve`. A named job that waits for a poll or a download is polled now.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch retry garden                        every failed job of the batch
  veobatch retry garden cat-01                 this one
  veobatch retry garden --code 422             those that failed with this code
  veobatch retry garden --reason 'too long'    those that failed for such a reason
  veobatch retry garden --state cancelled      cancelled ones too

Exits with 1 if a job was left as it was or you answer no, 2 if a name is unknown, 3 if the ledger cannot be reached.")]
pub(crate) struct Retry {
    #[command(flatten)]
    meant: Meant,

    /// `cancelled` includes cancelled jobs
    #[arg(long, value_name = "STATE", default_value = "failed",
          value_parser = PossibleValuesParser::new(["failed", "cancelled"]))]
    state: String,

    /// Only jobs that failed with this code
    #[arg(long, value_name = "C")]
    code: Option<u16>,

    /// Only jobs whose reason contains this text (in any case)
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Do not ask before money is spent
    #[arg(short, long)]
    yes: bool,
}

/// What is ordered, in figures.
#[derive(Debug, Default)]
struct Plan {
    failed: u64,
    cancelled: u64,
    /// Those that wait for something, and are only hurried.
    hurried: u64,
    /// Those that go into the queue, and may be paid for from there.
    queued: u64,
    credits: Credits,
    unpriced: BTreeMap<String, u64>,
}

impl Retry {
    pub(crate) async fn run(&self, settings: &Settings) -> Result<u8> {
        let takes_cancelled = self.state == StateName::Cancelled.as_str();
        if takes_cancelled && self.is_narrowed() {
            return Err(Failure::bad_input("use --state cancelled with --code or --reason")
                .since("a cancelled job has no code and no reason")
                .hint(format!("veobatch retry {} --state cancelled", self.meant.batch)));
        }
        let session = Session::known(settings).await?;
        let ledger = &*session.ledger;
        let batch = lookup::batch(ledger, &self.meant.batch).await?;
        let spared = |record: &Record| self.spared(record, takes_cancelled);
        let order = Order { event: &Event::Retry, spared: &spared };
        let named = orders::jobs(ledger, &batch.batch, &self.meant.jobs).await?;
        let states = [StateName::Failed, StateName::Cancelled];
        let states = if takes_cancelled { &states[..] } else { &states[..1] };
        let plan = self.plan(ledger, &batch, &named, states, order).await?;
        plan.tell(&batch);
        if plan.queued > 0 && !self.is_meant(settings, &plan).await? {
            ui::message("nothing was retried");
            return Err(Failure::silent(UNFINISHED));
        }
        let outcome = if named.is_empty() {
            let mut counting = Counting::new("retrying", plan.jobs());
            Outcome::of_every(ledger, &batch.batch, states, order, &mut counting).await?
        } else {
            Outcome::of_named(ledger, named, order).await?
        };
        let code = outcome.tell(settings, "retried")?;
        self.tell_next(&batch, &outcome, takes_cancelled);
        Ok(code)
    }

    fn is_narrowed(&self) -> bool {
        self.code.is_some() || self.reason.is_some()
    }

    /// Why a job is not meant, if it is not.
    fn spared(&self, record: &Record, takes_cancelled: bool) -> Option<&'static str> {
        match &record.state {
            State::Failed { failure, .. } => {
                let is_of_code = self.code.is_none_or(|code| failure.message.ends_with(&format!("({code})")));
                let words = || failure.message.to_lowercase();
                let has_reason = self.reason.as_ref().is_none_or(|part| words().contains(&part.to_lowercase()));
                (!is_of_code || !has_reason).then_some("failed for another reason")
            }
            State::Cancelled if !takes_cancelled => Some("was cancelled: use --state cancelled"),
            State::Cancelled => None,
            State::Queued { .. }
            | State::Submitting { .. }
            | State::Generating { .. }
            | State::Upscaling { .. }
            | State::Downloading { .. }
            | State::InDoubt { .. }
            | State::Done { .. } => self.is_narrowed().then_some("has not failed"),
        }
    }

    /// What carrying out `order` means: of the jobs that were named, or of all in `states`.
    async fn plan(
        &self,
        ledger: &dyn Ledger,
        batch: &BatchSummary,
        named: &[Stored],
        states: &[StateName],
        order: Order<'_>,
    ) -> Result<Plan> {
        let stored = ledger.account(0).await?.prices;
        let prices = if stored.is_empty() { Prices::default().by_class().into_iter().collect() } else { stored };
        let mut plan = Plan::default();
        let mut count = |jobs: &[Stored]| {
            for stored in jobs.iter().filter(|stored| (order.spared)(&stored.record).is_none()) {
                plan.add(stored, &prices);
            }
        };
        if self.meant.jobs.is_empty() {
            orders::pages(ledger, &batch.batch, states, async |jobs| {
                count(&jobs);
                Ok(())
            })
            .await?;
        } else {
            count(named);
        }
        Ok(plan)
    }

    async fn is_meant(&self, settings: &Settings, plan: &Plan) -> Result<bool> {
        if self.yes || settings.simulate || !ui::can_ask() {
            return Ok(true);
        }
        confirm::confirmed(&format!("retry {}?", counted(plan.jobs(), "job"))).await
    }

    /// Says what has to be done, or could be.
    fn tell_next(&self, batch: &BatchSummary, outcome: &Outcome, takes_cancelled: bool) {
        let (name, cancelled) = (&batch.batch, batch.count(StateName::Cancelled));
        if self.meant.jobs.is_empty() && !takes_cancelled && !self.is_narrowed() && cancelled > 0 {
            ui::message(format_args!(
                "{} stay cancelled; to retry them too: veobatch retry {name} --state cancelled",
                counted(cancelled, "job")
            ));
        }
        if !outcome.is_empty() {
            ui::message(match (batch.paused, batch.cancelling) {
                (_, true) => format!("{name} is still being cancelled; to stop that: veobatch resume {name}"),
                (true, false) => format!("{name} is paused; to continue: veobatch resume {name}"),
                (false, false) => {
                    "a running worker picks them up; to start one: veobatch worker --until-idle".to_owned()
                }
            });
        }
    }
}

impl Plan {
    /// One job more. The state table says what becomes of it.
    fn add(&mut self, stored: &Stored, prices: &BTreeMap<String, Credits>) {
        let record = &stored.record;
        let policy = PollPolicy::default();
        let context = Context { now: stored.now, jitter: 0.5, policy: &policy };
        let After::Moved(next) = after(record, &Event::Retry, &context) else { return };
        let of_state = match record.state.name() {
            StateName::Failed => &mut self.failed,
            StateName::Cancelled => &mut self.cancelled,
            StateName::Queued
            | StateName::Submitting
            | StateName::Generating
            | StateName::Upscaling
            | StateName::Downloading
            | StateName::InDoubt
            | StateName::Done => &mut self.hurried,
        };
        *of_state += 1;
        if next.state.name() != StateName::Queued || record.state.name() == StateName::Queued {
            return;
        }
        self.queued += 1;
        let class = stored.spec.price_class();
        match prices.get(&class) {
            Some(price) => self.credits += *price,
            None => *self.unpriced.entry(class).or_default() += 1,
        }
    }

    fn jobs(&self) -> u64 {
        self.failed + self.cancelled + self.hurried
    }

    /// Says how many jobs that are, and what they may cost.
    fn tell(&self, batch: &BatchSummary) {
        let name = &batch.batch;
        let parts = [(self.failed, "failed"), (self.cancelled, "cancelled"), (self.hurried, "waiting")];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| counted(count, &format!("{state} job")))
            .collect();
        if parts.is_empty() {
            return;
        }
        let recurs = Schedule::recurs(&batch.terms.schedule);
        let costs = if recurs {
            Costs { per_run: self.credits, ..Costs::default() }
        } else {
            Costs { once: self.credits, ..Costs::default() }
        };
        let mut words = vec![match self.queued {
            0 => "nothing is paid for again".to_owned(),
            queued => format!("{} to submit; estimated cost: {costs}", counted(queued, "job")),
        }];
        words.extend(self.unpriced.iter().map(|(class, count)| {
            format!(
                "plus {} of {class}, whose price is unknown (veobatch account set --prices)",
                counted(*count, "job")
            )
        }));
        ui::message(format_args!("{name}: {} to retry; {}", parts.join(" and "), words.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use veobatch_core::{BatchId, FailureKind, JobId, JobKey, Spec, Task, TaskId, Timestamp};
    use veobatch_ledger::{JobRef, Version};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_368_605_000);

    /// Of one job whose task failed like this.
    fn plan(kind: FailureKind) -> Plan {
        let (spec, price) = (Spec::default(), Credits::whole(60));
        let task = Task { id: TaskId::parse("t1").unwrap(), attempt: 1, at: NOW };
        let failure = veobatch_core::Failure { kind, message: "no".to_owned() };
        let record = Record { state: State::Failed { failure, task: Some(task) }, ..Record::fresh(&spec) };
        let key = JobKey { batch: BatchId::parse("garden").unwrap(), job: JobId::parse("cat").unwrap() };
        let prices = BTreeMap::from([(spec.price_class(), price)]);
        let (job, version) = (JobRef { batch: 0, seq: 0 }, Version(1));
        let stored = Stored { key, job, spec, compacted: false, record, version, leased_until: None, now: NOW };
        let mut plan = Plan::default();
        plan.add(&stored, &prices);
        plan
    }

    #[test]
    fn only_what_is_paid_for_again_has_a_price() {
        let told = |kind| {
            let Plan { failed, queued, credits, .. } = plan(kind);
            (failed, queued, credits)
        };
        assert_eq!(told(FailureKind::Generation), (1, 1, Credits::whole(60)));
        assert_eq!(told(FailureKind::Lost), (1, 0, Credits::default()), "its task is asked for again");
        assert_eq!(told(FailureKind::GivenUp), (0, 0, Credits::default()), "only `resolve` may");
    }
}
