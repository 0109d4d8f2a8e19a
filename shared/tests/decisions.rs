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
fn each_row_of_the_order_of_checks_declines_on_its_own() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=500 -> APPROVED 0000 00
         reverse stan=2 of=1           -> REVERSAL_ACCEPTED 4000 00
         auth stan=1 card=1 amount=500 -> REVERSED_BEFORE_REQUEST 1000 05 # row 2
         auth stan=3 card=1 amount=5   -> APPROVED 0000 00
         auth stan=3 card=1 amount=6   -> DUPLICATE 9113 94               # row 3
         auth stan=4 card=1 amount=5 type=310000 -> UNKNOWN_TRANSACTION_TYPE 1015 12
         auth stan=5 card=1 amount=0   -> INVALID_AMOUNT 1010 13
         auth stan=6 card=1 amount=-5  -> INVALID_AMOUNT 1010 13
         auth stan=7 card=9 amount=5   -> CARD_NOT_FOUND 1011 14
         card 2 program=10
         state 2 Removed
         auth stan=8 card=2 amount=5   -> CARD_NOT_FOUND 1011 14
         card 3 program=10 state=Linked
         auth stan=9 card=3 amount=5   -> CARD_INACTIVE 1025 78
         card 4 program=10 state=Ordered
         auth stan=10 card=4 amount=5  -> CARD_INACTIVE 1025 78
         auth stan=11 card=1 amount=5 expiry=2611 -> CARD_EXPIRED 1001 54
         card 5 program=10 expiry=2611
         auth stan=12 card=5 amount=5  -> CARD_EXPIRED 1001 54
         lock 1 code=7
         auth stan=13 card=1 amount=5  -> CARD_LOCKED 1002 59
         unlock 1
         customer 1 unverified
         auth stan=14 card=1 amount=5  -> CUSTOMER_NOT_FOUND 1014 42
         customer 1 aml
         auth stan=15 card=1 amount=5  -> AML_EXCEPTION 1078 05
         customer 1
         auth stan=16 card=1 amount=5 cur=PLN -> CURRENCY_MISMATCH 1030 57
         auth stan=17 card=1 amount=900 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51
         reload D 9000 EUR
         auth stan=18 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51
         balance B customer=1 cur=EUR
         card 6 program=10 balance=B
         close B
         auth stan=19 card=6 amount=5  -> BALANCE_NOT_FOUND 1014 42
         program 11 partner=1 cur=PLN collateral=deposit
         balance P customer=1 cur=PLN
         card 7 program=11 balance=P
         auth stan=20 card=7 amount=5 cur=PLN -> DEPOSIT_BALANCE_NOT_FOUND 1015 57
         auth stan=21 card=1 amount=995 -> APPROVED 0000 00
         show A D -> A 0/1000/1000 D 8800/1000/9800",
    );
}

