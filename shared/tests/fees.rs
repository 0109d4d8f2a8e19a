//! What payments and other things cost, as tables: reserved with the hold, taken with what is
//! posted, given back with what is taken back, and never from the deposit. Source: authorization 3,
//! requirements #165-#170; the language is described in `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// One card on one balance with 10.00 and a deposit of 50.00; 0.50 and 2.5 % on every payment.
const WORLD: &str = "
    partner 1
    program 10 partner=1 cur=EUR collateral=deposit partial
    deposit D partner=1 cur=EUR
    reload D 5000 EUR
    customer 1
    balance A customer=1 cur=EUR
    balance B customer=1 cur=EUR
    top-up A 1000 EUR
    card 1 program=10 balance=A
    fee 1 program=10 fixed=50 rate=25000";

fn check(world: &str, table: &str) {
    language::check(PRODUCTION, world, table);
}

#[test]
fn a_fee_is_reserved_with_the_hold_and_taken_at_its_clearing() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=200 -> APPROVED 0000 00 000 0000
         show A D -> A 745/255/1000 D 4800/200/5000                    # 50 + 5, not on the deposit
         clear stan=2 card=1 amount=200 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A D -> A 745/0/745 D 4800/0/4800
         book EUR -> users=745 funding=-1000 settlement=200 partners=4800 partner-settlement=200 bank=-5000 fees=55
         reverse stan=3 of=2 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A D -> A 1000/0/1000 D 5000/0/5000                       # all of it back
         book EUR -> users=1000 funding=-1000 partners=5000 bank=-5000",
    );
}

#[test]
fn the_fixed_part_is_taken_once_and_the_share_on_what_is_captured() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
         show A -> A 540/460/1000                                      # 400 + 50 + 10
         clear stan=2 card=1 amount=100 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 539/308/847                                       # 50 + 3 (2.5 up) taken; 300 + 8 (7.5 up) held
         clear stan=3 card=1 amount=200 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 539/103/642                                       # 5 taken; 100 + 3 held
         clear stan=4 card=1 amount=40 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 601/0/601                                         # 1; the rest goes with the hold
         clear stan=5 card=1 amount=20 of=1 -> ADVICE_RECORDED 0000 00 000 0000 # nothing is open: by force
         show A -> A 580/0/580                                         # 1, and no fixed part again",
    );
}

#[test]
fn more_than_was_held_costs_more() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=300 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 642/0/642                                         # 300 + 50 + 8
         reverse stan=3 of=2 ofclass=clear base=300 total=100 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 847/0/847                                         # 100 + 50 + 3",
    );
}

#[test]
fn what_is_released_takes_its_fee_along() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
         reverse stan=2 of=1 base=400 total=100 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 847/153/1000
         auth stan=3 card=1 amount=60 incremental of=1 -> APPROVED 0000 00 000 0000
         show A -> A 786/214/1000                                      # 160 + 50 + 4
         advice stan=4 card=1 amount=80 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 868/132/1000                                      # 80 + 50 + 2
         reverse stan=5 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 1000/0/1000
         auth stan=6 card=1 amount=100 -> APPROVED 0000 00 000 0000
         void stan=6 -> noted
         show A -> A 1000/0/1000
         auth stan=7 card=1 amount=100 -> APPROVED 0000 00 000 0000
         wait 8d
         expire -> noted
         show A -> A 1000/0/1000
         clear stan=8 card=1 amount=100 of=7 -> ADVICE_RECORDED 0000 00 000 0000 # late, but not for nothing
         show A -> A 847/0/847",
    );
}

#[test]
fn money_has_to_cover_the_fee_too() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=928 -> INSUFFICIENT_FUNDS 1016 51 116 1016                  # 928 + 50 + 23
         auth stan=2 card=1 amount=927 -> APPROVED 0000 00 000 0000
         show A -> A 0/1000/1000
         reverse stan=3 of=2 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=4 card=1 amount=2000 partial -> APPROVED 0002 10 002 0002 part=927/927
         show A -> A 0/1000/1000
         reverse stan=5 of=4 -> REVERSAL_ACCEPTED 4000 00 400 4000
         auth stan=6 card=1 amount=900 -> APPROVED 0000 00 000 0000
         show A -> A 27/973/1000
         auth stan=7 card=1 amount=28 incremental of=6 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         auth stan=8 card=1 amount=27 incremental of=6 -> APPROVED 0000 00 000 0000
         show A -> A 0/1000/1000
         explain auth stan=9 card=1 amount=1 -> 4 5 6 7 8 9 10 10 11 12 13 14 15 16 17 18 19 20!",
    );
}

