//! POST /lifecycle/v1/wallet: adds a customer. Source: requirements #64, #36, #37.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use time::Date;
use time::macros::format_description;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::put_program::KycMode;
use super::{App, Body, check_text, command_id, customer_id};
use crate::answer::Answer;
use crate::auth::password;
use crate::call::Call;
use crate::clock;
use crate::config;
use crate::error::{Code, Error, Result};
use crate::event_feed::state_after;
use crate::store::NewCustomer;
use crate::vault::Purpose;

/// Digits of a wallet PIN.
const PIN_DIGITS: core::ops::RangeInclusive<usize> = 4..=12;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWallet {
    first_name: String,
    last_name: String,
    phone: String,
    email: String,
    birth_date: Option<String>,
    #[serde(rename = "wPIN")]
    #[schema(value_type = Option<String>)]
    wallet_pin: Option<WalletPin>,
    #[serde(default)]
    state: LifecycleState,
    /// In the strict profile said by partners alone that check identities themselves (`kycMode`
    /// EXTERNAL).
    #[serde(default)]
    kyc: Kyc,
}

/// The application's PIN; not printable. Only its argon2id hash is kept.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(crate) struct WalletPin(String);

impl WalletPin {
    /// Its digits, if that is what they are.
    pub(crate) fn checked(&self) -> Result<Zeroizing<String>> {
        let digits = self.0.as_bytes();
        if !PIN_DIGITS.contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Error::fault(Code::InvalidRequest, "wPIN", "must be 4 to 12 digits"));
        }
        Ok(Zeroizing::new(self.0.clone()))
    }
}

/// Where a user is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LifecycleState {
    /// AddedCustomer.
    #[default]
    New,
    /// Phone and e-mail are the user's.
    Verified,
}

/// Whether the identity check succeeded. Source: requirements #71.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kyc {
    /// Not asked for.
    #[default]
    None,
    /// Under way.
    InProgress,
    /// Passed.
    Success,
    /// Not passed.
    Failed,
}

impl LifecycleState {
    /// Its name in SQL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Verified => "VERIFIED",
        }
    }
}

impl Kyc {
    /// Its name in SQL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::InProgress => "IN_PROGRESS",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Plan {
    customer: i64,
    command: Uuid,
    wpin_hash: Option<String>,
}

/// A customer that was added.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedCustomer {
    customer_id: String,
}

/// What is sealed of a customer.
#[derive(Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) phone: String,
    pub(crate) email: String,
    pub(crate) birth_date: Option<String>,
}

impl App {
    /// Adds a customer.
    pub async fn add_customer(&self, by: Call, body: Body<NewWallet>) -> Result<Response> {
        let wallet = body.content;
        wallet.check()?;
        let partner = i64::from(by.partner()?.0);
        let draw = || async {
            if wallet.kyc != Kyc::None {
                self.check_may_say_kyc(partner).await?;
            }
            Ok(Plan {
                customer: self.store.next_number("customer").await?,
                command: Uuid::now_v7(),
                wpin_hash: match &wallet.wallet_pin {
                    Some(pin) => {
                        Some(password::hash_off_worker(&self.crypto, pin.checked()?).await?)
                    }
                    None => None,
                },
            })
        };
        self.once(&by, body.hash, draw, |plan| self.carry_out_add(partner, &wallet, plan)).await
    }

    async fn carry_out_add(&self, partner: i64, wallet: &NewWallet, plan: Plan) -> Result<Answer> {
        let new = NewCustomer {
            id: plan.customer,
            partner,
            lifecycle_state: wallet.state.name(),
            kyc: wallet.kyc.name(),
            profile_sealed: self.sealed_profile(wallet, plan.customer)?,
            wpin_hash: plan.wpin_hash,
            contacts: vec![self.phone_token(&wallet.phone), self.email_token(&wallet.email)],
            // Source: surface 2.
            contacts_are_its_own: self.config.profile == config::Profile::Strict,
            created_at_ms: clock::now_millis(),
        };
        if !self.store.insert_customer(&new).await? {
            return Err(Code::CustomerExists.into());
        }
        let change = Change::PutCustomer {
            id: customer_id(plan.customer),
            verified: wallet.state == LifecycleState::Verified && wallet.kyc == Kyc::Success,
            aml_locked: false,
        };
        let outcome = self.link.change(command_id(plan.command), change).await?;
        self.store.settle_customer(plan.customer, state_after(&outcome)).await?;
        outcome.result?;
        if wallet.state == LifecycleState::Verified && wallet.kyc == Kyc::Success {
            self.open_automatic_balances(plan.customer, partner).await?;
        }
        Answer::created(&AddedCustomer { customer_id: plan.customer.to_string() })
    }

