//! Versions of what is configured: `ETag` says which one is shown, `If-Match` changes that one or
//! nothing.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use mgmt_api::routes;
use mgmt_api::routes::table::Verb;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Got, World, on_each, send, text};

/// One change, of the version that is named.
async fn put(world: &World, path: &str, tag: &str, body: &Value) -> Got {
    send(world.secure(Method::PUT, path).header("If-Match", tag).json(body)).await
}

async fn tag(world: &World, path: &str) -> String {
    let got = world.get(path).await;
    got.expect(StatusCode::OK);
    got.headers["etag"].to_str().unwrap().to_owned()
}

fn daily(amount: i64) -> Value {
    json!({ "currency": "EUR", "timeZone": "UTC", "daily": amount })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_version_that_is_no_more_changes_nothing() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let path = format!("/secure/customers/{customer}/cards/{card}/limits");
        let first = tag(world, &path).await;
        assert_eq!(tag(world, &path).await, first, "the same as long as nothing changes");
        assert_eq!(put(world, &path, &first, &daily(100)).await.status, 204);
        let second = tag(world, &path).await;
        assert_ne!(second, first);
        for stale in [first.as_str(), "\"x\"", "", &format!("W/{second}")] {
            let got = put(world, &path, stale, &daily(200)).await;
            got.expect_error(412, "PRECONDITION_FAILED");
        }
        assert_eq!(world.get(&path).await.json()["daily"], 100);
        let either = format!("\"x\", {second}");
        assert_eq!(put(world, &path, &either, &daily(300)).await.status, 204);
        assert_eq!(put(world, &path, "*", &daily(400)).await.status, 204);
        // Whoever names none changes what there is.
        let got = send(world.secure(Method::PUT, &path).json(&daily(500))).await;
        assert_eq!(got.status, 204);
        assert_eq!(world.get(&path).await.json()["daily"], 500);
    })
    .await;
}

/// Of fifty who saw the same version one changes it; asked again under its key, it is told so again.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_saw_one_version_one_changes_it_and_hears_so_again() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/limits");
        let seen = tag(world, &path).await;
        let change = |amount: i64| {
            let request = world.secure(Method::PUT, &path).header("If-Match", &seen);
            send(request.header("Idempotency-Key", format!("key {amount}")).json(&daily(amount)))
        };
        let mut racing = tokio::task::JoinSet::new();
        for amount in 1..=50 {
            let request = change(amount);
            racing.spawn(async move { (amount, request.await.status) });
        }
        let all = racing.join_all().await;
        let done: Vec<i64> =
            all.iter().filter(|(_, status)| *status == 204).map(|(amount, _)| *amount).collect();
        assert!(all.iter().all(|(_, status)| matches!(status, 204 | 412)), "{all:?}");
        assert_eq!(done.len(), 1, "{all:?}");
        assert_eq!(world.get(&path).await.json()["daily"], done[0]);
        let again = change(done[0]).await;
        assert_eq!((again.status, again.headers.contains_key("idempotency-hit")), (204, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_fees_and_endpoints_have_versions_too() {
    on_each(async |world| {
        let program = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
            "cardKind": "VIRTUAL", "monthsValid": 24 });
        let ann = world.operator("ann", Roles::ALL, None).await;
        let by = async |method: Method, path: &str, tag: &str, body: Option<&Value>| {
            let request = world.nobody.request(method, world.public_url(path)).bearer_auth(&ann);
            let request = request.header("If-Match", tag);
            send(match body {
                Some(body) => request.json(body),
                None => request,
            })
            .await
        };
        let path = "/admin/programs/0019167901";
        let got = by(Method::PUT, path, "*", Some(&program)).await;
        got.expect_error(412, "PRECONDITION_FAILED");
        let got = world.with(&ann, Method::PUT, path, Some(&program)).await;
        assert_eq!(got.status, 204, "made without a version");
        let shown = async |path: &str| {
            let got = world.with(&ann, Method::GET, path, None).await;
            let tag = got.headers["etag"].to_str().unwrap().to_owned();
            (got.expect(StatusCode::OK), tag)
        };
        let (first, tag) = shown(path).await;
        assert_eq!(first["program"]["monthsValid"], 24);
        let longer = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
            "cardKind": "VIRTUAL", "monthsValid": 36 });
        assert_eq!(by(Method::PUT, path, &tag, Some(&longer)).await.status, 204);
        let got = by(Method::PUT, path, &tag, Some(&program)).await;
        got.expect_error(412, "PRECONDITION_FAILED");

        let fee = json!({ "kind": "POS", "fixed": 30 });
        let made = world.with(&ann, Method::POST, &format!("{path}/fees"), Some(&fee)).await;
        let fee_path = format!("{path}/fees/{}", text(&made.json(), "feeId"));
        let (_, tag) = shown(&fee_path).await;
        let dearer = json!({ "kind": "POS", "fixed": 40 });
        assert_eq!(by(Method::PUT, &fee_path, &tag, Some(&dearer)).await.status, 200);
        let got = by(Method::DELETE, &fee_path, &tag, None).await;
        got.expect_error(412, "PRECONDITION_FAILED");
        let (_, tag) = shown(&fee_path).await;
        assert_eq!(by(Method::DELETE, &fee_path, &tag, None).await.status, 204);

        let body = json!({ "url": "http://127.0.0.1:9", "events": ["transaction"] });
        let made = world.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        let path = format!("/secure/endpoints/{}", text(&made, "endpointId"));
        let got = put(world, &path, "\"x\"", &body).await;
        got.expect_error(412, "PRECONDITION_FAILED");
        let tag = self::tag(world, &path).await;
        assert_eq!(put(world, &path, &tag, &body).await.status, 200);
    })
    .await;
}

/// A change that looks at versions has something that shows them.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_version_has_a_page_that_shows_it() {
    let limits = mgmt_api::Config::default().limits;
    let (secure, public) = routes::all(&limits);
    let all: Vec<_> = secure.into_iter().chain(public).collect();
    let changes = all.iter().filter(|route| route.doc.has_versions && route.verb != Verb::Get);
    let mut count = 0;
    for change in changes {
        let shows = |route: &&routes::table::Route| {
            route.verb == Verb::Get && route.path == change.path && route.doc.has_versions
        };
        assert!(all.iter().any(|route| shows(&route)), "{}", change.path);
        count += 1;
    }
    assert!(count >= 10, "{count}");
}
