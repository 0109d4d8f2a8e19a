//! The order of checks: one straight column, the first that fails is the answer. The numbers are
//! the rows of the documented table. Source: authorization 2.
//!
//! Invariant: a row looks at state and message and changes neither; what a row saw can be told
//! (explain) without costing the path anything.

use super::Kind;
use super::charging::{rules_allow, rules_told};
use crate::action_code::Reason;
use crate::balance::{Balance, Funds, PartnerBalance};
use crate::card::CardState;
use crate::command::{Authorization, Collateral, EntryMode};
use crate::credential::CredentialResult;
use crate::effect::{BalanceSlot, CardSlot, PartnerBalanceSlot};
use crate::ids::Timestamp;
use crate::ledger::{Card, Customer, Ledger, ProgramRow};
use crate::limits::SUM_MAX;
use crate::money::{Amount, Money};
use crate::pan::PanToken;
use crate::rule::Payment;

/// The rows of limits and permissions.
const RULE_ROWS: [(u8, Reason); 4] = [
    (14, Reason::NotPermitted),
    (15, Reason::ExceedsAmountLimit),
    (16, Reason::BudgetExceeded),
    (17, Reason::LimitExceeded),
];

/// What a row of the order of checks asks for.
#[must_use]
pub const fn row_name(row: u8) -> &'static str {
    match row {
        1 => "well-formed for its dialect and type",
        2 => "not reversed or voided before",
        3 => "exact repeat, or new",
        4 => "processing code known",
        5 => "amount above zero, where it must be",
        6 => "card known and not removed",
        7 => "card activated",
        8 => "card not expired, month as issued",
        9 => "no lock",
        10 => "holder known, no AML lock",
        11 => "credentials right",
        12 => "balance known, open and not blocked",
        13 => "billed in the balance's currency",
        14 => "channel, category, country, merchant allowed",
        15 => "amount limits of card and holder",
        16 => "budgets of card and holder",
        17 => "limits of program and partner, counts",
        18 => "partner balance exists in the currency",
        19 => "partner balance covers it",
        20 => "holder's balance covers it",
        21 => "the partner that keeps the money agrees in time",
        _ => "no such row",
    }
}

/// Sees every check that is made, in order.
pub trait Witness {
    /// Row `row` passed, or failed with `reason`; `inputs` says what it looked at.
    fn saw(&mut self, row: u8, passed: bool, reason: Reason, inputs: impl FnOnce() -> String);

    /// Something found that is no check: which transaction a message means.
    fn found(&mut self, what: impl FnOnce() -> String);
}

/// On the path nobody looks, and nothing is spent on it.
impl Witness for () {
    #[inline]
    fn saw(&mut self, _row: u8, _passed: bool, _reason: Reason, _inputs: impl FnOnce() -> String) {}

    #[inline]
    fn found(&mut self, _what: impl FnOnce() -> String) {}
}

/// Which rows decide for a kind of message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows(u32);

impl Rows {
    /// Debit requests: all.
    pub(super) const DEBIT: Self = Self::span(4, 20);
    /// Credits: a locked or expired card still gets its refund.
    pub(super) const CREDIT: Self =
        Self(Self::span(4, 6).0 | Self::span(10, 10).0 | Self::span(12, 13).0);
    /// Inquiries look at no money.
    pub(super) const INQUIRY: Self = Self::span(4, 14);

    const fn span(first: u32, last: u32) -> Self {
        Self((1 << (last + 1)) - (1 << first))
    }

    pub(super) const fn of(kind: Option<Kind>) -> Self {
        match kind {
            Some(Kind::Purchase | Kind::Cash) | None => Self::DEBIT,
            Some(Kind::Credit | Kind::PaymentCredit) => Self::CREDIT,
            Some(Kind::Inquiry) => Self::INQUIRY,
        }
    }

    /// Without the row of credentials, which nobody presented to us.
    pub(super) const fn without_credentials(self) -> Self {
        Self(self.0 & !Self::span(11, 11).0)
    }

    pub(super) const fn has(self, row: u8) -> bool {
        self.0 >> row & 1 == 1
    }
}