#[test]
fn of_two_neighbouring_rows_the_upper_one_is_the_answer() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=5 -> APPROVED 0000 00
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00
         auth stan=1 card=1 amount=6 -> REVERSED_BEFORE_REQUEST 1000 05                   # 2, 3
         auth stan=3 card=1 amount=5 -> APPROVED 0000 00
         auth stan=3 card=1 amount=5 type=310000 -> DUPLICATE 9113 94                     # 3, 4
         auth stan=4 card=1 amount=0 type=310000 -> UNKNOWN_TRANSACTION_TYPE 1015 12      # 4, 5
         auth stan=5 card=9 amount=0 -> INVALID_AMOUNT 1010 13                            # 5, 6
         card 2 program=10 state=Linked
         state 2 Removed
         auth stan=6 card=2 amount=5 -> CARD_NOT_FOUND 1011 14                            # 6, 7
         auth stan=7 card=2 amount=5 expiry=2701 -> CARD_NOT_FOUND 1011 14                # 6, 8
         card 3 program=10 state=Linked expiry=2611
         auth stan=8 card=3 amount=5 -> CARD_INACTIVE 1025 78                             # 7, 8
         card 4 program=10 expiry=2611
         lock 4 code=1
         auth stan=9 card=4 amount=5 -> CARD_EXPIRED 1001 54                              # 8, 9
         lock 1 code=3
         customer 1 unverified
         auth stan=10 card=1 amount=5 -> CARD_LOCKED 1000 05                              # 9, 10
         customer 1 aml
         auth stan=11 card=1 amount=5 -> CARD_LOCKED 1000 05                              # 9, 10
         customer 1 unverified aml
         unlock 1
         auth stan=12 card=1 amount=5 -> CUSTOMER_NOT_FOUND 1014 42            # inside of row 10
         customer 1
         balance B customer=1 cur=EUR
         card 5 program=10 balance=B
         close B
         customer 1 unverified
         auth stan=13 card=5 amount=5 -> CUSTOMER_NOT_FOUND 1014 42                       # 10, 12
         customer 1 aml
         auth stan=14 card=5 amount=5 -> AML_EXCEPTION 1078 05                            # 10, 12
         customer 1
         auth stan=15 card=5 amount=5 cur=PLN -> BALANCE_NOT_FOUND 1014 42                # 12, 13
         program 11 partner=1 cur=PLN collateral=deposit
         balance P customer=1 cur=PLN
         card 6 program=11 balance=P
         auth stan=16 card=6 amount=5 -> CURRENCY_MISMATCH 1030 57                        # 13, 18
         auth stan=17 card=6 amount=5 cur=PLN -> DEPOSIT_BALANCE_NOT_FOUND 1015 57        # 18, 20
         auth stan=18 card=1 amount=2000 cur=PLN -> CURRENCY_MISMATCH 1030 57             # 13, 19
         auth stan=19 card=1 amount=2000 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 # 19, 20
         show A D -> A 995/5/1000 D 795/5/800",
    );
}

#[test]
fn each_fault_put_right_uncovers_the_next_one() {
    check(
        "partner 1
         program 10 partner=1 cur=EUR collateral=deposit
         customer 1
         balance A customer=1 cur=EUR",
        "auth stan=1 card=1 amount=0 type=300000 cur=PLN expiry=2701 -> UNKNOWN_TRANSACTION_TYPE 1015 12
         auth stan=2 card=1 amount=0 cur=PLN expiry=2701 -> INVALID_AMOUNT 1010 13
         auth stan=3 card=1 amount=5 cur=PLN expiry=2701 -> CARD_NOT_FOUND 1011 14
         card 1 program=10 state=Linked
         lock 1 code=4
         customer 1 unverified aml
         auth stan=4 card=1 amount=5 cur=PLN expiry=2701 -> CARD_INACTIVE 1025 78
         state 1 Active
         auth stan=5 card=1 amount=5 cur=PLN expiry=2701 -> CARD_EXPIRED 1001 54
         auth stan=6 card=1 amount=5 cur=PLN expiry=2612 -> CARD_LOCKED 1016 51
         unlock 1
         auth stan=7 card=1 amount=5 cur=PLN -> CUSTOMER_NOT_FOUND 1014 42
         customer 1 aml
         auth stan=8 card=1 amount=5 cur=PLN -> AML_EXCEPTION 1078 05
         customer 1
         auth stan=9 card=1 amount=5 cur=PLN -> CURRENCY_MISMATCH 1030 57
         auth stan=10 card=1 amount=5 -> DEPOSIT_BALANCE_NOT_FOUND 1015 57
         deposit D partner=1 cur=EUR
         auth stan=11 card=1 amount=5 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51
         reload D 5 EUR
         auth stan=12 card=1 amount=5 -> INSUFFICIENT_FUNDS 1016 51
         top-up A 5 EUR
         auth stan=13 card=1 amount=5 -> APPROVED 0000 00
         show A D -> A 0/5/5 D 0/5/5",
    );
}

