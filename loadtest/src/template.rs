//! One encoded purchase a card, patched in place for each message, and the check of its reply.
//!
//! Invariants: nothing is allocated for a message; every byte of a reply is compared: the echo with
//! what the template writes for that message, the rest with the reply that our own codec builds.

use std::ops::Range;

use anyhow::{Context, bail, ensure};
use shared::card::YearMonth;
use shared::effect::ApprovalCode;
use shared::iso8583::encoding::{DigitEncoding, TextEncoding};
use shared::iso8583::mti::Version;
use shared::iso8583::{Content, Dialect, Layout, Message, Mti, encode, parse, reply};
use shared::pan::Pan;
use zeroize::Zeroizing;

use crate::answers::{Answer, Code};
use crate::digits::Form;
use crate::moment::Moment;

/// Bytes of the length in front of each message.
const HEADER: usize = 2;
/// EMV data, from `fixtures/golden/0100-purchase.toml`.
const CHIP_DATA: &[u8] = b"\x9f\x26\x08\xa1\xb2\xc3\xd4\xe5\xf6\x07\x08\x9f\x27\x01\x80\x9f\x10\
    \x07\x06\x01\x0a\x03\xa0\xa8\x02\x9f\x37\x04\x9a\x8b\x7c\x6d\x9f\x36\x02\x00\x01\x95\x05\x00\
    \x00\x00\x00\x00\x9a\x03\x26\x03\x14\x9c\x01\x00\x9f\x02\x06\x00\x00\x00\x00\x10\x50\x5f\x2a\
    \x02\x09\x78\x82\x02\x3c\x00\x9f\x1a\x02\x06\x43\x9f\x03\x06\x00\x00\x00\x00\x00\x00\x9f\x33\
    \x03\xe0\xf8\xc8\x9f\x34\x03\x42\x03\x00\x9f\x35\x01\x22\x9f\x1e\x08\x31\x32\x33\x34\x35\x36\
    \x37\x38\x84\x07\xa0\x00\x00\x09\x99\x01\x01";

/// What changes from message to message.
#[derive(Clone, Copy, Debug)]
pub struct Variables {
    /// DE4, minor units.
    pub amount: u64,
    /// DE11.
    pub stan: u64,
    /// DE7, DE12 and, in 1987, DE13.
    pub sent_at: Moment,
    /// DE32.
    pub acquirer: u64,
    /// DE37.
    pub reference: u64,
}

/// A card that pays.
pub struct Payer<'a> {
    /// Its number.
    pub pan: &'a Pan,
    /// Its last month.
    pub expiry: YearMonth,
    /// Its track 2 as the chip gives it: a chip payment; without one, remote commerce.
    pub track: Option<Zeroizing<Vec<u8>>>,
}

/// The encoded messages of all cards, and how their replies look.
#[derive(Debug)]
pub struct Templates {
    edition: Version,
    places: Places,
    approved: Shape,
    declined: Shape,
    frames: Vec<Vec<u8>>,
}

/// Where digits stand, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    range: Range<usize>,
    form: Form,
}

/// Where the variables stand in a frame, its header included.
#[derive(Debug, PartialEq, Eq)]
struct Places {
    amount: Place,
    sent_at: Place,
    stan: Place,
    time: Place,
    /// In 1987.
    day: Option<Place>,
    acquirer: Place,
    reference: Place,
}

/// A reply: its bytes where they never change, where it echoes what, and where its own fields are.
#[derive(Debug)]
struct Shape {
    reference: Vec<u8>,
    /// Type and bit map.
    head: Range<usize>,
    /// The same field in the reply and, its header included, in the request.
    echoes: Vec<(Range<usize>, Range<usize>)>,
    stan: Place,
    approval: Option<Place>,
    code: Range<usize>,
}

