//! The rules of the account are the same in Lua as in Rust: both are asked the same, and their answers and the state that they
//! leave compared bit by bit; for every combination of the edges that matter, and for 100,000 random accounts and events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use veobatch_core::account::{
    AccountState, Blocked, Daily, DailyBudget, Day, DayRoom, Facts, Gate, GateReport, Idle, MinRtt, Pace, PollBucket,
    Probe, SlotCount, Throttled, expected_price, is_over_budget, lowered_bound, poll_rate,
};
use veobatch_core::{Credits, TimeRange, Timestamp, Token};
use veobatch_ledger::RedisLedger;

use crate::redis_server::RedisServer;

/// Cases per call of the script.
const AT_ONCE: usize = 500;
const RANDOM: usize = 100_000;

/// 2027-01-15, in ms.
const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

/// Named values, as both sides tell them.
type Told = BTreeMap<String, Value>;

/// What is decided by, the parts that Redis keeps in one hash together.
#[derive(Clone, Debug)]
struct Account {
    state: AccountState,
    min_rtt: MinRtt,
    daily: Option<Daily>,
}

/// One question: which rule, its arguments, and what Rust says.
struct Case {
    rule: &'static str,
    before: Told,
    args: Vec<Value>,
    expected: Told,
}

fn ms(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn token(n: u64) -> Token {
    Token::of_attempt(u128::from(n) << 9, false)
}

/// As `account_state.lua` names its fields; what is absent is left out.
fn told(account: &Account) -> Told {
    let Account { state, min_rtt, daily } = account;
    let mut all = Told::new();
    let mut set = |name: &str, value: Value| all.insert(name.to_owned(), value);
    set("n", json!(state.pace.submissions));
    set("w", json!(u64::try_from(state.pace.per.as_millis()).unwrap()));
    set("cap", json!(state.pace.max_in_flight));
    set("tat", json!(state.tat_us));
    set("low_since", json!(state.throttled.map_or(0, |low| ms(low.since))));
    set("peak", json!(state.throttled.map_or(0.0, |low| low.peak)));
    if let Some(low) = state.throttled {
        set("low", json!(low.to));
    }
    match &state.gate {
        Gate::Open => {
            set("no_credits", json!(false));
            set("closings", json!(0));
        }
        Gate::Closed { until, why, no_credits, closings } => {
            set("closed", json!(ms(*until)));
            set("why", json!(why));
            set("no_credits", json!(no_credits));
            set("closings", json!(closings));
        }
    }
    set("troubles", json!(state.troubles));
    set("probe_until", json!(state.probe.as_ref().map_or(0, |probe| ms(probe.until))));
    if let Some(probe) = &state.probe {
        set("probe", json!(probe.token.as_str()));
    }
    set("idle_from", json!(state.idle.map_or(0, |idle| idle.from_us)));
    if let Some(idle) = state.idle {
        set("idle", json!(idle.why.as_str()));
    }
    set("upgrade_turn", json!(ms(state.upgrade_turn)));
    set("fast_n", json!(min_rtt.count));
    min_rtt.present.map(|fast| set("fast", json!(fast)));
    min_rtt.before.map(|fast| set("fast_was", json!(fast)));
    set("day_from", json!(daily.as_ref().map_or(0, |daily| ms(daily.day.from))));
    set("day_until", json!(daily.as_ref().map_or(0, |daily| ms(daily.day.until))));
    set("day_spent", json!(daily.as_ref().map_or(0, |daily| daily.spent.as_millis())));
    if let Some(daily) = daily {
        set("daily", json!(daily.budget.credits.as_millis()));
        set("zone", json!(daily.budget.zone));
    }
    all
}

/// Asks the rule in Rust and writes the question down. `ask` gets the account and returns the results.
fn case(
    rule: &'static str,
    account: &Account,
    args: Vec<Value>,
    ask: impl FnOnce(&mut Account) -> Vec<Option<Value>>,
) -> Case {
    let mut after = account.clone();
    let results = ask(&mut after);
    let mut expected = told(&after);
    for (index, result) in results.into_iter().enumerate() {
        let Some(result) = result else { continue };
        let Value::Array(rows) = &result else {
            expected.insert((index + 1).to_string(), result);
            continue;
        };
        for (row, parts) in rows.iter().enumerate() {
            let parts = parts.as_array().cloned().unwrap_or_else(|| vec![parts.clone()]);
            for (part, value) in parts.into_iter().enumerate() {
                expected.insert(format!("{}.{}.{}", index + 1, row + 1, part + 1), value);
            }
        }
    }
    Case { rule, before: told(account), args, expected }
}

fn counts(counts: &[SlotCount]) -> Vec<Option<Value>> {
    vec![Some(counts.iter().map(|count| json!([count.hour, count.word, count.slots])).collect())]
}

fn room(room: DayRoom) -> &'static str {
    match room {
        DayRoom::Fits => "fits",
        DayRoom::Full(_) => "full",
        DayRoom::Over => "over",
    }
}

