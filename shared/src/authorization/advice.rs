//! Advices: what was decided elsewhere is recorded, whatever our own checks say of it.
//!
//! Invariant: an advice is never declined for money or a card; the check that it would have failed
//! is kept as a flag. The last amount that the network told is the one that is held.
//! Source: authorization 2 (rows 1 to 3 decide) and 4.

use super::column::{Asked, Parties, Rows, check};
use super::matching::{Match, Named};
use super::{Case, Kind, Room, Witness, adds_to_another, entry, may_grow, of_authorization};
use crate::action_code::Reason;
use crate::command::{Advice, Advised, Authorization, MessageClass, MessageKey, Policy};
use crate::effect::{
    Decision, Direction, Effect, ExceptionKind, Transaction, TransactionSlot, TransactionState,
};
use crate::ids::Timestamp;
use crate::money::{Amount, Money};

/// One advice while it is decided.
pub(super) struct Advising<'a> {
    pub(super) message: &'a Authorization,
    pub(super) content: u64,
    pub(super) parties: Parties<'a>,
    pub(super) kind: Option<Kind>,
    pub(super) direction: Direction,
    pub(super) advised: Advised,
    pub(super) more_to_come: bool,
    pub(super) room: Room<'a>,
}

/// Decides an advice.
pub(crate) fn advise<W: Witness>(case: &mut Case<'_, W>, advice: &Advice) -> Decision {
    let message = &advice.message;
    let content = of_authorization(message);
    if let Some((_, earlier)) = case.ledger.transactions.find(&message.key) {
        return case.answer_again(earlier, content); // 2, 3
    }
    let parties = Parties::of(case.ledger, message.token);
    if let (true, Some((_, card))) = (message.repeat, parties.card)
        && let Some(earlier) = case.repeated(&message.key, message.references, card, content)
    {
        return case.answer_again(earlier, content); // 3
    }
    // Two slots stay free for what a reversal may need.
    if case.ledger.transactions.holds() + 2 >= case.ledger.limits.transactions_max {
        return Decision::bare(Reason::UnknownError);
    }
    let Some(room) = case.room() else { return Decision::bare(Reason::UnknownError) };
    let kind = Kind::of(message.processing_code);
    let direction = kind.map_or(Direction::Debit, Kind::direction);
    let (advised, more_to_come) = (advice.advised, advice.more_to_come);
    let advising =
        Advising { message, content, parties, kind, direction, advised, more_to_come, room };
    let asked = case.asked_increment(&advising);
    // The network did not wait for the partner: it is as if it had not been asked for here.
    let waiting = asked.filter(|slot| case.is_asked(*slot));
    if (asked.is_none() || waiting.is_some())
        && let Some(decision) = case.advise_increment(&advising)
    {
        case.end_question(waiting, advised);
        return decision;
    }
    let original = match asked {
        Some(slot) => Match::One(slot),
        None => case.original_of_advice(message, &parties, direction, &advising.room),
    };
    match message.key.class {
        MessageClass::FinancialAdvice => case.advise_financial(&advising, original),
        MessageClass::AuthorizationAdvice
        | MessageClass::Authorization
        | MessageClass::Financial
        | MessageClass::Reversal
        | MessageClass::FileAction
        | MessageClass::NegativeAcknowledgement => case.advise_authorization(&advising, original),
    }
}

/// A billed amount in the proportion of the message's own amounts: what partial reversals later
/// refer to grows with what is held.
pub(super) fn in_transaction_currency(message: &Authorization, billed: Amount) -> Amount {
    let (asked, whole) = (message.transaction.amount.0, message.billed().amount.0);
    let scaled = i128::from(billed.0) * i128::from(asked) / i128::from(whole.max(1));
    i64::try_from(scaled).map_or(billed, Amount)
}

/// What is answered to an advice, by what was found of its original.
pub(super) fn answer_to(original: Match) -> Decision {
    Decision::bare(match original {
        Match::One(_) => Reason::AdviceRecorded,
        Match::None => Reason::AdviceUnmatched,
        Match::Ambiguous => Reason::AdviceAmbiguous,
    })
}

