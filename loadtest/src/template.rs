//! One encoded purchase a card, patched in place for each message, and the check of its reply.
//!
//! Invariants: nothing is allocated for a message; every byte of a reply is compared: the echo with
//! what the template writes for that message, the rest with the reply that our own codec builds.

use std::ops::Range;

use anyhow::{Context, ensure};
use shared::card::YearMonth;
use shared::effect::ApprovalCode;
use shared::iso8583::{Dialect, Layout, Message, Mti, echo_of, encode, parse, reply};
use shared::pan::Pan;

use crate::answers::Answer;
use crate::digits;

/// Bytes of the length in front of each message.
const HEADER: usize = 2;
/// Digits of DE32 as we fill it.
const ACQUIRER_DIGITS: usize = 11;
/// EMV data of a contactless purchase, from `fixtures/golden/0100-purchase.toml`.
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
    /// DE7; its parts are DE12 and DE13.
    pub sent_at: [u8; 10],
    /// DE32.
    pub acquirer: u64,
    /// DE37.
    pub reference: u64,
}

/// The encoded messages of all cards, and how their replies look.
#[derive(Debug)]
pub struct Templates {
    places: Places,
    approved: Shape,
    declined: Shape,
    frames: Vec<Vec<u8>>,
}

/// Where the variables stand in a frame, its header included.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    amount: Range<usize>,
    sent_at: Range<usize>,
    stan: Range<usize>,
    time: Range<usize>,
    date: Range<usize>,
    acquirer: Range<usize>,
    reference: Range<usize>,
}

/// A reply: its bytes where they never change, where it echoes what, and where its own fields are.
#[derive(Debug)]
struct Shape {
    reference: Vec<u8>,
    /// Type and bit map.
    head: Range<usize>,
    /// The same field in the reply and, its header included, in the request.
    echoes: Vec<(Range<usize>, Range<usize>)>,
    stan: Range<usize>,
    approval: Option<Range<usize>>,
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
    /// Of these cards, for amounts in the currency with this ISO 4217 number.
    pub fn new<'a>(
        cards: impl Iterator<Item = (&'a Pan, YearMonth)>,
        currency: u16,
    ) -> anyhow::Result<Self> {
        let frames: Vec<Vec<u8>> =
            cards.map(|(pan, expiry)| purchase(pan, expiry, currency)).collect::<Result<_, _>>()?;
        let first = frames.first().context("no card to send for")?;
        let places = Places::of(first)?;
        for frame in &frames {
            ensure!(Places::of(frame)? == places, "the card numbers differ in length");
        }
        let approved = Shape::new(first, &[(38, b"000000"), (39, b"00")])?;
        let declined = Shape::new(first, &[(39, b"00")])?;
        Ok(Self { places, approved, declined, frames })
    }

