//! Authorization and financial requests: 0100, 0200 and their repeats.
//!
//! Invariant: an approval holds, posts or raises on both sides or on neither; a decline moves no
//! money. Source: authorization 2 and 3.

use super::column::{Asked, Declined, Parties, Rows, check, wrong_pin};
use super::fees::holders_fees;
use super::matching::Match;
use super::{Case, Kind, Room, Witness, adds_to_another, entry, may_grow, of_authorization};
use crate::action_code::Reason;
use crate::command::{Authorization, Channel, Custody, MessageClass, MessageKey, Policy};
use crate::credential::CredentialResult;
use crate::effect::{
    ApprovalCode, CardChange, Decision, Detail, Direction, Effect, ExceptionKind, Transaction,
    TransactionSlot, TransactionState,
};
use crate::ids::{Sequence, Timestamp};
use crate::journal_record::Answer;
use crate::ledger::Ledger;
use crate::lock_code::{Lock, LockCode, LockSource};
use crate::money::Amount;

/// What is approved: in the balance's currency, and in the transaction's.
#[derive(Clone, Copy)]
pub(super) struct Approved {
    pub(super) billed: Amount,
    pub(super) transaction: Amount,
    partial: bool,
}

/// Decides an authorization or financial request.
pub(crate) fn decide<W: Witness>(case: &mut Case<'_, W>, request: &Authorization) -> Answer {
    let content = of_authorization(request);
    let parties = Parties::of(case.ledger, request.token);
    if let Some(answer) = known(case, request, &parties, content) {
        return answer; // 2, 3
    }
    decide_new(case, request, &parties, content)
}

/// A request that was not answered before.
#[inline]
fn decide_new<W: Witness>(
    case: &mut Case<'_, W>,
    request: &Authorization,
    parties: &Parties<'_>,
    content: u64,
) -> Answer {
    let reversed_before = case.is_reversed_before(request, parties); // 2
    let full = Answer::Decision(Decision::bare(Reason::UnknownError));
    // Two slots stay free for what a reversal may need.
    if case.ledger.transactions.holds() + 2 >= case.ledger.limits.transactions_max {
        return full;
    }
    let Some(room) = case.room() else { return full };
    let kind = Kind::of(request.processing_code);
    if reversed_before {
        let decision = Decision::bare(Reason::ReversedBeforeRequest);
        let own = entry(request, content, decision, case.stamp);
        case.push(Effect::Remembered(room.own, Transaction { card: parties.card_slot(), ..own }));
        return Answer::Decision(decision);
    }
    let base = case.base_of(request, parties, kind, &room);
    let asked = Asked {
        request,
        kind,
        rows: Rows::of(kind),
        money: request.billed(),
        counts: request.billed().amount.is_positive() && !adds_to_another(request, kind),
        at: case.stamp.at,
    };
    let checked = check(case.ledger, parties, &asked, case.witness);
    if asked.rows.has(11) {
        count_pin(case, request, parties, checked);
    }
    let checked = checked.map_err(|declined| declined.reason);
    let outcome = checked.and_then(|()| refer(base)).and_then(|base| {
        let approved = cover(case, request, parties, (kind, base))?;
        let held = base.and_then(|base| case.ledger.transactions.get(base));
        match held.is_none_or(|held| may_grow(held, approved.billed, approved.transaction)) {
            true => Ok((base, approved)),
            false => Err(Reason::InvalidAmount),
        }
    });
    let card = parties.card_slot();
    match outcome {
        Ok((base, approved)) => {
            let (asked, room) = (&asked, &room);
            let approval = Approval { request, content, parties, asked, base, approved, room };
            // Most programs keep their holders' money here: nothing is spent on asking them further.
            let entrusted = parties.program.is_some_and(|row| row.custody.is_some());
            match entrusted.then(|| case.custody_of(&approval)).flatten() {
                Some(asking) => case.ask(&approval, asking),
                None => Answer::Decision(case.approve(&approval)),
            }
        }
        Err(reason) => {
            let decision = Decision::bare(reason);
            let own = Transaction { card, ..entry(request, content, decision, case.stamp) };
            case.push(Effect::Remembered(room.own, own));
            Answer::Decision(decision)
        }
    }
}

/// Rows 2 and 3: the answer to what was answered before, or taken back before it came. What is not
/// decided yet is waited for.
fn known<W: Witness>(
    case: &mut Case<'_, W>,
    request: &Authorization,
    parties: &Parties<'_>,
    content: u64,
) -> Option<Answer> {
    let earlier = earlier(case, request, parties, content)?;
    let decision = case.answer_again(earlier, content);
    let waits = earlier.state == TransactionState::Asked && earlier.content == content;
    Some(if waits { Answer::Asked(earlier.id) } else { Answer::Decision(decision) })
}

