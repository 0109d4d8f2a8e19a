//! Decides the changes that the control link asks for.
//!
//! Invariants: a command id gets its first outcome for ever; a refused change moves nothing; an
//! irreversible lock is neither lifted nor replaced; a card never changes its balance; money comes
//! in only from the bank, or charged to the partner's credit. Source: authorization 3 and 6,
//! requirements #27, #29, #33, #80-#87, #97-#103.

mod money;

use self::money::{
    charge_fee, credit_transfer, put_fee, reload, remove_fee, top_up, transfer, withdraw,
};
use super::{Card, Ledger, Stamp};
use crate::balance::{Balance, Funds};
use crate::card::CardState;
use crate::command::{
    ANSWER_MS_MAX, Change, Collateral, Counts, Custody, HOLD_HOURS_MAX, NewCard, Policy, Program,
};
use crate::control::{Outcome, Refusal};
use crate::effect::{BalanceSlot, CardChange, CardSlot, Effect, RuleSlot};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, PartnerBalanceId, PartnerId, Timestamp,
};
use crate::limits::CARDS_A_BALANCE_MAX;
use crate::lock_code::{Lock, LockCode, LockSource};
use crate::money::Currency;
use crate::rule::{RULES_A_SUBJECT_MAX, Rule, Subject};

/// Command ids that one command may forget.
const FORGOTTEN_A_COMMAND_MAX: usize = 2;

/// Decides one change under its command id.
pub(super) fn decide(
    ledger: &Ledger,
    id: CommandId,
    change: &Change,
    stamp: Stamp,
    effects: &mut Vec<Effect>,
) -> Outcome {
    if let Some(first) = ledger.outcome_of(id) {
        return first;
    }
    let outcome = |result| Outcome { sequence: stamp.sequence, at: stamp.at, result };
    let due = forgotten(ledger, stamp.at).count();
    if ledger.commands_in_order.len() >= ledger.limits.commands_max + due {
        // Not remembered, so that the same id may be sent again; an id that must still be known
        // is never given up for a new one.
        return outcome(Err(Refusal::TableFull));
    }
    let result = decide_change(ledger, change, stamp.at, effects);
    if result.is_err() {
        effects.clear();
    }
    let outcome = outcome(result);
    effects.extend(core::iter::repeat_n(Effect::CommandForgotten, due));
    effects.push(Effect::CommandRemembered(id, outcome));
    outcome
}

/// The oldest command ids, where their retention is over.
fn forgotten(ledger: &Ledger, now: Timestamp) -> impl Iterator<Item = &CommandId> {
    let retention = ledger.limits.command_retention_ms;
    let ids = ledger.commands_in_order.iter().take(FORGOTTEN_A_COMMAND_MAX);
    ids.take_while(move |id| {
        let since = ledger.commands.get(*id).map_or(0, |outcome| outcome.at.0);
        since.saturating_add(retention) <= now.0
    })
}

