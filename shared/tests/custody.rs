//! Money that is with the partner, as tables: the request passes its own checks, holds the deposit
//! and asks; what the partner says, or the end of its time, decides. Source: authorization 5,
//! requirements #81, #143-#153; the language is described in `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use std::fmt::Write as _;

use shared::limits::{ASKED_A_PROGRAM_MAX, PRODUCTION};

/// One card on a balance that the partner keeps, a deposit of 50.00, two seconds to answer; and
/// one on a balance of our own.
const WORLD: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit cash-hours=1
    custody 10 answer=2000
    program 11 partner=1 cur=EUR
    deposit D partner=1 cur=EUR
    reload D 5000 EUR
    customer 1
    balance A customer=1 cur=EUR
    entrust A
    balance B customer=1 cur=EUR
    top-up B 1000 EUR
    card 1 program=10 balance=A
    card 2 program=11 balance=B";

fn check(table: &str) {
    language::check(PRODUCTION, WORLD, table);
}

#[test]
fn an_agreement_approves_and_the_deposit_is_held_all_along() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         show A D -> A -700/700/0 D 4300/700/5000
         life 1 -> Asked 700/0/0/0
         answered stan=1 by=1 agreed -> noted                          # of another question
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         life 1 -> Authorized 700/0/0/0
         show A D -> A -700/700/0 D 4300/700/5000
         auth stan=1 card=1 amount=700 -> APPROVED 0000 00 000 0000 again
         answered stan=1 agreed -> noted                               # once is enough
         answered stan=1 no=funds -> noted
         clear stan=2 card=1 amount=700 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 0/0/0 D 4300/0/4300
         book EUR -> users=1000 funding=-1000 settlement=700 partners=4300 partner-settlement=700 bank=-5000 partner-held=-700
         auth stan=3 card=2 amount=700 -> APPROVED 0000 00 000 0000    # our own balances ask nobody
         show B -> B 300/700/1000",
    );
}

#[test]
fn each_no_has_a_code_of_its_own_and_gives_back_what_was_held() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         answered stan=1 no=funds -> INSUFFICIENT_FUNDS 1016 51 116 1016
         life 1 -> Answered 700/0/700/0
         show A D -> A 0/0/0 D 5000/0/5000
         auth stan=1 card=1 amount=700 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=2 card=1 amount=700 -> asked
         answered stan=2 no=limits -> LIMIT_EXCEED 1021 61 121 1021
         auth stan=3 card=1 amount=700 -> asked
         answered stan=3 no=fraud -> FRAUDS_DETECTED 1002 59 102 1002
         auth stan=4 card=1 amount=700 -> asked
         answered stan=4 no=balance -> BALANCE_NOT_FOUND 1014 42 114 1014
         auth stan=5 card=1 amount=700 -> asked
         answered stan=5 no=other -> PARTNER_DECLINED 1000 05 100 1000
         auth stan=6 card=1 amount=700 -> asked
         answered stan=6 not-asked -> TIMEOUT 1000 05 100 1000
         auth stan=7 card=1 amount=700 -> asked
         answered stan=7 in-doubt -> TIMEOUT 1000 05 100 1000
         show A D -> A 0/0/0 D 5000/0/5000",
    );
}

#[test]
fn our_own_checks_come_first_and_nobody_is_asked_what_they_decline() {
    check(
        "auth stan=1 card=1 amount=5001 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         auth stan=2 card=1 amount=100 cur=PLN -> CURRENCY_MISMATCH 1030 57 115 1030
         lock 1 code=7
         auth stan=3 card=1 amount=100 -> CARD_LOCKED 1002 59 102 1002
         unlock 1
         explain auth stan=4 card=1 amount=100 -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19
         auth stan=4 card=1 amount=100 -> asked
         explain answered stan=4 agreed -> 21
         explain answered stan=4 no=funds -> 21!
         rule 1 card=1 amount=day:EUR:150
         auth stan=5 card=1 amount=100 -> asked                        # the one before counts from now on
         auth stan=6 card=1 amount=100 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021
         answered stan=5 no=funds -> INSUFFICIENT_FUNDS 1016 51 116 1016
         rules card=1 -> 0/0                                           # given back
         auth stan=7 card=1 amount=100 -> asked
         answered stan=7 agreed -> APPROVED 0000 00 000 0000
         rules card=1 -> 100/1",
    );
}

