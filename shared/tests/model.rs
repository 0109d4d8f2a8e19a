//! Random histories, and every order of the messages of one transaction, against a naive model
//! written from the documents: every answer, every balance, every transaction, limit and card must
//! agree, and what the journal holds must lead other ledgers to the same state.
//!
//! `MODEL_STEPS` asks for more commands, `MODEL_SEED` for another start; a difference names the
//! seed of its history and the shortest prefix of it, and `MODEL_SEED=n MODEL_STEPS=1` runs it.
//! `MODEL_ORDER` asks for longer orders.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "model/advice.rs"]
mod advice;
#[path = "model/bench.rs"]
mod bench;
#[path = "model/change.rs"]
mod change;
#[path = "model/fee.rs"]
mod fee;
#[path = "model/history.rs"]
mod history;
#[path = "model/history_changes.rs"]
mod history_changes;
#[path = "model/limit.rs"]
mod limit;
#[path = "model/matching.rs"]
mod matching;
#[path = "model/orders.rs"]
mod orders;
#[path = "model/partner.rs"]
mod partner;
#[path = "model/random.rs"]
mod random;
#[path = "model/request.rs"]
mod request;
#[path = "model/reversal.rs"]
mod reversal;
#[path = "model/state.rs"]
mod state;
#[path = "model/step.rs"]
mod step;
#[path = "model/world.rs"]
mod world;

use std::collections::BTreeMap;

use bench::Bench;
use history::History;
use orders::Orders;
use shared::journal_record::Answer;
use shared::limits::TEST;

/// Commands unless asked otherwise.
const STEPS: u64 = 200_000;
/// Commands of one history.
const HISTORY_STEPS: u64 = 1_000;
/// Histories in which core and model differed once: a clearing of an increment whose hold the same
/// message forgot, and whose slot it filled again.
const DIFFERED: [u64; 1] = [20_287_161];
/// Messages of one order unless asked otherwise.
const ORDER: u64 = 3;

#[test]
fn histories_agree_with_the_model() {
    let steps = asked("MODEL_STEPS").unwrap_or(STEPS);
    let first = asked("MODEL_SEED").unwrap_or(1);
    let mut reached = BTreeMap::new();
    for seed in first..first + steps.div_ceil(HISTORY_STEPS) {
        run(seed, &mut reached);
    }
    println!("{reached:#?}");
}

#[test]
fn histories_in_which_they_differed_once_agree() {
    for seed in DIFFERED {
        run(seed, &mut BTreeMap::new());
    }
}

#[test]
fn every_order_of_the_messages_of_one_transaction_agrees_with_the_model() {
    let length = usize::try_from(asked("MODEL_ORDER").unwrap_or(ORDER)).unwrap();
    let mut orders = Orders::new();
    orders.walk(length);
    println!("orders by length {:?}\n{:#?}", orders.walked, orders.answers);
}

fn run(seed: u64, reached: &mut BTreeMap<String, u64>) {
    let mut bench = Bench::new(TEST);
    let mut history = History::new(seed);
    let mut log = Vec::new();
    for step in 0..HISTORY_STEPS {
        let (command, now) = history.next();
        log.push((command.clone(), now));
        match bench.step(&command, now) {
            Ok((stamp, answer)) => {
                *reached.entry(name(answer)).or_default() += 1;
                history.sent(command, stamp.sequence, answer);
            }
            Err(difference) => {
                let effects: Vec<String> = bench.effects.iter().map(|e| format!("{e:?}")).collect();
                panic!("seed {seed} step {step}: {difference}\n{command:?}\n{}", effects.join("\n"))
            }
        }
    }
    bench.compare_everything().unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
}

fn name(answer: Answer) -> String {
    match answer {
        Answer::Decision(decision) => format!("{:?}", decision.reason),
        Answer::Outcome(outcome) => match outcome.result {
            Ok(()) => "done".to_owned(),
            Err(refusal) => {
                let text = format!("{refusal:?}");
                format!("refused:{}", text.split(' ').next().unwrap_or_default())
            }
        },
        Answer::Noted => "noted".to_owned(),
        Answer::Asked(_) => "asked".to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is asked for from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
