//! Reloads of a partner balance by two operators: one asks, another books or refuses. Source:
//! requirements #87.
//!
//! Invariants: whoever asks does not decide; what is decided is decided once; it is booked under the
//! request's own id, so once.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::money::{Amount, Money};
use utoipa::ToSchema;
use uuid::Uuid;

use super::move_money::Asked as AskedMovement;
use super::{
    App, Asked, Body, Credit, Nothing, Page, PartnerBalancePath, ReloadPath, currency_of_row,
    instant, page_limit,
};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Result};
use crate::store::{Movement, ReloadRequestRow};

/// A reload that was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedReload {
    reload_id: Uuid,
    balance_id: Uuid,
    amount: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// PENDING, CONFIRMED, REFUSED.
    state: String,
    /// Who asked: `operator:` and a number.
    requested_by: String,
    date: String,
}

/// A page of reloads that wait, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedReloadList {
    items: Vec<AskedReload>,
    has_more: bool,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    id: Uuid,
    balance: Uuid,
}

impl From<ReloadRequestRow> for AskedReload {
    fn from(row: ReloadRequestRow) -> Self {
        Self {
            reload_id: row.id,
            balance_id: row.partner_balance_id,
            amount: row.amount,
            currency: currency_of_row(row.currency).to_string(),
            external_id: row.external_id,
            state: row.state,
            requested_by: row.requested_by,
            date: instant(row.created_at_ms),
        }
    }
}

impl App {
    /// Asks for a reload that another operator books.
    pub async fn ask_reload(
        &self,
        by: Call,
        at: PartnerBalancePath,
        body: Body<Credit>,
    ) -> Result<Response> {
        let credit = body.content;
        let money = credit.check()?;
        let draw = async || {
            let balance = self.partner_balance(&by, &at).await?;
            if balance.currency != i64::from(money.currency.0) {
                return Err(Code::CurrencyMismatch.into());
            }
            Ok(Plan { id: Uuid::now_v7(), balance: balance.id })
        };
        let requested_by = by.caller.name();
        let carry_out = async |Plan { id, balance }: Plan| {
            let row = ReloadRequestRow {
                id,
                partner_balance_id: balance,
                amount: money.amount.0,
                currency: i64::from(money.currency.0),
                external_id: credit.external_id().map(str::to_owned),
                description_sealed: self.sealed_words(id, &credit)?,
                state: "PENDING".to_owned(),
                requested_by,
                decided_by: None,
                created_at_ms: clock::now_millis(),
            };
            self.store.insert_reload_request(&row).await?;
            Answer::accepted(&AskedReload::from(row))
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// A page of reloads that wait, oldest first.
    pub async fn list_asked_reloads(&self, by: Call, Asked(page): Asked<Page>) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let (scope, after) = (by.caller.scope(), page.after.unwrap_or(Uuid::nil()));
        let asked = i64::from(limit) + 1;
        let mut rows = self.store.pending_reload_requests(scope, after, asked).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let items = rows.into_iter().map(AskedReload::from).collect();
        Ok(Answer::ok(&AskedReloadList { items, has_more })?.into_response())
    }

    /// Books a reload that another operator asked for.
    pub async fn confirm_reload(
        &self,
        by: Call,
        at: ReloadPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || Ok(self.asked_reload(&by, &at).await?.id);
        let carry_out = async |id: Uuid| {
            let row = self.decided_reload(&by, id, "CONFIRMED").await?;
            let asked = AskedMovement {
                id,
                movement: Movement::Reload(row.partner_balance_id),
                money: Money {
                    amount: Amount(row.amount),
                    currency: currency_of_row(row.currency),
                },
                charge: None,
                external_id: row.external_id,
                description_sealed: row.description_sealed,
            };
            self.carry_out_movement(asked).await
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Refuses a reload that another operator asked for.
    pub async fn refuse_reload(
        &self,
        by: Call,
        at: ReloadPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || Ok(self.asked_reload(&by, &at).await?.id);
        let carry_out = async |id: Uuid| {
            self.decided_reload(&by, id, "REFUSED").await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, draw, carry_out).await
    }

    async fn asked_reload(&self, by: &Call, at: &ReloadPath) -> Result<ReloadRequestRow> {
        let id = Uuid::parse_str(&at.reload).map_err(|_other| Code::ReloadNotFound)?;
        let row = self.store.reload_request(by.caller.scope(), id).await?;
        row.ok_or_else(|| Code::ReloadNotFound.into())
    }

    /// The request, decided as asked for, now or before by the same operator.
    async fn decided_reload(&self, by: &Call, id: Uuid, state: &str) -> Result<ReloadRequestRow> {
        let name = by.caller.name();
        self.store.decide_reload_request(id, state, &name, clock::now_millis()).await?;
        let row = self.store.reload_request(by.caller.scope(), id).await?;
        let row = row.ok_or(Code::ReloadNotFound)?;
        if row.requested_by == name {
            return Err(Code::SecondPersonRequired.into());
        }
        if row.state != state || row.decided_by.as_deref() != Some(&name) {
            return Err(Code::ReloadDecided.into());
        }
        Ok(row)
    }
}
