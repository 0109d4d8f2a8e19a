//! Taking back: all of a hold or a posting or a part, and the tombstone where the original has not
//! come yet. Source: authorization 2 (rows 1 to 3 decide), 3 and 4; iso8583 4.4.
//!
//! Invariant: a reversal is always answered, gives back at most what is open or posted, and moves
//! nothing the second time.

use super::matching::Match;
use super::{Case, Room, Witness, bare_entry, of_reversal};
use crate::action_code::Reason;
use crate::command::{Reversal, ReversalKind};
use crate::effect::{
    Decision, Detail, Direction, Effect, ExceptionKind, Transaction, TransactionSlot,
    TransactionState,
};
use crate::money::Amount;

/// Decides a reversal, or a notice that our answer was late or unusable.
pub(crate) fn reverse<W: Witness>(case: &mut Case<'_, W>, reversal: &Reversal) -> Decision {
    let content = of_reversal(reversal);
    if let Some((_, earlier)) = case.ledger.transactions.find(&reversal.key) {
        return acknowledged(case.answer_again(earlier, content), reversal.kind);
    }
    let card = reversal.token.and_then(|token| case.ledger.card_of(token));
    if let (true, Some((_, card))) = (reversal.repeat, card)
        && let Some(earlier) = case.repeated(&reversal.key, reversal.references, card, content)
    {
        return acknowledged(case.answer_again(earlier, content), reversal.kind);
    }
    let Some(room) = case.room() else { return Decision::bare(Reason::UnknownError) };
    let original = match case.original_of_reversal(reversal, &room) {
        // A tombstone is another reversal's: its request has not come yet.
        Match::One(slot) if case.is_tombstone(slot) => None,
        found @ (Match::None | Match::One(_) | Match::Ambiguous) => Some(found),
    };
    let reason = match (original, reversal.kind) {
        (Some(Match::One(_)), _) => Reason::ReversalAccepted,
        (Some(Match::Ambiguous), _) => Reason::ReversalAmbiguous,
        (Some(Match::None) | None, ReversalKind::Request) => Reason::ReversalUnmatched,
        (
            Some(Match::None) | None,
            ReversalKind::Advice | ReversalKind::NegativeAcknowledgement,
        ) => Reason::ReversalAcknowledged,
    };
    let decision = Decision::bare(reason);
    let (life_cycle, retrieval) = reversal.references.fingerprints();
    let own = Transaction {
        life_cycle,
        retrieval,
        card: card.map(|(slot, _)| slot),
        requested: reversal.transaction.unwrap_or_default(),
        ..bare_entry(reversal.key, content, decision, case.stamp)
    };
    case.take_back(reversal, own, original, &room);
    decision
}

/// An advice of a reversal is acknowledged, though a request under its key was not.
fn acknowledged(decision: Decision, kind: ReversalKind) -> Decision {
    match (decision.reason, kind) {
        (
            Reason::ReversalUnmatched,
            ReversalKind::Advice | ReversalKind::NegativeAcknowledgement,
        ) => Decision::bare(Reason::ReversalAcknowledged),
        (_, _) => decision,
    }
}

