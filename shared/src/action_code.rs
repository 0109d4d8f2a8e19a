//! Every outcome of a message, numbered for ever: the reason, its notifier description, its
//! internal four-digit action code and its place in a link's table of wire codes.
//!
//! Invariant: a reason's number never changes and is never used again; journals hold it.
//! Source: authorization 2, surface 4, requirements #0.1 and #158.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::iso8583::mti::Version;
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
    ($($(#[$doc:meta])* $number:literal $name:ident $description:literal $code:literal $wire87:literal $wire93:literal
        $sentence:literal)*) => {
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

            /// The same in words that can be read out to a cardholder: they say no more than
            /// cardholders may know of checks against fraud. Source: requirements 4.3.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),* }
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

            /// The same in ISO 8583:1993.
            #[must_use]
            pub const fn wire93(self) -> [u8; 3] {
                match self { $(Self::$name => *$wire93),* }
            }
        }
    };
}

reasons! {
    /// All checks passed.
    0 Approved "APPROVED" 0 b"00" b"000"
        "The payment was approved."
    /// The message is malformed for its dialect and type.
    1 FormatError "FORMAT_ERROR" 9100 b"30" b"904"
        "The merchant's request could not be read; the merchant may retry."
    /// Its key was reversed, voided or tombstoned before.
    2 ReversedBeforeRequest "REVERSED_BEFORE_REQUEST" 1000 b"05" b"100"
        "The merchant took this payment back before it came; nothing was charged."
    /// Its key was used before with other content.
    3 Duplicate "DUPLICATE" 9113 b"94" b"913"
        "The merchant sent another payment under the same number."
    /// The processing code is not one that this issuer serves.
    4 UnknownTransactionType "UNKNOWN_TRANSACTION_TYPE" 1015 b"12" b"115"
        "This kind of payment is not possible with the card."
    /// The amount is zero where it may not be, or too large to hold.
    5 InvalidAmount "INVALID_AMOUNT" 1010 b"13" b"110"
        "The amount is not one that can be paid."
    /// No such card, or removed.
    6 CardNotFound "CARD_NOT_FOUND" 1011 b"14" b"111"
        "The card does not exist, or was removed."
    /// The card is not activated yet.
    7 CardInactive "CARD_INACTIVE" 1025 b"78" b"125"
        "The card is not activated yet: activate it first."
    /// The card is past its month, or the message states another one.
    8 CardExpired "CARD_EXPIRED" 1001 b"54" b"101"
        "The card has expired, or another expiry date was given."
    /// Lock 1.
    9 CardLost "CARD_LOCKED" 2008 b"41" b"208"
        "The card is locked for ever because it was reported as lost."
    /// Lock 2.
    10 CardStolen "CARD_LOCKED" 2009 b"43" b"209"
        "The card is locked for ever because it was reported as stolen."
    /// Lock 3.
    11 CardPendingQuery "CARD_LOCKED" 1000 b"05" b"100"
        "The card is locked until a question about it is settled."
    /// Lock 4.
    12 CardConsolidation "CARD_LOCKED" 1016 b"51" b"116"
        "The card is locked while cards or balances are put together."
    /// Lock 5.
    13 CardDeactivated "CARD_LOCKED" 1018 b"56" b"118"
        "The card was deactivated for ever."
    /// Lock 6.
    14 CardPinTriesExceeded "CARD_LOCKED" 1006 b"75" b"106"
        "The card is locked because a wrong PIN was given too often."
    /// Lock 7.
    15 CardSuspectedFraud "CARD_LOCKED" 1002 b"59" b"102"
        "The card is locked while unusual payments are looked at."
    /// Lock 8.
    16 CardReplaced "CARD_LOCKED" 1011 b"14" b"111"
        "The card was replaced by another one: use the new card."
    /// The card's holder is unknown or not verified.
    17 CustomerNotFound "CUSTOMER_NOT_FOUND" 1014 b"42" b"114"
        "The cardholder's identity is not verified."
    /// The holder is under an anti-money-laundering lock.
    18 AmlException "AML_EXCEPTION" 1078 b"05" b"100"
        "The payment cannot be made; the issuer will say more."
    /// The card's balance is unknown or not open.
    19 BalanceNotFound "BALANCE_NOT_FOUND" 1014 b"42" b"114"
        "The card's balance is closed."
    /// The billing currency is not the balance's.
    20 CurrencyMismatch "CURRENCY_MISMATCH" 1030 b"57" b"115"
        "The card cannot be billed in this currency."
    /// Deposit mode without a deposit in the currency.
    21 DepositBalanceNotFound "DEPOSIT_BALANCE_NOT_FOUND" 1015 b"57" b"115"
        "The card's partner has no cover for the payment at the moment; the cardholder's money was not touched."
    /// The partner's deposit does not cover the amount.
    22 InsufficientFundsOnDeposit "INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE" 1016 b"51" b"116"
        "The card's partner has no cover for the payment at the moment; the cardholder's money was not touched."
    /// The user's balance does not cover the amount.
    23 InsufficientFunds "INSUFFICIENT_FUNDS" 1016 b"51" b"116"
        "The balance does not cover the payment and its fees: top it up."
    /// A reversal was carried out, or had nothing left to do.
    24 ReversalAccepted "REVERSAL_ACCEPTED" 4000 b"00" b"400"
        "The merchant took the payment back."
    /// A reversal advice without its original: acknowledged, a tombstone is kept.
    25 ReversalAcknowledged "REFERENCED_TRANSACTION_NOT_FOUND" 4000 b"00" b"400"
        "The merchant took back a payment that never came."
    /// A reversal request without its original: a tombstone is kept.
    26 ReversalUnmatched "REFERENCED_TRANSACTION_NOT_FOUND" 9114 b"25" b"914"
        "The merchant took back a payment that never came."
    /// Network management done.
    27 NetworkManagementDone "NETWORK_MANAGEMENT_DONE" 8000 b"00" b"800"
        "A message between the networks, without money."
    /// The link is not signed on, or the switch cannot take the message now.
    28 Unavailable "UNAVAILABLE" 9107 b"91" b"907"
        "The issuer could not answer at the moment; try again."
    /// Anything else: counted, logged, alarmed.
    29 UnknownError "UNKNOWN_ERROR" 9109 b"96" b"909"
        "Something went wrong at the issuer; try again."
    /// All checks passed, but the money covers a part only.
    30 ApprovedPartially "APPROVED" 2 b"10" b"002"
        "A part of the payment was approved: the balance does not cover all of it."
    /// A card verification value is wrong.
    31 InvalidCvv "INVALID_CVV" 1045 b"82" b"100"
        "The card's verification value is wrong."
    /// The PIN is wrong.
    32 InvalidPin "INVALID_PIN" 1017 b"55" b"117"
        "The PIN is wrong."
    /// The PIN is wrong once too often: lock 6 is set with this answer.
    33 PinTriesExceeded "PIN_TRIES_EXCEEDED" 1006 b"75" b"106"
        "The PIN was wrong once too often: the card is locked now."
    /// A permission forbids the channel, merchant category, country or merchant.
    34 NotPermitted "NOT_PERMITTED" 1019 b"57" b"119"
        "The card's settings do not allow payments of this kind, country or merchant."
    /// An amount limit of the card or its holder.
    35 ExceedsAmountLimit "EXCEEDS_AMOUNT_LIMIT" 1021 b"61" b"121"
        "The payment is above an amount limit of the card."
    /// A budget of the card or its holder.
    36 BudgetExceeded "BUDGET_EXCEEDED" 1021 b"61" b"121"
        "The budget of the card or its holder is used up."
    /// A limit of the program or the partner, or one of counts.
    37 LimitExceeded "LIMIT_EXCEED" 1023 b"65" b"123"
        "A limit on the number or the sum of payments is reached."
    /// Technical collateral without such a balance in the currency.
    38 CollateralBalanceNotFound "COLLATERAL_BALANCE_NOT_FOUND" 1015 b"57" b"115"
        "The card's partner has no cover for the payment at the moment; the cardholder's money was not touched."
    /// The partner's technical balance does not cover the amount.
    39 InsufficientCollateral "INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE" 1016 b"51" b"116"
        "The card's partner has no cover for the payment at the moment; the cardholder's money was not touched."
    /// An advice or a clearing is recorded.
    40 AdviceRecorded "ADVICE_RECORDED" 0 b"00" b"000"
        "The network reported what was decided without asking the issuer."
    /// A clearing or an advice fits several transactions: recorded, none of them touched.
    41 AdviceAmbiguous "AMBIGUOUS_REFERENCED_TRANSACTION" 0 b"00" b"000"
        "The payment was settled; it fits several earlier ones, so it is looked at by people."
    /// A clearing without its original: posted by force.
    42 AdviceUnmatched "REFERENCED_TRANSACTION_NOT_FOUND" 0 b"00" b"000"
        "The payment was settled without an approval before; it is looked at by people."
    /// A reversal fits several transactions: acknowledged, nothing moved.
    43 ReversalAmbiguous "AMBIGUOUS_REFERENCED_TRANSACTION" 4000 b"00" b"400"
        "Several payments fit what the merchant took back; it is looked at by people."
    /// An incremental authorization without the one that it adds to.
    44 OriginalNotFound "REFERENCED_TRANSACTION_NOT_FOUND" 9114 b"25" b"914"
        "The payment that this one adds to was not found."
    /// An incremental authorization that several others fit.
    45 OriginalAmbiguous "AMBIGUOUS_REFERENCED_TRANSACTION" 9114 b"25" b"914"
        "The payment that this one adds to was not found."
    /// A lock outside was set or lifted.
    46 LockChanged "LOCK_CHANGED" 3000 b"00" b"300"
        "A network locked or unlocked the card."
    /// A lock outside for a card that is not known.
    47 LockCardNotFound "CARD_NOT_FOUND" 3002 b"25" b"302"
        "A network asked to lock a card that does not exist."
    /// A lock outside on a card that is locked irreversibly.
    48 LockRefused "LOCK_IRREVERSIBLE" 3006 b"29" b"306"
        "A network asked to change a lock that is for ever."
    /// An administrative message was taken.
    49 AdministrativeTaken "ADMINISTRATIVE_TAKEN" 6000 b"00" b"600"
        "A message between the networks, without money."
    /// The partner that keeps the holder's money declined without a reason of the documented ones.
    50 PartnerDeclined "PARTNER_DECLINED" 1000 b"05" b"100"
        "The card's partner, which keeps the money, declined the payment."
    /// The partner did not answer in time: a final decline.
    51 PartnerSilent "TIMEOUT" 1000 b"05" b"100"
        "The card's partner, which keeps the money, did not answer in time; nothing was charged."
    /// The partner did not answer in time: the network may decide by itself.
    52 NetworkMayStandIn "TIMEOUT_STAND_IN" 9111 b"91" b"911"
        "The card's partner, which keeps the money, did not answer in time; nothing was charged."
    /// The partner suspects fraud.
    53 FraudsDetected "FRAUDS_DETECTED" 1002 b"59" b"102"
        "The card's partner, which keeps the money, does not allow the payment."
    /// A limit at the partner.
    54 PartnerLimitExceeded "LIMIT_EXCEED" 1021 b"61" b"121"
        "A limit at the card's partner, which keeps the money, is reached."
    /// The card's balance is blocked.
    55 BalanceBlocked "BALANCE_BLOCKED" 1004 b"62" b"104"
        "The card's balance is blocked at the moment; money can come in, but none can be spent."
}

