//! What requests do besides being declined: parts, increments, cash-back, credits, inquiries, PINs,
//! locks and expiry, as tables. Source: authorization 1 to 4; the language is described in
//! `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00 in a program that approves in part, nothing behind it.
const PARTIAL: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=none partial
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A";

/// The same with a deposit of 50.00, whole amounts only.
const DEPOSIT: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit instant=50
    deposit D partner=1 cur=EUR
    reload D 5000 EUR
    customer 1
    balance A customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A";

fn check(world: &str, table: &str) {
    language::check(PRODUCTION, world, table);
}

#[test]
fn a_part_is_approved_where_program_and_acquirer_take_it() {
    check(
        PARTIAL,
        "auth stan=1 card=1 amount=1500 -> INSUFFICIENT_FUNDS 1016 51 116 1016                   # the acquirer does not
         auth stan=2 card=1 amount=1000 partial -> APPROVED 0000 00 000 0000                     # the whole is covered
         reverse stan=3 of=2 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=4 card=1 amount=1500 partial -> APPROVED 0002 10 002 0002 part=1000/1000
         life 4 -> Authorized 1000/0/0/0
         auth stan=4 card=1 amount=1500 partial -> APPROVED 0002 10 002 0002 part=1000/1000 again
         auth stan=5 card=1 amount=1 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016              # nothing left
         show A -> A 0/1000/1000
         reverse stan=6 of=4 base=1500 total=400 -> REVERSAL_ACCEPTED 4000 00 400 4000           # of what was approved
         life 4 -> Authorized 1000/0/600/0
         exceptions -> none
         sale stan=7 card=1 amount=1500 partial -> APPROVED 0002 10 002 0002 part=600/600
         life 7 class=sale -> Posted 0/600/0/0
         show A -> A 0/400/400
         program 10 partner=1                                                  # the program does not
         reverse stan=8 of=4 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=9 card=1 amount=401 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016
         show A -> A 400/0/400",
    );
}

#[test]
fn a_part_is_never_of_cash_and_never_of_an_increment() {
    check(
        PARTIAL,
        "auth stan=1 card=1 amount=1500 type=010000 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=2 card=1 amount=1500 type=100000 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016 # account funding
         auth stan=3 card=1 amount=1500 type=170000 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=4 card=1 amount=900 -> APPROVED 0000 00 000 0000
         auth stan=5 card=1 amount=200 incremental of=4 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016
         sale stan=6 card=1 amount=200 incremental of=4 partial -> APPROVED 0002 10 002 0002 part=100/100
         show A -> A 0/900/900",
    );
}

#[test]
fn with_cash_back_only_the_purchase_is_approved_in_part() {
    check(
        PARTIAL,
        "auth stan=1 card=1 amount=1500 cashback=600 type=090000 partial -> APPROVED 0002 10 002 0002 part=900/900
         show A -> A 100/900/1000
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=3 card=1 amount=1500 cashback=400 type=090000 partial -> APPROVED 0002 10 002 0002 part=1000/1000
         reverse stan=4 of=3 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=5 card=1 amount=1500 cashback=1500 type=090000 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016
         show A -> A 1000/0/1000",
    );
}

#[test]
fn a_part_of_an_amount_in_another_currency_is_rounded_down() {
    check(
        PARTIAL,
        "auth stan=1 card=1 amount=9000 cur=PLN bill=2001 partial -> APPROVED 0002 10 002 0002 part=4497/1000
         show A -> A 0/1000/1000                                      # 9000 x 1000 / 2001 = 4497.75
         reverse stan=2 of=1 base=4497 total=2000 -> REVERSAL_ACCEPTED 4000 00 400 4000
         life 1 -> Authorized 1000/0/555/0                            # 1000 x 2000 / 4497 = 444.74
         reverse stan=3 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=4 card=1 amount=9000 cur=PLN bill=2000 cashback=5000 type=090000 partial -> APPROVED 0002 10 002 0002 part=3996/888
         show A -> A 112/888/1000                                     # the cash rounded up: 1112
         auth stan=5 card=1 amount=3 cur=JPY bill=9000 partial -> INSUFFICIENT_FUNDS 1016 51 116 1016 # 0.04 of a yen",
    );
}

