//! Users as operators find them: one, a page, or those who have a phone number or an e-mail
//! address. Source: requirements #174.
//!
//! Invariant: who is looked for never stands in an address or a log, only as a keyed hash in SQL.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Asked, Body, instant, page_limit};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall, Scope};
use crate::error::{Code, Error, Result};
use crate::store::FoundCustomerRow;

/// Users of one search.
const FOUND_MAX: u8 = 50;

/// Which part of the users is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerPage {
    limit: Option<u8>,
    after: Option<i64>,
}

/// Who is looked for: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerSearch {
    phone: Option<String>,
    email: Option<String>,
}

/// Users, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerList {
    items: Vec<ListedCustomer>,
    has_more: bool,
}

/// A user in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedCustomer {
    customer_id: String,
    partner_id: i64,
    first_name: String,
    last_name: String,
    /// NEW or VERIFIED.
    state: String,
    /// NONE, IN_PROGRESS, SUCCESS or FAILED.
    kyc: String,
    /// Whether every authorization is declined.
    locked: bool,
    created_at: String,
}

/// A user with what belongs to its person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerDetails {
    #[serde(flatten)]
    customer: ListedCustomer,
    phone: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_date: Option<String>,
}

impl App {
    /// A user.
    pub async fn show_customer(&self, by: CustomerCall) -> Result<Response> {
        let id = by.customer.parse::<i64>().map_err(|_not_a_number| Code::UserNotFound)?;
        let scope = Scope { customer: Some(id), ..by.call.caller.scope() };
        let rows = self.store.customers(scope, i64::MAX, 1).await?;
        let row = rows.into_iter().next().ok_or(Code::UserNotFound)?;
        let mut profile = self.opened_profile(id, &row.profile_sealed)?;
        let (phone, email) =
            (core::mem::take(&mut profile.phone), core::mem::take(&mut profile.email));
        let birth_date = profile.birth_date.take();
        let customer = self.listed_customer(row)?;
        let details = CustomerDetails { customer, phone, email, birth_date };
        Ok(Answer::ok(&details)?.into_response())
    }

    /// A page of the users, newest first.
    pub async fn list_customers(
        &self,
        by: Call,
        Asked(page): Asked<CustomerPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let before = page.after.unwrap_or(i64::MAX);
        let rows = self.store.customers(by.caller.scope(), before, i64::from(limit) + 1).await?;
        self.customer_list(rows, limit)
    }

    /// The users who have a phone number or an e-mail address.
    pub async fn search_customers(&self, by: Call, body: Body<CustomerSearch>) -> Result<Response> {
        let token = match (&body.content.phone, &body.content.email) {
            (Some(phone), None) => self.phone_token(phone),
            (None, Some(email)) => self.email_token(email),
            (Some(_), Some(_)) | (None, None) => {
                let message = "phone or email is needed, one of them";
                return Err(Error::fault(Code::InvalidRequest, "phone", message));
            }
        };
        let (scope, limit) = (by.caller.scope(), i64::from(FOUND_MAX) + 1);
        let rows = self.store.customers_with_contact(scope, &token, limit).await?;
        self.customer_list(rows, FOUND_MAX)
    }

    fn customer_list(&self, mut rows: Vec<FoundCustomerRow>, limit: u8) -> Result<Response> {
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let items = rows.into_iter().map(|row| self.listed_customer(row));
        let items = items.collect::<Result<Vec<_>>>()?;
        Ok(Answer::ok(&CustomerList { items, has_more })?.into_response())
    }

    fn listed_customer(&self, row: FoundCustomerRow) -> Result<ListedCustomer> {
        let FoundCustomerRow { flags, profile_sealed, created_at_ms } = row;
        let mut profile = self.opened_profile(flags.id, &profile_sealed)?;
        Ok(ListedCustomer {
            customer_id: flags.id.to_string(),
            partner_id: flags.partner_id,
            first_name: core::mem::take(&mut profile.first_name),
            last_name: core::mem::take(&mut profile.last_name),
            locked: flags.is_locked(),
            state: flags.lifecycle_state,
            kyc: flags.kyc,
            created_at: instant(created_at_ms),
        })
    }
}
