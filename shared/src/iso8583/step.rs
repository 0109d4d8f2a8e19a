//! The steps of reading a frame of a kind seen before.
//!
//! Invariant: a step reads nothing that [`Shape::read`] would not, field by field, to the same end.

use super::encoding::{DigitEncoding, Pad};
use super::field::Length;
use super::form::{Extent, Form, Shape};
use super::sound::{BLOCK, Lanes, Sound, Stretch, are_letters_digits};

/// What is read at once.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Run(Run),
    Field(Field),
    /// A field of a form that few links have.
    Rare(Shape),
}

/// Fields of fixed length side by side: where each begins does not matter for whether all are
/// sound.
#[derive(Clone, Debug)]
pub(super) struct Run {
    bytes: u16,
    /// Blocks from its start that are whole and not its last.
    whole: Vec<Lanes>,
    /// The block that it ends. In front of the run anything may stand.
    last: Lanes,
    letters: Vec<Letters>,
}

/// Where in a run letters and digits stand, and whether spaces too; [`Lanes`] know too few ranges.
#[derive(Clone, Copy, Debug)]
struct Letters {
    start: u16,
    length: u16,
    spaces: bool,
}

/// A run while its fields are put together.
#[derive(Debug, Default)]
pub(super) struct Fields {
    sounds: Vec<Sound>,
    letters: Vec<Letters>,
}

impl Fields {
    /// Adds a field, if its length is fixed and each of its bytes can be checked by itself; tells
    /// how far from the start of the run it is.
    pub(super) fn push(&mut self, shape: Shape) -> Option<u16> {
        let start = u16::try_from(self.sounds.len()).ok()?;
        match (shape.letters, shape.fixed_bytes()) {
            (Some(spaces), Some(length)) => {
                self.sounds.extend((0..length).map(|_| Sound::ANYTHING));
                self.letters.push(Letters { start, length, spaces });
            }
            _ => self.sounds.extend(shape.sounds()?),
        }
        Some(start)
    }

    /// The run of the fields so far, if there are any, and begins another.
    pub(super) fn take(&mut self) -> Option<Step> {
        let Self { sounds, letters } = std::mem::take(self);
        let bytes = u16::try_from(sounds.len()).ok().filter(|bytes| *bytes > 0)?;
        let whole = sounds.as_chunks().0.iter().take(sounds.len().saturating_sub(1) / BLOCK);
        let mut last = [Sound::ANYTHING; BLOCK];
        last.iter_mut().rev().zip(sounds.iter().rev()).for_each(|(place, sound)| *place = *sound);
        let (whole, last) = (whole.map(Lanes::each).collect(), Lanes::each(&last));
        Some(Step::Run(Run { bytes, whole, last, letters }))
    }
}

impl Run {
    #[inline(always)]
    fn read(&self, frame: &[u8], at: u16) -> Option<Extent> {
        let start = usize::from(at);
        let read = frame.get(..start.wrapping_add(usize::from(self.bytes)))?;
        let mut excess = [0; BLOCK];
        for (lanes, block) in self.whole.iter().zip(read.get(start..)?.as_chunks().0) {
            lanes.add_excess(block, &mut excess);
        }
        self.last.add_excess(read.last_chunk()?, &mut excess);
        let sound = excess == [0; BLOCK]
            && self.letters.iter().all(|Letters { start: within, length, spaces }| {
                let content = Stretch::new(read, start.wrapping_add((*within).into()), *length);
                content.is_some_and(|content| are_letters_digits(content, *spaces))
            });
        sound.then_some(Extent { prefix: 0, content: self.bytes })
    }
}

/// One field with a length in front, with what reading it usually takes already decided.
#[derive(Clone, Debug)]
pub(super) struct Field {
    lanes: Lanes,
    shape: Shape,
    /// The greatest length, in characters.
    max: u16,
    prefix: Prefix,
    /// Where two characters share a byte, what fills the last one.
    packed: Option<Pad>,
    /// Whatever it is.
    anything: bool,
    /// Whether the content may be longer than a block.
    long: bool,
}

/// The usual length prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    TwoAscii,
    ThreeAscii,
    /// One byte, and two of which the first half byte is 0.
    TwoPacked,
    ThreePacked,
}

impl Field {
    fn new(shape: Shape) -> Option<Self> {
        let packed = match shape.form {
            Form::Plain if shape.letters.is_some() => return None,
            Form::Plain | Form::Ebcdic => None,
            Form::Packed(pad) => Some(pad),
            Form::SignedPacked(_) => return None,
        };
        let prefix = match (shape.prefix, shape.length) {
            (DigitEncoding::Ascii, Length::Ll(_)) => Prefix::TwoAscii,
            (DigitEncoding::Ascii, Length::Lll(_)) => Prefix::ThreeAscii,
            (DigitEncoding::Bcd, Length::Ll(_)) => Prefix::TwoPacked,
            (DigitEncoding::Bcd, Length::Lll(_)) => Prefix::ThreePacked,
            (_, Length::Fixed(_)) | (DigitEncoding::Ebcdic, _) => return None,
        };
        let (lanes, max) = (shape.sound.lanes(), shape.length.max());
        let anything = shape.sound == Sound::ANYTHING;
        let long = usize::from(shape.bytes_of(max)) > BLOCK;
        Some(Self { lanes, shape, max, prefix, packed, anything, long })
    }

