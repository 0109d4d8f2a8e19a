//! Locks, flags and closing: what a customer and a card go through.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, on_each, plain_wallet, send, text};

async fn card_path(world: &World) -> String {
    let customer = world.customer().await;
    let balance = world.balance(&customer, "EUR").await;
    let card = world.card(&customer, &balance, "0019167984").await;
    format!("/secure/customers/{customer}/cards/{}", text(&card, "id"))
}

async fn lock(world: &World, card: &str, reason: u8) -> u16 {
    world.post(&format!("{card}/lock"), &json!({ "reason": reason })).await.status
}

async fn unlock(world: &World, card: &str) -> u16 {
    send(world.secure(Method::POST, &format!("{card}/unlock"))).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversible_lock_is_lifted_and_an_irreversible_one_stays() {
    on_each(async |world| {
        let card = card_path(world).await;
        assert_eq!(unlock(world, &card).await, 204, "nothing is locked");
        assert_eq!(lock(world, &card, 7).await, 204);
        let shown = world.get(&card).await.json();
        assert_eq!((&shown["lock"], &shown["lockedBy"]), (&json!(7), &json!("PARTNER")));
        assert!(text(&shown, "lockedSince").ends_with("+00:00"));
        assert_eq!(unlock(world, &card).await, 204);
        assert_eq!(world.get(&card).await.json()["lock"], Value::Null);

        assert_eq!(lock(world, &card, 6).await, 204);
        assert_eq!(lock(world, &card, 2).await, 204, "replaces a reversible one");
        let path = format!("{card}/lock");
        for reason in 1..=8 {
            let got = world.post(&path, &json!({ "reason": reason, "comment": "why" })).await;
            got.expect_error(409, "CARD_LOCKED_IRREVERSIBLY");
        }
        let got = send(world.secure(Method::POST, &format!("{card}/unlock"))).await;
        got.expect_error(409, "CARD_LOCKED_IRREVERSIBLY");
        assert_eq!(world.get(&card).await.json()["lock"], 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_found_by_either_of_its_ids() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167984").await;
        let at = |id: &str| format!("/secure/customers/{customer}/cards/{id}");
        let by_id = world.get(&at(&text(&card, "id"))).await;
        let by_resource = world.get(&at(&text(&card, "resourceId"))).await;
        let shown = by_id.expect(StatusCode::OK);
        assert_eq!(shown, by_resource.expect(StatusCode::OK));
        assert_eq!(shown["balanceId"], balance.as_str());
        assert_eq!(shown["configId"], "0019167984");
        assert!(shown.get("pan").is_none() && shown.get("cvc2").is_none());
        for absent in ["1", "x", "0351eb09-3ac0-4234-a4ad-0a6ad52f248b", "999999999999999999999"] {
            world.get(&at(absent)).await.expect_error(404, "CARD_NOT_FOUND");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_and_cards_need_a_verified_customer() {
    on_each(async |world| {
        for (state, kyc) in [("VERIFIED", "NONE"), ("NEW", "SUCCESS"), ("VERIFIED", "FAILED")] {
            let mut wallet = plain_wallet();
            wallet["state"] = state.into();
            wallet["kyc"] = kyc.into();
            let got = send(world.wallet(&world.partner, &wallet)).await;
            let customer = text(&got.expect(StatusCode::CREATED), "customerId");
            let path = format!("/secure/customers/{customer}/balances");
            let got = world.post(&path, &json!({ "currency": "EUR" })).await;
            got.expect_error(409, "KYC_NOT_VERIFIED");

            let flags = format!("/lifecycle/v1/users/{customer}");
            let got = send(
                world
                    .secure(Method::PUT, &flags)
                    .header("Issuer-Code", "sandbox")
                    .header("Application-Id", "SBX-APP-ID")
                    .header("Collection", "lifecycle")
                    .json(&json!({ "kyc": "SUCCESS", "state": "VERIFIED" })),
            );
            assert_eq!(got.await.status, 204);
            let balance = world.balance(&customer, "EUR").await;
            // Nor a card, where the check is taken back behind the balance.
            let taken_back = world
                .secure(Method::PUT, &flags)
                .header("Issuer-Code", "sandbox")
                .header("Application-Id", "SBX-APP-ID")
                .header("Collection", "lifecycle")
                .json(&json!({ "kyc": "FAILED" }));
            assert_eq!(send(taken_back).await.status, 204);
            let got = send(world.virtual_card(&customer, &balance, "0019167984")).await;
            got.expect_error(409, "KYC_NOT_VERIFIED");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_marks_a_customer_and_never_lowers_a_success() {
    on_each(async |world| {
        for (kyc, status) in [("NONE", "IN_PROGRESS"), ("SUCCESS", "ACCEPTED")] {
            let mut wallet = plain_wallet();
            wallet["kyc"] = kyc.into();
            let got = send(world.wallet(&world.partner, &wallet)).await;
            let customer = text(&got.expect(StatusCode::CREATED), "customerId");
            let path = format!("/secure/customers/{customer}/register");
            let form = crate::quick_start::form();
            let got = send(world.secure(Method::POST, &path).multipart(form)).await;
            assert_eq!(got.expect(StatusCode::CREATED)["status"], status);
            let path = format!("/secure/customers/{customer}/balances");
            let opened = world.post(&path, &json!({ "currency": "EUR" })).await.status;
            assert_eq!(opened, if kyc == "SUCCESS" { 201 } else { 409 });
        }
        // By the cardholder too.
        let customer = world.customer_with_pin().await;
        let token = world.customer_session(&customer).await;
        let url = world.public_url("/customers/me/register");
        let request = world.nobody.post(url).bearer_auth(&token);
        let got = send(request.multipart(crate::quick_start::form())).await;
        let check = got.expect(StatusCode::CREATED);
        let path = "/customers/me/verification";
        let shown = world.with(&token, Method::GET, path, None).await.expect(StatusCode::OK);
        assert_eq!(shown["verificationId"], check["verificationId"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_balance_is_closed_and_one_with_money_is_not() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let credit = json!({ "amount": 1, "currency": "EUR" });
        world.post(&format!("{path}/topup"), &credit).await.expect(StatusCode::CREATED);
        let got = send(world.secure(Method::DELETE, &path)).await;
        got.expect_error(409, "BALANCE_NOT_EMPTY");

        let balance = world.balance(&customer, "EUR").await;
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        assert_eq!(send(world.secure(Method::DELETE, &path)).await.status, 204);
        world.get(&path).await.expect_error(404, "BALANCE_NOT_FOUND");
    })
    .await;
}
