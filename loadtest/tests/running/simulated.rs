//! Payments, the bureau and time over REST, as a partner tries them in a sandbox: the messages go
//! over the switch's own link.

use std::sync::Arc;

use anyhow::Context;
use loadtest::rest::Rest;
use rustix::process::Signal;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::card::YearMonth;
use shared::ids::Timestamp;

use crate::rig::{self, Running};

fn machine_time() -> anyhow::Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp(u64::try_from(since.as_millis())?))
}

struct Holder {
    rest: Arc<Rest>,
    customer: String,
    balance: String,
    card: String,
}

impl Holder {
    async fn of(rest: Arc<Rest>) -> anyhow::Result<Self> {
        Self::with(rest, "EUR", "0019167984").await
    }

    /// With a card of a program, and 100.00 of its currency.
    async fn with(rest: Arc<Rest>, currency: &str, program: &str) -> anyhow::Result<Self> {
        let wallet = json!({ "firstName": "Ada", "lastName": "Nowak", "phone": "48123456789",
            "email": "ada@example.com", "state": "VERIFIED", "kyc": "SUCCESS" });
        let customer = rest.add_customer(&wallet).await?;
        let balance = rest.open_balance(&customer, currency).await?;
        rest.top_up(&customer, &balance, 10_000, currency).await?;
        let card = rest.issue_card(&customer, &balance, program).await?.id;
        Ok(Self { rest, customer, balance, card })
    }

    /// Booked, held.
    async fn funds(&self) -> anyhow::Result<(i64, i64)> {
        let funds = self.rest.funds(&self.customer, &self.balance).await?;
        Ok((funds.ledger, funds.held))
    }

    async fn post(&self, path: &str, body: &Value, key: &str) -> anyhow::Result<(u16, Value)> {
        let (status, bytes) = self.rest.post_once(path, body, key).await?;
        Ok((status, serde_json::from_slice(&bytes).context("no JSON")?))
    }

    /// Sends a message; what it was answered.
    async fn said(&self, path: &str, body: Value, key: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.post(path, &body, key).await?;
        anyhow::ensure!(status == 200, "{path} {body}: {status} {answer}");
        Ok(answer)
    }

    fn payment(&self, amount: i64, kind: &str) -> Value {
        json!({ "cardId": self.card, "amount": amount, "currency": "EUR", "type": kind,
            "mcc": "5812", "merchant": "FROGSHOP-000001", "country": "DE" })
    }

    /// A payment of which only what must be is said.
    async fn pay_plainly(&self, amount: i64, currency: &str, key: &str) -> anyhow::Result<Value> {
        let body = json!({ "cardId": self.card, "amount": amount, "currency": currency });
        self.said("/sandbox/authorizations", body, key).await
    }

