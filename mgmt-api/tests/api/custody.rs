//! Money that is with a partner: its programs and balances, what it is asked for each payment, and
//! what it is told until it has taken it; by real HTTP, with the real core.

use axum::http::StatusCode;
use mgmt_api::store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{Advice, Advised, Authorization, Command, MessageClass};
use shared::control::{Query, View};
use shared::ids::BalanceId;
use shared::money::Amount;
use uuid::Uuid;

use crate::fees::reversal;
use crate::partner::{Partner, Taken};
use crate::world::{World, on_each, text, until};

/// A program of this partner's own, in a currency without others.
const CONFIG: &str = "0000000777";
/// Not what is under way, and what waits for its instant.
const TRY_NOW: &str = "UPDATE deliveries SET next_at_ms = 0 \
     WHERE state = 'PENDING' AND next_at_ms < 9000000000000000000";
/// The same of what was answered otherwise.
const RETRY_NOW: &str = "UPDATE deliveries SET next_at_ms = 0 \
     WHERE state = 'PENDING' AND status IS NOT NULL";
/// Fractions of a second that tests take are not in it.
const LONG_MS: u16 = 10_000;

/// How a partner says no, and what is told then.
const REFUSALS: [(u16, &str, Reason); 5] = [
    (422, "INSUFFICIENT_FUNDS", Reason::InsufficientFunds),
    (422, "LIMITS_EXCEEDED", Reason::PartnerLimitExceeded),
    (422, "FRAUDS_DETECTED", Reason::FraudsDetected),
    (404, "BALANCE_NOT_FOUND", Reason::BalanceNotFound),
    (422, "SOMETHING_ELSE", Reason::PartnerDeclined),
];

/// A cardholder whose money is with the partner.
struct Holder {
    customer: String,
    balance: String,
}

fn program(custody: &Value) -> Value {
    let mut program = json!({ "partner": 1, "currency": "GBP", "bin": "99999977",
        "cardKind": "VIRTUAL", "monthsValid": 24, "ownBin": true });
    if !custody.is_null() {
        program["custody"] = custody.clone();
    }
    program
}

impl World {
    async fn put_custody(&self, custody: &Value) -> crate::world::Got {
        let path = format!("/admin/programs/{CONFIG}");
        self.admin(Method::PUT, &path, Some(&program(custody))).await
    }

    /// A partner that keeps the money of a program's holders; its endpoint.
    async fn keeper(&self, answer_ms: u16) -> (Partner, String) {
        let partner = Partner::start().await;
        let body = json!({ "url": partner.url, "events": ["balance"] });
        let made = self.post("/secure/endpoints", &body).await.expect(StatusCode::CREATED);
        let custody = json!({ "answerWithinMs": answer_ms });
        self.put_custody(&custody).await.expect(StatusCode::NO_CONTENT);
        self.peer.until_taken().await;
        (partner, text(&made, "endpointId"))
    }

    /// A cardholder with a card; what the partner was told on the way is taken.
    async fn entrusted(&self, partner: &Partner) -> Holder {
        let customer = self.customer().await;
        let balance = self.balance(&customer, "GBP").await;
        self.card(&customer, &balance, CONFIG).await;
        let taken = partner.taken();
        assert_eq!(taken.last().unwrap().path, format!("/base/users/{customer}/balances"));
        Holder { customer, balance }
    }

    /// A payment with the newest card.
    fn payment(&self, stan: u64, amount: i64) -> Authorization {
        let mut request = self.shop(stan, amount);
        request.transaction.currency = shared::money::Currency(826);
        request
    }

    /// What a request came to for which the partner is asked.
    pub(crate) async fn told(&self, request: Authorization) -> Reason {
        until(async || self.peer.decided(request).is_some()).await;
        self.peer.decided(request).unwrap()
    }

    fn advise(&self, of: &Authorization, stan: u64, amount: i64) {
        assert_eq!(self.clear(of, stan, amount), Reason::AdviceRecorded);
    }
}

