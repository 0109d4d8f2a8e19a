//! Payments whose money is with the partner: it is asked, and what it says decides.
//!
//! Two commands, never a wait: the request passes its own checks, holds what it would take on both
//! sides and leaves a question; the answer, or the end of its time, decides. Invariants: a question
//! is decided once; whatever ends it otherwise than by an agreement gives back all that was held
//! and counted; what may have changed meanwhile is looked at again. Source: authorization 5,
//! requirements #143 to #153.

use super::request::Approval;
use super::{Case, Kind, Witness, entry, may_grow};
use crate::action_code::Reason;
use crate::card::CardState;
use crate::command::{
    Custody, MessageClass, MessageKey, OnSilence, PartnerAnswer, PartnerRefusal, Policy,
};
use crate::effect::{
    ApprovalCode, Decision, Detail, Direction, Effect, ExceptionKind, Transaction, TransactionSlot,
    TransactionState,
};
use crate::ids::{Sequence, Timestamp};
use crate::journal_record::Answer;
use crate::limits::{ASKED_A_PROGRAM_MAX, ASKED_MAX};
use crate::money::Amount;

/// What became of a question: decides the request that waits for it; a late one changes nothing.
pub(crate) fn answered<W: Witness>(
    case: &mut Case<'_, W>,
    (key, id): (&MessageKey, Sequence),
    answer: PartnerAnswer,
) -> Answer {
    let found = case.ledger.transactions.find(key);
    let asked = |found: &Transaction| found.id == id && found.state == TransactionState::Asked;
    let Some((slot, found)) = found.filter(|(_, found)| asked(found)) else {
        case.witness.found(|| format!("the question of {id} is decided already"));
        return Answer::Noted;
    };
    let inquiry = !found.authorised.is_positive();
    let silence = silence_of(case, found);
    let outcome = match answer {
        // What comes after its time was told as no answer.
        _ if case.stamp.at >= found.expires_at => Err(silence),
        PartnerAnswer::Agreed if !inquiry => still_stands(case, found).map(|()| None),
        PartnerAnswer::Has(amount) if inquiry => still_stands(case, found).map(|()| Some(amount)),
        PartnerAnswer::Agreed
        | PartnerAnswer::Has(_)
        | PartnerAnswer::NotAsked
        | PartnerAnswer::InDoubt => Err(silence),
        PartnerAnswer::Declined(refusal) => Err(reason_of(refusal)),
    };
    let reason = outcome.err().unwrap_or(Reason::PartnerDeclined);
    case.witness.saw(21, outcome.is_ok(), reason, || format!("the partner: {answer:?}"));
    let decided = match outcome {
        Ok(None) => case.agree(slot, found),
        Ok(Some(amount)) => case.tell_balance(slot, found, amount),
        Err(reason) => case.stop_asking(slot, found, (reason, TransactionState::Answered)),
    };
    Answer::Decision(decided)
}

/// How a partner's no is told. Source: requirements #139, #147.
const fn reason_of(refusal: PartnerRefusal) -> Reason {
    match refusal {
        PartnerRefusal::InsufficientFunds => Reason::InsufficientFunds,
        PartnerRefusal::LimitsExceeded => Reason::PartnerLimitExceeded,
        PartnerRefusal::FraudsDetected => Reason::FraudsDetected,
        PartnerRefusal::BalanceNotFound => Reason::BalanceNotFound,
        PartnerRefusal::Other => Reason::PartnerDeclined,
    }
}

/// What is told where the partner says nothing.
const fn silence(custody: Option<Custody>) -> Reason {
    match custody {
        Some(Custody { on_silence: OnSilence::LetNetworkStandIn, .. }) => Reason::NetworkMayStandIn,
        Some(Custody { on_silence: OnSilence::Decline, .. }) | None => Reason::PartnerSilent,
    }
}

/// The same, of the program of a transaction's card.
pub(super) fn silence_of<W: Witness>(case: &Case<'_, W>, found: &Transaction) -> Reason {
    let card = found.card.and_then(|slot| case.ledger.card_at(slot));
    let row = card.and_then(|card| case.ledger.program_at(card.program));
    silence(row.and_then(|row| row.custody))
}

/// Rows 6 to 12 once more, of what may have changed while the partner was asked. A credit needs no
/// card that works.
fn still_stands<W: Witness>(case: &Case<'_, W>, found: &Transaction) -> Result<(), Reason> {
    let ledger = case.ledger;
    let card = found.card.and_then(|slot| ledger.card_at(slot));
    let card = card.filter(|card| card.state != CardState::Removed);
    let card = card.ok_or(Reason::CardNotFound)?;
    if found.direction == Direction::Debit {
        if card.state != CardState::Active || card.expiry.is_past(case.stamp.at) {
            return Err(Reason::CardExpired);
        }
        if let Some(lock) = card.lock {
            return Err(Reason::of_lock(lock.code));
        }
    }
    let balance = ledger.balance(card.balance).filter(|balance| !balance.closed);
    let balance = balance.ok_or(Reason::BalanceNotFound)?;
    match ledger.holder(balance.customer) {
        Some(holder) if holder.verified && !holder.aml_locked => {}
        Some(holder) if holder.verified => return Err(Reason::AmlException),
        Some(_) | None => return Err(Reason::CustomerNotFound),
    }
    match balance.blocked {
        Some(_) if found.direction == Direction::Debit => Err(Reason::BalanceBlocked),
        Some(_) | None => Ok(()),
    }
}