    async fn pay(&self, amount: i64, kind: &str, key: &str) -> anyhow::Result<Value> {
        self.said("/sandbox/authorizations", self.payment(amount, kind), key).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_tries_every_end_of_a_payment_without_a_processor() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let running = Running::start(folder.path()).await?;
    let ada = Holder::of(running.demo()?).await?;

    let paid = ada.pay(1_000, "POS", "one").await?;
    assert_eq!(
        (&paid["mti"], &paid["responseCode"], &paid["reason"]),
        (&json!("0110"), &json!("00"), &json!("APPROVED"))
    );
    assert!(paid["approvalCode"].is_string(), "{paid}");
    assert_eq!(ada.funds().await?, (10_000, 1_000));
    assert_eq!(ada.pay(1_000, "POS", "one").await?, paid, "asked for once");
    assert_eq!(ada.funds().await?, (10_000, 1_000));

    let id = &paid["transactionId"];
    let part = json!({ "transactionId": id, "amount": 400, "moreToCome": true });
    let cleared = ada.said("/sandbox/clearings", part, "two").await?;
    assert_eq!((&cleared["mti"], &cleared["responseCode"]), (&json!("0230"), &json!("00")));
    assert_eq!(ada.funds().await?, (9_600, 600));
    let rest = json!({ "transactionId": id, "amount": 600 });
    assert_eq!(ada.said("/sandbox/clearings", rest, "three").await?["transactionId"], *id);
    assert_eq!(ada.funds().await?, (9_000, 0));

    let paid = ada.pay(2_000, "ECOMMERCE", "four").await?;
    let id = &paid["transactionId"];
    let some = json!({ "transactionId": id, "remaining": 500 });
    assert_eq!(ada.said("/sandbox/reversals", some, "five").await?["responseCode"], "00");
    assert_eq!(ada.funds().await?, (9_000, 500));
    ada.said("/sandbox/reversals", json!({ "transactionId": id }), "six").await?;
    assert_eq!(ada.funds().await?, (9_000, 0));

    let declined = ada.pay(9_001, "ATM", "seven").await?;
    assert_eq!(
        (&declined["responseCode"], &declined["reason"]),
        (&json!("51"), &json!("INSUFFICIENT_FUNDS"))
    );
    let plain = ada.pay_plainly(100, "EUR", "plain").await?;
    let whole = json!({ "transactionId": plain["transactionId"] });
    let cleared = ada.said("/sandbox/clearings", whole.clone(), "plain, cleared").await?;
    assert_eq!((&cleared["responseCode"], &cleared["reason"]), (&json!("00"), &Value::Null));
    assert_eq!(ada.funds().await?, (8_900, 0));
    let (status, _) = ada.post("/sandbox/expire", &whole, "plain, expired").await?;
    assert_eq!(status, 400, "time does not go on for what is not held");
    assert_eq!(ada.pay(300, "REFUND", "eight").await?["responseCode"], "00");
    assert_eq!(ada.pay(0, "BALANCE_INQUIRY", "nine").await?["responseCode"], "00");
    assert_eq!(ada.pay(0, "POS", "ten").await?["responseCode"], "13");
    assert_eq!(ada.funds().await?.0, 8_900);
    running.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_where_a_partner_lets_it_and_stays_there_over_a_crash() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut running = Running::start(folder.path()).await?;
    let ada = Holder::of(running.demo()?).await?;
    let advice = ada.said("/sandbox/advices", ada.payment(700, "POS"), "one").await?;
    assert_eq!((&advice["mti"], &advice["responseCode"]), (&json!("0130"), &json!("00")));
    assert_eq!(ada.funds().await?, (10_000, 700));

    let wish = json!({ "transactionId": advice["transactionId"] });
    let clock = ada.said("/sandbox/expire", wish, "two").await?;
    assert_eq!(ada.funds().await?, (10_000, 0));
    let ahead = clock["aheadSeconds"].as_u64().context("no number")?;
    assert!(ahead >= 7 * 86_400 - 60, "a purchase is held for a week: {clock}");

    let hour = json!({ "seconds": 3_600 });
    let clock = ada.said("/sandbox/clock/advance", hour.clone(), "three").await?;
    assert_eq!(clock["aheadSeconds"], ahead + 3_600);
    assert_eq!(ada.said("/sandbox/clock/advance", hour, "three").await?, clock, "once");
    let much = json!({ "seconds": 31 * 86_400 });
    let mut status = 200;
    for month in 0..12 {
        status = ada.post("/sandbox/clock/advance", &much, &format!("month {month}")).await?.0;
    }
    assert_eq!(status, 400, "a year at most");

    let later = ada.pay(100, "POS", "four").await?;
    assert_eq!(later["responseCode"], "00", "{later}");
    running.signal(running.description.switch_pid, Signal::KILL)?;
    running.refresh().await?;
    let second = json!({ "seconds": 1 });
    let mut clock = ada.post("/sandbox/clock/advance", &second, "five").await?;
    while clock.0 == 503 {
        clock = ada.post("/sandbox/clock/advance", &second, "five").await?;
    }
    let now = clock.1["aheadSeconds"].as_u64().context("no number")?;
    assert!(now + 60 > ahead + 11 * 31 * 86_400, "{clock:?}");
    assert_eq!(ada.funds().await?, (10_000, 100));

    // The management API goes on where the switch is, when it starts too: a card made now is good
    // for so much longer.
    let in_time = async || {
        let card = ada.rest.issue_card(&ada.customer, &ada.balance, "0019167984").await?;
        anyhow::Ok(YearMonth::of(machine_time()?).plus_months(36 + 10) <= card.expiry)
    };
    assert!(in_time().await?);
    running.signal(running.description.mgmt_pid, Signal::KILL)?;
    running.refresh().await?;
    let deadline = std::time::Instant::now() + rig::DEADLINE;
    while !in_time().await.unwrap_or(false) {
        anyhow::ensure!(std::time::Instant::now() < deadline, "its clock does not follow");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.stop()
}

/// Requirements #45, #85, #91, #93: what all users of a partner spend is held on its deposit too,
/// and no more than that; without one nothing is spent.
#[tokio::test(flavor = "multi_thread")]
async fn a_partners_deposit_bounds_what_all_its_users_spend() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let running = Running::start(folder.path()).await?;
    let rest = running.demo()?;
    let deposit = rest.open_partner_balance(1, "DEPOSIT", "PLN").await?;
    let held = async || anyhow::Ok(rest.partner_funds(&deposit).await?.held);
    let ada = Holder::with(Arc::clone(&rest), "PLN", "0019167994").await?;
    let bob = Holder::with(Arc::clone(&rest), "PLN", "0019167994").await?;
    assert_eq!(ada.pay_plainly(6_000, "PLN", "one").await?["responseCode"], "00");
    assert_eq!((ada.funds().await?, held().await?), ((10_000, 6_000), 6_000));

    let declined = bob.pay_plainly(6_000, "PLN", "two").await?;
    assert_eq!(declined["responseCode"], "51", "{declined}");
    assert_eq!(declined["reason"], Reason::InsufficientFundsOnDeposit.description());
    assert_eq!((bob.funds().await?, held().await?), ((10_000, 0), 6_000));
    assert_eq!(bob.pay_plainly(4_000, "PLN", "three").await?["responseCode"], "00");
    assert_eq!(held().await?, 10_000);

    let eve = Holder::with(Arc::clone(&rest), "USD", "0019167993").await?;
    let without = eve.pay_plainly(100, "USD", "four").await?;
    assert_eq!(without["responseCode"], "57", "{without}");
    assert_eq!(without["reason"], Reason::DepositBalanceNotFound.description());
    running.stop()
}

/// The bodies that the description of the interface prints, about what there is.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_bodies_do_what_they_say() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let running = Running::start(folder.path()).await?;
    let ada = Holder::of(running.demo()?).await?;
    let printed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../mgmt-api/openapi.json"))?;
    let printed: Value = serde_json::from_slice(&printed)?;
    let send = async |path: &str, transaction: &Value| {
        let place = path.replace('/', "~1");
        let place = format!("/paths/{place}/post/requestBody/content/application~1json/example");
        let mut body = printed.pointer(&place).context(place)?.clone();
        let members = body.as_object_mut().context("no object")?;
        for (member, value) in [("cardId", &json!(ada.card)), ("transactionId", transaction)] {
            if let Some(place) = members.get_mut(member) {
                place.clone_from(value);
            }
        }
        ada.said(path, body, &uuid::Uuid::now_v7().to_string()).await
    };
    for (begun, ended) in [
        ("/sandbox/authorizations", "/sandbox/clearings"),
        ("/sandbox/authorizations", "/sandbox/reversals"),
        ("/sandbox/advices", "/sandbox/expire"),
    ] {
        let paid = send(begun, &Value::Null).await?;
        assert_eq!(paid["responseCode"], "00", "{begun}: {paid}");
        assert_eq!(ada.funds().await?.1, 1_250, "{begun}");
        send(ended, &paid["transactionId"]).await?;
        assert_eq!(ada.funds().await?.1, 0, "{ended}");
    }
    assert_eq!(ada.funds().await?.0, 10_000 - 1_200);
    send("/sandbox/clock/advance", &Value::Null).await?;
    running.stop()
}
