//! `switch explain`: why a message was answered as it was, recomputed from the journal.
//!
//! Invariant: nothing is kept on the path for it. The journal is replayed to the command before,
//! the same code decides again with somebody looking, and the result is compared with the record.
//! Source: authorization 7.

use std::path::Path;

use shared::action_code::{Reason, ResponseCodes};
use shared::authorization::row_name;
use shared::balance::Funds;
use shared::command::{Authorization, Command, MessageKey, References};
use shared::control::Query;
use shared::effect::Decision;
use shared::ids::Sequence;
use shared::iso8583::mti::Version;
use shared::journal_record::{Answer, Record};
use shared::ledger::{Ledger, Retold, Sight, Touched};
use shared::limits;

use crate::recovery::{self, RecoveryError};

/// Transactions that a search by RRN lists at most.
const FOUND_MAX: usize = 1_000;

/// One decided command.
pub struct Explained {
    /// What was recorded.
    pub record: Record,
    /// How it came about.
    pub retold: Retold,
}

/// The transactions whose message carried this RRN.
///
/// # Errors
/// The journal cannot be read.
pub fn find(journal: &Path, rrn: &str) -> Result<Vec<Sequence>, RecoveryError> {
    let mut found = Vec::new();
    recovery::read(journal, |record| {
        let carries = references_of(&record.command)
            .is_some_and(|references| text(&references.rrn) == rrn.trim());
        if carries && found.len() < FOUND_MAX {
            found.push(record.sequence);
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Explains the command at `sequence`; `None` where the journal ends before it.
///
/// # Errors
/// The journal cannot be read, or does not fit together.
pub fn explain(journal: &Path, sequence: Sequence) -> Result<Option<Explained>, RecoveryError> {
    let mut ledger = Ledger::new(limits::PRODUCTION);
    let mut explained = None;
    recovery::read(journal, |record| {
        if record.sequence < sequence {
            return ledger.replay(&record).map(|()| true).map_err(|error| error.to_string());
        }
        if record.sequence != sequence {
            return Ok(false);
        }
        let retold = ledger.retell(&record).map_err(|error| error.to_string())?;
        explained = Some(Explained { record, retold });
        Ok(false)
    })?;
    Ok(explained)
}

impl Explained {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { record, retold } = self;
        let mut lines = vec![format!("transaction {}, {}", record.sequence, time(record))];
        for (what, value) in command_lines(&record.command) {
            lines.push(format!("  {what:<12} {value}"));
        }
        lines.push("checks".to_owned());
        for sight in &retold.sights {
            lines.push(match sight {
                Sight::Check { row, passed, reason, inputs } => {
                    let verdict = if *passed { "passed".to_owned() } else { format!("{reason:?}") };
                    format!("  {row:>2}  {:<44} {verdict:<28} {inputs}", row_name(*row))
                }
                Sight::Found(what) => format!("   -  {what}"),
            });
        }
        lines.push(format!("answer        {}", answer_text(&record.answer)));
        lines.push(match retold.as_recorded {
            true => "decided again: as recorded".to_owned(),
            false => format!("decided again: OTHERWISE, {}", answer_text(&retold.answer)),
        });
        for Touched { account, before, after } in &retold.accounts {
            lines.push(format!(
                "{}: available {} -> {}, held {} -> {}, booked {} -> {}",
                name(*account),
                before.available(),
                after.available(),
                before.held,
                after.held,
                before.ledger,
                after.ledger
            ));
        }
        lines.extend(record.effects.iter().map(|effect| format!("  {effect:?}")));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let checks = self.retold.sights.iter().map(|sight| match sight {
            Sight::Check { row, passed, reason, inputs } => serde_json::json!({
                "row": row, "check": row_name(*row), "passed": passed,
                "reason": if *passed { None } else { Some(reason.description()) },
                "inputs": inputs,
            }),
            Sight::Found(what) => serde_json::json!({ "found": what }),
        });
        let accounts = self.retold.accounts.iter().map(|touched| {
            let side = |funds: Funds| {
                serde_json::json!({
                    "amount": funds.ledger.0, "held": funds.held.0, "available": funds.available().0
                })
            };
            serde_json::json!({
                "account": name(touched.account),
                "before": side(touched.before),
                "after": side(touched.after)
            })
        });
        let command: serde_json::Map<_, _> = command_lines(&self.record.command)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), serde_json::Value::String(value)))
            .collect();
        serde_json::json!({
            "transaction": self.record.sequence.0,
            "time": time(&self.record),
            "message": command,
            "checks": checks.collect::<Vec<_>>(),
            "answer": answer_json(&self.record.answer),
            "asRecorded": self.retold.as_recorded,
            "accounts": accounts.collect::<Vec<_>>(),
            "effects": self.record.effects.iter().map(|e| format!("{e:?}")).collect::<Vec<_>>(),
        })
    }
}

fn name(query: Query) -> String {
    match query {
        Query::Balance(id) => format!("balance {id}"),
        Query::PartnerBalance(id) => format!("partner balance {id}"),
        Query::Card(id) => format!("card {id}"),
        Query::Rules(_)
        | Query::Exceptions { .. }
        | Query::Status
        | Query::Clock
        | Query::Totals
        | Query::Retold(_) => String::new(),
    }
}

