//! The wall clock, read once a command and journaled with it; and its form on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use shared::card::YearMonth;
use shared::ids::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Now. A clock before 1970 counts as 1970; the core never lets time go back.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// DE7 of a message that is sent then: `MMDDhhmmss` in UTC.
#[must_use]
pub fn transmission_time(at: Timestamp) -> [u8; 10] {
    let month = YearMonth::of(at);
    let day = (1..31).take_while(|days| month_before(at, *days) == Some(month)).count() + 1;
    let seconds = at.0 / 1_000 % 86_400;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let text = format!("{:02}{day:02}{hour:02}{minute:02}{second:02}", month.month);
    text.as_bytes().try_into().unwrap_or([b'0'; 10])
}

/// The month in which the moment lies that is so many days before.
fn month_before(at: Timestamp, days: u64) -> Option<YearMonth> {
    at.0.checked_sub(days * DAY_MS).map(|before| YearMonth::of(Timestamp(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_has_month_day_and_time_in_utc() {
        let check = |seconds: u64, expected: &[u8; 10]| {
            assert_eq!(&transmission_time(Timestamp(seconds * 1_000 + 999)), expected);
        };
        check(86_400, b"0102000000");
        check(951_782_399, b"0228235959");
        check(951_782_400, b"0229000000");
        check(1_709_251_199, b"0229235959");
        check(1_767_225_599, b"1231235959");
        check(1_767_225_600, b"0101000000");
        check(1_772_451_296, b"0302113456");
    }
}
