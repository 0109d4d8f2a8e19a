//! The rules in force, their counters, and which transactions were counted where.
//!
//! Invariant: a rule's slot is never given to another rule, so that a journaled effect names the
//! same one for ever; a counter never falls below zero.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::Serialize;

use super::Map;
use crate::effect::{RuleSlot, TransactionSlot};
use crate::ids::RuleId;
use crate::money::Amount;
use crate::rule::{Rule, RuleRow, Subject, Window};

/// All rules.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    rows: Vec<Option<RuleRow>>,
    slots: Map<RuleId, RuleSlot>,
    of_subject: Map<Subject, Vec<RuleSlot>>,
    charges: Map<TransactionSlot, Vec<Charge>>,
}

/// One transaction in one rule's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Charge {
    pub(crate) rule: RuleSlot,
    pub(crate) window_start: u64,
    /// Of the rule's counter.
    pub(crate) version: u32,
    /// What of it was not given back yet.
    pub(crate) amount: Amount,
    /// Whether it was counted as a payment there, and not yet given back.
    pub(crate) counted: bool,
}

impl Charge {
    fn is_of(&self, rule: RuleSlot, window_start: u64, version: u32) -> bool {
        (self.rule, self.window_start, self.version) == (rule, window_start, version)
    }
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            slots: HashMap::with_hasher(FixedState::with_seed(10)),
            of_subject: HashMap::with_hasher(FixedState::with_seed(11)),
            charges: HashMap::with_hasher(FixedState::with_seed(12)),
        }
    }

    pub(crate) fn row(&self, slot: RuleSlot) -> Option<&RuleRow> {
        self.rows.get(slot.index())?.as_ref()
    }

    pub(crate) fn slot_of(&self, id: RuleId) -> Option<RuleSlot> {
        self.slots.get(&id).copied()
    }

    /// The rules of one subject, in the order in which they were made.
    pub(crate) fn of(&self, subject: Subject) -> &[RuleSlot] {
        self.of_subject.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// Where a transaction was counted.
    pub(crate) fn charges(&self, transaction: TransactionSlot) -> &[Charge] {
        self.charges.get(&transaction).map_or(&[], Vec::as_slice)
    }

    /// The same, but for rules that are gone, begun anew, or counting another period by now.
    pub(crate) fn running_charges(
        &self,
        transaction: TransactionSlot,
    ) -> impl Iterator<Item = &Charge> {
        self.charges(transaction).iter().filter(|charge| {
            self.row(charge.rule).is_some_and(|row| {
                (row.window.start, row.version) == (charge.window_start, charge.version)
            })
        })
    }

    /// Slots given out so far.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Option<RuleRow>] {
        &self.rows
    }

    /// Makes a rule at the next slot, or replaces the one with its id at its own. The counter of
    /// a replaced one goes on where it counts the same payments over the same periods.
    pub(super) fn put(&mut self, slot: RuleSlot, rule: &Rule) -> Option<()> {
        if slot.index() == self.rows.len() {
            if self.slots.insert(rule.id, slot).is_some() {
                return None;
            }
            self.of_subject.entry(rule.subject).or_default().push(slot);
            self.rows.push(Some(RuleRow::new(rule.clone())));
            return Some(());
        }
        let row = self.rows.get_mut(slot.index())?.as_mut()?;
        if row.rule.id != rule.id || row.rule.subject != rule.subject {
            return None;
        }
        if row.rule.counts_like(rule) {
            row.rule = rule.clone();
        } else {
            let version = row.version.wrapping_add(1);
            *row = RuleRow { version, ..RuleRow::new(rule.clone()) };
        }
        Some(())
    }

    /// Removes a rule, and says whose it was and whether they have another.
    pub(super) fn remove(&mut self, slot: RuleSlot) -> Option<(Subject, bool)> {
        let row = self.rows.get_mut(slot.index())?.take()?;
        self.slots.remove(&row.rule.id);
        let subject = row.rule.subject;
        let others = self.of_subject.get_mut(&subject)?;
        others.retain(|other| *other != slot);
        let ruled = !others.is_empty();
        if !ruled {
            self.of_subject.remove(&subject);
        }
        Some((subject, ruled))
    }

    pub(super) fn charge(
        &mut self,
        rule: RuleSlot,
        transaction: TransactionSlot,
        window: Window,
        (amount, count): (Amount, u32),
    ) -> Option<()> {
        let row = self.rows.get_mut(rule.index())?.as_mut()?;
        if row.window != window {
            row.window = window;
            (row.spent, row.count) = (Amount::ZERO, 0);
        }
        row.spent = Amount(row.spent.0.saturating_add(amount.0));
        row.count = row.count.saturating_add(count);
        let (window_start, version) = (window.start, row.version);
        let charges = self.charges.entry(transaction).or_default();
        match charges.iter_mut().find(|charge| charge.is_of(rule, window_start, version)) {
            Some(charge) => {
                charge.counted |= count > 0;
                charge.amount = Amount(charge.amount.0.saturating_add(amount.0));
            }
            None => {
                let counted = count > 0;
                charges.push(Charge { rule, window_start, version, amount, counted });
            }
        }
        Some(())
    }

    pub(super) fn give_back(
        &mut self,
        rule: RuleSlot,
        transaction: TransactionSlot,
        window_start: u64,
        (amount, count): (Amount, u32),
    ) -> Option<()> {
        let row = self.rows.get_mut(rule.index())?.as_mut()?;
        let charges = self.charges.get_mut(&transaction)?.iter_mut();
        let mut of_row = charges.filter(|charge| charge.is_of(rule, window_start, row.version));
        let charge = of_row.next()?;
        charge.amount = charge.amount.checked_sub(amount).filter(|left| left.0 >= 0)?;
        charge.counted &= count == 0;
        // What the same message counted may have begun another period.
        if row.window.start == window_start {
            row.spent = Amount(row.spent.0.saturating_sub(amount.0).max(0));
            row.count = row.count.saturating_sub(count);
        }
        Some(())
    }

    pub(super) fn forget(&mut self, transaction: TransactionSlot) {
        if !self.charges.is_empty() {
            self.charges.remove(&transaction);
        }
    }
}
