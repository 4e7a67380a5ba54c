//! What the rules of the account promise together, whatever happens: random lives of an account, second by second.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

use std::time::Duration;

use veobatch_core::account::{
    AccountState, Blocked, Daily, DailyBudget, Day, DayRoom, Facts, Gate, GateReport, Pace, TROUBLES, expected_price,
    is_over_budget, lowered_bound,
};
use veobatch_core::{Credits, TimeRange, Timestamp, Token};

/// A generator of our own (splitmix64), so that every run is the same.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((bits ^ (bits >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(i64::try_from(of.len()).unwrap());
        of.get(usize::try_from(at).unwrap()).copied().unwrap()
    }
}

/// 2027-01-15, in ms.
const START: i64 = 1_800_000_000_000;

/// A call's time limit, in ms.
const STALL: i64 = 80_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap())
}

fn token(n: u32) -> Token {
    Token::of_attempt(u128::from(n) << 9, false)
}

/// A submission that was granted.
struct Call {
    token: Token,
    /// When it arrives, in truth.
    arrives: i64,
    /// When its end is told, and that it was told.
    told: i64,
    is_settled: bool,
    /// As the ledger's log has it.
    bound: i64,
}

/// An account, the calls it granted, and the service's view of them.
struct Life {
    rng: Rng,
    account: AccountState,
    now: i64,
    calls: Vec<Call>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let pace = Pace {
            submissions: rng.one_of(&[1, 2, 3, 20, 50]),
            per: Duration::from_millis(rng.one_of(&[1_000, 10_000, 60_000])),
            max_in_flight: rng.one_of(&[3, 100_000]),
        };
        Self { rng, account: AccountState { pace, ..AccountState::default() }, now: START, calls: Vec::new() }
    }

    fn now_us(&self) -> i64 {
        self.now * 1000
    }

    fn per(&self) -> i64 {
        i64::try_from(self.account.pace.per.as_millis()).unwrap()
    }

    /// The log of arrivals, as a ledger has it.
    fn nth_bound(&self) -> Option<Timestamp> {
        let mut bounds: Vec<i64> = self.calls.iter().map(|call| call.bound).collect();
        bounds.sort_unstable_by(|a, b| b.cmp(a));
        let nth = usize::try_from(self.account.most_young(self.now_us()) - 1).unwrap();
        bounds.get(nth).copied().map(at)
    }

    /// Asks for a submission, as a worker would.
    fn ask(&mut self) -> Option<Blocked> {
        let in_flight = self.calls.iter().filter(|call| !call.is_settled).count();
        let facts =
            Facts { recovering_until: None, in_flight: u32::try_from(in_flight).unwrap(), nth_bound: self.nth_bound() };
        if let Some((why, until)) = self.account.blocked(&facts, self.now_us()) {
            assert!(until.is_none_or(|until| until > at(self.now)), "{why:?} until {until:?} at {}", self.now);
            return Some(why);
        }
        let token = token(u32::try_from(self.calls.len()).unwrap());
        self.account.take_slot(&token, STALL, self.now_us());
        let on_the_way = self.rng.one_of(&[0, 5, 200, 1_500, 79_000]);
        let answers_after = self.rng.one_of(&[0, 300, 3_000]);
        let arrives = self.now + self.rng.below(on_the_way + 1);
        self.calls.push(Call {
            token,
            arrives,
            told: arrives + answers_after,
            is_settled: false,
            bound: self.now + STALL,
        });
        None
    }

    /// Tells the ends of calls that are answered by now.
    fn settle(&mut self) {
        let now_us = self.now_us();
        for call in self.calls.iter_mut().filter(|call| !call.is_settled && call.told <= self.now) {
            call.is_settled = true;
            let wait = Duration::from_millis(u64::try_from(1 + self.rng.below(20_000)).unwrap());
            let report = match self.rng.below(12) {
                0 => GateReport::Troubled { why: "trouble".to_owned(), wait },
                1 => GateReport::Silent,
                2 => GateReport::Closed {
                    why: "closed".to_owned(),
                    wait,
                    no_credits: self.rng.below(2) == 0,
                    too_many: self.rng.below(2) == 0,
                },
                _ => GateReport::Healthy,
            };
            self.account.settle(&call.token, &report, now_us);
            // It arrived before its answer: that is all that is known of it.
            call.bound = call.bound.min(lowered_bound(self.now - call.told, now_us));
        }
    }

    fn step(&mut self) -> Option<Blocked> {
        self.now += self.rng.one_of(&[1, 7, 100, 1_000, 5_000]);
        self.settle();
        self.ask()
    }
}

#[test]
fn never_more_than_n_arrivals_in_any_w() {
    for seed in 0..60 {
        let mut life = Life::new(seed);
        for _ in 0..800 {
            life.step();
        }
        let (n, per) = (usize::try_from(life.account.pace.submissions).unwrap(), life.per());
        let mut arrivals: Vec<i64> = life.calls.iter().map(|call| call.arrives).collect();
        arrivals.sort_unstable();
        for pair in arrivals.windows(n + 1) {
            assert!(
                pair[n] - pair[0] > per,
                "seed {seed}: {n} + 1 arrivals from {} to {} within {per} ms",
                pair[0],
                pair[n]
            );
        }
    }
}

