//! The core as oracle: every record of a journal is decided again, and every answer that was
//! received is held against the one recorded under its key.
//!
//! Invariants: an answer that was received stands in the journal exactly once, with the same DE39
//! and DE38; an approval that was received is never voided. What was not received may be there.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use shared::action_code::ResponseCodes;
use shared::command::{Command, MessageKey};
use shared::effect::Decision;
use shared::journal_record::{self, Record};
use shared::ledger::Ledger;
use shared::limits;
use switch::journal::mark::MarkFile;
use switch::journal::scan::scan;

use crate::answers::{Answer, Answers, Code};
use crate::connection::Mismatches;

/// Where received answers are found by key.
pub trait Received {
    /// Notes that the journal has a record under this key: the answer received, if any, and
    /// whether the record is its first.
    fn recorded(&mut self, key: &MessageKey) -> Option<(Answer, bool)>;
    /// The answer received under this key, if any.
    fn answer(&self, key: &MessageKey) -> Option<Answer>;
    /// Answers received without a record in the journal.
    fn missing(&self) -> u64;
}

/// A journal that was decided again.
#[derive(Debug)]
pub struct Checked {
    /// The state behind its last record.
    pub ledger: Ledger,
    /// How many records.
    pub records: u64,
    /// What does not agree.
    pub mismatches: Mismatches,
}

/// Decides every record of the journal again and compares the answers.
pub fn check(
    journal: &Path,
    codes: &ResponseCodes,
    received: &mut dyn Received,
) -> anyhow::Result<Checked> {
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let mut mismatches = Mismatches::default();
    let mark = MarkFile::read(journal).with_context(|| format!("{}", journal.display()))?;
    let found = scan(journal, mark, &mut |frame| {
        let record = Record::decode(frame.payload).map_err(|error| error.to_string())?;
        ledger.verify(&record).map_err(|error| error.to_string())?;
        compare(&record, codes, received, &mut mismatches);
        Ok(())
    })?;
    ledger.audit()?;
    let missing = received.missing();
    if missing > 0 {
        mismatches.add(|| format!("{missing} answers were received and are not in the journal"));
        mismatches.count += missing - 1;
    }
    Ok(Checked { ledger, records: found.last.0, mismatches })
}

fn compare(
    record: &Record,
    codes: &ResponseCodes,
    received: &mut dyn Received,
    mismatches: &mut Mismatches,
) {
    match (&record.command, record.answer) {
        (Command::Authorize(request), journal_record::Answer::Decision(decision)) => {
            let Some((answer, first)) = received.recorded(&request.key) else { return };
            let expected = answer_of(decision, codes);
            if !first || Some(answer) != expected {
                mismatches.add(|| {
                    let what = if first { "differs" } else { "stands there again" };
                    format!("record {}: {expected:?} {what}, received {answer:?}", record.sequence)
                });
            }
        }
        (Command::Void(key, voided), _) => {
            if let Some(answer) = received.answer(key).filter(|answer| answer.approval.is_some()) {
                mismatches.add(|| {
                    format!("record {}: voids {voided}, received {answer:?}", record.sequence)
                });
            }
        }
        (
            Command::Authorize(_)
            | Command::Advise(_)
            | Command::Reverse(_)
            | Command::LockOutside(_)
            | Command::Expire
            | Command::Manage(_, _)
            | Command::Answered(..),
            _,
        ) => {}
    }
}

/// What a decision looks like on the wire; `None` where the table has no code for it.
#[must_use]
pub fn answer_of(decision: Decision, codes: &ResponseCodes) -> Option<Answer> {
    let code = Code::of(codes.code(decision.reason).as_bytes())?;
    Some(Answer { code, approval: decision.approval })
}

/// The answers of a run, and which of them the journal has.
pub struct OfRun<'a> {
    answers: &'a Answers,
    seen: Vec<Vec<bool>>,
}

impl<'a> OfRun<'a> {
    /// None seen yet.
    #[must_use]
    pub fn new(answers: &'a Answers) -> Self {
        let seen = answers.connections.iter().map(|answers| vec![false; answers.len()]).collect();
        Self { answers, seen }
    }
}

impl Received for OfRun<'_> {
    fn recorded(&mut self, key: &MessageKey) -> Option<(Answer, bool)> {
        let (connection, number) = self.answers.keys.place(key)?;
        let number = usize::try_from(number).ok()?;
        let answer = self.answers.connections.get(connection)?.get(number)?.unpack()?;
        let seen = self.seen.get_mut(connection)?.get_mut(number)?;
        Some((answer, !std::mem::replace(seen, true)))
    }

    fn answer(&self, key: &MessageKey) -> Option<Answer> {
        let (connection, number) = self.answers.keys.place(key)?;
        let number = usize::try_from(number).ok()?;
        self.answers.connections.get(connection)?.get(number)?.unpack()
    }

    fn missing(&self) -> u64 {
        let seen = self.seen.iter().flatten().filter(|seen| **seen).count();
        self.answers.received().saturating_sub(u64::try_from(seen).unwrap_or_default())
    }
}

