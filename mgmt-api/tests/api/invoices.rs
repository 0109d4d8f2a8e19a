//! Fees that partners pay by invoice, fees of periods, and reports of both.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use mgmt_api::store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{Authorization, Change, Command, MessageClass};

use crate::fees::{payment, reversal};
use crate::world::{World, on_each, text, until};

const HEAD: &str = "feeId,kind,settlement,currency,charges,due,taken";

impl World {
    /// What the company has in EUR, and how much of it partners owe by invoice.
    async fn company(&self) -> (i64, i64) {
        let summary = self.admin(Method::GET, "/admin/balances/summary", None).await.json();
        let euro = &summary["items"][0];
        (euro["company"].as_i64().unwrap(), euro["invoiced"].as_i64().unwrap())
    }

    /// A sale with the newest card.
    fn sells(&self, stan: u64, amount: i64) -> Authorization {
        let sale = payment(self.newest_token(), stan, amount, MessageClass::Financial);
        assert_eq!(self.peer.message(Command::Authorize(sale)).reason, Reason::Approved);
        sale
    }
}

/// Requirement #170: what a partner pays by invoice is neither held on its cardholders' balances
/// nor taken from them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_invoiced_is_the_partners_and_never_the_holders() {
    on_each(async |world| {
        for fee in [
            json!({ "kind": "POS", "fixed": 30, "ratePpm": 25_000, "settlement": "INVOICE" }),
            json!({ "kind": "TRANSFER", "fixed": 5, "settlement": "INVOICE" }),
        ] {
            assert_eq!(world.fee(&fee).await["fee"]["settlement"], "INVOICE");
        }
        let (customer, balance) = world.funded(10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let held = world.shop(1, 1_000);
        assert_eq!(world.peer.message(Command::Authorize(held)).reason, Reason::Approved);
        assert_eq!(world.get(&path).await.json()["held"], 1_000);
        assert_eq!(world.company().await, (0, 0), "nothing was posted yet");
        assert_eq!(world.clear(&held, 2, 1_000), Reason::AdviceRecorded);
        assert_eq!(world.amount(&customer, &balance).await, (9_000, 0));
        assert_eq!(world.company().await, (55, 55));

        // What is taken back is not invoiced either.
        let sale = world.sells(3, 600);
        assert_eq!(world.company().await, (100, 100));
        world.peer.message(Command::Reverse(reversal(sale.key, 4, Some(sale.token))));
        assert_eq!(world.company().await, (55, 55));

        // All that there is may be moved: the fee is no part of it.
        let other = world.balance(&customer, "EUR").await;
        let all = json!({ "toBalanceId": other, "amount": 9_000, "currency": "EUR" });
        let moved = world.post(&format!("{path}/transfer"), &all).await;
        assert_eq!(moved.expect(StatusCode::CREATED)["fee"], Value::Null);
        assert_eq!(world.amount(&customer, &balance).await, (0, 0));
        assert_eq!(world.amount(&customer, &other).await, (9_000, 0));
        assert_eq!(world.company().await, (60, 60));

        let expected = [HEAD, "1,POS,INVOICE,EUR,2,55,55", "2,TRANSFER,INVOICE,EUR,1,5,5"];
        until(async || world.fee_report("").await == expected).await;
    })
    .await;
}

/// As if all had been there before: two days, a week and a month have ended since.
const LATER: [&str; 5] = [
    "UPDATE cards SET created_at_ms = 0",
    "UPDATE balances SET created_at_ms = 0",
    "UPDATE fees SET next_period_ms = next_period_ms - 259200000 WHERE period = 'DAY'",
    "UPDATE fees SET next_period_ms = next_period_ms - 1209600000 WHERE period = 'WEEK'",
    "UPDATE fees SET next_period_ms = next_period_ms - 3888000000 WHERE period = 'MONTH'",
];
/// The first period of each fee ends once more.
const AGAIN: &str = "UPDATE fees SET next_period_ms = \
    (SELECT MIN(period_ms) FROM fee_dues WHERE fee_dues.fee_id = fees.id)";