#[test]
fn silence_declines_by_the_programs_policy_when_its_time_is_over() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         wait 1999ms
         expire -> noted
         life 1 -> Asked 700/0/0/0
         wait 1ms
         answered stan=1 agreed -> TIMEOUT 1000 05 100 1000            # too late
         show A D -> A 0/0/0 D 5000/0/5000
         auth stan=2 card=1 amount=700 -> asked
         custody 10 answer=3000 stand-in
         wait 2000ms
         expire -> noted
         life 2 -> Answered 700/0/700/0
         auth stan=2 card=1 amount=700 -> TIMEOUT_STAND_IN 9111 91 911 9111
         auth stan=3 card=1 amount=700 -> asked
         wait 2999ms
         expire -> noted
         life 3 -> Asked 700/0/0/0
         answered stan=3 agreed -> APPROVED 0000 00 000 0000
         wait 7d
         expire -> noted
         life 3 -> Expired 700/0/700/0
         show A D -> A 0/0/0 D 5000/0/5000",
    );
}

#[test]
fn a_hold_lives_from_when_it_was_agreed_to() {
    check(
        "auth stan=1 card=1 amount=700 type=010000 -> asked
         wait 1500ms
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         wait 59m
         wait 59500ms
         expire -> noted
         life 1 -> Authorized 700/0/0/0
         wait 500ms
         expire -> noted
         life 1 -> Expired 700/0/700/0",
    );
}

#[test]
fn a_repeat_waits_for_the_same_answer_and_other_content_does_not() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         auth stan=1 card=1 amount=700 repeat -> asked again
         auth stan=1 card=1 amount=701 -> DUPLICATE 9113 94 913 9113
         show A D -> A -700/700/0 D 4300/700/5000
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=700 repeat -> APPROVED 0000 00 000 0000 again",
    );
}

#[test]
fn what_changed_meanwhile_is_looked_at_again() {
    check(
        "auth stan=1 card=1 amount=100 -> asked
         lock 1 code=4
         answered stan=1 agreed -> CARD_LOCKED 1016 51 116 1016
         unlock 1
         auth stan=2 card=1 amount=100 -> asked
         customer 1 aml
         answered stan=2 agreed -> AML_EXCEPTION 1078 05 100 1078
         customer 1 unverified
         auth stan=3 card=1 amount=100 -> CUSTOMER_NOT_FOUND 1014 42 114 1014
         customer 1
         auth stan=4 card=1 amount=100 -> asked
         customer 1 unverified
         answered stan=4 agreed -> CUSTOMER_NOT_FOUND 1014 42 114 1014
         customer 1
         auth stan=5 card=1 amount=100 -> asked
         auth stan=6 card=1 amount=100 type=200000 -> asked
         state 1 Expired
         answered stan=5 agreed -> CARD_EXPIRED 1001 54 101 1001
         answered stan=6 agreed -> APPROVED 0000 00 000 0000           # a refund needs no card that works
         auth stan=7 card=1 amount=100 type=200000 -> asked
         state 1 Removed
         answered stan=7 agreed -> CARD_NOT_FOUND 1011 14 111 1011
         show A D -> A 0/0/0 D 5000/0/5000",
    );
}

#[test]
fn a_card_whose_month_ends_meanwhile_pays_nothing() {
    check(
        "clock 2026-12-31T23:59:59Z
         auth stan=1 card=1 amount=100 -> asked
         wait 1500ms
         answered stan=1 agreed -> CARD_EXPIRED 1001 54 101 1001",
    );
}

#[test]
fn a_reversal_while_the_partner_is_asked_declines_the_request() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         reverse stan=2 card=1 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Reversed 700/0/700/0
         show A D -> A 0/0/0 D 5000/0/5000
         answered stan=1 agreed -> noted
         auth stan=1 card=1 amount=700 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=3 card=1 amount=700 rrn=ONE terminal=T -> asked
         reverse stan=4 card=1 of=9 rrn=ONE terminal=T base=700 total=300 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 3 -> Reversed 700/0/700/0                                # of what was never approved, nothing stays
         nack stan=3 card=1 of=3 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 0/0/0 D 5000/0/5000",
    );
}

