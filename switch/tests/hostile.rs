//! Peers that break every rule, all at once, while an honest one is served. Source: security 4.6.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fastrand::Rng;
use shared::control::{Request, VERSION};
use shared::ids::Sequence;

use crate::rig::{
    Client, Home, Issuer, Message, Running, WAIT, asked, balance_id, framed, pan, purchase,
};

const LIMITS: &str = "connections_max = 200\nframe_deadline_ms = 300\nwrite_deadline_ms = 300\n\
                      unreadable_frames_max = 1000000";
/// Broken messages, of two peers together.
const BROKEN: usize = 10_000;

fn served(link: &str) -> (Home, Running) {
    let home = Home::new("", link);
    let running = home.start();
    let mut control = running.control();
    let issuer = Issuer::found(&mut control);
    issuer.issue(&mut control, Issuer::NO_COLLATERAL, 1, 1_000_000_000);
    issuer.issue(&mut control, Issuer::NO_COLLATERAL, 2, 1);
    (home, running)
}

/// Every golden message: known to be sound.
fn golden() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/golden");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    files.sort();
    let read = |path| {
        let text: Vec<char> = std::fs::read_to_string(path)
            .unwrap()
            .split_whitespace()
            .flat_map(str::chars)
            .collect();
        let pairs = text.chunks(2).map(|pair| pair.iter().collect::<String>());
        pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect()
    };
    files.into_iter().map(read).collect()
}

/// Random bytes, or a sound message with some of them changed, cut or doubled.
fn broken(rng: &mut Rng, golden: &[Vec<u8>]) -> Vec<u8> {
    if rng.u8(..4) == 0 {
        let length = rng.usize(1..400);
        return std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
    }
    let mut body = rng.choice(golden).unwrap().clone();
    for _ in 0..rng.u8(1..4) {
        let place = rng.usize(..body.len());
        match rng.u8(..4) {
            0 => body[place] = rng.u8(..),
            1 => body[place] ^= 1 << rng.u8(..8),
            2 => body.truncate(place.max(1)),
            _ => body.splice(place..place, [rng.u8(..)]).for_each(drop),
        }
    }
    body.truncate(4_000);
    body
}

/// Broken messages in batches over several connections, each read to its end.
fn send_broken(address: SocketAddr, mut rng: Rng) {
    let golden = golden();
    let mut left = BROKEN / 2;
    while left > 0 {
        let mut stream = TcpStream::connect(address).unwrap();
        let answers = stream.try_clone().unwrap();
        let taking = std::thread::spawn(move || swallow(answers));
        for _ in 0..rng.usize(1..500).min(left) {
            stream.write_all(&framed(&broken(&mut rng, &golden))).unwrap();
            left -= 1;
        }
        stream.shutdown(Shutdown::Write).unwrap();
        taking.join().unwrap();
    }
}

/// Reads until the peer closes; how much came.
fn swallow(mut stream: TcpStream) -> usize {
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let (mut total, mut bytes) = (0, [0; 8192]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return total,
            Ok(read) => total += read,
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it was never closed");
                return total;
            }
        }
    }
}

/// Begins a frame and never ends it: is closed at the deadline.
fn send_half(address: SocketAddr, rng: &mut Rng) {
    let mut stream = TcpStream::connect(address).unwrap();
    let frame = purchase(&pan(1), 999_999, 1).frame();
    let half = &frame[..rng.usize(1..frame.len())];
    if stream.write_all(half).is_ok() {
        assert_eq!(swallow(stream), 0);
    }
}

/// One message over and over, and no answer ever read: is closed at the deadline.
fn flood_without_reading(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    let flood = purchase(&pan(2), 1, 2).frame().repeat(500);
    while let Ok(()) = stream.write_all(&flood) {}
}