/// Requirement #166: daily, weekly and monthly, for a card or an account, once a thing and period.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_a_week_or_a_month_that_ends_again_costs_nothing_more() {
    on_each(async |world| {
        let mut fees = Vec::new();
        for (kind, fixed, period, settlement) in [
            ("CARD_PERIODIC", 1, "DAY", "INSTANT"),
            ("CARD_PERIODIC", 10, "MONTH", "INSTANT"),
            ("ACCOUNT_PERIODIC", 100, "WEEK", "INVOICE"),
            ("ACCOUNT_PERIODIC", 1_000, "MONTH", "INSTANT"),
        ] {
            let fee = json!({ "kind": kind, "fixed": fixed, "period": period,
                "settlement": settlement });
            fees.push(text(&world.fee(&fee).await, "feeId").parse::<i64>().unwrap());
        }
        let (customer, balance) = world.funded(10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        for sql in LATER {
            world.database.execute(sql).await;
        }
        let report = [
            HEAD,
            "1,CARD_PERIODIC,INSTANT,EUR,2,2,2",
            "2,CARD_PERIODIC,INSTANT,EUR,1,10,10",
            "3,ACCOUNT_PERIODIC,INVOICE,EUR,1,100,100",
            "4,ACCOUNT_PERIODIC,INSTANT,EUR,1,1000,1000",
        ];
        until(async || world.fee_report("").await == report).await;
        assert_eq!(world.amount(&customer, &balance).await, (8_988, 0));
        assert_eq!(world.company().await, (1_112, 100));

        let store = Store::open(&world.database.url).await.unwrap();
        let next = async || {
            let mut starts = Vec::new();
            for fee in &fees {
                starts.push(store.fee(*fee).await.unwrap().unwrap().next_period_ms);
            }
            starts
        };
        let ended = next().await;
        world.database.execute(AGAIN).await;
        until(async || next().await == ended && store.pending_dues(9).await.unwrap().is_empty())
            .await;
        store.close().await;
        assert_eq!(world.amount(&customer, &balance).await, (8_988, 0));
        assert_eq!(world.company().await, (1_112, 100));
        let charges = |change: &Change| matches!(change, Change::ChargeFee { .. });
        assert_eq!(world.peer.count_changes(charges), 5);
    })
    .await;
}

/// The last instant of Sunday 2026-08-30, the first one of Monday, and that of a month.
const ON_THREE_DAYS: [&str; 3] = [
    "UPDATE fee_charges SET at_ms = 1788134399999",
    "UPDATE fee_charges SET at_ms = 1788134400000 \
        WHERE sequence > (SELECT MIN(sequence) FROM fee_charges)",
    "UPDATE fee_charges SET at_ms = 1788220800000 \
        WHERE sequence = (SELECT MAX(sequence) FROM fee_charges)",
];

/// Requirement #172: a line is a day, a week from Monday or a month; both days that are named are
/// in.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_adds_up_by_day_week_or_month() {
    on_each(async |world| {
        world.fee(&json!({ "kind": "POS", "ratePpm": 10_000 })).await;
        let (customer, balance) = world.funded(10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        for (stan, amount) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
            world.sells(stan, amount);
        }
        until(async || world.fee_report("").await == [HEAD, "1,POS,INSTANT,EUR,3,70,70"]).await;
        for sql in ON_THREE_DAYS {
            world.database.execute(sql).await;
        }
        let line = |(start, charges, sum): &(&str, u8, u8)| {
            format!("{start},1,POS,INSTANT,EUR,{charges},{sum},{sum}")
        };
        let days = [("2026-08-30", 1, 10), ("2026-08-31", 1, 20), ("2026-09-01", 1, 40)];
        let weeks = [("2026-08-24", 1, 10), ("2026-08-31", 2, 60)];
        let months = [("2026-08-01", 2, 30), ("2026-09-01", 1, 40)];
        let all = "from=2026-08-01&to=2026-09-30";
        for (query, lines) in [
            (format!("?period=DAY&{all}"), &days[..]),
            (format!("?period=WEEK&{all}"), &weeks[..]),
            (format!("?period=MONTH&{all}"), &months[..]),
            (format!("?{all}"), &months[..]),
            ("?period=DAY&from=2026-08-31&to=2026-08-31".to_owned(), &days[1..2]),
            ("?period=DAY&from=2026-08-01&to=2026-08-30".to_owned(), &days[..1]),
            ("?period=DAY&from=2026-09-02&to=2026-09-30".to_owned(), &days[..0]),
        ] {
            let mut expected = vec![format!("periodStart,{HEAD}")];
            expected.extend(lines.iter().map(line));
            assert_eq!(world.fee_lines(&query).await, expected, "{query}");
        }
    })
    .await;
}

/// Requirements #171, #172: the institution that sets fees sees what came of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_licensed_institution_reads_the_report() {
    on_each(async |world| {
        let path = "/admin/programs/0019167984/fees/report";
        let lea = world.operator("lea", Roles::LICENSED, None).await;
        let got = world.with(&lea, Method::GET, path, None).await;
        assert_eq!((got.status, &got.bytes[..]), (200, format!("periodStart,{HEAD}\n").as_bytes()));
        let other = world.operator("eve", Roles::LICENSED, Some("2")).await;
        let got = world.with(&other, Method::GET, path, None).await;
        got.expect_error(404, "PROGRAM_NOT_FOUND");
    })
    .await;
}
