//! 0100 and 0200 of every kind: what is held or posted, what the answer says.

use shared::card::CardState;
use shared::command::Change;
use shared::lock_code::{LockCode, LockSource};

use super::{
    APPROVED, BAD_AMOUNT, CONFLICT, Code, IN_PART, Line, MONEY, NO_FUNDS, NO_ORIGINAL,
    REVERSED_BEFORE, TAKEN_BACK, UNKNOWN_TYPE, additional, amount, in_every_dialect,
};
use crate::rig::{Message, balance_id, pan, private};

/// The acquirer takes a part.
const PART: (&str, &str) = ("61", "1");
const INCREMENT: (&str, &str) = ("62", "I");

fn takes_a_part(message: Message) -> Message {
    message.with(48, &private(&[PART]))
}

#[test]
fn a_purchase_is_held_and_a_repeat_hears_the_same() {
    in_every_dialect("", |line| {
        let request = line.request("0100", 2_500);
        let approved = line.expect(&request, APPROVED);
        let fields: Vec<u8> = approved.fields.keys().copied().collect();
        let local_time = line.notation.of([&[12, 13][..], &[12], &[12]]);
        let usual = [&[2, 3, 4, 7, 11], local_time, &[32, 37, 38, 39, 41, 42, 49]].concat();
        assert_eq!(fields, usual);
        assert_eq!(line.funds(), (MONEY, 2_500));
        for mti in ["0100", "0101"] {
            assert_eq!(line.client.ask(&line.typed(&request, mti)), approved);
        }
        // Known by RRN and terminal alone.
        let renumbered = line.following("0101", &request, 2_500);
        assert_eq!(line.expect(&renumbered, APPROVED).text(38), approved.text(38));
        line.expect(&request.clone().with(4, &amount(2_501)), CONFLICT);
        assert_eq!(line.funds(), (MONEY, 2_500), "held once");
        let too_much = line.request("0100", 7_501);
        line.expect(&too_much, NO_FUNDS);
        let the_rest = line.request("0100", 7_500);
        line.expect(&the_rest, APPROVED);
        assert_eq!(line.funds(), (MONEY, MONEY));
    });
}

#[test]
fn a_single_message_is_posted_at_once_and_once() {
    in_every_dialect("", |line| {
        let request = line.request("0200", 2_500);
        let approved = line.expect(&request, APPROVED);
        assert_eq!(line.funds(), (7_500, 0));
        assert_eq!(line.client.ask(&line.typed(&request, "0201")), approved);
        assert_eq!(line.funds(), (7_500, 0));
        // The same number as an authorization is another message.
        let held = line.typed(&request, "0100").with(37, "AS A HOLD   ");
        line.expect(&held, APPROVED);
        assert_eq!(line.funds(), (7_500, 2_500));
        let more = line.request("0200", 5_001);
        line.expect(&more, NO_FUNDS);
        assert_eq!(line.funds(), (7_500, 2_500));
    });
}

#[test]
fn cash_and_account_funding_are_approved_whole_or_not_at_all() {
    in_every_dialect("", |line| {
        let mut left = MONEY;
        for code in ["010000", "170000", "100000"] {
            let held = line.request("0100", 1_000).with(3, code);
            line.expect(&held, APPROVED);
            let back = line.reversal("0400", &held);
            line.expect(&back, TAKEN_BACK);
            let posted = line.request("0200", 1_000).with(3, code);
            line.expect(&posted, APPROVED);
            left -= 1_000;
            assert_eq!(line.funds(), (left, 0));
            let too_much = takes_a_part(line.request("0100", 10_000).with(3, code));
            line.expect(&too_much, NO_FUNDS);
        }
    });
}

#[test]
fn cash_back_is_part_of_the_purchase_and_never_approved_in_part() {
    in_every_dialect("", |line| {
        let cash = |value| format!("0040978D{}", amount(value));
        let whole = line.request("0100", 5_000).with(3, "090000").with(54, &cash(2_000));
        line.expect(&whole, APPROVED);
        assert_eq!(line.funds(), (MONEY, 5_000));
        // 5,000 are left; the purchase alone is 4,500.
        let part = line.request("0100", 6_000).with(3, "090000").with(54, &cash(1_500));
        let answer = line.expect(&takes_a_part(part), IN_PART);
        assert_eq!(answer.text(4), amount(4_500));
        assert_eq!(line.funds(), (MONEY, 9_500));
        for (code, stated) in [("090000", None), ("000000", Some(600))] {
            let mut all_cash = line.request("0100", 600).with(3, code);
            if let Some(stated) = stated {
                all_cash = all_cash.with(54, &cash(stated));
            }
            line.expect(&takes_a_part(all_cash), NO_FUNDS);
        }
        let more_than_all = line.request("0100", 100).with(3, "090000").with(54, &cash(101));
        line.expect(&more_than_all, BAD_AMOUNT);
        assert_eq!(line.funds(), (MONEY, 9_500));
    });
}

