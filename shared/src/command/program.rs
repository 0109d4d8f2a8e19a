//! Card programs: whose they are, what stands behind them, who keeps the money, and the rules that
//! may change.

use serde::{Deserialize, Serialize};

use crate::ids::{ConfigId, PartnerId};
use crate::money::{Amount, Currency};

/// How a card program treats money and cards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its `configId`.
    pub id: ConfigId,
    /// Whose it is.
    pub partner: PartnerId,
    /// The only currency its cards have.
    pub currency: Currency,
    /// What the partner puts up.
    pub collateral: Collateral,
    /// What may change while the program lives.
    pub policy: Policy,
}

/// The rules of a program that may change; open holds keep the lifetime they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Hours that a hold of a purchase lives, 1 to [`HOLD_HOURS_MAX`].
    pub purchase_hold_hours: u16,
    /// Hours that a hold of a cash withdrawal or an account funding lives, in the same range.
    pub cash_hold_hours: u16,
    /// Hours that a pending credit lives, in the same range.
    pub credit_hold_hours: u16,
    /// Whether a part may be approved where the money does not cover the whole.
    pub partial_approval: bool,
    /// Payment credits (DE3 26, 28) up to this are available at once; others when they clear.
    pub instant_credit_max: Amount,
    /// Wrong PINs in a row after which lock 6 is set, at least 1.
    pub pin_tries_max: u8,
}

/// Hours that a hold may live at most: 400 days.
pub const HOLD_HOURS_MAX: u16 = 400 * 24;

impl Default for Policy {
    fn default() -> Self {
        Self {
            purchase_hold_hours: 7 * 24,
            cash_hold_hours: 3 * 24,
            credit_hold_hours: 30 * 24,
            partial_approval: false,
            instant_credit_max: Amount::ZERO,
            pin_tries_max: 3,
        }
    }
}

/// How the partner that keeps the money of a program's holders is asked for it. Source:
/// requirements #81, authorization 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custody {
    /// Milliseconds that it has to answer, 1 to [`ANSWER_MS_MAX`].
    pub answer_ms: u16,
    /// What is told where it does not.
    pub on_silence: OnSilence,
}

/// Milliseconds that a partner may take to answer at most.
pub const ANSWER_MS_MAX: u16 = 10_000;

/// What is told where a partner does not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnSilence {
    /// A final decline.
    Decline,
    /// That the issuer is not there: the network may decide by itself.
    LetNetworkStandIn,
}

/// What stands behind a program's authorizations and top-ups. Source: requirements #84, #85.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collateral {
    /// Nothing.
    None,
    /// The partner deposit is held at each authorization.
    Deposit,
    /// The partner credit balance is charged at each top-up.
    Credit,
    /// The partner technical balance is held at each authorization, like a deposit.
    Technical,
}

impl Collateral {
    /// The kind of partner balance that is held at each authorization.
    #[must_use]
    pub const fn held_kind(self) -> Option<PartnerBalanceKind> {
        match self {
            Self::Deposit => Some(PartnerBalanceKind::Deposit),
            Self::Technical => Some(PartnerBalanceKind::Technical),
            Self::None | Self::Credit => None,
        }
    }
}

/// Kind of a partner balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartnerBalanceKind {
    /// Held at each authorization.
    Deposit,
    /// Charged at each top-up.
    Credit,
    /// Held at each authorization of a program with technical collateral.
    Technical,
}
