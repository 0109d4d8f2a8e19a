//! Random histories against a naive model written from the documents: every answer and every
//! balance must agree, and after each command the journaled record alone must lead another ledger
//! to the same state.
//!
//! `STEPS` asks for more commands, `SEED` for another start; a failure names the seed of its
//! history, and `SEED=n STEPS=1` runs that history first.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "model/history.rs"]
mod history;
#[path = "model/reference.rs"]
mod reference;

use std::collections::{BTreeMap, BTreeSet};

use history::History;
use reference::{Forgotten, Reference};
use shared::command::{Command, MessageKey};
use shared::control::{Query, View};
use shared::effect::{Effect, TransactionSlot};
use shared::ids::{CardId, Timestamp};
use shared::journal_record::{Answer, Record, RecordRef};
use shared::ledger::{Ledger, Stamp};
use shared::limits::{Limits, PRODUCTION, TEST};

/// Commands under tiny bounds unless asked otherwise: enough to reach every answer.
const TINY_STEPS: u64 = 150_000;

/// Commands of one history.
const HISTORY_STEPS: u64 = 500;

/// Larger bounds, so that histories live longer than their answers' pressure on each other.
const ROOMY: Limits = Limits {
    partners_max: 4,
    programs_max: 8,
    customers_max: 12,
    balances_max: 16,
    partner_balances_max: 9,
    cards_max: 40,
    transactions_max: 300,
    answers_max: 120,
    answer_retention_ms: 60_000,
    commands_max: 200,
    command_retention_ms: 600_000,
};

#[test]
fn histories_under_tiny_bounds_agree_with_the_model() {
    let steps = asked("STEPS").unwrap_or(TINY_STEPS);
    let reached = run(TEST, 40, steps);
    if steps >= TINY_STEPS {
        assert_all_reached(&reached);
    }
}

#[test]
fn histories_under_roomy_bounds_agree_with_the_model() {
    run(ROOMY, 400, asked("STEPS").unwrap_or(50_000));
}

/// Runs histories of `steps` commands in all; what was answered how often.
fn run(limits: Limits, stans: u32, steps: u64) -> BTreeMap<String, u64> {
    let first = asked("SEED").unwrap_or(1);
    let mut reached = BTreeMap::new();
    for seed in first..first + steps.div_ceil(HISTORY_STEPS) {
        let mut bench = Bench::new(seed, limits, stans);
        for step in 0..HISTORY_STEPS {
            let answer = bench.step(step);
            *reached.entry(answer).or_default() += 1;
        }
        bench.compare_everything(HISTORY_STEPS);
    }
    reached
}

/// Every answer that the core can give must come up, or the histories test less than they say.
fn assert_all_reached(reached: &BTreeMap<String, u64>) {
    let answers = "Approved ReversedBeforeRequest Duplicate UnknownTransactionType InvalidAmount \
        CardNotFound CardInactive CardExpired CardLost CardStolen CardPendingQuery \
        CardConsolidation CardDeactivated CardPinTriesExceeded CardSuspectedFraud CardReplaced \
        CustomerNotFound AmlException BalanceNotFound CurrencyMismatch DepositBalanceNotFound \
        InsufficientFundsOnDeposit InsufficientFunds ReversalAccepted ReversalAcknowledged \
        ReversalUnmatched UnknownError \
        done IdTaken PartnerNotFound ProgramNotFound refused:CustomerNotFound \
        CustomerNotVerified refused:BalanceNotFound BalanceNotEmpty PartnerBalanceNotFound \
        PartnerBalanceExists refused:CardNotFound TokenTaken refused:CurrencyMismatch \
        refused:InvalidAmount CardStateForbidden LockedIrreversibly BalanceNotCovered \
        CollateralBalanceNotFound InsufficientCollateral TableFull noted";
    let missing: BTreeSet<&str> = answers
        .split_whitespace()
        .filter(|answer| {
            !reached.contains_key(*answer) && !reached.contains_key(&format!("refused:{answer}"))
        })
        .collect();
    assert!(missing.is_empty(), "never answered: {missing:?}\nanswered: {reached:#?}");
}

/// The core, three times, and the model.
struct Bench {
    seed: u64,
    history: History,
    ledger: Ledger,
    /// Fed with effects only, under larger bounds.
    replayed: Ledger,
    /// Decides every record again.
    verified: Ledger,
    reference: Reference,
    effects: Vec<Effect>,
    bytes: Vec<u8>,
    keys: BTreeMap<TransactionSlot, MessageKey>,
}

