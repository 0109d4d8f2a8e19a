//! Claim: a 19-field 0100 of about 330 bytes is parsed and checked in at most 150 ns, without an
//! allocation.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::iso8583::{self, Dialect, Layout, Mti};

fn decode(criterion: &mut Criterion) {
    let dialect = Dialect::iso87_ascii();
    let frames: Vec<Vec<u8>> = (0..1024).map(|n| benches::frame(n * 977, n)).collect();
    let bodies: Vec<&[u8]> = frames.iter().filter_map(|frame| frame.get(2..)).collect();
    let mut layout = Layout::new();
    for body in &bodies {
        let message = iso8583::parse(dialect, body, &mut layout).expect("a sound message");
        assert_eq!((message.mti(), message.fields().count()), (Mti::AUTHORIZATION_REQUEST, 19));
    }
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(bodies.len() as u64));
    group.bench_function("parse_0100_of_19_fields_x1024", |bencher| {
        bencher.iter(|| {
            for body in &bodies {
                black_box(iso8583::parse(dialect, black_box(body), &mut layout).is_ok());
            }
        });
    });
    group.finish();
}

criterion_group!(claims, decode);
criterion_main!(claims);
