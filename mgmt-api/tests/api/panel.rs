//! The panel as a browser meets it: pages with a session's cookie, forms as they stand in them.
//!
//! Forms are sent as pages have them, every field with what stands in it, so that a form that asks
//! for another route or another body than there is fails here.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::Command;

use crate::browser::{Browser, cookie, form_of, has_form, links, location};
use crate::peer::{Explanations, Mode};
use crate::world::{World, decrypted, on_each, send, text};

/// Ids of what there is to look at.
struct Things {
    customer: String,
    balance: String,
    card: String,
    number: String,
    partner_balance: String,
    check: String,
}

async fn things(world: &World) -> Things {
    let program = json!({ "partner": 1, "currency": "PLN", "bin": "99999901",
        "cardKind": "VIRTUAL", "monthsValid": 24, "ibanPrefix": "PL10901014" });
    let put = world.admin(Method::PUT, "/admin/programs/0019167905", Some(&program)).await;
    put.expect(StatusCode::NO_CONTENT);
    let customer = world.customer().await;
    let balance = world.balance(&customer, "EUR").await;
    world.balance(&customer, "PLN").await;
    let issued = world.card(&customer, &balance, "0019167984").await;
    world.top_up(&customer, &balance, 123_456).await;
    let deposit = json!({ "kind": "DEPOSIT", "currency": "EUR" });
    let deposit = world.admin(Method::POST, "/admin/partners/1/balances", Some(&deposit)).await;
    let partner_balance = text(&deposit.expect(StatusCode::CREATED), "id");
    let wish = json!({ "amount": 5_000, "currency": "EUR" });
    let path = format!("/admin/partner-balances/{partner_balance}/reloads");
    world.admin(Method::POST, &path, Some(&wish)).await.expect(StatusCode::ACCEPTED);
    let fee = json!({ "kind": "POS", "fixed": 30, "ratePpm": 25_000 });
    let path = "/admin/programs/0019167984/fees";
    world.admin(Method::POST, path, Some(&fee)).await.expect(StatusCode::CREATED);
    let check = world.verification().await;
    world.until_history().await;
    let (card, number) = (text(&issued, "id"), text(&issued, "pan"));
    Things { customer, balance, card, number, partner_balance, check }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_signs_in_and_out_and_nobody_else_sees_a_page() {
    on_each(async |world| {
        let ann = Browser::signed_in(world, "ann", Roles::STAFF, None).await;
        let stranger = Browser::new(world);
        for path in ["/panel", "/panel/customers", "/panel/log", "/panel/programs/0019167984"] {
            let got = stranger.get(path).await;
            assert_eq!((got.status, location(&got)), (303, Some("/panel/sign-in".to_owned())));
            assert!(ann.page(path).await.contains("Sign out"), "{path}");
        }
        let wrong = stranger.sign_in("ann", "not the one that was agreed upon").await;
        assert_eq!(wrong.status, 401);
        assert!(String::from_utf8_lossy(&wrong.bytes).contains("INVALID_CREDENTIALS"));
        assert!(wrong.headers.get("set-cookie").is_none());

        // As HTTP/2 sends them: each in a field of its own.
        let several = ann.client.get(format!("{}/panel", ann.origin)).header("Cookie", "other=1");
        assert_eq!(send(several.header("Cookie", &ann.cookie)).await.status, 200);

        let out = ann.form("/panel", "Sign out").await;
        let got = ann.send(&out).await;
        assert_eq!(got.status, 303);
        assert_eq!(cookie(&got), "__Host-panel=");
        let got = ann.get("/panel").await;
        assert_eq!(location(&got).as_deref(), Some("/panel/sign-in"), "a session that has ended");

        // Where no certificate is, a browser would not keep a cookie of that name.
        world.stop_server().await;
        world.config.public.certificate = None;
        world.config.public.key = None;
        world.start_server().await;
        let bob = Browser::signed_in(world, "bob", Roles::STAFF, None).await;
        assert!(bob.cookie.starts_with("panel=") && bob.page("/panel").await.contains("Sign out"));
    })
    .await;
}

/// From the first page on, whoever it is: no link leads nowhere, no page has a script, a card's
/// number, or may be framed.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_leads_to_pages_that_are_there_and_shows_no_card_number() {
    on_each(async |world| {
        let things = things(world).await;
        let mut kinds = BTreeSet::new();
        for (name, roles, partner) in [
            ("admin", Roles::ADMIN, None),
            ("manager", Roles::MANAGER, None),
            ("employee", Roles::EMPLOYEE, None),
            ("licensed", Roles::LICENSED, None),
            ("one-partner", Roles::ALL, Some("1")),
            ("another-partner", Roles::ALL, Some("2")),
        ] {
            let browser = Browser::signed_in(world, name, roles, partner).await;
            let mut open = vec!["/panel".to_owned()];
            let mut seen = BTreeSet::new();
            while let Some(path) = open.pop() {
                if !seen.insert(path.clone()) {
                    continue;
                }
                let got = browser.get(&path).await;
                assert_eq!(got.status, 200, "{name} {path}: {got:?}");
                let policy = got.headers["content-security-policy"].to_str().unwrap();
                assert!(policy.contains("default-src 'none'"), "{path}");
                if got.headers["content-type"] == "text/html; charset=utf-8" {
                    let page = String::from_utf8(got.bytes).unwrap();
                    assert!(!page.contains("<script") && !page.contains(&things.number), "{path}");
                    open.extend(links(&page));
                }
            }
            let sees_user = seen.contains(&format!("/panel/customers/{}", things.customer));
            assert_eq!(sees_user, roles.meet(Roles::STAFF) && partner != Some("2"), "{name}");
            if name == "admin" {
                kinds.extend(seen.iter().map(|path| kind(path)));
            }
        }
        let expected = [
            "/panel",
            "/panel/checks",
            "/panel/checks/*",
            "/panel/checks/*/images/*",
            "/panel/customers",
            "/panel/customers/*",
            "/panel/customers/*/balances/*",
            "/panel/customers/*/cards/*",
            "/panel/customers/*/transactions",
            "/panel/log",
            "/panel/partner-balances/*",
            "/panel/partners",
            "/panel/partners/*",
            "/panel/programs",
            "/panel/programs/*",
            "/panel/programs/*/report",
            "/panel/reloads",
            "/panel/transactions/*",
        ];
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    })
    .await;
}

