//! The order of checks: every row on its own, every two neighbours, and which rows decide for which
//! class of message. Source: authorization 2; the language is described in
//! `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00, a partner deposit of 8.00 behind it.
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
fn each_row_declines_on_its_own() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=500 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1           -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=1 card=1 amount=500 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000                  # row 2
         auth stan=3 card=1 amount=5   -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=6   -> DUPLICATE 9113 94 913 9113                                # row 3
         auth stan=4 card=1 amount=5 type=990000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015       # row 4
         auth stan=5 card=1 amount=0   -> INVALID_AMOUNT 1010 13 110 1010                           # row 5
         auth stan=6 card=1 amount=-5  -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=7 card=1 amount=5 cashback=6 type=090000 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=8 card=1 amount=5 cashback=-1 type=090000 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=9 card=1 amount=5 bill=0 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=10 card=1 amount=-5 type=310000 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=11 card=9 amount=5  -> CARD_NOT_FOUND 1011 14 111 1011                           # row 6
         card 2 program=10
         state 2 Removed
         auth stan=12 card=2 amount=5  -> CARD_NOT_FOUND 1011 14 111 1011
         card 3 program=10 state=Linked
         auth stan=13 card=3 amount=5  -> CARD_INACTIVE 1025 78 125 1025                            # row 7
         card 4 program=10 state=Ordered
         auth stan=14 card=4 amount=5  -> CARD_INACTIVE 1025 78 125 1025
         auth stan=15 card=1 amount=5 expiry=2611 -> CARD_EXPIRED 1001 54 101 1001                  # row 8
         card 5 program=10 expiry=2611
         auth stan=16 card=5 amount=5  -> CARD_EXPIRED 1001 54 101 1001
         card 6 program=10
         state 6 Expired
         auth stan=17 card=6 amount=5  -> CARD_EXPIRED 1001 54 101 1001
         lock 1 code=7
         auth stan=18 card=1 amount=5  -> CARD_LOCKED 1002 59 102 1002                         # row 9
         unlock 1
         customer 1 unverified
         auth stan=19 card=1 amount=5  -> CUSTOMER_NOT_FOUND 1014 42 114 1014                       # row 10
         customer 1 aml
         auth stan=20 card=1 amount=5  -> AML_EXCEPTION 1078 05 100 1078
         customer 1
         auth stan=21 card=1 amount=5 cvv=bad -> INVALID_CVV 1045 82 100 1045                       # row 11
         auth stan=22 card=1 amount=5 cvv=unavailable -> UNAVAILABLE 9107 91 907 9107
         auth stan=23 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=24 card=1 amount=5 pin=unavailable -> UNAVAILABLE 9107 91 907 9107
         balance B customer=1 cur=EUR
         card 7 program=10 balance=B
         close B
         auth stan=25 card=7 amount=5  -> BALANCE_NOT_FOUND 1014 42 114 1014                        # row 12
         block A
         auth stan=35 card=1 amount=5  -> BALANCE_BLOCKED 1004 62 104 1004
         unblock A
         auth stan=26 card=1 amount=5 cur=PLN -> CURRENCY_MISMATCH 1030 57 115 1030                 # row 13
         rule 1 card=1 denied mccs=7995
         auth stan=27 card=1 amount=5 mcc=7995 -> NOT_PERMITTED 1019 57 119 1019                    # row 14
         rule 2 card=1 amount=transaction:EUR:900
         auth stan=28 card=1 amount=901 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021                    # row 15
         rule 3 card=1 budget=month:EUR:890
         auth stan=29 card=1 amount=891 -> BUDGET_EXCEEDED 1021 61 121 1021                         # row 16
         rule 4 program=10 amount=day:EUR:880
         auth stan=30 card=1 amount=881 -> LIMIT_EXCEED 1023 65 123 1023                            # row 17
         program 11 partner=1 cur=PLN collateral=deposit
         balance P customer=1 cur=PLN
         card 8 program=11 balance=P
         auth stan=31 card=8 amount=5 cur=PLN -> DEPOSIT_BALANCE_NOT_FOUND 1015 57 115 1015         # row 18
         auth stan=32 card=1 amount=800 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016   # row 19
         reload D 9000 EUR
         unrule 2
         unrule 3
         unrule 4
         auth stan=33 card=1 amount=1000 -> INSUFFICIENT_FUNDS 1016 51 116 1016                     # row 20
         auth stan=34 card=1 amount=995 -> APPROVED 0000 00 000 0000
         show A D -> A 0/1000/1000 D 8800/1000/9800",
    );
}

