//! What is answered to every message, and what it does. Source: authorization 2 to 4.
//!
//! Invariant: nothing changes here. What is decided leaves as effects, both holds or neither.
//!
//! | file | decides |
//! |---|---|
//! | `column` | the order of checks, row by row: why a request was declined |
//! | `request` | authorization and financial requests |
//! | `asking` | those whose money is with the partner |
//! | `advice`, `clearing` | what was decided elsewhere; what clears a hold |
//! | `reversal` | what takes back |
//! | `lapse` | approvals whose answer never left, holds past their lifetime |
//! | `lock_outside` | locks that a network or an acquirer sets |
//! | `matching` | which transaction a message means |
//! | `charging` | the counters of limits |
//! | `fees` | what payments cost besides |
//! | `fingerprint` | what makes a repeat of a message |

mod advice;
mod asking;
mod charging;
mod clearing;
mod column;
mod fees;
mod fingerprint;
mod lapse;
mod lock_outside;
mod matching;
mod request;
mod reversal;

pub(crate) use advice::advise;
pub(crate) use asking::answered;
pub use column::{Witness, row_name};
pub(crate) use fees::set_fees;
pub use fingerprint::{of_authorization, of_reversal};
pub(crate) use lapse::{expire, void};
pub(crate) use lock_outside::lock_outside;
pub(crate) use request::{decide, told_by};
pub(crate) use reversal::reverse;

use crate::action_code::Reason;
use crate::command::{Authorization, MessageClass, MessageKey, Policy};
use crate::effect::{
    Decision, Direction, Effect, Exception, ExceptionKind, Transaction, TransactionSlot,
    TransactionState,
};
use crate::ids::Timestamp;
use crate::ledger::{Ledger, Stamp};
use crate::limits::SUM_MAX;
use crate::money::Amount;
use crate::transactions::Vacancies;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// One command while it is decided.
pub(crate) struct Case<'a, W> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) stamp: Stamp,
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) witness: &'a mut W,
}

/// What a transaction type does with money: DE3's first two digits. Source: iso8583 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 00 purchase, 02 debit adjustment, 09 purchase with cash-back, 11 quasi-cash.
    Purchase,
    /// 01 cash withdrawal, 17 cash disbursement, 10 account funding: never in part.
    Cash,
    /// 20 refund, 21 deposit, 22 and 23 credit adjustment.
    Credit,
    /// 26 and 28 payment credit, which a program may make available at once.
    PaymentCredit,
    /// 30 available funds, 31 balance.
    Inquiry,
}

impl Kind {
    pub(crate) const fn of(processing_code: u32) -> Option<Self> {
        match processing_code / 10_000 {
            0 | 2 | 9 | 11 => Some(Self::Purchase),
            1 | 10 | 17 => Some(Self::Cash),
            20..=23 => Some(Self::Credit),
            26 | 28 => Some(Self::PaymentCredit),
            30 | 31 => Some(Self::Inquiry),
            _ => None,
        }
    }

    pub(crate) const fn is_debit(self) -> bool {
        match self {
            Self::Purchase | Self::Cash => true,
            Self::Credit | Self::PaymentCredit | Self::Inquiry => false,
        }
    }

    const fn direction(self) -> Direction {
        match self {
            Self::Purchase | Self::Cash | Self::Inquiry => Direction::Debit,
            Self::Credit | Self::PaymentCredit => Direction::Credit,
        }
    }

    /// How long what is approved now stays open.
    fn hold_until(self, policy: &Policy, now: Timestamp) -> Timestamp {
        let hours = match self {
            Self::Purchase | Self::Inquiry => policy.purchase_hold_hours,
            Self::Cash => policy.cash_hold_hours,
            Self::Credit | Self::PaymentCredit => policy.credit_hold_hours,
        };
        Timestamp(now.0.saturating_add(u64::from(hours.max(1)) * HOUR_MS))
    }
}

/// Slots for what a message will leave behind, and what is forgotten to make room for it.
struct Room<'a> {
    own: TransactionSlot,
    rest: Vacancies<'a>,
}

impl Room<'_> {
    /// One more, for a tombstone.
    fn another(&self) -> Option<TransactionSlot> {
        self.rest.clone().take()
    }

    /// Whether a transaction found before is still there.
    fn keeps(&self, slot: TransactionSlot) -> bool {
        self.rest.keep(slot)
    }
}

