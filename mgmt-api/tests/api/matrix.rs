//! The attack matrix: every route of the router, with every credential that is not meant for it.
//!
//! The routes come from the table that the router is made of, so that a new one is in here without
//! being named.

use axum::http::StatusCode;
use mgmt_api::auth::access::{Access, Encryption};
use mgmt_api::auth::role::Roles;
use mgmt_api::config::{ClientConfig, ProcessorConfig};
use mgmt_api::pki;
use mgmt_api::routes;
use mgmt_api::routes::table::{Route, Taken};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::cards::sealed;
use crate::world::{Got, NETWORK, World, client_with, on_each, public_key, send, text};

/// Whoever knocks.
struct Knocker {
    name: &'static str,
    client: Client,
    token: Option<String>,
    access: Option<Access>,
}

/// Ids of things that belong to one partner and one customer, by their names in paths.
#[derive(Clone)]
struct Things {
    customer: String,
    balance: String,
    partner_balance: String,
    others: Vec<(&'static str, String)>,
}

impl Things {
    fn named(&self, name: &str) -> &str {
        let mut others = self.others.iter();
        others.find_map(|(known, id)| (*known == name).then_some(id.as_str())).unwrap()
    }
}

/// What in a path belongs to somebody; none of it is there for others.
const OWNED: [&str; 14] = [
    "{balance}",
    "{card}",
    "{order}",
    "{operation}",
    "{verification}",
    "{transaction}",
    "{endpoint}",
    "{reload}",
    "{import}",
    "{iban}",
    "{token}",
    "{processor}",
    "{partner}",
    "{program}",
];

/// What stands for something of somebody's in the example of a body, and its name in paths.
const IN_BODIES: [(&str, &str); 4] = [
    ("019a0000-0000-7000-8000-000000000001", "{balance}"),
    ("019a0000-0000-7000-8000-000000000003", "{transaction}"),
    ("019a0000-0000-7000-8000-000000000004", "{order}"),
    ("357001", "{card}"),
];

/// A certificate, PEM.
const CERTIFICATE: &str = "a certificate";

/// The number of the other card network.
const OTHER_NETWORK: u32 = 8;

/// A client with a certificate that another authority has signed.
const FOREIGN: &str = "a certificate of another authority";

fn method(route: &Route) -> Method {
    route.verb.name().parse().unwrap()
}

fn path(route: &Route, things: &Things) -> String {
    let mut path = route.path.replace("{customer}", &things.customer);
    for (name, value) in &things.others {
        path = path.replace(name, value);
    }
    let balance = match path.contains("partner-balances") {
        true => &things.partner_balance,
        false => &things.balance,
    };
    let path = path.replace("{balance}", balance);
    assert!(!path.contains('{'), "{path}: say what stands there");
    path
}

/// A request with everything but a right credential: headers, key, the example's body. None where
/// not even the connection comes about.
async fn knock(
    world: &World,
    by: &Knocker,
    is_secure: bool,
    route: &Route,
    things: &Things,
) -> Option<Got> {
    let at = path(route, things);
    let url = if is_secure { world.secure_url(&at) } else { world.public_url(&at) };
    let request = request(world, by, route, (url, example(route, things).as_ref())).await;
    if by.name == FOREIGN && is_secure {
        assert!(request.send().await.is_err(), "{at}: a certificate of another authority");
        return None;
    }
    Some(send(request).await)
}

async fn request(
    world: &World,
    by: &Knocker,
    route: &Route,
    (url, body): (String, Option<&Value>),
) -> RequestBuilder {
    let mut request = by.client.request(method(route), url);
    for (name, value) in [
        ("Issuer-Code", "sandbox"),
        ("Application-Id", "SBX-APP-ID"),
        ("Collection", "lifecycle"),
        ("Encrypted-Response", "true"),
    ] {
        request = request.header(name, value);
    }
    request = request.header("Public-Key", public_key());
    if let Some(token) = &by.token {
        request = request.bearer_auth(token);
    }
    match body {
        Some(body) if route.encryption == Encryption::Body => {
            let request = request.header("Encrypted-Request", "true");
            request.json(&json!({ "payload": sealed(world, body).await }))
        }
        Some(body) => request.json(body),
        None => request,
    }
}

/// The route's example, about the things there are.
fn example(route: &Route, things: &Things) -> Option<Value> {
    let (Taken::Json(_, example) | Taken::MaybeJson(_, example)) = route.doc.body else {
        return None;
    };
    let mut example = example
        .replace("100001", &things.customer)
        .replace("019a0000-0000-7000-8000-000000000002", &things.balance);
    for (placeholder, name) in IN_BODIES {
        let id = if name == "{balance}" { &things.balance } else { things.named(name) };
        example = example.replace(placeholder, id);
    }
    let mut example: Value = serde_json::from_str(&example).unwrap();
    if route.doc.name == "put_endpoint_certificate" {
        example["certificate"] = things.named(CERTIFICATE).into();
    }
    Some(example)
}

/// Whether a route's example names something of somebody's.
fn names_in_body(route: &Route) -> bool {
    match route.doc.body {
        Taken::Json(_, example) | Taken::MaybeJson(_, example) => {
            IN_BODIES.iter().any(|(placeholder, _name)| example.contains(placeholder))
        }
        Taken::Nothing | Taken::Form(_) | Taken::Report | Taken::File | Taken::Rows => false,
    }
}

async fn things(world: &World) -> Things {
    let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
        "cardKind": "VIRTUAL", "monthsValid": 24, "ibanPrefix": "PL10901014" });
    let put = world.admin(Method::PUT, "/admin/programs/0019167905", Some(&program)).await;
    put.expect(StatusCode::NO_CONTENT);
    let customer = world.customer_with_pin().await;
    let balance = world.balance(&customer, "EUR").await;
    let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
    let body = json!({ "kind": "DEPOSIT", "currency": "EUR" });
    let opened = world.admin(Method::POST, "/admin/partners/1/balances", Some(&body)).await;
    let partner_balance = text(&opened.json(), "id");
    let made = async |path: &str, body: Value, id: &str| {
        text(&world.post(path, &body).await.expect(StatusCode::CREATED), id)
    };
    let at = format!("/secure/customers/{customer}/cards/{card}/tokens");
    let token = made(&at, json!({ "tokenReference": "T-1" }), "tokenId").await;
    let endpoint = json!({ "url": "http://127.0.0.1:9", "events": ["transaction"] });
    let endpoint = made("/secure/endpoints", endpoint, "endpointId").await;
    let ibans = world.get(&format!("/secure/bank-accounts?balanceId={balance}")).await.json();
    let rows =
        r#"{"firstName":"Ada","lastName":"Nowak","phone":"48600100200","email":"a@b.example"}"#;
    let import = world.import(&world.partner, "", "application/jsonl", rows.to_owned()).await;
    let transaction = world.top_up(&customer, &balance, 100).await;
    let others = vec![
        ("{reload}", world.asked_reload(&partner_balance).await),
        ("{card}", card),
        ("{token}", token),
        ("{endpoint}", endpoint),
        ("{iban}", text(&ibans["items"][0], "iban")),
        ("{import}", text(&import.expect(StatusCode::ACCEPTED), "importId")),
        ("{order}", world.order(&customer, &balance).await),
        ("{operation}", world.operation(&customer, &balance).await),
        ("{verification}", world.verification().await),
        ("{transaction}", transaction),
        ("{processor}", NETWORK.to_string()),
        ("{certificate}", "0".repeat(64)),
        (CERTIFICATE, std::fs::read_to_string(world.path("pki/partner.crt")).unwrap()),
        ("{kind}", "mdes-icon".to_owned()),
        ("{image}", "imageFace".to_owned()),
        ("{program}", "0019167984".to_owned()),
        ("{fee}", "1".to_owned()),
        ("{partner}", "1".to_owned()),
    ];
    world.until_history().await;
    Things { customer, balance, partner_balance, others }
}

