//! POST cards/{cardId}/pin: sets what the card's PIN is verified against. Source: requirements
//! #113, security 4.2.
//!
//! Invariant: the PIN comes inside a JWE, becomes a PVV at once and is never stored or logged.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::credential::{Pin, Pvv};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{App, Body, CardPath, card_id, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::config::Profile;
use crate::error::{Code, Error, Result};

/// Digits of a card PIN. Source: requirements #113.
const DIGITS: core::ops::RangeInclusive<usize> = 4..=6;

/// The body.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    pin: String,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    card: i64,
    pvv: Pvv,
}

impl App {
    /// Sets a card's PIN; the tries start anew.
    pub async fn set_pin(
        &self,
        by: CustomerCall,
        at: CardPath,
        body: Body<NewPin>,
    ) -> Result<Response> {
        let pin = body.content.checked(self.config.profile)?;
        let draw = || async {
            let row = self.card_at(&by, &at).await?;
            if !self.program_of(&row.config_id).await?.kind()?.has_pin() {
                return Err(Code::FeatureNotEnabled.into());
            }
            let pvv = self.vault.pvv(&self.card_number(row.id).await?, &pin)?;
            Ok(Plan { command: Uuid::now_v7(), card: row.id, pvv })
        };
        let carry_out = async |plan: Plan| {
            let change = Change::SetPin { card: card_id(plan.card), pvv: plan.pvv };
            self.link.change(command_id(plan.command), change).await?.result?;
            Ok(Answer::no_content())
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }
}

impl NewPin {
    /// One digit again and again is refused; a run of digits too, outside the sandbox, whose
    /// documentation prints one.
    fn checked(&self, profile: Profile) -> Result<Pin> {
        let digits = self.pin.as_bytes();
        let pin = Pin::parse(digits).filter(|_pin| DIGITS.contains(&digits.len()));
        let pin =
            pin.ok_or_else(|| Error::fault(Code::InvalidRequest, "pin", "must be 4 to 6 digits"))?;
        let steps_by = |step: i8| {
            digits.windows(2).all(
                |pair| matches!(pair, [one, next] if next.wrapping_sub(*one).cast_signed() == step),
            )
        };
        let is_weak = steps_by(0) || profile == Profile::Strict && (steps_by(1) || steps_by(-1));
        if is_weak { Err(Code::PinTooWeak.into()) } else { Ok(pin) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_pins_are_refused() {
        let code = |pin: &str, profile| {
            let pin = NewPin { pin: pin.to_owned() };
            pin.checked(profile).err().map(|error| error.code)
        };
        for (pin, sandbox, strict) in [
            ("4711", None, None),
            ("471100", None, None),
            ("1234", None, Some(Code::PinTooWeak)),
            ("9876", None, Some(Code::PinTooWeak)),
            ("0000", Some(Code::PinTooWeak), Some(Code::PinTooWeak)),
            ("1243", None, None),
            ("123", Some(Code::InvalidRequest), Some(Code::InvalidRequest)),
            ("1234567", Some(Code::InvalidRequest), Some(Code::InvalidRequest)),
            ("12a4", Some(Code::InvalidRequest), Some(Code::InvalidRequest)),
        ] {
            assert_eq!(code(pin, Profile::Sandbox), sandbox, "{pin}");
            assert_eq!(code(pin, Profile::Strict), strict, "{pin}");
        }
    }
}