fn decide_change(
    ledger: &Ledger,
    change: &Change,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    match change {
        Change::PutPartner(id) => put_partner(ledger, *id, effects),
        Change::PutProgram(program) => put_program(ledger, program, effects),
        Change::PutCustomer { id, verified, aml_locked } => {
            put_customer(ledger, *id, (*verified, *aml_locked), effects)
        }
        Change::OpenBalance { id, customer, currency } => {
            open_balance(ledger, *id, *customer, *currency, effects)
        }
        Change::CloseBalance(id) => close_balance(ledger, *id, effects),
        Change::OpenPartnerBalance { id, partner, kind, currency } => {
            let new = Effect::PartnerBalanceOpened {
                id: *id,
                partner: *partner,
                kind: *kind,
                currency: *currency,
            };
            open_partner_balance(ledger, *id, (*partner, *kind, *currency), new, effects)
        }
        Change::IssueCard(card) => issue_card(ledger, card, effects),
        Change::SetCardState { card, state } => set_card_state(ledger, *card, *state, effects),
        Change::LockCard { card, code, source } => {
            let lock = Lock { code: *code, source: *source, since: now };
            lock_card(ledger, *card, lock, effects)
        }
        Change::UnlockCard(card) => unlock_card(ledger, *card, effects),
        Change::LockByHolder { card, lock, over } => {
            let source = LockSource::User;
            let lock = lock.map(|code| Lock { code, source, since: now });
            lock_by_holder(ledger, *card, lock, over, effects)
        }
        Change::SetPin { card, pvv } => change_card(ledger, *card, CardChange::Pin(*pvv), effects),
        Change::ResetCvv2 { card, generation } => {
            change_card(ledger, *card, CardChange::Cvv2Generation(*generation), effects)
        }
        Change::RenewCard { card, expiry } => {
            change_card(ledger, *card, CardChange::Renewed(*expiry), effects)
        }
        Change::PutRule(rule) => put_rule(ledger, rule, effects),
        Change::RemoveRule(id) => {
            effects.extend(ledger.rules.slot_of(*id).map(Effect::RuleRemoved));
            Ok(())
        }
        Change::ResolveException(sequence) => {
            let known = ledger.exceptions.iter().any(|entry| entry.sequence == *sequence);
            effects.extend(known.then_some(Effect::ExceptionResolved(*sequence)));
            Ok(())
        }
        Change::TopUp { balance, money } => top_up(ledger, *balance, *money, effects),
        Change::CreditTransfer { balance, money } => {
            credit_transfer(ledger, *balance, *money, effects)
        }
        Change::Reload { balance, money } => reload(ledger, *balance, *money, effects),
        Change::Withdraw { balance, money } => withdraw(ledger, *balance, *money, effects),
        Change::Transfer { from, to, money } => {
            transfer(ledger, (*from, *to), *money, None, effects)
        }
        Change::TransferCharged { from, to, money, charge } => {
            transfer(ledger, (*from, *to), *money, Some(charge), effects)
        }
        Change::PutFee(fee) => put_fee(ledger, fee, effects),
        Change::RemoveFee(program, fee) => remove_fee(ledger, *program, *fee, effects),
        Change::ChargeFee { balance, charge } => charge_fee(ledger, *balance, charge, effects),
        Change::PutCustody(program, custody) => put_custody(ledger, *program, *custody, effects),
        Change::EntrustBalance(balance) => entrust_balance(ledger, *balance, effects),
        Change::BlockBalance { balance, blocked, source } => {
            block_balance(ledger, *balance, (*blocked, *source), effects)
        }
        Change::PutCounts(counts) => put_counts(ledger, *counts, effects),
    }
}

fn put_partner(ledger: &Ledger, id: PartnerId, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    if ledger.partners.slot(id).is_none() {
        room(ledger.partners.len() < ledger.limits.partners_max)?;
        effects.push(Effect::PartnerPut(id));
    }
    Ok(())
}

fn put_program(
    ledger: &Ledger,
    program: &Program,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    ledger.partners.slot(program.partner).ok_or(Refusal::PartnerNotFound)?;
    let Policy { purchase_hold_hours, cash_hold_hours, credit_hold_hours, .. } = program.policy;
    let hours = [purchase_hold_hours, cash_hold_hours, credit_hold_hours];
    let sound = hours.iter().all(|hours| (1..=HOLD_HOURS_MAX).contains(hours))
        && program.policy.pin_tries_max > 0
        && program.policy.instant_credit_max.0 >= 0;
    if !sound {
        return Err(Refusal::Unsound);
    }
    match ledger.programs.get(program.id).map(|row| &row.program) {
        Some(known) if known == program => return Ok(()),
        // Open holds and covered top-ups depend on these three.
        Some(known)
            if known.partner != program.partner
                || known.currency != program.currency
                || known.collateral != program.collateral =>
        {
            return Err(Refusal::IdTaken);
        }
        Some(_) => {}
        None => room(ledger.programs.len() < ledger.limits.programs_max)?,
    }
    effects.push(Effect::ProgramPut(program.clone()));
    Ok(())
}

