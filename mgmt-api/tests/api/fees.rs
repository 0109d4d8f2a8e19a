//! Fees: made by the licensed institution, charged once, with payments and transfers, by period, and
//! reported.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use mgmt_api::store::{DueRow, Store};
use reqwest::Method;
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{
    Acceptance, Advice, Advised, Authorization, Change, Channel, Command, Credentials,
    MessageClass, MessageKey, References, Reversal, ReversalKind,
};
use shared::ids::LinkId;
use shared::money::{Amount, Currency, Money};
use shared::pan::PanToken;

use crate::world::{World, on_each, send, text, until};

const PROGRAM: &str = "/admin/programs/0019167984";
const EUR: Currency = Currency(978);
/// A due of all times.
const ANY_DUE: DueRow = DueRow {
    fee_id: 1,
    balance_id: uuid::Uuid::nil(),
    card_id: 0,
    token_no: 0,
    period_ms: 0,
    period_end_ms: i64::MAX,
    amount: 0,
};
const POLAND: u16 = 616;

/// A payment in a shop.
pub(crate) fn payment(
    token: PanToken,
    stan: u64,
    amount: i64,
    class: MessageClass,
) -> Authorization {
    Authorization {
        key: MessageKey { link: LinkId(1), class, stan, sent_at: 0, acquirer: 1, forwarder: 0 },
        repeat: false,
        token,
        processing_code: 0,
        transaction: Money::new(amount, EUR),
        billing: None,
        cash_back: Amount::ZERO,
        expiry: None,
        verification: false,
        incremental: false,
        partial_allowed: false,
        credentials: Credentials::default(),
        original: None,
        references: References::default(),
        acceptance: Acceptance { channel: Channel::Pos, country: POLAND, ..Acceptance::default() },
    }
}

pub(crate) fn reversal(original: MessageKey, stan: u64, token: Option<PanToken>) -> Reversal {
    Reversal {
        key: MessageKey { class: MessageClass::Reversal, stan, ..original },
        repeat: false,
        original,
        kind: ReversalKind::Request,
        token,
        references: References::default(),
        transaction: None,
        new_total: None,
        new_billing: None,
    }
}

impl World {
    pub(crate) async fn fee(&self, fee: &Value) -> Value {
        let path = format!("{PROGRAM}/fees");
        self.admin(Method::POST, &path, Some(fee)).await.expect(StatusCode::CREATED)
    }

    /// What is booked on a balance, and what it owes.
    pub(crate) async fn amount(&self, customer: &str, balance: &str) -> (i64, i64) {
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let shown = self.get(&path).await.json();
        (shown["amount"].as_i64().unwrap(), shown["owed"].as_i64().unwrap())
    }

    pub(crate) async fn funded(&self, amount: i64) -> (String, String) {
        let customer = self.customer().await;
        let balance = self.balance(&customer, "EUR").await;
        self.top_up(&customer, &balance, amount).await;
        (customer, balance)
    }

    pub(crate) async fn top_up(&self, customer: &str, balance: &str, amount: i64) -> String {
        let money = json!({ "amount": amount, "currency": "EUR" });
        let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
        text(&self.post(&path, &money).await.expect(StatusCode::CREATED), "id")
    }

    pub(crate) fn newest_token(&self) -> PanToken {
        let token = |change: &Change| {
            if let Change::IssueCard(card) = change { Some(card.token) } else { None }
        };
        self.peer.last_change(token).unwrap()
    }

    /// The report's lines.
    pub(crate) async fn fee_lines(&self, query: &str) -> Vec<String> {
        let path = format!("{PROGRAM}/fees/report{query}");
        let got = self.admin(Method::GET, &path, None).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(got.headers["content-type"], "text/csv; charset=utf-8");
        let csv = String::from_utf8(got.bytes).unwrap();
        csv.lines().map(str::to_owned).collect()
    }