/// Everything that a message's card leads to.
#[derive(Clone, Copy)]
pub(super) struct Parties<'a> {
    pub(super) card: Option<(CardSlot, &'a Card)>,
    pub(super) program: Option<&'a ProgramRow>,
    pub(super) holder: Option<&'a Customer>,
    /// Open or closed.
    pub(super) balance: Option<(BalanceSlot, &'a Balance)>,
    pub(super) deposit: Option<(PartnerBalanceSlot, &'a PartnerBalance)>,
    /// Whether anybody concerned has rules.
    pub(super) ruled: bool,
}

impl<'a> Parties<'a> {
    pub(super) fn of(ledger: &'a Ledger, token: PanToken) -> Self {
        let found = ledger.card_and_place_of(token);
        let card = found.map(|(place, card)| (place.card, card));
        let program = found.and_then(|(place, _)| ledger.program_at(place.program));
        let balance =
            found.and_then(|(place, _)| Some((place.balance, ledger.balance(place.balance)?)));
        let holder = balance.and_then(|(_, balance)| ledger.holder(balance.customer));
        let deposit = program
            .and_then(|row| row.held)
            .and_then(|slot| Some((slot, ledger.partner_balance(slot)?)));
        let ruled = card.is_some_and(|(_, card)| card.ruled)
            || holder.is_some_and(|holder| holder.ruled)
            || program.is_some_and(|row| {
                row.ruled || ledger.partner_at(row.partner).is_some_and(|partner| partner.ruled)
            });
        Self { card, program, holder, balance, deposit, ruled }
    }

    pub(super) fn card_slot(&self) -> Option<CardSlot> {
        self.card.map(|(slot, _)| slot)
    }

    /// The balance that `money` could be held or posted on without a check: open, of the same
    /// currency, and with sums that still fit on both sides.
    pub(super) fn taking(&self, money: Money) -> Option<BalanceSlot> {
        let fits = |funds: Funds| {
            money.amount.0 < SUM_MAX && funds.ledger.0.abs() < SUM_MAX && funds.held.0 < SUM_MAX
        };
        let (slot, balance) = self.balance?;
        let deposit_fits = self.deposit.is_none_or(|(_, deposit)| fits(deposit.funds));
        let sound = !balance.closed && balance.currency == money.currency;
        (sound && fits(balance.funds) && deposit_fits).then_some(slot)
    }
}

/// What the column asks about.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Authorization,
    pub(super) kind: Option<Kind>,
    pub(super) rows: Rows,
    /// What would be held or posted.
    pub(super) money: Money,
    /// Whether it is one more payment.
    pub(super) counts: bool,
    pub(super) at: Timestamp,
}

impl Asked<'_> {
    pub(super) fn payment(&self) -> Payment {
        let Money { amount, currency } = self.money;
        Payment { amount, currency, counts: self.counts, at: self.at }
    }
}

/// The row that a message did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declined {
    pub(super) row: u8,
    pub(super) reason: Reason,
}

/// One pass over the column.
struct Column<'w, W> {
    rows: Rows,
    witness: &'w mut W,
}

impl<W: Witness> Column<'_, W> {
    /// One row: skipped where it does not decide.
    #[inline(always)]
    fn row(
        &mut self,
        row: u8,
        passes: bool,
        reason: Reason,
        inputs: impl FnOnce() -> String,
    ) -> Result<(), Declined> {
        if !self.rows.has(row) {
            return Ok(());
        }
        self.witness.saw(row, passes, reason, inputs);
        if passes { Ok(()) } else { Err(Declined { row, reason }) }
    }
}

/// Rows 4 to 19 in order; row 20 is the money itself.
pub(super) fn check<W: Witness>(
    ledger: &Ledger,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
    witness: &mut W,
) -> Result<(), Declined> {
    // Debits are most of what comes: their rows are all known beforehand.
    match asked.rows {
        Rows::DEBIT => check_rows(Rows::DEBIT, ledger, (parties, asked), witness),
        rows => check_rows(rows, ledger, (parties, asked), witness),
    }
}

