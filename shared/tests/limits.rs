//! Limits as data: what each period, subject and filter counts and declines, and where days, weeks
//! and months begin; in `limits/counters.rs` what is counted and what is given back.
//! Source: authorization 2 (rows 14 to 17) and 3; the language is described in
//! `decisions/language.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "limits/counters.rs"]
mod counters;
#[path = "decisions/language.rs"]
mod language;

use shared::limits::PRODUCTION;

/// Card 1; card 2 of the same holder in another program of the partner; card 3 of another holder
/// in the program of card 1; card 4 of that holder with another partner. Holds live an hour.
const WORLD: &str = "
    partner 1
    partner 2
    program 10 partner=1 purchase-hours=1 partial
    program 11 partner=1
    program 12 partner=2
    customer 1
    customer 2
    balance A customer=1
    balance B customer=2
    top-up A 100000 EUR
    top-up B 100000 EUR
    card 1 program=10 balance=A expiry=4912
    card 2 program=11 balance=A expiry=4912
    card 3 program=10 balance=B expiry=4912
    card 4 program=12 balance=B expiry=4912";

const APPROVED: &str = "APPROVED 0000 00 000 0000";
const ADVISED: &str = "ADVICE_RECORDED 0000 00 000 0000";
const TAKEN_BACK: &str = "REVERSAL_ACCEPTED 4000 00 400 4000";
const AMOUNT: &str = "EXCEEDS_AMOUNT_LIMIT 1021 61 121 1021";
const BUDGET: &str = "BUDGET_EXCEEDED 1021 61 121 1021";
const LIMIT: &str = "LIMIT_EXCEED 1023 65 123 1023";
const DENIED: &str = "NOT_PERMITTED 1019 57 119 1019";

/// Runs a table in which `ok`, `advised` and `back` stand for what usually happens, and `amount!`,
/// `budget!`, `limit!` and `denied!` for the declines of the rows of limits.
fn check(table: &str) {
    let names = [
        ("ok", APPROVED),
        ("advised", ADVISED),
        ("back", TAKEN_BACK),
        ("amount!", AMOUNT),
        ("budget!", BUDGET),
        ("limit!", LIMIT),
        ("denied!", DENIED),
    ];
    let written = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let Some((left, outcome)) = line.split_once("->") else { return line.to_owned() };
        let name = outcome.trim();
        let known = names.iter().find(|(short, _)| *short == name);
        format!("{left} -> {}", known.map_or(name, |(_, whole)| whole))
    };
    let table: Vec<String> = table.lines().map(written).collect();
    language::check(PRODUCTION, WORLD, &table.join("\n"));
}

#[test]
fn a_limit_of_one_payment_looks_at_each_by_itself() {
    check(
        "rule 1 card=1 amount=transaction:EUR:100
         auth stan=1 card=1 amount=100 -> ok                                # inclusive
         auth stan=2 card=1 amount=101 -> amount!
         auth stan=3 card=1 amount=100 -> ok
         rules card=1 -> 0/0                                                # adds nothing up
         auth stan=4 card=1 amount=50 incremental of=1 -> ok
         auth stan=5 card=1 amount=101 incremental of=1 -> amount!
         rule 2 card=1 budget=transaction:EUR:90
         auth stan=6 card=1 amount=91 -> budget!
         auth stan=7 card=1 amount=101 -> amount!                           # row 15 is above row 16
         auth stan=8 card=1 amount=90 -> ok
         rules card=1 -> 0/0 0/0
         rule 3 card=1 amount=transaction:EUR:0
         auth stan=9 card=1 amount=1 -> amount!
         auth stan=10 card=1 amount=0 verification -> ok",
    );
}

#[test]
fn amounts_budgets_and_counts_add_up_over_a_day_a_week_and_a_month() {
    for period in ["day", "week", "month"] {
        for (bound, decline) in [("amount", "amount!"), ("budget", "budget!")] {
            check(&format!(
                "rule 1 card=1 {bound}={period}:EUR:100
                 auth stan=1 card=1 amount=60 -> ok
                 rules card=1 -> 60/1
                 auth stan=2 card=1 amount=41 -> {decline}
                 sale stan=3 card=1 amount=40 type=010000 -> ok
                 rules card=1 -> 100/2
                 sale stan=4 card=1 amount=1 -> {decline}
                 rules card=1 -> 100/2
                 auth stan=5 card=1 amount=0 verification -> ok
                 rules card=1 -> 100/2"
            ));
        }
        check(&format!(
            "rule 1 card=1 count={period}:2
             auth stan=1 card=1 amount=60 -> ok
             sale stan=2 card=1 amount=40 -> ok
             rules card=1 -> 100/2
             auth stan=3 card=1 amount=1 -> limit!
             rules card=1 -> 100/2
             rule 1 card=1 count={period}:0
             auth stan=4 card=1 amount=1 -> limit!"
        ));
    }
}