/// What no frame may be: empty ones by the thousand, then one above the bound.
fn send_oversized(address: SocketAddr, rng: &mut Rng) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut bytes = vec![0; 10_000];
    bytes.extend_from_slice(&rng.u16(4_097..).to_be_bytes());
    bytes.extend(std::iter::repeat_n(b'0', 200));
    if stream.write_all(&bytes).is_ok() {
        assert_eq!(swallow(stream), 0);
    }
}

#[test]
fn hostile_peers_are_bounded_and_an_honest_one_is_always_answered() {
    let seed = asked("SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (_home, mut running) = served(LIMITS);
    let address = running.link;
    let over = Arc::new(AtomicBool::new(false));
    let honest: Vec<_> = (1..=2_u32)
        .map(|number| {
            let (client, over) = (running.connect(), Arc::clone(&over));
            std::thread::spawn(move || honest(client, number * 300_000, &over))
        })
        .collect();
    let calm = running.resident_kib();
    let peak = Arc::new(AtomicU64::new(0));
    let mut attacks = Vec::new();
    for attack in 0..6 {
        let mut rng = rng.fork();
        attacks.push(std::thread::spawn(move || match attack {
            0 | 1 => send_broken(address, rng),
            2 => (0..10).for_each(|_| send_half(address, &mut rng)),
            3 => (0..2).for_each(|_| flood_without_reading(address)),
            4 => (0..100).for_each(|_| send_oversized(address, &mut rng)),
            _ => (0..1_000).for_each(|_| drop(TcpStream::connect(address).unwrap())),
        }));
    }
    while attacks.iter().any(|attack| !attack.is_finished()) {
        peak.fetch_max(running.resident_kib(), Ordering::Relaxed);
        assert!(running.is_well());
        std::thread::yield_now();
    }
    attacks.into_iter().for_each(|attack| attack.join().unwrap());
    over.store(true, Ordering::Relaxed);
    let answered: u32 = honest.into_iter().map(|client| client.join().unwrap()).sum();
    let grown = peak.load(Ordering::Relaxed).saturating_sub(calm);
    let metrics = ["refused", "unreadable", "ignored", "answers"]
        .map(|name| (name, running.metric(&format!("switch_{name}_total"))));
    eprintln!("{answered} honest answers, {grown} KiB more at the peak, {metrics:?}");
    assert!(running.is_well());
    assert!(answered > 0 && grown < 200 * 1024, "{grown} KiB");
    assert!(metrics.iter().all(|(_, count)| *count > 0.0), "{metrics:?}");
    let counted = metrics[0].1;
    assert!(counted * 2.0 > BROKEN as f64, "most of the broken ones were told so: {metrics:?}");
    assert_eq!(running.control().balance(balance_id(2)).held.0, 0);
    running.stop();
}

/// One purchase after the other, each answered as it must be; how many.
fn honest(mut client: Client, first: u32, over: &AtomicBool) -> u32 {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) || count == 0 {
        let request = purchase(&pan(1), first + count, 1);
        let answer = client.ask(&request);
        let fields = (answer.text(11), answer.text(37), answer.text(39));
        assert_eq!(fields, (request.text(11), request.text(37), "00"));
        count += 1;
    }
    count
}

#[test]
fn more_peers_than_a_link_allows_wait_and_are_served_when_others_leave() {
    let (_home, running) = served("connections_max = 3");
    let mut inside: Vec<Client> = (0..3).map(|_| running.connect()).collect();
    for (stan, client) in (1..).zip(&mut inside) {
        assert_eq!(client.ask(&purchase(&pan(1), stan, 1)).text(39), "00");
    }
    let mut waiting = running.connect();
    assert!(waiting.send(&purchase(&pan(1), 9, 1).frame()));
    assert_eq!(inside[0].ask(&purchase(&pan(1), 1, 1)).text(39), "00");
    inside.remove(0).hang_up();
    assert_eq!(waiting.receive().map(|answer| answer.text(39).to_owned()), Some("00".to_owned()));
}

