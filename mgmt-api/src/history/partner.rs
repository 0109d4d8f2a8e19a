//! What a partner that keeps the money must be told of a transaction, made of the switch's records.
//! Source: authorization 5, requirements #147 to #152.
//!
//! Invariant: by what it was told and agreed to, a partner has of each transaction what is held and
//! posted of it here; where it may have more without our knowing, it is told to reverse until it
//! has answered, and once more later. What becomes of one transaction is told in order.

use std::collections::BTreeMap;

use shared::command::{Command, PartnerAnswer};
use shared::effect::{Decision, TransactionSlot, TransactionState};
use shared::money::Amount;
use uuid::Uuid;

use super::{Page, Taking, state_name};
use crate::store::{PlacedBalance, PlacedMessage, TransactionRow};

/// After a question that was never answered, the reversal is told again so much later: what the
/// partner does late is then undone too.
const CONFIRMED_AFTER_MS: [i64; 3] = [60_000, 600_000, 3_600_000];
/// How much longer than its time a question may be on its way.
const ON_ITS_WAY_MS: i64 = 500;

/// What a partner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has less of the transaction by this much, whatever it says.
    ForceDebit(i64),
    /// It has more.
    ForceCredit(i64),
    /// It has none of it.
    Reversal(i64),
    /// It is final.
    Cleared(i64),
}

/// Which transaction a call is, as the partner knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The one that it refers to itself.
    Own,
    /// What was asked for on top of it, where and when.
    Added { id: i64, at_ms: i64 },
    /// What changes it.
    Change,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartnerCall {
    /// The record behind which it is told.
    pub(crate) sequence: i64,
    pub(crate) at_ms: i64,
    pub(crate) told: Told,
    pub(crate) name: Name,
    /// How the transaction stood behind the record.
    pub(crate) row: TransactionRow,
    /// Not before this instant.
    pub(crate) not_before_ms: i64,
    /// 0, or which confirmation of a reversal it is.
    pub(crate) confirms: u8,
}

/// What is held, pending or posted of a transaction here.
pub(crate) fn amount(row: &TransactionRow) -> i64 {
    let open = row.state == state_name(TransactionState::Authorized);
    let held = if open { row.authorised - row.released - row.captured } else { 0 };
    held + row.posted
}

/// A balance that a partner keeps no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unlinked {
    /// The record that closed it.
    pub(crate) sequence: i64,
    pub(crate) at_ms: i64,
    pub(crate) row: PlacedBalance,
}

impl Page {
    /// The balances that calls are about, by place.
    pub(crate) fn balances_of(&self, calls: &[PartnerCall]) -> BTreeMap<i64, Uuid> {
        let places = calls.iter().map(|call| call.row.balance);
        let row = |place| self.rows.balances.get(&place);
        places.filter_map(|place| Some((place, row(place)?.balance_id))).collect()
    }

    /// Takes which balances they keep no more.
    pub(crate) fn take_unlinked(&mut self) -> Vec<Unlinked> {
        core::mem::take(&mut self.unlinked)
    }

    /// Takes what partners must be told.
    pub(crate) fn take_calls(&mut self) -> Vec<PartnerCall> {
        core::mem::take(&mut self.calls)
    }

