//! Where a message begins and ends in a TCP stream. Sans-io: the caller owns the bytes, this file
//! only counts them.
//!
//! Invariant: a frame is reported when it is whole, and never one above the link's maximum; so a
//! peer can make its connection wait, but not make it grow. An empty frame is a keep-alive and must
//! not reach the parser.

/// Bytes of length in front of each message.
const HEADER_LENGTH: usize = 2;

/// How a link marks the bounds of its messages: two bytes of length, big-endian, which do not count
/// themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    max_frame: u16,
}

/// One whole frame at the start of a buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub header_len: usize,
    /// 0 is a keep-alive.
    pub body_len: usize,
}

/// A frame that the link does not allow. The stream cannot be followed behind it: the connection is
/// lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a frame of {length} bytes, and the link allows {max}")]
    TooLong { length: usize, max: u16 },
}

impl Framing {
    /// Two bytes of length; `max_frame` bounds the bytes behind them.
    pub const fn new(max_frame: u16) -> Self {
        Self { max_frame }
    }

    /// The frame at the start of the buffer, if it is all there.
    ///
    /// # Errors
    /// Its header announces more than the link allows; told as soon as the header is there.
    pub fn next(&self, buffer: &[u8]) -> Result<Option<Frame>, FramingError> {
        let Some(header) = buffer.first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
        let body_len = usize::from(self.checked(usize::from(u16::from_be_bytes(*header)))?);
        let frame = Frame { header_len: HEADER_LENGTH, body_len };
        Ok((buffer.len() >= frame.len()).then_some(frame))
    }

    /// Leaves room for a header at the end of `out`, and returns where. The message is appended
    /// next, then [`Self::put_header`] called.
    pub fn reserve_header(&self, out: &mut Vec<u8>) -> usize {
        let at = out.len();
        out.extend_from_slice(&[0; HEADER_LENGTH]);
        at
    }

    /// Writes the header at `at` for everything behind it.
    ///
    /// # Errors
    /// The message is longer than the link allows; `out` is cut back to `at`.
    pub fn put_header(&self, at: usize, out: &mut Vec<u8>) -> Result<(), FramingError> {
        let body_len = out.len().saturating_sub(at + HEADER_LENGTH);
        match self.checked(body_len) {
            Ok(length) => {
                if let Some(header) = out.get_mut(at..at + HEADER_LENGTH) {
                    header.copy_from_slice(&length.to_be_bytes());
                }
                Ok(())
            }
            Err(error) => {
                out.truncate(at);
                Err(error)
            }
        }
    }

    fn checked(&self, length: usize) -> Result<u16, FramingError> {
        match u16::try_from(length) {
            Ok(short) if short <= self.max_frame => Ok(short),
            _ => Err(FramingError::TooLong { length, max: self.max_frame }),
        }
    }
}

impl Frame {
    /// Header and body together: what to drop from the buffer once the frame is dealt with.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a header, so it is never empty")]
    pub fn len(&self) -> usize {
        self.header_len + self.body_len
    }

    pub fn is_keep_alive(&self) -> bool {
        self.body_len == 0
    }

    /// The message, out of the buffer that the frame was found in.
    pub fn body<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.header_len..self.len()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Framing = Framing::new(600);

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let messages: [&[u8]; 5] = [b"first", b"", &[7; 600], b"x", b""];
        let mut stream = Vec::new();
        for message in messages {
            let at = LINK.reserve_header(&mut stream);
            stream.extend_from_slice(message);
            LINK.put_header(at, &mut stream).unwrap();
        }
        for step in [1, 2, 3, 7, 300, stream.len()] {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = LINK.next(&buffer).unwrap() {
                    assert_eq!(frame.is_keep_alive(), frame.body(&buffer).is_empty());
                    seen.push(frame.body(&buffer).to_vec());
                    buffer.drain(..frame.len());
                }
            }
            assert_eq!(seen, messages, "in steps of {step}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_frame_is_not_there_before_its_last_byte() {
        let check = |buffer: &[u8], expected| assert_eq!(LINK.next(buffer), Ok(expected));
        check(&[], None);
        check(&[0], None);
        check(&[0, 0], Some(Frame { header_len: 2, body_len: 0 }));
        check(&[0, 2, 1], None);
        check(&[0, 2, 1, 2], Some(Frame { header_len: 2, body_len: 2 }));
        check(&[0, 2, 1, 2, 0], Some(Frame { header_len: 2, body_len: 2 }));
    }

    #[test]
    fn a_frame_above_the_maximum_is_refused_at_its_header() {
        let too_long = |length| FramingError::TooLong { length, max: 600 };
        assert_eq!(LINK.next(&[0x02, 0x58]), Ok(None));
        assert_eq!(LINK.next(&[0x02, 0x59]), Err(too_long(601)));
        assert_eq!(LINK.next(&[0xFF, 0xFF, 1]), Err(too_long(65_535)));
        for length in [601, 70_000] {
            let mut out = b"kept".to_vec();
            let at = LINK.reserve_header(&mut out);
            out.resize(out.len() + length, 0);
            assert_eq!(LINK.put_header(at, &mut out), Err(too_long(length)));
            assert_eq!(out, b"kept");
        }
    }
}
