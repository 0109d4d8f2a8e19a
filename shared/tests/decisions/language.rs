//! The line language of the decision tables: one line a message or a change, its outcome last.
//!
//! Invariant: whatever a table is about, after each of its lines all sums agree, explaining said
//! what then happened, a second ledger fed with the journaled bytes alone decides the same and is
//! in the same state, and a decline, a repeat or a refusal has moved nothing.
//!
//! | line | means |
//! |---|---|
//! | `auth stan=1 card=1 amount=500` | 0100; a word more for everything else that it carries, `messages.rs` lists them |
//! | `sale ..`, `advice ..`, `clear ..` | 0200; 0120, 0220, which may be `declined`, `unknown`, `more` |
//! | `reverse stan=9 of=1 [ofclass=sale advice base= total= ..]`, `nack stan=1 of=1` | 0400 (0420 where `advice`), 0190 or 0290 |
//! | `lock-outside stan=1 card=1 code=7`, `.. lift` | 0300 |
//! | `answered stan=1 agreed [class= by=]`, `.. has=500`, `.. no=funds`, `.. not-asked`, `.. in-doubt` | what became of the question to the partner |
//! | `custody 10 answer=2000 [stand-in]`, `entrust A` | changes: the money is with the partner |
//! | `void stan=1 [class= by=]`, `expire` | the answer to that request never left; time has passed |
//! | `partner 1`, `customer 1 [unverified] [aml]`, `balance A customer=1 cur=EUR`, `close A` | changes |
//! | `program 10 partner=1 cur=EUR collateral=deposit [partial instant= pin-tries= cash-hours= ..]` | a change |
//! | `deposit D partner=1 cur=EUR`, `credit C ..`, `technical T ..` | changes |
//! | `card 1 program=10 balance=A expiry=2612 [state= token=]`, `state 1 Linked` | changes |
//! | `lock 1 code=2`, `unlock 1`, `pin 1`, `renew 1 expiry=2712`, `cvv2 1 generation=2` | changes |
//! | `rule 1 card=1 amount=day:EUR:500 [zone= channels= ..]`, `unrule 1`, `resolve 1` (the first of the queue) | changes |
//! | `top-up A 500 EUR`, `credit-transfer A ..`, `reload D ..`, `withdraw A ..`, `transfer A 500 EUR to=B` | changes; `id=7` names a command |
//! | `fee 1 program=10 fixed=50 rate=25000 [partner converted channels= ..]`, `unfee 1 program=10` | changes; the rate in parts of a million |
//! | `charge A 50 EUR fee=9 [partner]`, `transfer A 500 EUR to=B charge=9:30:EUR [partner]` | changes |
//! | `clock 2026-12-15T00:00:00Z`, `wait 90m`, `wait 7d` | the time of what follows |
//! | `show A D` | `A available/held/ledger ..` |
//! | `owed A` | what is owed for fees |
//! | `book EUR` | the sums that are not zero |
//! | `life 1 [class=sale]` | a transaction: state, authorised/captured/released/returned, flag |
//! | `look 1` | a card: state, lock and its source, wrong PINs, month, generation |
//! | `rules card=1` | spent/count of each rule |
//! | `exceptions` | the queue: kind:amount |
//! | `explain auth ..` | the rows that were looked at; nothing happens |
//!
//! An answer reads `DESCRIPTION action-code DE39` (1987, 1993, 2003), then what it carries besides,
//! then `again` where its DE38 was given before; a change reads `done` or its refusal, and `again`
//! where it is the outcome of an earlier command. A line without an arrow is `done`.

mod line;
mod management;
mod messages;
mod shadow;

use std::collections::{BTreeMap, BTreeSet};

use shared::action_code::ResponseCodes;
use shared::command::{Change, Command};
use shared::control::{Query, View};
use shared::effect::{ApprovalCode, Decision, Detail, Effect};
use shared::ids::{BalanceId, CardId, CommandId, PartnerBalanceId, Sequence, Timestamp};
use shared::iso8583::mti::Version;
use shared::journal_record::{Answer, Record, RecordRef};
use shared::ledger::{Explanation, Ledger, Sight};
use shared::limits::Limits;
use shared::money::Amount;

