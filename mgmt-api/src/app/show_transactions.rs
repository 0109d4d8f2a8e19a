//! GET transactions: a page of a cardholder's, newest first, or one with all that became of it.
//! Source: requirements #83, #118 to #131, #159.
//!
//! Invariant: what is shown is what the switch did, up to the instant that is said along with it.

mod shape;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::days::days;
use super::{App, Asked, CardPath, TransactionPath, instant, page_limit};
use crate::answer::Answer;
use crate::call::{Call, Caller, CustomerCall, Scope};
use crate::clock;
use crate::error::{Code, Result};
use crate::store::{Period, StepRow, TransactionRow, TransactionWish};

pub(super) use self::shape::Name;
use self::shape::ShownTransaction;
pub(crate) use self::shape::{Notified, TransactionData, data, kind_name, public_id, reason};

/// Parts of what is old that are dropped in one sweep at most.
const SWEPT_PARTS_MAX: usize = 200;
/// Days of one list at most, where a range is given.
const DAYS_MAX: i64 = 3_660;

/// Which transactions are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransactionPage {
    limit: Option<u8>,
    after: Option<String>,
    from: Option<String>,
    to: Option<String>,
    balance_id: Option<String>,
    card_id: Option<String>,
}

/// A page of transactions, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionList {
    items: Vec<ShownTransaction>,
    has_more: bool,
    /// Everything that was answered up to then is in.
    as_of: String,
}

/// A transaction and all that became of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionDetails {
    #[serde(flatten)]
    transaction: ShownTransaction,
    /// The reason in words that can be read out to a cardholder.
    explanation: &'static str,
    /// What happened to it later, in order.
    steps: Vec<ShownStep>,
    /// Everything that was answered up to then is in.
    as_of: String,
}

/// One thing that became of a transaction.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownStep {
    date: String,
    /// POSTED, RETURNED and FEE move money; RAISED and RELEASED change what is held; others are
    /// where the transaction came to stand.
    step: String,
    /// Minor units; what the holder has more, or less where negative, by a posting.
    amount: i64,
    /// What is booked on the balance behind it, where it is posted there.
    balance: Option<i64>,
}

impl From<StepRow> for ShownStep {
    fn from(row: StepRow) -> Self {
        let (step, amount, balance) = (row.kind, row.amount, row.booked);
        Self { date: instant(row.at_ms), step, amount, balance }
    }
}

impl App {
    /// A page of a cardholder's transactions, newest first.
    pub async fn list_transactions(
        &self,
        by: CustomerCall,
        Asked(page): Asked<TransactionPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let customer = self.customer(&by).await?;
        let period = match (page.from.as_deref(), page.to.as_deref()) {
            (None, None) => Period { from_ms: 0, to_ms: i64::MAX },
            said => days(said, (DAYS_MAX, DAYS_MAX))?,
        };
        let balance = match &page.balance_id {
            Some(id) => Some(Uuid::parse_str(id).map_err(|_other| Code::BalanceNotFound)?),
            None => None,
        };
        let card = match page.card_id {
            Some(card) => {
                let scope = Scope { partner: None, customer: Some(customer.id) };
                Some(self.card_in(scope, &CardPath { card }).await?.id)
            }
            None => None,
        };
        let before = match &page.after {
            Some(id) => {
                let row = self.transaction_row(id).await?;
                let row = row.filter(|row| row.customer_id == customer.id);
                row.map(|row| (row.at_ms, row.id)).ok_or(Code::TransactionNotFound)?
            }
            None => (i64::MAX, i64::MAX),
        };
        let as_of = instant(self.history.cursor().await?.at_ms);
        let limit_and_one = i64::from(limit) + 1;
        let (customer, limit_rows) = (customer.id, limit_and_one);
        let wish = TransactionWish { customer, period, balance, card, before, limit: limit_rows };
        let mut rows = self.history.transactions(&wish).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.shown_transaction(row).await?.seen_by(by.call.caller));
        }
        Ok(Answer::ok(&TransactionList { items, has_more, as_of })?.into_response())
    }

    /// One of a cardholder's transactions.
    pub async fn show_transaction(
        &self,
        by: CustomerCall,
        at: TransactionPath,
    ) -> Result<Response> {
        let row = self.transaction_of(&by, &at).await?;
        self.transaction_details(row, by.call.caller).await
    }

    /// A transaction of any of a partner's cardholders.
    pub async fn find_transaction(&self, by: Call, at: TransactionPath) -> Result<Response> {
        let row = self.transaction_in(by.caller.scope(), &at).await?;
        self.transaction_details(row, by.caller).await
    }

    /// One of a cardholder's transactions, as a row.
    pub(super) async fn transaction_of(
        &self,
        by: &CustomerCall,
        at: &TransactionPath,
    ) -> Result<TransactionRow> {
        let customer = self.customer(by).await?;
        self.transaction_in(Scope { partner: None, customer: Some(customer.id) }, at).await
    }

    /// A transaction within `scope`, as a row.
    pub(super) async fn transaction_in(
        &self,
        scope: Scope,
        at: &TransactionPath,
    ) -> Result<TransactionRow> {
        let row = self.transaction_row(&at.transaction).await?.ok_or(Code::TransactionNotFound)?;
        // Who has left may dispute a payment still.
        let holder = self.store.customer_flags(row.customer_id).await?;
        let is_seen = holder.is_some_and(|holder| {
            scope.partner.is_none_or(|partner| partner == holder.partner_id)
                && scope.customer.is_none_or(|customer| customer == holder.id)
        });
        if is_seen { Ok(row) } else { Err(Code::TransactionNotFound.into()) }
    }

    /// Forgets what is older than it is kept.
    pub(crate) async fn sweep_history(&self) -> Result<u64> {
        let kept_ms = i64::from(self.config.history_days) * 86_400_000;
        let (mut dropped, before_ms) = (0, clock::now_millis() - kept_ms);
        for _part in 0..SWEPT_PARTS_MAX {
            let part = self.history.drop_history(before_ms).await?;
            dropped += part;
            if part == 0 {
                break;
            }
        }
        Ok(dropped)
    }

    async fn transaction_row(&self, id: &str) -> Result<Option<TransactionRow>> {
        let Ok(id) = Uuid::parse_str(id) else { return Ok(None) };
        if let Name::Number { id, at_ms } = Name::of(id) {
            let row = self.history.transaction(Some(id), None).await?;
            let row = row.filter(|row| row.at_ms == at_ms && row.command_id.is_none());
            if row.is_some() {
                return Ok(row);
            }
        }
        // Commands have ids of any version.
        Ok(self.history.transaction(None, Some(id)).await?)
    }

    async fn transaction_details(&self, row: TransactionRow, caller: Caller) -> Result<Response> {
        let as_of = instant(self.history.cursor().await?.at_ms);
        let steps = self.history.steps(row.id).await?;
        let explanation = reason(&row).sentence();
        let transaction = self.shown_transaction(row).await?.seen_by(caller);
        let steps = steps.into_iter().map(ShownStep::from).collect();
        let details = TransactionDetails { transaction, explanation, steps, as_of };
        Ok(Answer::ok(&details)?.into_response())
    }
}
