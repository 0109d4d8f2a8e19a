//! The audit log: what is written, that it is written first, and that no entry can be changed.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use crate::peer::Mode;
use crate::world::{World, on_each, public_key, send, text, until};

impl World {
    async fn audit(&self) -> Vec<Value> {
        let mut items = Vec::new();
        loop {
            let after = items.len();
            let path = format!("/admin/audit?limit=50&after={after}");
            let page = self.admin(Method::GET, &path, None).await.expect(StatusCode::OK);
            items.extend(page["items"].as_array().unwrap().clone());
            if page["hasMore"] == false {
                return items;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_looks_at_card_data_are_written_with_who_what_and_why() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        // Three changes: each was asked for, and something came of it.
        until(async || world.audit().await.len() == 6).await;
        let before = world.audit().await.len();
        world.get(&format!("/secure/customers/{customer}/cards/{card}")).await;
        assert_eq!(world.audit().await.len(), before, "a look without card data");

        let path = format!("/secure/customers/{customer}/cards/{card}/full");
        let request = world.secure(Method::GET, &path).header("Public-Key", public_key());
        let request = request.header("X-Audit-Reason", "call 17 of 9999998412345678");
        let request = request.header("X-Request-Id", "r-1");
        send(request.header("Encrypted-Response", "true")).await.expect(StatusCode::OK);
        let ann = world.operator("ann", Roles::EMPLOYEE, None).await;
        let path = format!("/admin/customers/{customer}/cards/{card}/lock");
        world.with(&ann, Method::POST, &path, Some(&json!({ "reason": 9 }))).await;
        until(async || world.audit().await.len() == before + 7).await;
        let entries = world.audit().await;
        let entries = &entries[before..];
        let added = entries.iter().find(|entry| entry["route"] == "user add").unwrap();
        assert!(text(added, "caller").starts_with("command-line:"));
        assert_eq!(added["target"], "operator ann: roles EMPLOYEE, partners all");
        let route = "GET /secure/customers/{customer}/cards/{card}/full";
        let asked = entries.iter().find(|entry| entry["route"] == route).unwrap();
        assert_eq!(asked["caller"], "partner:1");
        assert_eq!(asked["target"], format!("/secure/customers/{customer}/cards/{card}/full"));
        assert_eq!(
            (&asked["reason"], &asked["requestId"]),
            (&json!("call 17 of *"), &json!("r-1"))
        );
        assert_eq!(asked.get("status"), None);
        let of_route = |route: &str, status: u16| {
            entries.iter().any(|entry| entry["route"] == route && entry["status"] == status)
        };
        assert!(of_route(route, 200));
        assert!(of_route("POST /admin/sessions", 201));
        let lock = "POST /admin/customers/{customer}/cards/{card}/lock";
        assert!(of_route(lock, 400));
        let lock = entries.iter().find(|entry| entry["route"] == lock).unwrap();
        assert!(text(lock, "caller").starts_with("operator:"));
        let places: Vec<_> =
            entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
        assert!(places.windows(2).all(|pair| pair[1] == pair[0] + 1), "{places:?}");
        let got = world.with(&ann, Method::GET, "/admin/audit", None).await;
        got.expect_error(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_written_before_anything_is_done() {
    on_each(async |world| {
        let customer = world.customer().await;
        world.stop_server().await;
        world.start_process().await;
        world.peer.set_mode(Mode::Ignore);
        let received = world.peer.received();
        let path = format!("/secure/customers/{customer}/balances");
        let request = world.secure(Method::POST, &path).json(&json!({ "currency": "EUR" }));
        let asking = tokio::spawn(request.send());
        world.peer.until_received(received + 1).await;
        world.kill_process().await;
        asking.await.unwrap().unwrap_err();
        world.peer.set_mode(Mode::Answer);
        world.start_server().await;
        let entries = world.audit().await;
        let last = entries.iter().rfind(|entry| entry["target"] == path).unwrap();
        assert_eq!((&last["caller"], last.get("status")), (&json!("partner:1"), None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_missing_entry_is_found() {
    on_each(async |world| {
        world.customer().await;
        world.customer().await;
        let mut whole = (0, String::new());
        until(async || {
            let now = mgmt_api::verify_audit(&world.config).await.unwrap();
            now.0 >= 4
        })
        .await;
        whole.clone_from(&mgmt_api::verify_audit(&world.config).await.unwrap());
        assert_eq!(whole.0, i64::try_from(world.audit().await.len()).unwrap());
        let broken = async || {
            let error = mgmt_api::verify_audit(&world.config).await.unwrap_err();
            format!("{error:#}")
        };
        let undo = "UPDATE audit_log SET caller = 'partner:1' WHERE sequence = 2";
        world
            .database
            .execute("UPDATE audit_log SET caller = 'partner:2' WHERE sequence = 2")
            .await;
        assert!(broken().await.contains("entry 2"));
        world.database.execute(undo).await;
        assert_eq!(mgmt_api::verify_audit(&world.config).await.unwrap(), whole);
        world.database.execute("DELETE FROM audit_log WHERE sequence = 3").await;
        assert!(broken().await.contains("entry 3"));
    })
    .await;
}
