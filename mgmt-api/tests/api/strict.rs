//! What the strict profile refuses and the sandbox lets pass.

use axum::http::StatusCode;
use mgmt_api::config::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, caller_key, on_each, plain_wallet, public_key, send, text};

async fn make_strict(world: &mut World) {
    world.stop_server().await;
    world.config.profile = Profile::Strict;
    world.start_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_unique_and_identity_data_is_checked() {
    on_each(async |world| {
        make_strict(world).await;
        let customer = world.unchecked().await;
        let mut wallet = plain_wallet();
        wallet["kyc"] = "NONE".into();
        // No partner learns of another's customers.
        send(world.wallet(&world.stranger, &wallet)).await.expect(StatusCode::CREATED);
        send(world.wallet(&world.stranger, &wallet)).await.expect_error(409, "CUSTOMER_EXISTS");
        send(world.wallet(&world.partner, &wallet)).await.expect_error(409, "CUSTOMER_EXISTS");
        wallet["phone"] = "+48 123".replace(' ', "99").into();
        wallet["email"] = "ADA@example.com".into();
        send(world.wallet(&world.partner, &wallet)).await.expect_error(409, "CUSTOMER_EXISTS");
        wallet["email"] = "bob@example.com".into();
        send(world.wallet(&world.partner, &wallet)).await.expect(StatusCode::CREATED);

        let path = format!("/secure/customers/{customer}/register");
        let form = crate::quick_start::form();
        let got = send(world.secure(Method::POST, &path).multipart(form)).await;
        got.expect_error(422, "INVALID_CUSTOMER_DATA");
        assert_eq!(got.json()["errors"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_check_went_is_said_by_a_partner_that_checks_itself() {
    on_each(async |world| {
        make_strict(world).await;
        let customer = world.unchecked().await;
        let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}"));
        let say = async |flags: Value| {
            let request = world.partner.put(&url).header("Issuer-Code", "sandbox");
            let request = request.header("Application-Id", "SBX-APP-ID");
            send(request.header("Collection", "lifecycle").json(&flags)).await
        };
        for mode in ["MANUAL", "AUTOMATIC"] {
            world.put("/admin/partners/1", &json!({ "kycMode": mode })).await;
            for kyc in ["SUCCESS", "FAILED", "IN_PROGRESS", "NONE"] {
                say(json!({ "kyc": kyc })).await.expect_error(403, "FEATURE_NOT_ENABLED");
            }
            let got = send(world.wallet(&world.partner, &plain_wallet())).await;
            got.expect_error(403, "FEATURE_NOT_ENABLED");
            say(json!({ "state": "VERIFIED" })).await.expect(StatusCode::NO_CONTENT);
        }
        world.put("/admin/partners/1", &json!({ "kycMode": "EXTERNAL" })).await;
        say(json!({ "kyc": "SUCCESS" })).await.expect(StatusCode::NO_CONTENT);
        world.balance(&customer, "EUR").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_key_is_registered_by_configuration_only() {
    on_each(async |world| {
        make_strict(world).await;
        world.put("/admin/partners/1", &json!({ "kycMode": "EXTERNAL" })).await;
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        let request = |world: &World| {
            world
                .secure(Method::POST, &path)
                .header("Encrypt-Response", "true")
                .header("Public-Key", public_key())
                .json(&json!({ "currency": "EUR" }))
        };
        send(request(world)).await.expect_error(400, "INVALID_PUBLIC_KEY");
        world.get("/sandbox/encryption").await.expect_error(403, "FEATURE_NOT_ENABLED");
        let hour = json!({ "seconds": 3_600 });
        let clock = world.post("/sandbox/clock/advance", &hour).await;
        clock.expect_error(403, "FEATURE_NOT_ENABLED");
        let file = world.path("caller.pem");
        std::fs::write(&file, caller_key().to_pem_public_key()).unwrap();
        world.config.clients[0].response_key = Some(file);
        world.stop_server().await;
        world.start_server().await;
        let sealed = send(request(world)).await.expect(StatusCode::CREATED);
        let opened = crate::world::decrypted(&sealed);
        uuid::Uuid::parse_str(&text(&opened, "balanceId")).unwrap();
    })
    .await;
}
