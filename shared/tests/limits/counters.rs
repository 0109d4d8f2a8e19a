//! What the counters of limits take of each message, and what they give back when a payment does
//! not come to pass: in the same period, never in a later one, never twice.

use super::check;

/// What is paid, what takes back, and what stays counted of it in the same period.
#[rustfmt::skip] // one way a line
const WAYS_BACK: [(&str, &str, &str); 23] = [
    ("auth stan=1 card=1 amount=60", "reverse stan=9 of=1 -> back", "0/0"),
    ("auth stan=1 card=1 amount=60", "reverse stan=9 of=1 advice -> back", "0/0"),
    ("auth stan=1 card=1 amount=60", "nack stan=1 of=1 -> back", "0/0"),
    ("auth stan=1 card=1 amount=60", "void stan=1 -> noted", "0/0"),
    ("auth stan=1 card=1 amount=60", "wait 1h\nexpire -> noted", "0/0"),
    ("auth stan=1 card=1 amount=60", "reverse stan=9 of=1 base=60 total=25 -> back", "25/1"),
    ("auth stan=1 card=1 amount=60", "reverse stan=9 of=1 newbill=25 total=1 -> back", "25/1"),
    ("auth stan=1 card=1 amount=60", "reverse stan=9 of=1 base=60 total=60 -> back", "60/1"),
    ("auth stan=1 card=1 amount=60", "clear stan=9 card=1 amount=20 of=1 -> advised", "20/1"),
    ("auth stan=1 card=1 amount=60", "clear stan=9 card=1 amount=60 of=1 -> advised", "60/1"),
    ("auth stan=1 card=1 amount=60", "clear stan=9 card=1 amount=20 of=1 more -> advised", "60/1"),
    ("auth stan=1 card=1 amount=60", "clear stan=9 card=1 amount=0 of=1 -> advised", "0/0"),
    ("auth stan=1 card=1 amount=60", "clear stan=9 card=1 amount=60 of=1 declined -> advised", "0/0"),
    ("auth stan=1 card=1 amount=60", "advice stan=9 card=1 amount=60 of=1 declined -> advised", "0/0"),
    ("auth stan=1 card=1 amount=60", "advice stan=9 card=1 amount=45 of=1 -> advised", "45/1"),
    ("sale stan=1 card=1 amount=60", "reverse stan=9 of=1 ofclass=sale -> back", "0/0"),
    ("sale stan=1 card=1 amount=60", "reverse stan=9 of=1 ofclass=sale base=60 total=25 -> back", "25/1"),
    ("sale stan=1 card=1 amount=60", "void stan=1 class=sale -> noted", "0/0"),
    ("sale stan=1 card=1 amount=60", "clear stan=9 card=1 amount=45 of=1 ofclass=sale -> advised", "45/1"),
    ("sale stan=1 card=1 amount=60", "clear stan=9 card=1 amount=0 of=1 ofclass=sale -> advised", "0/0"),
    ("sale stan=1 card=1 amount=60", "clear stan=9 card=1 amount=60 of=1 ofclass=sale declined -> advised", "0/0"),
    ("advice stan=1 card=1 amount=60", "reverse stan=9 of=1 ofclass=advice -> back", "0/0"),
    ("advice stan=1 card=1 amount=60", "reverse stan=9 of=1 ofclass=advice base=60 total=1 -> back", "1/1"),
];

/// A limit of every sort over a day, and one over a month that sees the days run on.
const COUNTED: &str = "
    rule 1 card=1 amount=day:EUR:1000
    rule 2 customer=1 budget=day:EUR:1000
    rule 3 program=10 count=day:10
    rule 4 partner=1 amount=day:EUR:1000
    rule 5 partner=1 count=month:10";

fn counted(day: &str, month: &str) -> String {
    format!(
        "rules card=1 -> {day}
         rules customer=1 -> {day}
         rules program=10 -> {day}
         rules partner=1 -> {day} {month}\n"
    )
}

fn outcome_of(payment: &str) -> &'static str {
    if payment.starts_with("advice") { "advised" } else { "ok" }
}

#[test]
fn what_does_not_come_to_pass_is_given_back_in_the_same_period() {
    for (payment, back, left) in WAYS_BACK {
        let before = counted("60/1", "60/1");
        let after = counted(left, left);
        check(&format!(
            "{COUNTED}
             {payment} -> {}
             {before}{back}
             {after}",
            outcome_of(payment)
        ));
    }
}

