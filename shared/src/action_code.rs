//! Every outcome of a message, numbered for ever: the reason, its notifier description, its
//! internal four-digit action code and its place in a link's table of wire codes.
//!
//! Invariant: a reason's number never changes and is never used again; journals hold it.
//! Source: authorization 2, surface 4, requirements #0.1 and #158.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::lock_code::LockCode;

/// An internal action code: four digits of ISO 8583:2003.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionCode(pub u16);

impl fmt::Display for ActionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $number:literal $name:ident $description:literal $code:literal $wire87:literal)*) => {
        /// Why a message was answered as it was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $number),* }

        impl Reason {
            /// Every reason, in order of number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The description that notifications and explanations carry.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description),* }
            }

            /// The internal action code.
            #[must_use]
            pub const fn action_code(self) -> ActionCode {
                match self { $(Self::$name => ActionCode($code)),* }
            }

            /// DE39 of the sandbox links in ISO 8583:1987. Source: surface 4.
            #[must_use]
            pub const fn wire87(self) -> [u8; 2] {
                match self { $(Self::$name => *$wire87),* }
            }
        }
    };
}

reasons! {
    /// All checks passed.
    0 Approved "APPROVED" 0 b"00"
    /// The message is malformed for its dialect and type.
    1 FormatError "FORMAT_ERROR" 9100 b"30"
    /// Its key was reversed, voided or tombstoned before.
    2 ReversedBeforeRequest "REVERSED_BEFORE_REQUEST" 1000 b"05"
    /// Its key was used before with other content.
    3 Duplicate "DUPLICATE" 9113 b"94"
    /// The processing code is not one that this issuer serves.
    4 UnknownTransactionType "UNKNOWN_TRANSACTION_TYPE" 1015 b"12"
    /// The amount is zero where it may not be, or too large to hold.
    5 InvalidAmount "INVALID_AMOUNT" 1010 b"13"
    /// No such card, or removed.
    6 CardNotFound "CARD_NOT_FOUND" 1011 b"14"
    /// The card is not activated yet.
    7 CardInactive "CARD_INACTIVE" 1025 b"78"
    /// The card is past its month, or the message states another one.
    8 CardExpired "CARD_EXPIRED" 1001 b"54"
    /// Lock 1.
    9 CardLost "CARD_LOCKED" 2008 b"41"
    /// Lock 2.
    10 CardStolen "CARD_LOCKED" 2009 b"43"
    /// Lock 3.
    11 CardPendingQuery "CARD_LOCKED" 1000 b"05"
    /// Lock 4.
    12 CardConsolidation "CARD_LOCKED" 1016 b"51"
    /// Lock 5.
    13 CardDeactivated "CARD_LOCKED" 1018 b"56"
    /// Lock 6.
    14 CardPinTriesExceeded "CARD_LOCKED" 1006 b"75"
    /// Lock 7.
    15 CardSuspectedFraud "CARD_LOCKED" 1002 b"59"
    /// Lock 8.
    16 CardReplaced "CARD_LOCKED" 1011 b"14"
    /// The card's holder is unknown or not verified.
    17 CustomerNotFound "CUSTOMER_NOT_FOUND" 1014 b"42"
    /// The holder is under an anti-money-laundering lock.
    18 AmlException "AML_EXCEPTION" 1078 b"05"
    /// The card's balance is unknown or not open.
    19 BalanceNotFound "BALANCE_NOT_FOUND" 1014 b"42"
    /// The billing currency is not the balance's.
    20 CurrencyMismatch "CURRENCY_MISMATCH" 1030 b"57"
    /// Deposit mode without a deposit in the currency.
    21 DepositBalanceNotFound "DEPOSIT_BALANCE_NOT_FOUND" 1015 b"57"
    /// The partner's deposit does not cover the amount.
    22 InsufficientFundsOnDeposit "INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE" 1016 b"51"
    /// The user's balance does not cover the amount.
    23 InsufficientFunds "INSUFFICIENT_FUNDS" 1016 b"51"
    /// A reversal was carried out, or had nothing left to do.
    24 ReversalAccepted "REVERSAL_ACCEPTED" 4000 b"00"
    /// A reversal advice without its original: acknowledged, a tombstone is kept.
    25 ReversalAcknowledged "REFERENCED_TRANSACTION_NOT_FOUND" 4000 b"00"
    /// A reversal request without its original: a tombstone is kept.
    26 ReversalUnmatched "REFERENCED_TRANSACTION_NOT_FOUND" 9114 b"25"
    /// Network management done.
    27 NetworkManagementDone "NETWORK_MANAGEMENT_DONE" 8000 b"00"
    /// The link is not signed on, or the switch cannot take the message now.
    28 Unavailable "UNAVAILABLE" 9107 b"91"
    /// Anything else: counted, logged, alarmed.
    29 UnknownError "UNKNOWN_ERROR" 9109 b"96"
}

