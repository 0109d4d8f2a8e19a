//! POST cards/{cardId}/lock and /unlock. Source: requirements #97-#100.
//!
//! Invariant: 204 leaves after the switch has the lock durably: what comes after it is declined.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::lock_code::{LockCode, LockSource};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, Body, CardPath, Nothing, card_id, check_text, command_id};
use crate::answer::Answer;
use crate::call::{Caller, CustomerCall};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::event_feed::state_after;
use crate::vault::Purpose;

/// Characters of a comment at most.
const COMMENT_CHARS_MAX: usize = 256;

/// The body of a lock.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRequest {
    reason: u8,
    comment: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    request: Uuid,
    card: i64,
}

impl App {
    /// Locks a card.
    pub async fn lock_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        body: Body<LockRequest>,
    ) -> Result<Response> {
        let LockRequest { reason, comment } = body.content;
        let code = LockCode::from_number(reason).ok_or_else(|| {
            Error::fault(Code::InvalidRequest, "reason", "must be a lock code from 1 to 8")
        })?;
        if let Some(comment) = &comment {
            check_text("comment", comment, COMMENT_CHARS_MAX)?;
        }
        let draw = || self.draw_lock(&by, &at);
        let carry_out = async |plan: Plan| {
            let (card, source) = (card_id(plan.card), by.call.caller.lock_source());
            let change = match self.touched_by(&by, &at).await? {
                Some(over) => Change::LockByHolder { card, lock: Some(code), over },
                None => Change::LockCard { card, code, source },
            };
            self.carry_out_lock(plan, (code, comment), change).await
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// Lifts a card's lock.
    pub async fn unlock_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = || self.draw_lock(&by, &at);
        let carry_out = async |plan: Plan| {
            self.store
                .insert_lock_request(plan.request, plan.card, None, clock::now_millis())
                .await?;
            let card = card_id(plan.card);
            let change = match self.touched_by(&by, &at).await? {
                Some(over) => Change::LockByHolder { card, lock: None, over },
                None => Change::UnlockCard(card),
            };
            self.change_lock(plan.request, change).await
        };
        self.once(&by.call, hash, draw, carry_out).await
    }

    async fn draw_lock(&self, by: &CustomerCall, at: &CardPath) -> Result<Plan> {
        let card = self.card_at(by, at).await?.id;
        Ok(Plan { request: Uuid::now_v7(), card })
    }

    /// Whose locks a cardholder may touch; others touch anybody's.
    async fn touched_by(
        &self,
        by: &CustomerCall,
        at: &CardPath,
    ) -> Result<Option<Vec<LockSource>>> {
        match by.call.caller {
            Caller::Customer(_) => {
                let config = self.card_at(by, at).await?.config_id;
                Ok(Some(self.program_of(&config).await?.lifted_by_holders()))
            }
            Caller::Partner(_) | Caller::Operator(_) | Caller::Processor(_) => Ok(None),
        }
    }

    async fn carry_out_lock(
        &self,
        plan: Plan,
        (code, comment): (LockCode, Option<String>),
        change: Change,
    ) -> Result<Answer> {
        let row = format!("lock {}", plan.request);
        let seal =
            |text: String| self.vault.seal(Purpose::PersonalData, row.as_bytes(), text.as_bytes());
        let comment = comment.map(seal).transpose()?;
        let lock = Some((code.number(), comment.as_deref()));
        self.store.insert_lock_request(plan.request, plan.card, lock, clock::now_millis()).await?;
        self.change_lock(plan.request, change).await
    }

    pub(super) async fn change_lock(&self, request: Uuid, change: Change) -> Result<Answer> {
        let outcome = self.link.change(command_id(request), change).await?;
        self.store.settle_lock_request(request, state_after(&outcome)).await?;
        outcome.result?;
        Ok(Answer::no_content())
    }
}
