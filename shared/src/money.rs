//! Money: signed integer minor units with checked arithmetic, and the currency beside it.
//!
//! Invariant: no operation wraps, rounds or changes the currency; what cannot be represented is
//! `None` and the command that asked for it is refused.

use core::fmt;

use serde::{Deserialize, Serialize};

/// An amount in minor units of some currency (1234 = 12.34 EUR). Signed: a balance may go negative
/// by an advice. Source: requirements #82.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Amount(pub i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// More than nothing.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An ISO 4217 currency, held as its numeric code (978 = EUR), as DE49 and DE51 carry it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Currency(pub u16);

impl Currency {
    /// The currency of a three-letter code, where ISO 4217 has it.
    #[must_use]
    pub fn from_alpha(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).map(|found| Self(found.numeric()))
    }

    /// The three-letter code, or `None` where the number is not in ISO 4217.
    #[must_use]
    pub fn alpha(self) -> Option<&'static str> {
        iso_currency::Currency::from_numeric(self.0).map(|found| found.code())
    }

    /// Digits of the minor unit (EUR 2, JPY 0, BHD 3); `None` where ISO 4217 gives none.
    #[must_use]
    pub fn exponent(self) -> Option<u16> {
        iso_currency::Currency::from_numeric(self.0).and_then(|found| found.exponent())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alpha() {
            Some(code) => f.write_str(code),
            None => write!(f, "{:03}", self.0),
        }
    }
}

/// An amount and its currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    pub amount: Amount,
    /// ISO 4217.
    pub currency: Currency,
}

impl Money {
    /// `amount` minor units of `currency`.
    #[must_use]
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount: Amount(amount), currency }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_do_not_fit_are_none() {
        assert_eq!(Amount(i64::MAX).checked_add(Amount(1)), None);
        assert_eq!(Amount(i64::MIN).checked_sub(Amount(1)), None);
        assert_eq!(Amount(2).checked_sub(Amount(3)), Some(Amount(-1)));
    }

    #[test]
    fn currencies_are_read_by_letters_and_by_number() {
        let euro = Currency::from_alpha("EUR").unwrap();
        assert_eq!((euro, euro.alpha(), euro.exponent()), (Currency(978), Some("EUR"), Some(2)));
        assert_eq!(Currency::from_alpha("EURO"), None);
        assert_eq!(Currency(0).to_string(), "000");
    }
}
