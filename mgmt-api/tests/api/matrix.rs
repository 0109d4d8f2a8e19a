//! The attack matrix: every route of the router, with every credential that is not meant for it.
//!
//! The routes come from the table that the router is made of, so that a new one is in here without
//! being named.

use mgmt_api::auth::access::{Access, Encryption};
use mgmt_api::auth::role::Roles;
use mgmt_api::routes;
use mgmt_api::routes::table::{Route, Taken};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::cards::sealed;
use crate::world::{Got, NETWORK, World, on_each, public_key, send, text};

/// Whoever knocks.
struct Knocker {
    name: &'static str,
    client: Client,
    token: Option<String>,
    access: Option<Access>,
}

/// Ids of things that belong to one partner and one customer.
struct Things {
    customer: String,
    balance: String,
    card: String,
    partner_balance: String,
    order: String,
    operation: String,
    verification: String,
    transaction: String,
}

fn method(route: &Route) -> Method {
    route.verb.name().parse().unwrap()
}

fn path(route: &Route, things: &Things) -> String {
    let mut path = route.path.clone();
    for (name, value) in [
        ("{customer}", &things.customer),
        ("{card}", &things.card),
        ("{verification}", &things.verification),
        ("{certificate}", &"0".repeat(64)),
        ("{iban}", &"PL61109010140000071219812874".to_owned()),
        ("{endpoint}", &"019a0000-0000-7000-8000-000000000009".to_owned()),
        ("{reload}", &"019a0000-0000-7000-8000-000000000009".to_owned()),
        ("{import}", &"019a0000-0000-7000-8000-000000000001".to_owned()),
        ("{kind}", &"mdes-icon".to_owned()),
        ("{image}", &"imageFace".to_owned()),
        ("{program}", &"0019167984".to_owned()),
        ("{fee}", &"1".to_owned()),
        ("{token}", &"1".to_owned()),
        ("{processor}", &NETWORK.to_string()),
        ("{order}", &things.order),
        ("{transaction}", &things.transaction),
        ("{operation}", &things.operation),
        ("{partner}", &"1".to_owned()),
    ] {
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

/// A request with everything but a right credential: headers, key, the example's body.
async fn knock(
    world: &World,
    by: &Knocker,
    is_secure: bool,
    route: &Route,
    things: &Things,
) -> Got {
    let at = path(route, things);
    let url = if is_secure { world.secure_url(&at) } else { world.public_url(&at) };
    send(request(world, by, route, (url, example(route, things).as_ref())).await).await
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
    let example = example
        .replace("100001", &things.customer)
        .replace("019a0000-0000-7000-8000-000000000001", &things.balance)
        .replace("019a0000-0000-7000-8000-000000000002", &things.balance);
    Some(serde_json::from_str(&example).unwrap())
}

async fn things(world: &World) -> Things {
    let customer = world.customer_with_pin().await;
    let balance = world.balance(&customer, "EUR").await;
    let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
    let body = serde_json::json!({ "kind": "DEPOSIT", "currency": "EUR" });
    let opened = world.admin(Method::POST, "/admin/partners/1/balances", Some(&body)).await;
    let partner_balance = text(&opened.json(), "id");
    let order = world.order(&customer, &balance).await;
    let operation = world.operation(&customer, &balance).await;
    let verification = world.verification().await;
    let transaction = world.top_up(&customer, &balance, 100).await;
    world.until_history().await;
    Things { customer, balance, card, partner_balance, order, operation, verification, transaction }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_lets_in_whom_it_is_not_for() {
    on_each(async |world| {
        let things = things(world).await;
        let knockers = knockers(world, &things.customer).await;
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
                let refused = matches!(got.status, 401 | 403);
                assert!(refused, "{} {at} lets {} in: {got:?}", route.verb.name(), by.name);
                tried += 1;
            }
        }
        assert!(tried > 200, "{tried} combinations");
    })
    .await;
}

/// Everyone may see a 404 only: nothing of one customer is there for another, or another partner.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_not_found() {
    on_each(async |world| {
        let mine = things(world).await;
        let theirs = send(world.wallet(&world.stranger, &crate::world::plain_wallet())).await;
        let theirs = text(&theirs.json(), "customerId");
        let other = world.customer_with_pin().await;
        let strangers = [
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
        ];
        let (secure, public) = routes::all(&world.config.limits);
        let mut tried = 0;
        for (is_secure, route) in secure
            .iter()
            .map(|route| (true, route))
            .chain(public.iter().map(|route| (false, route)))
        {
            let things_named = [
                "{balance}",
                "{card}",
                "{order}",
                "{operation}",
                "{verification}",
                "{transaction}",
            ];
            let names_a_thing = things_named.iter().any(|name| route.path.contains(name));
            for by in strangers.iter().filter(|by| is_for(route.access, by.access)) {
                for customer in [&mine.customer, &theirs] {
                    let foreign = customer == &mine.customer && route.path.contains("{customer}");
                    if !foreign && !names_a_thing {
                        continue;
                    }
                    let things = Things { customer: customer.clone(), ..clone(&mine) };
                    let at = path(route, &things);
                    let got = knock(world, by, is_secure, route, &things).await;
                    assert!(
                        is_refusal(route, &got),
                        "{} {at} by {}: {got:?}",
                        route.verb.name(),
                        by.name
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 30, "{tried} combinations");
    })
    .await;
}

fn clone(things: &Things) -> Things {
    Things {
        customer: things.customer.clone(),
        balance: things.balance.clone(),
        card: things.card.clone(),
        partner_balance: things.partner_balance.clone(),
        order: things.order.clone(),
        operation: things.operation.clone(),
        verification: things.verification.clone(),
        transaction: things.transaction.clone(),
    }
}

/// Not found; or no form or report, which are looked at before anything is looked up.
fn is_refusal(route: &Route, got: &Got) -> bool {
    got.status == 404
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
    let session = world.customer_session(customer).await;
    let mut cut = session.clone();
    cut.pop();
    vec![
        nobody("nobody", None, None),
        nobody("an empty token", Some(String::new()), None),
        nobody("a cut token", Some(cut), None),
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
