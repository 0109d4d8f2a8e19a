//! A card's life over all channels: list, full data, activation, PIN, CVC2, limits, renewal,
//! replacement, removal.

use std::cell::RefCell;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use josekit::jwe::{JweHeader, serialize_compact};
use mgmt_api::store::{ProgramRow, Store};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{Advice, Advised, Change, Command, MessageClass, References};
use shared::control::{CardView, Query, View};
use shared::ids::CardId;

use crate::channels::WALLET_PIN;
use crate::fees::reversal;
use crate::world::{Got, World, decrypted, on_each, public_key, send, text};

/// A customer with a wallet PIN, a session, a balance and a card of `config`.
struct Holder {
    customer: String,
    balance: String,
    card: String,
    token: String,
}

impl Holder {
    async fn new(world: &World, config: &str) -> Self {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, config).await, "id");
        let token = world.customer_session(&customer).await;
        Self { customer, balance, card, token }
    }

    fn request(&self, world: &World, method: Method, path: &str) -> RequestBuilder {
        let url = world.public_url(&format!("/customers/me{path}"));
        world.nobody.request(method, url).bearer_auth(&self.token)
    }

    async fn call(&self, world: &World, method: Method, path: &str, body: Option<&Value>) -> Got {
        world.with(&self.token, method, &format!("/customers/me{path}"), body).await
    }

    /// A request whose body and answer are encrypted.
    async fn encrypted(&self, world: &World, path: &str, body: &Value) -> Got {
        let request = self.request(world, Method::POST, path);
        let request =
            request.header("Public-Key", public_key()).header("Encrypted-Request", "true");
        send(request.json(&json!({ "payload": sealed(world, body).await }))).await
    }

    async fn full(&self, world: &World) -> Value {
        let request = self.request(world, Method::GET, &format!("/cards/{}/full", self.card));
        let request = request.header("Public-Key", public_key());
        decrypted(&send(request.header("Encrypted-Response", "true")).await.expect(StatusCode::OK))
    }

    fn view(&self, world: &World) -> CardView {
        view(world, &self.card)
    }
}

/// A body encrypted to the server's key.
pub(crate) async fn sealed(world: &World, body: &Value) -> String {
    let key = text(&world.get_public("/customers/public_key").await.json(), "publicKey");
    let key = STANDARD.decode(key).unwrap();
    let encrypter = RsaesJweAlgorithm::RsaOaep256.encrypter_from_pem(key).unwrap();
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    serialize_compact(&serde_json::to_vec(body).unwrap(), &header, &encrypter).unwrap()
}

