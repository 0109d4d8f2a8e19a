//! Taking back an authorization: all of its hold or a part, and the tombstone where it has not
//! come yet. Source: authorization 2 (reversals: rows 1 to 3 decide), 3 and 4; iso8583 4.4.
//!
//! Invariant: a reversal is always answered, releases at most what is open, and moves nothing the
//! second time.

use super::answer_again;
use crate::action_code::Reason;
use crate::command::{MessageClass, Reversal};
use crate::effect::{Decision, Effect, Transaction, TransactionSlot, TransactionState};
use crate::ledger::{Ledger, Stamp};
use crate::money::Amount;

/// Decides a reversal, request or advice.
pub(crate) fn decide(
    ledger: &Ledger,
    reversal: &Reversal,
    stamp: Stamp,
    effects: &mut Vec<Effect>,
) -> Decision {
    let content = super::of_reversal(reversal);
    if let Some((_, earlier)) = ledger.transactions.find(&reversal.key) {
        return answer_again(earlier, content);
    }
    // Only a request is taken back, never another reversal, nor itself.
    let reversible =
        reversal.original.class != MessageClass::Reversal && reversal.original != reversal.key;
    let original = ledger.transactions.find(&reversal.original).filter(|_| reversible);
    let reason = match original {
        Some((_, original)) if original.state == TransactionState::Tombstone => unmatched(reversal),
        Some(_) => Reason::ReversalAccepted,
        None => unmatched(reversal),
    };
    let decision = Decision { reason, approval: None };
    let mut vacancies = ledger.transactions.vacancies(stamp.at, &ledger.limits);
    let (own, tombstone) = (vacancies.take(), vacancies.take());
    let (Some(own), Some(tombstone)) = (own, tombstone) else {
        return Decision { reason: Reason::UnknownError, approval: None };
    };
    // Forgetting may free the original itself, but only one that holds nothing: then a tombstone
    // takes its place, so that its request stays out.
    let kept = |slot: &TransactionSlot| !vacancies.forgotten().any(|gone| gone == *slot);
    let matched = original.filter(|(slot, _)| kept(slot));
    effects.extend(vacancies.forgotten().map(Effect::Forgotten));
    effects.push(Effect::Remembered(own, entry(reversal, content, decision, stamp)));
    match matched {
        Some((slot, original)) => take_back(slot, original, reversal, effects),
        None if reversible => {
            let mut grave = entry(reversal, content, decision, stamp);
            grave.key = reversal.original;
            grave.state = TransactionState::Tombstone;
            effects.push(Effect::Remembered(tombstone, grave));
        }
        None => {}
    }
    decision
}

/// Releases what the reversal asks for, and closes the original where nothing is left of it.
fn take_back(
    slot: TransactionSlot,
    original: &Transaction,
    reversal: &Reversal,
    effects: &mut Vec<Effect>,
) {
    let open = original.open();
    match (original.state, remaining(original, reversal)) {
        (TransactionState::Authorized, Some(remaining)) => {
            let released = open.0.saturating_sub(remaining.0);
            if released > 0 {
                effects.push(Effect::Released(slot, Amount(released)));
            }
        }
        (TransactionState::Authorized, None) => {
            if open.is_positive() {
                effects.push(Effect::Released(slot, open));
            }
            effects.push(Effect::Closed(slot, TransactionState::Reversed));
        }
        (TransactionState::Answered, _) => {
            effects.push(Effect::Closed(slot, TransactionState::Reversed));
        }
        (
            TransactionState::Reversed | TransactionState::Voided | TransactionState::Tombstone,
            _,
        ) => {}
    }
}

/// What stays held after a partial reversal, in the balance's currency: the authorised amount in
/// the proportion of DE95.1 to the amount first asked for, rounded half up. `None` where nothing
/// is left.
fn remaining(original: &Transaction, reversal: &Reversal) -> Option<Amount> {
    let new_total = reversal.new_total.filter(|total| total.is_positive())?;
    let base = Some(i128::from(original.requested.0)).filter(|base| *base > 0)?;
    let authorised = i128::from(original.authorised.0);
    let scaled = (authorised * i128::from(new_total.0) * 2 + base).div_euclid(base * 2);
    i64::try_from(scaled.min(authorised)).ok().map(Amount).filter(|left| left.is_positive())
}

fn unmatched(reversal: &Reversal) -> Reason {
    if reversal.advice { Reason::ReversalAcknowledged } else { Reason::ReversalUnmatched }
}

fn entry(reversal: &Reversal, content: u64, decision: Decision, stamp: Stamp) -> Transaction {
    Transaction {
        key: reversal.key,
        content,
        id: stamp.sequence,
        at: stamp.at,
        state: TransactionState::Answered,
        decision,
        card: None,
        balance: None,
        deposit: None,
        requested: Amount::ZERO,
        authorised: Amount::ZERO,
        released: Amount::ZERO,
    }
}
