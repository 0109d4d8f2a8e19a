//! What a record's command and entry make a row: how its members are called and where they come
//! from. Source: requirements #118 to #131.

use shared::command::{Authorization, Change, Command, EntryMode};
use shared::effect::{Direction, Transaction, TransactionState};
use uuid::Uuid;

use super::{CARD, CREDIT_TRANSFER, FEE, TOP_UP, TRANSFER, WITHDRAWAL};
use crate::store::TransactionRow;

/// The message whose money a command is about.
pub(crate) fn message(command: &Command) -> Option<&Authorization> {
    match command {
        Command::Authorize(request) => Some(request),
        Command::Advise(advice) => Some(&advice.message),
        Command::Reverse(_)
        | Command::LockOutside(_)
        | Command::Void(..)
        | Command::Expire
        | Command::Manage(..)
        | Command::Answered(..) => None,
    }
}

/// Money that no card moves: what it is, and its command.
pub(super) fn by_hand(command: &Command) -> Option<(&'static str, Uuid)> {
    let Command::Manage(id, change) = command else { return None };
    let kind = if let Change::TopUp { .. } = change {
        TOP_UP
    } else if let Change::CreditTransfer { .. } = change {
        CREDIT_TRANSFER
    } else if let Change::Withdraw { .. } = change {
        WITHDRAWAL
    } else if let Change::Transfer { .. } | Change::TransferCharged { .. } = change {
        TRANSFER
    } else if let Change::ChargeFee { .. } = change {
        FEE
    } else {
        return None;
    };
    Some((kind, Uuid::from_u128(id.0)))
}

/// What a message and what is remembered of it make a transaction.
pub(crate) fn payment(message: &Authorization, entry: &Transaction) -> TransactionRow {
    let made = &message.acceptance;
    // What is declined has no direction at the switch.
    let credits = entry.state == TransactionState::Answered && is_credit(message.processing_code);
    TransactionRow {
        kind: CARD.to_owned(),
        credit: i64::from(entry.direction == Direction::Credit || credits),
        state: state_name(entry.state).to_owned(),
        reason: i64::from(entry.decision.reason.number()),
        flagged: entry.flagged.map(|reason| i64::from(reason.number())),
        approval: entry.decision.approval.map(|code| i64::from(code.0)),
        processing_code: i64::from(message.processing_code),
        asked: message.billed().amount.0,
        currency: i64::from(entry.currency.0),
        original_amount: message.transaction.amount.0,
        original_currency: i64::from(message.transaction.currency.0),
        cash_back: message.cash_back.0,
        authorised: entry.authorised.0,
        released: entry.released.0,
        captured: entry.captured.0,
        posted: entry.captured.0,
        returned: entry.returned.0,
        stan: Some(number(message.key.stan)),
        rrn: text(&message.references.rrn),
        life_cycle: text(&message.references.life_cycle),
        terminal: text(&message.references.terminal),
        merchant: text(&made.merchant),
        mcc: (made.mcc > 0).then(|| i64::from(made.mcc)),
        country: (made.country > 0).then(|| i64::from(made.country)),
        entry: entry_name(made.entry).map(str::to_owned),
        ..TransactionRow::default()
    }
}

/// DE3 of refunds, deposits and payments to the holder.
const fn is_credit(processing_code: u32) -> bool {
    matches!(processing_code / 10_000, 20..=29)
}

pub(super) const fn state_name(state: TransactionState) -> &'static str {
    match state {
        TransactionState::Authorized => "AUTHORIZED",
        TransactionState::Posted => "BOOKED",
        TransactionState::Answered => "ANSWERED",
        TransactionState::Cleared => "CLEARED",
        TransactionState::Expired => "EXPIRED",
        TransactionState::Reversed => "REVERSED",
        TransactionState::Voided => "VOIDED",
        TransactionState::Tombstone => "TOMBSTONE",
        TransactionState::Asked => "ASKED",
    }
}

/// As the seed calls how a card number came. Source: requirements #128.
const fn entry_name(entry: EntryMode) -> Option<&'static str> {
    match entry {
        EntryMode::Unknown => None,
        EntryMode::Manual => Some("manual"),
        EntryMode::Stripe => Some("magstripe"),
        EntryMode::Chip => Some("emv"),
        EntryMode::Contactless => Some("nfc"),
        EntryMode::Ecommerce | EntryMode::StoredCredential => Some("ecommerce"),
    }
}

/// A field as text, where it says anything.
fn text(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).unwrap_or_default().trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