#[test]
fn a_network_that_did_not_wait_is_recorded() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         advice stan=2 card=1 amount=700 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Voided 700/0/700/0
         life 2 class=advice -> Authorized 700/0/0/0
         show A D -> A -700/700/0 D 4300/700/5000
         answered stan=1 agreed -> noted
         auth stan=3 card=1 amount=100 -> asked
         advice stan=4 card=1 amount=100 of=3 declined -> ADVICE_RECORDED 0000 00 000 0000
         life 3 -> Reversed 100/0/100/0
         sale stan=5 card=1 amount=50 -> asked
         clear stan=6 card=1 amount=50 of=5 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
         life 5 class=sale -> Voided 50/0/50/0
         sale stan=7 card=1 amount=50 -> asked
         clear stan=8 card=1 amount=50 of=7 ofclass=sale declined -> ADVICE_RECORDED 0000 00 000 0000
         life 7 class=sale -> Reversed 50/0/50/0
         show A D -> A -700/700/0 D 4250/700/4950
         book EUR -> users=1000 funding=-1000 settlement=50 partners=4950 partner-settlement=50 bank=-5000 partner-held=-50",
    );
}

#[test]
fn what_the_network_decided_itself_stands_for_what_came_to_nothing() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         answered stan=1 not-asked -> TIMEOUT 1000 05 100 1000
         advice stan=2 card=1 amount=700 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A -700/700/0 D 4300/700/5000
         clear stan=3 card=1 amount=700 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         life 2 class=advice -> Cleared 700/700/0/0
         show A D -> A 0/0/0 D 4300/0/4300                             # once, not twice
         exceptions -> none
         auth stan=4 card=1 amount=300 -> asked
         advice stan=5 card=1 amount=300 of=4 -> ADVICE_RECORDED 0000 00 000 0000
         life 4 -> Voided 300/0/300/0
         reverse stan=6 card=1 of=4 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 5 class=advice -> Reversed 300/0/300/0
         show A D -> A 0/0/0 D 4300/0/4300",
    );
}

#[test]
fn a_stand_ins_hold_is_found_by_references_and_a_clearing_stands_for_nothing() {
    check(
        "auth stan=1 card=1 amount=700 rrn=ONE terminal=T -> asked
         answered stan=1 not-asked -> TIMEOUT 1000 05 100 1000
         advice stan=2 card=1 amount=700 of=1 rrn=ONE terminal=T -> ADVICE_RECORDED 0000 00 000 0000
         clear stan=3 card=1 amount=700 rrn=ONE terminal=T -> ADVICE_RECORDED 0000 00 000 0000
         life 2 class=advice -> Cleared 700/700/0/0
         show A D -> A 0/0/0 D 4300/0/4300
         auth stan=4 card=1 amount=100 -> asked
         answered stan=4 no=funds -> INSUFFICIENT_FUNDS 1016 51 116 1016
         clear stan=5 card=1 amount=40 of=4 -> ADVICE_RECORDED 0000 00 000 0000
         clear stan=6 card=1 amount=60 of=4 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 0/0/0 D 4200/0/4200                             # both, each whole
         reverse stan=7 card=1 of=4 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 0/0/0 D 4200/0/4200",
    );
}

#[test]
fn a_message_that_gives_back_twice_gives_back_no_more_than_was_counted() {
    check(
        "auth stan=1 card=1 amount=100 -> asked
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         rule 1 card=1 amount=day:EUR:60
         auth stan=2 card=1 amount=50 of=1 incremental -> asked
         clear stan=3 card=1 amount=80 of=2 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Cleared 100/80/20/0
         life 2 -> Voided 50/0/50/0
         auth stan=4 card=1 amount=61 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021
         auth stan=5 card=1 amount=60 -> asked
         show D -> D 4860/60/4920",
    );
}

#[test]
fn what_is_given_back_of_yesterday_takes_nothing_of_today() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         clock 2026-12-20T23:59:59Z
         auth stan=1 card=1 amount=60 -> asked
         clock 2026-12-21T00:00:00Z
         clear stan=2 card=1 amount=60 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Voided 60/0/60/0
         auth stan=3 card=1 amount=60 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021
         auth stan=4 card=1 amount=40 -> asked",
    );
}

