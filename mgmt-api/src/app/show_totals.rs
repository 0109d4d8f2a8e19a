//! GET /admin/balances/summary: what users and partners have, by currency. Source: requirements
//! #90.
//!
//! Invariant: the sums are the ledger's own, which it checks after every command; nothing is added
//! up here.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::control::{Query, View};

use super::App;
use crate::answer::Answer;
use crate::call::{Call, Caller};
use crate::error::{Code, Result};
use crate::switch_link::LinkError;

#[derive(Serialize)]
struct Listed {
    items: Vec<Total>,
}

#[derive(Serialize)]
struct Total {
    currency: String,
    /// The sum of all user balances.
    users: i128,
    /// The same and all partner balances.
    wallet: i128,
}

impl App {
    /// Sums over all partners, for operators who may see all of them.
    pub async fn show_totals(&self, by: Call) -> Result<Response> {
        if !matches!(by.caller, Caller::Operator(operator) if operator.partner.is_none()) {
            return Err(Code::Forbidden.into());
        }
        let totals = self.link.view(Query::Totals, View::into_totals).await?;
        let mut items: Vec<_> = totals
            .ok_or(LinkError::Mismatch)?
            .into_iter()
            .map(|total| Total {
                currency: total.currency.to_string(),
                users: total.users,
                wallet: total.users + total.partners,
            })
            .collect();
        items.sort_unstable_by(|one, other| one.currency.cmp(&other.currency));
        Ok(Answer::ok(&Listed { items })?.into_response())
    }
}