impl Reason {
    /// The number for ever.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a request was approved, in whole or in part.
    #[must_use]
    pub const fn is_approval(self) -> bool {
        matches!(self, Self::Approved | Self::ApprovedPartially)
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

    /// The name that a link's table overrides it by: the description, and what tells it from the
    /// others of the same description (`CARD_LOCKED_7`, `APPROVED_0002`).
    #[must_use]
    pub fn table_key(self) -> String {
        let lock = crate::lock_code::TABLE.iter().find(|row| Self::of_lock(row.code) == self);
        if let Some(row) = lock {
            return format!("{}_{}", self.description(), row.code.number());
        }
        let description = self.description();
        let first = Self::ALL.iter().find(|reason| reason.description() == description);
        if first == Some(&self) {
            description.to_owned()
        } else {
            let place = Self::ALL.iter().filter(|r| r.number() < self.number());
            let same_code = place
                .filter(|r| r.description() == description && r.action_code() == self.action_code())
                .count();
            match same_code {
                0 => format!("{description}_{}", self.action_code()),
                _ => format!("{description}_{}_{}", self.action_code(), self.number()),
            }
        }
    }

    /// The reason of an internal code on a link, as its own edition of the standard writes it.
    fn wire(self, edition: Version) -> WireCode {
        match edition {
            Version::V1987 => WireCode::of(&self.wire87()),
            Version::V1993 => WireCode::of(&self.wire93()),
            Version::V2003 => WireCode::of(self.action_code().to_string().as_bytes()),
        }
    }
}

/// DE39 on the wire: two, three or four letters or digits by edition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCode {
    characters: [u8; 4],
    length: u8,
}