/// The answers of a file, and which of them the journal has.
pub struct OfFile {
    answers: HashMap<MessageKey, (Answer, bool)>,
    twice: u64,
}

impl OfFile {
    /// None seen yet.
    #[must_use]
    pub fn new(answers: Vec<(MessageKey, Answer)>) -> Self {
        let lines = answers.len();
        let answers: HashMap<_, _> =
            answers.into_iter().map(|(key, answer)| (key, (answer, false))).collect();
        let twice = u64::try_from(lines - answers.len()).unwrap_or_default();
        Self { answers, twice }
    }

    /// How many answers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

impl Received for OfFile {
    fn recorded(&mut self, key: &MessageKey) -> Option<(Answer, bool)> {
        let (answer, seen) = self.answers.get_mut(key)?;
        Some((*answer, !std::mem::replace(seen, true)))
    }

    fn answer(&self, key: &MessageKey) -> Option<Answer> {
        self.answers.get(key).map(|(answer, _)| *answer)
    }

    /// A key that stands twice in the file was answered twice, and the journal has it once.
    fn missing(&self) -> u64 {
        let missing = self.answers.values().filter(|(_, seen)| !seen).count();
        u64::try_from(missing).unwrap_or_default() + self.twice
    }
}

/// Nothing was received: the journal alone is checked.
pub struct Nothing;

impl Received for Nothing {
    fn recorded(&mut self, _key: &MessageKey) -> Option<(Answer, bool)> {
        None
    }

    fn answer(&self, _key: &MessageKey) -> Option<Answer> {
        None
    }

    fn missing(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Keys, Packed};
    use shared::action_code::Reason;
    use shared::command::{Acceptance, Authorization, Credentials, MessageClass, References};
    use shared::effect::{ApprovalCode, Detail};
    use shared::ids::{LinkId, Sequence, Timestamp};
    use shared::iso8583::mti::Version;
    use shared::money::{Amount, Currency, Money};
    use shared::pan::PanToken;

    const KEYS: Keys =
        Keys { link: LinkId(1), edition: Version::V1987, run: 5, began: 1_767_225_600 };

    fn key(stan: u64) -> MessageKey {
        MessageKey {
            link: LinkId(1),
            class: MessageClass::Authorization,
            stan,
            sent_at: KEYS.sent_at(0).of_key(Version::V1987),
            acquirer: KEYS.acquirer(0),
            forwarder: 0,
        }
    }

    fn record(stan: u64, reason: Reason, approval: Option<ApprovalCode>) -> Record {
        let command = Command::Authorize(Authorization {
            key: key(stan),
            repeat: false,
            token: PanToken([0; 16]),
            processing_code: 0,
            transaction: Money::new(1, Currency(978)),
            billing: None,
            cash_back: Amount::ZERO,
            expiry: None,
            verification: false,
            incremental: false,
            partial_allowed: false,
            credentials: Credentials::default(),
            original: None,
            references: References::default(),
            acceptance: Acceptance::default(),
        });
        let answer =
            journal_record::Answer::Decision(Decision { reason, approval, detail: Detail::None });
        Record { sequence: Sequence(1), at: Timestamp(0), command, effects: Vec::new(), answer }
    }

    /// Mismatches of these records where message 0 was received approved with code 7.
    fn mismatches(records: &[Record]) -> u64 {
        let answer = Answer { code: Code::of(b"00").unwrap(), approval: Some(ApprovalCode(7)) };
        let packed = Packed::pack(answer).unwrap();
        let answers = Answers { keys: KEYS, connections: vec![vec![packed, Packed::default()]] };
        let codes = ResponseCodes::of(Version::V1987);
        let check = |received: &mut dyn Received| {
            let mut found = Mismatches::default();
            for record in records {
                compare(record, &codes, received, &mut found);
            }
            found.count + received.missing()
        };
        let of_run = check(&mut OfRun::new(&answers));
        assert_eq!(of_run, check(&mut OfFile::new(vec![(key(0), answer)])));
        of_run
    }

    #[test]
    fn an_answer_must_stand_in_the_journal_once_and_equal() {
        let approved = |stan, code| record(stan, Reason::Approved, Some(ApprovalCode(code)));
        let voided = Record {
            command: Command::Void(key(0), Sequence(1)),
            answer: journal_record::Answer::Noted,
            ..approved(0, 7)
        };
        assert_eq!(mismatches(&[approved(0, 7)]), 0);
        assert_eq!(
            mismatches(&[approved(0, 7), approved(1, 8)]),
            0,
            "unanswered ones may be there"
        );
        assert_eq!(mismatches(&[]), 1, "it is missing");
        assert_eq!(mismatches(&[approved(0, 8)]), 1, "another code");
        assert_eq!(mismatches(&[record(0, Reason::InsufficientFunds, None)]), 1, "declined");
        assert_eq!(mismatches(&[approved(0, 7), approved(0, 7)]), 1, "twice");
        assert_eq!(mismatches(&[approved(0, 7), voided]), 1, "voided");
    }
}