#[test]
fn an_increment_that_a_network_did_not_wait_for_counts_once() {
    check(
        "auth stan=1 card=1 amount=500 rrn=ONE terminal=T -> asked
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=200 of=1 incremental -> asked
         show D -> D 4300/700/5000
         advice stan=2 card=1 amount=200 of=1 incremental -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Authorized 700/0/0/0
         life 2 -> Voided 200/0/200/0
         show D -> D 4300/700/5000
         auth stan=3 card=1 amount=100 of=1 incremental -> asked
         clear stan=4 card=1 amount=600 of=3 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Cleared 700/600/100/0
         life 3 -> Voided 100/0/100/0
         show D -> D 4400/0/4400",
    );
}

#[test]
fn a_slow_partner_takes_no_more_than_its_part() {
    let mut text = String::new();
    for stan in 1..=ASKED_A_PROGRAM_MAX {
        writeln!(text, "auth stan={stan} card=1 amount=1 -> asked").unwrap();
    }
    text.push_str(
        "auth stan=9001 card=1 amount=1 -> UNAVAILABLE 9107 91 907 9107
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         auth stan=9002 card=1 amount=1 -> asked
         show D -> D 3975/1025/5000",
    );
    check(&text);
}

#[test]
fn a_financial_request_is_posted_with_the_agreement_and_taken_back_whole() {
    check(
        "sale stan=1 card=1 amount=700 -> asked
         show A D -> A -700/700/0 D 4300/700/5000
         answered stan=1 class=sale agreed -> APPROVED 0000 00 000 0000
         life 1 class=sale -> Posted 700/700/0/0
         show A D -> A 0/0/0 D 4300/0/4300
         clear stan=2 card=1 amount=700 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 0/0/0 D 4300/0/4300                             # a completion, once
         reverse stan=3 card=1 of=1 ofclass=sale base=700 total=200 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 0/0/0 D 4800/0/4800
         reverse stan=4 card=1 of=1 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 0/0/0 D 5000/0/5000
         book EUR -> users=1000 funding=-1000 partners=5000 bank=-5000",
    );
}

#[test]
fn an_increment_asks_by_itself_and_raises_the_hold_once_agreed() {
    check(
        "auth stan=1 card=1 amount=500 rrn=ONE terminal=T -> asked
         auth stan=2 card=1 amount=100 rrn=ONE terminal=T incremental -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=200 rrn=ONE terminal=T incremental -> asked
         life 1 -> Authorized 500/0/0/0
         show D -> D 4300/700/5000
         answered stan=3 agreed -> APPROVED 0000 00 000 0000
         life 1 -> Authorized 700/0/0/0
         life 3 -> Answered 200/0/0/0
         show A D -> A -700/700/0 D 4300/700/5000
         auth stan=4 card=1 amount=100 rrn=ONE terminal=T incremental -> asked
         answered stan=4 no=funds -> INSUFFICIENT_FUNDS 1016 51 116 1016
         show A D -> A -700/700/0 D 4300/700/5000
         auth stan=5 card=1 amount=100 of=1 incremental -> asked
         reverse stan=6 card=1 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         answered stan=5 agreed -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         show A D -> A 0/0/0 D 5000/0/5000",
    );
}

#[test]
fn credits_and_inquiries_ask_too_and_verifications_do_not() {
    check(
        "auth stan=1 card=1 amount=700 type=260000 -> asked
         show A D -> A 0/0/0 D 5000/0/5000
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         life 1 -> Authorized 700/0/0/0
         clear stan=2 card=1 amount=700 type=260000 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 0/0/0 D 5700/0/5700
         sale stan=3 card=1 amount=200 type=200000 -> asked
         answered stan=3 class=sale agreed -> APPROVED 0000 00 000 0000
         exceptions -> Unmatched:200                                   # a refund of nothing that is known
         show A D -> A 0/0/0 D 5900/0/5900
         auth stan=4 card=1 amount=60 type=200000 rrn=TWO terminal=T -> asked
         answered stan=4 no=fraud -> FRAUDS_DETECTED 1002 59 102 1002
         auth stan=5 card=1 amount=60 type=200000 rrn=TWO terminal=T -> asked
         answered stan=5 agreed -> APPROVED 0000 00 000 0000
         sale stan=6 card=1 amount=60 type=200000 rrn=TWO terminal=T -> APPROVED 0000 00 000 0000 # agreed to before
         life 5 -> Cleared 60/60/0/0
         auth stan=7 card=1 amount=0 type=310000 -> asked
         answered stan=7 has=1234 -> APPROVED 0000 00 000 0000 1234/1234 EUR
         auth stan=8 card=1 amount=0 type=310000 -> asked
         answered stan=8 agreed -> TIMEOUT 1000 05 100 1000            # no answer to what was asked
         auth stan=9 card=1 amount=10 -> asked
         answered stan=9 has=500 -> TIMEOUT 1000 05 100 1000
         auth stan=10 card=1 amount=0 verification -> APPROVED 0000 00 000 0000
         book EUR -> users=1000 funding=-1000 settlement=-960 partners=5960 partner-settlement=-960 bank=-5000 partner-held=960",
    );
}

