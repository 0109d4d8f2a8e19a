//! `switch explain` over the journal that a switch wrote.

use std::process::Output;
use std::time::Instant;

use serde_json::{Value, json};
use shared::command::Change;
use shared::control::{Query, Reply, Request, View};
use shared::ids::{CardId, Sequence};
use shared::ledger::{Retold, Sight};
use shared::lock_code::{LockCode, LockSource};

use super::{ended, squeezed};
use crate::rig::{
    Client, Control, Home, Issuer, Medium, Message, Plastic, Running, WAIT, pan, private, purchase,
    reversal, run,
};

const CARD: u64 = 1;
const MONEY: i64 = 10_000;
const DEPOSIT: i64 = 1_000_000_000_000;
const PIN: &str = "4711";
const HOLDER: &str = "balance 00000000-0000-0000-0000-000000000001";
const PARTNER: &str = "partner balance 00000000-0000-0000-0000-000000000001";

/// What happened to a card on a deposit of 100.00 EUR, each by its place in the journal.
struct Story {
    home: Home,
    pin_set: u64,
    /// 25.00 by chip and PIN, with both tracks.
    approved: u64,
    /// 75.01, and 75.00 are left.
    declined: u64,
    /// The first one again.
    repeated: u64,
    /// Of all of it.
    reversed: u64,
    /// 10.00 over the Internet, with the CVC2.
    keyed: u64,
    /// 6.00 of it, as the last.
    cleared: u64,
    locked: u64,
}

impl Story {
    fn written() -> Self {
        let home = Home::new("", "");
        let running = home.start();
        let story = Self::tell(home, &running);
        running.stop();
        story
    }

    fn tell(home: Home, running: &Running) -> Self {
        let (mut client, mut control) = (running.connect(), running.control());
        Issuer::found(&mut control).issue(&mut control, Issuer::DEPOSIT, CARD, MONEY);
        let card = CardId(CARD);
        let set = Change::SetPin { card, pvv: Plastic::of(CARD).pvv(PIN) };
        let pin_set = changed(&mut control, set);
        let mut ask =
            |message: &Message, code: &str| asked(&mut client, &mut control, message, code);
        let (by_chip, keyed_in) = (by_chip(), keyed_in());
        let approved = ask(&by_chip, "00");
        let declined = ask(&purchase(&pan(CARD), 2, 7_501), "51");
        let repeated = ask(&by_chip.clone().typed("0101"), "00");
        let reversed = ask(&reversal("0420", 3, &bare(&by_chip)), "00");
        let keyed = ask(&keyed_in, "00");
        let clearing = bare(&keyed_in).typed("0220").with(11, "000005");
        let cleared = ask(&clearing.with(4, "000000000600"), "00");
        let lock = (LockCode::SuspectedFraud, LockSource::Partner);
        let locked = changed(&mut control, Change::LockCard { card, code: lock.0, source: lock.1 });
        Self { home, pin_set, approved, declined, repeated, reversed, keyed, cleared, locked }
    }

    /// All of it.
    fn ids(&self) -> [u64; 8] {
        let Self { pin_set, approved, declined, repeated, .. } = self;
        let ids = [*pin_set, *approved, *declined, *repeated];
        let more = [self.reversed, self.keyed, self.cleared, self.locked];
        [ids, more].concat().try_into().unwrap()
    }
}

/// The rows that decide a debit, those of the deposit among them.
const DEBIT_ROWS: [u64; 18] = [4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];

/// Runs `switch explain` on a journal.
fn explain(home: &Home, arguments: &[&str]) -> Output {
    let journal = home.journal();
    run(&[&["explain", "--journal", journal.to_str().unwrap()], arguments].concat())
}

/// What it says to programs, one object a line.
fn told(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let output = explain(home, &[arguments, &["--json"]].concat());
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (0, ""), "{arguments:?}");
    let told: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.iter().all(|told| told["asRecorded"] == true), "{out}");
    told
}

fn told_of(home: &Home, id: u64) -> Value {
    let told = told(home, &[&id.to_string()]);
    assert_eq!((told.len(), &told[0]["transaction"]), (1, &json!(id)));
    told[0].clone()
}

/// What it says to people, a line each.
fn shown(home: &Home, id: u64) -> Vec<String> {
    let output = explain(home, &[&id.to_string()]);
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (0, ""));
    let lines = squeezed(out);
    assert!(lines[0].starts_with(&format!("transaction {id}, ")), "{out}");
    assert!(lines.contains(&"decided again: as recorded".to_owned()), "{out}");
    lines
}

