//! What becomes of partner money, of the changes that the control link asks for, and of both at
//! the bounds, as tables. Source: authorization 3 and 6, requirements #27-#33, #80-#103.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::{PRODUCTION, TEST};

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

/// A card whose top-ups are charged to a partner credit of 5.00.
const CREDIT: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=credit
    credit C partner=1 cur=EUR
    reload C 500 EUR
    customer 1
    balance A customer=1 cur=EUR
    card 1 program=10 balance=A";

fn check(world: &str, table: &str) {
    language::check(PRODUCTION, world, table);
}

#[test]
fn deposit_mode_holds_on_both_sides_or_on_neither() {
    check(
        DEPOSIT,
        "auth stan=1 card=1 amount=801 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         show A D -> A 1000/0/1000 D 800/0/800                    # the user had enough
         reload D 9000 EUR
         auth stan=2 card=1 amount=1001 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         show A D -> A 1000/0/1000 D 9800/0/9800                  # the deposit had enough
         auth stan=3 card=1 amount=1000 -> APPROVED 0000 00 000 0000
         show A D -> A 0/1000/1000 D 8800/1000/9800
         program 11 partner=1 cur=EUR collateral=none
         balance B customer=1 cur=EUR
         top-up B 50 EUR
         card 2 program=11 balance=B
         auth stan=4 card=2 amount=50 -> APPROVED 0000 00 000 0000
         show B D -> B 0/50/50 D 8800/1000/9800                   # nothing stands behind that one
         partner 2
         deposit E partner=2 cur=EUR
         program 12 partner=2 cur=EUR collateral=deposit
         card 3 program=12 balance=B
         auth stan=5 card=3 amount=1 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016",
    );
}

#[test]
fn two_users_share_one_deposit() {
    check(
        DEPOSIT,
        "customer 2
         balance B customer=2 cur=EUR
         top-up B 1000 EUR
         card 2 program=10 balance=B
         auth stan=1 card=1 amount=500 -> APPROVED 0000 00 000 0000
         auth stan=2 card=2 amount=301 -> INSUFFICIENT_FUNDS_ON_DEPOSIT_BALANCE 1016 51 116 1016
         auth stan=3 card=2 amount=300 -> APPROVED 0000 00 000 0000
         show A B D -> A 500/500/1000 B 700/300/1000 D 0/800/800
         reverse stan=4 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=5 card=2 amount=301 -> APPROVED 0000 00 000 0000
         show A B D -> A 1000/0/1000 B 399/601/1000 D 199/601/800",
    );
}

#[test]
fn money_leaves_a_balance_or_moves_to_another_only_where_it_is_available() {
    check(
        PLAIN,
        "show A -> A 1000/0/1000
         auth stan=1 card=1 amount=300 -> APPROVED 0000 00 000 0000
         withdraw A 701 EUR -> InsufficientFunds                    # 300 of it is held
         withdraw A 700 EUR
         show A -> A 0/300/300
         withdraw A 1 EUR -> InsufficientFunds
         reverse stan=2 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         balance B customer=1 cur=EUR
         balance P customer=1 cur=PLN
         transfer A 301 EUR to=B -> InsufficientFunds
         transfer A 100 EUR to=A -> BalancesApart
         transfer A 100 EUR to=P -> CurrencyMismatch
         transfer P 100 EUR to=A -> CurrencyMismatch
         transfer A 0 EUR to=B -> InvalidAmount
         withdraw A -1 EUR -> InvalidAmount
         withdraw A 1 PLN -> CurrencyMismatch
         withdraw Z 1 EUR -> BalanceNotFound
         transfer A 1 EUR to=Z -> BalanceNotFound
         transfer Z 1 EUR to=A -> BalanceNotFound
         transfer A 100 EUR to=B
         transfer B 40 EUR to=A id=7
         transfer B 40 EUR to=A id=7 -> done again
         show A B -> A 240/0/240 B 60/0/60
         top-up A 2305843009213693711 EUR                           # as much as can be counted
         transfer B 1 EUR to=A -> InvalidAmount
         withdraw A 2305843009213693711 EUR
         show A B -> A 240/0/240 B 60/0/60
         close B -> BalanceNotEmpty
         withdraw B 60 EUR
         close B
         transfer A 1 EUR to=B -> BalanceNotFound",
    );
}

