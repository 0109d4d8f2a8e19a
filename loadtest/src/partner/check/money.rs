//! The rules about single movements of money, and the transaction object.
//!
//! Invariant: what moved is what the balance shows after less what it showed before, so that a broken
//! rule does not break the checks after it.

use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use super::caller::{Answer, Request};
use super::{Miss, Suite, Verdict};

/// What most checks move, minor units.
pub(super) const AMOUNT: i64 = 1_200;
/// What there is to be moved, minor units.
pub(super) const FUNDS: i64 = 50_000;

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Debit,
    ForceDebit,
    Credit,
    ForceCredit,
}

impl Kind {
    /// The last part of its address.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::ForceDebit => "force-debit",
            Self::Credit => "credit",
            Self::ForceCredit => "force-credit",
        }
    }

    fn sign(self) -> i64 {
        match self {
            Self::Debit | Self::ForceDebit => -1,
            Self::Credit | Self::ForceCredit => 1,
        }
    }
}

/// A transaction and its object.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) kind: Kind,
    pub(super) amount: i64,
    pub(super) id: String,
    object: Value,
}

impl Transaction {
    /// It, as it is asked for, under a new key.
    pub(super) fn request(&self) -> Request {
        self.post(self.kind.name())
    }

    /// Its reversal under a new key; the body is identical.
    pub(super) fn reversal(&self) -> Request {
        self.post("reversal")
    }

    /// What it changes, minor units.
    pub(super) fn change(&self) -> i64 {
        self.kind.sign() * self.amount
    }

    fn post(&self, name: &str) -> Request {
        Request::new(Method::POST, &["transactions", name], Some(self.object.clone()))
    }

    fn cleared(&self) -> Request {
        let mut object = self.object.clone();
        if let Some(status) = object.get_mut("status") {
            *status = json!("CLEARED");
        }
        Request::new(Method::PUT, &["transactions", &self.id], Some(object))
    }
}

impl Suite {
    pub(super) async fn credit(&self) -> Verdict {
        self.moved(&self.transaction(Kind::Credit, FUNDS)).await
    }

    pub(super) async fn credit_unknown(&self) -> Verdict {
        let id = Uuid::new_v4().to_string();
        let request = self.transaction_on(&id, Kind::Credit, AMOUNT).request();
        self.caller.send(&request).await?.expect_error(404, "BALANCE_NOT_FOUND")
    }

    pub(super) async fn debit(&mut self) -> Verdict {
        let before = self.funded(AMOUNT).await?;
        let debit = self.transaction(Kind::Debit, AMOUNT);
        let request = debit.request();
        let answer = self.caller.send(&request).await?;
        answer.expect(204)?;
        let seen = self.expect_change(before, debit.change()).await?;
        self.debit = Some((debit, request, answer));
        Ok(format!("204, {seen}"))
    }