#[test]
fn one_payment_is_counted_in_every_period_that_it_falls_in() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 amount=week:EUR:150
         rule 3 customer=1 budget=month:EUR:180
         rule 4 partner=1 count=month:4
         clock 2027-01-05T12:00:00Z                                         # a Tuesday
         auth stan=1 card=1 amount=100 -> ok
         auth stan=2 card=1 amount=1 -> amount!                             # of the day
         wait 1d
         auth stan=3 card=1 amount=51 -> amount!                            # of the week
         rules card=1 -> 0/0 100/1
         auth stan=4 card=1 amount=50 -> ok
         rules card=1 -> 50/1 150/2
         clock 2027-01-11T00:00:00Z                                         # Monday
         auth stan=5 card=1 amount=31 -> budget!                            # of the month
         rules card=1 -> 0/0 0/0
         rules customer=1 -> 150/2
         auth stan=6 card=1 amount=15 -> ok
         auth stan=7 card=1 amount=5 -> ok
         auth stan=8 card=1 amount=1 -> limit!                              # the fifth
         rules card=1 -> 20/2 20/2
         clock 2027-02-01T00:00:00Z                                         # a Monday too
         auth stan=9 card=1 amount=100 -> ok
         rules card=1 -> 100/1 100/1
         rules customer=1 -> 100/1
         rules partner=1 -> 100/1",
    );
}

/// Subject, the decline of its amounts, and which of the four cards it binds.
const SUBJECTS: [(&str, &str, &str); 4] = [
    ("card=1", "amount!", "x---"),
    ("customer=1", "amount!", "xx--"),
    ("program=10", "limit!", "x-x-"),
    ("partner=1", "limit!", "xxx-"),
];

#[test]
fn each_subject_binds_its_own_cards_with_its_own_reasons() {
    for (subject, amount, bound) in SUBJECTS {
        let bounds = [
            ("amount=day:EUR:10", amount),
            ("budget=day:EUR:10", "budget!"),
            ("count=day:1", "limit!"),
            ("denied channels=unknown", "denied!"),
            ("only channels=atm", "denied!"),
        ];
        for (rule, decline) in bounds {
            let budget_of_none = rule.starts_with("budget") && amount == "limit!";
            if budget_of_none {
                check(&format!("rule 1 {subject} {rule} -> Unsound"));
                continue;
            }
            let spends = decline != "denied!";
            let mut table = format!("rule 1 {subject} {rule}\n");
            if spends {
                table += "auth stan=1 card=1 amount=10 -> ok\n";
            }
            for (card, letter) in (1..).zip(bound.chars()) {
                let outcome = if letter == 'x' { decline } else { "ok" };
                table += &format!("auth stan=2{card} card={card} amount=10 -> {outcome}\n");
            }
            table += &format!("rules {subject} -> {}\n", if spends { "10/1" } else { "0/0" });
            check(&(table + "unrule 1\nauth stan=3 card=1 amount=10 -> ok"));
        }
    }
}

#[test]
fn the_cards_of_a_subject_share_its_counter() {
    check(
        "rule 1 customer=1 budget=day:EUR:100
         rule 2 program=10 amount=day:EUR:150
         rule 3 partner=1 count=day:4
         auth stan=1 card=1 amount=60 -> ok
         auth stan=2 card=2 amount=41 -> budget!
         auth stan=3 card=2 amount=40 -> ok
         auth stan=4 card=3 amount=91 -> limit!                             # of the program
         auth stan=5 card=3 amount=90 -> ok
         auth stan=6 card=4 amount=5000 -> ok                               # of another partner
         rules customer=1 -> 100/2
         rules program=10 -> 150/2
         rules partner=1 -> 190/3
         reverse stan=7 of=1 -> back
         rules customer=1 -> 40/1
         rules program=10 -> 90/1
         rules partner=1 -> 130/2
         auth stan=8 card=2 amount=60 -> ok                                 # what the other card left
         auth stan=9 card=3 amount=60 -> ok
         auth stan=10 card=3 amount=1 -> limit!                             # the program's amounts",
    );
}

