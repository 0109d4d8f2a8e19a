//! Effects that hold or move money, on both sides at once.
//!
//! Invariant: what a balance holds and what its transactions reserve change together; every
//! posting takes from one account of a book what it gives to another. Source: authorization 3.

use super::Ledger;
use crate::balance::Funds;
use crate::books::{Account, Book, wide};
use crate::effect::{
    BalanceSlot, CardSlot, Decision, Direction, Transaction, TransactionSlot, TransactionState,
};
use crate::ids::Timestamp;
use crate::money::{Amount, Currency};
use crate::transactions::Newest;

/// Which of a transaction's amounts a step changes.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Raise,
    Release,
    Capture,
    Settle,
    Return,
}

impl Ledger {
    /// Holds more, and until a later time.
    pub(super) fn raise(
        &mut self,
        slot: TransactionSlot,
        (amount, requested): (Amount, Amount),
        until: Timestamp,
        at: Timestamp,
    ) -> Option<()> {
        self.step(slot, amount, Step::Raise)?;
        let longer = self.transactions.get(slot)?.expires_at != until;
        self.transactions.change(slot, |entry| {
            entry.requested = entry.requested.checked_add(requested)?;
            entry.expires_at = until;
            Some(())
        })?;
        if longer {
            self.transactions.prolong(slot, at);
        }
        Some(())
    }

    pub(super) fn remember(&mut self, slot: TransactionSlot, entry: &Transaction) -> Option<()> {
        let newest = entry.card.and_then(|card| self.card_at(card)?.newest);
        self.transactions.insert(slot, entry, newest)?;
        if let Some(card) = entry.card {
            let card = self.card_mut(card)?;
            card.newest = Some(slot);
            if entry.state == TransactionState::Tombstone {
                card.tombstones += 1;
            }
        }
        self.hold(entry, entry.held())
    }

    /// Asks a partner for a transaction.
    pub(super) fn ask(&mut self, slot: TransactionSlot, lifetime: u64) -> Option<()> {
        let questions = self.questions_of(slot)?;
        *questions = questions.checked_add(1)?;
        self.asked.insert(slot, lifetime).is_none().then_some(())
    }

    /// How many questions are open in the program of a transaction's card.
    fn questions_of(&mut self, slot: TransactionSlot) -> Option<&mut u32> {
        let card = self.transactions.get(slot)?.card?;
        let program = self.card_at(card)?.program;
        self.programs.at_mut(program.0).map(|row| &mut row.asked)
    }

    /// Answers what a partner was asked for.
    pub(super) fn decided(
        &mut self,
        slot: TransactionSlot,
        decided: (Decision, TransactionState),
        until: Timestamp,
        at: Timestamp,
    ) -> Option<()> {
        self.asked.remove(&slot)?;
        let questions = self.questions_of(slot)?;
        *questions = questions.checked_sub(1)?;
        let (before, after) = self.transactions.decide(slot, decided, until, at)?;
        self.hold(&after, after.held().checked_sub(before.held())?)
    }

    pub(super) fn forget(&mut self, slot: TransactionSlot) -> Option<()> {
        let (entry, newest) = self.transactions.forget(slot)?;
        self.rules.forget(slot);
        self.fees.forget(slot);
        if let Some(card) = entry.card {
            self.forget_on_card(card, &entry, newest)?;
        }
        Some(())
    }

    fn forget_on_card(
        &mut self,
        card: CardSlot,
        entry: &Transaction,
        newest: Newest,
    ) -> Option<()> {
        let card = self.card_mut(card)?;
        if let Newest::Now(newest) = newest {
            card.newest = newest;
        }
        if entry.state == TransactionState::Tombstone {
            card.tombstones = card.tombstones.checked_sub(1)?;
        }
        Some(())
    }

    /// Changes a transaction's amounts, what is held for it, and what is posted for it.
    pub(super) fn step(&mut self, slot: TransactionSlot, amount: Amount, step: Step) -> Option<()> {
        if !amount.is_positive() {
            return None;
        }
        let before = *self.transactions.get(slot)?;
        let after = self.transactions.change(slot, |entry| {
            let place = match step {
                Step::Raise => &mut entry.authorised,
                Step::Release => &mut entry.released,
                Step::Capture | Step::Settle => &mut entry.captured,
                Step::Return => &mut entry.returned,
            };
            *place = place.checked_add(amount)?;
            Some(())
        })?;
        self.hold(&after, after.held().checked_sub(before.held())?)?;
        match step {
            Step::Raise | Step::Release => Some(()),
            Step::Capture | Step::Settle => self.settle(&after, amount),
            Step::Return => self.settle(&after, Amount(amount.0.checked_neg()?)),
        }
    }

