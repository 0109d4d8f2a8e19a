//! What partners are told: by real HTTP and TLS, in order, once more until it is taken, signed.

use aws_lc_rs::hmac;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mgmt_api::auth::role::Roles;
use mgmt_api::pki;
use mgmt_api::store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use shared::command::Command;

use crate::fees::reversal;
use crate::partner::{Partner, Taken};
use crate::quick_start::form;
use crate::world::{World, decrypted, on_each, public_key, send, text, until};

/// Not what is under way.
const RETRY_NOW: &str = "UPDATE deliveries SET next_at_ms = 0 \
     WHERE state = 'PENDING' AND status IS NOT NULL";

impl World {
    /// An endpoint at a partner's server; its id and its key.
    pub(crate) async fn endpoint(&self, partner: &Partner, events: &[&str]) -> (String, Vec<u8>) {
        let body = json!({ "url": partner.url, "events": events });
        let made = self.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        // What happens from now on is told when the feed has looked.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        (text(&made, "endpointId"), key(&text(&made, "secret")))
    }

    async fn events(&self) -> Vec<Value> {
        let page = self.get("/secure/events?limit=50").await.expect(StatusCode::OK);
        page["items"].as_array().unwrap().clone()
    }
}

fn key(secret: &str) -> Vec<u8> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap()
}

/// Waits for so many requests.
pub(crate) async fn arrived(partner: &Partner, count: usize) -> Vec<Taken> {
    until(async || partner.taken().len() >= count).await;
    let taken = partner.taken();
    assert_eq!(taken.len(), count);
    taken
}

/// The signature of Standard Webhooks.
fn signature(taken: &Taken, key: &[u8]) -> String {
    let head = format!("{}.{}.", taken.header("webhook-id"), taken.header("webhook-timestamp"));
    let signed = [head.as_bytes(), &taken.bytes].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed);
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_told_of_each_transaction_as_the_seed_prints_it() {
    on_each(async |world| {
        let partner = Partner::start().await;
        let (endpoint, key) = world.endpoint(&partner, &["transaction"]).await;
        let holder = world.holder().await;
        let payment = world.shop(500, 1_230);
        world.peer.message(Command::Authorize(payment));
        world.peer.message(Command::Authorize(world.shop(501, 99_999)));
        world.clear(&payment, 502, 1_200);
        let taken = arrived(&partner, 4).await;
        let mut told: Vec<_> = taken.iter().map(Taken::json).collect();
        // The top-up is of no card: it may come between.
        told.retain(|told| told["transaction"]["resource"] == "card");
        let seen: Vec<_> = told
            .iter()
            .map(|told| {
                let about = &told["transaction"];
                let words = [&told["status"], &told["description"], &about["status"]];
                (words.map(|word| word.as_str().unwrap().to_owned()), about["amount"].clone())
            })
            .collect();
        let row = |words: [&str; 3], amount: i64| (words.map(str::to_owned), json!(amount));
        assert_eq!(
            seen,
            [
                row(["SUCCESS", "APPROVED", "AUTHORIZED"], 1_230),
                row(["DECLINED", "INSUFFICIENT_FUNDS", "DECLINED"], 99_999),
                row(["SUCCESS", "APPROVED", "CLEARED"], 1_200),
            ]
        );
        let printed = [
            "id",
            "balanceId",
            "resourceId",
            "resource",
            "cardId",
            "externalTransactionId",
            "referenceExternalTransactionId",
            "type",
            "category",
            "amount",
            "currency",
            "originalAmount",
            "originalCurrency",
            "status",
            "description",
            "date",
            "referenceExternalTransactionDate",
            "transactionData",
        ];
        assert_eq!(members(&told[0]["transaction"]), printed);
        assert_eq!(members(&told[0]), ["status", "date", "description", "transaction"]);
        assert_eq!(told[0]["transaction"]["id"], told[2]["transaction"]["id"]);
        for one in &taken {
            assert_eq!(one.path, "/base/notifications/transaction");
            assert_eq!(one.header("content-type"), "application/json");
            assert_eq!(one.header("webhook-signature"), signature(one, &key));
            assert_eq!(one.header("x-idempotency-key"), one.header("webhook-id"));
        }
        until(async || world.events().await.iter().all(is_delivered)).await;
        let events = world.events().await;
        assert_eq!(events.len(), 4);
        let listed = events.iter().find(|event| event["body"] == told[0]).unwrap();
        assert_eq!(listed["deliveries"][0]["endpointId"], endpoint.as_str());
        assert_eq!(listed["deliveries"][0]["status"], 204);
        let shown = world.transactions(&holder.customer, "").await;
        assert_eq!(shown["items"].as_array().unwrap().len(), 3);
    })
    .await;
}