    /// The same without their first column.
    pub(crate) async fn fee_report(&self, query: &str) -> Vec<String> {
        let lines = self.fee_lines(query).await;
        let lines = lines.iter().filter_map(|line| line.split_once(','));
        lines.map(|(_start, rest)| rest.to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_is_made_changed_and_taken_out_of_use_by_the_licensed_institution() {
    on_each(async |world| {
        let path = format!("{PROGRAM}/fees");
        let pos = json!({ "kind": "POS", "fixed": 30, "ratePpm": 25_000, "region": "INTRA",
            "homeCountry": "PL" });
        let admin = world.operator("ann", Roles::ADMIN | Roles::MANAGER, None).await;
        let got = world.with(&admin, Method::POST, &path, Some(&pos)).await;
        got.expect_error(403, "FORBIDDEN");
        let licensed = world.operator("lea", Roles::LICENSED, None).await;
        let made = world.with(&licensed, Method::POST, &path, Some(&pos)).await;
        let made = made.expect(StatusCode::CREATED);
        let shown = |fee: &Value| {
            json!({ "kind": fee["kind"], "fixed": fee["fixed"],
            "ratePpm": fee["ratePpm"], "settlement": fee["settlement"], "region": fee["region"],
            "homeCountry": fee["homeCountry"] })
        };
        let mut expected = pos.clone();
        expected["settlement"] = "INSTANT".into();
        assert_eq!(shown(&made["fee"]), expected);

        let one = format!("{path}/{}", text(&made, "feeId"));
        let mut changed = pos.clone();
        changed["fixed"] = 40.into();
        let put = world.with(&licensed, Method::PUT, &one, Some(&changed)).await;
        assert_eq!(put.expect(StatusCode::OK)["fee"]["fixed"], 40);
        let listed = world.with(&admin, Method::GET, &path, None).await.json();
        assert_eq!(listed["items"][0]["fee"]["fixed"], 40);
        changed["settlement"] = "INVOICE".into();
        let got = world.with(&licensed, Method::PUT, &one, Some(&changed)).await;
        got.expect_error(400, "INVALID_REQUEST");
        let other = json!({ "kind": "ATM", "fixed": 40 });
        let got = world.with(&licensed, Method::PUT, &one, Some(&other)).await;
        got.expect_error(400, "INVALID_REQUEST");
        let delete = || {
            let request = world.nobody.delete(world.public_url(&one)).bearer_auth(&licensed);
            send(request.header("Idempotency-Key", "take-it-out"))
        };
        assert_eq!((delete().await.status, delete().await.status), (204, 204));
        let got = world.with(&licensed, Method::DELETE, &one, None).await;
        got.expect_error(404, "FEE_NOT_FOUND");
        let listed = world.with(&licensed, Method::GET, &path, None).await.json();
        assert_eq!(listed["items"], json!([]));
        let puts = |change: &Change| matches!(change, Change::PutFee(_) | Change::RemoveFee(..));
        assert_eq!(world.peer.count_changes(puts), 3);
        let got = world.admin(Method::GET, "/admin/programs/0000000001/fees", None).await;
        got.expect_error(404, "PROGRAM_NOT_FOUND");
    })
    .await;
}

/// Requirement #167: which payments a fee is on.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_fee_is_on_its_own_kind_of_payment() {
    on_each(async |world| {
        for (kind, fixed) in [("POS", 50), ("ECOMMERCE", 200), ("ATM", 100), ("CONVERSION", 300)] {
            world.fee(&json!({ "kind": kind, "fixed": fixed })).await;
        }
        let (customer, balance) = world.funded(100_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let abroad = (Money::new(4_300, Currency(985)), Some(Money::new(1_000, EUR)));
        let here = (Money::new(1_000, EUR), None);
        let mut held = 0;
        for (stan, (channel, (transaction, billing), fee)) in (1..).zip([
            (Channel::Pos, here, 50),
            (Channel::Unknown, here, 50),
            (Channel::Ecommerce, here, 200),
            (Channel::Atm, here, 100),
            (Channel::Pos, abroad, 350),
            (Channel::Atm, abroad, 400),
        ]) {
            let class = MessageClass::Authorization;
            let mut request = payment(world.newest_token(), stan, 1_000, class);
            request.acceptance.channel = channel;
            (request.transaction, request.billing) = (transaction, billing);
            assert_eq!(world.peer.message(Command::Authorize(request)).reason, Reason::Approved);
            let before = held;
            held = world.get(&path).await.json()["held"].as_i64().unwrap();
            assert_eq!(held - before, 1_000 + fee, "{channel:?} {transaction}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_that_cannot_be_charged_is_refused() {
    on_each(async |world| {
        let path = format!("{PROGRAM}/fees");
        for wrong in [
            json!({ "kind": "POS" }),
            json!({ "kind": "POS", "fixed": -1 }),
            json!({ "kind": "POS", "ratePpm": 1_000_001 }),
            json!({ "kind": "POS", "fixed": 1, "region": "DOMESTIC" }),
            json!({ "kind": "POS", "fixed": 1, "region": "INTRA", "homeCountry": "US" }),
            json!({ "kind": "POS", "fixed": 1, "region": "INTER", "homeCountry": "XX" }),
            json!({ "kind": "POS", "fixed": 1, "period": "DAY" }),
            json!({ "kind": "CARD_CREATION", "fixed": 1, "ratePpm": 1 }),
            json!({ "kind": "CARD_PERIODIC", "fixed": 1 }),
            json!({ "kind": "CARD_PERIODIC", "fixed": 1, "period": "MONTH", "timeZone": "Mars" }),
            json!({ "kind": "CARD_PERIODIC", "fixed": 1, "period": "MONTH", "waivedFrom": 0 }),
            json!({ "kind": "TRANSFER", "fixed": 1, "region": "INTER", "homeCountry": "PL" }),
            json!({ "kind": "TRANSFER", "fixed": 1, "waivedFrom": 5 }),
            json!({ "kind": "TRANSFER", "fixed": 1, "timeZone": "UTC" }),
            json!({ "kind": "TOLL", "fixed": 1 }),
        ] {
            let got = world.admin(Method::POST, &path, Some(&wrong)).await;
            assert_eq!((got.status, got.title().as_str()), (400, "INVALID_REQUEST"), "{wrong}");
        }
        let transfer = json!({ "kind": "TRANSFER", "fixed": 1 });
        world.fee(&transfer).await;
        let got = world.admin(Method::POST, &path, Some(&transfer)).await;
        got.expect_error(409, "FEE_EXISTS");
        // Another program of the same partner and currency would make it unclear too.
        let other = "/admin/programs/0019167985/fees";
        let got = world.admin(Method::POST, other, Some(&transfer)).await;
        got.expect_error(409, "FEE_EXISTS");
        for fixed in 1..=8 {
            world.fee(&json!({ "kind": "ATM", "fixed": fixed })).await;
        }
        let got =
            world.admin(Method::POST, &path, Some(&json!({ "kind": "ATM", "fixed": 9 }))).await;
        got.expect_error(409, "TOO_MANY_FEES");
        let listed = world.admin(Method::GET, &path, None).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 9, "what was refused is not listed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_transfers_cost_what_the_program_says_and_the_report_adds_it_up() {
    on_each(async |world| {
        let pos = json!({ "kind": "POS", "fixed": 30, "ratePpm": 25_000, "region": "DOMESTIC",
            "homeCountry": "PL" });
        world.fee(&pos).await;
        world.fee(&json!({ "kind": "ATM", "fixed": 500 })).await;
        world.fee(&json!({ "kind": "TRANSFER", "fixed": 5, "ratePpm": 10_000 })).await;
        let (customer, balance) = world.funded(10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let token = world.newest_token();
        let request = payment(token, 1, 1_000, MessageClass::Authorization);
        let decision = world.peer.message(Command::Authorize(request));
        assert_eq!(decision.reason, Reason::Approved);
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        assert_eq!(world.get(&path).await.json()["held"], 1_055);
        let message = Authorization {
            original: Some(request.key),
            ..payment(token, 2, 1_000, MessageClass::FinancialAdvice)
        };
        let (advised, more_to_come) = (Advised::Approved, false);
        world.peer.message(Command::Advise(Advice { message, advised, more_to_come }));
        assert_eq!(world.amount(&customer, &balance).await, (8_945, 0));

        let other = world.balance(&customer, "EUR").await;
        let transfer = json!({ "toBalanceId": other, "amount": 1_000, "currency": "EUR" });
        let moved = world.post(&format!("{path}/transfer"), &transfer).await;
        assert_eq!(moved.expect(StatusCode::CREATED)["fee"], 15);
        assert_eq!(world.amount(&customer, &balance).await, (7_930, 0));
        assert_eq!(world.amount(&customer, &other).await, (1_000, 0));
        let all = json!({ "toBalanceId": other, "amount": 7_930, "currency": "EUR" });
        let got = world.post(&format!("{path}/transfer"), &all).await;
        got.expect_error(422, "INSUFFICIENT_FUNDS");

        let expected = [
            "feeId,kind,settlement,currency,charges,due,taken",
            "1,POS,INSTANT,EUR,1,55,55",
            "3,TRANSFER,INSTANT,EUR,1,15,15",
        ];
        until(async || world.fee_report("").await == expected).await;
        for query in ["?period=DAY", "?period=WEEK", "?period=MONTH&from=2026-11-01"] {
            assert_eq!(world.fee_report(query).await, expected, "{query}");
        }
        let other = "/admin/programs/0019167985/fees/report";
        let none = world.admin(Method::GET, other, None).await;
        assert_eq!(String::from_utf8(none.bytes).unwrap().lines().count(), 1);
        for wrong in ["?period=YEAR", "?from=2026-11-31", "?from=2020-01-01", "?until=x"] {
            let path = format!("{PROGRAM}/fees/report{wrong}");
            let got = world.admin(Method::GET, &path, None).await;
            got.expect_error(400, "INVALID_REQUEST");
        }
        let summary = world.admin(Method::GET, "/admin/balances/summary", None).await.json();
        assert_eq!(summary["items"][0]["company"], 70);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_cards_cost_once_and_what_is_not_there_is_owed() {
    on_each(async |world| {
        // What was there before its fee costs nothing, however late that is heard of.
        let earlier = world.customer().await;
        let free = world.balance(&earlier, "EUR").await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        world.fee(&json!({ "kind": "ACCOUNT_CREATION", "fixed": 200 })).await;
        world.fee(&json!({ "kind": "CARD_CREATION", "fixed": 50 })).await;
        world.fee(&json!({ "kind": "CARD_CREATION", "fixed": 7, "settlement": "INVOICE" })).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        until(async || world.amount(&customer, &balance).await == (0, 200)).await;
        world.card(&customer, &balance, "0019167984").await;
        until(async || world.amount(&customer, &balance).await == (0, 250)).await;
        world.top_up(&customer, &balance, 220).await;
        assert_eq!(world.amount(&customer, &balance).await, (0, 30));
        // A restart, and the same events again, charge nothing twice.
        world.stop_server().await;
        world.database.execute("UPDATE event_cursor SET sequence = 0").await;
        world.start_server().await;
        world.top_up(&customer, &balance, 100).await;
        assert_eq!(world.amount(&customer, &balance).await, (70, 0));
        let expected = [
            "feeId,kind,settlement,currency,charges,due,taken",
            "1,ACCOUNT_CREATION,INSTANT,EUR,1,200,200",
            "2,CARD_CREATION,INSTANT,EUR,1,50,50",
            "3,CARD_CREATION,INVOICE,EUR,1,7,7",
        ];
        until(async || world.fee_report("").await == expected).await;
        assert_eq!(world.amount(&earlier, &free).await, (0, 0));
        // A card of another program, and a balance in another currency, cost nothing.
        world.card(&customer, &balance, "0019167989").await;
        let other = world.balance(&customer, "PLN").await;
        world.card(&customer, &balance, "0019167984").await;
        until(async || world.amount(&customer, &balance).await == (20, 0)).await;
        assert_eq!(world.amount(&customer, &other).await, (0, 0));
        // What is owed by invoice may come a moment behind what is taken at once.
        until(async || {
            let summary = world.admin(Method::GET, "/admin/balances/summary", None).await.json();
            let euro = &summary["items"][0];
            (&euro["company"], &euro["invoiced"]) == (&json!(314), &json!(14))
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_period_costs_once() {
    on_each(async |world| {
        world.fee(&json!({ "kind": "CARD_PERIODIC", "fixed": 10, "period": "DAY" })).await;
        world.fee(&json!({ "kind": "ACCOUNT_PERIODIC", "fixed": 100, "period": "WEEK" })).await;
        let (customer, balance) = world.funded(1_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let removed = world.card(&customer, &balance, "0019167984").await;
        let path = format!("/admin/customers/{customer}/cards/{}", text(&removed, "id"));
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);

        // As if all had been there before: two days and a week have gone by since.
        world.database.execute("UPDATE cards SET created_at_ms = 0").await;
        world.database.execute("UPDATE balances SET created_at_ms = 0").await;
        let days = "UPDATE fees SET next_period_ms = next_period_ms - 3 * 86400000 \
            WHERE period = 'DAY'";
        world.database.execute(days).await;
        let weeks = "UPDATE fees SET next_period_ms = next_period_ms - 14 * 86400000 \
            WHERE period = 'WEEK'";
        world.database.execute(weeks).await;
        until(async || world.amount(&customer, &balance).await == (880, 0)).await;

        // However often what is due is looked at, it is charged once.
        let charges = |change: &Change| matches!(change, Change::ChargeFee { .. });
        assert_eq!(world.peer.count_changes(charges), 3);
        world.stop_server().await;
        world.database.execute("UPDATE fee_dues SET state = 'PENDING'").await;
        world.start_server().await;
        let store = Store::open(&world.database.url).await.unwrap();
        until(async || store.pending_dues(9).await.unwrap().is_empty()).await;
        store.close().await;
        assert_eq!(world.amount(&customer, &balance).await, (880, 0));
        assert_eq!(world.peer.count_changes(charges), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_was_begun_before_its_fee_is_free() {
    on_each(async |world| {
        let (customer, balance) = world.funded(1_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let monthly = json!({ "kind": "CARD_PERIODIC", "fixed": 10, "period": "MONTH",
            "timeZone": "Europe/Warsaw" });
        let made = world.fee(&monthly).await;
        assert_eq!(made["fee"]["timeZone"], "Europe/Warsaw");
        let store = Store::open(&world.database.url).await.unwrap();
        let fee = text(&made, "feeId").parse().unwrap();
        let next = store.fee(fee).await.unwrap().unwrap().next_period_ms.unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000;
        assert!((now..now + 32 * 86_400_000).contains(&next), "{next}");
        assert_eq!(store.pending_dues(9).await.unwrap(), []);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_paid_enough_in_a_period_pays_no_fee_for_it() {
    on_each(async |world| {
        let weekly = |kind: &str, fixed: i64, enough: i64| {
            json!({ "kind": kind, "fixed": fixed,
            "period": "WEEK", "waivedFrom": enough })
        };
        world.fee(&weekly("CARD_PERIODIC", 10, 1_000)).await;
        world.fee(&weekly("ACCOUNT_PERIODIC", 100, 999)).await;
        let (customer, balance) = world.funded(10_000).await;
        let mut cards = Vec::new();
        for _ in 0..2 {
            let card = world.card(&customer, &balance, "0019167984").await;
            cards.push((text(&card, "id"), world.newest_token()));
        }
        // The feed knows of the fees when it has looked once more.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        let sale = |card: usize, stan, amount| {
            let request = payment(cards[card].1, stan, amount, MessageClass::Financial);
            let decision = world.peer.message(Command::Authorize(request));
            assert_eq!(decision.reason, Reason::Approved);
            request
        };
        sale(0, 1, 600);
        // A hold counts when it is cleared, for as much as it is cleared for.
        let held = payment(cards[0].1, 2, 800, MessageClass::Authorization);
        world.peer.message(Command::Authorize(held));
        let message = Authorization {
            original: Some(held.key),
            ..payment(cards[0].1, 3, 399, MessageClass::FinancialAdvice)
        };
        let (advised, more_to_come) = (Advised::Approved, false);
        world.peer.message(Command::Advise(Advice { message, advised, more_to_come }));
        // What is taken back does not count, whether its message names the card or not.
        let taken_back = sale(1, 4, 500);
        let token = None;
        world.peer.message(Command::Reverse(reversal(taken_back.key, 5, token)));
        let taken_back = sale(1, 6, 500);
        world.peer.message(Command::Reverse(reversal(taken_back.key, 7, Some(cards[1].1))));
        // A refund is no payment, and takes none back.
        let refund = Authorization {
            processing_code: 200_000,
            ..payment(cards[0].1, 8, 300, MessageClass::Financial)
        };
        world.peer.message(Command::Authorize(refund));
        assert_eq!(world.amount(&customer, &balance).await, (9_301, 0));

        let store = Store::open(&world.database.url).await.unwrap();
        let last = i64::try_from(world.peer.last_sequence()).unwrap();
        until(async || store.event_cursor().await.unwrap() >= last).await;
        let turnover = async |card_id: i64| {
            let balance_id = uuid::Uuid::parse_str(&balance).unwrap();
            store.turnover(&DueRow { balance_id, card_id, ..ANY_DUE }).await.unwrap()
        };
        assert_eq!(turnover(cards[0].0.parse().unwrap()).await, 999);
        assert_eq!(turnover(cards[1].0.parse().unwrap()).await, 0);
        assert_eq!(turnover(0).await, 999, "the account");

        // The week of all this is over: one card paid nothing and the other not enough, but the
        // account with both of them did.
        world.database.execute("UPDATE cards SET created_at_ms = 0").await;
        world.database.execute("UPDATE balances SET created_at_ms = 0").await;
        world.database.execute("UPDATE card_postings SET at_ms = at_ms - 7 * 86400000").await;
        let back = "UPDATE fees SET next_period_ms = next_period_ms - 14 * 86400000";
        world.database.execute(back).await;
        until(async || world.amount(&customer, &balance).await == (9_281, 0)).await;
        until(async || store.pending_dues(9).await.unwrap().is_empty()).await;
        assert_eq!(world.amount(&customer, &balance).await, (9_281, 0));

        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_of_a_wallet_is_taken_down_and_costs_once() {
    on_each(async |world| {
        world.fee(&json!({ "kind": "TOKEN_CREATION", "fixed": 25 })).await;
        let (customer, balance) = world.funded(100).await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let path = format!("/secure/customers/{customer}/cards/{card}/tokens");
        let token = |reference: &str| json!({ "tokenReference": reference, "walletId": "103" });
        let made = world.post(&path, &token("DWSPMC1")).await.expect(StatusCode::CREATED);
        assert_eq!((&made["state"], &made["walletId"]), (&json!("ACTIVE"), &json!("103")));
        until(async || world.amount(&customer, &balance).await == (75, 0)).await;
        world.post(&path, &token("DWSPMC1")).await.expect_error(409, "CARD_TOKEN_EXISTS");
        world.post(&path, &json!({ "tokenReference": "T-2" })).await.expect(StatusCode::CREATED);
        until(async || world.amount(&customer, &balance).await == (50, 0)).await;
        for wrong in ["", "a b", "4111111111111111", &"x".repeat(65)] {
            world.post(&path, &token(wrong)).await.expect_error(400, "INVALID_REQUEST");
        }
        let one = format!("{path}/{}", text(&made, "tokenId"));
        assert_eq!(world.secure(Method::DELETE, &one).send().await.unwrap().status(), 204);
        let other = format!("{path}/99");
        let got = send(world.secure(Method::DELETE, &other)).await;
        got.expect_error(404, "CARD_TOKEN_NOT_FOUND");
        let listed = world.get(&path).await.json();
        let states: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|it| text(it, "state")).collect();
        assert_eq!(states, ["ENDED", "ACTIVE"]);
        world.post(&path, &token("DWSPMC1")).await.expect_error(409, "CARD_TOKEN_EXISTS");

        // A card that is gone gets no token, and nobody else's is seen.
        let stranger = world.stranger.get(world.secure_url(&path));
        send(stranger).await.expect_error(404, "USER_NOT_FOUND");
        let remove = format!("/admin/customers/{customer}/cards/{card}");
        assert_eq!(world.admin(Method::DELETE, &remove, None).await.status, 204);
        world.post(&path, &token("T-3")).await.expect_error(409, "CARD_STATE_FORBIDDEN");
        assert_eq!(world.amount(&customer, &balance).await, (50, 0));
    })
    .await;
}