#[test]
fn refunds_and_payment_credits_reach_the_holder_once() {
    in_every_dialect("", |line| {
        let refund = line.request("0200", 700).with(3, "200000");
        line.expect(&refund, APPROVED);
        line.expect(&line.typed(&refund, "0201"), APPROVED);
        assert_eq!(line.funds(), (10_700, 0));
        // Pending first: nothing to spend, then booked by the message that follows.
        let pending = line.request("0100", 300).with(3, "200000");
        line.expect(&pending, APPROVED);
        assert_eq!(line.funds(), (10_700, 0));
        let booked = line.following("0200", &pending, 300).with(3, "200000");
        line.expect(&booked, APPROVED);
        assert_eq!(line.funds(), (11_000, 0));
        for code in ["260000", "280000"] {
            let (before, _) = line.funds();
            let instant = line.request("0100", 5_000).with(3, code);
            line.expect(&instant, APPROVED);
            assert_eq!(line.funds(), (before + 5_000, 0), "available at once");
            let cleared = line.following("0220", &instant, 5_000).with(3, code);
            line.expect(&cleared, APPROVED);
            assert_eq!(line.funds(), (before + 5_000, 0));
            let large = line.request("0100", 5_001).with(3, code);
            line.expect(&large, APPROVED);
            assert_eq!(line.funds(), (before + 5_000, 0), "above the program's bound");
            let taken_back = line.reversal("0420", &large);
            line.expect(&taken_back, TAKEN_BACK);
            let posted = line.request("0200", 5_001).with(3, code);
            line.expect(&posted, APPROVED);
            assert_eq!(line.funds(), (before + 10_001, 0));
        }
        // A locked card still gets its refund.
        let (card, code) = (line.card_id(), LockCode::SuspectedFraud);
        line.change(Change::LockCard { card, code, source: LockSource::Partner });
        let (before, _) = line.funds();
        let refund = line.request("0200", 1).with(3, "200000");
        line.expect(&refund, APPROVED);
        assert_eq!(line.funds(), (before + 1, 0));
    });
}

#[test]
fn an_inquiry_tells_the_balances_digit_by_digit() {
    in_every_dialect("", |line| {
        let told = |line: &mut Line, mti: &str, account: &str, ledger, available| {
            let code = format!("31{account}00");
            let inquiry = line.request(mti, 0).with(3, &code);
            let answer = line.expect(&inquiry, APPROVED);
            let expected = additional(account, "01", "978", ledger)
                + &additional(account, "02", "978", available);
            assert_eq!(answer.text(54), expected);
            let again = line.typed(&inquiry, "0101");
            assert!(mti != "0100" || line.client.ask(&again) == answer);
        };
        told(line, "0100", "00", 10_000, 10_000);
        let held = line.request("0100", 2_500);
        line.expect(&held, APPROVED);
        told(line, "0100", "10", 10_000, 7_500);
        told(line, "0200", "20", 10_000, 7_500);
        let available = line.request("0100", 0).with(3, "300000");
        assert!(line.expect(&available, APPROVED).fields.contains_key(&54));
        let forced = line.request("0220", 12_345);
        line.expect(&forced, APPROVED);
        told(line, "0100", "00", -2_345, -4_845);
        assert_eq!(line.funds(), (-2_345, 2_500));
        // An amount asks for nothing.
        let asked = line.request("0100", 999).with(3, "310000");
        line.expect(&asked, APPROVED);
        assert_eq!(line.funds(), (-2_345, 2_500));
    });
}

#[test]
fn amount_zero_asks_whether_the_card_is_good_where_it_says_so() {
    in_every_dialect("", |line| {
        let marker = line.notation.of(["51", "0051", "0051"]);
        let good = line.request("0100", 0).with(25, marker);
        line.expect(&good, APPROVED);
        let unmarked = line.request("0100", 0);
        line.expect(&unmarked, BAD_AMOUNT);
        let other = line.request("0100", 0).with(25, line.notation.of(["00", "0000", "0000"]));
        line.expect(&other, BAD_AMOUNT);
        let spent = line.request("0100", 10_000);
        line.expect(&spent, APPROVED);
        let still_good = line.request("0100", 0).with(25, marker);
        line.expect(&still_good, APPROVED);
        assert_eq!(line.funds(), (MONEY, MONEY));
    });
}

