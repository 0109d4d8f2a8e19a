//! Effects to state: the only code that changes a table.
//!
//! Invariant: an effect that does not fit changes nothing that matters, because the caller stops:
//! the journal and the state do not belong together.

use super::posting::Step;
use super::{
    Card, Customer, Ledger, Partner, PartnerBalanceKey, PartnerSlot, ProgramRow, ProgramSlot, Table,
};
use crate::balance::{Balance, Funds, PartnerBalance};
use crate::card::CardState;
use crate::command::{Counts, Custody, NewCard, Program};
use crate::effect::{
    BalanceSlot, CardChange, CardSlot, CustomerSlot, Effect, Exception, PartnerBalanceSlot,
    RuleSlot,
};
use crate::ids::{BalanceId, ConfigId, CustomerId, PartnerBalanceId, Sequence, Timestamp};
use crate::limits::EXCEPTIONS_MAX;
use crate::lock_code::LockCode;
use crate::money::Currency;
use crate::rule::{Rule, Subject};

impl Ledger {
    /// Applies one effect; `None` where it does not fit the state.
    pub(super) fn apply_effect(&mut self, effect: &Effect, at: Timestamp) -> Option<()> {
        match effect {
            Effect::Remembered(slot, entry) => self.remember(*slot, entry),
            Effect::Raised { transaction, amount, requested, until } => {
                self.raise(*transaction, (*amount, *requested), *until, at)
            }
            Effect::Released(slot, amount) => self.step(*slot, *amount, Step::Release),
            Effect::Captured(slot, amount) => self.step(*slot, *amount, Step::Capture),
            Effect::Settled(slot, amount) => self.step(*slot, *amount, Step::Settle),
            Effect::Returned(slot, amount) => self.step(*slot, *amount, Step::Return),
            Effect::Closed(slot, state) => self.transactions.close(*slot, *state, at),
            Effect::Forgotten(slot) => self.forget(*slot),
            Effect::CardIssued(card) => self.issue(card),
            Effect::CardChanged(slot, change) => self.change_card(*slot, *change),
            Effect::RulePut(slot, rule) => self.put_rule(*slot, rule),
            Effect::RuleRemoved(slot) => self.remove_rule(*slot),
            Effect::RuleCharged { rule, transaction, window, amount, count } => {
                self.rules.charge(*rule, *transaction, *window, (*amount, *count))
            }
            Effect::RuleGivenBack { rule, transaction, window_start, amount, count } => {
                self.rules.give_back(*rule, *transaction, *window_start, (*amount, *count))
            }
            Effect::ExceptionRaised(exception) => self.raise_exception(*exception),
            Effect::ExceptionResolved(sequence) => self.resolve_exceptions(*sequence),
            Effect::Posted { from, to, amount, currency } => {
                self.post(*from, *to, *amount, *currency)
            }
            Effect::PartnerPut(id) => {
                self.partners.push(*id, Partner { id: *id, ruled: false }).map(drop)
            }
            Effect::ProgramPut(program) => self.put_program(program),
            Effect::CustomerPut { id, verified, aml_locked } => {
                self.put_customer(*id, (*verified, *aml_locked))
            }
            Effect::BalanceOpened { id, customer, currency } => {
                self.open_balance(*id, *customer, *currency)
            }
            Effect::BalanceClosed(slot) => self.close_balance(*slot),
            Effect::BalanceBlocked(slot, by) => {
                self.balance_mut(*slot).map(|row| row.blocked = *by)
            }
            Effect::BalanceCovered(slot, partner) => {
                self.balance_mut(*slot).map(|row| row.covered_by = Some(*partner))
            }
            Effect::PartnerBalanceOpened { id, partner, kind, currency } => {
                self.open_partner_balance(*id, (*partner, *kind, *currency))
            }
            Effect::CommandRemembered(id, outcome) => {
                self.commands_in_order.push_back(*id);
                yes(self.commands.insert(*id, *outcome).is_none())
            }
            Effect::CommandForgotten => {
                let id = self.commands_in_order.pop_front()?;
                self.commands.remove(&id).map(drop)
            }
            Effect::FeePut(fee) => self.put_fee(fee),
            Effect::FeeRemoved(program, fee) => self.remove_fee(*program, *fee),
            Effect::FeeSet { transaction, fee, taken } => self.set_fee(*transaction, *fee, *taken),
            Effect::FeeCharged { fee, balance, payer, due, taken } => {
                self.charge_fee(*fee, *balance, *payer, (*due, *taken))
            }
            Effect::CustodyPut(program, custody) => self.put_custody(*program, *custody),
            Effect::BalanceEntrusted(slot) => {
                self.balance_mut(*slot).map(|row| row.entrusted = true)
            }
            Effect::CountsPut(counts) => self.put_counts(*counts),
            Effect::Asked(slot, lifetime) => self.ask(*slot, *lifetime),
            Effect::Decided { transaction, decision, state, until } => {
                self.decided(*transaction, (*decision, *state), *until, at)
            }
        }
    }