#[inline(always)]
fn check_rows<W: Witness>(
    rows: Rows,
    ledger: &Ledger,
    (parties, asked): (&Parties<'_>, &Asked<'_>),
    witness: &mut W,
) -> Result<(), Declined> {
    let mut column = Column { rows, witness };
    message_rows(&mut column, asked)?;
    let card = card_rows(&mut column, parties, asked)?;
    holder_rows(&mut column, parties)?;
    credential_row(&mut column, parties, asked, card)?;
    balance_rows(&mut column, parties, asked)?;
    rule_rows(&mut column, ledger, parties, asked)?;
    deposit_rows(&mut column, parties, asked)
}

#[inline(always)]
fn message_rows<W: Witness>(column: &mut Column<'_, W>, asked: &Asked<'_>) -> Result<(), Declined> {
    let request = asked.request;
    column.row(4, asked.kind.is_some(), Reason::UnknownTransactionType, || {
        format!("processing code {:06}", request.processing_code)
    })?;
    let (billed, zero) = (request.billed().amount, Amount::ZERO);
    let amount = request.transaction.amount;
    let verifying = request.verification && (amount, billed) == (zero, zero);
    let none_asked = asked.kind == Some(Kind::Inquiry) && amount >= zero && billed >= zero;
    let positive = amount.is_positive() && billed.is_positive();
    let cash_back_fits = request.cash_back >= zero && request.cash_back <= amount;
    let sound = (positive || verifying || none_asked) && cash_back_fits;
    column.row(5, sound, Reason::InvalidAmount, || {
        format!(
            "{}, billed {}, cash-back {}",
            request.transaction,
            request.billed(),
            request.cash_back
        )
    })
}

#[inline(always)]
fn card_rows<'a, W: Witness>(
    column: &mut Column<'_, W>,
    parties: &Parties<'a>,
    asked: &Asked<'_>,
) -> Result<&'a Card, Declined> {
    let known = parties.card.map(|(_, card)| card).filter(|card| card.state != CardState::Removed);
    column.row(6, known.is_some(), Reason::CardNotFound, || match parties.card {
        Some((_, card)) => format!("card {}, {}", card.id, card.state.name()),
        None => "no card has this number".to_owned(),
    })?;
    let card = known.ok_or(Declined { row: 6, reason: Reason::CardNotFound })?;
    let activated = !matches!(card.state, CardState::Ordered | CardState::Linked);
    column.row(7, activated, Reason::CardInactive, || card.state.name().to_owned())?;
    let expiry = asked.request.expiry;
    let earlier = card
        .previous_expiry
        .filter(|_| asked.request.acceptance.entry == EntryMode::StoredCredential);
    let as_issued = expiry.is_none_or(|said| said == card.expiry || Some(said) == earlier);
    let in_time = !card.expiry.is_past(asked.at) && card.state != CardState::Expired;
    column.row(8, in_time && as_issued, Reason::CardExpired, || {
        let stated = expiry.map_or("no month".to_owned(), |said| format!("{:04}", said.yymm()));
        format!("good to {:04}, {stated} stated, {}", card.expiry.yymm(), card.state.name())
    })?;
    let locked = card.lock.map_or(Reason::CardPendingQuery, |lock| Reason::of_lock(lock.code));
    column.row(9, card.lock.is_none(), locked, || match card.lock {
        Some(lock) => format!("lock {} by {:?}", lock.code.number(), lock.source),
        None => "no lock".to_owned(),
    })?;
    Ok(card)
}

#[inline(always)]
fn holder_rows<W: Witness>(
    column: &mut Column<'_, W>,
    parties: &Parties<'_>,
) -> Result<(), Declined> {
    let holder = parties.holder.filter(|holder| holder.verified);
    column.row(10, holder.is_some(), Reason::CustomerNotFound, || {
        parties.holder.map_or("no holder".to_owned(), |holder| format!("customer {}", holder.id))
    })?;
    let aml_locked = holder.is_some_and(|holder| holder.aml_locked);
    column.row(10, !aml_locked, Reason::AmlException, || format!("AML lock: {aml_locked}"))
}

