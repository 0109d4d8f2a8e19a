//! A partner's deposit: held with each payment of its program, and given back by whatever ends one.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;
use shared::action_code::Reason;
use shared::command::Command;

use crate::fees::reversal;
use crate::partner::{Partner, Taken};
use crate::world::{World, on_each, text, until};

/// Its payments need a deposit.
const CONFIG: &str = "0019167985";
/// The same, and its holders' money is with the partner.
const ENTRUSTED: &str = "0000000779";

/// A deposit of the partner with so much on it, where the partner sees it.
async fn deposit_of(world: &World, amount: i64) -> String {
    let open = json!({ "kind": "DEPOSIT", "currency": "EUR" });
    let opened = world.admin(Method::POST, "/admin/partners/1/balances", Some(&open)).await;
    let id = text(&opened.expect(StatusCode::CREATED), "id");
    let money = json!({ "amount": amount, "currency": "EUR" });
    let path = format!("/admin/partner-balances/{id}/reload");
    let reloaded = world.admin(Method::POST, &path, Some(&money)).await;
    reloaded.expect(StatusCode::CREATED);
    format!("/secure/partner/balances/{id}")
}

/// What is booked and what is held there.
async fn funds(world: &World, path: &str) -> [i64; 2] {
    let shown = world.get(path).await.expect(StatusCode::OK);
    ["amount", "held"].map(|member| shown[member].as_i64().unwrap())
}

/// Requirement #85.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_held_with_a_payment_and_given_back_by_what_ends_it() {
    on_each(async |world| {
        let deposit = deposit_of(world, 1_000).await;
        let (customer, balance) = world.funded(700).await;
        world.card(&customer, &balance, CONFIG).await;
        let own = format!("/secure/customers/{customer}/balances/{balance}");
        let both = async || [funds(world, &deposit).await, funds(world, &own).await];
        let pay = |stan: u64, amount: i64| {
            let request = world.shop(stan, amount);
            (request, world.peer.message(Command::Authorize(request)).reason)
        };
        let (first, told) = pay(1, 600);
        assert_eq!(told, Reason::Approved);
        assert_eq!(both().await, [[1_000, 600], [700, 600]]);
        // Where one of the two has too little, neither gives anything.
        assert_eq!(pay(2, 401).1, Reason::InsufficientFundsOnDeposit);
        assert_eq!(pay(3, 101).1, Reason::InsufficientFunds);
        assert_eq!(both().await, [[1_000, 600], [700, 600]]);

        world.peer.message(Command::Reverse(reversal(first.key, 4, Some(first.token))));
        assert_eq!(both().await, [[1_000, 0], [700, 0]]);
        // Cleared for less than was held.
        let (second, told) = pay(5, 500);
        assert_eq!(told, Reason::Approved);
        assert_eq!(world.clear(&second, 6, 400), Reason::AdviceRecorded);
        assert_eq!(both().await, [[600, 0], [300, 0]]);
        // Never cleared.
        assert_eq!(pay(7, 200).1, Reason::Approved);
        world.peer.expire_in(6);
        assert_eq!(both().await, [[600, 200], [300, 200]]);
        world.peer.expire_in(8);
        assert_eq!(both().await, [[600, 0], [300, 0]]);
    })
    .await;
}

/// Requirement #85, where the money is with the partner: it is asked while the deposit is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_given_back_unless_the_partner_agrees_and_by_a_reversal() {
    on_each(async |world| {
        let partner = Partner::start().await;
        let endpoint = json!({ "url": partner.url, "events": ["balance"] });
        world.post("/secure/endpoints", &endpoint).await.expect(StatusCode::CREATED);
        let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999979",
            "cardKind": "VIRTUAL", "monthsValid": 24, "collateral": "DEPOSIT",
            "custody": { "answerWithinMs": 10_000 } });
        let path = format!("/admin/programs/{ENTRUSTED}");
        let put = world.admin(Method::PUT, &path, Some(&program)).await;
        put.expect(StatusCode::NO_CONTENT);
        world.peer.until_taken().await;
        let deposit = deposit_of(world, 1_000).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.card(&customer, &balance, ENTRUSTED).await;
        let asked = || -> Vec<Taken> {
            let calls = partner.taken().into_iter();
            calls.filter(|call| call.path == "/base/transactions/debit").collect()
        };
        let pay = async |stan: u64, amount: i64| {
            let request = world.shop(stan, amount);
            world.peer.ask(request);
            (request, world.told(request).await)
        };
        partner.refuse(422, "INSUFFICIENT_FUNDS");
        assert_eq!(pay(1, 600).await.1, Reason::InsufficientFunds);
        assert_eq!(funds(world, &deposit).await, [1_000, 0]);
        partner.answer(&[500]);
        assert_eq!(pay(2, 600).await.1, Reason::PartnerSilent);
        assert_eq!(funds(world, &deposit).await, [1_000, 0]);
        let (agreed, told) = pay(3, 600).await;
        assert_eq!(told, Reason::Approved);
        assert_eq!(funds(world, &deposit).await, [1_000, 600]);
        // What the deposit does not cover is not asked for.
        let beyond = world.peer.message(Command::Authorize(world.shop(4, 401)));
        assert_eq!(beyond.reason, Reason::InsufficientFundsOnDeposit);
        assert_eq!(asked().len(), 3);

        world.peer.message(Command::Reverse(reversal(agreed.key, 5, Some(agreed.token))));
        assert_eq!(funds(world, &deposit).await, [1_000, 0]);
        let taken_back = asked().pop().unwrap().json();
        until(async || {
            let calls = partner.taken();
            let mut reversals = calls.iter().filter(|call| call.path.ends_with("/reversal"));
            reversals.any(|call| call.json() == taken_back)
        })
        .await;
    })
    .await;
}