#[test]
fn a_fee_is_on_the_payments_that_it_is_for() {
    check(
        "partner 1
         program 10 partner=1 cur=EUR
         customer 1
         balance A customer=1 cur=EUR
         top-up A 1000 EUR
         card 1 program=10 balance=A
         fee 1 program=10 fixed=1 channels=pos
         fee 2 program=10 fixed=10 channels=atm countries=276
         fee 3 program=10 fixed=100 converted",
        "sale stan=1 card=1 amount=1 channel=pos -> APPROVED 0000 00 000 0000
         show A -> A 998/0/998
         sale stan=2 card=1 amount=1 channel=atm country=616 -> APPROVED 0000 00 000 0000
         show A -> A 997/0/997
         sale stan=3 card=1 amount=1 channel=atm country=276 -> APPROVED 0000 00 000 0000
         show A -> A 986/0/986
         sale stan=4 card=1 amount=4 cur=PLN bill=1 channel=pos -> APPROVED 0000 00 000 0000
         show A -> A 884/0/884                                         # two of them
         sale stan=5 card=1 amount=50 type=200000 channel=pos -> APPROVED 0000 00 000 0000
         show A -> A 934/0/934                                         # a refund costs nothing
         auth stan=6 card=1 amount=0 type=300000 channel=atm country=276 -> APPROVED 0000 00 000 0000 934/934 EUR
         auth stan=7 card=1 amount=0 verification channel=pos -> APPROVED 0000 00 000 0000
         show A -> A 934/0/934",
    );
}

#[test]
fn a_payment_goes_on_with_the_fees_it_was_made_under() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         fee 1 program=10 fixed=500
         fee 2 program=10 fixed=7
         show A -> A 847/153/1000
         clear stan=2 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 847/0/847
         clear stan=3 card=1 amount=100 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000    # of nothing: as of now
         show A -> A 240/0/240
         unfee 1 program=10
         unfee 2 program=10
         unfee 2 program=10
         unfee 2 program=99 -> ProgramNotFound
         reverse stan=4 of=3 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000
         show A -> A 847/0/847
         sale stan=5 card=1 amount=100 -> APPROVED 0000 00 000 0000
         show A -> A 747/0/747
         fee 3 program=99 fixed=1 -> ProgramNotFound
         fee 3 program=10 -> Unsound
         fee 3 program=10 rate=1000001 -> Unsound
         fee 3 program=10 fixed=1 mccs=9-1 -> Unsound",
    );
}

#[test]
fn a_clearing_of_nothing_takes_no_fixed_part_later_either() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=0 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 847/153/1000
         clear stan=3 card=1 amount=40 of=2 ofclass=clear -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 806/153/959                                       # 40 + 1
         clear stan=4 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 806/0/806                                         # 100 + 50 + 3",
    );
}

#[test]
fn what_clears_a_decline_or_nothing_yet_pays_what_it_would_have() {
    check(
        WORLD,
        "auth stan=1 card=1 amount=2000 -> INSUFFICIENT_FUNDS 1016 51 116 1016
         clear stan=2 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 847/0/847                                         # charged like any payment
         auth stan=3 card=1 amount=100 -> APPROVED 0000 00 000 0000
         clear stan=4 card=1 amount=0 of=3 more -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 694/153/847                                       # nothing is taken on nothing
         clear stan=5 card=1 amount=100 of=3 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 694/0/694
         reverse stan=6 of=7 card=1 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
         clear stan=8 card=1 amount=100 of=7 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 541/0/541                                         # its reversal came first: still a payment",
    );
}

