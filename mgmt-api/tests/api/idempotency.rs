//! Idempotency keys over requests, crashes and restarts. Source: requirements #63.

use axum::http::StatusCode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::command::Change;

use crate::cards::sealed;
use crate::channels::WALLET_PIN;
use crate::peer::Mode;
use crate::world::{Got, World, decrypted, on_each, plain_wallet, public_key, send, text};

type Request<'a> = dyn Fn() -> RequestBuilder + 'a;

struct Funded {
    customer: String,
    balance: String,
}

impl Funded {
    async fn new(world: &World) -> Self {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        Self { customer, balance }
    }

    fn top_up(&self, world: &World, key: &str, body: &Value) -> RequestBuilder {
        let Self { customer, balance } = self;
        world
            .secure(Method::POST, &format!("/secure/customers/{customer}/balances/{balance}/topup"))
            .header("X-Idempotency-Key", key)
            .json(body)
    }

    fn card(&self, world: &World, key: &str) -> RequestBuilder {
        world
            .virtual_card(&self.customer, &self.balance, "0019167984")
            .header("X-Idempotency-Key", key)
    }

    async fn amount(&self, world: &World) -> i64 {
        let Self { customer, balance } = self;
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        world.get(&path).await.json()["amount"].as_i64().unwrap()
    }
}

fn ten() -> Value {
    json!({ "amount": 10, "currency": "EUR" })
}

