//! Money that is moved by hand: top-up, withdrawal and transfer of user balances, reload of a
//! partner balance; and what came by bank transfer. Source: requirements #80, #87, #92, #142.
//!
//! Invariant: the switch decides and books; SQL keeps what was asked for and what became of it.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::fee::Charge;
use shared::ids::{BalanceId, PartnerBalanceId};
use shared::money::Money;
use shared::pan::Pan;
use utoipa::ToSchema;
use uuid::Uuid;

use super::charge_fees::charge;
use super::fees::form;
use super::{
    App, BalancePath, BankAccountPath, Body, PartnerBalancePath, check_text, command_id, currency,
};
use crate::answer::Answer;
use crate::call::{Call, Caller, CustomerCall, Scope};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::store::{Movement, NewMovement};
use crate::vault::Purpose;

/// Characters of `externalId` and `description` at most.
const EXTERNAL_ID_CHARS_MAX: usize = 64;
const DESCRIPTION_CHARS_MAX: usize = 256;

/// The body of all but a transfer between balances.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credit {
    amount: i64,
    currency: String,
    external_id: Option<String>,
    description: Option<String>,
}

/// The body of a transfer.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transfer {
    to_balance_id: String,
    amount: i64,
    currency: String,
    external_id: Option<String>,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    id: Uuid,
    movement: Movement,
    #[serde(default)]
    charge: Option<Charge>,
}

/// A movement to be carried out.
pub(super) struct Asked {
    pub(super) id: Uuid,
    pub(super) movement: Movement,
    pub(super) money: Money,
    pub(super) charge: Option<Charge>,
    pub(super) external_id: Option<String>,
    pub(super) description_sealed: Option<Vec<u8>>,
}

