//! POST /secure/customers/{id}/balances: opens a balance. Source: requirements #77.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
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
#[serde(deny_unknown_fields)]
pub struct NewBalance {
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    balance: Uuid,
    customer: i64,
    partner: i64,
    currency: i64,
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
            Ok(Plan { balance: Uuid::now_v7(), customer, partner, currency })
        };
        self.once(&by.call, body.hash, draw, |plan| self.carry_out_open(plan)).await
    }

    async fn carry_out_open(&self, plan: Plan) -> Result<Answer> {
        let row =
            BalanceRow { id: plan.balance, customer_id: plan.customer, currency: plan.currency };
        self.store.insert_balance(&row, clock::now_millis()).await?;
        let currency = currency_of_row(plan.currency);
        let change = Change::OpenBalance {
            id: BalanceId(plan.balance.as_u128()),
            customer: customer_id(plan.customer),
            currency,
        };
        let outcome = self.link.change(command_id(plan.balance), change).await?;
        self.store.settle_balance(plan.balance, state_after(&outcome)).await?;
        outcome.result?;
        self.give_iban(plan.partner, &row).await?;
        let currency = currency.to_string();
        Answer::created(&OpenedBalance { balance_id: plan.balance, currency, amount: 0 })
    }
}