/// Row, whether it passed, and with what it declines.
fn rows(told: &Value) -> Vec<(u64, bool, Option<&str>)> {
    let checks = told["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            let row = check["row"].as_u64().unwrap();
            (row, check["passed"].as_bool().unwrap(), check["reason"].as_str())
        })
        .collect()
}

/// Booked and held of both balances, before and after; what is available follows from them.
fn assert_funds(told: &Value, before: (i64, i64), after: (i64, i64)) {
    let side = |zero: i64, (booked, held): (i64, i64)| {
        let booked = zero + booked;
        json!({ "amount": booked, "held": held, "available": booked - held })
    };
    let of = |account: &str, zero: i64| json!({ "account": account, "before": side(zero, before), "after": side(zero, after) });
    let (holder, deposit) = (of(HOLDER, 0), of(PARTNER, DEPOSIT - MONEY));
    assert_eq!(told["accounts"], json!([holder, deposit]));
}

#[test]
fn an_approval_is_explained_row_by_row_with_both_balances() {
    let story = Story::written();
    let told = told_of(&story.home, story.approved);
    assert_eq!(rows(&told), DEBIT_ROWS.map(|row| (row, true, None)));
    assert_funds(&told, (MONEY, 0), (MONEY, 2_500));
    let answer = json!({
        "description": "APPROVED", "actionCode": "0000",
        "approvalCode": format!("{:06}", story.approved), "detail": "None"
    });
    assert_eq!(told["answer"], answer);
    let lines = shown(&story.home, story.approved);
    for line in [
        "request processing code 000000",
        "amount 2500 EUR",
        "rrn 000000000001",
        "4 processing code known passed processing code 000000",
        "8 card not expired, month as issued passed good to 9912, 9912 stated, ACTIVE",
        "11 credentials right passed verification value Ok, PIN Ok, wrong PINs before: 0",
        "20 holder's balance covers it passed 10000 available, 2500 EUR asked for",
        "answer APPROVED 0000 (DE39 00 / 000 / 0000), None",
        &format!("{HOLDER}: available 10000 -> 7500, held 0 -> 2500, booked 10000 -> 10000"),
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}\n{}", lines.join("\n"));
    }
    let told = told_of(&story.home, story.keyed);
    assert_eq!(rows(&told), DEBIT_ROWS.map(|row| (row, true, None)));
    assert_funds(&told, (MONEY, 0), (MONEY, 1_000));
    let verified = "verification value Ok, PIN Absent, wrong PINs before: 0";
    assert_eq!(told["checks"][8]["inputs"], verified);
}

#[test]
fn a_decline_is_explained_up_to_the_row_that_failed() {
    let story = Story::written();
    let told = told_of(&story.home, story.declined);
    let expected = DEBIT_ROWS.map(|row| match row {
        20 => (20, false, Some("INSUFFICIENT_FUNDS")),
        row => (row, true, None),
    });
    assert_eq!(rows(&told), expected);
    assert_eq!(told["checks"][17]["inputs"], "7500 available, 7501 EUR asked for");
    assert_funds(&told, (MONEY, 2_500), (MONEY, 2_500));
    assert_eq!(told["answer"]["description"], "INSUFFICIENT_FUNDS");
    assert_eq!(told["answer"]["approvalCode"], Value::Null);
    let lines = shown(&story.home, story.declined);
    let failed =
        "20 holder's balance covers it InsufficientFunds 7500 available, 7501 EUR asked for";
    let answer = "answer INSUFFICIENT_FUNDS 1016 (DE39 51 / 116 / 1016), None";
    for line in [failed, answer] {
        assert!(lines.contains(&line.to_owned()), "{line}\n{}", lines.join("\n"));
    }
}

#[test]
fn a_repeat_is_explained_by_the_decision_that_it_hears_again() {
    let story = Story::written();
    let told = told_of(&story.home, story.repeated);
    assert_eq!(rows(&told), [(2, true, None), (3, true, None)]);
    let of = story.approved;
    let inputs = [0, 1].map(|at| told["checks"][at]["inputs"].as_str().unwrap());
    assert_eq!(inputs[0], format!("the key is that of transaction {of}, Authorized"));
    assert_eq!(inputs[1], format!("a repeat of transaction {of}: its decision again"));
    assert_funds(&told, (MONEY, 2_500), (MONEY, 2_500));
    assert_eq!(told["answer"]["approvalCode"], format!("{of:06}"));
    assert_eq!((&told["message"]["marked"], &told["effects"]), (&json!("repeat"), &json!([])));
    shown(&story.home, story.repeated);
}