/// A generator of our own (splitmix64), so that every run is the same.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, n: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(i64::try_from(of.len()).unwrap());
        of.get(usize::try_from(at).unwrap()).copied().unwrap()
    }

    fn some<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| of(self))
    }

    /// A time near now: often right at it.
    fn near(&mut self) -> i64 {
        let within = self.one_of(&[1, 2, 3, 1000, 20_000, 10 * HOUR, 90 * HOUR]);
        NOW + self.below(2 * within + 1) - within
    }

    fn near_us(&mut self) -> i64 {
        self.near() * 1000 + self.one_of(&[0, 1, 333, 999])
    }

    fn account(&mut self) -> Account {
        let pace = Pace {
            submissions: u32::try_from(self.one_of(&[1, 3, 20, 7, 1000])).unwrap(),
            per: Duration::from_millis(u64::try_from(self.one_of(&[1, 1000, 10_000, 60_000])).unwrap()),
            max_in_flight: u32::try_from(self.below(4)).unwrap(),
        };
        let words = |n: i64| format!("because of {n}");
        let peak = f64::from(u32::try_from(1 + self.below(2000)).unwrap()) / 100.0;
        let state = AccountState {
            pace,
            tat_us: if self.below(8) == 0 { 0 } else { self.near_us() },
            throttled: self.some(|rng| Throttled::from(peak, at(rng.near()))),
            gate: self.some(|rng| (rng.near(), rng.below(25), rng.below(2) == 0)).map_or(Gate::Open, |closed| {
                let (until, closings, no_credits) = closed;
                let closings = u32::try_from(closings).unwrap();
                Gate::Closed { until: at(until), why: words(until), no_credits, closings }
            }),
            troubles: u32::try_from(self.below(4)).unwrap(),
            probe: self.some(|rng| Probe { token: token(rng.next() % 2), until: at(rng.near()) }),
            idle: self.some(|rng| Idle { why: rng.one_of(&Blocked::WORDS).1, from_us: rng.near_us() }),
            upgrade_turn: self.some(|rng| at(rng.near())).unwrap_or_default(),
        };
        let min_rtt = MinRtt {
            present: self.some(|rng| u32::try_from(rng.below(300)).unwrap()),
            count: u32::try_from(self.one_of(&[0, 1, 98, 99, 100, 248, 249])).unwrap(),
            before: self.some(|rng| u32::try_from(rng.below(300)).unwrap()),
        };
        let daily = self.some(|rng| {
            let from = rng.near();
            Daily {
                budget: DailyBudget { credits: Credits::from_millis(rng.below(5) * 60_000), zone: rng.zone() },
                day: TimeRange { from: at(from), until: at(from + rng.below(3) * 12 * HOUR) },
                spent: Credits::from_millis(rng.below(5) * 60_000),
            }
        });
        Account { state, min_rtt, daily }
    }

    fn zone(&mut self) -> String {
        self.one_of(&["UTC", "Europe/Berlin"]).to_owned()
    }
}

