//! A message for people: field, offset, name, value, one line each.
//!
//! Invariant: fails closed. A sensitive field shows its length; the PAN its first six and last four
//! digits, if enough digits stay hidden between them. Content that holds the PAN is hidden wherever
//! it stands, and of a frame that does not parse no content is shown at all, since it cannot be
//! known what its bytes are.

use std::fmt::{self, Write};

use super::dialect::Dialect;
use super::field::{Content, FieldSpec};
use super::layout::Layout;
use super::message::{Fields, Message, TEXT_MAX};
use super::parse::parse;

/// The primary account number.
const PAN: u8 = 2;
/// Track 2: the PAN up to its separator.
const TRACK_2: u8 = 35;
const PAN_HEAD: usize = 6;
const PAN_TAIL: usize = 4;
/// The shortest PAN of which anything is shown; at least three digits then stay hidden.
const PAN_SHOWN_MIN: usize = 13;

/// A dump of one message, from its message type on, that is fit for a log.
pub fn describe(dialect: &Dialect, frame: &[u8]) -> String {
    let mut text = String::new();
    let mut layout = Layout::new();
    let written = match parse(dialect, frame, &mut layout) {
        Ok(message) => write_message(&mut text, dialect, &message),
        Err(error) => writeln!(text, "{} bytes, {}: {error}", frame.len(), dialect.name())
            .and_then(|()| write_lengths(&mut text, dialect, &layout.salvaged(dialect, frame))),
    };
    written.expect("writing to a string does not fail");
    text
}

/// What of a field's content may be seen.
enum Shown<'a> {
    Text(&'a str),
    Hex(&'a [u8]),
    Pan { head: &'a str, hidden: usize, tail: &'a str },
    Length(usize),
}

fn write_message(text: &mut String, dialect: &Dialect, message: &Message<'_>) -> fmt::Result {
    let (mti, length) = (message.mti(), message.frame().len());
    writeln!(text, "{mti}, {length} bytes, {}", dialect.name())?;
    for (number, bytes) in message.fields() {
        let mut scratch = [0; TEXT_MAX];
        let content = message.text(number, &mut scratch).unwrap_or(bytes);
        let shown = match dialect.field(number) {
            Some(spec) if !holds_pan(message, spec, content) => shown(spec, content),
            Some(_) | None => Shown::Length(content.len()),
        };
        write_line(text, dialect, &message.received(), (number, shown))?;
    }
    Ok(())
}

fn write_lengths(text: &mut String, dialect: &Dialect, fields: &Fields<'_>) -> fmt::Result {
    fields.iter().try_for_each(|(number, bytes)| {
        write_line(text, dialect, fields, (number, Shown::Length(bytes.len())))
    })
}

fn write_line(
    text: &mut String,
    dialect: &Dialect,
    fields: &Fields<'_>,
    (number, shown): (u8, Shown<'_>),
) -> fmt::Result {
    let name = dialect.field(number).map_or("", |spec| &spec.name);
    let offset = fields.offset_of(number).unwrap_or(0);
    writeln!(text, "{number:>3}  at {offset:>5}  {name:<44}  {shown}")
}

fn shown<'a>(spec: &FieldSpec, bytes: &'a [u8]) -> Shown<'a> {
    let hidden = Shown::Length(bytes.len());
    match (spec.number, spec.sensitive, str::from_utf8(bytes)) {
        (PAN, _, digits) => digits.ok().and_then(shown_pan).unwrap_or(hidden),
        (_, false, _) if spec.content == Content::Binary => Shown::Hex(bytes),
        (_, false, Ok(text)) => Shown::Text(text),
        _ => hidden,
    }
}

fn shown_pan(digits: &str) -> Option<Shown<'_>> {
    if digits.len() < PAN_SHOWN_MIN {
        return None;
    }
    let head = digits.get(..PAN_HEAD)?;
    let tail = digits.get(digits.len().checked_sub(PAN_TAIL)?..)?;
    Some(Shown::Pan { head, hidden: digits.len() - PAN_HEAD - PAN_TAIL, tail })
}

