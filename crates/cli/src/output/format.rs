//! Durations, numbers and amounts as people read them.

use std::time::Duration;

use veobatch_core::{Credits, Timestamp, Zone};

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

/// `23 Nov, 22:00 Europe/Berlin`.
pub(crate) fn moment(zone: &Zone, at: Timestamp) -> String {
    let day = zone.day(at);
    let (number, month) = day.split_once(' ').unwrap_or((&day, ""));
    format!("{number} {}, {} {zone}", month.get(..3).unwrap_or(month), zone.time(at))
}

#[cfg(test)]
mod tests {
    use super::*;

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
