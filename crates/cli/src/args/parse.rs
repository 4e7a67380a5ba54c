//! Rates, durations, sizes and policies as people write them.

use std::time::Duration;

use veobatch_core::{CALLED_BACK_WITHIN, InDoubtPolicy, Zone};
use veobatch_ledger::DailyBudget;
use veobatch_producer::{Setting, parse_budget};

use crate::output::format::duration;

/// So many in so long: `20/10s`, `2/s`, `1200/10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per: Duration,
}

/// Longest window of a rate: the account's log of submissions covers it.
const MAX_WINDOW: Duration = Duration::from_secs(3600);

/// Reads a rate. The error completes "invalid value …:".
pub(crate) fn parse_rate(text: &str) -> Result<Rate, String> {
    let (count, per) = text.split_once('/').ok_or("a rate is NUMBER/TIME, such as 20/10s or 2/s")?;
    let count: u32 = count.trim().parse().map_err(|_| format!("{count:?} is not a whole number"))?;
    let per = Some(per.trim()).filter(|per| !per.is_empty()).ok_or("a rate is NUMBER/TIME, such as 20/10s or 2/s")?;
    let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
    let per = parse_duration(&per)?;
    if count == 0 {
        return Err("a rate of 0 submits nothing: use `veobatch pause`".to_owned());
    }
    if per > MAX_WINDOW {
        return Err("the time of a rate is at most an hour".to_owned());
    }
    if count > 10_000 {
        return Err("a rate is at most 10000 in its time".to_owned());
    }
    Ok(Rate { count, per })
}

/// Reads `30s`, `500ms`, `2m`, `1h`, `1.5m`, or plain seconds. Never zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is not a unit of time: use ms, s, m or h")),
    };
    let value: f64 = digits.trim().parse().map_err(|_| format!("{text:?} is not a time, such as 30s or 2m"))?;
    let duration = Duration::try_from_secs_f64(value * seconds).map_err(|_| format!("{text:?} is not a time"))?;
    if duration < Duration::from_millis(1) { Err("a time must be above zero".to_owned()) } else { Ok(duration) }
}

/// Reads a size in bytes: `500MB`, `1GiB`, `0`, a plain number.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit: u64 = match text.strip_prefix(digits).unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        unit => return Err(format!("{unit:?} is not a unit of size: use MB, MiB, GB or GiB")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("{text:?} is not a size, such as 500MB or 1GiB"))?;
    count.checked_mul(unit).ok_or_else(|| format!("{text:?} is more than any disk has"))
}

/// Reads an age: as [`parse_duration`], and days (`7d`), and zero.
pub(crate) fn parse_age(text: &str) -> Result<Duration, String> {
    let number = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if number.parse().is_ok_and(|number: f64| number == 0.0) {
        return Ok(Duration::ZERO);
    }
    let days = text.trim().strip_suffix('d').filter(|days| days.ends_with(|c: char| c.is_ascii_digit()));
    match days.map(str::parse::<f64>) {
        None => parse_duration(text),
        Some(Ok(days)) => Duration::try_from_secs_f64(days * 86_400.0).map_err(|_| format!("{text:?} is not a time")),
        Some(Err(_)) => Err(format!("{text:?} is not a time, such as 7d or 12h")),
    }
}

/// When something is done by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompactAfter {
    /// At this age.
    Age(Duration),
    /// Not at all.
    Never,
}

/// Reads an age, or `never`.
pub(crate) fn parse_compact_after(text: &str) -> Result<CompactAfter, String> {
    if text.trim() == "never" { Ok(CompactAfter::Never) } else { parse_age(text).map(CompactAfter::Age) }
}

/// Reads `5000`, `5000 Europe/Berlin` or `none`. The error completes "invalid value …:".
pub(crate) fn parse_daily(text: &str) -> std::result::Result<Setting<DailyBudget>, String> {
    Setting::parse(text, |text| {
        let (credits, zone) = text.trim().split_once(char::is_whitespace).unwrap_or((text, "UTC"));
        let credits =
            parse_budget(credits).map_err(|words| format!("it must be {words}, optionally with a time zone"))?;
        let zone = Zone::parse(zone.trim()).map_err(|error| error.to_string())?;
        Ok(DailyBudget { credits, zone: zone.to_string() })
    })
}

