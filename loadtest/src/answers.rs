//! What was received, compactly: eight bytes an answer, by connection and number of the message.
//!
//! Invariant: the key of a message and its place here give each other, so that an answer and the
//! journal's record of it always find each other; what was never answered is told from every answer.

use std::io::{BufRead, Write};

use anyhow::Context;
use shared::command::{MessageClass, MessageKey};
use shared::effect::ApprovalCode;
use shared::ids::LinkId;
use shared::iso8583::mti::Version;

use crate::digits;
use crate::moment::Moment;

/// STANs of one connection and second.
pub const STANS: u64 = 1_000_000;
/// The first digit of every acquirer number (DE32) that is ours.
const ACQUIRER_MARK: u64 = 9;
const CONNECTIONS_MAX: u64 = 10_000;
const RUNS: u64 = 1_000_000;
/// First line of a file of answers.
const HEADER: &str = "link\tstan\tsent_at\tacquirer\tde39\tde38";

/// DE39: two to four letters or digits, by edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code([u8; CODE_CHARACTERS_MAX]);

const CODE_CHARACTERS_MAX: usize = 4;

impl Code {
    /// `None` where it is not of two to four letters and digits.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        let sound = (2..=CODE_CHARACTERS_MAX).contains(&text.len())
            && text.iter().all(u8::is_ascii_alphanumeric);
        let mut characters = [0; CODE_CHARACTERS_MAX];
        for (to, from) in characters.iter_mut().zip(text) {
            *to = *from;
        }
        sound.then_some(Self(characters))
    }

    /// As text.
    #[must_use]
    pub fn as_text(&self) -> &str {
        let length = self.0.iter().take_while(|character| **character != 0).count();
        self.0.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// DE39 and DE38 of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// DE39.
    pub code: Code,
    /// DE38, where it is there.
    pub approval: Option<ApprovalCode>,
}

/// An answer in eight bytes: DE39's characters in the high half, DE38 in the low one. The default
/// is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed(u64);

const APPROVAL_BITS: u64 = 32;
const HAS_APPROVAL: u64 = 1 << (APPROVAL_BITS - 1);

impl Packed {
    /// `None` where an approval has more than six digits.
    #[must_use]
    pub fn pack(answer: Answer) -> Option<Self> {
        let code = u64::from(u32::from_be_bytes(answer.code.0));
        let approval = match answer.approval {
            Some(ApprovalCode(number)) if number < 1_000_000 => HAS_APPROVAL | u64::from(number),
            Some(_) => return None,
            None => 0,
        };
        Some(Self(code << APPROVAL_BITS | approval))
    }

    /// The answer; `None` where there is none.
    #[must_use]
    pub fn unpack(self) -> Option<Answer> {
        let code = u32::try_from(self.0 >> APPROVAL_BITS).ok().filter(|code| *code != 0)?;
        let number = u32::try_from(self.0 & (HAS_APPROVAL - 1)).ok()?;
        let approval = (self.0 & HAS_APPROVAL != 0).then_some(ApprovalCode(number));
        Some(Answer { code: Code(code.to_be_bytes()), approval })
    }
}

/// What makes the keys of one run: its acquirer numbers, and its first second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The link's id in the switch.
    pub link: LinkId,
    /// The edition of the link's dialect.
    pub edition: Version,
    /// Tells this run from others, below a million.
    pub run: u64,
    /// When it began, seconds since 1970.
    pub began: i64,
}

impl Keys {
    /// Those of a run that begins now.
    #[must_use]
    pub fn now(link: LinkId, edition: Version) -> Self {
        let began = time::OffsetDateTime::now_utc().unix_timestamp();
        Self { link, edition, run: began.unsigned_abs() % RUNS, began }
    }

    /// DE32 of a connection.
    #[must_use]
    pub fn acquirer(&self, connection: usize) -> u64 {
        let connection = u64::try_from(connection).unwrap_or_default() % CONNECTIONS_MAX;
        (ACQUIRER_MARK * RUNS + self.run) * CONNECTIONS_MAX + connection
    }

