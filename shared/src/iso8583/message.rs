//! Bytes to message.
//!
//! Invariant: [`parse`] reads each byte of the frame once and copies none. It leaves in the
//! [`Layout`] where every field begins and ends; which of these entries are valid is told by the
//! bit map alone, so that the layout is never cleared between messages. The fields in front of a
//! fault stay readable, so that the answer to a broken message can echo them.

use std::fmt;

use super::bitmap::{FIELD_MAX, FieldSet};
use super::dialect::{Dialect, Plan, is_bit_map};
use super::field::{Content, Length, to_number};
use super::mti::Mti;

/// The number that a [`FormatError`] has in place of a field's: the message type.
pub const MTI_FIELD: u8 = 0;
/// The number that a [`FormatError`] has in place of a field's: either bit map.
pub const BITMAP_FIELD: u8 = 1;

/// The bit that announces the second bit map.
const SECOND_BITMAP: FieldSet = FieldSet::of(&[1]);
const MTI_LENGTH: u16 = 4;
const BITMAP_LENGTH: u16 = 8;

/// Where the fields of one frame lie: scratch space of a connection, reused for each of its
/// messages.
#[derive(Clone, Debug)]
pub struct Layout {
    parsed: FieldSet,
    slots: [Slot; FIELD_MAX as usize],
}

/// One field: its first byte, its first content byte, the byte behind its last. They differ from
/// each other by its length prefix and its content.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    start: u16,
    content: u16,
    end: u16,
}

/// A frame that is a message of its dialect.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    mti: Mti,
    fields: Fields<'a>,
}

/// Fields as received: slices of a frame.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    frame: &'a [u8],
    slots: &'a [Slot],
    present: FieldSet,
}

/// The fields in front of the one that a [`FormatError`] names: sound, though the message is not.
pub type Salvage<'a> = Fields<'a>;

/// Where a message, or the values for one, broke which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at offset {offset}: {rule}", Place { mti: *mti, field: *field })]
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
    #[error("field 65 announces fields above 128, and the link has none")]
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
        "no value can be given for it, or not here: values are for 2 to 128 except 65, ascending"
    )]
    NotAssignable,
}

struct Place {
    mti: Option<Mti>,
    field: u8,
}

/// Reads one message from the bytes between two length headers.
///
/// # Errors
/// The first fault in the frame. [`Layout::salvaged`] then has the fields in front of it.
pub fn parse<'a>(
    dialect: &Dialect,
    frame: &'a [u8],
    layout: &'a mut Layout,
) -> Result<Message<'a>, FormatError> {
    layout.parsed = FieldSet::EMPTY;
    let mti = read_mti(dialect, frame)?;
    let (present, body) = read_bitmaps(mti, frame)?;
    match read_fields(dialect, frame, (present, body), &mut layout.slots) {
        Ok(()) => layout.parsed = present,
        Err(Broken { field, offset, rule }) => {
            let trailing = rule == Rule::TrailingBytes;
            layout.parsed = if trailing { present } else { present.below(field) };
            return Err(FormatError { mti: Some(mti), field, offset, rule });
        }
    }
    Ok(Message { mti, fields: layout.salvaged(frame) })
}

/// Refuses a message that lacks one of these fields.
///
/// # Errors
/// [`Rule::Missing`] with the first absent one, in the order given; the offset is that of the bit
/// map, which denies it.
pub fn require(message: &Message<'_>, mandatory: &[u8]) -> Result<(), FormatError> {
    match mandatory.iter().find(|number| !message.has(**number)) {
        None => Ok(()),
        Some(absent) => Err(message.error(*absent, MTI_LENGTH, Rule::Missing)),
    }
}

impl Layout {
    pub fn new() -> Self {
        Self { parsed: FieldSet::EMPTY, slots: [Slot::default(); FIELD_MAX as usize] }
    }

