//! GET /secure/events and POST /secure/events/replay: what a partner was told, how far each notice
//! is, and having it told again. Source: requirements 2.2.
//!
//! Invariant: whoever reads behind the last event that it saw misses none.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::days::days;
use super::{App, Asked, Body, Name, instant, page_limit};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::notices::id_of;
use crate::store::{DeliveryRow, NoticeRow, Period};

/// Days told again at once, where none are given, and at most.
const DAYS: (i64, i64) = (1, 31);

/// Which events are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventPage {
    limit: Option<u8>,
    after: Option<String>,
}

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The first day, UTC, like 2026-11-25; today where it is left out.
    from: Option<String>,
    /// The last day.
    to: Option<String>,
}

/// How many deliveries begin anew.
#[derive(Serialize, ToSchema)]
pub struct BegunReplay {
    deliveries: u64,
}

/// A page of events, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventList {
    items: Vec<ShownEvent>,
    has_more: bool,
}

/// What a partner was told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownEvent {
    /// `webhook-id` and `X-Idempotency-Key` of its deliveries.
    event_id: Uuid,
    /// `transaction`, `verification`, `card`, `lowBalance`, `ping`.
    event: String,
    date: String,
    /// The path behind the endpoint's address.
    path: Cow<'static, str>,
    /// The body of its deliveries.
    #[schema(value_type = Object)]
    body: Value,
    deliveries: Vec<ShownDelivery>,
}

/// How far an event is at one endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownDelivery {
    endpoint_id: Uuid,
    /// PENDING, DELIVERED, or FAILED after six tries.
    state: String,
    attempts: i64,
    /// What was answered last; none where nothing was.
    status: Option<i64>,
}

impl From<DeliveryRow> for ShownDelivery {
    fn from(row: DeliveryRow) -> Self {
        let (endpoint_id, state) = (row.endpoint_id, row.state);
        Self { endpoint_id, state, attempts: row.attempts, status: row.status }
    }
}

impl App {
    /// A page of what a partner was told, oldest first.
    pub async fn list_events(&self, by: Call, Asked(page): Asked<EventPage>) -> Result<Response> {
        self.events_of_partner(i64::from(by.partner()?.0), page).await
    }

    pub(super) async fn events_of_partner(
        &self,
        partner: i64,
        page: EventPage,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let after = match &page.after {
            None => 0,
            Some(text) => match Uuid::parse_str(text).map(Name::of) {
                Ok(Name::Number { id, .. }) => id,
                Ok(Name::Command(_)) | Err(_) => {
                    let message = "must be an eventId";
                    return Err(Error::fault(Code::InvalidRequest, "after", message));
                }
            },
        };
        let mut rows = self.store.notices(partner, after, i64::from(limit) + 1).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.shown_event(row).await?);
        }
        Ok(Answer::ok(&EventList { items, has_more })?.into_response())
    }

    async fn shown_event(&self, row: NoticeRow) -> Result<ShownEvent> {
        let letter = self.letter(&row).await?;
        let deliveries = self.store.deliveries(row.number).await?;
        Ok(ShownEvent {
            event_id: id_of(row.number, row.at_ms),
            event: row.kind,
            date: instant(row.at_ms),
            path: letter.path,
            body: serde_json::from_slice(letter.body.as_deref().unwrap_or(b"null"))?,
            deliveries: deliveries.into_iter().map(ShownDelivery::from).collect(),
        })
    }

    /// Has what happened on some days delivered again.
    pub async fn replay_events(&self, by: Call, body: Body<Replay>) -> Result<Response> {
        let partner = i64::from(by.partner()?.0);
        self.replay_to_partner(&by, partner, body).await
    }

    pub(super) async fn replay_to_partner(
        &self,
        by: &Call,
        partner: i64,
        body: Body<Replay>,
    ) -> Result<Response> {
        let wish = body.content;
        let Period { from_ms, to_ms } = days((wish.from.as_deref(), wish.to.as_deref()), DAYS)?;
        let carry_out = async |()| {
            let deliveries = self.store.replay(partner, (from_ms, to_ms)).await?;
            Answer::accepted(&BegunReplay { deliveries })
        };
        self.once(by, body.hash, async || Ok(()), carry_out).await
    }
}