#[test]
fn a_later_period_gets_nothing_back() {
    for (payment, back, left) in WAYS_BACK {
        let [spent, count] = left.split('/').collect::<Vec<_>>()[..] else { panic!("{left}") };
        let month: (i64, u32) = (spent.parse().unwrap(), count.parse().unwrap());
        let after = counted("7/1", &format!("{}/{}", month.0 + 7, month.1 + 1));
        check(&format!(
            "{COUNTED}
             {payment} -> {}
             clock 2026-12-16T00:00:00Z
             sale stan=2 card=1 amount=7 -> ok
             {}{back}
             {after}",
            outcome_of(payment),
            counted("7/1", "67/2")
        ));
    }
}

#[test]
fn nothing_is_given_back_twice_nor_more_than_was_counted() {
    check(
        "rule 1 card=1 amount=day:EUR:1000
         sale stan=90 card=1 amount=7 -> ok
         auth stan=1 card=1 amount=60 -> ok
         reverse stan=2 of=1 base=60 total=40 -> back
         rules card=1 -> 47/2
         reverse stan=3 of=1 base=60 total=40 -> back
         rules card=1 -> 47/2
         clear stan=4 card=1 amount=10 of=1 more -> advised
         reverse stan=5 of=1 -> back
         rules card=1 -> 17/2                                               # 10 came to pass
         reverse stan=6 of=1 -> back
         reverse stan=5 of=1 -> back
         void stan=1 -> noted
         wait 1h
         expire -> noted
         rules card=1 -> 17/2
         auth stan=7 card=1 amount=60 -> ok
         clear stan=8 card=1 amount=10 of=7 more -> advised
         wait 1h
         expire -> noted
         rules card=1 -> 27/3                                               # the payment was made
         sale stan=9 card=1 amount=60 -> ok
         reverse stan=10 of=9 ofclass=sale base=60 total=20 -> back
         reverse stan=11 of=9 ofclass=sale -> back
         reverse stan=12 of=9 ofclass=sale -> back
         rules card=1 -> 27/3
         reverse stan=13 of=80 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         rules card=1 -> 27/3",
    );
}

#[test]
fn what_was_added_in_a_later_period_is_given_back_in_that_one_alone() {
    check(
        "rule 1 card=1 amount=day:EUR:1000
         program 10 partner=1 purchase-hours=100
         auth stan=1 card=1 amount=60 -> ok
         wait 1d
         auth stan=2 card=1 amount=50 incremental of=1 -> ok
         rules card=1 -> 50/0
         auth stan=3 card=1 amount=5 -> ok
         reverse stan=4 of=1 base=110 total=20 -> back                      # 90 of 110
         rules card=1 -> 5/1
         reverse stan=5 of=1 -> back
         rules card=1 -> 5/1",
    );
}

#[test]
fn what_is_posted_by_force_counts_and_is_flagged() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 count=day:2
         advice stan=1 card=1 amount=150 -> advised
         life 1 class=advice -> Authorized 150/0/0/0 ExceedsAmountLimit
         rules card=1 -> 150/1 150/1
         auth stan=2 card=1 amount=1 -> amount!
         rule 1 card=1 amount=day:EUR:1000
         clear stan=3 card=1 amount=30 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         rules card=1 -> 180/2 180/2                                        # no hold: one more payment
         clear stan=4 card=1 amount=20 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         life 4 class=clear -> Posted 0/20/0/0 LimitExceeded
         rules card=1 -> 200/3 200/3
         auth stan=5 card=1 amount=1 -> limit!
         reverse stan=6 of=4 ofclass=clear -> back
         rules card=1 -> 180/2 180/2",
    );
}

#[test]
fn what_goes_beyond_a_hold_adds_its_amount_and_no_payment() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 count=day:1
         auth stan=1 card=1 amount=60 -> ok
         clear stan=2 card=1 amount=90 of=1 -> advised                      # 30 by force
         life 2 class=clear -> Posted 0/90/0/0
         rules card=1 -> 90/1 90/1
         reverse stan=3 of=2 ofclass=clear -> back                          # of a clearing: what it forced
         rules card=1 -> 60/1 60/1
         rule 2 card=1 count=day:2
         auth stan=4 card=1 amount=20 -> ok
         advice stan=5 card=1 amount=50 of=4 -> advised
         rules card=1 -> 110/2 110/2
         life 5 class=advice -> Answered ExceedsAmountLimit
         rule 1 card=1 amount=day:EUR:1000
         rule 2 card=1 count=day:3
         sale stan=6 card=1 amount=20 -> ok
         clear stan=7 card=1 amount=25 of=6 ofclass=sale -> advised
         rules card=1 -> 135/3 135/3
         life 7 class=clear -> Answered
         exceptions -> OverCleared:30 Flagged(ExceedsAmountLimit):30",
    );
}