fn is_delivered(event: &Value) -> bool {
    event["deliveries"].as_array().unwrap().iter().all(|it| it["state"] == "DELIVERED")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_told_of_each_state_of_an_identity_check() {
    on_each(async |world| {
        let partner = Partner::start().await;
        world.endpoint(&partner, &["verification"]).await;
        let customer = world.unchecked().await;
        let first = world.register(&customer, form()).await;
        arrived(&partner, 1).await;
        let rejection = json!({ "reason": "DOCUMENT_EXPIRED" });
        let path = format!("/admin/verifications/{first}/reject");
        world.admin(Method::POST, &path, Some(&rejection)).await.expect(StatusCode::NO_CONTENT);
        arrived(&partner, 2).await;
        let second = world.register(&customer, form()).await;
        let path = format!("/admin/verifications/{second}/accept");
        world.admin(Method::POST, &path, None).await.expect(StatusCode::NO_CONTENT);
        let taken = arrived(&partner, 4).await;
        let said: Vec<_> = taken.iter().map(|one| (one.path.clone(), one.json())).collect();
        let body = |id: &str, status: &str, reason: Value| {
            json!({ "verificationId": id, "userId": customer, "email": "ada@example.com",
                "firstName": "Ada", "lastName": "Nowak", "status": status, "reason": reason })
        };
        let path = |name: &str| format!("/base/notifications/verification{name}");
        assert_eq!(
            said,
            [
                (path("InProgress"), body(&first, "IN_PROGRESS", Value::Null)),
                (path("Rejected"), body(&first, "REJECTED", json!("DOCUMENT_EXPIRED"))),
                (path("InProgress"), body(&second, "IN_PROGRESS", Value::Null)),
                (path("Accepted"), body(&second, "ACCEPTED", Value::Null)),
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_six_times_with_one_body_and_key_and_in_order() {
    on_each(async |world| {
        let partner = Partner::start().await;
        world.endpoint(&partner, &["transaction"]).await;
        world.holder().await;
        arrived(&partner, 1).await;
        partner.answer(&[500, 302, 200]);
        let payment = world.shop(600, 1_000);
        world.peer.message(Command::Authorize(payment));
        let back = reversal(payment.key, 601, Some(payment.token));
        world.peer.message(Command::Reverse(back));
        until(async || {
            world.database.execute(RETRY_NOW).await;
            partner.taken().len() >= 5
        })
        .await;
        let taken = arrived(&partner, 5).await;
        let tries = &taken[1..4];
        let id = |one: &Taken| one.header("webhook-id").to_owned();
        assert!(tries.iter().all(|one| one.bytes == tries[0].bytes && id(one) == id(&tries[0])));
        // What comes behind it on the same card waited.
        assert_ne!(id(&taken[4]), id(&tries[0]));
        assert_eq!(taken[4].json()["transaction"]["status"], "REVERSED");

        partner.answer(&[500; 6]);
        world.peer.message(Command::Authorize(world.shop(602, 1_000)));
        until(async || {
            world.database.execute(RETRY_NOW).await;
            let last = world.events().await.pop().unwrap();
            last["deliveries"][0]["state"] == "FAILED"
        })
        .await;
        let last = world.events().await.pop().unwrap();
        assert_eq!(
            (&last["deliveries"][0]["attempts"], &last["deliveries"][0]["status"]),
            (&json!(6), &json!(500))
        );
        assert_eq!(partner.taken().len(), 11);
        // Told again, it is the same once more.
        let wish = json!({ "from": "2020-01-01", "to": "2020-01-02" });
        let none = world.post("/secure/events/replay", &wish).await.expect(StatusCode::ACCEPTED);
        assert_eq!(none["deliveries"], 0);
        let begun = world.post("/secure/events/replay", &json!({})).await;
        assert_eq!(begun.expect(StatusCode::ACCEPTED)["deliveries"], 4);
        let taken = arrived(&partner, 15).await;
        let again: Vec<_> = taken[11..].iter().map(|one| (id(one), one.bytes.clone())).collect();
        for (key, bytes) in again {
            assert!(taken[..11].iter().any(|one| id(one) == key && one.bytes == bytes));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_make_change_and_forget_a_partners_endpoints() {
    on_each(async |world| {
        let partner = Partner::start().await;
        let theirs = "/admin/partners/1/endpoints";
        let wish =
            |state: &str| json!({ "url": partner.url, "events": ["transaction"], "state": state });
        let made = world.admin(Method::POST, theirs, Some(&wish("ACTIVE"))).await;
        let made = made.expect(StatusCode::CREATED);
        let at = format!("/admin/endpoints/{}", text(&made, "endpointId"));
        let ping = world.admin(Method::POST, &format!("{at}/ping"), Some(&json!({}))).await;
        ping.expect(StatusCode::NO_CONTENT);
        let taken = arrived(&partner, 1).await;
        let signed = signature(&taken[0], &key(&text(&made, "secret")));
        assert_eq!(taken[0].header("webhook-signature"), signed);
        let put = world.admin(Method::PUT, &at, Some(&wish("PAUSED"))).await;
        assert_eq!(put.expect(StatusCode::OK)["state"], "PAUSED");
        let listed = world.get("/secure/endpoints").await.json();
        assert_eq!(listed["items"], json!([world.admin(Method::GET, &at, None).await.json()]));

        // Another partner's operators neither see nor make any here.
        let ann = world.operator("ann", Roles::ADMIN, Some("2")).await;
        let body = wish("ACTIVE");
        let got = world.with(&ann, Method::POST, theirs, Some(&body)).await;
        got.expect_error(404, "PARTNER_NOT_FOUND");
        for (method, body) in
            [(Method::GET, None), (Method::PUT, Some(&body)), (Method::DELETE, None)]
        {
            let got = world.with(&ann, method, &at, body).await;
            got.expect_error(404, "ENDPOINT_NOT_FOUND");
        }
        // Where passwords go is no manager's to say.
        let bob = world.operator("bob", Roles::MANAGER, None).await;
        let otp = json!({ "url": partner.url, "events": ["otp"] });
        for (method, path) in [(Method::POST, theirs), (Method::PUT, &*at)] {
            world.with(&bob, method, path, Some(&otp)).await.expect_error(403, "FORBIDDEN");
        }
        world.admin(Method::PUT, &at, Some(&otp)).await.expect(StatusCode::OK);
        let got = world.with(&bob, Method::DELETE, &at, None).await;
        got.expect_error(403, "FORBIDDEN");
        world.admin(Method::DELETE, &at, None).await.expect(StatusCode::NO_CONTENT);
        world.admin(Method::GET, &at, None).await.expect_error(404, "ENDPOINT_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_paused_pinged_given_another_key_and_forgotten() {
    on_each(async |world| {
        let partner = Partner::start().await;
        let (endpoint, first) = world.endpoint(&partner, &["verification", "transaction"]).await;
        let path = format!("/secure/endpoints/{endpoint}");
        let ping = async || {
            let got = world.post(&format!("{path}/ping"), &json!({})).await;
            got.expect(StatusCode::NO_CONTENT);
        };
        ping().await;
        let taken = arrived(&partner, 1).await;
        assert_eq!(taken[0].path, "/base/notifications/ping");
        assert_eq!(taken[0].json()["endpointId"], endpoint.as_str());
        assert_eq!(taken[0].header("webhook-signature"), signature(&taken[0], &first));
        let changed = world.post(&format!("{path}/secret"), &json!({})).await;
        let second = key(&text(&changed.expect(StatusCode::OK), "secret"));
        ping().await;
        let taken = arrived(&partner, 2).await;
        let both = [&second, &first].map(|key| signature(&taken[1], key)).join(" ");
        assert_eq!(taken[1].header("webhook-signature"), both);

        let listed = world.get("/secure/endpoints").await.json();
        let shown = json!({ "endpointId": endpoint, "url": partner.url,
            "events": ["transaction", "verification"], "state": "ACTIVE", "encrypted": false,
            "certificateUntil": null });
        assert_eq!(listed["items"], json!([shown]));
        assert_eq!(world.get(&path).await.json(), shown);
        let paused = json!({ "url": partner.url, "events": ["transaction"], "state": "PAUSED" });
        let put = send(world.secure(Method::PUT, &path).json(&paused)).await;
        assert_eq!(put.expect(StatusCode::OK)["state"], "PAUSED");
        let holder = world.holder().await;
        world.until_history().await;
        // It is written down, and delivered when it is told again.
        let listed = world.events().await;
        assert_eq!(listed.last().unwrap()["deliveries"], json!([]));
        let active = json!({ "url": partner.url, "events": ["transaction"] });
        let put = send(world.secure(Method::PUT, &path).json(&active)).await;
        put.expect(StatusCode::OK);
        assert_eq!(partner.taken().len(), 2);
        let begun = world.post("/secure/events/replay", &json!({})).await;
        assert_eq!(begun.expect(StatusCode::ACCEPTED)["deliveries"], 1);
        let taken = arrived(&partner, 3).await;
        assert_eq!(taken[2].json()["transaction"]["id"], holder.top_up.as_str());

        send(world.secure(Method::DELETE, &path)).await.expect(StatusCode::NO_CONTENT);
        world.get(&path).await.expect_error(404, "ENDPOINT_NOT_FOUND");
        for body in [
            json!({ "url": "ftp://api.example.com", "events": ["transaction"] }),
            json!({ "url": "https://api.example.com", "events": ["weather"] }),
            json!({ "url": "https://api.example.com", "events": [] }),
        ] {
            world.post("/secure/endpoints", &body).await.expect_error(400, "INVALID_REQUEST");
        }
        let body = json!({ "url": "https://127.0.0.1:9", "events": ["transaction"] });
        for _one in 0..10 {
            world.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        }
        world.post("/secure/endpoints", &body).await.expect_error(409, "TOO_MANY_ENDPOINTS");
        let url = world.secure_url("/secure/events");
        let others = send(world.stranger.get(url)).await.expect(StatusCode::OK);
        assert_eq!(others["items"], json!([]));
        let page = world.get("/secure/events?limit=1").await.json();
        let after = text(&page["items"][0], "eventId");
        let next = world.get(&format!("/secure/events?after={after}&limit=50")).await.json();
        assert_eq!(next["items"].as_array().unwrap().len() + 1, listed.len());
        world.get("/secure/events?after=1").await.expect_error(400, "INVALID_REQUEST");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_go_over_tls_with_the_certificate_that_the_partner_signed_and_outlive_a_stop() {
    on_each(async |world| {
        let pki = world.path("pki");
        world.stop_server().await;
        let ca = pki.join("ca.pem");
        world.config.notices.ca = Some(ca.clone());
        world.start_server().await;
        let server = (pki.join("server.crt"), pki.join("server.key"));
        let partner = Partner::start_tls(&server.0, &server.1, &ca).await;
        partner.want_certificates();
        let (endpoint, _key) = world.endpoint(&partner, &["transaction"]).await;
        let at = format!("/secure/endpoints/{endpoint}");
        let put = async |certificate: &str| {
            let body = json!({ "certificate": certificate });
            send(world.secure(Method::PUT, &format!("{at}/certificate")).json(&body)).await
        };
        let asked = world.post(&format!("{at}/certificate-request"), &json!({})).await;
        let request = text(&asked.expect(StatusCode::CREATED), "certificateRequest");
        let (others, _key) = pki::issue_client(&pki, "somebody").unwrap();
        let others = std::fs::read_to_string(others).unwrap();
        put(&others).await.expect_error(400, "INVALID_REQUEST");
        put("no certificate").await.expect_error(400, "INVALID_REQUEST");
        let signed = pki::sign_request(&pki, &request, "issuer", 30, false).unwrap();
        let shown = put(&signed).await.expect(StatusCode::OK);
        assert!(text(&shown, "certificateUntil").starts_with("20"));

        partner.answer(&[503]);
        world.holder().await;
        arrived(&partner, 1).await;
        world.stop_server().await;
        world.database.execute(RETRY_NOW).await;
        world.start_server().await;
        let taken = arrived(&partner, 2).await;
        assert_eq!(taken[0].bytes, taken[1].bytes);
        assert_eq!(taken[0].header("webhook-id"), taken[1].header("webhook-id"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_encrypted_to_the_key_that_the_partner_has_now() {
    on_each(async |world| {
        let partner = Partner::start().await;
        partner.set_key(&public_key());
        let body = json!({ "url": partner.url, "events": ["transaction"], "encrypted": true });
        world.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let holder = world.holder().await;
        let taken = arrived(&partner, 1).await;
        assert_eq!(taken[0].header("encrypted-request"), "true");
        let ours = world.get("/secure/public_key").await.json();
        assert_eq!(taken[0].header("public-key"), text(&ours, "publicKey"));
        let plain = decrypted(&taken[0].json());
        assert_eq!(plain["transaction"]["id"], holder.top_up.as_str());
        assert_eq!(partner.keys_asked(), 1);
        // What is not taken may be for another key: it is asked for again, and only then.
        partner.answer(&[400]);
        world.peer.message(Command::Authorize(world.shop(700, 100)));
        arrived(&partner, 2).await;
        partner.set_key("nonsense");
        until(async || partner.keys_asked() == 2).await;
        partner.set_key(&public_key());
        until(async || partner.taken().len() == 3).await;
        let taken = partner.taken();
        assert_eq!(decrypted(&taken[1].json()), decrypted(&taken[2].json()));
        world.peer.message(Command::Authorize(world.shop(701, 100)));
        arrived(&partner, 4).await;
        assert_eq!(partner.keys_asked(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_here_is_no_try_of_the_partners_and_what_is_old_is_forgotten() {
    on_each(async |world| {
        let partner = Partner::start().await;
        world.endpoint(&partner, &["transaction"]).await;
        partner.answer(&[500]);
        world.holder().await;
        arrived(&partner, 1).await;
        let store = Store::open(&world.database.url).await.unwrap();
        let tries = async || store.deliveries(1).await.unwrap()[0].attempts;
        until(async || tries().await == 1).await;
        // It cannot be opened any more: it is not sent, and not counted.
        world.database.execute("UPDATE notices SET origin = 'another'").await;
        until(async || store.deliveries(1).await.unwrap()[0].status.is_none()).await;
        until(async || tries().await == 1).await;
        assert_eq!(partner.taken().len(), 1);
        assert_eq!(store.drop_notices(0).await.unwrap(), 0);
        assert_eq!(store.drop_notices(i64::MAX).await.unwrap(), 1);
        assert_eq!(world.events().await, Vec::<Value>::new());
        store.close().await;
    })
    .await;
}