    /// Changes what is held on a transaction's balance and deposit, both or (where one fails, the
    /// caller stops) neither.
    fn hold(&mut self, entry: &Transaction, by: Amount) -> Option<()> {
        if by == Amount::ZERO {
            return Some(());
        }
        let change = |funds: Funds| match by.is_positive() {
            true => funds.reserved(by),
            false => funds.released(Amount(by.0.checked_neg()?)),
        };
        let balance = self.balance_mut(entry.balance?)?;
        balance.funds = change(balance.funds)?;
        if let Some(slot) = entry.deposit {
            let row = self.partner_balances.at_mut(slot.0)?;
            row.funds = change(row.funds)?;
        }
        let book = self.books.of(entry.currency);
        let more = |sum: &mut i128| *sum = sum.wrapping_add(wide(by));
        more(&mut book.users_held);
        more(&mut book.users_open);
        if entry.deposit.is_some() {
            more(&mut book.deposits_held);
            more(&mut book.deposits_open);
        }
        Some(())
    }

    /// Posts `amount` the way of the transaction's direction; back where it is negative.
    fn settle(&mut self, entry: &Transaction, amount: Amount) -> Option<()> {
        let by = match entry.direction {
            Direction::Debit => amount,
            Direction::Credit => Amount(amount.0.checked_neg()?),
        };
        self.post(self.payer(entry.balance, by), Account::Settlement, by, entry.currency)?;
        match entry.deposit {
            Some(slot) => {
                let deposit = Account::Partner(slot);
                self.post(deposit, Account::PartnerSettlement, by, entry.currency)
            }
            None => Some(()),
        }
    }

    /// Whom a posting of `by` is charged to: the balance, or the receivable account where it takes
    /// none.
    pub(super) fn payer(&self, balance: Option<BalanceSlot>, by: Amount) -> Account {
        match balance.filter(|slot| self.takes(*slot, by)) {
            Some(slot) if self.balance(slot).is_some_and(|row| row.entrusted) => {
                Account::PartnerHeld
            }
            Some(slot) => Account::User(slot),
            None => Account::Receivable,
        }
    }

    /// Whether a balance takes a posting of `by` from it: one that was closed takes none any more.
    fn takes(&self, slot: BalanceSlot, by: Amount) -> bool {
        let booked = |funds: Funds| funds.booked(Amount(by.0.checked_neg()?));
        self.balance(slot).is_some_and(|row| !row.closed && booked(row.funds).is_some())
    }

    /// Moves `amount` between two accounts of one book.
    pub(super) fn post(
        &mut self,
        from: Account,
        to: Account,
        amount: Amount,
        currency: Currency,
    ) -> Option<()> {
        self.enter(from, Amount(amount.0.checked_neg()?), currency)?;
        self.enter(to, amount, currency)
    }

    fn enter(&mut self, account: Account, amount: Amount, currency: Currency) -> Option<()> {
        match account {
            Account::User(slot) => {
                let row = self.balance_mut(slot).filter(|row| row.currency == currency)?;
                row.funds = row.funds.booked(amount)?;
            }
            Account::Partner(slot) => {
                let row = self.partner_balances.at_mut(slot.0);
                let row = row.filter(|row| row.currency == currency)?;
                row.funds = row.funds.booked(amount)?;
            }
            Account::Funding
            | Account::Settlement
            | Account::Receivable
            | Account::PartnerSettlement
            | Account::UsersCover
            | Account::Bank
            | Account::Fees
            | Account::Invoiced
            | Account::PartnerHeld
            | Account::IbanTechnical => {}
        }
        *sum_of(self.books.of(currency), account) += wide(amount);
        Some(())
    }
}

fn sum_of(book: &mut Book, account: Account) -> &mut i128 {
    match account {
        Account::User(_) => &mut book.users,
        Account::Funding => &mut book.funding,
        Account::Settlement => &mut book.settlement,
        Account::Receivable => &mut book.receivable,
        Account::Partner(_) => &mut book.partners,
        Account::UsersCover => &mut book.users_cover,
        Account::PartnerSettlement => &mut book.partner_settlement,
        Account::Bank => &mut book.bank,
        Account::Fees => &mut book.fees,
        Account::Invoiced => &mut book.invoiced,
        Account::PartnerHeld => &mut book.partner_held,
        Account::IbanTechnical => &mut book.iban_technical,
    }
}
