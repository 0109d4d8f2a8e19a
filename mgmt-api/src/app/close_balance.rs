//! DELETE /secure/customers/{id}/balances/{balanceId}. Source: requirements #33.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::ids::BalanceId;
use uuid::Uuid;

use super::{App, BalancePath, command_id};
use crate::answer::Answer;
use crate::auth::client_cert::SecureCall;
use crate::error::Result;
use crate::idempotency::ContentHash;

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    balance: Uuid,
}

impl App {
    /// Closes a balance on which nothing is booked or held.
    pub async fn close_balance(&self, by: &SecureCall, at: &BalancePath) -> Result<Response> {
        let draw = || async {
            let balance = self.balance_at(by, at).await?.id;
            Ok(Plan { command: Uuid::now_v7(), balance })
        };
        let nothing = ContentHash(self.vault.fingerprint(&[]));
        self.once(&by.call, nothing, draw, |plan| self.carry_out_close(plan)).await
    }

    async fn carry_out_close(&self, plan: Plan) -> Result<Answer> {
        let change = Change::CloseBalance(BalanceId(plan.balance.as_u128()));
        self.link.change(command_id(plan.command), change).await?.result?;
        self.store.close_balance(plan.balance).await?;
        Ok(Answer::no_content())
    }
}
