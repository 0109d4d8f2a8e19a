//! What operators see of partners: who they are, their balances, and where they are told of what.
//! Source: requirements #175, #177.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, Asked, Body, EventPage, PartnerPath, Replay};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::Result;
use crate::store::PartnerRow;

/// The partners that the operator may see.
#[derive(Serialize, ToSchema)]
pub struct PartnerList {
    items: Vec<ShownPartner>,
}

/// A partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownPartner {
    partner_id: i64,
    issuer_code: Option<String>,
    /// MANUAL, AUTOMATIC or EXTERNAL.
    kyc_mode: String,
    name: String,
    licensed: bool,
}

impl From<PartnerRow> for ShownPartner {
    fn from(row: PartnerRow) -> Self {
        let PartnerRow { id, issuer_code, kyc_mode, name, licensed } = row;
        Self { partner_id: id, issuer_code, kyc_mode, name, licensed: licensed != 0 }
    }
}

impl App {
    /// The partners.
    pub async fn list_partners(&self, by: Call) -> Result<Response> {
        let scope = by.caller.scope();
        let rows = self.store.partners().await?.into_iter();
        let seen = rows.filter(|row| scope.admits_partner(row.id));
        Ok(Answer::ok(&PartnerList { items: seen.map(Into::into).collect() })?.into_response())
    }

    /// The balances of a partner that the operator may see.
    pub async fn list_balances_of_partner(&self, by: Call, at: PartnerPath) -> Result<Response> {
        let partner = self.partner_at(&by, &at).await?;
        self.balances_of_partner(partner).await
    }

    /// The endpoints of a partner that the operator may see.
    pub async fn list_endpoints_of_partner(&self, by: Call, at: PartnerPath) -> Result<Response> {
        let partner = self.partner_at(&by, &at).await?;
        self.endpoints_of_partner(partner).await
    }

    /// What a partner was told that the operator may see.
    pub async fn list_events_of_partner(
        &self,
        by: Call,
        at: PartnerPath,
        Asked(page): Asked<EventPage>,
    ) -> Result<Response> {
        let partner = self.partner_at(&by, &at).await?;
        self.events_of_partner(partner, page).await
    }

    /// Has what happened on some days delivered again to a partner that the operator may see.
    pub async fn replay_events_of_partner(
        &self,
        by: Call,
        at: PartnerPath,
        body: Body<Replay>,
    ) -> Result<Response> {
        let partner = self.partner_at(&by, &at).await?;
        self.replay_to_partner(&by, partner, body).await
    }
}