#[test]
fn an_increment_raises_the_hold_that_it_means() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=100 rrn=R terminal=T lifecycle=L -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=50 incremental of=1 -> APPROVED 0000 00 000 0000             # named
         life 1 -> Authorized 150/0/0/0
         life 2 -> Answered 50/0/0/0
         auth stan=3 card=1 amount=50 incremental lifecycle=L -> APPROVED 0000 00 000 0000
         auth stan=4 card=1 amount=50 incremental rrn=R terminal=T -> APPROVED 0000 00 000 0000
         life 1 -> Authorized 250/0/0/0
         show A D -> A 750/250/1000 D 4750/250/5000
         auth stan=2 card=1 amount=50 incremental of=1 -> APPROVED 0000 00 000 0000 again
         auth stan=5 card=1 amount=5 incremental -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=6 card=1 amount=5 incremental of=99 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=7 card=1 amount=5 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         auth stan=8 card=1 amount=5 incremental rrn=R terminal=T -> AMBIGUOUS_REFERENCED_TRANSACTION 9114 25 914 9114
         auth stan=9 card=1 amount=5000 incremental of=99 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016 # row 19 first
         auth stan=10 card=1 amount=1000 incremental of=99 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114 # row 20 behind
         auth stan=11 card=1 amount=746 incremental of=1 -> INSUFFICIENT_FUNDS 1016 51 116 1016 # for its own amount
         auth stan=12 card=1 amount=745 incremental of=1 -> APPROVED 0000 00 000 0000
         show A D -> A 0/1000/1000 D 4000/1000/5000
         reverse stan=13 of=12 -> REVERSAL_ACCEPTED 4000 00 400 4000                            # an increment alone
         life 1 -> Authorized 995/0/745/0
         life 12 -> Reversed 745/0/0/0
         reverse stan=14 of=4 base=50 total=20 -> REVERSAL_ACCEPTED 4000 00 400 4000            # part of one
         life 1 -> Authorized 995/0/775/0
         clear stan=15 card=1 amount=200 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         reverse stan=16 of=2 -> REVERSAL_ACCEPTED 4000 00 400 4000                             # at most what is open
         life 1 -> Authorized 995/200/795/0
         show A D -> A 795/5/800 D 4795/5/4800",
    );
}

#[test]
fn an_advice_about_an_increment_is_about_its_part_of_the_hold() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=20 incremental of=1 -> APPROVED 0000 00 000 0000
         advice stan=2 card=1 amount=20 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 880/120/1000 D 4880/120/5000
         advice stan=3 card=1 amount=30 of=2 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 870/130/1000 D 4870/130/5000
         advice stan=4 card=1 amount=5 of=2 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 895/105/1000 D 4895/105/5000
         advice stan=5 card=1 amount=5 of=2 declined -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 900/100/1000 D 4900/100/5000",
    );
}

#[test]
fn a_hold_ends_after_the_hours_of_its_kind_and_an_increment_starts_them_anew() {
    check(
        "partner 1
         program 10 partner=1 purchase-hours=10 cash-hours=5 credit-hours=20
         customer 1
         balance A customer=1
         top-up A 1000 EUR
         card 1 program=10",
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=100 type=010000 -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=100 type=200000 -> APPROVED 0000 00 000 0000
         wait 299m
         expire -> noted
         show A -> A 800/200/1000
         wait 1m
         expire -> noted
         life 2 -> Expired 100/0/100/0
         show A -> A 900/100/1000
         auth stan=4 card=1 amount=10 incremental of=1 -> APPROVED 0000 00 000 0000   # at 5 h: to 15 h
         wait 599m
         expire -> noted
         life 1 -> Authorized 110/0/0/0
         clear stan=5 card=1 amount=30 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         wait 1m
         expire -> noted
         life 1 -> Expired 110/30/80/0
         show A -> A 970/0/970
         life 3 -> Authorized 100/0/0/0
         wait 5h
         expire -> noted
         life 3 -> Expired 100/0/100/0
         show A -> A 970/0/970
         clear stan=6 card=1 amount=50 of=1 -> ADVICE_RECORDED 0000 00 000 0000       # by force
         show A -> A 920/0/920
         program 10 partner=1 purchase-hours=0 -> Unsound
         program 10 partner=1 cash-hours=9601 -> Unsound
         program 10 partner=1 credit-hours=9601 -> Unsound
         program 10 partner=1 pin-tries=0 -> Unsound
         program 10 partner=1 instant=-1 -> Unsound
         program 10 partner=1 purchase-hours=9600",
    );
}

