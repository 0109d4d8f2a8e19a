//! Fixture files: one JSON line a card or a message, expected answers written by hand. The format is
//! described in `fixtures/README.md`.
//!
//! Invariant: a line with an unknown member, an unknown card or an unknown name is refused with its
//! number; the answers that are expected never come from our own code.

pub mod player;
pub mod volume;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Single decisions.
pub const DECISIONS: &str = include_str!("../../fixtures/transactions/decisions.jsonl");
/// Repeats, reversals, network management.
pub const SEQUENCES: &str = include_str!("../../fixtures/transactions/sequences.jsonl");

/// A card that messages of the file name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A message, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// What it is an example of.
    pub kind: String,
    /// Its type.
    pub mti: String,
    /// Its name, for messages that repeat or reverse it.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The card whose number is in field 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The message whose key and fields it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<String>,
    /// The message whose key is in field 90; it may come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<String>,
    /// Fields in place of the usual ones; `null` leaves one out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<u8, Option<String>>,
    /// What must come back; without it the core says what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expected>,
}

/// What must come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    /// DE39.
    #[serde(rename = "39")]
    pub code: String,
    /// DE44, where there must be one.
    #[serde(default, rename = "44", skip_serializing_if = "Option::is_none")]
    pub failing_field: Option<String>,
    /// The reason that the journal holds.
    pub reason: String,
    /// The message whose DE38 it must repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_approval_as: Option<String>,
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
        for Message { kind, card, repeat_of, reverses, .. } in &self.messages {
            if let Some(card) = card {
                ensure!(cards.contains(card.as_str()), "{kind}: no card {card}");
            }
            for name in [repeat_of, reverses].into_iter().flatten() {
                ensure!(named.contains(name.as_str()), "{kind}: no message {name}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::action_code::Reason;

    #[test]
    fn the_hand_written_files_read_and_their_reasons_and_codes_belong_together() {
        for text in [DECISIONS, SEQUENCES] {
            let fixtures = Fixtures::parse(text).unwrap();
            for Message { kind, expect, .. } in &fixtures.messages {
                let expect = expect.as_ref().unwrap();
                let known = Reason::ALL.iter().any(|reason| {
                    reason.description() == expect.reason
                        && reason.wire87() == expect.code.as_bytes()
                });
                assert!(known, "{kind}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let card = r#"{"card": "a", "program": "0019167984"}"#;
        for (bad, why) in [
            (r#"{"kind": "x", "mti": "0100", "card": "b"}"#, "no card b"),
            (r#"{"kind": "x", "mti": "0400", "reverses": "y"}"#, "no message y"),
            (r#"{"kind": "x", "mti": "0100", "amount": 1}"#, "line 2"),
            (card, "twice"),
        ] {
            let error = Fixtures::parse(&format!("{card}\n{bad}\n")).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
    }
}