fn view(world: &World, card: &str) -> CardView {
    match world.peer.view(Query::Card(CardId(card.parse().unwrap()))) {
        Some(View::Card(view)) => view,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cardholder_sees_full_data_after_the_wallet_pin_only() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167984").await;
        let path = format!("/cards/{}/full", holder.card);
        let full = async || {
            let request = holder.request(world, Method::GET, &path);
            send(request.header("Public-Key", public_key()).header("Encrypted-Response", "true"))
                .await
        };
        let seen = decrypted(&full().await.expect(StatusCode::OK));
        assert_eq!(text(&seen, "pan").len(), 16);
        assert_eq!((text(&seen, "cvc2").len(), &seen["cardholder"]), (3, &json!("Ada Nowak")));
        assert_eq!(text(&seen, "expDate"), holder.view(world).expiry.to_string());
        let plain = holder.call(world, Method::GET, &path, None).await;
        plain.expect_error(400, "ENCRYPTION_REQUIRED");

        world.stop_server().await;
        world.config.sessions.step_up_seconds = 0;
        world.start_server().await;
        let holder = Holder { token: world.customer_session(&holder.customer).await, ..holder };
        let request = holder.request(world, Method::GET, &path);
        let request = request.header("Public-Key", public_key());
        let got = send(request.header("Encrypted-Response", "true")).await;
        got.expect_error(403, "STEP_UP_REQUIRED");
        world.stop_server().await;
        world.config.sessions.step_up_seconds = 120;
        world.start_server().await;
        let step_up = "/customers/sessions/current/step-up";
        let wrong = json!({ "wPIN": "0000" });
        let got = world.with(&holder.token, Method::POST, step_up, Some(&wrong)).await;
        got.expect_error(401, "INVALID_CREDENTIALS");
        let right = json!({ "wPIN": WALLET_PIN });
        let got = world.with(&holder.token, Method::POST, step_up, Some(&right)).await;
        got.expect(StatusCode::OK);
        let request = holder.request(world, Method::GET, &path);
        let request = request.header("Public-Key", public_key());
        send(request.header("Encrypted-Response", "true")).await.expect(StatusCode::OK);

        let partner = format!("/secure/customers/{}/cards/{}/full", holder.customer, holder.card);
        let request = world.secure(Method::GET, &partner).header("Public-Key", public_key());
        let got = send(request.header("Encrypted-Response", "true")).await;
        assert_eq!(text(&decrypted(&got.expect(StatusCode::OK)), "pan"), text(&seen, "pan"));
        let admin = format!("/admin/customers/{}/cards/{}/full", holder.customer, holder.card);
        world.admin(Method::GET, &admin, None).await.expect_error(404, "ROUTE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_comes_encrypted_becomes_a_pvv_and_starts_the_tries_anew() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167989").await;
        let path = format!("/cards/{}/pin", holder.card);
        let pin = json!({ "pin": "4711" });
        let plain = holder.call(world, Method::POST, &path, Some(&pin)).await;
        plain.expect_error(400, "ENCRYPTION_REQUIRED");
        assert!(!holder.view(world).has_pin);
        assert_eq!(holder.encrypted(world, &path, &pin).await.status, 204);
        assert!(holder.view(world).has_pin);
        let weak = holder.encrypted(world, &path, &json!({ "pin": "7777" })).await;
        weak.expect_error(422, "PIN_TOO_WEAK");
        let short = holder.encrypted(world, &path, &json!({ "pin": "77" })).await;
        short.expect_error(400, "INVALID_REQUEST");
        assert!(!String::from_utf8_lossy(&short.bytes).contains("77\""));
        // A block: the PIN's field under the digits of the number in front of the check digit.
        let block = |number: &str, field: u64| {
            let digits = u64::from_str_radix(&number[3..15], 16).unwrap();
            json!({ "pinBlock": format!("{:016X}", digits ^ field) })
        };
        let number = text(&holder.full(world).await, "pan");
        let clear = block(&number, 0x0448_22FF_FFFF_FFFF);
        assert_eq!(holder.encrypted(world, &path, &clear).await.status, 204);
        let by_digits = json!({ "pin": "4822" });
        assert_eq!(holder.encrypted(world, &path, &by_digits).await.status, 204);
        let set = RefCell::new(Vec::new());
        world.peer.count_changes(|change| {
            if let Change::SetPin { pvv, .. } = change {
                set.borrow_mut().push(serde_json::to_string(pvv).unwrap());
            }
            false
        });
        let [.., first, by_block, by_digits] = &set.take()[..] else { panic!("three were set") };
        assert!(by_block == by_digits && by_block != first, "the same PIN");
        let mut other = number.clone().into_bytes();
        other[9] ^= 1;
        let other = String::from_utf8(other).unwrap();
        let got = holder.encrypted(world, &path, &block(&other, 0x0448_22FF_FFFF_FFFF)).await;
        got.expect_error(400, "INVALID_REQUEST");
        assert_eq!(got.json()["errors"][0]["field"], "pinBlock");
        let weak = holder.encrypted(world, &path, &block(&number, 0x0477_77FF_FFFF_FFFF)).await;
        weak.expect_error(422, "PIN_TOO_WEAK");

        // There is nothing to enter a PIN with: no plastic.
        let virtual_only = Holder::new(world, "0019167984").await;
        let path = format!("/cards/{}/pin", virtual_only.card);
        virtual_only.encrypted(world, &path, &pin).await.expect_error(403, "FEATURE_NOT_ENABLED");

        // The wallet PIN authorises it. Source: requirements #37.
        world.stop_server().await;
        world.config.sessions.step_up_seconds = 0;
        world.start_server().await;
        let token = world.customer_session(&virtual_only.customer).await;
        let later = Holder { token, ..virtual_only };
        later.encrypted(world, &path, &pin).await.expect_error(403, "STEP_UP_REQUIRED");
        let view = later.view(world);
        assert!(!view.has_pin);
        let virtual_only = later;
        let partner = format!("/secure/customers/{}{path}", virtual_only.customer);
        world.post(&partner, &pin).await.expect_error(404, "ROUTE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_makes_another_cvc2_valid_once_per_key() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167984").await;
        let reset = async |key: &str| {
            let path = format!("/cards/{}/cvv/reset", holder.card);
            let request = holder.request(world, Method::POST, &path);
            let request = request.header("Public-Key", public_key()).header("Idempotency-Key", key);
            send(request.header("Encrypted-Response", "true")).await
        };
        let before = holder.full(world).await;
        let first = reset("a").await;
        let value = decrypted(&first.expect(StatusCode::OK));
        assert_ne!(value["cvc2"], before["cvc2"]);
        assert_eq!(holder.full(world).await["cvc2"], value["cvc2"]);
        let generation = holder.view(world).cvv2_generation;
        assert!(generation > 0);
        assert_eq!(reset("a").await.bytes, first.bytes, "the same answer");
        assert_eq!(holder.view(world).cvv2_generation, generation);
        reset("b").await.expect(StatusCode::OK);
        assert!(holder.view(world).cvv2_generation > generation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_activated_removed_and_stays_removed() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167991").await;
        assert_eq!(holder.view(world).state, CardState::Linked);
        let activate = format!("/cards/{}/activate", holder.card);
        let wrong = json!({ "lastFourDigits": "x" });
        let got = holder.call(world, Method::POST, &activate, Some(&wrong)).await;
        got.expect_error(400, "INVALID_REQUEST");
        assert_eq!(holder.call(world, Method::POST, &activate, None).await.status, 204);
        assert_eq!(holder.view(world).state, CardState::Active);
        assert_eq!(holder.call(world, Method::POST, &activate, None).await.status, 204);

        let path = format!("/cards/{}", holder.card);
        assert_eq!(holder.call(world, Method::DELETE, &path, None).await.status, 204);
        assert_eq!(holder.view(world).state, CardState::Removed);
        assert_eq!(holder.call(world, Method::DELETE, &path, None).await.status, 204);
        let got = holder.call(world, Method::POST, &activate, None).await;
        got.expect_error(409, "CARD_STATE_FORBIDDEN");
        let shown = holder.call(world, Method::GET, &path, None).await.expect(StatusCode::OK);
        assert_eq!(shown["state"], "REMOVED");

        let other = text(&world.card(&holder.customer, &holder.balance, "0019167984").await, "id");
        let remove = |world: &World, client: &reqwest::Client| {
            let url = world.secure_url(&format!("/lifecycle/v1/cards/{other}"));
            let request = client.delete(url).header("Issuer-Code", "sandbox");
            request.header("Application-Id", "SBX-APP-ID").header("Collection", "lifecycle")
        };
        send(remove(world, &world.stranger)).await.expect_error(404, "CARD_NOT_FOUND");
        assert_eq!(send(remove(world, &world.partner)).await.status, 204);
        assert_eq!(view(world, &other).state, CardState::Removed);
    })
    .await;
}

