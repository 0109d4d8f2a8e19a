//! The small world that histories happen in: two partners, a program of each kind of collateral, one whose money is with the partner,
//! seven cards, and the names of everything.

use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Channel, Collateral, Custody, EntryMode, MessageClass,
    MessageKey, NewCard, OnSilence, PartnerBalanceKind, Policy, Program, References,
};
use shared::credential::CredentialResult;
use shared::fee::{Fee, Payer, Terms};
use shared::ids::{
    BalanceId, CardId, ConfigId, CustomerId, FeeId, LinkId, PartnerBalanceId, PartnerId,
};
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;
use shared::rule::Filter;

pub(crate) const EUR: Currency = Currency(978);
pub(crate) const PLN: Currency = Currency(985);
/// A day in December 2026.
pub(crate) const START: u64 = 1_797_292_800_000;

pub(crate) fn token(card: u64) -> PanToken {
    PanToken(u128::from(card).to_be_bytes())
}

pub(crate) fn month() -> YearMonth {
    YearMonth { year: 2027, month: 6 }
}

pub(crate) fn key(class: MessageClass, stan: u64) -> MessageKey {
    MessageKey { link: LinkId(1), class, stan, sent_at: 0, acquirer: 7, forwarder: 0 }
}

pub(crate) fn references(rrn: u8) -> References {
    let mut references = References::default();
    references.rrn[11] = b'0' + rrn;
    references.terminal[0] = b'T';
    references
}

/// A purchase of `amount` EUR at a terminal.
pub(crate) fn purchase(class: MessageClass, card: u64, stan: u64, amount: i64) -> Authorization {
    Authorization {
        key: key(class, stan),
        repeat: false,
        token: token(card),
        processing_code: 0,
        transaction: Money::new(amount, EUR),
        billing: None,
        cash_back: Amount::ZERO,
        expiry: None,
        verification: false,
        incremental: false,
        partial_allowed: false,
        credentials: shared::command::Credentials {
            verification_value: CredentialResult::Absent,
            pin: CredentialResult::Absent,
        },
        original: None,
        references: References::default(),
        acceptance: Acceptance {
            channel: Channel::Pos,
            entry: EntryMode::Chip,
            mcc: 5411,
            country: 616,
            merchant: *b"SHOP           ",
        },
    }
}

pub(crate) fn program(id: u64, currency: Currency, collateral: Collateral) -> Program {
    let policy = Policy {
        partial_approval: id != 1,
        instant_credit_max: Amount(if id == 1 { 0 } else { 60 }),
        purchase_hold_hours: 2,
        cash_hold_hours: 1,
        credit_hold_hours: 3,
        ..Policy::default()
    };
    Program { id: ConfigId(id), partner: PartnerId(1), currency, collateral, policy }
}

/// The partner has so long to answer.
pub(crate) fn custody(answer_ms: u16) -> Custody {
    Custody { answer_ms, on_silence: OnSilence::Decline }
}

/// A fee of `fixed` and a share on the payments of a program.
pub(crate) fn fee(id: u64, program: u64, fixed: i64, rate_ppm: u32) -> Fee {
    let terms = Terms { fixed: Amount(fixed), rate_ppm, payer: Payer::Holder };
    let (id, program) = (FeeId(id), ConfigId(program));
    Fee { id, program, filter: Filter::default(), converted: false, terms }
}

/// What there is before the first message: enough money that most things are approved.
pub(crate) fn opening() -> Vec<Change> {
    let mut changes = vec![
        Change::PutPartner(PartnerId(1)),
        Change::PutPartner(PartnerId(2)),
        Change::PutProgram(program(1, EUR, Collateral::None)),
        Change::PutProgram(program(2, EUR, Collateral::Deposit)),
        Change::PutProgram(program(3, EUR, Collateral::Credit)),
        Change::PutProgram(program(4, EUR, Collateral::Technical)),
        Change::PutProgram(program(5, PLN, Collateral::Deposit)),
        Change::PutProgram(program(6, EUR, Collateral::Technical)),
        Change::PutCustody(ConfigId(6), custody(2_000)),
        Change::PutFee(fee(1, 1, 3, 25_000)),
        Change::PutFee(fee(2, 2, 0, 100_000)),
    ];
    let kinds =
        [PartnerBalanceKind::Deposit, PartnerBalanceKind::Credit, PartnerBalanceKind::Technical];
    for (id, kind) in (1..).zip(kinds) {
        let (id, partner, currency) = (PartnerBalanceId(id), PartnerId(1), EUR);
        changes.push(Change::OpenPartnerBalance { id, partner, kind, currency });
        changes.push(Change::Reload { balance: id, money: Money::new(3_000, EUR) });
    }
    for customer in 1..=4 {
        let id = CustomerId(customer);
        changes.push(Change::PutCustomer { id, verified: true, aml_locked: false });
    }
    for (balance, (customer, currency)) in
        (1..).zip([(1, EUR), (2, EUR), (3, EUR), (4, EUR), (1, PLN), (2, EUR)])
    {
        let (id, customer) = (BalanceId(balance), CustomerId(customer));
        changes.push(Change::OpenBalance { id, customer, currency });
    }
    changes.push(Change::EntrustBalance(BalanceId(6)));
    for (card, balance) in (1..).zip([1, 2, 3, 4, 5, 2, 6]) {
        changes.push(Change::IssueCard(NewCard {
            id: CardId(card),
            token: token(card),
            program: ConfigId(u64::try_from(balance).unwrap()),
            balance: BalanceId(balance),
            expiry: month(),
            state: CardState::Active,
        }));
    }
    for (balance, currency) in (1..).zip([EUR, EUR, EUR, EUR, PLN]) {
        let money = Money::new(1_000, currency);
        changes.push(Change::TopUp { balance: BalanceId(balance), money });
    }
    changes
}