/// Every question about one account.
fn questions(account: &Account, rng: &mut Rng) -> Vec<Case> {
    let (now, stall) = (NOW * 1000 + rng.one_of(&[0, 1, 500, 999]), 80_000);
    let nth = rng.some(Rng::near);
    let nth_at = nth.map(at);
    let mut all = pace_questions(account, rng, (now, stall, nth));
    let (who, why) = (token(rng.next() % 2), format!("said {}", rng.below(100)));
    let slot = account.state.next_slot_us(nth_at);
    for waiting in Blocked::WORDS.map(|(_, waiting)| waiting) {
        let args = vec![json!(waiting.as_str()), json!(slot), json!(now)];
        all.push(case("count_idle", account, args, |a| counts(&a.state.count_idle(waiting, slot, now))));
    }
    all.push(case("count_used", account, vec![json!(slot), json!(now)], |a| counts(&a.state.count_used(slot, now))));
    let first = (now / 1000 / HOUR) - rng.below(80);
    all.push(case("still_idle", account, vec![json!(first), json!(now)], |a| {
        let idle = a.state.still_idle(first, now);
        vec![idle.map(|(why, slots)| json!([[why.as_str()], [slots]]))]
    }));
    let wait = rng.one_of(&[0, 1, 10_000, 300_000, 400_000]);
    let lasts = Duration::from_millis(u64::try_from(wait).unwrap());
    for (no_credits, too_many) in [(false, false), (true, false), (false, true)] {
        let reports = [
            ("healthy", GateReport::Healthy),
            ("troubled", GateReport::Troubled { why: why.clone(), wait: lasts }),
            ("closed", GateReport::Closed { why: why.clone(), wait: lasts, no_credits, too_many }),
            ("silent", GateReport::Silent),
        ];
        for (word, report) in reports {
            let args = json!([who.as_str(), word, why, wait, no_credits, too_many, now])
                .as_array()
                .cloned()
                .unwrap_or_default();
            all.push(case("settle", account, args, |a| {
                a.state.settle(&who, &report, now);
                Vec::new()
            }));
        }
    }
    all.push(case("report_closed", account, vec![json!(why), json!(wait), json!(now)], |a| {
        vec![Some(json!(a.state.report_closed(&why, lasts, now)))]
    }));
    all.push(case("report_credits", account, vec![json!(now)], |a| {
        a.state.report_credits(now);
        Vec::new()
    }));
    all.push(case("closed_until", account, vec![json!(now)], |a| {
        vec![a.state.closed_until(now).map(|until| json!(ms(until)))]
    }));
    all.push(case("retry_gate", account, vec![json!(who.as_str()), json!(stall), json!(now)], |a| {
        a.state.retry_gate(&who, stall, now);
        Vec::new()
    }));
    all.extend(money_questions(account, rng, now));
    all
}

