//! The wall clock, read once a command and journaled with it; and its form on the wire.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
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

/// How far a sandbox's clock runs ahead of the machine's, beside its journal, as milliseconds in
/// digits.
#[derive(Clone, Debug)]
pub struct AheadFile(PathBuf);

impl AheadFile {
    /// The file of a journal.
    #[must_use]
    pub fn beside(journal: &Path) -> Self {
        Self(journal.with_extension("ahead"))
    }

    /// What was written last; nothing where no clock ran ahead yet.
    pub fn read(&self) -> std::io::Result<u64> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => text.trim().parse().map_err(std::io::Error::other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes it durably, all of it or nothing.
    pub fn write(&self, ahead_ms: u64) -> std::io::Result<()> {
        let new = self.0.with_extension("ahead.new");
        let mut file = File::create(&new)?;
        file.write_all(ahead_ms.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.0)?;
        self.0.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
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
    fn how_far_a_clock_runs_ahead_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = AheadFile::beside(&folder.path().join("journal"));
        assert_eq!(file.read().unwrap(), 0);
        file.write(86_400_000).unwrap();
        file.write(90_000_000).unwrap();
        assert_eq!(file.read().unwrap(), 90_000_000);
        std::fs::write(folder.path().join("journal.ahead"), "x").unwrap();
        assert!(file.read().is_err());
    }

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
