//! GET /secure/customers/{id}/cards/{cardId}: a card without its number. Source: requirements #40.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::control::{CardView, Query, View};
use shared::lock_code::LockSource;
use uuid::Uuid;

use super::show_balance::ShownCard;
use super::{App, CardPath, card_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Result};
use crate::switch_link::LinkError;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
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
        let view = self.card_view(row.id).await?;
        let shown = Shown {
            balance_id: row.balance_id,
            config_id: row.config_id.clone(),
            locked_by: view.lock.map(|lock| source_name(lock.source)),
            locked_since: view.lock.map(|lock| clock::rfc3339(lock.since)),
            card: ShownCard::new(row, &view),
        };
        Ok(Answer::ok(&shown)?.into_response())
    }

    async fn card_view(&self, id: i64) -> Result<CardView> {
        match self.link.query(Query::Card(card_id(id))).await? {
            Some(View::Card(view)) => Ok(view),
            None => Err(Code::CardNotFound.into()),
            Some(
                View::Balance(_)
                | View::PartnerBalance(_)
                | View::Rules(_)
                | View::Exceptions(_)
                | View::Status(_),
            ) => Err(LinkError::Mismatch.into()),
        }
    }
}

const fn source_name(source: LockSource) -> &'static str {
    match source {
        LockSource::User => "USER",
        LockSource::Partner => "PARTNER",
        LockSource::Admin => "ADMIN",
        LockSource::Outside => "OUTSIDE",
        LockSource::Switch => "SWITCH",
    }
}
