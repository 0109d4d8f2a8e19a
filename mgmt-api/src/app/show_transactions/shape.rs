//! A transaction as the seed's notifier prints it, with what is known besides. Source:
//! requirements #118 to #131, #159.
//!
//! Invariant: an id leads back to its row without a search: it holds number and time.

use serde::Serialize;
use shared::action_code::Reason;
use shared::effect::ApprovalCode;
use shared::money::Currency;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, currency_of_row, instant};
use crate::call::{Caller, Scope};
use crate::error::{Error, Result};
use crate::history::{CARD, CREDIT_TRANSFER, FEE, TOP_UP, TRANSFER, WITHDRAWAL};
use crate::iban;
use crate::store::{CardRow, MovementWords, TransactionRow};
use crate::vault::Purpose;

/// What a transaction is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Name {
    /// Its number, and when it began.
    Number { id: i64, at_ms: i64 },
    /// The command that asked for it.
    Command(Uuid),
}

/// A transaction as the seed's notifier prints it; amounts in minor units. Source: requirements #159.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notified {
    id: Uuid,
    balance_id: Uuid,
    /// What it was made with: `resource` is card or balance.
    resource_id: Uuid,
    resource: &'static str,
    card_id: Option<String>,
    /// The network's name for it, or its RRN, or its STAN; of what was asked for here, the
    /// caller's own.
    external_transaction_id: Option<String>,
    reference_external_transaction_id: Option<String>,
    /// POS, Cashback, ATM, AFT, Balance Inquiry, refund, payment; topUp, creditIbanTransfer,
    /// withdrawal, transfer, fee.
    r#type: &'static str,
    /// DEBIT or CREDIT.
    category: &'static str,
    /// What is or was held, posted, or declined, in the balance's currency.
    amount: i64,
    currency: String,
    original_amount: i64,
    original_currency: String,
    /// AUTHORIZED, CLEARED, REVERSED, DECLINED.
    status: &'static str,
    description: String,
    date: String,
    reference_external_transaction_date: Option<String>,
    transaction_data: TransactionData,
}

/// The same, and what is known besides.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTransaction {
    #[serde(flatten)]
    seeds: Notified,
    /// The transaction that it refers to.
    reference_transaction_id: Option<Uuid>,
    /// What of it is held, or pending, still.
    held: i64,
    /// What was taken for fees along with it.
    fee: i64,
    /// Why it was answered as it was.
    reason: &'static str,
    /// The IBAN that a bank transfer came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    iban_masked: Option<String>,
}

impl Notified {
    /// Whether nothing was held or posted.
    pub(crate) fn is_declined(&self) -> bool {
        self.status == "DECLINED"
    }
}

/// What the message said besides; empty for what no card made.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionData {
    #[serde(skip_serializing_if = "Option::is_none")]
    mcc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four_digits: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquirer_country: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cashback_pos_amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cashback_pos_currency_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retrieval_reference_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_trace_audit_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_code: Option<String>,
    /// The check that an advice did not pass: it counts all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    flagged: Option<&'static str>,
}

impl TransactionData {
    /// With the members alone that the seed prints. Source: requirements #154.
    pub(crate) fn printed(self) -> Self {
        Self {
            terminal_identifier: None,
            retrieval_reference_number: None,
            system_trace_audit_number: None,
            approval_code: None,
            flagged: None,
            ..self
        }
    }
}

impl ShownTransaction {
    /// Cardholders are not told of checks against money laundering, nor of what an advice did not
    /// pass.
    pub(super) fn seen_by(mut self, caller: Caller) -> Self {
        if matches!(caller, Caller::Customer(_)) {
            self.seeds.transaction_data.flagged = None;
            if self.reason == Reason::AmlException.description() {
                self.reason = Reason::NotPermitted.description();
            }
        }
        self
    }
}

impl Name {
    pub(in crate::app) fn of(id: Uuid) -> Self {
        if id.get_version_num() != 8 {
            return Self::Command(id);
        }
        let bits = id.as_u128();
        let low =
            |bits: u128, count: u32| i64::try_from(bits & ((1 << count) - 1)).unwrap_or_default();
        Self::Number { id: low(bits, 62), at_ms: low(bits >> 80, 48) }
    }
}

