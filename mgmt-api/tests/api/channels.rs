//! The three channels: devices and sessions of cardholders, operators and their roles, partners'
//! addresses and keys.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use mgmt_api::operators;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    Got, World, caller_key, decrypted, on_each, plain_wallet, public_key, send, text,
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const WALLET_PIN: &str = "4711";

impl World {
    /// A verified customer with a wallet PIN.
    pub(crate) async fn customer_with_pin(&self) -> String {
        let mut wallet = plain_wallet();
        wallet["wPIN"] = WALLET_PIN.into();
        let got = send(self.wallet(&self.partner, &wallet)).await;
        text(&got.expect(StatusCode::CREATED), "customerId")
    }

    pub(crate) async fn post_public(&self, path: &str, body: &Value) -> Got {
        send(self.nobody.post(self.public_url(path)).json(body)).await
    }

    pub(crate) async fn pairing_code(&self, customer: &str) -> String {
        let path = format!("/secure/customers/{customer}/pairing-code");
        let got = send(self.secure(Method::POST, &path)).await;
        text(&got.expect(StatusCode::CREATED), "pairingCode")
    }

    /// Body of a log-in on a device that is paired for it.
    pub(crate) async fn paired(&self, customer: &str, device: &str) -> Value {
        let body = json!({ "customerId": customer, "wPIN": WALLET_PIN, "deviceId": device,
            "pairingCode": self.pairing_code(customer).await });
        let paired = self.post_public("/customers/devices", &body).await;
        let mut log_in = paired.expect(StatusCode::CREATED);
        log_in["wPIN"] = WALLET_PIN.into();
        log_in
    }

    /// Token of a cardholder's session.
    pub(crate) async fn customer_session(&self, customer: &str) -> String {
        let log_in = self.paired(customer, "a phone").await;
        let got = self.post_public("/customers/sessions", &log_in).await;
        text(&got.expect(StatusCode::CREATED), "token")
    }

    /// Token of an operator's session.
    pub(crate) async fn operator(&self, name: &str, roles: Roles, partner: Option<&str>) -> String {
        let wish = operators::Wish { name, password: PASSWORD, roles, partner };
        operators::add(&self.config, &wish).await.unwrap();
        let body = json!({ "name": name, "password": PASSWORD });
        let got = self.post_public("/admin/sessions", &body).await;
        text(&got.expect(StatusCode::CREATED), "token")
    }

