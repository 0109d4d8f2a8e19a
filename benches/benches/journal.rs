//! Claim: a group of records is durable in about the time of one raw sync, whatever its size; the
//! raw sync of the same disk in the same run stands beside it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::ids::Sequence;
use shared::pan::TokenKey;
use switch::journal::Appender;

const CARDS: u64 = 1_000;

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(50);

    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(folder.path().join("raw"))
        .expect("a new file");
    file.write_all_at(&vec![0; 8 << 20], 0).expect("zeros");
    file.sync_all().expect("a first sync");
    let mut at = 0;
    group.bench_function("raw_write_4k_and_fdatasync", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&[1; 4096], at).expect("a write");
            file.sync_data().expect("a sync");
            at = (at + 4096) % (8 << 20);
        });
    });

    let mut ledger = benches::ledger(CARDS);
    let start = ledger.last().sequence;
    let tail = switch::journal::Tail { sequence: start, ..benches::tail() };
    let mut appender =
        Appender::start(benches::options(folder.path()), tail).expect("a fresh journal");
    let key = TokenKey::new(&benches::TOKEN_KEY);
    let tokens: Vec<_> = (0..CARDS).map(|card| key.token(&benches::pan(card))).collect();
    let mut number = 0;
    let mut effects = Vec::new();
    for records in [1, 64, 1024] {
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(format!("group_of_{records}_durable"), |bencher| {
            bencher.iter(|| {
                for token in tokens.iter().cycle().take(records) {
                    let command = benches::authorization(number, *token);
                    benches::append(&mut ledger, &mut appender, &command, &mut effects);
                    number += 1;
                }
                appender.submit();
                wait(&appender, ledger.last().sequence);
            });
        });
    }
    group.finish();
    let last = appender.close().expect("a clean close").sequence;
    assert_eq!(last, ledger.last().sequence);
}

fn wait(appender: &Appender, sequence: Sequence) {
    let progress = appender.progress();
    while progress.borrow().durable < sequence {
        std::thread::yield_now();
    }
}

criterion_group!(claims, journal);
criterion_main!(claims);
