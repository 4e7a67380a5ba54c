//! From a task's creation to its completion, as `record-info` reports them: in three forms (kie-api.md, section 3), of which
//! a task may have two. What cannot be read, or cannot be, is absent; nothing depends on it but how soon to look.

use std::time::Duration;

use serde_json::Value;

use crate::envelope::{Envelope, decimal};

/// A number above this counts milliseconds, one below seconds: in seconds it would be the year 5138.
const SECONDS_BELOW: f64 = 1e11;

/// How long the task took, if both times are told, in the same form, and in their order.
pub(crate) fn read(envelope: &Envelope) -> Option<Duration> {
    let created = moment(envelope.datum(&["createTime", "create_time"])?)?;
    let completed = moment(envelope.datum(&["completeTime", "complete_time"])?)?;
    if created.has_zone != completed.has_zone {
        return None;
    }
    Duration::try_from_secs_f64(completed.seconds - created.seconds).ok()
}

/// A point in time as it was told.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    /// Since 1970.
    seconds: f64,
    /// Without one it can only be compared with another without one.
    has_zone: bool,
}

fn moment(value: &Value) -> Option<Moment> {
    if let Some(number) = decimal(value) {
        let seconds = if number < SECONDS_BELOW { number } else { number / 1000.0 };
        return (number > 0.0).then_some(Moment { seconds, has_zone: true });
    }
    written(value.as_str()?.trim())
}

/// `2025-06-06 10:30:00`, `2025-06-06T10:30:00.250Z`. Other zones than `Z` are not understood: nobody reported one.
fn written(text: &str) -> Option<Moment> {
    let (text, has_zone) = text.strip_suffix('Z').map_or((text, false), |text| (text, true));
    let (day, time) = text.split_once([' ', 'T'])?;
    let [year, month, date] = numbers(day, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    Some(Moment { seconds: days(year, month, date) * 86_400.0 + hour * 3600.0 + minute * 60.0 + second, has_zone })
}

fn numbers(text: &str, between: char) -> Option<[f64; 3]> {
    let parts = text.split(between).map(|part| part.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0));
    parts.collect::<Option<Vec<f64>>>()?.try_into().ok()
}

/// Days since 1970-01-01: Howard Hinnant's `days_from_civil`.
fn days(year: f64, month: f64, date: f64) -> f64 {
    let year = if month <= 2.0 { year - 1.0 } else { year };
    let era = (year / 400.0).floor();
    let of_era = year - era * 400.0;
    let shifted = if month > 2.0 { month - 3.0 } else { month + 9.0 };
    let of_year = ((153.0 * shifted + 2.0) / 5.0).floor() + date - 1.0;
    let day_of_era = of_era * 365.0 + (of_era / 4.0).floor() - (of_era / 100.0).floor() + of_year;
    era * 146_097.0 + day_of_era - 719_468.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(created: &Value, completed: &Value) -> Option<u128> {
        let body = json!({"code": 200, "data": {"createTime": created, "completeTime": completed}});
        read(&Envelope::read(&serde_json::to_vec(&body).unwrap()).unwrap()).map(|span| span.as_millis())
    }

    #[test]
    fn a_span_is_read_in_every_form() {
        assert_eq!(span(&json!(1_785_000_000_000_u64), &json!(1_785_000_097_250_u64)), Some(97_250));
        assert_eq!(span(&json!("1785000000000"), &json!(1_785_000_097)), Some(97_000));
        assert_eq!(span(&json!("2025-06-06 10:30:00"), &json!("2025-06-06 10:31:37")), Some(97_000));
        assert_eq!(span(&json!("2024-02-28T23:59:30Z"), &json!("2024-02-29T00:00:10.5Z")), Some(40_500));
        assert_eq!(span(&json!("2026-12-31T23:59:59Z"), &json!("2027-01-01 00:00:01")), None, "in whose zone?");
        assert_eq!(span(&json!(1_785_000_000_000_u64), &json!("2026-07-25T17:21:37Z")), Some(97_000));
    }

    #[test]
    fn what_is_no_span_is_absent() {
        let now = json!(1_785_000_000_000_u64);
        let (null, text) = (json!(null), json!("soon"));
        for (created, completed) in
            [(&now, &null), (&null, &now), (&now, &json!(0)), (&text, &text), (&now, &json!({}))]
        {
            assert_eq!(span(created, completed), None, "{created} {completed}");
        }
        assert_eq!(span(&now, &json!(1_784_999_999_999_u64)), None, "completed before it was created");
        assert_eq!(span(&json!("2025-06-06"), &json!("2025-06-07")), None);
    }
}