/// A filter, what it looks at, and what it does not.
const FILTERS: [(&str, &[&str], &[&str]); 8] = [
    ("channels=pos", &["channel=pos"], &["channel=atm", "channel=ecommerce", ""]),
    ("channels=atm,ecommerce", &["channel=atm", "channel=ecommerce"], &["channel=pos", ""]),
    ("mccs=5411", &["mcc=5411"], &["mcc=5410", "mcc=5412", ""]),
    (
        "mccs=5000-5099,7995",
        &["mcc=5000", "mcc=5050", "mcc=5099", "mcc=7995"],
        &["mcc=4999", "mcc=5100", "mcc=7994", "mcc=7996"],
    ),
    ("countries=616,276", &["country=616", "country=276"], &["country=840", ""]),
    ("merchants=CAFE", &["merchant=CAFE"], &["merchant=CAF", "merchant=CAFE2", "merchant=cafe"]),
    ("merchants=CAFE,SHOP", &["merchant=CAFE", ""], &["merchant=KIOSK"]),
    (
        "channels=pos mccs=5411 countries=616 merchants=CAFE",
        &["channel=pos mcc=5411 country=616 merchant=CAFE"],
        &[
            "channel=atm mcc=5411 country=616 merchant=CAFE",
            "channel=pos mcc=5412 country=616 merchant=CAFE",
            "channel=pos mcc=5411 country=276 merchant=CAFE",
            "channel=pos mcc=5411 country=616 merchant=KIOSK",
        ],
    ),
];

#[test]
fn a_filter_denies_allows_and_counts_the_payments_that_match_all_of_its_lists() {
    let bounds = [
        ("denied", "denied!", "ok", ""),
        ("only", "ok", "denied!", ""),
        ("amount=day:EUR:9", "amount!", "ok", "0/0"),
        ("count=day:0", "limit!", "ok", "0/0"),
        ("amount=day:EUR:100", "ok", "ok", "10/1"),
        ("count=month:9", "ok", "ok", "10/1"),
    ];
    for (filter, matching, others) in FILTERS {
        for (bound, of_matching, of_others, counted) in bounds {
            let messages = matching.iter().map(|words| (words, of_matching));
            for (words, outcome) in messages.chain(others.iter().map(|words| (words, of_others))) {
                let counted = if matching.contains(words) { counted } else { "0/0" };
                let counted = if counted.is_empty() { "0/0" } else { counted };
                check(&format!(
                    "rule 1 card=1 {bound} {filter}
                     auth stan=1 card=1 amount=10 {words} -> {outcome}
                     rules card=1 -> {counted}"
                ));
            }
        }
    }
}

#[test]
fn denied_and_allowed_lists_work_together_and_an_inquiry_obeys_them() {
    check(
        "rule 1 card=1 only channels=pos,ecommerce
         rule 2 customer=1 denied mccs=7800-7999
         rule 3 program=10 denied countries=408
         rule 4 partner=1 only merchants=SHOP,CAFE
         auth stan=1 card=1 amount=5 channel=pos -> ok
         auth stan=2 card=1 amount=5 channel=atm -> denied!
         auth stan=3 card=1 amount=5 channel=ecommerce mcc=7995 -> denied!
         auth stan=4 card=1 amount=5 channel=ecommerce country=408 -> denied!
         auth stan=5 card=1 amount=5 channel=ecommerce merchant=KIOSK -> denied!
         auth stan=6 card=1 amount=5 channel=ecommerce merchant=CAFE country=616 mcc=5411 -> ok
         auth stan=7 card=1 amount=0 type=310000 channel=atm -> denied!
         auth stan=8 card=1 amount=0 verification channel=atm -> denied!
         auth stan=9 card=1 amount=5 type=200000 channel=atm -> ok          # a refund comes anyhow
         unrule 1
         auth stan=10 card=1 amount=5 channel=atm -> ok
         unrule 4
         auth stan=11 card=1 amount=5 channel=atm merchant=KIOSK -> ok",
    );
}

#[test]
fn a_limit_of_one_currency_looks_at_what_is_billed_in_it() {
    check(
        "rule 1 card=1 amount=day:EUR:100
         rule 2 card=1 amount=day:PLN:1
         rule 3 card=1 count=day:9
         auth stan=1 card=1 amount=900 cur=PLN bill=60 -> ok
         auth stan=2 card=1 amount=1 cur=PLN bill=41 -> amount!
         auth stan=3 card=1 amount=5000 cur=PLN bill=40 -> ok
         rules card=1 -> 100/2 0/0 100/2",
    );
}

