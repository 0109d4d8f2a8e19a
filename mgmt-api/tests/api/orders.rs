//! Plastic and background work: orders, the bureau's exchange, prints, asynchronous issuing.

use axum::http::StatusCode;
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use mgmt_api::call::Scope;
use mgmt_api::store::{ProgramRow, Store};
use mgmt_api::vault::{Purpose, Vault};
use reqwest::Method;
use serde_json::{Value, json};
use shared::card::CardState;
use shared::command::Change;
use shared::control::{Query, View};
use shared::ids::CardId;
use uuid::Uuid;

use crate::cards::sealed;
use crate::notices::arrived;
use crate::partner::{Partner, Taken};
use crate::peer::Mode;
use crate::world::{Got, World, caller_key, decrypted, on_each, public_key, send, text, until};

fn address() -> Value {
    json!({ "recipient": "Ada Nowak", "street": "Polna 7", "postCode": "20-128",
        "city": "Lublin", "country": "PL" })
}

impl World {
    /// A request of the partner whose body and answer are encrypted.
    pub(crate) async fn post_encrypted(&self, path: &str, body: &Value, key: &str) -> Got {
        let request = self.secure(Method::POST, path).header("Idempotency-Key", key);
        let request =
            request.header("Public-Key", public_key()).header("Encrypted-Request", "true");
        send(request.json(&json!({ "payload": sealed(self, body).await }))).await
    }

    async fn place_order(&self, customer: &str, balance: &str) -> Value {
        let body = json!({ "balanceId": balance, "configId": "0019167988",
            "cardholderName": "ADA NOWAK", "deliveryAddress": address() });
        let path = format!("/secure/customers/{customer}/cards/physical");
        let key = Uuid::new_v4().to_string();
        decrypted(&self.post_encrypted(&path, &body, &key).await.expect(StatusCode::ACCEPTED))
    }

    /// The id of an order of plastic.
    pub(crate) async fn order(&self, customer: &str, balance: &str) -> String {
        text(&self.place_order(customer, balance).await, "orderId")
    }

    /// The id of an operation in the background.
    pub(crate) async fn operation(&self, customer: &str, balance: &str) -> String {
        let path = format!("/secure/customers/{customer}/cards/virtual/async");
        let body = json!({ "balanceId": balance, "configId": "0019167984" });
        text(&self.post(&path, &body).await.expect(StatusCode::ACCEPTED), "operationId")
    }

    fn state(&self, card: &str) -> CardState {
        match self.peer.view(Query::Card(CardId(card.parse().unwrap()))) {
            Some(View::Card(view)) => view.state,
            other => panic!("{other:?}"),
        }
    }

