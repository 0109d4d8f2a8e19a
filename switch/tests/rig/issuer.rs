//! An issuer with a few cards, made over the control link.

use shared::card::{CardState, YearMonth};
use shared::command::{
    Change, Collateral, Command, Custody, NewCard, OnSilence, PartnerBalanceKind, Policy, Program,
};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, PartnerBalanceId, PartnerId,
};
use shared::money::{Currency, Money};
use shared::pan::{Pan, TokenKey, check_digit};

use super::{Book, Control};

const EUR: Currency = Currency(978);
/// The key that the switch's key file holds.
pub(crate) const PAN_TOKEN: [u8; 32] = [7; 32];
/// The last month of every card.
pub(crate) const EXPIRY: YearMonth = YearMonth { year: 2099, month: 12 };

/// Partner 1 with one program without collateral and one with a deposit; customer 1.
pub(crate) struct Issuer;

/// The number of card `card`.
pub(crate) fn pan(card: u64) -> String {
    let payload = format!("999999{card:09}");
    format!("{payload}{}", char::from(check_digit(payload.as_bytes())))
}

/// The balance of card `card`: a card each, whatever its program.
pub(crate) fn balance_id(card: u64) -> BalanceId {
    BalanceId(u128::from(card))
}

impl Issuer {
    pub(crate) const NO_COLLATERAL: ConfigId = ConfigId(19_167_984);
    pub(crate) const DEPOSIT: ConfigId = ConfigId(19_167_985);

    /// Its holders' money is with the partner, and the deposit stands behind it.
    pub(crate) const ENTRUSTED: ConfigId = ConfigId(19_167_987);

    /// A card whose money is with the partner, which has `answer_ms` to answer.
    pub(crate) fn entrust(&self, control: &mut Control, card: u64, answer_ms: u16) {
        let (partner, policy) = (PartnerId(1), Policy::default());
        let (id, collateral) = (Self::ENTRUSTED, Collateral::Deposit);
        let custody = Custody { answer_ms, on_silence: OnSilence::Decline };
        let [open, _, issue] = Self::issuing(id, card, 0);
        for (step, change) in (0_u128..).zip([
            Change::PutProgram(Program { id, partner, currency: EUR, collateral, policy }),
            Change::PutCustody(id, custody),
            open,
            Change::EntrustBalance(balance_id(card)),
            issue,
        ]) {
            let outcome = control.change(u128::from(card) * 10 + 1_000 + step, change);
            assert_eq!(outcome.result, Ok(()));
        }
    }

    /// Sets all up but the cards.
    pub(crate) fn found(control: &mut Control) -> Self {
        for (id, change) in (1_u128..).zip(Self::founding()) {
            assert_eq!(control.change(id, change).result, Ok(()));
        }
        Self
    }

    /// Card `card` of `program` on a balance of its own with `money` on it.
    pub(crate) fn issue(&self, control: &mut Control, program: ConfigId, card: u64, money: i64) {
        for (step, change) in (0_u128..).zip(Self::issuing(program, card, money)) {
            let outcome = control.change(u128::from(card) * 10 + 1_000 + step, change);
            assert_eq!(outcome.result, Ok(()));
        }
    }

    /// The same, with cards on no collateral, into a journal that nobody serves.
    pub(crate) fn write(book: &mut Book, cards: &[u64], money: i64) {
        let cards = cards.iter().flat_map(|card| Self::issuing(Self::NO_COLLATERAL, *card, money));
        for (id, change) in (1_u128..).zip(Self::founding().into_iter().chain(cards)) {
            book.append(&Command::Manage(CommandId(id), change));
        }
    }

    fn founding() -> [Change; 6] {
        let program = |id, collateral| {
            let (partner, policy) = (PartnerId(1), Policy::default());
            Change::PutProgram(Program { id, partner, currency: EUR, collateral, policy })
        };
        let (deposit, kind) = (PartnerBalanceId(1), PartnerBalanceKind::Deposit);
        let (partner, currency) = (PartnerId(1), EUR);
        [
            Change::PutPartner(partner),
            program(Self::NO_COLLATERAL, Collateral::None),
            program(Self::DEPOSIT, Collateral::Deposit),
            Change::OpenPartnerBalance { id: deposit, partner, kind, currency },
            Change::Reload { balance: deposit, money: Money::new(1_000_000_000_000, EUR) },
            Change::PutCustomer { id: CustomerId(1), verified: true, aml_locked: false },
        ]
    }

    fn issuing(program: ConfigId, card: u64, money: i64) -> [Change; 3] {
        let number = pan(card);
        let new = NewCard {
            id: CardId(card),
            token: TokenKey::new(&PAN_TOKEN).token(&Pan::parse(number.as_bytes()).unwrap()),
            program,
            balance: balance_id(card),
            expiry: EXPIRY,
            state: CardState::Active,
        };
        let (id, customer) = (balance_id(card), CustomerId(1));
        let top_up = Change::TopUp { balance: id, money: Money::new(money, EUR) };
        [Change::OpenBalance { id, customer, currency: EUR }, top_up, Change::IssueCard(new)]
    }
}
