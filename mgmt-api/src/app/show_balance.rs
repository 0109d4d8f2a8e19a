//! GET balances: amounts live from the switch, card names from SQL. Source: requirements #79.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::control::{BalanceView, CardView, Query, View};
use shared::ids::BalanceId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, Asked, BalancePath, card_id, page_limit};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Result};
use crate::store::{BalanceRow, CardRow, lock_source_name};

/// Which part of a list is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub(super) limit: Option<u8>,
    pub(super) after: Option<Uuid>,
}

/// A page of balances, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BalanceList {
    items: Vec<ShownBalance>,
    has_more: bool,
}

/// A balance as it is now; amounts in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownBalance {
    balance_id: Uuid,
    currency: String,
    amount: i64,
    available: i64,
    held: i64,
    /// What is owed for fees: it is taken from what comes in next.
    owed: i64,
    /// Who keeps the money: ISSUER, or PARTNER, of whose books amount and available are.
    custody: &'static str,
    /// OPEN, or BLOCKED: nothing is taken out of it.
    state: &'static str,
    /// Who blocked it.
    blocked_by: Option<&'static str>,
    /// Those that were not removed.
    cards: Vec<ShownCard>,
}

/// A card as every answer but the first shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownCard {
    id: String,
    resource_id: Uuid,
    last_four_digits: String,
    exp_date: String,
    pub(crate) state: &'static str,
    lock: Option<u8>,
}

impl ShownCard {
    pub(crate) fn new(row: CardRow, view: &CardView) -> Self {
        Self {
            id: row.id.to_string(),
            resource_id: row.resource_id,
            last_four_digits: row.last_four,
            exp_date: view.expiry.to_string(),
            state: view.state.name(),
            lock: view.lock.map(|lock| lock.code.number()),
        }
    }
}

impl App {
    /// One balance and its cards.
    pub async fn show_balance(&self, by: CustomerCall, at: BalancePath) -> Result<Response> {
        let (customer, row) = self.customer_and_balance(&by, &at).await?;
        let elsewhere = match row.entrusted {
            1 => Some(self.partner_amount(customer.partner_id, &row).await?),
            _ => None,
        };
        Ok(Answer::ok(&self.shown(row, elsewhere).await?)?.into_response())
    }

    /// A page of a customer's balances, oldest first.
    pub async fn list_balances(
        &self,
        by: CustomerCall,
        Asked(page): Asked<Page>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let customer = self.customer(&by).await?;
        let after = page.after.unwrap_or(Uuid::nil());
        let mut rows = self.store.balances(customer.id, after, i64::from(limit) + 1).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let elsewhere = match rows.iter().any(|row| row.entrusted == 1) {
            true => Some(self.partner_amounts(customer.partner_id, customer.id).await?),
            false => None,
        };
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let there = elsewhere.as_ref().filter(|_| row.entrusted == 1);
            let amount = there.map(|there| there.amount(&row)).transpose()?;
            items.push(self.shown(row, amount).await?);
        }
        Ok(Answer::ok(&BalanceList { items, has_more })?.into_response())
    }

    /// A balance; `elsewhere` is what the partner has on it that keeps its money.
    async fn shown(&self, row: BalanceRow, elsewhere: Option<i64>) -> Result<ShownBalance> {
        let view = self.balance_view(row.id).await?;
        let rows = self.store.cards_of_balance(row.id).await?;
        let cards = rows.into_iter().filter_map(|row| {
            let mut linked = view.cards.iter().filter(|view| view.state != CardState::Ordered);
            let view = linked.find(|view| view.id == card_id(row.id))?;
            Some(ShownCard::new(row, view))
        });
        Ok(ShownBalance {
            balance_id: row.id,
            currency: view.currency.to_string(),
            amount: elsewhere.unwrap_or(view.ledger.0),
            available: elsewhere.unwrap_or(view.ledger.0.saturating_sub(view.held.0)),
            held: view.held.0,
            owed: view.owed.0,
            custody: if elsewhere.is_some() { "PARTNER" } else { "ISSUER" },
            state: if view.blocked.is_some() { "BLOCKED" } else { "OPEN" },
            blocked_by: view.blocked.map(lock_source_name),
            cards: cards.collect(),
        })
    }

    pub(crate) async fn balance_view(&self, id: Uuid) -> Result<BalanceView> {
        let query = Query::Balance(BalanceId(id.as_u128()));
        let view = self.link.view(query, View::into_balance).await?;
        view.ok_or_else(|| Code::BalanceNotFound.into())
    }
}