fn put_customer(
    ledger: &Ledger,
    id: CustomerId,
    (verified, aml_locked): (bool, bool),
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let known = ledger.customers.slot(id).is_some();
    room(known || ledger.customers.len() < ledger.limits.customers_max)?;
    effects.push(Effect::CustomerPut { id, verified, aml_locked });
    Ok(())
}

fn open_balance(
    ledger: &Ledger,
    id: BalanceId,
    customer: CustomerId,
    currency: Currency,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let holder = ledger.customer(customer).ok_or(Refusal::CustomerNotFound)?;
    if !holder.verified {
        return Err(Refusal::CustomerNotVerified);
    }
    if ledger.balances.slot(id).is_some() {
        return Err(Refusal::IdTaken);
    }
    if holder.balances >= ledger.counts.balances_max {
        return Err(Refusal::TooManyBalances);
    }
    room(ledger.balances.len() < ledger.limits.balances_max)?;
    effects.push(Effect::BalanceOpened { id, customer, currency });
    Ok(())
}

fn put_counts(ledger: &Ledger, counts: Counts, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    if counts.cards_max > CARDS_A_BALANCE_MAX {
        return Err(Refusal::Unsound);
    }
    if counts != ledger.counts {
        effects.push(Effect::CountsPut(counts));
    }
    Ok(())
}

fn close_balance(ledger: &Ledger, id: BalanceId, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, id)?;
    if balance.funds.ledger.0 != 0 || balance.funds.held.0 != 0 {
        return Err(Refusal::BalanceNotEmpty);
    }
    effects.push(Effect::BalanceClosed(slot));
    Ok(())
}

fn block_balance(
    ledger: &Ledger,
    id: BalanceId,
    (blocked, source): (bool, LockSource),
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, id)?;
    let operators = balance.blocked == Some(LockSource::Admin) && source != LockSource::Admin;
    let by = blocked.then_some(source);
    if operators && !blocked {
        return Err(Refusal::LockedByOther);
    }
    if !operators && balance.blocked != by {
        effects.push(Effect::BalanceBlocked(slot, by));
    }
    Ok(())
}

fn open_partner_balance(
    ledger: &Ledger,
    id: PartnerBalanceId,
    key: super::PartnerBalanceKey,
    new: Effect,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    ledger.partners.slot(key.0).ok_or(Refusal::PartnerNotFound)?;
    if ledger.partner_balances.slot(id).is_some() {
        return Err(Refusal::IdTaken);
    }
    if ledger.partner_balance_of(key).is_some() {
        return Err(Refusal::PartnerBalanceExists);
    }
    room(ledger.partner_balances.len() < ledger.limits.partner_balances_max)?;
    effects.push(new);
    Ok(())
}

fn issue_card(ledger: &Ledger, card: &NewCard, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    let row = ledger.programs.get(card.program).ok_or(Refusal::ProgramNotFound)?;
    let program = &row.program;
    let (slot, balance) = open_balance_of(ledger, card.balance)?;
    let holder = ledger.holder(balance.customer).ok_or(Refusal::CustomerNotFound)?;
    if !holder.verified {
        return Err(Refusal::CustomerNotVerified);
    }
    if program.currency != balance.currency {
        return Err(Refusal::CurrencyMismatch);
    }
    if ledger.card_of(card.token).is_some() {
        return Err(Refusal::TokenTaken);
    }
    if ledger.cards_by_id.contains_key(&card.id) {
        return Err(Refusal::IdTaken);
    }
    if matches!(card.state, CardState::Expired | CardState::Removed) {
        return Err(Refusal::CardStateForbidden { from: CardState::Ordered, to: card.state });
    }
    if balance.cards >= ledger.counts.cards_max {
        return Err(Refusal::TooManyCards);
    }
    if row.custody.is_some() != balance.entrusted {
        return Err(Refusal::OtherCustody);
    }
    room(ledger.cards.len() < ledger.limits.cards_max)?;
    if program.collateral == Collateral::Credit && balance.covered_by != Some(program.partner) {
        if balance.covered_by.is_some() || balance.funds.ledger.0 != 0 {
            return Err(Refusal::BalanceNotCovered);
        }
        effects.push(Effect::BalanceCovered(slot, program.partner));
    }
    effects.push(Effect::CardIssued(*card));
    Ok(())
}