/// A reply that is not the one to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// Another type, other fields, or another length than a reply to a purchase has.
    #[error("a reply of {0} bytes that is none to a purchase")]
    Shape(usize),
    /// A field does not come back as sent.
    #[error("an echoed field differs from what was sent")]
    Echo,
    /// DE38 or DE39 cannot be read.
    #[error("field 38 or 39 is not of digits and letters")]
    Content,
}

impl Templates {
    /// Of these cards in a dialect, for amounts in the currency with this ISO 4217 number.
    pub fn new<'a>(
        dialect: &'static Dialect,
        cards: impl Iterator<Item = Payer<'a>>,
        currency: u16,
    ) -> anyhow::Result<Self> {
        let frames: Vec<Vec<u8>> = cards
            .map(|payer| purchase(dialect, &payer, currency))
            .collect::<anyhow::Result<_>>()?;
        let first = frames.first().context("no card to send for")?;
        let places = Places::of(dialect, first)?;
        for frame in &frames {
            ensure!(Places::of(dialect, frame)? == places, "the card numbers differ in length");
        }
        // Any code of the edition's length: it is read, not compared.
        let code: &[u8] = match dialect.version() {
            Version::V1987 => b"00",
            Version::V1993 => b"000",
            Version::V2003 => b"0000",
        };
        let approved = Shape::new(dialect, first, &[(38, b"000000"), (39, code)])?;
        let declined = Shape::new(dialect, first, &[(39, code)])?;
        Ok(Self { edition: dialect.version(), places, approved, declined, frames })
    }

    /// How many cards.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.frames.len()
    }

    /// The frame of one message, its length in front; `None` where there is no such card.
    pub fn write(&mut self, card: usize, variables: &Variables) -> Option<&[u8]> {
        let frame = self.frames.get_mut(card)?;
        let Places { amount, sent_at, stan, time, day, acquirer, reference } = &self.places;
        let moment = variables.sent_at;
        amount.put(frame, variables.amount)?;
        sent_at.put(frame, moment.transmission())?;
        stan.put(frame, variables.stan)?;
        time.put(frame, moment.local(self.edition))?;
        if let Some(day) = day {
            day.put(frame, moment.day())?;
        }
        acquirer.put(frame, variables.acquirer)?;
        reference.put(frame, variables.reference)?;
        Some(frame)
    }

    /// The STAN of a reply (without header) that looks like one to a purchase.
    pub fn stan(&self, received: &[u8]) -> Result<u64, Unexpected> {
        self.shape(received)?.stan.number(received).ok_or(Unexpected::Echo)
    }

    /// The answer in a reply to the message of `card` with these variables.
    pub fn answer(
        &mut self,
        received: &[u8],
        card: usize,
        variables: &Variables,
    ) -> Result<Answer, Unexpected> {
        self.write(card, variables);
        let shape = self.shape(received)?;
        let sent = self.frames.get(card).ok_or(Unexpected::Echo)?;
        for (there, here) in &shape.echoes {
            if received.get(there.clone()) != sent.get(here.clone()) {
                return Err(Unexpected::Echo);
            }
        }
        let approval = match &shape.approval {
            Some(place) => {
                let number = place.number(received).ok_or(Unexpected::Content)?;
                let number = u32::try_from(number).map_err(|_wider| Unexpected::Content)?;
                Some(ApprovalCode(number))
            }
            None => None,
        };
        let code = received.get(shape.code.clone()).unwrap_or_default();
        Ok(Answer { code: Code::of(code).ok_or(Unexpected::Content)?, approval })
    }

    fn shape(&self, received: &[u8]) -> Result<&Shape, Unexpected> {
        let fits = |shape: &&Shape| {
            received.len() == shape.reference.len()
                && received.get(shape.head.clone()) == shape.reference.get(shape.head.clone())
        };
        let shapes = [&self.approved, &self.declined];
        shapes.into_iter().find(fits).ok_or(Unexpected::Shape(received.len()))
    }
}