#[test]
fn every_lock_has_a_code_of_its_own_and_four_of_them_are_for_ever() {
    check(
        PLAIN,
        "lock 1 code=3
         auth stan=3 card=1 amount=5 -> CARD_LOCKED 1000 05
         lock 1 code=4
         auth stan=4 card=1 amount=5 -> CARD_LOCKED 1016 51
         lock 1 code=6
         auth stan=6 card=1 amount=5 -> CARD_LOCKED 1006 75
         lock 1 code=7
         auth stan=7 card=1 amount=5 -> CARD_LOCKED 1002 59
         unlock 1
         unlock 1                                            # nothing locked: no change
         auth stan=8 card=1 amount=5 -> APPROVED 0000 00
         lock 1 code=7
         lock 1 code=1                                       # a reversible one is replaced
         auth stan=1 card=1 amount=5 -> CARD_LOCKED 2008 41
         lock 1 code=3 -> LockedIrreversibly
         lock 1 code=2 -> LockedIrreversibly
         lock 1 code=1 -> LockedIrreversibly
         unlock 1 -> LockedIrreversibly
         auth stan=9 card=1 amount=5 -> CARD_LOCKED 2008 41  # still lock 1
         card 2 program=10
         lock 2 code=2
         auth stan=12 card=2 amount=5 -> CARD_LOCKED 2009 43
         unlock 2 -> LockedIrreversibly
         card 5 program=10
         lock 5 code=5
         auth stan=15 card=5 amount=5 -> CARD_LOCKED 1018 56
         unlock 5 -> LockedIrreversibly
         card 8 program=10
         lock 8 code=8
         auth stan=18 card=8 amount=5 -> CARD_LOCKED 1011 14
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
         auth stan=1 card=2 amount=5 -> CARD_INACTIVE 1025 78
         state 2 Active
         auth stan=2 card=2 amount=5 -> CARD_LOCKED 1000 05
         unlock 2
         auth stan=3 card=2 amount=5 -> APPROVED 0000 00
         state 2 Linked  -> CardStateForbidden { from: Active, to: Linked }
         state 2 Expired
         auth stan=4 card=2 amount=5 -> CARD_EXPIRED 1001 54
         state 2 Active  -> CardStateForbidden { from: Expired, to: Active }
         state 2 Removed
         auth stan=5 card=2 amount=5 -> CARD_NOT_FOUND 1011 14
         state 2 Active  -> CardStateForbidden { from: Removed, to: Active }
         lock 2 code=3   -> CardNotFound
         unlock 2        -> CardNotFound
         card 3 program=10 token=2 -> TokenTaken             # a number is never given out again
         reverse stan=9 of=3 -> REVERSAL_ACCEPTED 4000 00    # what it held comes back all the same
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_card_is_good_until_the_last_millisecond_of_its_month() {
    check(
        PLAIN,
        "clock 1798761599999                                 # 2026-12-31T23:59:59.999Z
         auth stan=1 card=1 amount=5 expiry=2612 -> APPROVED 0000 00
         clock 1798761600000
         auth stan=2 card=1 amount=5 expiry=2612 -> CARD_EXPIRED 1001 54
         clock 1798761599999                                 # a clock that steps back is not followed
         auth stan=3 card=1 amount=5 -> CARD_EXPIRED 1001 54
         auth stan=1 card=1 amount=5 -> APPROVED 0000 00 again
         show A -> A 995/5/1000",
    );
}

#[test]
fn the_billing_amount_is_what_counts_where_there_is_one() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=500 cur=PLN bill=120 -> APPROVED 0000 00
         show A -> A 880/120/1000
         auth stan=2 card=1 amount=500 cur=EUR bill=120 billcur=PLN -> CURRENCY_MISMATCH 1030 57
         auth stan=3 card=1 amount=500 cur=PLN -> CURRENCY_MISMATCH 1030 57
         auth stan=4 card=1 amount=500 cur=PLN bill=0 -> INVALID_AMOUNT 1010 13
         auth stan=5 card=1 amount=99999 cur=JPY bill=881 -> INSUFFICIENT_FUNDS 1016 51
         auth stan=6 card=1 amount=99999 cur=JPY bill=880 -> APPROVED 0000 00
         show A -> A 0/1000/1000",
    );
}

#[test]
fn an_account_verification_of_zero_holds_nothing_and_tells_no_balance() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1000 -> APPROVED 0000 00
         auth stan=2 card=1 amount=0 verification -> APPROVED 0000 00
         auth stan=2 card=1 amount=0 verification -> APPROVED 0000 00 again
         auth stan=3 card=1 amount=0 -> INVALID_AMOUNT 1010 13
         auth stan=4 card=1 amount=-1 verification -> INVALID_AMOUNT 1010 13
         auth stan=5 card=1 amount=1 verification -> INSUFFICIENT_FUNDS 1016 51
         auth stan=6 card=1 amount=0 cur=PLN verification -> CURRENCY_MISMATCH 1030 57
         lock 1 code=7
         auth stan=7 card=1 amount=0 verification -> CARD_LOCKED 1002 59
         reverse stan=8 of=2 -> REVERSAL_ACCEPTED 4000 00
         auth stan=2 card=1 amount=0 verification -> REVERSED_BEFORE_REQUEST 1000 05
         show A -> A 0/1000/1000",
    );
}

