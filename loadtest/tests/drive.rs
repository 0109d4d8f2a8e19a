//! The generator against peers that answer wrongly on purpose: what is not the one right reply to
//! an outstanding message is counted, and what is right is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;
use loadtest::answers::{Code, Keys};
use loadtest::connection::{Mismatches, Shared, Tally};
use loadtest::drive::{Driven, Pace, Plan, drive};
use loadtest::template::{Payer, Templates};
use loadtest::traffic::{AMOUNT_MAX, Traffic};
use shared::card::YearMonth;
use shared::ids::LinkId;
use shared::iso8583::mti::Version;
use shared::iso8583::{Dialect, Layout, parse, reply};
use shared::pan::Pan;

/// What a peer does wrong with each tenth message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    AnswersTwice,
    ApprovesWhatIsTooMuch,
    ChangesTheAmount,
    ApprovesWithoutCode,
    HangsUp,
}

/// Serves connections for ever, each on a thread of its own.
fn peer(fault: Fault) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // It ends when the generator hangs up.
            std::thread::spawn(move || answer_all(stream, fault).ok());
        }
    });
    Ok(address)
}

fn answer_all(mut stream: TcpStream, fault: Fault) -> anyhow::Result<()> {
    let mut count = 0_u64;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut frame)?;
        count += 1;
        let faulty = if count.is_multiple_of(10) { fault } else { Fault::Nothing };
        if faulty == Fault::HangsUp {
            return Ok(());
        }
        let body = answer(&frame, faulty)?;
        let length = u16::try_from(body.len())?.to_be_bytes();
        let whole = [&length[..], &body].concat();
        let times = if faulty == Fault::AnswersTwice { 2 } else { 1 };
        stream.write_all(&whole.repeat(times))?;
    }
}

fn answer(frame: &[u8], fault: Fault) -> anyhow::Result<Vec<u8>> {
    let dialect = Dialect::iso87_ascii();
    let mut layout = Layout::new();
    let request = parse(dialect, frame, &mut layout)?;
    let mti = request.mti().response().context("a request")?;
    let too_much = request.number(4)?.context("field 4")? > AMOUNT_MAX;
    let approved = !too_much || fault == Fault::ApprovesWhatIsTooMuch;
    let mut set: Vec<(u8, &[u8])> = Vec::new();
    if fault == Fault::ChangesTheAmount {
        set.push((4, b"000000000000"));
    }
    if approved && fault != Fault::ApprovesWithoutCode {
        set.push((38, b"123456"));
    }
    set.push((39, if approved { b"00" } else { b"51" }));
    let mut out = Vec::new();
    reply(dialect, request.received().only(dialect.echo_of(request.mti())), mti, &set, &mut out)?;
    Ok(out)
}

fn driven(fault: Fault, pace: Pace) -> anyhow::Result<Driven> {
    let pan = Pan::parse(b"9999992748610013").context("a number")?;
    let expiry = YearMonth::from_yymm(2912).context("a month")?;
    let payer = Payer { pan: &pan, expiry, track: None };
    let approved = Code::of(b"00").context("a code")?;
    let shared = Shared {
        templates: Templates::new(Dialect::iso87_ascii(), [payer].into_iter(), 978)?,
        traffic: Traffic { seed: 1, cards: 1 },
        keys: Keys::now(LinkId(1), Version::V1987),
        approved,
        plausible: vec![approved],
        tally: Tally {
            latency: hdrhistogram::Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            approved: 0,
            declined: 0,
            mismatches: Mismatches::default(),
            unknown: 0,
        },
    };
    let plan = Plan {
        address: peer(fault)?,
        connections: 2,
        pace,
        duration: Duration::from_millis(500),
        reconnect: fault == Fault::HangsUp,
    };
    Ok(drive(plan, shared)?)
}

const CLOSED: Pace = Pace::Closed { window: 8 };

#[test]
fn right_answers_are_no_mismatch_in_either_loop() -> anyhow::Result<()> {
    for pace in [CLOSED, Pace::Open { rate: 500, seed: 3 }] {
        let Driven { answers, tally, sent, unanswered, .. } = driven(Fault::Nothing, pace)?;
        assert_eq!((tally.mismatches.count, unanswered, tally.unknown), (0, 0, 0), "{pace:?}");
        assert!(sent > 0 && tally.approved > 0, "{pace:?}");
        assert_eq!(tally.approved + tally.declined, sent);
        assert_eq!((answers.received(), tally.latency.len()), (sent, sent));
    }
    Ok(())
}

#[test]
fn an_open_loop_sends_what_is_due_whatever_comes_back() -> anyhow::Result<()> {
    let pace = Pace::Open { rate: 1_000, seed: 3 };
    let due = loadtest::schedule::Arrivals::new(1_000, 3);
    let due = due.take_while(|due| *due < Duration::from_millis(500)).count();
    assert_eq!(driven(Fault::Nothing, pace)?.sent, u64::try_from(due)?);
    Ok(())
}

#[test]
fn every_wrong_answer_is_a_mismatch() -> anyhow::Result<()> {
    for fault in [Fault::AnswersTwice, Fault::ApprovesWhatIsTooMuch, Fault::ApprovesWithoutCode] {
        let Driven { tally, sent, unanswered, .. } = driven(fault, CLOSED)?;
        assert!(sent > 10 && tally.mismatches.count > 0, "{fault:?}");
        assert!(!tally.mismatches.details.is_empty(), "{fault:?}");
        assert_eq!(unanswered, 0, "{fault:?}");
    }
    Ok(())
}

#[test]
fn an_answer_with_another_amount_leaves_its_message_unanswered() -> anyhow::Result<()> {
    let Driven { tally, unanswered, .. } = driven(Fault::ChangesTheAmount, CLOSED)?;
    assert!(unanswered > 0);
    assert_eq!(tally.mismatches.count, unanswered);
    Ok(())
}

#[test]
fn a_lost_connection_is_opened_again_and_its_messages_are_unknown() -> anyhow::Result<()> {
    let Driven { answers, tally, sent, unanswered, .. } = driven(Fault::HangsUp, CLOSED)?;
    assert!(tally.unknown > 0 && tally.approved > 0);
    assert_eq!((tally.mismatches.count, unanswered), (0, 0));
    assert_eq!(answers.received() + tally.unknown, sent);
    Ok(())
}
