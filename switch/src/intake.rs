//! From a parsed message to a command. The last place that sees a card number in clear: behind it
//! there is a token.
//!
//! Invariant: pure but for the keys; a field that cannot be read refuses the message by its number
//! and offset. What differs from network to network is data ([`Reading`]), not code.
//! Source: surface 4, iso8583 4.3 to 4.9.
//!
//! | file | reads |
//! |---|---|
//! | `request` | requests and advices |
//! | `reversal` | reversals, negative acknowledgements, and which message they name |
//! | `file_action` | locks outside |
//! | `credentials` | what of a card's credentials came, verified |
//! | `fields` | numbers, amounts and texts, each refused by its field |
//! | `markers` | signs that each link puts elsewhere |

mod credentials;
mod fields;
mod file_action;
pub mod markers;
mod request;
mod reversal;

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use shared::action_code::ResponseCodes;
use shared::command::{Command, MessageClass, MessageKey};
use shared::credential::KeyProvider;
use shared::ids::LinkId;
use shared::iso8583::mti::{Class, Function, Version};
use shared::iso8583::{FormatError, Message};
use shared::ledger::Ledger;
use shared::pan::TokenKey;

use markers::Markers;

/// The digits `hhmmss` behind a date.
const TIME_OF_DAY: u64 = 1_000_000;

/// What reading a link's messages takes.
pub struct Reading {
    /// Part of every message key.
    pub link: LinkId,
    /// The edition of its dialect.
    pub edition: Version,
    /// Makes card numbers into tokens.
    pub token_key: TokenKey,
    /// Verifies credentials.
    pub keys: Rc<dyn KeyProvider>,
    /// Signs in fields that each network uses its own way.
    pub markers: Markers,
    /// What DE39 of an advice says.
    pub advice_code: AdviceCode,
    /// The link's DE39 values, by which advices are understood.
    pub codes: ResponseCodes,
    /// Whether DE7 and DE12 are rewritten on the way, so that only their day is part of a message's
    /// key.
    pub volatile_time: bool,
    /// Whether the network may lock cards by file actions.
    pub lock_outside: bool,
}

/// What DE39 of an advice says. Source: authorization 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceCode {
    /// What the terminal was told.
    Outcome,
    /// Why the advice was sent; it was approved then.
    Reason,
}

/// What a message asks of the core.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every message is a command, and lives briefly"
)]
pub enum Asked {
    /// A command, whose answer is the message's.
    Command(Command),
    /// Nothing: it is noted.
    Note,
    /// An administrative message, answered as taken.
    Administrative,
    /// A type or an action that the link does not take.
    NotTaken,
}

impl Reading {
    /// Reads a message other than of network management. The ledger says what credentials are
    /// verified against, and is told of the card as soon as it is known.
    ///
    /// # Errors
    /// The first field that cannot be read.
    pub fn read(&self, message: &Message<'_>, ledger: &Ledger) -> Result<Asked, FormatError> {
        let mti = message.mti();
        if !message.is_taken() {
            return Ok(Asked::NotTaken);
        }
        message.validate()?;
        let command = match (mti.class, mti.function) {
            (Class::Authorization | Class::Financial, Function::Request) => {
                let request = self.authorization(message, ledger)?;
                Command::Authorize(request)
            }
            (Class::Authorization | Class::Financial, Function::Advice) => {
                Command::Advise(self.advice(message, ledger)?)
            }
            (Class::Reversal, Function::Request | Function::Advice)
            | (Class::Authorization | Class::Financial, Function::NegativeAcknowledgement) => {
                Command::Reverse(self.reversal(message)?)
            }
            (Class::Authorization | Class::Financial, Function::Acknowledgement) => {
                return Ok(Asked::Note);
            }
            (Class::FileAction, Function::Request) if self.lock_outside => {
                Command::LockOutside(self.file_action(message)?)
            }
            (Class::Administrative, Function::Request | Function::Advice) => {
                return Ok(Asked::Administrative);
            }
            _ => return Ok(Asked::NotTaken),
        };
        Ok(Asked::Command(command))
    }

    /// The key of a message. Source: authorization 4.
    fn key(&self, message: &Message<'_>, class: MessageClass) -> Result<MessageKey, FormatError> {
        let sent_at = match self.edition {
            Version::V1987 => fields::required(message, 7)?,
            Version::V1993 | Version::V2003 => match message.number(12)? {
                Some(time) => time,
                None => fields::required(message, 7)?,
            },
        };
        Ok(MessageKey {
            link: self.link,
            class,
            stan: fields::required(message, 11)?,
            sent_at: self.lasting(sent_at),
            acquirer: fields::institution(message, 32)?,
            forwarder: fields::institution(message, 33)?,
        })
    }

    /// What of a time a repeat has too: all of it, or its day where it is rewritten on the way; a
    /// STAN comes again on the next one. Source: iso8583 4.3.
    fn lasting(&self, time: u64) -> u64 {
        if self.volatile_time { time / TIME_OF_DAY } else { time }
    }
}
