//! The rules about balances and their users: link, read, list, delete.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::caller::{Answer, Request};
use super::money::{AMOUNT, Kind};
use super::{Miss, Suite, Verdict};

impl Suite {
    pub(super) async fn link(&mut self) -> Verdict {
        let request = self.link_request(&self.options.user, &self.balance);
        let answer = self.caller.send(&request).await?;
        answer.expect(204)?;
        self.linked = Some((request, answer));
        Ok(format!("204 for {}", self.balance))
    }

    pub(super) async fn link_again(&self) -> Verdict {
        let (request, first) =
            self.linked.as_ref().ok_or_else(|| Miss::Blocked("there is no link".to_owned()))?;
        let again = self.caller.send(request).await?;
        again.expect_same(first)?;
        Ok(format!("{again} again"))
    }

    pub(super) async fn link_unknown_user(&self) -> Verdict {
        let id = Uuid::new_v4().to_string();
        let request = self.link_request(&self.options.unknown_user, &id);
        self.caller.send(&request).await?.expect_error(404, "USER_NOT_FOUND")
    }

    pub(super) async fn read(&self) -> Verdict {
        let amount = self.amount().await?;
        Ok(format!("200, {amount} {}", self.options.currency))
    }

    pub(super) async fn list(&self) -> Verdict {
        let amount = self.amount().await?;
        let (answer, entries) = self.entries_of(&self.options.user).await?;
        let own = entries.iter().find(|entry| self.is_the_balance(entry)).ok_or_else(|| {
            Miss::Broken(format!("expected {} among them, got {answer}", self.balance))
        })?;
        let currency = own.get("currency").and_then(Value::as_str);
        if currency == Some(&self.options.currency)
            && own.get("amount").and_then(Value::as_i64) == Some(amount)
        {
            Ok(format!("200, {} balances", entries.len()))
        } else {
            let wanted = &self.options.currency;
            Err(Miss::Broken(format!("expected {amount} {wanted} as when it is read, got {own}")))
        }
    }

    pub(super) async fn read_unknown(&self) -> Verdict {
        let id = Uuid::new_v4().to_string();
        let request = self.balance_request(Method::GET, &self.options.user, &id);
        self.caller.send(&request).await?.expect_error(404, "BALANCE_NOT_FOUND")
    }

    pub(super) async fn read_foreign(&self) -> Verdict {
        let request = self.balance_request(Method::GET, self.other_user()?, &self.balance);
        self.caller.send(&request).await?.expect_error(403, "FORBIDDEN")
    }

    pub(super) async fn list_foreign(&self) -> Verdict {
        let (_, entries) = self.entries_of(self.other_user()?).await?;
        if entries.iter().any(|entry| self.is_the_balance(entry)) {
            return Err(Miss::Broken(format!("expected no {} among them, got it", self.balance)));
        }
        Ok(format!("200, {} balances", entries.len()))
    }

    pub(super) async fn delete_unknown(&self) -> Verdict {
        let id = Uuid::new_v4().to_string();
        let request = self.balance_request(Method::DELETE, &self.options.user, &id);
        self.caller.send(&request).await?.expect_error(404, "BALANCE_NOT_FOUND")
    }

    pub(super) async fn delete_foreign(&self) -> Verdict {
        let request = self.balance_request(Method::DELETE, self.other_user()?, &self.balance);
        self.caller.send(&request).await?.expect_error(403, "FORBIDDEN")
    }

    /// The seed prints no status for it: any refusal will do.
    pub(super) async fn delete_with_money(&self) -> Verdict {
        let mut before = self.amount().await?;
        if before == 0 {
            self.prepare(&self.transaction(Kind::ForceCredit, AMOUNT)).await?;
            before = self.amount().await?;
        }
        let request = self.balance_request(Method::DELETE, &self.options.user, &self.balance);
        let answer = self.caller.send(&request).await?;
        if !(400..500).contains(&answer.status) {
            let expected = "expected 4xx with money on it";
            return Err(Miss::Broken(format!("{expected} ({before}), got {answer}")));
        }
        self.expect_change(before, 0).await?;
        Ok(format!("{answer} with {before} on it"))
    }

    pub(super) async fn delete(&self) -> Verdict {
        let rest = self.amount().await?;
        let kind = if rest > 0 { Kind::ForceDebit } else { Kind::ForceCredit };
        if rest != 0 {
            let amount = i64::try_from(rest.unsigned_abs()).unwrap_or(i64::MAX);
            self.prepare(&self.transaction(kind, amount)).await?;
        }
        let left = self.amount().await?;
        if left != 0 {
            return Err(Miss::Blocked(format!("it cannot be emptied: {left} is left")));
        }
        let request = self.balance_request(Method::DELETE, &self.options.user, &self.balance);
        self.caller.send(&request).await?.expect(204)?;
        Ok("204".to_owned())
    }

    pub(super) async fn read_deleted(&self) -> Verdict {
        let request = self.balance_request(Method::GET, &self.options.user, &self.balance);
        self.caller.send(&request).await?.expect_error(404, "BALANCE_NOT_FOUND")
    }

    /// What the balance has now, minor units.
    pub(super) async fn amount(&self) -> Result<i64, Miss> {
        let request = self.balance_request(Method::GET, &self.options.user, &self.balance);
        let answer = self.caller.send(&request).await?;
        answer.expect(200)?;
        let body = answer.json()?;
        let currency = body.get("currency").and_then(Value::as_str);
        let amount = body.get("amount").and_then(Value::as_i64);
        amount.filter(|_| currency == Some(&self.options.currency)).ok_or_else(|| {
            let wanted = &self.options.currency;
            Miss::Broken(format!("expected currency {wanted} and a whole amount, got {answer}"))
        })
    }

    async fn entries_of(&self, user: &str) -> Result<(Answer, Vec<Value>), Miss> {
        let request = Request::new(Method::GET, &["users", user, "balances"], None);
        let answer = self.caller.send(&request).await?;
        answer.expect(200)?;
        match answer.json()? {
            Value::Array(entries) => Ok((answer, entries)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Err(Miss::Broken(format!("expected a list, got {answer}"))),
        }
    }

    fn is_the_balance(&self, entry: &Value) -> bool {
        entry.get("id").and_then(Value::as_str) == Some(&self.balance)
    }

    fn other_user(&self) -> Result<&str, Miss> {
        let other = self.options.other_user.as_deref();
        other.ok_or_else(|| Miss::Blocked("no second user is known".to_owned()))
    }

    fn link_request(&self, user: &str, id: &str) -> Request {
        let body = json!({ "balanceId": id, "currency": self.options.currency });
        Request::new(Method::POST, &["users", user, "balances"], Some(body))
    }

    fn balance_request(&self, method: Method, user: &str, id: &str) -> Request {
        Request::new(method, &["users", user, "balances", id], None)
    }
}
