//! IBANs: given to a balance when it is opened, where its partner has a program that gives them, or
//! asked for. Source: requirements #34, #35.
//!
//! Invariant: a balance has one number in use; a number that went out of use is never given again.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, Asked, BalancePath, BankAccountPath, Body, Nothing};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::store::{BalanceRow, BankAccountRow};
use crate::{clock, iban};

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBankAccount {
    balance_id: String,
}

/// Whose numbers are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OfBalance {
    balance_id: Uuid,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    balance: Uuid,
    iban: String,
}

/// An IBAN of a balance.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BankAccount {
    iban: String,
    balance_id: Uuid,
    /// ACTIVE or CLOSED.
    state: String,
}

/// The IBANs that a balance has and had.
#[derive(Serialize, ToSchema)]
pub struct BankAccountList {
    items: Vec<BankAccount>,
}

/// An IBAN of which country and end are shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MaskedBankAccount {
    iban_masked: String,
    /// ACTIVE or CLOSED.
    state: String,
}

/// The IBANs that a balance has and had, masked.
#[derive(Serialize, ToSchema)]
pub struct MaskedBankAccountList {
    items: Vec<MaskedBankAccount>,
}

impl From<BankAccountRow> for MaskedBankAccount {
    fn from(row: BankAccountRow) -> Self {
        Self { iban_masked: iban::masked(&row.iban), state: row.state }
    }
}

impl From<BankAccountRow> for BankAccount {
    fn from(row: BankAccountRow) -> Self {
        Self { iban: row.iban, balance_id: row.balance_id, state: row.state }
    }
}

impl App {
    /// Gives a balance an IBAN.
    pub async fn open_bank_account(
        &self,
        by: Call,
        body: Body<NewBankAccount>,
    ) -> Result<Response> {
        let (partner, scope) = (i64::from(by.partner()?.0), by.caller.scope());
        let find = || async {
            let id = Uuid::parse_str(&body.content.balance_id);
            let id = id.map_err(|_not_a_uuid| Code::BalanceNotFound)?;
            self.store.balance_in(scope, id).await?.ok_or_else(|| Code::BalanceNotFound.into())
        };
        self.open_bank_account_of(&by, body.hash, partner, find).await
    }

    /// Gives a balance an IBAN in the name of its partner.
    pub async fn open_bank_account_at(
        &self,
        by: CustomerCall,
        at: BalancePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let partner = self.customer(&by).await?.partner_id;
        let find = || self.balance_at(&by, &at);
        self.open_bank_account_of(&by.call, hash, partner, find).await
    }

    async fn open_bank_account_of<F: Future<Output = Result<BalanceRow>>>(
        &self,
        by: &Call,
        hash: ContentHash,
        partner: i64,
        find: impl FnOnce() -> F,
    ) -> Result<Response> {
        let draw = || async {
            let balance = find().await?;
            let prefix = self.iban_prefix(partner, &balance).await?;
            let iban = self.draw_iban(&prefix.ok_or(Code::FeatureNotEnabled)?).await?;
            Ok(Plan { balance: balance.id, iban })
        };
        let carry_out = async |plan: Plan| {
            let now = clock::now_millis();
            if !self.store.insert_bank_account(&plan.iban, plan.balance, now).await? {
                return Err(Code::BankAccountExists.into());
            }
            let Plan { iban, balance } = plan;
            Answer::created(&BankAccount { iban, balance_id: balance, state: "ACTIVE".to_owned() })
        };
        self.once(by, hash, draw, carry_out).await
    }

    /// The numbers of a balance as operators see them at first. Source: requirements #35.
    pub async fn list_masked_bank_accounts(
        &self,
        by: CustomerCall,
        at: BalancePath,
    ) -> Result<Response> {
        let items = self.bank_accounts_at(&by, &at).await?;
        let items = items.into_iter().map(MaskedBankAccount::from).collect();
        Ok(Answer::ok(&MaskedBankAccountList { items })?.into_response())
    }

