//! Who may stop what: a blocked balance, locks that a program leaves to its cardholders, a CVC2 that
//! is reset or that the network verifies, limits of both sides.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::Command;
use shared::control::{Query, View};
use shared::credential::software::SoftwareKeys;
use shared::credential::{Cvv, CvvKind, KeyProvider};
use shared::ids::CardId;
use shared::key_file::KeyFile;
use shared::pan::Pan;

use crate::world::{Got, World, decrypted, on_each, public_key, send, text};

/// The program of the tests' cards, as it was, with other rules.
async fn put_policy(world: &World, rules: Value) {
    let listed = world.admin(Method::GET, "/admin/programs", None).await.expect(StatusCode::OK);
    let items = listed["items"].as_array().unwrap();
    let shown = items.iter().find(|item| item["configId"] == "0019167984").unwrap();
    let mut program = shown["program"].clone();
    for (name, rule) in rules.as_object().unwrap() {
        program["policy"][name] = rule.clone();
    }
    let put = world.admin(Method::PUT, "/admin/programs/0019167984", Some(&program)).await;
    assert_eq!(put.status, 204, "{put:?}");
    let listed = world.admin(Method::GET, "/admin/programs", None).await.json();
    let mut items = listed["items"].as_array().unwrap().iter();
    assert_eq!(
        items.find(|item| item["configId"] == "0019167984").unwrap()["program"],
        program,
        "what is put is shown"
    );
}

/// Requirement #28.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_out_of_a_blocked_balance_until_it_is_unblocked() {
    on_each(async |world| {
        let holder = world.holder().await;
        let path = format!("/customers/{}/balances/{}", holder.customer, holder.balance);
        let at = format!("/secure{path}");
        let pay = |stan| {
            let request = Command::Authorize(world.shop(stan, 100));
            world.peer.message(request).reason
        };
        let ask = async |what: &str, body: Option<Value>| {
            let request = world.secure(Method::POST, &format!("{at}/{what}"));
            send(match body {
                Some(body) => request.json(&body),
                None => request,
            })
            .await
        };
        assert_eq!(pay(1), Reason::Approved);
        assert_eq!(ask("block", None).await.status, 204);
        assert_eq!(pay(2), Reason::BalanceBlocked, "with the answer");
        let shown = world.get(&at).await.json();
        assert_eq!((&shown["state"], &shown["blockedBy"]), (&json!("BLOCKED"), &json!("PARTNER")));
        let money = json!({ "amount": 10, "currency": "EUR" });
        ask("withdraw", Some(money.clone())).await.expect_error(409, "BALANCE_BLOCKED");
        let other = world.balance(&holder.customer, "EUR").await;
        let to = json!({ "toBalanceId": other, "amount": 10, "currency": "EUR" });
        ask("transfer", Some(to)).await.expect_error(409, "BALANCE_BLOCKED");
        ask("topup", Some(money.clone())).await.expect(StatusCode::CREATED);
        assert_eq!(ask("block", None).await.status, 204, "again is no error");
        assert_eq!(world.get(&at).await.json()["amount"], 10_010);

        // By an operator too; a cardholder locks cards instead.
        let admin = format!("/admin{path}");
        let by_operator = async |what: &str| {
            world.admin(Method::POST, &format!("{admin}/{what}"), None).await.status
        };
        assert_eq!(by_operator("block").await, 204);
        assert_eq!(world.get(&at).await.json()["blockedBy"], "ADMIN");
        assert_eq!(ask("block", None).await.status, 204, "it is blocked");
        ask("unblock", None).await.expect_error(409, "BLOCKED_BY_OTHER");
        assert_eq!(by_operator("unblock").await, 204);
        let shown = world.get(&at).await.json();
        assert_eq!((&shown["state"], &shown["blockedBy"]), (&json!("OPEN"), &Value::Null));
        assert_eq!(pay(3), Reason::Approved);
        ask("withdraw", Some(money)).await.expect(StatusCode::CREATED);
        let gone = format!("/admin/customers/{}/balances/{other}", holder.customer);
        assert_eq!(world.admin(Method::DELETE, &gone, None).await.status, 204);
        let got = world.admin(Method::POST, &format!("{gone}/block"), None).await;
        got.expect_error(404, "BALANCE_NOT_FOUND");
    })
    .await;
}

