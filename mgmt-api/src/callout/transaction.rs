//! The seed's transaction object, and the calls that tell of it. Source: requirements #147 to #154.
//!
//! Invariant: made of what the switch recorded and of what never changes, so that a call is the same
//! whenever it is made; no card number is in it but its last four digits.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::control::Question;
use shared::ids::Timestamp;
use uuid::Uuid;

use super::{damaged, derived_id, number, twice};
use crate::app::{TransactionData, data, kind_name, public_id};
use crate::clock;
use crate::error::Result;
use crate::history::{Name, PartnerCall, Told, payment};
use crate::notices::{BALANCE, News};
use crate::store::{CardRow, NewNotice, TransactionRow};
use crate::vault::{Vault, VaultError};

/// The object that partners get. Source: requirements #154.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct External {
    balance_id: Uuid,
    resource_id: Uuid,
    resource: &'static str,
    transaction_id: Uuid,
    reference_transaction_id: Option<Uuid>,
    r#type: &'static str,
    amount: i64,
    currency: String,
    original_amount: i64,
    original_currency: String,
    status: &'static str,
    description: String,
    date: String,
    transaction_data: TransactionData,
}

/// How a transaction stands that is held.
pub(super) const AUTHORIZED: &str = "AUTHORIZED";

/// What a call names.
pub(super) struct Named {
    /// The transaction.
    pub(super) id: Uuid,
    /// The one that it refers to.
    pub(super) reference: Option<Uuid>,
    /// Whose balance.
    pub(super) balance: Uuid,
    pub(super) amount: i64,
}

/// A call as it is kept until it was taken.
#[derive(Serialize, Deserialize)]
pub(crate) struct Call {
    /// POST, PUT or DELETE.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// The seed's name for what kind of transaction it is. Source: requirements #121.
fn type_name(row: &TransactionRow) -> &'static str {
    match kind_name(&row.kind, row.processing_code) {
        "Cashback" => "Cashback at POS",
        "AFT" => "funding",
        "refund" => "payment",
        other => other,
    }
}

/// What is told of a transaction, `status` being how it stands then.
pub(super) fn object(
    row: &TransactionRow,
    named: &Named,
    card: Option<&CardRow>,
    status: &'static str,
) -> External {
    let kind = type_name(row);
    let made_with = card.map(|card| ("card", card.resource_id));
    let (resource, resource_id) = made_with.unwrap_or(("balance", named.balance));
    let whole = named.amount == row.asked;
    External {
        balance_id: named.balance,
        resource_id,
        resource,
        transaction_id: named.id,
        reference_transaction_id: named.reference,
        r#type: kind,
        amount: named.amount,
        currency: currency(row.currency),
        // Of a part, only the billed amount is known.
        original_amount: if whole { row.original_amount } else { named.amount },
        original_currency: currency(if whole { row.original_currency } else { row.currency }),
        status,
        description: row.merchant.clone().unwrap_or_else(|| kind.to_owned()),
        date: clock::rfc3339(Timestamp(u64::try_from(row.at_ms).unwrap_or_default())),
        transaction_data: data(row, card).printed(),
    }
}

fn currency(number: i64) -> String {
    crate::app::currency_of_row(number).to_string()
}

/// The transaction that a question is about, as the history will have it.
pub(super) fn question_row(question: &Question) -> TransactionRow {
    let waiting = &question.waiting;
    let mut row = payment(&question.message, waiting);
    (row.id, row.at_ms) = (twice(waiting.id.0), number(waiting.at.0));
    row.card_id = Some(number(question.card.0));
    row
}

/// What a partner must be told, to be kept until it was taken.
pub(crate) fn notice_of(
    vault: &Vault,
    call: &PartnerCall,
    (partner, balance): (i64, Uuid),
    card: Option<&CardRow>,
) -> Result<NewNotice, VaultError> {
    let mut row = call.row.clone();
    let own = public_id(row.id, row.at_ms, row.command_id);
    let (verb, amount) = match call.told {
        Told::ForceDebit(amount) => ("force-debit", amount),
        Told::ForceCredit(amount) => ("force-credit", amount),
        Told::Reversal(amount) => ("reversal", amount),
        Told::Cleared(amount) => ("cleared", amount),
    };
    let (id, reference) = match call.name {
        Name::Own => (own, None),
        Name::Added { id, at_ms } => {
            row.at_ms = at_ms;
            (public_id(id, at_ms, None), Some(own))
        }
        Name::Change => (derived_id(&format!("{verb} {own} {}", call.sequence)), Some(own)),
    };
    let status = match call.told {
        // A reversal says what it takes back, as it was asked for.
        Told::Reversal(_) => AUTHORIZED,
        Told::ForceDebit(_) | Told::ForceCredit(_) if row.state == AUTHORIZED => AUTHORIZED,
        Told::ForceDebit(_) | Told::ForceCredit(_) | Told::Cleared(_) => "CLEARED",
    };
    let named = Named { id, reference, balance, amount };
    let body = serde_json::to_value(object(&row, &named, card, status)).ok();
    let (method, path) = match call.told {
        Told::Cleared(_) => ("PUT", format!("/transactions/{own}")),
        Told::ForceDebit(_) | Told::ForceCredit(_) | Told::Reversal(_) => {
            ("POST", format!("/transactions/{verb}"))
        }
    };
    let kept = Call { method: method.to_owned(), path, body };
    let origin = format!("{verb} of {id} at {}, {}", call.sequence, call.confirms);
    // What confirms a reversal holds up nothing. All of a balance ends with its id.
    let subject = match call.confirms {
        0 => format!("partner's {own} on {balance}"),
        which => format!("partner's {id}, confirmation {which}, on {balance}"),
    };
    to_keep(vault, &kept, (origin, subject), (partner, call.at_ms, call.not_before_ms))
}

/// A balance is not the partner's to keep any more.
pub(crate) fn unlink(
    vault: &Vault,
    partner: i64,
    (customer, balance): (i64, Uuid),
    (why, at_ms): (&str, i64),
) -> Result<NewNotice, VaultError> {
    let path = format!("/users/{customer}/balances/{balance}");
    let kept = Call { method: "DELETE".to_owned(), path, body: None };
    let (origin, subject) = (format!("unlink {balance} for {why}"), format!("unlink {balance}"));
    to_keep(vault, &kept, (origin, subject), (partner, at_ms, 0))
}

fn to_keep(
    vault: &Vault,
    call: &Call,
    (origin, subject): (String, String),
    (partner, at_ms, not_before_ms): (i64, i64, i64),
) -> Result<NewNotice, VaultError> {
    let content = serde_json::to_vec(call).unwrap_or_default();
    let news = News { origin, partner, kind: BALANCE, subject, at_ms };
    Ok(NewNotice { not_before_ms, ..news.saying(vault, &content)? })
}

impl Call {
    /// Reads what was kept.
    pub(crate) fn read(content: &[u8]) -> Result<Self> {
        serde_json::from_slice(content).map_err(|error| damaged(&error))
    }
}