impl<W: Witness> Case<'_, W> {
    fn is_tombstone(&self, slot: TransactionSlot) -> bool {
        let found = self.ledger.transactions.get(slot);
        found.is_some_and(|found| found.state == TransactionState::Tombstone)
    }

    fn take_back(
        &mut self,
        reversal: &Reversal,
        mut own: Transaction,
        original: Option<Match>,
        room: &Room<'_>,
    ) {
        let asked = reversal.transaction.unwrap_or_default();
        match original {
            Some(Match::One(slot)) => {
                own.base = Some(slot);
                self.push(Effect::Remembered(room.own, own));
                if let Some(found) = self.ledger.transactions.get(slot).copied() {
                    let whole = !matches!(found.decision.detail, Detail::Partial { .. });
                    if asked > found.requested && found.requested.is_positive() && whole {
                        let excess = Amount(asked.0 - found.requested.0);
                        self.raise_exception(ExceptionKind::OverReversed, excess);
                    }
                    self.take_back_from(slot, &found, reversal);
                }
            }
            Some(Match::Ambiguous) => {
                self.push(Effect::Remembered(room.own, own));
                self.raise_exception(ExceptionKind::Ambiguous, asked);
            }
            Some(Match::None) | None => {
                self.push(Effect::Remembered(room.own, own));
                self.raise_exception(ExceptionKind::ReversalUnmatched, asked);
                let new_grave = original.is_some() && reversal.original.class.is_reversible();
                let grave = new_grave.then(|| room.another()).flatten();
                // A message of another card may stand under that key: it stays as it is.
                let taken = self.ledger.transactions.find(&reversal.original);
                let free = taken.is_none_or(|(slot, _)| !room.keeps(slot));
                if let Some(grave) = grave.filter(|_| free) {
                    let state = TransactionState::Tombstone;
                    let entry = Transaction { key: reversal.original, state, ..own };
                    self.push(Effect::Remembered(grave, entry));
                }
            }
        }
    }

    /// Gives back what the reversal asks for, and closes the original where nothing is left of it.
    fn take_back_from(&mut self, slot: TransactionSlot, found: &Transaction, reversal: &Reversal) {
        let total = match found.state {
            TransactionState::Posted => found.captured,
            TransactionState::Authorized
            | TransactionState::Answered
            | TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone
            | TransactionState::Asked => found.authorised,
        };
        let left = remaining(found, total, reversal);
        match (found.state, left) {
            // Of what was never approved, nothing stays.
            (TransactionState::Authorized | TransactionState::Posted, None)
            | (TransactionState::Asked, _) => self.undo(slot, found),
            (TransactionState::Authorized, Some(left)) => self.lower_hold(slot, found, left),
            (TransactionState::Posted, Some(left)) => {
                let by = Amount(found.posted().0 - left.0);
                if by.is_positive() {
                    self.post_back(slot, found, by);
                    self.give_back(slot, by, false);
                }
            }
            (TransactionState::Answered, Some(left)) if found.is_increment() => {
                self.lower_base(found, left);
                let by = Amount(found.authorised.0 - found.released.0 - left.0);
                if by.is_positive() {
                    self.push(Effect::Released(slot, by));
                }
            }
            (TransactionState::Answered, _) => {
                self.lower_base(found, Amount::ZERO);
                self.push(Effect::Closed(slot, TransactionState::Reversed));
            }
            (TransactionState::Cleared | TransactionState::Expired, None) => {
                self.push(Effect::Closed(slot, TransactionState::Reversed));
            }
            (
                TransactionState::Cleared
                | TransactionState::Expired
                | TransactionState::Reversed
                | TransactionState::Voided
                | TransactionState::Tombstone,
                _,
            ) => {}
        }
    }

    /// The new authorised amount is what is left, or what is captured if that is more.
    fn lower_hold(&mut self, slot: TransactionSlot, found: &Transaction, left: Amount) {
        if found.direction == Direction::Credit {
            self.post_back(slot, found, Amount(found.posted().0 - left.0));
        }
        let open_then = Amount((left.0 - found.captured.0).max(0));
        let by = Amount(found.open().0 - open_then.0);
        if by.is_positive() {
            self.push(Effect::Released(slot, by));
            self.give_back(slot, by, false);
        }
    }

    /// Takes what an incremental authorization added off the hold that it was added to, but for
    /// `left` of it.
    pub(super) fn lower_base(&mut self, increment: &Transaction, left: Amount) {
        let base = self.ledger.transactions.base_of(increment);
        let Some((base, held)) = base.filter(|_| increment.is_increment()) else {
            return;
        };
        let by =
            Amount((increment.authorised.0 - increment.released.0 - left.0).min(held.open().0));
        if by.is_positive() {
            self.push(Effect::Released(base, by));
            self.give_back(base, by, false);
        }
    }
}

/// What stays after a partial reversal, in the balance's currency: the new billing total where the
/// link carries it, else the total in the proportion of DE95.1 to the amount first asked for,
/// rounded half up. `None` where nothing is left.
fn remaining(found: &Transaction, total: Amount, reversal: &Reversal) -> Option<Amount> {
    let new_total = reversal.new_total.filter(|total| total.is_positive())?;
    let left = match reversal.new_billing.filter(|billing| billing.is_positive()) {
        Some(billing) => i128::from(billing.0),
        None => {
            let base = Some(i128::from(found.requested.0)).filter(|base| *base > 0)?;
            (i128::from(total.0) * i128::from(new_total.0) * 2 + base).div_euclid(base * 2)
        }
    };
    let left = i64::try_from(left.min(i128::from(total.0))).ok()?;
    Some(Amount(left)).filter(|left| left.is_positive())
}
