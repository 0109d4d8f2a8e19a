//! Who may see what: certificates, tokens, and one partner's things before another's eyes.

use axum::http::StatusCode;
use reqwest::{Client, Method};
use serde_json::json;

use crate::world::{on_each, plain_wallet, public_key, send, text};

#[tokio::test(flavor = "multi_thread")]
async fn another_partners_things_are_not_found() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let theirs = send(world.wallet(&world.stranger, &plain_wallet())).await;
        let theirs = text(&theirs.json(), "customerId");
        let lock = json!({ "reason": 7 });
        let ten = json!({ "amount": 10, "currency": "EUR" });
        let new_card = json!({ "balanceId": balance, "configId": "0019167984" });
        for (method, rest, body) in [
            (Method::GET, format!("balances/{balance}"), None),
            (Method::DELETE, format!("balances/{balance}"), None),
            (Method::POST, format!("balances/{balance}/topup"), Some(&ten)),
            (Method::GET, format!("cards/{card}"), None),
            (Method::POST, format!("cards/{card}/lock"), Some(&lock)),
            (Method::POST, format!("cards/{card}/unlock"), None),
            (Method::POST, "cards/virtual".to_owned(), Some(&new_card)),
        ] {
            for (owner, title) in [(&customer, "USER_NOT_FOUND"), (&theirs, "")] {
                let url = world.secure_url(&format!("/secure/customers/{owner}/{rest}"));
                let mut request = world.stranger.request(method.clone(), url);
                if rest == "cards/virtual" {
                    request = request.header("Encrypted-Response", "true");
                    request = request.header("Public-Key", public_key());
                }
                let request = match body {
                    Some(body) => request.json(body),
                    None => request,
                };
                let got = send(request).await;
                let title = if title.is_empty() { got.title() } else { title.to_owned() };
                got.expect_error(404, &title);
            }
        }
        let url = world.secure_url(&format!("/secure/customers/{customer}/balances"));
        send(world.stranger.get(url)).await.expect_error(404, "USER_NOT_FOUND");
        let url = world.secure_url(&format!("/secure/customers/{customer}/register"));
        let form = crate::quick_start::form();
        let got = send(world.stranger.post(url).multipart(form)).await;
        got.expect_error(404, "USER_NOT_FOUND");
        let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}"));
        let request = world.stranger.put(url).header("Issuer-Code", "sandbox");
        let request = request.header("Application-Id", "SBX-APP-ID");
        let request = request.header("Collection", "lifecycle").json(&json!({ "kyc": "NONE" }));
        send(request).await.expect_error(404, "USER_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_for_partners_need_a_registered_certificate() {
    on_each(async |world| {
        let anonymous = world.wallet(&world.nobody, &plain_wallet());
        send(anonymous).await.expect_error(401, "CLIENT_CERTIFICATE_REQUIRED");
        for path in ["/secure/customers/1/balances", "/secure/customers/1/cards/1"] {
            let got = send(world.nobody.get(world.secure_url(path))).await;
            got.expect_error(401, "CLIENT_CERTIFICATE_REQUIRED");
        }
        world.stop_server().await;
        world.config.clients.pop();
        world.start_server().await;
        let revoked = world.wallet(&world.stranger, &plain_wallet());
        send(revoked).await.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_routes_need_the_token() {
    on_each(async |world| {
        let paths = ["/admin/partners/1/balances", "/admin/partner-balances/x/reload"];
        let wrong = format!("{}x", world.admin_token);
        let short = world.admin_token[1..].to_owned();
        for path in paths {
            for token in ["", "x", &wrong, &short] {
                let body = json!({ "kind": "deposit", "currency": "EUR" });
                let request = world.nobody.post(world.public_url(path)).bearer_auth(token);
                let got = send(request.json(&body)).await;
                got.expect_error(401, "UNAUTHORIZED");
                assert_eq!(got.headers["www-authenticate"], "Bearer");
            }
            let got = send(world.nobody.post(world.public_url(path))).await;
            got.expect_error(401, "UNAUTHORIZED");
            // A certificate is no token, and this listener does not serve partners.
            let got = send(world.partner.post(world.secure_url(path))).await;
            got.expect_error(404, "ROUTE_NOT_FOUND");
        }
        let got = world.get_public("/secure/customers/1/balances").await;
        got.expect_error(404, "ROUTE_NOT_FOUND");
        let basic = world.nobody.get(world.public_url("/admin/partner-balances/x"));
        let basic = basic.basic_auth("admin", Some(&world.admin_token));
        send(basic).await.expect_error(401, "UNAUTHORIZED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycle_needs_its_three_headers() {
    on_each(async |world| {
        let good = [
            ("Issuer-Code", "sandbox"),
            ("Application-Id", "SBX-APP-ID"),
            ("Collection", "lifecycle"),
        ];
        for (missing, _value) in good {
            let mut request = world.secure(Method::POST, "/lifecycle/v1/wallet");
            for (name, value) in good.iter().filter(|(name, _)| *name != missing) {
                request = request.header(*name, *value);
            }
            let got = send(request.json(&plain_wallet())).await;
            got.expect_error(400, "MISSING_HEADER");
            let mut request = world.secure(Method::POST, "/lifecycle/v1/wallet");
            for (name, value) in good {
                request = request.header(name, if name == missing { "other" } else { value });
            }
            send(request.json(&plain_wallet())).await.expect_error(403, "FORBIDDEN");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_of_a_program_of_its_partner() {
    on_each(async |world| {
        let call = async |by: &Client, application: &str| {
            let request = by.post(world.secure_url("/lifecycle/v1/wallet"));
            let request = request.header("Issuer-Code", "sandbox");
            let request = request.header("Application-Id", application);
            send(request.header("Collection", "lifecycle").json(&plain_wallet())).await
        };
        call(&world.partner, "WALLET-17").await.expect_error(403, "FORBIDDEN");
        let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
            "cardKind": "VIRTUAL", "monthsValid": 24, "applicationId": "WALLET-17" });
        let path = "/admin/programs/0019167902";
        world.put(path, &program).await.expect(StatusCode::NO_CONTENT);
        let shown = world.admin(Method::GET, path, None).await.json();
        assert_eq!(shown["program"]["applicationId"], "WALLET-17");
        call(&world.partner, "WALLET-17").await.expect(StatusCode::CREATED);
        call(&world.partner, "SBX-APP-ID").await.expect(StatusCode::CREATED);
        call(&world.stranger, "WALLET-17").await.expect_error(403, "FORBIDDEN");
        let mut nameless = program.clone();
        nameless["applicationId"] = json!("");
        world.put(path, &nameless).await.expect_error(400, "INVALID_REQUEST");
        nameless["applicationId"] = json!(null);
        world.put(path, &nameless).await.expect(StatusCode::NO_CONTENT);
        call(&world.partner, "WALLET-17").await.expect_error(403, "FORBIDDEN");
    })
    .await;
}
