//! A card's life: states, the table of moves between them, and its expiry month.
//!
//! Invariant: a lock is not a state; "inactive before activation" is [`CardState::Linked`], lock
//! code 5 is a lock. Source: authorization 1, requirements #0.3.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// Where a card is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CardState {
    /// Ordered from the bureau; no authorization succeeds.
    Ordered,
    /// With its holder, not activated yet.
    Linked,
    /// In use. Virtual cards start here.
    Active,
    /// Past its month by command; the month itself also declines.
    Expired,
    /// Removed for ever.
    Removed,
}

impl CardState {
    /// Whether a card may move from this state to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Ordered, Self::Linked)
                | (Self::Linked, Self::Active)
                | (Self::Linked | Self::Active, Self::Expired)
                | (Self::Ordered | Self::Linked | Self::Active | Self::Expired, Self::Removed)
        )
    }

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ORDERED",
            Self::Linked => "INACTIVE",
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Removed => "REMOVED",
        }
    }
}

/// A year and month, as DE14 carries an expiry (YYMM); the card is good until the month's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct YearMonth {
    /// Full year.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
}

impl YearMonth {
    /// From DE14's number YYMM, in the century 2000.
    #[must_use]
    pub fn from_yymm(yymm: u16) -> Option<Self> {
        let (year, month) = (yymm / 100, yymm % 100);
        let month = u8::try_from(month).ok()?;
        ((1..=12).contains(&month) && year < 100).then_some(Self { year: 2000 + year, month })
    }

    /// DE14's number YYMM.
    #[must_use]
    pub fn yymm(self) -> u16 {
        self.year % 100 * 100 + u16::from(self.month)
    }

    /// The month in UTC that `at` falls in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        // Days to civil date after H. Hinnant's "chrono-compatible low-level date algorithms",
        // with eras of 400 years counted from 0000-03-01.
        let days = at.0 / 86_400_000 + 719_468;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = days / 146_097 * 400 + year_of_era + u64::from(month <= 2);
        Self {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: u8::try_from(month).unwrap_or(12),
        }
    }

    /// Whether the month has ended at `at`.
    #[must_use]
    pub fn is_past(self, at: Timestamp) -> bool {
        // Years without their leap days: no later than the year really began.
        let begun = u64::from(self.year).saturating_sub(1970) * (365 * 86_400_000);
        at.0 >= begun && Self::of(at) > self
    }

    /// The month `months` later (or earlier, where negative).
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let total = i32::from(self.year) * 12 + i32::from(self.month) - 1 + months;
        Self {
            year: u16::try_from(total.div_euclid(12)).unwrap_or_default(),
            month: u8::try_from(total.rem_euclid(12) + 1).unwrap_or(1),
        }
    }
}

impl fmt::Display for YearMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}/{:02}", self.month, self.year % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_moves_is_the_documented_one() {
        use CardState::{Active, Expired, Linked, Ordered, Removed};
        let all = [Ordered, Linked, Active, Expired, Removed];
        let allowed: Vec<_> = all
            .iter()
            .flat_map(|from| all.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            allowed,
            [
                (Ordered, Linked),
                (Ordered, Removed),
                (Linked, Active),
                (Linked, Expired),
                (Linked, Removed),
                (Active, Expired),
                (Active, Removed),
                (Expired, Removed)
            ]
        );
    }

    #[test]
    fn the_month_of_a_time_is_the_calendar_one() {
        for (millis, year, month) in [
            (0, 1970, 1),
            (951_782_399_999, 2000, 2),
            (951_782_400_000, 2000, 2),
            (951_868_800_000, 2000, 3),
            (1_798_761_599_999, 2026, 12),
            (1_798_761_600_000, 2027, 1),
        ] {
            let found = YearMonth { year, month };
            assert_eq!(YearMonth::of(Timestamp(millis)), found, "{millis}");
            for months in -30..30 {
                let month = found.plus_months(months);
                assert_eq!(month.is_past(Timestamp(millis)), months < 0, "{month} at {millis}");
            }
        }
    }

    #[test]
    fn an_expiry_is_read_and_shown_as_cards_print_it() {
        let month = YearMonth::from_yymm(2907).unwrap();
        assert_eq!((month.to_string().as_str(), month.yymm()), ("07/29", 2907));
        assert_eq!(YearMonth::from_yymm(2913), None);
        assert_eq!(YearMonth::from_yymm(2900), None);
        assert_eq!(month.plus_months(36).to_string(), "07/32");
        assert_eq!(month.plus_months(-7).to_string(), "12/28");
    }
}
