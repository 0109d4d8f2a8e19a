//! Users, balances and cards in bulk: dry run, results by row, a crash in between.

use axum::http::StatusCode;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::command::Change;

use crate::peer::Mode;
use crate::world::{Got, World, on_each, send, text, until};

const HEADER: &str = "firstName,lastName,phone,email,state,kyc,customerId,currency,configId\n";

impl World {
    pub(crate) async fn import(
        &self,
        client: &Client,
        query: &str,
        kind: &str,
        body: String,
    ) -> Got {
        let url = self.secure_url(&format!("/lifecycle/v1/imports{query}"));
        let request = client.post(url).header("Issuer-Code", "sandbox");
        let request = request.header("Application-Id", "SBX-APP-ID");
        let request = request.header("Collection", "lifecycle").header("Content-Type", kind);
        send(request.header("Idempotency-Key", "an import").body(body)).await
    }

    async fn imported(&self, client: &Client, id: &str, query: &str) -> Got {
        let url = self.secure_url(&format!("/lifecycle/v1/imports/{id}{query}"));
        let request = client.request(Method::GET, url).header("Issuer-Code", "sandbox");
        let request = request.header("Application-Id", "SBX-APP-ID");
        send(request.header("Collection", "lifecycle")).await
    }
}

fn user(name: &str, more: &str) -> String {
    format!("{name},Nowak,48123456789,{name}@example.com,VERIFIED,SUCCESS,{more}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_looked_at_then_carried_out_row_by_row() {
    on_each(async |world| {
        let known = world.customer().await;
        let file = [
            HEADER.to_owned(),
            user("Ada", ",EUR,0019167984"),
            user("Bob", ",,"),
            format!(",,,,,,{known},PLN,0019167990\n"),
            user("Eve", ",EUR,0019167990"),
            ",,,,,,999999,EUR,\n".to_owned(),
            "Dan,,1,x,,,,,\n".to_owned(),
        ]
        .concat();
        let added = |change: &Change| matches!(change, Change::PutCustomer { .. });
        let before = world.peer.count_changes(added);
        let looked = world.import(&world.partner, "?dryRun=true", "text/csv", file.clone()).await;
        let looked = looked.expect(StatusCode::OK);
        let failed = json!([{ "row": 6, "code": "INVALID_REQUEST", "field": "row" }]);
        assert_eq!(looked, json!({ "rows": 6, "failed": failed }));
        assert_eq!(world.peer.count_changes(added), before, "nothing was done");

        let taken = world.import(&world.partner, "", "text/csv", file.clone()).await;
        let id = text(&taken.expect(StatusCode::ACCEPTED), "importId");
        let again = world.import(&world.partner, "", "text/csv", file).await;
        assert_eq!(again.bytes, taken.bytes);
        let done = async |world: &World| {
            world.imported(&world.partner, &id, "").await.json()["status"] == "DONE"
        };
        until(async || done(world).await).await;
        let seen = world.imported(&world.partner, &id, "?limit=6").await.expect(StatusCode::OK);
        let rows = seen["items"].as_array().unwrap();
        let code = |row: usize| rows[row]["code"].clone();
        assert_eq!((&seen["rows"], &seen["failed"]), (&json!(6), &json!(3)));
        assert_eq!([code(0), code(1), code(2)], [Value::Null, Value::Null, Value::Null]);
        assert_eq!(code(3), "CURRENCY_MISMATCH");
        assert_eq!(code(4), "USER_NOT_FOUND");
        assert_eq!((code(5), &rows[5]["field"]), (json!("INVALID_REQUEST"), &json!("row")));
        assert!(rows[3]["balanceId"].is_string(), "what was done before is told");
        let path = format!("/secure/customers/{}/cards", text(&rows[0], "customerId"));
        let cards = world.get(&path).await.json();
        assert_eq!(cards["items"][0]["id"], rows[0]["cardId"]);
        let part = world.imported(&world.partner, &id, "?limit=2&after=2").await.json();
        assert_eq!((&part["items"][0]["row"], &part["hasMore"]), (&json!(3), &json!(true)));
        let foreign = world.imported(&world.stranger, &id, "").await;
        foreign.expect_error(404, "IMPORT_NOT_FOUND");
        let other = world.import(&world.stranger, "", "application/json", "{}".to_owned()).await;
        other.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        let empty = world.import(&world.stranger, "", "text/csv", String::new()).await;
        empty.expect_error(400, "INVALID_REQUEST");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_repeats_no_row() {
    on_each(async |world| {
        world.stop_server().await;
        world.start_process().await;
        let rows: String = (0..20)
            .map(|number| {
                let name = format!("User{number}");
                let row = json!({ "firstName": name, "lastName": "Nowak", "phone": "48123456789",
                    "email": "a@example.com", "state": "VERIFIED", "kyc": "SUCCESS",
                    "currency": "EUR", "configId": "0019167984" });
                format!("{row}\n")
            })
            .collect();
        world.peer.set_mode(Mode::Swallow);
        let received = world.peer.received();
        let taken = world.import(&world.partner, "", "application/x-ndjson", rows).await;
        let id = text(&taken.expect(StatusCode::ACCEPTED), "importId");
        world.peer.until_received(received + 1).await;
        world.kill_process().await;
        world.peer.set_mode(Mode::Answer);
        world.start_process().await;
        let done = async |world: &World| {
            world.imported(&world.partner, &id, "").await.json()["pending"] == 0
        };
        until(async || done(world).await).await;
        let seen = world.imported(&world.partner, &id, "").await.json();
        assert_eq!(seen["failed"], 0, "{seen}");
        let issued = |change: &Change| matches!(change, Change::IssueCard(_));
        let opened = |change: &Change| matches!(change, Change::OpenBalance { .. });
        assert_eq!((world.peer.count_changes(issued), world.peer.count_changes(opened)), (20, 20));
    })
    .await;
}