#[test]
fn a_payment_completed_to_nothing_counts_again_when_it_is_completed_after_all() {
    check(
        "rule 1 card=1 amount=day:EUR:1000
         rule 2 card=1 count=day:1
         sale stan=1 card=1 amount=60 -> ok
         clear stan=2 card=1 amount=0 of=1 ofclass=sale -> advised          # no cash came out
         clear stan=3 card=1 amount=0 of=1 ofclass=sale -> advised
         rules card=1 -> 0/0 0/0
         auth stan=4 card=1 amount=10 -> ok                                 # so there is one more
         clear stan=5 card=1 amount=40 of=1 ofclass=sale -> advised         # it did
         clear stan=6 card=1 amount=50 of=1 ofclass=sale -> advised
         life 5 class=clear -> Answered LimitExceeded
         life 6 class=clear -> Answered
         rules card=1 -> 60/2 60/2
         reverse stan=7 of=1 ofclass=sale -> back
         rules card=1 -> 10/1 10/1
         clear stan=8 card=1 amount=30 of=4 more -> advised
         clear stan=9 card=1 amount=0 of=4 -> advised                       # the last of two
         clear stan=10 card=1 amount=5 of=9 ofclass=clear -> advised
         rules card=1 -> 35/1 35/1",
    );
}

#[test]
fn an_increment_adds_its_amount_and_no_payment() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 count=day:1
         auth stan=1 card=1 amount=60 -> ok
         auth stan=2 card=1 amount=30 incremental of=1 -> ok                # though the count is used up
         rules card=1 -> 90/1 90/1
         auth stan=3 card=1 amount=11 incremental of=1 -> amount!
         advice stan=4 card=1 amount=5 incremental of=1 -> advised
         rules card=1 -> 95/1 95/1
         reverse stan=5 of=2 -> back
         rules card=1 -> 65/1 65/1
         auth stan=6 card=1 amount=35 incremental of=1 -> ok
         rules card=1 -> 100/1 100/1
         reverse stan=7 of=1 -> back
         rules card=1 -> 0/0 0/0
         auth stan=8 card=1 amount=1 incremental of=1 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         rules card=1 -> 0/0 0/0",
    );
}

#[test]
fn a_part_counts_as_what_it_is() {
    check(
        "rule 1 card=1 amount=day:EUR:200000
         auth stan=1 card=1 amount=99000 -> ok
         auth stan=2 card=1 amount=5000 partial -> APPROVED 0002 10 002 0002 part=1000/1000
         rules card=1 -> 100000/2
         reverse stan=3 of=2 -> back
         rules card=1 -> 99000/1
         rule 1 card=1 amount=day:EUR:100000
         auth stan=4 card=1 amount=5000 partial -> amount!                  # asked for whole",
    );
}

#[test]
fn what_moves_no_money_of_the_holder_counts_nothing() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 count=day:2
         auth stan=1 card=1 amount=60 -> ok
         auth stan=1 card=1 amount=60 -> APPROVED 0000 00 000 0000 again    # a repeat
         auth stan=1 card=1 amount=61 -> DUPLICATE 9113 94 913 9113
         auth stan=2 card=1 amount=60 -> amount!                            # a decline
         auth stan=3 card=1 amount=5 cvv=bad -> INVALID_CVV 1045 82 100 1045
         auth stan=4 card=1 amount=0 type=310000 -> APPROVED 0000 00 000 0000 99940/100000 EUR
         auth stan=5 card=1 amount=0 verification -> ok
         sale stan=6 card=1 amount=500 type=200000 -> ok                    # a refund
         auth stan=7 card=1 amount=500 type=260000 -> ok
         clear stan=8 card=1 amount=500 type=200000 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         advice stan=9 card=1 amount=40 declined -> advised
         reverse stan=10 of=11 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=11 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=12 card=2 amount=5 -> ok                                 # another card
         rules card=1 -> 60/1 60/1
         advice stan=1 card=1 amount=60 -> advised                          # what was asked for already
         clear stan=13 card=1 amount=60 of=1 -> advised
         clear stan=13 card=1 amount=60 of=1 -> advised
         rules card=1 -> 60/1 60/1",
    );
}
