//! Plastic: POST cards/physical and cards/{cardId}/print, and where an order is. Source:
//! requirements #107-#112.
//!
//! Invariants: a physical card stands in the switch as ordered before its order is answered; name
//! and address are sealed; a print is a blank copy and changes nothing of its card.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::issue_card::{NewlyDrawn, Wish};
use super::{App, Body, CardPath, OrderPath, check_text, instant};
use crate::answer::Answer;
use crate::call::{CustomerCall, Scope};
use crate::clock;
use crate::error::{Code, Result};
use crate::idempotency::ContentHash;
use crate::store::{CardKind, CardRow, NewOrder, OrderRow};
use crate::vault::Purpose;

/// Characters of a name on a card. Source: ISO/IEC 7811-2, name field of track 1.
const NAME_CHARS_MAX: usize = 26;
const ADDRESS_CHARS_MAX: usize = 128;

/// The body of an order.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPhysicalCard {
    balance_id: String,
    config_id: String,
    /// As it stands on the card.
    cardholder_name: String,
    delivery_address: Address,
    /// A carrier; by post without.
    courier: Option<String>,
}

/// The body of a print.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPrint {
    delivery_address: Address,
    /// A carrier; by post without.
    courier: Option<String>,
}

/// Where a card is sent.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Address {
    recipient: String,
    street: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    apartment: Option<String>,
    post_code: String,
    city: String,
    /// ISO 3166-1 alpha-2.
    country: String,
}

/// What is sealed of an order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cardholder_name: Option<String>,
    pub(crate) delivery_address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) courier: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct OrderPlan {
    order: Uuid,
    new: NewlyDrawn,
}

#[derive(Serialize, Deserialize)]
struct PrintPlan {
    order: Uuid,
    card: i64,
}

/// An order that was placed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacedOrder {
    order_id: Uuid,
    card_id: String,
    status: &'static str,
}

/// An order on its way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownOrder {
    order_id: Uuid,
    /// PHYSICAL or PRINT.
    kind: String,
    /// ORDERED, SENT_TO_BUREAU, PERSONALISED, SHIPPED, DELIVERED or FAILED.
    status: String,
    card_id: String,
    tracking_no: Option<String>,
    reference: Option<String>,
    changed_at: String,
}

impl ShownOrder {
    pub(super) fn of(row: OrderRow) -> Self {
        Self {
            order_id: row.id,
            kind: row.kind,
            status: row.state,
            card_id: row.card_id.to_string(),
            tracking_no: row.tracking_no,
            reference: row.reference,
            changed_at: instant(row.changed_at_ms),
        }
    }
}

