//! Bytes to message.
//!
//! Invariant: [`parse`] reads each byte of the frame once and copies none. It leaves in the
//! [`Layout`] where every field begins and ends; which of these entries are valid is told by the
//! bit maps alone, so that the layout is never cleared between messages. The fields in front of a
//! fault stay readable, so that the answer to a broken message can echo them.

use super::bitmap::FieldSet;
use super::dialect::Dialect;
use super::encoding::{BitmapEncoding, DigitEncoding, TextEncoding};
use super::form::Flaw;
use super::layout::{Layout, Segment};
use super::message::{BITMAP_FIELD, FormatError, MTI_FIELD, Message, Rule};
use super::mti::Mti;

const MTI_DIGITS: u16 = 4;
/// The bits that announce a second and a third bit map. They are no fields.
const ANNOUNCEMENTS: FieldSet = FieldSet::of(&[1, 65]);
/// The bit of a bit map that announces another: the highest.
const ANOTHER: u64 = 1 << 63;

/// Reads one message from the bytes between two length headers.
///
/// # Errors
/// The first fault in the frame. [`Layout::salvaged`] then has the fields in front of it.
pub fn parse<'a>(
    dialect: &'a Dialect,
    frame: &'a [u8],
    layout: &'a mut Layout,
) -> Result<Message<'a>, FormatError> {
    layout.start(dialect);
    let mti = match layout.read_planned(frame) {
        Some(mti) => mti,
        None => {
            let (mti, (present, at)) = read_by_walk(dialect, frame, layout)?;
            let head = frame.get(..usize::from(at)).unwrap_or_default();
            layout.learn(dialect, head, (mti, present));
            mti
        }
    };
    Ok(Message { mti, dialect, fields: layout.salvaged(dialect, frame) })
}

/// Reads as [`parse`] does, and never by what was learned of frames before: the slower of two ways
/// to the same message.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_by_walk<'a>(
    dialect: &'a Dialect,
    frame: &'a [u8],
    layout: &'a mut Layout,
) -> Result<Message<'a>, FormatError> {
    layout.start(dialect);
    let (mti, _) = read_by_walk(dialect, frame, layout)?;
    Ok(Message { mti, dialect, fields: layout.salvaged(dialect, frame) })
}

/// The message type, the fields that the bit maps announce, and where the first of them begins.
#[inline(never)]
fn read_by_walk(
    dialect: &Dialect,
    frame: &[u8],
    layout: &mut Layout,
) -> Result<(Mti, (FieldSet, u16)), FormatError> {
    let mti = read_mti(dialect, frame)?;
    let announced = read_bitmaps(dialect, mti, frame)?;
    walk(dialect, frame, (mti, announced), layout)?;
    layout.parsed = announced.0;
    Ok((mti, announced))
}

#[inline(always)]
fn read_mti(dialect: &Dialect, frame: &[u8]) -> Result<Mti, FormatError> {
    let error = |mti, rule| Err(FormatError { mti, field: MTI_FIELD, offset: 0, rule });
    if frame.len() > usize::from(u16::MAX) {
        return error(None, Rule::MessageTooLong);
    }
    let digits = match (dialect.encoding().mti, frame) {
        (DigitEncoding::Ascii, [a, b, c, d, ..]) => [*a, *b, *c, *d],
        (DigitEncoding::Ebcdic, [a, b, c, d, ..]) => {
            [*a, *b, *c, *d].map(|digit| TextEncoding::Ebcdic.to_ascii(digit))
        }
        (DigitEncoding::Bcd, [a, b, ..]) => {
            // A half byte above nine becomes a character that is no digit.
            [a >> 4, a & 0x0F, b >> 4, b & 0x0F].map(|half| b'0' + half)
        }
        _ => return error(None, Rule::Truncated),
    };
    match Mti::from_ascii(digits) {
        None => error(None, Rule::UnknownMti),
        Some(mti) if mti.version != dialect.version() => error(Some(mti), Rule::OtherVersion),
        Some(mti) => Ok(mti),
    }
}

