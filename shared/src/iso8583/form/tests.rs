//! Tests: each form of content, by hand and against the search for the fault.

use proptest::prelude::*;

use super::*;
use crate::iso8583::encoding::BitmapEncoding;
use crate::iso8583::sound::Lanes;

const CLASSES: [Content; 8] = [
    Content::Digits,
    Content::Letters,
    Content::LettersDigits,
    Content::LettersDigitsSpace,
    Content::Printable,
    Content::Track,
    Content::SignedDigits,
    Content::Binary,
];

fn shape(content: Content, length: Length, digits: DigitEncoding, pad: Pad) -> Shape {
    let text = match digits {
        DigitEncoding::Ascii | DigitEncoding::Bcd => TextEncoding::Ascii,
        DigitEncoding::Ebcdic => TextEncoding::Ebcdic,
    };
    let bitmap = BitmapEncoding::Binary;
    let encoding = Encoding { mti: digits, bitmap, length: digits, digits, text };
    let padding = Padding { fixed: pad, variable: pad, track: pad };
    let field = FieldSpec { number: 2, name: String::new(), content, length, sensitive: false };
    Shape::new(&field, encoding, padding)
}

fn plain(content: Content) -> Shape {
    shape(content, Length::Lll(999), DigitEncoding::Ascii, Pad::Left0)
}

#[test]
fn each_class_allows_exactly_its_bytes() {
    let table: [(Content, &dyn Fn(u8) -> bool); 6] = [
        (Content::Digits, &|b| b.is_ascii_digit()),
        (Content::Letters, &|b| b.is_ascii_alphabetic()),
        (Content::LettersDigits, &|b| b.is_ascii_alphanumeric()),
        (Content::LettersDigitsSpace, &|b| b.is_ascii_alphanumeric() || b == b' '),
        (Content::Printable, &|b| b.is_ascii_graphic() || b == b' '),
        (Content::Track, &|b| b"0123456789:;<=>?D".contains(&b)),
    ];
    for (content, expected) in table {
        let filler = if content == Content::Letters { b'A' } else { b'0' };
        for length in 1..=21 {
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |b| (at, b))) {
                let mut bytes = vec![filler; length];
                bytes[at] = byte;
                let allowed = is_sound(plain(content), &bytes);
                assert_eq!(allowed, expected(byte), "{content:?} {bytes:02X?}");
            }
        }
    }
}

#[test]
fn a_signed_amount_is_a_sign_and_digits() {
    let signed = plain(Content::SignedDigits);
    for good in ["C00000000", "D12345678", "C"] {
        assert!(is_sound(signed, good.as_bytes()), "{good}");
    }
    for (bad, at) in [("", 0), ("000000000", 0), ("c00000000", 0), ("C0000000X", 8)] {
        assert!(!is_sound(signed, bad.as_bytes()), "{bad}");
        let characters = u16::try_from(bad.len()).unwrap();
        assert_eq!(signed.first_fault(bad.as_bytes(), characters), Some(at), "{bad}");
    }
}

#[test]
fn a_value_has_the_bytes_that_the_encoding_gives_it() {
    let check = |content, length, (digits, pad), value: &[u8], wire: &[u8]| {
        let shape = shape(content, length, digits, pad);
        let mut out = Vec::new();
        shape.write(value, &mut out).unwrap();
        assert_eq!(out, wire, "{shape:?}");
        let extent = shape.read(wire, 0).unwrap();
        assert_eq!(usize::from(extent.prefix + extent.content), wire.len());
        assert_eq!(shape.text(wire, &mut [0; 99]), Some(value));
    };
    let (ascii, ebcdic) = ((DigitEncoding::Ascii, Pad::Left0), (DigitEncoding::Ebcdic, Pad::Left0));
    let bcd = |pad| (DigitEncoding::Bcd, pad);
    let (n, z, x, an) =
        (Content::Digits, Content::Track, Content::SignedDigits, Content::LettersDigits);
    check(n, Length::Fixed(3), ascii, b"978", b"978");
    check(n, Length::Fixed(3), ebcdic, b"978", &[0xF9, 0xF7, 0xF8]);
    check(n, Length::Fixed(3), bcd(Pad::Left0), b"978", &[0x09, 0x78]);
    check(n, Length::Fixed(3), bcd(Pad::Right0), b"978", &[0x97, 0x80]);
    check(n, Length::Fixed(3), bcd(Pad::RightF), b"978", &[0x97, 0x8F]);
    check(n, Length::Fixed(4), bcd(Pad::RightF), b"2912", &[0x29, 0x12]);
    check(n, Length::Ll(19), ascii, b"99999", b"0599999");
    check(n, Length::Ll(19), bcd(Pad::Left0), b"99999", &[0x05, 0x09, 0x99, 0x99]);
    check(n, Length::Ll(19), bcd(Pad::RightF), b"99999", &[0x05, 0x99, 0x99, 0x9F]);
    check(n, Length::Ll(19), bcd(Pad::Left0), b"", &[0x00]);
    check(z, Length::Ll(37), bcd(Pad::RightF), b"99=29", &[0x05, 0x99, 0xD2, 0x9F]);
    check(z, Length::Ll(37), bcd(Pad::Right0), b"9;=?", &[0x04, 0x9B, 0xDF]);
    check(z, Length::Ll(37), ebcdic, b"9=D", &[0xF0, 0xF3, 0xF9, 0x7E, 0xC4]);
    check(x, Length::Fixed(9), ascii, b"C00000012", b"C00000012");
    check(x, Length::Fixed(9), bcd(Pad::RightF), b"D00000012", &[b'D', 0, 0, 0, 0x12]);
    check(x, Length::Fixed(4), bcd(Pad::RightF), b"C123", &[b'C', 0x01, 0x23]);
    check(x, Length::Fixed(3), ebcdic, b"C12", &[0xC3, 0xF1, 0xF2]);
    check(an, Length::Lll(120), bcd(Pad::Left0), b"aZ9", &[0x00, 0x03, b'a', b'Z', b'9']);
    check(an, Length::Lll(120), ebcdic, b"aZ9", &[0xF0, 0xF0, 0xF3, 0x81, 0xE9, 0xF9]);
    let mut out = Vec::new();
    let track = shape(z, Length::Ll(37), DigitEncoding::Bcd, Pad::RightF);
    track.write(b"9D2", &mut out).unwrap();
    assert_eq!(out, [0x03, 0x9D, 0x2F], "the letter stands for the separator");
}

