//! Claim: over real TCP, real frames and a durable journal, pipelined authorizations on one hot
//! deposit cost a small multiple of echoing the same bytes.

#![expect(clippy::indexing_slicing, reason = "a bench that goes wrong may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use switch::config::Config;

const CARDS: u64 = 1_000;
const PIPELINED: u64 = 2_000;

fn end_to_end(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let config = config(folder.path());
    benches::journal(&config.journal.directory, CARDS).expect("a journal to start from");
    let link = config.links[0].address;
    std::thread::spawn(move || switch::serve(&config));
    let mut stream = connect(link);
    let mut next = 0;
    let mut burst = || -> Vec<u8> {
        let frames = (next..next + PIPELINED).flat_map(|n| benches::frame(n, n % CARDS));
        next += PIPELINED;
        frames.collect()
    };
    assert_eq!(exchange(&mut stream, &burst(), PIPELINED), PIPELINED, "every one is approved");

    let mut group = criterion.benchmark_group("end_to_end");
    group.throughput(Throughput::Elements(PIPELINED)).sample_size(20);
    group.bench_function("durable_pipelined_x2000", |bencher| {
        bencher.iter_batched(
            &mut burst,
            |frames| assert_eq!(exchange(&mut stream, &frames, PIPELINED), PIPELINED),
            criterion::BatchSize::PerIteration,
        );
    });
    let mut echo = echo();
    let bytes = burst();
    group.bench_function("raw_echo_of_the_same_bytes", |bencher| {
        bencher.iter(|| {
            let mut writer = echo.try_clone().expect("a second handle");
            std::thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&bytes));
                echo.read_exact(&mut vec![0; bytes.len()]).expect("all of it back");
            });
        });
    });
    group.finish();
}

/// Sends all frames and counts the approvals among as many replies.
fn exchange(stream: &mut TcpStream, frames: &[u8], replies: u64) -> u64 {
    let mut writer = stream.try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(frames));
        let (mut input, mut filled, mut seen, mut approved) = (vec![0; 1 << 20], 0, 0, 0);
        while seen < replies {
            filled += stream.read(&mut input[filled..]).expect("replies");
            let mut rest = &input[..filled];
            while let Some((head, tail)) = rest.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*head));
                let Some((body, tail)) = tail.split_at_checked(length) else { break };
                approved += u64::from(is_approved(body));
                seen += 1;
                rest = tail;
            }
            let left = rest.len();
            input.copy_within(filled - left..filled, 0);
            filled = left;
        }
        approved
    })
}

/// Bit 38 of the bit map: an approval code is there.
fn is_approved(body: &[u8]) -> bool {
    body[4 + 37 / 8] & (0x80 >> (37 % 8)) != 0
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.journal.directory = folder.join("journal");
    config.keys.file = folder.join("keys.toml");
    config.control.socket = folder.join("control.sock");
    config.metrics.address = free_address();
    config.links[0].address = free_address();
    let keys = [
        ("pan_token", 32, 7),
        ("pan_encryption", 32, 1),
        ("cvk", 16, 2),
        ("cvk_cvc2", 16, 3),
        ("pvk", 16, 4),
        ("zone_pin", 16, 5),
        ("zone_pin_aes", 16, 6),
    ];
    let text: String = keys
        .iter()
        .map(|(name, bytes, value)| {
            format!("{name} = \"{}\"\n", format!("{value:02x}").repeat(*bytes))
        })
        .collect();
    std::fs::write(&config.keys.file, text).expect("a key file");
    config
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn connect(address: SocketAddr) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(address) {
            stream.set_nodelay(true).expect("a live socket");
            return stream;
        }
        std::thread::yield_now();
    }
}

fn echo() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("one peer");
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..read]).expect("the peer reads");
        }
    });
    connect(address)
}

criterion_group!(claims, end_to_end);
criterion_main!(claims);