#[inline(always)]
fn credential_row<W: Witness>(
    column: &mut Column<'_, W>,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
    card: &Card,
) -> Result<(), Declined> {
    let credentials = asked.request.credentials;
    let outcome = match (credentials.verification_value, credentials.pin) {
        (CredentialResult::Bad, _) => Some(Reason::InvalidCvv),
        (CredentialResult::Unavailable, _) => Some(Reason::Unavailable),
        (CredentialResult::Ok | CredentialResult::Absent, CredentialResult::Bad) => {
            Some(wrong_pin(card, parties.program))
        }
        (CredentialResult::Ok | CredentialResult::Absent, CredentialResult::Unavailable) => {
            Some(Reason::Unavailable)
        }
        (
            CredentialResult::Ok | CredentialResult::Absent,
            CredentialResult::Ok | CredentialResult::Absent,
        ) => None,
    };
    column.row(11, outcome.is_none(), outcome.unwrap_or(Reason::InvalidPin), || {
        let (value, pin) = (credentials.verification_value, credentials.pin);
        format!("verification value {value:?}, PIN {pin:?}, wrong PINs before: {}", card.pin_tries)
    })
}

/// A wrong PIN: the one that reaches the program's bound sets lock 6.
pub(super) fn wrong_pin(card: &Card, program: Option<&ProgramRow>) -> Reason {
    let most = program.map_or(1, |row| row.program.policy.pin_tries_max);
    if card.pin_tries.saturating_add(1) >= most {
        Reason::PinTriesExceeded
    } else {
        Reason::InvalidPin
    }
}

#[inline(always)]
fn balance_rows<W: Witness>(
    column: &mut Column<'_, W>,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
) -> Result<(), Declined> {
    let open = parties.balance.filter(|(_, balance)| !balance.closed);
    // What comes in despite a lock on the card (row 9) comes in despite a block too.
    let blocked = asked.rows.has(9) && open.is_some_and(|(_, balance)| balance.blocked.is_some());
    let reason = if blocked { Reason::BalanceBlocked } else { Reason::BalanceNotFound };
    column.row(12, open.is_some() && !blocked, reason, || match parties.balance {
        Some((_, Balance { id, closed, blocked, .. })) => {
            let by = blocked.map_or("no".to_owned(), |by| format!("by {by:?}"));
            format!("balance {id}, closed: {closed}, blocked: {by}")
        }
        None => "no balance".to_owned(),
    })?;
    let (_, balance) = open.ok_or(Declined { row: 12, reason: Reason::BalanceNotFound })?;
    let billed = asked.request.billed().currency;
    column.row(13, billed == balance.currency, Reason::CurrencyMismatch, || {
        format!("billed in {billed}, the balance is in {}", balance.currency)
    })
}

/// Rows 14 to 17: the rules of everybody concerned. Most have none, and then nothing is looked up.
#[inline(always)]
fn rule_rows<W: Witness>(
    column: &mut Column<'_, W>,
    ledger: &Ledger,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
) -> Result<(), Declined> {
    let ruled = parties.ruled;
    for (row, reason) in RULE_ROWS {
        let passes = !ruled || !column.rows.has(row) || rules_allow(ledger, parties, asked, row);
        column.row(row, passes, reason, || match ruled {
            true => {
                let told = rules_told(ledger, parties, asked, row);
                format!("{} asked for, {}{told}", asked.money, asked.request.acceptance)
            }
            false => "no rules".to_owned(),
        })?;
    }
    Ok(())
}

#[inline(always)]
fn deposit_rows<W: Witness>(
    column: &mut Column<'_, W>,
    parties: &Parties<'_>,
    asked: &Asked<'_>,
) -> Result<(), Declined> {
    let collateral = parties.program.map_or(Collateral::None, |row| row.program.collateral);
    let (missing, short) = match collateral {
        Collateral::None | Collateral::Credit => return Ok(()),
        Collateral::Deposit => (Reason::DepositBalanceNotFound, Reason::InsufficientFundsOnDeposit),
        Collateral::Technical => {
            (Reason::CollateralBalanceNotFound, Reason::InsufficientCollateral)
        }
    };
    column.row(18, parties.deposit.is_some(), missing, || format!("{collateral:?}"))?;
    let covers = parties.deposit.is_some_and(|(_, row)| row.funds.covers(asked.money.amount));
    column.row(19, covers, short, || {
        let available = parties.deposit.map_or(Amount::ZERO, |(_, row)| row.funds.available());
        format!("{available} available on the partner's side, {} asked for", asked.money)
    })
}
