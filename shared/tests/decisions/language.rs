//! The line language of the decision tables: one line a message or a change, its outcome last.
//!
//! Invariant: whatever a table is about, after each of its lines all sums agree, a second ledger
//! fed with the journaled record alone is in the same state, and a decline or a refusal has moved
//! nothing.
//!
//! | line | means |
//! |---|---|
//! | `auth stan=1 card=1 amount=500 [cur= bill= billcur= type= expiry= link= merchant= verification]` | 0100 |
//! | `reverse stan=9 of=1 [advice base= total= link= oflink= ofclass=]` | 0400, or 0420 where `advice` |
//! | `void stan=1 [by=]` | the answer to that request never left |
//! | `partner 1`, `customer 1 [unverified] [aml]`, `balance A customer=1 cur=EUR`, `close A` | changes |
//! | `program 10 partner=1 cur=EUR collateral=deposit`, `deposit D partner=1 cur=EUR`, `credit C ..` | changes |
//! | `card 1 program=10 balance=A expiry=2612 [state= token=]`, `state 1 Linked` | changes |
//! | `lock 1 code=2`, `unlock 1`, `top-up A 500 EUR`, `reload D 500 EUR` | changes; `id=7` names a command |
//! | `clock 1798761600000` | the time of what follows |
//! | `show A D` | `A available/held/ledger ..` |
//!
//! An answer reads `DESCRIPTION action-code DE39`, and `again` where its DE38 was given before; a
//! change reads `done` or its refusal, and `again` where it is the outcome of an earlier command. A
//! line without an arrow is `done`.

use std::collections::{BTreeMap, BTreeSet};

use shared::action_code::ResponseCodes;
use shared::card::{CardState, YearMonth};
use shared::command::{
    Acceptance, Authorization, Change, Collateral, Command, MessageClass, MessageKey, NewCard,
    PartnerBalanceKind, Program, Reversal,
};
use shared::control::{Query, View};
use shared::effect::{ApprovalCode, Decision, Effect};
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Sequence, Timestamp,
};
use shared::journal_record::{Answer, Record};
use shared::ledger::Ledger;
use shared::limits::Limits;
use shared::lock_code::{LockCode, LockSource};
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;

/// The middle of December 2026.
const START: u64 = 1_797_292_800_000;

/// Runs `world`, then `table`, and compares every line with what happens.
pub(crate) fn check(limits: Limits, world: &str, table: &str) {
    let mut desk = Desk::new(limits);
    let mut expected = Vec::new();
    let mut found = Vec::new();
    for text in world.lines().chain(table.lines()) {
        let text = text.split('#').next().unwrap_or_default();
        if text.trim().is_empty() {
            continue;
        }
        let line = Line::parse(text);
        let outcome = desk.run(&line);
        expected.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        found.push(if text.contains("->") || outcome != "done" {
            format!("{} -> {outcome}", line.left)
        } else {
            line.left
        });
    }
    let differing: Vec<String> = expected
        .iter()
        .zip(&found)
        .filter(|(expected, found)| expected != found)
        .map(|(expected, found)| format!("expected  {expected}\nfound     {found}"))
        .collect();
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
}

/// One line, taken apart.
struct Line {
    left: String,
    verb: String,
    names: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Line {
    fn parse(text: &str) -> Self {
        let left = text.split("->").next().unwrap_or_default();
        let mut words = left.split_whitespace();
        let verb = words.next().unwrap_or_default().to_owned();
        let (mut names, mut values) = (Vec::new(), BTreeMap::new());
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => drop(values.insert(name.to_owned(), value.to_owned())),
                None => names.push(word.to_owned()),
            }
        }
        let left = left.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { left, verb, names, values }
    }

    fn name(&self, place: usize) -> &str {
        self.names.get(place).unwrap_or_else(|| panic!("a word is missing: {}", self.left))
    }

    fn has(&self, flag: &str) -> bool {
        self.names.iter().any(|name| name == flag)
    }

    fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.values.get(name).map_or(otherwise, String::as_str)
    }

    fn maybe<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let read = |text: &String| match text.parse() {
            Ok(value) => value,
            Err(_) => panic!("{name} is not a number: {}", self.left),
        };
        self.values.get(name).map(read)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        self.maybe(name).unwrap_or_else(|| panic!("{name} is missing: {}", self.left))
    }

    fn named<T: std::str::FromStr>(&self) -> T {
        match self.name(0).parse() {
            Ok(value) => value,
            Err(_) => panic!("the first word is a number: {}", self.left),
        }
    }

    /// `A 500 EUR`.
    fn money(&self) -> Money {
        Money::new(self.name(1).parse().unwrap(), currency(self.name(2)))
    }
}

