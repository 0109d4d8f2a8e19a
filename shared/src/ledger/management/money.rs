//! Changes that move money, and what is paid for something else than a payment.
//!
//! Invariants: money comes in only from the bank, or charged to the partner's credit; what is with
//! a partner is not moved here. Source: authorization 3, requirements #80-#87, #165-#170.

use super::{giving_balance_of, open_balance_of, own_balance_of, room};
use crate::balance::{Balance, Funds};
use crate::books::Account;
use crate::command::PartnerBalanceKind;
use crate::control::Refusal;
use crate::effect::{BalanceSlot, Effect, PartnerBalanceSlot};
use crate::fee::{Charge, FEES_A_PROGRAM_MAX, FIXED_MAX, Fee, Payer};
use crate::ids::{BalanceId, ConfigId, FeeId, PartnerBalanceId, PartnerId};
use crate::ledger::Ledger;
use crate::limits::{OWED_FEES_MAX, SUM_MAX};
use crate::money::{Amount, Currency, Money};

pub(super) fn top_up(
    ledger: &Ledger,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    credit(ledger, Account::Funding, balance, money, effects)
}

pub(super) fn credit_transfer(
    ledger: &Ledger,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    credit(ledger, Account::IbanTechnical, balance, money, effects)
}

fn credit(
    ledger: &Ledger,
    source: Account,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = own_balance_of(ledger, balance)?;
    checked_money(money, balance.currency)?;
    fits(balance.funds, money.amount)?;
    if let Some(partner) = balance.covered_by {
        let (credit, funds) = credit_of(ledger, partner, money.currency)?;
        if !funds.covers(money.amount) {
            return Err(Refusal::InsufficientCollateral);
        }
        effects.push(posted(Account::Partner(credit), Account::UsersCover, money));
    }
    effects.push(posted(source, Account::User(slot), money));
    collect(ledger, (slot, balance), money.amount, effects);
    Ok(())
}

pub(super) fn reload(
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

pub(super) fn withdraw(
    ledger: &Ledger,
    balance: BalanceId,
    money: Money,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = giving_balance_of(ledger, balance)?;
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

pub(super) fn transfer(
    ledger: &Ledger,
    (from, to): (BalanceId, BalanceId),
    money: Money,
    charge: Option<&Charge>,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (from_slot, giver) = giving_balance_of(ledger, from)?;
    let (to_slot, taker) = own_balance_of(ledger, to)?;
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

pub(super) fn put_fee(
    ledger: &Ledger,
    fee: &Fee,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    if !fee.is_sound() {
        return Err(Refusal::Unsound);
    }
    let row = ledger.programs.get(fee.program).ok_or(Refusal::ProgramNotFound)?;
    if row.custody.is_some() {
        return Err(Refusal::OtherCustody);
    }
    match row.fees.iter().find(|known| known.id == fee.id) {
        Some(known) if known == fee => return Ok(()),
        Some(_) => {}
        None => room(row.fees.len() < FEES_A_PROGRAM_MAX)?,
    }
    effects.push(Effect::FeePut(fee.clone()));
    Ok(())
}

pub(super) fn remove_fee(
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
pub(super) fn charge_fee(
    ledger: &Ledger,
    balance: BalanceId,
    charge: &Charge,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let (slot, balance) = match charge.payer {
        Payer::Holder => own_balance_of(ledger, balance)?,
        Payer::Partner => open_balance_of(ledger, balance)?,
    };
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
