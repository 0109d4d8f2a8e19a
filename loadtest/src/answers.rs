//! What was received, compactly: four bytes an answer, by connection and number of the message.
//!
//! Invariant: the key of a message and its place here give each other, so that an answer and the
//! journal's record of it always find each other; what was never answered is told from every answer.

use std::io::{BufRead, Write};

use anyhow::Context;
use shared::command::{MessageClass, MessageKey};
use shared::effect::ApprovalCode;
use shared::ids::LinkId;

use crate::digits;

/// STANs of one connection and second of DE7.
pub const STANS: u64 = 1_000_000;
/// The first digit of every acquirer number (DE32) that is ours.
const ACQUIRER_MARK: u64 = 9;
const CONNECTIONS_MAX: u64 = 10_000;
const RUNS: u64 = 1_000_000;
/// First line of a file of answers.
const HEADER: &str = "link\tstan\tsent_at\tacquirer\tde39\tde38";

/// DE39 and DE38 of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// DE39: two letters or digits.
    pub code: [u8; 2],
    /// DE38, where it is there.
    pub approval: Option<ApprovalCode>,
}

/// An answer in four bytes; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed(u32);

const APPROVAL_BITS: u32 = 20;
const HAS_APPROVAL: u32 = 1 << APPROVAL_BITS;

impl Packed {
    /// `None` where a code is not of letters and digits, or an approval not of six digits.
    #[must_use]
    pub fn pack(answer: Answer) -> Option<Self> {
        let [first, second] = answer.code;
        let code = base36(first)? * 36 + base36(second)? + 1;
        let approval = match answer.approval {
            Some(ApprovalCode(number)) if number < 1_000_000 => HAS_APPROVAL | number,
            Some(_) => return None,
            None => 0,
        };
        Some(Self(code << (APPROVAL_BITS + 1) | approval))
    }

    /// The answer; `None` where there is none.
    #[must_use]
    pub fn unpack(self) -> Option<Answer> {
        let code = (self.0 >> (APPROVAL_BITS + 1)).checked_sub(1)?;
        let approval =
            (self.0 & HAS_APPROVAL != 0).then_some(ApprovalCode(self.0 & (HAS_APPROVAL - 1)));
        Some(Answer { code: [letter(code / 36), letter(code % 36)], approval })
    }
}

fn base36(letter: u8) -> Option<u32> {
    char::from(letter).to_digit(36).filter(|_digit| !letter.is_ascii_lowercase())
}

fn letter(value: u32) -> u8 {
    char::from_digit(value % 36, 36)
        .and_then(|letter| u8::try_from(letter.to_ascii_uppercase()).ok())
        .unwrap_or(b'?')
}

/// What makes the keys of one run: its acquirer numbers, and DE7 of its first second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The link's id in the switch.
    pub link: LinkId,
    /// Tells this run from others, below a million.
    pub run: u64,
    /// When it began, seconds since 1970.
    pub began: i64,
}

impl Keys {
    /// Those of a run that begins now.
    #[must_use]
    pub fn now(link: LinkId) -> Self {
        let began = time::OffsetDateTime::now_utc().unix_timestamp();
        Self { link, run: began.unsigned_abs() % RUNS, began }
    }

    /// DE32 of a connection.
    #[must_use]
    pub fn acquirer(&self, connection: usize) -> u64 {
        let connection = u64::try_from(connection).unwrap_or_default() % CONNECTIONS_MAX;
        (ACQUIRER_MARK * RUNS + self.run) * CONNECTIONS_MAX + connection
    }

    /// DE7 of message `number`: a second further each time that the STANs are used up.
    #[must_use]
    pub fn sent_at(&self, number: u64) -> [u8; 10] {
        let seconds = i64::try_from(number / STANS).unwrap_or_default();
        transmission_time(self.began + seconds)
    }

    /// Connection and number of the message under this key, if it is of this run.
    #[must_use]
    pub fn place(&self, key: &MessageKey) -> Option<(usize, u64)> {
        if key.link != self.link
            || key.class != MessageClass::Authorization
            || key.forwarder != 0
            || key.acquirer / CONNECTIONS_MAX != ACQUIRER_MARK * RUNS + self.run
        {
            return None;
        }
        let connection = usize::try_from(key.acquirer % CONNECTIONS_MAX).ok()?;
        let later = (0..SECONDS_MAX).find(|later| {
            digits::number(&transmission_time(self.began + later)) == Some(key.sent_at)
        })?;
        Some((connection, u64::try_from(later).ok()? * STANS + u64::from(key.stan)))
    }
}

/// Seconds of DE7 that one connection can use up: STANs for hours at any rate.
const SECONDS_MAX: i64 = 3_600;

/// `MMDDhhmmss` in UTC.
#[must_use]
pub fn transmission_time(unix_seconds: i64) -> [u8; 10] {
    let at = time::OffsetDateTime::from_unix_timestamp(unix_seconds)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let parts = [u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second()];
    let mut text = [b'0'; 10];
    for (pair, part) in text.as_chunks_mut::<2>().0.iter_mut().zip(parts) {
        digits::put(pair, u64::from(part));
    }
    text
}

