//! File actions, administrative and network messages, types that nobody takes, broken messages.

use shared::command::Change;
use shared::control::{CardView, Query, View};
use shared::lock_code::{LockCode, LockSource};

use super::{
    APPROVED, Code, ECHO, FORMAT, Line, MONEY, UNKNOWN_TYPE, for_every_dialect, in_every_dialect,
    served,
};
use crate::rig::{Message, framed, pan};

const LOCK_CHANGED: Code = ["00", "300", "3000"];
const LOCK_NO_CARD: Code = ["25", "302", "3002"];
const LOCK_REFUSED: Code = ["29", "306", "3006"];
const NOTED: Code = ["00", "600", "6000"];
const NETWORK_DONE: Code = ["00", "800", "8000"];
const INOPERATIVE: Code = ["91", "907", "9107"];

/// A file action on the line's card: DE91, and what DE120 begins with.
fn file_action(line: &mut Line, mti: &str, action: &str, record: &str) -> Message {
    let (pan, stan) = (pan(line.card), line.next_stan());
    let stan = line.notation.stan(stan);
    let mti = line.notation.mti(mti);
    let fields = [(2, &*pan), (7, "0314092653"), (11, &stan), (91, action), (101, "CARDS")];
    let message = Message::new(&mti, &fields);
    if record.is_empty() { message } else { message.with(120, record) }
}