#[test]
fn the_four_types_that_hold_money_are_served_and_no_other() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1 type=000000 -> APPROVED 0000 00
         auth stan=2 card=1 amount=1 type=12000  -> APPROVED 0000 00 # 01: cash
         auth stan=3 card=1 amount=1 type=93000  -> APPROVED 0000 00 # 09: cash-back
         auth stan=4 card=1 amount=1 type=170000 -> APPROVED 0000 00 # 17: cash disbursement
         auth stan=5 card=1 amount=1 type=20000  -> UNKNOWN_TRANSACTION_TYPE 1015 12
         auth stan=6 card=1 amount=1 type=200000 -> UNKNOWN_TRANSACTION_TYPE 1015 12
         auth stan=7 card=1 amount=1 type=990000 -> UNKNOWN_TRANSACTION_TYPE 1015 12
         show A -> A 996/4/1000",
    );
}

#[test]
fn an_exact_repeat_gets_the_stored_decision_whatever_has_changed_since() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=700 -> APPROVED 0000 00
         lock 1 code=2
         auth stan=1 card=1 amount=700 -> APPROVED 0000 00 again
         auth stan=1 card=1 amount=700 expiry=2511 -> APPROVED 0000 00 again # DE14 is not content
         auth stan=1 card=1 amount=701 -> DUPLICATE 9113 94
         auth stan=1 card=1 amount=700 merchant=OTHER -> DUPLICATE 9113 94
         auth stan=1 card=2 amount=700 -> DUPLICATE 9113 94
         auth stan=1 card=1 amount=700 type=10000 -> DUPLICATE 9113 94
         auth stan=1 card=1 amount=700 bill=700 -> DUPLICATE 9113 94
         auth stan=1 card=1 amount=700 link=2 -> CARD_LOCKED 2009 43         # another link's key
         auth stan=2 card=1 amount=700 -> CARD_LOCKED 2009 43
         show A -> A 300/700/1000",
    );
}

#[test]
fn a_repeat_of_a_decline_is_declined_even_where_it_would_be_approved_now() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51
         top-up A 5000 EUR
         auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51
         auth stan=1 card=1 amount=9 -> DUPLICATE 9113 94
         auth stan=2 card=1 amount=1001 -> APPROVED 0000 00
         show A -> A 4999/1001/6000",
    );
}

#[test]
fn a_reversal_gives_back_the_whole_hold_once() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=600 -> APPROVED 0000 00
         auth stan=2 card=1 amount=100 -> APPROVED 0000 00
         show A D -> A 300/700/1000 D 100/700/800
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00
         show A D -> A 900/100/1000 D 700/100/800
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00         # its repeat
         reverse stan=3 of=2 -> DUPLICATE 9113 94                 # its key for something else
         reverse stan=4 of=1 advice -> REVERSAL_ACCEPTED 4000 00  # a second one
         reverse stan=5 of=1 base=600 total=50 -> REVERSAL_ACCEPTED 4000 00
         auth stan=1 card=1 amount=600 -> REVERSED_BEFORE_REQUEST 1000 05
         show A D -> A 900/100/1000 D 700/100/800",
    );
}

