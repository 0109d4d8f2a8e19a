//! The two books of each currency in double entry: what the users own, and what stands behind it.
//!
//! Invariants, asserted after every command in production too: each book's accounts sum to zero;
//! what balances hold equals what open transactions reserve. Sums are i128 and cannot overflow.
//! Source: authorization 3, durability 1.6.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::effect::{BalanceSlot, PartnerBalanceSlot};
use crate::money::{Amount, Currency};

/// One account of the two books. Source: authorization 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// User book: a user balance.
    User(BalanceSlot),
    /// User book: where top-ups come from.
    Funding,
    /// User book: what is owed to the networks.
    Settlement,
    /// User book: what was settled and could be charged to nobody.
    Receivable,
    /// Collateral book: a partner's deposit or credit balance.
    Partner(PartnerBalanceSlot),
    /// Collateral book: what stands behind the users' money.
    UsersCover,
    /// Collateral book: what was paid to the networks out of partner money.
    PartnerSettlement,
    /// Collateral book: where partner money comes from.
    Bank,
    /// User book: the company balance, which fees are credited to. Source: requirements #92.
    Fees,
    /// User book: what partners owe for fees by invoice.
    Invoiced,
    /// User book: what holders have with partners, in place of the balance (requirements #81).
    PartnerHeld,
    /// User book: the technical account of IBANs, which bank transfers to them come from. Source:
    /// requirements #92.
    IbanTechnical,
}

/// Sums of one currency. Held amounts are summed twice, once where balances change and once where
/// transactions do: the two must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Book {
    /// User book: all user balances.
    pub users: i128,
    /// User book: where top-ups come from.
    pub funding: i128,
    /// User book: what is owed to the networks.
    pub settlement: i128,
    /// User book: what was settled and could be charged to nobody.
    pub receivable: i128,
    /// User book: the company balance, which fees are credited to.
    pub fees: i128,
    /// User book: what partners owe for fees by invoice.
    pub invoiced: i128,
    /// User book: what holders have with partners.
    pub partner_held: i128,
    /// User book: the technical account of IBANs, which bank transfers to them come from. What
    /// leaves a balance is funding's, wherever it came from.
    pub iban_technical: i128,
    /// Collateral book: all deposit and credit balances.
    pub partners: i128,
    /// Collateral book: what stands behind the users' money.
    pub users_cover: i128,
    /// Collateral book: what was paid to the networks out of partner money.
    pub partner_settlement: i128,
    /// Collateral book: where partner money comes from.
    pub bank: i128,
    /// Held on user balances.
    pub users_held: i128,
    /// Open on transactions.
    pub users_open: i128,
    /// Held on partner deposits.
    pub deposits_held: i128,
    /// Open on transactions with a deposit.
    pub deposits_open: i128,
}

/// A book that does not balance: the program is wrong, and the switch stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Imbalance {
    /// The user book's accounts do not sum to zero.
    #[error("{0}: the user book sums to {1}, not 0")]
    UserBook(Currency, i128),
    /// The collateral book's accounts do not sum to zero.
    #[error("{0}: the collateral book sums to {1}, not 0")]
    CollateralBook(Currency, i128),
    /// Balances hold something else than transactions reserve.
    #[error("{0}: user balances hold {1}, transactions reserve {2}")]
    UserHolds(Currency, i128, i128),
    /// Deposits hold something else than transactions reserve.
    #[error("{0}: deposits hold {1}, transactions reserve {2}")]
    DepositHolds(Currency, i128, i128),
    /// The balances of a currency sum to something else than its book says.
    #[error("{0}: balances sum to {1}, the book says {2}")]
    Balances(Currency, i128, i128),
}

impl Book {
    fn check(&self, currency: Currency) -> Result<(), Imbalance> {
        // Sums of i64: they cannot overflow, and nothing is spent on looking whether they do.
        let sum =
            |accounts: &[i128]| accounts.iter().fold(0, |sum: i128, one| sum.wrapping_add(*one));
        let users = sum(&[
            self.users,
            self.funding,
            self.settlement,
            self.receivable,
            self.fees,
            self.invoiced,
            self.partner_held,
            self.iban_technical,
        ]);
        let collateral =
            sum(&[self.partners, self.users_cover, self.partner_settlement, self.bank]);
        // Differences, not comparisons: these sums were written a moment ago half by half, and to
        // read one whole would wait until they are out of the processor's store buffer.
        let held = self.users_held.wrapping_sub(self.users_open);
        let deposits = self.deposits_held.wrapping_sub(self.deposits_open);
        if users != 0 {
            Err(Imbalance::UserBook(currency, users))
        } else if collateral != 0 {
            Err(Imbalance::CollateralBook(currency, collateral))
        } else if held != 0 {
            Err(Imbalance::UserHolds(currency, self.users_held, self.users_open))
        } else if deposits != 0 {
            Err(Imbalance::DepositHolds(currency, self.deposits_held, self.deposits_open))
        } else {
            Ok(())
        }
    }
}

/// The books of all currencies, in order of first use: there are few, so a scan is quickest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    books: Vec<(Currency, Book)>,
}

impl Books {
    /// The book of `currency`, made when first asked for.
    pub(crate) fn of(&mut self, currency: Currency) -> &mut Book {
        let known = self.books.iter().position(|(found, _)| *found == currency);
        let place = known.unwrap_or_else(|| {
            self.books.push((currency, Book::default()));
            self.books.len() - 1
        });
        let (_, book) = self.books.get_mut(place).expect("found or pushed just now");
        book
    }

    /// All books in order of first use.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Currency, &Book)> {
        self.books.iter().map(|(currency, book)| (*currency, book))
    }

    /// Whether every book balances. There are as many as currencies in use, so this is cheap.
    pub(crate) fn check(&self) -> Result<(), Imbalance> {
        self.all().try_for_each(|(currency, book)| book.check(currency))
    }
}

/// An amount as a book counts it.
pub(crate) fn wide(amount: Amount) -> i128 {
    i128::from(amount.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_lose_balance_is_named() {
        let euro = Currency(978);
        type Spoil = fn(&mut Book);
        let cases: [(Spoil, Imbalance); 4] = [
            (|b| b.users += 5, Imbalance::UserBook(euro, 5)),
            (|b| b.bank -= 7, Imbalance::CollateralBook(euro, -7)),
            (|b| b.users_held += 1, Imbalance::UserHolds(euro, 1, 0)),
            (|b| b.deposits_open += 2, Imbalance::DepositHolds(euro, 0, 2)),
        ];
        for (spoil, found) in cases {
            let mut books = Books::default();
            assert_eq!(books.check(), Ok(()));
            spoil(books.of(euro));
            assert_eq!(books.check(), Err(found));
        }
    }
}
