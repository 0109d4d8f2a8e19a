//! What takes back, and which transaction a message means, as tables: reversals upon every state,
//! partial ones, negative acknowledgements, repeats and references. Source: authorization 3 and 4;
//! the language is described in `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00, a partner deposit of 50.00 behind it.
const WORLD: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit
    deposit D partner=1 cur=EUR
    reload D 5000 EUR
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A
    card 2 program=10 balance=A";

fn check(table: &str) {
    language::check(PRODUCTION, WORLD, table);
}

#[test]
fn a_full_reversal_by_the_state_of_its_original() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=30 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000                     # what is captured stays
         life 1 -> Reversed 100/30/70/0
         show A D -> A 970/0/970 D 4970/0/4970
         auth stan=4 card=1 amount=50 type=200000 -> APPROVED 0000 00 000 0000         # a pending credit
         reverse stan=5 of=4 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 4 -> Reversed 50/0/50/0
         sale stan=6 card=1 amount=100 -> APPROVED 0000 00 000 0000
         show A D -> A 870/0/870 D 4870/0/4870
         reverse stan=7 of=6 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000        # posted: posted back
         life 6 class=sale -> Reversed 0/100/0/100
         sale stan=6 card=1 amount=100 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A D -> A 970/0/970 D 4970/0/4970
         auth stan=8 card=1 amount=9999 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         reverse stan=9 of=8 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 8 -> Reversed
         auth stan=10 card=1 amount=0 type=310000 -> APPROVED 0000 00 000 0000 970/970 EUR
         reverse stan=11 of=10 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 10 -> Reversed
         auth stan=12 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=13 card=1 amount=90 of=12 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=14 of=12 -> REVERSAL_ACCEPTED 4000 00 400 4000                   # cleared: nothing moves
         life 12 -> Reversed 100/90/10/0
         show A D -> A 880/0/880 D 4880/0/4880
         auth stan=15 card=1 amount=100 -> APPROVED 0000 00 000 0000
         wait 7d
         expire -> noted
         reverse stan=16 of=15 -> REVERSAL_ACCEPTED 4000 00 400 4000                   # expired: nothing moves
         life 15 -> Reversed 100/0/100/0
         auth stan=17 card=1 amount=100 -> APPROVED 0000 00 000 0000
         void stan=17 -> noted
         reverse stan=18 of=17 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=19 of=17 -> REVERSAL_ACCEPTED 4000 00 400 4000                   # reversed already
         life 17 -> Voided 100/0/100/0
         show A D -> A 880/0/880 D 4880/0/4880
         exceptions -> none",
    );
}

#[test]
fn a_partial_reversal_by_the_state_of_its_original() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=60 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=3 of=1 base=100 total=80 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Authorized 100/60/20/0
         show A D -> A 920/20/940 D 4920/20/4940
         reverse stan=4 of=1 base=100 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000    # not below what is captured
         life 1 -> Authorized 100/60/40/0
         show A D -> A 940/0/940 D 4940/0/4940
         sale stan=5 card=1 amount=100 -> APPROVED 0000 00 000 0000
         reverse stan=6 of=5 ofclass=sale base=100 total=30 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 5 class=sale -> Posted 0/100/0/70
         show A D -> A 910/0/910 D 4910/0/4910
         sale stan=5 card=1 amount=100 -> APPROVED 0000 00 000 0000 again               # it stands, in part
         reverse stan=7 of=5 ofclass=sale base=100 total=40 -> REVERSAL_ACCEPTED 4000 00 400 4000 # never back up
         reverse stan=8 of=5 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000         # the rest
         life 5 class=sale -> Reversed 0/100/0/100
         show A D -> A 940/0/940 D 4940/0/4940
         auth stan=9 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=10 card=1 amount=100 of=9 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=11 of=9 base=100 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000   # cleared: nothing
         life 9 -> Cleared 100/100/0/0
         auth stan=12 card=1 amount=100 -> APPROVED 0000 00 000 0000
         wait 7d
         expire -> noted
         reverse stan=13 of=12 base=100 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000  # expired: nothing
         life 12 -> Expired 100/0/100/0
         reverse stan=14 of=12 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=15 of=12 base=100 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000  # reversed: nothing
         auth stan=16 card=1 amount=9999 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         reverse stan=17 of=16 base=9999 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000 # declined: reversed
         life 16 -> Reversed
         show A D -> A 840/0/840 D 4840/0/4840
         exceptions -> none",
    );
}

