//! Fixture files: one JSON line a card or a message, expected answers written by hand. The format is
//! described in `fixtures/README.md`.
//!
//! | file | what it holds |
//! |---|---|
//! | `cards` | cards issued and prepared as a file wants them |
//! | `edition` | a message as each edition of the standard writes it |
//! | `codes` | DE39 of every outcome in each edition, written by hand |
//! | `player` | messages sent, replies compared |
//! | `recorded` | the reasons that the journal holds |
//! | `volume` | messages in volume, without stated answers |
//!
//! Invariant: a line with an unknown member, an unknown card or an unknown name is refused with its
//! number; the answers that are expected never come from our own code.

pub mod cards;
pub mod codes;
pub mod edition;
pub mod player;
mod recorded;
pub mod volume;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use cards::Limit;

/// Single decisions.
pub const DECISIONS: &str = include_str!("../../fixtures/transactions/decisions.jsonl");
/// Repeats, reversals, network management.
pub const SEQUENCES: &str = include_str!("../../fixtures/transactions/sequences.jsonl");
/// Every kind of message and what it does to money.
pub const MONEY: &str = include_str!("../../fixtures/transactions/money.jsonl");
/// Tracks, CVC2, PINs, locks outside.
pub const CREDENTIALS: &str = include_str!("../../fixtures/transactions/credentials.jsonl");
/// Limits, budgets and permissions.
pub const LIMITS: &str = include_str!("../../fixtures/transactions/limits.jsonl");
/// Money that is with the partner: what it is asked and told.
pub const PARTNER: &str = include_str!("../../fixtures/transactions/partner.jsonl");
/// All of them, in the order in which they are shown.
pub const ALL: [&str; 6] = [DECISIONS, SEQUENCES, MONEY, CREDENTIALS, LIMITS, PARTNER];

/// A card that messages of the file name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Card {
    /// Its name in the file.
    pub card: String,
    /// Its configId.
    pub program: String,
    /// What its balance is topped up by, minor units.
    #[serde(default)]
    pub top_up: i64,
    /// The lock that it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<u8>,
    /// The PIN that it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Whether its holder is under an anti-money-laundering lock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aml_locked: bool,
    /// Whether its balance is blocked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// What it is limited to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// A message, and what must come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// What it is an example of.
    pub kind: String,
    /// Its type in the 1987 edition.
    pub mti: String,
    /// Its name, for messages that repeat it or refer to it.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The card whose number is in field 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The message whose key and fields it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<String>,
    /// The message that it names as its original; it may come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// The track that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Track>,
    /// The CVC2 that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvc2: Option<Rightness>,
    /// The PIN that was typed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Fields in place of the usual ones, as the 1987 edition has them; `null` leaves one out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<u8, Option<String>>,
    /// What must come back; without it the core says what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expected>,
}

/// A track 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Track {
    /// The stripe's.
    Stripe,
    /// The stripe's with another verification value.
    WrongStripe,
    /// The chip's.
    Chip,
    /// The stripe's, presented as the chip's.
    StripeAsChip,
}

/// Whether a value is the card's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rightness {
    /// It is.
    Right,
    /// It is not.
    Wrong,
}

/// What must come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    /// DE39 in the 1987 edition; without it, no answer.
    #[serde(default, rename = "39", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The number of the failing field, where one must be told.
    #[serde(default, rename = "44", skip_serializing_if = "Option::is_none")]
    pub failing_field: Option<String>,
    /// The reason that the journal holds.
    pub reason: String,
    /// The message whose DE38 it must repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_approval_as: Option<String>,
    /// Fields that must be as given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<u8, String>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixtures {
    /// Its cards.
    pub cards: Vec<Card>,
    /// Its messages, in order.
    pub messages: Vec<Message>,
}

impl Fixtures {
    /// Reads the lines of a file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut fixtures = Self::default();
        for (line, place) in text.lines().zip(1_usize..) {
            if !line.trim().is_empty() {
                fixtures.take(line).with_context(|| format!("line {place}"))?;
            }
        }
        fixtures.check()?;
        Ok(fixtures)
    }

    fn take(&mut self, line: &str) -> anyhow::Result<()> {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if value.get("mti").is_some() {
            self.messages.push(serde_json::from_value(value)?);
        } else {
            self.cards.push(serde_json::from_value(value)?);
        }
        Ok(())
    }

    /// Every name that is used must be given.
    fn check(&self) -> anyhow::Result<()> {
        let cards: BTreeSet<&str> = self.cards.iter().map(|card| card.card.as_str()).collect();
        ensure!(cards.len() == self.cards.len(), "a card stands there twice");
        let names = || self.messages.iter().filter_map(|message| message.name.as_deref());
        let named: BTreeSet<&str> = names().collect();
        ensure!(named.len() == names().count(), "a message's name stands there twice");
        for Message { kind, card, repeat_of, original, .. } in &self.messages {
            if let Some(card) = card {
                ensure!(cards.contains(card.as_str()), "{kind}: no card {card}");
            }
            for name in [repeat_of, original].into_iter().flatten() {
                ensure!(named.contains(name.as_str()), "{kind}: no message {name}");
            }
        }
        Ok(())
    }

    /// The type of each named message.
    fn types(&self) -> impl Iterator<Item = (&str, &str)> {
        self.messages
            .iter()
            .filter_map(|message| Some((message.name.as_deref()?, message.mti.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hand_written_answer_has_its_codes_in_the_table() {
        let codes = codes::Codes::shipped().unwrap();
        for text in ALL {
            let fixtures = Fixtures::parse(text).unwrap();
            for Message { kind, mti, expect, .. } in &fixtures.messages {
                let expect = expect.as_ref().unwrap();
                if let Some(code) = &expect.code {
                    codes.row(mti, &expect.reason, code).expect(kind);
                }
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let card = r#"{"card": "a", "program": "0019167984"}"#;
        for (bad, why) in [
            (r#"{"kind": "x", "mti": "0100", "card": "b"}"#, "no card b"),
            (r#"{"kind": "x", "mti": "0400", "original": "y"}"#, "no message y"),
            (r#"{"kind": "x", "mti": "0100", "amount": 1}"#, "line 2"),
            (card, "twice"),
        ] {
            let error = Fixtures::parse(&format!("{card}\n{bad}\n")).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
    }
}
