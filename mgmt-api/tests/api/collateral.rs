//! Technical collateral and the company's balance: what a partner must have before its cardholders
//! pay, why they are declined without it, and where fees go.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{Authorization, Command, MessageClass};

use crate::fees::reversal;
use crate::world::{World, on_each, text};

const CONFIG: &str = "0019167903";
const PROGRAM: &str = "/admin/programs/0019167903";

impl World {
    /// A cardholder with 100.00 EUR and a card of a program with technical collateral.
    async fn on_technical_collateral(&self) -> (String, String) {
        let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999903",
            "cardKind": "VIRTUAL", "monthsValid": 24, "collateral": "TECHNICAL",
            "ibanPrefix": "PL10901014" });
        let put = self.admin(Method::PUT, PROGRAM, Some(&program)).await;
        put.expect(StatusCode::NO_CONTENT);
        let shown = self.admin(Method::GET, PROGRAM, None).await.expect(StatusCode::OK);
        assert_eq!(shown["program"]["collateral"], "TECHNICAL");
        let (customer, balance) = self.funded(10_000).await;
        self.card(&customer, &balance, CONFIG).await;
        (customer, balance)
    }

    /// The path of a balance of the partner's, with so much on it.
    async fn collateral(&self, kind: &str, amount: i64) -> String {
        let wish = json!({ "kind": kind, "currency": "EUR" });
        let opened = self.admin(Method::POST, "/admin/partners/1/balances", Some(&wish)).await;
        let path = format!("/admin/partner-balances/{}", text(&opened.json(), "id"));
        self.fill(&path, amount).await;
        path
    }

    async fn fill(&self, path: &str, amount: i64) {
        let reload = json!({ "amount": amount, "currency": "EUR" });
        let booked = self.admin(Method::POST, &format!("{path}/reload"), Some(&reload)).await;
        booked.expect(StatusCode::CREATED);
    }

    /// What is booked and what is held on a balance of the partner's.
    async fn funds(&self, path: &str) -> (i64, i64) {
        let shown = self.admin(Method::GET, path, None).await.expect(StatusCode::OK);
        (shown["amount"].as_i64().unwrap(), shown["held"].as_i64().unwrap())
    }

    /// What a request of the newest card is answered.
    fn asks(&self, request: Authorization) -> Reason {
        self.peer.message(Command::Authorize(request)).reason
    }

    /// What there is in EUR, by whose it is.
    async fn euros(&self) -> Value {
        let summary = self.admin(Method::GET, "/admin/balances/summary", None).await.json();
        let mut items = summary["items"].as_array().unwrap().iter();
        items.find(|item| item["currency"] == "EUR").unwrap().clone()
    }
}

/// Requirement #91: other collateral than a deposit has errors of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_declined_for_technical_collateral_that_is_missing_or_short() {
    on_each(async |world| {
        let (customer, balance) = world.on_technical_collateral().await;
        assert_eq!(world.asks(world.shop(1, 1_000)), Reason::CollateralBalanceNotFound);
        let deposit = world.collateral("DEPOSIT", 100_000).await;
        let reason = world.asks(world.shop(2, 1_000));
        assert_eq!(reason, Reason::CollateralBalanceNotFound, "a deposit is none");

        let technical = world.collateral("TECHNICAL", 1_000).await;
        assert_eq!(world.asks(world.shop(3, 1_001)), Reason::InsufficientCollateral);
        let held = world.shop(4, 1_000);
        assert_eq!(world.asks(held), Reason::Approved);
        assert_eq!(world.funds(&technical).await, (1_000, 1_000));
        assert_eq!(world.asks(world.shop(5, 1)), Reason::InsufficientCollateral);
        assert_eq!(world.clear(&held, 6, 1_000), Reason::AdviceRecorded);
        assert_eq!(world.funds(&technical).await, (0, 0));

        // What is taken back is there again.
        world.fill(&technical, 500).await;
        let back = world.shop(7, 500);
        assert_eq!(world.asks(back), Reason::Approved);
        assert_eq!(world.funds(&technical).await, (500, 500));
        world.peer.message(Command::Reverse(reversal(back.key, 8, Some(back.token))));
        assert_eq!(world.funds(&technical).await, (500, 0));
        assert_eq!(world.funds(&deposit).await, (100_000, 0), "nobody touched it");
        assert_eq!(world.amount(&customer, &balance).await, (9_000, 0));
    })
    .await;
}