fn pace_questions(account: &Account, rng: &mut Rng, (now, stall, nth): (i64, i64, Option<i64>)) -> Vec<Case> {
    let (who, nth_at) = (token(rng.next() % 2), nth.map(at));
    let in_flight = u32::try_from(rng.below(4)).unwrap();
    let recovering = (rng.below(8) == 0).then(|| rng.near());
    let took = u32::try_from(rng.below(400)).unwrap();
    let ago = rng.below(90_000);
    let facts = Facts { recovering_until: recovering.map(at), in_flight, nth_bound: nth_at };
    vec![
        case("allowed", account, vec![json!(now)], |a| vec![Some(json!(a.state.allowed(now)))]),
        case("spacing_us", account, vec![json!(now)], |a| vec![Some(json!(a.state.spacing_us(now)))]),
        case("most_young", account, vec![json!(now)], |a| vec![Some(json!(a.state.most_young(now)))]),
        case("next_slot_us", account, vec![json!(nth)], |a| vec![Some(json!(a.state.next_slot_us(nth_at)))]),
        case("blocked", account, vec![json!(recovering), json!(in_flight), json!(nth), json!(now)], |a| {
            let (why, until) = a.state.blocked(&facts, now).unzip();
            vec![why.map(|why| json!(why.as_str())), until.flatten().map(|until| json!(ms(until)))]
        }),
        case("take_slot", account, vec![json!(who.as_str()), json!(stall), json!(now)], |a| {
            a.state.take_slot(&who, stall, now);
            Vec::new()
        }),
        case("take_back_slot", account, vec![json!(who.as_str()), json!(now)], |a| {
            a.state.take_back_slot(&who, now);
            Vec::new()
        }),
        case("upgrade_slot", account, vec![json!(nth), json!(now)], |a| {
            vec![a.state.upgrade_slot(nth_at, now).map(|until| json!(ms(until)))]
        }),
        case("arrivals_kept_from", account, vec![json!(now)], |a| vec![Some(json!(a.state.arrivals_kept_from(now)))]),
        case("lowered_bound", account, vec![json!(ago), json!(now)], |_| vec![Some(json!(lowered_bound(ago, now)))]),
        case("lead", account, vec![json!(took)], |a| vec![Some(json!(a.min_rtt.lead(took)))]),
    ]
}

fn money_questions(account: &Account, rng: &mut Rng, now: i64) -> Vec<Case> {
    let calendar = rng.near();
    let credits = |rng: &mut Rng| Credits::from_millis(rng.below(5) * 60_000);
    let (price, spent, zone) = (credits(rng), credits(rng), rng.zone());
    let (known, budget) = (rng.some(credits), rng.some(credits));
    let day = Day { zone: zone.clone(), range: TimeRange { from: at(calendar), until: at(rng.near()) } };
    let (more, claimed) = (rng.below(9) * 60_000 - 240_000, rng.some(Rng::near));
    let (set, cap) = (rng.some(|rng| rng.one_of(&[0, 1, 10, 2000])), rng.one_of(&[0, 1, 49, 50, 100, 100_000]));
    let (used, max, count) = (rng.near_us(), rng.below(5_000), rng.below(70));
    let rate = poll_rate(set, cap);
    let bucket = PollBucket::load(used, rate, now);
    let millis = |credits: Option<Credits>| json!(credits.map(Credits::as_millis));
    let unpriced = budget.is_some() || account.daily.is_some();
    vec![
        case("expected_price", account, vec![millis(known), json!(unpriced)], |_| {
            vec![expected_price(known, unpriced).map(|price| json!(price.as_millis()))]
        }),
        case(
            "is_over_budget",
            account,
            vec![millis(budget), json!(spent.as_millis()), json!(price.as_millis())],
            |_| vec![Some(json!(is_over_budget(budget, spent, price)))],
        ),
        case("set_daily", account, vec![json!(price.as_millis()), json!(zone)], |a| {
            a.daily = Some(Daily::set(a.daily.take(), DailyBudget { credits: price, zone: zone.clone() }));
            Vec::new()
        }),
        case("clear_daily", account, Vec::new(), |a| {
            a.daily = None;
            Vec::new()
        }),
        case(
            "begin_day",
            account,
            vec![json!(zone), json!(ms(day.range.from)), json!(ms(day.range.until)), json!(calendar)],
            |a| vec![Some(json!(a.daily.as_mut().is_some_and(|daily| daily.begin(&day, at(calendar)))))],
        ),
        case("day_room", account, vec![json!(price.as_millis()), json!(calendar)], |a| {
            vec![Some(json!(a.daily.as_ref().map_or("fits", |daily| room(daily.room(price, at(calendar))))))]
        }),
        case("charge_day", account, vec![json!(more), json!(claimed)], |a| {
            if let Some(daily) = a.daily.as_mut() {
                daily.charge(more, claimed.map(at));
            }
            Vec::new()
        }),
        case("polls", account, vec![json!(set), json!(cap), json!(used), json!(max), json!(count), json!(now)], |_| {
            let mut taken = bucket;
            let again = taken.take(count);
            [i64::from(rate), bucket.used_us, bucket.room(max, now), again, taken.used_us]
                .map(|value| Some(json!(value)))
                .to_vec()
        }),
    ]
}