#[test]
fn a_blocked_balance_gives_nothing_and_takes_what_comes() {
    check(
        PLAIN,
        "balance B customer=1 cur=EUR
         auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         block A
         block A                                                    # already: no change
         auth stan=2 card=1 amount=100 -> BALANCE_BLOCKED 1004 62 104 1004
         auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000 again
         withdraw A 10 EUR -> BalanceBlocked
         transfer A 10 EUR to=B -> BalanceBlocked
         transfer A 10 EUR to=B charge=9:1:EUR -> BalanceBlocked
         top-up A 50 EUR
         top-up B 20 EUR
         transfer B 20 EUR to=A
         charge A 5 EUR fee=9                                       # the issuer's own
         sale stan=3 card=1 amount=30 type=200000 -> APPROVED 0000 00 000 0000
         clear stan=4 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A B -> A 995/0/995 B 0/0/0
         advice stan=5 card=1 amount=95 -> ADVICE_RECORDED 0000 00 000 0000
         exceptions -> Unmatched:30 Flagged(BalanceBlocked):95
         reverse stan=6 of=5 ofclass=advice -> REVERSAL_ACCEPTED 4000 00 400 4000
         unblock A
         unblock A
         block A by=partner
         block A by=admin                                           # an operator's from now on
         block A by=partner
         unblock A by=partner -> LockedByOther
         auth stan=7 card=1 amount=1 -> BALANCE_BLOCKED 1004 62 104 1004
         unblock A by=admin
         block A by=partner
         unblock A by=admin                                         # and the partner's too
         withdraw A 995 EUR
         block A
         close A
         block A -> BalanceNotFound
         unblock Z -> BalanceNotFound",
    );
}

#[test]
fn a_holder_touches_the_locks_of_those_that_the_program_names() {
    check(
        PLAIN,
        "lock 1 code=7 by=partner
         unlock 1 over=user -> LockedByOther
         unlock 1 over=user,admin -> LockedByOther
         lock 1 code=3 over=user -> LockedByOther                   # to lift it then
         auth stan=1 card=1 amount=5 -> CARD_LOCKED 1002 59 102 1002
         look 1 -> Active, lock 7 by Partner, no PIN, 0 wrong, to 12/26, CVC2 0
         unlock 1 over=user,partner
         unlock 1 over=user                                         # nothing locked: no change
         auth stan=2 card=1 amount=5 -> APPROVED 0000 00 000 0000
         lock 1 code=7 over=user
         look 1 -> Active, lock 7 by User, no PIN, 0 wrong, to 12/26, CVC2 0
         lock 1 code=3 over=user
         unlock 1 over=user
         lock 1 code=3 by=admin
         lock 1 code=7 over=admin
         lock 1 code=3 by=admin
         unlock 1                                                   # the issuer's own way: any
         pin 1
         auth stan=3 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=4 card=1 amount=5 pin=bad -> INVALID_PIN 1017 55 117 1017
         auth stan=5 card=1 amount=5 pin=bad -> PIN_TRIES_EXCEEDED 1006 75 106 1006
         unlock 1 over=user -> LockedByOther                        # by the switch
         unlock 1
         lock 1 code=6 over=user -> LockedByOther                   # behind it PINs are tried anew
         lock 1 code=6 by=partner
         unlock 1 over=user,partner -> LockedByOther
         lock 1 code=3 over=user,partner -> LockedByOther
         unlock 1 over=switch
         lock 1 code=6 over=user,switch
         unlock 1 over=switch
         lock 1 code=3 over=partner                                 # to lock is always theirs
         lock 1 code=7 by=admin
         lock 1 code=1 over=user                                    # lost is lost, whoever locked before
         unlock 1 over=user -> LockedIrreversibly
         lock 1 code=2 over=user -> LockedIrreversibly
         lock 9 code=3 over=user -> CardNotFound
         unlock 9 over=user -> CardNotFound",
    );
}

