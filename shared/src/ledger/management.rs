//! Decides the changes that the control link asks for.
//!
//! Invariants: a command id gets its first outcome for ever; a refused change moves nothing; an
//! irreversible lock is neither lifted nor replaced; a card never changes its balance; money comes
//! in only from the bank, or charged to the partner's credit. Source: authorization 3 and 6,
//! requirements #27, #29, #33, #80-#87, #97-#103.

use super::{Card, Ledger, Stamp};
use crate::balance::{Balance, Funds};
use crate::card::CardState;
use crate::command::{
    Change, Collateral, HOLD_HOURS_MAX, NewCard, PartnerBalanceKind, Policy, Program,
};
use crate::control::{Outcome, Refusal};
use crate::effect::{
    Account, BalanceSlot, CardChange, CardSlot, Effect, PartnerBalanceSlot, RuleSlot,
};
use crate::fee::{Charge, FEES_A_PROGRAM_MAX, FIXED_MAX, Fee, Payer};
use crate::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, FeeId, PartnerBalanceId, PartnerId,
    Timestamp,
};
use crate::limits::{CARDS_A_BALANCE_MAX, OWED_FEES_MAX, SUM_MAX};
use crate::lock_code::Lock;
use crate::money::{Amount, Currency, Money};
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
            let known = ledger.customers.slot(*id).is_some();
            room(known || ledger.customers.len() < ledger.limits.customers_max)?;
            let (id, verified, aml_locked) = (*id, *verified, *aml_locked);
            effects.push(Effect::CustomerPut { id, verified, aml_locked });
            Ok(())
        }
        Change::OpenBalance { id, customer, currency } => {
            open_balance(ledger, *id, *customer, *currency, effects)
        }
        Change::CloseBalance(id) => {
            let (slot, balance) = open_balance_of(ledger, *id)?;
            if balance.funds.ledger.0 != 0 || balance.funds.held.0 != 0 {
                return Err(Refusal::BalanceNotEmpty);
            }
            effects.push(Effect::BalanceClosed(slot));
            Ok(())
        }
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
    room(ledger.balances.len() < ledger.limits.balances_max)?;
    effects.push(Effect::BalanceOpened { id, customer, currency });
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
    if balance.cards as usize >= CARDS_A_BALANCE_MAX {
        return Err(Refusal::TooManyCards);
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

fn top_up(
    ledger: &Ledger,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, balance)?;
    checked_money(money, balance.currency)?;
    fits(balance.funds, money.amount)?;
    if let Some(partner) = balance.covered_by {
        let (credit, funds) = credit_of(ledger, partner, money.currency)?;
        if !funds.covers(money.amount) {
            return Err(Refusal::InsufficientCollateral);
        }
        effects.push(posted(Account::Partner(credit), Account::UsersCover, money));
    }
    effects.push(posted(Account::Funding, Account::User(slot), money));
    collect(ledger, (slot, balance), money.amount, effects);
    Ok(())
}

fn reload(
    ledger: &Ledger,
    balance: PartnerBalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let slot = ledger.partner_balances.slot(balance).ok_or(Refusal::PartnerBalanceNotFound)?;
    let row = ledger.partner_balances.at(slot).ok_or(Refusal::PartnerBalanceNotFound)?;
    checked_money(money, row.currency)?;
    fits(row.funds, money.amount)?;
    effects.push(posted(Account::Bank, Account::Partner(PartnerBalanceSlot(slot)), money));
    Ok(())
}

fn withdraw(
    ledger: &Ledger,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, balance)?;
    checked_money(money, balance.currency)?;
    if !balance.funds.covers(money.amount) {
        return Err(Refusal::InsufficientFunds);
    }
    if let Some(partner) = balance.covered_by {
        let (credit, funds) = credit_of(ledger, partner, money.currency)?;
        fits(funds, money.amount)?;
        effects.push(posted(Account::UsersCover, Account::Partner(credit), money));
    }
    effects.push(posted(Account::User(slot), Account::Funding, money));
    Ok(())
}

fn transfer(
    ledger: &Ledger,
    (from, to): (BalanceId, BalanceId),
    money: Money,
    charge: Option<&Charge>,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (from_slot, giver) = open_balance_of(ledger, from)?;
    let (to_slot, taker) = open_balance_of(ledger, to)?;
    checked_money(money, giver.currency)?;
    checked_money(money, taker.currency)?;
    if from == to || giver.covered_by != taker.covered_by {
        return Err(Refusal::BalancesApart);
    }
    let charged = charge.map(|charge| due(charge, giver)).transpose()?;
    let fee = charged.map_or(Amount::ZERO, |charge| charge.of_holder());
    let all = money.amount.checked_add(fee).ok_or(Refusal::InvalidAmount)?;
    if !giver.funds.covers(all) {
        return Err(Refusal::InsufficientFunds);
    }
    fits(taker.funds, money.amount)?;
    effects.push(posted(Account::User(from_slot), Account::User(to_slot), money));
    effects.extend(charged.map(|charge| charged_on(from_slot, charge, charge.money.amount)));
    collect(ledger, (to_slot, taker), money.amount, effects);
    Ok(())
}

