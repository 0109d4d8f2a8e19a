//! POST balances/{balanceId}/block and /unblock: meanwhile nothing is taken out of a balance. Source:
//! requirements #28.
//!
//! Invariants: 204 leaves after the switch has the block durably: what comes after it is declined; an
//! operator's block is lifted by operators alone.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::control::Refusal;
use shared::ids::BalanceId;
use uuid::Uuid;

use super::{App, BalancePath, Nothing, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Result};
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
            let source = by.call.caller.lock_source();
            let change = Change::BlockBalance { balance, blocked, source };
            match self.link.change(command_id(plan.command), change).await?.result {
                Ok(()) => Ok(Answer::no_content()),
                Err(Refusal::LockedByOther) => Err(Code::BlockedByOther.into()),
                Err(refusal) => Err(refusal.into()),
            }
        };
        self.once(&by.call, hash, draw, carry_out).await
    }
}
