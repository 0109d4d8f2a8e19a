//! Claims: deciding an authorization and applying it, both holds placed and the key remembered, the
//! books checked after every command, takes no longer with 10,000,000 open holds than with 100,000,
//! and waits for little memory: that of a card, its balance and its newest transaction is asked for
//! before, here for sixteen commands at once. In the path of a message it is asked for when the card
//! is known, and comes while the other fields are read: `read` is a frame to its command,
//! `read_and_apply` the same with what is claimed here.
//!
//! Differs from production: no journal, no socket, commands and frames are made beforehand.

use core::ops::Range;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use shared::action_code::{Reason, ResponseCodes};
use shared::command::Command;
use shared::credential::software::SoftwareKeys;
use shared::effect::Effect;
use shared::ids::LinkId;
use shared::iso8583::{Dialect, Layout, parse};
use shared::journal_record::Answer;
use shared::key_file::KeyFile;
use shared::ledger::{FORESEEN_MAX, Ledger};
use shared::pan::{PanToken, TokenKey};
use switch::intake::markers::Markers;
use switch::intake::{AdviceCode, Asked, Reading};

const CARDS: u64 = 10_000;
/// Far apart, so that a card is not still in the cache from the message before.
const STRIDE: u64 = 7_919;
const BATCH: u64 = 1_000;
/// Rounds after which the ledger is put back to where it was.
const ROUNDS: u64 = 100;

/// A ledger with open holds, which is put back before they are many more.
struct Held {
    base: Ledger,
    ledger: Ledger,
    rounds_done: u64,
    effects: Vec<Effect>,
    /// The number of the next message.
    next: u64,
}

impl Held {
    fn new(holds: u64, token: impl Fn(u64) -> PanToken) -> Self {
        let mut base = benches::ledger(CARDS);
        base.reserve_transactions(usize::try_from(holds).expect("they fit into memory"));
        let mut effects = Vec::with_capacity(16);
        for number in 1..=holds {
            let command = benches::authorization(number, token(card(number)));
            let (_, answer) = base.apply(&command, benches::NOW, &mut effects);
            let Answer::Decision(decision) = answer else { unreachable!("a message's answer") };
            assert_eq!((decision.reason, effects.len()), (Reason::Approved, 1));
        }
        let ledger = base.clone();
        Self { base, ledger, rounds_done: ROUNDS, effects, next: holds + 1 }
    }

    /// The numbers of the next round's messages.
    fn round(&mut self, token: impl Fn(u64) -> PanToken) -> Range<u64> {
        if self.rounds_done == ROUNDS {
            self.rounds_done = 0;
            self.ledger.clone_from(&self.base);
            // A copy has room for no more than it holds, and none of it is in the cache.
            let room = 2 * CARDS + BATCH * ROUNDS;
            self.ledger.reserve_transactions(usize::try_from(room).expect("a few"));
            for number in self.numbers(2 * CARDS) {
                self.apply(&benches::authorization(number, token(card(number))));
            }
        }
        self.rounds_done += 1;
        self.numbers(BATCH)
    }

    fn numbers(&mut self, count: u64) -> Range<u64> {
        self.next += count;
        self.next - count..self.next
    }

    fn apply(&mut self, command: &Command) {
        // By reference: a copy would wait for everything written before it.
        black_box(&self.ledger.apply(command, benches::NOW, &mut self.effects));
    }
}

const fn card(number: u64) -> u64 {
    number * STRIDE % CARDS
}

fn token_of(command: &Command) -> Option<PanToken> {
    if let Command::Authorize(request) = command { Some(request.token) } else { None }
}

fn decide(criterion: &mut Criterion) {
    let key = TokenKey::new(&benches::TOKEN_KEY);
    let tokens: Vec<_> = (0..CARDS).map(|card| key.token(&benches::pan(card))).collect();
    let token = |card: u64| *tokens.get(usize::try_from(card).expect("a place")).expect("one each");
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    let mut commands = Vec::new();
    for holds in [100_000, 10_000_000] {
        let mut held = Held::new(holds, token);
        group.bench_function(format!("authorize_and_apply_x1000_at_{holds}_holds"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    // In the same memory each time: giving it back would empty the translation
                    // cache of the processor.
                    commands.clear();
                    let numbers = held.round(token);
                    commands.extend(
                        numbers.map(|number| benches::authorization(number, token(card(number)))),
                    );
                    let begun = Instant::now();
                    for some in commands.chunks(FORESEEN_MAX) {
                        held.ledger.foresee(some.iter().filter_map(token_of));
                        some.iter().for_each(|command| held.apply(command));
                    }
                    spent += begun.elapsed();
                }
                spent
            });
        });
        read(&mut group, holds, &mut held, token);
        assert_eq!(held.ledger.audit(), Ok(()));
    }
    group.finish();
}

/// Frames to commands, and the same with their decisions.
fn read(
    group: &mut BenchmarkGroup<'_, WallTime>,
    holds: u64,
    held: &mut Held,
    token: impl Fn(u64) -> PanToken + Copy,
) {
    let dialect = Dialect::iso87_ascii();
    let edition = dialect.version();
    let reading = Reading {
        link: LinkId(1),
        edition,
        token_key: TokenKey::new(&benches::TOKEN_KEY),
        keys: Rc::new(SoftwareKeys::new(&KeyFile::from_bytes(&[7; KeyFile::BYTES]))),
        markers: Markers::of(edition),
        advice_code: AdviceCode::Outcome,
        codes: ResponseCodes::of(edition),
        volatile_time: false,
        lock_outside: false,
    };
    let mut layout = Layout::new();
    let mut command = |frame: &[u8], ledger: &Ledger| {
        let message = parse(dialect, frame, &mut layout).expect("it is sound");
        let asked = reading.read(&message, ledger).expect("it is sound");
        let Asked::Command(command) = asked else { unreachable!("a request") };
        command
    };
    let first = held.round(token).start;
    let first = command(&benches::body(first, card(first)), &held.ledger);
    let (_, answer) = held.ledger.apply(&first, benches::NOW, &mut held.effects);
    let Answer::Decision(decision) = answer else { unreachable!("a message's answer") };
    assert_eq!(decision.reason, Reason::Approved);
    let mut frames = Vec::new();
    for (name, is_applied) in [("read", false), ("read_and_apply", true)] {
        group.bench_function(format!("{name}_x1000_at_{holds}_holds"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    frames.clear();
                    let numbers = held.round(token);
                    frames.extend(numbers.map(|number| benches::body(number, card(number))));
                    let begun = Instant::now();
                    for frame in &frames {
                        let command = command(frame, &held.ledger);
                        if is_applied {
                            held.apply(&command);
                        } else {
                            black_box(&command);
                        }
                    }
                    spent += begun.elapsed();
                }
                spent
            });
        });
    }
}

criterion_group!(claims, decide);
criterion_main!(claims);
