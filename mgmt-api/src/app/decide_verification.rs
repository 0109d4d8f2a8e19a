//! Identity checks: how one stands, what an operator sees of it, its decision by an operator or by
//! the automatic provider, and what follows from success. Source: requirements #30, #44, #71-#75.
//!
//! Invariants: a check is decided once; the switch knows the customer's flag, and the balances
//! that come by themselves are there, before the decision counts as done.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    App, Asked, Body, ImagePath, Nothing, VerificationForm, VerificationPath, first_half,
    page_limit,
};
use crate::answer::Answer;
use crate::audit::Entry;
use crate::call::{Call, CustomerCall};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::identity_provider::{self, Verdict};
use crate::store::{BalanceRow, Decision, VerificationRow};
use crate::vault::Purpose;

/// Checks taken up at once.
const BATCH_MAX: i64 = 32;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Who decides where nobody does.
const PROVIDER: &str = "automatic";

/// Why a check is rejected. Source: requirements #72.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectReason {
    /// Something in the form is wrong.
    InvalidCustomerData,
    /// An image cannot be read.
    DocumentUnreadable,
    /// The document is no longer good.
    DocumentExpired,
    /// A document of this kind is not taken.
    DocumentNotSupported,
    /// The face is another one.
    FaceMismatch,
    /// Too young.
    Underage,
    /// On a list of sanctions.
    Sanctioned,
    /// The same person is a customer already.
    DuplicateCustomer,
    /// Something is not right.
    FraudSuspected,
    /// Anything else.
    Other,
}

impl RejectReason {
    /// Its name in answers and in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidCustomerData => "INVALID_CUSTOMER_DATA",
            Self::DocumentUnreadable => "DOCUMENT_UNREADABLE",
            Self::DocumentExpired => "DOCUMENT_EXPIRED",
            Self::DocumentNotSupported => "DOCUMENT_NOT_SUPPORTED",
            Self::FaceMismatch => "FACE_MISMATCH",
            Self::Underage => "UNDERAGE",
            Self::Sanctioned => "SANCTIONED",
            Self::DuplicateCustomer => "DUPLICATE_CUSTOMER",
            Self::FraudSuspected => "FRAUD_SUSPECTED",
            Self::Other => "OTHER",
        }
    }
}

/// The body of a rejection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    reason: RejectReason,
}

/// Which checks are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationPage {
    status: Option<Status>,
    limit: Option<u8>,
    after: Option<Uuid>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    InProgress,
    Accepted,
    Rejected,
}

/// How a check stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownVerification {
    verification_id: Uuid,
    customer_id: String,
    /// IN_PROGRESS, ACCEPTED or REJECTED.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
}

/// A page of checks, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationList {
    items: Vec<ShownVerification>,
    has_more: bool,
}

/// A check with what the customer stated.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FullVerification {
    #[serde(flatten)]
    verification: ShownVerification,
    /// Nothing where it was wiped with its customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<VerificationForm>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    verification: Uuid,
    command: Uuid,
}

impl From<VerificationRow> for ShownVerification {
    fn from(row: VerificationRow) -> Self {
        let at = |ms: i64| clock::rfc3339(Timestamp(u64::try_from(ms).unwrap_or_default()));
        Self {
            verification_id: row.id,
            customer_id: row.customer_id.to_string(),
            status: row.status,
            reason: row.reason,
            created_at: at(row.created_at_ms),
            decided_at: row.decided_at_ms.map(at),
        }
    }
}

impl App {
    /// How the customer's newest check stands.
    pub async fn show_verification(&self, by: CustomerCall) -> Result<Response> {
        let customer = self.customer(&by).await?.id;
        let row = self.store.newest_verification(customer).await?;
        let shown = ShownVerification::from(row.ok_or(Code::VerificationNotFound)?);
        Ok(Answer::ok(&shown)?.into_response())
    }

