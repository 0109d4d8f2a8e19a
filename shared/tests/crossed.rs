//! Messages that cross on their way, name something else than they mean, or come much later: what
//! they mean all the same, and that nothing is taken back or posted twice. Source: authorization 4;
//! the language is described in `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00, a partner deposit of 50.00 behind it.
const WORLD: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit partial
    deposit D partner=1 cur=EUR
    reload D 5000 EUR
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A expiry=2812";

fn check(table: &str) {
    language::check(PRODUCTION, WORLD, table);
}

#[test]
fn an_answer_that_the_network_has_spoken_of_is_not_voided() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         advice stan=1 card=1 amount=100 -> ADVICE_RECORDED 0000 00 000 0000        # it stood in
         void stan=1 -> noted
         life 1 -> Authorized 100/0/0/0
         sale stan=2 card=1 amount=50 -> APPROVED 0000 00 000 0000
         clear stan=3 card=1 amount=50 of=2 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
         void stan=2 class=sale by=11 -> noted
         life 2 class=sale -> Posted 0/50/0/0
         show A -> A 850/100/950",
    );
}

#[test]
fn what_was_paid_is_known_for_a_month_and_what_was_declined_for_a_day() {
    check(
        "sale stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         sale stan=2 card=1 amount=2000 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         clear stan=3 card=1 amount=30 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         wait 29d
         expire -> noted
         sale stan=4 card=1 amount=1 -> APPROVED 0000 00 000 0000
         life 2 class=sale -> none
         clear stan=3 card=1 amount=30 repeat -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         reverse stan=5 of=1 ofclass=sale advice -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 969/0/969
         wait 2d
         sale stan=6 card=1 amount=1 -> APPROVED 0000 00 000 0000
         life 1 class=sale -> none",
    );
}

#[test]
fn a_reversal_without_a_key_takes_back_no_clearing_and_nothing_in_anothers_place() {
    // The hold was cleared: the clearing is not what the reversal of an authorization means.
    check(
        "auth stan=1 card=1 amount=100 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=100 of=1 rrn=R terminal=T -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=3 of=3 card=1 base=100 rrn=R terminal=T -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Reversed 100/100/0/0
         show A -> A 900/0/900",
    );
    // Of two, the one of this amount was taken back already.
    check(
        "auth stan=1 card=1 amount=100 lifecycle=L -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=70 lifecycle=L -> APPROVED 0000 00 000 0000
         reverse stan=3 of=1 card=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=4 of=4 card=1 base=100 lifecycle=L -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 2 -> Authorized 70/0/0/0
         show A -> A 930/70/1000",
    );
    // It names an increment that was lost on its way: not the hold, which has another amount.
    check(
        "auth stan=1 card=1 amount=100 lifecycle=L -> APPROVED 0000 00 000 0000
         reverse stan=3 of=2 card=1 base=50 lifecycle=L advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         life 1 -> Authorized 100/0/0/0
         auth stan=2 card=1 amount=50 incremental of=1 lifecycle=L -> REVERSED_BEFORE_REQUEST 1000 05 100 1000",
    );
}

#[test]
fn an_advised_increment_raises_its_hold() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         advice stan=2 card=1 amount=50 incremental of=1 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Authorized 150/0/0/0
         life 2 class=advice -> Answered 50/0/0/0
         advice stan=3 card=1 amount=40 incremental of=1 declined -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Authorized 150/0/0/0
         reverse stan=4 of=2 ofclass=advice card=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Authorized 150/0/50/0
         auth stan=5 card=1 amount=20 incremental of=1 -> APPROVED 0000 00 000 0000
         advice stan=5 card=1 amount=30 incremental of=1 -> ADVICE_RECORDED 0000 00 000 0000   # what was asked for here
         life 1 -> Authorized 180/0/50/0
         advice stan=6 card=1 amount=60 incremental of=99 -> ADVICE_RECORDED 0000 00 000 0000  # of a hold nobody knows
         life 6 class=advice -> Authorized 60/0/0/0
         show A D -> A 810/190/1000 D 4810/190/5000",
    );
}

#[test]
fn a_reversal_of_an_advice_takes_back_what_the_advice_changed() {
    check(
        "sale stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=120 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 880/0/880
         reverse stan=3 of=2 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 class=sale -> Reversed 20/120/0/120
         auth stan=4 card=1 amount=100 -> APPROVED 0000 00 000 0000
         advice stan=5 card=1 amount=80 of=4 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=6 of=5 ofclass=advice -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 4 -> Reversed 100/0/100/0
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_corrected_clearing_is_posted_though_the_first_was_taken_back() {
    check(
        "clear stan=1 card=1 amount=100 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         reverse stan=2 of=1 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000
         clear stan=3 card=1 amount=90 of=1 ofclass=clear -> ADVICE_RECORDED 0000 00 000 0000
         life 3 class=clear -> Posted 0/90/0/0 ReversedBeforeRequest
         show A -> A 910/0/910",
    );
}

#[test]
fn what_is_posted_back_to_a_closed_balance_goes_to_the_receivable_account() {
    check(
        "sale stan=1 card=1 amount=1000 -> APPROVED 0000 00 000 0000
         close A
         reverse stan=2 of=1 ofclass=sale advice -> REVERSAL_ACCEPTED 4000 00 400 4000
         exceptions -> Suspense:1000
         book EUR -> funding=-1000 receivable=1000 partners=5000 bank=-5000",
    );
}

#[test]
fn a_marked_repeat_among_messages_alike_is_the_one_of_its_content() {
    check(
        "auth stan=1 card=1 amount=100 lifecycle=L -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=50 incremental of=1 lifecycle=L -> APPROVED 0000 00 000 0000
         auth stan=2 sent=7 card=1 amount=50 incremental of=1 lifecycle=L repeat -> APPROVED 0000 00 000 0000 again
         show A -> A 850/150/1000
         clear stan=3 card=1 amount=20 of=1 more lifecycle=L -> ADVICE_RECORDED 0000 00 000 0000
         clear stan=4 card=1 amount=30 of=1 more lifecycle=L -> ADVICE_RECORDED 0000 00 000 0000
         clear stan=5 card=1 amount=20 of=1 more lifecycle=L repeat -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 850/100/950",
    );
}

#[test]
fn an_advice_of_a_reversal_is_acknowledged_though_its_request_was_not() {
    check(
        "reverse stan=2 of=1 card=1 base=5 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=2 of=1 card=1 base=5 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000",
    );
}

#[test]
fn a_partly_reversed_increment_can_be_reversed_whole() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=50 incremental of=1 -> APPROVED 0000 00 000 0000
         reverse stan=3 of=2 base=50 total=20 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Authorized 150/0/30/0
         auth stan=2 card=1 amount=50 incremental of=1 -> APPROVED 0000 00 000 0000 again
         reverse stan=4 of=2 base=50 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Authorized 150/0/50/0
         show A -> A 900/100/1000",
    );
}

#[test]
fn an_increment_never_shortens_its_hold() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=50 type=010000 incremental of=1 -> APPROVED 0000 00 000 0000  # cash: three days
         wait 4d
         expire -> noted
         life 1 -> Authorized 150/0/0/0",
    );
}

#[test]
fn a_cash_machine_is_never_answered_in_part() {
    check(
        "auth stan=1 card=1 amount=1001 partial channel=atm -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=2 card=1 amount=1001 partial channel=pos -> APPROVED 0002 10 002 0002 part=1000/1000",
    );
}