/// The message that a request repeats: under its key, or, where it is marked as a repeat, by its
/// references.
fn earlier<'a, W: Witness>(
    case: &Case<'a, W>,
    request: &Authorization,
    parties: &Parties<'_>,
    content: u64,
) -> Option<&'a Transaction> {
    if let Some((_, earlier)) = case.ledger.transactions.find(&request.key) {
        return Some(earlier);
    }
    let (_, card) = parties.card.filter(|_| request.repeat)?;
    case.repeated(&request.key, request.references, card, content)
}

/// The message whose decision a repeat was told, and where that was decided.
pub(crate) fn told_by(ledger: &Ledger, request: &Authorization) -> Option<(MessageKey, Sequence)> {
    let (mut effects, mut witness) = (Vec::new(), ());
    let stamp = ledger.last();
    let case = Case { ledger, stamp, effects: &mut effects, witness: &mut witness };
    let parties = Parties::of(ledger, request.token);
    let earlier = earlier(&case, request, &parties, of_authorization(request))?;
    Some((earlier.key, earlier.id))
}

/// What an incremental authorization adds to.
fn refer(base: Option<Match>) -> Result<Option<TransactionSlot>, Reason> {
    match base {
        None => Ok(None),
        Some(Match::One(slot)) => Ok(Some(slot)),
        Some(Match::None) => Err(Reason::OriginalNotFound),
        Some(Match::Ambiguous) => Err(Reason::OriginalAmbiguous),
    }
}

/// Counts a wrong PIN, locks the card at the last one, and starts anew at a right one, whatever the
/// rows below say.
fn count_pin<W: Witness>(
    case: &mut Case<'_, W>,
    request: &Authorization,
    parties: &Parties<'_>,
    checked: Result<(), Declined>,
) {
    let Some((slot, card)) = parties.card else { return };
    match checked {
        Err(Declined { reason: Reason::InvalidPin | Reason::PinTriesExceeded, .. }) => {
            let tries = card.pin_tries.saturating_add(1);
            case.push(Effect::CardChanged(slot, CardChange::PinTries(tries)));
            if wrong_pin(card, parties.program) == Reason::PinTriesExceeded {
                let (code, source) = (LockCode::PinTriesExceeded, LockSource::Switch);
                let lock = Lock { code, source, since: case.stamp.at };
                case.push(Effect::CardChanged(slot, CardChange::Locked(lock)));
            }
        }
        // What is declined at or above row 11 leaves the counter alone.
        Err(Declined { row: ..=11, .. }) => {}
        Ok(()) | Err(_) => {
            if card.pin_tries > 0 && request.credentials.pin == CredentialResult::Ok {
                case.push(Effect::CardChanged(slot, CardChange::PinTries(0)));
            }
        }
    }
}

/// Row 20: whether the holder's money covers it and its fees, or a part where program and acquirer
/// take that.
fn cover<W: Witness>(
    case: &mut Case<'_, W>,
    request: &Authorization,
    parties: &Parties<'_>,
    (kind, base): (Option<Kind>, Option<TransactionSlot>),
) -> Result<Approved, Reason> {
    let (_, balance) = parties.balance.ok_or(Reason::UnknownError)?;
    let billed = request.billed();
    let whole =
        Approved { billed: billed.amount, transaction: request.transaction.amount, partial: false };
    if balance.entrusted && kind.is_some_and(Kind::is_debit) {
        // Whether it is there is the partner's to say; here it only has to fit.
        let fits = !billed.amount.is_positive() || parties.taking(billed).is_some();
        return if fits { Ok(whole) } else { Err(Reason::InvalidAmount) };
    }
    match kind {
        Some(Kind::Purchase | Kind::Cash) => {}
        Some(Kind::Credit | Kind::PaymentCredit) if parties.taking(billed).is_none() => {
            return Err(Reason::InvalidAmount);
        }
        Some(Kind::Credit | Kind::PaymentCredit | Kind::Inquiry) | None => return Ok(whole),
    }
    let ledger = case.ledger;
    let fees = |amount| match ledger.fees.are_unused() {
        true => Amount::ZERO,
        false => holders_fees(ledger, request, parties.program, base, amount),
    };
    let available = balance.funds.available();
    let needs = billed.amount.checked_add(fees(billed.amount));
    let covers = needs.is_some_and(|needs| balance.funds.covers(needs));
    let part = if covers { None } else { part_of(request, parties, kind, (available, &fees)) };
    let passes = covers || part.is_some();
    case.witness.saw(20, passes, Reason::InsufficientFunds, || {
        let fees = match fees(billed.amount) {
            Amount::ZERO => String::new(),
            fees => format!(", {fees} of fees"),
        };
        let part = part.map_or(String::new(), |part| format!(", {} in part", part.billed));
        format!("{available} available, {billed} asked for{fees}{part}")
    });
    match part {
        _ if covers => Ok(whole),
        Some(part) => Ok(part),
        None => Err(Reason::InsufficientFunds),
    }
}

