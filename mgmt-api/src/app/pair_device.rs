//! Pairing a cardholder's device: the partner draws a code and hands it over, the application
//! shows it together with the wallet PIN. Source: requirements #38.
//!
//! Invariant: a code works once; the installation that a device had ends with the next pairing.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::add_customer::WalletPin;
use super::{App, Body, Nothing, check_text};
use crate::answer::Answer;
use crate::auth::session;
use crate::call::CustomerCall;
use crate::error::{Code, Result};
use crate::store::NewInstallation;
use crate::{clock, vault};

/// Decimal digits of a pairing code.
const CODE_DIGITS: usize = 10;
/// Characters of a device's id at most.
const DEVICE_CHARS_MAX: usize = 128;

/// The body of a pairing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDevice {
    customer_id: String,
    pairing_code: String,
    #[serde(rename = "wPIN")]
    #[schema(value_type = String)]
    wallet_pin: WalletPin,
    device_id: String,
    public_key: Option<String>,
}

/// Kept in the sealed intent, so that a repeat hands out the same code.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Plan {
    customer: i64,
    code: String,
    expires_at_ms: i64,
}

/// A code to hand over to the cardholder.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingCode<'a> {
    pairing_code: &'a str,
    expires_at: String,
}

/// What an installation logs in with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice<'a> {
    installation_id: Uuid,
    installation_secret: &'a str,
}

impl App {
    /// Draws a customer's pairing code; the one before is void.
    pub async fn make_pairing_code(
        &self,
        by: CustomerCall,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = || async {
            let customer = self.customer(&by).await?.id;
            let expires_at_ms = clock::now_millis() + self.config.sessions.pairing_ms();
            Ok(Plan { customer, code: draw_code()?, expires_at_ms })
        };
        let carry_out = async |plan: Plan| {
            let hash = self.code_hash(plan.customer, &plan.code);
            self.store.put_pairing_code(plan.customer, &hash, plan.expires_at_ms).await?;
            let at = Timestamp(u64::try_from(plan.expires_at_ms).unwrap_or_default());
            Answer::created(&PairingCode {
                pairing_code: &plan.code,
                expires_at: clock::rfc3339(at),
            })
        };
        self.once(&by.call, hash, draw, carry_out).await
    }

    /// Pairs a device.
    pub async fn pair_device(&self, body: Body<NewDevice>) -> Result<Response> {
        let given = body.content;
        check_text("deviceId", &given.device_id, DEVICE_CHARS_MAX)?;
        let key = given.public_key.as_deref().map(|key| self.jwe.response_key(key)).transpose()?;
        let pin = given.wallet_pin.checked()?;
        let customer = given.customer_id.parse::<i64>();
        let customer = customer.map_err(|_not_a_number| Code::InvalidCredentials)?;
        let now = clock::now_millis();
        let tries_max = self.config.sessions.failures_max.into();
        let kept = self.store.try_pairing_code(customer, tries_max, now).await?;
        let kept = kept.ok_or(Code::InvalidCredentials)?;
        if !session::is_same(&kept, &self.code_hash(customer, &given.pairing_code)) {
            return Err(Code::InvalidCredentials.into());
        }
        self.check_wallet_pin(customer, pin).await?;
        let secret = session::draw_token()?;
        let new = NewInstallation {
            id: Uuid::new_v4(),
            customer,
            device_hash: self.vault.fingerprint(&[b"device", given.device_id.as_bytes()]),
            credential_hash: secret.hash,
            response_key_sha256: key.map(|key| key.thumbprint),
            created_at_ms: now,
        };
        if !self.store.pair(&kept, &new).await? {
            return Err(Code::InvalidCredentials.into());
        }
        let paired = PairedDevice { installation_id: new.id, installation_secret: &secret.text };
        Ok(Answer::json(StatusCode::CREATED, &paired)?.into_response())
    }

    fn code_hash(&self, customer: i64, code: &str) -> [u8; 32] {
        self.vault.fingerprint(&[b"pairing", &customer.to_be_bytes(), code.as_bytes()])
    }
}

fn draw_code() -> Result<String> {
    let mut random = Zeroizing::new([0_u8; 16]);
    vault::draw(&mut *random)?;
    let number = u128::from_be_bytes(*random) % 10_u128.pow(10);
    Ok(format!("{number:0CODE_DIGITS$}"))
}
