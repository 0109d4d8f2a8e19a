//! `iso8583_rs`: ASCII, BCD and EBCDIC, three binary bit maps.
//!
//! | left out | why |
//! |---|---|
//! | BCD fields of variable length (n, z) | it counts their bytes, we count digits |
//! | hex bit maps | it has none: the EBCDIC dialect is compared with binary ones |
//! | `[`, `]`, `^` in EBCDIC | its code page is 1047, ours 037; they differ in these |
//!
//! It takes its table from the file that the environment variable `SPEC_FILE` names, once a process.
//! So the test runs itself again for each dialect, with the variable set.

use std::fmt::Write;

use anyhow::{Context, anyhow, ensure};
use iso8583_rs::iso8583::IsoError;
use iso8583_rs::iso8583::iso_spec::{self, Spec};
use shared::iso8583::encoding::{DigitEncoding, TextEncoding};
use shared::iso8583::{Content, Dialect, FieldSpec, Length};

use crate::messages::{Generator, Message, TYPES};

pub(crate) const SPEC_FILE: &str = "SPEC_FILE";
pub(crate) const VARIANT: &str = "CONFORMANCE_VARIANT";

/// Compares golden messages and so many generated ones; returns how many.
pub(crate) fn compare_all(
    dialect: &Dialect,
    golden: &[Message],
    count: u64,
) -> anyhow::Result<u64> {
    let spec = iso_spec::spec("");
    let mut compared = 0;
    let known = |message: &&Message| {
        let punctuation = |byte: &u8| b"[]^".contains(byte) && is_ebcdic(dialect);
        message.fields.iter().all(|(number, value)| {
            let known = dialect.field(*number).is_some_and(|field| knows(dialect, field));
            known && !value.iter().any(punctuation)
        })
    };
    for message in golden.iter().filter(known) {
        compare(spec, dialect, message).context(format!("golden {}", message.mti))?;
        compared += 1;
    }
    let mut generator = Generator::new(dialect, |field| knows(dialect, field));
    for number in 0..count {
        let message = generator.message()?;
        compare(spec, dialect, &message).context(format!("generated message {number}"))?;
        compared += 1;
    }
    Ok(compared)
}

fn knows(dialect: &Dialect, field: &FieldSpec) -> bool {
    let digits = matches!(field.content, Content::Digits | Content::Track);
    let packed = dialect.encoding().digits == DigitEncoding::Bcd;
    !(packed && digits && !field.length.is_fixed())
}

fn is_ebcdic(dialect: &Dialect) -> bool {
    dialect.encoding().text == TextEncoding::Ebcdic
}

fn compare(spec: &'static Spec, dialect: &Dialect, ours: &Message) -> anyhow::Result<()> {
    let theirs = spec.parse(&mut ours.wire.clone()).map_err(|error| anyhow!("{error}"))?;
    let mti = theirs.get_field_value(&"message_type".to_owned()).map_err(peer_error)?;
    ensure!(mti == ours.mti, "the peer reads message type {mti}");
    let numbers = (2..=192).filter(|number| *number != 65 && theirs.bmp.is_on((*number).into()));
    ensure!(numbers.eq(ours.fields.iter().map(|(number, _)| *number)), "presence of fields");
    let segment = spec.get_message_from_header(&ours.mti).map_err(peer_error)?;
    let mut written = iso_spec::new_msg(spec, segment);
    written.set("message_type", &ours.mti).map_err(peer_error)?;
    for (number, value) in &ours.fields {
        let field = dialect.field(*number).context("such a field")?;
        let expected = peer_text(dialect, field, value)?;
        let value = theirs.bmp_child_value((*number).into()).map_err(peer_error)?;
        ensure!(value == expected, "the peer reads field {number} as {value}");
        written.set_on((*number).into(), &expected).map_err(peer_error)?;
    }
    ensure!(written.assemble().map_err(peer_error)? == ours.wire, "the peer writes other bytes");
    Ok(())
}

fn peer_error(error: IsoError) -> anyhow::Error {
    anyhow!(error.msg)
}