#[test]
fn a_hold_raised_by_an_advice_past_its_time_still_ends() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=50 -> APPROVED 0000 00 000 0000
         wait 7d
         wait 1ms
         advice stan=2 card=1 amount=80 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         expire -> noted
         wait 7d
         expire -> noted
         show A D -> A 1000/0/1000 D 5000/0/5000",
    );
}

#[test]
fn a_credit_is_pending_until_it_is_cleared() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=100 type=200000 -> APPROVED 0000 00 000 0000
         show A D -> A 1000/0/1000 D 5000/0/5000                             # not available
         clear stan=2 card=1 amount=80 type=200000 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 -> Cleared 100/80/20/0
         show A D -> A 1080/0/1080 D 5080/0/5080
         auth stan=3 card=1 amount=100 type=220000 rrn=R terminal=T -> APPROVED 0000 00 000 0000
         sale stan=4 card=1 amount=100 type=220000 rrn=R terminal=T -> APPROVED 0000 00 000 0000 # consumes it
         life 3 -> Cleared 100/100/0/0
         show A D -> A 1180/0/1180 D 5180/0/5180
         sale stan=5 card=1 amount=10 type=210000 -> APPROVED 0000 00 000 0000                # with no original at all
         sale stan=6 card=1 amount=10 type=210000 of=99 -> APPROVED 0000 00 000 0000          # with one nobody knows
         life 6 class=sale -> Posted 0/10/0/0 OriginalNotFound
         auth stan=7 card=1 amount=5 type=200000 rrn=S terminal=T -> APPROVED 0000 00 000 0000
         auth stan=8 card=1 amount=5 type=200000 rrn=S terminal=T -> APPROVED 0000 00 000 0000
         sale stan=9 card=1 amount=5 type=200000 rrn=S terminal=T -> APPROVED 0000 00 000 0000
         life 9 class=sale -> Posted 0/5/0/0 OriginalAmbiguous
         show A D -> A 1205/0/1205 D 5205/0/5205
         exceptions -> Unmatched:10 Unmatched:10 Ambiguous:5
         reverse stan=10 of=5 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 1195/0/1195 D 5195/0/5195",
    );
}

#[test]
fn a_payment_is_available_at_once_up_to_the_bound_and_is_paid_once() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=50 type=260000 -> APPROVED 0000 00 000 0000
         show A D -> A 1050/0/1050 D 5050/0/5050
         auth stan=2 card=1 amount=51 type=280000 -> APPROVED 0000 00 000 0000              # over the bound
         show A -> A 1050/0/1050
         auth stan=3 card=1 amount=50 type=200000 -> APPROVED 0000 00 000 0000              # a refund is no payment
         show A -> A 1050/0/1050
         clear stan=4 card=1 amount=50 type=260000 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 1050/0/1050 D 5050/0/5050
         auth stan=5 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         clear stan=6 card=1 amount=30 type=260000 of=5 -> ADVICE_RECORDED 0000 00 000 0000 # less than was given
         show A D -> A 1080/0/1080 D 5080/0/5080
         auth stan=7 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         reverse stan=8 of=7 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 1080/0/1080 D 5080/0/5080
         auth stan=9 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         reverse stan=10 of=9 base=40 total=25 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 1105/0/1105 D 5105/0/5105
         auth stan=11 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         void stan=11 -> noted
         auth stan=12 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         advice stan=12 card=1 amount=40 type=260000 declined -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 1105/0/1105 D 5105/0/5105
         auth stan=13 card=1 amount=40 type=260000 -> APPROVED 0000 00 000 0000
         wait 30d
         expire -> noted
         life 13 -> Expired 40/40/0/40
         show A D -> A 1080/0/1080 D 5080/0/5080                           # what 9 had left ended too
         clear stan=14 card=1 amount=40 type=260000 of=13 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 1120/0/1120 D 5120/0/5120",
    );
}

#[test]
fn an_inquiry_tells_both_amounts_and_holds_nothing() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=300 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=0 type=310000 -> APPROVED 0000 00 000 0000 700/1000 EUR
         sale stan=3 card=1 amount=99999 type=300000 -> APPROVED 0000 00 000 0000 700/1000 EUR # no money is looked at
         auth stan=4 card=1 amount=5 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=0 type=310000 -> APPROVED 0000 00 000 0000 700/1000 EUR again # as it was told
         clear stan=5 card=1 amount=5 type=310000 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         advice stan=6 card=1 amount=5 type=310000 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 695/305/1000 D 4695/305/5000",
    );
}