/// Money that was moved; amounts in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookedMovement<'a> {
    id: Uuid,
    balance_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_balance_id: Option<Uuid>,
    amount: i64,
    currency: &'a str,
    /// What a transfer costs the balance besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<i64>,
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
        let find = async || Ok(Movement::TopUp(self.balance_at(&by, &at).await?.id));
        self.move_money(&by.call, body.hash, &body.content, find).await
    }

    /// Credits the user balance that has an IBAN with a bank transfer that came to it.
    pub async fn credit_by_iban(
        &self,
        by: Call,
        at: BankAccountPath,
        body: Body<Credit>,
    ) -> Result<Response> {
        let partner = i64::from(by.partner()?.0);
        let find = async || {
            let balance = self.balance_of_iban(partner, &at.iban).await?;
            Ok(Movement::CreditTransfer(balance, at.iban.clone()))
        };
        self.move_money(&by, body.hash, &body.content, find).await
    }

    /// Pays out what is available on a user balance.
    pub async fn withdraw(
        &self,
        by: CustomerCall,
        at: BalancePath,
        body: Body<Credit>,
    ) -> Result<Response> {
        let find = async || Ok(Movement::Withdrawal(self.balance_at(&by, &at).await?.id));
        self.move_money(&by.call, body.hash, &body.content, find).await
    }

    /// Moves what is available on a user balance to another of the same partner's cardholders.
    pub async fn transfer(
        &self,
        by: CustomerCall,
        at: BalancePath,
        body: Body<Transfer>,
    ) -> Result<Response> {
        let Transfer { to_balance_id, amount, currency, external_id, description } = body.content;
        let credit = Credit { amount, currency, external_id, description };
        let find = async || {
            let (customer, from) = self.customer_and_balance(&by, &at).await?;
            if customer.is_locked() && matches!(by.call.caller, Caller::Customer(_)) {
                return Err(Code::UserLocked.into());
            }
            let from = from.id;
            let to = Uuid::parse_str(&to_balance_id).map_err(|_other| Code::BalanceNotFound)?;
            let scope = Scope { partner: Some(customer.partner_id), customer: None };
            let to = self.store.balance_in(scope, to).await?.ok_or(Code::BalanceNotFound)?;
            Ok(Movement::Transfer(from, to.id))
        };
        self.move_money(&by.call, body.hash, &credit, find).await
    }

    /// Reloads a partner balance.
    pub async fn reload(
        &self,
        by: Call,
        at: PartnerBalancePath,
        body: Body<Credit>,
    ) -> Result<Response> {
        if self.config.reloads_by_two {
            return Err(Code::SecondPersonRequired.into());
        }
        let find = async || Ok(Movement::Reload(self.partner_balance(&by, &at).await?.id));
        self.move_money(&by, body.hash, &body.content, find).await
    }

    async fn move_money(
        &self,
        call: &Call,
        hash: ContentHash,
        credit: &Credit,
        find: impl AsyncFnOnce() -> Result<Movement>,
    ) -> Result<Response> {
        let money = credit.check()?;
        let draw = || async {
            let movement = find().await?;
            let charge = self.charge_for(&movement, money).await?;
            Ok(Plan { id: Uuid::now_v7(), movement, charge })
        };
        let carry_out = async |Plan { id, movement, charge }: Plan| {
            let external_id = credit.external_id.clone();
            let description_sealed = self.sealed_words(id, credit)?;
            let asked = Asked { id, movement, money, charge, external_id, description_sealed };
            self.carry_out_movement(asked).await
        };
        self.once(call, hash, draw, carry_out).await
    }

    /// The fee on a transfer, where its partner has one.
    async fn charge_for(&self, movement: &Movement, money: Money) -> Result<Option<Charge>> {
        let Movement::Transfer(from, _) = *movement else { return Ok(None) };
        let partner = self.store.partner_of_balance(from).await?;
        let partner = partner.ok_or(Code::BalanceNotFound)?;
        let fee = self.store.transfer_fee(partner, i64::from(money.currency.0)).await?;
        let Some(fee) = fee else { return Ok(None) };
        let due = form::terms(&fee)?.on(money.amount);
        due.is_positive().then(|| charge(&fee, due.0)).transpose()
    }

    /// What a caller says of a movement, sealed.
    pub(super) fn sealed_words(&self, id: Uuid, credit: &Credit) -> Result<Option<Vec<u8>>> {
        let row = format!("movement {id}");
        let seal =
            |text: &String| self.vault.seal(Purpose::PersonalData, row.as_bytes(), text.as_bytes());
        Ok(credit.description.as_ref().map(seal).transpose()?)
    }

    pub(super) async fn carry_out_movement(&self, asked: Asked) -> Result<Answer> {
        let Asked { id, movement, money, charge, external_id, description_sealed } = asked;
        let new = NewMovement {
            id,
            movement: movement.clone(),
            amount: money.amount.0,
            currency: i64::from(money.currency.0),
            external_id,
            description_sealed,
            created_at_ms: clock::now_millis(),
        };
        self.store.insert_movement(&new).await?;
        let user = |id: Uuid| BalanceId(id.as_u128());
        let (balance_id, to_balance_id, change) = match movement {
            Movement::TopUp(id) => (id, None, Change::TopUp { balance: user(id), money }),
            Movement::CreditTransfer(id, _iban) => {
                (id, None, Change::CreditTransfer { balance: user(id), money })
            }
            Movement::Withdrawal(id) => (id, None, Change::Withdraw { balance: user(id), money }),
            Movement::Transfer(from, to) => (from, Some(to), {
                let (from, to) = (user(from), user(to));
                match charge {
                    Some(charge) => Change::TransferCharged { from, to, money, charge },
                    None => Change::Transfer { from, to, money },
                }
            }),
            Movement::Reload(id) => {
                (id, None, Change::Reload { balance: PartnerBalanceId(id.as_u128()), money })
            }
        };
        let outcome = self.link.change(command_id(id), change).await?;
        // The feed of the switch's records settles the row.
        outcome.result?;
        Answer::created(&BookedMovement {
            id,
            balance_id,
            to_balance_id,
            amount: money.amount.0,
            currency: &money.currency.to_string(),
            fee: charge.map(|charge| charge.of_holder().0).filter(|fee| *fee > 0),
            date: clock::rfc3339(outcome.at),
        })
    }
}

impl Credit {
    /// The caller's own name for it.
    pub(super) fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }

    pub(super) fn check(&self) -> Result<Money> {
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