/// From before its first card on, and without fees that its holders would pay here.
fn put_custody(
    ledger: &Ledger,
    program: ConfigId,
    custody: Custody,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let row = ledger.programs.get(program).ok_or(Refusal::ProgramNotFound)?;
    if !(1..=ANSWER_MS_MAX).contains(&custody.answer_ms) {
        return Err(Refusal::Unsound);
    }
    match row.custody {
        Some(known) if known == custody => return Ok(()),
        Some(_) => {}
        None if row.issued || !row.fees.is_empty() => return Err(Refusal::OtherCustody),
        // Top-ups are what it covers, and there are none.
        None if row.program.collateral == Collateral::Credit => return Err(Refusal::OtherCustody),
        None => {}
    }
    effects.push(Effect::CustodyPut(program, custody));
    Ok(())
}

fn entrust_balance(
    ledger: &Ledger,
    id: BalanceId,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, id)?;
    if balance.entrusted {
        return Ok(());
    }
    let Funds { ledger: booked, held } = balance.funds;
    if booked.0 != 0 || held.0 != 0 || balance.carded || balance.covered_by.is_some() {
        return Err(Refusal::BalanceNotEmpty);
    }
    if !ledger.fees.owed_by(slot).is_empty() {
        return Err(Refusal::BalanceNotEmpty);
    }
    effects.push(Effect::BalanceEntrusted(slot));
    Ok(())
}

fn put_rule(ledger: &Ledger, rule: &Rule, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    if !rule.is_sound() {
        return Err(Refusal::Unsound);
    }
    let known = match rule.subject {
        Subject::Card(id) => ledger.cards_by_id.contains_key(&id).then_some(()),
        Subject::Customer(id) => ledger.customers.slot(id).map(drop),
        Subject::Program(id) => ledger.programs.slot(id).map(drop),
        Subject::Partner(id) => ledger.partners.slot(id).map(drop),
    };
    known.ok_or(Refusal::SubjectNotFound)?;
    let slot = match ledger.rules.slot_of(rule.id) {
        Some(slot) => {
            let same = ledger.rules.row(slot).is_some_and(|row| row.rule.subject == rule.subject);
            same.then_some(slot).ok_or(Refusal::IdTaken)?
        }
        None => {
            room(ledger.rules.len() < ledger.limits.rules_max)?;
            room(ledger.rules.of(rule.subject).len() < RULES_A_SUBJECT_MAX)?;
            RuleSlot(u32::try_from(ledger.rules.len()).map_err(|_full| Refusal::TableFull)?)
        }
    };
    effects.push(Effect::RulePut(slot, rule.clone()));
    Ok(())
}

fn set_card_state(
    ledger: &Ledger,
    card: CardId,
    state: CardState,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, card) = card_of(ledger, card)?;
    if card.state == state {
        return Ok(());
    }
    if !card.state.may_become(state) {
        return Err(Refusal::CardStateForbidden { from: card.state, to: state });
    }
    effects.push(Effect::CardChanged(slot, CardChange::State(state)));
    Ok(())
}

/// A change of a living card; month and generation only ever rise.
fn change_card(
    ledger: &Ledger,
    card: CardId,
    change: CardChange,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, card) = living_card_of(ledger, card)?;
    let rises = match change {
        CardChange::Cvv2Generation(generation) => generation > card.cvv2_generation,
        CardChange::Renewed(expiry) => expiry > card.expiry,
        CardChange::State(_)
        | CardChange::Locked(_)
        | CardChange::Unlocked
        | CardChange::PinTries(_)
        | CardChange::Pin(_) => true,
    };
    if !rises {
        return Err(Refusal::NotLater);
    }
    effects.push(Effect::CardChanged(slot, change));
    Ok(())
}

