//! What is fuzzed, and what must hold whatever the bytes are.

use shared::iso8583::{
    Dialect, DialectError, FormatError, Framing, FramingError, FramingKind, HeaderKind, Layout,
    Message, TEXT_MAX, parse, parse_by_walk, refuse, reply, tlv,
};

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
const FRAME_MAX: u16 = 300;

/// Scratch of one dialect's messages, kept as a connection keeps it.
pub(crate) struct Link {
    pub(crate) dialect: &'static Dialect,
    planned: Layout,
    walked: Layout,
    out: Vec<u8>,
}

impl Link {
    pub(crate) fn new(dialect: &'static Dialect) -> Self {
        let (planned, walked) = (Layout::new(), Layout::new());
        Self { dialect, planned, walked, out: Vec::new() }
    }

    /// Both ways of reading agree; what is read writes the same bytes, what is not has a place in
    /// the frame and an answer. Returns what came out, for the corpus.
    pub(crate) fn message(&mut self, frame: &[u8]) -> Result<(), FormatError> {
        let (dialect, out) = (self.dialect, &mut self.out);
        out.clear();
        let planned = parse(dialect, frame, &mut self.planned);
        let walked = parse_by_walk(dialect, frame, &mut self.walked);
        match (planned, walked) {
            (Ok(message), Ok(other)) => {
                assert_eq!(message.mti(), other.mti());
                assert!(message.fields().eq(other.fields()), "the plan reads other fields");
                read_all(&message);
                assert!(
                    message.validate().is_ok() || message.dialect().rules(message.mti()).is_some()
                );
                reply(dialect, message.received(), message.mti(), &[], out).unwrap();
                if *out != frame {
                    // Only a bit map that announces nothing is not written again.
                    assert!(out.len() < frame.len(), "other bytes are written");
                    let again = parse(dialect, out, &mut self.walked).unwrap();
                    assert!(again.fields().eq(message.fields()), "other fields are written");
                }
                Ok(())
            }
            (Err(error), Err(other)) => {
                assert_eq!(error, other);
                assert!(usize::from(error.offset) <= frame.len(), "{error}");
                let salvage = self.planned.salvaged(dialect, frame);
                assert!(salvage.present().iter().all(|number| salvage.wire(number).is_some()));
                let width = usize::from(dialect.field(39).unwrap().length.max());
                let set = [(39, &b"9100"[..width])];
                let answer = refuse(dialect, salvage, &error, &set, out).unwrap();
                assert_eq!(answer.is_some(), !out.is_empty());
                if answer.is_some() {
                    assert!(parse(dialect, out, &mut self.walked).is_ok(), "the refusal is broken");
                }
                Err(error)
            }
            (one, other) => panic!("one reads it and the other does not: {one:?} {other:?}"),
        }
    }
}

fn read_all(message: &Message<'_>) {
    let mut scratch = [0; TEXT_MAX];
    for (number, bytes) in message.fields() {
        let spec = message.dialect().field(number).unwrap();
        if let Some(text) = message.text(number, &mut scratch) {
            assert!(text.len() <= usize::from(spec.length.max()));
            assert!(text.iter().enumerate().all(|(at, byte)| spec.content.allows(*byte, at)));
        }
        // A field of digits is a number unless it is empty or too long; another may be one.
        let digits = spec.content == shared::iso8583::Content::Digits;
        if digits && !bytes.is_empty() && spec.length.max() <= 19 {
            assert!(message.number(number).unwrap().is_some());
        } else if let Err(error) = message.number(number) {
            assert_eq!(error.field, number);
        }
    }
}

/// How far a framing comes: frames, two for more than one, and what refuses the rest.
pub(crate) type Framed = (u8, Option<FramingError>);
/// The framings of [`frames`].
pub(crate) const FRAMINGS: usize = KINDS.len() * HEADERS.len();

/// A framing's name.
pub(crate) fn framing_name(choice: usize) -> String {
    let (kind, header) = framing_of(choice);
    format!("{kind:?} {header:?}").to_lowercase()
}

fn framing_of(choice: usize) -> (FramingKind, HeaderKind) {
    (KINDS[choice % KINDS.len()], HEADERS[choice / KINDS.len() % HEADERS.len()])
}

/// Every framing goes forward through the bytes or refuses them, and never shows more of them than
/// there are.
pub(crate) fn frames(bytes: &[u8], choice: usize) -> Framed {
    let (kind, header) = framing_of(choice);
    let link = Framing::new(kind, header, FRAME_MAX);
    let (mut rest, mut count) = (bytes, 0);
    loop {
        let frame = match link.next(rest) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (count, None),
            Err(error) => return (count, Some(error)),
        };
        count = 2.min(count + 1);
        assert!(frame.len() <= rest.len() && frame.len() <= usize::from(FRAME_MAX) + 4);
        assert_eq!(frame.body(rest).len(), frame.body_len);
        let mut out = Vec::new();
        let at = link.reserve_header(&mut out, Some(frame.header(rest)));
        out.extend_from_slice(frame.body(rest));
        if link.put_header(at, &mut out).is_ok() {
            let again = link.next(&out).unwrap().unwrap();
            assert_eq!(again.body(&out), frame.body(rest));
        }
        rest = &rest[frame.len()..];
    }
}

/// Of one way to write elements: how many, two for more than one, and whether they fill the bytes.
pub(crate) type Elements = (u8, bool);

/// Elements lie within the content, one behind the other, and end.
pub(crate) fn elements(bytes: &[u8]) -> [Elements; 2] {
    let (mut used, mut plain) = (0, 0);
    for (tag, value) in tlv::Subelements::new(bytes) {
        used += tag.len() + 2 + value.len();
        plain = 2.min(plain + 1);
    }
    assert!(used <= bytes.len());
    let plain = (plain, used == bytes.len());
    let (mut used, mut ber) = (0, 0);
    for (tag, value) in tlv::Ber::new(bytes) {
        used += 2 + value.len();
        ber = 2.min(ber + 1);
        assert!(tag > 0 && tlv::ber(bytes, tag).is_some());
    }
    assert!(used <= bytes.len());
    assert!(tlv::subelement(bytes, b"01").is_none_or(|value| value.len() <= 99));
    [plain, (ber, used == bytes.len())]
}

/// A dialect file compiles or is refused with a line of it; what compiles reads and refuses
/// messages. Returns what is wrong with it.
pub(crate) fn dialect(text: &str, frame: &[u8]) -> Option<DialectError> {
    match Dialect::parse(text) {
        Ok(dialect) => {
            assert!((128..=192).contains(&dialect.fields().len()));
            let mut layout = Layout::new();
            if let Ok(message) = parse(&dialect, frame, &mut layout) {
                read_all(&message);
            }
            None
        }
        Err(error) => {
            let said = error.to_string();
            let line = said.strip_prefix("line ").and_then(|rest| rest.split(':').next());
            let line: usize = line.unwrap().parse().unwrap();
            assert!((1..=1 + text.matches('\n').count()).contains(&line), "{said}");
            Some(error)
        }
    }
}