#[test]
fn wrong_bytes_are_told_where_they_are() {
    let check = |content, length, pad, wire: &[u8], at: usize, rule: Rule| {
        let shape = shape(content, length, DigitEncoding::Bcd, pad);
        assert!(shape.read(wire, 0).is_none(), "{wire:02X?}");
        let flaw = shape.flaw(wire);
        assert_eq!((flaw.at, flaw.rule), (at, rule), "{wire:02X?}");
    };
    let (n, z, x) = (Content::Digits, Content::Track, Content::SignedDigits);
    let not = Rule::Content;
    check(n, Length::Fixed(3), Pad::Left0, &[0x19, 0x78], 0, not(n));
    check(n, Length::Fixed(3), Pad::Left0, &[0x09, 0x7A], 1, not(n));
    check(n, Length::Fixed(3), Pad::Right0, &[0x97, 0x81], 1, not(n));
    check(n, Length::Fixed(3), Pad::RightF, &[0x97, 0x80], 1, not(n));
    check(n, Length::Fixed(3), Pad::RightF, &[0xA7, 0x80], 0, not(n));
    check(n, Length::Fixed(4), Pad::Left0, &[0x97, 0xA0], 1, not(n));
    check(n, Length::Fixed(4), Pad::Left0, &[0x97], 0, Rule::Truncated);
    check(n, Length::Ll(19), Pad::Left0, &[0x20, 0x97], 0, Rule::OverMax { max: 19 });
    check(n, Length::Ll(19), Pad::Left0, &[0x1A, 0x97], 0, Rule::LengthNotDigits);
    check(n, Length::Ll(19), Pad::Left0, &[0x03, 0x97, 0x80], 1, not(n));
    check(n, Length::Lll(104), Pad::Left0, &[0x00], 0, Rule::Truncated);
    check(n, Length::Lll(104), Pad::Left0, &[0x10, 0x01], 0, Rule::OverMax { max: 104 });
    check(z, Length::Ll(37), Pad::RightF, &[0x03, 0x9D, 0x20], 2, not(z));
    check(x, Length::Fixed(9), Pad::Left0, &[b'c', 0, 0, 0, 0], 0, not(x));
    check(x, Length::Fixed(9), Pad::Left0, &[b'C', 0, 0x0A, 0, 0], 2, not(x));
}

#[test]
fn numbers_are_read_up_to_nineteen_digits() {
    let check = |digits: &str, value| {
        for encoding in [DigitEncoding::Ascii, DigitEncoding::Bcd, DigitEncoding::Ebcdic] {
            for pad in [Pad::Left0, Pad::Right0, Pad::RightF] {
                let shape = shape(Content::Digits, Length::Ll(28), encoding, pad);
                let mut wire = Vec::new();
                shape.write(digits.as_bytes(), &mut wire).unwrap();
                assert_eq!(shape.number(&wire), value, "{digits} {encoding:?} {pad:?}");
            }
        }
    };
    check("0", Some(0));
    check("000000001050", Some(1050));
    check("12345678", Some(12_345_678));
    check("9999999999999999999", Some(9_999_999_999_999_999_999));
    check("10000000000000000000", None);
    check("", None);
    assert_eq!(plain(Content::Printable).number(b"00412 4"), None);
    assert_eq!(plain(Content::Track).number(b"004123="), None);
}

