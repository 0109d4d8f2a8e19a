//! What happened to money, as partners, cardholders and operators see it: transactions, what became
//! of them, statements, and who may see which.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{
    Acceptance, Advice, Advised, Authorization, Change, Channel, Command, EntryMode, MessageClass,
    References,
};
use shared::ids::{BalanceId, CommandId, CustomerId};
use shared::money::{Amount, Currency, Money};

use crate::fees::{payment, reversal};
use crate::peer::Explanations;
use crate::world::{World, on_each, send, text};

/// A cardholder with 100.00 EUR and a card.
pub(crate) struct Holder {
    pub(crate) customer: String,
    pub(crate) balance: String,
    pub(crate) card: Value,
    pub(crate) top_up: String,
}

impl World {
    pub(crate) async fn holder(&self) -> Holder {
        let customer = self.customer().await;
        let balance = self.balance(&customer, "EUR").await;
        let top_up = self.top_up(&customer, &balance, 10_000).await;
        let card = self.card(&customer, &balance, "0019167984").await;
        Holder { customer, balance, card, top_up }
    }

    /// An authorization in a shop with the newest card.
    pub(crate) fn shop(&self, stan: u64, amount: i64) -> Authorization {
        let class = MessageClass::Authorization;
        let mut request = payment(self.newest_token(), stan, amount, class);
        request.references = References {
            rrn: *b"633412000017",
            terminal: *b"TERM0001",
            life_cycle: *b"MCC123456789    ",
        };
        request.acceptance = Acceptance {
            channel: Channel::Pos,
            entry: EntryMode::Contactless,
            mcc: 5_411,
            country: 616,
            merchant: *b"FROGSHOP-000001",
        };
        request
    }

    /// The clearing of an authorization.
    pub(crate) fn clear(&self, of: &Authorization, stan: u64, amount: i64) -> Reason {
        let mut message = *of;
        message.key.stan = stan;
        message.key.class = MessageClass::FinancialAdvice;
        message.transaction.amount = Amount(amount);
        message.original = Some(of.key);
        let advice = Advice { message, advised: Advised::Approved, more_to_come: false };
        self.peer.message(Command::Advise(advice)).reason
    }

    /// A payment of each end, on the newest card.
    fn make_every_end(&self) {
        // Declined, with the words for it.
        let declined = self.shop(20, 50_000);
        let reason = self.peer.message(Command::Authorize(declined)).reason;
        assert_eq!(reason, Reason::InsufficientFunds);
        // It was paid all the same.
        assert_eq!(self.clear(&declined, 29, 300), Reason::AdviceRecorded);
        // Held, then taken back.
        let reversed = self.shop(21, 700);
        self.peer.message(Command::Authorize(reversed));
        let back = reversal(reversed.key, 22, Some(reversed.token));
        self.peer.message(Command::Reverse(back));
        // Held, and added to.
        let held = self.shop(23, 1_000);
        self.peer.message(Command::Authorize(held));
        let mut more = Authorization { incremental: true, ..self.shop(24, 250) };
        more.original = Some(held.key);
        assert_eq!(self.peer.message(Command::Authorize(more)).reason, Reason::Approved);
        // Posted, and paid back by another message.
        let mut posted = self.shop(25, 900);
        posted.key.class = MessageClass::Financial;
        self.peer.message(Command::Authorize(posted));
        let mut refund = self.shop(26, 400);
        refund.key.class = MessageClass::FinancialAdvice;
        (refund.processing_code, refund.original) = (200_000, Some(posted.key));
        let advice = Advice { message: refund, advised: Advised::Approved, more_to_come: false };
        self.peer.message(Command::Advise(advice));
        let refused = Authorization { processing_code: 200_000, ..self.shop(28, 0) };
        let reason = self.peer.message(Command::Authorize(refused)).reason;
        assert_eq!(reason, Reason::InvalidAmount);
        // Offline, without an original and in another currency than it was made in.
        let mut offline = self.shop(27, 2_000);
        offline.key.class = MessageClass::FinancialAdvice;
        offline.references = References::default();
        offline.transaction = Money::new(2_000, Currency(985));
        offline.billing = Some(Money::new(460, Currency(978)));
        let advice = Advice { message: offline, advised: Advised::Approved, more_to_come: false };
        assert_eq!(self.peer.message(Command::Advise(advice)).reason, Reason::AdviceUnmatched);
    }

