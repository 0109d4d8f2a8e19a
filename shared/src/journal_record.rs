//! Bytes of a journaled command: version, then postcard. Framing, checksum and chain are the
//! journal's; what is here never panics on any bytes.
//!
//! Invariant: a record holds command, complete effects and answer, and no secret: the types it is
//! made of cannot carry a card number, a track, a PIN or a verification value.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::Command;
use crate::control::Outcome;
use crate::effect::{Decision, Effect};
use crate::ids::{Sequence, Timestamp};

/// Version of the record's layout; variants and fields are only ever appended under one version.
pub const VERSION: u8 = 1;

/// What the core answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To a message.
    Decision(Decision),
    /// To a change.
    Outcome(Outcome),
    /// To the shell's own notice: nothing leaves.
    Noted,
    /// To a message for which the partner is asked: that of the request asked for at this sequence,
    /// once it is decided.
    Asked(Sequence),
}

/// One command, all that it changed, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place, without a gap from 1.
    pub sequence: Sequence,
    /// The time it was decided at.
    pub at: Timestamp,
    /// What was asked.
    pub command: Command,
    /// What changed.
    pub effects: Vec<Effect>,
    /// What was answered.
    pub answer: Answer,
}

/// The same, borrowed, as it is written.
#[derive(Serialize)]
pub struct RecordRef<'a> {
    /// Its place.
    pub sequence: Sequence,
    /// The time it was decided at.
    pub at: Timestamp,
    /// What was asked.
    pub command: &'a Command,
    /// What changed.
    pub effects: &'a [Effect],
    /// What was answered.
    pub answer: Answer,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Another layout.
    #[error("record version {0} is not known")]
    Version(u8),
    /// Not this layout.
    #[error("the record's bytes do not decode")]
    Malformed,
    /// More bytes than the record has.
    #[error("{0} bytes behind the record")]
    Trailing(usize),
}

impl RecordRef<'_> {
    /// Appends the record's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        postcard::to_io(self, out).expect("a Vec takes every write and every field serializes");
    }
}

impl Record {
    /// Reads exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, body) = bytes.split_first().ok_or(RecordError::Malformed)?;
        if *version != VERSION {
            return Err(RecordError::Version(*version));
        }
        let (record, rest) =
            postcard::take_from_bytes(body).map_err(|_undecodable| RecordError::Malformed)?;
        if rest.is_empty() { Ok(record) } else { Err(RecordError::Trailing(rest.len())) }
    }
}