#[test]
fn text_is_not_made_of_raw_bytes_or_in_too_short_a_scratch() {
    assert_eq!(plain(Content::Binary).text(b"0031\xFF3", &mut [0; 99]), None);
    let packed = shape(Content::Digits, Length::Ll(19), DigitEncoding::Bcd, Pad::Left0);
    assert_eq!(packed.text(&[0x03, 0x09, 0x78], &mut [0; 2]), None);
    assert_eq!(packed.text(&[0x03, 0x09, 0x78], &mut [0; 3]), Some(&b"978"[..]));
    assert_eq!(plain(Content::Digits).text(b"003978", &mut []), Some(&b"978"[..]));
}

/// Each byte of a field of fixed length, all others being sound, may be what its own [`Sound`] says.
#[test]
fn each_byte_of_a_fixed_length_is_told_by_itself() {
    let mut told = 0;
    for content in CLASSES {
        for digits in [DigitEncoding::Ascii, DigitEncoding::Bcd, DigitEncoding::Ebcdic] {
            for pad in [Pad::Left0, Pad::Right0, Pad::RightF] {
                for characters in 1..=7 {
                    let shape = shape(content, Length::Fixed(characters), digits, pad);
                    let Some(sounds) = shape.sounds() else { continue };
                    told += 1;
                    let allowed = |at: usize, byte: u8| {
                        let mut sums = [0; 16];
                        let mut block = [0; 16];
                        block[at] = byte;
                        let mut each = [Sound::ANYTHING; 16];
                        each[..sounds.len()].copy_from_slice(&sounds);
                        Lanes::each(&each).add_excess(&block, &mut sums);
                        sums[at] == 0
                    };
                    let sample: Vec<u8> = (0..sounds.len())
                        .map(|at| (0..=255).find(|byte| allowed(at, *byte)).unwrap())
                        .collect();
                    for (at, byte) in
                        (0..sample.len()).flat_map(|at| (0..=255).map(move |b| (at, b)))
                    {
                        let mut bytes = sample.clone();
                        bytes[at] = byte;
                        let fault = shape.first_fault(&bytes, characters);
                        assert_eq!(fault.is_none(), allowed(at, byte), "{shape:?} {bytes:02X?}");
                    }
                }
            }
        }
    }
    assert!(told > 200, "{told}");
}

/// The answer must not depend on what lies behind the content, or on whether anything does.
fn is_sound(shape: Shape, bytes: &[u8]) -> bool {
    let length = u16::try_from(bytes.len()).unwrap();
    let alone = shape.is_sound(Stretch::alone(bytes), length);
    for other in [0x00, b'5', 0xFF] {
        for (before, behind) in [(0, 16), (16, 0), (16, 16), (3, 5)] {
            let around = [&vec![other; before], bytes, &vec![other; behind]].concat();
            let content = Stretch::new(&around, before, length).unwrap();
            assert_eq!(shape.is_sound(content, length), alone, "{shape:?} {around:02X?}");
            assert_eq!(content.bytes(), Some(bytes));
        }
    }
    alone
}

proptest! {
    #[test]
    fn the_fast_check_agrees_with_the_search_for_the_fault(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[0-9C-D =A-Z]{0,40}".prop_map(String::into_bytes),
            proptest::collection::vec(proptest::sample::select(&[0x00, 0x12, 0x99, 0x9A, 0x0F, 0xF9][..]), 0..20),
        ],
        odd in any::<bool>(),
        pad in proptest::sample::select(&[Pad::Left0, Pad::Right0, Pad::RightF][..]),
    ) {
        for content in CLASSES {
            for encoding in [DigitEncoding::Ascii, DigitEncoding::Ebcdic] {
                let shape = shape(content, Length::Lll(999), encoding, pad);
                let characters = u16::try_from(bytes.len()).unwrap();
                let fault = shape.first_fault(&bytes, characters);
                prop_assert_eq!(is_sound(shape, &bytes), fault.is_none());
            }
        }
        let length = u16::try_from(bytes.len()).unwrap();
        let characters = (2 * length).saturating_sub(u16::from(odd));
        for content in [Content::Digits, Content::Track] {
            let shape = shape(content, Length::Lll(999), DigitEncoding::Bcd, pad);
            let fault = shape.first_fault(&bytes, characters);
            prop_assert_eq!(shape.is_sound(Stretch::alone(&bytes), characters), fault.is_none());
        }
    }

    #[test]
    fn a_number_reads_as_the_standard_library_reads_it(digits in "[0-9]{1,19}") {
        let wire = format!("{:03}{digits}", digits.len());
        prop_assert_eq!(plain(Content::Digits).number(wire.as_bytes()), digits.parse().ok());
    }
}
