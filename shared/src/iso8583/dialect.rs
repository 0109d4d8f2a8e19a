//! The field table of a link and its messages, compiled from a TOML file.
//!
//! Invariant: a [`Dialect`] is whole. Every number from 1 to 128, or on to 192, is defined once,
//! every length fits its prefix, 1 and 65 are bit maps, and what the messages demand and echo is
//! defined; the codec relies on that and checks none of it again. The built-in dialects and an
//! operator's own file go through the same compiler, so the file format is documented once, at the
//! top of `fixtures/dialects/iso87-ascii.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use super::bitmap::{FIELD_MAX, FieldSet};
use super::encoding::{DigitEncoding, Encoding, Padding};
use super::field::{Content, FieldSpec, Length};
use super::form::Shape;
use super::layout::Place;
use super::mti::{Mti, Version};
use super::rules::{Matrix, MessageFault, MessageRules};

/// The fields that every dialect defines: what two bit maps announce.
const FIELDS_MIN: u8 = 128;
/// The most that any field may hold: what three digits of length can say.
const LENGTH_MAX: u16 = 999;
/// The most that two digits of length can say.
const LL_MAX: u16 = 99;
/// The fields that are bit maps: 1 announces 65 to 128, 65 announces what lies above.
const BIT_MAPS: [u8; 2] = [1, 65];
const BIT_MAP_LENGTH: u16 = 8;
/// What no table can make plain: card number, month, tracks, private data with a CVC2, PIN, chip.
const ALWAYS_SENSITIVE: [u8; 9] = [2, 14, 34, 35, 36, 45, 48, 52, 55];

/// How one link writes its messages, and what each of them must have.
#[derive(Clone, Debug)]
pub struct Dialect {
    name: String,
    version: Version,
    encoding: Encoding,
    identity: u64,
    fields: Vec<FieldSpec>,
    shapes: Vec<Shape>,
    places: Vec<Place>,
    matrix: Matrix,
}

/// Why a dialect file was refused, with the line to correct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Not TOML, or a part outside the lists of fields and messages is wrong.
    #[error("line {line}: {reason}")]
    File { line: usize, reason: String },
    /// A field definition is wrong.
    #[error("line {line}: field {number}: {fault}")]
    Field { line: usize, number: FieldNumber, fault: Fault },
    /// What is said of a message type is wrong.
    #[error("line {line}: message {mti}: {fault}")]
    Message { line: usize, mti: String, fault: MessageFault },
    /// The list ends before field 128.
    #[error("line {line}: field {number} and what follows is missing: a dialect defines 1 to 128")]
    Short { line: usize, number: u8 },
}

/// What is wrong with one field definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Entry(String),
    #[error("is out of order: field {expected} is due here (each once, ascending from 1)")]
    OutOfOrder { expected: u8 },
    #[error("give exactly one of `length`, `ll` and `lll`")]
    NotOneLength,
    #[error("a length of {length} is not within 1 to {max}")]
    LengthOutOfRange { length: u16, max: u16 },
    #[error("is a bit map: its class is b and its length 8")]
    NotABitMap,
    #[error("class x+n needs a fixed length of at least 2: the sign and a digit")]
    SignWithoutDigits,
    #[error("is defined beyond 192")]
    BeyondLast,
}

/// The number that a definition gives itself, which may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldNumber(Option<i64>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectFile {
    name: Spanned<String>,
    version: Spanned<u16>,
    encoding: Encoding,
    padding: Option<Spanned<Padding>>,
    fields: Spanned<Vec<Spanned<toml::Table>>>,
    messages: Spanned<BTreeMap<String, Spanned<toml::Value>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    number: u8,
    name: String,
    class: Content,
    length: Option<u16>,
    ll: Option<u16>,
    lll: Option<u16>,
    #[serde(default)]
    sensitive: bool,
}