/// The part of a purchase that `available` covers with its `fees`; never any of its cash.
fn part_of(
    request: &Authorization,
    parties: &Parties<'_>,
    kind: Option<Kind>,
    (available, fees): (Amount, &impl Fn(Amount) -> Amount),
) -> Option<Approved> {
    let allowed = parties.program.is_some_and(|row| row.program.policy.partial_approval)
        && request.partial_allowed
        && !adds_to_another(request, kind)
        && kind == Some(Kind::Purchase)
        && request.acceptance.channel != Channel::Atm;
    if !allowed {
        return None;
    }
    let (asked, billed) = (wide(request.transaction.amount), wide(request.billed().amount));
    // In the billing currency the cash is rounded up, so that none of it is approved.
    let cash = (wide(request.cash_back) * billed + asked - 1).div_euclid(asked);
    let part = wide(affordable(narrow((billed - cash).min(wide(available)))?, available, fees));
    let transaction = match request.billing {
        None => part,
        Some(_) => part * asked / billed,
    };
    let approved =
        Approved { billed: narrow(part)?, transaction: narrow(transaction)?, partial: true };
    (approved.billed.is_positive() && approved.transaction.is_positive()).then_some(approved)
}

/// The most, up to `most`, that `available` covers together with the fees on it: these rise with
/// the amount, so that halving finds it.
fn affordable(most: Amount, available: Amount, fees: &impl Fn(Amount) -> Amount) -> Amount {
    let covered = |amount| wide(amount) + wide(fees(amount)) <= wide(available);
    if !most.is_positive() || covered(most) {
        return most;
    }
    let (mut fits, mut too_much) = (0, most.0);
    while too_much - fits > 1 {
        let middle = fits + (too_much - fits) / 2;
        match covered(Amount(middle)) {
            true => fits = middle,
            false => too_much = middle,
        }
    }
    Amount(fits)
}

/// What is told of a credit that books no pending one: a refund is of something; a payment credit
/// need not be.
fn of_nothing(request: &Authorization, kind: Kind) -> Option<Reason> {
    let of_something = request.original.is_some() || kind == Kind::Credit;
    of_something.then_some(Reason::OriginalNotFound)
}

fn wide(amount: Amount) -> i128 {
    i128::from(amount.0)
}

fn narrow(amount: i128) -> Option<Amount> {
    i64::try_from(amount).ok().map(Amount)
}

/// All that an approval is made of.
pub(super) struct Approval<'a> {
    pub(super) request: &'a Authorization,
    pub(super) content: u64,
    pub(super) parties: &'a Parties<'a>,
    pub(super) asked: &'a Asked<'a>,
    pub(super) base: Option<TransactionSlot>,
    pub(super) approved: Approved,
    pub(super) room: &'a Room<'a>,
}