/// Whether a field that is not itself the PAN repeats the message's PAN.
fn holds_pan(message: &Message<'_>, spec: &FieldSpec, content: &[u8]) -> bool {
    let (mut pan, mut track) = ([0; TEXT_MAX], [0; TEXT_MAX]);
    let track = message.text(TRACK_2, &mut track);
    let of_track = track.and_then(|track| track.split(|byte| !byte.is_ascii_digit()).next());
    let pans = [message.text(PAN, &mut pan), of_track].into_iter().flatten();
    spec.number != PAN
        && pans
            .filter(|pan| !pan.is_empty())
            .any(|pan| content.windows(pan.len()).any(|window| window == pan))
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Hex(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}")),
            Self::Pan { head, hidden, tail } => write!(f, "{head}{}{tail}", "*".repeat(*hidden)),
            Self::Length(length) => write!(f, "[{length} bytes hidden]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::golden;

    #[test]
    fn a_dump_has_field_offset_name_and_value() {
        let dump = describe(Dialect::iso87_ascii(), &golden::named("0100-minimal").wire);
        let lines: Vec<String> =
            dump.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "0100, 67 bytes, iso87-ascii",
                "2 at 12 Primary account number (PAN) 999999******0013",
                "3 at 30 Processing code \"000000\"",
                "4 at 36 Amount, transaction \"000000001050\"",
                "7 at 48 Transmission date and time (MMDDhhmmss, UTC) \"0314092653\"",
                "11 at 58 System trace audit number (STAN) \"000001\"",
                "49 at 64 Currency code, transaction \"978\"",
            ]
        );
    }

    #[test]
    fn no_dump_shows_a_pan_or_anything_of_a_sensitive_field() {
        for golden in golden::all() {
            let dialect = golden.dialect;
            let dump = describe(dialect, &golden.wire);
            assert!(dump.lines().count() == golden.fields.len() + 1, "{}", golden.name);
            for (number, value) in &golden.fields {
                let sensitive = dialect.field(*number).unwrap().sensitive;
                let line = dump.lines().find(|line| line.starts_with(&format!("{number:>3}  at ")));
                let shown = line.unwrap().split_at(60).1;
                if sensitive && *number != PAN {
                    assert_eq!(shown.trim(), format!("[{} bytes hidden]", value.len()));
                }
                if *number == PAN {
                    let pan = String::from_utf8_lossy(value);
                    assert!(!dump.contains(&*pan), "{}", golden.name);
                    assert!(!dump.contains(&pan[PAN_HEAD..pan.len() - PAN_TAIL]), "{dump}");
                }
            }
        }
    }

    #[test]
    fn a_pan_that_stands_in_another_field_is_hidden_there_too() {
        let mut frame = Vec::new();
        let fields: [(u8, &[u8]); 4] = [
            (35, b"9999992748610021=2912"),
            (37, b"999999000000"),
            (43, b"CARD 9999992748610021 WAS HERE          "),
            (90, &[b'0'; 42]),
        ];
        let (dialect, mti) = (Dialect::iso87_ascii(), super::super::Mti::REVERSAL_REQUEST);
        super::super::encode(dialect, mti, &fields, &mut frame).unwrap();
        let dump = describe(dialect, &frame);
        assert!(!dump.contains("9999992748610021"), "{dump}");
        assert!(dump.contains("[40 bytes hidden]") && dump.contains("\"999999000000\""), "{dump}");
    }

    #[test]
    fn a_short_pan_is_hidden_as_a_whole() {
        let check = |pan: &str, expected: &str| {
            let shown = shown(Dialect::iso87_ascii().field(PAN).unwrap(), pan.as_bytes());
            assert_eq!(shown.to_string(), expected);
        };
        check("", "[0 bytes hidden]");
        check("999999274861", "[12 bytes hidden]");
        check("9999992740014", "999999***0014");
        check("9999992748615300009", "999999*********0009");
    }

    #[test]
    fn of_a_broken_frame_no_content_is_shown() {
        let mut frame = golden::named("0100-purchase").wire;
        frame.pop();
        let dump = describe(Dialect::iso87_ascii(), &frame);
        assert!(dump.lines().next().unwrap().contains("the message ends before the field does"));
        assert!(dump.lines().skip(1).all(|line| line.ends_with(" bytes hidden]")), "{dump}");
        assert!(dump.lines().count() > 10);
    }
}