/// A purchase of 19 fields with its header, about as long as `fixtures/golden/0100-purchase.toml`.
fn purchase(dialect: &Dialect, payer: &Payer<'_>, currency: u16) -> anyhow::Result<Vec<u8>> {
    let edition = dialect.version();
    let month = format!("{:04}", payer.expiry.yymm());
    let currency = format!("{currency:03}");
    // Places for the variables, as wide as the edition has them.
    let (stan, time): (&[u8], &[u8]) = match edition {
        Version::V1987 => (&[b'0'; 6], &[b'0'; 6]),
        Version::V1993 => (&[b'0'; 6], &[b'0'; 12]),
        Version::V2003 => (&[b'0'; 12], &[b'0'; 14]),
    };
    let chip = payer.track.is_some();
    let (entry, condition): (&[u8], &[u8]) = match (edition, chip) {
        (Version::V1987, true) => (b"051", b"00"),
        (Version::V1987, false) => (b"812", b"00"),
        (Version::V1993 | Version::V2003, true) => (b"510101514140", b"0000"),
        (Version::V1993 | Version::V2003, false) => (b"600550600130", b"0000"),
    };
    let mut fields: Vec<(u8, &[u8])> = vec![
        (2, payer.pan.expose()),
        (3, b"000000"),
        (4, b"000000000000"),
        (7, b"0101000000"),
        (11, stan),
        (12, time),
        (14, month.as_bytes()),
        (22, entry),
        (25, condition),
        (32, b"00000000000"),
        (37, b"000000000000"),
        (41, b"TERM0001"),
        (42, b"MERCHANT0000001"),
        (43, b"CORNER SHOP              RIGA         LV"),
        (49, currency.as_bytes()),
        (55, CHIP_DATA),
        // Without track data, the country of the acquirer.
        payer.track.as_ref().map_or((19, &b"428"[..]), |track| (35, track.as_slice())),
    ];
    fields.extend::<[(u8, &[u8]); 2]>(match edition {
        Version::V1987 => [(13, b"0101"), (18, b"5411")],
        Version::V1993 | Version::V2003 => [(24, b"100"), (26, b"5411")],
    });
    fields.sort_unstable_by_key(|(number, _)| *number);
    let mut frame = vec![0; HEADER];
    encode(dialect, Mti::AUTHORIZATION_REQUEST.in_version(edition), &fields, &mut frame)?;
    let length = u16::try_from(frame.len() - HEADER)?.to_be_bytes();
    frame.splice(..HEADER, length);
    Ok(frame)
}

/// The bytes of a field, its length prefix included.
fn whole(message: &Message<'_>, field: u8) -> anyhow::Result<Range<usize>> {
    let wire = message.received().wire(field).with_context(|| format!("field {field}"))?;
    let start = usize::from(message.offset_of(field).unwrap_or_default());
    Ok(start..start + wire.len())
}

/// The bytes of a field's content.
fn content(message: &Message<'_>, field: u8) -> anyhow::Result<Range<usize>> {
    let whole = whole(message, field)?;
    let length = message.bytes(field).unwrap_or_default().len();
    Ok(whole.end - length..whole.end)
}

fn behind_header(place: Range<usize>) -> Range<usize> {
    place.start + HEADER..place.end + HEADER
}

/// Where a field's digits stand in a message, and how.
fn place(message: &Message<'_>, field: u8) -> anyhow::Result<Place> {
    let dialect = message.dialect();
    let spec = dialect.field(field).with_context(|| format!("no field {field}"))?;
    let form = match (spec.content, dialect.encoding().digits, dialect.encoding().text) {
        (Content::Digits, DigitEncoding::Bcd, _) => Form::Packed,
        (Content::Digits, DigitEncoding::Ascii, _) => Form::Ascii,
        (Content::Digits, DigitEncoding::Ebcdic, _) | (_, _, TextEncoding::Ebcdic) => {
            bail!("{}: load is generated in ASCII and BCD only", dialect.name())
        }
        (_, _, TextEncoding::Ascii) => Form::Ascii,
    };
    Ok(Place { range: content(message, field)?, form })
}

