//! Any sequence of operations: sums equal a recount, and two ledgers cannot be told apart.
//!
//! Leases either last longer than the case or end at once, and due times are in the past or far in the future, so that
//! what is observed does not depend on how fast the case runs.

use std::collections::BTreeMap;
use std::time::Duration;

use veobatch_core::{
    Credits, Failure, FailureKind, Flight, Lane, Record, State, StateName, TimeRange, Timestamp, Token,
};
use veobatch_ledger::{
    AccountUpdate, BatchFlag, BatchUpdate, Blocked, Claimed, GateReport, JobFilter, LedgerError, Put, SharedLedger,
    Stored, SubmissionClaim,
};

use crate::bench::{
    Bench, LONG, admit, batch, downloading, generating, in_doubt, job, moved, put_of, ranked, settled, task, until,
};
use crate::compaction::{compaction, done};
use crate::terms::prices;

const SEEDS: u64 = 6;
const STEPS: u64 = 150;
const BATCHES: [&str; 2] = ["one", "two"];
const FAR: Timestamp = Timestamp::from_millis(4_000_000_000_000);

/// Any good mixer will do (splitmix64); what matters is that a seed is a sequence.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// One ledger, and what its one worker has in hand.
struct Side {
    ledger: SharedLedger,
    hands: Vec<Claimed>,
    last: Option<Put>,
}

impl Side {
    async fn new(bench: &Bench, seed: u64) -> Self {
        // A fresh ledger for each seed would be dear; fresh batches are as good, once the old ones are out of the way.
        let ledger = bench.second().await;
        ledger.update_account(&AccountUpdate { prices: Some(prices()), ..AccountUpdate::default() }).await.unwrap();
        for name in BATCHES {
            let name = format!("{name}-{seed}");
            admit(&ledger, &name, &[job("a"), ranked("b", 2), job("c"), ranked("d", -1), ranked("e", 2)]).await;
        }
        Self { ledger, hands: Vec::new(), last: None }
    }

    /// Does one thing, and says what can be seen of it.
    async fn step(&mut self, seed: u64, n: u64, dice: &mut Dice) -> String {
        let (what, which, state) = (dice.roll(18), dice.roll(1 << 20), dice.roll(9));
        let names = [batch(&format!("one-{seed}")), batch(&format!("two-{seed}"))];
        match what {
            0..=3 => self.grant(&names, u128::from(seed * STEPS + n + 1), which).await,
            4..=6 => self.claim(if which.is_multiple_of(3) { Lane::Save } else { Lane::Follow }).await,
            7..=10 => self.put_held(which, state, n).await,
            11 => self.put_as_another(&names, which, state, n).await,
            12 => match &self.last {
                Some(put) => said(&self.ledger.put(put).await.map(|version| version.0)),
                None => "nothing to repeat".to_owned(),
            },
            13 => {
                let leases: Vec<_> = self.hands.iter().map(|claimed| claimed.lease.clone()).collect();
                said(&self.ledger.renew(&leases, Some(LONG)).await)
            }
            14 => {
                let lease = pick(&self.hands, which).map(|claimed| claimed.lease.clone());
                let said = said(&self.ledger.renew(lease.as_slice(), None).await);
                tokio::time::sleep(Duration::from_millis(2)).await;
                said
            }
            15 => {
                let whole = self
                    .ledger
                    .page(&names[usize::try_from(which % 2).unwrap()], JobFilter::Whole, None, 9)
                    .await
                    .unwrap();
                let compactions: Vec<_> = whole.iter().map(compaction).collect();
                format!(
                    "{:?} {}",
                    whole.iter().map(shown).collect::<Vec<_>>(),
                    said(&self.ledger.compact(&compactions).await)
                )
            }
            16 => {
                let flag = match which % 3 {
                    0 => BatchFlag::Paused(true),
                    1 => BatchFlag::Paused(false),
                    _ => BatchFlag::Cancelling(true),
                };
                said(&self.ledger.update_batch(&names[usize::try_from(which % 2).unwrap()], &flag.into()).await)
            }
            _ => {
                let batch = &names[usize::try_from(which % 2).unwrap()];
                said(&self.ledger.update_batch(batch, &arrangement(which)).await)
            }
        }
    }

