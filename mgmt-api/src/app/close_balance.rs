//! DELETE /secure/customers/{id}/balances/{balanceId}. Source: requirements #33.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::ids::{BalanceId, CommandId};
use uuid::Uuid;

use super::{App, BalancePath, Nothing, command_id};
use crate::answer::Answer;
use crate::call::{CustomerCall, Scope};
use crate::error::{Code, Result};

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    balance: Uuid,
    #[serde(default)]
    partner: i64,
}

impl App {
    /// Closes a balance on which nothing is booked or held.
    pub async fn close_balance(
        &self,
        by: CustomerCall,
        at: BalancePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = || async {
            let customer = self.customer(&by).await?;
            let balance = self.balance(&customer, &at.balance).await?.id;
            Ok(Plan { command: Uuid::now_v7(), balance, partner: customer.partner_id })
        };
        self.once(&by.call, hash, draw, |plan| self.carry_out_close(plan)).await
    }

    async fn carry_out_close(&self, plan: Plan) -> Result<Answer> {
        let row = self.store.balance_in(Scope::default(), plan.balance).await?;
        if let Some(row) = row.filter(|row| row.entrusted == 1)
            && self.partner_amount(plan.partner, &row).await? != 0
        {
            return Err(Code::BalanceNotEmpty.into());
        }
        self.close_at_switch(plan.balance, command_id(plan.command)).await?;
        Ok(Answer::no_content())
    }

    /// Closes a balance; where its partner keeps the money, the history tells it. Doing it again
    /// changes nothing.
    pub(crate) async fn close_at_switch(&self, balance: Uuid, command: CommandId) -> Result<()> {
        let change = Change::CloseBalance(BalanceId(balance.as_u128()));
        self.link.change(command, change).await?.result?;
        Ok(self.store.close_balance(balance).await?)
    }
}