use line::{Line, currency, id_of};
use messages::{class_of, key_of};
use shadow::Shadow;

/// The middle of December 2026.
const START: u64 = 1_797_292_800_000;

/// Runs `world`, then `table`, and compares every line with what happens.
pub(crate) fn check(limits: Limits, world: &str, table: &str) {
    let mut desk = Desk::new(limits);
    let mut differing = Vec::new();
    for text in world.lines().chain(table.lines()) {
        let text = text.split('#').next().unwrap_or_default();
        if text.trim().is_empty() {
            continue;
        }
        let line = Line::parse(text);
        let outcome = desk.run(&line);
        let expected = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = match text.contains("->") || outcome != "done" {
            true => format!("{} -> {outcome}", line.left),
            false => line.left,
        };
        if expected != found {
            differing.push(format!("expected  {expected}\nfound     {found}"));
        }
    }
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
}

/// Two ledgers: one decides, the other replays what was journaled.
struct Desk {
    ledger: Ledger,
    mirror: Ledger,
    shadow: Shadow,
    codes: [ResponseCodes; 3],
    now: u64,
    next_command: u128,
    decided_at: BTreeMap<String, Sequence>,
    approvals: BTreeSet<ApprovalCode>,
}

impl Desk {
    fn new(limits: Limits) -> Self {
        let editions = [Version::V1987, Version::V1993, Version::V2003];
        Self {
            ledger: Ledger::new(limits),
            mirror: Ledger::new(limits),
            shadow: Shadow::default(),
            codes: editions.map(ResponseCodes::of),
            now: START,
            next_command: 1_000_000,
            decided_at: BTreeMap::new(),
            approvals: BTreeSet::new(),
        }
    }

    /// Carries a line out and says what became of it.
    fn run(&mut self, line: &Line) -> String {
        match line.verb.as_str() {
            "clock" => {
                let time = chrono::DateTime::parse_from_rfc3339(line.name(0)).unwrap();
                self.now = time.timestamp_millis().try_into().unwrap();
                "done".to_owned()
            }
            "wait" => {
                self.now += milliseconds(line.name(0));
                "done".to_owned()
            }
            "show" => {
                line.names().iter().map(|name| self.funds(name)).collect::<Vec<_>>().join(" ")
            }
            "owed" => {
                let view = self.ledger.view(Query::Balance(BalanceId(id_of(line.name(0)))));
                view.and_then(View::into_balance)
                    .map_or("none".to_owned(), |it| it.owed.to_string())
            }
            "book" => self.book(line.name(0)),
            "life" => {
                let named = Line::parse(&format!("life stan={} {}", line.name(0), line.left));
                let class = class_of(line.text("class", "auth"));
                self.shadow.tell(&key_of(&named, class, "stan", "link"))
            }
            "look" => self.card(line.named()),
            "rules" => self.rules(line),
            "exceptions" => self.exceptions(),
            "explain" => {
                let rest = line.left.trim_start_matches("explain ");
                let asked = self.command(&Line::parse(rest));
                rows_of(&self.ledger.explain(&asked, Timestamp(self.now)))
            }
            _ => {
                let command = self.command(line);
                self.apply(command, line)
            }
        }
    }

    fn command(&mut self, line: &Line) -> Command {
        match line.verb.as_str() {
            "auth" | "sale" => Command::Authorize(messages::authorization(line)),
            "advice" | "clear" => Command::Advise(messages::advice(line)),
            "reverse" | "nack" => Command::Reverse(messages::reversal(line)),
            "lock-outside" => Command::LockOutside(messages::lock_outside(line)),
            "void" => {
                let key = key_of(line, class_of(line.text("class", "auth")), "stan", "link");
                let by = line.maybe("by").map(Sequence);
                let by = by.or_else(|| self.decided_at.get(&format!("{key:?}")).copied());
                Command::Void(key, by.expect("nothing was decided for it"))
            }
            "expire" => Command::Expire,
            "answered" => {
                let key = key_of(line, class_of(line.text("class", "auth")), "stan", "link");
                let by = line.maybe("by").map(Sequence);
                let by = by.or_else(|| self.decided_at.get(&format!("{key:?}")).copied());
                let by = by.expect("nothing was asked for it");
                Command::Answered(key, by, messages::partner_answer(line))
            }
            _ => {
                self.next_command += 1;
                let id = CommandId(line.maybe("id").unwrap_or(self.next_command));
                let change = match line.verb.as_str() {
                    "resolve" => Change::ResolveException(self.queued(line.named())),
                    _ => management::change(line),
                };
                Command::Manage(id, change)
            }
        }
    }