impl WireCode {
    fn of(text: &[u8]) -> Self {
        let mut code = Self::default();
        for (to, from) in code.characters.iter_mut().zip(text) {
            *to = *from;
            code.length += 1;
        }
        code
    }

    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.characters.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// A link's wire codes: DE39 by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseCodes {
    codes: Vec<WireCode>,
}

impl ResponseCodes {
    /// The table of the sandbox links in an edition of the standard. Source: surface 4.
    #[must_use]
    pub fn of(edition: Version) -> Self {
        Self { codes: Reason::ALL.iter().map(|reason| reason.wire(edition)).collect() }
    }

    /// DE39 for `reason`.
    #[must_use]
    pub fn code(&self, reason: Reason) -> WireCode {
        self.codes.get(usize::from(reason.number())).copied().unwrap_or_default()
    }

    /// Replaces the code of every reason whose [`Reason::table_key`] is `key`; false where there
    /// is none, or the code is not letters and digits, as many as the edition has.
    #[must_use]
    pub fn replace(&mut self, key: &str, code: &str) -> bool {
        let wire = WireCode::of(code.as_bytes());
        if !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        let mut found = false;
        for (reason, slot) in Reason::ALL.iter().zip(&mut self.codes) {
            if reason.table_key() == key && slot.length == wire.length && code.len() <= 4 {
                *slot = wire;
                found = true;
            }
        }
        found
    }
}