impl Reason {
    /// The number for ever.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether money was held or an acknowledgement given.
    #[must_use]
    pub const fn is_approval(self) -> bool {
        matches!(self, Self::Approved)
    }

    /// The decline of a card under `lock`.
    #[must_use]
    pub const fn of_lock(lock: LockCode) -> Self {
        match lock {
            LockCode::Lost => Self::CardLost,
            LockCode::Stolen => Self::CardStolen,
            LockCode::PendingQuery => Self::CardPendingQuery,
            LockCode::Consolidation => Self::CardConsolidation,
            LockCode::Inactive => Self::CardDeactivated,
            LockCode::PinTriesExceeded => Self::CardPinTriesExceeded,
            LockCode::SuspectedFraud => Self::CardSuspectedFraud,
            LockCode::Replaced => Self::CardReplaced,
        }
    }

    /// The name that a link's table overrides it by: the description, with the lock's number
    /// behind it where eight reasons share one (`CARD_LOCKED_7`).
    #[must_use]
    pub fn table_key(self) -> String {
        let lock = crate::lock_code::TABLE.iter().find(|row| Self::of_lock(row.code) == self);
        match lock {
            Some(row) => format!("{}_{}", self.description(), row.code.number()),
            None => self.description().to_owned(),
        }
    }
}

/// A link's wire codes: DE39 by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseCodes {
    codes: Vec<[u8; 2]>,
}

impl Default for ResponseCodes {
    fn default() -> Self {
        Self { codes: Reason::ALL.iter().map(|reason| reason.wire87()).collect() }
    }
}

impl ResponseCodes {
    /// DE39 for `reason`.
    #[must_use]
    pub fn code(&self, reason: Reason) -> [u8; 2] {
        self.codes.get(usize::from(reason.number())).copied().unwrap_or(*b"96")
    }

    /// Replaces the code of every reason whose [`Reason::table_key`] is `key`; false where there
    /// is none or the code is not two letters or digits.
    #[must_use]
    pub fn replace(&mut self, key: &str, code: &str) -> bool {
        let Ok(wire) = <[u8; 2]>::try_from(code.as_bytes()) else { return false };
        if !wire.iter().all(u8::is_ascii_alphanumeric) {
            return false;
        }
        let mut found = false;
        for (reason, slot) in Reason::ALL.iter().zip(&mut self.codes) {
            if reason.table_key() == key {
                *slot = wire;
                found = true;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock_code::TABLE;

    #[test]
    fn every_reason_stands_at_its_number() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(usize::from(reason.number()), place);
        }
    }

    #[test]
    fn a_lock_declines_with_the_action_code_of_its_row() {
        for row in TABLE {
            assert_eq!(Reason::of_lock(row.code).action_code(), row.action);
        }
    }

    #[test]
    fn the_wire_codes_are_those_of_the_surface_contract() {
        let locks: Vec<String> = TABLE
            .iter()
            .map(|row| {
                String::from_utf8(Reason::of_lock(row.code).wire87().to_vec()).expect("ASCII")
            })
            .collect();
        assert_eq!(locks, ["41", "43", "05", "51", "56", "75", "59", "14"]);
        for (reason, code) in [
            (Reason::Approved, b"00"),
            (Reason::InsufficientFunds, b"51"),
            (Reason::DepositBalanceNotFound, b"57"),
            (Reason::CardNotFound, b"14"),
            (Reason::CardInactive, b"78"),
            (Reason::CardExpired, b"54"),
            (Reason::BalanceNotFound, b"42"),
            (Reason::AmlException, b"05"),
            (Reason::CurrencyMismatch, b"57"),
            (Reason::InvalidAmount, b"13"),
            (Reason::UnknownTransactionType, b"12"),
            (Reason::ReversedBeforeRequest, b"05"),
            (Reason::FormatError, b"30"),
            (Reason::Duplicate, b"94"),
            (Reason::UnknownError, b"96"),
            (Reason::ReversalUnmatched, b"25"),
        ] {
            assert_eq!(ResponseCodes::default().code(reason), *code, "{reason:?}");
        }
    }

    #[test]
    fn a_link_replaces_the_code_of_one_lock() {
        let mut codes = ResponseCodes::default();
        assert!(codes.replace("CARD_LOCKED_5", "14"));
        assert_eq!(codes.code(Reason::CardDeactivated), *b"14");
        assert_eq!(codes.code(Reason::CardLost), *b"41");
        assert!(!codes.replace("CARD_LOCKED", "14"));
        assert!(!codes.replace("APPROVED", "000"));
    }
}
