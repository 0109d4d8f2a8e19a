//! POST /secure/processors/{processorId}/cards/lock: a network or an acquirer locks a card by its
//! number, or by a token of it. Source: requirements #102.
//!
//! Invariant: what is locked so has OUTSIDE as its source, obeys the rules of locks, and declines
//! from the answer on; the number comes encrypted and is kept nowhere.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::lock_code::LockCode;
use shared::pan::Pan;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::card_tokens::check_reference;
use super::{App, Body, ProcessorPath, card_id};
use crate::answer::Answer;
use crate::call::{Call, Caller};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::vault::Purpose;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutsideLock {
    /// The card's number.
    pan: Option<ClearNumber>,
    /// What the service that makes tokens calls a token of the card (`tokenReference`), in place of
    /// the number.
    token: Option<String>,
    /// Lock code, 1 to 8.
    reason: u8,
    /// The processor's own name for it.
    external_reference: Option<String>,
}

/// Digits of a number, on their way to what stands for it here.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(transparent)]
pub(crate) struct ClearNumber(String);

impl ProcessorPath {
    /// The number of the processor that asks; fails unless the path names it.
    pub(super) fn of(&self, by: &Call) -> Result<i64> {
        match by.caller {
            Caller::Processor(id) if id.to_string() == self.processor => Ok(i64::from(id)),
            Caller::Processor(_)
            | Caller::Partner(_)
            | Caller::Customer(_)
            | Caller::Operator(_) => Err(Code::Forbidden.into()),
        }
    }
}

impl ClearNumber {
    /// The number that they are.
    pub(super) fn read(&self) -> Option<Pan> {
        Pan::parse(self.0.as_bytes())
    }
}

/// How a card is named.
enum Named {
    Number(Pan),
    Token(String),
}

#[derive(Serialize, Deserialize)]
struct Plan {
    request: Uuid,
    card: i64,
}

impl App {
    /// Locks a card by its number, or by a token of it.
    pub async fn lock_outside(
        &self,
        by: Call,
        at: ProcessorPath,
        body: Body<OutsideLock>,
    ) -> Result<Response> {
        let processor = at.of(&by)?;
        let OutsideLock { pan, token, reason, external_reference } = body.content;
        let fault = |field, message| Error::fault(Code::InvalidRequest, field, message);
        let code = LockCode::from_number(reason)
            .ok_or_else(|| fault("reason", "must be a lock code from 1 to 8"))?;
        let named = match (pan, token) {
            (Some(pan), None) => {
                let pan = pan.read().ok_or_else(|| fault("pan", "must be 12 to 19 digits"))?;
                Named::Number(pan)
            }
            (None, Some(token)) => {
                check_reference("token", &token)?;
                Named::Token(token)
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(fault("pan", "either pan or token is needed"));
            }
        };
        if let Some(reference) = &external_reference {
            check_reference("externalReference", reference)?;
        }
        let draw = || async {
            let card = match &named {
                Named::Number(pan) => {
                    self.store.card_of_token(self.vault.token(pan).0, processor).await?
                }
                Named::Token(token) => {
                    match *self.store.cards_of_reference(token, processor).await? {
                        [] => None,
                        [card] => Some(card),
                        [..] => {
                            let message = "is a token of several cards: give the card's number";
                            return Err(fault("token", message));
                        }
                    }
                }
            };
            Ok(Plan { request: Uuid::now_v7(), card: card.ok_or(Code::CardNotFound)? })
        };
        let carry_out = async |Plan { request, card }: Plan| {
            let row = format!("lock {request}");
            let seal = |text: &String| {
                self.vault.seal(Purpose::PersonalData, row.as_bytes(), text.as_bytes())
            };
            let reference = external_reference.as_ref().map(seal).transpose()?;
            let lock = Some((code.number(), reference.as_deref()));
            self.store.insert_lock_request(request, card, lock, clock::now_millis()).await?;
            let source = by.caller.lock_source();
            let change = Change::LockCard { card: card_id(card), code, source };
            let answer: Answer = self.change_lock(request, change).await?;
            Ok(answer)
        };
        self.once(&by, body.hash, draw, carry_out).await
    }
}
