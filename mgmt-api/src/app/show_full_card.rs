//! GET cards/{cardId}/full: number, expiry and CVC2. Source: requirements #42, #43, #105.
//!
//! Invariants: it leaves inside a JWE only; a cardholder has given the wallet PIN a moment ago; the
//! CVC2 is computed for the answer.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::card::CardState;
use utoipa::ToSchema;

use super::{App, CardPath};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Result};

/// A card's full data.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FullCard<'a> {
    pan: &'a str,
    exp_date: String,
    cvc2: &'a str,
    cardholder: String,
}

impl App {
    /// A living card's full data.
    pub async fn show_full_card(&self, by: CustomerCall, at: CardPath) -> Result<Response> {
        by.check_stepped_up()?;
        let customer = self.customer(&by).await?;
        let row = self.card_at(&by, &at).await?;
        let view = self.card_view(row.id).await?;
        if view.state == CardState::Removed {
            return Err(Code::CardStateForbidden.into());
        }
        if view.state == CardState::Ordered {
            return Err(Code::CardNotLinked.into());
        }
        let pan = self.card_number(row.id).await?;
        let cvc2 = self.vault.cvc2(&pan, view.expiry, view.cvv2_generation)?;
        let full = FullCard {
            pan: &String::from_utf8_lossy(pan.expose()),
            exp_date: view.expiry.to_string(),
            cvc2: &cvc2,
            cardholder: self.full_name(customer.id).await?,
        };
        Ok(Answer::ok(&full)?.into_response())
    }
}