    /// The same, revealed.
    pub async fn reveal_bank_accounts(
        &self,
        by: CustomerCall,
        at: BalancePath,
    ) -> Result<Response> {
        let items = self.bank_accounts_at(&by, &at).await?;
        let items = items.into_iter().map(BankAccount::from).collect();
        Ok(Answer::ok(&BankAccountList { items })?.into_response())
    }

    async fn bank_accounts_at(
        &self,
        by: &CustomerCall,
        at: &BalancePath,
    ) -> Result<Vec<BankAccountRow>> {
        let (customer, balance) = self.customer_and_balance(by, at).await?;
        Ok(self.store.bank_accounts(customer.partner_id, balance.id).await?)
    }

    /// The numbers of a balance.
    pub async fn list_bank_accounts(
        &self,
        by: Call,
        Asked(of): Asked<OfBalance>,
    ) -> Result<Response> {
        let partner = i64::from(by.partner()?.0);
        let rows = self.store.bank_accounts(partner, of.balance_id).await?;
        let items = rows.into_iter().map(BankAccount::from).collect();
        Ok(Answer::ok(&BankAccountList { items })?.into_response())
    }

    /// The balance of a partner's customer that has a number in use.
    pub(super) async fn balance_of_iban(&self, partner: i64, iban: &str) -> Result<Uuid> {
        let row = match iban::is_valid(iban) {
            true => self.store.bank_account(partner, iban).await?,
            false => None,
        };
        let used = row.filter(|row| row.state == "ACTIVE");
        used.map(|row| row.balance_id).ok_or_else(|| Code::BankAccountNotFound.into())
    }

    /// Takes a number out of use.
    pub async fn close_bank_account(
        &self,
        by: Call,
        at: BankAccountPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        self.close_bank_account_of(&by, hash, i64::from(by.partner()?.0), &at).await
    }

    /// Takes a number of a balance out of use.
    pub async fn close_bank_account_at(
        &self,
        by: CustomerCall,
        balance: BalancePath,
        at: BankAccountPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let partner = self.customer(&by).await?.partner_id;
        let here = self.bank_accounts_at(&by, &balance).await?;
        if here.iter().all(|row| row.iban != at.iban) {
            return Err(Code::BankAccountNotFound.into());
        }
        self.close_bank_account_of(&by.call, hash, partner, &at).await
    }

    async fn close_bank_account_of(
        &self,
        by: &Call,
        hash: ContentHash,
        partner: i64,
        at: &BankAccountPath,
    ) -> Result<Response> {
        let carry_out = async |()| {
            let is_one = iban::is_valid(&at.iban);
            if !is_one || !self.store.close_bank_account(partner, &at.iban).await? {
                return Err(Code::BankAccountNotFound.into());
            }
            Ok(Answer::no_content())
        };
        self.once(by, hash, async || Ok(()), carry_out).await
    }

    /// Gives a balance that was opened the number it has by itself, if it has none yet.
    pub(crate) async fn give_iban(&self, partner: i64, balance: &BalanceRow) -> Result<()> {
        let Some(prefix) = self.iban_prefix(partner, balance).await? else {
            return Ok(());
        };
        if self.store.bank_accounts(partner, balance.id).await?.is_empty() {
            let iban = self.draw_iban(&prefix).await?;
            self.store.insert_bank_account(&iban, balance.id, clock::now_millis()).await?;
        }
        Ok(())
    }

    /// How the number of a balance begins: as the program says that it was opened for; where none
    /// was named, the first one in its currency that gives numbers.
    async fn iban_prefix(&self, partner: i64, balance: &BalanceRow) -> Result<Option<String>> {
        let programs = self.store.programs(Some(partner)).await?.into_iter();
        let named =
            |config: &String| balance.opened_for.as_ref().is_none_or(|named| named == config);
        let mut its = programs
            .filter(|program| program.currency == balance.currency && named(&program.config_id));
        Ok(its.find_map(|program| program.iban_prefix))
    }

    async fn draw_iban(&self, prefix: &str) -> Result<String> {
        let serial = u64::try_from(self.store.next_number("iban").await?).unwrap_or_default();
        iban::make(prefix, serial)
            .ok_or_else(|| Error::internal("iban", &format!("no number under {prefix}")))
    }
}
