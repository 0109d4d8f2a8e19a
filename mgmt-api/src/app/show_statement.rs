//! GET balances/{balance}/statement: every posting in a range of days with what was booked behind
//! it. Source: requirements #83.
//!
//! Invariant: the opening balance and the items' amounts give the closing balance, and each item's
//! balance follows from the one before.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::days::days;
use super::show_transactions::{kind_name, public_id};
use super::{App, Asked, BalancePath, currency_of_row, instant, page_limit};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Error, Result};
use crate::store::{Period, StatementRow, StatementWish};

/// Days of one statement where none are given, and at most.
const DAYS: (i64, i64) = (31, 3_660);

/// Which part of a statement is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementPage {
    limit: Option<u8>,
    after: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// Postings on a balance in a range of days, oldest first; amounts in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    balance_id: Uuid,
    currency: String,
    /// The first instant of the range.
    from: String,
    /// The first one behind it.
    to: String,
    opening_balance: i64,
    closing_balance: i64,
    items: Vec<StatementItem>,
    has_more: bool,
    /// Everything that was answered up to then is in.
    as_of: String,
}

/// A posting.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatementItem {
    /// Its place in all statements, which `after` takes.
    entry_id: String,
    date: String,
    /// Less, where negative.
    amount: i64,
    /// What is booked behind it.
    balance: i64,
    /// POSTED, RETURNED, FEE.
    step: String,
    transaction_id: Option<Uuid>,
    r#type: Option<&'static str>,
    merchant_identifier: Option<String>,
}

impl App {
    /// What was posted on a balance, open or closed.
    pub async fn show_statement(
        &self,
        by: CustomerCall,
        at: BalancePath,
        Asked(page): Asked<StatementPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let period = days((page.from.as_deref(), page.to.as_deref()), DAYS)?;
        let after = page.after.as_deref().map_or(Ok((0, 0, 0)), entry)?;
        let customer = self.customer(&by).await?;
        let id = Uuid::parse_str(&at.balance).map_err(|_other| Code::BalanceNotFound)?;
        let as_of = instant(self.history.cursor().await?.at_ms);
        let placed = self.history.placed_balance(id).await?;
        let Some(row) = placed.filter(|row| row.customer_id == customer.id) else {
            // It may have been opened a moment ago.
            let row = self.balance(&customer, &at.balance).await?;
            let empty = Statement::empty((id, row.currency), period, as_of);
            return Ok(Answer::ok(&empty)?.into_response());
        };
        let asked = i64::from(limit) + 1;
        let wish = StatementWish { balance: row.slot, period, after, limit: asked };
        let mut rows = self.history.statement(&wish).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        // More may be posted while this is read: the last item there is, and what it leads to, fit.
        let last = rows.last().filter(|_| !has_more).map(|row| row.booked);
        let closing_balance = match last {
            Some(booked) => booked,
            None => self.history.booked_before(row.slot, period.to_ms).await?,
        };
        let statement = Statement {
            opening_balance: self.history.booked_before(row.slot, period.from_ms).await?,
            closing_balance,
            items: rows.into_iter().map(StatementItem::from).collect(),
            has_more,
            ..Statement::empty((id, row.currency), period, as_of)
        };
        Ok(Answer::ok(&statement)?.into_response())
    }
}

impl Statement {
    fn empty((balance_id, currency): (Uuid, i64), period: Period, as_of: String) -> Self {
        Self {
            balance_id,
            currency: currency_of_row(currency).to_string(),
            from: instant(period.from_ms),
            to: instant(period.to_ms),
            opening_balance: 0,
            closing_balance: 0,
            items: Vec::new(),
            has_more: false,
            as_of,
        }
    }
}

impl From<StatementRow> for StatementItem {
    fn from(row: StatementRow) -> Self {
        let begun = row.transaction_id.zip(row.begun_ms);
        let made = row.kind.as_deref().zip(row.processing_code);
        Self {
            entry_id: format!("{}-{}-{}", row.at_ms, row.sequence, row.place),
            date: instant(row.at_ms),
            amount: row.amount,
            balance: row.booked,
            step: row.step,
            transaction_id: begun.map(|(id, at_ms)| public_id(id, at_ms, row.command_id)),
            r#type: made.map(|(kind, code)| kind_name(kind, code)),
            merchant_identifier: row.merchant,
        }
    }
}

/// `1795600000000-17-2` as time, record and place.
fn entry(text: &str) -> Result<(i64, i64, i64)> {
    let numbers: Option<Vec<i64>> = text.split('-').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([at_ms, sequence, place]) => Ok((*at_ms, *sequence, *place)),
        Some(_) | None => Err(Error::fault(Code::InvalidRequest, "after", "must be an entryId")),
    }
}
