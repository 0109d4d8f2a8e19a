//! `decide`: one straight column of checks in the documented order; the first that fails is the
//! answer. Source: authorization 2. The numbers in the comments are the rows of its table.
//!
//! Invariant: nothing changes here. What is decided leaves as effects, both holds or neither.

mod fingerprint;
mod reversal;

pub use fingerprint::{of_authorization, of_reversal};
pub(crate) use reversal::decide as decide_reversal;

use crate::action_code::Reason;
use crate::card::{CardState, YearMonth};
use crate::command::{Authorization, Collateral, PartnerBalanceKind};
use crate::effect::{
    ApprovalCode, BalanceSlot, CardSlot, Decision, Effect, PartnerBalanceSlot, Transaction,
    TransactionState,
};
use crate::ids::Timestamp;
use crate::ledger::{Card, Ledger, Stamp};
use crate::money::Amount;

/// Transaction types that this issuer holds money for: DE3's first two digits. 00 purchase,
/// 01 cash withdrawal, 09 purchase with cash-back, 17 cash disbursement. Source: iso8583 4.5.
const HOLD_TYPES: [u32; 4] = [0, 1, 9, 17];

/// What an approval will hold.
struct Hold {
    balance: BalanceSlot,
    deposit: Option<PartnerBalanceSlot>,
    amount: Amount,
}

/// Decides an authorization request.
pub(crate) fn decide(
    ledger: &Ledger,
    request: &Authorization,
    stamp: Stamp,
    effects: &mut Vec<Effect>,
) -> Decision {
    let content = of_authorization(request);
    if let Some((_, earlier)) = ledger.transactions.find(&request.key) {
        return answer_again(earlier, content); // 2, 3
    }
    let Some(slot) = plan_slot(ledger, stamp, effects) else {
        return declined(Reason::UnknownError);
    };
    let card = ledger.card_of(request.token);
    let outcome = check(ledger, request, card.map(|(_, card)| card), stamp.at);
    let entry = match outcome {
        Ok(hold) => {
            let decision = Decision {
                reason: Reason::Approved,
                approval: Some(ApprovalCode::of(stamp.sequence)),
            };
            Transaction {
                balance: Some(hold.balance),
                deposit: hold.deposit,
                authorised: hold.amount,
                state: TransactionState::Authorized,
                ..answered(request, content, card.map(|(slot, _)| slot), decision, stamp)
            }
        }
        Err(reason) => {
            answered(request, content, card.map(|(slot, _)| slot), declined(reason), stamp)
        }
    };
    effects.push(Effect::Remembered(slot, entry));
    entry.decision
}

/// Rows 4 to 20 in order.
fn check(
    ledger: &Ledger,
    request: &Authorization,
    card: Option<&Card>,
    now: Timestamp,
) -> Result<Hold, Reason> {
    if !HOLD_TYPES.contains(&(request.processing_code / 10_000)) {
        return Err(Reason::UnknownTransactionType); // 4
    }
    let billed = request.billed();
    let (asked, zero) = (request.transaction.amount, Amount::ZERO);
    let positive = asked.is_positive() && billed.amount.is_positive();
    let verifying = request.verification && (asked, billed.amount) == (zero, zero);
    if !(positive || verifying) {
        return Err(Reason::InvalidAmount); // 5
    }
    let card = card.filter(|card| card.state != CardState::Removed);
    let card = card.ok_or(Reason::CardNotFound)?; // 6
    if matches!(card.state, CardState::Ordered | CardState::Linked) {
        return Err(Reason::CardInactive); // 7
    }
    let stated_otherwise = request.expiry.is_some_and(|stated| stated != card.expiry);
    let past = YearMonth::of(now) > card.expiry;
    if card.state == CardState::Expired || past || stated_otherwise {
        return Err(Reason::CardExpired); // 8
    }
    if let Some(lock) = card.lock {
        return Err(Reason::of_lock(lock.code)); // 9
    }
    let balance = ledger.balance(card.balance).ok_or(Reason::UnknownError)?;
    let customer = ledger.customer(balance.customer).filter(|customer| customer.verified);
    if customer.ok_or(Reason::CustomerNotFound)?.aml_locked {
        return Err(Reason::AmlException); // 10
    }
    if balance.closed {
        return Err(Reason::BalanceNotFound); // 12
    }
    if billed.currency != balance.currency {
        return Err(Reason::CurrencyMismatch); // 13
    }
    let program = ledger.program_at(card.program).ok_or(Reason::UnknownError)?;
    let mut deposit = None;
    if program.collateral == Collateral::Deposit {
        let key = (program.partner, PartnerBalanceKind::Deposit, balance.currency);
        let slot = ledger.partner_balance_of(key).ok_or(Reason::DepositBalanceNotFound)?; // 18
        let found = ledger.partner_balance(slot).ok_or(Reason::UnknownError)?;
        if !found.funds.covers(billed.amount) {
            return Err(Reason::InsufficientFundsOnDeposit); // 19
        }
        deposit = Some(slot);
    }
    if !balance.funds.covers(billed.amount) {
        return Err(Reason::InsufficientFunds); // 20
    }
    Ok(Hold { balance: card.balance, deposit, amount: billed.amount })
}

/// Rows 2 and 3: what a key that is known already gets.
fn answer_again(earlier: &Transaction, content: u64) -> Decision {
    match earlier.state {
        TransactionState::Reversed | TransactionState::Voided | TransactionState::Tombstone => {
            declined(Reason::ReversedBeforeRequest)
        }
        TransactionState::Authorized | TransactionState::Answered => {
            if earlier.content == content {
                earlier.decision
            } else {
                declined(Reason::Duplicate)
            }
        }
    }
}

/// Plans the slot of one answer, and the forgetting that makes room for it; `None` where the
/// table is full of open holds, but for the two slots that a reversal may need.
fn plan_slot(
    ledger: &Ledger,
    stamp: Stamp,
    effects: &mut Vec<Effect>,
) -> Option<crate::effect::TransactionSlot> {
    if ledger.transactions.holds() + 2 >= ledger.limits.transactions_max {
        return None;
    }
    let mut vacancies = ledger.transactions.vacancies(stamp.at, &ledger.limits);
    let slot = vacancies.take()?;
    effects.extend(vacancies.forgotten().map(Effect::Forgotten));
    Some(slot)
}

fn answered(
    request: &Authorization,
    content: u64,
    card: Option<CardSlot>,
    decision: Decision,
    stamp: Stamp,
) -> Transaction {
    Transaction {
        key: request.key,
        content,
        id: stamp.sequence,
        at: stamp.at,
        state: TransactionState::Answered,
        decision,
        card,
        balance: None,
        deposit: None,
        requested: request.transaction.amount,
        authorised: Amount::ZERO,
        released: Amount::ZERO,
    }
}

fn declined(reason: Reason) -> Decision {
    Decision { reason, approval: None }
}