#[test]
fn the_new_total_is_billed_as_the_link_says_or_in_proportion_rounded_half_up() {
    check(
        "auth stan=1 card=1 amount=300 cur=PLN bill=101 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 base=300 total=150 -> REVERSAL_ACCEPTED 4000 00 400 4000             # 50.5
         life 1 -> Authorized 101/0/50/0
         reverse stan=3 of=1 base=300 total=150 newbill=47 -> REVERSAL_ACCEPTED 4000 00 400 4000  # the link's own
         life 1 -> Authorized 101/0/54/0
         reverse stan=4 of=1 base=300 total=147 newbill=0 -> REVERSAL_ACCEPTED 4000 00 400 4000   # 49.49: never up
         life 1 -> Authorized 101/0/54/0
         reverse stan=5 of=1 base=300 total=100 newbill=0 -> REVERSAL_ACCEPTED 4000 00 400 4000   # 33.67
         life 1 -> Authorized 101/0/67/0
         show A -> A 966/34/1000
         sale stan=6 card=1 amount=300 cur=PLN bill=101 -> APPROVED 0000 00 000 0000
         reverse stan=7 of=6 ofclass=sale base=300 total=150 newbill=999 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 6 class=sale -> Posted 0/101/0/0                                   # at most the original
         reverse stan=8 of=6 ofclass=sale base=300 total=299 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 6 class=sale -> Posted 0/101/0/0                                   # 100.66
         reverse stan=9 of=6 ofclass=sale base=300 total=298 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 6 class=sale -> Posted 0/101/0/1                                   # 100.33
         reverse stan=10 of=6 ofclass=sale base=300 total=1 -> REVERSAL_ACCEPTED 4000 00 400 4000 # 0.34: all of it
         life 6 class=sale -> Reversed 0/101/0/101
         show A -> A 966/34/1000",
    );
}

#[test]
fn more_than_there_was_goes_to_the_queue() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 base=130 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 1000/0/1000
         reverse stan=3 of=44 base=70 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=4 of=45 base=80 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         exceptions -> OverReversed:30 ReversalUnmatched:70 ReversalUnmatched:80",
    );
}

#[test]
fn a_negative_acknowledgement_releases_like_a_reversal_and_is_none() {
    check(
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         sale stan=2 card=1 amount=50 -> APPROVED 0000 00 000 0000
         nack stan=1 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000                             # 0190
         nack stan=2 of=2 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000                # 0290
         life 1 -> Reversed 100/0/100/0
         life 2 class=sale -> Reversed 0/50/0/50
         show A D -> A 1000/0/1000 D 5000/0/5000
         nack stan=1 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000                             # its repeat
         reverse stan=3 of=1 ofclass=nack -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         nack stan=4 of=9 -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         auth stan=9 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A D -> A 1000/0/1000 D 5000/0/5000",
    );
}

#[test]
fn an_advice_is_taken_back_too() {
    check(
        "advice stan=1 card=1 amount=100 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=2 of=1 ofclass=advice -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 class=advice -> Reversed 100/0/100/0
         advice stan=1 card=1 amount=100 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         clear stan=3 card=1 amount=100 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         reverse stan=4 of=3 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000             # by the trace of its class
         life 3 class=clear -> Reversed 0/100/0/100
         show A D -> A 1000/0/1000 D 5000/0/5000
         auth stan=5 card=1 amount=80 -> APPROVED 0000 00 000 0000
         clear stan=6 card=1 amount=100 of=5 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=7 of=6 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000            # of a clearing
         show A D -> A 1000/0/1000 D 5000/0/5000
         life 6 class=clear -> Reversed 0/100/0/100",
    );
}

#[test]
fn a_reversal_finds_its_original_by_what_it_names_first() {
    check(
        "auth stan=1 card=1 amount=100 rrn=R1 terminal=T lifecycle=L1 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 rrn=R2 terminal=T lifecycle=L2 -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=100 rrn=R3 terminal=T -> APPROVED 0000 00 000 0000
         reverse stan=10 of=1 card=1 rrn=R2 terminal=T lifecycle=L2 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Reversed 100/0/100/0
         reverse stan=11 of=99 card=1 rrn=R3 terminal=T lifecycle=L2 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 2 -> Reversed 100/0/100/0                               # life-cycle id before RRN
         reverse stan=12 of=99 card=1 rrn=R3 terminal=U -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=13 of=98 card=2 rrn=R3 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=14 of=97 rrn=R3 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=15 of=96 card=1 rrn=000000000000 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         life 3 -> Authorized 100/0/0/0
         reverse stan=16 of=95 card=1 rrn=R3 terminal=T -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 3 -> Reversed 100/0/100/0
         auth stan=4 card=1 amount=7 -> APPROVED 0000 00 000 0000
         reverse stan=17 of=4 card=2 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114 # another card's
         life 4 -> Authorized 7/0/0/0
         show A -> A 993/7/1000",
    );
}