    fn change_card(&mut self, slot: CardSlot, change: CardChange) -> Option<()> {
        let card = self.card_mut(slot)?;
        match change {
            CardChange::State(state) => {
                card.state = state;
                if state == CardState::Removed {
                    return self.unlink(slot);
                }
            }
            CardChange::Locked(lock) => card.lock = Some(lock),
            CardChange::Unlocked => {
                let lifted = card.lock.take();
                if lifted.is_some_and(|lock| lock.code == LockCode::PinTriesExceeded) {
                    card.pin_tries = 0;
                }
            }
            CardChange::PinTries(tries) => card.pin_tries = tries,
            CardChange::Pin(pvv) => {
                card.pvv = Some(pvv);
                card.pin_tries = 0;
            }
            CardChange::Cvv2Generation(generation) => card.cvv2_generation = generation,
            CardChange::Renewed(expiry) => {
                card.previous_expiry = Some(std::mem::replace(&mut card.expiry, expiry));
            }
        }
        Some(())
    }

    /// Takes a removed card from the list of its balance, which is no longer than a balance may have
    /// cards.
    fn unlink(&mut self, slot: CardSlot) -> Option<()> {
        let card = self.card_mut(slot)?;
        let (balance, earlier) = (card.balance, card.earlier.take());
        let row = self.balance_mut(balance)?;
        row.cards = row.cards.checked_sub(1)?;
        if row.last_card == Some(slot) {
            row.last_card = earlier;
            return Some(());
        }
        let mut later = row.last_card?;
        loop {
            let card = self.card_mut(later)?;
            if card.earlier == Some(slot) {
                card.earlier = earlier;
                return Some(());
            }
            later = card.earlier?;
        }
    }

    fn raise_exception(&mut self, exception: Exception) -> Option<()> {
        self.exceptions.push_back(exception);
        if self.exceptions.len() > EXCEPTIONS_MAX {
            self.exceptions.pop_front();
        }
        Some(())
    }

    fn resolve_exceptions(&mut self, of: Sequence) -> Option<()> {
        self.exceptions.retain(|entry| entry.sequence != of);
        Some(())
    }

    fn put_customer(&mut self, id: CustomerId, (verified, aml_locked): (bool, bool)) -> Option<()> {
        let known = self.customers.get(id);
        let (ruled, balances) = known.map_or((false, 0), |known| (known.ruled, known.balances));
        put(&mut self.customers, id, Customer { id, verified, aml_locked, ruled, balances })
    }

    fn put_custody(&mut self, program: ConfigId, custody: Custody) -> Option<()> {
        let slot = self.programs.slot(program)?;
        self.programs.at_mut(slot).map(|row| row.custody = Some(custody))
    }

    fn open_partner_balance(&mut self, id: PartnerBalanceId, key: PartnerBalanceKey) -> Option<()> {
        let (partner, kind, currency) = key;
        let row = PartnerBalance { id, partner, kind, currency, funds: Funds::default() };
        let slot = PartnerBalanceSlot(self.partner_balances.push(id, row)?);
        yes(self.partner_balance_slots.insert(key, slot).is_none())?;
        for row in &mut self.programs.rows {
            let Program { collateral, currency, partner, .. } = row.program;
            if collateral.held_kind().map(|kind| (partner, kind, currency)) == Some(key) {
                row.held = Some(slot);
            }
        }
        Some(())
    }