    /// A page of checks; open ones where no status is asked for.
    pub async fn list_verifications(
        &self,
        by: Call,
        Asked(page): Asked<VerificationPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let status = match page.status {
            None | Some(Status::InProgress) => "IN_PROGRESS",
            Some(Status::Accepted) => "ACCEPTED",
            Some(Status::Rejected) => "REJECTED",
        };
        let part = (page.after.unwrap_or(Uuid::nil()), i64::from(limit) + 1);
        let mut rows = self.store.verifications(by.caller.scope(), status, part).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let items = rows.into_iter().map(ShownVerification::from).collect();
        Ok(Answer::ok(&VerificationList { items, has_more })?.into_response())
    }

    /// A check with its form.
    pub async fn show_full_verification(&self, by: Call, at: VerificationPath) -> Result<Response> {
        let row = self.verification_at(&by, &at.verification).await?;
        let kept = !row.form_sealed.is_empty();
        let form = kept.then(|| self.form_of(&row)).transpose()?;
        let shown = FullVerification { verification: row.into(), form };
        Ok(Answer::ok(&shown)?.into_response())
    }

    /// One image of a check.
    pub async fn show_image(&self, by: Call, at: ImagePath) -> Result<Response> {
        let row = self.verification_at(&by, &at.verification).await?;
        let image = self.store.verification_image(row.id, &at.image).await?;
        let image = image.ok_or(Code::VerificationNotFound)?;
        let name = format!("verification {} {}", row.id, at.image);
        let content =
            self.vault.unseal(Purpose::PersonalData, name.as_bytes(), &image.content_sealed)?;
        Ok(([(CONTENT_TYPE, image.media_type)], content.to_vec()).into_response())
    }

    /// Accepts a check.
    pub async fn accept_verification(
        &self,
        by: Call,
        at: VerificationPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        self.decide(by, at, hash, None).await
    }

    /// Rejects a check.
    pub async fn reject_verification(
        &self,
        by: Call,
        at: VerificationPath,
        body: Body<Rejection>,
    ) -> Result<Response> {
        self.decide(by, at, body.hash, Some(body.content.reason)).await
    }

    async fn decide(
        &self,
        by: Call,
        at: VerificationPath,
        hash: ContentHash,
        rejected: Option<RejectReason>,
    ) -> Result<Response> {
        let draw = || async {
            let verification = self.verification_at(&by, &at.verification).await?.id;
            Ok(Plan { verification, command: Uuid::now_v7() })
        };
        let name = by.caller.name();
        let carry_out = async |plan: Plan| {
            self.carry_out_decision(plan.verification, plan.command, rejected, &name).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, draw, carry_out).await
    }

    async fn carry_out_decision(
        &self,
        id: Uuid,
        command: Uuid,
        rejected: Option<RejectReason>,
        by: &str,
    ) -> Result<()> {
        let rejected = rejected.map(RejectReason::name);
        let decision = Decision { rejected, by, at_ms: clock::now_millis() };
        let newly = self.store.decide_verification(id, &decision).await?;
        let row = self.store.verification(crate::call::Scope::default(), id).await?;
        let row = row.ok_or(Code::VerificationNotFound)?;
        let status = if rejected.is_some() { "REJECTED" } else { "ACCEPTED" };
        if !newly && (row.status != status || row.reason.as_deref() != rejected) {
            return Err(Code::VerificationDecided.into());
        }
        let customer = self.store.customer_flags(row.customer_id).await?;
        self.tell_customer(command, customer.ok_or(Code::UserNotFound)?).await
    }