#[test]
fn between_several_the_amount_decides_or_nothing_moves() {
    check(
        "auth stan=1 card=1 amount=100 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=70 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         reverse stan=10 of=99 card=1 rrn=R terminal=T base=100 -> AMBIGUOUS_REFERENCED_TRANSACTION 4000 00 400 4000
         reverse stan=11 of=98 card=1 rrn=R terminal=T advice -> AMBIGUOUS_REFERENCED_TRANSACTION 4000 00 400 4000
         show A -> A 730/270/1000
         reverse stan=12 of=97 card=1 rrn=R terminal=T base=70 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 3 -> Reversed 70/0/70/0
         reverse stan=13 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=14 of=96 card=1 rrn=R terminal=T -> REVERSAL_ACCEPTED 4000 00 400 4000  # the only one with money
         life 2 -> Reversed 100/0/100/0
         show A D -> A 1000/0/1000 D 5000/0/5000
         reverse stan=15 of=95 card=1 rrn=R terminal=T base=100 -> AMBIGUOUS_REFERENCED_TRANSACTION 4000 00 400 4000
         auth stan=97 card=1 amount=100 -> APPROVED 0000 00 000 0000                          # no tombstone was left
         auth stan=95 card=1 amount=100 -> APPROVED 0000 00 000 0000
         exceptions -> Ambiguous:100 Ambiguous:0 Ambiguous:100",
    );
}

#[test]
fn an_advice_finds_its_original_by_what_it_names_its_trace_and_its_references() {
    check(
        "auth stan=1 card=1 amount=100 rrn=R1 terminal=T -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 rrn=R2 terminal=T lifecycle=L2 -> APPROVED 0000 00 000 0000
         sale stan=3 card=1 amount=100 rrn=R3 terminal=T -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=100 rrn=R3 terminal=T -> APPROVED 0000 00 000 0000
         clear stan=1 card=1 amount=90 of=2 rrn=R1 terminal=T -> ADVICE_RECORDED 0000 00 000 0000   # named
         life 2 -> Cleared 100/90/10/0
         clear stan=3 card=1 amount=80 -> ADVICE_RECORDED 0000 00 000 0000                          # its class first
         life 3 class=sale -> Posted 0/100/0/20
         life 3 -> Authorized 100/0/0/0
         clear stan=4 card=1 amount=60 rrn=R1 terminal=T -> ADVICE_RECORDED 0000 00 000 0000        # RRN, terminal
         life 1 -> Cleared 100/60/40/0
         advice stan=3 card=1 amount=70 -> ADVICE_RECORDED 0000 00 000 0000                         # own trace
         life 3 -> Authorized 100/0/30/0
         advice stan=5 card=1 amount=60 rrn=R3 terminal=T -> ADVICE_RECORDED 0000 00 000 0000       # not of its class
         life 3 -> Authorized 100/0/40/0
         auth stan=6 card=2 amount=100 rrn=R6 terminal=T -> APPROVED 0000 00 000 0000
         clear stan=7 card=1 amount=100 of=6 rrn=R6 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         life 6 -> Authorized 100/0/0/0                                            # another card's
         auth stan=8 card=1 amount=50 type=200000 rrn=R8 terminal=T -> APPROVED 0000 00 000 0000
         clear stan=9 card=1 amount=50 rrn=R8 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         life 8 -> Authorized 50/0/0/0                                             # a credit
         clear stan=10 card=1 amount=50 type=200000 rrn=R8 terminal=T -> ADVICE_RECORDED 0000 00 000 0000
         life 8 -> Cleared 50/50/0/0
         exceptions -> Unmatched:100 Unmatched:50",
    );
}

