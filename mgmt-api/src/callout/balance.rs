//! Balances that partners keep: linked when they are opened, read where they are, unlinked when
//! they are closed. Source: requirements #143 to #146.

use std::collections::HashMap;

use core::time::Duration;
use serde::Deserialize;
use shared::command::Change;
use shared::ids::BalanceId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Errand, is_taken, unlink};
use crate::app::{App, currency_of_row, derived_command};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::notices::Sent;
use crate::store::{BalanceRow, EndpointRow};

/// A partner has so long where somebody waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a partner says that its holder has.
#[derive(Deserialize)]
struct Item {
    id: Uuid,
    currency: String,
    amount: i64,
}

/// What a partner says that one balance has.
#[derive(Deserialize)]
struct One {
    currency: String,
    amount: i64,
}

/// What a partner has for a holder, by balance.
pub(crate) struct PartnerBalances(HashMap<Uuid, (String, i64)>);

impl PartnerBalances {
    /// What is on a balance.
    pub(crate) fn amount(&self, row: &BalanceRow) -> Result<i64> {
        let found = self.0.get(&row.id);
        let found = found.filter(|(currency, _)| *currency == code(row.currency));
        found.map(|(_, amount)| *amount).ok_or_else(|| Code::PartnerUnavailable.into())
    }
}

fn code(currency: i64) -> String {
    currency_of_row(currency).to_string()
}

impl App {
    /// Has the partner keep a balance, from before any money is on it. Doing it again for the same
    /// reason changes nothing.
    pub(crate) async fn entrust(&self, partner: i64, row: &BalanceRow, why: Uuid) -> Result<()> {
        self.link_balance(partner, row, why).await?;
        let entrusted = self.entrust_at_switch(row, why).await;
        if entrusted.as_ref().is_err_and(|error| error.code == Code::BalanceNotEmpty) {
            self.unlink_balance(partner, row, why).await?;
        }
        entrusted
    }

    /// The same of a balance that the partner has already.
    pub(crate) async fn entrust_at_switch(&self, row: &BalanceRow, why: Uuid) -> Result<()> {
        let change = Change::EntrustBalance(BalanceId(row.id.as_u128()));
        self.link.change(derived_command(why, "entrust"), change).await?.result?;
        Ok(self.store.set_entrusted(row.id).await?)
    }

    /// Tells the partner whose balance it is.
    pub(crate) async fn link_balance(
        &self,
        partner: i64,
        row: &BalanceRow,
        why: Uuid,
    ) -> Result<()> {
        let endpoint = self.partners_endpoint(partner).await?;
        let body = serde_json::json!({ "balanceId": row.id, "currency": code(row.currency) });
        let path = format!("/users/{}/balances", row.customer_id);
        let errand =
            Errand::post(path, &format!("link {} for {why}", row.id), serde_json::to_vec(&body)?);
        let sent = self.call_partner(&endpoint, errand, Instant::now() + TIMEOUT).await?;
        match sent {
            Sent::Answered { status, .. } if is_taken(status) => Ok(()),
            Sent::Answered { status: 404, .. } => Err(Code::UserNotFoundAtPartner.into()),
            Sent::Answered { status: 400..=499, .. } => Err(Code::RefusedByPartner.into()),
            Sent::Answered { .. } | Sent::Not | Sent::InDoubt => {
                Err(Code::PartnerUnavailable.into())
            }
        }
    }

    /// What a partner has on one balance.
    pub(crate) async fn partner_amount(&self, partner: i64, row: &BalanceRow) -> Result<i64> {
        let path = format!("/users/{}/balances/{}", row.customer_id, row.id);
        let one: One = self.read_at_partner(partner, path).await?;
        let fits = one.currency == code(row.currency);
        fits.then_some(one.amount).ok_or_else(|| Code::PartnerUnavailable.into())
    }

    /// What a partner has on all balances of a holder.
    pub(crate) async fn partner_amounts(
        &self,
        partner: i64,
        customer: i64,
    ) -> Result<PartnerBalances> {
        let path = format!("/users/{customer}/balances");
        let items: Vec<Item> = self.read_at_partner(partner, path).await?;
        let items = items.into_iter().map(|item| (item.id, (item.currency, item.amount)));
        Ok(PartnerBalances(items.collect()))
    }

    /// Has the partner keep a balance no more that was not opened here, as soon as it takes that.
    pub(crate) async fn unlink_balance(
        &self,
        partner: i64,
        row: &BalanceRow,
        why: Uuid,
    ) -> Result<()> {
        let (of, why) = ((row.customer_id, row.id), why.to_string());
        let call = unlink(&self.vault, partner, of, (&why, clock::now_millis()))?;
        Ok(self.store.insert_notices(&[call], None, None).await?)
    }

    async fn read_at_partner<T: for<'de> Deserialize<'de>>(
        &self,
        partner: i64,
        path: String,
    ) -> Result<T> {
        let endpoint = self.partners_endpoint(partner).await?;
        let deadline = Instant::now() + TIMEOUT;
        let sent = self.call_partner(&endpoint, Errand::get(path), deadline).await?;
        match sent {
            Sent::Answered { status: 200, body } => {
                serde_json::from_slice(&body).map_err(|_other| Code::PartnerUnavailable.into())
            }
            Sent::Answered { .. } | Sent::Not | Sent::InDoubt => {
                Err(Code::PartnerUnavailable.into())
            }
        }
    }

    async fn partners_endpoint(&self, partner: i64) -> Result<EndpointRow> {
        let endpoint = self.balance_endpoint(partner).await?;
        let endpoint = endpoint.ok_or(Error::from(Code::BalanceEndpointMissing))?;
        match endpoint.state.as_str() {
            "ACTIVE" => Ok(endpoint),
            _ => Err(Code::PartnerUnavailable.into()),
        }
    }
}
