//! POST /secure/customers/{id}/cards/virtual: issues a virtual card. Source: requirements #95, #96.
//!
//! Invariant: number and CVC2 leave only inside a JWE; the CVC2 is computed for the answer and
//! never stored.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::{CardState, YearMonth};
use shared::command::{Change, NewCard};
use shared::ids::{BalanceId, ConfigId};
use shared::pan::{Pan, PanToken};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{App, Body, card_id, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::error::{Code, Error, Result};
use crate::event_feed::state_after;
use crate::store::{NewCardRow, ProgramRow};
use crate::vault::Purpose;
use crate::{clock, vault};

/// Numbers tried before a BIN counts as full.
const DRAWS_MAX: usize = 64;
/// Credential generation of a card whose CVC2 was never reset.
const FIRST_GENERATION: u16 = 0;

/// The body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewVirtualCard {
    balance_id: String,
    config_id: String,
}

/// Clear digits on their way into the sealed intent.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct ClearDigits(String);

#[derive(Serialize, Deserialize)]
struct Plan {
    card: i64,
    resource: Uuid,
    balance: Uuid,
    config: ConfigId,
    digits: ClearDigits,
    expiry: YearMonth,
    state: CardState,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    id: String,
    resource_id: Uuid,
    pan: &'a str,
    cvc2: &'a str,
    exp_date: String,
    last_four_digits: &'a str,
}

impl App {
    /// Issues a virtual card.
    pub async fn issue_card(
        &self,
        by: CustomerCall,
        body: Body<NewVirtualCard>,
    ) -> Result<Response> {
        let draw = || self.draw_card(&by, &body.content);
        self.once(&by.call, body.hash, draw, |plan| self.carry_out_issue(plan)).await
    }

    async fn draw_card(&self, by: &CustomerCall, wish: &NewVirtualCard) -> Result<Plan> {
        let customer = self.customer(by).await?;
        if !customer.is_verified() {
            return Err(Code::KycNotVerified.into());
        }
        let balance = self.balance(&customer, &wish.balance_id).await?;
        let config = ConfigId::parse(&wish.config_id).ok_or(Code::ConfigNotFound)?;
        let program = self.store.program(customer.partner_id, &config.to_string()).await?;
        let program = program.ok_or(Code::ConfigNotFound)?;
        if program.currency != balance.currency {
            return Err(Code::CurrencyMismatch.into());
        }
        let months = i32::try_from(program.months_valid).unwrap_or_default();
        let inactive = program.first_state == CardState::Linked.name();
        Ok(Plan {
            card: self.store.next_number("card").await?,
            resource: Uuid::new_v4(),
            balance: balance.id,
            config,
            digits: self.draw_digits(&program).await?,
            expiry: YearMonth::of(clock::now()).plus_months(months),
            state: if inactive { CardState::Linked } else { CardState::Active },
        })
    }

    /// A number that no card of ours has: its token is taken in SQL before it is used.
    async fn draw_digits(&self, program: &ProgramRow) -> Result<ClearDigits> {
        for _draw in 0..DRAWS_MAX {
            let pan = vault::draw_pan(&program.bin)?;
            let token = self.vault.token(&pan);
            if self.store.reserve_pan(&token.0, clock::now_millis()).await? {
                return Ok(ClearDigits(String::from_utf8_lossy(pan.expose()).into_owned()));
            }
        }
        Err(Error::internal("card numbers", &format!("the BIN {} is full", program.bin)))
    }

    async fn carry_out_issue(&self, plan: Plan) -> Result<Answer> {
        let pan = Pan::parse(plan.digits.0.as_bytes());
        let pan = pan.ok_or_else(|| Error::internal("card numbers", &"an intent is damaged"))?;
        let token = self.vault.token(&pan);
        let cvc2 = self.vault.cvc2(&pan, plan.expiry, FIRST_GENERATION)?;
        let last_four = String::from_utf8_lossy(&pan.last_four()).into_owned();
        self.store.insert_card(&self.card_row(&plan, &pan, token, &last_four)?).await?;
        let change = Change::IssueCard(NewCard {
            id: card_id(plan.card),
            token,
            program: plan.config,
            balance: BalanceId(plan.balance.as_u128()),
            expiry: plan.expiry,
            state: plan.state,
        });
        let outcome = self.link.change(command_id(plan.resource), change).await?;
        self.store.settle_card(plan.card, state_after(&outcome)).await?;
        outcome.result?;
        Answer::created(&Issued {
            id: plan.card.to_string(),
            resource_id: plan.resource,
            pan: &plan.digits.0,
            cvc2: &cvc2,
            exp_date: plan.expiry.to_string(),
            last_four_digits: &last_four,
        })
    }

    fn card_row(
        &self,
        plan: &Plan,
        pan: &Pan,
        token: PanToken,
        last_four: &str,
    ) -> Result<NewCardRow> {
        let row = format!("card {}", plan.card);
        Ok(NewCardRow {
            id: plan.card,
            resource_id: plan.resource,
            balance_id: plan.balance,
            config_id: plan.config.to_string(),
            pan_token: token.0,
            pan_sealed: self.vault.seal(Purpose::CardNumber, row.as_bytes(), pan.expose())?,
            last_four: last_four.to_owned(),
            expiry_yymm: i64::from(plan.expiry.yymm()),
            created_at_ms: clock::now_millis(),
        })
    }
}