/// The answers of one run.
#[derive(Debug)]
pub struct Answers {
    /// Makes their keys.
    pub keys: Keys,
    /// By connection, then by number of the message.
    pub connections: Vec<Vec<Packed>>,
}

impl Answers {
    /// How many were received.
    #[must_use]
    pub fn received(&self) -> u64 {
        let received = |packed: &&Packed| packed.0 != 0;
        let all = self.connections.iter().flatten().filter(received).count();
        u64::try_from(all).unwrap_or_default()
    }

    /// One line an answer: its key, DE39, DE38.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{HEADER}")?;
        for (connection, packed) in self.connections.iter().enumerate() {
            let acquirer = self.keys.acquirer(connection);
            for (number, packed) in (0_u64..).zip(packed) {
                let Some(answer) = packed.unpack() else { continue };
                let (stan, sent_at) = (number % STANS, self.keys.sent_at(number));
                let sent_at = String::from_utf8_lossy(&sent_at);
                let code = String::from_utf8_lossy(&answer.code);
                write!(out, "{}\t{stan:06}\t{sent_at}\t{acquirer}\t{code}\t", self.keys.link)?;
                match answer.approval {
                    Some(ApprovalCode(approval)) => writeln!(out, "{approval:06}")?,
                    None => writeln!(out, "-")?,
                }
            }
        }
        out.flush()
    }
}

/// Reads what [`Answers::write`] wrote.
pub fn read(from: impl BufRead) -> anyhow::Result<Vec<(MessageKey, Answer)>> {
    let mut lines = from.lines();
    anyhow::ensure!(lines.next().transpose()?.as_deref() == Some(HEADER), "not a file of answers");
    let mut answers = Vec::new();
    for (line, place) in lines.zip(2_usize..) {
        let line = line?;
        answers.push(read_line(&line).with_context(|| format!("line {place}: {line:?}"))?);
    }
    Ok(answers)
}

fn read_line(line: &str) -> Option<(MessageKey, Answer)> {
    let mut parts = line.split('\t');
    let mut number = || digits::number(parts.next()?.as_bytes());
    let key = MessageKey {
        link: LinkId(u16::try_from(number()?).ok()?),
        class: MessageClass::Authorization,
        stan: u32::try_from(number()?).ok()?,
        sent_at: number()?,
        acquirer: number()?,
        forwarder: 0,
    };
    let code = parts.next()?.as_bytes().first_chunk().copied()?;
    let approval = match parts.next()? {
        "-" => None,
        digits => Some(ApprovalCode(digits.parse().ok()?)),
    };
    parts.next().is_none().then_some((key, Answer { code, approval }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys { link: LinkId(1), run: 123_456, began: 1_767_225_599 };

    fn key(connection: usize, number: u64) -> MessageKey {
        MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan: u32::try_from(number % STANS).unwrap(),
            sent_at: digits::number(&KEYS.sent_at(number)).unwrap(),
            acquirer: KEYS.acquirer(connection),
            forwarder: 0,
        }
    }

    #[test]
    fn an_answer_is_packed_and_unpacked() {
        for (code, approval) in [(b"00", Some(0)), (b"51", None), (b"ZZ", Some(999_999))] {
            let answer = Answer { code: *code, approval: approval.map(ApprovalCode) };
            assert_eq!(Packed::pack(answer).unwrap().unpack(), Some(answer));
        }
        assert_eq!(Packed::default().unpack(), None);
        assert_eq!(Packed::pack(Answer { code: *b"0 ", approval: None }), None);
        assert_eq!(Packed::pack(Answer { code: *b"0a", approval: None }), None);
        let wide = Answer { code: *b"00", approval: Some(ApprovalCode(1_000_000)) };
        assert_eq!(Packed::pack(wide), None);
    }

    #[test]
    fn key_and_place_give_each_other() {
        for (connection, number) in [(0, 0), (3, 999_999), (17, 2_000_001)] {
            assert_eq!(KEYS.place(&key(connection, number)), Some((connection, number)));
        }
        assert_eq!(KEYS.place(&MessageKey { acquirer: 990_001, ..key(0, 0) }), None);
        assert_eq!(&KEYS.sent_at(0), b"1231235959");
        assert_eq!(&KEYS.sent_at(STANS), b"0101000000");
    }

    #[test]
    fn a_file_of_answers_reads_back() {
        let declined = Answer { code: *b"51", approval: None };
        let approved = Answer { code: *b"00", approval: Some(ApprovalCode(42)) };
        let packed = |answer| Packed::pack(answer).unwrap();
        let connections = vec![
            vec![packed(approved), Packed::default()],
            vec![Packed::default(), packed(declined)],
        ];
        let mut text = Vec::new();
        let answers = Answers { keys: KEYS, connections };
        answers.write(&mut text).unwrap();
        assert_eq!(answers.received(), 2);
        assert_eq!(read(&*text).unwrap(), [(key(0, 0), approved), (key(1, 1), declined)]);
        assert!(read(&b"hello\n"[..]).is_err());
    }
}
