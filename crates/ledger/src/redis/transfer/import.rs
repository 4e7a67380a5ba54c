//! Lines as records for `add.lua`.

use veobatch_core::{StateName, fold};

use crate::digest::CLASS_MARK;
use crate::transfer::{AccountLine, Batch, ExportEntry, Job, Shift, bytes_of};

type Args = Vec<Vec<u8>>;

/// Adds the records of an entry.
pub(super) fn record(args: &mut Args, entry: &ExportEntry, shift: Shift) {
    match entry {
        ExportEntry::Account(found) => account(args, found, shift),
        ExportEntry::Batch(found) => batch(args, found),
        ExportEntry::Job(found) => job(args, found, shift),
        ExportEntry::Alias(found) => {
            push(args, ["L", &found.batch.to_string(), &found.seq.to_string(), &found.name]);
        }
        ExportEntry::Task(found) => push(args, ["T", &found.batch.to_string(), &found.seq.to_string(), &found.sha1]),
        ExportEntry::End(_) => {}
    }
}

fn push<const N: usize>(args: &mut Args, texts: [&str; N]) {
    args.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
}

/// One command as it is; nothing without arguments.
fn command(args: &mut Args, command: &str, key: &str, of: Args) {
    if !of.is_empty() {
        push(args, ["C", &of.len().to_string(), command, key]);
        args.extend(of);
    }
}

/// Fields and values that are there.
fn fields<'a>(of: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Args {
    let there = of.into_iter().filter_map(|(field, value)| Some([field.to_owned(), value?]));
    there.flatten().map(String::into_bytes).collect()
}

fn account(args: &mut Args, of: &AccountLine, shift: Shift) {
    let at = |ms: u64| shift.of(ms).to_string();
    let text = |number: &dyn ToString| Some(number.to_string());
    let flag = |is: bool| is.then(|| "1".to_owned());
    let (gate, daily, low) = (of.gate.as_ref(), of.daily.as_ref(), of.lowered.as_ref());
    let trial = gate.and_then(|gate| gate.trial.as_ref());
    let bound = of.api_base.as_ref().zip(of.fingerprint.as_ref()).map(|(base, print)| format!("{base}\n{print}"));
    let mut meta = fields([("bound", bound), ("priced", flag(of.prices_asked))]);
    if let Some(salt) = &of.salt {
        meta.extend([b"salt".to_vec(), salt.0.clone()]);
    }
    command(args, "HSET", "meta", meta);
    let slot = shift.micros(of.next_slot);
    let acct = fields([
        ("n", text(&of.submissions)),
        ("w", text(&of.per)),
        ("cap", text(&of.max_in_flight)),
        ("tat", Some(format!("{}.{:03}", slot / 1000, slot % 1000))),
        ("troubles", (of.troubles > 0).then(|| of.troubles.to_string())),
        ("until", gate.map(|gate| at(gate.until))),
        ("why", gate.map(|gate| gate.why.clone())),
        ("no_credits", gate.map(|gate| u8::from(gate.no_credits).to_string())),
        ("closings", gate.map(|gate| gate.closings.to_string())),
        ("probe", trial.map(|(token, _)| token.clone())),
        ("probe_until", trial.map(|(_, until)| at(*until))),
        ("low", low.map(|low| format!("{:.6}", low.to))),
        ("low_since", low.map(|low| at(low.since))),
        ("peak", low.map(|low| format!("{:.6}", low.peak))),
        ("upgrade_turn", of.upgrade_turn.map(at)),
        ("fast", of.fastest.present.map(|ms| ms.to_string())),
        ("fast_n", (of.fastest.count > 0).then(|| of.fastest.count.to_string())),
        ("fast_was", of.fastest.before.map(|ms| ms.to_string())),
        ("daily", daily.map(|daily| daily.credits.to_string())),
        ("zone", daily.map(|daily| daily.zone.clone())),
        ("day_from", daily.map(|daily| daily.from.to_string())),
        ("day_until", daily.map(|daily| daily.until.to_string())),
        ("day_spent", daily.map(|daily| daily.spent.to_string())),
    ]);
    // What a person configured before the import is not what the account was.
    push(args, ["C", "0", "DEL", "acct"]);
    command(args, "HSET", "acct", acct);
    command(args, "HSET", "polls", fields([("rate", of.poll_rate.map(|rate| rate.to_string()))]));
    command(args, "HSET", "price", fields(of.prices.iter().map(|(class, price)| (class.as_str(), text(price)))));
    let arrivals = of.arrivals.iter().flat_map(|(token, bound)| [at(*bound), token.clone()]);
    command(args, "ZADD", "arrivals", arrivals.map(String::into_bytes).collect());
    for (kind, hint) in of.hints() {
        let stored = format!("{} {}", hint.at.as_millis(), hint.text);
        command(args, "HSET", kind.as_str(), fields([(hint.name.as_str(), Some(stored))]));
    }
    for slot in &of.slots {
        let key = format!("u{}", slot.hour);
        command(args, "HSET", &key, fields([(slot.why.as_str(), Some(format!("{:.6}", slot.n)))]));
        command(args, "EXPIRE", &key, vec![SLOTS_KEPT.to_vec()]);
    }
}

/// Three days, in seconds.
const SLOTS_KEPT: &[u8] = b"262800";

