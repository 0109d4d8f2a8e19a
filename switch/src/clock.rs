//! The wall clock, read once a command and journaled with it.

use std::time::{SystemTime, UNIX_EPOCH};

use shared::ids::Timestamp;

/// Now. A clock before 1970 counts as 1970; the core never lets time go back.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