/// Certificates beside those that each world has: one that will be revoked, another network's, and
/// one of another authority. The switch's link of the sandbox is there, and nobody listens.
async fn let_others_in(world: &mut World) -> [Client; 3] {
    world.stop_server().await;
    world.config.sandbox_iso8583 = Some("127.0.0.1:9".parse().unwrap());
    let ca = world.path("pki/ca.pem");
    let issue = |folder: &str, name: &str| {
        let (certificate, key) = pki::issue_client(&world.path(folder), name).unwrap();
        (client_with(&ca, Some((&certificate, &key))), certificate)
    };
    let (revoked, certificate) = issue("pki", "revoked");
    let (network, other) = issue("pki", "other-network");
    let (foreign, _certificate) = issue("elsewhere", "foreign");
    let networks = Vec::new();
    let client = ClientConfig {
        certificate: certificate.clone(),
        partner: 1,
        response_key: None,
        networks: networks.clone(),
    };
    let processor = ProcessorConfig { id: OTHER_NETWORK, certificate: other, networks };
    world.config.clients.push(client);
    world.config.processors.push(processor);
    world.start_server().await;
    mgmt_api::revoke(&world.config, &certificate).await.unwrap();
    [revoked, network, foreign]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_lets_in_whom_it_is_not_for() {
    on_each(async |world| {
        let [revoked, _network, foreign] = let_others_in(world).await;
        let things = things(world).await;
        let mut knockers = knockers(world, &things.customer).await;
        for (name, client) in [("a revoked certificate", revoked), (FOREIGN, foreign)] {
            knockers.push(Knocker { name, client, token: None, access: None });
        }
        let (secure, public) = routes::all(&world.config.limits);
        let mut tried = 0;
        for (is_secure, route) in secure
            .iter()
            .map(|route| (true, route))
            .chain(public.iter().map(|route| (false, route)))
        {
            for by in &knockers {
                if is_for(route.access, by.access) {
                    continue;
                }
                let at = path(route, &things);
                let got = knock(world, by, is_secure, route, &things).await;
                let refused = got.as_ref().is_none_or(|got| matches!(got.status, 401 | 403));
                assert!(refused, "{} {at} lets {} in: {got:?}", route.verb.name(), by.name);
                tried += 1;
            }
        }
        assert!(tried > 1_000, "{tried} combinations");
    })
    .await;
}

/// Nothing of one customer is there for another, nor for another partner, its operator, or another
/// network: not by its path, and not in a body.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_not_found() {
    on_each(async |world| {
        let [_revoked, network, _foreign] = let_others_in(world).await;
        let mine = things(world).await;
        let theirs = send(world.wallet(&world.stranger, &crate::world::plain_wallet())).await;
        let theirs = text(&theirs.json(), "customerId");
        let strangers = strangers(world, network).await;
        let (secure, public) = routes::all(&world.config.limits);
        let (mut tried, mut seen) = (0, Vec::new());
        for (is_secure, route) in secure
            .iter()
            .map(|route| (true, route))
            .chain(public.iter().map(|route| (false, route)))
        {
            let names_a_thing =
                OWNED.iter().any(|name| route.path.contains(name)) || names_in_body(route);
            for by in strangers.iter().filter(|by| is_for(route.access, by.access)) {
                for customer in [&mine.customer, &theirs] {
                    let foreign = customer == &mine.customer && route.path.contains("{customer}");
                    if !foreign && !names_a_thing {
                        continue;
                    }
                    let things = Things { customer: customer.clone(), ..mine.clone() };
                    let at = path(route, &things);
                    let got = knock(world, by, is_secure, route, &things).await.unwrap();
                    if !is_refusal(route, &got) {
                        let said = String::from_utf8_lossy(&got.bytes).into_owned();
                        let (verb, name) = (route.verb.name(), by.name);
                        seen.push(format!("{verb} {at} by {name}: {} {said}", got.status));
                    }
                    tried += 1;
                }
            }
        }
        assert!(seen.is_empty(), "{}", seen.join("\n"));
        assert!(tried > 200, "{tried} combinations");
    })
    .await;
}