    /// How many cards.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.frames.len()
    }

    /// The frame of one message, its length in front; `None` where there is no such card.
    pub fn write(&mut self, card: usize, variables: &Variables) -> Option<&[u8]> {
        let frame = self.frames.get_mut(card)?;
        let Places { amount, sent_at, stan, time, date, acquirer, reference } = &self.places;
        digits::put(frame.get_mut(amount.clone())?, variables.amount);
        digits::put(frame.get_mut(stan.clone())?, variables.stan);
        digits::put(frame.get_mut(acquirer.clone())?, variables.acquirer);
        digits::put(frame.get_mut(reference.clone())?, variables.reference);
        let (day, hour) = variables.sent_at.split_first_chunk::<4>()?;
        frame.get_mut(sent_at.clone())?.copy_from_slice(&variables.sent_at);
        frame.get_mut(time.clone())?.copy_from_slice(hour);
        frame.get_mut(date.clone())?.copy_from_slice(day);
        Some(frame)
    }

    /// The STAN of a reply (without header) that looks like one to a purchase.
    pub fn stan(&self, received: &[u8]) -> Result<u64, Unexpected> {
        let shape = self.shape(received)?;
        let digits = received.get(shape.stan.clone()).unwrap_or_default();
        digits::number(digits).ok_or(Unexpected::Echo)
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
        let content = |place: &Range<usize>| received.get(place.clone()).unwrap_or_default();
        let approval = match &shape.approval {
            Some(place) => {
                let digits = digits::number(content(place)).ok_or(Unexpected::Content)?;
                let digits = u32::try_from(digits).map_err(|_wider| Unexpected::Content)?;
                Some(ApprovalCode(digits))
            }
            None => None,
        };
        let code = content(&shape.code).first_chunk().ok_or(Unexpected::Content)?;
        Ok(Answer { code: *code, approval })
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

/// A chip purchase of 19 fields with its header, as `fixtures/golden/0100-purchase.toml`.
fn purchase(pan: &Pan, expiry: YearMonth, currency: u16) -> anyhow::Result<Vec<u8>> {
    let mut month = [0; 4];
    digits::put(&mut month, u64::from(expiry.yymm()));
    let mut track = pan.expose().to_vec();
    track.push(b'=');
    track.extend_from_slice(&month);
    track.extend_from_slice(b"2011234500000000");
    let mut number = [0; 3];
    digits::put(&mut number, u64::from(currency));
    let fields: [(u8, &[u8]); 19] = [
        (2, pan.expose()),
        (3, b"000000"),
        (4, b"000000000000"),
        (7, b"0101000000"),
        (11, b"000000"),
        (12, b"000000"),
        (13, b"0101"),
        (14, &month),
        (18, b"5411"),
        (22, b"071"),
        (25, b"00"),
        (32, &[b'0'; ACQUIRER_DIGITS]),
        (35, &track),
        (37, b"000000000000"),
        (41, b"TERM0001"),
        (42, b"MERCHANT0000001"),
        (43, b"CORNER SHOP              RIGA         LV"),
        (49, &number),
        (55, CHIP_DATA),
    ];
    let mut frame = vec![0; HEADER];
    encode(Dialect::iso87_ascii(), Mti::AUTHORIZATION_REQUEST, &fields, &mut frame)?;
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

impl Places {
    fn of(frame: &[u8]) -> anyhow::Result<Self> {
        let mut layout = Layout::new();
        let body = frame.get(HEADER..).unwrap_or_default();
        let message = parse(Dialect::iso87_ascii(), body, &mut layout)?;
        let place = |field| content(&message, field).map(behind_header);
        Ok(Self {
            amount: place(4)?,
            sent_at: place(7)?,
            stan: place(11)?,
            time: place(12)?,
            date: place(13)?,
            acquirer: place(32)?,
            reference: place(37)?,
        })
    }
}

impl Shape {
    fn new(frame: &[u8], set: &[(u8, &[u8])]) -> anyhow::Result<Self> {
        let dialect = Dialect::iso87_ascii();
        let mut layout = Layout::new();
        let body = frame.get(HEADER..).unwrap_or_default();
        let request = parse(dialect, body, &mut layout)?;
        let mti = request.mti().response().context("a request takes a response")?;
        let echo = request.received().only(echo_of(request.mti()));
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
        let approval = approval.then(|| content(&message, 38)).transpose()?;
        let (stan, code) = (content(&message, 11)?, content(&message, 39)?);
        Ok(Self { head, echoes, stan, approval, code, reference: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: Variables = Variables {
        amount: 1_234,
        stan: 42,
        sent_at: *b"0314092653",
        acquirer: 91_234_560_007,
        reference: 42,
    };

    fn templates() -> Templates {
        let pans = ["9999992748610013", "9999991234567890"]
            .map(|text| Pan::parse(text.as_bytes()).unwrap());
        let month = YearMonth::from_yymm(2912).unwrap();
        Templates::new(pans.iter().map(|pan| (pan, month)), 978).unwrap()
    }

    fn reply_to(frame: &[u8], set: &[(u8, &[u8])]) -> Vec<u8> {
        let mut layout = Layout::new();
        let request = parse(Dialect::iso87_ascii(), &frame[2..], &mut layout).unwrap();
        let (mti, mut out) = (request.mti().response().unwrap(), Vec::new());
        let echo = request.received().only(echo_of(request.mti()));
        reply(Dialect::iso87_ascii(), echo, mti, set, &mut out).unwrap();
        out
    }

    #[test]
    fn a_patched_frame_is_the_message_that_was_meant() {
        let mut templates = templates();
        let frame = templates.write(1, &VARIABLES).unwrap();
        assert_eq!(frame.len(), 2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])));
        let mut layout = Layout::new();
        let message = parse(Dialect::iso87_ascii(), &frame[2..], &mut layout).unwrap();
        for (field, expected) in [
            (2, "9999991234567890"),
            (4, "000000001234"),
            (7, "0314092653"),
            (11, "000042"),
            (12, "092653"),
            (13, "0314"),
            (14, "2912"),
            (32, "91234560007"),
            (37, "000000000042"),
        ] {
            assert_eq!(message.bytes(field), Some(expected.as_bytes()), "field {field}");
        }
        assert_eq!(message.fields().count(), 19);
    }

    #[test]
    fn the_reply_to_a_message_gives_its_answer() {
        let mut templates = templates();
        let frame = templates.write(0, &VARIABLES).unwrap().to_vec();
        let approved = reply_to(&frame, &[(38, b"000017"), (39, b"00")]);
        assert_eq!(templates.stan(&approved), Ok(42));
        let answer = Answer { code: *b"00", approval: Some(ApprovalCode(17)) };
        assert_eq!(templates.answer(&approved, 0, &VARIABLES), Ok(answer));
        let declined = reply_to(&frame, &[(39, b"51")]);
        let answer = Answer { code: *b"51", approval: None };
        assert_eq!(templates.answer(&declined, 0, &VARIABLES), Ok(answer));
    }

    #[test]
    fn any_changed_byte_of_the_echo_is_seen() {
        let mut templates = templates();
        let frame = templates.write(0, &VARIABLES).unwrap().to_vec();
        let reply = reply_to(&frame, &[(39, b"51")]);
        let code = templates.declined.code.clone();
        for place in (0..reply.len()).filter(|place| !code.contains(place)) {
            let mut changed = reply.clone();
            changed[place] ^= 1;
            assert!(templates.answer(&changed, 0, &VARIABLES).is_err(), "byte {place}");
        }
        let other = Variables { amount: 1_235, ..VARIABLES };
        assert_eq!(templates.answer(&reply, 0, &other), Err(Unexpected::Echo));
        assert_eq!(templates.answer(&reply, 1, &VARIABLES), Err(Unexpected::Echo));
    }
}
