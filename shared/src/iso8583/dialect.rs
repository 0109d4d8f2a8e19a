//! The field table of a link: 128 definitions, compiled from a TOML file.
//!
//! Invariant: a [`Dialect`] is whole. Every number from 1 to 128 is defined once, every length fits
//! its prefix, and 1 and 65 are bit maps; the codec relies on that and checks none of it again. The
//! built-in dialect and an operator's own file go through the same compiler, so the file format is
//! documented once, at the top of `fixtures/dialects/iso87-ascii.toml`.

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use super::bitmap::FIELD_MAX;
use super::field::{ByteRange, Content, FieldSpec, Length};
use super::mti::Version;

/// The most content bytes that any field may have: what three digits of length can say.
const LENGTH_MAX: u16 = 999;
/// The most content bytes that two digits of length can say.
const LL_MAX: u16 = 99;
/// The fields that are bit maps: 1 announces 65 to 128, 65 announces what lies above.
const BIT_MAPS: [u8; 2] = [1, 65];
const BIT_MAP_LENGTH: u16 = 8;

/// How one link writes its messages.
#[derive(Clone, Debug)]
pub struct Dialect {
    name: String,
    version: Version,
    encoding: Encoding,
    fields: Vec<FieldSpec>,
    plan: [Plan; FIELD_MAX as usize],
}

/// How each kind of element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    pub mti: TextEncoding,
    pub bitmap: BitmapEncoding,
    pub length: TextEncoding,
    pub text: TextEncoding,
}

/// How digits and text are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextEncoding {
    Ascii,
}

/// How bit maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BitmapEncoding {
    /// Eight raw bytes.
    Binary,
}

/// What reading a field needs of its definition, small enough that the whole table stays in the
/// first-level cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) length: Length,
    pub(super) content: Content,
    sound: Option<ByteRange>,
}

/// Why a dialect file was refused, with the line to correct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Not TOML, or a part outside the field list is wrong.
    #[error("line {line}: {reason}")]
    File { line: usize, reason: String },
    /// A field definition is wrong.
    #[error("line {line}: field {number}: {fault}")]
    Field { line: usize, number: FieldNumber, fault: Fault },
    /// The list ends before field 128.
    #[error("field {number} and what follows is missing: a dialect defines 1 to 128")]
    Short { number: u8 },
}

/// What is wrong with one field definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Entry(String),
    #[error("is out of order: field {expected} is due here (each of 1 to 128 once, ascending)")]
    OutOfOrder { expected: u8 },
    #[error("give exactly one of `length`, `ll` and `lll`")]
    NotOneLength,
    #[error("a length of {length} is not within 1 to {max}")]
    LengthOutOfRange { length: u16, max: u16 },
    #[error("is a bit map: its class is b and its length 8")]
    NotABitMap,
    #[error("class x+n needs a fixed length of at least 2: the sign and a digit")]
    SignWithoutDigits,
    #[error("is defined beyond 128")]
    BeyondLast,
}

/// The number that a definition gives itself, which may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldNumber(Option<i64>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectFile {
    name: String,
    version: u16,
    encoding: Encoding,
    fields: Vec<Spanned<toml::Table>>,
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

