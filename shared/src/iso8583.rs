//! ISO 8583: the messages that card networks and processors send, as bytes.
//!
//! Invariant: nothing here owns, copies or allocates on the way in. [`parse`] checks every byte of
//! a frame against a [`Dialect`] once, and after that a [`Message`] only hands out slices of the
//! frame. Whatever the bytes are, the answer is a message or a [`FormatError`] that names the
//! field, the offset and the rule; never a panic.
//!
//! | file | what it holds |
//! |---|---|
//! | `mti` | the message type, and which type answers which |
//! | `bitmap` | a set of field numbers, and its form on the wire |
//! | `field` | one field's definition: content class, length, sensitivity; the checks of content |
//! | `encoding` | how digits, text and bit maps are written: ASCII, BCD, EBCDIC, hex |
//! | `form`, `sound` | one field on the wire: read, checked, decoded, written |
//! | `dialect`, `rules` | the fields of a link and what its messages must have, from a TOML file |
//! | `parse`, `layout` | bytes to message, frames of a kind seen before at once |
//! | `message` | what a message says, in ASCII whatever the link's encoding |
//! | `reply` | message to bytes: replies that echo fields as received, and messages from scratch |
//! | `tlv` | what private fields and chip data hold inside |
//! | `framing` | where a message begins and ends in a TCP stream |
//! | `describe` | a message for people, with everything sensitive masked |
//!
//! ```
//! use shared::iso8583::{Dialect, Layout, Mti, encode, parse};
//!
//! let dialect = Dialect::iso87_ascii();
//! let mut frame = Vec::new();
//! encode(dialect, Mti::NETWORK_REQUEST, &[(11, b"000123"), (70, b"301")], &mut frame)?;
//!
//! let mut layout = Layout::new();
//! let message = parse(dialect, &frame, &mut layout)?;
//! assert_eq!(message.mti().to_string(), "0800");
//! assert_eq!(message.bytes(70), Some(&b"301"[..]));
//! # Ok::<(), shared::iso8583::FormatError>(())
//! ```

pub mod bitmap;
pub mod describe;
pub mod dialect;
pub mod encoding;
pub mod field;
mod form;
pub mod framing;
#[cfg(test)]
mod golden;
mod layout;
pub mod message;
pub mod mti;
mod parse;
pub mod reply;
mod rules;
mod sound;
mod step;
pub mod tlv;

pub use bitmap::FieldSet;
pub use describe::describe;
pub use dialect::{Dialect, DialectError};
pub use encoding::Encoding;
pub use field::{Content, FieldSpec, Length};
pub use framing::{Frame, Framing, FramingError, FramingKind, HeaderKind};
pub use layout::Layout;
pub use message::{Fields, FormatError, Message, Rule, Salvage, TEXT_MAX, require};
pub use mti::Mti;
pub use parse::{parse, parse_by_walk};
pub use reply::{encode, refuse, reply};
pub use rules::{Conditional, MessageFault, MessageRules};
