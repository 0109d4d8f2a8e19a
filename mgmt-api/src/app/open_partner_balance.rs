//! Partner balances: opening one and looking at it. Source: requirements #84-#89.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::command::{Change, PartnerBalanceKind};
use shared::control::{PartnerBalanceView, Query, View};
use shared::ids::{PartnerBalanceId, PartnerId};
use utoipa::ToSchema;
use uuid::Uuid;

use super::watch_balances::LowBalanceAlert;
use super::{App, Body, PartnerBalancePath, PartnerPath, command_id, currency, currency_of_row};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Result};
use crate::event_feed::state_after;
use crate::store::{PartnerBalanceRow, RowState};

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPartnerBalance {
    kind: CollateralKind,
    currency: String,
    /// When less than this is available, in minor units, the partner is told.
    alert_level: Option<i64>,
    /// Where to by e-mail, beside its endpoints.
    alert_email: Option<String>,
}

/// Deposit or credit, in either case.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum CollateralKind {
    /// Held at each authorization.
    #[serde(rename = "DEPOSIT", alias = "deposit")]
    Deposit,
    /// Charged at each top-up.
    #[serde(rename = "CREDIT", alias = "credit")]
    Credit,
    /// Held at each authorization of a program with technical collateral.
    #[serde(rename = "TECHNICAL", alias = "technical")]
    Technical,
}

impl CollateralKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "DEPOSIT",
            Self::Credit => "CREDIT",
            Self::Technical => "TECHNICAL",
        }
    }

    const fn shared(self) -> PartnerBalanceKind {
        match self {
            Self::Deposit => PartnerBalanceKind::Deposit,
            Self::Credit => PartnerBalanceKind::Credit,
            Self::Technical => PartnerBalanceKind::Technical,
        }
    }
}