#[test]
fn a_reversal_and_a_clearing_name_the_transaction_that_they_are_about() {
    let story = Story::written();
    let told = told_of(&story.home, story.reversed);
    let found = format!("takes back transaction {}, Authorized", story.approved);
    assert_eq!(told["checks"], json!([{ "found": found }]));
    assert_funds(&told, (MONEY, 2_500), (MONEY, 0));
    assert_eq!(told["answer"]["description"], "REVERSAL_ACCEPTED");
    assert!(shown(&story.home, story.reversed).contains(&format!("- {found}")));

    let told = told_of(&story.home, story.cleared);
    let found = format!("reports on transaction {}, Authorized", story.keyed);
    assert_eq!(told["checks"], json!([{ "found": found }]));
    assert_funds(&told, (MONEY, 1_000), (MONEY - 600, 0));
    assert_eq!(told["answer"]["description"], "ADVICE_RECORDED");
    assert!(shown(&story.home, story.cleared).contains(&format!("- {found}")));
}

#[test]
fn a_change_over_the_control_link_is_explained_by_what_it_changed() {
    let story = Story::written();
    let told = told_of(&story.home, story.locked);
    let change = "LockCard { card: CardId(1), code: SuspectedFraud, source: Partner }";
    assert_eq!(told["message"]["change"], change);
    assert_eq!(told["answer"], json!({ "outcome": "done" }));
    assert_eq!((&told["checks"], &told["accounts"]), (&json!([]), &json!([])));
    assert!(told["effects"][0].as_str().unwrap().starts_with("CardChanged("), "{told}");
    let lines = shown(&story.home, story.locked);
    assert!(lines.contains(&format!("change {change}")), "{}", lines.join("\n"));
    assert!(lines.contains(&"answer done".to_owned()));
}

#[test]
fn all_messages_of_an_rrn_are_explained_in_their_order() {
    let story = Story::written();
    let check = |rrn: &str, ids: &[u64]| {
        let told = told(&story.home, &["--rrn", rrn]);
        let found: Vec<u64> = told.iter().map(|t| t["transaction"].as_u64().unwrap()).collect();
        assert_eq!(found, ids, "{rrn}");
        for (told, id) in told.iter().zip(ids) {
            assert_eq!(*told, told_of(&story.home, *id));
        }
    };
    check("000000000001", &[story.approved, story.repeated, story.reversed]);
    check("000000000002", &[story.declined]);
    check("000000000004", &[story.keyed, story.cleared]);
    let output = explain(&story.home, &["--rrn", "000000000001"]);
    let heads = ended(&output).1.lines().filter(|line| line.starts_with("transaction ")).count();
    assert_eq!(heads, 3);
}

#[test]
fn what_is_not_in_the_journal_is_no_success() {
    let story = Story::written();
    let check = |arguments: &[&str], expected: i32, says: &str| {
        let output = explain(&story.home, arguments);
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (expected, ""), "{arguments:?}");
        assert!(err.contains(says), "{err}");
    };
    let beyond = (story.locked + 1).to_string();
    let none = format!("the journal has no transaction {beyond}");
    check(&[&beyond], 1, &none);
    check(&[&beyond, "--json"], 1, &none);
    check(&["0"], 1, "the journal has no transaction 0");
    check(&[&u64::MAX.to_string()], 1, "the journal has no transaction");
    check(&["--rrn", "NEVER SENT"], 1, "no message in the journal has this RRN");
    check(&[], 2, "<ID>");
    check(&["1", "--rrn", "000000000001"], 2, "cannot be used with");
    check(&["first"], 2, "invalid value");
}

#[test]
fn a_journal_is_explained_while_its_switch_runs() {
    let home = Home::new("", "");
    let running = home.start();
    let story = Story::tell(home, &running);
    let told = told_of(&story.home, story.approved);
    assert_eq!(rows(&told), DEBIT_ROWS.map(|row| (row, true, None)));
    running.stop();
    assert_eq!(told_of(&story.home, story.approved), told);
}