/// Zone, period, the last millisecond before one, and its own last millisecond.
#[rustfmt::skip] // one period a line
const EDGES: [(&str, &str, &str, &str); 25] = [
    ("UTC", "day", "2026-12-15T23:59:59.999Z", "2026-12-16T23:59:59.999Z"),
    ("UTC", "day", "2028-02-28T23:59:59.999Z", "2028-02-29T23:59:59.999Z"),                   // leap day
    ("UTC", "day", "2028-02-29T23:59:59.999Z", "2028-03-01T23:59:59.999Z"),
    ("Europe/Warsaw", "day", "2027-03-26T22:59:59.999Z", "2027-03-27T22:59:59.999Z"),
    ("Europe/Warsaw", "day", "2027-03-27T22:59:59.999Z", "2027-03-28T21:59:59.999Z"),         // 23 hours
    ("Europe/Warsaw", "day", "2027-10-30T21:59:59.999Z", "2027-10-31T22:59:59.999Z"),         // 25 hours
    ("America/New_York", "day", "2027-03-14T04:59:59.999Z", "2027-03-15T03:59:59.999Z"),      // 23 hours
    ("America/New_York", "day", "2027-11-07T03:59:59.999Z", "2027-11-08T04:59:59.999Z"),      // 25 hours
    ("Australia/Lord_Howe", "day", "2027-04-03T12:59:59.999Z", "2027-04-04T13:29:59.999Z"),   // 24 and a half
    ("Africa/Cairo", "day", "2027-04-29T21:59:59.999Z", "2027-04-30T20:59:59.999Z"),          // begins at 01:00
    ("Africa/Cairo", "day", "2027-10-27T20:59:59.999Z", "2027-10-28T21:59:59.999Z"),          // 23:00 comes twice
    ("America/Havana", "day", "2027-03-14T04:59:59.999Z", "2027-03-15T03:59:59.999Z"),        // begins at 01:00
    ("America/Havana", "day", "2027-11-07T03:59:59.999Z", "2027-11-08T04:59:59.999Z"),        // midnight comes twice
    ("Asia/Kathmandu", "day", "2027-06-01T18:14:59.999Z", "2027-06-02T18:14:59.999Z"),        // 5:45 ahead
    ("Pacific/Kiritimati", "day", "2027-06-01T09:59:59.999Z", "2027-06-02T09:59:59.999Z"),    // 14 ahead
    ("Pacific/Pago_Pago", "day", "2027-06-01T10:59:59.999Z", "2027-06-02T10:59:59.999Z"),     // 11 behind
    ("UTC", "week", "2026-12-20T23:59:59.999Z", "2026-12-27T23:59:59.999Z"),                  // Monday to Sunday
    ("UTC", "week", "2026-12-27T23:59:59.999Z", "2027-01-03T23:59:59.999Z"),                  // over the new year
    ("Europe/Warsaw", "week", "2027-03-21T22:59:59.999Z", "2027-03-28T21:59:59.999Z"),        // 167 hours
    ("Pacific/Pago_Pago", "week", "2027-05-31T10:59:59.999Z", "2027-06-07T10:59:59.999Z"),
    ("Europe/Warsaw", "month", "2026-12-31T22:59:59.999Z", "2027-01-31T22:59:59.999Z"),
    ("UTC", "month", "2027-01-31T23:59:59.999Z", "2027-02-28T23:59:59.999Z"),
    ("UTC", "month", "2028-01-31T23:59:59.999Z", "2028-02-29T23:59:59.999Z"),                 // leap year
    ("Europe/Warsaw", "month", "2027-02-28T22:59:59.999Z", "2027-03-31T21:59:59.999Z"),       // to summer time
    ("Pacific/Kiritimati", "month", "2027-03-31T09:59:59.999Z", "2027-04-30T09:59:59.999Z"),
];

#[test]
fn a_period_begins_and_ends_at_local_midnight_to_the_millisecond() {
    for (zone, period, before, last) in EDGES {
        check(&format!(
            "rule 1 card=1 amount={period}:EUR:100 zone={zone}
             clock {before}
             auth stan=1 card=1 amount=100 -> ok
             auth stan=2 card=1 amount=1 -> amount!
             wait 1ms
             expire -> noted
             rules card=1 -> 0/0
             auth stan=3 card=1 amount=60 -> ok
             clock {last}
             rules card=1 -> 60/1
             auth stan=4 card=1 amount=41 -> amount!
             sale stan=5 card=1 amount=40 -> ok
             rules card=1 -> 100/2
             auth stan=6 card=1 amount=1 -> amount!
             wait 1ms
             auth stan=7 card=1 amount=101 -> amount!
             rules card=1 -> 0/0
             auth stan=8 card=1 amount=100 -> ok
             rules card=1 -> 100/1"
        ));
    }
}

