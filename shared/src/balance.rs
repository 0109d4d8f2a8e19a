//! Booked and held money of one balance, user's or partner's.
//!
//! Invariant: `available = ledger - held`, computed in one place; every operation is checked and
//! changes nothing where it fails.

use serde::{Deserialize, Serialize};

use crate::command::PartnerBalanceKind;
use crate::effect::{CardSlot, CustomerSlot};
use crate::ids::{BalanceId, PartnerBalanceId, PartnerId};
use crate::lock_code::LockSource;
use crate::money::{Amount, Currency};

/// What is booked, and what open holds reserve of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    /// Booked; negative only by a forced posting.
    pub ledger: Amount,
    /// Reserved by open holds; never negative.
    pub held: Amount,
}

impl Funds {
    /// What can be spent.
    #[must_use]
    pub fn available(self) -> Amount {
        self.ledger.checked_sub(self.held).unwrap_or(Amount(i64::MIN))
    }

    /// Whether `amount` can be held. Nothing is always covered, so that an account verification
    /// does not tell whether a balance is overdrawn.
    #[must_use]
    pub fn covers(self, amount: Amount) -> bool {
        !amount.is_positive() || self.available() >= amount
    }

    /// With `amount` more booked (less, where negative).
    #[must_use]
    pub fn booked(self, amount: Amount) -> Option<Self> {
        Some(Self { ledger: self.ledger.checked_add(amount)?, ..self })
    }

    /// With `amount` more held.
    #[must_use]
    pub fn reserved(self, amount: Amount) -> Option<Self> {
        Some(Self { held: self.held.checked_add(amount)?, ..self })
    }

    /// With `amount` of what is held given back.
    #[must_use]
    pub fn released(self, amount: Amount) -> Option<Self> {
        let held = self.held.checked_sub(amount).filter(|held| held.0 >= 0)?;
        Some(Self { held, ..self })
    }
}

/// A user balance, on lines of the cache of its own.
#[repr(align(64))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Its id.
    pub id: BalanceId,
    /// Its holder.
    pub customer: CustomerSlot,
    /// Its currency, for ever.
    pub currency: Currency,
    /// Its money.
    pub funds: Funds,
    /// Whether it was closed.
    pub closed: bool,
    /// Who blocked it: nothing may be taken out of it until it is unblocked. Source: requirements
    /// #28.
    pub blocked: Option<LockSource>,
    /// The partner whose credit balance top-ups are charged to.
    pub covered_by: Option<PartnerId>,
    /// Whether its money is with the partner: nothing is ever booked on it here.
    pub entrusted: bool,
    /// The card issued last of those that were not removed; the others follow from it.
    pub last_card: Option<CardSlot>,
    /// How many these are.
    pub cards: u32,
    /// Whether a card was ever issued on it.
    pub carded: bool,
}

/// A partner balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerBalance {
    /// Its id.
    pub id: PartnerBalanceId,
    /// Its owner.
    pub partner: PartnerId,
    /// Deposit or credit.
    pub kind: PartnerBalanceKind,
    /// Its currency, for ever.
    pub currency: Currency,
    /// Its money.
    pub funds: Funds,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNDS: Funds = Funds { ledger: Amount(100), held: Amount(30) };

    #[test]
    fn available_is_what_is_booked_and_not_held() {
        assert_eq!(FUNDS.available(), Amount(70));
        for (amount, covered) in [(70, true), (71, false), (0, true), (-5, true)] {
            assert_eq!(FUNDS.covers(Amount(amount)), covered, "{amount}");
        }
        let overdrawn = Funds { ledger: Amount(-1), held: Amount(0) };
        assert!(overdrawn.covers(Amount::ZERO) && !overdrawn.covers(Amount(1)));
    }

    #[test]
    fn no_more_is_released_than_is_held() {
        assert_eq!(FUNDS.released(Amount(30)).map(|f| f.held), Some(Amount::ZERO));
        assert_eq!(FUNDS.released(Amount(31)), None);
    }

    #[test]
    fn sums_that_do_not_fit_change_nothing() {
        assert_eq!(FUNDS.booked(Amount(i64::MAX)), None);
        assert_eq!(FUNDS.reserved(Amount(i64::MAX)), None);
    }
}