impl App {
    /// Orders a physical card.
    pub async fn order_card(
        &self,
        by: CustomerCall,
        body: Body<NewPhysicalCard>,
    ) -> Result<Response> {
        let wish = body.content;
        check_text("cardholderName", &wish.cardholder_name, NAME_CHARS_MAX)?;
        check_courier(wish.courier.as_deref())?;
        wish.delivery_address.check()?;
        let (balance, config) = (wish.balance_id, wish.config_id);
        let card = Wish { balance, config, kinds: &[CardKind::Physical] };
        let delivery = Delivery {
            cardholder_name: Some(wish.cardholder_name),
            delivery_address: wish.delivery_address,
            courier: wish.courier,
        };
        let draw = || async {
            let new = self.draw_card(&by, &card).await?.in_state(CardState::Ordered);
            Ok(OrderPlan { order: Uuid::now_v7(), new })
        };
        let carry_out = async |plan: OrderPlan| {
            let card = self.issue_drawn(&plan.new).await?.card;
            self.place_order(plan.order, card, "PHYSICAL", &delivery).await
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// Orders a physical card in place of another, with the same name on it and to the same address.
    pub(super) async fn order_replacement(
        &self,
        by: CustomerCall,
        old: CardRow,
        hash: ContentHash,
    ) -> Result<Response> {
        let draw = || async {
            if self.card_view(old.id).await?.state == CardState::Removed {
                return Err(Code::CardStateForbidden.into());
            }
            let (balance, config) = (old.balance_id.to_string(), old.config_id.clone());
            let card = Wish { balance, config, kinds: &[CardKind::Physical] };
            let new = self.draw_card(&by, &card).await?.in_state(CardState::Ordered);
            Ok(OrderPlan { order: Uuid::now_v7(), new })
        };
        let carry_out = async |plan: OrderPlan| {
            let before = self.store.newest_order(old.id).await?.ok_or(Code::OrderNotFound)?;
            let row = order_row_name(before.id);
            let plain = self.vault.unseal(
                Purpose::PersonalData,
                row.as_bytes(),
                &before.delivery_sealed,
            )?;
            let delivery: Delivery = serde_json::from_slice(&plain)?;
            let card = self.issue_drawn(&plan.new).await?.card;
            self.take_limits_along((old.id, card), plan.order).await?;
            self.store.set_replaced(card, old.id).await?;
            self.place_order(plan.order, card, "PHYSICAL", &delivery).await
        };
        self.once(&by.call, hash, draw, carry_out).await
    }

    /// Orders the plastic copy of a digital first card.
    pub async fn print_card(
        &self,
        by: CustomerCall,
        at: CardPath,
        body: Body<NewPrint>,
    ) -> Result<Response> {
        let NewPrint { delivery_address, courier } = body.content;
        check_courier(courier.as_deref())?;
        delivery_address.check()?;
        let delivery = Delivery { cardholder_name: None, delivery_address, courier };
        let draw = || async {
            let row = self.card_at(&by, &at).await?;
            if self.program_of(&row.config_id).await?.kind()? != CardKind::DigitalFirst {
                return Err(Code::FeatureNotEnabled.into());
            }
            if self.card_view(row.id).await?.state != CardState::Active {
                return Err(Code::CardStateForbidden.into());
            }
            Ok(PrintPlan { order: Uuid::now_v7(), card: row.id })
        };
        let carry_out = async |plan: PrintPlan| {
            self.place_order(plan.order, plan.card, "PRINT", &delivery).await
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// Where an order is.
    pub async fn show_order(&self, by: CustomerCall, at: OrderPath) -> Result<Response> {
        let customer = Some(self.customer(&by).await?.id);
        let id = Uuid::parse_str(&at.order).map_err(|_not_a_uuid| Code::OrderNotFound)?;
        let row = self.store.order(Scope { partner: None, customer }, id).await?;
        let row = row.ok_or(Code::OrderNotFound)?;
        Ok(Answer::ok(&ShownOrder::of(row))?.into_response())
    }

    async fn place_order(
        &self,
        order: Uuid,
        card: i64,
        kind: &'static str,
        delivery: &Delivery,
    ) -> Result<Answer> {
        let plain = Zeroizing::new(serde_json::to_vec(delivery)?);
        let row = order_row_name(order);
        let delivery_sealed = self.vault.seal(Purpose::PersonalData, row.as_bytes(), &plain)?;
        let created_at_ms = clock::now_millis();
        let new = NewOrder { id: order, card, kind, delivery_sealed, created_at_ms };
        self.store.insert_order(&new).await?;
        Answer::accepted(&PlacedOrder {
            order_id: order,
            card_id: card.to_string(),
            status: "ORDERED",
        })
    }
}

/// What an order's delivery is sealed for.
pub(crate) fn order_row_name(order: Uuid) -> String {
    format!("order {order}")
}

fn check_courier(courier: Option<&str>) -> Result<()> {
    courier.map_or(Ok(()), |courier| check_text("courier", courier, ADDRESS_CHARS_MAX))
}

impl Address {
    fn check(&self) -> Result<()> {
        let parts = [
            ("deliveryAddress.recipient", &self.recipient),
            ("deliveryAddress.street", &self.street),
            ("deliveryAddress.postCode", &self.post_code),
            ("deliveryAddress.city", &self.city),
        ];
        for (field, text) in parts {
            check_text(field, text, ADDRESS_CHARS_MAX)?;
        }
        if let Some(apartment) = &self.apartment {
            check_text("deliveryAddress.apartment", apartment, ADDRESS_CHARS_MAX)?;
        }
        let is_country =
            self.country.len() == 2 && self.country.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_country {
            return Ok(());
        }
        let message = "must be two capital letters";
        Err(crate::error::Error::fault(Code::InvalidRequest, "deliveryAddress.country", message))
    }
}