/// Requirements #91, #178: the partner and an operator see which collateral it was, and how much
/// was there.
#[tokio::test(flavor = "multi_thread")]
async fn a_decline_for_technical_collateral_says_so() {
    on_each(async |world| {
        let (customer, _balance) = world.on_technical_collateral().await;
        world.asks(world.shop(1, 1_000));
        world.collateral("TECHNICAL", 700).await;
        world.asks(world.shop(2, 1_000));
        let listed = world.transactions(&customer, "").await;
        for (item, reason, code, row, inputs) in [
            (0_usize, Reason::InsufficientCollateral, "1016", 19, "700 available on"),
            (1, Reason::CollateralBalanceNotFound, "1015", 18, "Technical"),
        ] {
            let item = &listed["items"][item];
            let told = (&item["status"], &item["reason"]);
            assert_eq!(told, (&json!("DECLINED"), &json!(reason.description())));
            let path = format!("/secure/transactions/{}", text(item, "id"));
            let shown = world.get(&path).await.expect(StatusCode::OK);
            assert_eq!(shown["explanation"], reason.sentence());
            let path = path.replace("/secure", "/admin");
            let explained = world.admin(Method::GET, &format!("{path}/explain"), None).await;
            let explained = explained.expect(StatusCode::OK);
            let told = (&explained["reason"], &explained["actionCode"]);
            assert_eq!(told, (&json!(reason.description()), &json!(code)));
            let checks = explained["checks"].as_array().unwrap();
            let failed: Vec<_> = checks.iter().filter(|check| check["passed"] == false).collect();
            assert!(failed.len() == 1 && failed[0]["row"] == row, "{failed:?}");
            assert!(text(failed[0], "inputs").starts_with(inputs), "{failed:?}");
        }
    })
    .await;
}

/// Requirement #92: fees go to the company's balance and come back from it, bank transfers come out
/// of the technical account of IBANs; collateral holds none of either.
#[tokio::test(flavor = "multi_thread")]
async fn fees_are_the_companys_and_what_the_bank_brings_is_the_users() {
    on_each(async |world| {
        let (customer, balance) = world.on_technical_collateral().await;
        let fee = json!({ "kind": "POS", "fixed": 50 });
        let made = world.admin(Method::POST, &format!("{PROGRAM}/fees"), Some(&fee)).await;
        made.expect(StatusCode::CREATED);
        let technical = world.collateral("TECHNICAL", 2_000).await;
        let sums = |users: i64, collateral: i64, company: i64| {
            json!({ "currency": "EUR", "users": users, "wallet": users + collateral,
                "company": company, "invoiced": 0, "bankTransfers": 0 })
        };
        let held = world.shop(1, 1_000);
        assert_eq!(world.asks(held), Reason::Approved);
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        assert_eq!(world.get(&path).await.json()["held"], 1_050);
        assert_eq!(world.funds(&technical).await, (2_000, 1_000));
        assert_eq!(world.euros().await, sums(10_000, 2_000, 0));
        assert_eq!(world.clear(&held, 2, 1_000), Reason::AdviceRecorded);
        assert_eq!(world.euros().await, sums(8_950, 1_000, 50));

        let mut sale = world.shop(3, 1_000);
        sale.key.class = MessageClass::Financial;
        assert_eq!(world.asks(sale), Reason::Approved, "the fee needs no collateral");
        assert_eq!(world.euros().await, sums(7_900, 0, 100));
        world.peer.message(Command::Reverse(reversal(sale.key, 4, Some(sale.token))));
        assert_eq!(world.euros().await, sums(8_950, 1_000, 50));

        let given = world.get(&format!("/secure/bank-accounts?balanceId={balance}")).await.json();
        let iban = text(&given["items"][0], "iban");
        let came = json!({ "amount": 700, "currency": "EUR" });
        let booked = world.post(&format!("/secure/bank-accounts/{iban}/credits"), &came).await;
        booked.expect(StatusCode::CREATED);
        let mut expected = sums(9_650, 1_000, 50);
        expected["bankTransfers"] = 700.into();
        assert_eq!(world.euros().await, expected);
    })
    .await;
}