#[test]
fn technical_collateral_has_rows_of_its_own() {
    check(
        "partner 1
         program 10 partner=1 cur=EUR collateral=technical
         deposit D partner=1 cur=EUR
         reload D 900 EUR
         customer 1
         balance A customer=1 cur=EUR
         top-up A 1000 EUR
         card 1 program=10 balance=A",
        "auth stan=1 card=1 amount=5 -> COLLATERAL_BALANCE_NOT_FOUND 1015 57 115 1015      # row 18
         technical T partner=1 cur=EUR
         auth stan=2 card=1 amount=5 -> INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE 1016 51 116 1016 # row 19
         auth stan=3 card=1 amount=1001 -> INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE 1016 51 116 1016
         reload T 600 EUR
         auth stan=4 card=1 amount=600 -> APPROVED 0000 00 000 0000
         show A D T -> A 400/600/1000 D 900/0/900 T 0/600/600
         clear stan=5 card=1 amount=500 of=4 -> ADVICE_RECORDED 0000 00 000 0000
         show A D T -> A 500/0/500 D 900/0/900 T 100/0/100
         reload T 9000 EUR
         auth stan=6 card=1 amount=501 -> INSUFFICIENT_FUNDS 1016 51 116 1016",
    );
}

#[test]
fn of_two_neighbouring_rows_the_upper_one_is_the_answer() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=5 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=1 card=1 amount=6 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000                          # 2, 3
         auth stan=3 card=1 amount=5 -> APPROVED 0000 00 000 0000
         auth stan=3 card=1 amount=5 type=990000 -> DUPLICATE 9113 94 913 9113                            # 3, 4
         auth stan=4 card=1 amount=0 type=990000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015             # 4, 5
         auth stan=5 card=9 amount=0 -> INVALID_AMOUNT 1010 13 110 1010                                   # 5, 6
         card 2 program=10 state=Linked
         state 2 Removed
         auth stan=6 card=2 amount=5 -> CARD_NOT_FOUND 1011 14 111 1011                                   # 6, 7
         auth stan=7 card=2 amount=5 expiry=2701 -> CARD_NOT_FOUND 1011 14 111 1011                       # 6, 8
         card 3 program=10 state=Linked expiry=2611
         auth stan=8 card=3 amount=5 -> CARD_INACTIVE 1025 78 125 1025                                    # 7, 8
         card 4 program=10 expiry=2611
         lock 4 code=1
         auth stan=9 card=4 amount=5 -> CARD_EXPIRED 1001 54 101 1001                                     # 8, 9
         lock 1 code=3
         customer 1 unverified
         auth stan=10 card=1 amount=5 -> CARD_LOCKED 1000 05 100 1000                                # 9, 10
         customer 1 aml
         auth stan=11 card=1 amount=5 -> CARD_LOCKED 1000 05 100 1000                                # 9, 10
         customer 1 unverified aml
         unlock 1
         auth stan=12 card=1 amount=5 -> CUSTOMER_NOT_FOUND 1014 42 114 1014                              # inside 10
         auth stan=13 card=1 amount=5 cvv=bad pin=bad -> CUSTOMER_NOT_FOUND 1014 42 114 1014              # 10, 11
         customer 1 aml
         auth stan=14 card=1 amount=5 cvv=bad pin=bad -> AML_EXCEPTION 1078 05 100 1078                   # 10, 11
         customer 1
         auth stan=15 card=1 amount=5 cvv=bad pin=bad -> INVALID_CVV 1045 82 100 1045                     # inside 11
         auth stan=16 card=1 amount=5 cvv=unavailable pin=bad -> UNAVAILABLE 9107 91 907 9107             # inside 11
         look 1 -> Active, no lock, no PIN, 0 wrong, to 12/26, CVC2 0
         balance B customer=1 cur=EUR
         card 5 program=10 balance=B
         close B
         auth stan=17 card=5 amount=5 cvv=bad -> INVALID_CVV 1045 82 100 1045                             # 11, 12
         auth stan=18 card=5 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017                             # 11, 12
         auth stan=19 card=5 amount=5 cur=PLN -> BALANCE_NOT_FOUND 1014 42 114 1014                       # 12, 13
         block A
         auth stan=30 card=1 amount=5 cvv=bad -> INVALID_CVV 1045 82 100 1045                             # 11, 12
         auth stan=31 card=1 amount=5 cur=PLN -> BALANCE_BLOCKED 1004 62 104 1004                         # 12, 13
         unblock A
         rule 1 card=1 denied merchants=CASINO
         auth stan=20 card=1 amount=5 cur=PLN merchant=CASINO -> CURRENCY_MISMATCH 1030 57 115 1030       # 13, 14
         rule 2 card=1 amount=transaction:EUR:500
         auth stan=21 card=1 amount=501 merchant=CASINO -> NOT_PERMITTED 1019 57 119 1019                 # 14, 15
         rule 3 card=1 budget=month:EUR:500
         auth stan=22 card=1 amount=501 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021                          # 15, 16
         unrule 2
         rule 4 card=1 count=day:0
         auth stan=23 card=1 amount=501 -> BUDGET_EXCEEDED 1021 61 121 1021                               # 16, 17
         program 11 partner=1 cur=PLN collateral=deposit
         balance P customer=1 cur=PLN
         card 6 program=11 balance=P
         rule 5 program=11 count=day:0
         auth stan=24 card=6 amount=5 cur=PLN -> LIMIT_EXCEED 1023 65 123 1023                            # 17, 18
         unrule 5
         auth stan=25 card=6 amount=5 -> CURRENCY_MISMATCH 1030 57 115 1030                               # 13, 18
         auth stan=26 card=6 amount=5 cur=PLN -> DEPOSIT_BALANCE_NOT_FOUND 1015 57 115 1015               # 18, 19, 20
         unrule 3
         auth stan=27 card=1 amount=2000 -> LIMIT_EXCEED 1023 65 123 1023                                 # 17, 19
         unrule 4
         auth stan=28 card=1 amount=2000 cur=PLN -> CURRENCY_MISMATCH 1030 57 115 1030                    # 13, 19
         auth stan=29 card=1 amount=2000 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016        # 19, 20
         show A D -> A 995/5/1000 D 795/5/800",
    );
}

