//! Locks from outside: a network or an acquirer with a certificate of its own.

use axum::http::StatusCode;
use mgmt_api::config::ProcessorConfig;
use mgmt_api::pki;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::cards::sealed;
use crate::otp;
use crate::world::{Got, NETWORK, World, on_each, send, text};

async fn lock(world: &World, by: &Client, processor: u32, body: &Value) -> Got {
    let url = world.secure_url(&format!("/secure/processors/{processor}/cards/lock"));
    let request = by.post(url).header("Encrypted-Request", "true");
    send(request.json(&json!({ "payload": sealed(world, body).await }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_locks_a_card_by_its_number() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167984").await;
        let of = |reason: u8| {
            json!({ "pan": card["pan"], "reason": reason,
            "externalReference": "CASE-17" })
        };
        let got = lock(world, &world.network, NETWORK, &of(3)).await;
        assert_eq!(got.status, StatusCode::NO_CONTENT, "{got:?}");
        let path = format!("/secure/customers/{customer}/cards/{}", text(&card, "id"));
        let shown = world.get(&path).await.json();
        assert_eq!((&shown["lock"], &shown["lockedBy"]), (&json!(3), &json!("OUTSIDE")));
        // The rules of locks are the same for everybody.
        let got = lock(world, &world.network, NETWORK, &of(2)).await;
        assert_eq!(got.status, StatusCode::NO_CONTENT);
        let got = lock(world, &world.network, NETWORK, &of(3)).await;
        got.expect_error(409, "CARD_LOCKED_IRREVERSIBLY");

        // By a token of the card, as long as there is one.
        let other = world.card(&customer, &balance, "0019167984").await;
        let tokens = format!("/secure/customers/{customer}/cards/{}/tokens", text(&other, "id"));
        let token = json!({ "tokenReference": "DNITHE-17" });
        let token = world.post(&tokens, &token).await.expect(StatusCode::CREATED);
        let by_token = json!({ "token": "DNITHE-17", "reason": 1 });
        let got = lock(world, &world.network, NETWORK, &by_token).await;
        assert_eq!(got.status, StatusCode::NO_CONTENT, "{got:?}");
        let shown = world.get(tokens.trim_end_matches("/tokens")).await.json();
        assert_eq!((&shown["lock"], &shown["lockedBy"]), (&json!(1), &json!("OUTSIDE")));
        let third = world.card(&customer, &balance, "0019167984").await;
        let others = format!("/secure/customers/{customer}/cards/{}/tokens", text(&third, "id"));
        let same = json!({ "tokenReference": "DNITHE-17" });
        let same = world.post(&others, &same).await.expect(StatusCode::CREATED);
        let got = lock(world, &world.network, NETWORK, &by_token).await;
        got.expect_error(400, "INVALID_REQUEST");
        assert_eq!(got.json()["errors"][0]["field"], "token", "of two cards");
        let end = format!("{others}/{}", text(&same, "tokenId"));
        assert_eq!(send(world.secure(Method::DELETE, &end)).await.status, 204);
        let end = format!("{tokens}/{}", text(&token, "tokenId"));
        assert_eq!(send(world.secure(Method::DELETE, &end)).await.status, 204);
        let got = lock(world, &world.network, NETWORK, &by_token).await;
        got.expect_error(404, "CARD_NOT_FOUND");

        for (body, status, title) in [
            (
                json!({ "pan": card["pan"], "token": "DNITHE-17", "reason": 3 }),
                400,
                "INVALID_REQUEST",
            ),
            (json!({ "token": "no name", "reason": 3 }), 400, "INVALID_REQUEST"),
            (json!({ "pan": "9999998400000000006", "reason": 3 }), 404, "CARD_NOT_FOUND"),
            (json!({ "pan": card["pan"], "reason": 9 }), 400, "INVALID_REQUEST"),
            (json!({ "pan": "12x", "reason": 3 }), 400, "INVALID_REQUEST"),
            (json!({ "reason": 3 }), 400, "INVALID_REQUEST"),
            (json!({ "pan": card["pan"] }), 400, "INVALID_PAYLOAD"),
        ] {
            let got = lock(world, &world.network, NETWORK, &body).await;
            got.expect_error(status, title);
        }
        let got = lock(world, &world.network, NETWORK + 1, &of(3)).await;
        got.expect_error(403, "FORBIDDEN");
        let got = lock(world, &world.partner, NETWORK, &of(3)).await;
        got.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
        let url = world.secure_url(&format!("/secure/processors/{NETWORK}/cards/lock"));
        let plain = send(world.network.post(url).json(&of(3))).await;
        plain.expect_error(400, "ENCRYPTION_REQUIRED");
        // And what a partner has is none of a network's business.
        let seen = send(world.network.get(world.secure_url(&path))).await;
        seen.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_connects_from_where_it_may() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.processors[0].networks = vec!["10.0.0.0/8".parse().unwrap()];
        world.start_server().await;
        let body = json!({ "pan": "9999998400000000006", "reason": 3 });
        lock(world, &world.network, NETWORK, &body).await.expect_error(403, "ADDRESS_FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_names_the_processor_that_speaks_of_its_cards() {
    on_each(async |world| {
        world.stop_server().await;
        let (certificate, _key) = pki::issue_client(&world.path("pki"), "second network").unwrap();
        let second = ProcessorConfig { id: NETWORK + 1, certificate, networks: Vec::new() };
        world.config.processors.push(second);
        world.start_server().await;
        let path = "/admin/programs/0019167902";
        let put = async |processor: u32| {
            let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
                "cardKind": "VIRTUAL", "monthsValid": 24, "processor": processor });
            world.put(path, &program).await
        };
        put(NETWORK + 2).await.expect_error(400, "INVALID_REQUEST");
        put(NETWORK + 1).await.expect(StatusCode::NO_CONTENT);
        let shown = world.admin(Method::GET, path, None).await.json();
        assert_eq!(shown["program"]["processor"], NETWORK + 1);

        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167902").await;
        let tokens = format!("/secure/customers/{customer}/cards/{}/tokens", text(&card, "id"));
        let token = json!({ "tokenReference": "DNITHE-18" });
        world.post(&tokens, &token).await.expect(StatusCode::CREATED);
        let by_number = json!({ "pan": card["pan"], "reason": 3 });
        let by_token = json!({ "token": "DNITHE-18", "reason": 1 });
        let wish = json!({ "pan": card["pan"], "amount": 100, "currency": "EUR",
            "merchantName": "merchant test", "otp": "17171717" });
        let otp = async |key: &str| otp::hand_on(world, &world.network, &wish, key).await;
        for body in [&by_number, &by_token] {
            let got = lock(world, &world.network, NETWORK, body).await;
            got.expect_error(404, "CARD_NOT_FOUND");
        }
        otp("a").await.expect_error(404, "CARD_NOT_FOUND");
        put(NETWORK).await.expect(StatusCode::NO_CONTENT);
        for body in [&by_number, &by_token] {
            let got = lock(world, &world.network, NETWORK, body).await;
            assert_eq!(got.status, StatusCode::NO_CONTENT, "{got:?}");
        }
        otp("b").await.expect_error(409, "OTP_ENDPOINT_MISSING");
    })
    .await;
}