/// The same bytes and headers, but for the mark and the request's own id.
#[track_caller]
fn assert_repeats(first: &Got, second: &Got) {
    assert_eq!((first.status, &first.bytes), (second.status, &second.bytes));
    assert!(!first.headers.contains_key("idempotency-hit"));
    assert_eq!(second.headers["idempotency-hit"], "true");
    assert_eq!(first.headers.get("content-type"), second.headers.get("content-type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_bytes_and_acts_once() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        let first = send(funded.top_up(world, "k1", &ten())).await;
        first.expect(StatusCode::CREATED);
        assert_repeats(&first, &send(funded.top_up(world, "k1", &ten())).await);
        let reordered = r#"{"currency":"EUR",  "amount":10}"#;
        let request = funded.top_up(world, "k1", &ten()).body(reordered);
        assert_repeats(&first, &send(request).await);
        world.stop_server().await;
        world.start_server().await;
        assert_repeats(&first, &send(funded.top_up(world, "k1", &ten())).await);
        assert_eq!(funded.amount(world).await, 10);

        let other = send(funded.top_up(world, "k2", &ten())).await;
        assert_ne!(other.bytes, first.bytes);
        assert_eq!(funded.amount(world).await, 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_answer_is_repeated_as_the_same_token() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        let first = send(funded.card(world, "k1")).await;
        first.expect(StatusCode::CREATED);
        let second = send(funded.card(world, "k1")).await;
        assert_repeats(&first, &second);
        assert_eq!(decrypted(&first.json()), decrypted(&second.json()));
        assert_eq!(world.peer.count_changes(|change| matches!(change, Change::IssueCard(_))), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_answer_too() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        let wrong = json!({ "amount": 10, "currency": "PLN" });
        let first = send(funded.top_up(world, "k1", &wrong)).await;
        first.expect_error(422, "CURRENCY_MISMATCH");
        assert_repeats(&first, &send(funded.top_up(world, "k1", &wrong)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_the_same_key_is_refused() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        send(funded.top_up(world, "k1", &ten())).await.expect(StatusCode::CREATED);
        let other = json!({ "amount": 11, "currency": "EUR" });
        let got = send(funded.top_up(world, "k1", &other)).await;
        got.expect_error(422, "IDEMPOTENCY_KEY_REUSED");
        let both = funded.top_up(world, "k1", &ten()).header("Idempotency-Key", "k2");
        send(both).await.expect_error(400, "INVALID_IDEMPOTENCY_KEY");
        let long = "k".repeat(129);
        let got = send(funded.top_up(world, &long, &ten())).await;
        got.expect_error(400, "INVALID_IDEMPOTENCY_KEY");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_caller() {
    on_each(async |world| {
        let wallet = |client| world.wallet(client, &plain_wallet()).header("Idempotency-Key", "k");
        let ours = send(wallet(&world.partner)).await;
        let theirs = send(wallet(&world.stranger)).await;
        assert_eq!((ours.status, theirs.status), (201, 201));
        assert_ne!(ours.bytes, theirs.bytes);
        assert_repeats(&ours, &send(wallet(&world.partner)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_under_way_is_a_conflict_and_a_reconnect_sends_again() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        world.peer.set_mode(Mode::Ignore);
        let mut one = tokio::spawn(send(funded.top_up(world, "k1", &ten())));
        let mut other = tokio::spawn(send(funded.top_up(world, "k1", &ten())));
        let (conflict, first) = tokio::select! {
            got = &mut one => (got, other),
            got = &mut other => (got, one),
        };
        let conflict = conflict.unwrap();
        conflict.expect_error(409, "IDEMPOTENCY_KEY_IN_USE");
        assert!(conflict.headers.contains_key("retry-after"));
        world.peer.set_mode(Mode::Answer);
        world.peer.cut();
        let mut first = first.await.unwrap();
        if first.status == 503 {
            first = send(funded.top_up(world, "k1", &ten())).await;
        }
        first.expect(StatusCode::CREATED);
        assert_eq!(funded.amount(world).await, 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_switch_is_asked_again_until_the_deadline() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        world.peer.set_mode(Mode::Busy);
        let late = send(funded.top_up(world, "k1", &ten())).await;
        late.expect_error(503, "SWITCH_UNAVAILABLE");
        assert!(late.headers.contains_key("retry-after"));
        world.peer.set_mode(Mode::Answer);
        send(funded.top_up(world, "k1", &ten())).await.expect(StatusCode::CREATED);
        assert_eq!(funded.amount(world).await, 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_cut_off_by_a_crash_is_resumed_with_the_same_ids() {
    on_each(async |world| {
        world.stop_server().await;
        world.start_process().await;
        let funded = Funded::new(world).await;
        let before = world.peer.last_sequence();
        // The switch applies both, but its answers are lost, and the server dies.
        world.peer.set_mode(Mode::Swallow);
        let money = tokio::spawn(send(funded.top_up(world, "money", &ten())));
        world.peer.until_sequence(before + 1).await;
        let card = tokio::spawn(send(funded.card(world, "card")));
        world.peer.until_sequence(before + 2).await;
        world.kill_process().await;
        // Both callers see their connection end.
        assert!(money.await.is_err() && card.await.is_err());
        world.peer.set_mode(Mode::Answer);
        world.start_process().await;

        let money = send(funded.top_up(world, "money", &ten())).await;
        money.expect(StatusCode::CREATED);
        assert_eq!(funded.amount(world).await, 10);
        let is_top_up = |change: &Change| matches!(change, Change::TopUp { .. });
        assert_eq!(world.peer.count_changes(is_top_up), 1);

        let card = send(funded.card(world, "card")).await;
        let issued = decrypted(&card.expect(StatusCode::CREATED));
        let is_issue = |change: &Change| matches!(change, Change::IssueCard(_));
        assert_eq!(world.peer.count_changes(is_issue), 1);
        let path = format!("/secure/customers/{}/balances/{}", funded.customer, funded.balance);
        let cards = world.get(&path).await.json()["cards"].clone();
        assert_eq!(cards.as_array().unwrap().len(), 1);
        assert_eq!(cards[0]["id"], issued["id"]);
        assert_repeats(&card, &send(funded.card(world, "card")).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_survives_a_switch_that_goes_away() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        world.peer.stop();
        let got = send(funded.top_up(world, "k1", &ten())).await;
        got.expect_error(503, "SWITCH_UNAVAILABLE");
        assert_eq!(world.get_public("/livez").await.status, 200);
        world.peer.resume();
        world.until_ready().await;
        send(funded.top_up(world, "k1", &ten())).await.expect(StatusCode::CREATED);
        assert_eq!(funded.amount(world).await, 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_bounded_for_each_caller() {
    on_each(async |world| {
        let funded = Funded::new(world).await;
        world.stop_server().await;
        world.config.limits.idempotency_keys_max = 2;
        world.start_server().await;
        for key in ["k1", "k2"] {
            send(funded.top_up(world, key, &ten())).await.expect(StatusCode::CREATED);
        }
        let got = send(funded.top_up(world, "k3", &ten())).await;
        got.expect_error(429, "TOO_MANY_IDEMPOTENCY_KEYS");
        let hit = send(funded.top_up(world, "k2", &ten())).await;
        assert_eq!(hit.headers["idempotency-hit"], "true");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_takes_a_key() {
    on_each(async |world| {
        let Funded { customer, balance } = Funded::new(world).await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let at = |rest: &str| format!("/secure/customers/{customer}/{rest}");
        let post = |path: String, body: Value| world.secure(Method::POST, &path).json(&body);
        let lock = json!({ "reason": 7 });
        let requests: [(&str, Box<Request<'_>>); 5] = [
            ("wallet", Box::new(|| world.wallet(&world.partner, &plain_wallet()))),
            ("balance", Box::new(|| post(at("balances"), json!({ "currency": "EUR" })))),
            ("lock", Box::new(|| post(at(&format!("cards/{card}/lock")), lock.clone()))),
            ("unlock", Box::new(|| post(at(&format!("cards/{card}/unlock")), json!({})))),
            (
                "register",
                Box::new(|| {
                    let form = crate::quick_start::form();
                    world.secure(Method::POST, &at("register")).multipart(form)
                }),
            ),
        ];
        for (name, request) in requests {
            let first = send(request().header("Idempotency-Key", name)).await;
            assert!(first.status < 300, "{name} {first:?}");
            assert_repeats(&first, &send(request().header("Idempotency-Key", name)).await);
        }
        let open = json!({ "kind": "deposit", "currency": "EUR" });
        let admin = || {
            world
                .nobody
                .post(world.public_url("/admin/partners/1/balances"))
                .bearer_auth(&world.admin_token)
                .header("Idempotency-Key", "a")
                .json(&open)
        };
        let first = send(admin()).await;
        first.expect(StatusCode::CREATED);
        assert_repeats(&first, &send(admin()).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_key_is_part_of_the_request() {
    on_each(async |world| {
        let Funded { customer, balance } = Funded::new(world).await;
        let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
        let plain = world.secure(Method::POST, &path).header("Idempotency-Key", "k").json(&ten());
        send(plain).await.expect(StatusCode::CREATED);
        let encrypted = world
            .secure(Method::POST, &path)
            .header("Idempotency-Key", "k")
            .header("Encrypt-Response", "true")
            .header("Public-Key", public_key())
            .json(&ten());
        send(encrypted).await.expect_error(422, "IDEMPOTENCY_KEY_REUSED");
    })
    .await;
}

/// Requirements #37, #42: two minutes after the wallet PIN it is asked for again, but not for what
/// was done and answered before.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_was_set_is_answered_again_after_the_two_minutes_of_the_wallet_pin() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167989").await, "id");
        let token = world.customer_session(&customer).await;
        let asking = |method: Method, what: &str, key: &str| {
            let url = world.public_url(&format!("/customers/me/cards/{card}/{what}"));
            let request = world.nobody.request(method, url).bearer_auth(&token);
            request.header("Idempotency-Key", key).header("Public-Key", public_key())
        };
        // Each is encrypted anew: it is the same request for what is in it.
        let set = async |key: &str, pin: &str| {
            let payload = sealed(world, &json!({ "pin": pin })).await;
            let request = asking(Method::POST, "pin", key).header("Encrypted-Request", "true");
            send(request.json(&json!({ "payload": payload }))).await
        };
        let full = async || {
            let request = asking(Method::GET, "full", "look");
            send(request.header("Encrypted-Response", "true")).await
        };
        let first = set("k", "4711").await;
        assert_eq!(first.status, 204);
        let later = "UPDATE sessions SET stepped_up_until_ms = stepped_up_until_ms - 60000";
        world.database.execute(later).await;
        let seen = decrypted(&full().await.expect(StatusCode::OK));
        world.database.execute(later).await;
        // What is only looked at is not kept under a key: the number does not leave again.
        full().await.expect_error(403, "STEP_UP_REQUIRED");
        set("other", "4822").await.expect_error(403, "STEP_UP_REQUIRED");
        assert_repeats(&first, &set("k", "4711").await);
        set("k", "4822").await.expect_error(422, "IDEMPOTENCY_KEY_REUSED");
        let set_pins = |change: &Change| matches!(change, Change::SetPin { .. });
        assert_eq!(world.peer.count_changes(set_pins), 1);

        let (path, pin) = ("/customers/sessions/current/step-up", json!({ "wPIN": WALLET_PIN }));
        let up = world.with(&token, Method::POST, path, Some(&pin)).await;
        up.expect(StatusCode::OK);
        assert_eq!(decrypted(&full().await.expect(StatusCode::OK)), seen);
        assert_eq!(set("other", "4822").await.status, 204, "a refusal was not kept");
        assert_eq!(world.peer.count_changes(set_pins), 2);
    })
    .await;
}
