//! POST cards/{cardId}/renew and /replace: a later month for a card, or another card in its place.
//! Source: requirements #116.
//!
//! Invariants: a replacement is there before the card that it replaces is locked for ever; what
//! limited that one limits it too.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::{CardState, YearMonth};
use shared::command::Change;
use shared::control::Refusal;
use shared::ids::CommandId;
use shared::lock_code::{LockCode, LockSource};
use utoipa::ToSchema;
use uuid::Uuid;

use super::issue_card::{NewlyDrawn, VIRTUAL, Wish};
use super::{App, CardPath, Nothing, card_id, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::CardKind;

/// A card is renewed in its last months, or after them.
const MONTHS_BEFORE: i32 = 3;

#[derive(Serialize, Deserialize)]
struct Renewal {
    command: Uuid,
    card: i64,
    resource: Uuid,
    last_four: String,
    expiry: YearMonth,
}

#[derive(Serialize, Deserialize)]
struct Replacement {
    new: NewlyDrawn,
    old: i64,
    lock: Uuid,
}

/// A card that was renewed, or issued in place of another.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardSummary<'a> {
    id: String,
    resource_id: Uuid,
    exp_date: String,
    last_four_digits: &'a str,
}

impl App {
    /// Gives a card another last month; its number stays, its CVC2 is another. What stands on
    /// plastic cannot change: in place of a physical card another one is ordered.
    pub async fn renew_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let row = self.card_at(&by, &at).await?;
        let program = self.program_of(&row.config_id).await?;
        let later = async || {
            let (view, now) = (self.card_view(row.id).await?, clock::now());
            if !matches!(view.state, CardState::Linked | CardState::Active) {
                return Err(Code::CardStateForbidden.into());
            }
            let expiry = program.expiry_from(now);
            let ends = YearMonth::of(now).plus_months(MONTHS_BEFORE);
            match expiry <= view.expiry || view.expiry > ends {
                true => Err(Code::RenewalTooEarly.into()),
                false => Ok::<_, Error>(expiry),
            }
        };
        if program.kind()? == CardKind::Physical {
            later().await?;
            return self.order_replacement(by, row, hash).await;
        }
        let draw = || async {
            let (command, expiry, last_four) =
                (Uuid::now_v7(), later().await?, row.last_four.clone());
            Ok(Renewal { command, card: row.id, resource: row.resource_id, last_four, expiry })
        };
        let carry_out = async |plan: Renewal| {
            let change = Change::RenewCard { card: card_id(plan.card), expiry: plan.expiry };
            match self.link.change(command_id(plan.command), change).await?.result {
                Ok(()) => {}
                Err(Refusal::NotLater) => return Err(Code::ConcurrentChange.into()),
                Err(refusal) => return Err(refusal.into()),
            }
            Answer::created(&CardSummary {
                id: plan.card.to_string(),
                resource_id: plan.resource,
                exp_date: plan.expiry.to_string(),
                last_four_digits: &plan.last_four,
            })
        };
        self.once(&by.call, hash, draw, carry_out).await
    }

    /// Issues another virtual card on the same balance, then locks the one before with code 8; one
    /// that is locked irreversibly keeps its lock. In place of a physical card another is ordered,
    /// and the one before can be used until that one is activated.
    pub async fn replace_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let row = self.card_at(&by, &at).await?;
        if self.program_of(&row.config_id).await?.kind()? == CardKind::Physical {
            return self.order_replacement(by, row, hash).await;
        }
        let draw = || async {
            if self.card_view(row.id).await?.state == CardState::Removed {
                return Err(Code::CardStateForbidden.into());
            }
            let (balance, config) = (row.balance_id.to_string(), row.config_id.clone());
            let wish = Wish { balance, config, kinds: VIRTUAL };
            let new = self.draw_card(&by, &wish).await?;
            Ok(Replacement { new, old: row.id, lock: Uuid::now_v7() })
        };
        let source = by.call.caller.lock_source();
        let carry_out = |plan| self.carry_out_replace(plan, source);
        self.once(&by.call, hash, draw, carry_out).await
    }

    async fn carry_out_replace(&self, plan: Replacement, source: LockSource) -> Result<Answer> {
        let issued = self.issue_drawn(&plan.new).await?;
        self.take_limits_along((plan.old, issued.card), plan.lock).await?;
        self.lock_replaced(plan.old, command_id(plan.lock), source).await?;
        Answer::created(&CardSummary {
            id: issued.card.to_string(),
            resource_id: issued.resource,
            exp_date: issued.expiry.to_string(),
            last_four_digits: &issued.last_four,
        })
    }
    /// Locks a card in whose place there is another, unless it is locked for ever already.
    pub(super) async fn lock_replaced(
        &self,
        card: i64,
        command: CommandId,
        source: LockSource,
    ) -> Result<()> {
        let change = Change::LockCard { card: card_id(card), code: LockCode::Replaced, source };
        match self.link.change(command, change).await?.result {
            Ok(()) | Err(Refusal::LockedIrreversibly) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