impl<W: Witness> Case<'_, W> {
    /// Row 2 for a request that a reversal named by its references alone, before it came.
    #[inline]
    fn is_reversed_before(&mut self, request: &Authorization, parties: &Parties<'_>) -> bool {
        let card = parties.card.map(|(_, card)| card).filter(|card| card.tombstones > 0);
        let grave = card.and_then(|card| self.tombstone_for(request, card));
        if let Some(grave) = grave {
            self.witness.saw(2, false, Reason::ReversedBeforeRequest, || {
                format!("reversal {} came before it", grave.id)
            });
        }
        grave.is_some()
    }

    /// How the partner is asked for it, where it keeps the money that a request is about, and what
    /// is told of a credit of nothing. One that it agreed to before is booked without asking again.
    #[inline]
    fn custody_of(&mut self, approval: &Approval<'_>) -> Option<(Custody, Option<Reason>)> {
        let Approval { request, parties, asked, approved, room, .. } = approval;
        let custody = parties.program?.custody?;
        let kind = asked.kind?;
        let moves = approved.billed.is_positive() || kind == Kind::Inquiry;
        let credit = matches!(kind, Kind::Credit | Kind::PaymentCredit);
        if !moves {
            return None;
        }
        if !credit || request.key.class != MessageClass::Financial {
            return Some((custody, None));
        }
        match self.pending_credit(request, parties, room) {
            Match::One(_) => None,
            Match::None => Some((custody, of_nothing(request, kind))),
            Match::Ambiguous => Some((custody, Some(Reason::OriginalAmbiguous))),
        }
    }

    fn approve(&mut self, approval: &Approval<'_>) -> Decision {
        let Approval { request, content, parties, asked, approved, room, .. } = approval;
        let kind = asked.kind.unwrap_or(Kind::Purchase);
        let decision = self.approval_of(parties, kind, *approved);
        let fallback = Policy::default();
        let policy = parties.program.map_or(&fallback, |row| &row.program.policy);
        let amount = approved.billed;
        let until = kind.hold_until(policy, self.stamp.at);
        let financial = request.key.class == MessageClass::Financial;
        let moves = amount.is_positive() && kind != Kind::Inquiry;
        let state = match (moves && approval.base.is_none(), financial) {
            (false, _) => TransactionState::Answered,
            (true, false) => TransactionState::Authorized,
            (true, true) => TransactionState::Posted,
        };
        let opens = state == TransactionState::Authorized;
        let reserves = moves && state != TransactionState::Posted;
        let stamp = self.stamp;
        let own = || Transaction {
            state,
            card: parties.card_slot(),
            balance: parties.balance.map(|(slot, _)| slot),
            deposit: parties.deposit.map(|(slot, _)| slot),
            base: approval.base,
            requested: approved.transaction,
            authorised: if reserves { amount } else { Amount::ZERO },
            expires_at: if opens { until } else { Timestamp(0) },
            ..entry(request, *content, decision, stamp)
        };
        if moves && state == TransactionState::Posted && kind.direction() == Direction::Credit {
            self.credit(approval, own());
            return decision;
        }
        self.push_made(|| Effect::Remembered(room.own, own()));
        if !moves {
            return decision;
        }
        let counted_for = match (approval.base, kind.direction()) {
            (Some(base), _) => {
                let requested = approved.transaction;
                let held_until = self.ledger.transactions.get(base).map(|base| base.expires_at);
                let until = held_until.map_or(until, |held| held.max(until));
                self.push(Effect::Raised { transaction: base, amount, requested, until });
                base
            }
            (None, Direction::Debit) => {
                if financial {
                    self.push(Effect::Settled(room.own, amount));
                }
                room.own
            }
            (None, Direction::Credit) => {
                if kind == Kind::PaymentCredit && amount <= policy.instant_credit_max {
                    self.push(Effect::Captured(room.own, amount));
                }
                return decision;
            }
        };
        self.charge(parties, asked, amount, counted_for);
        decision
    }

    #[inline]
    fn approval_of(&self, parties: &Parties<'_>, kind: Kind, approved: Approved) -> Decision {
        let Approved { billed, transaction, partial } = approved;
        let balances = parties.balance.filter(|_| kind == Kind::Inquiry);
        let detail = match balances {
            Some((_, balance)) => Detail::Balances {
                ledger: balance.funds.ledger,
                available: balance.funds.available(),
                currency: balance.currency,
            },
            None if partial => Detail::Partial { transaction, billed },
            None => Detail::None,
        };
        let reason = if partial { Reason::ApprovedPartially } else { Reason::Approved };
        Decision { reason, approval: Some(ApprovalCode::of(self.stamp.sequence)), detail }
    }

    /// 0200 with a credit: booked at once, out of the pending credit that it refers to where there
    /// is one.
    fn credit(&mut self, approval: &Approval<'_>, mut own: Transaction) {
        let Approval { request, parties, approved, room, .. } = approval;
        match self.pending_credit(request, parties, room) {
            Match::One(slot) => self.clear(slot, own, approved.billed, (room, true)),
            Match::None => {
                own.flagged = approval.asked.kind.and_then(|kind| of_nothing(request, kind));
                if own.flagged.is_some() {
                    self.raise_exception(ExceptionKind::Unmatched, approved.billed);
                }
                self.settle_whole(own, approved.billed, room);
            }
            Match::Ambiguous => {
                own.flagged = Some(Reason::OriginalAmbiguous);
                self.raise_exception(ExceptionKind::Ambiguous, approved.billed);
                self.settle_whole(own, approved.billed, room);
            }
        }
    }
}