fn time(record: &Record) -> String {
    let millis = i64::try_from(record.at.0).unwrap_or_default();
    chrono::DateTime::from_timestamp_millis(millis).map_or(String::new(), |at| at.to_string())
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default().trim()
}

fn references_of(command: &Command) -> Option<&References> {
    match command {
        Command::Authorize(request) => Some(&request.references),
        Command::Advise(advice) => Some(&advice.message.references),
        Command::Reverse(reversal) => Some(&reversal.references),
        Command::LockOutside(_)
        | Command::Void(..)
        | Command::Expire
        | Command::Manage(..)
        | Command::Answered(..) => None,
    }
}

/// A command as name and value, one a line.
fn command_lines(command: &Command) -> Vec<(&'static str, String)> {
    match command {
        Command::Authorize(request) => message_lines("request", request),
        Command::Advise(advice) => {
            let mut lines = message_lines("advice", &advice.message);
            lines.push(("advised", format!("{:?}", advice.advised)));
            lines.push(("last", (!advice.more_to_come).to_string()));
            lines
        }
        Command::Reverse(reversal) => {
            let mut lines = vec![("reversal", format!("{:?}", reversal.kind))];
            lines.push(("key", key(&reversal.key)));
            lines.push(("original", key(&reversal.original)));
            lines.push(("rrn", text(&reversal.references.rrn).to_owned()));
            let amounts = [
                ("amount", reversal.transaction),
                ("new total", reversal.new_total),
                ("new billing", reversal.new_billing),
            ];
            let stated = amounts.into_iter().filter_map(|(name, value)| Some((name, value?)));
            lines.extend(stated.map(|(name, value)| (name, value.to_string())));
            lines
        }
        Command::LockOutside(asked) => {
            let lock = asked.lock.map_or("lifted".to_owned(), |lock| lock.number().to_string());
            vec![("lock", lock), ("key", key(&asked.key))]
        }
        Command::Void(voided, id) => {
            vec![("void", format!("the answer of {id} never left")), ("key", key(voided))]
        }
        Command::Expire => vec![("expire", "holds past their lifetime".to_owned())],
        Command::Answered(asked, id, answer) => vec![
            ("answered", format!("the partner, to the question of {id}: {answer:?}")),
            ("key", key(asked)),
        ],
        Command::Manage(id, change) => {
            vec![("change", format!("{change:?}")), ("command", id.to_string())]
        }
    }
}

fn message_lines(kind: &'static str, message: &Authorization) -> Vec<(&'static str, String)> {
    let (made, references) = (&message.acceptance, &message.references);
    let mut lines = vec![
        (kind, format!("processing code {:06}", message.processing_code)),
        ("key", key(&message.key)),
        ("amount", message.transaction.to_string()),
    ];
    lines.extend(message.billing.map(|billing| ("billed", billing.to_string())));
    lines.extend(message.original.map(|original| ("original", key(&original))));
    lines.push(("rrn", text(&references.rrn).to_owned()));
    lines.push(("terminal", text(&references.terminal).to_owned()));
    lines.push(("merchant", format!("{}, category {:04}", text(&made.merchant), made.mcc)));
    lines.push((
        "made",
        format!("{:?}, {:?}, country {:03}", made.channel, made.entry, made.country),
    ));
    let signs = [
        ("repeat", message.repeat),
        ("incremental", message.incremental),
        ("partial allowed", message.partial_allowed),
        ("verification", message.verification),
    ];
    let signs: Vec<_> = signs.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    if !signs.is_empty() {
        lines.push(("marked", signs.join(", ")));
    }
    lines
}

fn key(key: &MessageKey) -> String {
    format!(
        "link {}, {:?}, STAN {:06}, made {}, acquirer {}, forwarder {}",
        key.link, key.class, key.stan, key.sent_at, key.acquirer, key.forwarder
    )
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Decision(decision) => decision_text(decision),
        Answer::Outcome(outcome) => match outcome.result {
            Ok(()) => "done".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        },
        Answer::Noted => "noted".to_owned(),
        Answer::Asked(id) => format!("told when the partner has answered the question of {id}"),
    }
}

fn decision_text(decision: &Decision) -> String {
    let reason = decision.reason;
    let wire = |edition| wire(reason, edition);
    format!(
        "{} {} (DE39 {} / {} / {}), {:?}",
        reason.description(),
        reason.action_code(),
        wire(Version::V1987),
        wire(Version::V1993),
        wire(Version::V2003),
        decision.detail
    )
}

fn wire(reason: Reason, edition: Version) -> String {
    String::from_utf8_lossy(ResponseCodes::of(edition).code(reason).as_bytes()).into_owned()
}

fn answer_json(answer: &Answer) -> serde_json::Value {
    match answer {
        Answer::Decision(decision) => serde_json::json!({
            "description": decision.reason.description(),
            "actionCode": decision.reason.action_code().to_string(),
            "approvalCode": decision.approval.map(|code| text(&code.wire()).to_owned()),
            "detail": format!("{:?}", decision.detail),
        }),
        Answer::Outcome(_) | Answer::Noted | Answer::Asked(_) => {
            serde_json::json!({ "outcome": answer_text(answer) })
        }
    }
}