    /// A partner says how a check went only where it checks identities itself; in the sandbox
    /// profile any may. Source: requirements #44, #65.
    pub(super) async fn check_may_say_kyc(&self, partner: i64) -> Result<()> {
        if self.config.profile == config::Profile::Strict {
            let row = self.store.partner(partner).await?;
            if row.is_none_or(|row| row.kyc_mode != KycMode::External.name()) {
                return Err(Code::FeatureNotEnabled.into());
            }
        }
        Ok(())
    }

    fn sealed_profile(&self, wallet: &NewWallet, id: i64) -> Result<Vec<u8>> {
        let plain = Zeroizing::new(serde_json::to_vec(&Profile {
            first_name: wallet.first_name.clone(),
            last_name: wallet.last_name.clone(),
            phone: wallet.phone.clone(),
            email: wallet.email.clone(),
            birth_date: wallet.birth_date.clone(),
        })?);
        Ok(self.vault.seal(Purpose::PersonalData, profile_row_name(id).as_bytes(), &plain)?)
    }

    /// A customer's names and contacts; empty ones where they were wiped.
    pub(crate) async fn profile(&self, id: i64) -> Result<Profile> {
        let sealed = self.store.sealed_profile(id).await?.ok_or(Code::UserNotFound)?;
        self.opened_profile(id, &sealed)
    }

    /// The same; empty ones where there is no such customer.
    pub(crate) async fn known_profile(&self, id: i64) -> Result<Profile> {
        self.opened_profile(id, &self.store.sealed_profile(id).await?.unwrap_or_default())
    }

    /// A customer's name as it stands on a card.
    pub(crate) async fn full_name(&self, id: i64) -> Result<String> {
        let profile = self.profile(id).await?;
        Ok(format!("{} {}", profile.first_name, profile.last_name))
    }

    /// What a phone number is found by, however it is written.
    pub(super) fn phone_token(&self, phone: &str) -> [u8; 32] {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        self.vault.fingerprint(&[b"phone", digits.as_bytes()])
    }

    /// What an e-mail address is found by, in either case.
    pub(super) fn email_token(&self, email: &str) -> [u8; 32] {
        self.vault.fingerprint(&[b"email", email.trim().to_lowercase().as_bytes()])
    }

    /// A customer's names and contacts, of its row.
    pub(super) fn opened_profile(&self, id: i64, sealed: &[u8]) -> Result<Profile> {
        if sealed.is_empty() {
            return Ok(Profile::default());
        }
        let row = profile_row_name(id);
        let plain = self.vault.unseal(Purpose::PersonalData, row.as_bytes(), sealed)?;
        Ok(serde_json::from_slice(&plain)?)
    }
}

/// What a profile is sealed for.
fn profile_row_name(id: i64) -> String {
    format!("customer {id}")
}

impl NewWallet {
    pub(crate) fn check(&self) -> Result<()> {
        check_text("firstName", &self.first_name, 64)?;
        check_text("lastName", &self.last_name, 64)?;
        check_text("email", &self.email, 254)?;
        let fault = |field, message| Err(Error::fault(Code::InvalidRequest, field, message));
        let digits = self.phone.strip_prefix('+').unwrap_or(&self.phone);
        if !(5..=20).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return fault("phone", "must be 5 to 20 digits");
        }
        if self.email.split_once('@').is_none_or(|(name, host)| name.is_empty() || host.is_empty())
        {
            return fault("email", "must be an e-mail address");
        }
        if self.birth_date.as_deref().is_some_and(|date| calendar_date(date).is_none()) {
            return fault("birthDate", "must be a date like 2000-01-31");
        }
        self.wallet_pin.as_ref().map_or(Ok(()), |pin| pin.checked().map(drop))
    }
}

/// `2000-01-31`.
pub(crate) fn calendar_date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}
