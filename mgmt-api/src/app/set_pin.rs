//! POST cards/{cardId}/pin: sets what the card's PIN is verified against. Source: requirements
//! #113, security 4.2.
//!
//! Invariants: the PIN comes inside a JWE, as digits or as a PIN block, becomes a PVV at once and is
//! never stored or logged; its holder has given the wallet PIN a moment ago (requirements #37).

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::credential::pin_block::clear_iso0;
use shared::credential::{Pin, Pvv};
use shared::pan::Pan;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{App, Body, CardPath, card_id, command_id};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::config::Profile;
use crate::error::{Code, Error, Result};

/// Digits of a card PIN. Source: requirements #113.
const DIGITS: core::ops::RangeInclusive<usize> = 4..=6;
/// Hexadecimal digits of a PIN block.
const BLOCK_DIGITS: usize = 16;

/// The body.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPin {
    /// 4 to 6 digits.
    pin: Option<String>,
    /// In place of `pin`: a clear block of ISO 9564 format 0 for this card, 16 hexadecimal digits.
    pin_block: Option<String>,
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
        let draw = || async {
            by.check_stepped_up()?;
            let row = self.card_at(&by, &at).await?;
            if !self.program_of(&row.config_id).await?.kind()?.has_pin() {
                return Err(Code::FeatureNotEnabled.into());
            }
            let pan = self.card_number(row.id).await?;
            let pvv = self.vault.pvv(&pan, &body.content.checked(&pan, self.config.profile)?)?;
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
    fn checked(&self, pan: &Pan, profile: Profile) -> Result<Pin> {
        let fault = |field, message| Error::fault(Code::InvalidRequest, field, message);
        let (field, digits) = match (&self.pin, &self.pin_block) {
            (Some(pin), None) => ("pin", Zeroizing::new(pin.as_bytes().to_vec())),
            (None, Some(block)) => ("pinBlock", digits_of(block, pan)?),
            (Some(_), Some(_)) | (None, None) => {
                return Err(fault("pin", "must be given, or pinBlock in its place"));
            }
        };
        let pin = Pin::parse(&digits).filter(|_pin| DIGITS.contains(&digits.len()));
        let pin = pin.ok_or_else(|| fault(field, "must be 4 to 6 digits"))?;
        let steps_by = |step: i8| {
            digits.windows(2).all(
                |pair| matches!(pair, [one, next] if next.wrapping_sub(*one).cast_signed() == step),
            )
        };
        let is_weak = steps_by(0) || profile == Profile::Strict && (steps_by(1) || steps_by(-1));
        if is_weak { Err(Code::PinTooWeak.into()) } else { Ok(pin) }
    }
}

/// The digits in a clear block of format 0.
fn digits_of(block: &str, pan: &Pan) -> Result<Zeroizing<Vec<u8>>> {
    let is_hex = block.len() == BLOCK_DIGITS && block.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = u64::from_str_radix(block, 16).ok().filter(|_bits| is_hex).map(Zeroizing::new);
    let digits = bits.and_then(|bits| clear_iso0(&bits, pan));
    let message = "must be a clear block of format 0 for this card, 16 hexadecimal digits";
    digits.ok_or_else(|| Error::fault(Code::InvalidRequest, "pinBlock", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pan() -> Pan {
        Pan::parse(b"4123456789012345").unwrap()
    }

    #[test]
    fn a_block_opens_for_its_own_card_alone() {
        let pin = |block: &str| {
            let given = NewPin { pin: None, pin_block: Some(block.to_owned()) };
            given.checked(&pan(), Profile::Sandbox).map_err(|error| error.faults[0].field)
        };
        assert!(pin("041200a9876fedcb").is_ok() && pin("041200A9876FEDCB").is_ok());
        for block in [
            "041200A9876FEDC",  // one digit short
            "+41200A9876FEDCB", // no digit
            "041200A9876FEDCA", // another card's
            "141200A9876FEDCB", // format 1
            "DDDED427C7FC1DC9", // the same, encrypted
        ] {
            assert_eq!(pin(block).err(), Some("pinBlock"), "{block}");
        }
        for (digits, block) in [("1234", "041200A9876FEDCB"), ("999999", "0699ADCF876FEDCB")] {
            let given = NewPin { pin: None, pin_block: Some(block.to_owned()) };
            let opened = digits_of(given.pin_block.as_deref().unwrap(), &pan()).unwrap();
            assert_eq!(opened.as_slice(), digits.as_bytes(), "{block}");
        }
        let both = NewPin { pin: Some("4711".to_owned()), pin_block: Some("0".to_owned()) };
        assert!(both.checked(&pan(), Profile::Sandbox).is_err());
        let none = NewPin { pin: None, pin_block: None };
        assert!(none.checked(&pan(), Profile::Sandbox).is_err());
    }

    #[test]
    fn weak_pins_are_refused() {
        let code = |pin: &str, profile| {
            let pin = NewPin { pin: Some(pin.to_owned()), pin_block: None };
            pin.checked(&pan(), profile).err().map(|error| error.code)
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