macro_rules! built_in {
    ($file:literal) => {{
        static BUILT_IN: LazyLock<Dialect> = LazyLock::new(|| {
            Dialect::parse(include_str!(concat!("../../../fixtures/dialects/", $file)))
                .expect("a built-in dialect is part of the program and a test compiles it")
        });
        &BUILT_IN
    }};
}

impl Dialect {
    /// The names that [`Self::built_in`] knows.
    pub const BUILT_IN_NAMES: [&str; 4] =
        ["iso87-ascii", "iso87-bcd", "iso93-ascii", "iso2003-ascii"];

    /// The dialect of this name that is part of the program; the definition is the file of that
    /// name in `fixtures/dialects/`.
    pub fn built_in(name: &str) -> Option<&'static Self> {
        match name {
            "iso87-ascii" => Some(Self::iso87_ascii()),
            "iso87-bcd" => Some(built_in!("iso87-bcd.toml")),
            "iso93-ascii" => Some(built_in!("iso93-ascii.toml")),
            "iso2003-ascii" => Some(built_in!("iso2003-ascii.toml")),
            _ => None,
        }
    }

    /// ISO 8583:1987, ASCII with binary bit maps.
    pub fn iso87_ascii() -> &'static Self {
        built_in!("iso87-ascii.toml")
    }

    /// Compiles a dialect file.
    ///
    /// # Errors
    /// The first thing wrong in it, with its line, and its field or message type if it is about one.
    pub fn parse(text: &str) -> Result<Self, DialectError> {
        let file: DialectFile = toml::from_str(text).map_err(|error| DialectError::File {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            reason: error.message().to_owned(),
        })?;
        let version = version_of(text, &file.version)?;
        if file.name.get_ref().is_empty() {
            return Err(file_error(text, &file.name, "a dialect has a name"));
        }
        let bcd = file.encoding.digits == DigitEncoding::Bcd;
        let padding = match file.padding {
            Some(given) if !bcd => {
                return Err(file_error(text, &given, "only BCD digits are padded"));
            }
            Some(given) => given.into_inner(),
            None => Padding::USUAL,
        };
        let fields = fields_of(text, file.fields)?;
        let shapes: Vec<Shape> =
            fields.iter().map(|field| Shape::new(field, file.encoding, padding)).collect();
        let places = (0..).zip(&shapes).map(|(at, shape)| Place::alone(at, *shape)).collect();
        let defined = fields.iter().fold(FieldSet::EMPTY, |set, field| set.with(field.number));
        let matrix = Matrix::compile(file.messages.get_ref(), version, defined);
        let matrix = matrix.map_err(|(mti, span, fault)| {
            let at = span.unwrap_or_else(|| file.messages.span()).start;
            DialectError::Message { line: line_of(text, at), mti, fault }
        })?;
        Ok(Self {
            name: file.name.into_inner(),
            version,
            encoding: file.encoding,
            identity: xxhash_rust::xxh3::xxh3_64(text.as_bytes()),
            fields,
            shapes,
            places,
            matrix,
        })
    }

    /// The name that configuration refers to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The edition of the standard; messages of another are refused.
    pub fn version(&self) -> Version {
        self.version
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// A field's definition; `None` for a number that the dialect does not define.
    pub fn field(&self, number: u8) -> Option<&FieldSpec> {
        self.fields.get(usize::from(number.checked_sub(1)?))
    }

    /// All definitions, ascending: 128 of them, up to 192 where there is a third bit map.
    pub fn fields(&self) -> &[FieldSpec] {
        &self.fields
    }

    /// What a message of this type must have and what its reply echoes; a repeat has the entry of
    /// its first sending. `None` for a type that the dialect does not take.
    #[inline]
    pub fn rules(&self, mti: Mti) -> Option<&MessageRules> {
        self.matrix.rules(mti)
    }

    /// The fields that a reply to this type echoes.
    pub fn echo_of(&self, mti: Mti) -> FieldSet {
        self.rules(mti).map_or(self.default_echo(), |rules| rules.echo)
    }

    /// The fields that the reply to a type without an entry echoes.
    pub fn default_echo(&self) -> FieldSet {
        self.matrix.default_echo()
    }

    /// Tells dialects apart: a digest of the file.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    #[inline]
    pub(super) fn shape(&self, number: u8) -> Option<Shape> {
        self.shapes.get(usize::from(number.checked_sub(1)?)).copied()
    }

    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Where fields lie that were read one by one.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whether a third bit map may announce fields.
    pub(super) fn has_third_bitmap(&self) -> bool {
        self.fields.len() > usize::from(FIELDS_MIN)
    }
}