    /// When message `number` says it was made: a second further each time that the STANs are used
    /// up.
    #[must_use]
    pub fn sent_at(&self, number: u64) -> Moment {
        let seconds = i64::try_from(number / STANS).unwrap_or_default();
        Moment::at(self.began + seconds)
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
        let second = |later: &i64| Moment::at(self.began + later).of_key(self.edition);
        let later = (0..SECONDS_MAX).find(|later| second(later) == key.sent_at)?;
        Some((connection, u64::try_from(later).ok()? * STANS + key.stan))
    }
}

/// Seconds that one connection can use up: STANs for hours at any rate.
const SECONDS_MAX: i64 = 3_600;

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
                let Keys { link, edition, .. } = self.keys;
                let (stan, code) = (number % STANS, answer.code.as_text());
                let sent_at = self.keys.sent_at(number).of_key(edition);
                write!(out, "{link}\t{stan:06}\t{sent_at:010}\t{acquirer}\t{code}\t")?;
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
        stan: number()?,
        sent_at: number()?,
        acquirer: number()?,
        forwarder: 0,
    };
    let code = Code::of(parts.next()?.as_bytes())?;
    let approval = match parts.next()? {
        "-" => None,
        digits => Some(ApprovalCode(digits.parse().ok()?)),
    };
    parts.next().is_none().then_some((key, Answer { code, approval }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys =
        Keys { link: LinkId(1), edition: Version::V1987, run: 123_456, began: 1_767_225_599 };

    fn key(keys: &Keys, connection: usize, number: u64) -> MessageKey {
        MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan: number % STANS,
            sent_at: keys.sent_at(number).of_key(keys.edition),
            acquirer: keys.acquirer(connection),
            forwarder: 0,
        }
    }

    fn answer(code: &[u8], approval: Option<u32>) -> Answer {
        Answer { code: Code::of(code).unwrap(), approval: approval.map(ApprovalCode) }
    }

    #[test]
    fn an_answer_is_packed_and_unpacked() {
        for (code, approval) in
            [(&b"00"[..], Some(0)), (b"51", None), (b"ZZ", Some(999_999)), (b"9100", None)]
        {
            let answer = answer(code, approval);
            assert_eq!(Packed::pack(answer).unwrap().unpack(), Some(answer));
            assert_eq!(answer.code.as_text().as_bytes(), code);
        }
        assert_eq!(Packed::default().unpack(), None);
        assert_eq!(Packed::pack(answer(b"00", Some(1_000_000))), None);
        for bad in [&b"0 "[..], b"0", b"", b"00000"] {
            assert_eq!(Code::of(bad), None);
        }
    }

    #[test]
    fn key_and_place_give_each_other_in_every_edition() {
        for edition in [Version::V1987, Version::V1993, Version::V2003] {
            let keys = Keys { edition, ..KEYS };
            for (connection, number) in [(0, 0), (3, 999_999), (17, 2_000_001)] {
                let key = key(&keys, connection, number);
                assert_eq!(keys.place(&key), Some((connection, number)));
            }
            let foreign = MessageKey { acquirer: 990_001, ..key(&keys, 0, 0) };
            assert_eq!(keys.place(&foreign), None);
        }
    }

    #[test]
    fn a_file_of_answers_reads_back() {
        let (declined, approved) = (answer(b"51", None), answer(b"00", Some(42)));
        let packed = |answer| Packed::pack(answer).unwrap();
        let connections = vec![
            vec![packed(approved), Packed::default()],
            vec![Packed::default(), packed(declined)],
        ];
        let mut text = Vec::new();
        let answers = Answers { keys: KEYS, connections };
        answers.write(&mut text).unwrap();
        assert_eq!(answers.received(), 2);
        let expected = [(key(&KEYS, 0, 0), approved), (key(&KEYS, 1, 1), declined)];
        assert_eq!(read(&*text).unwrap(), expected);
        assert!(read(&b"hello\n"[..]).is_err());
    }
}
