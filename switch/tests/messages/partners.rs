//! Money that is with the partner: the message waits for its answer, in every dialect and through
//! every end of a connection or a process; nothing else waits for it.

use shared::command::{PartnerAnswer, PartnerRefusal};
use shared::money::Amount;

use super::{APPROVED, Code, Line, MONEY, NO_FUNDS, TAKEN_BACK, deposit, served};
use crate::rig::{
    Client, Control, Home, Issuer, Message, Running, balance_id, framed, pan, purchase, reversal,
};

const SILENT: Code = ["05", "100", "1000"];
const FRAUD: Code = ["59", "102", "1002"];
/// Nothing takes this long here.
const LONG_MS: u16 = 10_000;
/// The card whose money is with the partner.
const CARD: u64 = 20;

/// A switch with that card, its partner having `answer_ms`.
fn entrusted(answer_ms: u16) -> (Home, Running, Control) {
    let home = Home::new("mode = \"durable\"", "");
    let running = home.start();
    let mut control = running.control();
    let issuer = Issuer::found(&mut control);
    issuer.entrust(&mut control, CARD, answer_ms);
    issuer.issue(&mut control, Issuer::NO_COLLATERAL, 1, MONEY);
    (home, running, control)
}

fn taker(running: &Running) -> Control {
    let mut control = running.control();
    control.take_questions();
    control
}

fn held(control: &mut Control) -> (i64, i64) {
    let view = control.balance(balance_id(CARD));
    assert_eq!(view.ledger.0, 0, "nothing is ever booked on it here");
    assert_eq!(deposit(control).held.0, view.held.0);
    (view.held.0, deposit(control).ledger.0)
}

fn code(client: &mut Client) -> (String, String) {
    let answer = client.receive().unwrap();
    (answer.text(11).to_owned(), answer.text(39).to_owned())
}

fn said(stan: u32, code: &str) -> (String, String) {
    (format!("{stan:06}"), code.to_owned())
}

fn send(line: &mut Line, message: &Message) {
    assert!(line.client.send(&framed(&message.body_in(line.notation.dialect))));
}

#[test]
fn a_request_waits_for_the_partner_and_others_do_not_wait_for_it() {
    let (_home, running) = served("mode = \"durable\"", "");
    let mut control = running.control();
    Issuer.entrust(&mut control, CARD, LONG_MS);
    let mut partner = taker(&running);
    super::for_every_dialect(&running, |line| {
        let own = line.card;
        line.card = CARD;
        let asked = line.request("0100", 700);
        line.card = own;
        send(line, &asked);
        let question = partner.question().unwrap();
        assert_eq!(question.message.transaction.amount, Amount(700));
        assert_eq!(question.waiting.authorised, Amount(700));
        assert_eq!((question.card.0, question.balance), (CARD, balance_id(CARD)));
        assert_eq!(question.partner.0, 1);
        // Meanwhile, on the same connection.
        let other = line.request("0100", 1);
        line.expect(&other, APPROVED);
        partner.answer(&question, PartnerAnswer::Agreed);
        let answer = line.client.receive().unwrap();
        assert_eq!(answer.text(11), asked.text(11));
        assert_eq!(answer.text(39), line.notation.of(APPROVED));
        assert!(answer.fields.contains_key(&38));
        // A repeat hears the same.
        assert_eq!(line.client.ask(&line.typed(&asked, "0101")), answer);
        for (refusal, told) in
            [(PartnerRefusal::InsufficientFunds, NO_FUNDS), (PartnerRefusal::FraudsDetected, FRAUD)]
        {
            line.card = CARD;
            let asked = line.request("0200", 800);
            line.card = own;
            send(line, &asked);
            let question = partner.question().unwrap();
            partner.answer(&question, PartnerAnswer::Declined(refusal));
            let answer = line.client.receive().unwrap();
            assert_eq!(answer.text(39), line.notation.of(told));
            assert!(!answer.fields.contains_key(&38));
        }
        line.card = CARD;
        let inquiry = line.request("0100", 0).with(3, "310000");
        line.card = own;
        send(line, &inquiry);
        let question = partner.question().unwrap();
        partner.answer(&question, PartnerAnswer::Has(Amount(123_456)));
        let answer = line.client.receive().unwrap();
        assert!(answer.text(54).contains("C000000123456"), "{answer:?}");
        line.card = CARD;
        let back = line.reversal("0400", &asked);
        line.card = own;
        line.expect(&back, TAKEN_BACK);
    });
    assert_eq!(control.balance(balance_id(CARD)).held.0, 0);
    running.stop();
}

#[test]
fn silence_is_told_in_time_and_nobody_to_ask_at_once() {
    let (_home, running, mut control) = entrusted(200);
    let mut client = running.connect();
    let partner = taker(&running);
    let answer = client.ask(&purchase(&pan(CARD), 1, 700));
    assert_eq!(answer.text(39), SILENT[0]);
    assert_eq!(held(&mut control).0, 0);
    drop(partner);
    let (_other_home, running, mut control) = entrusted(LONG_MS);
    let mut client = running.connect();
    let answer = client.ask(&purchase(&pan(CARD), 1, 700));
    assert_eq!(answer.text(39), SILENT[0]);
    assert_eq!(held(&mut control).0, 0);
    running.stop();
}