fn put_fee(ledger: &Ledger, fee: &Fee, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
    if !fee.is_sound() {
        return Err(Refusal::Unsound);
    }
    let row = ledger.programs.get(fee.program).ok_or(Refusal::ProgramNotFound)?;
    match row.fees.iter().find(|known| known.id == fee.id) {
        Some(known) if known == fee => return Ok(()),
        Some(_) => {}
        None => room(row.fees.len() < FEES_A_PROGRAM_MAX)?,
    }
    effects.push(Effect::FeePut(fee.clone()));
    Ok(())
}

fn remove_fee(
    ledger: &Ledger,
    program: ConfigId,
    fee: FeeId,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let row = ledger.programs.get(program).ok_or(Refusal::ProgramNotFound)?;
    let known = row.fees.iter().any(|known| known.id == fee);
    effects.extend(known.then_some(Effect::FeeRemoved(program, fee)));
    Ok(())
}

/// Takes what is available of a fee; the rest is owed.
fn charge_fee(
    ledger: &Ledger,
    balance: BalanceId,
    charge: &Charge,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = open_balance_of(ledger, balance)?;
    let charge = due(charge, balance)?;
    let available = balance.funds.available().max(Amount::ZERO);
    let taken = match charge.payer {
        Payer::Holder => charge.money.amount.min(available),
        Payer::Partner => charge.money.amount,
    };
    let owed = ledger.fees.owed_by(slot);
    let known = owed.iter().any(|(fee, _)| *fee == charge.fee);
    if taken != charge.money.amount && !known && owed.len() >= OWED_FEES_MAX {
        return Err(Refusal::TooManyOwed);
    }
    effects.push(charged_on(slot, charge, taken));
    Ok(())
}

/// A fee that may be charged to a balance.
fn due<'a>(charge: &'a Charge, balance: &Balance) -> Result<&'a Charge, Refusal> {
    checked_money(charge.money, balance.currency)?;
    if charge.money.amount > FIXED_MAX { Err(Refusal::InvalidAmount) } else { Ok(charge) }
}

fn charged_on(balance: BalanceSlot, charge: &Charge, taken: Amount) -> Effect {
    let Charge { fee, money, payer } = *charge;
    Effect::FeeCharged { fee, balance, payer, due: money.amount, taken }
}

/// Takes what is owed for fees out of what comes in, in the order in which it fell due.
fn collect(
    ledger: &Ledger,
    (slot, balance): (BalanceSlot, &Balance),
    coming: Amount,
    effects: &mut Vec<Effect>,
) {
    let mut left = balance.funds.available().0.saturating_add(coming.0);
    for (fee, owed) in ledger.fees.owed_by(slot) {
        let taken = Amount(left.min(owed.0));
        if !taken.is_positive() {
            return;
        }
        left -= taken.0;
        let (fee, payer, due) = (*fee, Payer::Holder, Amount::ZERO);
        effects.push(Effect::FeeCharged { fee, balance: slot, payer, due, taken });
    }
}

fn posted(from: Account, to: Account, money: Money) -> Effect {
    Effect::Posted { from, to, amount: money.amount, currency: money.currency }
}

/// What comes in leaves room for what networks force and take back.
fn fits(funds: Funds, amount: Amount) -> Result<(), Refusal> {
    match funds.booked(amount) {
        Some(after) if after.ledger.0 <= SUM_MAX => Ok(()),
        Some(_) | None => Err(Refusal::InvalidAmount),
    }
}

fn checked_money(money: Money, currency: Currency) -> Result<(), Refusal> {
    if money.currency != currency {
        Err(Refusal::CurrencyMismatch)
    } else if !money.amount.is_positive() {
        Err(Refusal::InvalidAmount)
    } else {
        Ok(())
    }
}

fn open_balance_of(ledger: &Ledger, id: BalanceId) -> Result<(BalanceSlot, &Balance), Refusal> {
    let slot = BalanceSlot(ledger.balances.slot(id).ok_or(Refusal::BalanceNotFound)?);
    let balance = ledger.balance(slot).filter(|balance| !balance.closed);
    Ok((slot, balance.ok_or(Refusal::BalanceNotFound)?))
}

/// The partner's credit balance that covers what users have in a currency.
fn credit_of(
    ledger: &Ledger,
    partner: PartnerId,
    currency: Currency,
) -> Result<(PartnerBalanceSlot, Funds), Refusal> {
    let slot = ledger.partner_balance_of((partner, PartnerBalanceKind::Credit, currency));
    let row = slot.and_then(|slot| Some((slot, ledger.partner_balance(slot)?.funds)));
    row.ok_or(Refusal::CollateralBalanceNotFound)
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
