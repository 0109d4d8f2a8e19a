//! Top-ups, reloads and partner balances.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use mgmt_api::store::Store;
use reqwest::Method;
use serde_json::{Value, json};

use crate::peer::Mode;
use crate::world::{World, on_each, send, text, until};

async fn top_up(world: &World, customer: &str, balance: &str, body: Value) -> crate::world::Got {
    world.post(&format!("/secure/customers/{customer}/balances/{balance}/topup"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_is_booked_and_wrong_ones_are_named() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let body = json!({ "amount": 12_345, "currency": "EUR", "externalId": "x-1",
            "description": "first" });
        let booked = top_up(world, &customer, &balance, body).await.expect(StatusCode::CREATED);
        uuid::Uuid::parse_str(&text(&booked, "id")).unwrap();
        assert_eq!(booked["balanceId"], balance.as_str());
        assert_eq!((&booked["amount"], &booked["currency"]), (&json!(12_345), &json!("EUR")));
        let date = text(&booked, "date");
        assert!(date.ends_with("+00:00") && date.len() == 25, "{date}");

        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let shown = world.get(&path).await.json();
        assert_eq!((&shown["amount"], &shown["available"]), (&json!(12_345), &json!(12_345)));
        // The feed of the switch's records says when.
        let settled = "SELECT COUNT(*) FROM movements \
             WHERE row_state = 'CONFIRMED' AND booked_at_ms IS NOT NULL";
        until(async || world.database.number(settled).await == 1).await;

        let with_external = |id: &str| json!({ "amount": 1, "currency": "EUR", "externalId": id });
        for (body, status, title) in [
            (json!({ "amount": 1, "currency": "PLN" }), 422, "CURRENCY_MISMATCH"),
            (json!({ "amount": 1, "currency": "XAU" }), 422, "INVALID_CURRENCY"),
            (json!({ "amount": 1, "currency": "eur" }), 422, "INVALID_CURRENCY"),
            (json!({ "amount": 0, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": -1, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": i64::MAX, "currency": "EUR" }), 422, "INVALID_AMOUNT"),
            (json!({ "amount": 1.5, "currency": "EUR" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": "1", "currency": "EUR" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": 1, "currency": "EUR", "state": "x" }), 400, "INVALID_REQUEST"),
            (json!({ "amount": 1 }), 400, "INVALID_REQUEST"),
            (with_external("4111111111111111"), 400, "INVALID_REQUEST"),
            (with_external(&"x".repeat(65)), 400, "INVALID_REQUEST"),
            (with_external("line\nbreak"), 400, "INVALID_REQUEST"),
        ] {
            top_up(world, &customer, &balance, body).await.expect_error(status, title);
        }
        assert_eq!(world.get(&path).await.json()["amount"], 12_345);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_balance_is_opened_once_a_kind_and_reloaded() {
    on_each(async |world| {
        let open = json!({ "kind": "deposit", "currency": "PLN" });
        let path = "/admin/partners/sandbox/balances";
        let opened = world.admin(Method::POST, path, Some(&open)).await;
        let opened = opened.expect(StatusCode::CREATED);
        assert_eq!((&opened["kind"], &opened["amount"]), (&json!("DEPOSIT"), &json!(0)));
        let again = world.admin(Method::POST, "/admin/partners/1/balances", Some(&open)).await;
        again.expect_error(409, "PARTNER_BALANCE_EXISTS");
        let other = json!({ "kind": "CREDIT", "currency": "PLN" });
        world.admin(Method::POST, path, Some(&other)).await.expect(StatusCode::CREATED);

        let path = format!("/admin/partner-balances/{}", text(&opened, "id"));
        let reload = json!({ "amount": 10_000, "currency": "PLN" });
        let booked = world.admin(Method::POST, &format!("{path}/reload"), Some(&reload)).await;
        let booked = booked.expect(StatusCode::CREATED);
        assert_eq!(booked["balanceId"], opened["id"]);
        let shown = world.admin(Method::GET, &path, None).await.expect(StatusCode::OK);
        assert_eq!((&shown["amount"], &shown["partnerId"]), (&json!(10_000), &json!(1)));

        let wrong = json!({ "amount": 1, "currency": "EUR" });
        let got = world.admin(Method::POST, &format!("{path}/reload"), Some(&wrong)).await;
        got.expect_error(422, "CURRENCY_MISMATCH");
        let alert = json!({ "kind": "deposit", "currency": "EUR", "alert": { "level": 5 } });
        let got = world.admin(Method::POST, "/admin/partners/1/balances", Some(&alert)).await;
        got.expect_error(400, "INVALID_REQUEST");
        let got = world.admin(Method::POST, "/admin/partners/9/balances", Some(&open)).await;
        got.expect_error(404, "PARTNER_NOT_FOUND");
        let got = world.admin(Method::GET, "/admin/partner-balances/x", None).await;
        got.expect_error(404, "PARTNER_BALANCE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_mode_charges_the_partners_credit_balance() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.card(&customer, &balance, "0019167986").await;
        let ten = || json!({ "amount": 10, "currency": "EUR" });
        let got = top_up(world, &customer, &balance, ten()).await;
        got.expect_error(422, "COLLATERAL_BALANCE_NOT_FOUND");

        let open = json!({ "kind": "credit", "currency": "EUR" });
        let path = "/admin/partners/sandbox/balances";
        let credit = world.admin(Method::POST, path, Some(&open)).await.json();
        let got = top_up(world, &customer, &balance, ten()).await;
        got.expect_error(422, "INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE");

        let credit = format!("/admin/partner-balances/{}", text(&credit, "id"));
        let reload = json!({ "amount": 15, "currency": "EUR" });
        world.admin(Method::POST, &format!("{credit}/reload"), Some(&reload)).await;
        top_up(world, &customer, &balance, ten()).await.expect(StatusCode::CREATED);
        assert_eq!(world.admin(Method::GET, &credit, None).await.json()["amount"], 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_listed_in_pages() {
    on_each(async |world| {
        let customer = world.customer().await;
        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(world.balance(&customer, "EUR").await);
        }
        let path = format!("/secure/customers/{customer}/balances");
        let ids = |page: &Value| -> Vec<String> {
            let items = page["items"].as_array().unwrap();
            items.iter().map(|item| text(item, "balanceId")).collect()
        };
        let first = world.get(&format!("{path}?limit=2")).await.expect(StatusCode::OK);
        assert_eq!((ids(&first), &first["hasMore"]), (opened[..2].to_vec(), &json!(true)));
        let rest = world.get(&format!("{path}?limit=2&after={}", opened[1])).await.json();
        assert_eq!((ids(&rest), &rest["hasMore"]), (opened[2..].to_vec(), &json!(false)));
        for bad in ["limit=0", "limit=51", "limit=x", "after=x", "page=2"] {
            world.get(&format!("{path}?{bad}")).await.expect_error(400, "INVALID_REQUEST");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_leaves_and_moves_where_it_is_available() {
    on_each(async |world| {
        let (one, other) = (world.customer_with_pin().await, world.customer().await);
        let (from, to) = (world.balance(&one, "EUR").await, world.balance(&other, "EUR").await);
        let at = |what: &str| format!("/secure/customers/{one}/balances/{from}/{what}");
        let eur = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
        world.post(&at("topup"), &eur(100)).await.expect(StatusCode::CREATED);
        let paid = world.post(&at("withdraw"), &eur(30)).await.expect(StatusCode::CREATED);
        assert_eq!((&paid["amount"], &paid["balanceId"]), (&json!(30), &json!(from)));
        let got = world.post(&at("withdraw"), &eur(71)).await;
        got.expect_error(422, "INSUFFICIENT_FUNDS");

        let mut transfer = json!({ "toBalanceId": to, "amount": 50, "currency": "EUR" });
        let token = world.customer_session(&one).await;
        let path = format!("/customers/me/balances/{from}/transfer");
        let moved = world.with(&token, Method::POST, &path, Some(&transfer)).await;
        assert_eq!(moved.expect(StatusCode::CREATED)["toBalanceId"], to);
        let amount = async |customer: &str, balance: &str| {
            let path = format!("/secure/customers/{customer}/balances/{balance}");
            world.get(&path).await.json()["amount"].as_i64().unwrap()
        };
        assert_eq!((amount(&one, &from).await, amount(&other, &to).await), (20, 50));
        let again = world.post(&at("transfer"), &transfer).await;
        again.expect_error(422, "INSUFFICIENT_FUNDS");
        transfer["toBalanceId"] = from.clone().into();
        world.post(&at("transfer"), &transfer).await.expect_error(422, "BALANCES_APART");
        transfer["toBalanceId"] = "00000000-0000-4000-8000-000000000000".into();
        world.post(&at("transfer"), &transfer).await.expect_error(404, "BALANCE_NOT_FOUND");

        // A partner's money never moves to another partner's customer.
        let theirs = send(world.wallet(&world.stranger, &crate::world::plain_wallet())).await;
        let theirs = text(&theirs.json(), "customerId");
        let url = world.secure_url(&format!("/secure/customers/{theirs}/balances"));
        let opened = send(world.stranger.post(url).json(&json!({ "currency": "EUR" }))).await;
        transfer["toBalanceId"] = text(&opened.json(), "balanceId").into();
        world.post(&at("transfer"), &transfer).await.expect_error(404, "BALANCE_NOT_FOUND");

        let summary = world.admin(Method::GET, "/admin/balances/summary", None).await;
        let summary = summary.expect(StatusCode::OK);
        assert_eq!(
            summary["items"][0],
            json!({ "currency": "EUR", "users": 70,
                "wallet": 70, "company": 0, "invoiced": 0, "bankTransfers": 0 })
        );
        let scoped = world.operator("eve", Roles::ALL, Some("1")).await;
        let got = world.with(&scoped, Method::GET, "/admin/balances/summary", None).await;
        got.expect_error(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_sees_its_own_balances_and_the_summary_adds_them_up() {
    on_each(async |world| {
        let body = json!({ "kind": "DEPOSIT", "currency": "EUR" });
        let opened = world.admin(Method::POST, "/admin/partners/1/balances", Some(&body)).await;
        let id = text(&opened.expect(StatusCode::CREATED), "id");
        let reload = json!({ "amount": 900, "currency": "EUR" });
        let path = format!("/admin/partner-balances/{id}/reload");
        world.admin(Method::POST, &path, Some(&reload)).await.expect(StatusCode::CREATED);
        let listed = world.get("/secure/partner/balances").await.expect(StatusCode::OK);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&listed["items"][0]["id"], &listed["items"][0]["amount"]),
            (&json!(id), &json!(900))
        );
        let one = world.get(&format!("/secure/partner/balances/{id}")).await.expect(StatusCode::OK);
        assert_eq!(one["available"], 900);
        let url = world.secure_url(&format!("/secure/partner/balances/{id}"));
        send(world.stranger.get(url)).await.expect_error(404, "PARTNER_BALANCE_NOT_FOUND");
        let url = world.secure_url("/secure/partner/balances");
        assert_eq!(send(world.stranger.get(url)).await.json()["items"], json!([]));
        let summary = world.admin(Method::GET, "/admin/balances/summary", None).await.json();
        assert_eq!(
            summary["items"][0],
            json!({ "currency": "EUR", "users": 0, "wallet": 900, "company": 0, "invoiced": 0,
                "bankTransfers": 0 })
        );
    })
    .await;
}

impl World {
    /// Makes a program that gives balances in PLN an IBAN.
    async fn program_with_ibans(&self) -> Value {
        let program = json!({ "partner": 1, "currency": "PLN", "bin": "99999901",
            "cardKind": "VIRTUAL", "monthsValid": 24, "ibanPrefix": "PL10901014" });
        let put = self.admin(Method::PUT, "/admin/programs/0019167905", Some(&program)).await;
        put.expect(StatusCode::NO_CONTENT);
        program
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_gets_an_iban_where_a_program_gives_them() {
    on_each(async |world| {
        let customer = world.customer().await;
        let without = world.balance(&customer, "PLN").await;
        let ask = async |balance: &str| {
            world.post("/secure/bank-accounts", &json!({ "balanceId": balance })).await
        };
        ask(&without).await.expect_error(403, "FEATURE_NOT_ENABLED");
        let mut bad = world.program_with_ibans().await;
        bad["ibanPrefix"] = "XX1".into();
        let put = world.admin(Method::PUT, "/admin/programs/0019167906", Some(&bad)).await;
        put.expect_error(400, "INVALID_REQUEST");

        let given = text(&ask(&without).await.expect(StatusCode::CREATED), "iban");
        assert!(mgmt_api::iban::is_valid(&given) && given.starts_with("PL"), "{given}");
        ask(&without).await.expect_error(409, "BANK_ACCOUNT_EXISTS");
        let with = world.balance(&customer, "PLN").await;
        let list = async |balance: &str| {
            let path = format!("/secure/bank-accounts?balanceId={balance}");
            world.get(&path).await.expect(StatusCode::OK)["items"].clone()
        };
        // A second program in the currency: a balance has the number of the one it was opened for.
        let mut german = world.program_with_ibans().await;
        (german["ibanPrefix"], german["bin"]) = (json!("DE50010517"), json!("99999902"));
        let put = world.admin(Method::PUT, "/admin/programs/0019167907", Some(&german)).await;
        put.expect(StatusCode::NO_CONTENT);
        for (config, country) in [("0019167907", "DE"), ("0019167905", "PL")] {
            let body = json!({ "currency": "PLN", "configId": config });
            let opened = world.post(&format!("/secure/customers/{customer}/balances"), &body).await;
            let opened = text(&opened.expect(StatusCode::CREATED), "balanceId");
            assert!(text(&list(&opened).await[0], "iban").starts_with(country));
        }
        let own = list(&with).await;
        assert_eq!((own.as_array().unwrap().len(), &own[0]["state"]), (1, &json!("ACTIVE")));
        assert_ne!(own[0]["iban"], given);
        let close = async |client: &reqwest::Client, iban: &str| {
            let url = world.secure_url(&format!("/secure/bank-accounts/{iban}"));
            send(client.delete(url)).await
        };
        close(&world.stranger, &given).await.expect_error(404, "BANK_ACCOUNT_NOT_FOUND");
        assert_eq!(close(&world.partner, &given).await.status, 204);
        assert_eq!(list(&without).await[0]["state"], "CLOSED");
        let again = text(&ask(&without).await.expect(StatusCode::CREATED), "iban");
        assert_ne!(again, given, "never given again");
        ask("x").await.expect_error(404, "BALANCE_NOT_FOUND");
        // It goes with its balance.
        let path = format!("/secure/customers/{customer}/balances/{with}");
        assert_eq!(send(world.secure(Method::DELETE, &path)).await.status, 204);
        let store = Store::open(&world.config.database).await.unwrap();
        let rows = store.bank_accounts(1, with.parse().unwrap()).await.unwrap();
        assert!(rows.len() == 1 && rows.iter().all(|row| row.state == "CLOSED"), "{rows:?}");
        store.close().await;
    })
    .await;
}

/// Requirement #92: what comes by bank transfer is booked out of the technical account of IBANs, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_bank_transfer_credits_the_balance_that_has_the_iban() {
    on_each(async |world| {
        world.program_with_ibans().await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "PLN").await;
        let given = world.get(&format!("/secure/bank-accounts?balanceId={balance}")).await.json();
        let iban = text(&given["items"][0], "iban");
        let credit = |iban: &str| format!("/secure/bank-accounts/{iban}/credits");
        let transfer = json!({ "amount": 5_000, "currency": "PLN", "externalId": "E2E-17",
            "description": "salary" });
        let post = |client: &reqwest::Client, key: &str, body: &Value| {
            let request = client.post(world.secure_url(&credit(&iban))).json(body);
            send(request.header("Idempotency-Key", key))
        };
        let booked = post(&world.partner, "e2e-17", &transfer).await;
        let again = post(&world.partner, "e2e-17", &transfer).await;
        assert_eq!(booked.expect(StatusCode::CREATED), again.expect(StatusCode::CREATED));
        let id = text(&again.json(), "id");
        assert_eq!(again.json()["balanceId"], balance);

        // Nobody else's, not in another currency, and to no number that is none.
        let foreign = post(&world.stranger, "e2e-18", &transfer).await;
        foreign.expect_error(404, "BANK_ACCOUNT_NOT_FOUND");
        let mut euros = transfer.clone();
        euros["currency"] = "EUR".into();
        post(&world.partner, "e2e-19", &euros).await.expect_error(422, "CURRENCY_MISMATCH");
        for wrong in ["PL00109010140000000000000000", "x", "PL%00", &iban[1..]] {
            let got = world.post(&credit(wrong), &transfer).await;
            got.expect_error(404, "BANK_ACCOUNT_NOT_FOUND");
        }

        let path = format!("/secure/customers/{customer}/balances/{balance}");
        assert_eq!(world.get(&path).await.json()["amount"], 5_000);
        let summary = world.admin(Method::GET, "/admin/balances/summary", None).await.json();
        let mut items = summary["items"].as_array().unwrap().iter();
        let zlotys = items.find(|item| item["currency"] == "PLN").unwrap();
        assert_eq!((&zlotys["users"], &zlotys["bankTransfers"]), (&json!(5_000), &json!(5_000)));
        let shown = world.transaction(&id).await;
        let expected = json!({ "type": "creditIbanTransfer", "category": "CREDIT", "amount": 5_000,
            "status": "CLEARED", "externalTransactionId": "E2E-17", "description": "salary",
            "balanceId": balance, "ibanMasked": mgmt_api::iban::masked(&iban) });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
        let kept = "SELECT COUNT(*) FROM movements WHERE row_state = 'CONFIRMED' \
             AND iban IN (SELECT iban FROM bank_accounts WHERE state = 'ACTIVE')";
        until(async || world.database.number(kept).await == 1).await;

        // A number that was taken out of use gets nothing.
        let url = world.secure_url(&format!("/secure/bank-accounts/{iban}"));
        assert_eq!(send(world.partner.delete(url)).await.status, 204);
        let late = post(&world.partner, "e2e-20", &transfer).await;
        late.expect_error(404, "BANK_ACCOUNT_NOT_FOUND");
        assert_eq!(world.get(&path).await.json()["amount"], 5_000);
    })
    .await;
}

/// Requirement #35: the institution that keeps the money reads IBANs, whole where it asks for that,
/// which is written down.
#[tokio::test(flavor = "multi_thread")]
async fn the_licensed_institution_reads_ibans_masked_and_whole() {
    on_each(async |world| {
        world.program_with_ibans().await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "PLN").await;
        let own = world.get(&format!("/secure/bank-accounts?balanceId={balance}")).await;
        let iban = text(&own.json()["items"][0], "iban");
        let masked = format!("{}{}{}", &iban[..4], "*".repeat(20), &iban[24..]);
        let at = format!("/admin/customers/{customer}/balances/{balance}/bank-accounts");
        let full = format!("{at}/full");
        let lea = world.operator("lea", Roles::LICENSED, None).await;
        let seen = async |path: &str| {
            let got = world.with(&lea, Method::GET, path, None).await;
            got.expect(StatusCode::OK)["items"].clone()
        };
        assert_eq!(seen(&at).await, json!([{ "ibanMasked": masked, "state": "ACTIVE" }]));
        let route = "GET /admin/customers/{customer}/balances/{balance}/bank-accounts/full";
        let looks = async || {
            let log = world.admin(Method::GET, "/admin/audit?limit=50", None).await.json();
            log["items"].as_array().unwrap().iter().filter(|entry| entry["route"] == route).count()
        };
        assert_eq!(looks().await, 0);
        let whole = json!([{ "iban": iban, "balanceId": balance, "state": "ACTIVE" }]);
        assert_eq!(seen(&full).await, whole);
        assert!(looks().await >= 1);
        // Not of another partner's, and what is taken out of use stays to be read.
        let eve = world.operator("eve", Roles::LICENSED, Some("2")).await;
        for path in [&at, &full] {
            let got = world.with(&eve, Method::GET, path, None).await;
            got.expect_error(404, "USER_NOT_FOUND");
        }
        let one = format!("{at}/{iban}");
        let taken = world.with(&lea, Method::DELETE, &one, None).await;
        taken.expect(StatusCode::NO_CONTENT);
        assert_eq!(seen(&at).await, json!([{ "ibanMasked": masked, "state": "CLOSED" }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_by_two_is_booked_once_by_another_operator() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.reloads_by_two = true;
        world.start_server().await;
        let body = json!({ "kind": "CREDIT", "currency": "EUR" });
        let opened = world.admin(Method::POST, "/admin/partners/1/balances", Some(&body)).await;
        let path = format!("/admin/partner-balances/{}", text(&opened.json(), "id"));
        let (ann, bob) = (
            world.operator("ann", Roles::ADMIN, None).await,
            world.operator("bob", Roles::LICENSED, None).await,
        );
        let reload = json!({ "amount": 10_000, "currency": "EUR", "externalId": "wire-1",
            "description": "from the sponsor" });
        let alone = world.with(&ann, Method::POST, &format!("{path}/reload"), Some(&reload)).await;
        alone.expect_error(409, "SECOND_PERSON_REQUIRED");
        let ask = async || {
            let path = format!("{path}/reloads");
            let asked = world.with(&ann, Method::POST, &path, Some(&reload)).await;
            text(&asked.expect(StatusCode::ACCEPTED), "reloadId")
        };
        let (first, second) = (ask().await, ask().await);
        let listed = world.with(&bob, Method::GET, "/admin/reloads", None).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        assert_eq!(listed["items"][0]["externalId"], "wire-1");
        let decide = async |by: &str, id: &str, what: &str| {
            world.with(by, Method::POST, &format!("/admin/reloads/{id}/{what}"), None).await
        };
        decide(&ann, &first, "confirm").await.expect_error(409, "SECOND_PERSON_REQUIRED");
        decide(&ann, &first, "refuse").await.expect_error(409, "SECOND_PERSON_REQUIRED");
        let amount = async || {
            let shown = world.admin(Method::GET, &path, None).await.json();
            shown["amount"].as_i64().unwrap()
        };
        assert_eq!(amount().await, 0);
        // Nobody hears that it was booked: it is confirmed again, and booked once.
        world.peer.set_mode(Mode::Swallow);
        decide(&bob, &first, "confirm").await.expect_error(503, "SWITCH_UNAVAILABLE");
        world.peer.set_mode(Mode::Answer);
        let booked = decide(&bob, &first, "confirm").await.expect(StatusCode::CREATED);
        assert_eq!((&booked["id"], &booked["amount"]), (&json!(first), &json!(10_000)));
        assert_eq!(amount().await, 10_000);
        decide(&bob, &first, "refuse").await.expect_error(409, "RELOAD_DECIDED");
        let third = world.operator("eve", Roles::ADMIN, None).await;
        decide(&third, &first, "confirm").await.expect_error(409, "RELOAD_DECIDED");
        decide(&bob, &second, "refuse").await.expect(StatusCode::NO_CONTENT);
        decide(&bob, &second, "confirm").await.expect_error(409, "RELOAD_DECIDED");
        assert_eq!(amount().await, 10_000);
        let listed = world.with(&bob, Method::GET, "/admin/reloads", None).await.json();
        assert_eq!(listed["items"], json!([]));
        // Another partner's operator does not see it.
        let other = world.operator("oda", Roles::ADMIN, Some("2")).await;
        decide(&other, &ask().await, "confirm").await.expect_error(404, "RELOAD_NOT_FOUND");
        let wrong = json!({ "amount": 1, "currency": "PLN" });
        let got = world.with(&ann, Method::POST, &format!("{path}/reloads"), Some(&wrong)).await;
        got.expect_error(422, "CURRENCY_MISMATCH");
    })
    .await;
}