/// The fields that the bit maps announce, and where the first of them begins. Each further bit map
/// follows at once on the one that announces it.
#[inline(always)]
fn read_bitmaps(dialect: &Dialect, mti: Mti, frame: &[u8]) -> Result<(FieldSet, u16), FormatError> {
    let error = |field, offset, rule| FormatError { mti: Some(mti), field, offset, rule };
    let mut at = dialect.encoding().mti.bytes_of(MTI_DIGITS);
    let mut read = || {
        let rest = frame.get(usize::from(at)..).unwrap_or_default();
        match read_bitmap(dialect, rest) {
            Ok((bitmap, length)) => {
                at += length;
                Ok((bitmap, at))
            }
            Err(rule) => Err(error(BITMAP_FIELD, at, rule)),
        }
    };
    let (primary, at) = read()?;
    if primary & ANOTHER == 0 {
        return Ok((FieldSet::from_bitmaps([primary, 0, 0]), at));
    }
    let second = at;
    let (secondary, at) = read()?;
    let (tertiary, at) = match secondary & ANOTHER {
        0 => (0, at),
        _ if dialect.has_third_bitmap() => read()?,
        _ => return Err(error(65, second, Rule::BeyondLast)),
    };
    let announced = FieldSet::from_bitmaps([primary, secondary, tertiary]);
    Ok((announced.difference(ANNOUNCEMENTS), at))
}

/// One bit map, and how many bytes it takes.
#[inline(always)]
fn read_bitmap(dialect: &Dialect, bytes: &[u8]) -> Result<(u64, u16), Rule> {
    match dialect.encoding().bitmap {
        BitmapEncoding::Binary => {
            let bitmap = bytes.first_chunk::<8>().ok_or(Rule::Truncated)?;
            Ok((u64::from_be_bytes(*bitmap), 8))
        }
        BitmapEncoding::Hex => {
            let digits = bytes.first_chunk::<16>().ok_or(Rule::Truncated)?;
            let text = dialect.encoding().text;
            let bitmap = digits.iter().try_fold(0, |sum: u64, digit| {
                let value = match text.to_ascii(*digit) {
                    digit @ b'0'..=b'9' => digit - b'0',
                    letter @ b'A'..=b'F' => letter - b'A' + 10,
                    _ => return Err(Rule::BitmapNotHex),
                };
                Ok(sum << 4 | u64::from(value))
            })?;
            Ok((bitmap, 16))
        }
    }
}

/// Reads field by field, and finds the fault if there is one.
#[inline(never)]
fn walk(
    dialect: &Dialect,
    frame: &[u8],
    (mti, (present, mut at)): (Mti, (FieldSet, u16)),
    layout: &mut Layout,
) -> Result<(), FormatError> {
    let error = |field, offset, rule| FormatError { mti: Some(mti), field, offset, rule };
    for number in present {
        let (Some(shape), Some(segment)) =
            (dialect.shape(number), layout.segments.get_mut(usize::from(number.wrapping_sub(1))))
        else {
            layout.parsed = present.below(number);
            return Err(error(number, at, Rule::BeyondLast));
        };
        match shape.read(frame, at) {
            Some(extent) => {
                let content = at + extent.prefix;
                *segment = Segment { start: at, content, end: content + extent.content };
                at = segment.end;
            }
            None => {
                layout.parsed = present.below(number);
                let rest = frame.get(usize::from(at)..).unwrap_or_default();
                let Flaw { at: within, rule } = shape.flaw(rest);
                let within = u16::try_from(within).unwrap_or(u16::MAX);
                return Err(error(number, at.saturating_add(within), rule));
            }
        }
    }
    if usize::from(at) == frame.len() {
        return Ok(());
    }
    layout.parsed = present;
    Err(error(present.last().unwrap_or(BITMAP_FIELD), at, Rule::TrailingBytes))
}