#[test]
fn a_peer_that_sends_nothing_readable_is_closed_after_its_bound() {
    let (_home, running) = served("unreadable_frames_max = 3");
    let mut client = running.connect();
    for stan in 1..3 {
        for _ in 0..3 {
            assert!(client.send(&framed(b"no message")));
        }
        assert_eq!(client.ask(&purchase(&pan(1), stan, 1)).text(39), "00");
    }
    // One more than the bound, and nothing readable between them.
    for _ in 0..4 {
        client.send(&framed(b"no message"));
    }
    assert_eq!(client.receive_body(), None);
    assert_eq!(running.metric("switch_unreadable_total"), 10.0);
}

#[test]
fn peers_that_take_nothing_do_not_keep_the_switch_from_a_clean_stop() {
    let (home, running) = served("write_deadline_ms = 600000");
    let mut client = running.connect();
    let load: Vec<u8> = (1..=3_000).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
    assert!(client.send(&load));
    (0..3_000).for_each(|_| drop(client.receive_body().unwrap()));
    // Subscribes and never reads, with more events than its socket holds.
    let mut deaf = UnixStream::connect(running.socket()).unwrap();
    for request in [Request::Hello { version: VERSION }, Request::Subscribe { after: Sequence(0) }]
    {
        let frame = postcard::to_stdvec(&request).unwrap();
        deaf.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes()).unwrap();
        deaf.write_all(&frame).unwrap();
    }
    // Half a request for the metrics.
    let mut half = TcpStream::connect(running.metrics).unwrap();
    half.write_all(b"GET /metr").unwrap();
    // Asks, and never takes its answers.
    let mut stuck = TcpStream::connect(running.link).unwrap();
    stuck.set_nonblocking(true).unwrap();
    let flood = purchase(&pan(2), 1, 2).frame().repeat(1_000);
    while stuck.write(&flood).is_ok() {}
    running.stop();
    assert_eq!(home.verify().0, "clean");
}

#[test]
fn a_flood_of_connections_leaves_the_journal_its_files() {
    let home = Home::new("", "");
    let serve = home.command();
    let mut command = Command::new("sh");
    let with_few_files = "ulimit -n 140; exec \"$0\" \"$@\"";
    command.arg("-c").arg(with_few_files).arg(serve.get_program()).args(serve.get_args());
    let mut running = home.start_by(command);
    let mut control = running.control();
    Issuer::found(&mut control).issue(&mut control, Issuer::NO_COLLATERAL, 1, 1_000_000);
    let mut client = running.connect();
    assert_eq!(client.ask(&purchase(&pan(1), 1, 1)).text(39), "00");
    let flood: Vec<TcpStream> =
        (0..160).map(|_| TcpStream::connect(running.link).unwrap()).collect();
    // More records than a segment holds.
    for first in [10_000, 20_000, 30_000] {
        let load: Vec<u8> =
            (first..first + 1_000).flat_map(|stan| purchase(&pan(1), stan, 1).frame()).collect();
        assert!(client.send(&load));
        let answers: Vec<Message> = (0..1_000).map_while(|_| client.receive()).collect();
        assert_eq!(answers.len(), 1_000);
    }
    assert!(running.is_well() && home.journal().join("000000000002.seg").exists());
    drop(flood);
    running.stop();
}

#[test]
fn idle_peers_of_the_metrics_take_no_more_files_than_their_bound() {
    let (_home, running) = served(LIMITS);
    let mut idle: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(running.metrics).unwrap()).collect();
    for peer in &mut idle {
        peer.write_all(b"GET /metrics").unwrap();
    }
    // The honest client's round trips give the listener time to take whatever it would.
    let mut honest = running.connect();
    for stan in 1..200 {
        assert_eq!(honest.ask(&purchase(&pan(1), stan, 1)).text(39), "00");
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().count();
    assert!(open < 80, "{open} files are open");
}