impl Place {
    fn put(&self, frame: &mut [u8], value: u64) -> Option<()> {
        self.form.put(frame.get_mut(self.range.clone())?, value);
        Some(())
    }

    fn number(&self, frame: &[u8]) -> Option<u64> {
        self.form.number(frame.get(self.range.clone())?)
    }
}

impl Places {
    fn of(dialect: &Dialect, frame: &[u8]) -> anyhow::Result<Self> {
        let mut layout = Layout::new();
        let body = frame.get(HEADER..).unwrap_or_default();
        let message = parse(dialect, body, &mut layout)?;
        let place = |field| {
            let place = place(&message, field)?;
            anyhow::Ok(Place { range: behind_header(place.range), ..place })
        };
        Ok(Self {
            amount: place(4)?,
            sent_at: place(7)?,
            stan: place(11)?,
            time: place(12)?,
            day: message.has(13).then(|| place(13)).transpose()?,
            acquirer: place(32)?,
            reference: place(37)?,
        })
    }
}

impl Shape {
    fn new(dialect: &Dialect, frame: &[u8], set: &[(u8, &[u8])]) -> anyhow::Result<Self> {
        let mut layout = Layout::new();
        let body = frame.get(HEADER..).unwrap_or_default();
        let request = parse(dialect, body, &mut layout)?;
        let mti = request.mti().response().context("a request takes a response")?;
        let echo = request.received().only(request.dialect().echo_of(request.mti()));
        let mut bytes = Vec::new();
        reply(dialect, echo, mti, set, &mut bytes)?;
        let mut layout = Layout::new();
        let message = parse(dialect, &bytes, &mut layout)?;
        let mut echoes: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for field in echo.present() {
            let (there, here) = (whole(&message, field)?, behind_header(whole(&request, field)?));
            match echoes.last_mut() {
                Some((last_there, last_here))
                    if last_there.end == there.start && last_here.end == here.start =>
                {
                    last_there.end = there.end;
                    last_here.end = here.end;
                }
                Some(_) | None => echoes.push((there, here)),
            }
        }
        let head = 0..usize::from(message.offset_of(2).context("field 2 is echoed")?);
        let approval = set.iter().any(|(field, _)| *field == 38);
        let approval = approval.then(|| place(&message, 38)).transpose()?;
        let (stan, code) = (place(&message, 11)?, content(&message, 39)?);
        let width = set.iter().find(|(field, _)| *field == 39).map(|(_, code)| code.len());
        ensure!(width == Some(code.len()), "field 39 is not one byte a character");
        Ok(Self { head, echoes, stan, approval, code, reference: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            amount: 1_234,
            stan: 42,
            // 2026-03-14 09:26:53.
            sent_at: Moment::at(1_773_480_413),
            acquirer: 91_234_560_007,
            reference: 42,
        }
    }

    fn templates(dialect: &'static Dialect, track: Option<&[u8]>) -> Templates {
        let pans = ["9999992748610013", "9999991234567890"]
            .map(|text| Pan::parse(text.as_bytes()).unwrap());
        let expiry = YearMonth::from_yymm(2912).unwrap();
        let payers = pans.iter().map(|pan| Payer {
            pan,
            expiry,
            track: track.map(|track| Zeroizing::new(track.to_vec())),
        });
        Templates::new(dialect, payers, 978).unwrap()
    }

    fn dialects() -> impl Iterator<Item = &'static Dialect> {
        Dialect::BUILT_IN_NAMES.iter().filter_map(|name| Dialect::built_in(name))
    }

    fn reply_to(dialect: &Dialect, frame: &[u8], set: &[(u8, &[u8])]) -> Vec<u8> {
        let mut layout = Layout::new();
        let request = parse(dialect, &frame[2..], &mut layout).unwrap();
        let (mti, mut out) = (request.mti().response().unwrap(), Vec::new());
        let echo = request.received().only(dialect.echo_of(request.mti()));
        reply(dialect, echo, mti, set, &mut out).unwrap();
        out
    }