impl Bench {
    fn new(seed: u64, limits: Limits, stans: u32) -> Self {
        Self {
            seed,
            history: History::new(seed, limits, stans),
            ledger: Ledger::new(limits),
            replayed: Ledger::new(PRODUCTION),
            verified: Ledger::new(limits),
            reference: Reference::new(limits),
            effects: Vec::new(),
            bytes: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// One command through all of them; the name of its answer.
    fn step(&mut self, step: u64) -> String {
        let (command, now) = self.history.next();
        let (stamp, answer) = self.ledger.apply(&command, Timestamp(now), &mut self.effects);
        let forgotten = self.forgotten();
        let expected = self.reference.step(&command, now, &forgotten);
        assert_eq!(answer, expected, "seed {} step {step}: {command:?}", self.seed);
        assert_eq!(self.ledger.sizes().1, self.reference.remembered(), "seed {}", self.seed);
        self.compare_money(step);
        self.journal(step, stamp, &command, answer);
        if step.is_multiple_of(16) {
            self.compare_everything(step);
        }
        let name = name(answer);
        self.history.sent(command, stamp.sequence, name == "Approved");
        name
    }

    /// Writes the record, reads it back, and feeds it to the other two ledgers.
    fn journal(&mut self, step: u64, stamp: Stamp, command: &Command, answer: Answer) {
        let at = format_args!("seed {} step {step}", self.seed).to_string();
        let (sequence, effects) = (stamp.sequence, self.effects.as_slice());
        self.bytes.clear();
        RecordRef { sequence, at: stamp.at, command, effects, answer }.encode(&mut self.bytes);
        let record = Record::decode(&self.bytes).unwrap();
        assert_eq!(
            (record.sequence, record.at, record.answer),
            (sequence, stamp.at, answer),
            "{at}"
        );
        assert!(record.command == *command && record.effects == effects, "{at}: {command:?}");
        self.replayed.replay(&record).unwrap_or_else(|error| panic!("{at}: {error}"));
        self.verified.verify(&record).unwrap_or_else(|error| panic!("{at}: {error}"));
        self.ledger.audit().unwrap_or_else(|error| panic!("{at}: {error}"));
        // The hash takes most of the time: after each command of some histories, now and then in
        // the others, where a difference would last.
        if !self.seed.is_multiple_of(20) && !step.is_multiple_of(50) {
            return;
        }
        let hash = self.ledger.state_hash();
        assert_eq!(self.replayed.state_hash(), hash, "{at}: replay of {command:?}");
        assert_eq!(self.verified.state_hash(), hash, "{at}: verification of {command:?}");
    }

    /// What the effects say was forgotten, by key.
    fn forgotten(&mut self) -> Forgotten {
        let mut forgotten = Forgotten::default();
        for effect in &self.effects {
            if let Effect::Remembered(slot, entry) = effect {
                self.keys.insert(*slot, entry.key);
            } else if let Effect::Forgotten(slot) = effect {
                forgotten.messages.push(self.keys[slot]);
            } else if *effect == Effect::CommandForgotten {
                forgotten.commands += 1;
            }
        }
        forgotten
    }

    /// Every balance, booked and held.
    fn compare_money(&self, step: u64) {
        let (seed, model) = (self.seed, &self.reference);
        let found: Vec<_> = self
            .ledger
            .balances()
            .map(|(id, currency, ledger, held)| (id, (currency, ledger.0, held.0)))
            .collect();
        let open = model.balances.iter().filter(|(_, balance)| balance.open);
        let expected: BTreeMap<_, _> = open
            .map(|(id, balance)| (*id, (balance.currency, balance.booked, model.held(*id))))
            .collect();
        assert_eq!(BTreeMap::from_iter(found), expected, "seed {seed} step {step}");
        for (id, row) in &model.collateral {
            let Some(View::PartnerBalance(view)) = self.ledger.view(Query::PartnerBalance(*id))
            else {
                panic!("seed {seed} step {step}: {id} is missing");
            };
            let expected = (row.booked, model.held_on_deposit(*id));
            assert_eq!((view.ledger.0, view.held.0), expected, "seed {seed} step {step}: {id}");
        }
    }

    /// Every card as well.
    fn compare_everything(&self, step: u64) {
        self.compare_money(step);
        assert_eq!(self.ledger.sizes().0, self.reference.cards.len(), "seed {}", self.seed);
        for (id, card) in &self.reference.cards {
            let Some(View::Card(view)) = self.ledger.view(Query::Card(CardId(*id))) else {
                panic!("seed {} step {step}: card {id} is missing", self.seed);
            };
            let found = (view.state, view.lock);
            assert_eq!(found, (card.state, card.lock), "seed {} step {step}", self.seed);
        }
    }
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
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is asked for from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
