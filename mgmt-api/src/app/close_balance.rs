//! DELETE /secure/customers/{id}/balances/{balanceId}. Source: requirements #33.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::ids::BalanceId;
use uuid::Uuid;

use super::{App, BalancePath, Nothing, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::Result;

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    balance: Uuid,
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
            let balance = self.balance_at(&by, &at).await?.id;
            Ok(Plan { command: Uuid::now_v7(), balance })
        };
        self.once(&by.call, hash, draw, |plan| self.carry_out_close(plan)).await
    }

    async fn carry_out_close(&self, plan: Plan) -> Result<Answer> {
        let change = Change::CloseBalance(BalanceId(plan.balance.as_u128()));
        self.link.change(command_id(plan.command), change).await?.result?;
        self.store.close_balance(plan.balance).await?;
        Ok(Answer::no_content())
    }
}
