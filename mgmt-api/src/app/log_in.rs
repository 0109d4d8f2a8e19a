//! Sessions: of operators with name and password, of cardholders with a paired device and the
//! wallet PIN. Source: requirements #37-#39, #42, #46.
//!
//! Invariant: tries are counted before they are checked, so that a crash gives none away.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::add_customer::WalletPin;
use super::{App, Body, Nothing};
use crate::answer::Answer;
use crate::auth::{password, session};
use crate::call::{Call, Caller, SessionToken};
use crate::clock;
use crate::error::{Code, Result};
use crate::store::NewSession;

/// The body of an operator.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOperatorSession {
    name: String,
    password: String,
    public_key: Option<String>,
}

/// The body of a cardholder.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCustomerSession {
    installation_id: Uuid,
    installation_secret: String,
    #[serde(rename = "wPIN")]
    #[schema(value_type = String)]
    wallet_pin: WalletPin,
}

/// The body of a step-up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    #[serde(rename = "wPIN")]
    #[schema(value_type = String)]
    wallet_pin: WalletPin,
}

/// A session's token, sent as `Authorization: Bearer`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BegunSession<'a> {
    token: &'a str,
    /// When it ends if it is not used before.
    expires_at: String,
}

/// Whose session it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSession {
    /// `operator:` and a number; 0 is the installation's admin token.
    operator: String,
    /// Of ADMIN, MANAGER, EMPLOYEE, LICENSED.
    roles: Vec<&'static str>,
    /// The one partner whose things it may see; null: all of them.
    partner_id: Option<u32>,
}

/// Until when the wallet PIN counts as given.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepUpEnd {
    stepped_up_until: String,
}

impl App {
    /// Begins an operator's session.
    pub async fn begin_operator_session(&self, body: Body<NewOperatorSession>) -> Result<Response> {
        let given = body.content;
        let key = given.public_key.as_deref().map(|key| self.jwe.response_key(key)).transpose()?;
        let operator = self.store.operator(&given.name).await?;
        let (now, limits) = (clock::now_millis(), &self.config.sessions);
        if operator.as_ref().is_some_and(|row| row.blocked_until_ms > now) {
            return Err(Code::TooManyAttempts.into());
        }
        if let Some(row) = &operator {
            let until = now + limits.block_ms();
            self.store.count_wrong_password(row.id, limits.failures_max.into(), until).await?;
        }
        let hash = operator.as_ref().map(|row| row.password_hash.clone());
        let secret = Zeroizing::new(given.password.clone());
        let right = password::verify(&self.crypto, secret, hash).await?;
        let operator = operator.filter(|_row| right).ok_or(Code::InvalidCredentials)?;
        self.store.clear_wrong_passwords(operator.id).await?;
        let key = key.map(|key| key.thumbprint.to_vec());
        let (response, _token) = self.begin_session(None, Some(operator.id), key).await?;
        Ok(response)
    }

    /// Begins a cardholder's session; the wallet PIN counts as given for a moment.
    pub async fn begin_customer_session(&self, body: Body<NewCustomerSession>) -> Result<Response> {
        let given = body.content;
        let pin = given.wallet_pin.checked()?;
        let installation = self.store.installation(given.installation_id).await?;
        let installation = installation.ok_or(Code::InvalidCredentials)?;
        let secret = session::hash(&given.installation_secret);
        if !session::is_same(&installation.credential_hash, &secret) {
            return Err(Code::InvalidCredentials.into());
        }
        self.check_wallet_pin(installation.customer_id, pin).await?;
        let key = installation.response_key_sha256;
        let begun = self.begin_session(Some(given.installation_id), None, key).await?;
        let (response, SessionToken(token)) = begun;
        self.store.step_up_session(&token, self.step_up_end()).await?;
        Ok(response)
    }

    /// Notes that the wallet PIN was given.
    pub async fn step_up(&self, by: Call, body: Body<StepUp>) -> Result<Response> {
        let Caller::Customer(holder) = by.caller else { return Err(Code::Forbidden.into()) };
        let pin = body.content.wallet_pin.checked()?;
        self.check_wallet_pin(holder.customer, pin).await?;
        let until = self.step_up_end();
        self.store.step_up_session(&holder.session.0, until).await?;
        let stepped_up_until = rfc3339(until);
        Ok(Answer::ok(&StepUpEnd { stepped_up_until })?.into_response())
    }

    /// Whose session the call came with.
    pub fn show_operator_session(by: &Call) -> Result<Response> {
        let Caller::Operator(operator) = by.caller else { return Err(Code::Forbidden.into()) };
        let session = OperatorSession {
            operator: by.caller.name(),
            roles: operator.roles.names().collect(),
            partner_id: operator.partner.map(|partner| partner.0),
        };
        Ok(Answer::ok(&session)?.into_response())
    }

    /// Ends the session that the call came with.
    pub async fn end_session(&self, by: Call, _nothing: Nothing) -> Result<Response> {
        let session = match by.caller {
            Caller::Customer(holder) => Some(holder.session),
            Caller::Operator(operator) => operator.session,
            Caller::Partner(_) | Caller::Processor(_) => None,
        };
        // The installation's admin token is no session and does not end.
        let SessionToken(token) = session.ok_or(Code::Forbidden)?;
        self.store.end_session(&token).await?;
        Ok(Answer::no_content().into_response())
    }

    /// Fails unless `pin` is the customer's wallet PIN.
    pub(crate) async fn check_wallet_pin(
        &self,
        customer: i64,
        pin: Zeroizing<String>,
    ) -> Result<()> {
        let failures_max = self.config.sessions.failures_max.into();
        if !self.store.try_wallet_pin(customer, failures_max).await? {
            return Err(Code::TooManyAttempts.into());
        }
        let row = self.store.wallet_pin(customer).await?;
        let hash = row.and_then(|row| row.wpin_hash);
        if !password::verify(&self.crypto, pin, hash).await? {
            return Err(Code::InvalidCredentials.into());
        }
        Ok(self.store.clear_wrong_wallet_pins(customer).await?)
    }

    async fn begin_session(
        &self,
        installation: Option<Uuid>,
        operator: Option<i64>,
        response_key_sha256: Option<Vec<u8>>,
    ) -> Result<(Response, SessionToken)> {
        let token = session::draw_token()?;
        let created_at_ms = clock::now_millis();
        let token_hash = token.hash;
        let new =
            NewSession { token_hash, installation, operator, response_key_sha256, created_at_ms };
        self.store.insert_session(&new).await?;
        let expires_at = rfc3339(created_at_ms + self.config.sessions.idle_ms());
        let begun = BegunSession { token: &token.text, expires_at };
        let response = Answer::json(StatusCode::CREATED, &begun)?.into_response();
        Ok((response, SessionToken(token_hash)))
    }

    fn step_up_end(&self) -> i64 {
        clock::now_millis() + self.config.sessions.step_up_ms()
    }

    /// Drops sessions that have ended, and pairing codes.
    pub(crate) async fn sweep_sessions(&self) -> Result<u64> {
        let now = clock::now_millis();
        Ok(self.store.drop_sessions(now - self.config.sessions.idle_ms(), now).await?)
    }
}

fn rfc3339(at_ms: i64) -> String {
    clock::rfc3339(Timestamp(u64::try_from(at_ms).unwrap_or_default()))
}