/// Two ledgers: one decides, the other replays what was journaled.
struct Desk {
    ledger: Ledger,
    mirror: Ledger,
    codes: ResponseCodes,
    now: u64,
    next_command: u128,
    decided_at: BTreeMap<String, Sequence>,
    approvals: BTreeSet<ApprovalCode>,
}

impl Desk {
    fn new(limits: Limits) -> Self {
        Self {
            ledger: Ledger::new(limits),
            mirror: Ledger::new(limits),
            codes: ResponseCodes::default(),
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
                self.now = line.named();
                "done".to_owned()
            }
            "show" => line.names.iter().map(|name| self.funds(name)).collect::<Vec<_>>().join(" "),
            "auth" => self.apply(&Command::Authorize(authorization(line)), line),
            "reverse" => self.apply(&Command::Reverse(reversal(line)), line),
            "void" => {
                let key = authorization_key(line, "stan", "link");
                let by = line.maybe("by").map(Sequence);
                let by = by.or_else(|| self.decided_at.get(&format!("{key:?}")).copied());
                self.apply(&Command::Void(key, by.expect("nothing was decided for it")), line)
            }
            _ => {
                self.next_command += 1;
                let id = CommandId(line.maybe("id").unwrap_or(self.next_command));
                self.apply(&Command::Manage(id, change(line)), line)
            }
        }
    }

    fn apply(&mut self, command: &Command, line: &Line) -> String {
        let before = self.all_funds();
        let mut effects: Vec<Effect> = Vec::new();
        let (stamp, answer) = self.ledger.apply(command, Timestamp(self.now), &mut effects);
        let (sequence, at, command) = (stamp.sequence, stamp.at, command.clone());
        if let Command::Authorize(request) = &command {
            self.decided_at.entry(format!("{:?}", request.key)).or_insert(sequence);
        }
        let record = Record { sequence, at, command, effects, answer };
        self.mirror.replay(&record).unwrap();
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
        };
        assert!(moves || before == self.all_funds(), "money moved: {}", line.left);
        text
    }

    /// An answer as the tables write it, and whether it may have moved money.
    fn decision(&mut self, decision: Decision) -> (String, bool) {
        let reason = decision.reason;
        assert_eq!(decision.approval.is_some(), reason.is_approval(), "DE38 goes with approvals");
        let code = self.codes.code(reason);
        let code = str::from_utf8(&code).unwrap();
        let again = decision.approval.is_some_and(|code| !self.approvals.insert(code));
        let text = format!(
            "{} {} {code}{}",
            reason.description(),
            reason.action_code(),
            if again { " again" } else { "" }
        );
        (text, !again && matches!(reason.action_code().0, 0 | 4000))
    }

    fn all_funds(&self) -> Vec<(Amount, Amount)> {
        let users = self.ledger.balances().map(|(_, _, ledger, held)| (ledger, held));
        let partners = ('A'..='Z').filter_map(|name| {
            match self
                .ledger
                .view(Query::PartnerBalance(PartnerBalanceId(id_of(&name.to_string()))))
            {
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
}

fn id_of(name: &str) -> u128 {
    name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte))
}

fn currency(code: &str) -> Currency {
    Currency::from_alpha(code).unwrap_or_else(|| panic!("no such currency: {code}"))
}

fn expiry(line: &Line) -> Option<YearMonth> {
    line.maybe("expiry").map(|yymm| YearMonth::from_yymm(yymm).unwrap())
}

fn authorization_key(line: &Line, stan: &str, link: &str) -> MessageKey {
    MessageKey {
        link: LinkId(line.maybe(link).unwrap_or(1)),
        class: MessageClass::Authorization,
        stan: line.number(stan),
        sent_at: 1_215_120_000,
        acquirer: 4,
        forwarder: 0,
    }
}

fn authorization(line: &Line) -> Authorization {
    let mut acceptance = Acceptance::default();
    for (to, from) in acceptance.merchant.iter_mut().zip(line.text("merchant", "SHOP").bytes()) {
        *to = from;
    }
    let billed = |amount| Money::new(amount, currency(line.text("billcur", "EUR")));
    Authorization {
        key: authorization_key(line, "stan", "link"),
        token: PanToken([line.number("card"); 16]),
        processing_code: line.maybe("type").unwrap_or(0),
        transaction: Money::new(line.number("amount"), currency(line.text("cur", "EUR"))),
        billing: line.maybe("bill").map(billed),
        expiry: expiry(line),
        verification: line.has("verification"),
        acceptance,
    }
}

fn reversal(line: &Line) -> Reversal {
    let class = MessageClass::Reversal;
    let own = MessageKey { class, ..authorization_key(line, "stan", "link") };
    let original = MessageKey {
        class: match line.text("ofclass", "authorization") {
            "reversal" => MessageClass::Reversal,
            "financial" => MessageClass::Financial,
            _ => MessageClass::Authorization,
        },
        ..authorization_key(line, "of", "oflink")
    };
    Reversal {
        key: own,
        original,
        advice: line.has("advice"),
        transaction: line.maybe("base").map(Amount),
        new_total: line.maybe("total").map(Amount),
    }
}

fn change(line: &Line) -> Change {
    let balance = || BalanceId(id_of(line.name(0)));
    let partner_balance = || PartnerBalanceId(id_of(line.name(0)));
    let in_currency = || currency(line.text("cur", "EUR"));
    let partner = || PartnerId(line.number("partner"));
    match line.verb.as_str() {
        "partner" => Change::PutPartner(PartnerId(line.named())),
        "program" => Change::PutProgram(Program {
            id: ConfigId(line.named()),
            partner: partner(),
            currency: in_currency(),
            collateral: match line.text("collateral", "none") {
                "deposit" => Collateral::Deposit,
                "credit" => Collateral::Credit,
                _ => Collateral::None,
            },
        }),
        "customer" => Change::PutCustomer {
            id: CustomerId(line.named()),
            verified: !line.has("unverified"),
            aml_locked: line.has("aml"),
        },
        "balance" => Change::OpenBalance {
            id: balance(),
            customer: CustomerId(line.number("customer")),
            currency: in_currency(),
        },
        "close" => Change::CloseBalance(balance()),
        "deposit" | "credit" => Change::OpenPartnerBalance {
            id: partner_balance(),
            partner: partner(),
            kind: match line.verb.as_str() {
                "deposit" => PartnerBalanceKind::Deposit,
                _ => PartnerBalanceKind::Credit,
            },
            currency: in_currency(),
        },
        "card" => Change::IssueCard(NewCard {
            id: CardId(line.named()),
            token: PanToken([line.maybe("token").unwrap_or_else(|| line.named()); 16]),
            program: ConfigId(line.number("program")),
            balance: BalanceId(id_of(line.text("balance", "A"))),
            expiry: expiry(line).unwrap_or(YearMonth { year: 2026, month: 12 }),
            state: card_state(line.text("state", "Active")),
        }),
        "state" => {
            Change::SetCardState { card: CardId(line.named()), state: card_state(line.name(1)) }
        }
        "lock" => Change::LockCard {
            card: CardId(line.named()),
            code: LockCode::from_number(line.number("code")).unwrap(),
            source: LockSource::Partner,
        },
        "unlock" => Change::UnlockCard(CardId(line.named())),
        "top-up" => Change::TopUp { balance: balance(), money: line.money() },
        "reload" => Change::Reload { balance: partner_balance(), money: line.money() },
        other => panic!("no such verb: {other}"),
    }
}

fn card_state(name: &str) -> CardState {
    match name {
        "Ordered" => CardState::Ordered,
        "Linked" => CardState::Linked,
        "Active" => CardState::Active,
        "Expired" => CardState::Expired,
        "Removed" => CardState::Removed,
        other => panic!("no such card state: {other}"),
    }
}