/// The peer takes and gives raw bytes as hex, and packed digits as those of whole bytes.
fn peer_text(dialect: &Dialect, field: &FieldSpec, value: &[u8]) -> anyhow::Result<String> {
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let packed = dialect.encoding().digits == DigitEncoding::Bcd;
    let text = || Ok(String::from_utf8(value.to_vec())?);
    match field.content {
        Content::Binary => Ok(hex(value)),
        Content::Digits if packed && value.len() % 2 == 1 => Ok(format!("0{}", text()?)),
        Content::SignedDigits if packed => {
            let (sign, digits) = value.split_at_checked(1).context("a sign")?;
            let filler = if digits.len() % 2 == 1 { "0" } else { "" };
            Ok(format!("{}{filler}{}", hex(sign), str::from_utf8(digits)?))
        }
        Content::Digits
        | Content::Letters
        | Content::LettersDigits
        | Content::LettersDigitsSpace
        | Content::Printable
        | Content::Track
        | Content::SignedDigits => text(),
    }
}

/// Our dialect as the peer's YAML. A message type is known to it if it is among the selectors.
pub(crate) fn spec(dialect: &Dialect) -> anyhow::Result<String> {
    let encoding = dialect.encoding();
    let mti_len = encoding.mti.bytes_of(4);
    let mti = format!(
        "{{ name: message_type, id: 1, type: Fixed, len: {mti_len}, data_encoding: {} }}",
        of_digits(encoding.mti)
    );
    let mut yaml = format!("name: {}\nid: 1\nheader_fields:\n  - {mti}\n", dialect.name());
    yaml += "messages:\n  - name: any\n    id: 1\n    selector:\n";
    for mti in golden_types().iter().map(String::as_str) {
        writeln!(yaml, "      - \"{mti}\"")?;
    }
    writeln!(yaml, "    fields:\n      - {mti}")?;
    yaml += "      - name: bitmap\n        id: 2\n        type: Bitmapped\n        len: 0\n";
    yaml += "        data_encoding: BINARY\n        children:\n";
    for field in dialect.fields() {
        writeln!(yaml, "          - {}", field_entry(dialect, field))?;
    }
    Ok(yaml)
}

fn field_entry(dialect: &Dialect, field: &FieldSpec) -> String {
    let encoding = dialect.encoding();
    let packed = encoding.digits == DigitEncoding::Bcd;
    let data = match field.content {
        Content::Binary => "BINARY",
        Content::SignedDigits if packed => "BINARY",
        Content::Digits | Content::Track | Content::SignedDigits => of_digits(encoding.digits),
        Content::Letters
        | Content::LettersDigits
        | Content::LettersDigitsSpace
        | Content::Printable => {
            if is_ebcdic(dialect) {
                "EBCDIC"
            } else {
                "ASCII"
            }
        }
    };
    let (kind, len) = match (field.length, field.content) {
        (Length::Fixed(length), Content::SignedDigits) => {
            ("Fixed", 1 + encoding.digits.bytes_of(length - 1))
        }
        (Length::Fixed(length), Content::Digits | Content::Track) => {
            ("Fixed", encoding.digits.bytes_of(length))
        }
        (Length::Fixed(length), _) => ("Fixed", length),
        (Length::Ll(_) | Length::Lll(_), _) => {
            ("Variable", encoding.length.bytes_of(field.length.prefix_digits()))
        }
    };
    let number = field.number;
    format!(
        "{{ name: field_{number}, id: {number}, position: {number}, type: {kind}, len: {len}, \
         len_encoding: {}, data_encoding: {data} }}",
        of_digits(encoding.length)
    )
}

fn of_digits(encoding: DigitEncoding) -> &'static str {
    match encoding {
        DigitEncoding::Ascii => "ASCII",
        DigitEncoding::Bcd => "BCD",
        DigitEncoding::Ebcdic => "EBCDIC",
    }
}

/// Every type of every edition that a golden or generated message may have.
fn golden_types() -> Vec<String> {
    let more: [&[u8; 4]; 18] = [
        b"0101", b"0120", b"0121", b"0130", b"0190", b"0210", b"0230", b"0302", b"0312", b"0400",
        b"0401", b"0410", b"0421", b"0430", b"0620", b"0630", b"0804", b"0814",
    ];
    let types =
        TYPES.iter().chain(&more).map(|digits| String::from_utf8_lossy(*digits).into_owned());
    let editions = |text: String| {
        let rest = text.get(1..).unwrap_or_default().to_owned();
        ["0", "1", "2"].map(|version| format!("{version}{rest}"))
    };
    types.flat_map(editions).collect()
}