/// Requirement #100.
#[tokio::test(flavor = "multi_thread")]
async fn a_cardholder_lifts_the_locks_that_the_program_leaves_to_them() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let token = world.customer_session(&customer).await;
        let own = async |what: &str, body: Option<&Value>| {
            let path = format!("/customers/me/cards/{card}/{what}");
            world.with(&token, Method::POST, &path, body).await
        };
        let partners = format!("/secure/customers/{customer}/cards/{card}");
        let lock = async || {
            let got = world.post(&format!("{partners}/lock"), &json!({ "reason": 7 })).await;
            assert_eq!(got.status, 204);
        };
        let locked_by = async || world.get(&partners).await.json()["lockedBy"].clone();

        // Any, where the program says nothing.
        lock().await;
        assert_eq!(own("unlock", None).await.status, 204);

        put_policy(world, json!({ "cardholderLifts": ["USER", "SWITCH"] })).await;
        lock().await;
        own("unlock", None).await.expect_error(409, "CARD_LOCKED_BY_OTHER");
        // Nor put one's own in its place, to lift that.
        let replace = own("lock", Some(&json!({ "reason": 3 }))).await;
        replace.expect_error(409, "CARD_LOCKED_BY_OTHER");
        assert_eq!(locked_by().await, "PARTNER");
        let unlock = format!("{partners}/unlock");
        assert_eq!(send(world.secure(Method::POST, &unlock)).await.status, 204);
        assert_eq!(own("lock", Some(&json!({ "reason": 3 }))).await.status, 204);
        assert_eq!(locked_by().await, "USER");
        assert_eq!(own("unlock", None).await.status, 204);
        assert_eq!(locked_by().await, Value::Null);
        // Nor try PINs anew behind a lock 6.
        let six = own("lock", Some(&json!({ "reason": 6 }))).await;
        assert_eq!(six.status, 204, "SWITCH is among those named");
        assert_eq!(own("unlock", None).await.status, 204);
        put_policy(world, json!({ "cardholderLifts": ["USER"] })).await;
        let six = own("lock", Some(&json!({ "reason": 6 }))).await;
        six.expect_error(409, "CARD_LOCKED_BY_OTHER");
        // What is lost is lost.
        lock().await;
        assert_eq!(own("lock", Some(&json!({ "reason": 1 }))).await.status, 204);
        let shown = world.get(&partners).await.json();
        assert_eq!((&shown["lock"], &shown["lockedBy"]), (&json!(1), &json!("USER")));
    })
    .await;
}

/// Asks for another CVC2 of the card at `path`, with a session's token.
async fn reset(world: &World, path: &str, token: &str) -> Got {
    let request = world.nobody.post(world.public_url(&format!("{path}/cvv/reset")));
    let request = request.bearer_auth(token).header("Public-Key", public_key());
    send(request.header("Encrypted-Response", "true")).await
}

/// What a payment with this CVC2 is told; verified as the switch does it, with the keys of both and
/// what it has of the card.
fn pay_with(world: &World, card: &Value, (stan, cvc2): (u64, &str)) -> Reason {
    let keys = std::fs::read_to_string(world.path("keys.toml")).unwrap();
    let keys = SoftwareKeys::new(&KeyFile::parse(&keys).unwrap());
    let id = CardId(text(card, "id").parse().unwrap());
    let stored = world.peer.view(Query::Card(id)).and_then(View::into_card).unwrap();
    let pan = Pan::parse(text(card, "pan").as_bytes()).unwrap();
    let value = Cvv::parse(cvc2.as_bytes()).unwrap();
    let kind = CvvKind::Cvv2 { generation: stored.cvv2_generation };
    let mut request = world.shop(stan, 100);
    request.credentials.verification_value = keys.verify_cvv(&value, kind, &pan, stored.expiry);
    world.peer.message(Command::Authorize(request)).reason
}

