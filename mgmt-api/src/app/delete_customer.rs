//! DELETE of a customer: cards are removed and balances closed, all of them or nothing. Source:
//! requirements #33, #66.
//!
//! Invariant: the customer is locked while its balances are looked at, so that no authorization
//! comes between; where one is not empty the lock is lifted again and nothing has changed.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::command::Change;
use uuid::Uuid;

use super::{App, Nothing, command_id, customer_id, derived_command};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Result};
use crate::store::BalanceRow;

/// Balances looked at at once.
const PAGE: i64 = 50;

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    customer: i64,
}

impl App {
    /// Deletes a customer whose balances are empty.
    pub async fn delete_customer(
        &self,
        by: CustomerCall,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = || async {
            let customer = self.customer(&by).await?.id;
            Ok(Plan { command: Uuid::new_v4(), customer })
        };
        self.once(&by.call, hash, draw, |plan| self.carry_out_delete(plan)).await
    }

    async fn carry_out_delete(&self, plan: Plan) -> Result<Answer> {
        let row = self.store.customer_flags(plan.customer).await?.ok_or(Code::UserNotFound)?;
        // Each run locks anew: one before may have been undone.
        self.put_flags(&plan, Uuid::now_v7(), (row.is_verified(), true)).await?;
        let balances = self.all_balances(plan.customer).await?;
        if let Err(refused) = self.close_all(&plan, &balances).await {
            let kept =
                [Code::BalanceNotEmpty, Code::PartnerUnavailable, Code::BalanceEndpointMissing];
            if kept.contains(&refused.code) {
                self.tell_customer(Uuid::now_v7(), row).await?;
            }
            return Err(refused);
        }
        self.put_flags(&plan, plan.command, (false, true)).await?;
        self.store.delete_customer(plan.customer, clock::now_millis()).await?;
        Ok(Answer::no_content())
    }

    async fn put_flags(&self, plan: &Plan, command: Uuid, flags: (bool, bool)) -> Result<()> {
        let (verified, aml_locked) = flags;
        let change = Change::PutCustomer { id: customer_id(plan.customer), verified, aml_locked };
        Ok(self.link.change(command_id(command), change).await?.result?)
    }

    /// Removes the cards of empty balances and closes them; nothing where one is not empty.
    async fn close_all(&self, plan: &Plan, balances: &[BalanceRow]) -> Result<()> {
        let partner = self.store.partner_of_customer(plan.customer).await?.unwrap_or_default();
        let mut views = Vec::with_capacity(balances.len());
        for balance in balances {
            let elsewhere = match balance.entrusted {
                1 => self.partner_amount(partner, balance).await?,
                _ => 0,
            };
            if elsewhere != 0 {
                return Err(Code::BalanceNotEmpty.into());
            }
            let view = self.balance_view(balance.id).await?;
            if view.ledger.0 != 0 || view.held.0 != 0 {
                return Err(Code::BalanceNotEmpty.into());
            }
            views.push(view);
        }
        for (balance, view) in balances.iter().zip(views) {
            for card in view.cards {
                let change = Change::SetCardState { card: card.id, state: CardState::Removed };
                let command = derived_command(plan.command, &format!("card {}", card.id));
                self.link.change(command, change).await?.result?;
            }
            let command = derived_command(plan.command, &format!("balance {}", balance.id));
            self.close_at_switch(balance.id, command).await?;
        }
        Ok(())
    }

    async fn all_balances(&self, customer: i64) -> Result<Vec<BalanceRow>> {
        let mut all: Vec<BalanceRow> = Vec::new();
        loop {
            let after = all.last().map_or(Uuid::nil(), |row| row.id);
            let page = self.store.balances(customer, after, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
