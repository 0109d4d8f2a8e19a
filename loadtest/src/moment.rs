//! A second of UTC as messages write it: DE7, DE12 and DE13, each edition its own way.
//!
//! Invariant: all of them are the ends and the middle of one number, `CCYYMMDDhhmmss`, so that they
//! never disagree.

use shared::iso8583::mti::Version;

/// One second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

impl Moment {
    /// So many seconds after 1970 began.
    #[must_use]
    pub fn at(unix_seconds: i64) -> Self {
        let at = time::OffsetDateTime::from_unix_timestamp(unix_seconds)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let parts = [u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second()];
        let year = u64::from(at.year().unsigned_abs());
        Self(parts.iter().fold(year, |number, part| number * 100 + u64::from(*part)))
    }

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::at(time::OffsetDateTime::now_utc().unix_timestamp())
    }

    /// DE7, `MMDDhhmmss`.
    #[must_use]
    pub fn transmission(self) -> u64 {
        self.0 % 10_000_000_000
    }

    /// DE12: `hhmmss` in 1987, `YYMMDDhhmmss` in 1993, all of it in 2003.
    #[must_use]
    pub fn local(self, edition: Version) -> u64 {
        match edition {
            Version::V1987 => self.0 % 1_000_000,
            Version::V1993 => self.0 % 1_000_000_000_000,
            Version::V2003 => self.0,
        }
    }

    /// DE13 of 1987, `MMDD`.
    #[must_use]
    pub fn day(self) -> u64 {
        self.0 / 1_000_000 % 10_000
    }

    /// What a message's key has of it: DE7 in 1987, DE12 later.
    #[must_use]
    pub fn of_key(self, edition: Version) -> u64 {
        match edition {
            Version::V1987 => self.transmission(),
            Version::V1993 | Version::V2003 => self.local(edition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edition_writes_the_same_second() {
        let last = Moment::at(1_767_225_599);
        assert_eq!((last.transmission(), last.day()), (1_231_235_959, 1_231));
        assert_eq!(last.local(Version::V1987), 235_959);
        assert_eq!(last.local(Version::V1993), 251_231_235_959);
        assert_eq!(last.local(Version::V2003), 20_251_231_235_959);
        assert_eq!(last.of_key(Version::V1987), 1_231_235_959);
        assert_eq!(last.of_key(Version::V2003), 20_251_231_235_959);
        assert_eq!(Moment::at(1_767_225_600).transmission(), 101_000_000);
    }
}
