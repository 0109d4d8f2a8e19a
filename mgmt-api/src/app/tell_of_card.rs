//! What partners are told of cards that take time: issued in the background, or made by the bureau.
//! Source: requirements #95, #110.
//!
//! Invariant: each is told once, whatever stops in between: its origin is what it comes of.

use serde::Serialize;
use uuid::Uuid;

use super::{App, instant};
use crate::clock;
use crate::error::Result;
use crate::notices::{CARD, News};
use crate::store::NewNotice;

/// What is told where the bureau could not make the plastic.
const NOT_MADE: &str = "PERSONALISATION_FAILED";

/// What happened to a card.
#[derive(Clone, Copy)]
pub(super) enum CardEvent<'a> {
    /// It was issued in the background.
    Created { operation: Uuid, card: i64 },
    /// It could not be.
    Failed { operation: Uuid, code: &'a str },
    /// Its plastic was made: its holder may activate it.
    Linked { order: Uuid, card: i64 },
    /// Its plastic could not be made.
    NotMade { order: Uuid, card: i64 },
}

/// What a notice says of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CardNotice<'a> {
    event: &'static str,
    /// Of `…/cards/virtual/async`.
    operation_id: Option<Uuid>,
    /// Of `…/cards/physical`.
    order_id: Option<Uuid>,
    user_id: String,
    balance_id: Option<Uuid>,
    card_id: Option<String>,
    /// The code that it failed with.
    error: Option<&'a str>,
    date: String,
}

impl App {
    /// The notice of what happened to a customer's card, if its partner wants to be told.
    pub(super) async fn card_notice(
        &self,
        event: CardEvent<'_>,
        customer: i64,
        balance_id: Option<Uuid>,
    ) -> Result<Option<NewNotice>> {
        let partner = self.store.partner_of_customer(customer).await?;
        let told = self.store.partners_told_of(CARD).await?;
        let Some(partner) = partner.filter(|partner| told.contains(partner)) else {
            return Ok(None);
        };
        let (name, card, error) = match event {
            CardEvent::Created { card, .. } => ("card.created", Some(card), None),
            CardEvent::Failed { code, .. } => ("card.failed", None, Some(code)),
            CardEvent::Linked { card, .. } => ("card.linked", Some(card), None),
            CardEvent::NotMade { card, .. } => ("card.failed", Some(card), Some(NOT_MADE)),
        };
        let (operation_id, order_id) = match event {
            CardEvent::Created { operation, .. } | CardEvent::Failed { operation, .. } => {
                (Some(operation), None)
            }
            CardEvent::Linked { order, .. } | CardEvent::NotMade { order, .. } => {
                (None, Some(order))
            }
        };
        let at_ms = clock::now_millis();
        let content = serde_json::to_vec(&CardNotice {
            event: name,
            operation_id,
            order_id,
            user_id: customer.to_string(),
            balance_id,
            card_id: card.map(|card| card.to_string()),
            error,
            date: instant(at_ms),
        })?;
        let of = operation_id.or(order_id).unwrap_or_default();
        let origin = format!("{name} {of}");
        // One after the other with what else is told of the card.
        let subject = card.map_or_else(|| origin.clone(), |card| format!("card {card}"));
        let news = News { origin, partner, kind: CARD, subject, at_ms };
        Ok(Some(news.saying(&self.vault, &content)?))
    }
}