#[test]
fn a_partial_reversal_leaves_the_new_total_rounded_half_up() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=400 -> APPROVED 0000 00
         reverse stan=2 of=1 base=400 total=150 -> REVERSAL_ACCEPTED 4000 00
         show A D -> A 850/150/1000 D 650/150/800
         reverse stan=3 of=1 base=400 total=150 -> REVERSAL_ACCEPTED 4000 00 # a total, not a delta
         show A D -> A 850/150/1000 D 650/150/800
         reverse stan=4 of=1 base=400 total=300 -> REVERSAL_ACCEPTED 4000 00 # never back up
         show A D -> A 850/150/1000 D 650/150/800
         auth stan=1 card=1 amount=400 -> APPROVED 0000 00 again  # it stands, in part
         reverse stan=5 of=1 base=400 -> REVERSAL_ACCEPTED 4000 00
         show A D -> A 1000/0/1000 D 800/0/800
         auth stan=6 card=1 amount=300 cur=PLN bill=101 -> APPROVED 0000 00
         reverse stan=7 of=6 base=300 total=150 -> REVERSAL_ACCEPTED 4000 00 # 50.5
         show A -> A 949/51/1000
         reverse stan=8 of=6 base=300 total=147 -> REVERSAL_ACCEPTED 4000 00 # 49.49
         show A -> A 951/49/1000
         reverse stan=9 of=6 total=0 base=300 -> REVERSAL_ACCEPTED 4000 00   # 0: all of it
         show A D -> A 1000/0/1000 D 800/0/800
         auth stan=10 card=1 amount=300 cur=PLN bill=3 -> APPROVED 0000 00
         reverse stan=11 of=10 base=300 total=1 -> REVERSAL_ACCEPTED 4000 00 # 0.01: nothing is left
         auth stan=10 card=1 amount=300 cur=PLN bill=3 -> REVERSED_BEFORE_REQUEST 1000 05
         auth stan=12 card=1 amount=5 -> APPROVED 0000 00
         reverse stan=13 of=12 base=5 total=9 -> REVERSAL_ACCEPTED 4000 00   # more than there was
         reverse stan=14 of=12 base=1 total=9223372036854775807 -> REVERSAL_ACCEPTED 4000 00
         show A D -> A 995/5/1000 D 795/5/800",
    );
}

#[test]
fn a_reversed_decline_stays_declined_and_moves_nothing() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00
         auth stan=1 card=1 amount=1001 -> REVERSED_BEFORE_REQUEST 1000 05
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_reversal_before_its_request_keeps_the_request_out() {
    check(
        PLAIN,
        "reverse stan=1 of=10 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         reverse stan=2 of=11 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00
         auth stan=10 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05
         auth stan=11 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05
         reverse stan=1 of=10 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         reverse stan=3 of=10 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00
         reverse stan=4 of=11 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         auth stan=12 card=1 amount=5 -> APPROVED 0000 00
         show A -> A 995/5/1000",
    );
}

#[test]
fn a_reversal_matches_on_the_whole_key_and_never_a_reversal() {
    check(
        PLAIN,
        "auth stan=1 card=1 amount=5 link=1 -> APPROVED 0000 00
         reverse stan=2 of=1 link=2 oflink=2 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         show A -> A 995/5/1000
         auth stan=1 card=1 amount=5 link=2 -> REVERSED_BEFORE_REQUEST 1000 05
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00
         reverse stan=4 of=3 ofclass=reversal -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00
         reverse stan=5 of=5 ofclass=reversal advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00
         reverse stan=6 of=7 ofclass=reversal -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         auth stan=8 card=1 amount=5 -> APPROVED 0000 00
         reverse stan=9 of=8 ofclass=financial -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25
         show A -> A 995/5/1000
         reverse stan=7 of=8 -> REVERSAL_ACCEPTED 4000 00         # 6 left no tombstone for it
         show A -> A 1000/0/1000",
    );
}

#[test]
fn an_answer_that_never_left_is_voided_once_and_only_that_one() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=500 -> APPROVED 0000 00
         void stan=1 by=3 -> noted                                # another command's answer
         show A D -> A 500/500/1000 D 300/500/800
         void stan=1 -> noted
         show A D -> A 1000/0/1000 D 800/0/800
         void stan=1 -> noted
         auth stan=1 card=1 amount=500 -> REVERSED_BEFORE_REQUEST 1000 05
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00
         auth stan=3 card=1 amount=801 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51
         void stan=3 -> noted                                     # a decline holds nothing
         auth stan=3 card=1 amount=801 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51
         auth stan=4 card=1 amount=100 -> APPROVED 0000 00
         reverse stan=5 of=4 base=100 total=40 -> REVERSAL_ACCEPTED 4000 00
         void stan=4 -> noted                                     # what is left of it
         void stan=99 by=1 -> noted                               # nobody's key
         show A D -> A 1000/0/1000 D 800/0/800",
    );
}
