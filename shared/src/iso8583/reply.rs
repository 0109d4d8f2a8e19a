//! Message to bytes: replies that echo the request's fields as received, and messages from scratch.
//!
//! Invariant: what is written reads back. Every given value is checked as a received one would be;
//! echoed bytes were checked when they were received and are copied with their length prefix. `out`
//! only grows, and by nothing if there is an error.

use super::bitmap::FieldSet;
use super::dialect::Dialect;
use super::encoding::BitmapEncoding;
use super::message::{BITMAP_FIELD, Fields, FormatError, Rule, is_assignable};
use super::mti::Mti;

/// The bits that announce the second and the third bit map.
const SECOND_BITMAP: u8 = 1;
const THIRD_BITMAP: u8 = 65;

/// Appends a reply: the `echoed` fields as received, and the fields of `set`, ascending by number,
/// whose values are ASCII characters and digits, or raw bytes for class b. A field that is in both
/// is taken from `set`. What to echo is chosen with [`Fields::only`].
///
/// # Errors
/// A value of `set` that breaks its definition or is out of order; nothing is appended then.
pub fn reply(
    dialect: &Dialect,
    echoed: Fields<'_>,
    mti: Mti,
    set: &[(u8, &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let start = out.len();
    write(dialect, echoed, mti, set, out).map_err(|(field, rule)| {
        let offset = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
        out.truncate(start);
        FormatError { mti: Some(mti), field, offset, rule }
    })
}

/// Appends a message made of these fields, ascending by number.
///
/// # Errors
/// A value that breaks its definition or is out of order; nothing is appended then.
pub fn encode(
    dialect: &Dialect,
    mti: Mti,
    fields: &[(u8, &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    reply(dialect, Fields::NONE, mti, fields, out)
}

/// Appends the answer to a message that could not be read: what of it could be, and the fields of
/// `set`, ascending by number, which say what is wrong. Returns its type; `None`, and nothing
/// appended, if the type of the broken message is unknown, of another edition than the link, or
/// takes no answer.
///
/// # Errors
/// The dialect's fields cannot hold these values.
pub fn refuse(
    dialect: &Dialect,
    salvage: Fields<'_>,
    error: &FormatError,
    set: &[(u8, &[u8])],
    out: &mut Vec<u8>,
) -> Result<Option<Mti>, FormatError> {
    let readable = error.mti.filter(|mti| mti.version == dialect.version());
    let Some((asked, mti)) = readable.and_then(|mti| Some((mti, mti.response()?))) else {
        return Ok(None);
    };
    reply(dialect, salvage.only(dialect.echo_of(asked)), mti, set, out)?;
    Ok(Some(mti))
}

fn write(
    dialect: &Dialect,
    echoed: Fields<'_>,
    mti: Mti,
    set: &[(u8, &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), (u8, Rule)> {
    let start = out.len();
    let given = numbers_of(set)?;
    let echo = echoed.present().difference(given);
    write_head(dialect, mti, echo.union(given), out);
    let mut copied = FieldSet::EMPTY;
    for (number, value) in set {
        copy(echoed.only(echo.below(*number).difference(copied)), out);
        copied = echo.below(*number);
        let shape = dialect.shape(*number).ok_or((*number, Rule::NotAssignable))?;
        shape.write(value, out).map_err(|rule| (*number, rule))?;
    }
    copy(echoed.only(echo.difference(copied)), out);
    if out.len() - start > usize::from(u16::MAX) {
        return Err((BITMAP_FIELD, Rule::MessageTooLong));
    }
    Ok(())
}

/// Appends fields as received; those that were side by side in one go.
fn copy(fields: Fields<'_>, out: &mut Vec<u8>) {
    let mut span = 0..0;
    for number in fields.present() {
        let Some(segment) = fields.segment(number) else { continue };
        let (start, end) = (usize::from(segment.start), usize::from(segment.end));
        if span.end != start {
            out.extend_from_slice(fields.frame.get(span).unwrap_or_default());
            span = start..end;
        }
        span.end = end;
    }
    out.extend_from_slice(fields.frame.get(span).unwrap_or_default());
}

fn numbers_of(set: &[(u8, &[u8])]) -> Result<FieldSet, (u8, Rule)> {
    let mut numbers = FieldSet::EMPTY;
    let mut last = 0;
    for (number, _) in set {
        if *number <= last || !is_assignable(*number) {
            return Err((*number, Rule::NotAssignable));
        }
        last = *number;
        numbers = numbers.with(last);
    }
    Ok(numbers)
}

fn write_head(dialect: &Dialect, mti: Mti, fields: FieldSet, out: &mut Vec<u8>) {
    let encoding = dialect.encoding();
    encoding.mti.write(&mti.to_ascii(), out);
    let mut announced = fields;
    if fields.below(129) != fields {
        announced = announced.with(THIRD_BITMAP);
    }
    if announced.below(65) != announced {
        announced = announced.with(SECOND_BITMAP);
    }
    let used = [true, announced.contains(SECOND_BITMAP), announced.contains(THIRD_BITMAP)];
    for (bitmap, _) in announced.to_bitmaps().into_iter().zip(used).filter(|(_, used)| *used) {
        match encoding.bitmap {
            BitmapEncoding::Binary => out.extend_from_slice(&bitmap.to_be_bytes()),
            BitmapEncoding::Hex => {
                let halves = bitmap.to_be_bytes().into_iter().flat_map(|b| [b >> 4, b & 0x0F]);
                let digits = halves.map(|half| match half {
                    0..=9 => b'0' + half,
                    _ => b'A' + half - 10,
                });
                out.extend(digits.map(|digit| encoding.text.of_ascii(digit)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::golden;
    use crate::iso8583::{Layout, parse, require};

    #[test]
    fn a_reply_echoes_the_fields_as_received_and_adds_its_own() {
        let request = golden::named("0100-purchase");
        let mut layout = Layout::new();
        let dialect = Dialect::iso87_ascii();
        let message = parse(dialect, &request.wire, &mut layout).unwrap();
        let mti = message.mti().response().unwrap();
        let mut out = b"kept".to_vec();
        let set: [(u8, &[u8]); 2] = [(38, b"A1B2C3"), (39, b"00")];
        reply(
            dialect,
            message.received().only(dialect.echo_of(message.mti())),
            mti,
            &set,
            &mut out,
        )
        .unwrap();
        assert_eq!(out.strip_prefix(b"kept").unwrap(), golden::named("0110-approved").wire);
    }

    #[test]
    fn a_field_that_is_echoed_and_set_is_taken_from_the_set() {
        let (dialect, request) = (Dialect::iso87_ascii(), golden::named("0100-purchase"));
        let (mut layout, mut out) = (Layout::new(), Vec::new());
        let message = parse(dialect, &request.wire, &mut layout).unwrap();
        let set: [(u8, &[u8]); 3] = [(2, b""), (4, b"000000000007"), (128, b"\x00\xFFmac..\x80")];
        reply(dialect, message.received(), message.mti(), &set, &mut out).unwrap();
        let mut layout = Layout::new();
        let patched = parse(dialect, &out, &mut layout).unwrap();
        assert_eq!(patched.bytes(2), Some(&b""[..]));
        assert_eq!(patched.number(4), Ok(Some(7)));
        assert_eq!(patched.bytes(43), message.bytes(43));
        assert_eq!(patched.bytes(128).map(<[u8]>::len), Some(8));
        assert_eq!(patched.fields().count(), message.fields().count() + 1);
    }

    #[test]
    fn a_broken_request_is_refused_with_what_could_be_read() {
        let dialect = Dialect::iso87_ascii();
        let mut frame = golden::named("0100-purchase").wire;
        let at = frame.windows(12).position(|bytes| bytes == b"000000001050").unwrap();
        frame[at + 3] = b'x';
        let (mut layout, mut out) = (Layout::new(), Vec::new());
        let error = parse(dialect, &frame, &mut layout).unwrap_err();
        let (salvage, set) = (layout.salvaged(dialect, &frame), [(39, &b"30"[..]), (44, b"004")]);
        assert_eq!(error.field, 4);
        let answer = refuse(dialect, salvage, &error, &set, &mut out).unwrap();
        assert_eq!(answer.map(|mti| mti.to_string()).as_deref(), Some("0110"));
        assert_eq!(out, golden::named("0110-format-error").wire);
    }

    #[test]
    fn a_message_without_a_mandatory_field_is_refused_with_all_it_has() {
        let (dialect, request) = (Dialect::iso87_ascii(), golden::named("0100-purchase"));
        let (mut layout, mut out) = (Layout::new(), Vec::new());
        let message = parse(dialect, &request.wire, &mut layout).unwrap();
        assert_eq!(require(&message, &[2, 3, 4, 7, 11, 49]), Ok(()));
        let error = require(&message, &[2, 90, 52]).unwrap_err();
        assert_eq!((error.field, error.offset, error.rule), (90, 4, Rule::Missing));
        let set = [(39, &b"30"[..]), (44, b"090")];
        refuse(dialect, message.received(), &error, &set, &mut out).unwrap();
        let mut layout = Layout::new();
        let refusal = parse(dialect, &out, &mut layout).unwrap();
        assert_eq!((refusal.bytes(39), refusal.bytes(44)), (Some(&b"30"[..]), Some(&b"090"[..])));
        let echoed = [2, 3, 4, 7, 11, 12, 13, 32, 37, 39, 41, 42, 44, 49];
        assert_eq!(refusal.fields().map(|(number, _)| number).collect::<Vec<u8>>(), echoed);
    }

    #[test]
    fn what_takes_no_answer_is_not_refused() {
        let check = |frame: &[u8]| {
            let (mut layout, mut out) = (Layout::new(), vec![7]);
            let error = parse(Dialect::iso87_ascii(), frame, &mut layout).unwrap_err();
            let salvage = layout.salvaged(Dialect::iso87_ascii(), frame);
            let set = [(39, &b"30"[..])];
            assert_eq!(refuse(Dialect::iso87_ascii(), salvage, &error, &set, &mut out), Ok(None));
            assert_eq!(out, [7]);
        };
        check(b"");
        check(b"01x0");
        check(b"1100\x00");
        check(b"0110\x00");
        check(b"0820\x00");
    }

    #[test]
    fn a_value_that_breaks_its_definition_is_refused_and_nothing_is_written() {
        let check = |fields: &[(u8, &[u8])], field: u8, offset: u16, rule: Rule| {
            let mut out = b"kept".to_vec();
            let mti = Mti::AUTHORIZATION_REQUEST;
            let error = encode(Dialect::iso87_ascii(), mti, fields, &mut out).unwrap_err();
            assert_eq!(error, FormatError { mti: Some(mti), field, offset, rule });
            assert_eq!(out, b"kept");
        };
        use crate::iso8583::field::Content;
        check(&[(3, b"00000")], 3, 12, Rule::WrongLength { expected: 6 });
        check(&[(3, b"000000"), (4, b"12")], 4, 18, Rule::WrongLength { expected: 12 });
        check(&[(2, &[b'9'; 20])], 2, 12, Rule::OverMax { max: 19 });
        check(&[(70, &[b'3'; 70_000])], 70, 20, Rule::WrongLength { expected: 3 });
        check(&[(127, &[b'3'; 70_000])], 127, 20, Rule::OverMax { max: 999 });
        check(&[(2, b"99999x")], 2, 12, Rule::Content(Content::Digits));
        check(&[(3, b"000000"), (2, b"")], 2, 0, Rule::NotAssignable);
        check(&[(3, b"000000"), (3, b"000000")], 3, 0, Rule::NotAssignable);
        for number in [0, 1, 65, 255] {
            check(&[(number, &[0; 8])], number, 0, Rule::NotAssignable);
        }
    }
}