    #[test]
    fn a_patched_frame_is_the_message_that_was_meant_in_every_dialect() {
        for dialect in dialects() {
            let mut templates = templates(dialect, None);
            let frame = templates.write(1, &variables()).unwrap();
            assert_eq!(frame.len(), 2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])));
            let mut layout = Layout::new();
            let message = parse(dialect, &frame[2..], &mut layout).unwrap();
            message.validate().unwrap();
            let (stan, time, day) = match dialect.version() {
                Version::V1987 => ("000042", "092653", Some("0314")),
                Version::V1993 => ("000042", "260314092653", None),
                Version::V2003 => ("000000000042", "20260314092653", None),
            };
            let mut scratch = [0; 32];
            for (field, expected) in [
                (2, Some("9999991234567890")),
                (4, Some("000000001234")),
                (7, Some("0314092653")),
                (11, Some(stan)),
                (12, Some(time)),
                (13, day),
                (14, Some("2912")),
                (32, Some("91234560007")),
                (35, None),
                (37, Some("000000000042")),
            ] {
                let found = message.text(field, &mut scratch);
                assert_eq!(found, expected.map(str::as_bytes), "{} {field}", dialect.name());
            }
            assert_eq!(message.fields().count(), 19, "{}", dialect.name());
        }
    }

    #[test]
    fn a_track_makes_a_chip_payment_of_as_many_fields() {
        let track = b"9999992748610013=29122010000012300000";
        for dialect in dialects() {
            let mut templates = templates(dialect, Some(track));
            let frame = templates.write(0, &variables()).unwrap();
            let mut layout = Layout::new();
            let message = parse(dialect, &frame[2..], &mut layout).unwrap();
            assert_eq!(message.text(35, &mut [0; 40]), Some(&track[..]));
            assert_eq!(message.fields().count(), 19, "{}", dialect.name());
        }
    }

    #[test]
    fn the_reply_to_a_message_gives_its_answer() {
        for dialect in dialects() {
            let (yes, no): (&[u8], &[u8]) = match dialect.version() {
                Version::V1987 => (b"00", b"51"),
                Version::V1993 => (b"000", b"116"),
                Version::V2003 => (b"0000", b"1016"),
            };
            let mut templates = templates(dialect, None);
            let frame = templates.write(0, &variables()).unwrap().to_vec();
            let approved = reply_to(dialect, &frame, &[(38, b"000017"), (39, yes)]);
            assert_eq!(templates.stan(&approved), Ok(42));
            let code = Code::of(yes).unwrap();
            let answer = Answer { code, approval: Some(ApprovalCode(17)) };
            assert_eq!(templates.answer(&approved, 0, &variables()), Ok(answer));
            let declined = reply_to(dialect, &frame, &[(39, no)]);
            let answer = Answer { code: Code::of(no).unwrap(), approval: None };
            assert_eq!(templates.answer(&declined, 0, &variables()), Ok(answer));
        }
    }

    #[test]
    fn any_changed_byte_of_the_echo_is_seen() {
        for dialect in dialects() {
            let mut templates = templates(dialect, None);
            let frame = templates.write(0, &variables()).unwrap().to_vec();
            let no: &[u8] = match dialect.version() {
                Version::V1987 => b"51",
                Version::V1993 => b"116",
                Version::V2003 => b"1016",
            };
            let reply = reply_to(dialect, &frame, &[(39, no)]);
            let code = templates.declined.code.clone();
            for place in (0..reply.len()).filter(|place| !code.contains(place)) {
                let mut changed = reply.clone();
                changed[place] ^= 1;
                assert!(templates.answer(&changed, 0, &variables()).is_err(), "byte {place}");
            }
            let other = Variables { amount: 1_235, ..variables() };
            assert_eq!(templates.answer(&reply, 0, &other), Err(Unexpected::Echo));
            assert_eq!(templates.answer(&reply, 1, &variables()), Err(Unexpected::Echo));
        }
    }
}
