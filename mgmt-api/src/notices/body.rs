//! What a notice says, as the seed prints it. Source: requirements #73, #156 to #160.
//!
//! Invariant: made of what was written down with the notice and of what never changes, so that each
//! try says the same.

use std::borrow::Cow;

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use shared::action_code::Reason;
use uuid::Uuid;

use super::{BALANCE, CARD, LOW_BALANCE, PING, TRANSACTION, date, id_of};
use crate::app::{App, Notified, reason};
use crate::callout::{Call, damaged, derived_id};
use crate::error::{Error, Result};
use crate::store::{NoticeRow, TransactionRow};
use crate::vault::Purpose;

/// A notice on its way.
pub(crate) struct Letter {
    /// Its id, and idempotency key.
    pub(crate) key: Uuid,
    pub(crate) method: Method,
    /// What is put behind the endpoint's address.
    pub(crate) path: Cow<'static, str>,
    /// Its body.
    pub(crate) body: Option<Vec<u8>>,
}

/// What became of a transaction.
#[derive(Serialize)]
struct TransactionNotice {
    status: &'static str,
    date: String,
    description: &'static str,
    transaction: Notified,
}

/// SUCCESS, DECLINED or INVALID. Source: requirements #157.
fn outcome(reason: Reason) -> &'static str {
    match reason {
        Reason::Approved
        | Reason::ApprovedPartially
        | Reason::AdviceRecorded
        | Reason::AdviceAmbiguous
        | Reason::AdviceUnmatched
        | Reason::ReversalAccepted
        | Reason::ReversalAcknowledged
        | Reason::NetworkManagementDone
        | Reason::AdministrativeTaken
        | Reason::LockChanged => "SUCCESS",
        Reason::FormatError
        | Reason::Duplicate
        | Reason::UnknownTransactionType
        | Reason::InvalidAmount
        | Reason::CardNotFound
        | Reason::CustomerNotFound
        | Reason::BalanceNotFound
        | Reason::CurrencyMismatch
        | Reason::DepositBalanceNotFound
        | Reason::CollateralBalanceNotFound
        | Reason::ReversalUnmatched
        | Reason::ReversalAmbiguous
        | Reason::OriginalNotFound
        | Reason::OriginalAmbiguous
        | Reason::LockCardNotFound
        | Reason::UnknownError => "INVALID",
        Reason::ReversedBeforeRequest
        | Reason::CardInactive
        | Reason::CardExpired
        | Reason::CardLost
        | Reason::CardStolen
        | Reason::CardPendingQuery
        | Reason::CardConsolidation
        | Reason::CardDeactivated
        | Reason::CardPinTriesExceeded
        | Reason::CardSuspectedFraud
        | Reason::CardReplaced
        | Reason::AmlException
        | Reason::InsufficientFundsOnDeposit
        | Reason::InsufficientFunds
        | Reason::Unavailable
        | Reason::InvalidCvv
        | Reason::InvalidPin
        | Reason::PinTriesExceeded
        | Reason::NotPermitted
        | Reason::ExceedsAmountLimit
        | Reason::BudgetExceeded
        | Reason::LimitExceeded
        | Reason::InsufficientCollateral
        | Reason::LockRefused
        | Reason::PartnerDeclined
        | Reason::PartnerSilent
        | Reason::NetworkMayStandIn
        | Reason::FraudsDetected
        | Reason::PartnerLimitExceeded
        | Reason::BalanceBlocked => "DECLINED",
    }
}

impl App {
    /// A notice as it is sent.
    pub(crate) async fn letter(&self, notice: &NoticeRow) -> Result<Letter> {
        let row = format!("notice {}", notice.origin);
        let sealed = &notice.content_sealed;
        let content = self.vault.unseal(Purpose::PersonalData, row.as_bytes(), sealed)?;
        let (key, method) = (id_of(notice.number, notice.at_ms), Method::POST);
        if notice.kind == BALANCE {
            let Call { method, path, body } = Call::read(&content)?;
            let method = Method::from_bytes(method.as_bytes()).map_err(|error| damaged(&error))?;
            let body = body.map(|body| serde_json::to_vec(&body)).transpose()?;
            let key = derived_id(&notice.origin);
            return Ok(Letter { key, method, path: path.into(), body });
        }
        if notice.kind == TRANSACTION {
            let row: TransactionRow = serde_json::from_slice(&content)?;
            let reason = reason(&row);
            let transaction = self.notified_transaction(row).await?;
            let declined = transaction.is_declined();
            let status = match outcome(reason) {
                _ if !declined => "SUCCESS",
                "SUCCESS" => "DECLINED",
                outcome => outcome,
            };
            let description = reason.description();
            let date = date(notice.at_ms);
            let body = TransactionNotice { status, date, description, transaction };
            let path = "/notifications/transaction".into();
            return Ok(Letter { key, method, path, body: Some(serde_json::to_vec(&body)?) });
        }
        let path = match notice.kind.as_str() {
            PING => "/notifications/ping",
            CARD => "/notifications/card",
            LOW_BALANCE => "/notifications/lowBalance",
            _ => verification_path(&content)?,
        };
        Ok(Letter { key, method, path: path.into(), body: Some(content.to_vec()) })
    }
}

fn verification_path(content: &[u8]) -> Result<&'static str> {
    let said: Value = serde_json::from_slice(content)?;
    match said.get("status").and_then(Value::as_str) {
        Some("IN_PROGRESS") => Ok("/notifications/verificationInProgress"),
        Some("ACCEPTED") => Ok("/notifications/verificationAccepted"),
        Some("REJECTED") => Ok("/notifications/verificationRejected"),
        Some(_) | None => Err(Error::internal("notices", &"a notice says no status")),
    }
}