#[test]
fn nothing_that_verifies_a_card_or_its_holder_is_explained() {
    let story = Story::written();
    let (plastic, pan) = (Plastic::of(CARD), pan(CARD));
    let (block, cvc2) = (plastic.iso0(PIN), plastic.cvc2(0));
    let upper = block.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}"));
    let bytes = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let tracks = [plastic.track_2(Medium::Chip), plastic.track_1(Medium::Chip)];
    let behind_separator = tracks[0].split('=').nth(1).unwrap().to_owned();
    let mut secrets = vec![bytes(&block), bytes(pan.as_bytes()), bytes(tracks[0].as_bytes())];
    secrets.extend([upper.to_ascii_lowercase(), upper, behind_separator, pan]);
    secrets.extend(tracks);
    secrets.push(private(&[("92", &cvc2)]));
    for id in story.ids() {
        for form in [&[][..], &["--json"]] {
            let output = explain(&story.home, &[&[&*id.to_string()][..], form].concat());
            let (code, out, err) = ended(&output);
            assert_eq!((code, err), (0, ""));
            for secret in &secrets {
                assert!(!out.contains(secret), "transaction {id} shows {secret}: {out}");
            }
            // A time may have such digits.
            let time = told_of(&story.home, id)["time"].as_str().unwrap().to_owned();
            let rest = out.replace(&time, "");
            let mut words = rest.split(|character: char| !character.is_alphanumeric());
            assert!(!words.any(|word| word == cvc2 || word == PIN), "transaction {id}: {out}");
        }
    }
}

fn changed(control: &mut Control, change: Change) -> u64 {
    let id = u128::from(control.status().last_sequence.0) << 70;
    assert_eq!(control.change(id, change).result, Ok(()));
    control.status().last_sequence.0
}

fn asked(client: &mut Client, control: &mut Control, message: &Message, code: &str) -> u64 {
    assert_eq!(client.ask(message).text(39), code, "{message:?}");
    control.status().last_sequence.0
}

fn by_chip() -> Message {
    let plastic = Plastic::of(CARD);
    let mut message = purchase(&pan(CARD), 1, 2_500)
        .with(35, &plastic.track_2(Medium::Chip))
        .with(45, &plastic.track_1(Medium::Chip));
    message.fields.insert(52, plastic.iso0(PIN));
    message
}

fn keyed_in() -> Message {
    let value = Plastic::of(CARD).cvc2(0);
    purchase(&pan(CARD), 4, 1_000)
        .with(22, "811")
        .with(14, "9912")
        .with(48, &private(&[("61", "1"), ("92", &value)]))
}

/// Without what verifies the holder.
fn bare(message: &Message) -> Message {
    message.clone().without(35).without(45).without(48).without(52)
}

/// Asks over the control link until it is decided again.
fn retold(control: &mut Control, id: u64) -> Option<Retold> {
    let until = Instant::now() + WAIT;
    loop {
        control.send(&Request::Query { request: id, query: Query::Retold(Sequence(id)) });
        match control.receive().unwrap() {
            Reply::Busy { request } => assert!(request == id && Instant::now() < until),
            Reply::View { request, view } => {
                assert_eq!(request, id);
                return view.map(|view| *view.into_retold().unwrap());
            }
            other @ (Reply::Welcome { .. }
            | Reply::Rejected { .. }
            | Reply::Outcome { .. }
            | Reply::Event(_)
            | Reply::Question(_)) => panic!("{other:?}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_control_link_tells_the_same_beside_live_traffic() {
    let home = Home::new("", "");
    let running = home.start();
    let story = Story::tell(home, &running);
    let mut control = running.control();
    for id in story.ids() {
        let retold = retold(&mut control, id).unwrap();
        let told = told_of(&story.home, id);
        assert!(retold.as_recorded, "{id}");
        let rows = retold.sights.iter().filter_map(|sight| match sight {
            Sight::Check { row, passed, .. } => Some(json!([row, passed])),
            Sight::Found(_) => None,
        });
        let checks = told["checks"].as_array().unwrap().iter();
        let checks = checks.filter(|check| check["row"].is_number());
        let checks: Vec<_> = checks.map(|check| json!([check["row"], check["passed"]])).collect();
        assert_eq!(rows.collect::<Vec<_>>(), checks, "{id}");
        let booked = retold.accounts.iter().map(|touched| json!(touched.after.ledger.0));
        let told = told["accounts"].as_array().unwrap().iter();
        let told: Vec<_> = told.map(|account| account["after"]["amount"].clone()).collect();
        assert_eq!(booked.collect::<Vec<_>>(), told, "{id}");
        // Asked again, it is there.
        let query = Query::Retold(Sequence(id));
        assert!(matches!(control.query(query), Some(View::Retold(again)) if *again == retold));
    }
    assert_eq!(retold(&mut control, 0), None);
    let last = control.status().last_sequence.0;
    assert_eq!(retold(&mut control, last + 1), None);
    assert!(retold(&mut control, last).is_some());
    running.stop();
}

#[test]
fn what_stands_too_far_behind_is_not_explained_beside_live_traffic() {
    let home = Home::new("", "[control]\nexplained_max = 2\n");
    let running = home.start();
    let mut control = running.control();
    Issuer::found(&mut control);
    assert!(retold(&mut control, 2).is_some());
    assert_eq!(retold(&mut control, 3), None);
    running.stop();
}