#[test]
fn what_leaves_a_covered_balance_goes_back_to_the_credit_that_covered_it() {
    check(
        CREDIT,
        "top-up A 300 EUR
         show A C -> A 300/0/300 C 200/0/200
         withdraw A 120 EUR
         show A C -> A 180/0/180 C 320/0/320
         reload C 2305843009213693631 EUR                           # as much as can be counted
         withdraw A 1 EUR -> InvalidAmount
         balance B customer=1 cur=EUR
         top-up B 10 EUR
         transfer B 10 EUR to=A -> BalancesApart                    # nobody covers what is on B
         transfer A 10 EUR to=B -> BalancesApart
         balance E customer=1 cur=EUR
         card 6 program=10 balance=E
         transfer A 30 EUR to=E
         show A E -> A 150/0/150 E 30/0/30",
    );
}

#[test]
fn a_bank_transfer_comes_out_of_the_technical_account_and_is_covered_like_a_top_up() {
    check(
        CREDIT,
        "credit-transfer A 501 EUR -> InsufficientCollateral
         book EUR -> partners=500 bank=-500
         credit-transfer A 300 EUR id=7
         credit-transfer A 300 EUR id=7 -> done again
         top-up A 100 EUR
         show A C -> A 400/0/400 C 100/0/100
         withdraw A 50 EUR
         book EUR -> users=350 funding=-50 partners=150 users-cover=350 bank=-500 iban-technical=-300
         credit-transfer A 1 PLN -> CurrencyMismatch
         credit-transfer A 0 EUR -> InvalidAmount
         credit-transfer X 1 EUR -> BalanceNotFound",
    );
}

#[test]
fn credit_mode_charges_the_partner_at_each_top_up_or_moves_nothing() {
    check(
        CREDIT,
        "top-up A 501 EUR -> InsufficientCollateral
         show A C -> A 0/0/0 C 500/0/500
         top-up A 300 EUR
         show A C -> A 300/0/300 C 200/0/200
         top-up A 201 EUR -> InsufficientCollateral
         top-up A 200 EUR
         auth stan=1 card=1 amount=500 -> APPROVED 0000 00 000 0000        # nothing is held on the credit
         show A C -> A 0/500/500 C 0/0/0
         top-up A 1 EUR -> InsufficientCollateral
         program 11 partner=1 cur=PLN collateral=credit
         balance P customer=1 cur=PLN
         card 2 program=11 balance=P
         top-up P 1 PLN -> CollateralBalanceNotFound
         balance B customer=1 cur=EUR
         top-up B 10 EUR                                          # no credit program draws on it
         card 3 program=10 balance=B -> BalanceNotCovered
         partner 2
         program 12 partner=2 cur=EUR collateral=credit
         card 4 program=12 balance=A -> BalanceNotCovered         # another partner covers it
         card 5 program=10 balance=A
         show A B C -> A 0/500/500 B 10/0/10 C 0/0/0",
    );
}

#[test]
fn a_command_sent_again_gets_its_first_outcome_whatever_it_says() {
    check(
        PLAIN,
        "top-up A 50 EUR id=7
         top-up A 50 EUR id=7 -> done again
         top-up A 999 EUR id=7 -> done again
         close A id=7 -> done again
         show A -> A 1050/0/1050
         lock 9 code=1 id=8 -> CardNotFound
         card 9 program=10
         lock 9 code=1 id=8 -> CardNotFound again
         auth stan=1 card=9 amount=5 -> APPROVED 0000 00 000 0000
         lock 9 code=1 id=9
         lock 9 code=1 id=9 -> done again
         unlock 9 id=10 -> LockedIrreversibly
         unlock 9 id=10 -> LockedIrreversibly again",
    );
}

