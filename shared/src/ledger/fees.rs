//! What transactions cost besides their amounts, what is owed, and how both move money.
//!
//! Invariants: what is reserved for a fee is held on the holder's balance and on no deposit; what
//! is taken goes to the company balance, and comes from the holder or from what partners owe by
//! invoice. Source: authorization 3, requirements #92, #170.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Ledger, Map};
use crate::books::{Account, wide};
use crate::effect::{BalanceSlot, TransactionSlot};
use crate::fee::{ChargedFee, Fee, Payer};
use crate::ids::{ConfigId, FeeId};
use crate::money::Amount;

/// Fees of transactions, and fees that are owed.
#[derive(Clone, Debug)]
pub(crate) struct Fees {
    /// Programs that have any.
    programs: usize,
    of_transaction: Map<TransactionSlot, Vec<ChargedFee>>,
    owed: Map<BalanceSlot, Vec<(FeeId, Amount)>>,
}

impl Fees {
    pub(super) fn new() -> Self {
        Self {
            programs: 0,
            of_transaction: HashMap::with_hasher(FixedState::with_seed(13)),
            owed: HashMap::with_hasher(FixedState::with_seed(14)),
        }
    }

    /// Whether no program has fees and no transaction was made while one had.
    #[inline]
    pub(crate) fn are_unused(&self) -> bool {
        self.programs == 0 && self.of_transaction.is_empty()
    }

    /// The fees of a transaction.
    pub(crate) fn of(&self, transaction: TransactionSlot) -> &[ChargedFee] {
        self.of_transaction.get(&transaction).map_or(&[], Vec::as_slice)
    }

    /// What a balance owes, in the order in which it fell due.
    pub(crate) fn owed_by(&self, balance: BalanceSlot) -> &[(FeeId, Amount)] {
        self.owed.get(&balance).map_or(&[], Vec::as_slice)
    }

    /// Everything that is owed, in order of slot.
    pub(super) fn all_owed(&self) -> impl Iterator<Item = (BalanceSlot, &[(FeeId, Amount)])> {
        let mut slots: Vec<_> = self.owed.keys().copied().collect();
        slots.sort_unstable();
        slots.into_iter().map(|slot| (slot, self.owed_by(slot)))
    }

    /// Everything that is reserved, by transaction.
    pub(super) fn all_reserved(&self) -> impl Iterator<Item = (TransactionSlot, Amount)> {
        let rows = self.of_transaction.iter();
        rows.flat_map(|(slot, fees)| fees.iter().map(|fee| (*slot, fee.reserved)))
    }

    pub(super) fn forget(&mut self, transaction: TransactionSlot) {
        if !self.of_transaction.is_empty() {
            self.of_transaction.remove(&transaction);
        }
    }

    /// What a closed balance owed is not taken any more.
    pub(super) fn write_off(&mut self, balance: BalanceSlot) {
        self.owed.remove(&balance);
    }

    fn set(&mut self, transaction: TransactionSlot, fee: ChargedFee) {
        let fees = self.of_transaction.entry(transaction).or_default();
        match fees.iter_mut().find(|known| known.fee == fee.fee) {
            Some(known) => *known = fee,
            None => fees.push(fee),
        }
    }

    /// Owes `by` more of a fee (less, where negative).
    fn owe(&mut self, balance: BalanceSlot, fee: FeeId, by: Amount) -> Option<()> {
        let owed = self.owed.entry(balance).or_default();
        match owed.iter_mut().find(|(known, _)| *known == fee) {
            Some((_, amount)) => *amount = amount.checked_add(by)?,
            None => owed.push((fee, by)),
        }
        let sound = owed.iter().all(|(_, amount)| amount.0 >= 0);
        owed.retain(|(_, amount)| amount.is_positive());
        if owed.is_empty() {
            self.owed.remove(&balance);
        }
        sound.then_some(())
    }
}

impl Ledger {
    pub(super) fn put_fee(&mut self, fee: &Fee) -> Option<()> {
        let slot = self.programs.slot(fee.program)?;
        let fees = &mut self.programs.at_mut(slot)?.fees;
        self.fees.programs += usize::from(fees.is_empty());
        match fees.iter_mut().find(|known| known.id == fee.id) {
            Some(known) => *known = fee.clone(),
            None => fees.push(fee.clone()),
        }
        Some(())
    }

    pub(super) fn remove_fee(&mut self, program: ConfigId, fee: FeeId) -> Option<()> {
        let slot = self.programs.slot(program)?;
        let fees = &mut self.programs.at_mut(slot)?.fees;
        let place = fees.iter().position(|known| known.id == fee)?;
        fees.remove(place);
        self.fees.programs -= usize::from(fees.is_empty());
        Some(())
    }

    /// Lets a fee of a transaction stand as given: what it reserves and what it took move along.
    pub(super) fn set_fee(
        &mut self,
        transaction: TransactionSlot,
        fee: ChargedFee,
        taken: Amount,
    ) -> Option<()> {
        let entry = *self.transactions.get(transaction)?;
        let known = self.fees.of(transaction).iter().find(|known| known.fee == fee.fee);
        let before = known.copied().unwrap_or(ChargedFee::new(fee.fee, fee.terms));
        let adds_up = before.taken.checked_add(taken)? == fee.taken
            && fee.taken.0 >= 0
            && fee.reserved.0 >= 0;
        adds_up.then_some(())?;
        let reserved = fee.reserved.checked_sub(before.reserved)?;
        if reserved != Amount::ZERO {
            let balance = self.balance_mut(entry.balance?)?;
            balance.funds = match reserved.is_positive() {
                true => balance.funds.reserved(reserved)?,
                false => balance.funds.released(Amount(reserved.0.checked_neg()?))?,
            };
            let book = self.books.of(entry.currency);
            book.users_held += wide(reserved);
            book.users_open += wide(reserved);
        }
        if taken != Amount::ZERO {
            let from = match fee.terms.payer {
                Payer::Holder => self.payer(entry.balance, taken),
                Payer::Partner => Account::Invoiced,
            };
            self.post(from, Account::Fees, taken, entry.currency)?;
        }
        self.fees.set(transaction, fee);
        Some(())
    }

    /// Lets a fee fall due, and takes of it what there is.
    pub(super) fn charge_fee(
        &mut self,
        fee: FeeId,
        balance: BalanceSlot,
        payer: Payer,
        (due, taken): (Amount, Amount),
    ) -> Option<()> {
        let currency = self.balance(balance)?.currency;
        let owed = due.checked_sub(taken)?;
        if taken.is_positive() {
            let from = match payer {
                Payer::Holder => Account::User(balance),
                Payer::Partner => Account::Invoiced,
            };
            self.post(from, Account::Fees, taken, currency)?;
        }
        if owed == Amount::ZERO { Some(()) } else { self.fees.owe(balance, fee, owed) }
    }
}