/// Reads `hold`, `resubmit` or `silence=TIME`. The error completes "invalid value …:".
pub(crate) fn parse_in_doubt(text: &str) -> std::result::Result<InDoubtPolicy, String> {
    match text.trim().split_once('=') {
        None if text.trim() == "hold" => Ok(InDoubtPolicy::Hold),
        None if text.trim() == "resubmit" => Ok(InDoubtPolicy::Resubmit),
        Some(("silence", time)) => {
            let time = parse_duration(time)?;
            if time < CALLED_BACK_WITHIN {
                let least = duration(CALLED_BACK_WITHIN);
                return Err(format!("a callback may come within {least}, so silence means nothing before that"));
            }
            Ok(InDoubtPolicy::Silence(time))
        }
        None | Some(_) => Err("it must be hold, resubmit, or silence=TIME, such as silence=2h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use veobatch_core::Credits;

    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, count, seconds) in [("20/10s", 20, 10), ("2/s", 2, 1), ("1200/10m", 1200, 600), (" 5 / 1 ", 5, 1)] {
            assert_eq!(parse_rate(text), Ok(Rate { count, per: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["", "20", "0/s", "x/s", "20/10y", "20/", "-1/s", "20/0s", "20/2h", "99999/s", "1/infs", "1/NaN"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [("30", 30_000), ("30s", 30_000), ("500ms", 500), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "0", "-5s", "1d", "5 fortnights", "1e400", "inf", "nan"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("17", 17), ("1GiB", 1 << 30), ("500 MB", 500_000_000), ("2g", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GB", "1 fort", "99999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_are_read_in_days_too_and_may_be_zero_or_never() {
        for (text, seconds) in [("7d", 604_800), ("0.5d", 43_200), ("12h", 43_200), ("0", 0), ("0s", 0), ("0d", 0)] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "-1d", "1e400d", "never", "soon", "1y"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        assert_eq!(parse_compact_after("never"), Ok(CompactAfter::Never));
        assert_eq!(parse_compact_after("1d"), Ok(CompactAfter::Age(Duration::from_secs(86_400))));
        assert!(parse_compact_after("nevermore").is_err());
    }

    #[test]
    fn policies_are_read_and_a_silence_that_proves_nothing_is_refused() {
        assert_eq!(parse_in_doubt("hold"), Ok(InDoubtPolicy::Hold));
        assert_eq!(parse_in_doubt(" resubmit "), Ok(InDoubtPolicy::Resubmit));
        assert_eq!(parse_in_doubt("silence=2h"), Ok(InDoubtPolicy::Silence(Duration::from_secs(7200))));
        assert_eq!(parse_in_doubt("silence=15m"), Ok(InDoubtPolicy::Silence(CALLED_BACK_WITHIN)));
        for text in ["", "holds", "silence", "silence=", "silence=899s", "silence=x", "resubmit=1"] {
            assert!(parse_in_doubt(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_daily_budget_is_read_with_its_zone_or_in_utc_and_none_removes_it() {
        let of = |credits, zone: &str| Ok(Setting::Set(DailyBudget { credits, zone: zone.to_owned() }));
        assert_eq!(parse_daily("5000 europe/berlin"), of(Credits::whole(5000), "Europe/Berlin"));
        assert_eq!(parse_daily("812.5"), of(Credits::from_millis(812_500), "UTC"));
        assert_eq!(parse_daily("0  UTC"), of(Credits::whole(0), "UTC"));
        assert_eq!(parse_daily("none"), Ok(Setting::Clear));
        for text in ["", "many", "-1", "5000 Berlin", "5000 Europe/Berlin x", "Europe/Berlin", "inf"] {
            assert!(parse_daily(text).is_err(), "{text}");
        }
        assert!(parse_daily("5000 Berlin").unwrap_err().contains("Europe/Berlin"));
    }
}