fn lock_card(
    ledger: &Ledger,
    card: CardId,
    lock: Lock,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, card) = living_card_of(ledger, card)?;
    if card.lock.is_some_and(|known| !known.code.row().reversible) {
        return Err(Refusal::LockedIrreversibly);
    }
    effects.push(Effect::CardChanged(slot, CardChange::Locked(lock)));
    Ok(())
}

fn lock_by_holder(
    ledger: &Ledger,
    card: CardId,
    lock: Option<Lock>,
    over: &[LockSource],
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (_, row) = living_card_of(ledger, card)?;
    let reversible = |lock: Lock| lock.code.row().reversible;
    let six = LockCode::PinTriesExceeded;
    let may_touch = |lock: Lock| {
        let source = if lock.code == six { LockSource::Switch } else { lock.source };
        over.contains(&source)
    };
    let for_ever = row.lock.is_some_and(|known| !reversible(known));
    let stays = row.lock.is_some_and(|known| !may_touch(known));
    match lock {
        Some(lock) if for_ever || !reversible(lock) => lock_card(ledger, card, lock, effects),
        Some(lock) if !stays && (lock.code != six || over.contains(&LockSource::Switch)) => {
            lock_card(ledger, card, lock, effects)
        }
        None if for_ever || !stays => unlock_card(ledger, card, effects),
        Some(_) | None => Err(Refusal::LockedByOther),
    }
}

fn unlock_card(ledger: &Ledger, card: CardId, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    let (slot, card) = living_card_of(ledger, card)?;
    match card.lock {
        Some(lock) if !lock.code.row().reversible => Err(Refusal::LockedIrreversibly),
        Some(_) => {
            effects.push(Effect::CardChanged(slot, CardChange::Unlocked));
            Ok(())
        }
        None => Ok(()),
    }
}

fn open_balance_of(ledger: &Ledger, id: BalanceId) -> Result<(BalanceSlot, &Balance), Refusal> {
    let slot = BalanceSlot(ledger.balances.slot(id).ok_or(Refusal::BalanceNotFound)?);
    let balance = ledger.balance(slot).filter(|balance| !balance.closed);
    Ok((slot, balance.ok_or(Refusal::BalanceNotFound)?))
}

/// An open balance whose money is here and may be taken out.
fn giving_balance_of(ledger: &Ledger, id: BalanceId) -> Result<(BalanceSlot, &Balance), Refusal> {
    let (slot, balance) = own_balance_of(ledger, id)?;
    if balance.blocked.is_some() { Err(Refusal::BalanceBlocked) } else { Ok((slot, balance)) }
}

/// An open balance whose money is here.
fn own_balance_of(ledger: &Ledger, id: BalanceId) -> Result<(BalanceSlot, &Balance), Refusal> {
    let (slot, balance) = open_balance_of(ledger, id)?;
    if balance.entrusted { Err(Refusal::OtherCustody) } else { Ok((slot, balance)) }
}

fn card_of(ledger: &Ledger, id: CardId) -> Result<(CardSlot, &Card), Refusal> {
    let slot = *ledger.cards_by_id.get(&id).ok_or(Refusal::CardNotFound)?;
    Ok((slot, ledger.cards.at(slot).ok_or(Refusal::CardNotFound)?))
}

/// A card that is not removed.
fn living_card_of(ledger: &Ledger, id: CardId) -> Result<(CardSlot, &Card), Refusal> {
    let (slot, card) = card_of(ledger, id)?;
    if card.state == CardState::Removed { Err(Refusal::CardNotFound) } else { Ok((slot, card)) }
}

fn room(there_is: bool) -> Result<(), Refusal> {
    if there_is { Ok(()) } else { Err(Refusal::TableFull) }
}