/// Requirement #106.
#[tokio::test(flavor = "multi_thread")]
async fn the_cvc2_before_a_reset_is_declined_from_its_answer_on() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        let token = world.customer_session(&customer).await;
        let manager = world.operator("man", Roles::MANAGER, None).await;
        let admin = world.operator("ann", Roles::ADMIN, None).await;
        let staff = format!("/admin/customers/{customer}");
        let staff = staff.as_str();
        let channels = [("/customers/me", &token), (staff, &manager), (staff, &admin)];
        let mut stan = 0;
        let mut pay = |card: &Value, cvc2: &str| {
            stan += 1;
            pay_with(world, card, (stan, cvc2))
        };
        // Virtual and digital first.
        for config in ["0019167984", "0019167989"] {
            let card = world.card(&customer, &balance, config).await;
            let mut valid = text(&card, "cvc2");
            for (at, by) in channels {
                assert_eq!(pay(&card, &valid), Reason::Approved, "{config} {at}");
                let got = reset(world, &format!("{at}/cards/{}", text(&card, "id")), by).await;
                let new = text(&decrypted(&got.expect(StatusCode::OK)), "cvc2");
                assert_eq!(pay(&card, &valid), Reason::InvalidCvv, "{config} {at}");
                assert_eq!(pay(&card, &new), Reason::Approved, "{config} {at}");
                valid = new;
            }
            let path = format!("/secure/customers/{customer}/cards/{}", text(&card, "id"));
            let got = send(world.secure(Method::POST, &format!("{path}/cvv/reset"))).await;
            got.expect_error(404, "ROUTE_NOT_FOUND");
        }
        // On plastic it is printed.
        let order = json!({ "orderId": world.order(&customer, &balance).await });
        let made = world.post("/sandbox/personalisation/advance", &order).await;
        let plastic = text(&made.expect(StatusCode::OK), "cardId");
        for (at, by) in channels {
            let got = reset(world, &format!("{at}/cards/{plastic}"), by).await;
            got.expect_error(403, "FEATURE_NOT_ENABLED");
        }
    })
    .await;
}

/// Security 4.2.
#[tokio::test(flavor = "multi_thread")]
async fn a_cvc2_that_the_network_verifies_cannot_be_reset_here() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let token = world.customer_session(&customer).await;
        let own = format!("/customers/me/cards/{card}");
        put_policy(world, json!({ "networkVerifiesCvc2": true })).await;
        reset(world, &own, &token).await.expect_error(403, "FEATURE_NOT_ENABLED");
        put_policy(world, json!({ "networkVerifiesCvc2": false })).await;
        let value = decrypted(&reset(world, &own, &token).await.expect(StatusCode::OK));
        assert_eq!(text(&value, "cvc2").len(), 3);
    })
    .await;
}

