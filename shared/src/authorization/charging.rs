//! Limits and permissions in a decision: whether the rules of everybody concerned allow a payment,
//! and what their counters take and give back.
//!
//! Invariant: what is counted for a transaction is given back when it does not come to pass, in
//! the same period, and no more than was counted.

use super::column::{Asked, Parties};
use super::{Case, Witness};
use crate::effect::{Effect, RuleSlot, TransactionSlot};
use crate::ledger::{Charge, Ledger};
use crate::money::Amount;
use crate::rule::{Bound, Payment, RuleRow, Subject};

/// The rules of the card, its holder, its program and its partner.
fn rules_of<'a>(
    ledger: &'a Ledger,
    parties: &'a Parties<'_>,
) -> impl Iterator<Item = RuleSlot> + 'a {
    let card = parties.card.filter(|(_, card)| card.ruled);
    let holder = parties.holder.filter(|holder| holder.ruled);
    let program = parties.program.filter(|row| row.ruled);
    let partner = parties.program.and_then(|row| ledger.partner_at(row.partner));
    let partner = partner.filter(|partner| partner.ruled);
    let subjects = [
        card.map(|(_, card)| Subject::Card(card.id)),
        holder.map(|holder| Subject::Customer(holder.id)),
        program.map(|row| Subject::Program(row.program.id)),
        partner.map(|partner| Subject::Partner(partner.id)),
    ];
    subjects.into_iter().flatten().flat_map(|subject| ledger.rules.of(subject)).copied()
}

/// Those of one row of the order of checks.
fn rules_in<'a>(
    ledger: &'a Ledger,
    parties: &'a Parties<'_>,
    row: u8,
) -> impl Iterator<Item = &'a RuleRow> + 'a {
    rules_of(ledger, parties)
        .filter_map(|slot| ledger.rules.row(slot))
        .filter(move |rule| rule.rule.row().0 == row)
}

/// Whether the rules of one row of the order of checks let the payment pass.
pub(super) fn rules_allow(
    ledger: &Ledger,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
    row: u8,
) -> bool {
    let payment = asked.payment();
    rules_in(ledger, parties, row).all(|rule| rule.allows(&asked.request.acceptance, &payment))
}

/// What the rules of one row that look at a payment allow, and what of that was used.
pub(super) fn rules_told(
    ledger: &Ledger,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
    row: u8,
) -> String {
    let payment = asked.payment();
    let rules = rules_in(ledger, parties, row).filter(|rule| {
        rule.looks_at(&asked.request.acceptance, &payment) || rule.rule.bound == Bound::Only
    });
    rules.fold(String::new(), |told, rule| told + "; " + &rule.told(payment.at))
}

impl<W: Witness> Case<'_, W> {
    /// Counts a payment of `amount` for `transaction` in every rule that looks at it.
    #[inline]
    pub(super) fn charge(
        &mut self,
        parties: &Parties<'_>,
        asked: &Asked<'_>,
        amount: Amount,
        transaction: TransactionSlot,
    ) {
        if amount.is_positive() && parties.ruled {
            self.charge_rules(parties, asked, amount, transaction);
        }
    }

    fn charge_rules(
        &mut self,
        parties: &Parties<'_>,
        asked: &Asked<'_>,
        amount: Amount,
        transaction: TransactionSlot,
    ) {
        let (ledger, payment) = (self.ledger, Payment { amount, ..asked.payment() });
        for slot in rules_of(ledger, parties) {
            let row = ledger.rules.row(slot);
            if let Some(row) = row.filter(|row| row.adds_up(&asked.request.acceptance, &payment)) {
                self.push(Effect::RuleCharged {
                    rule: slot,
                    transaction,
                    window: row.window_now(payment.at),
                    amount: payment.amount,
                    count: u32::from(payment.counts),
                });
            }
        }
    }

    /// What the message gave back already of what was counted.
    fn given_back(&self, transaction: TransactionSlot, charge: &Charge) -> (Amount, u32) {
        let of_charge = |effect: &Effect| {
            if let Effect::RuleGivenBack { rule, transaction: of, window_start, amount, count } =
                *effect
                && (rule, of, window_start) == (charge.rule, transaction, charge.window_start)
            {
                Some((amount, count))
            } else {
                None
            }
        };
        let given = self.effects.iter().filter_map(of_charge);
        given.fold((Amount::ZERO, 0), |(sum, counts), (amount, count)| {
            (Amount(sum.0.saturating_add(amount.0)), counts + count)
        })
    }

    /// Gives back `amount` of what was counted for `transaction`, and the payment itself where
    /// nothing is left of it.
    pub(super) fn give_back(&mut self, transaction: TransactionSlot, amount: Amount, whole: bool) {
        let ledger = self.ledger;
        for charge in ledger.rules.running_charges(transaction) {
            // One message may give back for two reasons.
            let (before, counts) = self.given_back(transaction, charge);
            let left = Amount(charge.amount.0.saturating_sub(before.0));
            let given = left.min(amount);
            let count = u32::from(whole && charge.counted && counts == 0);
            if given.is_positive() || count > 0 {
                self.push(Effect::RuleGivenBack {
                    rule: charge.rule,
                    transaction,
                    window_start: charge.window_start,
                    amount: given,
                    count,
                });
            }
        }
    }
}
