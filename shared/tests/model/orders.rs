//! Every order of the messages of one transaction, none of them twice, up to a length.
//!
//! The tree of orders is walked with a copy of core and model at every branch, so that each prefix
//! is decided once.

use std::collections::BTreeMap;

use shared::command::{
    Advice, Advised, Authorization, Command, MessageClass, MessageKey, Reversal, ReversalKind,
};
use shared::ids::{CommandId, Sequence, Timestamp};
use shared::limits::TEST;
use shared::money::Amount;

use crate::bench::Bench;
use crate::world::{START, key, opening, purchase, references, token};

/// The card whose program has a deposit, approves in part, and makes credits available at once.
const CARD: u64 = 2;
const AMOUNT: i64 = 50;
/// Longer than any hold of the card lives.
const LATER_MS: u64 = 4 * 3_600_000;

/// What may come of one transaction, by name.
pub(crate) struct Orders {
    start: Bench,
    messages: Vec<(&'static str, Event)>,
    /// How many orders were walked, by length.
    pub(crate) walked: Vec<u64>,
    /// How often each answer came.
    pub(crate) answers: BTreeMap<String, u64>,
}

#[derive(Clone)]
enum Event {
    Message(Box<Command>),
    /// The answer to the first message never left.
    Lost,
    /// Hours pass, and holds expire.
    Later,
}

impl Orders {
    pub(crate) fn new() -> Self {
        let mut start = Bench::new(TEST);
        for (id, change) in (1..).zip(opening()) {
            start.step(&Command::Manage(CommandId(id), change), Timestamp(START)).unwrap();
        }
        Self { start, messages: messages(), walked: Vec::new(), answers: BTreeMap::new() }
    }

    /// Walks every order of up to `length` messages; a difference names the order that led to it.
    pub(crate) fn walk(&mut self, length: usize) {
        self.walked = vec![0; length + 1];
        let start = self.start.clone();
        self.branch(&start, &Branch { order: Vec::new(), decided: Sequence(1), now: START });
    }

    fn branch(&mut self, before: &Bench, branch: &Branch) {
        let length = self.walked.len() - 1;
        for place in 0..self.messages.len() {
            if branch.order.contains(&place) {
                continue;
            }
            let mut bench = before.clone();
            let (name, event) = self.messages[place].clone();
            let mut branch = branch.clone();
            branch.order.push(place);
            branch.now += 1_000;
            let command = match event {
                Event::Message(command) => *command,
                Event::Lost => Command::Void(key(MessageClass::Authorization, 1), branch.decided),
                Event::Later => {
                    branch.now += LATER_MS;
                    Command::Expire
                }
            };
            let mut told = bench.step(&command, Timestamp(branch.now));
            if branch.order.len() == length && told.is_ok() {
                told = bench.compare_everything().and(told);
            }
            let (stamp, answer) = told.unwrap_or_else(|difference| {
                let names = branch.order.iter().map(|place| self.messages[*place].0);
                let names: Vec<_> = names.collect();
                panic!("{}: {difference}\n{command:?}\n{:?}", names.join(", "), bench.effects)
            });
            self.walked[branch.order.len()] += 1;
            *self.answers.entry(crate::name(answer)).or_default() += 1;
            if name == REQUEST {
                branch.decided = stamp.sequence;
            }
            if branch.order.len() < length {
                self.branch(&bench, &branch);
            }
        }
    }
}

/// An order so far.
#[derive(Clone)]
struct Branch {
    order: Vec<usize>,
    /// Where the first message was decided.
    decided: Sequence,
    now: u64,
}

const REQUEST: &str = "0100";

#[expect(clippy::too_many_lines, reason = "one table, a line a message")]
fn messages() -> Vec<(&'static str, Event)> {
    let original = key(MessageClass::Authorization, 1);
    let request = |class, stan, amount| {
        let mut request = purchase(class, CARD, stan, amount);
        request.references = references(1);
        request
    };
    let first = request(MessageClass::Authorization, 1, AMOUNT);
    let follows = |message: Authorization| Authorization { original: Some(original), ..message };
    let advice = |class, stan, amount, advised, more_to_come| {
        let message = follows(request(class, stan, amount));
        Command::Advise(Advice { message, advised, more_to_come })
    };
    let reversal = |kind, class, stan, new_total: Option<i64>| Reversal {
        key: key(class, stan),
        repeat: false,
        original,
        kind,
        token: Some(token(CARD)),
        references: references(1),
        transaction: Some(Amount(AMOUNT)),
        new_total: new_total.map(Amount),
        new_billing: None,
    };
    let full = reversal(ReversalKind::Request, MessageClass::Reversal, 7, None);
    // It names its original by references alone.
    let unnamed = Reversal {
        key: key(MessageClass::Reversal, 9),
        original: MessageKey {
            class: MessageClass::Authorization,
            ..key(MessageClass::Reversal, 9)
        },
        ..full
    };
    let more =
        Authorization { incremental: true, ..follows(request(MessageClass::Authorization, 2, 20)) };
    let (hold, post) = (MessageClass::AuthorizationAdvice, MessageClass::FinancialAdvice);
    let message = |command| Event::Message(Box::new(command));
    let sale = request(MessageClass::Financial, 1, AMOUNT);
    let other = Authorization { processing_code: 10_000, ..first };
    vec![
        (REQUEST, message(Command::Authorize(first))),
        ("0101", message(Command::Authorize(Authorization { repeat: true, ..first }))),
        ("0100 of other content", message(Command::Authorize(other))),
        ("0100 incremental", message(Command::Authorize(more))),
        ("0200", message(Command::Authorize(sale))),
        ("0120 incremental", {
            let message = Authorization { incremental: true, ..follows(request(hold, 10, 15)) };
            let advised = Advised::Approved;
            Event::Message(Box::new(Command::Advise(Advice {
                message,
                advised,
                more_to_come: false,
            })))
        }),
        ("0120 raised", message(advice(hold, 3, 75, Advised::Approved, false))),
        ("0120 declined", message(advice(hold, 4, AMOUNT, Advised::Declined, false))),
        ("0220 of a part", message(advice(post, 5, 20, Advised::Approved, true))),
        ("0220 final", message(advice(post, 6, 60, Advised::Approved, false))),
        ("0400", message(Command::Reverse(full))),
        ("0401", message(Command::Reverse(Reversal { repeat: true, ..full }))),
        (
            "0420 of a part",
            message(Command::Reverse(reversal(
                ReversalKind::Advice,
                MessageClass::Reversal,
                8,
                Some(30),
            ))),
        ),
        ("0420 unnamed", message(Command::Reverse(unnamed))),
        (
            "0190",
            message(Command::Reverse(reversal(
                ReversalKind::NegativeAcknowledgement,
                MessageClass::NegativeAcknowledgement,
                1,
                None,
            ))),
        ),
        ("answer lost", Event::Lost),
        ("hours later", Event::Later),
    ]
}
