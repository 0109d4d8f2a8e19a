//! Claims: a 19-field 0100 of about 330 bytes is parsed and checked in at most 60 ns; parsed,
//! checked against its type's rules, read for a decision and answered in at most 350 ns. On traffic
//! of several kinds of message with fields of varied length, without an allocation.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::iso8583::{self, Dialect, FormatError, Layout, Message, Mti};

const MESSAGES: u64 = 1024;

/// What the decision reads of a message.
#[expect(dead_code, reason = "made to be timed; nobody looks at it")]
struct Extract {
    pan: [u8; 19],
    pan_len: usize,
    numbers: [u64; 11],
    texts: ([u8; 12], [u8; 8], [u8; 15]),
}

fn decode(criterion: &mut Criterion) {
    let mut layout = Layout::new();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(MESSAGES));
    let same: Vec<Vec<u8>> = (0..MESSAGES).map(|n| benches::body(n * 977, n)).collect();
    for name in Dialect::BUILT_IN_NAMES {
        let dialect = Dialect::built_in(name).expect("a built-in dialect");
        let varied: Vec<Vec<u8>> = (0..MESSAGES).map(|n| benches::varied(dialect, n)).collect();
        for body in &varied {
            let message = iso8583::parse(dialect, body, &mut layout).expect("a sound message");
            let mti = Mti::AUTHORIZATION_REQUEST.in_version(dialect.version());
            assert_eq!(message.mti(), mti);
            assert!((16..=21).contains(&message.fields().count()));
        }
        group.bench_function(format!("parse_varied_{name}_x1024"), |bencher| {
            bencher.iter(|| {
                for body in &varied {
                    black_box(iso8583::parse(dialect, black_box(body), &mut layout).is_ok());
                }
            });
        });
        let mut out = Vec::with_capacity(4096);
        for body in &varied {
            answer(dialect, body, &mut layout, &mut out).expect("a sound message");
        }
        group.bench_function(format!("parse_validate_extract_reply_{name}_x1024"), |bencher| {
            bencher.iter(|| {
                for body in &varied {
                    out.clear();
                    let extract = answer(dialect, black_box(body), &mut layout, &mut out);
                    black_box(extract.is_ok());
                }
            });
        });
    }
    let dialect = Dialect::iso87_ascii();
    group.bench_function("parse_0100_of_19_fields_x1024", |bencher| {
        bencher.iter(|| {
            for body in &same {
                black_box(iso8583::parse(dialect, black_box(body), &mut layout).is_ok());
            }
        });
    });
    group.bench_function("walk_0100_of_19_fields_x1024", |bencher| {
        bencher.iter(|| {
            for body in &same {
                black_box(iso8583::parse_by_walk(dialect, black_box(body), &mut layout).is_ok());
            }
        });
    });
    group.finish();
}

/// Everything that the codec does for one authorization.
fn answer(
    dialect: &Dialect,
    body: &[u8],
    layout: &mut Layout,
    out: &mut Vec<u8>,
) -> Result<Extract, FormatError> {
    let message = iso8583::parse(dialect, body, layout)?;
    message.validate()?;
    let extract = extract(&message)?;
    let mti = message.mti().response().unwrap_or(message.mti());
    let echoed = message.received().only(dialect.echo_of(message.mti()));
    let code: &[u8] = match dialect.version() {
        iso8583::mti::Version::V1987 => b"00",
        iso8583::mti::Version::V1993 => b"000",
        iso8583::mti::Version::V2003 => b"0000",
    };
    iso8583::reply(dialect, echoed, mti, &[(38, b"A1B2C3"), (39, code)], out)?;
    Ok(black_box(extract))
}

fn extract(message: &Message<'_>) -> Result<Extract, FormatError> {
    let mut pan = [0; 19];
    let pan_len = match message.text(2, &mut [0; 19]) {
        Some(digits) => {
            pan.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit);
            digits.len()
        }
        None => 0,
    };
    let number = |field| Ok::<u64, FormatError>(message.number(field)?.unwrap_or(0));
    Ok(Extract {
        pan,
        pan_len,
        numbers: [
            number(3)?,
            number(4)?,
            number(6)?,
            number(51)?,
            number(7)?,
            number(11)?,
            number(14)?,
            number(26)?,
            number(32)?,
            number(49)?,
            u64::from(message.text_array::<3>(22).unwrap_or_default()[0]),
        ],
        texts: (
            message.text_array(37).unwrap_or_default(),
            message.text_array(41).unwrap_or_default(),
            message.text_array(42).unwrap_or_default(),
        ),
    })
}

criterion_group!(claims, decode);
criterion_main!(claims);