    fn put_program(&mut self, program: &Program) -> Option<()> {
        let partner = PartnerSlot(self.partners.slot(program.partner)?);
        let kind = program.collateral.held_kind();
        let held = kind
            .and_then(|kind| self.partner_balance_of((program.partner, kind, program.currency)));
        let known = self.programs.get(program.id);
        let ruled = known.is_some_and(|known| known.ruled);
        let fees = known.map_or(Vec::new(), |known| known.fees.clone());
        let custody = known.and_then(|known| known.custody);
        let issued = known.is_some_and(|known| known.issued);
        let asked = known.map_or(0, |known| known.asked);
        let row = ProgramRow {
            program: program.clone(),
            partner,
            held,
            ruled,
            fees,
            custody,
            issued,
            asked,
        };
        put(&mut self.programs, program.id, row)
    }

    fn open_balance(
        &mut self,
        id: BalanceId,
        customer: CustomerId,
        currency: Currency,
    ) -> Option<()> {
        let customer = CustomerSlot(self.customers.slot(customer)?);
        let holder = self.customers.at_mut(customer.0)?;
        holder.balances = holder.balances.checked_add(1)?;
        let balance = Balance {
            id,
            customer,
            currency,
            funds: Funds::default(),
            closed: false,
            blocked: None,
            covered_by: None,
            entrusted: false,
            last_card: None,
            cards: 0,
            carded: false,
        };
        self.balances.push(id, balance).map(drop)
    }

    fn close_balance(&mut self, slot: BalanceSlot) -> Option<()> {
        self.fees.write_off(slot);
        let row = self.balance_mut(slot)?;
        row.closed = true;
        let holder = row.customer;
        let holder = self.customers.at_mut(holder.0)?;
        holder.balances = holder.balances.checked_sub(1)?;
        Some(())
    }

    fn put_counts(&mut self, counts: Counts) -> Option<()> {
        self.counts = counts;
        Some(())
    }

    fn put_rule(&mut self, slot: RuleSlot, rule: &Rule) -> Option<()> {
        self.rules.put(slot, rule)?;
        self.set_ruled(rule.subject, true)
    }

    fn remove_rule(&mut self, slot: RuleSlot) -> Option<()> {
        let (subject, ruled) = self.rules.remove(slot)?;
        self.set_ruled(subject, ruled)
    }

    fn set_ruled(&mut self, subject: Subject, ruled: bool) -> Option<()> {
        let flag = match subject {
            Subject::Card(id) => {
                let slot = *self.cards_by_id.get(&id)?;
                &mut self.card_mut(slot)?.ruled
            }
            Subject::Customer(id) => {
                let slot = self.customers.slot(id)?;
                &mut self.customers.at_mut(slot)?.ruled
            }
            Subject::Program(id) => {
                let slot = self.programs.slot(id)?;
                &mut self.programs.at_mut(slot)?.ruled
            }
            Subject::Partner(id) => {
                let slot = self.partners.slot(id)?;
                &mut self.partners.at_mut(slot)?.ruled
            }
        };
        *flag = ruled;
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
            previous_expiry: None,
            state: new.state,
            lock: None,
            pvv: None,
            pin_tries: 0,
            cvv2_generation: 0,
            ruled: false,
            earlier,
            newest: None,
            tombstones: 0,
        };
        let slot = self.cards.push(card)?;
        let row = self.balance_mut(balance)?;
        row.last_card = Some(slot);
        row.cards += 1;
        row.carded = true;
        self.programs.at_mut(program.0)?.issued = true;
        yes(self.cards_by_id.insert(new.id, slot).is_none())
    }

    pub(super) fn balance_mut(&mut self, slot: BalanceSlot) -> Option<&mut Balance> {
        self.balances.at_mut(slot.0)
    }

    pub(super) fn card_mut(&mut self, slot: CardSlot) -> Option<&mut Card> {
        self.cards.at_mut(slot)
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