impl Partner {
    /// What came behind the first `before` calls: so many more, without those that link.
    async fn calls(&self, before: usize, count: usize) -> Vec<Taken> {
        until(async || self.taken().len() >= before + count).await;
        let taken = self.taken();
        assert_eq!(taken.len(), before + count, "{taken:#?}");
        taken[before..].to_vec()
    }
}

fn paths(calls: &[Taken]) -> Vec<(&str, &str)> {
    calls.iter().map(|call| (&*call.method, call.path.trim_start_matches("/base"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_keeps_its_holders_money_with_the_partner_from_its_first_card_on() {
    on_each(async |world| {
        let custody = json!({ "answerWithinMs": 1500, "onSilence": "STAND_IN" });
        let licence = async |licensed: bool| {
            let body = json!({ "licensed": licensed, "name": "A bank" });
            let put = world.admin(Method::PUT, "/admin/partners/1", Some(&body)).await;
            put.expect(StatusCode::NO_CONTENT);
        };
        licence(false).await;
        world.put_custody(&custody).await.expect_error(409, "PARTNER_NOT_LICENSED");
        licence(true).await;
        world.put_custody(&custody).await.expect_error(409, "BALANCE_ENDPOINT_MISSING");
        let (partner, endpoint) = world.keeper(LONG_MS).await;
        let body = json!({ "url": partner.url, "events": ["balance"] });
        world.post("/secure/endpoints", &body).await.expect_error(409, "ENDPOINT_IN_USE");
        let path = format!("/secure/endpoints/{endpoint}");
        let gone = crate::world::send(world.secure(Method::DELETE, &path)).await;
        gone.expect_error(409, "ENDPOINT_IN_USE");
        let less = json!({ "url": partner.url, "events": ["transaction"] });
        let less = crate::world::send(world.secure(Method::PUT, &path).json(&less)).await;
        less.expect_error(409, "ENDPOINT_IN_USE");
        world
            .put_custody(&json!({ "answerWithinMs": 10_001 }))
            .await
            .expect_error(400, "INVALID_REQUEST");
        let partners = world.admin(Method::GET, "/admin/partners", None).await;
        let partners = partners.expect(StatusCode::OK);
        assert_eq!(partners["items"][0]["name"], "A bank");
        let mut unbounded = program(&custody);
        unbounded["ownBin"] = false.into();
        let path = format!("/admin/programs/{CONFIG}");
        let put = world.admin(Method::PUT, &path, Some(&unbounded)).await;
        assert_eq!(put.json()["errors"][0]["field"], "collateral");
        put.expect_error(400, "INVALID_REQUEST");
        // What is kept already stays where it is, and its rules may change.
        licence(false).await;
        world.put_custody(&custody).await.expect(StatusCode::NO_CONTENT);
        let shown = world.admin(Method::GET, "/admin/programs", None).await;
        let shown = shown.expect(StatusCode::OK);
        let programs = shown["items"].as_array().unwrap();
        let of = |config: &str| programs.iter().find(|it| it["configId"] == config).unwrap();
        assert_eq!(of(CONFIG)["program"]["custody"], custody);
        assert!(of("0019167984")["program"].get("custody").is_none());
        world.put_custody(&Value::Null).await.expect_error(409, "PROGRAM_FIXED");
        licence(true).await;
        // One that has cards, and is not.
        let euro = world.customer().await;
        let balance = world.balance(&euro, "EUR").await;
        world.card(&euro, &balance, "0019167984").await;
        let mut other = program(&custody);
        (other["currency"], other["bin"]) = (json!("EUR"), json!("99999984"));
        let put = world.admin(Method::PUT, "/admin/programs/0019167984", Some(&other)).await;
        put.expect_error(409, "PROGRAM_FIXED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_linked_read_where_it_is_and_unlinked() {
    on_each(async |world| {
        let (partner, _) = world.keeper(LONG_MS).await;
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        let wish = json!({ "currency": "GBP" });
        // What the partner does not take is not opened.
        for (status, ours, title) in [
            (404, 409, "USER_NOT_FOUND_AT_PARTNER"),
            (403, 409, "REFUSED_BY_PARTNER"),
            (500, 503, "PARTNER_UNAVAILABLE"),
        ] {
            partner.answer(&[status]);
            world.post(&path, &wish).await.expect_error(ours, title);
        }
        let none = world.get(&path).await.expect(StatusCode::OK);
        assert_eq!(none["items"], json!([]));
        let opened = world.post(&path, &wish).await.expect(StatusCode::CREATED);
        let balance = text(&opened, "balanceId");
        let linked = partner.taken().pop().unwrap();
        assert_eq!(linked.json(), json!({ "balanceId": balance, "currency": "GBP" }));
        assert_eq!(linked.path, format!("/base/users/{customer}/balances"));
        assert_eq!(
            Uuid::parse_str(linked.header("x-idempotency-key")).unwrap().get_version_num(),
            4
        );

        let one = format!("{path}/{balance}");
        partner.put(
            &format!("/users/{customer}/balances/{balance}"),
            json!({ "currency": "GBP", "amount": 250 }),
        );
        partner.put(
            &format!("/users/{customer}/balances"),
            json!([{ "id": balance, "currency": "GBP", "amount": 250 }]),
        );
        let shown = world.get(&one).await.expect(StatusCode::OK);
        assert_eq!((&shown["amount"], &shown["available"]), (&json!(250), &json!(250)));
        assert_eq!(shown["custody"], "PARTNER");
        let listed = world.get(&path).await.expect(StatusCode::OK);
        assert_eq!(listed["items"][0], shown);
        // Its money is not moved here.
        let money = json!({ "amount": 5, "currency": "GBP" });
        let top_up = world.post(&format!("{one}/topup"), &money).await;
        top_up.expect_error(409, "OTHER_CUSTODY");

        let delete = async || crate::world::send(world.secure(Method::DELETE, &one)).await;
        delete().await.expect_error(409, "BALANCE_NOT_EMPTY");
        partner.put(
            &format!("/users/{customer}/balances/{balance}"),
            json!({ "currency": "GBP", "amount": 0 }),
        );
        let before = partner.taken().len();
        delete().await.expect(StatusCode::NO_CONTENT);
        let calls = partner.calls(before, 1).await;
        let there = format!("/users/{customer}/balances/{balance}");
        assert_eq!(paths(&calls), [("DELETE", &*there)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_without_cards_or_money_goes_to_the_partner_with_its_first_card() {
    on_each(async |world| {
        let (partner, _) = world.keeper(LONG_MS).await;
        let mut here = program(&Value::Null);
        here["bin"] = json!("99999978");
        let path = "/admin/programs/0000000778";
        world.admin(Method::PUT, path, Some(&here)).await.expect(StatusCode::NO_CONTENT);
        let customer = world.customer().await;
        // One of each kind: a balance is ours unless it is said for which program it is.
        let own = world.balance(&customer, "GBP").await;
        let path = format!("/secure/customers/{customer}/balances");
        assert_eq!(partner.taken().len(), 0);
        let wish = json!({ "currency": "GBP", "configId": CONFIG });
        let theirs = world.post(&path, &wish).await.expect(StatusCode::CREATED);
        assert_eq!(partner.taken().len(), 1);
        let unknown = json!({ "currency": "EUR", "configId": CONFIG });
        world.post(&path, &unknown).await.expect_error(404, "CONFIG_NOT_FOUND");
        let other = crate::world::send(world.virtual_card(
            &customer,
            &text(&theirs, "balanceId"),
            "0000000778",
        ));
        other.await.expect_error(409, "OTHER_CUSTODY");
        world.card(&customer, &own, CONFIG).await;
        assert_eq!(partner.taken().len(), 2);
        let id = BalanceId(Uuid::parse_str(&own).unwrap().as_u128());
        let view = world.peer.view(Query::Balance(id)).and_then(View::into_balance).unwrap();
        assert!(view.entrusted);
        // One with money on it stays.
        let used = world.balance(&customer, "GBP").await;
        let money = json!({ "amount": 5, "currency": "GBP" });
        let there = format!("/secure/customers/{customer}/balances/{used}/topup");
        world.post(&there, &money).await.expect(StatusCode::CREATED);
        let refused = crate::world::send(world.virtual_card(&customer, &used, CONFIG)).await;
        refused.expect_error(409, "BALANCE_NOT_EMPTY");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_asked_with_the_seeds_transaction_and_its_answer_decides() {
    on_each(async |world| {
        let (partner, _) = world.keeper(LONG_MS).await;
        let holder = world.entrusted(&partner).await;
        let before = partner.taken().len();
        let request = world.payment(1, 1_230);
        world.peer.ask(request);
        assert_eq!(world.told(request).await, Reason::Approved);
        let asked = partner.calls(before, 1).await.pop().unwrap();
        assert_eq!((&*asked.method, &*asked.path), ("POST", "/base/transactions/debit"));
        let body = asked.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        let seeds = [
            "balanceId",
            "resourceId",
            "resource",
            "transactionId",
            "referenceTransactionId",
            "type",
            "amount",
            "currency",
            "originalAmount",
            "originalCurrency",
            "status",
            "description",
            "date",
            "transactionData",
        ];
        assert_eq!(members, seeds);
        assert_eq!(body["balanceId"], holder.balance.as_str());
        let told = ["type", "amount", "currency", "status", "resource"].map(|name| &body[name]);
        assert_eq!(
            told,
            [&json!("POS"), &json!(1_230), &json!("GBP"), &json!("AUTHORIZED"), &json!("card")]
        );
        let data = &body["transactionData"];
        assert_eq!((&data["mcc"], &data["captureMode"]), (&json!("5411"), &json!("nfc")));
        let printed =
            ["mcc", "merchantIdentifier", "captureMode", "lastFourDigits", "acquirerCountry"];
        let members: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, printed);
        let listed = world.transactions(&holder.customer, "").await;
        assert_eq!(listed["items"][0]["id"], body["transactionId"]);
        assert_eq!(listed["items"][0]["status"], "AUTHORIZED");

        for (status, title, reason) in REFUSALS {
            partner.refuse(status, title);
            let declined = world.payment(u64::from(status) + reason.number() as u64 * 1_000, 50);
            world.peer.ask(declined);
            assert_eq!(world.told(declined).await, reason);
        }
        // Nothing is told of what was declined.
        world.until_history().await;
        let before = before + 6;
        assert_eq!(partner.calls(before, 0).await, []);

        let mut inquiry = world.payment(2, 0);
        inquiry.processing_code = 310_000;
        let there = format!("/users/{}/balances/{}", holder.customer, holder.balance);
        partner.put(&there, json!({ "currency": "GBP", "amount": 777 }));
        world.peer.ask(inquiry);
        assert_eq!(world.told(inquiry).await, Reason::Approved);

        let mut credit = world.payment(3, 400);
        credit.processing_code = 260_000;
        world.peer.ask(credit);
        assert_eq!(world.told(credit).await, Reason::Approved);
        let calls = partner.calls(before, 1).await;
        assert_eq!(paths(&calls), [("POST", "/transactions/credit")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_payment_is_told_in_order_until_it_is_taken() {
    on_each(async |world| {
        let (partner, _) = world.keeper(LONG_MS).await;
        world.entrusted(&partner).await;
        let begin = partner.taken().len();
        let request = world.payment(1, 1_000);
        world.peer.ask(request);
        assert_eq!(world.told(request).await, Reason::Approved);
        // Cleared for more than was held: the rest by force, then it is final.
        partner.answer(&[500, 503]);
        world.advise(&request, 2, 1_100);
        until(async || {
            world.database.execute(RETRY_NOW).await;
            partner.taken().len() >= begin + 5
        })
        .await;
        let calls = partner.calls(begin, 5).await;
        let id = text(&calls[0].json(), "transactionId");
        let update = format!("/transactions/{id}");
        let force = ("POST", "/transactions/force-debit");
        assert_eq!(
            paths(&calls),
            [("POST", "/transactions/debit"), force, force, force, ("PUT", &*update)]
        );
        let forced = calls[1].json();
        assert_eq!((&forced["amount"], &forced["status"]), (&json!(100), &json!("CLEARED")));
        assert_eq!(forced["referenceTransactionId"], id.as_str());
        assert_ne!(forced["transactionId"], id.as_str());
        assert_eq!((&calls[1].bytes, &calls[1].bytes), (&calls[2].bytes, &calls[3].bytes));
        let key = |call: &Taken| call.header("x-idempotency-key").to_owned();
        assert_eq!((key(&calls[1]), key(&calls[1])), (key(&calls[2]), key(&calls[3])));
        assert_ne!(key(&calls[0]), key(&calls[1]));
        assert_eq!(calls[4].json()["amount"], 1_100);

        // Taken back whole: with the body that it was asked with.
        let begin = partner.taken().len();
        let taken_back = world.payment(3, 700);
        world.peer.ask(taken_back);
        assert_eq!(world.told(taken_back).await, Reason::Approved);
        world.peer.message(Command::Reverse(reversal(taken_back.key, 4, Some(taken_back.token))));
        let calls = partner.calls(begin, 2).await;
        assert_eq!(paths(&calls)[1], ("POST", "/transactions/reversal"));
        assert_eq!(calls[0].json(), calls[1].json());

        // Cleared for less: the partner gets the rest back.
        let begin = partner.taken().len();
        let less = world.payment(5, 700);
        world.peer.ask(less);
        assert_eq!(world.told(less).await, Reason::Approved);
        world.advise(&less, 6, 500);
        let calls = partner.calls(begin, 3).await;
        assert_eq!(paths(&calls)[1], ("POST", "/transactions/force-credit"));
        assert_eq!(
            (&calls[1].json()["amount"], &calls[2].json()["amount"]),
            (&json!(200), &json!(500))
        );

        // Paid offline, and a refund of it.
        let begin = partner.taken().len();
        let mut offline = world.payment(7, 300);
        offline.key.class = MessageClass::FinancialAdvice;
        let advice = Advice { message: offline, advised: Advised::Approved, more_to_come: false };
        world.peer.message(Command::Advise(advice));
        let calls = partner.calls(begin, 1).await;
        assert_eq!(paths(&calls), [force]);
        assert_eq!(calls[0].json()["status"], "CLEARED");
        // None of it stands among what partners may have told again.
        let events = world.get("/secure/events?limit=50").await.expect(StatusCode::OK);
        assert_eq!(events["items"], json!([]));
        assert_eq!(offline.transaction.amount, Amount(300));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_partner_may_have_booked_it_the_reversal_is_told_and_told_again_later() {
    on_each(async |world| {
        let (partner, endpoint) = world.keeper(400).await;
        world.entrusted(&partner).await;
        let begin = partner.taken().len();
        // An error, and an answer that comes too late.
        partner.answer(&[500]);
        let failed = world.payment(1, 700);
        world.peer.ask(failed);
        assert_eq!(world.told(failed).await, Reason::PartnerSilent);
        let calls = partner.calls(begin, 2).await;
        assert_eq!(
            paths(&calls),
            [("POST", "/transactions/debit"), ("POST", "/transactions/reversal")]
        );
        assert_eq!(calls[0].json(), calls[1].json());
        partner.be_slow(900);
        let slow = world.payment(2, 700);
        world.peer.ask(slow);
        assert_eq!(world.told(slow).await, Reason::PartnerSilent);
        partner.be_slow(0);
        let calls = partner.calls(begin + 2, 2).await;
        assert_eq!(paths(&calls)[1], ("POST", "/transactions/reversal"));
        // Three times more, each with a key of its own, when their instants have come.
        let keys = async || {
            world.database.execute(TRY_NOW).await;
            let taken = partner.taken();
            let reversals = taken.iter().filter(|call| call.path.ends_with("/reversal"));
            let mut keys: Vec<_> =
                reversals.map(|call| call.header("x-idempotency-key").to_owned()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        };
        until(async || keys().await == 8).await;
        // Nobody to ask is no doubt: nothing is told.
        let paused = json!({ "url": partner.url, "events": ["balance"], "state": "PAUSED" });
        let path = format!("/secure/endpoints/{endpoint}");
        crate::world::send(world.secure(Method::PUT, &path).json(&paused))
            .await
            .expect(StatusCode::OK);
        let before = settled(&partner).await;
        let unasked = world.payment(3, 700);
        world.peer.ask(unasked);
        assert_eq!(world.told(unasked).await, Reason::PartnerSilent);
        world.until_history().await;
        // What must be told waits while the endpoint rests.
        world.peer.message(Command::Advise(Advice {
            message: {
                let mut offline = world.payment(4, 300);
                offline.key.class = MessageClass::FinancialAdvice;
                offline
            },
            advised: Advised::Approved,
            more_to_come: false,
        }));
        world.until_history().await;
        assert_eq!(partner.taken().len(), before);
        let active = json!({ "url": partner.url, "events": ["balance"] });
        crate::world::send(world.secure(Method::PUT, &path).json(&active))
            .await
            .expect(StatusCode::OK);
        let calls = partner.calls(before, 1).await;
        assert_eq!(paths(&calls), [("POST", "/transactions/force-debit")]);
    })
    .await;
}

/// How much came, once what was under way has.
async fn settled(partner: &Partner) -> usize {
    loop {
        let count = partner.taken().len();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        if partner.taken().len() == count {
            return count;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_unlinked_behind_all_that_is_told_of_it() {
    on_each(async |world| {
        let (partner, _) = world.keeper(400).await;
        let holder = world.entrusted(&partner).await;
        partner.answer(&[500]);
        let begin = partner.taken().len();
        let failed = world.payment(1, 700);
        world.peer.ask(failed);
        assert_eq!(world.told(failed).await, Reason::PartnerSilent);
        let there = format!("/users/{}/balances/{}", holder.customer, holder.balance);
        partner.put(&there, json!({ "currency": "GBP", "amount": 0 }));
        let here = format!("/secure/customers/{}/balances/{}", holder.customer, holder.balance);
        let closed = crate::world::send(world.secure(Method::DELETE, &here)).await;
        closed.expect(StatusCode::NO_CONTENT);
        let reversal = ("POST", "/transactions/reversal");
        // The reversal is confirmed later, and the balance is there for as long.
        until(async || partner.taken().iter().any(|call| call.path.ends_with("/reversal"))).await;
        world.until_history().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let told = |calls: &[Taken], what: (&str, &str)| {
            paths(calls).iter().filter(|call| **call == what).count()
        };
        let calls = partner.taken()[begin..].to_vec();
        assert_eq!((told(&calls, reversal), told(&calls, ("DELETE", &there))), (1, 0));
        // However old they are, calls are kept until they are taken.
        let store = Store::open(&world.database.url).await.unwrap();
        store.drop_notices(i64::MAX).await.unwrap();
        store.close().await;
        until(async || {
            world.database.execute(TRY_NOW).await;
            partner.taken().last().unwrap().method == "DELETE"
        })
        .await;
        let calls = partner.taken()[begin..].to_vec();
        assert!(told(&calls, reversal) >= 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_that_must_be_told() {
    on_each(async |world| {
        let (partner, _) = world.keeper(300).await;
        world.entrusted(&partner).await;
        let begin = partner.taken().len();
        world.stop_server().await;
        // Nobody is there to ask: its time is over, and what came of it is not known.
        let request = world.payment(1, 700);
        world.peer.ask(request);
        tokio::time::sleep(std::time::Duration::from_millis(350)).await;
        world.peer.expire();
        assert_eq!(world.peer.decided(request), Some(Reason::PartnerSilent));
        world.start_server().await;
        let calls = partner.calls(begin, 1).await;
        assert_eq!(paths(&calls), [("POST", "/transactions/reversal")]);
    })
    .await;
}