#[test]
fn a_gate_that_is_not_open_lets_one_through_at_a_time() {
    let (mut tried, mut opened) = (0, 0);
    for seed in 0..60 {
        let mut life = Life::new(seed);
        let mut trial: Option<(usize, i64)> = None;
        for _ in 0..800 {
            let was = life.account.gate.clone();
            let (before, granted) = (life.calls.len(), life.step().is_none());
            if life.account.gate == Gate::Open {
                opened += u32::from(was != Gate::Open);
                trial = None;
                continue;
            }
            let Gate::Closed { closings, .. } = &life.account.gate else { continue };
            assert!(*closings > 0);
            if granted {
                let waits = trial.filter(|(call, until)| !life.calls[*call].is_settled && life.now < *until);
                assert!(
                    waits.is_none(),
                    "seed {seed}: another goes through at {} while {waits:?} is under way",
                    life.now
                );
                trial = Some((before, life.now + STALL));
                tried += 1;
            }
        }
    }
    assert!(tried > 50 && opened > 50, "{tried} {opened}");
}

#[test]
fn troubles_close_the_gate_only_in_a_row() {
    let mut account = AccountState::default();
    let trouble = GateReport::Troubled { why: "trouble".to_owned(), wait: Duration::from_secs(10) };
    for n in 1..TROUBLES {
        account.settle(&token(n), &trouble, START * 1000);
    }
    account.settle(&token(8), &GateReport::Healthy, START * 1000);
    for n in 1..TROUBLES {
        account.settle(&token(n), &trouble, START * 1000);
        assert_eq!(account.gate, Gate::Open);
    }
    account.settle(&token(9), &trouble, START * 1000);
    assert_eq!(account.closed_until(START * 1000), Some(at(START + 10_000)));
    assert_eq!(account.closed_until((START + 10_000) * 1000), None, "and then one may try");
}

#[test]
fn neither_a_batch_nor_a_day_spends_more_than_its_budget() {
    let credits = |n: i64| Credits::from_millis(n * 1000);
    let mut rng = Rng(7);
    for _ in 0..500 {
        let (budget, limit) = (credits(rng.below(900)), credits(rng.below(900)));
        let mut daily = Some(Daily::set(None, DailyBudget { credits: limit, zone: "UTC".to_owned() }));
        let (mut spent, mut now) = (Credits::default(), START);
        for _ in 0..60 {
            now += rng.below(40_000_000);
            let day = daily.as_mut().unwrap();
            if day.room(credits(0), at(now)) == DayRoom::Over {
                let range =
                    TimeRange { from: at(now - now % 86_400_000), until: at(now - now % 86_400_000 + 86_400_000) };
                assert!(day.begin(&Day { zone: "UTC".to_owned(), range }, at(now)));
            }
            let known = (rng.below(4) > 0).then(|| credits(60 * rng.below(5)));
            let Some(price) = expected_price(known, true) else { continue };
            if !is_over_budget(Some(budget), spent, price) && day.room(price, at(now)) == DayRoom::Fits {
                spent = Credits::from_millis(spent.as_millis() + price.as_millis());
                day.charge(price.as_millis(), Some(at(now)));
                if rng.below(3) == 0 {
                    // It turned out not to be paid for.
                    spent = Credits::from_millis(spent.as_millis() - price.as_millis());
                    day.charge(-price.as_millis(), Some(at(now)));
                }
            }
            assert!(spent <= budget && day.spent <= limit, "{spent:?} of {budget:?}, {:?} of {limit:?}", day.spent);
        }
    }
}

#[test]
fn every_slot_that_goes_by_is_counted_once() {
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let mut account = AccountState::default();
        let (spacing, start) = (account.spacing_us(START * 1000), START * 1000);
        let (mut now, mut counted) = (start, 0.0);
        for step in 0..400 {
            let slot = account.next_slot_us(None);
            let has_work = step == 0 || step == 399 || rng.below(3) > 0;
            now = if has_work { now.max(slot) } else { now };
            let counts = if has_work {
                let counts = account.count_used(slot, now);
                account.take_slot(&token(step), STALL, now);
                counts
            } else {
                account.count_idle(rng.one_of(&[Blocked::Work, Blocked::Cap, Blocked::Window]), slot, now)
            };
            counted += counts.iter().map(|count| count.slots).sum::<f64>();
            now += rng.one_of(&[1, 400_000, 500_000, 2_000_000, 700_000_000]);
        }
        // To the last slot that was used; one of credit may have been saved up by then.
        let last = account.tat_us - spacing;
        let slots = slots_between(start, last, spacing);
        assert!((counted - slots).abs() <= 2.5, "seed {seed}: {counted} counted, {slots} went by");
    }
}

#[expect(clippy::cast_precision_loss, reason = "days in microseconds")]
fn slots_between(from: i64, to: i64, spacing: i64) -> f64 {
    (to - from) as f64 / spacing as f64
}