#[test]
fn a_trace_used_by_request_and_advice_means_the_one_with_money() {
    check(
        "auth stan=1 card=1 amount=9999 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         advice stan=1 card=1 amount=90 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 class=advice -> Authorized 90/0/0/0
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Answered
         life 1 class=advice -> Reversed 90/0/90/0
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000                     # neither has: the request
         life 1 -> Reversed
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_repeat_is_known_by_its_key_or_where_marked_by_its_references() {
    check(
        "auth stan=1 card=1 amount=100 rrn=R1 terminal=T -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 rrn=R1 terminal=T repeat -> APPROVED 0000 00 000 0000 again
         auth stan=3 card=1 amount=100 lifecycle=L repeat -> APPROVED 0000 00 000 0000          # nothing to repeat
         auth stan=4 card=1 amount=100 lifecycle=L repeat -> APPROVED 0000 00 000 0000 again
         auth stan=5 card=1 amount=101 rrn=R1 terminal=T repeat -> APPROVED 0000 00 000 0000    # other content
         sale stan=6 card=1 amount=100 rrn=R1 terminal=T repeat -> APPROVED 0000 00 000 0000    # another class
         auth stan=7 card=1 amount=100 rrn=R1 terminal=T -> APPROVED 0000 00 000 0000           # not marked
         auth stan=8 card=1 amount=100 rrn=R1 terminal=T repeat -> APPROVED 0000 00 000 0000    # several: a new one
         show A -> A 399/501/900
         reverse stan=3 of=3 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=9 card=1 amount=100 lifecycle=L repeat -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         advice stan=10 card=2 amount=10 rrn=R2 terminal=T -> ADVICE_RECORDED 0000 00 000 0000
         advice stan=11 card=2 amount=10 rrn=R2 terminal=T repeat -> ADVICE_RECORDED 0000 00 000 0000
         life 11 class=advice -> none
         advice stan=10 card=2 amount=11 rrn=R2 terminal=T -> DUPLICATE 9113 94 913 9113
         reverse stan=12 of=10 ofclass=advice card=2 rrn=R2 terminal=T base=10 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=13 of=10 ofclass=advice card=2 rrn=R2 terminal=T base=10 repeat -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 13 class=reverse -> none
         reverse stan=12 of=10 ofclass=advice card=2 rrn=R2 terminal=T base=11 -> DUPLICATE 9113 94 913 9113
         reverse stan=14 of=10 ofclass=advice card=2 rrn=R2 terminal=T base=11 repeat -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 14 class=reverse -> Answered
         show A -> A 499/401/900",
    );
}

#[test]
fn every_part_of_the_key_tells_messages_apart() {
    check(
        "auth stan=1 card=1 amount=1 -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=1 -> APPROVED 0000 00 000 0000 again
         auth stan=2 card=1 amount=1 -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=1 sent=5 -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=1 acq=5 -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=1 fwd=5 -> APPROVED 0000 00 000 0000
         auth stan=1 card=1 amount=1 link=5 -> APPROVED 0000 00 000 0000
         sale stan=1 card=1 amount=1 -> APPROVED 0000 00 000 0000
         advice stan=1 card=1 amount=1 fwd=9 -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=1 of=1 fwd=5 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 993/6/999",
    );
}

#[test]
fn a_tombstone_lies_under_every_reference_that_its_reversal_had() {
    check(
        "reverse stan=1 of=50 card=1 rrn=R1 terminal=T lifecycle=L1 base=100 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         life 50 -> Tombstone
         auth stan=2 card=1 amount=100 lifecycle=L1 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=3 card=1 amount=100 rrn=R1 terminal=T -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=4 card=1 amount=99 rrn=R1 terminal=T -> APPROVED 0000 00 000 0000             # another amount
         auth stan=5 card=2 amount=100 rrn=R1 terminal=T -> APPROVED 0000 00 000 0000            # another card
         auth stan=6 card=1 amount=100 rrn=R1 terminal=U lifecycle=L2 -> APPROVED 0000 00 000 0000
         sale stan=7 card=1 amount=100 rrn=R1 terminal=T -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=50 card=1 amount=100 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         reverse stan=8 of=51 card=1 rrn=R9 terminal=T -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=9 card=1 amount=7 rrn=R9 terminal=T -> REVERSED_BEFORE_REQUEST 1000 05 100 1000 # any amount
         reverse stan=10 of=50 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         advice stan=50 card=1 amount=100 -> ADVICE_RECORDED 0000 00 000 0000
         life 50 class=advice -> Answered ReversedBeforeRequest
         show A -> A 701/299/1000",
    );
}

#[test]
fn an_answer_that_never_left_is_voided() {
    check(
        "sale stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         void stan=1 class=sale -> noted
         life 1 class=sale -> Voided 0/100/0/100
         show A D -> A 1000/0/1000 D 5000/0/5000
         sale stan=1 card=1 amount=100 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=2 card=1 amount=100 -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=50 incremental of=2 -> APPROVED 0000 00 000 0000
         void stan=3 -> noted                                       # what it added goes
         life 2 -> Authorized 150/0/50/0
         life 3 -> Voided 50/0/0/0
         show A D -> A 900/100/1000 D 4900/100/5000
         clear stan=4 card=1 amount=100 of=2 -> ADVICE_RECORDED 0000 00 000 0000
         void stan=2 -> noted                                       # cleared: it did leave
         life 2 -> Cleared 150/100/50/0
         auth stan=5 card=1 amount=0 verification -> APPROVED 0000 00 000 0000
         void stan=5 -> noted
         life 5 -> Voided
         auth stan=6 card=1 amount=10 type=260000 -> APPROVED 0000 00 000 0000
         void stan=6 -> noted
         life 6 -> Voided 10/0/10/0
         show A D -> A 900/0/900 D 4900/0/4900",
    );
}
