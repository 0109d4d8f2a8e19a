//! The wall clock and the one form in which dates leave: RFC 3339 with `+00:00`.
//!
//! Invariant: times of decisions come from the switch; this clock stamps rows and certificates.

use core::sync::atomic::{AtomicU64, Ordering};

use shared::ids::Timestamp;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const FORM: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00");

/// How far the switch's clock runs ahead of the machine's, and this one with it: in a sandbox
/// alone.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Lets the clock run ahead as the switch's does; it never goes back.
pub(crate) fn set_ahead(milliseconds: u64) {
    AHEAD_MS.fetch_max(milliseconds, Ordering::Relaxed);
}

/// Now by the machine's clock, for those whose clock does not run ahead: seconds since 1970.
#[must_use]
pub(crate) fn machine_seconds() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Now.
#[must_use]
pub fn now() -> Timestamp {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let millis = u64::try_from(millis).unwrap_or_default();
    Timestamp(millis.saturating_add(AHEAD_MS.load(Ordering::Relaxed)))
}

/// Milliseconds as SQL holds them.
#[must_use]
pub fn now_millis() -> i64 {
    i64::try_from(now().0).unwrap_or(i64::MAX)
}

/// `2026-11-22T13:37:00+00:00`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| time.format(FORM).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_leave_with_a_numeric_offset() {
        assert_eq!(rfc3339(Timestamp(951_782_400_000)), "2000-02-29T00:00:00+00:00");
    }
}
