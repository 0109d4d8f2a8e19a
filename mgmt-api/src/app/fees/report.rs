//! GET /admin/programs/{program}/fees/report: what a program's fees came to by week or month, as
//! CSV. Source: requirements #172.
//!
//! Invariant: every line is a sum of what the switch charged, as its events tell it; days are UTC.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::ids::Timestamp;
use shared::rule::Period;

use crate::app::{App, Asked, ProgramPath, currency_of_row};
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::FeeDayRow;

const DAY_MS: i64 = 86_400_000;
/// Days of one report at most.
const DAYS_MAX: i64 = 366;
/// Days of one report where none are given.
const DAYS_DEFAULT: i64 = 92;

/// What a report is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportWish {
    #[serde(default)]
    period: ReportPeriod,
    from: Option<String>,
    to: Option<String>,
}

/// What a line is about.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ReportPeriod {
    /// A day.
    Day,
    /// A week from Monday.
    Week,
    /// A month.
    #[default]
    Month,
}

/// Sums of one fee in one period.
#[derive(Clone, Copy, Default)]
struct Sums {
    charges: i64,
    due: i64,
    taken: i64,
}

impl App {
    /// What a program's fees came to.
    pub async fn report_fees(
        &self,
        by: Call,
        at: ProgramPath,
        Asked(wish): Asked<ReportWish>,
    ) -> Result<Response> {
        let program = self.visible_program(&by, &at.program).await?;
        let (from, to) = wish.range(clock::now_millis())?;
        let fees = self.store.fees_of(&program.config_id, true).await?;
        let days = self.store.fee_days(&program.config_id, from, to).await?;
        let currency = currency_of_row(program.currency).to_string();
        let mut lines =
            String::from("periodStart,feeId,kind,settlement,currency,charges,due,taken\n");
        for ((start, id), sums) in wish.added_up(&days) {
            let fee = fees.iter().find(|fee| fee.id == id);
            let (kind, settlement) =
                fee.map_or(("", ""), |fee| (fee.kind.as_str(), fee.settlement.as_str()));
            let Sums { charges, due, taken } = sums;
            let start = date(start);
            lines.push_str(&format!(
                "{start},{id},{kind},{settlement},{currency},{charges},{due},{taken}\n"
            ));
        }
        let csv = HeaderValue::from_static("text/csv; charset=utf-8");
        Ok(([(header::CONTENT_TYPE, csv)], lines).into_response())
    }
}

impl ReportWish {
    /// From the first instant to before the last, in milliseconds.
    fn range(&self, now: i64) -> Result<(i64, i64)> {
        let today = now - now.rem_euclid(DAY_MS);
        let to = match &self.to {
            Some(text) => day("to", text)? + DAY_MS,
            None => today + DAY_MS,
        };
        let from = match &self.from {
            Some(text) => day("from", text)?,
            None => to - DAYS_DEFAULT * DAY_MS,
        };
        if from >= to || to - from > DAYS_MAX * DAY_MS {
            let message = "from and to must be 1 to 366 days";
            return Err(Error::fault(Code::InvalidRequest, "from", message));
        }
        Ok((from, to))
    }

    fn added_up(&self, days: &[FeeDayRow]) -> BTreeMap<(i64, i64), Sums> {
        let period = match self.period {
            ReportPeriod::Day => Period::Day,
            ReportPeriod::Week => Period::Week,
            ReportPeriod::Month => Period::Month,
        };
        let mut lines: BTreeMap<(i64, i64), Sums> = BTreeMap::new();
        for row in days {
            let at = Timestamp(u64::try_from(row.day * DAY_MS).unwrap_or_default());
            let start = period.window("UTC", at).map_or(at.0, |window| window.start);
            let line = lines.entry((i64::try_from(start).unwrap_or_default(), row.fee_id));
            let sums = line.or_default();
            sums.charges = sums.charges.saturating_add(row.charges);
            sums.due = sums.due.saturating_add(row.due);
            sums.taken = sums.taken.saturating_add(row.taken);
        }
        lines
    }
}

/// The first instant of `2026-11-25`.
fn day(field: &'static str, text: &str) -> Result<i64> {
    let form = time::macros::format_description!("[year]-[month]-[day]");
    let fault = || Error::fault(Code::InvalidRequest, field, "must be a day like 2026-11-25");
    let date = time::Date::parse(text, form).map_err(|_not_a_day| fault())?;
    let seconds = date.midnight().assume_utc().unix_timestamp();
    if seconds < 0 { Err(fault()) } else { Ok(seconds * 1_000) }
}

fn date(start: i64) -> String {
    let text = clock::rfc3339(Timestamp(u64::try_from(start).unwrap_or_default()));
    text.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(period: ReportPeriod, from: Option<&str>, to: Option<&str>) -> ReportWish {
        ReportWish { period, from: from.map(str::to_owned), to: to.map(str::to_owned) }
    }

    #[test]
    fn days_become_weeks_and_months() {
        let row = |day, due| FeeDayRow { fee_id: 7, day, charges: 1, due, taken: due - 1 };
        // 2026-11-29 is a Sunday, the day 20786.
        let days = [row(20_786, 10), row(20_787, 20), row(20_788, 40)];
        let lines = |period| {
            let lines = wish(period, None, None).added_up(&days);
            let line = |((start, _), sums): (&(i64, i64), &Sums)| (date(*start), sums.due);
            lines.iter().map(line).collect::<Vec<_>>()
        };
        let said = |lines: &[(&str, i64)]| {
            lines.iter().map(|(date, due)| ((*date).to_owned(), *due)).collect::<Vec<_>>()
        };
        assert_eq!(lines(ReportPeriod::Week), said(&[("2026-11-23", 10), ("2026-11-30", 60)]));
        assert_eq!(lines(ReportPeriod::Month), said(&[("2026-11-01", 30), ("2026-12-01", 40)]));
        assert_eq!(lines(ReportPeriod::Day).len(), 3);
    }

    #[test]
    fn a_range_is_one_day_to_a_year() {
        let now = 1_795_600_000_000;
        let range = |from, to| wish(ReportPeriod::Day, from, to).range(now);
        assert_eq!(range(Some("2026-11-25"), Some("2026-11-25")).map(|(a, b)| b - a), Ok(DAY_MS));
        assert!(range(None, None).is_ok() && range(Some("2026-01-01"), None).is_ok());
        for (from, to) in [
            (Some("2026-11-26"), Some("2026-11-25")),
            (Some("2020-01-01"), None),
            (Some("yesterday"), None),
            (Some("2026-13-01"), None),
            (None, Some("1969-12-31")),
        ] {
            assert!(range(from, to).is_err(), "{from:?} {to:?}");
        }
    }
}
