//! The description of the interface: the committed copy is the generated one, every schema and
//! example in it holds, and the documentation page needs no network.

use std::collections::BTreeMap;
use std::path::Path;

use axum::http::StatusCode;
use mgmt_api::auth::access::{Access, Encryption};
use mgmt_api::auth::role::Roles;
use mgmt_api::config::{Limits, MailConfig, MailSecurity};
use mgmt_api::error::Code;
use mgmt_api::openapi;
use mgmt_api::routes;
use mgmt_api::routes::table::{Route, Taken};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::cards::sealed;
use crate::channels::{PASSWORD, WALLET_PIN};
use crate::partner::Partner;
use crate::quick_start::form;
use crate::world::{Got, NETWORK, World, on_each, public_key, send, text};

#[test]
fn the_committed_description_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = format!("{:#}\n", openapi::document(&Limits::default()));
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "run with UPDATE_MANUAL=1 and look at the difference");
}

#[test]
fn a_schema_has_one_form_and_every_reference_leads_to_one() {
    let (secure, public) = routes::all(&Limits::default());
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for route in secure.iter().chain(&public) {
        assert!(route.doc.says.ends_with('.'), "{} says nothing", route.path);
        let taken = match route.doc.body {
            Taken::Nothing | Taken::Report | Taken::File | Taken::Rows => None,
            Taken::Json(shape, _) | Taken::MaybeJson(shape, _) | Taken::Form(shape) => Some(shape),
        };
        let mut found = Vec::new();
        for shape in taken.into_iter().chain(route.doc.gives.1) {
            (shape.collect)(&mut found);
        }
        for (name, schema) in found {
            let schema = serde_json::to_value(schema).unwrap();
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "two types are called {name}");
        }
    }
    let document = openapi::document(&Limits::default());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn what_takes_no_key_says_so() {
    let document = openapi::document(&Limits::default());
    for (path, verb) in [
        ("/customers/sessions/current", "delete"),
        ("/customers/sessions/current/step-up", "post"),
        ("/admin/sessions/current", "delete"),
    ] {
        let route = &document["paths"][path][verb];
        assert!(route["operationId"].is_string(), "{path}");
        assert!(!route["parameters"].to_string().contains("Idempotency"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_served_with_its_scripts() {
    on_each(async |world| {
        let served = world.get_public(openapi::ADDRESS).await.expect(StatusCode::OK);
        assert_eq!(served["openapi"], "3.1.0");
        let page = world.get_public("/docs/").await;
        assert_eq!(page.status, 200);
        let html = String::from_utf8(page.bytes).unwrap();
        for part in html.split(['"', '\'']).filter(|part| part.ends_with(".js")) {
            let script =
                world.get_public(&format!("/docs/{}", part.trim_start_matches("./"))).await;
            assert_eq!(script.status, 200, "{part}");
            assert!(!part.contains("//"), "{part} comes from elsewhere");
        }
    })
    .await;
}

/// A code that no test brings about may never come, or come wrong.
#[test]
fn every_code_is_brought_about_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: String = std::fs::read_dir(folder.join("tests/api"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let missing: Vec<_> = Code::ALL
        .iter()
        .map(|code| code.title())
        .filter(|title| !texts.contains(&format!("\"{title}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Things as a route's example needs them; each example gets its own.
struct Things {
    customer: String,
    balance: String,
    other_balance: String,
    partner_balance: String,
    card: String,
    pan: String,
    last_four: String,
    code: String,
    installation: Value,
    session: String,
    transaction: String,
}

impl Things {
    async fn new(world: &World, config: &str) -> Self {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let other_balance = world.balance(&customer, "EUR").await;
        let transaction = world.top_up(&customer, &balance, 9_000).await;
        let card = world.card(&customer, &balance, config).await;
        let installation = world.paired(&customer, "a tablet").await;
        let got = world.post_public("/customers/sessions", &installation).await;
        let session = text(&got.expect(StatusCode::CREATED), "token");
        Self {
            partner_balance: world.partner_balance().await,
            code: world.pairing_code(&customer).await,
            card: text(&card, "id"),
            pan: text(&card, "pan"),
            last_four: text(&card, "lastFourDigits"),
            installation,
            session,
            transaction,
            customer,
            balance,
            other_balance,
        }
    }

    /// The example's ids as the ones there are.
    fn put_into(&self, example: &str) -> String {
        let member = |name: &str| text(&self.installation, name);
        [
            ("100001", self.customer.clone()),
            ("{customer}", self.customer.clone()),
            ("{card}", self.card.clone()),
            ("{partner}", "1".to_owned()),
            ("{processor}", NETWORK.to_string()),
            ("9999998400000000006", self.pan.clone()),
            ("019a0000-0000-7000-8000-000000000001", self.balance.clone()),
            ("019a0000-0000-7000-8000-000000000002", self.other_balance.clone()),
            ("019a0000-0000-4000-8000-000000000003", member("installationId")),
            ("from the pairing", member("installationSecret")),
            ("0123456789", self.code.clone()),
            ("lastFourDigits\":\"1234", format!("lastFourDigits\":\"{}", self.last_four)),
        ]
        .into_iter()
        .fold(example.to_owned(), |text, (from, to)| text.replace(from, &to))
    }
}

impl World {
    /// The id of a reload that somebody else asked for.
    pub(crate) async fn asked_reload(&self, balance: &str) -> String {
        let path = format!("/admin/partner-balances/{balance}/reloads");
        let body = json!({ "amount": 100, "currency": "EUR" });
        let asked = self.admin(Method::POST, &path, Some(&body)).await;
        text(&asked.expect(StatusCode::ACCEPTED), "reloadId")
    }

    /// Makes the program whose balances have bank accounts, and closes the one that a balance has by
    /// itself.
    async fn let_accounts_open(&self, balance: &str) {
        self.admin(Method::PUT, WITH_ACCOUNTS.0, Some(&program_with_accounts())).await;
        let listed = self.get(&format!("/secure/bank-accounts?balanceId={balance}")).await.json();
        for item in listed["items"].as_array().unwrap() {
            let path = format!("/secure/bank-accounts/{}", text(item, "iban"));
            send(self.secure(Method::DELETE, &path)).await;
        }
    }

    /// The id of a new endpoint where nobody is, in place of an old one: a partner has no more than
    /// ten.
    async fn endpoint_nowhere(&self) -> String {
        const NOWHERE: &str = "http://127.0.0.1:9";
        let listed = self.get("/secure/endpoints").await.json();
        for old in listed["items"].as_array().unwrap().iter().filter(|it| it["url"] == NOWHERE) {
            let path = format!("/secure/endpoints/{}", text(old, "endpointId"));
            send(self.secure(Method::DELETE, &path)).await.expect(StatusCode::NO_CONTENT);
        }
        let body = json!({ "url": NOWHERE, "events": ["transaction"] });
        let made = self.post("/secure/endpoints", &body).await;
        text(&made.expect(StatusCode::CREATED), "endpointId")
    }

    /// The id of the sandbox partner's deposit in EUR.
    async fn partner_balance(&self) -> String {
        let body = json!({ "kind": "DEPOSIT", "currency": "EUR" });
        self.admin(Method::POST, "/admin/partners/1/balances", Some(&body)).await;
        let listed = self.get("/secure/partner/balances").await.json();
        let items = listed["items"].as_array().unwrap();
        text(items.iter().find(|item| item["currency"] == "EUR").unwrap(), "id")
    }
}

/// The program whose cards an example works on.
fn config_of(name: &str) -> &'static str {
    match name {
        "activate_card" => "0019167991",
        "set_pin" | "print_card" => "0019167989",
        _ => "0019167984",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_does_what_its_example_says() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.ca = Some(world.path("pki"));
        world.config.mail = Some(nobodys_mail());
        world.start_server().await;
        world.operator("ann", Roles::ALL, None).await;
        let partner = Partner::start().await;
        let told = json!({ "url": partner.url, "events": ["otp"] });
        world.post("/secure/endpoints", &told).await.expect(StatusCode::CREATED);
        let (secure, public) = routes::all(&world.config.limits);
        let mut open_gbp = false;
        for (is_secure, route) in secure
            .iter()
            .map(|route| (true, route))
            .chain(public.iter().map(|route| (false, route)))
        {
            if needs_more_than_an_example(route)
                || route.doc.name == "open_partner_balance" && open_gbp
            {
                continue;
            }
            open_gbp |= route.doc.name == "open_partner_balance";
            let things = Things::new(world, config_of(route.doc.name)).await;
            if matches!(route.doc.name, "close_balance" | "delete_customer") {
                let path = format!(
                    "/secure/customers/{}/balances/{}/withdraw",
                    things.customer, things.balance
                );
                let all = json!({ "amount": 9_000, "currency": "EUR" });
                world.post(&path, &all).await.expect(StatusCode::CREATED);
            }
            if route.doc.name == "show_verification" {
                world.register(&things.customer, form()).await;
            }
            if route.doc.name.starts_with("open_bank_account") {
                world.let_accounts_open(&things.balance).await;
            }
            let got = perform(world, is_secure, route, &things).await;
            let (status, shape) = route.doc.gives;
            let said = String::from_utf8_lossy(&got.bytes);
            assert_eq!(got.status, status, "{} {}: {said}", route.verb.name(), route.path);
            if route.doc.name == "register_response_key" {
                let mine = json!({ "publicKey": public_key() });
                world.post("/secure/keys", &mine).await.expect(StatusCode::CREATED);
            }
            if shape.is_some() && route.encryption == Encryption::Answer {
                text(&got.json(), "payload");
            }
        }
    })
    .await;
}

/// A mail server that nobody is.
fn nobodys_mail() -> MailConfig {
    MailConfig {
        host: "localhost".to_owned(),
        port: 9,
        security: MailSecurity::None,
        ca: None,
        from: "alerts@issuer.example".to_owned(),
        user: None,
        password: None,
    }
}

/// A program whose balances have bank accounts.
const WITH_ACCOUNTS: (&str, &str) = ("/admin/programs/0019167905", "PL10901014");

fn program_with_accounts() -> Value {
    json!({ "partner": 1, "currency": "EUR", "bin": "99999901", "cardKind": "VIRTUAL",
        "monthsValid": 24, "ibanPrefix": WITH_ACCOUNTS.1 })
}

/// A program of the sandbox.
const SEEDED: &str = "0019167984";

/// A card in its last months, a bureau's key, a switch whose clock may run ahead, and bodies that are
/// not JSON: tested by name.
fn needs_more_than_an_example(route: &Route) -> bool {
    matches!(
        route.doc.name,
        "renew_card"
            | "make_bureau_batch"
            | "revoke_certificate"
            | "put_endpoint_certificate"
            | "show_art"
            | "advance_clock"
            | "advance_order"
    ) || route.doc.name.starts_with("simulate_")
        || matches!(route.doc.body, Taken::Form(_) | Taken::Report | Taken::File | Taken::Rows)
}

/// The route's path, with what it names.
async fn path_of(world: &World, route: &Route, things: &Things) -> String {
    let path = match route.path.contains("partner-balances") || route.path.contains("/partner/") {
        true => route.path.replace("{balance}", &things.partner_balance),
        false => route.path.replace("{balance}", &things.balance),
    };
    let mut path = things.put_into(&path);
    if route.doc.name == "list_bank_accounts" {
        path = format!("{path}?balanceId={}", things.balance);
    }
    if path.contains("{reload}") {
        path = path.replace("{reload}", &world.asked_reload(&things.partner_balance).await);
    }
    if path.contains("{endpoint}") {
        path = path.replace("{endpoint}", &world.endpoint_nowhere().await);
    }
    if path.contains("{transaction}") {
        world.until_history().await;
        path = path.replace("{transaction}", &things.transaction);
    }
    if path.contains("{order}") {
        path = path.replace("{order}", &world.order(&things.customer, &things.balance).await);
    }
    if path.contains("{verification}") {
        path = path.replace("{verification}", &world.verification().await);
    }
    if path.contains("{token}") {
        let at = format!("/secure/customers/{}/cards/{}/tokens", things.customer, things.card);
        let made = world.post(&at, &json!({ "tokenReference": "T-1" })).await;
        path = path.replace("{token}", &text(&made.expect(StatusCode::CREATED), "tokenId"));
    }
    if path.contains("{iban}") {
        let at = format!("/secure/bank-accounts?balanceId={}", things.balance);
        let listed = world.get(&at).await.json();
        path = path.replace("{iban}", &text(&listed["items"][0], "iban"));
    }
    if path.contains("{import}") {
        let row =
            r#"{"firstName":"Ada","lastName":"Nowak","phone":"48600100200","email":"a@b.example"}"#;
        let made = world.import(&world.partner, "", "application/jsonl", row.to_owned()).await;
        let id = text(&made.expect(StatusCode::ACCEPTED), "importId");
        path = path.replace("{import}", &id);
    }
    if path.contains("{fee}") {
        let fee = match route.doc.body {
            Taken::Json(_, example) => serde_json::from_str(example).unwrap(),
            Taken::Nothing
            | Taken::MaybeJson(..)
            | Taken::Form(_)
            | Taken::Report
            | Taken::File
            | Taken::Rows => json!({ "kind": "CARD_CREATION", "fixed": 1 }),
        };
        let fees = "/admin/programs/0019167900/fees";
        let made = world.admin(Method::POST, fees, Some(&fee)).await.expect(StatusCode::CREATED);
        path = path.replace("{fee}", &made["feeId"].to_string().replace('"', ""));
    }
    path = path
        .replace("{image}", "imageFace")
        .replace("{program}", if route.doc.name == "show_program" { SEEDED } else { "0019167900" });
    if path.contains("{operation}") {
        let id = world.operation(&things.customer, &things.balance).await;
        path = path.replace("{operation}", &id);
    }
    path
}

async fn perform(world: &World, is_secure: bool, route: &Route, things: &Things) -> Got {
    let path = path_of(world, route, things).await;
    let url = if is_secure { world.secure_url(&path) } else { world.public_url(&path) };
    let method: Method = route.verb.name().parse().unwrap();
    let client = match (route.access == Access::Processor, is_secure) {
        (true, _) => &world.network,
        (false, true) => &world.partner,
        (false, false) => &world.nobody,
    };
    let request = client.request(method, url);
    let request = match route.access {
        Access::Anyone | Access::Partner | Access::Processor => request,
        Access::Lifecycle => lifecycle(request),
        Access::Customer => request.bearer_auth(&things.session),
        // Partners, programs and totals are not one partner's.
        Access::Operator(_) => {
            let body = json!({ "name": "ann", "password": PASSWORD });
            let begun = world.post_public("/admin/sessions", &body).await;
            request.bearer_auth(text(&begun.json(), "token"))
        }
    };
    assert_eq!(WALLET_PIN, "4711", "the examples show it");
    let (Taken::Json(_, example) | Taken::MaybeJson(_, example)) = route.doc.body else {
        return send(encrypted(request, route.encryption)).await;
    };
    let example: Value = serde_json::from_str(&things.put_into(example)).unwrap();
    let request = encrypted(request, route.encryption);
    send(match route.encryption {
        Encryption::Body => request.json(&json!({ "payload": sealed(world, &example).await })),
        Encryption::Optional | Encryption::Answer => request.json(&example),
    })
    .await
}

fn encrypted(request: RequestBuilder, encryption: Encryption) -> RequestBuilder {
    match encryption {
        Encryption::Optional => request,
        Encryption::Answer => {
            request.header("Public-Key", public_key()).header("Encrypted-Response", "true")
        }
        Encryption::Body => {
            request.header("Public-Key", public_key()).header("Encrypted-Request", "true")
        }
    }
}

fn lifecycle(request: RequestBuilder) -> RequestBuilder {
    let request = request.header("Issuer-Code", "sandbox").header("Collection", "lifecycle");
    request.header("Application-Id", "SBX-APP-ID")
}