impl<'a, W: Witness> Case<'a, W> {
    /// Plans the slots of one message; `None` where the table is full of open holds.
    #[inline]
    fn room(&mut self) -> Option<Room<'a>> {
        let mut vacancies = self.ledger.transactions.vacancies(self.stamp.at, &self.ledger.limits);
        let own = vacancies.take()?;
        if !vacancies.keep_all() {
            self.effects.extend(vacancies.forgotten().map(Effect::Forgotten));
        }
        Some(Room { own, rest: vacancies })
    }

    /// What a transaction adds to, if it is remembered and this message does not forget it: its
    /// slot may be filled again already.
    fn kept_base_of(&self, entry: &Transaction) -> Option<(TransactionSlot, &'a Transaction)> {
        let base = self.ledger.transactions.base_of(entry);
        base.filter(|(slot, _)| !self.effects.contains(&Effect::Forgotten(*slot)))
    }

    fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The same, of one that is made where it stays: a copy would wait for everything that was just
    /// written.
    #[inline]
    fn push_made(&mut self, make: impl FnOnce() -> Effect) {
        self.effects.extend(core::iter::once_with(make));
    }

    /// Posts `amount` of a transaction back. Where its balance was closed since, the receivable
    /// account takes it, and people look.
    fn post_back(&mut self, slot: TransactionSlot, found: &Transaction, amount: Amount) {
        if amount.is_positive() {
            self.push(Effect::Returned(slot, amount));
            self.note_closed(found, amount);
        }
    }

    /// Queues what is posted for a transaction whose balance was closed since.
    fn note_closed(&mut self, found: &Transaction, amount: Amount) {
        let balance = found.balance.and_then(|slot| self.ledger.balance(slot));
        if amount.is_positive() && balance.is_some_and(|balance| balance.closed) {
            self.raise_exception(ExceptionKind::Suspense, amount);
        }
    }

    fn raise_exception(&mut self, kind: ExceptionKind, amount: Amount) {
        let Stamp { sequence, at } = self.stamp;
        self.push(Effect::ExceptionRaised(Exception { sequence, at, kind, amount }));
    }

    /// Rows 2 and 3 for a message whose key is known already.
    fn answer_again(&mut self, earlier: &Transaction, content: u64) -> Decision {
        let taken_back = earlier.state.is_taken_back();
        let same = earlier.content == content;
        let id = earlier.id;
        self.witness.saw(2, !taken_back, Reason::ReversedBeforeRequest, || {
            format!("the key is that of transaction {id}, {:?}", earlier.state)
        });
        if taken_back {
            return Decision::bare(Reason::ReversedBeforeRequest);
        }
        self.witness.saw(3, same, Reason::Duplicate, || {
            format!("a repeat of transaction {id}: its decision again")
        });
        if same { earlier.decision } else { Decision::bare(Reason::Duplicate) }
    }
}

/// Whether a request, or an advice of one, raises the hold of another one.
fn adds_to_another(request: &Authorization, kind: Option<Kind>) -> bool {
    request.incremental
        && request.key.class.of_request() == MessageClass::Authorization
        && kind.is_some_and(Kind::is_debit)
}

/// Whether a transaction's sums still fit with `amount` more approved, `requested` in its own
/// currency.
fn may_grow(found: &Transaction, amount: Amount, requested: Amount) -> bool {
    let fits = |sum: Amount, more: Amount| sum.0 < SUM_MAX && more.0 < SUM_MAX;
    fits(found.authorised, amount)
        && fits(found.captured, amount)
        && fits(found.requested, requested)
}

/// The entry of a message that moved nothing yet.
#[inline]
fn entry(request: &Authorization, content: u64, decision: Decision, stamp: Stamp) -> Transaction {
    let (life_cycle, retrieval) = request.references.fingerprints();
    Transaction {
        life_cycle,
        retrieval,
        requested: request.transaction.amount,
        currency: request.billed().currency,
        direction: Kind::of(request.processing_code).map_or(Direction::Debit, Kind::direction),
        ..bare_entry(request.key, content, decision, stamp)
    }
}

#[inline]
fn bare_entry(key: MessageKey, content: u64, decision: Decision, stamp: Stamp) -> Transaction {
    Transaction {
        key,
        content,
        life_cycle: 0,
        retrieval: 0,
        id: stamp.sequence,
        at: stamp.at,
        state: TransactionState::Answered,
        direction: Direction::Debit,
        decision,
        flagged: None,
        card: None,
        balance: None,
        deposit: None,
        currency: crate::money::Currency(0),
        base: None,
        spoken_of: false,
        requested: Amount::ZERO,
        authorised: Amount::ZERO,
        captured: Amount::ZERO,
        released: Amount::ZERO,
        returned: Amount::ZERO,
        expires_at: Timestamp(0),
    }
}