    fn apply(&mut self, command: Command, line: &Line) -> String {
        let before = self.all_funds();
        let explained = self.ledger.explain(&command, Timestamp(self.now));
        let mut effects: Vec<Effect> = Vec::new();
        let (stamp, answer) = self.ledger.apply(&command, Timestamp(self.now), &mut effects);
        assert_eq!((explained.answer, &explained.effects), (answer, &effects), "{}", line.left);
        self.shadow.follow(&effects);
        let sequence = stamp.sequence;
        if let Command::Authorize(request) = &command {
            self.decided_at.entry(format!("{:?}", request.key)).or_insert(sequence);
        }
        let record = journaled(&Record { sequence, at: stamp.at, command, effects, answer });
        self.mirror.verify(&record).unwrap();
        assert_eq!(self.mirror.state_hash(), self.ledger.state_hash(), "{}", line.left);
        self.ledger.audit().unwrap();
        let (text, moves) = match answer {
            Answer::Decision(decision) => self.decision(decision),
            Answer::Outcome(outcome) => {
                let text = match outcome.result {
                    Ok(()) => "done".to_owned(),
                    Err(refusal) => format!("{refusal:?}"),
                };
                let again = if outcome.sequence == sequence { "" } else { " again" };
                (text + again, outcome.result.is_ok() && again.is_empty())
            }
            Answer::Noted => ("noted".to_owned(), true),
            Answer::Asked(id) => {
                let again = if id == sequence { "" } else { " again" };
                (format!("asked{again}"), again.is_empty())
            }
        };
        // What declines a question gives back what was held for it.
        let moves = moves || matches!(line.verb.as_str(), "answered");
        assert!(moves || before == self.all_funds(), "money moved: {}", line.left);
        text
    }

    /// An answer as the tables write it, and whether it may have moved money.
    fn decision(&mut self, decision: Decision) -> (String, bool) {
        let reason = decision.reason;
        assert_eq!(decision.approval.is_some(), reason.is_approval(), "DE38 goes with approvals");
        let codes = self
            .codes
            .each_ref()
            .map(|codes| String::from_utf8(codes.code(reason).as_bytes().to_vec()).unwrap());
        let detail = match decision.detail {
            Detail::None => String::new(),
            Detail::Partial { transaction, billed } => format!(" part={transaction}/{billed}"),
            Detail::Balances { ledger, available, currency } => {
                format!(" {available}/{ledger} {currency}")
            }
        };
        let again = decision.approval.is_some_and(|code| !self.approvals.insert(code));
        let text = format!(
            "{} {} {}{detail}{}",
            reason.description(),
            reason.action_code(),
            codes.join(" "),
            if again { " again" } else { "" }
        );
        (text, !again && matches!(reason.action_code().0, 0 | 2 | 4000))
    }

    fn all_funds(&self) -> Vec<(Amount, Amount)> {
        let users = self.ledger.balances().map(|(_, _, ledger, held)| (ledger, held));
        let partners = ('A'..='Z').filter_map(|name| {
            let id = PartnerBalanceId(id_of(&name.to_string()));
            match self.ledger.view(Query::PartnerBalance(id)) {
                Some(View::PartnerBalance(view)) => Some((view.ledger, view.held)),
                _ => None,
            }
        });
        users.chain(partners).collect()
    }

