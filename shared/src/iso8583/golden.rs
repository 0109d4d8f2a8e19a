//! Tests: every message of `fixtures/golden/`, against the codec as a whole.
//!
//! Invariant: the bytes were written by an independent encoder (`fixtures/README.md`), so agreement
//! is not with ourselves.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::field::{Content, Length};
use super::message::{BITMAP_FIELD, FormatError, Layout, MTI_FIELD, Rule, is_assignable, parse};
use super::{Dialect, FieldSpec, Fields, Mti, encode, reply};

/// One golden message: its bytes, and what they say.
pub(super) struct Golden {
    pub(super) name: String,
    pub(super) mti: Mti,
    pub(super) fields: Vec<(u8, Vec<u8>)>,
    pub(super) wire: Vec<u8>,
}

impl Golden {
    fn borrowed(&self) -> Vec<(u8, &[u8])> {
        self.fields.iter().map(|(number, value)| (*number, value.as_slice())).collect()
    }
}

pub(super) fn named(name: &str) -> Golden {
    let read = |extension: &str| {
        let path = folder().join(format!("{name}.{extension}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let expected: toml::Table = read("toml").parse().unwrap();
    let mti = expected["mti"].as_str().unwrap().as_bytes().try_into().unwrap();
    let mut fields: Vec<(u8, Vec<u8>)> = expected["fields"]
        .as_table()
        .unwrap()
        .iter()
        .map(|(number, value)| (number.parse().unwrap(), value.as_str().unwrap()))
        .map(|(number, value)| (number, content(number, value)))
        .collect();
    fields.sort();
    let mti = Mti::from_ascii(mti).unwrap();
    Golden { name: name.to_owned(), mti, fields, wire: from_hex(&read("hex")) }
}

pub(super) fn all() -> Vec<Golden> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 20, "the golden messages are there: {names:?}");
    names.iter().map(|name| named(name)).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden")
}

fn content(number: u8, value: &str) -> Vec<u8> {
    if dialect().field(number).unwrap().content == Content::Binary {
        from_hex(value)
    } else {
        value.as_bytes().to_vec()
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.split_whitespace().flat_map(str::chars).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect()
}

fn dialect() -> &'static Dialect {
    Dialect::iso87_ascii()
}

#[test]
fn every_golden_message_decodes_to_its_fields_and_encodes_to_its_bytes() {
    let mut layout = Layout::new();
    for golden in all() {
        let message = parse(dialect(), &golden.wire, &mut layout).unwrap();
        assert_eq!(message.mti(), golden.mti, "{}", golden.name);
        assert_eq!(message.fields().collect::<Vec<_>>(), golden.borrowed(), "{}", golden.name);
        let mut out = Vec::new();
        encode(dialect(), golden.mti, &golden.borrowed(), &mut out).unwrap();
        assert_eq!(out, golden.wire, "{}", golden.name);
        out.clear();
        reply(dialect(), message.received(), message.mti(), &[], &mut out).unwrap();
        assert_eq!(out, golden.wire, "{} echoed whole", golden.name);
    }
}

#[test]
fn there_is_a_golden_message_of_every_type_and_a_value_for_every_field() {
    let all = all();
    for mti in "0100 0101 0110 0120 0121 0130 0400 0401 0410 0420 0421 0430 0800 0810".split(' ') {
        assert!(all.iter().any(|golden| golden.mti.to_string() == mti), "{mti}");
    }
    for number in (1..=128).filter(|number| is_assignable(*number)) {
        let has = |golden: &Golden| golden.fields.iter().any(|(field, _)| *field == number);
        assert!(all.iter().any(has), "field {number}");
    }
}

#[test]
fn every_truncation_is_told_with_the_field_that_is_cut_and_where_it_begins() {
    let mut layout = Layout::new();
    for golden in all() {
        for cut in 0..golden.wire.len() {
            let frame = &golden.wire[..cut];
            let error = parse(dialect(), frame, &mut layout).unwrap_err();
            let (field, offset) = element_at(&golden, cut);
            let mti = (cut >= 4).then_some(golden.mti);
            let expected = FormatError { mti, field, offset, rule: Rule::Truncated };
            assert_eq!(error, expected, "{} cut to {cut}", golden.name);
            let salvaged: Vec<_> = layout.salvaged(frame).iter().collect();
            let whole: Vec<_> =
                golden.borrowed().into_iter().filter(|(number, _)| *number < field).collect();
            assert_eq!(salvaged, whole, "{} cut to {cut}", golden.name);
        }
    }
}

/// The element that a byte belongs to and where it begins, reckoned from the expected fields alone.
fn element_at(golden: &Golden, cut: usize) -> (u8, u16) {
    let two_bitmaps = golden.fields.iter().any(|(number, _)| *number > 64);
    let mut elements = vec![(MTI_FIELD, 4), (BITMAP_FIELD, 8)];
    elements.extend(two_bitmaps.then_some((BITMAP_FIELD, 8)));
    for (number, value) in &golden.fields {
        let prefix = dialect().field(*number).unwrap().length.prefix_len();
        elements.push((*number, usize::from(prefix) + value.len()));
    }
    let mut start = 0;
    for (field, length) in elements {
        if cut < start + length {
            return (field, u16::try_from(start).unwrap());
        }
        start += length;
    }
    unreachable!("a cut is within the message")
}

#[test]
fn every_change_of_one_byte_is_read_or_told_with_a_place_in_the_frame() {
    let mut layout = Layout::new();
    for golden in all() {
        let mut frame = golden.wire.clone();
        // Every value for every real message; for the two that are long for the sake of it every
        // seventeenth.
        let step = if frame.len() > 600 { 17 } else { 1 };
        for at in 0..frame.len() {
            for byte in (0..=255).step_by(step) {
                frame[at] = byte;
                let outcome = parse(dialect(), &frame, &mut layout).map(|m| m.fields().count());
                match outcome {
                    Ok(fields) => assert!(fields <= 126),
                    Err(error) => assert!(usize::from(error.offset) <= frame.len(), "{error}"),
                }
            }
            frame[at] = golden.wire[at];
        }
    }
}

#[test]
fn a_fault_is_told_with_its_field_offset_and_rule() {
    let check = |frame: &[u8], expected: &str| {
        let error = parse(dialect(), frame, &mut Layout::new()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let with =
        |bitmap: u64, body: &str| [b"0100", &bitmap.to_be_bytes()[..], body.as_bytes()].concat();
    let (pan, time, track): (u64, u64, u64) = (1 << 62, 1 << 57, 1 << (64 - 35));
    check(b"010", "message type at offset 0: the message ends before the field does");
    check(b"01000000000", "0100 bit map at offset 4: the message ends before the field does");
    check(b"01 0", "message type at offset 0: not a message type of ISO 8583");
    check(
        b"1100",
        "1100 message type at offset 0: the message type is of another edition of the standard than the link",
    );
    check(&with(0, "0"), "0100 bit map at offset 12: bytes follow the last field");
    check(&with(pan, "0399"), "0100 field 2 at offset 12: the message ends before the field does");
    check(&with(pan, "02999"), "0100 field 2 at offset 16: bytes follow the last field");
    check(&with(pan, "2099"), "0100 field 2 at offset 12: the length is above 19");
    check(&with(pan, " 299"), "0100 field 2 at offset 12: the length is not written in digits");
    check(&with(pan, "039x9"), "0100 field 2 at offset 15: the content is not n");
    check(&with(time, "031409265 "), "0100 field 7 at offset 21: the content is not n");
    check(&with(track, "039^9"), "0100 field 35 at offset 15: the content is not z");
    let tertiary =
        [b"0100", &(1_u64 << 63).to_be_bytes()[..], &(1_u64 << 63).to_be_bytes()].concat();
    check(
        &tertiary,
        "0100 field 65 at offset 12: field 65 announces fields above 128, and the link has none",
    );
    check(&vec![b'0'; 65_536], "message type at offset 0: a message has at most 65535 bytes");
}

#[test]
fn a_number_is_read_only_from_digits() {
    let golden = named("0100-all-fields");
    let mut layout = Layout::new();
    let message = parse(dialect(), &golden.wire, &mut layout).unwrap();
    assert_eq!(message.number(4), Ok(Some(1050)));
    assert_eq!(message.number(1), Ok(None));
    for number in [28, 41, 90] {
        let error = message.number(number).unwrap_err();
        assert_eq!((error.field, error.rule), (number, Rule::NotANumber));
        assert_eq!(Some(error.offset), message.offset_of(number));
    }
}

#[test]
fn a_layout_shows_nothing_of_the_message_before() {
    let mut layout = Layout::new();
    let (full, small) = (named("0100-all-fields").wire, named("0100-minimal").wire);
    parse(dialect(), &full, &mut layout).unwrap();
    let message = parse(dialect(), &small, &mut layout).unwrap();
    assert_eq!((message.fields().count(), message.bytes(52)), (6, None));
    parse(dialect(), &full, &mut layout).unwrap();
    assert!(parse(dialect(), b"0100", &mut layout).is_err());
    assert_eq!(layout.salvaged(b"0100").iter().count(), 0);
}

#[test]
fn a_message_prints_lengths_and_no_content() {
    let wire = named("0100-purchase").wire;
    let mut layout = Layout::new();
    let text = format!("{:?}", parse(dialect(), &wire, &mut layout).unwrap());
    assert!(text.contains("2: 16") && !text.contains("999999"), "{text}");
}

/// A value that the definition allows; of the longest fields a part of the lengths, to keep cases
/// small.
fn value_of(field: &FieldSpec) -> BoxedStrategy<Vec<u8>> {
    let length = match field.length {
        Length::Fixed(length) => usize::from(length)..=usize::from(length),
        Length::Ll(max) | Length::Lll(max) => 0..=usize::from(max.min(120)),
    };
    let allowed: Vec<u8> =
        (0..=255).filter(|byte| field.content.first_fault(&[*byte]).is_none()).collect();
    if field.content == Content::SignedDigits {
        return ("[CD]", "[0-9]{16}")
            .prop_map(move |(sign, digits)| (sign + &digits).into_bytes()[..*length.end()].to_vec())
            .boxed();
    }
    proptest::collection::vec(proptest::sample::select(allowed), length).boxed()
}

fn some_fields() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let numbers: Vec<u8> = (1..=128).filter(|number| is_assignable(*number)).collect();
    proptest::sample::subsequence(numbers, 0..=40).prop_flat_map(|numbers| {
        let one = |number| (Just(number), value_of(dialect().field(number).unwrap()));
        numbers.into_iter().map(one).collect::<Vec<_>>()
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back_and_echoed_byte_for_byte(fields in some_fields()) {
        let borrowed: Vec<(u8, &[u8])> = fields.iter().map(|(n, v)| (*n, v.as_slice())).collect();
        let (mut wire, mut echo, mut layout) = (Vec::new(), Vec::new(), Layout::new());
        encode(dialect(), Mti::AUTHORIZATION_REQUEST, &borrowed, &mut wire).unwrap();
        let message = parse(dialect(), &wire, &mut layout).unwrap();
        prop_assert_eq!(message.fields().collect::<Vec<_>>(), borrowed);
        reply(dialect(), message.received(), message.mti(), &[], &mut echo).unwrap();
        prop_assert_eq!(echo, wire);
    }

    #[test]
    fn no_bytes_make_the_parser_fall(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        head in prop_oneof![Just(&b""[..]), Just(&b"0100"[..]), Just(&b"0420\xF2\x38"[..])],
    ) {
        let frame = [head, &bytes].concat();
        let mut layout = Layout::new();
        if let Err(error) = parse(dialect(), &frame, &mut layout) {
            prop_assert!(usize::from(error.offset) <= frame.len());
            let salvage: Fields<'_> = layout.salvaged(&frame);
            prop_assert!(salvage.present().iter().all(|number| salvage.wire(number).is_some()));
        }
    }
}
