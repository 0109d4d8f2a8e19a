//! POST cards/{cardId}/activate and DELETE cards/{cardId}: a card's way through its life. Source:
//! requirements #104, #111, #188.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::command::Change;
use shared::control::Refusal;
use shared::lock_code::LockSource;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, CardPath, Nothing, Optional, card_id, command_id, derived_command};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::store::CardRow;

/// The body of an activation.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Activation {
    last_four_digits: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    card: i64,
}

impl App {
    /// Activates a card that is with its holder.
    pub async fn activate_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        Optional(body): Optional<Activation>,
    ) -> Result<Response> {
        let find = async || {
            let row = self.card_at(&by, &at).await?;
            match &body.content.last_four_digits {
                Some(digits) if *digits != row.last_four => {
                    let message = "are not those of this card";
                    Err(Error::fault(Code::InvalidRequest, "lastFourDigits", message))
                }
                Some(_) | None => Ok(row),
            }
        };
        self.move_card(&by.call, body.hash, CardState::Active, find).await
    }

    /// Removes a card for ever; what is open on it still clears.
    pub async fn remove_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let find = async || self.card_at(&by, &at).await;
        self.move_card(&by.call, hash, CardState::Removed, find).await
    }

    /// The same for a partner, who need not say whose card it is.
    pub async fn remove_partner_card(
        &self,
        by: Call,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let find = async || self.card_in(by.caller.scope(), &at).await;
        self.move_card(&by, hash, CardState::Removed, find).await
    }

    async fn move_card(
        &self,
        call: &Call,
        hash: ContentHash,
        state: CardState,
        find: impl AsyncFnOnce() -> Result<CardRow>,
    ) -> Result<Response> {
        let draw = || async { Ok(Plan { command: Uuid::now_v7(), card: find().await?.id }) };
        let source = call.caller.lock_source();
        let carry_out = async |plan: Plan| {
            if state == CardState::Active {
                self.end_replaced(&plan, source).await?;
            }
            let change = Change::SetCardState { card: card_id(plan.card), state };
            match self.link.change(command_id(plan.command), change).await?.result {
                Ok(()) => Ok(Answer::no_content()),
                Err(Refusal::CardStateForbidden { from: CardState::Ordered, .. }) => {
                    Err(Code::CardNotLinked.into())
                }
                Err(refusal) => Err(refusal.into()),
            }
        };
        self.once(call, hash, draw, carry_out).await
    }
    /// Locks the card in whose place this one was ordered, now that this one is with its holder: a
    /// crash between the two leaves one that can be activated still.
    async fn end_replaced(&self, plan: &Plan, source: LockSource) -> Result<()> {
        let Some(old) = self.store.replaced_by(plan.card).await? else { return Ok(()) };
        if self.card_view(plan.card).await?.state != CardState::Linked {
            return Ok(());
        }
        let command = derived_command(plan.command, "lock the card that is replaced");
        self.lock_replaced(old, command, source).await
    }
}