#[test]
fn a_program_has_eight_fees_at_most() {
    let eight: String = (2..=8).map(|id| format!("fee {id} program=10 fixed=1\n")).collect();
    check(
        WORLD,
        &format!(
            "{eight}
             fee 9 program=10 fixed=1 -> TableFull
             fee 8 program=10 fixed=2
             unfee 8 program=10
             fee 9 program=10 fixed=1
             sale stan=1 card=1 amount=100 -> APPROVED 0000 00 000 0000
             show A -> A 840/0/840"
        ),
    );
}

#[test]
fn what_partners_pay_by_invoice_holds_nothing() {
    check(
        WORLD,
        "fee 1 program=10 fixed=50 partner
         auth stan=1 card=1 amount=1000 -> APPROVED 0000 00 000 0000
         show A -> A 0/1000/1000
         clear stan=2 card=1 amount=1000 of=1 -> ADVICE_RECORDED 0000 00 000 0000
         show A -> A 0/0/0
         book EUR -> funding=-1000 settlement=1000 partners=4000 partner-settlement=1000 bank=-5000 fees=50 invoiced=-50
         charge A 30 EUR fee=9 partner
         book EUR -> funding=-1000 settlement=1000 partners=4000 partner-settlement=1000 bank=-5000 fees=80 invoiced=-80
         owed A -> 0",
    );
}

#[test]
fn a_fee_for_something_else_is_taken_at_once_or_owed() {
    check(
        WORLD,
        "charge A 300 EUR fee=9
         show A -> A 700/0/700
         auth stan=1 card=1 amount=600 -> APPROVED 0000 00 000 0000
         show A -> A 35/665/700
         charge A 40 EUR fee=9
         show A -> A 0/665/665                                         # what is held stays
         owed A -> 5
         charge A 10 EUR fee=8
         charge A 10 EUR fee=9
         owed A -> 25
         top-up A 17 EUR
         show A -> A 0/665/665                                         # 15 of fee 9, 2 of fee 8
         owed A -> 8
         top-up B 100 EUR
         transfer B 50 EUR to=A
         show A B -> A 42/665/707 B 50/0/50
         owed A -> 0
         book EUR -> users=757 funding=-1117 partners=5000 bank=-5000 fees=360
         charge A 0 EUR fee=9 -> InvalidAmount
         charge A 1000000000001 EUR fee=9 -> InvalidAmount
         charge A 1 PLN fee=9 -> CurrencyMismatch
         charge X 1 EUR fee=9 -> BalanceNotFound
         charge A 10 EUR id=7 fee=9
         charge A 10 EUR id=7 fee=9 -> done again
         show A -> A 32/665/697",
    );
}

#[test]
fn what_a_closed_balance_owes_is_written_off() {
    check(
        WORLD,
        "charge B 40 EUR fee=9
         owed B -> 40
         close B
         owed B -> none
         top-up A 1 EUR
         book EUR -> users=1001 funding=-1001 partners=5000 bank=-5000",
    );
}

#[test]
fn a_balance_owes_a_bounded_number_of_fees() {
    let most: String = (1..=32).map(|fee| format!("charge B 1 EUR fee={fee}\n")).collect();
    check(
        WORLD,
        &format!(
            "{most}
             charge B 1 EUR fee=33 -> TooManyOwed
             charge B 1 EUR fee=33 partner
             charge B 1 EUR fee=32
             owed B -> 33"
        ),
    );
}

#[test]
fn a_transfer_and_its_fee_are_one() {
    check(
        WORLD,
        "transfer A 980 EUR to=B charge=9:21:EUR -> InsufficientFunds
         show A B -> A 1000/0/1000 B 0/0/0
         transfer A 980 EUR to=B charge=9:20:EUR
         show A B -> A 0/0/0 B 980/0/980
         transfer B 980 EUR to=A charge=9:20:EUR partner
         book EUR -> users=980 funding=-1000 partners=5000 bank=-5000 fees=40 invoiced=-20
         transfer A 10 EUR to=B charge=9:0:EUR -> InvalidAmount
         transfer A 10 EUR to=B charge=9:1:PLN -> CurrencyMismatch
         transfer A 10 EUR to=A charge=9:1:EUR -> BalancesApart",
    );
}
