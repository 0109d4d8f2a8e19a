//! POST cards/{cardId}/cvv/reset: another CVC2 for the same number and expiry. Source:
//! requirements #106, security 4.2.
//!
//! Invariant: the answer leaves after the switch has the generation durably: the value before it
//! is wrong from then on.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::command::Change;
use shared::control::Refusal;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, CardPath, Nothing, card_id, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Result};

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    card: i64,
    generation: u16,
}

/// The CVC2 that is valid from now on.
#[derive(Serialize, ToSchema)]
pub struct NewCvc2<'a> {
    cvc2: &'a str,
}

impl App {
    /// Makes another CVC2 valid for a virtual or digital first card, where it is verified here.
    pub async fn reset_cvc2(
        &self,
        by: CustomerCall,
        at: CardPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = || async {
            let row = self.card_at(&by, &at).await?;
            let program = self.program_of(&row.config_id).await?;
            if !program.kind()?.has_cvc2_reset() || program.network_verifies != 0 {
                return Err(Code::FeatureNotEnabled.into());
            }
            let view = self.card_view(row.id).await?;
            if view.state == CardState::Removed {
                return Err(Code::CardStateForbidden.into());
            }
            let pan = self.card_number(row.id).await?;
            let next = self.vault.next_generation(&pan, view.expiry, view.cvv2_generation)?;
            let generation = next.ok_or(Code::TooManyResets)?;
            Ok(Plan { command: Uuid::now_v7(), card: row.id, generation })
        };
        let carry_out = async |plan: Plan| {
            let Plan { command, card, generation } = plan;
            let change = Change::ResetCvv2 { card: card_id(card), generation };
            match self.link.change(command_id(command), change).await?.result {
                Ok(()) => {}
                Err(Refusal::NotLater) => return Err(Code::ConcurrentChange.into()),
                Err(refusal) => return Err(refusal.into()),
            }
            let (pan, view) = (self.card_number(card).await?, self.card_view(card).await?);
            Answer::ok(&NewCvc2 { cvc2: &self.vault.cvc2(&pan, view.expiry, generation)? })
        };
        self.once(&by.call, hash, draw, carry_out).await
    }
}
