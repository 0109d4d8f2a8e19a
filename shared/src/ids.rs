//! Identities. Every id is a type of its own, so that two of them cannot be exchanged in a call.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let v = self.0;
                write!(
                    f,
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    v >> 96,
                    (v >> 80) & 0xffff,
                    (v >> 64) & 0xffff,
                    (v >> 48) & 0xffff,
                    v & 0xffff_ffff_ffff
                )
            }
        }
    };
}

id! {
    /// A partner (institution) whose programs issue cards. Source: requirements #2.
    PartnerId(u32)
}
id! {
    /// A cardholder. Source: requirements #3.
    CustomerId(u64)
}
id! {
    /// A card as REST names it (`id`). Source: requirements #114.
    CardId(u64)
}
id! {
    /// A fee of a card program. Source: requirements #165.
    FeeId(u64)
}
id! {
    /// One configured processor link; part of every message key.
    LinkId(u16)
}
id! {
    /// Place of a command in the journal, starting at 1. It also names the transaction that the
    /// command created.
    Sequence(u64)
}
id! {
    /// Milliseconds since 1970-01-01T00:00:00Z, stamped by the shell and journaled: the core's
    /// only notion of time.
    Timestamp(u64)
}
uuid_id! {
    /// A user balance (`balanceId`). Source: requirements #77.
    BalanceId
}
uuid_id! {
    /// A partner's deposit or credit balance. Source: requirements #84, #85.
    PartnerBalanceId
}
uuid_id! {
    /// A limit or permission. Source: requirements #138.
    RuleId
}
uuid_id! {
    /// A management command; sent again, it gets its first outcome. Source: authorization 6.
    CommandId
}

/// A card program's `configId`: ten digits, leading zeros kept. Source: requirements #23.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ConfigId(pub u64);

impl ConfigId {
    /// Reads exactly ten digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl Sequence {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_id_keeps_its_leading_zeros() {
        assert_eq!(ConfigId::parse("0019167984").unwrap().to_string(), "0019167984");
        for bad in ["19167984", "00191679841", "001916798x", ""] {
            assert_eq!(ConfigId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_balance_id_prints_as_a_uuid() {
        let id = BalanceId(0x0351_eb09_3ac0_4234_a4ad_0a6a_d52f_248b);
        assert_eq!(id.to_string(), "0351eb09-3ac0-4234-a4ad-0a6ad52f248b");
    }
}
