//! What some links put between the length and the message: who sends it and to whom.
//!
//! Invariant: the header of a reply is the request's with sender and receiver exchanged, so that it
//! finds its way back through any concentrator; nothing else of it changes but its length.
//! Source: iso8583 2.

use serde::Deserialize;

use super::FramingError;

/// A header between the length and the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderKind {
    #[default]
    None,
    /// Five bytes: an identifier, the destination and the source, two bytes each.
    Tpdu,
    /// `ISO` and nine digits, given back as they came.
    Iso,
    /// BASE I: 22 bytes with the total length and the station ids of destination and source; 26 and
    /// more of a message that was rejected.
    Base1,
}

const TPDU_LENGTH: usize = 5;
const TPDU: [u8; TPDU_LENGTH] = [0x60, 0, 0, 0, 0];
const ISO_LENGTH: usize = 12;
const ISO: &[u8; ISO_LENGTH] = b"ISO000000000";
const ISO_MARK: &[u8] = b"ISO";
const BASE1_LENGTH: usize = 22;
/// Length, header format 1, text format 2, and everything else zero.
const BASE1: [u8; BASE1_LENGTH] =
    [22, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl HeaderKind {
    /// How many of the bytes behind a length, of which there is one at least, are the header.
    pub(super) fn len_in(self, bytes: &[u8]) -> Result<usize, FramingError> {
        let length = match (self, bytes) {
            (Self::None, _) => 0,
            (Self::Tpdu, _) => TPDU_LENGTH,
            (Self::Iso, bytes) => {
                if bytes.iter().zip(ISO_MARK).any(|(byte, mark)| byte != mark) {
                    return Err(FramingError::WrongHeader);
                }
                ISO_LENGTH
            }
            (Self::Base1, []) => BASE1_LENGTH,
            (Self::Base1, [length, ..]) => match usize::from(*length) {
                length @ BASE1_LENGTH.. => length,
                _ => return Err(FramingError::WrongHeader),
            },
        };
        if length > bytes.len() {
            return Err(FramingError::CutHeader { length: bytes.len() });
        }
        Ok(length)
    }

    /// Appends the header of the reply to a request with this one; without a request, or if its
    /// header is not of this kind, that of a message which we originate.
    pub(super) fn write(self, request: Option<&[u8]>, out: &mut Vec<u8>) {
        let request = request.unwrap_or_default();
        match self {
            Self::None => {}
            Self::Tpdu => {
                let [id, to_high, to_low, from_high, from_low] =
                    *request.first_chunk().unwrap_or(&TPDU);
                out.extend([id, from_high, from_low, to_high, to_low]);
            }
            Self::Iso => out.extend_from_slice(request.first_chunk().unwrap_or(ISO)),
            Self::Base1 => {
                let [_, format, text, length_high, length_low, a, b, c, x, y, z, rest @ ..] =
                    *request.first_chunk::<BASE1_LENGTH>().unwrap_or(&BASE1);
                // What a rejected message has beyond the 22 bytes is not given back.
                out.extend([BASE1[0], format, text, length_high, length_low, x, y, z, a, b, c]);
                out.extend_from_slice(&rest);
            }
        }
    }

    /// Writes the length of header and message into a header that states it.
    pub(super) fn put_length(self, length: u16, frame: &mut [u8]) {
        match self {
            Self::None | Self::Tpdu | Self::Iso => {}
            Self::Base1 => {
                if let Some(place) = frame.get_mut(3..5) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
            }
        }
    }
}
