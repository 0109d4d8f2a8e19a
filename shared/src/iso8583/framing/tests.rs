//! Tests: frames of every kind, cut anywhere, too long, wrong, and answered.

use super::*;

const LINK: Framing = Framing::new(FramingKind::Binary2, HeaderKind::None, 600);

const KINDS: [FramingKind; 7] = [
    FramingKind::Binary2,
    FramingKind::Binary2Inclusive,
    FramingKind::Binary2LittleEndian,
    FramingKind::Bcd2,
    FramingKind::Ascii4,
    FramingKind::Binary4,
    FramingKind::Vmlh,
];
const HEADERS: [HeaderKind; 4] =
    [HeaderKind::None, HeaderKind::Tpdu, HeaderKind::Iso, HeaderKind::Base1];

#[test]
fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
    let messages: [&[u8]; 3] = [b"first", &[7; 570], b"x"];
    for (kind, header) in KINDS.into_iter().flat_map(|kind| HEADERS.map(|header| (kind, header))) {
        let link = Framing::new(kind, header, 600);
        let mut stream = Vec::new();
        for message in messages {
            let at = link.reserve_header(&mut stream, None);
            stream.extend_from_slice(message);
            link.put_header(at, &mut stream).unwrap();
        }
        for step in [1, 2, 3, 7, 300, stream.len()] {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = link.next(&buffer).unwrap() {
                    assert!(!frame.is_keep_alive());
                    seen.push(frame.body(&buffer).to_vec());
                    buffer.drain(..frame.len());
                }
            }
            assert_eq!(seen, messages, "{kind:?} {header:?} in steps of {step}");
            assert!(buffer.is_empty());
        }
    }
}

#[test]
fn each_kind_writes_its_length_as_published() {
    let check = |kind, expected: &[u8]| {
        let link = Framing::new(kind, HeaderKind::None, 600);
        let mut out = vec![0xAA];
        let at = link.reserve_header(&mut out, None);
        out.extend_from_slice(&[7; 300]);
        link.put_header(at, &mut out).unwrap();
        assert_eq!(out.len(), 1 + expected.len() + 300);
        assert_eq!(out[1..=expected.len()], *expected, "{kind:?}");
        let frame = link.next(&out[1..]).unwrap().unwrap();
        assert_eq!((frame.length_len, frame.header_len, frame.body_len), (expected.len(), 0, 300));
        let empty = kind.write(0).unwrap();
        let frame = link.next(&empty[..expected.len()]).unwrap().unwrap();
        assert!(frame.is_keep_alive() && frame.len() == expected.len(), "{kind:?}");
    };
    check(FramingKind::Binary2, &[0x01, 0x2C]);
    check(FramingKind::Binary2Inclusive, &[0x01, 0x2E]);
    check(FramingKind::Binary2LittleEndian, &[0x2C, 0x01]);
    check(FramingKind::Bcd2, &[0x03, 0x00]);
    check(FramingKind::Ascii4, b"0300");
    check(FramingKind::Binary4, &[0, 0, 0x01, 0x2C]);
    check(FramingKind::Vmlh, &[0x01, 0x2C, 0, 0]);
}

#[test]
fn a_frame_is_not_there_before_its_last_byte() {
    let check = |buffer: &[u8], body: Option<usize>| {
        let frame = LINK.next(buffer).unwrap();
        assert_eq!(frame.map(|frame| (frame.length_len, frame.body_len)), body.map(|n| (2, n)));
    };
    check(&[], None);
    check(&[0], None);
    check(&[0, 0], Some(0));
    check(&[0, 2, 1], None);
    check(&[0, 2, 1, 2], Some(2));
    check(&[0, 2, 1, 2, 0], Some(2));
}

#[test]
fn a_frame_above_the_maximum_is_refused_at_its_length() {
    let too_long = |length| FramingError::TooLong { length, max: 600 };
    assert_eq!(LINK.next(&[0x02, 0x58]), Ok(None));
    assert_eq!(LINK.next(&[0x02, 0x59]), Err(too_long(601)));
    assert_eq!(LINK.next(&[0xFF, 0xFF, 1]), Err(too_long(65_535)));
    let wide = Framing::new(FramingKind::Binary4, HeaderKind::None, 600);
    assert_eq!(wide.next(&[0xFF; 4]), Err(too_long(0xFFFF_FFFF)));
    for length in [601, 70_000] {
        let mut out = b"kept".to_vec();
        let at = LINK.reserve_header(&mut out, None);
        out.resize(out.len() + length, 0);
        assert_eq!(LINK.put_header(at, &mut out), Err(too_long(length)));
        assert_eq!(out, b"kept");
    }
}

#[test]
fn a_length_that_its_kind_cannot_say_is_refused() {
    let cut = |bytes: &[u8], kind| Framing::new(kind, HeaderKind::None, u16::MAX).next(bytes);
    let inclusive = FramingKind::Binary2Inclusive;
    assert_eq!(cut(&[0, 1], inclusive), Err(FramingError::CutLength { length: 1 }));
    assert_eq!(cut(&[0, 0x1A], FramingKind::Bcd2), Err(FramingError::LengthNotDigits));
    assert_eq!(cut(b"00 1", FramingKind::Ascii4), Err(FramingError::LengthNotDigits));
    for (kind, length) in
        [(FramingKind::Bcd2, 10_000), (FramingKind::Ascii4, 10_000), (inclusive, 65_534)]
    {
        let link = Framing::new(kind, HeaderKind::None, u16::MAX);
        let mut out = Vec::new();
        let at = link.reserve_header(&mut out, None);
        out.resize(out.len() + length, 0);
        assert_eq!(
            link.put_header(at, &mut out),
            Err(FramingError::TooLong { length, max: u16::MAX })
        );
    }
}