fn batch(args: &mut Args, of: &Batch) {
    let (number, jobs) = (of.number.to_string(), of.jobs.to_string());
    let flag = |is: bool| is.then(|| "1".to_owned());
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let settings = fields([
        ("name", Some(of.name.clone())),
        ("created", Some(of.created.to_string())),
        ("admitted", Some(jobs.clone())),
        ("published", Some(jobs)),
        ("shown", Some("imported".to_owned())),
        ("paused", flag(of.paused)),
        ("why", of.paused_because.clone()),
        ("cancelling", flag(of.cancelling)),
        ("weight", Some(of.weight.to_string()).filter(|weight| weight != "1")),
        ("priority", Some(of.priority.to_string()).filter(|priority| priority != "0")),
        ("schedule", some(of.schedule.clone())),
        ("from", Some(of.from.to_string()).filter(|from| from != "0")),
        ("until", Some(of.until).filter(|until| *until < crate::transfer::UNLIMITED).map(|until| until.to_string())),
        ("budget", of.budget.map(|budget| budget.to_string())),
        ("unsure", (of.unsure > 0).then(|| of.unsure.to_string())),
    ]);
    command(args, "HSET", &format!("b{number}"), settings);
    command(args, "HSET", "names", fields([(fold(&of.name).as_str(), Some(number.clone()))]));
    command(args, "HSET", "meta", fields([("batches", Some(number.clone()))]));
    match of.rested {
        Some(since) => command(args, "ZADD", "rest", vec![since.to_string().into_bytes(), number.into_bytes()]),
        None => command(args, "SADD", "live", vec![number.into_bytes()]),
    }
}

fn job(args: &mut Args, of: &Job, shift: Shift) {
    let is_over =
        matches!(StateName::parse(&of.state), Some(StateName::Done | StateName::Failed | StateName::Cancelled));
    let is_queued = of.state == StateName::Queued.as_str();
    let due = of.due.as_ref().map(|(lane, at)| (lane.as_str(), shift.of(*at).to_string()));
    let priority = (is_queued && due.is_none()).then(|| of.priority.to_string());
    let flight = of.flight.map(|until| shift.of(until).to_string());
    let entry = of.spec.as_ref().map(|spec| {
        let class = of.class.as_deref().unwrap_or_default();
        [of.id.as_bytes(), &[CLASS_MARK], class.as_bytes(), b"\n", &spec.0].concat()
    });
    let stored = match (&of.entry, of.compact) {
        (Some(entry), _) => entry.0.clone(),
        (None, true) => Vec::new(),
        (None, false) => state(of, due.as_ref().map(|(lane, at)| (*lane, at.as_str())), flight.as_deref()),
    };
    let unreadable = of.unreadable.as_ref().map(|found| format!("{} {}", found.since, found.why));
    let (lane, at) = due.as_ref().map_or(("", ""), |(lane, at)| (lane, at));
    push(args, ["J", &of.batch.to_string(), &of.seq.to_string(), &fold(&of.id)]);
    args.extend([entry.unwrap_or_default(), stored]);
    push(args, [&of.state, priority.as_deref().unwrap_or_default(), lane, at, flight.as_deref().unwrap_or_default()]);
    push(args, [of.attempt.as_ref().map_or("", |(token, _)| token)]);
    if let Some(digest) = &of.digest {
        args.extend([of.id.clone().into_bytes(), bytes_of(digest).unwrap_or_default()]);
        push(args, [&of.version.to_string()]);
        args.push(of.body.as_ref().filter(|_| of.compact).map(|body| body.0.clone()).unwrap_or_default());
        push(args, [&of.credits.to_string()]);
    } else {
        push(args, ["", "", "", "", ""]);
    }
    let is_whole = of.state == StateName::Done.as_str() && !of.compact;
    push(args, [if is_whole { "1" } else { "" }, &of.credits.to_string(), &unreadable.unwrap_or_default()]);
    push(args, [if is_over && !lane.is_empty() { "1" } else { "" }]);
}

/// The entry in `:s` (`headed` in `prelude.lua`); none of a job that nobody has touched.
fn state(of: &Job, due: Option<(&str, &str)>, flight: Option<&str>) -> Vec<u8> {
    let is_fresh = of.state == StateName::Queued.as_str() && of.version == 0 && of.body.is_none() && due.is_none();
    if is_fresh && of.credits == 0 {
        return Vec::new();
    }
    // The lane of one that is submitting is the ledger's to know.
    let is_submitting = of.state == StateName::Submitting.as_str();
    let (lane, due) = due.filter(|_| !is_submitting).unwrap_or(("-", "-"));
    let flight = flight.map_or("-", |until| if until == FLYING { "*" } else { until });
    let (token, at) = of.attempt.as_ref().map_or(("-", "-".to_owned()), |(token, at)| (token, at.to_string()));
    let head = format!(
        "{} - {due} {} {lane} {} {flight} {} {token} {at}\n{}\n",
        of.version, of.state, of.priority, of.credits, of.id
    );
    [head.as_bytes(), of.body.as_ref().map_or(&[][..], |body| &body.0)].concat()
}

/// [`crate::transfer::UNLIMITED`], in digits.
const FLYING: &str = "9007199254740991";
