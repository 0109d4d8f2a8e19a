//! Top-ups, reloads and partner balances.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, on_each, text};

async fn top_up(world: &World, customer: &str, balance: &str, body: Value) -> crate::world::Got {
    world.post(&format!("/secure/customers/{customer}/balances/{balance}/topup"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_is_booked_and_wrong_ones_are_named() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let body = json!({ "amount": 12_345, "currency": "EUR", "externalId": "x-1",
            "description": "first" });
        let booked = top_up(world, &customer, &balance, body).await.expect(StatusCode::CREATED);
        uuid::Uuid::parse_str(&text(&booked, "id")).unwrap();
        assert_eq!(booked["balanceId"], balance.as_str());
        assert_eq!((&booked["amount"], &booked["currency"]), (&json!(12_345), &json!("EUR")));
        let date = text(&booked, "date");
        assert!(date.ends_with("+00:00") && date.len() == 25, "{date}");

        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let shown = world.get(&path).await.json();
        assert_eq!((&shown["amount"], &shown["available"]), (&json!(12_345), &json!(12_345)));

        let with_external = |id: &str| json!({ "amount": 1, "currency": "EUR", "externalId": id });
        for (body, status, title) in [
            (json!({ "amount": 1, "currency": "PLN" }), 422, "CURRENCY_MISMATCH"),
            (json!({ "amount": 1, "currency": "XXX" }), 422, "INVALID_CURRENCY"),
            (json!({ "amount": 1, "currency": "eur" }), 422, "INVALID_CURRENCY"),
            (json!({ "amount": 0, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": -1, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": i64::MAX, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": 1.5, "currency": "EUR" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": "1", "currency": "EUR" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": 1, "currency": "EUR", "state": "x" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": 1 }), 400, "INVALID_REQUEST"),
            (with_external("4111111111111111"), 400, "INVALID_REQUEST"),
            (with_external(&"x".repeat(65)), 400, "INVALID_REQUEST"),
            (with_external("line\nbreak"), 400, "INVALID_REQUEST"),
        ] {
            top_up(world, &customer, &balance, body).await.expect_error(status, title);
        }
        assert_eq!(world.get(&path).await.json()["amount"], 12_345);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_balance_is_opened_once_a_kind_and_reloaded() {
    on_each(async |world| {
        let open = json!({ "kind": "deposit", "currency": "PLN" });
        let path = "/admin/partners/sandbox/balances";
        let opened = world.admin(Method::POST, path, Some(&open)).await;
        let opened = opened.expect(StatusCode::CREATED);
        assert_eq!((&opened["kind"], &opened["amount"]), (&json!("DEPOSIT"), &json!(0)));
        let again = world.admin(Method::POST, "/admin/partners/1/balances", Some(&open)).await;
        again.expect_error(409, "PARTNER_BALANCE_EXISTS");
        let other = json!({ "kind": "CREDIT", "currency": "PLN" });
        world.admin(Method::POST, path, Some(&other)).await.expect(StatusCode::CREATED);

        let path = format!("/admin/partner-balances/{}", text(&opened, "id"));
        let reload = json!({ "amount": 10_000, "currency": "PLN" });
        let booked = world.admin(Method::POST, &format!("{path}/reload"), Some(&reload)).await;
        let booked = booked.expect(StatusCode::CREATED);
        assert_eq!(booked["balanceId"], opened["id"]);
        let shown = world.admin(Method::GET, &path, None).await.expect(StatusCode::OK);
        assert_eq!((&shown["amount"], &shown["partnerId"]), (&json!(10_000), &json!(1)));

        let wrong = json!({ "amount": 1, "currency": "EUR" });
        let got = world.admin(Method::POST, &format!("{path}/reload"), Some(&wrong)).await;
        got.expect_error(422, "CURRENCY_MISMATCH");
        let alert = json!({ "kind": "deposit", "currency": "EUR", "alertLevel": 5 });
        let got = world.admin(Method::POST, "/admin/partners/1/balances", Some(&alert)).await;
        got.expect_error(400, "INVALID_REQUEST");
        let got = world.admin(Method::POST, "/admin/partners/9/balances", Some(&open)).await;
        got.expect_error(404, "PARTNER_NOT_FOUND");
        let got = world.admin(Method::GET, "/admin/partner-balances/x", None).await;
        got.expect_error(404, "PARTNER_BALANCE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_mode_charges_the_partners_credit_balance() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.card(&customer, &balance, "0019167986").await;
        let ten = || json!({ "amount": 10, "currency": "EUR" });
        let got = top_up(world, &customer, &balance, ten()).await;
        got.expect_error(422, "COLLATERAL_BALANCE_NOT_FOUND");

        let open = json!({ "kind": "credit", "currency": "EUR" });
        let path = "/admin/partners/sandbox/balances";
        let credit = world.admin(Method::POST, path, Some(&open)).await.json();
        let got = top_up(world, &customer, &balance, ten()).await;
        got.expect_error(422, "INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE");

        let credit = format!("/admin/partner-balances/{}", text(&credit, "id"));
        let reload = json!({ "amount": 15, "currency": "EUR" });
        world.admin(Method::POST, &format!("{credit}/reload"), Some(&reload)).await;
        top_up(world, &customer, &balance, ten()).await.expect(StatusCode::CREATED);
        assert_eq!(world.admin(Method::GET, &credit, None).await.json()["amount"], 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_listed_in_pages() {
    on_each(async |world| {
        let customer = world.customer().await;
        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(world.balance(&customer, "EUR").await);
        }
        let path = format!("/secure/customers/{customer}/balances");
        let ids = |page: &Value| -> Vec<String> {
            let items = page["items"].as_array().unwrap();
            items.iter().map(|item| text(item, "balanceId")).collect()
        };
        let first = world.get(&format!("{path}?limit=2")).await.expect(StatusCode::OK);
        assert_eq!((ids(&first), &first["hasMore"]), (opened[..2].to_vec(), &json!(true)));
        let rest = world.get(&format!("{path}?limit=2&after={}", opened[1])).await.json();
        assert_eq!((ids(&rest), &rest["hasMore"]), (opened[2..].to_vec(), &json!(false)));
        for bad in ["limit=0", "limit=51", "limit=x", "after=x", "page=2"] {
            world.get(&format!("{path}?{bad}")).await.expect_error(400, "INVALID_REQUEST");
        }
    })
    .await;
}
