//! Where a message begins and ends in a TCP stream. Sans-io: the caller owns the bytes, this file
//! only counts them.
//!
//! Invariant: a frame is reported when it is whole, and never one above the link's maximum; so a
//! peer can make its connection wait, but not make it grow. A keep-alive must not reach the parser.
//! Source: iso8583 2.

mod header;

use serde::Deserialize;

pub use header::HeaderKind;

/// The most bytes of length in front of a message.
const LENGTH_BYTES_MAX: usize = 4;
/// The high half of the last byte of a VMLH marks a message about the session itself.
const SESSION_CONTROL: u8 = 2;

/// How a link marks the bounds of its messages, and what it puts between bounds and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    kind: FramingKind,
    header: HeaderKind,
    max_frame: u16,
}

/// The length in front of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub enum FramingKind {
    /// Two bytes, big-endian, not counting themselves.
    #[default]
    #[serde(rename = "binary-2")]
    Binary2,
    /// Two bytes, big-endian, counting themselves.
    #[serde(rename = "binary-2-inclusive")]
    Binary2Inclusive,
    /// Two bytes, little-endian, not counting themselves.
    #[serde(rename = "binary-2-little-endian")]
    Binary2LittleEndian,
    /// Four digits in two bytes.
    #[serde(rename = "bcd-2")]
    Bcd2,
    /// Four ASCII digits.
    #[serde(rename = "ascii-4")]
    Ascii4,
    /// Four bytes, big-endian, not counting themselves.
    #[serde(rename = "binary-4")]
    Binary4,
    /// Two bytes, big-endian, not counting the four of this header; then two bytes of which the
    /// last says whether the message is about the session itself.
    #[serde(rename = "vmlh")]
    Vmlh,
}

/// One whole frame at the start of a buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The length in front.
    pub length_len: usize,
    /// What the link puts between the length and the message.
    pub header_len: usize,
    /// The message.
    pub body_len: usize,
    session_control: bool,
}

/// A frame that the link does not allow. The stream cannot be followed behind it: the connection is
/// lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a frame of {length} bytes, and the link allows {max}")]
    TooLong { length: usize, max: u16 },
    #[error("a length that counts itself is at least 2, not {length}")]
    CutLength { length: u16 },
    #[error("the length is not written in digits")]
    LengthNotDigits,
    #[error("a frame of {length} bytes cannot hold the header of the link")]
    CutHeader { length: usize },
    #[error("the header is not one of the link")]
    WrongHeader,
}

impl FramingKind {
    const fn length_len(self) -> usize {
        match self {
            Self::Binary2 | Self::Binary2Inclusive | Self::Binary2LittleEndian | Self::Bcd2 => 2,
            Self::Ascii4 | Self::Binary4 | Self::Vmlh => 4,
        }
    }

    /// What the bytes say follows them.
    fn read(self, bytes: &[u8]) -> Result<usize, FramingError> {
        let two = || bytes.first_chunk::<2>().copied().unwrap_or_default();
        match self {
            Self::Binary2 | Self::Vmlh => Ok(usize::from(u16::from_be_bytes(two()))),
            Self::Binary2LittleEndian => Ok(usize::from(u16::from_le_bytes(two()))),
            Self::Binary2Inclusive => {
                let length = u16::from_be_bytes(two());
                match length.checked_sub(2) {
                    Some(counted) => Ok(usize::from(counted)),
                    // An empty frame of a peer that does not count the length of one.
                    None if length == 0 => Ok(0),
                    None => Err(FramingError::CutLength { length }),
                }
            }
            Self::Bcd2 => number(two().iter().flat_map(|byte| [byte >> 4, byte & 0x0F])),
            Self::Ascii4 => number(bytes.iter().map(|digit| digit.wrapping_sub(b'0'))),
            Self::Binary4 => {
                let length = bytes.first_chunk::<4>().copied().unwrap_or_default();
                Ok(usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX))
            }
        }
    }

    /// The bytes that say so many follow, the first [`Self::length_len`] of them; `None` if they
    /// cannot.
    fn write(self, length: u16) -> Option<[u8; LENGTH_BYTES_MAX]> {
        let [high, low] = length.to_be_bytes();
        let digits = || {
            let digit = |place: u16| u8::try_from(length / place % 10).unwrap_or(0);
            (length <= 9999).then(|| [digit(1000), digit(100), digit(10), digit(1)])
        };
        match self {
            Self::Binary2 | Self::Vmlh => Some([high, low, 0, 0]),
            Self::Binary2LittleEndian => Some([low, high, 0, 0]),
            Self::Binary2Inclusive => {
                let [high, low] = length.checked_add(2)?.to_be_bytes();
                Some([high, low, 0, 0])
            }
            Self::Bcd2 => digits().map(|[a, b, c, d]| [a << 4 | b, c << 4 | d, 0, 0]),
            Self::Ascii4 => digits().map(|digits| digits.map(|digit| b'0' + digit)),
            Self::Binary4 => Some([0, 0, high, low]),
        }
    }
}

