//! PUT /lifecycle/v1/users/{id}: sets the flags of a customer that the partner has checked itself.
//! Source: requirements #65.

use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::command::Change;
use uuid::Uuid;

use super::add_customer::{Kyc, LifecycleState};
use super::{App, Body, command_id, customer_id};
use crate::answer::Answer;
use crate::auth::client_cert::SecureCall;
use crate::error::{Code, Error, Result};

/// The body; what is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomerFlags {
    kyc: Option<Kyc>,
    state: Option<LifecycleState>,
}

impl App {
    /// Sets the flags. Two at once end with the flags of the row: whoever finds the row changed
    /// behind its own change tells the switch again.
    pub async fn set_customer_flags(
        &self,
        by: &SecureCall,
        id: &str,
        body: Body<CustomerFlags>,
    ) -> Result<Response> {
        let flags = body.content;
        if flags.kyc.is_none() && flags.state.is_none() {
            return Err(Error::fault(Code::InvalidRequest, "kyc", "kyc or state is needed"));
        }
        let customer = self.customer(by.partner, id).await?;
        let (state, kyc) = (flags.state.map(LifecycleState::name), flags.kyc.map(Kyc::name));
        let row = self.store.set_customer_flags(customer.id, state, kyc).await?;
        let mut row = row.ok_or(Code::UserNotFound)?;
        loop {
            let change = Change::PutCustomer {
                id: customer_id(row.id),
                verified: row.is_verified(),
                aml_locked: false,
            };
            self.link.change(command_id(Uuid::now_v7()), change).await?.result?;
            let now = self.customer(by.partner, id).await?;
            if now.is_verified() == row.is_verified() {
                return Ok(Answer::no_content().into_response());
            }
            row = now;
        }
    }
}
