//! Rates, durations and sizes as people write them, both ways.

use std::time::Duration;

use veobatch_core::Credits;

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
        return Err("a rate of 0 never submits anything: use `veobatch pause`".to_owned());
    }
    if per > MAX_WINDOW {
        return Err("the time of a rate is an hour at most".to_owned());
    }
    if count > 10_000 {
        return Err("a rate counts 10000 at most in its time".to_owned());
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
pub(crate) enum Once {
    /// At this age.
    Aged(Duration),
    /// Not at all.
    Never,
}

/// Reads an age, or `never`.
pub(crate) fn parse_once(text: &str) -> Result<Once, String> {
    if text.trim() == "never" { Ok(Once::Never) } else { parse_age(text).map(Once::Aged) }
}

/// `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.subsec_millis() > 0 => format!("{} ms", duration.as_millis()),
        0..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 job`, `12,000 jobs`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {one}{s}", number(n))
}

/// `US$2.28`: what credits are worth, at half a cent each (docs/kie-api.md, section 9), rounded up to the cent.
pub(crate) fn dollars(credits: Credits) -> String {
    format!("US${:.2}", (credits.as_f64() / 2.0).ceil() / 100.0)
}

/// A number with its thousands set apart.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Credits as part of a sentence: `5,000`, `812.5`.
pub(crate) fn credits(credits: Credits) -> String {
    let whole = u64::try_from(credits.as_millis()).ok().filter(|millis| millis.is_multiple_of(1000));
    whole.map_or_else(|| credits.to_string(), |millis| number(millis / 1000))
}

/// What is an estimate is not told to the last digit.
pub(crate) fn rounded(n: u64) -> u64 {
    if n < 100 { n } else { n / 10 * 10 }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(parse_once("never"), Ok(Once::Never));
        assert_eq!(parse_once("1d"), Ok(Once::Aged(Duration::from_secs(86_400))));
        assert!(parse_once("nevermore").is_err());
    }

    #[test]
    fn times_and_numbers_print_short() {
        let of = |ms| duration(Duration::from_millis(ms));
        assert_eq!([of(850), of(12_300), of(60_000), of(200_000)], ["850 ms", "12 s", "1 min", "3 min 20 s"]);
        assert_eq!([of(7_500_000), of(7_210_000)], ["2 h 5 min", "2 h"]);
        assert_eq!(counted(1, "job"), "1 job");
        assert_eq!(counted(1_234_567, "job"), "1,234,567 jobs");
        assert_eq!(number(999), "999");
        assert_eq!(dollars(Credits::whole(455)), "US$2.28");
    }
}