impl From<PartnerBalanceKind> for CollateralKind {
    fn from(kind: PartnerBalanceKind) -> Self {
        match kind {
            PartnerBalanceKind::Deposit => Self::Deposit,
            PartnerBalanceKind::Credit => Self::Credit,
            PartnerBalanceKind::Technical => Self::Technical,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Plan {
    id: Uuid,
    partner: i64,
    kind: CollateralKind,
    currency: i64,
}

/// A partner balance as the switch has it now; amounts in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPartnerBalance {
    id: Uuid,
    partner_id: i64,
    kind: &'static str,
    currency: String,
    amount: i64,
    available: i64,
    held: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<LowBalanceAlert>,
}

/// A partner's balances.
#[derive(Serialize, ToSchema)]
pub struct PartnerBalanceList {
    items: Vec<ShownPartnerBalance>,
}

impl App {
    /// Opens a partner balance at zero; `partner` is a number or an issuer code.
    pub async fn open_partner_balance(
        &self,
        by: Call,
        at: PartnerPath,
        body: Body<NewPartnerBalance>,
    ) -> Result<Response> {
        let wish = body.content;
        let currency = currency(&wish.currency)?;
        let alert = LowBalanceAlert::read(wish.alert_level, wish.alert_email)?;
        let members = ["alertLevel", "alertEmail"];
        alert.as_ref().map_or(Ok(()), |alert| alert.check(self, members))?;
        let draw = || async {
            let partner = self.partner_at(&by, &at).await?;
            let currency = i64::from(currency.0);
            Ok(Plan { id: Uuid::now_v7(), partner, kind: wish.kind, currency })
        };
        let carry_out = |plan| self.carry_out_open_partner(plan, alert);
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// Every balance of the partner that asks.
    pub async fn list_partner_balances(&self, by: Call) -> Result<Response> {
        self.balances_of_partner(i64::from(by.partner()?.0)).await
    }

    pub(super) async fn balances_of_partner(&self, partner: i64) -> Result<Response> {
        let rows = self.store.partner_balances(partner).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(self.shown_partner_balance(row).await?);
        }
        Ok(Answer::ok(&PartnerBalanceList { items })?.into_response())
    }

    /// A partner balance as the switch has it now.
    pub async fn show_partner_balance(&self, by: Call, at: PartnerBalancePath) -> Result<Response> {
        let row = self.partner_balance(&by, &at).await?;
        Ok(Answer::ok(&self.shown_partner_balance(row).await?)?.into_response())
    }

    async fn shown_partner_balance(&self, row: PartnerBalanceRow) -> Result<ShownPartnerBalance> {
        let view = self.partner_balance_view(row.id).await?;
        Ok(ShownPartnerBalance {
            id: row.id,
            partner_id: row.partner_id,
            kind: CollateralKind::from(view.kind).name(),
            currency: view.currency.to_string(),
            amount: view.ledger.0,
            available: view.ledger.0.saturating_sub(view.held.0),
            held: view.held.0,
            alert: self.store.alert_of(row.id).await?.map(LowBalanceAlert::of),
        })
    }

    /// A partner that the caller may see.
    pub(super) async fn partner_at(&self, by: &Call, at: &PartnerPath) -> Result<i64> {
        let partner = self.store.partner_named(&at.partner).await?;
        let seen = partner.filter(|partner| by.caller.scope().admits_partner(*partner));
        seen.ok_or_else(|| Code::PartnerNotFound.into())
    }

    /// A partner balance that the caller may see.
    pub(crate) async fn partner_balance(
        &self,
        by: &Call,
        at: &PartnerBalancePath,
    ) -> Result<PartnerBalanceRow> {
        let id =
            Uuid::parse_str(&at.balance).map_err(|_not_a_uuid| Code::PartnerBalanceNotFound)?;
        let row = self.store.partner_balance(id).await?;
        let row = row.filter(|row| by.caller.scope().admits_partner(row.partner_id));
        row.ok_or_else(|| Code::PartnerBalanceNotFound.into())
    }

    /// One a partner, kind and currency. A row that an earlier request left pending is taken up
    /// under its own command id, so that the attempt that was cut off does not block the kind.
    async fn carry_out_open_partner(
        &self,
        plan: Plan,
        alert: Option<LowBalanceAlert>,
    ) -> Result<Answer> {
        let wished = PartnerBalanceRow {
            id: plan.id,
            partner_id: plan.partner,
            kind: plan.kind.name().to_owned(),
            currency: plan.currency,
            row_state: RowState::Pending.name().to_owned(),
        };
        let row = self.store.insert_partner_balance(&wished, clock::now_millis()).await?;
        if row.id != plan.id && row.row_state != RowState::Pending.name() {
            return Err(Code::PartnerBalanceExists.into());
        }
        let currency = currency_of_row(row.currency);
        let change = Change::OpenPartnerBalance {
            id: PartnerBalanceId(row.id.as_u128()),
            partner: PartnerId(u32::try_from(row.partner_id).unwrap_or_default()),
            kind: plan.kind.shared(),
            currency,
        };
        let outcome = self.link.change(command_id(row.id), change).await?;
        self.store.settle_partner_balance(row.id, state_after(&outcome)).await?;
        outcome.result?;
        if let Some(alert) = &alert {
            self.store.set_alert(row.id, Some(alert.parts())).await?;
        }
        Answer::created(&ShownPartnerBalance {
            id: row.id,
            partner_id: row.partner_id,
            kind: plan.kind.name(),
            currency: currency.to_string(),
            amount: 0,
            available: 0,
            held: 0,
            alert,
        })
    }

    pub(super) async fn partner_balance_view(&self, id: Uuid) -> Result<PartnerBalanceView> {
        let query = Query::PartnerBalance(PartnerBalanceId(id.as_u128()));
        let view = self.link.view(query, View::into_partner_balance).await?;
        view.ok_or_else(|| Code::PartnerBalanceNotFound.into())
    }
}
