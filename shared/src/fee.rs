//! Fees as data: what a payment costs beside its amount, who pays it, and what it is made of.
//!
//! Invariant: a fee is a function of what is open or posted of its transaction, so that it is
//! reserved, taken and given back with it; nothing costs nothing. A program without fees costs a
//! decision nothing. Source: authorization 3, requirements #165-#172.

use serde::{Deserialize, Serialize};

use crate::command::Authorization;
use crate::ids::{ConfigId, FeeId};
use crate::limits::SUM_MAX;
use crate::money::{Amount, Money};
use crate::rule::Filter;

/// Fees on the payments of one program at most.
pub const FEES_A_PROGRAM_MAX: usize = 8;
/// The fixed part of a fee at most, minor units.
pub const FIXED_MAX: Amount = Amount(1_000_000_000_000);
/// The proportional part of a fee at most, parts of a million: all of it.
pub const RATE_PPM_MAX: u32 = 1_000_000;
/// One fee at most, so that all of a payment fit beside it.
const FEE_MAX: i128 = SUM_MAX as i128 / FEES_A_PROGRAM_MAX as i128;

/// A fee on the payments of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// Its id.
    pub id: FeeId,
    /// Whose payments it is on, for ever.
    pub program: ConfigId,
    /// Which of them.
    pub filter: Filter,
    /// Only those billed in another currency than they were made in.
    pub converted: bool,
    /// How much, and who pays.
    pub terms: Terms,
}

/// What a fee comes to, and who pays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Once for a payment, in the balance's currency; 0 to [`FIXED_MAX`].
    pub fixed: Amount,
    /// Parts of a million of what is billed, 0 to [`RATE_PPM_MAX`].
    pub rate_ppm: u32,
    /// Who pays.
    pub payer: Payer,
}

/// Who pays a fee. Source: requirements #170.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payer {
    /// The holder, at once, out of the balance.
    Holder,
    /// The partner, by invoice.
    Partner,
}

/// A fee that is due for something else than a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Which fee.
    pub fee: FeeId,
    /// How much; more than zero, in the balance's currency.
    pub money: Money,
    /// Who pays.
    pub payer: Payer,
}

/// One fee of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargedFee {
    /// Which fee.
    pub fee: FeeId,
    /// Its terms as they were when the payment was made. What clears a hold takes the fixed part
    /// over from it, once.
    pub terms: Terms,
    /// What is held for it on the holder's balance.
    pub reserved: Amount,
    /// What was taken and not given back.
    pub taken: Amount,
}

impl Charge {
    /// What the holder pays of it.
    #[must_use]
    pub fn of_holder(&self) -> Amount {
        match self.payer {
            Payer::Holder => self.money.amount,
            Payer::Partner => Amount::ZERO,
        }
    }
}

impl Terms {
    /// What is due on `amount`, rounded half up; nothing on nothing.
    #[must_use]
    pub fn on(&self, amount: Amount) -> Amount {
        if !amount.is_positive() {
            return Amount::ZERO;
        }
        let share = (i128::from(amount.0) * i128::from(self.rate_ppm) + 500_000) / 1_000_000;
        let due = (share + i128::from(self.fixed.0)).min(FEE_MAX);
        Amount(i64::try_from(due).unwrap_or(i64::MAX))
    }

    /// What the holder pays of it.
    #[must_use]
    pub fn of_holder(&self, amount: Amount) -> Amount {
        match self.payer {
            Payer::Holder => self.on(amount),
            Payer::Partner => Amount::ZERO,
        }
    }

    fn are_sound(&self) -> bool {
        (Amount::ZERO..=FIXED_MAX).contains(&self.fixed)
            && self.rate_ppm <= RATE_PPM_MAX
            && (self.fixed.is_positive() || self.rate_ppm > 0)
    }
}

impl Fee {
    /// Whether its terms and its lists are within their bounds.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.terms.are_sound() && self.filter.is_sound()
    }

    /// Whether it is on this payment.
    pub(crate) fn is_on(&self, message: &Authorization) -> bool {
        let converted = message.billed().currency != message.transaction.currency;
        (converted || !self.converted) && self.filter.matches(&message.acceptance)
    }
}

impl ChargedFee {
    /// A fee with nothing reserved or taken.
    pub(crate) const fn new(fee: FeeId, terms: Terms) -> Self {
        Self { fee, terms, reserved: Amount::ZERO, taken: Amount::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_its_fixed_part_and_its_share_rounded_half_up() {
        let cases = [
            // fixed, parts of a million, on, due
            (50, 0, 1, 50),
            (0, 10_000, 149, 1),
            (0, 10_000, 150, 2),
            (0, 10_000, 49, 0),
            (30, 25_000, 10_000, 280),
            (30, 25_000, 0, 0),
            (30, 25_000, -10_000, 0),
            (0, RATE_PPM_MAX, 77, 77),
            (1, 1, 1, 1),
        ];
        for (fixed, rate_ppm, amount, due) in cases {
            let terms = Terms { fixed: Amount(fixed), rate_ppm, payer: Payer::Holder };
            assert_eq!(terms.on(Amount(amount)), Amount(due), "{fixed} {rate_ppm} {amount}");
            assert_eq!(terms.of_holder(Amount(amount)), Amount(due));
            let invoiced = Terms { payer: Payer::Partner, ..terms };
            assert_eq!(invoiced.of_holder(Amount(amount)), Amount::ZERO);
        }
    }

    #[test]
    fn all_fees_of_the_largest_payment_fit_beside_it() {
        let terms = Terms { fixed: FIXED_MAX, rate_ppm: RATE_PPM_MAX, payer: Payer::Holder };
        let due = terms.on(Amount(SUM_MAX)).0;
        assert!(due.checked_mul(i64::try_from(FEES_A_PROGRAM_MAX).unwrap()).unwrap() <= SUM_MAX);
        assert!(terms.on(Amount(i64::MAX)).0 <= SUM_MAX);
    }

    #[test]
    fn terms_out_of_their_bounds_are_not_sound() {
        let sound = Terms { fixed: Amount(1), rate_ppm: 0, payer: Payer::Holder };
        assert!(sound.are_sound() && Terms { fixed: Amount(0), rate_ppm: 1, ..sound }.are_sound());
        for (fixed, rate_ppm) in [(0, 0), (-1, 5), (FIXED_MAX.0 + 1, 0), (0, RATE_PPM_MAX + 1)] {
            let terms = Terms { fixed: Amount(fixed), rate_ppm, ..sound };
            assert!(!terms.are_sound(), "{fixed} {rate_ppm}");
        }
    }
}
