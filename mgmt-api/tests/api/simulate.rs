//! What /sandbox says no to; what it does is tried against a real switch in `loadtest`.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, on_each, text};

/// With a link where nobody listens.
async fn with_link(world: &mut World) {
    world.stop_server().await;
    world.config.sandbox_iso8583 = Some("127.0.0.1:9".parse().unwrap());
    world.start_server().await;
}

fn payment(card: &str) -> Value {
    json!({ "cardId": card, "amount": 1_250, "currency": "EUR" })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_named_and_nothing_is_made_up() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let moved = json!({ "transactionId": world.top_up(&customer, &balance, 5_000).await });
        let pay = "/sandbox/authorizations";
        world.post(pay, &payment(&card)).await.expect_error(403, "FEATURE_NOT_ENABLED");
        let hour = json!({ "seconds": 3_600 });
        let clock = "/sandbox/clock/advance";
        world.post(clock, &hour).await.expect_error(403, "FEATURE_NOT_ENABLED");

        with_link(world).await;
        for at in [pay, "/sandbox/advices"] {
            world.post(at, &payment(&card)).await.expect_error(503, "SWITCH_UNAVAILABLE");
            world.post(at, &payment("1")).await.expect_error(404, "CARD_NOT_FOUND");
        }
        for (member, value) in [
            ("amount", json!(-1)),
            ("amount", json!(1_000_000_000_000_i64)),
            ("mcc", json!("54")),
            ("merchant", json!("A MERCHANT OF 16")),
            ("country", json!("XX")),
        ] {
            let mut body = payment(&card);
            body[member] = value;
            let got = world.post(pay, &body).await;
            got.expect_error(400, "INVALID_REQUEST");
            assert_eq!(got.json()["errors"][0]["field"], member);
        }
        let mut body = payment(&card);
        body["currency"] = "EURO".into();
        world.post(pay, &body).await.expect_error(422, "INVALID_CURRENCY");
        world.until_history().await;
        for at in ["/sandbox/clearings", "/sandbox/reversals"] {
            // Money that was moved by hand is no payment of a processor.
            let got = world.post(at, &moved).await;
            got.expect_error(400, "INVALID_REQUEST");
            assert_eq!(got.json()["errors"][0]["field"], "transactionId");
            let other = json!({ "transactionId": "019a0000-0000-7000-8000-000000000009" });
            world.post(at, &other).await.expect_error(404, "TRANSACTION_NOT_FOUND");
        }
        for seconds in [0, 31 * 86_400 + 1] {
            let got = world.post(clock, &json!({ "seconds": seconds })).await;
            got.expect_error(400, "INVALID_REQUEST");
        }
        // The tests' switch is none whose clock may run ahead.
        world.post(clock, &hour).await.expect_error(400, "INVALID_REQUEST");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bureau_goes_on_with_an_order_as_it_is_told() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let order = json!({ "orderId": world.order(&customer, &balance).await });
        let at = "/sandbox/personalisation/advance";
        for status in ["PERSONALISED", "SHIPPED"] {
            assert_eq!(
                text(&world.post(at, &order).await.expect(StatusCode::OK), "status"),
                status
            );
        }
        let list = world.get(&format!("/secure/customers/{customer}/cards")).await.json();
        assert_eq!(list["items"][0]["state"], "INACTIVE", "it is linked");
        // Operators have the same, of what they may see.
        let ann = world.operator("ann", Roles::EMPLOYEE, None).await;
        let eve = world.operator("eve", Roles::ALL, Some("2")).await;
        let by = async |token: &str| {
            world.with(token, Method::POST, &format!("/admin{at}"), Some(&order)).await
        };
        by(&eve).await.expect_error(404, "ORDER_NOT_FOUND");
        assert_eq!(text(&by(&ann).await.expect(StatusCode::OK), "status"), "DELIVERED");
        by(&ann).await.expect_error(409, "CONCURRENT_CHANGE");
    })
    .await;
}