/// Requirement #104.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_with_a_card_is_posted_after_its_removal() {
    on_each(async |world| {
        let holder = world.holder().await;
        let of_customer = format!("customers/{}", holder.customer);
        let card = text(&holder.card, "id");
        let pay = |request| world.peer.message(Command::Authorize(request)).reason;
        let (cleared, taken_back) = (world.shop(1, 1_230), world.shop(2, 700));
        assert_eq!([cleared, taken_back].map(pay), [Reason::Approved; 2]);
        let path = format!("/admin/{of_customer}/cards/{card}");
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);
        assert_eq!(pay(world.shop(3, 100)), Reason::CardNotFound);

        let path = format!("/secure/{of_customer}/balances/{}", holder.balance);
        let money = async || {
            let shown = world.get(&path).await.json();
            ["amount", "held"].map(|member| shown[member].as_i64().unwrap())
        };
        assert_eq!(money().await, [10_000, 1_930], "the holds are still there");
        assert_eq!(world.clear(&cleared, 4, 1_200), Reason::AdviceRecorded);
        assert_eq!(money().await, [8_800, 700]);
        let back = reversal(taken_back.key, 5, Some(taken_back.token));
        world.peer.message(Command::Reverse(back));
        assert_eq!(money().await, [8_800, 0]);
        // Paid offline before: the number still leads to the balance.
        let mut message = world.shop(6, 300);
        (message.key.class, message.references) =
            (MessageClass::FinancialAdvice, References::default());
        let advice = Advice { message, advised: Advised::Approved, more_to_come: false };
        let reason = world.peer.message(Command::Advise(advice)).reason;
        assert_eq!(reason, Reason::AdviceUnmatched);
        assert_eq!(money().await, [8_500, 0]);

        let listed = world.transactions(&holder.customer, "").await;
        let told = listed["items"].as_array().unwrap().iter().any(|item| {
            (&item["cardId"], &item["status"], &item["amount"])
                == (&json!(card), &json!("CLEARED"), &json!(1_200))
        });
        assert!(told, "{listed}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_is_there_before_the_card_is_locked_for_ever() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167984").await;
        let path = format!("/secure/customers/{}/cards/{}", holder.customer, holder.card);
        let replace = async |key: &str| {
            let request = world.secure(Method::POST, &format!("{path}/replace"));
            send(request.header("Idempotency-Key", key)).await
        };
        let first = replace("a").await;
        let new = first.expect(StatusCode::CREATED);
        assert_ne!(new["id"], holder.card);
        assert_eq!(view(world, &text(&new, "id")).state, CardState::Active);
        let lock = holder.view(world).lock.unwrap();
        assert_eq!(lock.code.number(), 8);
        let issued = |change: &Change| matches!(change, Change::IssueCard(_));
        let count = world.peer.count_changes(issued);
        assert_eq!(replace("a").await.bytes, first.bytes);
        assert_eq!(world.peer.count_changes(issued), count);
        // A stolen card keeps its code.
        let stolen = text(&new, "id");
        let path = format!("/secure/customers/{}/cards/{stolen}", holder.customer);
        world.post(&format!("{path}/lock"), &json!({ "reason": 2 })).await;
        let got = send(world.secure(Method::POST, &format!("{path}/replace"))).await;
        got.expect(StatusCode::CREATED);
        assert_eq!(view(world, &stolen).lock.unwrap().code.number(), 2);
        let listed =
            world.get(&format!("/secure/customers/{}/cards?limit=2", holder.customer)).await;
        let listed = listed.expect(StatusCode::OK);
        assert_eq!(
            (listed["items"].as_array().unwrap().len(), &listed["hasMore"]),
            (2, &json!(true))
        );
        let after = text(&listed["items"][1], "id");
        let path = format!("/secure/customers/{}/cards?after={after}", holder.customer);
        let rest = world.get(&path).await.expect(StatusCode::OK);
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["hasMore"]), (1, &json!(false)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_renewed_in_its_last_months() {
    on_each(async |world| {
        let store = Store::open(&world.config.database).await.unwrap();
        let program = async |months_valid| {
            let row = store.program_of_card("0019167984").await.unwrap().unwrap();
            ProgramRow { months_valid, ..row }
        };
        store.put_program(&program(2).await).await.unwrap();
        let holder = Holder::new(world, "0019167984").await;
        let path = format!("/cards/{}/renew", holder.card);
        let renew = async || holder.call(world, Method::POST, &path, None).await;
        renew().await.expect_error(409, "RENEWAL_TOO_EARLY");
        store.put_program(&program(36).await).await.unwrap();
        let before = holder.view(world).expiry;
        let renewed = renew().await.expect(StatusCode::CREATED);
        let after = holder.view(world).expiry;
        assert_eq!(after, before.plus_months(34));
        assert_eq!(text(&renewed, "expDate"), YearMonth::to_string(&after));
        assert_eq!(renewed["id"], holder.card);
        renew().await.expect_error(409, "RENEWAL_TOO_EARLY");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_put_read_back_and_only_what_changed_is_told() {
    on_each(async |world| {
        let holder = Holder::new(world, "0019167984").await;
        let path = format!("/cards/{}/limits", holder.card);
        let rules = |change: &Change| matches!(change, Change::PutRule(_) | Change::RemoveRule(_));
        let put = async |body: &Value| holder.call(world, Method::PUT, &path, Some(body)).await;
        let get =
            async || holder.call(world, Method::GET, &path, None).await.expect(StatusCode::OK);
        assert_eq!(get().await, json!({}));
        let mut limits = json!({ "currency": "EUR", "timeZone": "Europe/Warsaw",
            "perTransaction": 5_000, "monthly": 90_000, "count": { "daily": 3 },
            "channels": { "denied": ["ATM"] }, "mcc": { "denied": ["7995"] } });
        assert_eq!(put(&limits).await.status, 204);
        assert_eq!(get().await, limits);
        assert_eq!(world.peer.count_changes(rules), 5);
        assert_eq!(put(&limits).await.status, 204);
        assert_eq!(world.peer.count_changes(rules), 5);
        limits["monthly"] = 80_000.into();
        limits.as_object_mut().unwrap().remove("mcc");
        assert_eq!(put(&limits).await.status, 204);
        assert_eq!(get().await, limits);
        assert_eq!(world.peer.count_changes(rules), 7);
        let budget = format!("/cards/{}/budget", holder.card);
        let budget = holder.call(world, Method::GET, &budget, None).await.expect(StatusCode::OK);
        assert_eq!(
            budget["items"][1],
            json!({ "limit": "monthly", "setBy": "CARDHOLDER", "period": "monthly",
            "currency": "EUR", "max": 80_000, "spent": 0, "left": 80_000 })
        );
        for (bad, code) in [
            (json!({ "daily": -1 }), "INVALID_REQUEST"),
            (json!({ "hourly": 1 }), "INVALID_REQUEST"),
            (json!({ "daily": 1, "currency": "PLN" }), "CURRENCY_MISMATCH"),
        ] {
            assert_eq!(put(&bad).await.title(), code);
            assert_eq!(get().await, limits);
        }

        // Over all cards the currency is named.
        let path = format!("/secure/customers/{}/limits", holder.customer);
        let request = world.secure(Method::PUT, &path).json(&json!({ "daily": 7 }));
        send(request).await.expect_error(422, "INVALID_CURRENCY");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_were_put_decline_what_goes_beyond() {
    on_each(async |world| {
        let holder = world.holder().await;
        let of_customer = format!("/secure/customers/{}", holder.customer);
        let of_card = format!("{of_customer}/cards/{}", text(&holder.card, "id"));
        let mut stan = 0;
        for (limits, allowed, beyond, reason) in [
            (
                json!({ "currency": "EUR", "perTransaction": 50 }),
                50,
                51,
                Reason::ExceedsAmountLimit,
            ),
            (json!({ "currency": "EUR", "daily": 1_000 }), 900, 101, Reason::ExceedsAmountLimit),
            (json!({ "currency": "EUR", "monthly": 1_000 }), 10, 9_000, Reason::ExceedsAmountLimit),
            (
                json!({ "currency": "EUR", "budget": { "amount": 70, "period": "weekly" } }),
                70,
                1,
                Reason::BudgetExceeded,
            ),
            (json!({ "count": { "daily": 1 } }), 1, 1, Reason::LimitExceeded),
            (json!({ "mcc": { "denied": ["5411"] } }), 0, 1, Reason::NotPermitted),
            (json!({ "countries": { "allowed": ["276"] } }), 0, 1, Reason::NotPermitted),
            (json!({ "channels": { "denied": ["POS"] } }), 0, 1, Reason::NotPermitted),
        ] {
            for at in [&of_card, &of_customer] {
                let path = format!("{at}/limits");
                let put = async |limits: &Value| {
                    let got = send(world.secure(Method::PUT, &path).json(limits)).await;
                    assert_eq!(got.status, 204, "{path} {limits}: {got:?}");
                };
                put(&limits).await;
                let mut pay = |amount: i64| {
                    stan += 1;
                    let request = world.shop(stan, amount);
                    world.peer.message(Command::Authorize(request)).reason
                };
                if allowed > 0 {
                    assert_eq!(pay(allowed), Reason::Approved, "{at} {limits}");
                }
                assert_eq!(pay(beyond), reason, "{at} {limits}");
                put(&json!({})).await;
            }
        }

        // And what there was and is left of it can be told afterwards.
        let daily = json!({ "currency": "EUR", "daily": 100 });
        let limits = format!("{of_card}/limits");
        assert_eq!(send(world.secure(Method::PUT, &limits).json(&daily)).await.status, 204);
        for amount in [60, 41] {
            world
                .peer
                .message(Command::Authorize(world.shop(1_000 + u64::from(amount == 41), amount)));
        }
        world.until_history().await;
        let listed = world.get(&format!("{of_customer}/transactions?limit=1")).await.json();
        let id = text(&listed["items"][0], "id");
        let told = world.get(&format!("/secure/transactions/{id}/explain")).await.json();
        let checks = told["checks"].as_array().unwrap();
        let failed = checks.iter().find(|check| check["passed"] == false).unwrap();
        assert_eq!(
            (&failed["row"], &failed["reason"]),
            (&json!(15), &json!("EXCEEDS_AMOUNT_LIMIT"))
        );
        let said = format!("; card {}: 100 EUR a day, 60 used", text(&holder.card, "id"));
        assert!(text(failed, "inputs").ends_with(&said), "{failed}");
    })
    .await;
}
