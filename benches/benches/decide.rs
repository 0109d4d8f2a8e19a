//! Claim: deciding an authorization and applying it, both holds placed and the key remembered, the
//! books checked after every command, takes no longer with 10,000,000 open holds than with 100,000:
//! some instructions, and the memory of one card, its balance and its newest transaction.
//!
//! Differs from production: no journal, no socket, the commands are made beforehand.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::action_code::Reason;
use shared::journal_record::Answer;
use shared::pan::TokenKey;

const CARDS: u64 = 10_000;
const BATCH: usize = 1_000;
/// Rounds after which the ledger is put back to where it was.
const ROUNDS: usize = 100;

fn decide(criterion: &mut Criterion) {
    let key = TokenKey::new(&benches::TOKEN_KEY);
    let tokens: Vec<_> = (0..CARDS).map(|card| key.token(&benches::pan(card))).collect();
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for held in [100_000, 10_000_000] {
        let mut effects = Vec::with_capacity(16);
        let mut next = 0;
        // Far apart, so that a card is not still in the cache from the message before.
        let mut cards = tokens.iter().cycle().step_by(7_919);
        let mut command = || {
            next += 1;
            benches::authorization(next, cards.next().copied().expect("the cards never end"))
        };
        let mut base = benches::ledger(CARDS);
        base.reserve_transactions(held);
        for _ in 0..held {
            let (_, answer) = base.apply(&command(), benches::NOW, &mut effects);
            let Answer::Decision(decision) = answer else { unreachable!("a message's answer") };
            assert_eq!((decision.reason, effects.len()), (Reason::Approved, 1));
        }
        // A copy has room for no more than it holds.
        let restored = || {
            let mut ledger = base.clone();
            ledger.reserve_transactions(BATCH * ROUNDS);
            ledger
        };
        let (mut ledger, mut rounds_done) = (restored(), 0);
        group.bench_function(format!("authorize_and_apply_x1000_at_{held}_holds"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let commands: Vec<_> = (0..BATCH).map(|_| command()).collect();
                    if rounds_done == ROUNDS {
                        (ledger, rounds_done) = (restored(), 0);
                    }
                    rounds_done += 1;
                    let begun = Instant::now();
                    for command in &commands {
                        // By reference: a copy would wait for everything written before it.
                        black_box(&ledger.apply(command, benches::NOW, &mut effects));
                    }
                    spent += begun.elapsed();
                }
                spent
            });
        });
        assert_eq!(ledger.audit(), Ok(()));
    }
    group.finish();
}

criterion_group!(claims, decide);
criterion_main!(claims);
