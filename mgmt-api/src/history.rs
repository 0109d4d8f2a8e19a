//! What happened to money, made of the switch's records: transactions as people know them, what
//! became of each, and every posting on a balance with what was booked behind it. Source:
//! requirements #83, #118 to #131.
//!
//! Invariants: pure: rows and a record in, rows out, the same on every replay; what is booked on a
//! balance here is what the ledger has; a message that clears, adjusts or adds to another is part
//! of that transaction, unless it goes the other way.

mod feed;
mod partner;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use shared::books::Account;
use shared::command::NewCard;
use shared::effect::{
    BalanceSlot, Direction, Effect, Transaction, TransactionSlot, TransactionState,
};
use shared::fee::Payer;
use shared::ids::{BalanceId, CustomerId};
use shared::journal_record::Record;
use shared::money::{Amount, Currency};
use thiserror::Error;
use uuid::Uuid;

pub(crate) use self::feed::Keeper;
pub(crate) use self::partner::{Name, PartnerCall, Told, Unlinked};
use self::row::{by_hand, number, state_name};
pub(crate) use self::row::{message, payment};
use crate::store::{
    Changed, CursorRow, Needs, PlacedBalance, PlacedCard, PlacedMessage, Rows, StepRow,
    TransactionRow,
};

/// What made a transaction.
pub(crate) const CARD: &str = "CARD";
pub(crate) const TOP_UP: &str = "TOP_UP";
pub(crate) const WITHDRAWAL: &str = "WITHDRAWAL";
pub(crate) const CREDIT_TRANSFER: &str = "CREDIT_TRANSFER";
pub(crate) const TRANSFER: &str = "TRANSFER";
pub(crate) const FEE: &str = "FEE";
/// Steps that move money; the others are called like the state that they lead to.
pub(crate) const POSTED: &str = "POSTED";
pub(crate) const RETURNED: &str = "RETURNED";
pub(crate) const RAISED: &str = "RAISED";
pub(crate) const RELEASED: &str = "RELEASED";

/// A record that does not fit what was read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record {sequence} names a {what} that no record before it made")]
pub(crate) struct Unknown {
    sequence: i64,
    what: &'static str,
}

/// The rows that some records need, while they are applied.
pub(crate) struct Page {
    rows: Rows,
    changed: Keys,
    steps: Vec<StepRow>,
    /// Transactions that the record changed.
    touched: BTreeSet<i64>,
    /// Those that it cleared for the last time.
    cleared: BTreeSet<i64>,
    /// After each record, how the transactions that it changed stand, if somebody wants to know.
    news: Option<Vec<News>>,
    /// What partners that keep the money must be told.
    calls: Vec<PartnerCall>,
    /// Balances that they keep no more.
    unlinked: Vec<Unlinked>,
}

/// How a transaction stood after a record that changed it.
pub(crate) struct News {
    pub(crate) sequence: i64,
    pub(crate) at_ms: i64,
    pub(crate) row: TransactionRow,
}

/// Which rows changed.
#[derive(Default)]
struct Keys {
    messages: BTreeSet<i64>,
    cards: BTreeSet<i64>,
    balances: BTreeSet<i64>,
    transactions: BTreeSet<i64>,
}

/// One record while it is applied.
struct Taking<'a> {
    record: &'a Record,
    sequence: i64,
    at_ms: i64,
    /// The transactions that it is about, at most two.
    about: Vec<i64>,
    steps: i64,
}

/// What the records of a batch need of what was read before.
pub(crate) fn needs(records: &[Record]) -> Needs {
    let mut needs = Needs::default();
    for effect in records.iter().flat_map(|record| &record.effects) {
        if let Effect::Remembered(_, entry) = effect {
            needs.messages.extend(entry.base.map(|slot| i64::from(slot.0)));
            needs.cards.extend(entry.card.map(|slot| i64::from(slot.0)));
            needs.balances.extend(entry.balance.map(|slot| i64::from(slot.0)));
        } else if let Effect::CardIssued(card) = effect {
            needs.balance_ids.insert(Uuid::from_u128(card.balance.0));
        } else if let Effect::Posted { from, to, .. } = effect {
            let places = [user(*from), user(*to)].into_iter().flatten();
            needs.balances.extend(places.map(|slot| i64::from(slot.0)));
        } else if let Effect::FeeCharged { balance: slot, .. }
        | Effect::BalanceClosed(slot)
        | Effect::BalanceEntrusted(slot) = effect
        {
            needs.balances.insert(i64::from(slot.0));
        } else {
            needs.messages.extend(effect.transaction().map(|slot| i64::from(slot.0)));
        }
    }
    needs
}