/// Requirement #138: the issuer's limits and the cardholder's stand side by side.
#[tokio::test(flavor = "multi_thread")]
async fn a_cardholder_limits_beside_the_issuer_and_lifts_nothing_of_it() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let token = world.customer_session(&customer).await;
        let mut stan = 0;
        for place in [format!("/cards/{card}"), String::new()] {
            let (ours, own) =
                (format!("/secure/customers/{customer}{place}"), format!("/customers/me{place}"));
            let limits =
                |max: i64| json!({ "currency": "EUR", "timeZone": "UTC", "perTransaction": max });
            let issuer = async |limits: &Value| {
                let got = send(world.secure(Method::PUT, &format!("{ours}/limits")).json(limits));
                assert_eq!(got.await.status, 204);
            };
            let cardholder = async |limits: &Value| {
                let path = format!("{own}/limits");
                let got = world.with(&token, Method::PUT, &path, Some(limits)).await;
                assert_eq!(got.status, 204, "{got:?}");
            };
            let mut pays = |amount: i64| {
                stan += 1;
                let request = Command::Authorize(world.shop(stan, amount));
                world.peer.message(request).reason == Reason::Approved
            };
            issuer(&limits(50)).await;
            cardholder(&limits(40)).await;
            assert!(pays(40) && !pays(41), "the lower one binds: {place}");
            cardholder(&limits(60)).await;
            assert!(pays(50) && !pays(51), "{place}");
            let seen = async |path: &str| {
                world.with(&token, Method::GET, &format!("{own}{path}"), None).await.json()
            };
            assert_eq!(seen("/limits").await, limits(60));
            assert_eq!(seen("/limits?setBy=ISSUER").await, limits(50));
            let partner = world.get(&format!("{ours}/limits?setBy=CARDHOLDER")).await.json();
            assert_eq!(partner, limits(60));
            let used = seen("/budget").await;
            let told: Vec<_> = used["items"].as_array().unwrap().iter().collect();
            assert_eq!(
                told.iter().map(|item| (&item["setBy"], &item["max"])).collect::<Vec<_>>(),
                [(&json!("ISSUER"), &json!(50)), (&json!("CARDHOLDER"), &json!(60))]
            );
            let others = format!("{own}/limits?setBy=ISSUER");
            let got = world.with(&token, Method::PUT, &others, Some(&json!({}))).await;
            got.expect_error(403, "FORBIDDEN");
            // An operator helps a cardholder; one key, the two sides are two requests.
            let helped = format!("/admin/customers/{customer}{place}/limits");
            let help = async |query: &str| {
                let url = world.public_url(&format!("{helped}{query}"));
                let request = world.nobody.put(url).bearer_auth(&world.admin_token);
                send(request.header("Idempotency-Key", format!("help{place}")).json(&json!({})))
                    .await
            };
            assert_eq!(help("?setBy=CARDHOLDER").await.status, 204);
            help("").await.expect_error(422, "IDEMPOTENCY_KEY_REUSED");
            assert_eq!(seen("/limits").await, json!({}));
            assert!(pays(50) && !pays(51), "the issuer's is still there: {place}");
            issuer(&json!({})).await;
            cardholder(&limits(30)).await;
            assert!(pays(30) && !pays(31), "and the cardholder's was its own: {place}");
            cardholder(&json!({})).await;
            assert!(pays(200), "{place}");
        }
    })
    .await;
}

/// Requirement #116: a replacement sheds no limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_in_place_of_another_is_limited_as_that_one_was() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let token = world.customer_session(&customer).await;
        let own = format!("/customers/me/cards/{card}");
        let ours = format!("/secure/customers/{customer}/cards");
        let issuers = json!({ "currency": "EUR", "timeZone": "UTC", "daily": 50 });
        let holders = json!({ "timeZone": "UTC", "channels": { "denied": ["ATM"] } });
        let put = world.secure(Method::PUT, &format!("{ours}/{card}/limits")).json(&issuers);
        assert_eq!(send(put).await.status, 204);
        let put = world.with(&token, Method::PUT, &format!("{own}/limits"), Some(&holders)).await;
        assert_eq!(put.status, 204);
        let new = world.with(&token, Method::POST, &format!("{own}/replace"), None).await;
        let new = text(&new.expect(StatusCode::CREATED), "id");
        for (side, limits) in [("ISSUER", issuers), ("CARDHOLDER", holders)] {
            let path = format!("{ours}/{new}/limits?setBy={side}");
            assert_eq!(world.get(&path).await.json(), limits);
        }
    })
    .await;
}