async fn strangers(world: &World, network: Client) -> [Knocker; 4] {
    let other = world.customer_with_pin().await;
    [
        Knocker {
            name: "another partner",
            client: world.stranger.clone(),
            token: None,
            access: Some(Access::Partner),
        },
        Knocker {
            name: "another customer",
            client: world.nobody.clone(),
            token: Some(world.customer_session(&other).await),
            access: Some(Access::Customer),
        },
        Knocker {
            name: "another partner's operator",
            client: world.nobody.clone(),
            token: Some(world.operator("eve", Roles::ALL, Some("2")).await),
            access: Some(Access::Operator(Roles::ALL)),
        },
        Knocker {
            name: "another network",
            client: network,
            token: None,
            access: Some(Access::Processor),
        },
    ]
}

/// Not found; or no form or report, which are looked at before anything is looked up; or, of what a
/// network or an operator of all partners may do alone, forbidden.
fn is_refusal(route: &Route, got: &Got) -> bool {
    let of_all = ["{processor}", "{partner}", "{program}"];
    let may_forbid = of_all.iter().any(|name| route.path.contains(name));
    got.status == 404
        || got.status == 403 && may_forbid && got.title() == "FORBIDDEN"
        || got.status == 415
            && matches!(route.doc.body, Taken::Form(_) | Taken::Report | Taken::File | Taken::Rows)
}