    pub(crate) async fn transactions(&self, customer: &str, query: &str) -> Value {
        self.until_history().await;
        let path = format!("/secure/customers/{customer}/transactions{query}");
        self.get(&path).await.expect(StatusCode::OK)
    }

    pub(crate) async fn transaction(&self, id: &str) -> Value {
        self.until_history().await;
        self.get(&format!("/secure/transactions/{id}")).await.expect(StatusCode::OK)
    }

    async fn statement(&self, holder: &Holder, query: &str) -> Value {
        self.until_history().await;
        let Holder { customer, balance, .. } = holder;
        let path = format!("/secure/customers/{customer}/balances/{balance}/statement{query}");
        self.get(&path).await.expect(StatusCode::OK)
    }
}

/// Some members of each item, in order.
fn columns(list: &Value, names: &[&str]) -> Vec<Vec<Value>> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| names.iter().map(|name| item[name].clone()).collect()).collect()
}

/// What became of a transaction: what, how much, and what was booked then.
fn steps(details: &Value) -> Vec<(String, i64, Option<i64>)> {
    let steps = details["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let amount = step["amount"].as_i64().unwrap();
            (text(step, "step"), amount, step["balance"].as_i64())
        })
        .collect()
}

fn step(name: &str, amount: i64, booked: Option<i64>) -> (String, i64, Option<i64>) {
    (name.to_owned(), amount, booked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_shown_as_the_seed_prints_it_from_its_hold_to_its_clearing() {
    on_each(async |world| {
        let holder = world.holder().await;
        let request = world.shop(17, 1_230);
        let decision = world.peer.message(Command::Authorize(request));
        assert_eq!(decision.reason, Reason::Approved);
        let listed = world.transactions(&holder.customer, "").await;
        let shown = &listed["items"][0];
        let code = decision.approval.unwrap().wire();
        assert_eq!(
            shown["transactionData"],
            json!({ "mcc": "5411", "merchantIdentifier": "FROGSHOP-000001",
                "terminalIdentifier": "TERM0001", "captureMode": "nfc",
                "lastFourDigits": holder.card["lastFourDigits"], "acquirerCountry": "PL",
                "retrievalReferenceNumber": "633412000017", "systemTraceAuditNumber": "000017",
                "approvalCode": std::str::from_utf8(&code).unwrap() })
        );
        let expected = json!({ "balanceId": holder.balance, "resource": "card",
            "resourceId": holder.card["resourceId"], "cardId": holder.card["id"],
            "externalTransactionId": "MCC123456789", "referenceTransactionId": null, "type": "POS",
            "category": "DEBIT", "amount": 1_230, "currency": "EUR", "originalAmount": 1_230,
            "originalCurrency": "EUR", "held": 1_230, "fee": 0, "status": "AUTHORIZED",
            "reason": "APPROVED", "description": "FROGSHOP-000001" });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
        assert!(
            text(shown, "date").ends_with("+00:00") && text(&listed, "asOf") >= text(shown, "date")
        );

        assert_eq!(world.clear(&request, 18, 1_200), Reason::AdviceRecorded);
        let details = world.transaction(&text(shown, "id")).await;
        assert_eq!((&details["status"], &details["amount"]), (&json!("CLEARED"), &json!(1_200)));
        assert_eq!(
            (&details["held"], &details["explanation"]),
            (&json!(0), &json!("The payment was approved."))
        );
        let became = [
            step("POSTED", -1_200, Some(8_800)),
            step("RELEASED", 30, None),
            step("CLEARED", 0, None),
        ];
        assert_eq!(steps(&details), became);
        // A clearing is part of its payment.
        let listed = world.transactions(&holder.customer, "").await;
        let seen = columns(&listed, &["type", "status", "amount"]);
        assert_eq!(
            seen,
            [
                [json!("POS"), json!("CLEARED"), json!(1_200)],
                [json!("topUp"), json!("CLEARED"), json!(10_000)]
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_payment_is_told_apart() {
    on_each(async |world| {
        let holder = world.holder().await;
        world.make_every_end();
        let listed = world.transactions(&holder.customer, "").await;
        let names = ["type", "category", "status", "reason", "amount", "held"];
        let rows = columns(&listed, &names);
        let row = |row: [&str; 4], amount: i64, held: i64| {
            let mut values: Vec<Value> = row.iter().map(|text| json!(text)).collect();
            values.extend([json!(amount), json!(held)]);
            values
        };
        assert_eq!(
            rows,
            [
                row(["POS", "DEBIT", "CLEARED", "REFERENCED_TRANSACTION_NOT_FOUND"], 460, 0),
                row(["refund", "CREDIT", "DECLINED", "INVALID_AMOUNT"], 0, 0),
                row(["refund", "CREDIT", "CLEARED", "ADVICE_RECORDED"], 400, 0),
                row(["POS", "DEBIT", "CLEARED", "APPROVED"], 900, 0),
                row(["POS", "DEBIT", "AUTHORIZED", "APPROVED"], 1_250, 1_250),
                row(["POS", "DEBIT", "REVERSED", "APPROVED"], 700, 0),
                row(["POS", "DEBIT", "CLEARED", "ADVICE_RECORDED"], 300, 0),
                row(["POS", "DEBIT", "DECLINED", "INSUFFICIENT_FUNDS"], 50_000, 0),
                row(["topUp", "CREDIT", "CLEARED", "APPROVED"], 10_000, 0),
            ]
        );
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items[0]["originalCurrency"], "PLN");
        assert_eq!(items[0]["externalTransactionId"], "000027");
        assert_eq!(items[2]["referenceTransactionId"], items[3]["id"]);
        assert_eq!(items[2]["referenceExternalTransactionId"], "MCC123456789");
        assert_eq!(items[2]["referenceExternalTransactionDate"], items[3]["date"]);
        let details = world.transaction(&text(&items[4], "id")).await;
        assert_eq!(steps(&details), [step("RAISED", 250, None)]);
        let details = world.transaction(&text(&items[5], "id")).await;
        assert_eq!(steps(&details), [step("RELEASED", 700, None), step("REVERSED", 0, None)]);
        assert_eq!(items[6]["referenceTransactionId"], items[7]["id"]);
        assert_eq!(items[6]["transactionData"]["flagged"], "INSUFFICIENT_FUNDS");
        let details = world.transaction(&text(&items[7], "id")).await;
        assert!(text(&details, "explanation").starts_with("The balance does not cover"));

        // What is shown adds up to what the switch has.
        let path = format!("/secure/customers/{}/balances/{}", holder.customer, holder.balance);
        let balance = world.get(&path).await.json();
        let statement = world.statement(&holder, "").await;
        assert_eq!(statement["closingBalance"], balance["amount"]);
        assert_eq!((&balance["amount"], &balance["held"]), (&json!(8_740), &json!(1_250)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moved_by_hand_is_found_by_the_id_that_its_request_got() {
    on_each(async |world| {
        let holder = world.holder().await;
        let other = world.balance(&holder.customer, "EUR").await;
        let at = format!("/secure/customers/{}/balances/{}", holder.customer, holder.balance);
        let fee = json!({ "kind": "TRANSFER", "fixed": 25 });
        world.fee(&fee).await;
        let body = json!({ "amount": 300, "currency": "EUR", "externalId": "order-17",
            "description": "from savings", "toBalanceId": other });
        let moved = world.post(&format!("{at}/transfer"), &body).await.expect(StatusCode::CREATED);
        let body = json!({ "amount": 200, "currency": "EUR" });
        let out = world.post(&format!("{at}/withdraw"), &body).await.expect(StatusCode::CREATED);

        let shown = world.transaction(&text(&moved, "id")).await;
        let expected = json!({ "id": moved["id"], "type": "transfer", "category": "DEBIT",
            "amount": 300, "fee": 25, "status": "CLEARED", "externalTransactionId": "order-17",
            "description": "from savings", "resource": "balance", "resourceId": holder.balance,
            "cardId": null, "transactionData": {} });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
        let became = [step("POSTED", -300, Some(9_700)), step("FEE", -25, Some(9_675))];
        assert_eq!(steps(&shown), became);
        let shown = world.transaction(&text(&out, "id")).await;
        assert_eq!((&shown["type"], &shown["amount"]), (&json!("withdrawal"), &json!(200)));
        // Whoever gets it sees it too, under an id of its own.
        let query = format!("?balanceId={other}");
        let listed = world.transactions(&holder.customer, &query).await;
        let seen = columns(&listed, &["type", "category", "amount", "fee"]);
        assert_eq!(seen, [[json!("transfer"), json!("CREDIT"), json!(300), json!(0)]]);
        let taken = world.transaction(&text(&listed["items"][0], "id")).await;
        assert_eq!(taken["balanceId"], other.as_str());
        let top_up = world.transaction(&holder.top_up).await;
        assert_eq!(top_up["amount"], 10_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_page_by_page_and_by_card_and_day() {
    on_each(async |world| {
        let holder = world.holder().await;
        for stan in 100..105 {
            let request = world.shop(stan, 100);
            world.peer.message(Command::Authorize(request));
        }
        let mut seen = Vec::new();
        let mut query = "?limit=4".to_owned();
        loop {
            let page = world.transactions(&holder.customer, &query).await;
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| text(item, "id")));
            if page["hasMore"] == false {
                break;
            }
            assert_eq!(items.len(), 4);
            query = format!("?limit=4&after={}", seen.last().unwrap());
        }
        assert_eq!((seen.len(), seen.last()), (6, Some(&holder.top_up)));
        let whole = world.transactions(&holder.customer, "").await;
        let ids: Vec<_> = columns(&whole, &["id"]).into_iter().flatten().collect();
        assert_eq!(ids, seen);

        let second = world.card(&holder.customer, &holder.balance, "0019167984").await;
        let count = async |query: &str| {
            let page = world.transactions(&holder.customer, query).await;
            page["items"].as_array().unwrap().len()
        };
        let of_card = |card: &Value| format!("?cardId={}", text(card, "resourceId"));
        assert_eq!(count(&of_card(&holder.card)).await, 5);
        assert_eq!(count(&of_card(&second)).await, 0);
        assert_eq!(count("?from=2020-01-01").await, 6);
        assert_eq!(count("?from=2020-01-01&to=2020-01-02").await, 0);

        let path = format!("/secure/customers/{}/transactions", holder.customer);
        for (query, status, code) in [
            ("?limit=0", 400, "INVALID_REQUEST"),
            ("?from=soon", 400, "INVALID_REQUEST"),
            ("?colour=red", 400, "INVALID_REQUEST"),
            ("?after=17", 404, "TRANSACTION_NOT_FOUND"),
            ("?after=019a0000-0000-8000-8000-000000000001", 404, "TRANSACTION_NOT_FOUND"),
            ("?balanceId=17", 404, "BALANCE_NOT_FOUND"),
            ("?cardId=17", 404, "CARD_NOT_FOUND"),
        ] {
            world.get(&format!("{path}{query}")).await.expect_error(status, code);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_goes_from_its_opening_to_its_closing_balance() {
    on_each(async |world| {
        let holder = world.holder().await;
        for stan in 200..203 {
            let mut request = world.shop(stan, 1_000);
            request.key.class = MessageClass::Financial;
            world.peer.message(Command::Authorize(request));
        }
        let names = ["amount", "balance", "step", "type"];
        let statement = world.statement(&holder, "").await;
        let ends = |statement: &Value| {
            let end = |name: &str| statement[name].as_i64().unwrap();
            (end("openingBalance"), end("closingBalance"))
        };
        assert_eq!(ends(&statement), (0, 7_000));
        assert_eq!(
            columns(&statement, &names),
            [
                [json!(10_000), json!(10_000), json!("POSTED"), json!("topUp")],
                [json!(-1_000), json!(9_000), json!("POSTED"), json!("POS")],
                [json!(-1_000), json!(8_000), json!("POSTED"), json!("POS")],
                [json!(-1_000), json!(7_000), json!("POSTED"), json!("POS")],
            ]
        );
        let items = statement["items"].as_array().unwrap();
        assert_eq!(text(&items[0], "transactionId"), holder.top_up);
        assert_eq!(items[1]["merchantIdentifier"], "FROGSHOP-000001");
        let page = world.statement(&holder, "?limit=3").await;
        assert_eq!(page["hasMore"], true);
        let query = format!("?limit=3&after={}", text(&page["items"][2], "entryId"));
        let rest = world.statement(&holder, &query).await;
        assert_eq!((&rest["items"][0], &rest["hasMore"]), (&items[3], &json!(false)));
        // Before anything was, and after all of it.
        let before = world.statement(&holder, "?from=2020-01-01&to=2020-01-31").await;
        assert_eq!(ends(&before), (0, 0));
        assert_eq!(text(&before, "to"), "2020-02-01T00:00:00+00:00");
        let after = world.statement(&holder, "?from=2099-01-01&to=2099-01-31").await;
        assert_eq!((ends(&after), columns(&after, &names).len()), ((7_000, 7_000), 0));
        let path =
            format!("/secure/customers/{}/balances/{}/statement", holder.customer, holder.balance);
        for query in ["?after=1", "?from=2026-02-01&to=2026-01-01", "?from=1980-01-01"] {
            world.get(&format!("{path}{query}")).await.expect_error(400, "INVALID_REQUEST");
        }
        // A closed balance still has its statement.
        let at = format!("/secure/customers/{}/balances/{}", holder.customer, holder.balance);
        let all = json!({ "amount": 7_000, "currency": "EUR" });
        world.post(&format!("{at}/withdraw"), &all).await.expect(StatusCode::CREATED);
        send(world.secure(Method::DELETE, &at)).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(ends(&world.statement(&holder, "").await), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_seen_by_its_partner_and_its_cardholder_alone() {
    on_each(async |world| {
        let holder = world.holder().await;
        let other = world.customer().await;
        world.until_history().await;
        let id = &holder.top_up;
        let not_found = async |path: String| {
            world.get(&path).await.expect_error(404, "TRANSACTION_NOT_FOUND");
        };
        not_found(format!("/secure/customers/{other}/transactions/{id}")).await;
        not_found("/secure/transactions/17".to_owned()).await;
        not_found("/secure/transactions/019a0000-0000-8000-8000-000000000001".to_owned()).await;
        let after = format!("/secure/customers/{other}/transactions?after={id}");
        not_found(after).await;
        let url = world.secure_url(&format!("/secure/transactions/{id}"));
        send(world.stranger.get(url)).await.expect_error(404, "TRANSACTION_NOT_FOUND");
        let statement = format!("/secure/customers/{other}/balances/{}/statement", holder.balance);
        world.get(&statement).await.expect_error(404, "BALANCE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_follows_over_restarts_and_is_made_again_when_it_is_lost() {
    on_each(async |world| {
        let body = json!({ "url": "https://127.0.0.1:9", "events": ["transaction"] });
        world.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        let holder = world.holder().await;
        let request = world.shop(300, 1_000);
        world.peer.message(Command::Authorize(request));
        world.until_history().await;
        world.stop_server().await;
        world.clear(&request, 301, 1_000);
        world.start_server().await;
        let followed = world.transactions(&holder.customer, "").await;
        assert_eq!(followed["items"][0]["status"], "CLEARED");
        let statement = world.statement(&holder, "").await;
        let told = world.get("/secure/events").await.json();
        let told = columns(&told, &["eventId"]);
        assert_eq!(told.len(), 3);

        world.stop_server().await;
        world.database.execute("DELETE FROM deliveries").await;
        world.database.execute("DELETE FROM notices WHERE number < 3").await;
        for table in [
            "DELETE FROM transactions",
            "DELETE FROM history_steps",
            "DELETE FROM history_slots",
            "DELETE FROM history_cards",
            "DELETE FROM history_balances",
            "UPDATE history_cursor SET sequence = 0, at_ms = 0, next_card = 0, next_balance = 0",
        ] {
            world.database.execute_on(&world.config.history_url(), table).await;
        }
        world.start_server().await;
        let again = world.transactions(&holder.customer, "").await;
        assert_eq!(again["items"], followed["items"]);
        assert_eq!(world.statement(&holder, "").await["items"], statement["items"]);
        // Nobody is told again, also where it was forgotten that somebody was.
        let again = world.get("/secure/events").await.json();
        assert_eq!(columns(&again, &["eventId"]), told[2..]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_explained_with_its_checks_and_balances() {
    on_each(async |world| {
        let holder = world.holder().await;
        let declined = world.shop(400, 50_000);
        world.peer.message(Command::Authorize(declined));
        let listed = world.transactions(&holder.customer, "").await;
        let id = text(&listed["items"][0], "id");
        let explained = world.get(&format!("/secure/transactions/{id}/explain")).await;
        let explained = explained.expect(StatusCode::OK);
        assert_eq!(
            (&explained["reason"], &explained["actionCode"]),
            (&json!("INSUFFICIENT_FUNDS"), &json!("1016"))
        );
        assert_eq!(explained["asRecorded"], true);
        let checks = explained["checks"].as_array().unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| check["passed"] == false).collect();
        assert_eq!(failed.len(), 1, "{checks:?}");
        assert_eq!(failed[0]["row"], 20);
        assert_eq!(failed[0]["inputs"], "10000 available, 50000 EUR asked for");
        let money = json!({ "amount": 10_000, "held": 0, "available": 10_000 });
        let account =
            json!({ "kind": "balance", "id": holder.balance, "before": money, "after": money });
        assert_eq!(explained["accounts"], json!([account]));
        // The same for the partner's cardholder and for operators; of money moved by hand too.
        let of_holder = format!("customers/{}/transactions", holder.customer);
        let same = world.get(&format!("/secure/{of_holder}/{id}/explain")).await;
        assert_eq!(same.expect(StatusCode::OK), explained);
        let path = format!("/admin/{of_holder}/{id}/explain");
        assert_eq!(world.admin(Method::GET, &path, None).await.expect(StatusCode::OK), explained);
        let moved = world.get(&format!("/secure/transactions/{}/explain", holder.top_up)).await;
        let moved = moved.expect(StatusCode::OK);
        assert_eq!((&moved["reason"], &moved["actionCode"]), (&json!("APPROVED"), &Value::Null));
        assert_eq!(moved["accounts"][0]["after"]["amount"], 10_000);

        world.peer.set_explanations(Explanations::Busy);
        let path = format!("/secure/transactions/{id}/explain");
        let pending = world.get(&path).await;
        pending.expect_error(503, "EXPLANATION_PENDING");
        assert_eq!(pending.headers["retry-after"], "1");
        world.peer.set_explanations(Explanations::TooFarBehind);
        world.get(&path).await.expect_error(409, "EXPLANATION_UNAVAILABLE");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cardholder_is_not_told_of_checks_against_money_laundering() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let id = CustomerId(customer.parse().unwrap());
        let lock = Change::PutCustomer { id, verified: true, aml_locked: true };
        world.peer.apply(Command::Manage(CommandId(1 << 100), lock));
        let reason = world.peer.message(Command::Authorize(world.shop(800, 100))).reason;
        assert_eq!(reason, Reason::AmlException);
        let mut offline = world.shop(801, 200);
        offline.key.class = MessageClass::FinancialAdvice;
        offline.references = References::default();
        let advice = Advice { message: offline, advised: Advised::Approved, more_to_come: false };
        world.peer.message(Command::Advise(advice));
        let session = world.customer_session(&customer).await;
        let listed = world.transactions(&customer, "").await;
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items[1]["reason"], "AML_EXCEPTION");
        assert_eq!(items[0]["transactionData"]["flagged"], "AML_EXCEPTION");
        let path = "/customers/me/transactions";
        let seen = world.with(&session, Method::GET, path, None).await.expect(StatusCode::OK);
        assert_eq!(seen["items"][1]["reason"], "NOT_PERMITTED");
        let one = format!("{path}/{}", text(&items[1], "id"));
        let one = world.with(&session, Method::GET, &one, None).await.expect(StatusCode::OK);
        assert_eq!(one["reason"], "NOT_PERMITTED");
        assert!(!seen.to_string().contains("AML") && !one.to_string().contains("AML"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_any_version_names_its_transaction() {
    on_each(async |world| {
        let holder = world.holder().await;
        let balance = uuid::Uuid::parse_str(&holder.balance).unwrap().as_u128();
        // Of the version that transactions without a command have.
        let id = "01a00000-0000-8000-8000-000000000001";
        let command = CommandId(uuid::Uuid::parse_str(id).unwrap().as_u128());
        let money = Money::new(5, Currency(978));
        let change = Change::TopUp { balance: BalanceId(balance), money };
        world.peer.apply(Command::Manage(command, change));
        assert_eq!(world.transaction(id).await["amount"], 5);
        let listed = world.transactions(&holder.customer, &format!("?after={id}")).await;
        assert_eq!(text(&listed["items"][0], "id"), holder.top_up);
    })
    .await;
}