/// A transaction's id: that of the command that asked for it, or of version 8 (RFC 9562) from time
/// and number.
pub(crate) fn public_id(id: i64, at_ms: i64, command: Option<Uuid>) -> Uuid {
    command.unwrap_or_else(|| {
        let bits = |number: i64, count: u32| u128::from(number.unsigned_abs()) & ((1 << count) - 1);
        Uuid::from_u128(bits(at_ms, 48) << 80 | 8 << 76 | 2 << 62 | bits(id, 62))
    })
}

/// What kind of transaction something is, by what made it and DE3.
pub(crate) fn kind_name(kind: &str, processing_code: i64) -> &'static str {
    match (kind, processing_code / 10_000) {
        (CARD, 0 | 2 | 11) => "POS",
        (CARD, 9) => "Cashback",
        (CARD, 1 | 17) => "ATM",
        (CARD, 10) => "AFT",
        (CARD, 20..=23) => "refund",
        (CARD, 26 | 28) => "payment",
        (CARD, 30 | 31) => "Balance Inquiry",
        (TOP_UP, _) => "topUp",
        (CREDIT_TRANSFER, _) => "creditIbanTransfer",
        (WITHDRAWAL, _) => "withdrawal",
        (TRANSFER, _) => "transfer",
        (FEE, _) => "fee",
        (_, _) => "unknown",
    }
}

fn reason_of(number: i64) -> Reason {
    let mut all = Reason::ALL.iter().copied();
    all.find(|reason| i64::from(reason.number()) == number).unwrap_or(Reason::UnknownError)
}

/// Why a transaction was answered as it was.
pub(crate) fn reason(row: &TransactionRow) -> Reason {
    reason_of(row.reason)
}

/// Where a transaction stands, as the seed says it. Source: requirements #118, #119.
fn status(row: &TransactionRow) -> &'static str {
    let approved = matches!(reason(row).action_code().0, 0 | 2);
    let inquiry = matches!(row.processing_code / 10_000, 30 | 31);
    match row.state.as_str() {
        // What waits for a partner's answer is held.
        "AUTHORIZED" | "ASKED" => "AUTHORIZED",
        _ if row.posted > 0 => "CLEARED",
        _ if !approved => "DECLINED",
        // An advice of what was declined elsewhere.
        "ANSWERED" if row.asked > 0 && !inquiry => "DECLINED",
        "ANSWERED" => "CLEARED",
        "BOOKED" if row.returned == 0 => "CLEARED",
        _ => "REVERSED",
    }
}

fn amount(row: &TransactionRow, status: &str) -> i64 {
    match status {
        "AUTHORIZED" => row.authorised.saturating_sub(row.released),
        "CLEARED" => row.posted,
        "REVERSED" => row.authorised.max(row.returned),
        _ => row.asked,
    }
}

fn held(row: &TransactionRow, status: &str) -> i64 {
    match status {
        "AUTHORIZED" => row.authorised.saturating_sub(row.released).saturating_sub(row.captured),
        _ => 0,
    }
}

pub(crate) fn data(row: &TransactionRow, card: Option<&CardRow>) -> TransactionData {
    if row.kind != CARD {
        return TransactionData::default();
    }
    let country = row
        .country
        .and_then(|number| iso3166::LIST.iter().find(|country| i64::from(country.id) == number));
    let cash = (row.cash_back > 0).then_some(row.cash_back);
    let approval = row.approval.and_then(|code| u32::try_from(code).ok()).map(ApprovalCode);
    TransactionData {
        mcc: row.mcc.map(|mcc| format!("{mcc:04}")),
        merchant_identifier: row.merchant.clone(),
        terminal_identifier: row.terminal.clone(),
        capture_mode: row.entry.clone(),
        last_four_digits: card.map(|card| card.last_four.clone()),
        acquirer_country: country.map(|country| country.alpha2),
        cashback_pos_amount: cash,
        cashback_pos_currency_code: cash
            .map(|_some| currency_of_row(row.original_currency).to_string()),
        retrieval_reference_number: row.rrn.clone(),
        system_trace_audit_number: row.stan.map(|stan| format!("{stan:06}")),
        approval_code: approval.map(|code| String::from_utf8_lossy(&code.wire()).into_owned()),
        flagged: row.flagged.map(|number| reason_of(number).description()),
    }
}

