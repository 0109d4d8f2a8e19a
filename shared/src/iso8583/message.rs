//! A message: its type, and its fields as received.
//!
//! Invariant: a message owns nothing. What a field says is asked in ASCII, whatever the link's
//! encoding; what it was on the wire is handed out as slices of the frame.

use std::fmt;

use super::bitmap::{FIELD_MAX, FieldSet};
use super::dialect::{Dialect, is_bit_map};
use super::field::Content;
use super::form::Shape;
use super::layout::{Place, Segment};
use super::mti::Mti;

/// The number that a [`FormatError`] has in place of a field's: the message type.
pub const MTI_FIELD: u8 = 0;
/// The number that a [`FormatError`] has in place of a field's: any bit map.
pub const BITMAP_FIELD: u8 = 1;
/// No field of any dialect has more characters than this.
pub const TEXT_MAX: usize = 999;

/// A frame that is a message of its dialect.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub(super) mti: Mti,
    pub(super) dialect: &'a Dialect,
    pub(super) fields: Fields<'a>,
}

/// Fields as received: slices of a frame.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub(super) frame: &'a [u8],
    pub(super) segments: &'a [Segment],
    pub(super) places: &'a [Place],
    pub(super) shapes: &'a [Shape],
    pub(super) present: FieldSet,
}

/// The fields in front of the one that a [`FormatError`] names: sound, though the message is not.
pub type Salvage<'a> = Fields<'a>;

/// Where a message, or the values for one, broke which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at offset {offset}: {rule}", Element { mti: *mti, field: *field })]
pub struct FormatError {
    /// The message type, if it could be read.
    pub mti: Option<Mti>,
    /// The field's number; 0 is the message type, 1 a bit map.
    pub field: u8,
    /// In bytes from the start of the message type: the offending byte if the rule is about
    /// content, otherwise the first byte of the element, which is its length prefix if it has one.
    pub offset: u16,
    pub rule: Rule,
}

/// What a message must obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    #[error("a message has at most 65535 bytes")]
    MessageTooLong,
    #[error("the message ends before the field does")]
    Truncated,
    #[error("not a message type of ISO 8583")]
    UnknownMti,
    #[error("the message type is of another edition of the standard than the link")]
    OtherVersion,
    #[error("the bit map is not written in hex digits, letters in capitals")]
    BitmapNotHex,
    #[error("a bit map announces it, and the link does not have it")]
    BeyondLast,
    #[error("the length is not written in digits")]
    LengthNotDigits,
    #[error("the length is above {max}")]
    OverMax { max: u16 },
    #[error("the content is not {}", .0.abbreviation())]
    Content(Content),
    #[error("bytes follow the last field")]
    TrailingBytes,
    #[error("the field is mandatory and absent")]
    Missing,
    #[error("the content is not a number below ten to the nineteenth")]
    NotANumber,
    #[error("the length is not {expected}")]
    WrongLength { expected: u16 },
    #[error(
        "no value can be given for it, or not here: values are for 2 to 192 except 65, ascending"
    )]
    NotAssignable,
}

struct Element {
    mti: Option<Mti>,
    field: u8,
}

/// Refuses a message that lacks one of these fields.
///
/// # Errors
/// [`Rule::Missing`] with the first absent one, in the order given.
pub fn require(message: &Message<'_>, mandatory: &[u8]) -> Result<(), FormatError> {
    match mandatory.iter().find(|number| !message.has(**number)) {
        None => Ok(()),
        Some(absent) => Err(message.error(*absent, Rule::Missing)),
    }
}

impl<'a> Message<'a> {
    pub fn mti(&self) -> Mti {
        self.mti
    }