impl<W: Witness> Case<'_, W> {
    /// Holds what a request would take, and asks its partner.
    pub(super) fn ask(
        &mut self,
        approval: &Approval<'_>,
        (custody, flagged): (Custody, Option<Reason>),
    ) -> Answer {
        let Approval { request, content, parties, asked, approved, room, base } = approval;
        let of_program = parties.program.map_or(0, |row| row.asked);
        if self.ledger.questions() >= ASKED_MAX || of_program >= ASKED_A_PROGRAM_MAX {
            let decision = Decision::bare(Reason::Unavailable);
            let own = entry(request, *content, decision, self.stamp);
            let card = parties.card_slot();
            self.push(Effect::Remembered(room.own, Transaction { card, ..own }));
            return Answer::Decision(decision);
        }
        let kind = asked.kind.unwrap_or(Kind::Purchase);
        let policy = parties.program.map_or(Policy::default(), |row| row.program.policy);
        let amount = if kind == Kind::Inquiry { Amount::ZERO } else { approved.billed };
        let decision = Decision::bare(silence(Some(custody)));
        let deadline = self.stamp.at.0.saturating_add(u64::from(custody.answer_ms));
        let own = Transaction {
            card: parties.card_slot(),
            balance: parties.balance.map(|(slot, _)| slot),
            deposit: parties.deposit.map(|(slot, _)| slot),
            state: TransactionState::Asked,
            base: *base,
            requested: approved.transaction,
            authorised: amount,
            expires_at: Timestamp(deadline),
            flagged,
            ..entry(request, *content, decision, self.stamp)
        };
        self.witness.found(|| format!("the partner is asked, and has {} ms", custody.answer_ms));
        self.push(Effect::Remembered(room.own, own));
        let until = kind.hold_until(&policy, self.stamp.at);
        let lifetime = until.0.saturating_sub(self.stamp.at.0);
        self.push(Effect::Asked(room.own, lifetime));
        if kind.is_debit() {
            self.charge(parties, asked, asked.money.amount, base.unwrap_or(room.own));
        }
        Answer::Asked(self.stamp.sequence)
    }

    /// The partner agreed: what was held stays, is posted, or raises the hold that it adds to.
    fn agree(&mut self, slot: TransactionSlot, found: &Transaction) -> Decision {
        let approval = Some(ApprovalCode::of(found.id));
        let decision = Decision { reason: Reason::Approved, approval, detail: Detail::None };
        let lifetime = self.ledger.hold_once_agreed(slot).unwrap_or_default();
        let until = Timestamp(self.stamp.at.0.saturating_add(lifetime));
        let amount = found.authorised;
        let (state, until) = match (found.base, found.key.class) {
            (Some(_), MessageClass::Authorization) if found.direction == Direction::Debit => {
                let base = self.ledger.transactions.base_of(found);
                let base = base.filter(|(_, held)| {
                    held.state == TransactionState::Authorized
                        && may_grow(held, amount, found.requested)
                });
                let Some((base, held)) = base else {
                    let ended = (Reason::OriginalNotFound, TransactionState::Answered);
                    return self.stop_asking(slot, found, ended);
                };
                let (requested, until) = (found.requested, held.expires_at.max(until));
                self.push(Effect::Raised { transaction: base, amount, requested, until });
                (TransactionState::Answered, Timestamp(0))
            }
            (_, MessageClass::Financial) => {
                self.push(Effect::Captured(slot, amount));
                match found.flagged {
                    None => {}
                    Some(Reason::OriginalAmbiguous) => {
                        self.raise_exception(ExceptionKind::Ambiguous, amount);
                    }
                    Some(_) => self.raise_exception(ExceptionKind::Unmatched, amount),
                }
                (TransactionState::Posted, Timestamp(0))
            }
            (
                _,
                MessageClass::Authorization
                | MessageClass::Reversal
                | MessageClass::AuthorizationAdvice
                | MessageClass::FinancialAdvice
                | MessageClass::FileAction
                | MessageClass::NegativeAcknowledgement,
            ) => (TransactionState::Authorized, until),
        };
        self.push(Effect::Decided { transaction: slot, decision, state, until });
        decision
    }

    fn tell_balance(
        &mut self,
        slot: TransactionSlot,
        found: &Transaction,
        has: Amount,
    ) -> Decision {
        let detail = Detail::Balances { ledger: has, available: has, currency: found.currency };
        let approval = Some(ApprovalCode::of(found.id));
        let decision = Decision { reason: Reason::Approved, approval, detail };
        let (state, until) = (TransactionState::Answered, Timestamp(0));
        self.push(Effect::Decided { transaction: slot, decision, state, until });
        decision
    }

    /// Ends a question without an agreement: what was held and counted for it is given back.
    pub(super) fn stop_asking(
        &mut self,
        slot: TransactionSlot,
        found: &Transaction,
        (reason, state): (Reason, TransactionState),
    ) -> Decision {
        let open = found.open();
        if open.is_positive() {
            self.push(Effect::Released(slot, open));
        }
        let base = self.kept_base_of(found).map(|(base, _)| base);
        self.give_back(base.unwrap_or(slot), open, base.is_none());
        let (decision, until) = (Decision::bare(reason), Timestamp(0));
        self.push(Effect::Decided { transaction: slot, decision, state, until });
        decision
    }
}
