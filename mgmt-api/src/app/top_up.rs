//! Credits: a user balance's top-up and a partner balance's reload. Source: requirements #80, #87.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::ids::{BalanceId, PartnerBalanceId};
use shared::money::Money;
use shared::pan::Pan;
use uuid::Uuid;

use super::{App, BalancePath, Body, PartnerBalancePath, check_text, command_id, currency};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::event_feed::state_after;
use crate::store::{FundedAccount, NewFunding};
use crate::vault::Purpose;

/// Characters of `externalId` and `description` at most.
const EXTERNAL_ID_CHARS_MAX: usize = 64;
const DESCRIPTION_CHARS_MAX: usize = 256;

/// The body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credit {
    amount: i64,
    currency: String,
    external_id: Option<String>,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    funding: Uuid,
    account: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credited<'a> {
    id: Uuid,
    balance_id: Uuid,
    amount: i64,
    currency: &'a str,
    date: String,
}

impl App {
    /// Tops up a user balance.
    pub async fn top_up(
        &self,
        by: CustomerCall,
        at: BalancePath,
        body: Body<Credit>,
    ) -> Result<Response> {
        let draw = || async {
            let account = self.balance_at(&by, &at).await?.id;
            Ok(Plan { funding: Uuid::now_v7(), account })
        };
        self.credit(&by.call, body, draw, FundedAccount::User).await
    }

    /// Reloads a partner balance.
    pub async fn reload(
        &self,
        by: Call,
        at: PartnerBalancePath,
        body: Body<Credit>,
    ) -> Result<Response> {
        let draw = || async {
            let account = self.partner_balance(&by, &at).await?.id;
            Ok(Plan { funding: Uuid::now_v7(), account })
        };
        self.credit(&by, body, draw, FundedAccount::Partner).await
    }

    async fn credit<D: Future<Output = Result<Plan>>>(
        &self,
        call: &Call,
        body: Body<Credit>,
        draw: impl FnOnce() -> D,
        account: impl FnOnce(Uuid) -> FundedAccount,
    ) -> Result<Response> {
        let credit = body.content;
        let money = credit.check()?;
        let carry_out =
            |plan: Plan| self.carry_out_credit(plan.funding, account(plan.account), money, &credit);
        self.once(call, body.hash, draw, carry_out).await
    }

    async fn carry_out_credit(
        &self,
        id: Uuid,
        account: FundedAccount,
        money: Money,
        credit: &Credit,
    ) -> Result<Answer> {
        let row = format!("funding {id}");
        let seal =
            |text: &String| self.vault.seal(Purpose::PersonalData, row.as_bytes(), text.as_bytes());
        let new = NewFunding {
            id,
            account,
            amount: money.amount.0,
            currency: i64::from(money.currency.0),
            external_id: credit.external_id.clone(),
            description_sealed: credit.description.as_ref().map(seal).transpose()?,
            created_at_ms: clock::now_millis(),
        };
        self.store.insert_funding(&new).await?;
        let (balance_id, change) = match account {
            FundedAccount::User(id) => {
                (id, Change::TopUp { balance: BalanceId(id.as_u128()), money })
            }
            FundedAccount::Partner(id) => {
                (id, Change::Reload { balance: PartnerBalanceId(id.as_u128()), money })
            }
        };
        let outcome = self.link.change(command_id(id), change).await?;
        let at_ms = i64::try_from(outcome.at.0).unwrap_or(i64::MAX);
        self.store.settle_funding(id, state_after(&outcome), at_ms).await?;
        outcome.result?;
        Answer::created(&Credited {
            id,
            balance_id,
            amount: money.amount.0,
            currency: &money.currency.to_string(),
            date: clock::rfc3339(outcome.at),
        })
    }
}

impl Credit {
    fn check(&self) -> Result<Money> {
        let currency = currency(&self.currency)?;
        if self.amount <= 0 {
            return Err(Error::fault(Code::InvalidAmount, "amount", "must be more than zero"));
        }
        if let Some(id) = &self.external_id {
            check_text("externalId", id, EXTERNAL_ID_CHARS_MAX)?;
            // It is kept readable: a card number must not get there.
            if Pan::parse(id.as_bytes()).is_some_and(|pan| pan.has_valid_check_digit()) {
                let message = "must not be a card number";
                return Err(Error::fault(Code::InvalidRequest, "externalId", message));
            }
        }
        if let Some(text) = &self.description {
            check_text("description", text, DESCRIPTION_CHARS_MAX)?;
        }
        Ok(Money::new(self.amount, currency))
    }
}