    /// The fields that the last [`parse`] read soundly, from the frame that was given to it: after
    /// an error those in front of the fault, none if it lies in the message type or a bit map.
    pub fn salvaged<'a>(&'a self, frame: &'a [u8]) -> Salvage<'a> {
        Fields { frame, slots: &self.slots, present: self.parsed }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Message<'a> {
    pub fn mti(&self) -> Mti {
        self.mti
    }

    pub fn has(&self, number: u8) -> bool {
        self.fields.present.contains(number)
    }

    /// The content of a field, without its length prefix.
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
        let Some(bytes) = self.bytes(number) else { return Ok(None) };
        match to_number(bytes) {
            Some(value) => Ok(Some(value)),
            None => {
                let offset = self.offset_of(number).unwrap_or(0);
                Err(self.error(number, offset, Rule::NotANumber))
            }
        }
    }

    /// Where a field begins, its length prefix included; in bytes from the start of the message
    /// type.
    pub fn offset_of(&self, number: u8) -> Option<u16> {
        self.fields.offset_of(number)
    }

    /// Number and content of each field, ascending; bit maps are not among them.
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

    fn error(&self, field: u8, offset: u16, rule: Rule) -> FormatError {
        FormatError { mti: Some(self.mti), field, offset, rule }
    }
}

impl<'a> Fields<'a> {
    /// No fields at all: what a message that answers nothing echoes.
    pub const NONE: Self = Self { frame: &[], slots: &[], present: FieldSet::EMPTY };

    /// Which fields there are.
    pub fn present(&self) -> FieldSet {
        self.present
    }

    /// Those of the fields that are in the set.
    #[must_use]
    pub fn only(self, set: FieldSet) -> Self {
        Self { present: self.present.intersection(set), ..self }
    }

    /// The content of a field, without its length prefix.
    #[inline]
    pub fn bytes(&self, number: u8) -> Option<&'a [u8]> {
        let slot = self.slot(number)?;
        self.frame.get(usize::from(slot.content)..usize::from(slot.end))
    }

    /// Where a field begins, its length prefix included; in bytes from the start of the message
    /// type.
    pub fn offset_of(&self, number: u8) -> Option<u16> {
        self.slot(number).map(|slot| slot.start)
    }

    /// The field as on the wire, its length prefix included.
    #[inline]
    pub fn wire(&self, number: u8) -> Option<&'a [u8]> {
        let slot = self.slot(number)?;
        self.frame.get(usize::from(slot.start)..usize::from(slot.end))
    }

    /// Number and content of each field, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let fields = *self;
        self.present.iter().filter_map(move |number| Some((number, fields.bytes(number)?)))
    }

    #[inline]
    fn slot(&self, number: u8) -> Option<Slot> {
        if !self.present.contains(number) {
            return None;
        }
        self.slots.get(usize::from(number.checked_sub(1)?)).copied()
    }
}

/// Numbers and lengths only: the content may be a card's.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(number, bytes)| (number, bytes.len()))).finish()
    }
}