/// The reply's header for a request's, and for none.
fn answered(header: HeaderKind, request: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let link = Framing::new(FramingKind::Binary2, header, 600);
    let length = u16::try_from(request.len() + body.len()).unwrap();
    let buffer = [&length.to_be_bytes(), request, body].concat();
    let frame = link.next(&buffer).unwrap().unwrap();
    assert_eq!((frame.header(&buffer), frame.body(&buffer)), (request, body));
    let written = |request| {
        let mut out = Vec::new();
        let at = link.reserve_header(&mut out, request);
        out.extend_from_slice(b"reply");
        link.put_header(at, &mut out).unwrap();
        let frame = link.next(&out).unwrap().unwrap();
        assert_eq!(frame.body(&out), b"reply");
        frame.header(&out).to_vec()
    };
    (written(Some(frame.header(&buffer))), written(None))
}

#[test]
fn a_reply_has_the_header_of_its_request_with_the_ends_exchanged() {
    let (reply, own) = answered(HeaderKind::Tpdu, &[0x60, 0x12, 0x34, 0x56, 0x78], b"0800");
    assert_eq!(reply, [0x60, 0x56, 0x78, 0x12, 0x34]);
    assert_eq!(own, [0x60, 0, 0, 0, 0]);

    let (reply, own) = answered(HeaderKind::Iso, b"ISO025000050", b"0800");
    assert_eq!((&*reply, &*own), (&b"ISO025000050"[..], &b"ISO000000000"[..]));

    let base1: Vec<u8> = (0..22).map(|byte| if byte == 0 { 22 } else { 0x40 + byte }).collect();
    let (reply, own) = answered(HeaderKind::Base1, &base1, b"0800");
    let total = 22 + 5;
    let ends = [0x48, 0x49, 0x4A, 0x45, 0x46, 0x47];
    assert_eq!(reply[..3], base1[..3]);
    assert_eq!(reply[3..5], [0, total]);
    assert_eq!(reply[5..11], ends);
    assert_eq!(reply[11..], base1[11..]);
    assert_eq!(own[..5], [22, 1, 2, 0, total]);

    let rejected = [&[26], &base1[1..], &[0x80, 0, 0x01, 0x02]].concat();
    let (reply, _) = answered(HeaderKind::Base1, &rejected, b"0800");
    assert_eq!((reply.len(), reply[0]), (22, 22));
}

#[test]
fn a_header_that_is_not_one_of_the_link_is_refused() {
    let check = |header, bytes: &[u8], expected| {
        let link = Framing::new(FramingKind::Binary2, header, 600);
        let length = u16::try_from(bytes.len()).unwrap();
        assert_eq!(link.next(&[&length.to_be_bytes(), bytes].concat()), Err(expected));
    };
    check(HeaderKind::Tpdu, &[0x60, 0, 0, 0], FramingError::CutHeader { length: 4 });
    check(HeaderKind::Iso, b"ISO01234567", FramingError::CutHeader { length: 11 });
    check(HeaderKind::Iso, b"0100ISO000000", FramingError::WrongHeader);
    check(HeaderKind::Base1, &[21; 30], FramingError::WrongHeader);
    check(HeaderKind::Base1, &[26; 25], FramingError::CutHeader { length: 25 });
    let tpdu = Framing::new(FramingKind::Binary2, HeaderKind::Tpdu, 600);
    let alone = tpdu.next(&[0, 5, 0x60, 1, 2, 3, 4]).unwrap().unwrap();
    assert!(alone.is_keep_alive() && alone.len() == 7);
}

#[test]
fn a_session_control_message_is_a_keep_alive() {
    let link = Framing::new(FramingKind::Vmlh, HeaderKind::Base1, 600);
    let buffer = [0, 3, 0, 0x20, 1, 2, 3, 0, 0, 0, 0];
    let frame = link.next(&buffer).unwrap().unwrap();
    assert!(frame.is_keep_alive() && frame.len() == 7 && frame.header(&buffer).is_empty());
    let poll = link.next(&buffer[7..]).unwrap().unwrap();
    assert!(poll.is_keep_alive() && poll.len() == 4);
}

#[test]
fn the_kinds_have_the_names_that_configuration_gives_them() {
    #[derive(Deserialize)]
    struct Link {
        framing: FramingKind,
        header: HeaderKind,
    }
    let names = "binary-2 binary-2-inclusive binary-2-little-endian bcd-2 ascii-4 binary-4 vmlh";
    for (name, kind) in names.split(' ').zip(KINDS) {
        for (header_name, header) in ["none", "tpdu", "iso", "base1"].into_iter().zip(HEADERS) {
            let text = format!("framing = \"{name}\"\nheader = \"{header_name}\"");
            let link: Link = toml::from_str(&text).unwrap();
            assert_eq!((link.framing, link.header), (kind, header));
        }
    }
}

#[test]
fn an_empty_frame_is_a_length_alone_whatever_the_header() {
    for (kind, bytes) in [
        (FramingKind::Binary2, &b"\0\0"[..]),
        (FramingKind::Binary2Inclusive, b"\0\x02"),
        (FramingKind::Ascii4, b"0000"),
        (FramingKind::Vmlh, b"\0\0\0\0"),
    ] {
        let framing = Framing::new(kind, HeaderKind::Tpdu, 100);
        let mut out = Vec::new();
        framing.put_empty(&mut out);
        assert_eq!(out, bytes);
        assert!(framing.next(&out).unwrap().unwrap().is_keep_alive());
    }
    let framing = Framing::new(FramingKind::Binary2Inclusive, HeaderKind::None, 100);
    assert!(framing.next(b"\0\0").unwrap().unwrap().is_keep_alive());
    assert!(framing.next(b"\0\x01").is_err());
}