/// Accounts in which each time stands right before, at and right after now, in every combination that one rule looks at.
fn edges() -> Vec<Account> {
    let mut all = Vec::new();
    let around = [NOW - 1, NOW, NOW + 1];
    let mut rng = Rng(3);
    for closed in [None, Some(around[0]), Some(around[1]), Some(around[2])] {
        for probe in [None, Some((0, around[0])), Some((0, around[2])), Some((1, around[1]))] {
            for troubles in 0..4 {
                for turn in [0, around[0] + 1000, around[1] + 1000, around[2] + 1000, NOW + 30_000] {
                    for tat in [0, NOW * 1000 - 1, NOW * 1000, NOW * 1000 + 1] {
                        let Account { mut state, min_rtt, daily } = rng.account();
                        (state.tat_us, state.troubles, state.upgrade_turn) = (tat, troubles, at(turn));
                        state.probe = probe.map(|(n, until)| Probe { token: token(n), until: at(until) });
                        state.gate = closed.map_or(Gate::Open, |until| {
                            let no_credits = troubles % 2 == 0;
                            Gate::Closed {
                                until: at(until),
                                why: "an edge".to_owned(),
                                no_credits,
                                closings: troubles + 1,
                            }
                        });
                        all.push(Account { state, min_rtt, daily });
                    }
                }
            }
        }
    }
    all
}

/// The same value: numbers by what they are worth.
fn is_same(lua: &str, rust: &Value) -> bool {
    match (lua.split_at(1), rust) {
        (("n", text), Value::Number(number)) => text.parse::<f64>().ok() == number.as_f64(),
        (("s", text), Value::String(known)) => text == known,
        (("b", text), Value::Bool(known)) => text == known.to_string(),
        _ => false,
    }
}

async fn compare(connection: &mut redis::aio::MultiplexedConnection, script: &redis::Script, cases: &[Case]) {
    let asked: Vec<Value> =
        cases.iter().map(|case| json!({ "f": case.rule, "a": case.before, "args": case.args })).collect();
    let answers: Vec<Vec<String>> = script.arg(json!(asked).to_string()).invoke_async(connection).await.unwrap();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        let lua: BTreeMap<&str, &str> =
            answer.as_chunks().0.iter().map(|[name, value]| (name.as_str(), value.as_str())).collect();
        let is_equal = lua.len() == case.expected.len()
            && case.expected.iter().all(|(name, value)| lua.get(name.as_str()).is_some_and(|lua| is_same(lua, value)));
        assert!(
            is_equal,
            "{} of {}\nwith {:?}\nRust: {:?}\nLua:  {lua:?}",
            case.rule,
            json!(case.before),
            case.args,
            case.expected
        );
    }
}

#[tokio::test]
async fn the_rules_of_the_account_are_the_same_in_lua_as_in_rust() {
    let server = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
    let script = redis::Script::new(&(RedisLedger::account_rules() + include_str!("account_rules/dispatch.lua")));
    let mut rng = Rng(1);
    let mut cases: Vec<Case> = Vec::new();
    for account in edges() {
        cases.extend(questions(&account, &mut rng));
    }
    let edges = cases.len();
    while cases.len() < edges + RANDOM {
        let account = rng.account();
        cases.extend(questions(&account, &mut rng));
    }
    for some in cases.chunks(AT_ONCE) {
        compare(&mut connection, &script, some).await;
    }
}
