//! POST /secure/customers/{id}/balances: opens a balance. Source: requirements #77.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::control::Refusal;
use shared::ids::BalanceId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, Body, command_id, currency, currency_of_row, customer_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Result};
use crate::event_feed::state_after;
use crate::store::BalanceRow;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBalance {
    currency: String,
    /// A program for whose cards it is, which says how its IBAN begins. Where the money of its
    /// holders is with the partner, the balance is linked there; without, where that is so of all
    /// programs in the currency.
    #[serde(default)]
    config_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    balance: Uuid,
    customer: i64,
    partner: i64,
    currency: i64,
    #[serde(default)]
    entrusted: bool,
    #[serde(default)]
    config: Option<String>,
}

/// A balance that was opened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenedBalance {
    balance_id: Uuid,
    currency: String,
    amount: i64,
}

impl App {
    /// Opens a balance at zero; the switch has it before the answer.
    pub async fn open_balance(&self, by: CustomerCall, body: Body<NewBalance>) -> Result<Response> {
        let currency = currency(&body.content.currency)?;
        let draw = || async {
            let customer = self.customer(&by).await?;
            if !customer.is_verified() {
                return Err(Code::KycNotVerified.into());
            }
            let currency = i64::from(currency.0);
            let (customer, partner) = (customer.id, customer.partner_id);
            let config = body.content.config_id.clone();
            let entrusted = self.is_entrusted(partner, currency, config.as_deref()).await?;
            Ok(Plan { balance: Uuid::now_v7(), customer, partner, currency, entrusted, config })
        };
        self.once(&by.call, body.hash, draw, |plan| self.carry_out_open(plan)).await
    }

    async fn carry_out_open(&self, plan: Plan) -> Result<Answer> {
        let Plan { balance, customer, currency, entrusted, partner, config } = plan;
        let row = BalanceRow {
            id: balance,
            customer_id: customer,
            currency,
            entrusted: 0,
            opened_for: config,
        };
        self.open_at_switch(partner, &row, entrusted, row.id).await?;
        let currency = currency_of_row(currency).to_string();
        Answer::created(&OpenedBalance { balance_id: balance, currency, amount: 0 })
    }

    /// Opens a balance here, and at the partner where that keeps its money. Doing it again under
    /// the same `attempt` changes nothing.
    pub(crate) async fn open_at_switch(
        &self,
        partner: i64,
        row: &BalanceRow,
        entrusted: bool,
        attempt: Uuid,
    ) -> Result<()> {
        if entrusted {
            // A balance that the partner does not take is not opened. Source: requirements #143.
            self.link_balance(partner, row, attempt).await?;
        }
        self.store.insert_balance(row, clock::now_millis()).await?;
        let change = Change::OpenBalance {
            id: BalanceId(row.id.as_u128()),
            customer: customer_id(row.customer_id),
            currency: currency_of_row(row.currency),
        };
        let mut outcome = self.link.change(command_id(attempt), change).await?;
        if outcome.result == Err(Refusal::IdTaken) {
            // An attempt before this one opened it.
            outcome.result = Ok(());
        }
        if entrusted && outcome.result.is_ok() {
            self.entrust_at_switch(row, attempt).await?;
        }
        self.store.settle_balance(row.id, state_after(&outcome)).await?;
        if entrusted && outcome.result.is_err() {
            self.unlink_balance(partner, row, attempt).await?;
        }
        outcome.result?;
        self.give_iban(partner, row).await
    }

    /// Whether the partner keeps the money of a balance: as the program does that is named, or all
    /// of its programs in the currency.
    pub(crate) async fn is_entrusted(
        &self,
        partner: i64,
        currency: i64,
        config: Option<&str>,
    ) -> Result<bool> {
        let programs = self.store.programs(Some(partner)).await?;
        let mut programs = programs.iter().filter(|program| program.currency == currency);
        match config {
            Some(config) => {
                let program = programs.find(|program| program.config_id == config);
                Ok(program.ok_or(Code::ConfigNotFound)?.answer_ms.is_some())
            }
            None => {
                let first = programs.next().is_some_and(|program| program.answer_ms.is_some());
                Ok(first && programs.all(|program| program.answer_ms.is_some()))
            }
        }
    }
}