#[test]
fn what_is_forced_is_the_partners_to_book_and_the_answer_that_never_left_is_taken_back() {
    check(
        "clear stan=1 card=1 amount=300 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         book EUR -> users=1000 funding=-1000 settlement=300 partners=4700 partner-settlement=300 bank=-5000 partner-held=-300
         auth stan=2 card=1 amount=300 -> asked
         void stan=2 -> noted                                          # nothing was approved yet
         life 2 -> Asked 300/0/0/0
         answered stan=2 agreed -> APPROVED 0000 00 000 0000
         void stan=2 -> noted
         life 2 -> Voided 300/0/300/0
         show A D -> A 0/0/0 D 4700/0/4700",
    );
}

#[test]
fn a_program_is_one_or_the_other_from_before_its_first_card_on() {
    check(
        "custody 11 answer=2000 -> OtherCustody                        # it has a card
         custody 12 answer=2000 -> ProgramNotFound
         custody 10 answer=0 -> Unsound
         custody 10 answer=10001 -> Unsound
         custody 10 answer=10000
         program 12 partner=1 cur=EUR collateral=credit
         custody 12 answer=2000 -> OtherCustody
         program 13 partner=1 cur=EUR
         fee 1 program=13 fixed=50
         custody 13 answer=2000 -> OtherCustody
         unfee 1 program=13
         custody 13 answer=2000
         fee 1 program=13 fixed=50 -> OtherCustody
         program 13 partner=1 cur=EUR partial                          # its policy may change
         balance C customer=1 cur=EUR
         card 3 program=13 balance=C -> OtherCustody
         entrust C
         entrust C
         card 3 program=13 balance=C
         card 4 program=11 balance=C -> OtherCustody
         entrust B -> BalanceNotEmpty
         balance E customer=1 cur=EUR
         card 5 program=11 balance=E
         entrust E -> BalanceNotEmpty
         state 5 Removed
         entrust E -> BalanceNotEmpty                             # what it did may be posted still
         entrust Z -> BalanceNotFound",
    );
}

#[test]
fn a_balance_that_is_blocked_while_the_partner_is_asked_pays_nothing() {
    check(
        "auth stan=1 card=1 amount=700 -> asked
         sale stan=2 card=1 amount=60 type=200000 -> asked
         auth stan=3 card=1 amount=0 type=310000 -> asked
         block A
         answered stan=1 agreed -> BALANCE_BLOCKED 1004 62 104 1004
         answered stan=2 class=sale agreed -> APPROVED 0000 00 000 0000
         answered stan=3 has=5 -> BALANCE_BLOCKED 1004 62 104 1004
         auth stan=4 card=1 amount=700 -> BALANCE_BLOCKED 1004 62 104 1004
         unblock A
         auth stan=5 card=1 amount=700 -> asked
         block A
         customer 1 aml
         answered stan=5 agreed -> AML_EXCEPTION 1078 05 100 1078       # row 10 in front of 12
         show A D -> A 0/0/0 D 5060/0/5060",
    );
}

#[test]
fn money_that_is_with_the_partner_is_not_moved_here() {
    check(
        "top-up A 100 EUR -> OtherCustody
         credit-transfer A 100 EUR -> OtherCustody
         withdraw A 100 EUR -> OtherCustody
         transfer A 100 EUR to=B -> OtherCustody
         transfer B 100 EUR to=A -> OtherCustody
         charge A 50 EUR fee=9 -> OtherCustody
         charge A 50 EUR fee=9 partner
         auth stan=1 card=1 amount=100 -> asked
         close A -> BalanceNotEmpty
         answered stan=1 agreed -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         close A                                                       # nothing is held, and nothing ever booked
         clear stan=3 card=1 amount=30 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         exceptions -> OverCleared:30 Flagged(BalanceNotFound):30 Suspense:30",
    );
}
