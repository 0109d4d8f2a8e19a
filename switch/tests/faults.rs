//! The machine fails under the switch: it is killed at a system call of its choice, or a call
//! returns an error. By `strace`, where there is one.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use shared::command::Command as Journaled;
use shared::journal_record::Record;
use switch::journal::frame;
use switch::journal::mark::MarkFile;
use switch::journal::scan::scan;
use switch::journal::segment::{HEADER_BYTES, Header};

use crate::rig::{
    Client, Home, Issuer, Message, Plastic, Running, asked, balance_id, pan, purchase, take_over,
};

/// Every call that changes a disk.
const WRITING: [&str; 5] = ["pwrite64", "ftruncate", "fsync", "fdatasync", "rename"];
/// Those that say when it is on the disk.
const SYNCING: [&str; 2] = ["fsync", "fdatasync"];

/// Whether there is an `strace` that may trace; says so where not.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-D", "true"]).stderr(Stdio::null()).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        assert!(
            std::env::var_os("TEST_NO_SKIP").is_none(),
            "no strace, and nothing may be skipped"
        );
        eprintln!("skipped: no strace here");
    }
    can
}

/// The switch, with one fault injected into these system calls.
fn with_fault(home: &Home, calls: &str, fault: &str) -> Command {
    let serve = home.command();
    let mut command = Command::new("strace");
    // The tracer stands aside, so that the child is the switch itself.
    command.args(["-f", "-D", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    command.arg("-e").arg(format!("inject={calls}:{fault}"));
    command.arg(serve.get_program()).args(serve.get_args());
    command
}

/// How an earlier process left a folder.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// By a clean stop.
    Closed,
    /// By a kill; behind the last record lies a write that never completed.
    Torn,
}

/// A folder with a few records, and their answers.
fn left_behind(how: Left) -> (Home, Vec<Message>) {
    let home = Home::new("", "");
    let running = home.start();
    let mut control = running.control();
    Issuer::found(&mut control).issue(&mut control, Issuer::NO_COLLATERAL, 1, 1_000_000);
    let mut client = running.connect();
    let answers: Vec<Message> =
        (1..=3).map(|stan| client.ask(&purchase(&pan(1), stan, 1))).collect();
    if matches!(how, Left::Closed) {
        running.stop();
        return (home, answers);
    }
    running.kill();
    let file = home.journal().join("000000000001.seg");
    let mut bytes = std::fs::read(&file).unwrap();
    let salt = Header::decode(&bytes).unwrap().salt;
    let mut used = HEADER_BYTES;
    while let Ok(frame) = frame::read(&bytes[used..], salt) {
        used += frame.length;
    }
    bytes[used..used + 1_000].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    (home, answers)
}

/// Serves a few messages and stops; the answers that came.
fn a_short_life(command: Command, home: &Home) -> (Vec<Message>, Option<std::process::ExitStatus>) {
    let Ok(running) = home.try_start(command) else { return (Vec::new(), None) };
    let mut client = running.connect();
    let mut answers = Vec::new();
    for stan in 4..=8 {
        if !client.send(&purchase(&pan(1), stan, 1).frame()) {
            break;
        }
        match client.receive() {
            Some(answer) => answers.push(answer),
            None => break,
        }
    }
    // It may have gone already.
    client.hang_up();
    running.ask_to_stop();
    (answers, Some(running.ended().0))
}

/// Every answer is in the journal, and the journal can be served from; how many requests stand
/// there that were not answered.
fn check_kept(home: &Home, answers: &[Message], when: &str) -> usize {
    let mut approved = Vec::new();
    let mark = MarkFile::read(&home.journal()).unwrap();
    let scanned = scan(&home.journal(), mark, &mut |frame| {
        let record = Record::decode(frame.payload).map_err(|error| error.to_string())?;
        if let Journaled::Authorize(request) = record.command {
            approved.push(request.key.stan);
        }
        Ok(())
    });
    scanned.unwrap_or_else(|error| panic!("{when}: {error}"));
    for answer in answers {
        let stan: u64 = answer.text(11).parse().unwrap();
        assert_eq!(answer.text(39), "00", "{when}");
        assert_eq!(approved.iter().filter(|found| **found == stan).count(), 1, "{when}: {stan}");
    }
    let recovered = take_over(&home.journal()).unwrap_or_else(|error| panic!("{when}: {error}"));
    let held: i64 = recovered.ledger.balances().map(|(_, _, _, held)| held.0).sum();
    let forgiven = approved.iter().filter(|stan| **stan > 3).count();
    assert!((3..=3 + forgiven).contains(&usize::try_from(held).unwrap()), "{when}: {held} held");
    approved.len() - answers.len()
}

/// How one life went.
struct Life<'a> {
    when: &'a str,
    /// Every request was answered before the end.
    told_all: bool,
    /// Requests in the journal without an answer.
    unanswered: usize,
}