/// The network's name for a payment.
fn external_id(row: &TransactionRow) -> Option<String> {
    let stan = row.stan.map(|stan| format!("{stan:06}"));
    row.life_cycle.clone().or_else(|| row.rrn.clone()).or(stan)
}

impl App {
    /// A transaction as its notice says it.
    pub(crate) async fn notified_transaction(&self, row: TransactionRow) -> Result<Notified> {
        self.shown_transaction(row).await.map(|shown| shown.seeds)
    }

    pub(super) async fn shown_transaction(&self, row: TransactionRow) -> Result<ShownTransaction> {
        let missing = || Error::internal("history", &"a transaction's balance is gone");
        let balance_id = self.history.balance_at(row.balance).await?.ok_or_else(missing)?;
        let card = match row.card_id {
            Some(id) => self.store.card(Scope::default(), Some(id), None).await?,
            None => None,
        };
        let reference = match row.reference_id {
            Some(id) => self.history.transaction(Some(id), None).await?,
            None => None,
        };
        let (said, words) = self.movement_words(&row).await?;
        let kind = kind_name(&row.kind, row.processing_code);
        let status = status(&row);
        let currency = |number| -> String { Currency::to_string(&currency_of_row(number)) };
        let made_with = card.as_ref().map(|card| ("card", card.resource_id));
        let (resource, resource_id) = made_with.unwrap_or(("balance", balance_id));
        let seeds = Notified {
            id: public_id(row.id, row.at_ms, row.command_id),
            balance_id,
            resource_id,
            resource,
            card_id: row.card_id.map(|id| id.to_string()),
            external_transaction_id: said.external_id.or_else(|| external_id(&row)),
            reference_external_transaction_id: reference.as_ref().and_then(external_id),
            r#type: kind,
            category: if row.credit == 1 { "CREDIT" } else { "DEBIT" },
            amount: amount(&row, status),
            currency: currency(row.currency),
            original_amount: row.original_amount,
            original_currency: currency(row.original_currency),
            status,
            description: words.or_else(|| row.merchant.clone()).unwrap_or_else(|| kind.to_owned()),
            date: instant(row.at_ms),
            reference_external_transaction_date: reference.as_ref().map(|row| instant(row.at_ms)),
            transaction_data: data(&row, card.as_ref()),
        };
        Ok(ShownTransaction {
            seeds,
            reference_transaction_id: reference
                .map(|row| public_id(row.id, row.at_ms, row.command_id)),
            held: held(&row, status),
            fee: row.fee,
            reason: reason(&row).description(),
            iban_masked: said.iban.as_deref().map(iban::masked),
        })
    }

    /// What a caller said of money that it moved, and its words.
    async fn movement_words(
        &self,
        row: &TransactionRow,
    ) -> Result<(MovementWords, Option<String>)> {
        let Some(id) = row.command_id else { return Ok(Default::default()) };
        let Some(said) = self.store.movement_words(id).await? else {
            return Ok(Default::default());
        };
        let name = format!("movement {id}");
        let words = said
            .description_sealed
            .as_ref()
            .map(|sealed| self.vault.unseal(Purpose::PersonalData, name.as_bytes(), sealed))
            .transpose()?;
        let words = words.map(|words| String::from_utf8_lossy(&words).into_owned());
        Ok((said, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_number_and_time() {
        let id = public_id(987_654_321, 1_795_600_000_123, None);
        assert_eq!(Name::of(id), Name::Number { id: 987_654_321, at_ms: 1_795_600_000_123 });
        assert_eq!(id.get_version_num(), 8);
        let command = Uuid::now_v7();
        assert_eq!(Name::of(public_id(1, 2, Some(command))), Name::Command(command));
    }

    #[test]
    fn every_processing_code_that_is_served_has_a_type() {
        let cases = [
            (0, "POS"),
            (20_000, "POS"),
            (10_000, "ATM"),
            (90_000, "Cashback"),
            (100_000, "AFT"),
            (200_000, "refund"),
            (260_000, "payment"),
            (310_000, "Balance Inquiry"),
            (990_000, "unknown"),
        ];
        for (code, name) in cases {
            assert_eq!(kind_name(CARD, code), name, "{code}");
        }
    }
}
