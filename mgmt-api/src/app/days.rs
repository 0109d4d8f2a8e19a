//! A range of days, as query strings give it. Days are UTC; both ends belong to it.

use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::Period;

const DAY_MS: i64 = 86_400_000;

/// From the first day to the last: `default` days up to today where nothing is said, `max` at
/// most.
pub(crate) fn days(
    (from, to): (Option<&str>, Option<&str>),
    (default, max): (i64, i64),
) -> Result<Period> {
    let now = clock::now_millis();
    let last = match to {
        Some(text) => day("to", text)?,
        None => now - now.rem_euclid(DAY_MS),
    };
    let to_ms = last + DAY_MS;
    let from_ms = match from {
        Some(text) => day("from", text)?,
        None => to_ms - default * DAY_MS,
    };
    if from_ms >= to_ms || to_ms - from_ms > max * DAY_MS {
        let message = "must not be after to, nor too long before it";
        return Err(Error::fault(Code::InvalidRequest, "from", message));
    }
    Ok(Period { from_ms, to_ms })
}

/// The first instant of `2026-11-25`.
fn day(field: &'static str, text: &str) -> Result<i64> {
    let form = time::macros::format_description!("[year]-[month]-[day]");
    let fault = || Error::fault(Code::InvalidRequest, field, "must be a day like 2026-11-25");
    let date = time::Date::parse(text, form).map_err(|_not_a_day| fault())?;
    let seconds = date.midnight().assume_utc().unix_timestamp();
    if seconds < 0 { Err(fault()) } else { Ok(seconds * 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_day_to_as_many_as_there_may_be() {
        let range = |from, to| days((from, to), (92, 366));
        let length = |period: Period| (period.to_ms - period.from_ms) / DAY_MS;
        assert_eq!(range(Some("2026-11-25"), Some("2026-11-25")).map(length), Ok(1));
        assert_eq!(range(None, Some("2026-11-25")).map(length), Ok(92));
        assert_eq!(range(None, None).map(length), Ok(92));
        for (from, to) in [
            (Some("2026-11-26"), Some("2026-11-25")),
            (Some("2020-01-01"), Some("2026-01-01")),
            (Some("yesterday"), None),
            (Some("2026-13-01"), None),
            (None, Some("1969-12-31")),
        ] {
            assert!(range(from, to).is_err(), "{from:?} {to:?}");
        }
    }
}
