//! GET cards: one or a page of a cardholder's, without their numbers. Source: requirements #40.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::control::{CardView, Query, View};
use utoipa::ToSchema;
use uuid::Uuid;

use super::show_balance::ShownCard;
use super::{App, Asked, CardPath, card_id, page_limit};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Result};
use crate::store::{CardRow, lock_source_name};

/// Which part of the cards is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardPage {
    limit: Option<u8>,
    after: Option<i64>,
}

/// A page of cards, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardList {
    items: Vec<CardDetails>,
    has_more: bool,
}

/// A card without its number.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardDetails {
    #[serde(flatten)]
    card: ShownCard,
    balance_id: Uuid,
    config_id: String,
    locked_by: Option<&'static str>,
    locked_since: Option<String>,
}

impl App {
    /// A card as the switch has it now.
    pub async fn show_card(&self, by: CustomerCall, at: CardPath) -> Result<Response> {
        let row = self.card_at(&by, &at).await?;
        Ok(Answer::ok(&self.shown_card(row).await?)?.into_response())
    }

    /// A page of a cardholder's cards, oldest first.
    pub async fn list_cards(
        &self,
        by: CustomerCall,
        Asked(page): Asked<CardPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let customer = self.customer(&by).await?;
        let after = page.after.unwrap_or_default();
        let mut rows = self.store.cards(customer.id, after, i64::from(limit) + 1).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let card = self.shown_card(row).await?;
            // It is the holder's when it is linked. Source: requirements #110.
            if card.card.state != CardState::Ordered.name() {
                items.push(card);
            }
        }
        Ok(Answer::ok(&CardList { items, has_more })?.into_response())
    }

    async fn shown_card(&self, row: CardRow) -> Result<CardDetails> {
        let view = self.card_view(row.id).await?;
        Ok(CardDetails {
            balance_id: row.balance_id,
            config_id: row.config_id.clone(),
            locked_by: view.lock.map(|lock| lock_source_name(lock.source)),
            locked_since: view.lock.map(|lock| clock::rfc3339(lock.since)),
            card: ShownCard::new(row, &view),
        })
    }

    /// A card as the switch has it now.
    pub(crate) async fn card_view(&self, id: i64) -> Result<CardView> {
        let view = self.link.view(Query::Card(card_id(id)), View::into_card).await?;
        view.ok_or_else(|| Code::CardNotFound.into())
    }
}
