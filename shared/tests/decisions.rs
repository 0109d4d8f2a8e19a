//! What is answered to every kind of message and change, as tables: one line each, its outcome
//! last. Source: authorization 2 to 4; the language is described in `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00, nothing behind it.
const PLAIN: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=none
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A expiry=2612";

/// The same with a partner deposit of 8.00 behind it.
const DEPOSIT: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit
    deposit D partner=1 cur=EUR
    reload D 800 EUR
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A expiry=2612";

fn check(world: &str, table: &str) {
    language::check(PRODUCTION, world, table);
}

#[test]
fn every_lock_has_a_code_of_its_own_and_four_of_them_are_for_ever() {
    check(
        PLAIN,
        "lock 1 code=3
         auth stan=3 card=1 amount=5 -> CARD_LOCKED 1000 05 100 1000
         lock 1 code=4
         auth stan=4 card=1 amount=5 -> CARD_LOCKED 1016 51 116 1016
         lock 1 code=6
         auth stan=6 card=1 amount=5 -> CARD_LOCKED 1006 75 106 1006
         lock 1 code=7
         auth stan=7 card=1 amount=5 -> CARD_LOCKED 1002 59 102 1002
         unlock 1
         unlock 1                                            # nothing locked: no change
         auth stan=8 card=1 amount=5 -> APPROVED 0000 00 000 0000
         lock 1 code=7
         lock 1 code=1                                       # a reversible one is replaced
         auth stan=1 card=1 amount=5 -> CARD_LOCKED 2008 41 208 2008
         lock 1 code=3 -> LockedIrreversibly
         lock 1 code=2 -> LockedIrreversibly
         lock 1 code=1 -> LockedIrreversibly
         unlock 1 -> LockedIrreversibly
         auth stan=9 card=1 amount=5 -> CARD_LOCKED 2008 41 208 2008  # still lock 1
         card 2 program=10
         lock 2 code=2
         auth stan=12 card=2 amount=5 -> CARD_LOCKED 2009 43 209 2009
         unlock 2 -> LockedIrreversibly
         card 5 program=10
         lock 5 code=5
         auth stan=15 card=5 amount=5 -> CARD_LOCKED 1018 56 118 1018
         unlock 5 -> LockedIrreversibly
         card 8 program=10
         lock 8 code=8
         auth stan=18 card=8 amount=5 -> CARD_LOCKED 1011 14 111 1011
         lock 8 code=6 -> LockedIrreversibly
         show A -> A 995/5/1000",
    );
}

#[test]
fn a_card_lives_once_and_a_lock_is_not_a_state() {
    check(
        PLAIN,
        "card 2 program=10 state=Ordered
         state 2 Active  -> CardStateForbidden { from: Ordered, to: Active }
         state 2 Linked
         state 2 Linked                                      # there already: no change
         lock 2 code=3                                       # locked before its activation
         auth stan=1 card=2 amount=5 -> CARD_INACTIVE 1025 78 125 1025
         state 2 Active
         auth stan=2 card=2 amount=5 -> CARD_LOCKED 1000 05 100 1000
         unlock 2
         auth stan=3 card=2 amount=5 -> APPROVED 0000 00 000 0000
         state 2 Linked  -> CardStateForbidden { from: Active, to: Linked }
         state 2 Expired
         auth stan=4 card=2 amount=5 -> CARD_EXPIRED 1001 54 101 1001
         state 2 Active  -> CardStateForbidden { from: Expired, to: Active }
         state 2 Removed
         auth stan=5 card=2 amount=5 -> CARD_NOT_FOUND 1011 14 111 1011
         state 2 Active  -> CardStateForbidden { from: Removed, to: Active }
         lock 2 code=3   -> CardNotFound
         unlock 2        -> CardNotFound
         card 3 program=10 token=2 -> TokenTaken             # a number is never given out again
         reverse stan=9 of=3 -> REVERSAL_ACCEPTED 4000 00 400 4000    # what it held comes back all the same
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_card_is_good_until_the_last_millisecond_of_its_month() {
    check(
        PLAIN,
        "clock 2026-12-31T23:59:59.999Z                               # 2026-12-31T23:59:59.999Z
         auth stan=1 card=1 amount=5 expiry=2612 -> APPROVED 0000 00 000 0000
         clock 2027-01-01T00:00:00Z
         auth stan=2 card=1 amount=5 expiry=2612 -> CARD_EXPIRED 1001 54 101 1001
         clock 2026-12-31T23:59:59.999Z                               # a clock that steps back is not followed
         auth stan=3 card=1 amount=5 -> CARD_EXPIRED 1001 54 101 1001
         auth stan=1 card=1 amount=5 -> APPROVED 0000 00 000 0000 again
         show A -> A 995/5/1000",
    );
}

#[test]
fn the_billing_amount_is_what_counts_where_there_is_one() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=500 cur=PLN bill=120 -> APPROVED 0000 00 000 0000
         show A -> A 880/120/1000
         auth stan=2 card=1 amount=500 cur=EUR bill=120 billcur=PLN -> CURRENCY_MISMATCH 1030 57 115 1030
         auth stan=3 card=1 amount=500 cur=PLN -> CURRENCY_MISMATCH 1030 57 115 1030
         auth stan=4 card=1 amount=500 cur=PLN bill=0 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=5 card=1 amount=99999 cur=JPY bill=881 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=6 card=1 amount=99999 cur=JPY bill=880 -> APPROVED 0000 00 000 0000
         show A -> A 0/1000/1000",
    );
}