impl Dialect {
    /// ISO 8583:1987, ASCII with binary bit maps; the definition is
    /// `fixtures/dialects/iso87-ascii.toml`.
    pub fn iso87_ascii() -> &'static Self {
        static BUILT_IN: LazyLock<Dialect> = LazyLock::new(|| {
            Dialect::parse(include_str!("../../../fixtures/dialects/iso87-ascii.toml"))
                .expect("the built-in dialect is part of the program and a test compiles it")
        });
        &BUILT_IN
    }

    /// Compiles a dialect file.
    ///
    /// # Errors
    /// The first thing wrong in it, with its line, and its field if it is about one.
    pub fn parse(text: &str) -> Result<Self, DialectError> {
        let file: DialectFile = toml::from_str(text).map_err(|error| DialectError::File {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            reason: error.message().to_owned(),
        })?;
        let version = match file.version {
            1987 => Version::V1987,
            other => {
                let reason = format!("version {other} is not supported, 1987 is");
                return Err(DialectError::File { line: line_of_key(text, "version"), reason });
            }
        };
        let mut fields = Vec::with_capacity(usize::from(FIELD_MAX));
        let mut due = 1..=FIELD_MAX;
        for entry in file.fields {
            let line = line_of(text, entry.span().start);
            let table = entry.into_inner();
            let number = FieldNumber(table.get("number").and_then(toml::Value::as_integer));
            let expected = due.next();
            let spec = compile(table, expected).map_err(|fault| DialectError::Field {
                line,
                number,
                fault,
            })?;
            fields.push(spec);
        }
        if let Some(number) = due.next() {
            return Err(DialectError::Short { number });
        }
        let plan = plan_of(&fields);
        Ok(Self { name: file.name, version, encoding: file.encoding, fields, plan })
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

    /// A field's definition; `None` outside 1 to 128.
    pub fn field(&self, number: u8) -> Option<&FieldSpec> {
        self.fields.get(usize::from(number.checked_sub(1)?))
    }

    /// All definitions, ascending: 128 of them.
    pub fn fields(&self) -> &[FieldSpec] {
        &self.fields
    }

    #[inline]
    pub(super) fn plan(&self, number: u8) -> Option<Plan> {
        self.plan.get(usize::from(number.checked_sub(1)?)).copied()
    }
}

impl Plan {
    fn new(length: Length, content: Content) -> Self {
        Self { length, content, sound: content.sound() }
    }

    /// Whether each of the first `length` bytes may stand where it stands.
    #[inline]
    pub(super) fn allows(self, bytes: &[u8], length: u16) -> bool {
        self.sound.is_some_and(|sound| sound.has_all(bytes, length))
            || self.allows_slowly(bytes, length)
    }

