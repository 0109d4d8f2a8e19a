//! Financial advices: the clearing of a hold, the completion of a financial request, or a force
//! post.
//!
//! Invariant: a clearing is posted whole, always: out of the hold as far as it goes, by force
//! beyond. Where no balance can take it, the receivable account does. Source: authorization 3 and 4.

use super::advice::{Advising, answer_to, in_transaction_currency};
use super::matching::Match;
use super::{Case, Kind, Room, Witness, may_grow};
use crate::action_code::Reason;
use crate::command::{Advised, MessageClass};
use crate::effect::{
    Decision, Direction, Effect, ExceptionKind, Transaction, TransactionSlot, TransactionState,
};
use crate::ids::Timestamp;
use crate::money::{Amount, Money};

/// How a clearing is covered by its hold.
#[derive(Clone, Copy)]
struct Split {
    /// By what a credit made available at once.
    posted: Amount,
    /// By what is open.
    captured: Amount,
    /// By nothing.
    forced: Amount,
}

impl Split {
    fn of(amount: Amount, held: &Transaction) -> Self {
        let posted = match held.direction {
            Direction::Credit => held.posted().min(amount),
            Direction::Debit => Amount::ZERO,
        };
        let captured = Amount((amount.0 - posted.0).min(held.open().0).max(0));
        Self { posted, captured, forced: Amount(amount.0 - posted.0 - captured.0) }
    }
}

