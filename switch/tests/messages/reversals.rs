//! 0400, 0420, 0190, 0290: what goes back, whatever the message says of its original.

use shared::effect::ExceptionKind;

use super::{
    APPROVED, Line, MONEY, NO_ORIGINAL, REVERSED_BEFORE, TAKEN_BACK, amount, in_every_dialect,
};
use crate::rig::{Message, private};

/// A hold, or a posting, of 2,500.
fn approved(line: &mut Line, mti: &str) -> Message {
    let request = line.request(mti, 2_500);
    line.expect(&request, APPROVED);
    request
}

#[test]
fn a_full_reversal_gives_all_back_once_whatever_its_type() {
    in_every_dialect("", |line| {
        for original in ["0100", "0200"] {
            for (mti, repeat) in [("0400", "0401"), ("0420", "0421")] {
                let request = approved(line, original);
                let back = line.reversal(mti, &request);
                line.expect(&back, TAKEN_BACK);
                assert_eq!(line.funds(), (MONEY, 0), "{original} {mti}");
                line.expect(&line.typed(&back, repeat), TAKEN_BACK);
                let again = line.reversal(mti, &request);
                line.expect(&again, TAKEN_BACK);
                assert_eq!(line.funds(), (MONEY, 0), "{original} {mti} again");
                line.expect(&request, REVERSED_BEFORE);
            }
        }
    });
}

#[test]
fn an_original_is_found_by_what_the_reversal_says_of_it() {
    in_every_dialect("", |line| {
        // Its own number, and zeros for the rest.
        let request = approved(line, "0100");
        let back = line.reversal("0420", &request);
        let half = line.notation.half_naming(back, &request).with(37, "ANOTHER ONE ");
        line.expect(&half, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
        // No word on it: the same number and time.
        let request = approved(line, "0100");
        line.expect(&line.typed(&request, "0400"), TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
        // RRN and terminal.
        let request = approved(line, "0200");
        let back = line.following("0420", &request, 2_500);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
        // The network's id of the life cycle, and nothing else.
        let request = line.request("0100", 2_500).with(63, "LIFECYCLE0000001");
        line.expect(&request, APPROVED);
        let back = line.request("0420", 2_500).with(63, "LIFECYCLE0000001");
        line.expect(&back.with(37, "ANOTHER ONE "), TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn a_reversal_that_comes_first_keeps_its_original_out() {
    in_every_dialect("", |line| {
        for (mti, code) in [("0400", NO_ORIGINAL), ("0420", TAKEN_BACK)] {
            let late = line.request("0100", 1_000);
            let back = line.reversal(mti, &late);
            let raised = line.raised(|line| {
                line.expect(&back, code);
            });
            assert_eq!(raised, [(ExceptionKind::ReversalUnmatched, 1_000)]);
            line.expect(&late, REVERSED_BEFORE);
            line.expect(&line.typed(&late, "0101"), REVERSED_BEFORE);
            assert_eq!(line.funds(), (MONEY, 0));
        }
    });
}

#[test]
fn a_partial_reversal_leaves_the_new_total() {
    in_every_dialect("", |line| {
        for (original, booked) in [("0100", false), ("0200", true)] {
            let request = approved(line, original);
            let state = |left: i64| if booked { (MONEY - left, 0) } else { (MONEY, left) };
            for (mti, left) in [("0420", 1_000), ("0400", 400)] {
                let back = line.reversal(mti, &request);
                let part = line.notation.partial(back, left);
                line.expect(&part, TAKEN_BACK);
                line.expect(&part, TAKEN_BACK);
                assert_eq!(line.funds(), state(i64::try_from(left).unwrap()));
            }
            let all = line.reversal("0420", &request);
            line.expect(&all, TAKEN_BACK);
            assert_eq!(line.funds(), (MONEY, 0));
        }
        // What is captured stays.
        let request = approved(line, "0100");
        let clearing = line.following("0220", &request, 1_500);
        line.expect(&clearing.with(48, &private(&[("62", "M")])), APPROVED);
        let back = line.reversal("0420", &request);
        let part = line.notation.partial(back, 1_000);
        line.expect(&part, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY - 1_500, 0));
    });
}

#[test]
fn a_partial_reversal_in_another_currency_keeps_the_proportion() {
    in_every_dialect("", |line| {
        let request = line.request("0100", 3_000).with(49, "840").with(6, &amount(2_500));
        let request = request.with(51, "978");
        line.expect(&request, APPROVED);
        let back = line.reversal("0420", &request).without(6).without(51);
        let part = line.notation.partial(back, 1_001);
        line.expect(&part, TAKEN_BACK);
        // 2,500 x 1,001 / 3,000 = 834.17
        assert_eq!(line.funds(), (MONEY, 834));
        if line.notation.of([false, true, true]) {
            let back = line.reversal("0420", &request).with(6, &amount(700));
            let part = line.notation.partial(back, 900);
            line.expect(&part, TAKEN_BACK);
            assert_eq!(line.funds(), (MONEY, 700), "the billed total that the message states");
        }
    });
}

#[test]
fn a_link_may_carry_the_new_billing_total_among_the_replacement_amounts() {
    let marked = "[links.markers]\nreplacement_billing_offset = 24\n";
    in_every_dialect(marked, |line| {
        if !line.notation.of([true, false, false]) {
            return;
        }
        let request = line.request("0100", 3_000).with(49, "840").with(6, &amount(2_500));
        let request = request.with(51, "978");
        line.expect(&request, APPROVED);
        let stated = format!("{:012}{:012}{:012}{:06}", 1_001, 0, 900, 0);
        let back = line.reversal("0420", &request).with(95, &stated);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (MONEY, 900));
    });
}

#[test]
fn a_notice_that_our_answer_was_late_frees_the_money_without_an_answer() {
    in_every_dialect("", |line| {
        let held = approved(line, "0100");
        line.tell(&line.typed(&held, "0190"));
        assert_eq!(line.funds(), (MONEY, 0));
        line.expect(&held, REVERSED_BEFORE);
        let posted = approved(line, "0200");
        assert_eq!(line.funds(), (MONEY - 2_500, 0));
        line.tell(&line.typed(&posted, "0290").with(39, line.notation.of(["68", "911", "9111"])));
        assert_eq!(line.funds(), (MONEY, 0));
        // Under a number of its own, by reference to the original.
        let held = approved(line, "0100");
        let notice = line.reversal("0190", &held);
        line.tell(&notice);
        line.tell(&line.typed(&notice, "0191"));
        assert_eq!(line.funds(), (MONEY, 0));
        // Before the request: it is kept out.
        let late = line.request("0100", 100);
        line.tell(&line.typed(&late, "0190"));
        line.expect(&late, REVERSED_BEFORE);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn an_acknowledgement_is_noted_and_changes_nothing() {
    in_every_dialect("", |line| {
        let (held, posted) = (approved(line, "0100"), approved(line, "0200"));
        line.tell(&line.typed(&held, "0180"));
        line.tell(&line.typed(&posted, "0280"));
        assert_eq!(line.funds(), (MONEY - 2_500, 2_500));
        line.expect(&line.typed(&held, "0101"), APPROVED);
    });
}

#[test]
fn more_than_the_original_is_never_given_back() {
    in_every_dialect("", |line| {
        let request = approved(line, "0200");
        let back = line.reversal("0420", &request).with(4, &amount(9_000));
        let raised = line.raised(|line| {
            line.expect(&back, TAKEN_BACK);
        });
        assert_eq!(raised, [(ExceptionKind::OverReversed, 6_500)]);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}