    /// What a question was decided to be.
    pub(super) fn decide(
        &mut self,
        taking: &Taking<'_>,
        slot: TransactionSlot,
        decision: Decision,
        state: TransactionState,
    ) -> Option<PlacedMessage> {
        let answer = match taking.record.command {
            Command::Answered(_, _, answer) => Some(answer),
            Command::Authorize(_)
            | Command::Advise(_)
            | Command::Reverse(_)
            | Command::LockOutside(_)
            | Command::Void(..)
            | Command::Expire
            | Command::Manage(..) => None,
        };
        let (message, row) = self.of(slot)?;
        if message.root == 1 {
            state_name(state).clone_into(&mut row.state);
            row.reason = i64::from(decision.reason.number());
            row.approval = decision.approval.map(|code| i64::from(code.0));
        }
        match answer {
            Some(PartnerAnswer::Agreed) => {
                row.partner_amount = row.partner_amount.saturating_add(message.asked);
                row.partner_calls += if message.root == 1 { 1 } else { 2 };
            }
            Some(PartnerAnswer::Declined(_) | PartnerAnswer::NotAsked | PartnerAnswer::Has(_)) => {}
            Some(PartnerAnswer::InDoubt) | None if message.asked > 0 => {
                let row = row.clone();
                self.doubt(taking, message, &row);
            }
            Some(PartnerAnswer::InDoubt) | None => {}
        }
        if message.root == 1 && state == TransactionState::Posted {
            self.cleared.insert(message.transaction_id);
        }
        Some(message)
    }

    /// It may have done what it was asked for.
    fn doubt(&mut self, taking: &Taking<'_>, message: PlacedMessage, row: &TransactionRow) {
        let until = message.asked_until_ms + ON_ITS_WAY_MS;
        let name = match message.root {
            1 => Name::Own,
            _ => {
                let id = message.sequence.saturating_mul(2);
                Name::Added { id, at_ms: message.asked_at_ms }
            }
        };
        let instants = core::iter::once(until)
            .chain(CONFIRMED_AFTER_MS.iter().map(|later| taking.at_ms.max(until) + later));
        for (confirms, not_before_ms) in (0_u8..).zip(instants) {
            let call = call(taking, row, (Told::Reversal(message.asked), name));
            self.calls.push(PartnerCall { not_before_ms, confirms, ..call });
        }
    }

    /// What follows from how a transaction stands behind a record.
    pub(super) fn tell_partner(&mut self, taking: &Taking<'_>, id: i64) {
        let Some(row) = self.rows.transactions.get_mut(&id).filter(|row| row.entrusted == 1) else {
            return;
        };
        let (now, before) = (amount(row), row.partner_amount);
        let by = now.saturating_sub(before);
        let begun = row.id == taking.sequence.saturating_mul(2);
        let name = if begun { Name::Own } else { Name::Change };
        let told = if by > 0 {
            row.partner_calls += if begun { 1 } else { 2 };
            Some(if row.credit == 1 { Told::ForceCredit(by) } else { Told::ForceDebit(by) })
        } else if by < 0 && now == 0 && row.partner_calls == 1 {
            row.partner_calls += 1;
            Some(Told::Reversal(before))
        } else if by < 0 {
            row.partner_calls += 1;
            let by = by.saturating_neg();
            Some(if row.credit == 1 { Told::ForceDebit(by) } else { Told::ForceCredit(by) })
        } else {
            None
        };
        row.partner_amount = now;
        let row = row.clone();
        let name = if let Some(Told::Reversal(_)) = told { Name::Own } else { name };
        let told = told.map(|told| (told, name));
        let cleared = self.cleared.remove(&id) && now > 0;
        let cleared = cleared.then_some((Told::Cleared(now), Name::Own));
        let told = told.into_iter().chain(cleared);
        self.calls.extend(told.map(|what| call(taking, &row, what)));
    }
}

/// To be told behind a record, at once.
fn call(taking: &Taking<'_>, row: &TransactionRow, (told, name): (Told, Name)) -> PartnerCall {
    let (sequence, at_ms, row) = (taking.sequence, taking.at_ms, row.clone());
    PartnerCall { sequence, at_ms, told, name, row, not_before_ms: 0, confirms: 0 }
}

/// What a partner is asked for a message, if it is.
pub(super) fn asked(entry: &shared::effect::Transaction, sequence: i64, at_ms: i64) -> [i64; 4] {
    if entry.state != TransactionState::Asked || entry.authorised == Amount::ZERO {
        return [0; 4];
    }
    [sequence, at_ms, super::number(entry.expires_at.0), entry.authorised.0]
}