    fn funds(&self, name: &str) -> String {
        let user = self.ledger.view(Query::Balance(BalanceId(id_of(name))));
        let partner = || self.ledger.view(Query::PartnerBalance(PartnerBalanceId(id_of(name))));
        let (ledger, held) = match user.or_else(partner) {
            Some(View::Balance(view)) => (view.ledger.0, view.held.0),
            Some(View::PartnerBalance(view)) => (view.ledger.0, view.held.0),
            _ => return format!("{name} none"),
        };
        format!("{name} {}/{held}/{ledger}", ledger - held)
    }

    fn book(&self, code: &str) -> String {
        let book = self.ledger.book(currency(code)).unwrap_or_default();
        let sums = [
            ("users", book.users),
            ("funding", book.funding),
            ("settlement", book.settlement),
            ("receivable", book.receivable),
            ("partners", book.partners),
            ("users-cover", book.users_cover),
            ("partner-settlement", book.partner_settlement),
            ("bank", book.bank),
            ("fees", book.fees),
            ("invoiced", book.invoiced),
            ("partner-held", book.partner_held),
            ("iban-technical", book.iban_technical),
        ];
        let told = sums.iter().filter(|(_, sum)| *sum != 0);
        told.map(|(name, sum)| format!("{name}={sum}")).collect::<Vec<_>>().join(" ")
    }

    fn card(&self, id: u64) -> String {
        let Some(View::Card(card)) = self.ledger.view(Query::Card(CardId(id))) else {
            return "none".to_owned();
        };
        let lock = card.lock.map_or("no lock".to_owned(), |lock| {
            format!("lock {} by {:?}", lock.code.number(), lock.source)
        });
        let pin = if card.has_pin { "PIN" } else { "no PIN" };
        format!(
            "{:?}, {lock}, {pin}, {} wrong, to {}, CVC2 {}",
            card.state, card.pin_tries, card.expiry, card.cvv2_generation
        )
    }

    fn rules(&self, line: &Line) -> String {
        let query = Query::Rules(management::subject(line));
        // The counters as of the last command.
        let Some(View::Rules(rules)) = self.ledger.view(query) else { return "none".to_owned() };
        let told = rules.iter().map(|view| format!("{}/{}", view.spent, view.count));
        told.collect::<Vec<_>>().join(" ")
    }

    fn exceptions(&self) -> String {
        let Some(View::Exceptions(queue)) =
            self.ledger.view(Query::Exceptions { after: Sequence(0) })
        else {
            return "no queue".to_owned();
        };
        let told: Vec<_> =
            queue.iter().map(|entry| format!("{:?}:{}", entry.kind, entry.amount)).collect();
        if told.is_empty() { "none".to_owned() } else { told.join(" ") }
    }

    /// The message behind an entry of the queue, counted from 1.
    fn queued(&self, place: usize) -> Sequence {
        match self.ledger.view(Query::Exceptions { after: Sequence(0) }) {
            Some(View::Exceptions(queue)) => {
                queue.get(place - 1).map_or(Sequence(u64::MAX), |entry| entry.sequence)
            }
            _ => Sequence(u64::MAX),
        }
    }
}

/// The record as the journal would give it back.
fn journaled(record: &Record) -> Record {
    let Record { sequence, at, command, effects, answer } = record;
    let mut bytes = Vec::new();
    let borrowed = RecordRef { sequence: *sequence, at: *at, command, effects, answer: *answer };
    borrowed.encode(&mut bytes);
    let read = Record::decode(&bytes).unwrap();
    assert_eq!(&read, record);
    read
}

/// The rows that were looked at, each that failed marked with `!`.
fn rows_of(explained: &Explanation) -> String {
    let rows = explained.sights.iter().filter_map(|sight| match sight {
        Sight::Check { row, passed, inputs, .. } => {
            assert!(!inputs.is_empty(), "row {row} says what it looked at");
            Some(format!("{row}{}", if *passed { "" } else { "!" }))
        }
        Sight::Found(_) => None,
    });
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() { "none".to_owned() } else { rows.join(" ") }
}

/// `500ms`, `90m`, `5h`, `7d`.
fn milliseconds(text: &str) -> u64 {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let count: u64 = digits.parse().unwrap();
    count
        * match &text[digits.len()..] {
            "ms" => 1,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            other => panic!("no such unit: {other}"),
        }
}
