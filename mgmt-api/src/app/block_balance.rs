//! POST balances/{balanceId}/block and /unblock: meanwhile nothing is taken out of a balance. Source:
//! requirements #28.
//!
//! Invariant: 204 leaves after the switch has the block durably: what comes after it is declined.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::ids::BalanceId;
use uuid::Uuid;

use super::{App, BalancePath, Nothing, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::Result;
use crate::idempotency::ContentHash;

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    balance: Uuid,
}

impl App {
    /// Blocks a balance.
    pub async fn block_balance(
        &self,
        by: CustomerCall,
        at: BalancePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        self.set_blocked(&by, &at, hash, true).await
    }

    /// Lifts the block of a balance.
    pub async fn unblock_balance(
        &self,
        by: CustomerCall,
        at: BalancePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        self.set_blocked(&by, &at, hash, false).await
    }

    async fn set_blocked(
        &self,
        by: &CustomerCall,
        at: &BalancePath,
        hash: ContentHash,
        blocked: bool,
    ) -> Result<Response> {
        let draw = || async {
            let (_, row) = self.customer_and_balance(by, at).await?;
            Ok(Plan { command: Uuid::now_v7(), balance: row.id })
        };
        let carry_out = async |plan: Plan| {
            let balance = BalanceId(plan.balance.as_u128());
            let change = Change::BlockBalance { balance, blocked };
            self.link.change(command_id(plan.command), change).await?.result?;
            Ok(Answer::no_content())
        };
        self.once(&by.call, hash, draw, carry_out).await
    }
}