fn is_for(route: Access, caller: Option<Access>) -> bool {
    match (route, caller) {
        (Access::Anyone, _) => true,
        (Access::Operator(allowed), Some(Access::Operator(roles))) => roles.meet(allowed),
        (Access::Partner | Access::Lifecycle, Some(Access::Partner)) => true,
        (Access::Customer, Some(Access::Customer))
        | (Access::Processor, Some(Access::Processor)) => true,
        _ => false,
    }
}

async fn knockers(world: &World, customer: &str) -> Vec<Knocker> {
    let nobody = |name, token: Option<String>, access| Knocker {
        name,
        client: world.nobody.clone(),
        token,
        access,
    };
    let role = |roles| Some(Access::Operator(roles));
    let ended =
        [world.customer_session(customer).await, world.operator("old", Roles::ALL, None).await];
    world.database.execute("UPDATE sessions SET used_at_ms = 1, created_at_ms = 1").await;
    let [ended_cardholder, ended_operator] = ended;
    let session = world.customer_session(customer).await;
    let mut cut = session.clone();
    cut.pop();
    vec![
        nobody("nobody", None, None),
        nobody("an empty token", Some(String::new()), None),
        nobody("a cut token", Some(cut), None),
        nobody("a cardholder whose session has ended", Some(ended_cardholder), None),
        nobody("an operator whose session has ended", Some(ended_operator), None),
        nobody("a cardholder", Some(session), Some(Access::Customer)),
        nobody(
            "an employee",
            Some(world.operator("emp", Roles::EMPLOYEE, None).await),
            role(Roles::EMPLOYEE),
        ),
        nobody(
            "a manager",
            Some(world.operator("man", Roles::MANAGER, None).await),
            role(Roles::MANAGER),
        ),
        nobody(
            "an admin",
            Some(world.operator("adm", Roles::ADMIN, None).await),
            role(Roles::ADMIN),
        ),
        nobody(
            "the licensed institution",
            Some(world.operator("lic", Roles::LICENSED, None).await),
            role(Roles::LICENSED),
        ),
        Knocker {
            name: "a partner",
            client: world.partner.clone(),
            token: None,
            access: Some(Access::Partner),
        },
        Knocker {
            name: "a network",
            client: world.network.clone(),
            token: None,
            access: Some(Access::Processor),
        },
        Knocker {
            name: "a partner with half of the admin token",
            client: world.partner.clone(),
            token: Some(world.admin_token[20..].to_owned()),
            access: Some(Access::Partner),
        },
    ]
}
