//! What a payment costs besides: reserved with its hold, taken with what is posted, given back with
//! what is taken back.
//!
//! Invariant: whatever a message does to a transaction, its fees follow from what is open and what
//! is posted of it behind the message, so that no message decides on fees by itself. What clears a
//! hold pays the hold's fees, the fixed part once. Source: authorization 3, requirements #167.

use super::{Case, Witness};
use crate::command::Authorization;
use crate::effect::{Direction, Effect, Transaction, TransactionSlot, TransactionState};
use crate::fee::{ChargedFee, Fee};
use crate::ledger::{Ledger, ProgramRow};
use crate::money::Amount;

/// A transaction behind the message.
struct Followed {
    slot: TransactionSlot,
    entry: Transaction,
    /// Remembered by this message.
    fresh: bool,
    fees: Vec<ChargedFee>,
}

/// Adds to the effects what the fees of every transaction that they touch come to.
#[inline]
pub(crate) fn set_fees<W: Witness>(case: &mut Case<'_, W>, message: Option<&Authorization>) {
    if !case.ledger.fees.are_unused() {
        let set = fees_behind(case.ledger, case.effects, message);
        case.effects.extend(set);
    }
}

/// What the holder pays for `amount` of a payment besides, more than is reserved for it already.
pub(super) fn holders_fees(
    ledger: &Ledger,
    message: &Authorization,
    program: Option<&ProgramRow>,
    base: Option<TransactionSlot>,
    amount: Amount,
) -> Amount {
    let sum = |all: i64, one: Amount| all.saturating_add(one.0);
    let held = base.and_then(|base| Some((base, ledger.transactions.get(base)?)));
    Amount(match held {
        None => fees_on(message, program).map(|fee| fee.terms.of_holder(amount)).fold(0, sum),
        Some((base, held)) => {
            let open = Amount(held.open().0.saturating_add(amount.0));
            let more = |fee: &ChargedFee| Amount(fee.terms.of_holder(open).0 - fee.reserved.0);
            ledger.fees.of(base).iter().map(more).fold(0, sum)
        }
    })
}

fn fees_on<'a>(
    message: &'a Authorization,
    program: Option<&'a ProgramRow>,
) -> impl Iterator<Item = &'a Fee> {
    program.into_iter().flat_map(|row| &row.fees).filter(|fee| fee.is_on(message))
}

fn fees_behind(
    ledger: &Ledger,
    effects: &[Effect],
    message: Option<&Authorization>,
) -> Vec<Effect> {
    let mut followed = follow(ledger, effects);
    for place in 0..followed.len() {
        attach(ledger, &mut followed, place, (message, effects));
    }
    let mut set = Vec::new();
    for Followed { slot, entry, fresh, fees } in followed {
        let known = if fresh { &[] } else { ledger.fees.of(slot) };
        for fee in fees {
            let known = known.iter().find(|known| known.fee == fee.fee).copied();
            let now = due(fee, &entry);
            let taken = Amount(now.taken.0 - known.map_or(0, |known| known.taken.0));
            if known != Some(now) {
                set.push(Effect::FeeSet { transaction: slot, fee: now, taken });
            }
        }
    }
    set
}

/// How a fee of a transaction stands.
fn due(fee: ChargedFee, entry: &Transaction) -> ChargedFee {
    let posted = match entry.state {
        TransactionState::Posted => entry.posted(),
        TransactionState::Authorized
        | TransactionState::Answered
        | TransactionState::Cleared
        | TransactionState::Expired
        | TransactionState::Reversed
        | TransactionState::Voided
        | TransactionState::Tombstone
        | TransactionState::Asked => Amount::ZERO,
    };
    ChargedFee { reserved: fee.terms.of_holder(entry.held()), taken: fee.terms.on(posted), ..fee }
}