#[test]
fn a_balance_that_is_blocked_and_closed_is_closed() {
    check(
        DEPOSIT,
        "balance C customer=1 cur=EUR
         card 7 program=10 balance=C
         block C
         close C                                                       # empty, so that it can
         auth stan=32 card=7 amount=5 -> BALANCE_NOT_FOUND 1014 42 114 1014",
    );
}

#[test]
fn each_fault_put_right_uncovers_the_next_one() {
    check(
        "partner 1
         program 10 partner=1 cur=EUR collateral=deposit
         customer 1
         balance A customer=1 cur=EUR
         rule 1 partner=1 denied countries=408
         rule 2 customer=1 amount=transaction:EUR:4
         rule 3 customer=1 budget=week:EUR:4
         rule 4 partner=1 count=week:0",
        "auth stan=1 card=1 amount=0 cvv=bad cur=PLN expiry=2701 country=408 type=990000 -> UNKNOWN_TRANSACTION_TYPE 1015 12 115 1015
         auth stan=2 card=1 amount=0 cvv=bad cur=PLN expiry=2701 country=408 -> INVALID_AMOUNT 1010 13 110 1010
         auth stan=3 card=1 amount=5 cvv=bad cur=PLN expiry=2701 country=408 -> CARD_NOT_FOUND 1011 14 111 1011
         card 1 program=10 state=Linked
         lock 1 code=4
         customer 1 unverified aml
         auth stan=4 card=1 amount=5 cvv=bad cur=PLN expiry=2701 country=408 -> CARD_INACTIVE 1025 78 125 1025
         state 1 Active
         auth stan=5 card=1 amount=5 cvv=bad cur=PLN expiry=2701 country=408 -> CARD_EXPIRED 1001 54 101 1001
         auth stan=6 card=1 amount=5 cvv=bad cur=PLN expiry=2612 country=408 -> CARD_LOCKED 1016 51 116 1016
         unlock 1
         auth stan=7 card=1 amount=5 cvv=bad cur=PLN country=408 -> CUSTOMER_NOT_FOUND 1014 42 114 1014
         customer 1 aml
         auth stan=8 card=1 amount=5 cvv=bad cur=PLN country=408 -> AML_EXCEPTION 1078 05 100 1078
         customer 1
         auth stan=9 card=1 amount=5 cvv=bad cur=PLN country=408 -> INVALID_CVV 1045 82 100 1045
         auth stan=10 card=1 amount=5 pin=bad cur=PLN country=408 -> INVALID_PIN 1017 55 117 1017
         auth stan=11 card=1 amount=5 pin=ok cvv=ok cur=PLN country=408 -> CURRENCY_MISMATCH 1030 57 115 1030
         auth stan=12 card=1 amount=5 country=408 -> NOT_PERMITTED 1019 57 119 1019
         auth stan=13 card=1 amount=5 country=616 -> EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021
         unrule 2
         auth stan=14 card=1 amount=5 -> BUDGET_EXCEEDED 1021 61 121 1021
         unrule 3
         auth stan=15 card=1 amount=5 -> LIMIT_EXCEED 1023 65 123 1023
         unrule 4
         auth stan=16 card=1 amount=5 -> DEPOSIT_BALANCE_NOT_FOUND 1015 57 115 1015
         deposit D partner=1 cur=EUR
         auth stan=17 card=1 amount=5 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         reload D 5 EUR
         auth stan=18 card=1 amount=5 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         top-up A 5 EUR
         auth stan=19 card=1 amount=5 -> APPROVED 0000 00 000 0000
         show A D -> A 0/5/5 D 0/5/5",
    );
}

