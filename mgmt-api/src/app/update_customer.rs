//! PUT /lifecycle/v1/users/{id} and its lock: what a partner says of a customer it has checked
//! itself. Source: requirements #65, #66, #76.
//!
//! Invariant: the switch ends with the flags of the row, whatever order two changes at once take:
//! whoever finds the row changed behind its own change tells the switch again.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::add_customer::{Kyc, LifecycleState, WalletPin};
use super::{App, Body, Nothing, command_id, customer_id};
use crate::answer::Answer;
use crate::auth::password;
use crate::call::CustomerCall;
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::store::{CustomerRow, CustomerUpdate};

/// The body; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomerFlags {
    /// In the strict profile said by partners alone that check identities themselves (`kycMode`
    /// EXTERNAL).
    kyc: Option<Kyc>,
    state: Option<LifecycleState>,
    #[serde(rename = "wPIN")]
    #[schema(value_type = Option<String>)]
    wallet_pin: Option<WalletPin>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    customer: i64,
    wpin_hash: Option<String>,
}

impl App {
    /// Sets a customer's flags and wallet PIN.
    pub async fn update_customer(
        &self,
        by: CustomerCall,
        body: Body<CustomerFlags>,
    ) -> Result<Response> {
        let CustomerFlags { kyc, state, wallet_pin } = body.content;
        if kyc.is_none() && state.is_none() && wallet_pin.is_none() {
            let message = "kyc, state or wPIN is needed";
            return Err(Error::fault(Code::InvalidRequest, "kyc", message));
        }
        let wpin = wallet_pin.map(|pin| pin.checked()).transpose()?;
        let update = CustomerUpdate {
            kyc: kyc.map(Kyc::name),
            lifecycle_state: state.map(LifecycleState::name),
            ..CustomerUpdate::default()
        };
        self.change_customer(by, body.hash, update, wpin).await
    }

    /// Locks a customer: every authorization is declined from the answer on.
    pub async fn lock_customer(
        &self,
        by: CustomerCall,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let update = CustomerUpdate { locked: Some(true), ..CustomerUpdate::default() };
        self.change_customer(by, hash, update, None).await
    }

    /// Lifts a customer's lock.
    pub async fn unlock_customer(
        &self,
        by: CustomerCall,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let update = CustomerUpdate { locked: Some(false), ..CustomerUpdate::default() };
        self.change_customer(by, hash, update, None).await
    }

    async fn change_customer(
        &self,
        by: CustomerCall,
        hash: ContentHash,
        update: CustomerUpdate<'_>,
        wpin: Option<Zeroizing<String>>,
    ) -> Result<Response> {
        let draw = || async {
            let customer = self.customer(&by).await?;
            if update.kyc.is_some() {
                self.check_may_say_kyc(customer.partner_id).await?;
            }
            let customer = customer.id;
            let wpin_hash = match wpin {
                Some(pin) => Some(password::hash_off_worker(&self.crypto, pin).await?),
                None => None,
            };
            Ok(Plan { command: Uuid::now_v7(), customer, wpin_hash })
        };
        let carry_out = async |plan: Plan| {
            let update = CustomerUpdate { wpin_hash: plan.wpin_hash.as_deref(), ..update };
            let row = self.store.update_customer(plan.customer, &update).await?;
            self.tell_customer(plan.command, row.ok_or(Code::UserNotFound)?).await?;
            Ok(Answer::no_content())
        };
        self.once(&by.call, hash, draw, carry_out).await
    }

    /// Tells the switch a customer's flags until they are the row's; opens the balances that a
    /// verified one has by itself.
    pub(crate) async fn tell_customer(&self, command: Uuid, mut row: CustomerRow) -> Result<()> {
        let mut command = command;
        loop {
            let change = Change::PutCustomer {
                id: customer_id(row.id),
                verified: row.is_verified(),
                aml_locked: row.is_locked(),
            };
            self.link.change(command_id(command), change).await?.result?;
            let now = self.store.customer_flags(row.id).await?;
            let now = now.ok_or_else(|| Error::internal("customers", &"a row is gone"))?;
            if (now.is_verified(), now.is_locked()) == (row.is_verified(), row.is_locked()) {
                break;
            }
            (command, row) = (Uuid::now_v7(), now);
        }
        if row.is_verified() {
            self.open_automatic_balances(row.id, row.partner_id).await?;
        }
        Ok(())
    }
}
