//! Locks that a network or an acquirer sets by a file action: DE91 says whether a record is added,
//! changed or deleted, and DE120 begins with the lock's number. Source: requirements #102.

use shared::command::{LockOutside, MessageClass};
use shared::iso8583::{FormatError, Message, Rule};
use shared::lock_code::LockCode;

use super::fields::TEXT_MAX;
use super::{Reading, fields};

/// The record of the card.
const RECORD: u8 = 120;
/// DE91: what is done to it.
const ACTION: u8 = 91;

impl Reading {
    /// Reads 0300, 0302 and 0304.
    pub(super) fn file_action(&self, message: &Message<'_>) -> Result<LockOutside, FormatError> {
        let key = self.key(message, MessageClass::FileAction)?;
        let token = self.token_key.token(&fields::pan(message)?);
        let lock = match message.text_array::<1>(ACTION) {
            Some([b'1' | b'2']) => Some(lock_of(message)?),
            Some([b'3']) => None,
            Some(_) | None => return Err(message.error(ACTION, Rule::NotANumber)),
        };
        Ok(LockOutside { key, token, lock })
    }
}

fn lock_of(message: &Message<'_>) -> Result<LockCode, FormatError> {
    let mut scratch = [0; TEXT_MAX];
    let record = match message.has(RECORD) {
        true => message.text(RECORD, &mut scratch).unwrap_or_default(),
        false => return Err(message.error(RECORD, Rule::Missing)),
    };
    let number = record.first().map(|digit| digit.wrapping_sub(b'0'));
    let lock = number.and_then(LockCode::from_number);
    lock.ok_or_else(|| message.error(RECORD, Rule::NotANumber))
}