#[test]
fn a_repeat_waits_beside_its_request_and_both_hear_the_answer() {
    let (_home, running, mut control) = entrusted(LONG_MS);
    let mut partner = taker(&running);
    let (mut client, mut other) = (running.connect(), running.connect());
    let request = purchase(&pan(CARD), 1, 700);
    assert!(client.send(&request.frame()));
    let question = partner.question().unwrap();
    let repeat = request.clone().typed("0101");
    assert!(client.send(&repeat.frame()) && other.send(&repeat.frame()));
    let conflict = request.clone().with(4, "000000000701");
    assert_eq!(client.ask(&conflict).text(39), "94");
    // The other connection's repeat has been read when its echo is answered.
    let echo = Message::new("0800", &[(7, "0314092653"), (11, "000009"), (70, "301")]);
    assert_eq!(other.ask(&echo).text(39), "00");
    partner.answer(&question, PartnerAnswer::Agreed);
    let answers = [client.receive(), client.receive(), other.receive()].map(Option::unwrap);
    assert!(answers.iter().all(|it| (it.text(39), it.text(38)) == ("00", answers[0].text(38))));
    assert_eq!(held(&mut control).0, 700);
    // One of those who were told has it, whatever becomes of the others.
    client.reset();
    other.hang_up();
    assert_eq!(held(&mut control).0, 700);
    running.stop();
}

#[test]
fn an_approval_that_nobody_waits_for_any_more_is_taken_back() {
    let (_home, running, mut control) = entrusted(LONG_MS);
    let mut partner = taker(&running);
    let mut gone = running.connect();
    assert!(gone.send(&purchase(&pan(CARD), 1, 700).frame()));
    let question = partner.question().unwrap();
    gone.reset();
    let mut seen = running.connect();
    while running.metric("switch_link_connections") > 1.0 {
        std::thread::yield_now();
    }
    partner.answer(&question, PartnerAnswer::Agreed);
    while running.metric("switch_voided_total") < 1.0 {
        std::thread::yield_now();
    }
    assert_eq!(held(&mut control).0, 0);
    assert_eq!(seen.ask(&purchase(&pan(CARD), 1, 700)).text(39), "05", "it was taken back");
    running.stop();
}

#[test]
fn a_reversal_that_overtakes_the_partner_declines_the_request() {
    let (_home, running, mut control) = entrusted(LONG_MS);
    let mut partner = taker(&running);
    let mut client = running.connect();
    let request = purchase(&pan(CARD), 1, 700);
    assert!(client.send(&request.frame()));
    let question = partner.question().unwrap();
    assert!(client.send(&reversal("0400", 2, &request).frame()));
    assert_eq!(code(&mut client), said(2, "00"));
    assert_eq!(code(&mut client), said(1, "05"));
    partner.answer(&question, PartnerAnswer::Agreed);
    assert_eq!(client.ask(&request).text(39), "05");
    assert_eq!(held(&mut control).0, 0);
    running.stop();
}

#[test]
fn a_stop_waits_for_the_partner_and_a_crash_declines() {
    let (home, running, _control) = entrusted(2_000);
    let mut partner = taker(&running);
    let mut client = running.connect();
    assert!(client.send(&purchase(&pan(CARD), 1, 700).frame()));
    let question = partner.question().unwrap();
    running.ask_to_stop();
    partner.answer(&question, PartnerAnswer::Agreed);
    assert_eq!(code(&mut client), said(1, "00"));
    assert!(client.receive().is_none());
    let (status, log) = running.ended();
    assert!(status.success(), "{log}");

    let running = home.start();
    let mut partner = taker(&running);
    let mut client = running.connect();
    assert!(client.send(&purchase(&pan(CARD), 2, 100).frame()));
    let question = partner.question().unwrap();
    running.kill();
    let running = home.start();
    let mut control = running.control();
    // It is not asked again; its time ends it.
    let mut partner = taker(&running);
    while control.balance(balance_id(CARD)).held.0 > 700 {
        std::thread::yield_now();
    }
    partner.answer(&question, PartnerAnswer::Agreed);
    let mut client = running.connect();
    assert_eq!(client.ask(&purchase(&pan(CARD), 2, 100)).text(39), SILENT[0]);
    assert_eq!(held(&mut control), (700, 1_000_000_000_000));
    running.stop();
}

#[test]
fn a_yes_after_a_crash_finds_nobody_who_waits_and_is_taken_back() {
    let (home, running, _control) = entrusted(LONG_MS);
    let mut partner = taker(&running);
    let mut client = running.connect();
    assert!(client.send(&purchase(&pan(CARD), 1, 700).frame()));
    let question = partner.question().unwrap();
    running.kill();
    let running = home.start();
    let mut control = running.control();
    assert_eq!(held(&mut control).0, 700);
    taker(&running).answer(&question, PartnerAnswer::Agreed);
    while control.balance(balance_id(CARD)).held.0 > 0 {
        std::thread::yield_now();
    }
    running.stop();
}