fn card(line: &mut Line) -> CardView {
    let card = line.card_id();
    match line.control.query(Query::Card(card)) {
        Some(View::Card(view)) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_network_locks_and_unlocks_a_card_from_outside() {
    in_every_dialect("lock_outside = true", |line| {
        for (mti, record, lock, code) in [
            ("0300", "3", LockCode::PendingQuery, ["05", "100", "1000"]),
            ("0302", "7 suspected by the network", LockCode::SuspectedFraud, ["59", "102", "1002"]),
            ("0304", "6", LockCode::PinTriesExceeded, ["75", "106", "1006"]),
        ] {
            let set = file_action(line, mti, "1", record);
            let answer = line.client.ask(&set);
            let changed = line.notation.of(LOCK_CHANGED);
            assert_eq!(answer.mti, line.notation.mti(&format!("031{}", &mti[3..])));
            assert_eq!(
                (answer.text(39), answer.text(91), answer.text(101)),
                (changed, "1", "CARDS")
            );
            let found = card(line).lock.unwrap();
            assert_eq!((found.code, found.source), (lock, LockSource::Outside));
            let declined = line.request("0100", 100);
            line.expect(&declined, code);
        }
        let lift = file_action(line, "0302", "3", "");
        let answer = line.client.ask(&lift);
        assert_eq!((answer.text(39), card(line).lock), (line.notation.of(LOCK_CHANGED), None));
        // A repeat of the lock that was lifted since changes nothing.
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
        let unknown = file_action(line, "0302", "1", "1").with(2, &pan(77));
        assert_eq!(line.client.ask(&unknown).text(39), line.notation.of(LOCK_NO_CARD));
        let lost = file_action(line, "0302", "2", "1");
        assert_eq!(line.client.ask(&lost).text(39), line.notation.of(LOCK_CHANGED));
        for (action, record) in [("3", ""), ("1", "7")] {
            let refused = file_action(line, "0302", action, record);
            assert_eq!(line.client.ask(&refused).text(39), line.notation.of(LOCK_REFUSED));
        }
        assert_eq!(card(line).lock.unwrap().code, LockCode::Lost);
        for (action, record, field) in
            [("1", "", "120"), ("1", "9", "120"), ("2", "X", "120"), ("5", "1", "091")]
        {
            let broken = file_action(line, "0302", action, record);
            refused(line, &broken, field);
        }
        let broken = file_action(line, "0302", "1", "1").without(91);
        refused(line, &broken, "091");
    });
}

#[test]
fn a_link_that_may_not_lock_is_told_so() {
    in_every_dialect("", |line| {
        for mti in ["0300", "0302", "0304"] {
            let asked = file_action(line, mti, "1", "1");
            assert_eq!(line.client.ask(&asked).text(39), line.notation.of(UNKNOWN_TYPE));
        }
        assert_eq!(card(line).lock, None);
    });
}

#[test]
fn a_lock_of_a_partner_is_lifted_from_outside_and_the_other_way_round() {
    in_every_dialect("lock_outside = true", |line| {
        let (card_id, code) = (line.card_id(), LockCode::PendingQuery);
        line.change(Change::LockCard { card: card_id, code, source: LockSource::Partner });
        let lift = file_action(line, "0302", "3", "");
        assert_eq!(line.client.ask(&lift).text(39), line.notation.of(LOCK_CHANGED));
        let set = file_action(line, "0302", "1", "3");
        assert_eq!(line.client.ask(&set).text(39), line.notation.of(LOCK_CHANGED));
        line.change(Change::UnlockCard(card_id));
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
    });
}

#[test]
fn a_lock_from_outside_over_the_control_link_shows_in_the_card_view_and_declines() {
    in_every_dialect("", |line| {
        let source = LockSource::Outside;
        for (lock, code) in [
            (LockCode::PendingQuery, ["05", "100", "1000"]),
            (LockCode::SuspectedFraud, ["59", "102", "1002"]),
        ] {
            let card_id = line.card_id();
            line.change(Change::LockCard { card: card_id, code: lock, source });
            let found = card(line).lock.unwrap();
            assert_eq!((found.code, found.source), (lock, source));
            for mti in ["0100", "0200"] {
                let declined = line.request(mti, 100);
                line.expect(&declined, code);
            }
            assert_eq!(line.funds(), (MONEY, 0));
            line.change(Change::UnlockCard(card_id));
            assert_eq!(card(line).lock, None);
        }
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
        // One that stays, and no other takes its place.
        let card_id = line.card_id();
        line.change(Change::LockCard { card: card_id, code: LockCode::Stolen, source });
        let declined = line.request("0100", 100);
        line.expect(&declined, ["43", "209", "2009"]);
        let found = card(line).lock.unwrap();
        assert_eq!((found.code, found.source), (LockCode::Stolen, source));
        assert_eq!(line.funds(), (MONEY, 100));
    });
}

#[test]
fn administrative_messages_are_answered_as_taken() {
    in_every_dialect("", |line| {
        for mti in ["0600", "0601", "0620", "0621"] {
            let text = line.request("0100", 0).with(48, "free text of the network");
            let asked = line.typed(&text.without(4).without(49), mti);
            let answer = line.expect(&asked, NOTED);
            assert!(!answer.fields.contains_key(&48));
        }
    });
}

#[test]
fn network_messages_are_understood_by_the_codes_of_their_edition() {
    let (_home, running) = served("", "sign_on = \"required\"");
    for_every_dialect(&running, |line| {
        let network = |line: &mut Line, mti: &str, codes: [&str; 2]| {
            let stan = line.next_stan();
            line.notation.network(mti, stan, codes)
        };
        let (on, off) = (["001", "801"], ["002", "802"]);
        for mti in ["0800", "0801", "0804"] {
            let request = line.request("0100", 100);
            line.expect(&request, INOPERATIVE);
            let advice = line.request("0220", 100);
            line.expect(&advice, INOPERATIVE);
            let echo = network(line, mti, ECHO);
            let answer = line.client.ask(&echo);
            assert_eq!(answer.text(39), line.notation.of(NETWORK_DONE));
            let code = line.notation.of([70, 24, 24]);
            assert_eq!(answer.text(code), echo.text(code));
            let sign_on = network(line, mti, on);
            assert_eq!(line.client.ask(&sign_on).text(39), line.notation.of(NETWORK_DONE));
            line.expect(&request, APPROVED);
            let back = line.reversal("0420", &request);
            line.expect(&back, super::TAKEN_BACK);
            let sign_off = network(line, mti, off);
            assert_eq!(line.client.ask(&sign_off).text(39), line.notation.of(NETWORK_DONE));
        }
        // As an advice it has its effect and no answer.
        let sign_on = network(line, "0820", on);
        line.tell(&sign_on);
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
        let sign_off = network(line, "0820", off);
        line.tell(&sign_off);
        let request = line.request("0100", 100);
        line.expect(&request, INOPERATIVE);
        for unknown in [["999", "899"], ["101", "811"]] {
            let asked = network(line, "0800", unknown);
            assert_eq!(line.client.ask(&asked).text(39), line.notation.of(UNKNOWN_TYPE));
        }
        let cut_over = network(line, "0800", ["201", "821"]);
        assert_eq!(line.client.ask(&cut_over).text(39), line.notation.of(NETWORK_DONE));
        assert_eq!(line.funds(), (MONEY, 100));
    });
    running.stop();
}

#[test]
fn a_type_that_nobody_takes_is_answered_or_counted_and_moves_nothing() {
    let (_home, running) = served("", "");
    for_every_dialect(&running, |line| {
        let request = line.request("0100", 100);
        for mti in ["0500", "0501", "0520", "0522", "0322", "0700", "0720"] {
            let answer = line.client.ask(&line.typed(&request, mti));
            let function = if mti.as_bytes()[2] == b'0' { '1' } else { '3' };
            assert_eq!(answer.text(39), line.notation.of(UNKNOWN_TYPE), "{mti}");
            assert_eq!(answer.mti[1..3], format!("{}{function}", &mti[1..2]));
        }
        let before = running.metric("switch_ignored_total");
        let silent = ["0110", "0130", "0210", "0410", "0430", "0810", "0180", "0640"];
        for mti in silent {
            line.tell(&line.typed(&request, mti));
        }
        let ignored = running.metric("switch_ignored_total") - before;
        assert!((ignored - silent.len() as f64).abs() < 0.5, "{ignored}");
        assert_eq!(line.funds(), (MONEY, 0));
        // Of another edition: there is no form to answer it in.
        let foreign = Message { mti: format!("{}100", line.notation.of([1, 2, 0])), ..request };
        let unreadable = running.metric("switch_unreadable_total");
        assert!(line.client.send(&framed(&foreign.body_in(line.notation.dialect))));
        let next = line.request("0100", 100);
        line.expect(&next, APPROVED);
        assert!(running.metric("switch_unreadable_total") > unreadable);
    });
    running.stop();
}

/// Refused, with the field that was at fault.
fn refused(line: &mut Line, broken: &Message, field: &str) {
    let answer = line.client.ask(broken);
    assert_eq!(answer.text(39), line.notation.of(FORMAT), "{broken:?}");
    assert_eq!(answer.text(line.notation.of([44, 44, 18])), field, "{broken:?}");
}

#[test]
fn a_message_without_what_it_needs_is_refused_by_its_field() {
    in_every_dialect("lock_outside = true", |line| {
        for mti in ["0100", "0120", "0200", "0220"] {
            let sound = line.request(mti, 100);
            for (field, name) in
                [(2, "002"), (3, "003"), (4, "004"), (7, "007"), (11, "011"), (49, "049")]
            {
                refused(line, &sound.clone().without(field), name);
            }
            refused(line, &sound.clone().with(6, "000000000100"), "051");
        }
        for mti in ["0400", "0420", "0600", "0620"] {
            let sound = line.request(mti, 100);
            for (field, name) in [(7, "007"), (11, "011")] {
                refused(line, &sound.clone().without(field), name);
            }
        }
        let network = line.notation.network("0800", 1, ECHO).without(11);
        refused(line, &network, "011");
        for (field, value, name) in [(2, "9999991", "002"), (14, "9913", "014")] {
            let broken = line.request("0100", 100).with(field, value);
            refused(line, &broken, name);
        }
        let named = line.notation.of([90, 56, 56]);
        if line.notation.of([false, true, true]) {
            let broken = line.request("0420", 100).with(named, "1100000001");
            refused(line, &broken, "056");
        }
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn broken_bytes_are_refused_by_their_field_and_the_connection_goes_on() {
    in_every_dialect("unreadable_frames_max = 1000", |line| {
        let dialect = line.notation.dialect;
        let sound = line.request("0100", 100);
        let body = sound.body_in(dialect);
        let mut answered = 0;
        for length in 0..body.len() {
            assert!(line.client.send(&framed(&body[..length])));
        }
        assert!(line.client.send(&framed(&[&body[..], &[0x11]].concat())));
        let echo = line.notation.network("0800", 999, ECHO);
        assert!(line.client.send(&framed(&echo.body_in(dialect))));
        loop {
            let answer = line.client.receive().unwrap();
            if answer.mti == line.notation.mti("0810") {
                break;
            }
            assert_eq!(answer.text(39), line.notation.of(FORMAT));
            assert!(answer.text(line.notation.of([44, 44, 18])).parse::<u8>().unwrap() <= 128);
            answered += 1;
        }
        // All of them from the end of the type on, where what came says so much.
        let head = line.notation.of([4, 4, 4]);
        assert!(answered >= body.len() - head, "{answered} of {}", body.len());
        line.expect(&sound, APPROVED);
    });
}

#[test]
fn a_type_that_the_dialect_does_not_list_is_answered_as_unknown_and_does_nothing() {
    in_every_dialect("", |line| {
        for mti in ["0102", "0104", "0202", "0204"] {
            let request = line.request(mti, 100);
            let answer = line.client.ask(&request);
            assert_eq!(answer.text(39), line.notation.of(UNKNOWN_TYPE), "{mti}");
        }
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
        let back = line.reversal("0402", &request);
        assert_eq!(line.client.ask(&back).text(39), line.notation.of(UNKNOWN_TYPE));
        let stan = line.next_stan();
        let off = line.notation.network("0802", stan, ["002", "802"]);
        line.client.ask(&off);
        let request = line.request("0100", 100);
        line.expect(&request, APPROVED);
        assert_eq!(line.funds(), (MONEY, 200));
    });
}

#[test]
fn a_billed_currency_without_its_amount_is_a_format_error() {
    in_every_dialect("", |line| {
        let request = line.request("0100", 100).with(51, "985");
        let answer = line.expect(&request, FORMAT);
        assert!(answer.text(line.notation.of([44, 44, 18])).starts_with("006"));
    });
}

#[test]
fn where_times_are_rewritten_a_number_comes_again_on_another_day() {
    in_every_dialect("volatile_time = true", |line| {
        let request = line.request("0100", 100);
        let first = line.expect(&request, APPROVED);
        let at = |day: &str, time: &str| {
            let whole = line.notation.of([
                String::new(),
                format!("2603{day}{time}"),
                format!("202603{day}{time}"),
            ]);
            let message = request.clone().with(7, &format!("03{day}{time}"));
            if whole.is_empty() { message } else { message.with(12, &whole) }
        };
        let (same_day, next_day) = (at("14", "235959"), at("15", "112653"));
        let again = line.expect(&same_day, APPROVED);
        assert_eq!(again.text(38), first.text(38));
        let other = line.expect(&next_day, APPROVED);
        assert_ne!(other.text(38), first.text(38));
        assert_eq!(line.funds(), (MONEY, 200));
    });
}