#[test]
fn the_rows_that_are_looked_at_are_those_of_the_class() {
    check(
        DEPOSIT,
        "explain auth stan=1 card=1 amount=5 -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19 20
         explain sale stan=1 card=1 amount=5 type=010000 -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19 20
         explain auth stan=1 card=1 amount=0 verification -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19 20
         explain auth stan=1 card=1 amount=0 type=310000 -> 4 5 6 7 8 9 10 10 11 12 13 14
         explain sale stan=1 card=1 amount=5 type=200000 -> 4 5 6 10 10 12 13
         explain auth stan=1 card=1 amount=5 type=280000 -> 4 5 6 10 10 12 13
         explain advice stan=1 card=1 amount=5 -> 4 5 6 7 8 9 10 10 12 13 14 15 16 17 18 19
         explain clear stan=1 card=1 amount=5 -> 4 5 6 7 8 9 10 10 12 13 14 15 16 17 18 19
         auth stan=1 card=1 amount=5 -> APPROVED 0000 00 000 0000
         explain auth stan=1 card=1 amount=5 -> 2 3
         explain auth stan=1 card=1 amount=6 -> 2 3!
         explain reverse stan=1 of=1 -> none
         reverse stan=1 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         explain auth stan=1 card=1 amount=6 -> 2!
         explain auth stan=2 card=1 amount=5000 -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19!
         explain auth stan=2 card=8 amount=5 -> 4 5 6!
         lock 1 code=1
         explain auth stan=2 card=1 amount=5 -> 4 5 6 7 8 9!
         explain advice stan=2 card=1 amount=5 -> 4 5 6 7 8 9!",
    );
}

/// Messages of every class: `{}` is where a fault puts its words.
const CLASSES: [(&str, &str); 9] = [
    ("auth stan=11 card=1 amount=5 {}", "APPROVED 0000 00 000 0000"),
    ("sale stan=12 card=1 amount=5 type=010000 {}", "APPROVED 0000 00 000 0000"),
    ("sale stan=13 card=1 amount=5 type=200000 {}", "APPROVED 0000 00 000 0000"),
    ("auth stan=14 card=1 amount=5 type=260000 {}", "APPROVED 0000 00 000 0000"),
    ("auth stan=15 card=1 amount=0 type=310000 {}", "APPROVED 0000 00 000 0000"),
    ("auth stan=16 card=1 amount=0 verification {}", "APPROVED 0000 00 000 0000"),
    ("advice stan=17 card=1 amount=5 {}", "ADVICE_RECORDED 0000 00 000 0000"),
    ("clear stan=18 card=1 amount=5 {}", "REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000"),
    ("reverse stan=19 of=90", "REVERSAL_ACCEPTED 4000 00 400 4000"),
];

