//! Numbers, amounts and texts of a message, each refused by its field and offset.

use shared::card::YearMonth;
use shared::command::References;
use shared::iso8583::{Content, FormatError, Message, Rule};
use shared::money::{Amount, Currency, Money};
use shared::pan::Pan;
use zeroize::Zeroizing;

/// Bytes of the longest text field.
pub(super) const TEXT_MAX: usize = 999;

/// A number that must be there.
pub(super) fn required(message: &Message<'_>, field: u8) -> Result<u64, FormatError> {
    message.number(field)?.ok_or_else(|| message.error(field, Rule::Missing))
}

/// A number that fits its type.
pub(super) fn narrow<T: TryFrom<u64>>(
    message: &Message<'_>,
    field: u8,
    value: u64,
) -> Result<T, FormatError> {
    T::try_from(value).map_err(|_too_large| message.error(field, Rule::NotANumber))
}

/// A number that may be absent, then zero.
pub(super) fn number_or_zero<T: TryFrom<u64> + Default>(
    message: &Message<'_>,
    field: u8,
) -> Result<T, FormatError> {
    message.number(field)?.map_or(Ok(T::default()), |value| narrow(message, field, value))
}

/// The number of an institution; 0 where the field is absent or empty.
pub(super) fn institution(message: &Message<'_>, field: u8) -> Result<u64, FormatError> {
    match message.bytes(field) {
        None | Some([]) => Ok(0),
        Some(_) => required(message, field),
    }
}

/// Digits inside a text field.
pub(super) fn digits(message: &Message<'_>, field: u8, text: &[u8]) -> Result<u64, FormatError> {
    text.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))),
        _ => Err(message.error(field, Rule::NotANumber)),
    })
}

/// DE2.
pub(super) fn pan(message: &Message<'_>) -> Result<Pan, FormatError> {
    let mut scratch = Zeroizing::new([0; 19]);
    let text = message.text(2, &mut *scratch).unwrap_or_default();
    Pan::parse(text).ok_or_else(|| message.error(2, Rule::Content(Content::Digits)))
}

/// An amount and its currency, in two fields.
pub(super) fn money(
    message: &Message<'_>,
    amount: u8,
    currency: u8,
) -> Result<Option<Money>, FormatError> {
    match (message.number(amount)?, message.number(currency)?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(message.error(currency, Rule::Missing)),
        (None, Some(_)) => Err(message.error(amount, Rule::Missing)),
        (Some(value), Some(found)) => Ok(Some(Money {
            amount: Amount(narrow(message, amount, value)?),
            currency: Currency(narrow(message, currency, found)?),
        })),
    }
}

/// DE14.
pub(super) fn expiry(message: &Message<'_>) -> Result<Option<YearMonth>, FormatError> {
    let Some(stated) = message.number(14)? else { return Ok(None) };
    let month = u16::try_from(stated).ok().and_then(YearMonth::from_yymm);
    month.map(Some).ok_or_else(|| message.error(14, Rule::NotANumber))
}

/// What ties the message to others of its transaction.
pub(super) fn references(message: &Message<'_>, life_cycle_field: u8) -> References {
    let mut found = References::default();
    let mut scratch = [0; TEXT_MAX];
    if let Some(id) = message.text(life_cycle_field, &mut scratch) {
        for (to, from) in found.life_cycle.iter_mut().zip(id) {
            *to = *from;
        }
    }
    found.rrn = message.text_array(37).unwrap_or(found.rrn);
    found.terminal = message.text_array(41).unwrap_or(found.terminal);
    found
}