#[test]
fn every_refusal_says_what_was_wrong() {
    check(
        PLAIN,
        "partner 1                                                # known already: no change
         program 11 partner=9 cur=EUR -> PartnerNotFound
         program 10 partner=1 cur=EUR collateral=none
         program 10 partner=1 cur=PLN collateral=none -> IdTaken
         program 10 partner=1 cur=EUR collateral=credit -> IdTaken
         partner 2
         program 10 partner=2 cur=EUR collateral=none -> IdTaken
         balance B customer=9 cur=EUR -> CustomerNotFound
         customer 2 unverified
         balance B customer=2 cur=EUR -> CustomerNotVerified
         balance A customer=1 cur=EUR -> IdTaken
         deposit D partner=9 cur=EUR -> PartnerNotFound
         deposit D partner=1 cur=EUR
         deposit D partner=1 cur=PLN -> IdTaken
         deposit E partner=1 cur=EUR -> PartnerBalanceExists
         credit E partner=1 cur=EUR
         card 2 program=99 -> ProgramNotFound
         card 2 program=10 balance=Z -> BalanceNotFound
         balance P customer=1 cur=PLN
         card 2 program=10 balance=P -> CurrencyMismatch
         card 2 program=10 token=1 -> TokenTaken
         card 1 program=10 token=2 -> IdTaken
         card 2 program=10 state=Expired -> CardStateForbidden { from: Ordered, to: Expired }
         card 2 program=10 state=Removed -> CardStateForbidden { from: Ordered, to: Removed }
         customer 1 unverified
         card 2 program=10 -> CustomerNotVerified
         customer 1
         state 9 Linked -> CardNotFound
         lock 9 code=1 -> CardNotFound
         unlock 9 -> CardNotFound
         top-up Z 5 EUR -> BalanceNotFound
         top-up A 5 PLN -> CurrencyMismatch
         top-up A 0 EUR -> InvalidAmount
         top-up A -5 EUR -> InvalidAmount
         top-up A 9223372036854775000 EUR -> InvalidAmount
         reload Z 5 EUR -> PartnerBalanceNotFound
         reload D 5 PLN -> CurrencyMismatch
         reload D 0 EUR -> InvalidAmount
         reload D 2305843009213693952 EUR -> InvalidAmount           # a quarter of what can be counted
         reload D 2305843009213693951 EUR
         reload D 1 EUR -> InvalidAmount
         top-up A 2305843009213692952 EUR -> InvalidAmount
         close Z -> BalanceNotFound
         close A -> BalanceNotEmpty
         close P
         close P -> BalanceNotFound
         top-up P 5 PLN -> BalanceNotFound
         balance P customer=1 cur=PLN -> IdTaken                  # an id is never used again
         program 20 partner=1 cur=PLN
         card 3 program=20 balance=P -> BalanceNotFound
         show A D P -> A 1000/0/1000 D 2305843009213693951/0/2305843009213693951 P none",
    );
}

#[test]
fn a_balance_takes_sixty_four_cards_that_were_not_removed() {
    let mut table: Vec<String> = (2..=64).map(|card| format!("card {card} program=10")).collect();
    let behind = [
        "card 65 program=10 -> TooManyCards",
        "state 30 Expired",
        "card 65 program=10 -> TooManyCards",
        // From the middle, the first and the last.
        "state 30 Removed",
        "state 1 Removed",
        "card 65 program=10",
        "card 66 program=10",
        "state 66 Removed",
        "state 66 Removed",
        "card 67 program=10",
        "card 68 program=10 -> TooManyCards",
    ];
    table.extend(behind.map(str::to_owned));
    check(PLAIN, &table.join("\n"));
}