impl fmt::Display for Place {
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

/// A fault inside the fields: a [`FormatError`] before it is known which message it is in.
#[derive(Clone, Copy)]
struct Broken {
    field: u8,
    offset: u16,
    rule: Rule,
}

fn read_mti(dialect: &Dialect, frame: &[u8]) -> Result<Mti, FormatError> {
    let error = |mti, rule| Err(FormatError { mti, field: MTI_FIELD, offset: 0, rule });
    if frame.len() > usize::from(u16::MAX) {
        return error(None, Rule::MessageTooLong);
    }
    let Some(digits) = frame.first_chunk::<4>() else {
        return error(None, Rule::Truncated);
    };
    match Mti::from_ascii(*digits) {
        None => error(None, Rule::UnknownMti),
        Some(mti) if mti.version != dialect.version() => error(Some(mti), Rule::OtherVersion),
        Some(mti) => Ok(mti),
    }
}

/// The fields that the bit maps announce, and where the first of them begins.
fn read_bitmaps(mti: Mti, frame: &[u8]) -> Result<(FieldSet, u16), FormatError> {
    let error = |field, offset, rule| Err(FormatError { mti: Some(mti), field, offset, rule });
    let first = MTI_LENGTH;
    let second = first + BITMAP_LENGTH;
    let maps = frame.get(usize::from(first)..).unwrap_or_default();
    let Some(primary) = maps.first_chunk::<8>() else {
        return error(BITMAP_FIELD, first, Rule::Truncated);
    };
    let primary = u64::from_be_bytes(*primary);
    if primary >> 63 == 0 {
        let announced = FieldSet::from_wire((u128::from(primary) << 64).to_be_bytes());
        return Ok((announced, second));
    }
    let Some(both) = maps.first_chunk::<16>() else {
        return error(BITMAP_FIELD, second, Rule::Truncated);
    };
    let announced = FieldSet::from_wire(*both).difference(SECOND_BITMAP);
    if announced.contains(65) {
        return error(65, second, Rule::BeyondLast);
    }
    Ok((announced, second + BITMAP_LENGTH))
}

fn read_fields(
    dialect: &Dialect,
    frame: &[u8],
    (present, mut at): (FieldSet, u16),
    slots: &mut [Slot; FIELD_MAX as usize],
) -> Result<(), Broken> {
    for number in present {
        let (Some(plan), Some(slot)) =
            (dialect.plan(number), slots.get_mut(usize::from(number.wrapping_sub(1))))
        else {
            return Err(Broken { field: number, offset: at, rule: Rule::BeyondLast });
        };
        match read_field(plan, frame, at) {
            Some((content, end)) => {
                *slot = Slot { start: at, content, end };
                at = end;
            }
            None => return Err(fault_of(plan, frame, number, at)),
        }
    }
    if usize::from(at) == frame.len() {
        return Ok(());
    }
    let field = present.iter().last().unwrap_or(BITMAP_FIELD);
    Err(Broken { field, offset: at, rule: Rule::TrailingBytes })
}

/// Where the content of the field that begins at `start` begins and ends. What is wrong with one
/// that cannot be read is for [`fault_of`] to find, so that the path of sound messages carries no
/// error.
#[inline]
fn read_field(plan: Plan, frame: &[u8], start: u16) -> Option<(u16, u16)> {
    let rest = frame.get(usize::from(start)..)?;
    let length = match plan.length {
        Length::Fixed(length) => length,
        Length::Ll(max) => digits_to_length(rest.first_chunk::<2>()?).filter(|l| *l <= max)?,
        Length::Lll(max) => digits_to_length(rest.first_chunk::<3>()?).filter(|l| *l <= max)?,
    };
    let content = start.checked_add(plan.length.prefix_len())?;
    let end = content.checked_add(length)?;
    let bytes = frame.get(usize::from(content)..)?;
    let whole = usize::from(end) <= frame.len() && plan.allows(bytes, length);
    whole.then_some((content, end))
}

#[cold]
fn fault_of(plan: Plan, frame: &[u8], field: u8, start: u16) -> Broken {
    let broken = |offset, rule| Broken { field, offset, rule };
    let rest = frame.get(usize::from(start)..).unwrap_or_default();
    let Some((prefix, rest)) = rest.split_at_checked(usize::from(plan.length.prefix_len())) else {
        return broken(start, Rule::Truncated);
    };
    let (length, max) = match (plan.length, digits_to_length(prefix)) {
        (Length::Fixed(length), _) => (length, length),
        (Length::Ll(max) | Length::Lll(max), Some(length)) => (length, max),
        (Length::Ll(_) | Length::Lll(_), None) => return broken(start, Rule::LengthNotDigits),
    };
    if length > max {
        return broken(start, Rule::OverMax { max });
    }
    match rest.get(..usize::from(length)).map(|bytes| plan.content.first_fault(bytes)) {
        None | Some(None) => broken(start, Rule::Truncated),
        Some(Some(at)) => {
            let content = usize::from(start) + prefix.len();
            let offset = u16::try_from(content + at).unwrap_or(u16::MAX);
            broken(offset, Rule::Content(plan.content))
        }
    }
}

/// Two or three digits; `None` if one of them is none.
#[inline]
fn digits_to_length(digits: &[u8]) -> Option<u16> {
    let mut length = 0;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        length = length * 10 + u16::from(value);
    }
    Some(length)
}

/// Whether a value may be given for the field: not for the bit maps, which follow from the others.
pub(super) fn is_assignable(number: u8) -> bool {
    (1..=FIELD_MAX).contains(&number) && !is_bit_map(number)
}