/// What stands for the failing field's number, as three digits, in the text of a format error.
pub const FAILING_FIELD: &str = "{field}";

/// A link's additional response data: a text by reason, in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseData {
    /// The field: 44, in the 2003 edition 18.
    pub field: u8,
    texts: Vec<String>,
}

impl ResponseData {
    /// Of an edition: a format error names the failing field, and nothing else says anything.
    /// Source: surface 4.
    #[must_use]
    pub fn of(edition: Version) -> Self {
        let field = match edition {
            Version::V1987 | Version::V1993 => 44,
            Version::V2003 => 18,
        };
        let text = |reason: &Reason| match *reason == Reason::FormatError {
            true => FAILING_FIELD.to_owned(),
            false => String::new(),
        };
        Self { field, texts: Reason::ALL.iter().map(text).collect() }
    }

    /// What is said of `reason`; empty for nothing.
    #[must_use]
    pub fn text(&self, reason: Reason) -> &str {
        self.texts.get(usize::from(reason.number())).map_or("", String::as_str)
    }

    /// Replaces the text of the reason whose [`Reason::table_key`] is `key`; false where there is
    /// none.
    #[must_use]
    pub fn replace(&mut self, key: &str, text: &str) -> bool {
        let mut rows = Reason::ALL.iter().zip(&mut self.texts);
        rows.find(|(reason, _)| reason.table_key() == key)
            .map(|(_, place)| text.clone_into(place))
            .is_some()
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
            let codes = ResponseCodes::of(Version::V1987);
            assert_eq!(codes.code(reason).as_bytes(), code, "{reason:?}");
        }
    }

    #[test]
    fn a_link_replaces_the_code_of_one_lock() {
        let mut codes = ResponseCodes::of(Version::V1987);
        assert!(codes.replace("CARD_LOCKED_5", "14"));
        assert_eq!(codes.code(Reason::CardDeactivated).as_bytes(), b"14");
        assert_eq!(codes.code(Reason::CardLost).as_bytes(), b"41");
        assert!(!codes.replace("CARD_LOCKED", "14"));
        assert!(!codes.replace("APPROVED", "000"));
        let mut codes = ResponseCodes::of(Version::V2003);
        assert!(codes.replace("APPROVED", "0008") && !codes.replace("APPROVED", "00008"));
        assert_eq!(codes.code(Reason::Approved).as_bytes(), b"0008");
    }

    #[test]
    fn every_reason_has_a_key_of_its_own() {
        let mut keys: Vec<String> = Reason::ALL.iter().map(|reason| reason.table_key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Reason::ALL.len());
    }
}