impl Framing {
    /// `max_frame` bounds the bytes behind the length.
    pub const fn new(kind: FramingKind, header: HeaderKind, max_frame: u16) -> Self {
        Self { kind, header, max_frame }
    }

    /// The frame at the start of the buffer, if it is all there.
    ///
    /// # Errors
    /// Its length is above what the link allows or is none, told as soon as it is there; or the
    /// header behind it is not one of the link.
    pub fn next(&self, buffer: &[u8]) -> Result<Option<Frame>, FramingError> {
        let length_len = self.kind.length_len();
        let Some((head, rest)) = buffer.split_at_checked(length_len) else { return Ok(None) };
        let length = self.kind.read(head)?;
        self.checked(length)?;
        let Some(inside) = rest.get(..length) else { return Ok(None) };
        let vmlh = self.kind == FramingKind::Vmlh;
        let session_control = vmlh && head.last().is_some_and(|byte| byte >> 4 == SESSION_CONTROL);
        let header_len = match (length, session_control) {
            (0, _) | (_, true) => 0,
            (_, false) => self.header.len_in(inside)?,
        };
        let body_len = length - header_len;
        Ok(Some(Frame { length_len, header_len, body_len, session_control }))
    }

    /// Leaves room for the length at the end of `out`, puts the header behind it, and returns where
    /// the frame begins. The header is that of a reply if the request's is given, otherwise that of
    /// a message which we originate. The message is appended next, then [`Self::put_header`] called.
    pub fn reserve_header(&self, out: &mut Vec<u8>, request_header: Option<&[u8]>) -> usize {
        let at = out.len();
        out.extend([0; LENGTH_BYTES_MAX].into_iter().take(self.kind.length_len()));
        self.header.write(request_header, out);
        at
    }

    /// Writes the length at `at` for everything behind it.
    ///
    /// # Errors
    /// The message is longer than the link allows; `out` is cut back to `at`.
    pub fn put_header(&self, at: usize, out: &mut Vec<u8>) -> Result<(), FramingError> {
        let behind = at + self.kind.length_len();
        let length = out.len().saturating_sub(behind);
        let written = self.checked(length).and_then(|short| {
            let too_long = FramingError::TooLong { length, max: self.max_frame };
            Ok((short, self.kind.write(short).ok_or(too_long)?))
        });
        match written {
            Ok((short, bytes)) => {
                let place = out.get_mut(at..behind).unwrap_or_default();
                place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
                self.header.put_length(short, out.get_mut(behind..).unwrap_or_default());
                Ok(())
            }
            Err(error) => {
                out.truncate(at);
                Err(error)
            }
        }
    }

    /// Appends an empty frame: a length of nothing, without a header.
    pub fn put_empty(&self, out: &mut Vec<u8>) {
        let length = self.kind.write(0).unwrap_or_default();
        out.extend(length.into_iter().take(self.kind.length_len()));
    }

    fn checked(&self, length: usize) -> Result<u16, FramingError> {
        match u16::try_from(length) {
            Ok(short) if short <= self.max_frame => Ok(short),
            _ => Err(FramingError::TooLong { length, max: self.max_frame }),
        }
    }
}

impl Frame {
    /// Everything together: what to drop from the buffer once the frame is dealt with.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a length, so it is never empty")]
    pub fn len(&self) -> usize {
        self.length_len + self.header_len + self.body_len
    }

    /// Whether there is no message in it, or one about the session itself.
    pub fn is_keep_alive(&self) -> bool {
        self.body_len == 0 || self.session_control
    }

    /// The header of the link, out of the buffer that the frame was found in; empty if it has none.
    pub fn header<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.length_len..self.length_len + self.header_len).unwrap_or_default()
    }

    /// The message, out of the buffer that the frame was found in.
    pub fn body<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.length_len + self.header_len..self.len()).unwrap_or_default()
    }
}

fn number(mut digits: impl Iterator<Item = u8>) -> Result<usize, FramingError> {
    digits.try_fold(0, |sum: usize, digit| match digit {
        0..=9 => Ok(sum * 10 + usize::from(digit)),
        _ => Err(FramingError::LengthNotDigits),
    })
}

#[cfg(test)]
mod tests;