impl<W: Witness> Case<'_, W> {
    /// 0120: the hold is what the network says it is.
    fn advise_authorization(&mut self, advising: &Advising<'_>, original: Match) -> Decision {
        let Advising { message, room, .. } = advising;
        let decision = match original {
            // An authorization that was approved elsewhere needs no original here.
            Match::None => Decision::bare(Reason::AdviceRecorded),
            Match::One(_) | Match::Ambiguous => answer_to(original),
        };
        let mut own = self.advised_entry(advising, decision);
        if original == Match::Ambiguous {
            self.raise_exception(ExceptionKind::Ambiguous, message.billed().amount);
        }
        let found = match original {
            Match::One(slot) => self.ledger.transactions.get(slot).map(|found| (slot, *found)),
            Match::None | Match::Ambiguous => None,
        };
        own.base = found.map(|(slot, _)| slot);
        match (found, advising.advised) {
            (Some((slot, found)), Advised::Declined) => {
                self.push(Effect::Remembered(room.own, own));
                let open =
                    matches!(found.state, TransactionState::Authorized | TransactionState::Asked);
                if open || found.is_increment() {
                    self.undo(slot, &found);
                }
            }
            (None, Advised::Declined) => self.push(Effect::Remembered(room.own, own)),
            (Some((slot, found)), Advised::Approved | Advised::Unknown) => {
                self.advise_hold(advising, own, (slot, &found));
            }
            (None, Advised::Approved | Advised::Unknown) => self.force_hold(advising, own),
        }
        decision
    }

    pub(super) fn is_asked(&self, slot: TransactionSlot) -> bool {
        let found = self.ledger.transactions.get(slot);
        found.is_some_and(|found| found.state == TransactionState::Asked)
    }

    /// Ends the question of what a network decided itself.
    pub(super) fn end_question(&mut self, waiting: Option<TransactionSlot>, advised: Advised) {
        let state = match advised {
            Advised::Declined => TransactionState::Reversed,
            Advised::Approved | Advised::Unknown => TransactionState::Voided,
        };
        let found = waiting.and_then(|slot| Some((slot, self.ledger.transactions.get(slot)?)));
        if let Some((slot, found)) = found {
            self.end(slot, found, state);
        }
    }

    /// What an advice of an increment reports on, where that was asked for here and approved.
    fn asked_increment(&self, advising: &Advising<'_>) -> Option<TransactionSlot> {
        let Advising { message, room, parties, kind, .. } = advising;
        if !adds_to_another(message, *kind) {
            return None;
        }
        let own_trace = MessageKey { class: MessageClass::Authorization, ..message.key };
        let slot = self.exact(&own_trace, Named::Card(parties.card_slot()), room)?;
        let known = self.ledger.transactions.get(slot)?;
        known.authorised.is_positive().then_some(slot)
    }

    /// An increment that was decided elsewhere and never asked for here: it raises the hold that it
    /// adds to, or changes nothing where it was declined.
    fn advise_increment(&mut self, advising: &Advising<'_>) -> Option<Decision> {
        let Advising { message, room, parties, kind, .. } = advising;
        if !adds_to_another(message, *kind) {
            return None;
        }
        if advising.advised == Advised::Declined {
            let decision = Decision::bare(Reason::AdviceRecorded);
            let own = self.advised_entry(advising, decision);
            self.push(Effect::Remembered(room.own, own));
            return Some(decision);
        }
        let base = match self.base_of(message, parties, *kind, room)? {
            Match::One(slot) => (slot, *self.ledger.transactions.get(slot)?),
            Match::None | Match::Ambiguous => return None,
        };
        let decision = Decision::bare(Reason::AdviceRecorded);
        let mut own = self.advised_entry(advising, decision);
        let amount = message.billed().amount;
        own.base = Some(base.0);
        self.flag_forced(advising, &mut own, (amount, false));
        let raises = amount.is_positive() && message.billed().currency == base.1.currency;
        if raises && self.may_raise(advising, amount, &base.1) {
            own.authorised = amount;
            self.push(Effect::Remembered(room.own, own));
            self.raise_by_force(advising, amount, (base.0, &base.1));
        } else {
            self.raise_exception(ExceptionKind::Suspense, amount);
            self.push(Effect::Remembered(room.own, own));
        }
        Some(decision)
    }

    /// An advised approval with its original.
    fn advise_hold(
        &mut self,
        advising: &Advising<'_>,
        mut own: Transaction,
        (slot, found): (TransactionSlot, &Transaction),
    ) {
        let own_slot = advising.room.own;
        match found.state {
            TransactionState::Authorized if found.direction == advising.direction => {
                self.adjust_hold(advising, own, (slot, found));
            }
            TransactionState::Answered if found.is_increment() => {
                self.adjust_increment(advising, own, (slot, found));
            }
            TransactionState::Authorized => {
                own.base = None;
                self.force_hold(advising, own);
            }
            // What names the original later means what stands in its place.
            TransactionState::Answered | TransactionState::Voided => {
                self.force_hold(advising, own);
            }
            // The network did not wait for the partner's answer.
            TransactionState::Asked => {
                self.force_hold(advising, own);
                self.end(slot, found, TransactionState::Voided);
            }
            TransactionState::Reversed | TransactionState::Tombstone => {
                self.note_reversed(advising, &mut own);
                self.push(Effect::Remembered(own_slot, own));
            }
            TransactionState::Posted | TransactionState::Cleared | TransactionState::Expired => {
                self.push(Effect::Remembered(own_slot, own));
            }
        }
    }

    /// The entry of an advice. An outcome that nobody knows is flagged at once.
    pub(super) fn advised_entry(
        &mut self,
        advising: &Advising<'_>,
        decision: Decision,
    ) -> Transaction {
        let unknown = advising.advised == Advised::Unknown;
        if unknown {
            let amount = advising.message.billed().amount;
            self.raise_exception(ExceptionKind::Flagged(Reason::FormatError), amount);
        }
        Transaction {
            card: advising.parties.card_slot(),
            flagged: unknown.then_some(Reason::FormatError),
            ..entry(advising.message, advising.content, decision, self.stamp)
        }
    }

    /// Flags an advice that forces `amount`, by the first check that this would not have passed.
    pub(super) fn flag_forced(
        &mut self,
        advising: &Advising<'_>,
        own: &mut Transaction,
        (amount, counts): (Amount, bool),
    ) {
        if let Some(reason) = self.flag(advising, amount, counts) {
            own.flagged = own.flagged.or(Some(reason));
            self.raise_exception(ExceptionKind::Flagged(reason), amount);
        }
    }

    /// The first check that an advice of `amount` would not have passed.
    fn flag(&mut self, advising: &Advising<'_>, amount: Amount, counts: bool) -> Option<Reason> {
        let asked = self.asked(advising, amount, counts);
        let ledger = self.ledger;
        let checked = check(ledger, &advising.parties, &asked, self.witness);
        let short = advising.parties.balance.is_some_and(|(_, balance)| {
            let own = advising.direction == Direction::Debit && !balance.entrusted;
            own && !balance.funds.covers(amount)
        });
        checked.err().map(|declined| declined.reason).or(short.then_some(Reason::InsufficientFunds))
    }

    fn asked<'b>(&self, advising: &Advising<'b>, amount: Amount, counts: bool) -> Asked<'b> {
        let message = advising.message;
        Asked {
            request: message,
            kind: advising.kind,
            rows: Rows::of(advising.kind).without_credentials(),
            money: Money { amount, ..message.billed() },
            counts,
            at: self.stamp.at,
        }
    }

    /// Counts what was forced, in the limits too; `counts` where it is a payment of its own.
    pub(super) fn charge_forced(
        &mut self,
        advising: &Advising<'_>,
        (amount, counts): (Amount, bool),
        slot: TransactionSlot,
    ) {
        if advising.direction == Direction::Debit {
            let asked = self.asked(advising, amount, counts);
            self.charge(&advising.parties, &asked, asked.money.amount, slot);
        }
    }

    /// An approval that we did not give: its hold is placed, whatever there is to hold.
    fn force_hold(&mut self, advising: &Advising<'_>, mut own: Transaction) {
        let (parties, room) = (&advising.parties, &advising.room);
        let money = advising.message.billed();
        self.flag_forced(advising, &mut own, (money.amount, true));
        let holds = money.amount.is_positive() && advising.kind != Some(Kind::Inquiry);
        match parties.taking(money).filter(|_| holds) {
            Some(balance) => {
                let policy = parties.program.map_or(Policy::default(), |row| row.program.policy);
                let kind = advising.kind.unwrap_or(Kind::Purchase);
                own.state = TransactionState::Authorized;
                (own.authorised, own.balance) = (money.amount, Some(balance));
                own.deposit = parties.deposit.map(|(slot, _)| slot);
                own.expires_at = kind.hold_until(&policy, self.stamp.at);
                self.push(Effect::Remembered(room.own, own));
                self.charge_forced(advising, (money.amount, true), room.own);
            }
            None => self.push(Effect::Remembered(room.own, own)),
        }
    }

    /// The authorised amount becomes the advised one, up or down; what is captured stays.
    fn adjust_hold(
        &mut self,
        advising: &Advising<'_>,
        mut own: Transaction,
        (slot, found): (TransactionSlot, &Transaction),
    ) {
        let money = advising.message.billed();
        let now = found.authorised.0 - found.released.0;
        let by = money.amount.0.max(found.captured.0) - now;
        if money.currency != found.currency {
            let kind = ExceptionKind::Flagged(Reason::CurrencyMismatch);
            self.raise_exception(kind, money.amount);
            own.flagged = own.flagged.or(Some(Reason::CurrencyMismatch));
            self.push(Effect::Remembered(advising.room.own, own));
        } else if by > 0 {
            self.flag_forced(advising, &mut own, (Amount(by), false));
            self.push(Effect::Remembered(advising.room.own, own));
            self.raise_by_force(advising, Amount(by), (slot, found));
        } else {
            self.push(Effect::Remembered(advising.room.own, own));
            self.lower(slot, Amount(-by));
        }
    }

    /// The same for what was added to a hold.
    fn adjust_increment(
        &mut self,
        advising: &Advising<'_>,
        mut own: Transaction,
        (slot, found): (TransactionSlot, &Transaction),
    ) {
        let money = advising.message.billed();
        let base = self.ledger.transactions.base_of(found);
        let base = base.map(|(base, held)| (base, *held));
        let base = base.filter(|(_, held)| held.state == TransactionState::Authorized);
        let by = money.amount.0 - (found.authorised.0 - found.released.0);
        let Some((base, held)) = base.filter(|(_, held)| held.currency == money.currency) else {
            self.push(Effect::Remembered(advising.room.own, own));
            return;
        };
        if by > 0 {
            self.flag_forced(advising, &mut own, (Amount(by), false));
        }
        self.push(Effect::Remembered(advising.room.own, own));
        if by > 0 && self.raise_by_force(advising, Amount(by), (base, &held)) {
            let (amount, until) = (Amount(by), Timestamp(0));
            let requested = in_transaction_currency(advising.message, amount);
            self.push(Effect::Raised { transaction: slot, amount, requested, until });
        } else if by < 0 {
            self.lower(base, Amount((-by).min(held.open().0)));
            self.push(Effect::Released(slot, Amount(-by)));
        }
    }

    /// Raises a hold beyond what the checks would allow; false, and queued, where the sums would
    /// no longer fit.
    fn raise_by_force(
        &mut self,
        advising: &Advising<'_>,
        amount: Amount,
        (slot, found): (TransactionSlot, &Transaction),
    ) -> bool {
        if !self.may_raise(advising, amount, found) {
            self.raise_exception(ExceptionKind::Suspense, amount);
            return false;
        }
        let requested = in_transaction_currency(advising.message, amount);
        let until = found.expires_at;
        self.push(Effect::Raised { transaction: slot, amount, requested, until });
        self.charge_forced(advising, (amount, false), slot);
        true
    }

    fn may_raise(&self, advising: &Advising<'_>, amount: Amount, found: &Transaction) -> bool {
        let money = Money { amount, ..advising.message.billed() };
        let requested = in_transaction_currency(advising.message, amount);
        let taken =
            found.direction == Direction::Credit || advising.parties.taking(money).is_some();
        taken && may_grow(found, amount, requested)
    }

    fn lower(&mut self, slot: TransactionSlot, by: Amount) {
        if by.is_positive() {
            self.push(Effect::Released(slot, by));
            self.give_back(slot, by, false);
        }
    }

    /// Ends a hold or a pending credit: what is open goes back, and what a credit made available
    /// at once.
    pub(super) fn release_all(
        &mut self,
        slot: TransactionSlot,
        found: &Transaction,
        state: TransactionState,
    ) {
        if found.direction == Direction::Credit {
            self.post_back(slot, found, found.posted());
        }
        let open = found.open();
        if open.is_positive() {
            self.push(Effect::Released(slot, open));
        }
        self.give_back(slot, open, !found.captured.is_positive());
        self.push(Effect::Closed(slot, state));
    }
}
