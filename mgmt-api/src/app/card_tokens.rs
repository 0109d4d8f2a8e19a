//! …/cards/{card}/tokens: tokens that wallets pay with in place of a card, as the service that makes
//! them tells the partner. Source: requirements #117, #165.
//!
//! Invariant: what is kept is the service's reference, never a token's number.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::control::{Query, View};
use shared::ids::Timestamp;
use shared::pan::Pan;
use utoipa::ToSchema;

use super::{App, Body, CardPath, CardTokenPath, Nothing, card_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::CardTokenRow;

/// Tokens of one card at most.
const TOKENS_A_CARD_MAX: usize = 100;
const REFERENCE_CHARS_MAX: usize = 64;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCardToken {
    /// What the service calls the token: up to 64 letters, digits and `-_.`, no card number.
    token_reference: String,
    /// What the service calls the wallet.
    wallet_id: Option<String>,
}

/// A token of a card.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardToken {
    token_id: String,
    token_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<String>,
    /// ACTIVE or ENDED.
    state: String,
    date: String,
}

/// The tokens that a card has and had, oldest first.
#[derive(Serialize, ToSchema)]
pub struct CardTokenList {
    items: Vec<CardToken>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    card: i64,
    token: i64,
    at_ms: i64,
}

impl App {
    /// Takes a token down.
    pub async fn add_card_token(
        &self,
        by: CustomerCall,
        at: CardPath,
        body: Body<NewCardToken>,
    ) -> Result<Response> {
        let new = body.content;
        check_reference("tokenReference", &new.token_reference)?;
        new.wallet_id.as_deref().map_or(Ok(()), |id| check_reference("walletId", id))?;
        let draw = || async {
            let card = self.card_at(&by, &at).await?.id;
            let view = self.link.view(Query::Card(card_id(card)), View::into_card).await?;
            let living = view.filter(|view| {
                !matches!(view.state, CardState::Ordered | CardState::Expired | CardState::Removed)
            });
            living.ok_or(Code::CardStateForbidden)?;
            if self.store.card_tokens(card).await?.len() >= TOKENS_A_CARD_MAX {
                return Err(Code::CapacityReached.into());
            }
            let token = self.store.next_number("token").await?;
            Ok(Plan { card, token, at_ms: clock::now_millis() })
        };
        let carry_out = async |Plan { card, token, at_ms }: Plan| {
            let row = CardTokenRow {
                id: token,
                reference: new.token_reference,
                wallet_id: new.wallet_id,
                state: "ACTIVE".to_owned(),
                created_at_ms: at_ms,
            };
            if !self.store.insert_card_token(card, &row).await? {
                return Err(Code::CardTokenExists.into());
            }
            Answer::created(&CardToken::from(row))
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// The tokens of a card.
    pub async fn list_card_tokens(&self, by: CustomerCall, at: CardPath) -> Result<Response> {
        let card = self.card_at(&by, &at).await?.id;
        let rows = self.store.card_tokens(card).await?;
        let items = rows.into_iter().map(CardToken::from).collect();
        Ok(Answer::ok(&CardTokenList { items })?.into_response())
    }

    /// Takes down that a token is no more.
    pub async fn end_card_token(
        &self,
        by: CustomerCall,
        at: CardTokenPath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let card = self.card_at(&by, &CardPath { card: at.card }).await?.id;
        let id = at.token.parse::<i64>().map_err(|_not_a_number| Code::CardTokenNotFound)?;
        let carry_out = async |()| match self.store.end_card_token(card, id).await? {
            true => Ok(Answer::no_content()),
            false => Err(Code::CardTokenNotFound.into()),
        };
        self.once(&by.call, hash, async || Ok(()), carry_out).await
    }
}

impl From<CardTokenRow> for CardToken {
    fn from(row: CardTokenRow) -> Self {
        let at = Timestamp(u64::try_from(row.created_at_ms).unwrap_or_default());
        Self {
            token_id: row.id.to_string(),
            token_reference: row.reference,
            wallet_id: row.wallet_id,
            state: row.state,
            date: clock::rfc3339(at),
        }
    }
}

/// A name that others gave. It is kept readable: no card number may get there, nor a token's, which
/// has the same form.
pub(super) fn check_reference(field: &'static str, text: &str) -> Result<()> {
    let is_name = (1..=REFERENCE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        let message = "must be 1 to 64 letters, digits and -_.";
        return Err(Error::fault(Code::InvalidRequest, field, message));
    }
    if Pan::parse(text.as_bytes()).is_some_and(|pan| pan.has_valid_check_digit()) {
        let message = "must not be the number of a card or a token";
        return Err(Error::fault(Code::InvalidRequest, field, message));
    }
    Ok(())
}