    /// Opens the balances that a verified customer has by itself, one a currency. Doing it again
    /// changes nothing. Source: requirements #30.
    pub(crate) async fn open_automatic_balances(&self, customer: i64, partner: i64) -> Result<()> {
        let programs = self.store.programs(Some(partner)).await?;
        let mut automatic: Vec<_> =
            programs.into_iter().filter(|program| program.auto_balance != 0).collect();
        // One that gives IBANs first.
        automatic.sort_by_key(|program| program.iban_prefix.is_none());
        let mut currencies = BTreeSet::new();
        for program in automatic.into_iter().filter(|program| currencies.insert(program.currency)) {
            let currency = program.currency;
            let id = automatic_balance(customer, currency);
            if self.store.was_opened(id).await? {
                continue;
            }
            let opened_for = Some(program.config_id);
            let row = BalanceRow { id, customer_id: customer, currency, entrusted: 0, opened_for };
            let entrusted = self.is_entrusted(partner, currency, None).await?;
            // What was refused once is tried anew: there may be room by now.
            let attempt = if self.store.was_refused(id).await? { Uuid::now_v7() } else { id };
            match self.open_at_switch(partner, &row, entrusted, attempt).await {
                Err(error) if error.code == Code::TooManyBalances => {
                    tracing::warn!(id = customer, "a user has as many balances as one may have");
                }
                opened => opened?,
            }
        }
        Ok(())
    }

    async fn verification_at(&self, by: &Call, id: &str) -> Result<VerificationRow> {
        let id = Uuid::parse_str(id).map_err(|_not_a_uuid| Code::VerificationNotFound)?;
        let row = self.store.verification(by.caller.scope(), id).await?;
        row.ok_or_else(|| Code::VerificationNotFound.into())
    }

    fn form_of(&self, row: &VerificationRow) -> Result<VerificationForm> {
        let name = format!("verification {}", row.id);
        let plain = self.vault.unseal(Purpose::PersonalData, name.as_bytes(), &row.form_sealed)?;
        Ok(serde_json::from_slice(&plain)?)
    }

    async fn decide_automatically(&self, row: &VerificationRow) -> Result<()> {
        let verdict = match self.form_of(row) {
            Ok(form) => identity_provider::check(&form, clock::now()),
            // What cannot be read any more is for a person to look at.
            Err(error) => return Err(error),
        };
        let rejected = match verdict {
            Verdict::Accepted => None,
            Verdict::Rejected(reason) => Some(reason),
        };
        let target = match rejected {
            None => format!("verification {} ACCEPTED", row.id),
            Some(reason) => format!("verification {} REJECTED {}", row.id, reason.name()),
        };
        self.audit.write(Entry::by_itself(PROVIDER, "decide verification", &target)).await?;
        match self.carry_out_decision(row.id, Uuid::now_v7(), rejected, PROVIDER).await {
            // An operator was faster.
            Err(Error { code: Code::VerificationDecided, .. }) => Ok(()),
            result => result,
        }
    }

    /// Drops images, and wipes customers who went and cards that were removed, when their retention
    /// is over.
    pub(crate) async fn sweep_retention(&self) -> Result<u64> {
        let days = i64::from(self.config.retention_days);
        let before = clock::now_millis().saturating_sub(days.saturating_mul(86_400_000));
        let wiped = self.store.wipe_customers(before).await?;
        Ok(self.store.drop_images(before).await? + wiped)
    }
}

/// Decides checks of partners that want them decided automatically, until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            let rows = app.store.automatic_verifications(BATCH_MAX).await.unwrap_or_default();
            for row in rows {
                if let Err(error) = app.decide_automatically(&row).await {
                    tracing::warn!(code = error.code.title(), "a check was not decided");
                }
            }
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// The id of the balance that a customer has by itself in a currency.
fn automatic_balance(customer: i64, currency: i64) -> Uuid {
    Uuid::from_u128(first_half(&format!("pointsman balance v1 {customer} {currency}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_reasons_are_read_as_they_are_written() {
        let names = [
            "INVALID_CUSTOMER_DATA",
            "DOCUMENT_UNREADABLE",
            "DOCUMENT_EXPIRED",
            "DOCUMENT_NOT_SUPPORTED",
            "FACE_MISMATCH",
            "UNDERAGE",
            "SANCTIONED",
            "DUPLICATE_CUSTOMER",
            "FRAUD_SUSPECTED",
            "OTHER",
        ];
        for name in names {
            let body = format!("{{\"reason\":\"{name}\"}}");
            let read: Rejection = serde_json::from_str(&body).unwrap();
            assert_eq!(read.reason.name(), name);
        }
        assert!(serde_json::from_str::<Rejection>(r#"{"reason":"other"}"#).is_err());
    }
}