#[test]
fn the_third_wrong_pin_locks_and_a_right_one_starts_anew() {
    check(
        PARTIAL,
        "pin 1
         look 1 -> Active, no lock, PIN, 0 wrong, to 12/26, CVC2 0
         auth stan=1 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=1 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017                     # its repeat counts once
         look 1 -> Active, no lock, PIN, 1 wrong, to 12/26, CVC2 0
         auth stan=2 card=1 amount=5 pin=unavailable -> UNAVAILABLE 9107 91 907 9107             # counts nothing
         auth stan=3 card=1 amount=5 pin=bad cvv=bad -> INVALID_CVV 1045 82 100 1045
         auth stan=4 card=1 amount=5 -> APPROVED 0000 00 000 0000                                # no PIN: neither
         look 1 -> Active, no lock, PIN, 1 wrong, to 12/26, CVC2 0
         auth stan=5 card=1 amount=5 pin=ok -> APPROVED 0000 00 000 0000
         look 1 -> Active, no lock, PIN, 0 wrong, to 12/26, CVC2 0
         auth stan=6 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=7 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=8 card=1 amount=9999 pin=ok -> INSUFFICIENT_FUNDS 1016 51 116 1016            # right, whatever follows
         look 1 -> Active, no lock, PIN, 0 wrong, to 12/26, CVC2 0
         auth stan=9 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=10 card=1 amount=5 cur=PLN pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=11 card=1 amount=5 type=200000 pin=ok -> APPROVED 0000 00 000 0000            # a credit asks for none
         auth stan=12 card=1 amount=5 type=200000 pin=bad -> APPROVED 0000 00 000 0000
         look 1 -> Active, no lock, PIN, 2 wrong, to 12/26, CVC2 0
         auth stan=13 card=1 amount=5 expiry=2701 pin=ok -> CARD_EXPIRED 1001 54 101 1001        # row 11 is not reached
         sale stan=14 card=1 amount=5 pin=bad -> PIN_TRIES_EXCEEDED 1006 75 106 1006
         look 1 -> Active, lock 6 by Switch, PIN, 3 wrong, to 12/26, CVC2 0
         sale stan=14 card=1 amount=5 pin=bad -> PIN_TRIES_EXCEEDED 1006 75 106 1006
         auth stan=15 card=1 amount=5 pin=ok -> CARD_LOCKED 1006 75 106 1006
         auth stan=16 card=1 amount=5 pin=bad -> CARD_LOCKED 1006 75 106 1006
         look 1 -> Active, lock 6 by Switch, PIN, 3 wrong, to 12/26, CVC2 0
         unlock 1
         look 1 -> Active, no lock, PIN, 0 wrong, to 12/26, CVC2 0
         auth stan=17 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         lock 1 code=7
         unlock 1                                                               # of 6 alone
         look 1 -> Active, no lock, PIN, 1 wrong, to 12/26, CVC2 0
         pin 1
         look 1 -> Active, no lock, PIN, 0 wrong, to 12/26, CVC2 0
         program 10 partner=1 pin-tries=1
         auth stan=18 card=1 amount=5 pin=bad -> PIN_TRIES_EXCEEDED 1006 75 106 1006",
    );
}