    pub(super) async fn debit_too_much(&self) -> Verdict {
        let before = self.amount().await?;
        let debit = self.transaction(Kind::Debit, before.max(0).saturating_add(1));
        let answer = self.caller.send(&debit.request()).await?;
        let refused = answer.expect_error(422, "INSUFFICIENT_FUNDS")?;
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("{refused}, {seen}"))
    }

    pub(super) async fn debit_unknown(&self) -> Verdict {
        let id = Uuid::new_v4().to_string();
        let request = self.transaction_on(&id, Kind::Debit, AMOUNT).request();
        self.caller.send(&request).await?.expect_error(404, "BALANCE_NOT_FOUND")
    }

    pub(super) async fn force_debit(&self) -> Verdict {
        let beyond = self.amount().await?.max(0).saturating_add(AMOUNT);
        self.moved(&self.transaction(Kind::ForceDebit, beyond)).await
    }

    pub(super) async fn force_credit(&self) -> Verdict {
        let lack = self.amount().await?.min(0).saturating_neg();
        self.moved(&self.transaction(Kind::ForceCredit, lack.saturating_add(FUNDS))).await
    }

    pub(super) async fn update(&self) -> Verdict {
        let (debit, ..) = self.earlier_debit()?;
        let before = self.amount().await?;
        self.caller.send(&debit.cleared()).await?.expect(204)?;
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("204, {seen}"))
    }

    pub(super) async fn update_unknown(&self) -> Verdict {
        let request = self.transaction(Kind::Debit, AMOUNT).cleared();
        self.caller.send(&request).await?.expect_error(404, "TRANSACTION_NOT_FOUND")
    }

    pub(super) async fn late_force_debit(&self) -> Verdict {
        let late = self.transaction(Kind::ForceDebit, AMOUNT);
        let answer = self.caller.send(&late.request()).await?;
        // Nothing is to be left behind; a rule about reversals is checked elsewhere.
        self.caller.send(&late.reversal()).await.ok();
        answer.expect(204)?;
        Ok("204".to_owned())
    }

    /// Whether it is answered with 204 and moves exactly its amount.
    async fn moved(&self, transaction: &Transaction) -> Verdict {
        let before = self.amount().await?;
        self.caller.send(&transaction.request()).await?.expect(204)?;
        let seen = self.expect_change(before, transaction.change()).await?;
        Ok(format!("204, {seen}"))
    }

    /// Makes sure that the balance has so much; gives what it has.
    pub(super) async fn funded(&self, amount: i64) -> Result<i64, Miss> {
        let has = self.amount().await?;
        if has >= amount {
            return Ok(has);
        }
        let lack = amount.saturating_sub(has);
        self.prepare(&self.transaction(Kind::ForceCredit, lack)).await?;
        match self.amount().await? {
            has if has >= amount => Ok(has),
            has => Err(Miss::Blocked(format!("it cannot be funded: it has {has}"))),
        }
    }

    /// Does what a check depends on and another one checks.
    pub(super) async fn prepare(&self, transaction: &Transaction) -> Result<Answer, Miss> {
        let name = transaction.kind.name();
        match self.caller.send(&transaction.request()).await {
            Ok(answer) if answer.status == 204 => Ok(answer),
            Ok(answer) => Err(Miss::Blocked(format!("it begins with a {name}, got {answer}"))),
            Err(Miss::Broken(why) | Miss::Blocked(why)) => Err(Miss::Blocked(why)),
        }
    }

    /// Whether the balance has changed by exactly so much.
    pub(super) async fn expect_change(&self, before: i64, change: i64) -> Verdict {
        let after = self.amount().await?;
        if before.checked_add(change) == Some(after) {
            Ok(format!("{before} became {after}"))
        } else {
            let expected = format!("expected {before} to change by {change}");
            Err(Miss::Broken(format!("{expected}, got {after}")))
        }
    }

    /// The debit that an earlier check left.
    pub(super) fn earlier_debit(&self) -> Result<&(Transaction, Request, Answer), Miss> {
        self.debit.as_ref().ok_or_else(|| Miss::Blocked("there is no debit".to_owned()))
    }

    /// A new transaction on the balance.
    pub(super) fn transaction(&self, kind: Kind, amount: i64) -> Transaction {
        self.transaction_on(&self.balance, kind, amount)
    }

    /// The object has all members of the seed's.
    fn transaction_on(&self, balance: &str, kind: Kind, amount: i64) -> Transaction {
        let id = Uuid::new_v4().to_string();
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00");
        let date = OffsetDateTime::now_utc().format(format).unwrap_or_default();
        let currency = &self.options.currency;
        let object = json!({
            "balanceId": balance, "resourceId": Uuid::new_v4(), "resource": "card",
            "transactionId": id, "referenceTransactionId": null, "type": "POS",
            "amount": amount, "currency": currency,
            "originalAmount": amount, "originalCurrency": currency,
            "status": "AUTHORIZED", "description": "conformance check", "date": date,
            "transactionData": {
                "mcc": "5942", "merchantIdentifier": "003060300000005",
                "merchantName": "Book store", "captureMode": "NFC", "lastFourDigits": "4560",
                "acquirerCountry": "PL", "mdesDigitizedWalletId": "Google Pay",
                "cashbackPosCurrencyCode": currency, "cashbackPosAmount": 0
            }
        });
        Transaction { kind, amount, id, object }
    }
}