impl<W: Witness> Case<'_, W> {
    /// 0220.
    pub(super) fn advise_financial(
        &mut self,
        advising: &Advising<'_>,
        original: Match,
    ) -> Decision {
        let decision = answer_to(original);
        let mut own = self.advised_entry(advising, decision);
        let own_slot = advising.room.own;
        if advising.kind == Some(Kind::Inquiry) {
            self.push(Effect::Remembered(own_slot, own));
            return decision;
        }
        let declined = advising.advised == Advised::Declined;
        let named = if let Match::One(slot) = original { Some(slot) } else { None };
        let found = self.original(original, declined);
        // An increment that the network did not wait for: its hold is cleared.
        let waiting = named.filter(|slot| found.is_some_and(|(found, _)| found != *slot));
        let waiting = waiting.filter(|slot| self.is_asked(*slot));
        match found {
            None if declined => self.push(Effect::Remembered(own_slot, own)),
            None => {
                let kind = match original {
                    Match::Ambiguous => ExceptionKind::Ambiguous,
                    Match::None | Match::One(_) => ExceptionKind::Unmatched,
                };
                self.raise_exception(kind, advising.message.billed().amount);
                self.force_post(advising, own);
            }
            Some((slot, found)) if declined => {
                own.base = Some(slot);
                self.push(Effect::Remembered(own_slot, own));
                let moved = matches!(
                    found.state,
                    TransactionState::Authorized
                        | TransactionState::Posted
                        | TransactionState::Asked
                );
                if moved || found.is_increment() {
                    self.undo(slot, &found);
                }
            }
            Some((slot, found)) => {
                own.base = Some(slot);
                self.advise_on(advising, own, (slot, &found));
                self.end_question(waiting, advising.advised);
            }
        }
        decision
    }

    /// What a financial advice is about: where it names an increment that it does not take back,
    /// the hold that this was added to.
    fn original(&self, original: Match, declined: bool) -> Option<(TransactionSlot, Transaction)> {
        let Match::One(slot) = original else { return None };
        let found = *self.ledger.transactions.get(slot)?;
        let adds = found.is_increment() || found.state == TransactionState::Asked;
        match self.kept_base_of(&found).filter(|_| adds && !declined) {
            Some((base, held)) => Some((base, *held)),
            None => Some((slot, found)),
        }
    }

    /// A financial advice with its original: a financial message, or a hold.
    fn advise_on(
        &mut self,
        advising: &Advising<'_>,
        mut own: Transaction,
        (slot, found): (TransactionSlot, &Transaction),
    ) {
        let money = advising.message.billed();
        let financial =
            matches!(found.key.class, MessageClass::Financial | MessageClass::FinancialAdvice);
        match (financial, found.state) {
            (true, TransactionState::Posted) if found.direction == advising.direction => {
                self.complete(advising, own, (slot, found));
            }
            // The message that it reports on was taken back, whichever of the two came first.
            (true, TransactionState::Reversed | TransactionState::Tombstone)
                if found.key.class == MessageClass::Financial =>
            {
                self.note_reversed(advising, &mut own);
                self.push(Effect::Remembered(advising.room.own, own));
            }
            (_, TransactionState::Reversed | TransactionState::Tombstone) => {
                self.note_reversed(advising, &mut own);
                self.force_post(advising, own);
            }
            (false, TransactionState::Authorized)
                if found.direction == advising.direction && found.currency == money.currency =>
            {
                let forced = Split::of(money.amount, found).forced;
                if forced.is_positive() {
                    self.flag_forced(advising, &mut own, (forced, false));
                    self.raise_exception(ExceptionKind::OverCleared, forced);
                }
                let last = !advising.more_to_come;
                self.clear(slot, own, money.amount, (&advising.room, last));
                if forced.is_positive() {
                    self.charge_forced(advising, (forced, false), advising.room.own);
                }
            }
            // The network did not wait for the partner's answer.
            (_, TransactionState::Asked) => {
                self.force_post(advising, own);
                self.end(slot, found, TransactionState::Voided);
            }
            (false, _) | (true, _) => {
                self.note_ended(&mut own, found, money.amount);
                self.force_post(advising, own);
            }
        }
    }

    /// What refers to something taken back is for people to look at.
    pub(super) fn note_reversed(&mut self, advising: &Advising<'_>, own: &mut Transaction) {
        let reason = Reason::ReversedBeforeRequest;
        own.flagged = own.flagged.or(Some(reason));
        let amount = advising.message.billed().amount;
        self.raise_exception(ExceptionKind::Flagged(reason), amount);
    }

    /// What is posted on an original that has nothing to clear is for people to look at; not a
    /// refund of what was paid.
    fn note_ended(&mut self, own: &mut Transaction, found: &Transaction, amount: Amount) {
        let reason = found.decision.reason;
        let declined = found.state == TransactionState::Answered && !reason.is_approval();
        if declined {
            own.flagged = own.flagged.or(Some(reason));
            self.raise_exception(ExceptionKind::Flagged(reason), amount);
        } else if found.direction == own.direction {
            self.raise_exception(ExceptionKind::OverCleared, amount);
        }
    }

    /// Posts without a hold, on the card's balance if it takes it.
    fn force_post(&mut self, advising: &Advising<'_>, mut own: Transaction) {
        let (money, parties) = (advising.message.billed(), &advising.parties);
        self.flag_forced(advising, &mut own, (money.amount, true));
        own.balance = parties.taking(money);
        match own.balance {
            Some(_) => own.deposit = parties.deposit.map(|(slot, _)| slot),
            None => self.raise_exception(ExceptionKind::Suspense, money.amount),
        }
        own.state = TransactionState::Posted;
        self.settle_whole(own, money.amount, &advising.room);
        self.charge_forced(advising, (money.amount, true), advising.room.own);
    }

    /// The amount of a financial message becomes the advised one.
    fn complete(
        &mut self,
        advising: &Advising<'_>,
        mut own: Transaction,
        (slot, found): (TransactionSlot, &Transaction),
    ) {
        let money = advising.message.billed();
        let same = money.currency == found.currency;
        let by = money.amount.0 - found.posted().0;
        let more = Money { amount: Amount(by), ..money };
        // Completed to nothing before, the payment was given back to the limits.
        let counts = !found.posted().is_positive() && found.base.is_none();
        let requested = in_transaction_currency(advising.message, more.amount);
        let fits = may_grow(found, more.amount, requested)
            && (found.balance.is_none() || advising.parties.taking(more).is_some());
        if !same {
            own.flagged = own.flagged.or(Some(Reason::CurrencyMismatch));
            let kind = ExceptionKind::Flagged(Reason::CurrencyMismatch);
            self.raise_exception(kind, money.amount);
        } else if by > 0 && fits {
            self.flag_forced(advising, &mut own, (more.amount, counts));
        } else if by > 0 {
            self.raise_exception(ExceptionKind::Suspense, more.amount);
        }
        self.push(Effect::Remembered(advising.room.own, own));
        if same && by > 0 && fits {
            self.push(Effect::Settled(slot, more.amount));
            // What a later partial reversal is in proportion to.
            self.push(Effect::Raised {
                transaction: slot,
                amount: more.amount,
                requested,
                until: Timestamp(0),
            });
            self.charge_forced(advising, (more.amount, counts), slot);
        } else if same && by < 0 {
            self.post_back(slot, found, Amount(-by));
            self.give_back(slot, Amount(-by), money.amount == Amount::ZERO);
        }
    }

    /// Clears a hold, or a pending credit: captures what is open of it, posts the rest by force,
    /// and ends it at its final clearing.
    pub(super) fn clear(
        &mut self,
        slot: TransactionSlot,
        own: Transaction,
        amount: Amount,
        (room, last): (&Room<'_>, bool),
    ) {
        let mut own = own;
        let Some(held) = self.ledger.transactions.get(slot).copied() else { return };
        let Split { posted, captured, forced } = Split::of(amount, &held);
        own.state = TransactionState::Posted;
        (own.balance, own.deposit, own.base) = (held.balance, held.deposit, Some(slot));
        own.captured = Amount(posted.0 + captured.0);
        self.push(Effect::Remembered(room.own, own));
        if captured.is_positive() {
            self.push(Effect::Captured(slot, captured));
        }
        if forced.is_positive() {
            self.push(Effect::Settled(room.own, forced));
        }
        if !last && held.direction == Direction::Debit {
            return;
        }
        let rest = Amount(held.open().0 - captured.0);
        if rest.is_positive() {
            self.push(Effect::Released(slot, rest));
        }
        self.give_back(slot, rest, amount == Amount::ZERO && held.captured == Amount::ZERO);
        let unused = Amount(match held.direction {
            Direction::Credit => held.posted().0 - posted.0,
            Direction::Debit => 0,
        });
        self.post_back(slot, &held, unused);
        if held.direction == Direction::Credit {
            self.note_closed(&held, amount);
        }
        self.push(Effect::Closed(slot, TransactionState::Cleared));
    }

    /// Posts the whole of a message that has no hold.
    pub(super) fn settle_whole(&mut self, own: Transaction, amount: Amount, room: &Room<'_>) {
        self.push(Effect::Remembered(room.own, own));
        if amount.is_positive() {
            self.push(Effect::Settled(room.own, amount));
        }
    }

    /// Takes back everything that a transaction holds, posted or added.
    pub(super) fn undo(&mut self, slot: TransactionSlot, found: &Transaction) {
        self.end(slot, found, TransactionState::Reversed);
    }

    /// Ends a transaction: nothing of it is held, posted or added any more.
    pub(super) fn end(
        &mut self,
        slot: TransactionSlot,
        found: &Transaction,
        state: TransactionState,
    ) {
        match found.state {
            TransactionState::Authorized => self.release_all(slot, found, state),
            TransactionState::Asked => {
                self.stop_asking(slot, found, (Reason::ReversedBeforeRequest, state));
            }
            TransactionState::Posted => {
                self.post_back(slot, found, found.posted());
                self.give_back(slot, found.posted(), true);
                self.push(Effect::Closed(slot, state));
            }
            TransactionState::Answered => {
                self.lower_base(found, Amount::ZERO);
                self.push(Effect::Closed(slot, state));
            }
            TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => {}
        }
    }
}