/// The transactions that the effects touch, as they are behind them.
fn follow(ledger: &Ledger, effects: &[Effect]) -> Vec<Followed> {
    let mut followed = Vec::new();
    for effect in effects {
        match effect {
            Effect::Remembered(slot, entry) => {
                let (slot, entry) = (*slot, *entry);
                followed.push(Followed { slot, entry, fresh: true, fees: Vec::new() });
            }
            Effect::Raised { transaction, amount, .. } => {
                change(ledger, &mut followed, *transaction, |it| it.authorised.0 += amount.0);
            }
            Effect::Released(slot, amount) => {
                change(ledger, &mut followed, *slot, |it| it.released.0 += amount.0);
            }
            Effect::Captured(slot, amount) | Effect::Settled(slot, amount) => {
                change(ledger, &mut followed, *slot, |it| it.captured.0 += amount.0);
            }
            Effect::Returned(slot, amount) => {
                change(ledger, &mut followed, *slot, |it| it.returned.0 += amount.0);
            }
            Effect::Closed(slot, state) | Effect::Decided { transaction: slot, state, .. } => {
                change(ledger, &mut followed, *slot, |it| it.state = *state);
            }
            Effect::PartnerPut(_)
            | Effect::ProgramPut(_)
            | Effect::CustomerPut { .. }
            | Effect::BalanceOpened { .. }
            | Effect::PartnerBalanceOpened { .. }
            | Effect::CardIssued(_)
            | Effect::BalanceClosed(_)
            | Effect::BalanceCovered(..)
            | Effect::CardChanged(..)
            | Effect::RulePut(..)
            | Effect::RuleRemoved(_)
            | Effect::RuleCharged { .. }
            | Effect::RuleGivenBack { .. }
            | Effect::ExceptionRaised(_)
            | Effect::ExceptionResolved(_)
            | Effect::Posted { .. }
            | Effect::Forgotten(_)
            | Effect::CommandRemembered(..)
            | Effect::CommandForgotten
            | Effect::FeePut(_)
            | Effect::FeeRemoved(..)
            | Effect::FeeSet { .. }
            | Effect::FeeCharged { .. }
            | Effect::CustodyPut(..)
            | Effect::BalanceEntrusted(_)
            | Effect::BalanceBlocked(..)
            | Effect::CountsPut(_)
            | Effect::Asked(..) => {}
        }
    }
    followed
}

fn change(
    ledger: &Ledger,
    followed: &mut Vec<Followed>,
    slot: TransactionSlot,
    change: impl FnOnce(&mut Transaction),
) {
    if let Some(found) = at(ledger, followed, slot).and_then(|place| followed.get_mut(place)) {
        change(&mut found.entry);
    }
}

/// The place of a transaction among the followed ones; one more where it was not yet.
fn at(ledger: &Ledger, followed: &mut Vec<Followed>, slot: TransactionSlot) -> Option<usize> {
    let known = followed.iter().position(|found| found.slot == slot);
    if known.is_none() {
        let entry = *ledger.transactions.get(slot)?;
        let fees = ledger.fees.of(slot).to_vec();
        followed.push(Followed { slot, entry, fresh: false, fees });
    }
    known.or(followed.len().checked_sub(1))
}

/// Gives a transaction that this message made its fees: those of the hold that it clears, or those
/// that its program has on it.
fn attach(
    ledger: &Ledger,
    followed: &mut Vec<Followed>,
    place: usize,
    (message, effects): (Option<&Authorization>, &[Effect]),
) -> Option<()> {
    let own = followed.get(place)?;
    let entry = own.entry;
    let moves = matches!(entry.state, TransactionState::Authorized | TransactionState::Posted);
    if !own.fresh || !moves || entry.direction == Direction::Credit || entry.balance.is_none() {
        return None;
    }
    let base = ledger.transactions.base_of(&entry);
    // A decline or a reversal that came first was never charged anything; what is forgotten now is
    // not there any more.
    let approved = |(slot, base): &(TransactionSlot, &Transaction)| {
        let never = matches!(
            base.state,
            TransactionState::Answered
                | TransactionState::Tombstone
                | TransactionState::Asked
                | TransactionState::Voided
        );
        !never && !effects.contains(&Effect::Forgotten(*slot))
    };
    let fees = match base.filter(approved) {
        Some((base, _)) => {
            let place = at(ledger, followed, base)?;
            take_over(followed.get_mut(place)?, entry.posted())
        }
        None => {
            let message = message?;
            let (_, card) = ledger.card_of(message.token)?;
            let fees = fees_on(message, ledger.program_at(card.program));
            fees.map(|fee| ChargedFee::new(fee.id, fee.terms)).collect()
        }
    };
    followed.get_mut(place)?.fees = fees;
    Some(())
}

/// The fees of a hold on what clears `posted` of it; the hold's fixed parts go along, once.
fn take_over(hold: &mut Followed, posted: Amount) -> Vec<ChargedFee> {
    let own = hold.fees.iter_mut().map(|fee| {
        // The fixed part goes to the first that posts something, and to no other.
        let mut own = ChargedFee::new(fee.fee, fee.terms);
        let other = if posted.is_positive() { fee } else { &mut own };
        other.terms.fixed = Amount::ZERO;
        own
    });
    own.collect()
}
