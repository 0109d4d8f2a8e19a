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
use crate::call::{Caller, CustomerCall};
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

impl CardDetails {
    fn is_ordered(&self) -> bool {
        self.card.state == CardState::Ordered.name()
    }
}

impl App {
    /// A card as the switch has it now.
    pub async fn show_card(&self, by: CustomerCall, at: CardPath) -> Result<Response> {
        let row = self.card_at(&by, &at).await?;
        let shown = self.shown_card(row).await?;
        // It is its holder's when it is linked. Source: requirements #110.
        if shown.is_ordered() && !matches!(by.call.caller, Caller::Operator(_)) {
            return Err(Code::CardNotFound.into());
        }
        Ok(Answer::ok(&shown)?.into_response())
    }

    /// A page of a cardholder's cards, oldest first.
    pub async fn list_cards(
        &self,
        by: CustomerCall,
        Asked(page): Asked<CardPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let customer = self.customer(&by).await?;
        let mut after = page.after.unwrap_or_default();
        let limit = usize::from(limit);
        let mut items = Vec::with_capacity(limit + 1);
        // Those that are ordered are passed over, so that a page is full where there is more.
        while items.len() <= limit {
            let wanted = i64::try_from(limit + 1 - items.len()).unwrap_or_default();
            let rows = self.store.cards(customer.id, after, wanted).await?;
            let is_last = i64::try_from(rows.len()).unwrap_or_default() < wanted;
            after = rows.last().map_or(after, |row| row.id);
            for row in rows {
                let card = self.shown_card(row).await?;
                if !card.is_ordered() {
                    items.push(card);
                }
            }
            if is_last {
                break;
            }
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
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