    pub fn dialect(&self) -> &'a Dialect {
        self.dialect
    }

    #[inline]
    pub fn has(&self, number: u8) -> bool {
        self.fields.present.contains(number)
    }

    /// Whether the dialect takes messages of its type from the network.
    #[inline]
    pub fn is_taken(&self) -> bool {
        self.dialect.rules(self.mti).is_some()
    }

    /// Refuses a message that lacks a field which the dialect demands of its type; one of a type
    /// that the dialect does not take lacks nothing.
    ///
    /// # Errors
    /// [`Rule::Missing`] with the first absent field; the offset is that of the bit map, which
    /// denies it.
    #[inline]
    pub fn validate(&self) -> Result<(), FormatError> {
        let rules = self.dialect.rules(self.mti);
        match rules.and_then(|rules| rules.first_missing(self.fields.present)) {
            None => Ok(()),
            Some(absent) => Err(self.error(absent, Rule::Missing)),
        }
    }

    /// The content of a field as on the wire, without its length prefix.
    #[inline]
    pub fn bytes(&self, number: u8) -> Option<&'a [u8]> {
        self.fields.bytes(number)
    }

    /// The value of a field of digits.
    ///
    /// # Errors
    /// [`Rule::NotANumber`] if the content is empty, above 19 digits, or not of digits.
    #[inline]
    pub fn number(&self, number: u8) -> Result<Option<u64>, FormatError> {
        match (self.fields.wire(number), self.fields.shape(number)) {
            (Some(wire), Some(shape)) => match shape.number(wire) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(number, Rule::NotANumber)),
            },
            _ => Ok(None),
        }
    }

    /// The content of a field in ASCII: a slice of the frame if it is that there, otherwise decoded
    /// into `scratch`. `None` if the field is absent, of raw bytes, or longer than the scratch, for
    /// which [`TEXT_MAX`] always suffices. The scratch may hold a card's number afterwards.
    #[inline]
    pub fn text<'s>(&self, number: u8, scratch: &'s mut [u8]) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        self.fields.text(number, scratch)
    }

    /// The first `N` characters of a field in ASCII; `None` if there are fewer.
    #[inline]
    pub fn text_array<const N: usize>(&self, number: u8) -> Option<[u8; N]> {
        let mut whole = [0; TEXT_MAX];
        let mut short = [0; 64];
        let scratch = if N <= 64 { &mut short[..] } else { &mut whole[..] };
        self.text(number, scratch)?.first_chunk().copied()
    }

    /// Where a field begins, its length prefix included; in bytes from the start of the message
    /// type.
    pub fn offset_of(&self, number: u8) -> Option<u16> {
        self.fields.offset_of(number)
    }

    /// Number and content of each field, ascending, as on the wire; bit maps are not among them.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.fields.iter()
    }

    /// The fields as a reply echoes them.
    pub fn received(&self) -> Fields<'a> {
        self.fields
    }

    /// The whole message, from the message type on.
    pub fn frame(&self) -> &'a [u8] {
        self.fields.frame
    }

    /// That this message breaks a rule at this field; if it is absent, at the bit map, which denies
    /// it.
    #[cold]
    pub fn error(&self, field: u8, rule: Rule) -> FormatError {
        let offset = self.offset_of(field).unwrap_or(self.dialect.encoding().mti.bytes_of(4));
        FormatError { mti: Some(self.mti), field, offset, rule }
    }
}

impl<'a> Fields<'a> {
    /// No fields at all: what a message that answers nothing echoes.
    pub const NONE: Self =
        Self { frame: &[], segments: &[], places: &[], shapes: &[], present: FieldSet::EMPTY };

    /// Which fields there are.
    pub fn present(&self) -> FieldSet {
        self.present
    }

    /// Those of the fields that are in the set.
    #[must_use]
    pub fn only(self, set: FieldSet) -> Self {
        Self { present: self.present.intersection(set), ..self }
    }

    /// The content of a field as on the wire, without its length prefix.
    #[inline]
    pub fn bytes(&self, number: u8) -> Option<&'a [u8]> {
        let segment = self.segment(number)?;
        self.frame.get(usize::from(segment.content)..usize::from(segment.end))
    }

    /// The content of a field in ASCII; see [`Message::text`].
    #[inline]
    pub fn text<'s>(&self, number: u8, scratch: &'s mut [u8]) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        self.shape(number)?.text(self.wire(number)?, scratch)
    }

    /// Where a field begins, its length prefix included; in bytes from the start of the message
    /// type.
    pub fn offset_of(&self, number: u8) -> Option<u16> {
        self.segment(number).map(|segment| segment.start)
    }

    /// The field as on the wire, its length prefix included.
    #[inline]
    pub fn wire(&self, number: u8) -> Option<&'a [u8]> {
        let segment = self.segment(number)?;
        self.frame.get(usize::from(segment.start)..usize::from(segment.end))
    }

    /// Number and content of each field, ascending, as on the wire.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let fields = *self;
        self.present.iter().filter_map(move |number| Some((number, fields.bytes(number)?)))
    }

    #[inline]
    pub(super) fn segment(&self, number: u8) -> Option<Segment> {
        if !self.present.contains(number) {
            return None;
        }
        self.places.get(usize::from(number.checked_sub(1)?))?.of(self.segments)
    }

    #[inline]
    fn shape(&self, number: u8) -> Option<Shape> {
        self.shapes.get(usize::from(number.checked_sub(1)?)).copied()
    }
}

/// Numbers and lengths only: the content may be a card's.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(number, bytes)| (number, bytes.len()))).finish()
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mti) = self.mti {
            write!(f, "{mti} ")?;
        }
        match self.field {
            MTI_FIELD => f.write_str("message type"),
            BITMAP_FIELD => f.write_str("bit map"),
            number => write!(f, "field {number}"),
        }
    }
}

/// Whether a value may be given for the field: not for the bit maps, which follow from the others.
pub(super) fn is_assignable(number: u8) -> bool {
    (1..=FIELD_MAX).contains(&number) && !is_bit_map(number)
}
