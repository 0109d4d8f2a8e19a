//! What becomes of a transaction: every message upon every state, as tables, and the table of its
//! life in the manual. Source: authorization 3 and 4; the language is described in
//! `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "decisions/language.rs"]
mod language;
#[path = "decisions/manual.rs"]
mod manual;

use shared::effect::TransactionState;
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
    card 1 program=10 balance=A";

/// One transaction under trace 1 in every state that it can be in, 4.00 each.
const OPEN: &str = "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000";
const POSTED: &str = "sale stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000";
const DECLINED: &str = "auth stan=1 card=1 amount=4000 -> INSUFFICIENT_FUNDS 1016 51 116 1016";
const CLEARED: &str = "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
    clear stan=60 card=1 amount=400 of=1 -> ADVICE_RECORDED 0000 00 000 0000";
const EXPIRED: &str = "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
    wait 7d
    expire -> noted";
const REVERSED: &str = "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
    reverse stan=60 of=1 -> REVERSAL_ACCEPTED 4000 00 400 4000";
const VOIDED: &str = "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
    void stan=1 -> noted";
const TOMBSTONE: &str =
    "reverse stan=60 of=1 base=400 -> REFERENCED_TRANSACTION_NOT_FOUND 9114 25 914 9114
    resolve 1";
const NONE: &str = "";
/// Two holds that nothing but their trace tells apart.
const SEVERAL: &str = "auth stan=7 card=1 amount=100 rrn=R terminal=T -> APPROVED 0000 00 000 0000
    auth stan=8 card=1 amount=100 rrn=R terminal=T -> APPROVED 0000 00 000 0000";

fn check(before: &str, table: &str) {
    language::check(PRODUCTION, &format!("{WORLD}\n{before}"), table);
}