/// A user balance, if that is what an account is.
fn user(account: Account) -> Option<BalanceSlot> {
    if let Account::User(slot) = account { Some(slot) } else { None }
}

impl Page {
    pub(crate) fn new(rows: Rows, wants_news: bool) -> Self {
        Self {
            rows,
            changed: Keys::default(),
            steps: Vec::new(),
            touched: BTreeSet::new(),
            cleared: BTreeSet::new(),
            news: wants_news.then(Vec::new),
            calls: Vec::new(),
            unlinked: Vec::new(),
        }
    }

    /// Takes how transactions stood after each record that changed them.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        self.news.take().unwrap_or_default()
    }

    /// The rows to write, and the cursor behind the last record.
    pub(crate) fn finish(mut self) -> (Changed, CursorRow) {
        let Keys { messages, cards, balances, transactions } = self.changed;
        let rows = &mut self.rows;
        let changed = Changed {
            messages: messages.iter().filter_map(|key| rows.messages.remove(key)).collect(),
            cards: cards.iter().filter_map(|key| rows.cards.remove(key)).collect(),
            balances: balances.iter().filter_map(|key| rows.balances.remove(key)).collect(),
            transactions: transactions
                .iter()
                .filter_map(|key| rows.transactions.remove(key))
                .collect(),
            steps: self.steps,
        };
        (changed, rows.cursor)
    }

    /// Applies a record.
    pub(crate) fn take(&mut self, record: &Record) -> Result<(), Unknown> {
        let (sequence, at_ms) = (number(record.sequence.0), number(record.at.0));
        let mut taking = Taking { record, sequence, at_ms, about: Vec::new(), steps: 0 };
        for effect in &record.effects {
            self.apply(&mut taking, effect)?;
        }
        (self.rows.cursor.sequence, self.rows.cursor.at_ms) = (sequence, at_ms);
        let touched = core::mem::take(&mut self.touched);
        for id in touched {
            self.tell_partner(&taking, id);
            if let (Some(news), Some(row)) = (&mut self.news, self.rows.transactions.get(&id)) {
                news.push(News { sequence, at_ms, row: row.clone() });
            }
        }
        self.cleared.clear();
        Ok(())
    }

    fn apply(&mut self, taking: &mut Taking<'_>, effect: &Effect) -> Result<(), Unknown> {
        match effect {
            Effect::BalanceOpened { id, customer, currency } => {
                self.open_balance(*id, *customer, *currency);
            }
            Effect::BalanceClosed(slot) => self.close_balance(taking, *slot)?,
            Effect::BalanceEntrusted(slot) => self.balance(taking, *slot)?.entrusted = 1,
            Effect::CardIssued(card) => self.issue(taking, card)?,
            Effect::Remembered(slot, entry) => self.remember(taking, *slot, entry)?,
            Effect::Raised { transaction, amount, .. } => self.raise(taking, *transaction, *amount),
            Effect::Released(slot, amount) => self.release(taking, *slot, *amount),
            Effect::Captured(slot, amount) | Effect::Settled(slot, amount) => {
                self.settle(taking, *slot, *amount)?;
            }
            Effect::Returned(slot, amount) => {
                self.settle(taking, *slot, Amount(amount.0.saturating_neg()))?;
            }
            Effect::Closed(slot, state) => self.close(taking, *slot, *state),
            Effect::Decided { transaction, decision, state, .. } => {
                if let Some(message) = self.decide(taking, *transaction, *decision, *state)
                    && message.root == 1
                {
                    self.note(taking, message, state_name(*state), 0);
                }
            }
            Effect::FeeSet { transaction, fee, taken } if fee.terms.payer == Payer::Holder => {
                self.charge(taking, *transaction, *taken)?;
            }
            Effect::FeeCharged { balance, payer: Payer::Holder, taken, .. } => {
                self.charge_balance(taking, *balance, *taken)?;
            }
            Effect::Posted { from, to, amount, .. } => {
                let sides = [(0, *from, Amount(amount.0.saturating_neg())), (1, *to, *amount)];
                for (side, account, amount) in sides {
                    if let Some(balance) = user(account) {
                        self.move_by_hand(taking, (side, balance), amount)?;
                    }
                }
            }
            Effect::FeeSet { .. }
            | Effect::FeeCharged { .. }
            | Effect::Forgotten(_)
            | Effect::PartnerPut(_)
            | Effect::ProgramPut(_)
            | Effect::CustomerPut { .. }
            | Effect::PartnerBalanceOpened { .. }
            | Effect::BalanceCovered(..)
            | Effect::CardChanged(..)
            | Effect::RulePut(..)
            | Effect::RuleRemoved(_)
            | Effect::RuleCharged { .. }
            | Effect::RuleGivenBack { .. }
            | Effect::ExceptionRaised(_)
            | Effect::ExceptionResolved(_)
            | Effect::CommandRemembered(..)
            | Effect::CommandForgotten
            | Effect::FeePut(_)
            | Effect::FeeRemoved(..)
            | Effect::CustodyPut(..)
            | Effect::BalanceBlocked(..)
            | Effect::CountsPut(_)
            | Effect::Asked(..) => {}
        }
        Ok(())
    }

    fn open_balance(&mut self, id: BalanceId, customer: CustomerId, currency: Currency) {
        let slot = self.rows.cursor.next_balance;
        self.rows.cursor.next_balance += 1;
        let row = PlacedBalance {
            slot,
            balance_id: Uuid::from_u128(id.0),
            customer_id: number(customer.0),
            currency: i64::from(currency.0),
            booked: 0,
            closed: 0,
            entrusted: 0,
        };
        self.rows.balances.insert(slot, row);
        self.changed.balances.insert(slot);
    }

    fn close_balance(&mut self, taking: &Taking<'_>, slot: BalanceSlot) -> Result<(), Unknown> {
        let row = self.balance(taking, slot)?;
        row.closed = 1;
        if row.entrusted == 1 {
            let row = *row;
            self.unlinked.push(Unlinked { sequence: taking.sequence, at_ms: taking.at_ms, row });
        }
        Ok(())
    }

    fn issue(&mut self, taking: &Taking<'_>, card: &NewCard) -> Result<(), Unknown> {
        let id = Uuid::from_u128(card.balance.0);
        let balance = self.rows.balances.values().find(|row| row.balance_id == id);
        let balance = balance.ok_or(taking.unknown("balance"))?.slot;
        let (slot, card_id) = (self.rows.cursor.next_card, number(card.id.0));
        self.rows.cursor.next_card += 1;
        self.rows.cards.insert(slot, PlacedCard { slot, card_id, balance });
        self.changed.cards.insert(slot);
        Ok(())
    }

    /// A message is part of the transaction that it refers to, or begins one.
    fn remember(
        &mut self,
        taking: &mut Taking<'_>,
        slot: TransactionSlot,
        entry: &Transaction,
    ) -> Result<(), Unknown> {
        let slot = i64::from(slot.0);
        let base = entry.base.and_then(|base| self.rows.messages.get(&i64::from(base.0)));
        let base = base.and_then(|base| self.rows.transactions.get(&base.transaction_id));
        let credit = i64::from(entry.direction == Direction::Credit);
        let same = |row: &&TransactionRow| {
            // What is posted on something declined is a transaction of its own.
            row.credit == credit
                && row.currency == i64::from(entry.currency.0)
                && row.state != state_name(TransactionState::Answered)
        };
        // What holds by itself is one too, whatever it stands for.
        let holds = entry.state == TransactionState::Authorized;
        let part = base.filter(same).filter(|_| !holds).map(|row| row.id);
        let reference = base.map(|row| row.id);
        let message = message(&taking.record.command);
        let (transaction_id, root) = match (message, entry.card, part) {
            (Some(_), _, Some(part)) => (part, 0),
            (Some(message), Some(card), None) => {
                let card =
                    *self.rows.cards.get(&i64::from(card.0)).ok_or(taking.unknown("card"))?;
                let balance = entry.balance.map_or(card.balance, |slot| i64::from(slot.0));
                let customer = self.rows.balances.get(&balance).ok_or(taking.unknown("balance"))?;
                let mut row = payment(message, entry);
                row.id = taking.sequence.saturating_mul(2);
                row.at_ms = taking.at_ms;
                (row.customer_id, row.balance) = (customer.customer_id, balance);
                (row.card_id, row.reference_id) = (Some(card.card_id), reference);
                row.entrusted = customer.entrusted;
                let id = row.id;
                self.put(row);
                (id, 1)
            }
            // What takes back, or is of no card of ours.
            (None, _, _) | (Some(_), None, None) => (0, 0),
        };
        taking
            .about
            .extend([transaction_id, reference.unwrap_or_default()].iter().find(|id| **id > 0));
        let balance = entry.balance.map(|slot| i64::from(slot.0));
        let [sequence, asked_at_ms, asked_until_ms, asked] =
            partner::asked(entry, taking.sequence, taking.at_ms);
        self.rows.messages.insert(
            slot,
            PlacedMessage {
                slot,
                transaction_id,
                balance,
                credit,
                root,
                sequence,
                asked_at_ms,
                asked_until_ms,
                asked,
            },
        );
        self.changed.messages.insert(slot);
        Ok(())
    }

    /// Only the message that holds counts: an increment raises it, and is remembered itself.
    fn raise(&mut self, taking: &mut Taking<'_>, slot: TransactionSlot, amount: Amount) {
        if let Some((message, row)) = self.of(slot).filter(|(message, _)| message.root == 1) {
            row.authorised = row.authorised.saturating_add(amount.0);
            self.note(taking, message, RAISED, amount.0);
        }
    }

    fn release(&mut self, taking: &mut Taking<'_>, slot: TransactionSlot, amount: Amount) {
        if let Some((message, row)) = self.of(slot).filter(|(message, _)| message.root == 1) {
            row.released = row.released.saturating_add(amount.0);
            self.note(taking, message, RELEASED, amount.0);
        }
    }

    fn close(&mut self, taking: &mut Taking<'_>, slot: TransactionSlot, state: TransactionState) {
        if let Some((message, row)) = self.of(slot).filter(|(message, _)| message.root == 1) {
            row.state = state_name(state).to_owned();
            // What is left of a hold that ends in part is final as well.
            if matches!(state, TransactionState::Cleared | TransactionState::Expired) {
                let id = row.id;
                self.cleared.insert(id);
            }
            self.note(taking, message, state_name(state), 0);
        }
    }

    /// Posts more of a message, or takes back of it where negative.
    fn settle(
        &mut self,
        taking: &mut Taking<'_>,
        slot: TransactionSlot,
        amount: Amount,
    ) -> Result<(), Unknown> {
        let message = self.rows.messages.get(&i64::from(slot.0)).copied();
        let Some(message) = message else { return Ok(()) };
        let taken = message.balance.and_then(|slot| self.rows.balances.get(&slot));
        let taken = taken.is_some_and(|row| row.closed == 0);
        if let Some((_, row)) = self.of(slot) {
            if !taken && row.entrusted == 1 {
                // It is owed here, and not by the partner.
                row.partner_amount = row.partner_amount.saturating_add(amount.0);
            }
            let held = if message.root == 1 { amount.0.max(0) } else { 0 };
            row.captured = row.captured.saturating_add(held);
            row.posted = row.posted.saturating_add(amount.0);
            row.returned = row.returned.saturating_add(amount.0.saturating_neg().max(0));
        }
        let kind = if amount.0 < 0 { RETURNED } else { POSTED };
        let by = if message.credit == 1 { amount.0 } else { amount.0.saturating_neg() };
        self.book(taking, message.balance, (kind, by), message.transaction_id)
    }

    /// Takes a fee of a message.
    fn charge(
        &mut self,
        taking: &mut Taking<'_>,
        slot: TransactionSlot,
        taken: Amount,
    ) -> Result<(), Unknown> {
        let message = self.rows.messages.get(&i64::from(slot.0)).copied();
        let Some(message) = message.filter(|_| taken != Amount::ZERO) else { return Ok(()) };
        if let Some((_, row)) = self.of(slot) {
            row.fee = row.fee.saturating_add(taken.0);
        }
        let by = taken.0.saturating_neg();
        self.book(taking, message.balance, (FEE, by), message.transaction_id)
    }

    /// Takes a fee of a balance: along with what else the record does on it, or by itself.
    fn charge_balance(
        &mut self,
        taking: &mut Taking<'_>,
        balance: BalanceSlot,
        taken: Amount,
    ) -> Result<(), Unknown> {
        if !taken.is_positive() {
            return Ok(());
        }
        let slot = i64::from(balance.0);
        let along = taking
            .about
            .iter()
            .copied()
            .find(|id| self.rows.transactions.get(id).is_some_and(|row| row.balance == slot));
        let id = match along {
            Some(id) => id,
            None if let Some((FEE, _)) = by_hand(&taking.record.command) => {
                let by = Amount(taken.0.saturating_neg());
                return self.move_by_hand(taking, (0, balance), by);
            }
            None => 0,
        };
        if let Some(row) = self.rows.transactions.get_mut(&id) {
            row.fee = row.fee.saturating_add(taken.0);
            self.changed.transactions.insert(id);
        }
        self.book(taking, Some(slot), (FEE, taken.0.saturating_neg()), id)
    }

    /// Money that no card moves: a transaction that is done as it begins.
    fn move_by_hand(
        &mut self,
        taking: &mut Taking<'_>,
        (side, balance): (i64, BalanceSlot),
        amount: Amount,
    ) -> Result<(), Unknown> {
        let Some((kind, command)) = by_hand(&taking.record.command) else { return Ok(()) };
        // Where a transfer goes to has the odd number; what has one side only, the even one.
        let side = if kind == TRANSFER { side } else { 0 };
        let slot = i64::from(balance.0);
        let holder = *self.rows.balances.get(&slot).ok_or(taking.unknown("balance"))?;
        let id = taking.sequence.saturating_mul(2).saturating_add(side);
        let moved = amount.0.saturating_abs();
        let row = TransactionRow {
            id,
            at_ms: taking.at_ms,
            customer_id: holder.customer_id,
            balance: slot,
            kind: kind.to_owned(),
            credit: i64::from(amount.is_positive()),
            state: state_name(TransactionState::Posted).to_owned(),
            asked: moved,
            authorised: moved,
            posted: moved,
            currency: holder.currency,
            original_amount: moved,
            original_currency: holder.currency,
            command_id: (side == 0).then_some(command),
            ..TransactionRow::default()
        };
        self.put(row);
        taking.about.push(id);
        let step = if kind == FEE { FEE } else { POSTED };
        self.book(taking, Some(slot), (step, amount.0), id)
    }

    /// Books on a balance. A closed one takes nothing, as at the switch.
    fn book(
        &mut self,
        taking: &mut Taking<'_>,
        balance: Option<i64>,
        (kind, amount): (&str, i64),
        transaction: i64,
    ) -> Result<(), Unknown> {
        let mut booked = None;
        if let Some(slot) = balance {
            let row = self.rows.balances.get_mut(&slot).ok_or(taking.unknown("balance"))?;
            // What is with the partner is booked there.
            if row.closed == 0
                && row.entrusted == 0
                && let Some(after) = row.booked.checked_add(amount)
            {
                row.booked = after;
                self.changed.balances.insert(slot);
                booked = Some(after);
            }
        }
        let mut step = taking.step(transaction, kind, amount);
        (step.booked, step.balance) = (booked, booked.and(balance));
        self.steps.push(step);
        Ok(())
    }

    fn note(&mut self, taking: &mut Taking<'_>, message: PlacedMessage, kind: &str, amount: i64) {
        let step = taking.step(message.transaction_id, kind, amount);
        self.steps.push(step);
    }

    fn put(&mut self, row: TransactionRow) {
        self.changed.transactions.insert(row.id);
        self.touched.insert(row.id);
        self.rows.transactions.insert(row.id, row);
    }

    fn balance(
        &mut self,
        taking: &Taking<'_>,
        slot: BalanceSlot,
    ) -> Result<&mut PlacedBalance, Unknown> {
        let slot = i64::from(slot.0);
        self.changed.balances.insert(slot);
        self.rows.balances.get_mut(&slot).ok_or(taking.unknown("balance"))
    }

    /// The transaction that a message belongs to; it counts as changed.
    fn of(&mut self, slot: TransactionSlot) -> Option<(PlacedMessage, &mut TransactionRow)> {
        let message = *self.rows.messages.get(&i64::from(slot.0))?;
        let row = self.rows.transactions.get_mut(&message.transaction_id)?;
        self.changed.transactions.insert(row.id);
        self.touched.insert(row.id);
        Some((message, row))
    }
}

impl Taking<'_> {
    const fn unknown(&self, what: &'static str) -> Unknown {
        Unknown { sequence: self.sequence, what }
    }

    fn step(&mut self, transaction: i64, kind: &str, amount: i64) -> StepRow {
        let place = self.steps;
        self.steps += 1;
        StepRow {
            sequence: self.sequence,
            place,
            transaction_id: (transaction > 0).then_some(transaction),
            balance: None,
            kind: kind.to_owned(),
            amount,
            booked: None,
            at_ms: self.at_ms,
        }
    }
}
