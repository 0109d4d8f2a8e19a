//! Effects to state: the only code that changes a table.
//!
//! Invariant: an effect that does not fit changes nothing that matters, because the caller stops:
//! the journal and the state do not belong together.

use super::{Card, Customer, Ledger, ProgramSlot, Table};
use crate::balance::{Balance, Funds, PartnerBalance};
use crate::books::{Book, wide};
use crate::command::NewCard;
use crate::effect::{
    Account, BalanceSlot, CardSlot, Effect, PartnerBalanceSlot, Transaction, TransactionSlot,
    TransactionState,
};
use crate::ids::Timestamp;
use crate::money::{Amount, Currency};

impl Ledger {
    /// Applies one effect; `None` where it does not fit the state.
    pub(super) fn apply_effect(&mut self, effect: &Effect, at: Timestamp) -> Option<()> {
        match effect {
            Effect::Remembered(slot, entry) => self.remember(*slot, entry),
            Effect::Released(slot, amount) => self.release(*slot, *amount),
            Effect::Closed(slot, state) => yes(self.transactions.close(*slot, *state, at)),
            Effect::Forgotten(slot) => yes(self.transactions.forget(*slot)),
            Effect::Posted { from, to, amount, currency } => {
                self.post(*from, Amount(amount.0.checked_neg()?), *currency)?;
                self.post(*to, *amount, *currency)
            }
            Effect::PartnerPut(id) => self.partners.push(*id, *id).map(drop),
            Effect::ProgramPut(program) => put(&mut self.programs, program.id, program.clone()),
            Effect::CustomerPut { id, verified, aml_locked } => {
                let flags = Customer { id: *id, verified: *verified, aml_locked: *aml_locked };
                put(&mut self.customers, *id, flags)
            }
            Effect::BalanceOpened { id, customer, currency } => {
                let balance = Balance {
                    id: *id,
                    customer: *customer,
                    currency: *currency,
                    funds: Funds::default(),
                    closed: false,
                    covered_by: None,
                    last_card: None,
                    cards: 0,
                };
                self.balances.push(*id, balance).map(drop)
            }
            Effect::BalanceClosed(slot) => self.balance_mut(*slot).map(|row| row.closed = true),
            Effect::BalanceCovered(slot, partner) => {
                self.balance_mut(*slot).map(|row| row.covered_by = Some(*partner))
            }
            Effect::PartnerBalanceOpened { id, partner, kind, currency } => {
                let (partner, kind, currency) = (*partner, *kind, *currency);
                let row =
                    PartnerBalance { id: *id, partner, kind, currency, funds: Funds::default() };
                let slot = PartnerBalanceSlot(self.partner_balances.push(*id, row)?);
                let key = (partner, kind, currency);
                yes(self.partner_balance_slots.insert(key, slot).is_none())
            }
            Effect::CardIssued(card) => self.issue(card),
            Effect::CardStateSet(slot, state) => {
                self.card_mut(*slot).map(|card| card.state = *state)
            }
            Effect::LockSet(slot, lock) => self.card_mut(*slot).map(|card| card.lock = Some(*lock)),
            Effect::LockCleared(slot) => self.card_mut(*slot).map(|card| card.lock = None),
            Effect::CommandRemembered(id, outcome) => {
                self.commands_in_order.push_back(*id);
                yes(self.commands.insert(*id, *outcome).is_none())
            }
            Effect::CommandForgotten => {
                let id = self.commands_in_order.pop_front()?;
                self.commands.remove(&id).map(drop)
            }
        }
    }

    fn remember(&mut self, slot: TransactionSlot, entry: &Transaction) -> Option<()> {
        if entry.state == TransactionState::Authorized {
            let amount = entry.authorised;
            self.hold(entry.balance?, entry.deposit, |funds| funds.reserved(amount), amount)?;
            let open = self.book_of(entry)?;
            open.users_open += wide(amount);
            if entry.deposit.is_some() {
                open.deposits_open += wide(amount);
            }
        }
        yes(self.transactions.insert(slot, *entry))
    }