    /// A request on the open listener with a session's token.
    pub(crate) async fn with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Got {
        let request = self.nobody.request(method, self.public_url(path)).bearer_auth(token);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cardholder_pairs_a_device_logs_in_and_sees_their_own() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let token = world.customer_session(&customer).await;
        let get = async |path: &str| world.with(&token, Method::GET, path, None).await;
        let listed = get("/customers/me/balances").await.expect(StatusCode::OK);
        assert_eq!(listed["items"][0]["balanceId"], balance);
        let opened = json!({ "currency": "PLN" });
        let opened =
            world.with(&token, Method::POST, "/customers/me/balances", Some(&opened)).await;
        opened.expect(StatusCode::CREATED);

        let other = world.customer().await;
        let foreign = world.balance(&other, "EUR").await;
        let got = get(&format!("/customers/me/balances/{foreign}")).await;
        got.expect_error(404, "BALANCE_NOT_FOUND");
        // A cardholder's token is none for operators, nor the other way round.
        let path = format!("/admin/customers/{customer}/balances");
        get(&path).await.expect_error(401, "UNAUTHORIZED");
        let got = world.admin(Method::GET, "/customers/me/balances", None).await;
        got.expect_error(401, "UNAUTHORIZED");

        let path = "/customers/sessions/current";
        assert_eq!(world.with(&token, Method::DELETE, path, None).await.status, 204);
        get("/customers/me/balances").await.expect_error(401, "UNAUTHORIZED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_wallet_pins_are_tried_a_few_times_only() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let code = world.pairing_code(&customer).await;
        let pair = async |code: &str, pin: &str| {
            let body = json!({ "customerId": customer, "pairingCode": code, "wPIN": pin,
                "deviceId": "a phone" });
            world.post_public("/customers/devices", &body).await
        };
        for wrong in ["", "0", "x", "123456789012", "0000000000"] {
            pair(wrong, WALLET_PIN).await.expect_error(401, "INVALID_CREDENTIALS");
        }
        pair(&code, WALLET_PIN).await.expect_error(401, "INVALID_CREDENTIALS");
        let code = world.pairing_code(&customer).await;
        pair(&code, "0000").await.expect_error(401, "INVALID_CREDENTIALS");
        pair(&code, WALLET_PIN).await.expect(StatusCode::CREATED);
        pair(&code, WALLET_PIN).await.expect_error(401, "INVALID_CREDENTIALS");

        let log_in = world.paired(&customer, "a phone").await;
        let with = |member: &str, value: &str| {
            let mut body = log_in.clone();
            body[member] = value.into();
            body
        };
        let begin = async |body: &Value| world.post_public("/customers/sessions", body).await;
        let nobody = "00000000-0000-4000-8000-000000000000";
        for (member, value) in [("installationSecret", "x"), ("installationId", nobody)] {
            begin(&with(member, value)).await.expect_error(401, "INVALID_CREDENTIALS");
        }
        for _try in 0..world.config.sessions.failures_max {
            begin(&with("wPIN", "0000")).await.expect_error(401, "INVALID_CREDENTIALS");
        }
        begin(&log_in).await.expect_error(429, "TOO_MANY_ATTEMPTS");
        let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}"));
        let request = world.partner.put(url).header("Issuer-Code", "sandbox");
        let request = request.header("Application-Id", "SBX-APP-ID");
        let request = request.header("Collection", "lifecycle").json(&json!({ "wPIN": "9081" }));
        assert_eq!(send(request).await.status, 204);
        begin(&log_in).await.expect_error(401, "INVALID_CREDENTIALS");
        begin(&with("wPIN", "9081")).await.expect(StatusCode::CREATED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_without_use_by_age_and_with_their_device() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let token = world.customer_session(&customer).await;
        let balances = "/customers/me/balances";
        assert_eq!(world.with(&token, Method::GET, balances, None).await.status, 200);
        let again = world.paired(&customer, "a phone").await;
        let got = world.with(&token, Method::GET, balances, None).await;
        got.expect_error(401, "UNAUTHORIZED");
        let got = world.post_public("/customers/sessions", &again).await;
        let token = text(&got.expect(StatusCode::CREATED), "token");
        let other = world.paired(&customer, "a tablet").await;
        world.post_public("/customers/sessions", &other).await.expect(StatusCode::CREATED);
        assert_eq!(world.with(&token, Method::GET, balances, None).await.status, 200);

        // Ten minutes from the last use, and using it is what counts.
        let token = world.customer_session(&customer).await;
        let nine_minutes = "UPDATE sessions SET used_at_ms = used_at_ms - 540000";
        for _use in 0..3 {
            world.database.execute(nine_minutes).await;
            assert_eq!(world.with(&token, Method::GET, balances, None).await.status, 200);
        }
        world.database.execute(nine_minutes).await;
        world.database.execute(nine_minutes).await;
        let got = world.with(&token, Method::GET, balances, None).await;
        got.expect_error(401, "UNAUTHORIZED");

        for (idle, age) in [(0, 600), (600, 0)] {
            world.stop_server().await;
            world.config.sessions.idle_seconds = idle;
            world.config.sessions.age_seconds_max = age;
            world.start_server().await;
            let log_in = world.paired(&customer, "a phone").await;
            let got = world.post_public("/customers/sessions", &log_in).await;
            let token = text(&got.expect(StatusCode::CREATED), "token");
            crate::world::until(async || {
                world.with(&token, Method::GET, balances, None).await.status == 401
            })
            .await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_logs_in_waits_after_wrong_passwords_and_is_kept_out() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/admin/customers/{customer}/balances");
        let token = world.operator("ann", Roles::EMPLOYEE, None).await;
        assert_eq!(world.with(&token, Method::GET, &path, None).await.status, 200);
        let body = json!({ "currency": "EUR" });
        let got = world.with(&token, Method::POST, &path, Some(&body)).await;
        got.expect_error(403, "FORBIDDEN");
        let foreign = world.operator("eve", Roles::ALL, Some("2")).await;
        let got = world.with(&foreign, Method::GET, &path, None).await;
        got.expect_error(404, "USER_NOT_FOUND");

        let log_in = async |name: &str, password: &str| {
            let body = json!({ "name": name, "password": password });
            world.post_public("/admin/sessions", &body).await
        };
        log_in("nobody", PASSWORD).await.expect_error(401, "INVALID_CREDENTIALS");
        for _try in 0..world.config.sessions.failures_max {
            log_in("ann", "wrong").await.expect_error(401, "INVALID_CREDENTIALS");
        }
        log_in("ann", PASSWORD).await.expect_error(429, "TOO_MANY_ATTEMPTS");
        operators::disable(&world.config, "ann").await.unwrap();
        let got = world.with(&token, Method::GET, &path, None).await;
        got.expect_error(401, "UNAUTHORIZED");
        log_in("ann", PASSWORD).await.expect_error(401, "INVALID_CREDENTIALS");
        assert!(operators::disable(&world.config, "bob").await.is_err());
        let wish =
            |name, password| operators::Wish { name, password, roles: Roles::ADMIN, partner: None };
        for (name, password) in [("bob", "too short"), ("b b", PASSWORD), ("", PASSWORD)] {
            assert!(operators::add(&world.config, &wish(name, password)).await.is_err(), "{name}");
        }
        let token = world.operator("cat", Roles::MANAGER, None).await;
        let end = "/admin/sessions/current";
        assert_eq!(world.with(&token, Method::DELETE, end, None).await.status, 204);
        let got = world.with(&token, Method::GET, &path, None).await;
        got.expect_error(401, "UNAUTHORIZED");
        world.admin(Method::DELETE, end, None).await.expect_error(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_answer_belongs_to_the_session_or_the_certificate() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let token = world.customer_session(&customer).await;
        let issue = async |key: &str| {
            let url = world.public_url("/customers/me/cards/virtual");
            let request = world.nobody.post(url).bearer_auth(&token).header("Public-Key", key);
            let request = request.header("Encrypted-Response", "true");
            send(request.json(&json!({ "balanceId": balance, "configId": "0019167984" }))).await
        };
        let card = decrypted(&issue(&public_key()).await.expect(StatusCode::CREATED));
        assert_eq!(text(&card, "pan").len(), 16);
        let stolen = josekit::jwk::alg::rsa::RsaKeyPair::generate(2048).unwrap();
        let stolen = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            stolen.to_pem_public_key(),
        );
        issue(&stolen).await.expect_error(400, "INVALID_PUBLIC_KEY");

        let mine = caller_key().to_pem_public_key();
        let mine = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mine);
        let other = world.post("/secure/keys", &json!({ "publicKey": stolen })).await;
        other.expect(StatusCode::CREATED);
        let request = world.virtual_card(&customer, &balance, "0019167984");
        send(request).await.expect_error(400, "INVALID_PUBLIC_KEY");
        let back = world.post("/secure/keys", &json!({ "publicKey": mine })).await;
        back.expect(StatusCode::CREATED);
        world.card(&customer, &balance, "0019167984").await;
        let bad = world.post("/secure/keys", &json!({ "publicKey": "bm8=" })).await;
        bad.expect_error(400, "INVALID_PUBLIC_KEY");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_connects_from_its_networks_only() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        for (network, status) in [("10.0.0.0/8", 403), ("127.0.0.0/8", 200)] {
            world.stop_server().await;
            world.config.clients[0].networks = vec![network.parse().unwrap()];
            world.start_server().await;
            let got = world.get(&path).await;
            assert_eq!(got.status, status, "{network}");
            if status == 403 {
                got.expect_error(403, "ADDRESS_FORBIDDEN");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_customer_is_locked_in_the_switch() {
    on_each(async |world| {
        let customer = world.customer().await;
        let act = async |what: &str| {
            let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}/{what}"));
            let request = world.partner.post(url).header("Issuer-Code", "sandbox");
            let request = request.header("Application-Id", "SBX-APP-ID");
            send(request.header("Collection", "lifecycle")).await.status
        };
        let told = |locked: bool| {
            world.peer.count_changes(|change| {
                matches!(change, shared::command::Change::PutCustomer { aml_locked, .. }
                    if *aml_locked == locked)
            })
        };
        assert_eq!((told(true), told(false)), (0, 1));
        assert_eq!(act("lock").await, 204);
        assert_eq!((told(true), told(false)), (1, 1));
        assert_eq!(act("unlock").await, 204);
        assert_eq!((told(true), told(false)), (1, 2));
    })
    .await;
}
