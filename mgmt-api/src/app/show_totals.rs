//! GET /admin/balances/summary: what users and partners have, by currency. Source: requirements
//! #90, #92.
//!
//! Invariant: the sums are the ledger's own, which it checks after every command; nothing is added
//! up here.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::control::{Query, View};
use utoipa::ToSchema;

use super::App;
use crate::answer::Answer;
use crate::call::Call;
use crate::error::Result;
use crate::switch_link::LinkError;

/// Sums by currency.
#[derive(Serialize, ToSchema)]
pub struct TotalList {
    items: Vec<Total>,
}

/// What is booked in one currency, in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Total {
    currency: String,
    /// The sum of all user balances.
    #[schema(value_type = i64)]
    users: i128,
    /// The same and all partner balances.
    #[schema(value_type = i64)]
    wallet: i128,
    /// The company balance: fees that were taken, or are to come by invoice.
    #[schema(value_type = i64)]
    company: i128,
    /// What partners owe of it by invoice.
    #[schema(value_type = i64)]
    invoiced: i128,
    /// What bank transfers ever brought to IBANs, the other side of the technical account; what goes
    /// back is a withdrawal.
    #[schema(value_type = i64)]
    bank_transfers: i128,
}

impl App {
    /// Sums over all partners, for operators who may see all of them.
    pub async fn show_totals(&self, by: Call) -> Result<Response> {
        by.check_sees_all()?;
        let totals = self.link.view(Query::Totals, View::into_totals).await?;
        let mut items: Vec<_> = totals
            .ok_or(LinkError::Mismatch)?
            .into_iter()
            .map(|total| Total {
                currency: total.currency.to_string(),
                users: total.users,
                wallet: total.users + total.partners,
                company: total.company,
                invoiced: total.invoiced,
                bank_transfers: total.bank_transfers,
            })
            .collect();
        items.sort_unstable_by(|one, other| one.currency.cmp(&other.currency));
        Ok(Answer::ok(&TotalList { items })?.into_response())
    }
}