/// Row, what is done before, the fault's words in a message, its decline, and which classes it
/// declines: purchase, cash, credit, payment credit, inquiry, verification, advice, clearing,
/// reversal.
#[rustfmt::skip] // one fault a line
const FAULTS: [(u8, &str, &str, &str, &str); 20] = [
    (5, "", "amount=0", "INVALID_AMOUNT 1010 13 110 1010", "xxxx-----"),
    (6, "", "card=9", "CARD_NOT_FOUND 1011 14 111 1011", "xxxxxx---"),
    (7, "card 2 program=10 state=Linked", "card=2", "CARD_INACTIVE 1025 78 125 1025", "xx--xx---"),
    (8, "", "expiry=2701", "CARD_EXPIRED 1001 54 101 1001", "xx--xx---"),
    (8, "clock 2027-01-01T00:00:00Z", "", "CARD_EXPIRED 1001 54 101 1001", "xx--xx---"),
    (9, "lock 1 code=1", "", "CARD_LOCKED 2008 41 208 2008", "xx--xx---"),
    (10, "customer 1 unverified", "", "CUSTOMER_NOT_FOUND 1014 42 114 1014", "xxxxxx---"),
    (10, "customer 1 aml", "", "AML_EXCEPTION 1078 05 100 1078", "xxxxxx---"),
    (11, "", "cvv=bad", "INVALID_CVV 1045 82 100 1045", "xx--xx---"),
    (11, "", "pin=unavailable", "UNAVAILABLE 9107 91 907 9107", "xx--xx---"),
    (12, "balance B customer=1\ncard 2 program=10 balance=B\nclose B", "card=2", "BALANCE_NOT_FOUND 1014 42 114 1014", "xxxxxx---"),
    (12, "block A", "", "BALANCE_BLOCKED 1004 62 104 1004", "xx--xx---"),
    (13, "", "cur=PLN", "CURRENCY_MISMATCH 1030 57 115 1030", "xxxxxx---"),
    (14, "rule 1 card=1 denied merchants=SHOP", "", "NOT_PERMITTED 1019 57 119 1019", "xx--xx---"),
    (15, "rule 1 card=1 amount=transaction:EUR:4", "", "EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021", "xx-------"),
    (16, "rule 1 card=1 budget=day:EUR:4", "", "BUDGET_EXCEEDED 1021 61 121 1021", "xx-------"),
    (17, "rule 1 card=1 count=day:0", "", "LIMIT_EXCEED 1023 65 123 1023", "xx-------"),
    (18, "program 11 partner=2 collateral=deposit\ncard 2 program=11", "card=2", "DEPOSIT_BALANCE_NOT_FOUND 1015 57 115 1015", "xx---x---"),
    (19, "advice stan=80 card=1 amount=799 -> ADVICE_RECORDED 0000 00 000 0000", "", "INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016", "xx-------"),
    (20, "reload D 9000 EUR\nadvice stan=80 card=1 amount=999 -> ADVICE_RECORDED 0000 00 000 0000", "", "INSUFFICIENT_FUNDS 1016 51 116 1016", "xx-------"),
];

#[test]
fn a_fault_declines_the_classes_for_which_its_row_decides_and_no_other() {
    let world = format!(
        "{DEPOSIT}\npartner 2\nbalance F customer=1\n
         auth stan=90 card=1 amount=1 -> APPROVED 0000 00 000 0000"
    );
    for (row, before, words, decline, declined) in FAULTS {
        assert_eq!(declined.len(), CLASSES.len());
        for ((class, passed), letter) in CLASSES.iter().zip(declined.chars()) {
            let message = class.replace("{}", words);
            // What an inquiry tells is another test's.
            let told = match (message.contains("type=310000"), letter) {
                (true, '-') if row == 19 => " 200/1000 EUR",
                (true, '-') if row == 20 => " 0/1000 EUR",
                (true, '-') => " 999/1000 EUR",
                _ => "",
            };
            let outcome = if letter == 'x' { decline } else { passed };
            check(&world, &format!("{before}\n{message} -> {outcome}{told}"));
        }
    }
}
