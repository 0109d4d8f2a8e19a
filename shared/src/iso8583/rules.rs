//! What each message type must have, and what its reply echoes: the matrix of a dialect.
//!
//! Invariant: one entry a type, of the dialect's own edition, for first sendings; a repeat finds the
//! entry of its first sending. Only fields that the dialect defines are named, and no bit map.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::bitmap::FieldSet;
use super::dialect::is_bit_map;
use super::mti::{Mti, Version};

/// The key, beside the message types, of the echo that is meant where a type states none.
const DEFAULT_ECHO: &str = "echo";
/// Eight classes, ten functions, three kinds of origin.
const TYPES: usize = 8 * 10 * 3;

/// What one message type must have, and what its reply repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRules {
    pub mandatory: FieldSet,
    pub conditional: Vec<Conditional>,
    /// The fields that the reply carries as they were received.
    pub echo: FieldSet,
}

/// A field that must be there when another is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditional {
    pub field: u8,
    pub when: u8,
}

/// What is wrong with what a dialect says of a message type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    #[error("{0}")]
    Entry(String),
    #[error("is not a message type of ISO 8583")]
    UnknownMti,
    #[error("is of another edition of the standard than the dialect")]
    OtherVersion,
    #[error("is a repeat: it has the rules of the first sending")]
    Repeat,
    #[error("field {0} is not defined, or is a bit map")]
    NoSuchField(u8),
    #[error("is missing: `echo` lists what a reply repeats where its type states nothing else")]
    NoDefaultEcho,
}

/// The rules of every message type of a dialect.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    default_echo: FieldSet,
    rules: Vec<MessageRules>,
    /// For each type, which of the rules are its own, counted from 1; 0 for none.
    places: [u8; TYPES],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    mandatory: Vec<u8>,
    #[serde(default)]
    conditional: Vec<Conditional>,
    echo: Option<Vec<u8>>,
}

/// The type, where in the file it stands, and what is wrong with it.
type Refused = (String, Option<Range<usize>>, MessageFault);

impl MessageRules {
    /// The lowest mandatory field, or else the first conditional one, that is due and absent.
    #[inline]
    pub fn first_missing(&self, present: FieldSet) -> Option<u8> {
        let missing = self.mandatory.difference(present);
        if !missing.is_empty() {
            return missing.first();
        }
        let due =
            |rule: &&Conditional| present.contains(rule.when) && !present.contains(rule.field);
        self.conditional.iter().find(due).map(|rule| rule.field)
    }
}

impl Matrix {
    pub(super) fn compile(
        entries: &BTreeMap<String, Spanned<toml::Value>>,
        version: Version,
        defined: FieldSet,
    ) -> Result<Self, Refused> {
        let Some(echo) = entries.get(DEFAULT_ECHO) else {
            return Err((DEFAULT_ECHO.to_owned(), None, MessageFault::NoDefaultEcho));
        };
        let at = |key: &str, entry: &Spanned<toml::Value>, fault| {
            (key.to_owned(), Some(entry.span()), fault)
        };
        let listed: Vec<u8> = value(echo).map_err(|fault| at(DEFAULT_ECHO, echo, fault))?;
        let default_echo =
            set_of(&listed, defined).map_err(|fault| at(DEFAULT_ECHO, echo, fault))?;
        let mut matrix = Self { default_echo, rules: Vec::new(), places: [0; TYPES] };
        for (key, entry) in entries.iter().filter(|(key, _)| *key != DEFAULT_ECHO) {
            matrix.add(key, entry, version, defined).map_err(|fault| at(key, entry, fault))?;
        }
        Ok(matrix)
    }

    #[inline]
    pub(super) fn rules(&self, mti: Mti) -> Option<&MessageRules> {
        let place = self.places.get(place_of(mti)).copied()?;
        self.rules.get(usize::from(place).checked_sub(1)?)
    }

    pub(super) fn default_echo(&self) -> FieldSet {
        self.default_echo
    }

    fn add(
        &mut self,
        key: &str,
        entry: &Spanned<toml::Value>,
        version: Version,
        defined: FieldSet,
    ) -> Result<(), MessageFault> {
        let digits = key.as_bytes().try_into().ok();
        let mti = digits.and_then(Mti::from_ascii).ok_or(MessageFault::UnknownMti)?;
        if mti.version != version {
            return Err(MessageFault::OtherVersion);
        }
        if mti.is_repeat() {
            return Err(MessageFault::Repeat);
        }
        let entry: Entry = value(entry)?;
        for rule in &entry.conditional {
            set_of(&[rule.field, rule.when], defined)?;
        }
        let echo = match entry.echo {
            Some(listed) => set_of(&listed, defined)?,
            None => self.default_echo,
        };
        let mandatory = set_of(&entry.mandatory, defined)?;
        self.rules.push(MessageRules { mandatory, conditional: entry.conditional, echo });
        if let Some(place) = self.places.get_mut(place_of(mti)) {
            *place = u8::try_from(self.rules.len()).unwrap_or(0);
        }
        Ok(())
    }
}

fn value<T: serde::de::DeserializeOwned>(entry: &Spanned<toml::Value>) -> Result<T, MessageFault> {
    let read: Result<T, toml::de::Error> = entry.get_ref().clone().try_into();
    read.map_err(|error| MessageFault::Entry(error.message().to_owned()))
}

fn set_of(numbers: &[u8], defined: FieldSet) -> Result<FieldSet, MessageFault> {
    numbers.iter().try_fold(FieldSet::EMPTY, |set, number| {
        if defined.contains(*number) && !is_bit_map(*number) {
            Ok(set.with(*number))
        } else {
            Err(MessageFault::NoSuchField(*number))
        }
    })
}

/// A repeat has the place of its first sending.
#[inline]
fn place_of(mti: Mti) -> usize {
    let [_, class, function, origin] = mti.to_ascii().map(|digit| usize::from(digit & 0x0F));
    ((class - 1) * 10 + function) * 3 + origin / 2
}