    async fn report(&self, lines: &str) -> Got {
        let count = lines.lines().count();
        let digest = mgmt_api::pki::sha256(lines.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = format!("{lines}TOTAL,{count},{digest}\n");
        let url = self.public_url("/admin/personalisation/reports");
        let request = self.nobody.post(url).bearer_auth(&self.admin_token);
        send(request.header("Content-Type", "text/csv").body(body)).await
    }
}

/// Batches go to a bureau that has the caller's key.
pub(crate) async fn trust_bureau(world: &mut World) {
    let file = world.path("bureau.pem");
    std::fs::write(&file, caller_key().to_pem_public_key()).unwrap();
    world.stop_server().await;
    world.config.bureau_key = Some(file);
    world.start_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_card_is_ordered_made_linked_and_activated() {
    on_each(async |world| {
        trust_bureau(world).await;
        let partner = Partner::start().await;
        world.endpoint(&partner, &["card"]).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let placed = world.place_order(&customer, &balance).await;
        let (order, card) = (text(&placed, "orderId"), text(&placed, "cardId"));
        assert_eq!(world.state(&card), CardState::Ordered);
        let of_customer = format!("/secure/customers/{customer}");
        let listed = world.get(&format!("{of_customer}/cards")).await.json();
        assert_eq!(listed["items"], json!([]), "not the holder's yet");
        let shown = world.get(&format!("{of_customer}/balances/{balance}")).await.json();
        assert_eq!(shown["cards"], json!([]));
        let activate = format!("{of_customer}/cards/{card}/activate");
        world.post(&activate, &json!({})).await.expect_error(409, "CARD_NOT_LINKED");

        let batch = async |key: &str| {
            let url = world.public_url("/admin/personalisation/batches");
            let request = world.nobody.post(url).bearer_auth(&world.admin_token);
            send(request.header("Idempotency-Key", key)).await
        };
        let first = batch("a").await;
        let sent = first.expect(StatusCode::CREATED);
        assert_eq!(sent["orders"], 1);
        let of_order = format!("{of_customer}/cards/orders/{order}");
        assert_eq!(world.get(&of_order).await.json()["status"], "SENT_TO_BUREAU");
        let key = caller_key().to_pem_private_key();
        let decrypter = RsaesJweAlgorithm::RsaOaep256.decrypter_from_pem(key).unwrap();
        let token = text(&sent, "payload");
        let (lines, _header) = josekit::jwe::deserialize_compact(&token, &decrypter).unwrap();
        let line: Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!((&line["orderId"], &line["kind"]), (&json!(order), &json!("PHYSICAL")));
        assert!(text(&line, "pan").starts_with("99999988"));
        assert_eq!(line["deliveryAddress"], address());
        assert_eq!(line["cardholderName"], "ADA NOWAK");
        assert_eq!(batch("a").await.bytes, first.bytes);
        assert_eq!(batch("b").await.expect(StatusCode::CREATED)["orders"], 0);

        let nobody = "019a0000-0000-7000-8000-00000000ffff";
        let lines = format!("{order},PERSONALISED,TR1,R1\n{nobody},SHIPPED,,\n");
        let taken = world.report(&lines).await.expect(StatusCode::ACCEPTED);
        let failed = json!([{ "line": 2, "code": "ORDER_NOT_FOUND" }]);
        assert_eq!(taken, json!({ "linked": 1, "applied": 1, "failed": failed }));
        let taken = world.report(&lines).await.expect(StatusCode::ACCEPTED);
        assert_eq!((&taken["linked"], &taken["applied"]), (&json!(0), &json!(1)));
        assert_eq!(world.state(&card), CardState::Linked);
        let told = arrived(&partner, 1).await.remove(0).json();
        assert_eq!((&told["event"], &told["orderId"]), (&json!("card.linked"), &json!(order)));
        assert_eq!((&told["cardId"], &told["userId"]), (&json!(card), &json!(customer)));
        let seen = world.get(&format!("{of_customer}/cards/orders/{order}")).await.json();
        assert_eq!((&seen["status"], &seen["trackingNo"]), (&json!("PERSONALISED"), &json!("TR1")));
        let listed = world.get(&format!("{of_customer}/cards")).await.json();
        assert_eq!(listed["items"][0]["state"], "INACTIVE");
        assert_eq!(world.post(&activate, &json!({})).await.status, 204);
        assert_eq!(world.state(&card), CardState::Active);

        world.report(&format!("{order},DELIVERED,,\n")).await.expect(StatusCode::ACCEPTED);
        let back = world.report(&format!("{order},SHIPPED,,\n")).await.json();
        assert_eq!(back["failed"], json!([{ "line": 1, "code": "CONCURRENT_CHANGE" }]));
        let seen = world.get(&format!("{of_customer}/cards/orders/{order}")).await.json();
        assert_eq!(seen["status"], "DELIVERED");
        let url = world.public_url("/admin/personalisation/reports");
        let request = world.nobody.post(url).bearer_auth(&world.admin_token);
        let bad = request.header("Content-Type", "text/csv").body("x\nTOTAL,1,00\n");
        send(bad).await.expect_error(422, "INVALID_REPORT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plastic_of_a_card_that_was_removed_is_nobodys_news() {
    on_each(async |world| {
        let partner = Partner::start().await;
        world.endpoint(&partner, &["card"]).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let placed = world.place_order(&customer, &balance).await;
        let (order, card) = (text(&placed, "orderId"), text(&placed, "cardId"));
        let path = format!("/admin/customers/{customer}/cards/{card}");
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);
        let taken = world.report(&format!("{order},PERSONALISED,,\n")).await.json();
        assert_eq!((&taken["linked"], &taken["applied"]), (&json!(0), &json!(1)));
        let events = world.get("/secure/events").await.json();
        assert_eq!(events["items"], json!([]));
    })
    .await;
}

/// Requirement #110: a card is its holder's when it is linked.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_card_is_shown_to_nobody_yet() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.place_order(&customer, &balance).await, "cardId");
        let cards = format!("/secure/customers/{customer}/cards");
        world.get(&format!("{cards}/{card}")).await.expect_error(404, "CARD_NOT_FOUND");
        let full = world.secure(Method::GET, &format!("{cards}/{card}/full"));
        let full = full.header("Public-Key", public_key()).header("Encrypted-Response", "true");
        send(full).await.expect_error(409, "CARD_NOT_LINKED");
        // A page goes on past it.
        let issued = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let listed = world.get(&format!("{cards}?limit=1")).await.json();
        assert_eq!(
            (&listed["items"][0]["id"], &listed["hasMore"]),
            (&json!(issued), &json!(false))
        );
        world.card(&customer, &balance, "0019167984").await;
        let listed = world.get(&format!("{cards}?limit=1")).await.json();
        assert_eq!((&listed["items"][0]["id"], &listed["hasMore"]), (&json!(issued), &json!(true)));
        let staff = format!("/admin/customers/{customer}/cards/{card}");
        assert_eq!(world.admin(Method::GET, &staff, None).await.json()["state"], "ORDERED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_is_told_of_plastic_that_could_not_be_made() {
    on_each(async |world| {
        let partner = Partner::start().await;
        world.endpoint(&partner, &["card"]).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let placed = world.place_order(&customer, &balance).await;
        let (order, card) = (text(&placed, "orderId"), text(&placed, "cardId"));
        for _twice in 0..2 {
            let taken = world.report(&format!("{order},FAILED,,\n")).await;
            assert_eq!(taken.expect(StatusCode::ACCEPTED)["applied"], 1);
        }
        let told = arrived(&partner, 1).await.remove(0).json();
        assert_eq!(
            (&told["event"], &told["orderId"], &told["cardId"], &told["error"]),
            (&json!("card.failed"), &json!(order), &json!(card), &json!("PERSONALISATION_FAILED"))
        );
        let path = format!("/secure/customers/{customer}/cards/orders/{order}");
        assert_eq!(world.get(&path).await.json()["status"], "FAILED");
        let events = world.get("/secure/events").await.json();
        assert_eq!(events["items"].as_array().unwrap().len(), 1, "once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_card_is_renewed_by_another_one() {
    on_each(async |world| {
        let store = Store::open(&world.config.database).await.unwrap();
        let program = async |months_valid| {
            let row = store.program_of_card("0019167988").await.unwrap().unwrap();
            ProgramRow { months_valid, ..row }
        };
        store.put_program(&program(2).await).await.unwrap();
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let placed = world.place_order(&customer, &balance).await;
        let (order, card) = (text(&placed, "orderId"), text(&placed, "cardId"));
        world.report(&format!("{order},PERSONALISED,,\n")).await.expect(StatusCode::ACCEPTED);
        let path = format!("/secure/customers/{customer}/cards/{card}/renew");
        let renew = async || send(world.secure(Method::POST, &path)).await;
        renew().await.expect_error(409, "RENEWAL_TOO_EARLY");
        store.put_program(&program(36).await).await.unwrap();
        let expiry = || {
            let id = CardId(card.parse().unwrap());
            world.peer.view(Query::Card(id)).and_then(View::into_card).unwrap().expiry
        };
        let before = expiry();
        let limits = json!({ "currency": "EUR", "timeZone": "UTC", "daily": 50 });
        let of = |card: &str| format!("/secure/customers/{customer}/cards/{card}/limits");
        let put = world.secure(Method::PUT, &of(&card)).json(&limits);
        assert_eq!(send(put).await.status, 204);
        let placed = renew().await.expect(StatusCode::ACCEPTED);
        let new = text(&placed, "cardId");
        assert_ne!(new, card);
        assert_eq!(world.state(&new), CardState::Ordered);
        assert_eq!(world.get(&of(&new)).await.json(), limits, "they go along");
        assert_eq!(expiry(), before, "what stands on the plastic stays");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_card_is_good_until_the_one_in_its_place_is_activated() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let of_customer = format!("/secure/customers/{customer}");
        let to_the_holder = async |order: &str| {
            let lines = format!("{order},PERSONALISED,,\n");
            assert_eq!(world.report(&lines).await.json()["linked"], 1);
        };
        let placed = world.place_order(&customer, &balance).await;
        let old = text(&placed, "cardId");
        to_the_holder(&text(&placed, "orderId")).await;
        let post = async |card: &str, what: &str, key: &str| {
            let path = format!("{of_customer}/cards/{card}/{what}");
            let request = world.secure(Method::POST, &path).json(&json!({}));
            send(request.header("Idempotency-Key", key)).await
        };
        assert_eq!(post(&old, "activate", "a").await.status, 204);
        let lock_of = |card: &str| {
            let id = CardId(card.parse().unwrap());
            let view = world.peer.view(Query::Card(id)).and_then(View::into_card).unwrap();
            view.lock.map(|lock| lock.code.number())
        };

        let ordered = post(&old, "replace", "b").await;
        let placed = ordered.expect(StatusCode::ACCEPTED);
        assert_eq!(post(&old, "replace", "b").await.bytes, ordered.bytes);
        let (new, order) = (text(&placed, "cardId"), text(&placed, "orderId"));
        assert_ne!(new, old);
        assert_eq!(world.state(&new), CardState::Ordered);
        assert_eq!(post(&new, "activate", "c").await.title(), "CARD_NOT_LINKED");
        assert_eq!(lock_of(&old), None, "it can be used still");
        to_the_holder(&order).await;
        assert_eq!(lock_of(&old), None);
        assert_eq!(post(&new, "activate", "d").await.status, 204);
        assert_eq!(post(&new, "activate", "d").await.status, 204);
        assert_eq!((world.state(&new), lock_of(&old)), (CardState::Active, Some(8)));

        // The same name, to the same address.
        let store = Store::open(&world.config.database).await.unwrap();
        let delivery = async |order: &str| {
            let id = Uuid::parse_str(order).unwrap();
            let row = store.order(Scope::default(), id).await.unwrap().unwrap();
            let vault = Vault::open(&world.config.keys).unwrap();
            let name = format!("order {order}");
            vault.unseal(Purpose::PersonalData, name.as_bytes(), &row.delivery_sealed).unwrap()
        };
        let sent: Value = serde_json::from_slice(&delivery(&order).await).unwrap();
        assert_eq!(
            (&sent["cardholderName"], &sent["deliveryAddress"]),
            (&json!("ADA NOWAK"), &address())
        );
        store.close().await;
        assert_eq!(post(&new, "replace", "e").await.status, 202, "and that one again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digital_first_card_is_printed_blank() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167989").await, "id");
        let other = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let print = async |card: &str, key: &str| {
            let path = format!("/secure/customers/{customer}/cards/{card}/print");
            world.post_encrypted(&path, &json!({ "deliveryAddress": address() }), key).await
        };
        let placed = decrypted(&print(&card, "a").await.expect(StatusCode::ACCEPTED));
        assert_eq!(placed["cardId"], card);
        assert_eq!(print(&card, "a").await.status, 202);
        print(&other, "b").await.expect_error(403, "FEATURE_NOT_ENABLED");
        let path = format!("/secure/customers/{customer}/cards/{card}/print");
        let mut bad = address();
        bad["country"] = "Poland".into();
        let got = world.post_encrypted(&path, &json!({ "deliveryAddress": bad }), "c").await;
        got.expect_error(400, "INVALID_REQUEST");
        assert_eq!(got.json()["errors"][0]["field"], "deliveryAddress.country");
        let order = text(&placed, "orderId");
        let lines = format!("{order},PERSONALISED,,\n");
        let taken = world.report(&lines).await.expect(StatusCode::ACCEPTED);
        assert_eq!((&taken["linked"], &taken["applied"]), (&json!(0), &json!(1)));
        assert_eq!(world.state(&card), CardState::Active, "it was never inactive");
        let url = world.public_url("/admin/personalisation/batches");
        let request = world.nobody.post(url).bearer_auth(&world.admin_token);
        send(request).await.expect_error(403, "FEATURE_NOT_ENABLED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_issued_in_the_background_survives_a_crash_and_is_one() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let issued = |change: &Change| matches!(change, Change::IssueCard(_));
        let partner = Partner::start().await;
        world.endpoint(&partner, &["card"]).await;
        world.stop_server().await;
        world.start_process().await;
        world.peer.set_mode(Mode::Swallow);
        let received = world.peer.received();
        let operation = world.operation(&customer, &balance).await;
        world.peer.until_received(received + 1).await;
        world.kill_process().await;
        world.peer.set_mode(Mode::Answer);
        world.start_process().await;
        let path = format!("/secure/customers/{customer}/operations/{operation}");
        until(async || world.get(&path).await.json()["status"] == "DONE").await;
        let card = text(&world.get(&path).await.json(), "cardId");
        assert_eq!(world.state(&card), CardState::Active);
        assert_eq!(world.peer.count_changes(issued), 1);
        let told = |notice: &Taken| {
            assert_eq!(notice.path, "/base/notifications/card");
            let mut said = notice.json();
            assert!(said.as_object_mut().unwrap().remove("date").is_some());
            said
        };
        let done = json!({ "event": "card.created", "operationId": operation, "orderId": null,
            "userId": customer, "balanceId": balance, "cardId": card, "error": null });
        assert_eq!(told(&arrived(&partner, 1).await[0]), done);

        // What the switch refuses is told, and the next one does not wait for it.
        let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
        world.post(&path, &json!({ "amount": 1, "currency": "EUR" })).await;
        let path = format!("/secure/customers/{customer}/cards/virtual/async");
        let body = json!({ "balanceId": balance, "configId": "0019167986" });
        let begun = world.post(&path, &body).await.expect(StatusCode::ACCEPTED);
        let status = text(&begun, "statusUrl");
        until(async || world.get(&status).await.json()["status"] == "FAILED").await;
        assert_eq!(world.get(&status).await.json()["error"], "BALANCE_NOT_COVERED");
        let failed = json!({ "event": "card.failed", "operationId": begun["operationId"],
            "orderId": null, "userId": customer, "balanceId": balance, "cardId": null,
            "error": "BALANCE_NOT_COVERED" });
        assert_eq!(told(&arrived(&partner, 2).await[1]), failed);
        let nobody = "019a0000-0000-7000-8000-00000000ffff";
        let path = format!("/secure/customers/{customer}/operations/{nobody}");
        world.get(&path).await.expect_error(404, "OPERATION_NOT_FOUND");
    })
    .await;
}
