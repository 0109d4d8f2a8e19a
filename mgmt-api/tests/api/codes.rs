//! Codes that no other test is about: bounds, races, and what went wrong inside.

use axum::http::StatusCode;
use reqwest::Method;
use rustls::pki_types::ServerName;
use serde_json::json;
use shared::command::{Change, Command};
use shared::ids::{CardId, CommandId, RuleId};
use shared::limits::CARDS_A_BALANCE_MAX;
use shared::rule::{Bound, Filter, Period, RULES_A_SUBJECT_MAX, Rule, Subject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bounds::connector;
use crate::peer::Mode;
use crate::world::{NETWORK, World, on_each, public_key, send, text};

fn manage(world: &World, id: u128, change: Change) {
    world.peer.apply(Command::Manage(CommandId(id), change));
}

fn card_id(card: &str) -> CardId {
    CardId(card.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_customer_moves_no_money_and_collateral_must_match() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let token = world.customer_session(&customer).await;
        let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}/lock"));
        let request = world.partner.post(url).header("Issuer-Code", "sandbox");
        let request = request.header("Application-Id", "SBX-APP-ID");
        assert_eq!(send(request.header("Collection", "lifecycle")).await.status, 204);
        let body = json!({ "toBalanceId": balance, "amount": 1, "currency": "EUR" });
        let path = format!("/customers/me/balances/{balance}/transfer");
        let got = world.with(&token, Method::POST, &path, Some(&body)).await;
        got.expect_error(409, "USER_LOCKED");

        let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
        world.post(&path, &json!({ "amount": 1, "currency": "EUR" })).await;
        let got = send(world.virtual_card(&customer, &balance, "0019167986")).await;
        got.expect_error(409, "BALANCE_NOT_COVERED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_knows_the_last_generation_and_another_that_came_first() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let reset = async |key: &str| {
            let path = format!("/admin/customers/{customer}/cards/{card}/cvv/reset");
            let token = world.operator("ann", mgmt_api::auth::role::Roles::EMPLOYEE, None).await;
            let request = world.nobody.post(world.public_url(&path)).bearer_auth(token);
            let request = request.header("Public-Key", public_key()).header("Idempotency-Key", key);
            send(request.header("Encrypted-Response", "true")).await
        };
        world.peer.set_mode(Mode::Ignore);
        reset("a").await.expect_error(503, "SWITCH_UNAVAILABLE");
        let raise = |generation| Change::ResetCvv2 { card: card_id(&card), generation };
        manage(world, 1, raise(9));
        world.peer.set_mode(Mode::Answer);
        world.peer.cut();
        world.until_ready().await;
        reset("a").await.expect_error(409, "CONCURRENT_CHANGE");
        reset("b").await.expect(StatusCode::OK);
        manage(world, 2, raise(u16::MAX));
        reset("c").await.expect_error(409, "TOO_MANY_RESETS");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_full_says_so() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        for _more in 1..CARDS_A_BALANCE_MAX {
            world.card(&customer, &balance, "0019167984").await;
        }
        let got = send(world.virtual_card(&customer, &balance, "0019167984")).await;
        got.expect_error(409, "TOO_MANY_CARDS");

        // Removed ones leave room, and what is there may be less by configuration.
        let gone = format!("/admin/customers/{customer}/cards/{card}");
        world.admin(Method::DELETE, &gone, None).await.expect(StatusCode::NO_CONTENT);
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        world.stop_server().await;
        world.config.limits.balances_per_customer_max = 2;
        world.config.limits.cards_per_balance_max = 1;
        world.start_server().await;
        let second = world.balance(&customer, "EUR").await;
        world.card(&customer, &second, "0019167984").await;
        let got = send(world.virtual_card(&customer, &second, "0019167984")).await;
        got.expect_error(409, "TOO_MANY_CARDS");
        let path = format!("/secure/customers/{customer}/balances");
        let got = world.post(&path, &json!({ "currency": "EUR" })).await;
        got.expect_error(409, "TOO_MANY_BALANCES");

        for id in 0..u128::try_from(RULES_A_SUBJECT_MAX).unwrap() {
            let rule = Rule {
                id: RuleId(id),
                subject: Subject::Card(card_id(&card)),
                filter: Filter::default(),
                bound: Bound::Count { period: Period::Day, max: 9 },
                zone: "UTC".to_owned(),
            };
            manage(world, 100 + id, Change::PutRule(rule));
        }
        let path = format!("/secure/customers/{customer}/cards/{card}/limits");
        let got = send(world.secure(Method::PUT, &path).json(&json!({ "daily": 5 }))).await;
        got.expect_error(503, "CAPACITY_REACHED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits_and_others_do_not() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        world.stop_server().await;
        world.config.limits.encrypted_per_second = 1;
        world.start_server().await;
        // What is encrypted has a rate of its own, of the caller's and of a network's bodies too.
        let key = public_key();
        let seen = async || {
            let request = world.stranger.get(world.secure_url("/secure/partner/balances"));
            let request = request.header("Public-Key", &key);
            send(request.header("Encrypted-Response", "true")).await.status
        };
        let locked = async || {
            let path = format!("/secure/processors/{NETWORK}/cards/lock");
            let request = world.network.post(world.secure_url(&path));
            let request = request.header("Encrypted-Request", "true");
            send(request.json(&json!({ "payload": "x" }))).await.status
        };
        let (mut answers, mut locks) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            answers.push(seen().await);
            locks.push(locked().await);
        }
        assert!(answers.starts_with(&[200, 200]) && answers.contains(&429), "{answers:?}");
        assert!(locks.starts_with(&[400, 400]) && locks.contains(&429), "{locks:?}");
        let url = world.secure_url("/secure/partner/balances");
        assert_eq!(send(world.stranger.get(url)).await.status, 200, "what is plain has another");
        world.stop_server().await;
        world.config.limits.requests_per_second = 1;
        world.config.limits.log_ins_per_second = 1;
        world.config.limits.encrypted_per_second = 1_000;
        world.start_server().await;
        for left in ["\"caller\";r=1;t=1", "\"caller\";r=0;t=2"] {
            let got = world.get(&path).await;
            assert_eq!((got.status, &got.headers["ratelimit"]), (200, &left.parse().unwrap()));
            assert_eq!(got.headers["ratelimit-policy"], "\"caller\";q=2;w=2");
        }
        let got = world.get(&path).await;
        got.expect_error(429, "RATE_LIMITED");
        assert_eq!(got.headers["ratelimit"], "\"caller\";r=0;t=2");
        assert!(got.headers.contains_key("retry-after"));
        let url = world.secure_url("/secure/partner/balances");
        assert_eq!(send(world.stranger.get(url)).await.status, 200);
        let body = json!({ "name": "ann", "password": "x" });
        for status in [401, 401, 429] {
            assert_eq!(world.post_public("/admin/sessions", &body).await.status, status);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_inside_is_not_told_outside() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let sql = "UPDATE cards SET pan_sealed = pan_token";
        world.database.execute(sql).await;
        let path = format!("/secure/customers/{customer}/cards/{card}/full");
        let request = world.secure(Method::GET, &path).header("Public-Key", public_key());
        let got = send(request.header("Encrypted-Response", "true")).await;
        got.expect_error(500, "INTERNAL_ERROR");
        assert!(!String::from_utf8_lossy(&got.bytes).contains("sealed"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_cap_and_bodies_that_do_not_come_are_answered() {
    on_each(async |world| {
        let customer = world.customer().await;
        world.stop_server().await;
        world.config.limits.requests_max = 1;
        world.config.switch.deadline_ms = 400;
        world.config.limits.request_timeout_ms = 500;
        world.start_server().await;
        world.peer.set_mode(Mode::Ignore);
        let received = world.peer.received();
        let path = format!("/secure/customers/{customer}/balances");
        let slow = world.secure(Method::POST, &path).json(&json!({ "currency": "EUR" }));
        let slow = tokio::spawn(send(slow));
        world.peer.until_received(received + 1).await;
        let got = world.get(&path).await;
        got.expect_error(503, "OVERLOADED");
        slow.await.unwrap().expect_error(503, "SWITCH_UNAVAILABLE");
        world.peer.set_mode(Mode::Answer);
        world.peer.cut();

        let url = world.public_url("");
        let stream = TcpStream::connect(url.split("//").nth(1).unwrap()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector(world).connect(name, stream).await.unwrap();
        let head = "POST /admin/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
                    Content-Type: application/json\r\nConnection: close\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("504") && answer.contains(r#""REQUEST_TIMEOUT""#), "{answer}");
    })
    .await;
}