    async fn grant(&mut self, only: &[veobatch_core::BatchId], token: u128, which: u64) -> String {
        let token = Token::from_bits(token);
        let lease = if which.is_multiple_of(4) { Duration::ZERO } else { LONG };
        let only = &only[..=usize::try_from(which % 2).unwrap()];
        let claim = until("slots are out of the way", async || {
            match self.ledger.claim_submission(&token, Some(only), lease, LONG).await.unwrap() {
                SubmissionClaim::Wait { why: Blocked::Slot, .. } => None,
                claim => Some(claim),
            }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        match claim {
            SubmissionClaim::Granted(claimed) => {
                let batches = self.ledger.batches().await.unwrap();
                let batch = batches.iter().find(|batch| batch.batch == claimed.stored.key.batch).unwrap();
                assert!(batch.terms.budget.is_none_or(|budget| batch.credits <= budget), "{batch:?}");
                self.take(*claimed)
            }
            SubmissionClaim::Wait { why, .. } => format!("{why:?}"),
        }
    }

    async fn claim(&mut self, lane: Lane) -> String {
        let (claimed, _) = self.ledger.claim(lane, 2, LONG).await.unwrap();
        let said: Vec<_> = claimed.into_iter().map(|claimed| self.take(claimed)).collect();
        format!("{said:?}")
    }

    fn take(&mut self, claimed: Claimed) -> String {
        let said = format!("{} {}", shown(&claimed.stored), claimed.deliveries);
        self.hands.push(claimed);
        said
    }

    async fn put_held(&mut self, which: u64, state: u64, n: u64) -> String {
        if self.hands.is_empty() {
            return "empty hands".to_owned();
        }
        let at = usize::try_from(which).unwrap() % self.hands.len();
        let claimed = if state == 7 {
            let Claimed { stored, lease, deliveries, .. } = &self.hands[at];
            Claimed { stored: stored.clone(), lease: lease.clone(), deliveries: *deliveries, grant: None }
        } else {
            self.hands.remove(at)
        };
        let mut put = put_of(&claimed.stored, Some(&claimed.lease), &record(&claimed.stored, state, n));
        if which.is_multiple_of(5) {
            put.task = Some(task(&format!("task-{}", which % 7)));
        }
        if let State::Submitting { attempt } = &claimed.stored.record.state {
            put.settle = Some(settled(&attempt.token, GateReport::Healthy));
        }
        let said = said(&self.ledger.put(&put).await.map(|version| version.0));
        self.last = Some(put);
        said
    }

    async fn put_as_another(&mut self, names: &[veobatch_core::BatchId], which: u64, state: u64, n: u64) -> String {
        let page = self.ledger.page(&names[0], JobFilter::All, None, 9).await.unwrap();
        let stored = pick(&page, which).unwrap();
        let put = put_of(stored, None, &record(stored, state, n));
        let said = said(&self.ledger.put(&put).await.map(|version| version.0));
        self.last = Some(put);
        said
    }

    /// Everything that can be seen without touching, and without times.
    async fn look(&self, seed: u64) -> String {
        let mut all = Vec::new();
        let batches = self.ledger.batches().await.unwrap();
        let mut flying = 0;
        for summary in &batches {
            let page = self.ledger.page(&summary.batch, JobFilter::All, None, 9).await.unwrap();
            let mut recount: BTreeMap<StateName, u64> = BTreeMap::new();
            for stored in &page {
                *recount.entry(stored.record.state.name()).or_default() += 1;
                flying += u32::from(match stored.record.facets().flight {
                    Flight::None => false,
                    Flight::Until(until) => until > stored.now,
                    Flight::Unlimited => true,
                });
            }
            if !summary.batch.as_str().ends_with(&format!("-{seed}")) {
                continue;
            }
            let credits: Credits = page.iter().map(|stored| stored.record.facets().credits).sum();
            assert_eq!(summary.credits, credits, "{summary:?}");
            for state in StateName::ALL {
                assert_eq!(summary.count(*state), recount.get(state).copied().unwrap_or(0), "{state} {summary:?}");
                let of_state = self.ledger.page(&summary.batch, JobFilter::In(*state), None, 9).await.unwrap();
                let filtered: Vec<_> = page.iter().filter(|stored| stored.record.state.name() == *state).collect();
                let keys = |stored: &Stored| stored.key.clone();
                assert_eq!(
                    of_state.iter().map(keys).collect::<Vec<_>>(),
                    filtered.into_iter().map(keys).collect::<Vec<_>>()
                );
            }
            let jobs: Vec<_> = page.iter().map(shown).collect();
            let terms = (&summary.terms, summary.credits);
            all.push(format!("{} {} {} {terms:?}: {jobs:?}", summary.batch, summary.paused, summary.cancelling));
        }
        let account = self.ledger.account(0).await.unwrap();
        assert_eq!(account.in_flight, flying);
        format!("{all:?}; {flying} in flight, {:?}", account.gate)
    }
}

/// Some terms, most of which are in nobody's way.
fn arrangement(which: u64) -> BatchUpdate {
    let none = BatchUpdate::default();
    match which % 8 {
        0 => BatchUpdate { weight: Some(3), ..none },
        1 => BatchUpdate { priority: Some(5), ..none },
        2 => BatchUpdate { priority: Some(0), ..none },
        3 => BatchUpdate { budget: Some(Some(Credits::whole(180))), ..none },
        4 => BatchUpdate { budget: Some(None), ..none },
        5 => BatchUpdate { range: Some(TimeRange::NEVER), schedule: Some("never".into()), ..none },
        6 => BatchUpdate { range: Some(TimeRange::NEVER), only_if: Some("never".into()), ..none },
        _ => BatchUpdate { range: Some(TimeRange::ALWAYS), schedule: Some(String::new()), ..none },
    }
}

fn shown(stored: &Stored) -> String {
    let leased = if stored.leased_until.is_some() { " leased" } else { "" };
    let compacted = if stored.compacted { " compacted" } else { "" };
    let (state, entries) = (stored.record.state.name(), stored.record.history.len());
    format!("{} {state} v{}{leased}{compacted} {entries}", stored.key.job, stored.version.0)
}

fn said<T: std::fmt::Debug>(result: &Result<T, LedgerError>) -> String {
    format!("{result:?}")
}

fn pick<T>(from: &[T], which: u64) -> Option<&T> {
    from.get(usize::try_from(which).unwrap().checked_rem(from.len())?)
}

/// What the job is to become; a state that it cannot have leaves it as it is.
fn record(stored: &Stored, state: u64, n: u64) -> Record {
    let past = Timestamp::from_millis(1_000_000 + n);
    let failure = Failure { kind: FailureKind::Generation, message: "no".into() };
    let state = match state {
        // What is compacted stays done.
        _ if stored.compacted => return stored.record.clone(),
        8 => return done(stored, "task"),
        // Refused: what was set aside comes back.
        0 => {
            let price = match &stored.record.state {
                State::Submitting { attempt } => attempt.price,
                _ => Credits::default(),
            };
            let credits = stored.record.credits.saturating_sub(price);
            return Record { credits, ..moved(&stored.record, State::Queued { due: None }) };
        }
        1 => State::Queued { due: Some(FAR) },
        2 | 3 => generating("task", past),
        4 => generating("task", FAR),
        5 => downloading("task", past),
        6 if matches!(stored.record.state, State::Submitting { .. }) => in_doubt(stored),
        6 => State::Failed { failure, task: None },
        _ => return stored.record.clone(),
    };
    moved(&stored.record, state)
}

pub(crate) async fn counts_equal_a_recount_after_any_sequence(bench: &Bench) {
    for seed in 0..SEEDS {
        let (mut side, mut dice) = (Side::new(bench, seed).await, Dice(seed));
        for n in 0..STEPS {
            side.step(seed, n, &mut dice).await;
            if n.is_multiple_of(5) {
                side.look(seed).await;
            }
        }
    }
}

pub(crate) async fn both_ledgers_agree(one: &Bench, other: &Bench) {
    for seed in 100..100 + SEEDS {
        let (mut one, mut other) = (Side::new(one, seed).await, Side::new(other, seed).await);
        let (mut dice, mut same_dice) = (Dice(seed), Dice(seed));
        for n in 0..STEPS {
            let said = one.step(seed, n, &mut dice).await;
            assert_eq!(said, other.step(seed, n, &mut same_dice).await, "seed {seed}, step {n}");
            let (seen, other) = (one.look(seed).await, other.look(seed).await);
            assert_eq!(seen, other, "seed {seed}, step {n} ({said})");
        }
    }
}