#[test]
fn the_life_of_a_transaction_is_the_one_in_the_manual() {
    let mut table = String::from("| from \\ to |");
    for to in TransactionState::ALL {
        table += &format!(" {to:?} |");
    }
    table += &format!("\n|---|{}\n", "---|".repeat(TransactionState::ALL.len()));
    for from in TransactionState::ALL {
        table += &format!("| {from:?} |");
        for to in TransactionState::ALL {
            table += if from.may_become(to) { " yes |" } else { " |" };
        }
        table += "\n";
    }
    manual::compare("messages.md", "## Life of a transaction\n", &table);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a line a state")]
fn an_advised_approval_by_the_state_of_its_original() {
    let advice = "advice stan=2 card=1 amount=300 of=1";
    check(
        OPEN,
        &format!(
            "{advice} -> ADVICE_RECORDED 0000 00 000 0000
             life 1 -> Authorized 400/0/100/0
             show A D -> A 700/300/1000 D 4700/300/5000
             advice stan=3 card=1 amount=1500 of=1 -> ADVICE_RECORDED 0000 00 000 0000  # up, funds or not
             life 1 -> Authorized 1600/0/100/0
             show A D -> A -500/1500/1000 D 3500/1500/5000
             clear stan=4 card=1 amount=200 of=1 more -> ADVICE_RECORDED 0000 00 000 0000
             advice stan=5 card=1 amount=100 of=1 -> ADVICE_RECORDED 0000 00 000 0000   # not below what is captured
             life 1 -> Authorized 1600/200/1400/0
             show A D -> A 800/0/800 D 4800/0/4800
             exceptions -> Flagged(InsufficientFunds):1200"
        ),
    );
    for state in [DECLINED, VOIDED] {
        check(
            state,
            &format!(
                "{advice} -> ADVICE_RECORDED 0000 00 000 0000
                 life 2 class=advice -> Authorized 300/0/0/0
                 show A D -> A 700/300/1000 D 4700/300/5000
                 exceptions -> none"
            ),
        );
    }
    check(
        NONE,
        &format!(
            "{advice} -> ADVICE_RECORDED 0000 00 000 0000
             life 2 class=advice -> Authorized 300/0/0/0
             show A D -> A 700/300/1000 D 4700/300/5000
             exceptions -> none"
        ),
    );
    check(
        SEVERAL,
        "advice stan=2 card=1 amount=100 rrn=R terminal=T -> AMBIGUOUS_REFERENCED_TRANSACTION 0000 00 000 0000
         life 2 class=advice -> Authorized 100/0/0/0
         life 7 -> Authorized 100/0/0/0
         show A D -> A 700/300/1000 D 4700/300/5000
         exceptions -> Ambiguous:100",
    );
    for state in [REVERSED, TOMBSTONE] {
        check(
            state,
            &format!(
                "{advice} -> ADVICE_RECORDED 0000 00 000 0000
                 life 2 class=advice -> Answered ReversedBeforeRequest
                 show A D -> A 1000/0/1000 D 5000/0/5000
                 exceptions -> Flagged(ReversedBeforeRequest):300"
            ),
        );
    }
    for (state, funds) in
        [(CLEARED, "A 600/0/600 D 4600/0/4600"), (EXPIRED, "A 1000/0/1000 D 5000/0/5000")]
    {
        check(
            state,
            &format!(
                "{advice} -> ADVICE_RECORDED 0000 00 000 0000
                 life 2 class=advice -> Answered
                 show A D -> {funds}
                 exceptions -> none"
            ),
        );
    }
    check(
        POSTED,
        "advice stan=2 card=1 amount=300 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
         life 2 class=advice -> Answered
         show A D -> A 600/0/600 D 4600/0/4600",
    );
}

#[test]
fn an_advised_decline_by_the_state_of_its_original() {
    let advice =
        "advice stan=2 card=1 amount=400 of=1 declined -> ADVICE_RECORDED 0000 00 000 0000";
    check(
        OPEN,
        &format!(
            "{advice}
             life 1 -> Reversed 400/0/400/0
             life 2 class=advice -> Answered
             show A D -> A 1000/0/1000 D 5000/0/5000
             auth stan=1 card=1 amount=400 -> REVERSED_BEFORE_REQUEST 1000 05 100 1000"
        ),
    );
    for state in [DECLINED, VOIDED, NONE, REVERSED, TOMBSTONE, EXPIRED] {
        check(
            state,
            &format!(
                "{advice}
                 life 2 class=advice -> Answered
                 show A D -> A 1000/0/1000 D 5000/0/5000
                 exceptions -> none"
            ),
        );
    }
    check(CLEARED, &format!("{advice}\nlife 1 -> Cleared 400/400/0/0\nshow A -> A 600/0/600"));
    check(
        SEVERAL,
        "advice stan=2 card=1 amount=100 rrn=R terminal=T declined -> AMBIGUOUS_REFERENCED_TRANSACTION 0000 00 000 0000
         life 2 class=advice -> Answered
         show A D -> A 800/200/1000 D 4800/200/5000
         exceptions -> Ambiguous:100",
    );
}

#[test]
fn an_advice_of_what_no_balance_takes_is_recorded_without_a_hold() {
    check(
        NONE,
        "advice stan=1 card=9 amount=5 -> ADVICE_RECORDED 0000 00 000 0000
         life 1 class=advice -> Answered CardNotFound
         advice stan=2 card=1 amount=5 cur=PLN -> ADVICE_RECORDED 0000 00 000 0000
         life 2 class=advice -> Answered CurrencyMismatch
         balance B customer=1 cur=EUR
         card 2 program=10 balance=B
         close B
         advice stan=3 card=2 amount=5 -> ADVICE_RECORDED 0000 00 000 0000
         life 3 class=advice -> Answered BalanceNotFound
         advice stan=4 card=1 amount=5 unknown -> ADVICE_RECORDED 0000 00 000 0000        # counts as approved
         life 4 class=advice -> Authorized 5/0/0/0 FormatError
         advice stan=5 card=1 amount=0 type=310000 -> ADVICE_RECORDED 0000 00 000 0000
         life 5 class=advice -> Answered
         exceptions -> Flagged(CardNotFound):5 Flagged(CurrencyMismatch):5 Flagged(BalanceNotFound):5 Flagged(FormatError):5
         show A D -> A 995/5/1000 D 4995/5/5000",
    );
}

#[test]
fn an_advice_is_flagged_by_the_first_row_that_it_would_not_have_passed() {
    check(
        NONE,
        "lock 1 code=7
         advice stan=1 card=1 amount=5 pin=bad cvv=bad -> ADVICE_RECORDED 0000 00 000 0000
         life 1 class=advice -> Authorized 5/0/0/0 CardSuspectedFraud
         unlock 1
         advice stan=2 card=1 amount=5 pin=bad cvv=bad -> ADVICE_RECORDED 0000 00 000 0000      # row 11 aside
         life 2 class=advice -> Authorized 5/0/0/0
         look 1 -> Active, no lock, no PIN, 0 wrong, to 12/26, CVC2 0
         advice stan=3 card=1 amount=991 -> ADVICE_RECORDED 0000 00 000 0000                    # row 20
         life 3 class=advice -> Authorized 991/0/0/0 InsufficientFunds
         show A D -> A -1/1001/1000 D 3999/1001/5000
         advice stan=4 card=1 amount=4000 -> ADVICE_RECORDED 0000 00 000 0000                   # row 19
         life 4 class=advice -> Authorized 4000/0/0/0 InsufficientFundsOnDeposit
         advice stan=5 card=1 amount=5 type=990000 -> ADVICE_RECORDED 0000 00 000 0000          # row 4
         life 5 class=advice -> Authorized 5/0/0/0 UnknownTransactionType
         exceptions -> Flagged(CardSuspectedFraud):5 Flagged(InsufficientFunds):991 Flagged(InsufficientFundsOnDeposit):4000 Flagged(UnknownTransactionType):5
         resolve 2
         resolve 9                                                             # none: no change
         exceptions -> Flagged(CardSuspectedFraud):5 Flagged(InsufficientFundsOnDeposit):4000 Flagged(UnknownTransactionType):5",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a line a state")]
fn a_clearing_by_the_state_of_its_original() {
    let clear = "clear stan=2 card=1 amount=300 of=1";
    check(
        OPEN,
        &format!(
            "{clear} more -> ADVICE_RECORDED 0000 00 000 0000
             life 1 -> Authorized 400/300/0/0
             show A D -> A 600/100/700 D 4600/100/4700
             clear stan=3 card=1 amount=300 of=1 more -> ADVICE_RECORDED 0000 00 000 0000     # 100 open, 200 forced
             life 1 -> Authorized 400/400/0/0
             life 3 class=clear -> Posted 0/300/0/0
             show A D -> A 400/0/400 D 4400/0/4400
             clear stan=4 card=1 amount=5 of=1 -> ADVICE_RECORDED 0000 00 000 0000            # the final one
             life 1 -> Cleared 400/400/0/0
             show A D -> A 395/0/395 D 4395/0/4395
             exceptions -> OverCleared:200 OverCleared:5"
        ),
    );
    check(
        OPEN,
        &format!(
            "{clear} -> ADVICE_RECORDED 0000 00 000 0000                                      # the rest is released
             life 1 -> Cleared 400/300/100/0
             life 2 class=clear -> Posted 0/300/0/0
             show A D -> A 700/0/700 D 4700/0/4700
             book EUR -> users=700 funding=-1000 settlement=300 partners=4700 partner-settlement=300 bank=-5000
             clear stan=2 card=1 amount=300 of=1 -> ADVICE_RECORDED 0000 00 000 0000          # its repeat
             clear stan=3 card=1 amount=2000 of=1 -> ADVICE_RECORDED 0000 00 000 0000         # nothing is left: forced
             life 3 class=clear -> Posted 0/2000/0/0 InsufficientFunds
             show A D -> A -1300/0/-1300 D 2700/0/2700
             exceptions -> OverCleared:2000 Flagged(InsufficientFunds):2000"
        ),
    );
    for (state, flag, queued) in [
        (DECLINED, " InsufficientFunds", "Flagged(InsufficientFunds):300"),
        (VOIDED, "", "OverCleared:300"),
        (EXPIRED, "", "OverCleared:300"),
    ] {
        check(
            state,
            &format!(
                "{clear} -> ADVICE_RECORDED 0000 00 000 0000
                 life 2 class=clear -> Posted 0/300/0/0{flag}
                 show A D -> A 700/0/700 D 4700/0/4700
                 exceptions -> {queued}"
            ),
        );
    }
    for state in [REVERSED, TOMBSTONE] {
        check(
            state,
            &format!(
                "{clear} -> ADVICE_RECORDED 0000 00 000 0000                                  # forced
                 life 2 class=clear -> Posted 0/300/0/0 ReversedBeforeRequest
                 show A D -> A 700/0/700 D 4700/0/4700
                 exceptions -> Flagged(ReversedBeforeRequest):300"
            ),
        );
    }
    check(
        NONE,
        &format!(
            "{clear} -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
             life 2 class=clear -> Posted 0/300/0/0
             show A D -> A 700/0/700 D 4700/0/4700
             exceptions -> Unmatched:300"
        ),
    );
    check(
        SEVERAL,
        "clear stan=2 card=1 amount=100 rrn=R terminal=T -> AMBIGUOUS_REFERENCED_TRANSACTION 0000 00 000 0000
         life 7 -> Authorized 100/0/0/0
         life 8 -> Authorized 100/0/0/0
         show A D -> A 700/200/900 D 4700/200/4900
         exceptions -> Ambiguous:100",
    );
}

#[test]
fn the_completion_of_a_financial_request() {
    let complete = |amount: i64| format!("clear stan=2 card=1 amount={amount} of=1 ofclass=sale");
    check(
        POSTED,
        &format!(
            "{} -> ADVICE_RECORDED 0000 00 000 0000
             life 1 class=sale -> Posted 0/400/0/100
             life 2 class=clear -> Answered
             show A D -> A 700/0/700 D 4700/0/4700
             clear stan=3 card=1 amount=450 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
             life 1 class=sale -> Posted 150/550/0/100
             show A D -> A 550/0/550 D 4550/0/4550
             clear stan=4 card=1 amount=450 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000  # as it is
             clear stan=5 card=1 amount=450 cur=PLN of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000
             show A D -> A 550/0/550 D 4550/0/4550
             clear stan=6 card=1 amount=9 type=200000 of=1 ofclass=sale -> ADVICE_RECORDED 0000 00 000 0000  # a refund of it
             life 1 class=sale -> Posted 150/550/0/100
             show A D -> A 559/0/559 D 4559/0/4559
             exceptions -> Flagged(CurrencyMismatch):450",
            complete(300)
        ),
    );
    check(
        "auth stan=1 card=1 amount=400 -> APPROVED 0000 00 000 0000
         clear stan=2 card=1 amount=400 of=1 -> ADVICE_RECORDED 0000 00 000 0000",
        "clear stan=3 card=1 amount=90 type=200000 of=1 -> ADVICE_RECORDED 0000 00 000 0000  # a refund of a cleared hold
         show A D -> A 690/0/690 D 4690/0/4690
         exceptions -> none
         clear stan=4 card=1 amount=5 of=1 -> ADVICE_RECORDED 0000 00 000 0000               # one clearing too many
         exceptions -> OverCleared:5",
    );
    check(
        POSTED,
        &format!(
            "reverse stan=9 of=1 ofclass=sale -> REVERSAL_ACCEPTED 4000 00 400 4000
             {} -> ADVICE_RECORDED 0000 00 000 0000
             life 2 class=clear -> Answered ReversedBeforeRequest
             show A D -> A 1000/0/1000 D 5000/0/5000
             exceptions -> Flagged(ReversedBeforeRequest):300",
            complete(300)
        ),
    );
    check(
        "sale stan=1 card=1 amount=4000 -> INSUFFICIENT_FUNDS 1016 51 116 1016",
        &format!(
            "{} -> ADVICE_RECORDED 0000 00 000 0000                                            # forced, as everything else
             life 2 class=clear -> Posted 0/300/0/0 InsufficientFunds
             show A D -> A 700/0/700 D 4700/0/4700",
            complete(300)
        ),
    );
}

#[test]
fn a_declined_clearing_takes_back() {
    let clear = "clear stan=2 card=1 amount=400 of=1 declined -> ADVICE_RECORDED 0000 00 000 0000";
    check(
        OPEN,
        &format!(
            "{clear}
             life 1 -> Reversed 400/0/400/0
             show A D -> A 1000/0/1000 D 5000/0/5000"
        ),
    );
    check(
        POSTED,
        "clear stan=2 card=1 amount=400 of=1 ofclass=sale declined -> ADVICE_RECORDED 0000 00 000 0000
         life 1 class=sale -> Reversed 0/400/0/400
         show A D -> A 1000/0/1000 D 5000/0/5000",
    );
    for state in [DECLINED, VOIDED, EXPIRED, REVERSED, TOMBSTONE] {
        check(state, &format!("{clear}\nlife 2 class=clear -> Answered\nshow A -> A 1000/0/1000"));
    }
    check(CLEARED, &format!("{clear}\nlife 1 -> Cleared 400/400/0/0\nshow A -> A 600/0/600"));
    check(
        NONE,
        "clear stan=2 card=1 amount=400 of=1 declined -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         show A -> A 1000/0/1000
         exceptions -> none",
    );
}

#[test]
fn what_no_balance_takes_is_posted_to_the_receivable_account() {
    check(
        NONE,
        "clear stan=1 card=9 amount=5 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         clear stan=2 card=1 amount=7 cur=PLN -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         balance B customer=1 cur=EUR
         card 2 program=10 balance=B
         close B
         clear stan=3 card=2 amount=11 -> REFERENCED_TRANSACTION_NOT_FOUND 0000 00 000 0000
         book EUR -> users=1000 funding=-1000 settlement=16 receivable=-16 partners=5000 bank=-5000
         book PLN -> settlement=7 receivable=-7
         exceptions -> Unmatched:5 Flagged(CardNotFound):5 Suspense:5 Unmatched:7 Flagged(CurrencyMismatch):7 Suspense:7 Unmatched:11 Flagged(BalanceNotFound):11 Suspense:11
         reverse stan=4 of=1 ofclass=clear -> REVERSAL_ACCEPTED 4000 00 400 4000
         book EUR -> users=1000 funding=-1000 settlement=11 receivable=-11 partners=5000 bank=-5000",
    );
}