/// A path with stars for what it names.
fn kind(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let names =
        |part: &str| part.contains(|c: char| c.is_ascii_digit()) || part.starts_with("image");
    let parts = path.split('/').map(|part| match part {
        "images" => "images",
        part if names(part) => "*",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_do_what_they_say_and_once() {
    on_each(async |world| {
        let things = things(world).await;
        let ann = Browser::signed_in(world, "ann", Roles::ADMIN, None).await;
        let user = format!("/panel/customers/{}", things.customer);
        let card = format!("{user}/cards/{}", things.card);

        let lock = ann.form(&card, "Lock").await;
        assert_eq!(lock.fields["reason:n"], "3", "one that can be lifted");
        let lock = lock.with(&[("comment", "asked")]);
        let page = ann.done(&lock).await;
        assert!(page.contains("3: pending query") && page.contains("ADMIN"), "{page}");
        ann.done(&form_of(&page, "Unlock")).await;
        let lock = ann.form(&card, "Lock").await.with(&[("reason:n", "2")]);
        ann.done(&lock).await;
        let unlock = ann.send(&ann.form(&card, "Unlock").await).await;
        let page = String::from_utf8_lossy(&unlock.bytes);
        assert_eq!(unlock.status, 409);
        assert!(page.contains("CARD_LOCKED_IRREVERSIBLY") && page.contains(&card), "{page}");

        let balance = format!("{user}/balances/{}", things.balance);
        let top_up = ann.form(&balance, "Top up").await.with(&[("amount:2", "10,5")]);
        for _twice in 0..2 {
            let page = ann.done(&top_up).await;
            assert!(page.contains("1\u{202f}245.06"), "{page}");
        }
        let page = ann.done(&ann.form(&balance, "Block").await).await;
        assert!(page.contains("BLOCKED") && page.contains("ADMIN"), "{page}");
        let page = ann.done(&form_of(&page, "Unblock")).await;
        assert!(!page.contains("BLOCKED") && has_form(&page, "Block"), "{page}");
        let wrong = ann.form(&balance, "Top up").await.with(&[("amount:2", "10.555")]);
        let wrong = ann.send(&wrong).await;
        assert_eq!(wrong.status, 400);
        assert!(String::from_utf8_lossy(&wrong.bytes).contains("amount: this is no number"));

        let start = ann.page("/panel").await;
        for who in ["+48 123 456 789", "Ada@Example.com"] {
            let find = form_of(&start, "Find user").with(&[("contact", who)]);
            let found = ann.send(&find).await;
            let page = String::from_utf8_lossy(&found.bytes);
            assert_eq!(found.status, 200);
            assert!(page.contains(&user), "{who}: {page}");
        }
        let find = form_of(&start, "Open user").with(&[("customer", &things.customer)]);
        assert_eq!(location(&ann.send(&find).await), Some(user.clone()));

        let check = format!("/panel/checks/{}", things.check);
        let page = ann.done(&ann.form(&check, "Accept").await).await;
        assert!(page.contains("ACCEPTED") && !has_form(&page, "Accept"), "{page}");

        let locked = ann.done(&ann.form(&user, "Lock user").await).await;
        assert!(locked.contains("LOCKED"));
        ann.done(&form_of(&locked, "Unlock user")).await;
        let flags = world.admin(Method::GET, &user.replace("/panel", "/admin"), None).await;
        assert_eq!(flags.json()["locked"], false);
    })
    .await;
}

/// Where nobody knows what became of it, the page asks for the same once more, not for another.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_after_no_answer_is_done_once() {
    on_each(async |world| {
        let things = things(world).await;
        let ann = Browser::signed_in(world, "ann", Roles::ADMIN, None).await;
        let path = format!("/panel/customers/{}/balances/{}", things.customer, things.balance);
        let top_up = ann.form(&path, "Top up").await.with(&[("amount:2", "10")]);
        world.peer.set_mode(Mode::Swallow);
        let got = ann.send(&top_up).await;
        world.peer.set_mode(Mode::Answer);
        world.peer.cut();
        let page = String::from_utf8_lossy(&got.bytes).into_owned();
        assert_eq!(got.status, 503, "{page}");
        assert!(page.contains("It is not known whether this was done"), "{page}");
        let again = form_of(&page, "Try again");
        assert_eq!(again.fields, top_up.fields);
        for _twice in 0..2 {
            let page = ann.done(&again).await;
            assert!(page.contains("1\u{202f}244.56"), "{page}");
        }
    })
    .await;
}

/// Cards are made and their values changed, and neither the page nor the panel itself has them.
#[tokio::test(flavor = "multi_thread")]
async fn cards_are_issued_and_ordered_without_anybody_seeing_their_data() {
    on_each(async |world| {
        let things = things(world).await;
        let ann = Browser::signed_in(world, "ann", Roles::ALL, None).await;
        let user = format!("/panel/customers/{}", things.customer);
        let issue = ann.form(&user, "Issue card").await;
        let issue = issue.with(&[("balanceId", &things.balance), ("configId", "0019167984")]);
        ann.done(&issue).await;
        ann.done(&issue).await;
        let list = format!("/secure/customers/{}/cards", things.customer);
        let cards = async || world.get(&list).await.json()["items"].as_array().unwrap().clone();
        assert_eq!(cards().await.len(), 2, "one of them by the form, however often it is sent");
        let new = text(&cards().await[1], "id");

        let before = full(world, &things.customer, &new).await;
        ann.done(&ann.form(&format!("{user}/cards/{new}"), "Make another CVC2").await).await;
        let after = full(world, &things.customer, &new).await;
        assert_eq!(before["pan"], after["pan"]);
        assert_ne!(before["cvc2"], after["cvc2"]);

        let order = ann.form(&user, "Order card").await.with(&[
            ("balanceId", &things.balance),
            ("configId", "0019167988"),
            ("cardholderName", "ADA NOWAK"),
            ("deliveryAddress.recipient", "Ada Nowak"),
            ("deliveryAddress.street", "Polna 7"),
            ("deliveryAddress.postCode", "20-128"),
            ("deliveryAddress.city", "Lublin"),
            ("deliveryAddress.country", "PL"),
        ]);
        ann.done(&order).await;
        let batch = world.admin(Method::POST, "/admin/personalisation/batches", None).await;
        assert!(batch.status == 201 || batch.title() == "FEATURE_NOT_ENABLED", "{batch:?}");
    })
    .await;
}

async fn full(world: &World, customer: &str, card: &str) -> Value {
    let path = format!("/secure/customers/{customer}/cards/{card}/full");
    let request = world.secure(Method::GET, &path).header("Encrypted-Response", "true");
    let got = send(request.header("Public-Key", crate::world::public_key())).await;
    decrypted(&got.expect(StatusCode::OK))
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_payment_was_declined_stands_there_in_words_and_check_by_check() {
    on_each(async |world| {
        let holder = world.holder().await;
        let declined = world.shop(400, 50_000);
        world.peer.message(Command::Authorize(declined));
        let listed = world.transactions(&holder.customer, "").await;
        let id = text(&listed["items"][0], "id");
        let bob = Browser::signed_in(world, "bob", Roles::EMPLOYEE, None).await;
        let find = bob.form("/panel", "Find transaction").await.with(&[("transaction", &id)]);
        let page = bob.page(&location(&bob.send(&find).await).unwrap()).await;
        let sentence = Reason::InsufficientFunds.sentence();
        for words in [sentence, "10000 available, 50000 EUR asked for", "500.00", "5411"] {
            assert!(page.contains(words), "{words} in {page}");
        }
        world.peer.set_explanations(Explanations::TooFarBehind);
        let page = bob.page(&format!("/panel/transactions/{id}")).await;
        assert!(page.contains(sentence) && page.contains("The switch cannot tell now"), "{page}");
        let unknown = bob.get("/panel/transactions/019a0000-0000-7000-8000-000000000009").await;
        assert_eq!(unknown.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iban_is_hidden_until_it_is_revealed_and_that_is_written_down() {
    on_each(async |world| {
        let things = things(world).await;
        let balance = world.balance(&things.customer, "PLN").await;
        let own = world.get(&format!("/secure/bank-accounts?balanceId={balance}")).await;
        let iban = text(&own.json()["items"][0], "iban");
        let bob = Browser::signed_in(world, "bob", Roles::EMPLOYEE, None).await;
        let path = format!("/panel/customers/{}/balances/{balance}", things.customer);
        let page = bob.page(&path).await;
        assert!(!page.contains(&iban) && page.contains(&iban[24..]) && page.contains("****"));

        let full = "GET /admin/customers/{customer}/balances/{balance}/bank-accounts/full";
        let written = async || {
            let log = world.admin(Method::GET, "/admin/audit?limit=50", None).await.json();
            let entries = log["items"].as_array().unwrap().clone();
            entries.iter().filter(|entry| entry["route"] == full).count()
        };
        assert_eq!(written().await, 0);
        let reveal = form_of(&page, "Reveal").with(&[("_reason", "asked by phone \u{2013} Ada")]);
        let revealed = bob.send(&reveal).await;
        assert!(String::from_utf8_lossy(&revealed.bytes).contains(&iban));
        assert!(written().await >= 1);
        let log = world.admin(Method::GET, "/admin/audit?limit=50", None).await.json();
        assert!(log.to_string().contains("asked by phone ? Ada"));

        // Giving and taking out is the licensed institution's.
        let api = format!("/admin/customers/{}/balances/{balance}/bank-accounts", things.customer);
        let eve = world.operator("eve", Roles::LICENSED, None).await;
        let taken = format!("{api}/{iban}");
        world.with(&eve, Method::DELETE, &taken, None).await.expect(StatusCode::NO_CONTENT);
        let other = format!("{api}/PL61109010140000071219812874");
        let other = world.with(&eve, Method::DELETE, &other, None).await;
        other.expect_error(404, "BANK_ACCOUNT_NOT_FOUND");
        let given = world.with(&eve, Method::POST, &api, None).await.expect(StatusCode::CREATED);
        assert_ne!(text(&given, "iban"), iban);
    })
    .await;
}

/// The seed's matrix: a form is not shown to whom its route is not for, and sent by hand it is
/// refused. Source: requirements #173.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_do_here_what_they_may_not_do_there() {
    on_each(async |world| {
        let things = things(world).await;
        let user = format!("/panel/customers/{}", things.customer);
        let card = format!("{user}/cards/{}", things.card);
        let balance = format!("{user}/balances/{}", things.balance);
        let deposit = format!("/panel/partner-balances/{}", things.partner_balance);
        let table: [(&str, &str, &[&str]); 9] = [
            ("Issue card", &user, &["admin", "manager"]),
            ("Order card", &user, &["admin", "manager", "employee"]),
            ("Lock", &card, &["admin", "manager", "employee"]),
            ("Make another CVC2", &card, &["admin", "manager", "employee"]),
            ("Remove card for ever", &card, &["admin", "manager"]),
            ("Top up", &balance, &["admin"]),
            ("Delete user", &user, &["admin"]),
            ("Reload", &deposit, &["admin", "licensed"]),
            ("Make a fee", "/panel/programs/0019167984", &["licensed"]),
        ];
        let staff = [
            ("admin", Roles::ADMIN),
            ("manager", Roles::MANAGER),
            ("employee", Roles::EMPLOYEE),
            ("licensed", Roles::LICENSED),
        ];
        let all = Browser::signed_in(world, "all", Roles::ALL, None).await;
        for (name, roles) in staff {
            let browser = Browser::signed_in(world, name, roles, None).await;
            for (button, path, may) in table {
                let got = browser.get(path).await;
                let page = String::from_utf8_lossy(&got.bytes);
                let shown = got.status == 200 && has_form(&page, button);
                assert_eq!(shown, may.contains(&name), "{name} {button}");
                if !shown {
                    let stolen = all.form(path, button).await;
                    let got = browser.send(&stolen).await;
                    assert_eq!(got.status, 403, "{name} {button}: {got:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_one_partner_sees_nothing_of_another() {
    on_each(async |world| {
        let things = things(world).await;
        let all = Browser::signed_in(world, "all", Roles::ALL, None).await;
        let own = Browser::signed_in(world, "own", Roles::ALL, Some("1")).await;
        let other = Browser::signed_in(world, "other", Roles::ALL, Some("2")).await;
        let booked = "1\u{202f}234.56";
        let start = all.page("/panel").await;
        assert!(start.contains("What is booked") && start.contains(booked), "{start}");
        assert!(!own.page("/panel").await.contains("What is booked"));
        for path in [
            format!("/panel/customers/{}", things.customer),
            format!("/panel/customers/{}/balances/{}", things.customer, things.balance),
            format!("/panel/customers/{}/cards/{}", things.customer, things.card),
            format!("/panel/partner-balances/{}", things.partner_balance),
            "/panel/partners/1".to_owned(),
            format!("/panel/checks/{}", things.check),
        ] {
            own.page(&path).await;
            assert_eq!(other.get(&path).await.status, 404, "{path}");
        }
        assert_eq!(other.get("/panel/log").await.status, 403);
        let find = form_of(&start, "Find user").with(&[("contact", "ada@example.com")]);
        let found = other.send(&find).await;
        assert!(String::from_utf8_lossy(&found.bytes).contains("There is nobody."));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_or_of_other_make_does_nothing() {
    on_each(async |world| {
        let things = things(world).await;
        let ann = Browser::signed_in(world, "ann", Roles::ADMIN, None).await;
        let card = format!("/panel/customers/{}/cards/{}", things.customer, things.card);
        let lock = ann.form(&card, "Lock").await;
        for origin in [None, Some("null"), Some("https://elsewhere.example")] {
            assert_eq!(
                ann.post("/panel/act", origin, &lock.fields).await.status,
                403,
                "{origin:?}"
            );
        }
        let request = ann.client.post(format!("{}/panel/act", ann.origin));
        let request = request.header("Cookie", &ann.cookie).header("Origin", &ann.origin);
        let request = request.header("Sec-Fetch-Site", "cross-site").form(&lock.fields);
        assert_eq!(send(request).await.status, 403);
        for (field, value) in [
            ("_to", "/secure/customers/1"),
            ("_to", "/admin/../secure/keys"),
            ("_to", "https://elsewhere.example/admin/"),
            ("_next", "https://elsewhere.example"),
            ("_next", "//elsewhere.example"),
            ("_verb", "GET"),
        ] {
            let changed = lock.clone().with(&[(field, value)]);
            assert_eq!(ann.send(&changed).await.status, 400, "{field} {value}");
        }
        // An address that would lead to another one of the API leads nowhere.
        let user = format!("/panel/customers/{}", things.customer);
        for path in [
            format!("{user}%2Fbalances"),
            format!("{user}%3Flimit=1"),
            format!("{user}/transactions?after=x%26limit=1"),
            "/panel/transactions/..%2Fprograms".to_owned(),
        ] {
            assert_eq!(ann.get(&path).await.status, 400, "{path}");
        }
        let path = format!("/secure/customers/{}/cards/{}", things.customer, things.card);
        assert_eq!(world.get(&path).await.json()["lock"], Value::Null);
    })
    .await;
}