#[test]
fn an_account_verification_of_zero_holds_nothing_and_tells_no_balance() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1000 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=0 verification -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=0 verification -> APPROVED 0000 00 000 0000 again
         auth stan=3 card=1 amount=0 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=4 card=1 amount=-1 verification -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=5 card=1 amount=1 verification -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=6 card=1 amount=0 cur=PLN verification -> CURRENCY_MISMATCH 1030 57 115 1030
         lock 1 code=7
         auth stan=7 card=1 amount=0 verification -> CARD_LOCKED 1002 59 102 1002
         reverse stan=8 of=2 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=2 card=1 amount=0 verification -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A -> A 0/1000/1000",
    );
}

#[test]
fn twelve_types_are_served_and_no_other() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1 type=000000 -> APPROVED 0000 00 000 0000  # purchase
         auth stan=2 card=1 amount=1 type=012000 -> APPROVED 0000 00 000 0000  # 01: cash
         auth stan=3 card=1 amount=1 type=020000 -> APPROVED 0000 00 000 0000  # 02: debit adjustment
         auth stan=4 card=1 amount=1 type=093000 -> APPROVED 0000 00 000 0000  # 09: cash-back
         auth stan=5 card=1 amount=1 type=100000 -> APPROVED 0000 00 000 0000  # 10: account funding
         auth stan=6 card=1 amount=1 type=110000 -> APPROVED 0000 00 000 0000  # 11: quasi-cash
         auth stan=7 card=1 amount=1 type=170000 -> APPROVED 0000 00 000 0000  # 17: cash disbursement
         show A -> A 993/7/1000
         auth stan=8 card=1 amount=1 type=200000 -> APPROVED 0000 00 000 0000  # 20: refund
         auth stan=9 card=1 amount=1 type=210000 -> APPROVED 0000 00 000 0000  # 21: deposit
         auth stan=10 card=1 amount=1 type=220000 -> APPROVED 0000 00 000 0000 # 22, 23: adjustments
         auth stan=11 card=1 amount=1 type=230000 -> APPROVED 0000 00 000 0000
         auth stan=12 card=1 amount=1 type=260000 -> APPROVED 0000 00 000 0000 # 26, 28: payments
         auth stan=13 card=1 amount=1 type=280000 -> APPROVED 0000 00 000 0000
         auth stan=14 card=1 amount=0 type=300000 -> APPROVED 0000 00 000 0000 993/1000 EUR
         auth stan=15 card=1 amount=0 type=310000 -> APPROVED 0000 00 000 0000 993/1000 EUR
         auth stan=16 card=1 amount=1 type=030000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         auth stan=17 card=1 amount=1 type=240000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         auth stan=18 card=1 amount=1 type=270000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         auth stan=19 card=1 amount=1 type=400000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         auth stan=20 card=1 amount=1 type=990000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         show A -> A 993/7/1000",
    );
}

#[test]
fn an_exact_repeat_gets_the_stored_decision_whatever_has_changed_since() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=700 -> APPROVED 0000 00 000 0000
         lock 1 code=2
         auth stan=1 card=1 amount=700 -> APPROVED 0000 00 000 0000 again
         auth stan=1 card=1 amount=700 expiry=2511 -> APPROVED 0000 00 000 0000 again # DE14 is not content
         auth stan=1 card=1 amount=701 -> DUPLICATE 9113 94 913 9113
         auth stan=1 card=1 amount=700 merchant=OTHER -> DUPLICATE 9113 94 913 9113
         auth stan=1 card=2 amount=700 -> DUPLICATE 9113 94 913 9113
         auth stan=1 card=1 amount=700 type=10000 -> DUPLICATE 9113 94 913 9113
         auth stan=1 card=1 amount=700 bill=700 -> DUPLICATE 9113 94 913 9113
         auth stan=1 card=1 amount=700 link=2 -> CARD_LOCKED 2009 43 209 2009         # another link's key
         auth stan=2 card=1 amount=700 -> CARD_LOCKED 2009 43 209 2009
         show A -> A 300/700/1000",
    );
}

#[test]
fn a_repeat_of_a_decline_is_declined_even_where_it_would_be_approved_now() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         top-up A 5000 EUR
         auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=1 card=1 amount=9 -> DUPLICATE 9113 94 913 9113
         auth stan=2 card=1 amount=1001 -> APPROVED 0000 00 000 0000
         show A -> A 4999/1001/6000",
    );
}