#[test]
fn a_lock_from_outside_obeys_the_rules_of_locks() {
    check(
        PARTIAL,
        "lock-outside stan=1 card=1 code=7 -> LOCK_CHANGED 3000 00 300 3000
         look 1 -> Active, lock 7 by Outside, no PIN, 0 wrong, to 12/26, CVC2 0
         auth stan=1 card=1 amount=5 -> CARD_LOCKED 1002 59 102 1002
         lock-outside stan=1 card=1 code=7 -> LOCK_CHANGED 3000 00 300 3000            # its repeat
         lock-outside stan=1 card=1 code=3 -> DUPLICATE 9113 94 913 9113
         lock-outside stan=2 card=1 code=3 -> LOCK_CHANGED 3000 00 300 3000            # a reversible one is replaced
         look 1 -> Active, lock 3 by Outside, no PIN, 0 wrong, to 12/26, CVC2 0
         lock-outside stan=3 card=1 lift -> LOCK_CHANGED 3000 00 300 3000
         lock-outside stan=4 card=1 lift -> LOCK_CHANGED 3000 00 300 3000              # nothing locked
         auth stan=2 card=1 amount=5 -> APPROVED 0000 00 000 0000
         lock 1 code=4 by=user
         look 1 -> Active, lock 4 by User, no PIN, 0 wrong, to 12/26, CVC2 0
         lock-outside stan=5 card=1 code=2 -> LOCK_CHANGED 3000 00 300 3000
         lock-outside stan=6 card=1 code=7 -> LOCK_IRREVERSIBLE 3006 29 306 3006
         lock-outside stan=7 card=1 lift -> LOCK_IRREVERSIBLE 3006 29 306 3006
         unlock 1 -> LockedIrreversibly
         auth stan=3 card=1 amount=5 -> CARD_LOCKED 2009 43 209 2009
         lock-outside stan=8 card=9 code=7 -> CARD_NOT_FOUND 3002 25 302 3002
         card 2 program=10
         state 2 Removed
         lock-outside stan=9 card=2 code=7 -> CARD_NOT_FOUND 3002 25 302 3002
         reverse stan=10 of=1 ofclass=lock-outside -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=10 card=1 amount=5 type=200000 -> APPROVED 0000 00 000 0000         # a refund to a stolen card",
    );
}

#[test]
fn the_locks_are_those_of_the_seed_and_activation_is_none_of_them() {
    let locks = [
        (1, "CARD_LOCKED 2008 41 208 2008", false),
        (2, "CARD_LOCKED 2009 43 209 2009", false),
        (3, "CARD_LOCKED 1000 05 100 1000", true),
        (4, "CARD_LOCKED 1016 51 116 1016", true),
        (5, "CARD_LOCKED 1018 56 118 1018", false),
        (6, "CARD_LOCKED 1006 75 106 1006", true),
        (7, "CARD_LOCKED 1002 59 102 1002", true),
        (8, "CARD_LOCKED 1011 14 111 1011", false),
    ];
    for (code, answer, reversible) in locks {
        let refused = if reversible { "" } else { " -> LockedIrreversibly" };
        for (other, ..) in locks {
            check(
                PARTIAL,
                &format!(
                    "lock 1 code={code} by=admin
                     auth stan=1 card=1 amount=5 -> {answer}
                     lock 1 code={other}{refused}"
                ),
            );
        }
        check(PARTIAL, &format!("lock 1 code={code}\nunlock 1{refused}"));
    }
    check(
        PARTIAL,
        "card 2 program=10 state=Linked
         unlock 2
         auth stan=1 card=2 amount=5 -> CARD_INACTIVE 1025 78 125 1025
         lock 2 code=5
         state 2 Active                                               # does not lift lock 5
         auth stan=2 card=2 amount=5 -> CARD_LOCKED 1018 56 118 1018",
    );
}

#[test]
fn a_renewed_card_takes_its_earlier_month_from_stored_credentials_alone() {
    check(
        PARTIAL,
        "renew 1 expiry=2912
         auth stan=1 card=1 amount=5 expiry=2912 -> APPROVED 0000 00 000 0000
         auth stan=2 card=1 amount=5 expiry=2612 -> CARD_EXPIRED 1001 54 101 1001
         auth stan=3 card=1 amount=5 expiry=2612 entry=chip -> CARD_EXPIRED 1001 54 101 1001
         auth stan=4 card=1 amount=5 expiry=2612 entry=stored -> APPROVED 0000 00 000 0000
         auth stan=5 card=1 amount=5 expiry=2611 entry=stored -> CARD_EXPIRED 1001 54 101 1001
         auth stan=6 card=1 amount=5 entry=stored -> APPROVED 0000 00 000 0000
         renew 1 expiry=2912 -> NotLater
         renew 1 expiry=2911 -> NotLater
         renew 1 expiry=3012
         auth stan=7 card=1 amount=5 expiry=2612 entry=stored -> CARD_EXPIRED 1001 54 101 1001 # the one before alone
         auth stan=8 card=1 amount=5 expiry=2912 entry=stored -> APPROVED 0000 00 000 0000
         cvv2 1 generation=2
         cvv2 1 generation=2 -> NotLater
         cvv2 1 generation=1 -> NotLater
         look 1 -> Active, no lock, no PIN, 0 wrong, to 12/30, CVC2 2
         state 1 Removed
         renew 1 expiry=3112 -> CardNotFound
         cvv2 1 generation=3 -> CardNotFound
         pin 1 -> CardNotFound",
    );
}
