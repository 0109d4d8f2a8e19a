//! One-time passwords: from a processor, encrypted, to the partner who brings them to the holder.

use axum::http::StatusCode;
use reqwest::Client;
use serde_json::{Value, json};

use crate::cards::sealed;
use crate::leaks::dump;
use crate::partner::{Partner, Taken};
use crate::world::{Got, NETWORK, World, on_each, send, text};

/// Not a number that anything else has.
const PASSWORD: &str = "OTPcanary7319";

pub(crate) async fn hand_on(world: &World, by: &Client, body: &Value, key: &str) -> Got {
    let url = world.secure_url(&format!("/secure/processors/{NETWORK}/otp"));
    let request = by.post(url).header("Encrypted-Request", "true").header("Idempotency-Key", key);
    send(request.json(&json!({ "payload": sealed(world, body).await }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_handed_on_as_the_seed_prints_it_and_kept_nowhere() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167984").await;
        let wish = json!({ "pan": card["pan"], "amount": 1_000, "currency": "PLN",
            "merchantName": "merchant test", "otp": PASSWORD });
        let otp = async |key: &str| hand_on(world, &world.network, &wish, key).await;
        otp("a").await.expect_error(409, "OTP_ENDPOINT_MISSING");

        let partner = Partner::start().await;
        let endpoint = json!({ "url": partner.url, "events": ["otp"] });
        world.post("/secure/endpoints", &endpoint).await.expect(StatusCode::CREATED);
        assert_eq!(otp("b").await.status, 204);
        assert_eq!(otp("b").await.status, 204, "asked for once");
        let told = json!({ "storageCustomerId": customer.parse::<i64>().unwrap(),
            "storageCardId": text(&card, "id").parse::<i64>().unwrap(), "balanceId": balance,
            "amount": 1_000, "currency": "PLN", "merchantName": "merchant test",
            "otp": PASSWORD });
        let taken = partner.taken();
        assert_eq!(taken.iter().map(Taken::json).collect::<Vec<_>>(), [told]);
        assert_eq!(taken[0].path, "/base/notifications/otp");
        assert!(taken[0].headers.contains_key("webhook-signature"));

        // A fault is tried again under the same key; a refusal is one.
        partner.answer(&[500, 503]);
        assert_eq!(otp("c").await.status, 204);
        let tries = partner.taken().split_off(1);
        assert_eq!(tries.len(), 3);
        let keys = tries.iter().map(|taken| taken.header("x-idempotency-key").to_owned());
        let mut keys: Vec<_> = keys.collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "one key");
        partner.refuse(422, "");
        otp("d").await.expect_error(422, "OTP_REFUSED");
        partner.answer(&[500; 20]);
        otp("e").await.expect_error(503, "OTP_NOT_DELIVERED");

        let rows = dump(world).await;
        let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02X}")).collect();
        for row in &rows {
            let upper = row.to_uppercase();
            assert!(!row.contains(PASSWORD) && !upper.contains(&hex), "{row}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_handed_on_is_named() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167984").await;
        let wish = json!({ "pan": card["pan"], "amount": 1_000, "currency": "EUR",
            "merchantName": "merchant test", "otp": "1111" });
        for (member, value, status, title) in [
            ("pan", json!("9999998400000000006"), 404, "CARD_NOT_FOUND"),
            ("pan", json!("12x"), 400, "INVALID_REQUEST"),
            ("amount", json!(-1), 400, "INVALID_REQUEST"),
            ("currency", json!("EURO"), 422, "INVALID_CURRENCY"),
            ("merchantName", json!(""), 400, "INVALID_REQUEST"),
            ("otp", json!("111"), 400, "INVALID_REQUEST"),
            ("otp", json!("11 11"), 400, "INVALID_REQUEST"),
            ("more", json!(1), 400, "INVALID_PAYLOAD"),
        ] {
            let mut body = wish.clone();
            body[member] = value;
            let got = hand_on(world, &world.network, &body, member).await;
            got.expect_error(status, title);
        }
        let got = hand_on(world, &world.partner, &wish, "partner").await;
        got.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
        let url = world.secure_url(&format!("/secure/processors/{NETWORK}/otp"));
        let plain = send(world.network.post(url).json(&wish)).await;
        plain.expect_error(400, "ENCRYPTION_REQUIRED");
        let other = world.secure_url("/secure/processors/8/otp");
        let request = world.network.post(other).header("Encrypted-Request", "true");
        let body = json!({ "payload": sealed(world, &wish).await });
        send(request.json(&body)).await.expect_error(403, "FORBIDDEN");
    })
    .await;
}
