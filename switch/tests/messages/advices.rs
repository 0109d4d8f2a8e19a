//! 0120 and 0220: what was decided elsewhere is recorded and always answered; clearings of a hold.

use shared::action_code::Reason;
use shared::effect::ExceptionKind;

use super::{
    APPROVED, CONFLICT, Line, MONEY, REVERSED_BEFORE, TAKEN_BACK, amount, in_every_dialect,
};
use crate::rig::{Message, private};

/// Other clearings will follow.
fn more_to_come(message: Message) -> Message {
    message.with(48, &private(&[("62", "M")]))
}

/// A hold of 2,500.
fn held(line: &mut Line) -> Message {
    let request = line.request("0100", 2_500);
    line.expect(&request, APPROVED);
    request
}

/// Takes everything of a hold back.
fn end(line: &mut Line, hold: &Message) {
    let back = line.reversal("0420", hold);
    line.expect(&back, TAKEN_BACK);
}

#[test]
fn an_advice_says_how_much_of_its_original_is_held() {
    in_every_dialect("", |line| {
        let hold = held(line);
        for (amount, by_name) in [(3_000, false), (2_000, true), (10_500, false)] {
            let mut advice = line.following("0120", &hold, amount);
            if by_name {
                let stranger = advice.with(37, "ANOTHER ONE ");
                advice = line.notation.naming(stranger, &hold);
            }
            line.expect(&advice, APPROVED);
            line.expect(&line.typed(&advice, "0121"), APPROVED);
            assert_eq!(line.funds(), (MONEY, i64::try_from(amount).unwrap()));
        }
        // An advice under the very number of its request.
        let same = line.typed(&hold, "0120").with(4, &amount(1_500));
        line.expect(&same, APPROVED);
        assert_eq!(line.funds(), (MONEY, 1_500));
        line.expect(&same.clone().with(4, &amount(1_501)), CONFLICT);
        end(line, &hold);
        let too_late = line.following("0120", &hold, 2_500);
        line.expect(&too_late, APPROVED);
        assert_eq!(line.funds(), (MONEY, 0), "reversed stays reversed");
    });
}

#[test]
fn an_advice_without_an_original_holds_and_an_advised_decline_releases() {
    in_every_dialect("", |line| {
        let forced = line.request("0120", 12_000).with(39, line.notation.of(APPROVED));
        let raised = line.raised(|line| {
            line.expect(&forced, APPROVED);
        });
        let flag = ExceptionKind::Flagged(Reason::InsufficientFunds);
        assert_eq!(raised, [(flag, 12_000)]);
        assert_eq!(line.funds(), (MONEY, 12_000));
        let declined = line.notation.of(["05", "100", "1000"]);
        let took_back = line.following("0120", &forced, 12_000).with(39, declined);
        line.expect(&took_back, APPROVED);
        assert_eq!(line.funds(), (MONEY, 0));
        // The standard's other approvals, and a value that no table has.
        for (code, flagged) in
            [(["08", "001", "0001"], 0), (["85", "003", "0085"], 0), (["7Z", "799", "7999"], 1)]
        {
            let advice = line.request("0120", 100).with(39, line.notation.of(code));
            let raised = line.raised(|line| {
                line.expect(&advice, APPROVED);
            });
            assert_eq!((line.funds().1, raised.len()), (100, flagged), "{code:?}");
            let back = line.reversal("0420", &advice);
            line.expect(&back, TAKEN_BACK);
        }
        let of_nobody = line.request("0120", 100).with(2, &crate::rig::pan(77));
        line.expect(&of_nobody, APPROVED);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn clearings_add_up_and_the_final_one_ends_the_hold() {
    in_every_dialect("", |line| {
        let hold = held(line);
        let first = more_to_come(line.following("0220", &hold, 1_000));
        line.expect(&first, APPROVED);
        line.expect(&line.typed(&first, "0221"), APPROVED);
        assert_eq!(line.funds(), (9_000, 1_500));
        let request = more_to_come(line.request("0220", 500));
        let second = line.notation.naming(request, &hold);
        line.expect(&second, APPROVED);
        assert_eq!(line.funds(), (8_500, 1_000));
        let last = line.following("0220", &hold, 400);
        line.expect(&last, APPROVED);
        assert_eq!(line.funds(), (8_100, 0), "the rest is released");
        // Taking a clearing back books it again and opens no hold.
        let back = line.reversal("0420", &last);
        line.expect(&back, TAKEN_BACK);
        assert_eq!(line.funds(), (8_500, 0));
        line.expect(&last, REVERSED_BEFORE);
    });
}

#[test]
fn what_is_cleared_beyond_its_hold_is_posted_and_told() {
    in_every_dialect("", |line| {
        let hold = held(line);
        let clearing = line.following("0220", &hold, 3_000);
        let raised = line.raised(|line| {
            line.expect(&clearing, APPROVED);
        });
        assert_eq!(raised, [(ExceptionKind::OverCleared, 500)]);
        assert_eq!(line.funds(), (7_000, 0));
        // After the end of a hold there is nothing to clear: posted by force.
        let hold = held(line);
        end(line, &hold);
        let late = line.following("0220", &hold, 200);
        line.expect(&late, APPROVED);
        assert_eq!(line.funds(), (6_800, 0));
        // As without any original.
        let raised = line.raised(|line| {
            let unknown = line.request("0220", 7_000);
            line.expect(&unknown, APPROVED);
        });
        let flag = ExceptionKind::Flagged(Reason::InsufficientFunds);
        assert_eq!(raised, [(ExceptionKind::Unmatched, 7_000), (flag, 7_000)]);
        assert_eq!(line.funds(), (-200, 0));
        let refund = line.request("0200", 400).with(3, "200000");
        line.expect(&refund, APPROVED);
        // And one that fits several.
        let references = "TWICE THERE ";
        for _ in 0..2 {
            let twin = line.request("0100", 50).with(37, references);
            line.expect(&twin, APPROVED);
        }
        let raised = line.raised(|line| {
            let either = line.request("0220", 50).with(37, references);
            line.expect(&either, APPROVED);
        });
        assert_eq!(raised.first(), Some(&(ExceptionKind::Ambiguous, 50)));
        assert_eq!(line.funds(), (150, 100), "neither of them is touched");
    });
}

#[test]
fn a_financial_advice_completes_its_request() {
    in_every_dialect("", |line| {
        let request = line.request("0200", 2_000);
        line.expect(&request, APPROVED);
        for (amount, ledger) in [(2_000, 8_000), (1_500, 8_500), (2_500, 7_500)] {
            let advice = line.following("0220", &request, amount);
            line.expect(&advice, APPROVED);
            assert_eq!(line.funds(), (ledger, 0));
        }
        let declined = line.notation.of(["05", "100", "1000"]);
        let advice = line.following("0220", &request, 2_500).with(39, declined);
        line.expect(&advice, APPROVED);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn a_link_may_carry_the_reason_of_an_advice_in_place_of_its_outcome() {
    in_every_dialect("advice_code = \"reason\"", |line| {
        let advice = line.request("0120", 100).with(39, line.notation.of(["05", "100", "1000"]));
        line.expect(&advice, APPROVED);
        assert_eq!(line.funds(), (MONEY, 100), "an approval, whatever the reason to send it");
    });
}
