//! POST /secure/processors/{processorId}/otp: the one-time password of a payment without a card
//! present, handed on to the partner, who brings it to the holder. Source: requirements #162.
//!
//! Invariant: the password comes encrypted, is handed on while its payment waits, and is kept
//! nowhere: not in SQL, not in a log, not in the answer that is kept for a repeat.

use core::time::Duration;

use axum::response::Response;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use shared::pan::Pan;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::lock_outside::ClearNumber;
use super::{App, Body, ProcessorPath, check_text, currency};
use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::callout::Errand;
use crate::error::{Code, Error, Result};
use crate::notices::{OTP, Sent};
use crate::store::EndpointRow;

/// The payment waits for its holder: what is not handed on by then is of no use.
const WINDOW: Duration = Duration::from_secs(5);
/// Before it is handed on again.
const PAUSE: Duration = Duration::from_millis(500);
/// Characters of a password, and of a merchant's name.
const PASSWORD_CHARS: core::ops::RangeInclusive<usize> = 4..=16;
const MERCHANT_CHARS_MAX: usize = 128;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneTimePassword {
    pan: ClearNumber,
    /// Minor units.
    amount: i64,
    currency: String,
    merchant_name: String,
    #[schema(value_type = String)]
    otp: Password,
}

/// A password on its way; it cannot be printed.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct Password(String);

/// What the partner is told, as the seed prints it; numbers where it says integer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    storage_customer_id: i64,
    storage_card_id: i64,
    balance_id: Uuid,
    amount: i64,
    currency: &'a str,
    merchant_name: &'a str,
    otp: &'a Password,
}

/// For whom it is, and under which key it is handed on, each time.
#[derive(Serialize, Deserialize)]
struct Plan {
    key: Uuid,
    card: i64,
    balance: Uuid,
    customer: i64,
    partner: i64,
}

impl App {
    /// Hands a one-time password on to the partner of a card's holder.
    pub async fn send_otp(
        &self,
        by: Call,
        at: ProcessorPath,
        body: Body<OneTimePassword>,
    ) -> Result<Response> {
        let processor = at.of(&by)?;
        let wish = body.content;
        let pan = wish.check()?;
        let draw = || async {
            let card = self.store.card_of_token(self.vault.token(&pan).0, processor).await?;
            let card = card.ok_or(Code::CardNotFound)?;
            let row = self.store.card(Scope::default(), Some(card), None).await?;
            let balance = row.ok_or(Code::CardNotFound)?.balance_id;
            let holder = self.store.balance_in(Scope::default(), balance).await?;
            let customer = holder.ok_or(Code::CardNotFound)?.customer_id;
            let partner = self.store.partner_of_balance(balance).await?;
            let partner = partner.ok_or(Code::CardNotFound)?;
            Ok(Plan { key: Uuid::new_v4(), card, balance, customer, partner })
        };
        let carry_out = |plan: Plan| self.hand_on(plan, &wish);
        self.once(&by, body.hash, draw, carry_out).await
    }

    async fn hand_on(&self, plan: Plan, wish: &OneTimePassword) -> Result<Answer> {
        let endpoint = self.store.endpoint_for(plan.partner, OTP).await?;
        let endpoint = endpoint.filter(|row| row.state == "ACTIVE");
        let endpoint = endpoint.ok_or(Code::OtpEndpointMissing)?;
        let deadline = Instant::now() + WINDOW;
        loop {
            let sent = self.tell_otp(&endpoint, &plan, wish, deadline).await?;
            match sent {
                Sent::Answered { status: 200 | 204, .. } => return Ok(Answer::no_content()),
                Sent::Answered { status: 400..=499, .. } => return Err(Code::OtpRefused.into()),
                // The same again, under the same key: a partner that has it already says so.
                Sent::Answered { .. } | Sent::Not | Sent::InDoubt => {}
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(Code::OtpNotDelivered.into());
            }
            sleep(PAUSE).await;
        }
    }

    async fn tell_otp(
        &self,
        endpoint: &EndpointRow,
        plan: &Plan,
        wish: &OneTimePassword,
        deadline: Instant,
    ) -> Result<Sent> {
        let body = Zeroizing::new(serde_json::to_vec(&Told {
            storage_customer_id: plan.customer,
            storage_card_id: plan.card,
            balance_id: plan.balance,
            amount: wish.amount,
            currency: &wish.currency,
            merchant_name: &wish.merchant_name,
            otp: &wish.otp,
        })?);
        let errand = Errand {
            method: Method::POST,
            path: "/notifications/otp".to_owned(),
            key: plan.key,
            body: Some(body.to_vec()),
        };
        self.call_partner(endpoint, errand, deadline).await
    }
}

impl OneTimePassword {
    /// The card's number, where all of it can be handed on.
    fn check(&self) -> Result<Pan> {
        let fault = |field, message| Error::fault(Code::InvalidRequest, field, message);
        check_text("merchantName", &self.merchant_name, MERCHANT_CHARS_MAX)?;
        if self.amount < 0 {
            return Err(fault("amount", "must not be negative"));
        }
        currency(&self.currency)?;
        let password = &self.otp.0;
        let is_plain = password.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !PASSWORD_CHARS.contains(&password.len()) || !is_plain {
            return Err(fault("otp", "must be 4 to 16 letters or digits"));
        }
        self.pan.read().ok_or_else(|| fault("pan", "must be 12 to 19 digits"))
    }
}
