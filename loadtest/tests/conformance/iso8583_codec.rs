//! `iso8583-codec`: ASCII and BCD, two binary bit maps.
//!
//! | left out | why |
//! |---|---|
//! | EBCDIC, hex bit maps, a message type in BCD, fields above 128 | it has none |
//! | an odd number of digits filled in front, a length of three BCD digits | it fills behind |
//! | BCD z and x+n | its BCD is for digits alone |
//! | empty fields of digits | it refuses them |

use anyhow::{Context, anyhow, ensure};
use iso8583_codec::{
    Encoding, Error, FieldKind, FieldSpec as PeerField, FieldValue, Length as PeerLength,
    Message as PeerMessage, Mti, Padding, Prefix, Spec,
};
use shared::iso8583::encoding::DigitEncoding;
use shared::iso8583::{Content, Dialect, FieldSpec, Length};

use crate::messages::{Generator, Message};

/// Compares golden messages and so many generated ones; returns how many.
pub(crate) fn compare_all(
    dialect: &Dialect,
    golden: &[Message],
    count: u64,
) -> anyhow::Result<u64> {
    let spec = spec(dialect).map_err(peer_error)?;
    let known = |message: &&Message| {
        message.fields.iter().all(|(number, value)| {
            let field = dialect.field(*number);
            let empty = value.is_empty() && field.is_some_and(|f| f.content == Content::Digits);
            field.is_some_and(|field| knows(dialect, field)) && !empty
        })
    };
    let mut compared = 0;
    for message in golden.iter().filter(known) {
        compare(&spec, dialect, message).context(format!("golden {}", message.mti))?;
        compared += 1;
    }
    let mut generator = Generator::new(dialect, |field| knows(dialect, field));
    for number in 0..count {
        let message = generator.message()?;
        compare(&spec, dialect, &message).context(format!("generated message {number}"))?;
        compared += 1;
    }
    Ok(compared)
}

fn knows(dialect: &Dialect, field: &FieldSpec) -> bool {
    let packed = dialect.encoding().digits == DigitEncoding::Bcd;
    let odd = matches!(field.content, Content::Track | Content::SignedDigits);
    !([1, 65].contains(&field.number) || packed && odd)
}

fn compare(spec: &Spec, dialect: &Dialect, ours: &Message) -> anyhow::Result<()> {
    let theirs = PeerMessage::parse(spec, &ours.wire).map_err(peer_error)?;
    ensure!(theirs.mti().as_str() == ours.mti, "the peer reads message type {}", theirs.mti());
    ensure!(theirs.field_count() == ours.fields.len(), "presence of fields");
    let mti = Mti::parse(ours.mti.as_bytes()).map_err(peer_error)?;
    let mut written = PeerMessage::new(mti);
    for (number, value) in &ours.fields {
        let field = dialect.field(*number).context("such a field")?;
        let expected = peer_value(field, value)?;
        let read = theirs.field(*number).context("the peer reads the field")?;
        ensure!(*read == expected, "the peer reads field {number} as {read:?}");
        written.set_field(*number, expected).map_err(peer_error)?;
    }
    ensure!(written.encode(spec).map_err(peer_error)? == ours.wire, "the peer writes other bytes");
    Ok(())
}

fn peer_value(field: &FieldSpec, value: &[u8]) -> anyhow::Result<FieldValue> {
    let text = || String::from_utf8(value.to_vec());
    let value = match field.content {
        Content::Digits => FieldValue::digits(text()?),
        Content::Binary => Ok(FieldValue::binary(value)),
        Content::Letters
        | Content::LettersDigits
        | Content::LettersDigitsSpace
        | Content::Printable
        | Content::Track
        | Content::SignedDigits => FieldValue::text(text()?),
    };
    value.map_err(peer_error)
}

fn peer_error(error: Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// Our dialect as the peer's table.
fn spec(dialect: &Dialect) -> Result<Spec, Error> {
    let packed = dialect.encoding().digits == DigitEncoding::Bcd;
    let fields = dialect.fields().iter().filter(|field| knows(dialect, field)).map(|field| {
        let (kind, encoding) = match field.content {
            Content::Digits if packed => (FieldKind::Numeric, Encoding::Bcd),
            Content::Digits => (FieldKind::Numeric, Encoding::Ascii),
            Content::Binary => (FieldKind::Binary, Encoding::Binary),
            Content::Letters
            | Content::LettersDigits
            | Content::LettersDigitsSpace
            | Content::Printable
            | Content::Track
            | Content::SignedDigits => (FieldKind::Text, Encoding::Ascii),
        };
        let length = match field.length {
            Length::Fixed(length) => PeerLength::Fixed(length),
            Length::Ll(max) => PeerLength::Variable { max, prefix: Prefix::Ascii(2) },
            Length::Lll(max) => PeerLength::Variable { max, prefix: Prefix::Ascii(3) },
        };
        let number = field.number;
        PeerField { number, name: "a field", kind, length, encoding, padding: Padding::None }
    });
    Spec::new(dialect.name(), fields.collect())
}