#[test]
fn a_reversal_gives_back_the_whole_hold_once() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=600 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 -> APPROVED 0000 00 000 0000
         show A D -> A 300/700/1000 D 100/700/800
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 900/100/1000 D 700/100/800
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000         # its repeat
         reverse stan=3 of=2 -> DUPLICATE 9113 94 913 9113                 # its key for something else
         reverse stan=4 of=1 advice -> REVERSAL_ACCEPTED 4000 00 400 4000  # a second one
         reverse stan=5 of=1 base=600 total=50 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=1 card=1 amount=600 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A D -> A 900/100/1000 D 700/100/800",
    );
}

#[test]
fn a_partial_reversal_leaves_the_new_total_rounded_half_up() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 base=400 total=150 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 850/150/1000 D 650/150/800
         reverse stan=3 of=1 base=400 total=150 -> REVERSAL_ACCEPTED 4000 00 400 4000 # a total, not a delta
         show A D -> A 850/150/1000 D 650/150/800
         reverse stan=4 of=1 base=400 total=300 -> REVERSAL_ACCEPTED 4000 00 400 4000 # never back up
         show A D -> A 850/150/1000 D 650/150/800
         auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000 again  # it stands, in part
         reverse stan=5 of=1 base=400 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 1000/0/1000 D 800/0/800
         auth stan=6 card=1 amount=300 cur=PLN bill=101 -> APPROVED 0000 00 000 0000
         reverse stan=7 of=6 base=300 total=150 -> REVERSAL_ACCEPTED 4000 00 400 4000 # 50.5
         show A -> A 949/51/1000
         reverse stan=8 of=6 base=300 total=147 -> REVERSAL_ACCEPTED 4000 00 400 4000 # 49.49
         show A -> A 951/49/1000
         reverse stan=9 of=6 total=0 base=300 -> REVERSAL_ACCEPTED 4000 00 400 4000   # 0: all of it
         show A D -> A 1000/0/1000 D 800/0/800
         auth stan=10 card=1 amount=300 cur=PLN bill=3 -> APPROVED 0000 00 000 0000
         reverse stan=11 of=10 base=300 total=1 -> REVERSAL_ACCEPTED 4000 00 400 4000 # 0.01: nothing is left
         auth stan=10 card=1 amount=300 cur=PLN bill=3 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=12 card=1 amount=5 -> APPROVED 0000 00 000 0000
         reverse stan=13 of=12 base=5 total=9 -> REVERSAL_ACCEPTED 4000 00 400 4000   # more than there was
         reverse stan=14 of=12 base=1 total=9223372036854775807 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 995/5/1000 D 795/5/800",
    );
}

#[test]
fn a_reversed_decline_stays_declined_and_moves_nothing() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=1 card=1 amount=1001 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_reversal_before_its_request_keeps_the_request_out() {
    check(
        PLAIN,
        "reverse stan=1 of=10 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=2 of=11 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         auth stan=10 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         auth stan=11 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         reverse stan=1 of=10 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=3 of=10 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         reverse stan=4 of=11 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=12 card=1 amount=5 -> APPROVED 0000 00 000 0000
         show A -> A 995/5/1000",
    );
}

#[test]
fn a_reversal_matches_on_the_whole_key_and_never_a_reversal() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=5 link=1 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 link=2 oflink=2 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         show A -> A 995/5/1000
         auth stan=1 card=1 amount=5 link=2 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=4 of=3 ofclass=reverse -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         reverse stan=5 of=5 ofclass=reverse advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
         reverse stan=6 of=7 ofclass=reverse -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=8 card=1 amount=5 -> APPROVED 0000 00 000 0000
         show A -> A 995/5/1000
         reverse stan=7 of=8 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000         # the other class; 6 left no grave
         show A -> A 1000/0/1000",
    );
}

#[test]
fn an_answer_that_never_left_is_voided_once_and_only_that_one() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=500 -> APPROVED 0000 00 000 0000
         void stan=1 by=3 -> noted                                # another command's answer
         show A D -> A 500/500/1000 D 300/500/800
         void stan=1 -> noted
         show A D -> A 1000/0/1000 D 800/0/800
         void stan=1 -> noted
         auth stan=1 card=1 amount=500 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=3 card=1 amount=801 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         void stan=3 -> noted                                     # a decline holds nothing
         auth stan=3 card=1 amount=801 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         auth stan=4 card=1 amount=100 -> APPROVED 0000 00 000 0000
         reverse stan=5 of=4 base=100 total=40 -> REVERSAL_ACCEPTED 4000 00 400 4000
         void stan=4 -> noted                                     # the network has spoken of it
         void stan=99 by=1 -> noted                               # nobody's key
         show A D -> A 960/40/1000 D 760/40/800",
    );
}
