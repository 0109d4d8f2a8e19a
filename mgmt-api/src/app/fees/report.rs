//! GET /admin/programs/{program}/fees/report: what a program's fees came to by week or month, as
//! CSV. Source: requirements #172.
//!
//! Invariant: every line is a sum of what the switch charged, as its events tell it; days are UTC.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::ids::Timestamp;
use shared::rule;

use crate::app::days::days;
use crate::app::{App, Asked, ProgramPath, currency_of_row};
use crate::call::Call;
use crate::clock;
use crate::error::Result;
use crate::store::{FeeDayRow, Period};

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
        let said = (wish.from.as_deref(), wish.to.as_deref());
        let Period { from_ms, to_ms } = days(said, (DAYS_DEFAULT, DAYS_MAX))?;
        let fees = self.store.fees_of(&program.config_id, true).await?;
        let days = self.store.fee_days(&program.config_id, from_ms, to_ms).await?;
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
    fn added_up(&self, days: &[FeeDayRow]) -> BTreeMap<(i64, i64), Sums> {
        let period = match self.period {
            ReportPeriod::Day => rule::Period::Day,
            ReportPeriod::Week => rule::Period::Week,
            ReportPeriod::Month => rule::Period::Month,
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

fn date(start: i64) -> String {
    let text = clock::rfc3339(Timestamp(u64::try_from(start).unwrap_or_default()));
    text.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(period: ReportPeriod) -> ReportWish {
        ReportWish { period, from: None, to: None }
    }

    #[test]
    fn days_become_weeks_and_months() {
        let row = |day, due| FeeDayRow { fee_id: 7, day, charges: 1, due, taken: due - 1 };
        // 2026-11-29 is a Sunday, the day 20786.
        let days = [row(20_786, 10), row(20_787, 20), row(20_788, 40)];
        let lines = |period| {
            let lines = wish(period).added_up(&days);
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
}