    fn release(&mut self, slot: TransactionSlot, amount: Amount) -> Option<()> {
        let entry = *self.transactions.get(slot)?;
        yes(self.transactions.release(slot, amount))?;
        let given_back = Amount(amount.0.checked_neg()?);
        self.hold(entry.balance?, entry.deposit, |funds| funds.released(amount), given_back)?;
        let open = self.book_of(&entry)?;
        open.users_open -= wide(amount);
        if entry.deposit.is_some() {
            open.deposits_open -= wide(amount);
        }
        Some(())
    }

    /// Changes what is held on a balance and its deposit, both or (where one fails, the caller
    /// stops) neither.
    fn hold(
        &mut self,
        balance: BalanceSlot,
        deposit: Option<PartnerBalanceSlot>,
        change: impl Fn(Funds) -> Option<Funds>,
        by: Amount,
    ) -> Option<()> {
        let row = self.balances.at_mut(balance.0)?;
        row.funds = change(row.funds)?;
        let currency = row.currency;
        if let Some(slot) = deposit {
            let row = self.partner_balances.at_mut(slot.0)?;
            row.funds = change(row.funds)?;
        }
        let book = self.books.of(currency);
        book.users_held += wide(by);
        if deposit.is_some() {
            book.deposits_held += wide(by);
        }
        Some(())
    }

    fn book_of(&mut self, entry: &Transaction) -> Option<&mut Book> {
        let currency = self.balances.at(entry.balance?.0)?.currency;
        Some(self.books.of(currency))
    }

    fn post(&mut self, account: Account, amount: Amount, currency: Currency) -> Option<()> {
        match account {
            Account::User(slot) => {
                let row = self.balances.at_mut(slot.0).filter(|row| row.currency == currency)?;
                row.funds = row.funds.booked(amount)?;
                self.books.of(currency).users += wide(amount);
            }
            Account::Partner(slot) => {
                let row = self.partner_balances.at_mut(slot.0);
                let row = row.filter(|row| row.currency == currency)?;
                row.funds = row.funds.booked(amount)?;
                self.books.of(currency).partners += wide(amount);
            }
            Account::Funding => self.books.of(currency).funding += wide(amount),
            Account::UsersCover => self.books.of(currency).users_cover += wide(amount),
            Account::Bank => self.books.of(currency).bank += wide(amount),
        }
        Some(())
    }

    fn issue(&mut self, new: &NewCard) -> Option<()> {
        let balance = BalanceSlot(self.balances.slot(new.balance)?);
        let program = ProgramSlot(self.programs.slot(new.program)?);
        let earlier = self.balance(balance)?.last_card;
        let card = Card {
            id: new.id,
            token: new.token,
            program,
            balance,
            expiry: new.expiry,
            state: new.state,
            lock: None,
            earlier,
        };
        let slot = CardSlot(self.cards.push(new.token, card)?);
        let row = self.balance_mut(balance)?;
        row.last_card = Some(slot);
        row.cards += 1;
        yes(self.cards_by_id.insert(new.id, slot).is_none())
    }

    fn balance_mut(&mut self, slot: BalanceSlot) -> Option<&mut Balance> {
        self.balances.at_mut(slot.0)
    }

    fn card_mut(&mut self, slot: CardSlot) -> Option<&mut Card> {
        self.cards.at_mut(slot.0)
    }
}

fn put<K: core::hash::Hash + Eq + Copy, V>(table: &mut Table<K, V>, key: K, row: V) -> Option<()> {
    match table.slot(key) {
        Some(slot) => table.at_mut(slot).map(|place| *place = row),
        None => table.push(key, row).map(drop),
    }
}

fn yes(fits: bool) -> Option<()> {
    fits.then_some(())
}