#[test]
fn rules_of_one_card_roll_over_each_in_its_own_zone() {
    check(
        "rule 1 card=1 count=day:1 zone=Asia/Tokyo
         rule 2 card=1 count=day:9 zone=UTC
         rule 3 card=1 count=day:9 zone=America/New_York
         clock 2027-01-10T14:59:59.999Z
         auth stan=1 card=1 amount=5 -> ok
         auth stan=2 card=1 amount=5 -> limit!
         wait 1ms                                                           # midnight in Tokyo
         auth stan=3 card=1 amount=5 -> ok
         rules card=1 -> 5/1 10/2 10/2
         clock 2027-01-11T00:00:00Z
         auth stan=4 card=1 amount=5 -> limit!
         rules card=1 -> 5/1 0/0 10/2
         clock 2027-01-11T05:00:00Z
         auth stan=5 card=1 amount=5 -> limit!
         rules card=1 -> 5/1 0/0 0/0
         clock 2027-01-09T12:00:00Z                                         # a clock put back: time stays
         auth stan=6 card=1 amount=5 -> limit!
         rules card=1 -> 5/1 0/0 0/0",
    );
}

/// A rule in the place of `amount=day:EUR:100`, and whether the counter goes on.
const REPLACEMENTS: [(&str, bool); 10] = [
    ("amount=day:EUR:100", true),
    ("amount=day:EUR:1000", true),
    ("amount=day:EUR:1", true),
    ("budget=day:EUR:100", true),
    ("amount=week:EUR:100", false),
    ("amount=day:PLN:100", false),
    ("count=day:9", false),
    ("amount=day:EUR:100 zone=Europe/Warsaw", false),
    ("amount=day:EUR:100 channels=unknown", false),
    ("denied channels=atm", false),
];

#[test]
fn a_rule_in_the_place_of_another_goes_on_where_it_counts_the_same_payments_and_periods() {
    for (rule, goes_on) in REPLACEMENTS {
        let (kept, given_back) = if goes_on { ("60/1", "25/1") } else { ("0/0", "0/0") };
        check(&format!(
            "rule 1 card=1 amount=day:EUR:100
             auth stan=1 card=1 amount=60 -> ok
             rule 1 card=1 {rule}
             rules card=1 -> {kept}
             reverse stan=2 of=1 base=60 total=25 -> back
             rules card=1 -> {given_back}"
        ));
    }
    check(
        "rule 1 card=1 amount=day:EUR:100
         auth stan=1 card=1 amount=60 -> ok
         rule 1 card=1 amount=day:EUR:50
         auth stan=2 card=1 amount=1 -> amount!                             # the lower bound holds at once
         rule 1 card=1 count=day:5
         auth stan=3 card=1 amount=20 -> ok
         reverse stan=4 of=1 -> back                                        # was counted before
         rules card=1 -> 20/1
         rule 1 card=1 amount=day:EUR:100
         rules card=1 -> 0/0                                                # there and back: anew too
         unrule 1
         rule 1 card=1 amount=day:EUR:100
         reverse stan=5 of=3 -> back
         rules card=1 -> 0/0
         rule 1 card=2 amount=day:EUR:100 -> IdTaken",
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_refused() {
    check(
        "rule 1 card=1 amount=day:EUR:-1 -> Unsound
         rule 1 card=1 budget=day:EUR:-1 -> Unsound
         rule 1 card=1 count=transaction:1 -> Unsound
         rule 1 program=10 budget=day:EUR:1 -> Unsound
         rule 1 partner=1 budget=day:EUR:1 -> Unsound
         rule 1 card=1 denied -> Unsound
         rule 1 card=1 only -> Unsound
         rule 1 card=1 denied mccs=5500-5411 -> Unsound
         rule 1 card=1 amount=day:EUR:1 zone=Europe/Atlantis -> Unsound
         rule 1 card=9 amount=day:EUR:1 -> SubjectNotFound
         rule 1 customer=9 amount=day:EUR:1 -> SubjectNotFound
         rule 1 program=9 amount=day:EUR:1 -> SubjectNotFound
         rule 1 partner=9 amount=day:EUR:1 -> SubjectNotFound
         auth stan=1 card=1 amount=5 channel=atm -> ok                      # none of them is there",
    );
}