    /// As [`Shape::read`], but `None` also for some that are sound and not as most are.
    #[inline(always)]
    fn read(&self, frame: &[u8], at: u16) -> Option<Extent> {
        let start = usize::from(at);
        let rest = frame.get(start..)?;
        let (prefix, characters) = match (self.prefix, rest) {
            (Prefix::TwoAscii, [tens, ones, ..]) => (2, ascii_number([b'0', *tens, *ones])?),
            (Prefix::ThreeAscii, [high, tens, ones, ..]) => {
                (3, ascii_number([*high, *tens, *ones])?)
            }
            (Prefix::TwoPacked, [pair, ..]) => (1, packed_number([0, *pair])?),
            (Prefix::ThreePacked, [high, pair, ..]) => (2, packed_number([*high, *pair])?),
            _ => return None,
        };
        if characters > self.max {
            return None;
        }
        let start = start.wrapping_add(usize::from(prefix));
        let (content, bytes) = if let Some(pad) = self.packed {
            let content = Stretch::new(frame, start, characters.div_ceil(2))?;
            if characters % 2 == 1 && !pad.is_in(content.bytes()?) {
                return None;
            }
            (content, characters.div_ceil(2))
        } else {
            (Stretch::new(frame, start, characters)?, characters)
        };
        let sound = if self.anything {
            true
        } else if self.long {
            self.lanes.have_all_of_long(content)
        } else {
            self.lanes.have_all(content)
        };
        if !sound {
            return None;
        }
        Some(Extent { prefix, content: bytes })
    }
}

impl Step {
    pub(super) fn field(shape: Shape) -> Self {
        Field::new(shape).map_or(Self::Rare(shape), Self::Field)
    }

    /// How far it reaches from a place of a frame, if all is there and sound.
    #[inline(always)]
    pub(super) fn read(&self, frame: &[u8], at: u16) -> Option<Extent> {
        match self {
            Self::Run(run) => run.read(frame, at),
            Self::Field(field) => match field.read(frame, at) {
                Some(extent) => Some(extent),
                None => field.shape.read(frame, at),
            },
            Self::Rare(shape) => shape.read(frame, at),
        }
    }
}

/// As [`number_below_1000`], of digits in ASCII.
#[inline(always)]
fn ascii_number(digits: [u8; 3]) -> Option<u16> {
    number_below_1000(digits.map(|digit| digit.wrapping_sub(b'0')))
}

/// The same, of one that has a byte for itself and two that share one.
#[inline(always)]
fn packed_number([high, pair]: [u8; 2]) -> Option<u16> {
    number_below_1000([high, pair >> 4, pair & 0x0F])
}

/// Three digits to their value.
#[inline(always)]
fn number_below_1000([high, tens, ones]: [u8; 3]) -> Option<u16> {
    if high > 9 || tens > 9 || ones > 9 {
        return None;
    }
    Some(u16::from(high) * 100 + u16::from(tens) * 10 + u16::from(ones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::encoding::{BitmapEncoding, Encoding, Padding, TextEncoding};
    use crate::iso8583::field::{Content, FieldSpec};

    /// Bytes at the edges of what is a digit, or two.
    const BYTES: [u8; 17] = [
        0x00, 0x01, 0x09, 0x0A, 0x10, 0x19, 0x20, 0x90, 0x99, 0x9A, 0xA0, 0xFF, b'/', b'0', b'1',
        b'9', b':',
    ];

    #[test]
    fn every_length_reads_as_the_shape_reads_it() {
        let lengths = [Length::Ll(11), Length::Ll(99), Length::Lll(20), Length::Lll(255)];
        for length in lengths {
            for digits in [DigitEncoding::Ascii, DigitEncoding::Bcd] {
                for content in [Content::Digits, Content::Printable, Content::Binary] {
                    let field = Field::new(shape(content, length, digits)).unwrap();
                    let mut frame = [b'5'; 1100];
                    for (a, b, c) in BYTES.iter().flat_map(|a| {
                        BYTES.iter().flat_map(move |b| BYTES.iter().map(move |c| (*a, *b, *c)))
                    }) {
                        frame[..3].copy_from_slice(&[a, b, c]);
                        // Only what is a length: the content is sound.
                        let prefix = usize::from(field.shape.prefix_len());
                        frame[prefix..3].fill(b'5');
                        let expected = field.shape.read(&frame, 0);
                        assert_eq!(
                            field.read(&frame, 0),
                            expected,
                            "{length:?} {:02X?}",
                            &frame[..3]
                        );
                    }
                }
            }
        }
    }

    fn shape(content: Content, length: Length, digits: DigitEncoding) -> Shape {
        let (bitmap, text) = (BitmapEncoding::Binary, TextEncoding::Ascii);
        let encoding = Encoding { mti: digits, bitmap, length: digits, digits, text };
        let field = FieldSpec { number: 2, name: String::new(), content, length, sensitive: false };
        Shape::new(&field, encoding, Padding::USUAL)
    }
}