impl fmt::Display for FieldNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("without a number"),
        }
    }
}

/// Whether the field is a bit map, and so is neither read nor written as a value.
pub(super) fn is_bit_map(number: u8) -> bool {
    BIT_MAPS.contains(&number)
}

fn file_error<T>(text: &str, place: &Spanned<T>, reason: &str) -> DialectError {
    DialectError::File { line: line_of(text, place.span().start), reason: reason.to_owned() }
}

fn version_of(text: &str, version: &Spanned<u16>) -> Result<Version, DialectError> {
    match version.get_ref() {
        1987 => Ok(Version::V1987),
        1993 => Ok(Version::V1993),
        2003 => Ok(Version::V2003),
        other => {
            let reason = format!("version {other} is not supported: 1987, 1993 and 2003 are");
            Err(file_error(text, version, &reason))
        }
    }
}

fn fields_of(
    text: &str,
    entries: Spanned<Vec<Spanned<toml::Table>>>,
) -> Result<Vec<FieldSpec>, DialectError> {
    let mut fields = Vec::with_capacity(usize::from(FIELD_MAX));
    let mut due = 1..=FIELD_MAX;
    let end = entries.span().end.saturating_sub(1);
    for entry in entries.into_inner() {
        let line = line_of(text, entry.span().start);
        let table = entry.into_inner();
        let number = FieldNumber(table.get("number").and_then(toml::Value::as_integer));
        let field = compile(table, due.next());
        fields.push(field.map_err(|fault| DialectError::Field { line, number, fault })?);
    }
    match due.next() {
        Some(number) if number <= FIELDS_MIN => {
            Err(DialectError::Short { line: line_of(text, end), number })
        }
        Some(_) | None => Ok(fields),
    }
}

fn compile(table: toml::Table, expected: Option<u8>) -> Result<FieldSpec, Fault> {
    let entry: FieldEntry =
        table.try_into().map_err(|error: toml::de::Error| Fault::Entry(error.message().into()))?;
    let expected = expected.ok_or(Fault::BeyondLast)?;
    if entry.number != expected {
        return Err(Fault::OutOfOrder { expected });
    }
    let (length, max) = match (entry.length, entry.ll, entry.lll) {
        (Some(length), None, None) => (Length::Fixed(length), LENGTH_MAX),
        (None, Some(most), None) => (Length::Ll(most), LL_MAX),
        (None, None, Some(most)) => (Length::Lll(most), LENGTH_MAX),
        _ => return Err(Fault::NotOneLength),
    };
    if !(1..=max).contains(&length.max()) {
        return Err(Fault::LengthOutOfRange { length: length.max(), max });
    }
    let bit_map = entry.class == Content::Binary && length == Length::Fixed(BIT_MAP_LENGTH);
    if is_bit_map(entry.number) && !bit_map {
        return Err(Fault::NotABitMap);
    }
    if entry.class == Content::SignedDigits && !matches!(length, Length::Fixed(2..)) {
        return Err(Fault::SignWithoutDigits);
    }
    let FieldEntry { number, name, class: content, sensitive, .. } = entry;
    let sensitive = sensitive || ALWAYS_SENSITIVE.contains(&number);
    Ok(FieldSpec { number, name, content, length, sensitive })
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
