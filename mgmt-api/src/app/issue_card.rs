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
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{App, Body, card_id, card_row_name, command_id};
use crate::answer::Answer;
use crate::call::{CustomerCall, Scope};
use crate::error::{Code, Error, Result};
use crate::event_feed::state_after;
use crate::store::{CardKind, NewCardRow, ProgramRow};
use crate::vault::Purpose;
use crate::{clock, vault};

/// Numbers tried before a BIN counts as full.
const DRAWS_MAX: usize = 64;
/// Credential generation of a card whose CVC2 was never reset.
const FIRST_GENERATION: u16 = 0;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewVirtualCard {
    balance_id: String,
    config_id: String,
}

/// Clear digits on their way into the sealed intent.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct ClearDigits(String);

/// A card before it is issued: what was drawn for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct NewlyDrawn {
    pub(crate) card: i64,
    pub(crate) resource: Uuid,
    pub(crate) balance: Uuid,
    config: ConfigId,
    digits: ClearDigits,
    expiry: YearMonth,
    state: CardState,
    /// The partner that keeps the money from now on.
    #[serde(default)]
    entrusts: Option<i64>,
}

/// Cards that are there at once.
pub(crate) const VIRTUAL: &[CardKind] = &[CardKind::Virtual, CardKind::DigitalFirst];

/// What a card is to be drawn for.
pub(crate) struct Wish {
    pub(crate) balance: String,
    pub(crate) config: String,
    /// What its program must make.
    pub(crate) kinds: &'static [CardKind],
}

impl Wish {
    /// The body's wish for a card of one of `kinds`.
    pub(crate) fn from_body(body: NewVirtualCard, kinds: &'static [CardKind]) -> Self {
        Self { balance: body.balance_id, config: body.config_id, kinds }
    }
}

impl NewlyDrawn {
    /// The same, to be issued in this state.
    pub(crate) fn in_state(self, state: CardState) -> Self {
        Self { state, ..self }
    }
}

/// A card that the switch has.
pub(crate) struct NewlyIssued {
    pub(crate) card: i64,
    pub(crate) resource: Uuid,
    pub(crate) expiry: YearMonth,
    pub(crate) last_four: String,
    cvc2: Zeroizing<String>,
}

/// A card that was issued, with its full data.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCard<'a> {
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
        let wish = Wish::from_body(body.content, VIRTUAL);
        let draw = || self.draw_card(&by, &wish);
        let carry_out = async |plan: NewlyDrawn| {
            let issued = self.issue_drawn(&plan).await?;
            Answer::created(&IssuedCard {
                id: issued.card.to_string(),
                resource_id: issued.resource,
                pan: &plan.digits.0,
                cvc2: &issued.cvc2,
                exp_date: issued.expiry.to_string(),
                last_four_digits: &issued.last_four,
            })
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// Draws a virtual card's number and ids, if the cardholder may have one.
    pub(crate) async fn draw_card(&self, by: &CustomerCall, wish: &Wish) -> Result<NewlyDrawn> {
        let customer = self.customer(by).await?;
        if !customer.is_verified() {
            return Err(Code::KycNotVerified.into());
        }
        let balance = self.balance(&customer, &wish.balance).await?;
        let config = ConfigId::parse(&wish.config).ok_or(Code::ConfigNotFound)?;
        let program = self.store.program(customer.partner_id, &config.to_string()).await?;
        let program = program.ok_or(Code::ConfigNotFound)?;
        if !wish.kinds.contains(&program.kind()?) {
            return Err(Code::ConfigNotFound.into());
        }
        if program.currency != balance.currency {
            return Err(Code::CurrencyMismatch.into());
        }
        let inactive = program.first_state == CardState::Linked.name();
        let elsewhere = program.answer_ms.is_some();
        if balance.entrusted == 1 && !elsewhere {
            return Err(Code::OtherCustody.into());
        }
        Ok(NewlyDrawn {
            card: self.store.next_number("card").await?,
            resource: Uuid::new_v4(),
            balance: balance.id,
            config,
            digits: self.draw_digits(&program).await?,
            expiry: program.expiry_from(clock::now()),
            state: if inactive { CardState::Linked } else { CardState::Active },
            entrusts: (elsewhere && balance.entrusted == 0).then_some(customer.partner_id),
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

    /// Issues what was drawn; doing it again changes nothing.
    pub(crate) async fn issue_drawn(&self, plan: &NewlyDrawn) -> Result<NewlyIssued> {
        let pan = Pan::parse(plan.digits.0.as_bytes());
        let pan = pan.ok_or_else(|| Error::internal("card numbers", &"an intent is damaged"))?;
        let token = self.vault.token(&pan);
        let cvc2 = self.vault.cvc2(&pan, plan.expiry, FIRST_GENERATION)?;
        let last_four = String::from_utf8_lossy(&pan.last_four()).into_owned();
        self.store.insert_card(&self.card_row(plan, &pan, token, &last_four)?).await?;
        if let Some(partner) = plan.entrusts {
            let row = self.store.balance_in(Scope::default(), plan.balance).await?;
            let row = row.ok_or(Code::BalanceNotFound)?;
            let view = self.balance_view(row.id).await?;
            let is_there = view.cards.iter().any(|card| card.id == card_id(plan.card));
            let others = view.carded && !(is_there && view.cards.len() == 1);
            let money = (view.ledger.0, view.held.0, view.owed.0) != (0, 0, 0);
            if row.entrusted == 0 && (others || money) {
                return Err(Code::BalanceNotEmpty.into());
            }
            self.entrust(partner, &row, plan.resource).await?;
        }
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
        let NewlyDrawn { card, resource, expiry, .. } = *plan;
        Ok(NewlyIssued { card, resource, expiry, last_four, cvc2 })
    }

    fn card_row(
        &self,
        plan: &NewlyDrawn,
        pan: &Pan,
        token: PanToken,
        last_four: &str,
    ) -> Result<NewCardRow> {
        Ok(NewCardRow {
            id: plan.card,
            resource_id: plan.resource,
            balance_id: plan.balance,
            config_id: plan.config.to_string(),
            pan_token: token.0,
            pan_sealed: self.vault.seal(
                Purpose::CardNumber,
                card_row_name(plan.card).as_bytes(),
                pan.expose(),
            )?,
            last_four: last_four.to_owned(),
            expiry_yymm: i64::from(plan.expiry.yymm()),
            created_at_ms: clock::now_millis(),
        })
    }
}