/// One life for each time that a thread makes the call, until none makes it that often. The short
/// form takes one in four.
fn at_every(call: &str, fault: &str, check: impl Fn(Option<std::process::ExitStatus>, &Life<'_>)) {
    let step = if asked("FAULTS").is_some() { 1 } else { 4 };
    let mut lives = 0;
    for how in [Left::Closed, Left::Torn] {
        for when in (1 + fastrand::usize(..step)..).step_by(step) {
            let (home, mut answers) = left_behind(how);
            let what = format!("{how:?}, {call} {when}: {fault}");
            let command = with_fault(&home, call, &format!("{fault}:when={when}"));
            let (further, ended) = a_short_life(command, &home);
            let told_all = further.len() == 5;
            answers.extend(further);
            let unanswered = check_kept(&home, &answers, &what);
            lives += 1;
            if ended.is_some_and(|status| status.success()) {
                break;
            }
            check(ended, &Life { when: &what, told_all, unanswered });
        }
    }
    eprintln!("{call}: {fault}: {lives} lives");
}

#[test]
fn a_kill_at_any_write_leaves_a_journal_that_serves() {
    for call in WRITING.into_iter().filter(|_| can_trace()) {
        at_every(call, "signal=KILL", |ended, Life { when, .. }| {
            let signal = ended.map(|status| status.signal());
            assert!(matches!(signal, None | Some(Some(9))), "{when}: {ended:?}");
        });
    }
}

#[test]
fn a_failed_sync_or_write_ends_the_process_and_sends_no_answer_of_its_group() {
    let faults = SYNCING.map(|call| (call, "error=EIO"));
    let full = WRITING.map(|call| (call, "error=ENOSPC"));
    for (call, fault) in faults.into_iter().chain(full).filter(|_| can_trace()) {
        at_every(call, fault, |ended, Life { when, told_all, unanswered }| {
            let code = ended.map(|status| status.code());
            assert!(matches!(code, None | Some(Some(3))), "{when}: {ended:?}");
            // The kernel has the record whose sync failed, and nobody may have heard of it.
            if call == "fdatasync" && ended.is_some() && !told_all {
                assert_eq!(*unanswered, 1, "{when}");
            }
        });
    }
}

fn wait_for_answers(running: &Running, count: f64) {
    let deadline = std::time::Instant::now() + crate::rig::WAIT;
    while running.metric("switch_answers_total") < count {
        assert!(std::time::Instant::now() < deadline, "it was decided");
    }
}

/// Every sync takes this long, in microseconds.
fn slow_disk(home: &Home, micros: u64) -> Running {
    home.start_by(with_fault(home, "fdatasync", &format!("delay_enter={micros}")))
}

#[test]
fn an_approval_that_one_connection_received_is_held_though_another_lost_its_answer() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    let running = slow_disk(&home, 300_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let (mut first, mut second) = (running.connect(), running.connect());
    let request = purchase(&pan(1), 50, 100);
    assert!(first.send(&request.frame()));
    wait_for_answers(&running, 1.0);
    assert!(second.send(&request.clone().typed("0101").frame()));
    first.reset();
    let answer = second.receive().unwrap();
    let held = running.control().balance(balance_id(1)).held.0 - before;
    assert_eq!((answer.text(39), held), ("00", 100));
    assert_eq!(running.connect().ask(&request), answer, "and it stays answered so");
}

#[test]
fn a_repeat_with_another_time_keeps_the_approval_that_it_received() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    let running = slow_disk(&home, 300_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let (mut first, mut second) = (running.connect(), running.connect());
    let request = purchase(&pan(1), 50, 100);
    assert!(first.send(&request.frame()));
    wait_for_answers(&running, 1.0);
    // Another transmission time: another key, the same references.
    assert!(second.send(&request.clone().typed("0101").with(7, "0314092702").frame()));
    first.reset();
    assert_eq!(second.receive().unwrap().text(39), "00");
    assert_eq!(running.control().balance(balance_id(1)).held.0 - before, 100);
}

#[test]
fn an_approval_whose_every_answer_was_lost_holds_nothing() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    let running = slow_disk(&home, 300_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let (mut first, mut second) = (running.connect(), running.connect());
    let request = purchase(&pan(1), 50, 100);
    assert!(first.send(&request.frame()));
    assert!(second.send(&request.clone().typed("0101").frame()));
    wait_for_answers(&running, 2.0);
    first.reset();
    second.reset();
    let deadline = std::time::Instant::now() + crate::rig::WAIT;
    while running.metric("switch_voided_total") < 1.0 {
        assert!(std::time::Instant::now() < deadline, "it was voided");
    }
    assert_eq!(running.control().balance(balance_id(1)).held.0, before);
}

#[test]
fn an_answer_that_reached_nobody_holds_nothing() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    let running = slow_disk(&home, 300_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let mut client: Client = running.connect();
    assert!(client.send(&purchase(&pan(1), 50, 100).frame()));
    wait_for_answers(&running, 1.0);
    client.reset();
    let deadline = std::time::Instant::now() + crate::rig::WAIT;
    while running.metric("switch_voided_total") < 1.0 {
        assert!(std::time::Instant::now() < deadline, "it was voided");
    }
    assert_eq!(running.control().balance(balance_id(1)).held.0, before);
    assert_eq!(running.connect().ask(&purchase(&pan(1), 50, 100)).text(39), "05");
}

/// In write-behind the answer to `request`, and that to its repeat on another connection, come when
/// its record is on the disk.
fn is_on_the_disk_before_anybody_hears_of_it(request: &Message, code: &str) {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    home.configure("mode = \"write-behind\"", "");
    let running = slow_disk(&home, 400_000);
    let (mut first, mut second) = (running.connect(), running.connect());
    assert!(first.send(&request.frame()));
    wait_for_answers(&running, 1.0);
    let decided = running.metric("switch_last_sequence");
    let repeat = format!("{}1", &request.mti[..3]);
    assert!(second.send(&request.clone().typed(&repeat).frame()));
    for client in [&mut first, &mut second] {
        assert_eq!(client.receive().expect("an answer comes").text(39), code);
        assert!(running.metric("switch_durable_sequence") >= decided);
    }
}

#[test]
fn a_wrong_pin_is_on_the_disk_before_anybody_hears_of_it() {
    let mut request = purchase(&pan(1), 50, 100);
    request.fields.insert(52, Plastic::of(1).iso0("1234"));
    is_on_the_disk_before_anybody_hears_of_it(&request, "55");
}

#[test]
fn a_financial_message_is_on_the_disk_before_anybody_hears_of_it() {
    let request = purchase(&pan(1), 50, 100).typed("0200");
    is_on_the_disk_before_anybody_hears_of_it(&request, "00");
}

#[test]
fn a_peer_that_has_said_its_last_word_still_gets_its_answers() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    let running = slow_disk(&home, 300_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let mut client = running.connect();
    let load: Vec<u8> = (50..60).flat_map(|stan| purchase(&pan(1), stan, 10).frame()).collect();
    // What is begun and never ended asks for nothing.
    assert!(client.send(&load) && client.send(&load[..20]));
    client.finish();
    for stan in 50..60 {
        let answer = client.receive().expect("an answer comes");
        assert_eq!((answer.text(11), answer.text(39)), (&*format!("{stan:06}"), "00"));
    }
    assert_eq!(client.receive(), None);
    assert_eq!(running.control().balance(balance_id(1)).held.0 - before, 100);
    assert_eq!(running.metric("switch_voided_total"), 0.0);
}

#[test]
fn a_peer_that_sends_no_more_is_not_kept_beyond_the_reply_deadline() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    home.configure("", "reply_deadline_ms = 50");
    let running = slow_disk(&home, 700_000);
    let before = running.control().balance(balance_id(1)).held.0;
    let mut client = running.connect();
    assert!(client.send(&purchase(&pan(1), 50, 100).frame()));
    client.finish();
    assert_eq!(client.receive(), None);
    assert_eq!(running.metric("switch_voided_total"), 1.0);
    assert_eq!(running.control().balance(balance_id(1)).held.0, before);
}

#[test]
fn a_stalled_disk_makes_peers_wait_and_none_is_blamed_for_it() {
    if !can_trace() {
        return;
    }
    let (home, _) = left_behind(Left::Closed);
    home.configure("segment_bytes = 16777216", "frame_deadline_ms = 100");
    let running = slow_disk(&home, 700_000);
    let mut client = running.connect();
    // More than one connection may have waiting, so that reading stops within a frame.
    let count = 20_000;
    let load = purchase(&pan(1), 60, 1).frame().repeat(count);
    assert!(client.send(&load), "it was closed for a frame that nobody read");
    for place in 0..count {
        let answer = client.receive().unwrap_or_else(|| panic!("closed after {place} answers"));
        assert_eq!(answer.text(39), "00");
    }
}