#[test]
fn how_many_there_may_be_is_set_and_binds_what_comes_next() {
    check(
        PLAIN,
        "counts 0 balances=2 cards=65 -> Unsound
         card 2 program=10
         counts 0 balances=2 cards=1
         card 3 program=10 -> TooManyCards
         state 2 Removed
         card 3 program=10 -> TooManyCards                        # the first one is there still
         counts 0 balances=2 cards=2
         card 3 program=10
         balance B customer=1 cur=EUR
         balance C customer=1 cur=EUR -> TooManyBalances
         close B
         balance C customer=1 cur=EUR
         customer 1                                               # put again: it has as many
         balance E customer=1 cur=EUR -> TooManyBalances
         customer 2
         balance E customer=2 cur=EUR
         counts 0 balances=0 cards=0
         balance F customer=2 cur=EUR -> TooManyBalances
         counts 0 balances=9 cards=64
         balance F customer=2 cur=EUR",
    );
}

#[test]
fn a_full_table_refuses_and_the_others_go_on() {
    language::check(
        TEST,
        "",
        "partner 1
         partner 2
         partner 3
         partner 4 -> TableFull
         partner 3
         program 1 partner=1
         program 2 partner=1
         program 3 partner=1
         program 4 partner=1
         program 5 partner=1
         program 6 partner=1
         program 7 partner=1
         program 8 partner=1 -> TableFull
         program 6 partner=1
         customer 1
         customer 2
         customer 3
         customer 4
         customer 5
         customer 6
         customer 7 -> TableFull
         customer 6 aml
         balance A customer=1
         balance B customer=1
         balance C customer=1
         balance D customer=1
         balance E customer=1
         balance F customer=1
         balance G customer=1
         balance H customer=1
         balance I customer=1 -> TableFull
         deposit M partner=1
         deposit N partner=2
         deposit O partner=3
         credit P partner=1
         credit Q partner=2
         credit R partner=3
         deposit S partner=1 cur=PLN -> TableFull
         card 1 program=1
         card 2 program=1
         card 3 program=1
         card 4 program=1
         card 5 program=1
         card 6 program=1
         card 7 program=1
         card 8 program=1
         card 9 program=1
         card 10 program=1
         card 11 program=1
         card 12 program=1
         card 13 program=1 -> TableFull
         top-up A 5 EUR
         auth stan=1 card=1 amount=5 -> APPROVED 0000 00 000 0000",
    );
}

#[test]
fn a_table_full_of_holds_still_takes_every_reversal() {
    let holds = |from: u32, to: u32| {
        let lines = (from..=to)
            .map(|stan| format!("auth stan={stan} card=1 amount=1 -> APPROVED 0000 00 000 0000"));
        lines.collect::<Vec<_>>().join("\n")
    };
    language::check(
        TEST,
        PLAIN,
        &format!(
            "{}
             auth stan=23 card=1 amount=1 -> UNKNOWN_ERROR 9109 96 909 9109
             show A -> A 978/22/1000
             reverse stan=30 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
             show A -> A 979/21/1000
             auth stan=24 card=1 amount=1 -> APPROVED 0000 00 000 0000
             auth stan=25 card=1 amount=1 -> UNKNOWN_ERROR 9109 96 909 9109
             reverse stan=31 of=40 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
             reverse stan=32 of=41 advice -> REFERENCED_TRANSACTION_NOT_FOUND 4000 00 400 4000
             reverse stan=33 of=2 -> REVERSAL_ACCEPTED 4000 00 400 4000
             reverse stan=34 of=3 -> REVERSAL_ACCEPTED 4000 00 400 4000
             show A -> A 980/20/1000",
            holds(1, 22)
        ),
    );
}

#[test]
fn a_reversal_that_makes_room_by_forgetting_its_original_keeps_the_request_out() {
    language::check(
        TEST,
        PLAIN,
        "auth stan=1 card=9 amount=5 -> CARD_NOT_FOUND 1011 14 111 1011
         wait 10001ms
         reverse stan=2 of=1 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         auth stan=1 card=1 amount=5 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000
         show A -> A 1000/0/1000",
    );
}

#[test]
fn account_verifications_do_not_fill_the_table() {
    let table: Vec<String> = (1..=40)
        .map(|stan| {
            format!("auth stan={stan} card=1 amount=0 verification -> APPROVED 0000 00 000 0000")
        })
        .collect();
    language::check(TEST, PLAIN, &table.join("\n"));
}