    fn allows_slowly(self, bytes: &[u8], length: u16) -> bool {
        let content = bytes.get(..usize::from(length));
        content.is_some_and(|content| self.content.first_fault(content).is_none())
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
    Ok(FieldSpec { number, name, content, length, sensitive })
}

fn plan_of(fields: &[FieldSpec]) -> [Plan; FIELD_MAX as usize] {
    let mut plan = [Plan::new(Length::Fixed(0), Content::Binary); FIELD_MAX as usize];
    for (slot, field) in plan.iter_mut().zip(fields) {
        *slot = Plan::new(field.length, field.content);
    }
    plan
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The line of a top-level key that the file is known to have.
fn line_of_key(text: &str, key: &str) -> usize {
    1 + text.lines().take_while(|line| !line.trim_start().starts_with(key)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../fixtures/dialects/iso87-ascii.toml");

    #[test]
    fn the_built_in_dialect_is_the_published_table() {
        let dialect = Dialect::iso87_ascii();
        assert_eq!((dialect.name(), dialect.version()), ("iso87-ascii", Version::V1987));
        assert_eq!(dialect.fields().len(), 128);
        // Number, class, length, by hand: the published 1987 table with the differences that the
        // head of the file lists.
        let table = "2 n ..19    3 n 6        4 n 12      7 n 10      11 n 6      14 n 4     22 n 3
            28 x+n 9     32 n ..11    35 z ..37   36 z ...104 37 anp 12   38 anp 6   39 an 2
            41 ans 8     42 ans 15    43 ans 40   44 ans ..25 45 ans ..76 48 ans ...999
            49 n 3       52 b 8       53 n 16     54 an ...120 55 b ...255 64 b 8    70 n 3
            90 n 42      95 an 42     96 b 8      97 x+n 17   99 n ..11   102 ans ..28
            104 ans ...100 127 ans ...999 128 b 8";
        let words: Vec<&str> = table.split_whitespace().collect();
        for row in words.chunks(3) {
            let field = dialect.field(row[0].parse().unwrap()).unwrap();
            let length = match field.length {
                Length::Fixed(length) => format!("{length}"),
                Length::Ll(max) => format!("..{max}"),
                Length::Lll(max) => format!("...{max}"),
            };
            assert_eq!([field.content.abbreviation(), &length], row[1..], "field {}", row[0]);
        }
    }

    #[test]
    fn card_data_keys_and_undefined_content_are_sensitive() {
        let sensitive: Vec<u8> = Dialect::iso87_ascii()
            .fields()
            .iter()
            .filter(|field| field.sensitive)
            .map(|field| field.number)
            .collect();
        let mut expected = vec![2, 14, 34, 35, 36, 45, 46, 47, 48, 52, 53, 55];
        expected.extend([56, 57, 58, 59, 60, 61, 62, 63, 92, 96, 98, 102, 103, 104]);
        expected.extend(105..=127);
        assert_eq!(sensitive, expected);
    }

    #[test]
    fn no_number_outside_1_to_128_has_a_definition() {
        let dialect = Dialect::iso87_ascii();
        for number in 0..=255 {
            assert_eq!(dialect.field(number).is_some(), (1..=128).contains(&number));
            assert_eq!(dialect.field(number).map_or(number, |field| field.number), number);
        }
    }

    #[test]
    fn a_wrong_definition_is_refused_with_its_field() {
        let check = |from: &str, to: &str, field: &str, reason: &str| {
            assert_eq!(TEXT.matches(from).count(), 1, "{from}");
            let line = 1 + TEXT.lines().position(|line| line.contains(from)).unwrap();
            let error = Dialect::parse(&TEXT.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: field {field}: ")), "{error}");
            assert!(error.contains(reason), "{error}");
        };
        check("number = 3,", "number = 3, padding = 0,", "3", "unknown field `padding`");
        check("number = 3,", "number = 4,", "4", "field 3 is due");
        check("number = 3,", "number = 2,", "2", "field 3 is due");
        check("number = 3,", "number = 300,", "300", "300");
        check("number = 3,", "", "without a number", "missing field `number`");
        check("ll = 19", "ll = 100", "2", "100 is not within 1 to 99");
        check("ll = 19", "ll = 0", "2", "0 is not within 1 to 99");
        check("ll = 37", "ll = 37, lll = 37", "35", "exactly one of");
        check("ll = 37, ", "", "35", "exactly one of");
        check("lll = 104", "lll = 1000", "36", "1000 is not within 1 to 999");
        check("\"z\", ll = 37", "\"track\", ll = 37", "35", "unknown variant `track`");
        check("class = \"x+n\", length = 17", "class = \"x+n\", ll = 17", "97", "fixed length");
        check("Bit map, extended\", class = \"b\"", "X\", class = \"n\"", "65", "is a bit map");
    }

    #[test]
    fn a_wrong_file_is_refused() {
        let check = |from: &str, to: &str, expected: &str| {
            let error = Dialect::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let line = 1 + TEXT.lines().position(|line| line.starts_with("version")).unwrap();
        check("version = 1987", "version = 1993", &format!("line {line}: version 1993 is not"));
        check("version = 1987", "version = ", &format!("line {line}: "));
        check("version = 1987", "edition = 1987", "unknown field `edition`");
        check("text = \"ascii\"", "text = \"ebcdic\"", "unknown variant `ebcdic`");
        check("bitmap = \"binary\"", "bitmap = \"hex\"", "unknown variant `hex`");
        let (_, last) = TEXT.split_once("{ number = 128").unwrap();
        let last = format!("  {{ number = 128{last}");
        check(&last, "]", "field 128 and what follows is missing");
        let beyond =
            last.replace("]", "  { number = 129, name = \"\", class = \"b\", ll = 1 },\n]");
        check(&last, &beyond, "field 129: is defined beyond 128");
    }
}