#[test]
fn an_incremental_authorization_raises_the_hold_that_it_refers_to() {
    in_every_dialect("", |line| {
        let first = line.request("0100", 2_500);
        line.expect(&first, APPROVED);
        let marked = |message: Message| message.with(48, &private(&[INCREMENT]));
        let by_reference = marked(line.following("0100", &first, 1_000));
        line.expect(&by_reference, APPROVED);
        assert_eq!(line.funds(), (MONEY, 3_500));
        let request = line.request("0100", 500);
        let by_name = marked(line.notation.naming(request, &first));
        line.expect(&by_name, APPROVED);
        line.expect(&line.typed(&by_name, "0101"), APPROVED);
        assert_eq!(line.funds(), (MONEY, 4_000));
        let mut held = 4_000;
        if line.notation.of([false, true, true]) {
            for function in ["106", "107"] {
                let request = line.following("0100", &first, 10).with(24, function);
                line.expect(&request, APPROVED);
                held += 10;
            }
        }
        assert_eq!(line.funds(), (MONEY, held));
        let too_much = line.following("0100", &first, 7_000);
        line.expect(&too_much.with(48, &private(&[PART, INCREMENT])), NO_FUNDS);
        let to_nothing = marked(line.request("0100", 10));
        line.expect(&to_nothing, NO_ORIGINAL);
        // Taking one back takes off what it added.
        let back = line.reversal("0400", &by_reference);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, held - 1_000));
        let all = line.reversal("0420", &first);
        line.expect(&all, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn a_part_is_approved_where_program_and_acquirer_take_it() {
    in_every_dialect("", |line| {
        let whole = line.request("0100", 2_500);
        line.expect(&takes_a_part(whole), APPROVED);
        let refused = line.request("0100", 8_000);
        line.expect(&refused, NO_FUNDS);
        let request = takes_a_part(line.request("0100", 8_000).with(3, "001000"));
        let answer = line.expect(&request, IN_PART);
        assert_eq!(answer.text(4), amount(7_500));
        assert_eq!(answer.text(54), format!("1057978D{}", amount(8_000)));
        assert_eq!([answer.text(6), answer.text(51)], ["", ""]);
        assert_eq!(line.funds(), (MONEY, MONEY));
        assert_eq!(line.client.ask(&line.typed(&request, "0101")), answer);
        let nothing_left = takes_a_part(line.request("0100", 1));
        line.expect(&nothing_left, NO_FUNDS);
        let back = line.reversal("0400", &request);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 2_500));
        // Posted at once, and no more than is there.
        let request = takes_a_part(line.request("0200", 9_000));
        assert_eq!(line.expect(&request, IN_PART).text(4), amount(7_500));
        assert_eq!(line.funds(), (2_500, 2_500));
    });
}

#[test]
fn a_part_is_told_in_both_currencies() {
    in_every_dialect("", |line| {
        let request = takes_a_part(line.request("0100", 20_000))
            .with(49, "840")
            .with(6, &amount(16_000))
            .with(51, "978");
        let answer = line.expect(&request, IN_PART);
        assert_eq!([answer.text(4), answer.text(6)], [amount(12_500), amount(10_000)]);
        assert_eq!([answer.text(49), answer.text(51)], ["840", "978"]);
        assert_eq!(answer.text(54), format!("0057840D{}", amount(20_000)));
        assert_eq!(line.funds(), (MONEY, MONEY));
        let back = line.reversal("0400", &request);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
        // Whole, in another currency than the balance's: the answer has no billed amount.
        let request = line.request("0100", 300).with(49, "840").with(6, &amount(250));
        let answer = line.expect(&request.with(51, "978"), APPROVED);
        assert_eq!([answer.text(4), answer.text(6)], [&*amount(300), ""]);
        assert_eq!(line.funds(), (MONEY, 250));
    });
}

#[test]
fn a_decline_has_its_code_in_every_edition() {
    in_every_dialect("", |line| {
        let check = |line: &mut Line, change: &dyn Fn(Message) -> Message, code: Code| {
            let request = change(line.request("0100", 100));
            line.expect(&request, code);
        };
        check(line, &|request| request.with(3, "500000"), UNKNOWN_TYPE);
        check(line, &|request| request.with(4, &amount(0)), BAD_AMOUNT);
        check(line, &|request| request.with(2, &pan(77)), ["14", "111", "1011"]);
        check(line, &|request| request.with(49, "985"), ["57", "115", "1030"]);
        check(line, &|request| request.with(14, "3001"), ["54", "101", "1001"]);
        check(line, &|request| request.with(14, "9912"), APPROVED);
        let card = line.card_id();
        for (lock, code) in [
            (LockCode::PendingQuery, ["05", "100", "1000"]),
            (LockCode::Consolidation, ["51", "116", "1016"]),
            (LockCode::PinTriesExceeded, ["75", "106", "1006"]),
            (LockCode::SuspectedFraud, ["59", "102", "1002"]),
            // The last one cannot be lifted any more.
            (LockCode::Stolen, ["43", "209", "2009"]),
        ] {
            let source = LockSource::Partner;
            line.change(Change::LockCard { card, code: lock, source });
            check(line, &|request| request, code);
        }
        line.change(Change::SetCardState { card, state: CardState::Removed });
        check(line, &|request| request, ["14", "111", "1011"]);
        assert_eq!(line.control.balance(balance_id(line.card)).held.0, 100);
    });
}

#[test]
fn what_was_taken_back_is_declined_when_it_comes_again() {
    in_every_dialect("", |line| {
        for mti in ["0100", "0200"] {
            let request = line.request(mti, 1_000);
            line.expect(&request, APPROVED);
            let back = line.reversal("0420", &request);
            line.expect(&back, TAKEN_BACK);
            line.expect(&request, REVERSED_BEFORE);
            assert_eq!(line.funds(), (MONEY, 0));
        }
    });
}
