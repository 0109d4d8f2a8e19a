//! From a parsed message to a command. The last place that sees a card number in clear: behind it
//! there is a token.
//!
//! Invariant: pure; a field that cannot be read refuses the message by its number and offset.
//! Source: surface 4, iso8583 4.3, 4.4, 4.8.

use shared::card::YearMonth;
use shared::command::{Acceptance, Authorization, Command, MessageClass, MessageKey, Reversal};
use shared::ids::LinkId;
use shared::iso8583::{Content, FormatError, Message, Rule, require};
use shared::money::{Amount, Currency, Money};
use shared::pan::{Pan, TokenKey};

/// What a 0100 must carry.
const AUTHORIZATION_FIELDS: [u8; 6] = [2, 3, 4, 7, 11, 49];
/// What a 0400 or 0420 must carry.
const REVERSAL_FIELDS: [u8; 2] = [7, 11];
/// DE25 of an account verification.
const VERIFICATION: &[u8] = b"51";
/// DE90: original type, STAN, DE7, DE32, DE33.
const ORIGINAL_PARTS: [usize; 5] = [4, 6, 10, 11, 11];

/// Reads 0100 and 0101.
pub fn authorization(
    message: &Message<'_>,
    link: LinkId,
    token_key: &TokenKey,
) -> Result<Command, FormatError> {
    require(message, &AUTHORIZATION_FIELDS)?;
    let pan = Pan::parse(message.bytes(2).unwrap_or_default())
        .ok_or_else(|| refused(message, 2, Rule::Content(Content::Digits)))?;
    let billing = match (number(message, 6)?, number(message, 51)?) {
        (Some(amount), Some(currency)) => Some(money(message, (6, amount), (51, currency))?),
        (Some(_), None) => return Err(refused(message, 51, Rule::Missing)),
        (None, _) => None,
    };
    let transaction = money(message, (4, field(message, 4)?), (49, field(message, 49)?))?;
    Ok(Command::Authorize(Authorization {
        key: key(message, link, MessageClass::Authorization)?,
        token: token_key.token(&pan),
        processing_code: narrow(message, 3, field(message, 3)?)?,
        transaction,
        billing,
        expiry: expiry(message)?,
        verification: message.bytes(25) == Some(VERIFICATION),
        acceptance: Acceptance {
            mcc: narrow(message, 18, number(message, 18)?.unwrap_or(0))?,
            entry_mode: narrow(message, 22, number(message, 22)?.unwrap_or(0))?,
            rrn: text(message, 37),
            terminal: text(message, 41),
            merchant: text(message, 42),
        },
    }))
}

/// Reads 0400, 0401, 0420 and 0421.
pub fn reversal(message: &Message<'_>, link: LinkId, advice: bool) -> Result<Command, FormatError> {
    require(message, &REVERSAL_FIELDS)?;
    let own = key(message, link, MessageClass::Reversal)?;
    let new_total = match message.bytes(95) {
        Some(amounts) => Some(digits(message, 95, amounts.get(..12).unwrap_or_default())?),
        None => None,
    };
    Ok(Command::Reverse(Reversal {
        key: own,
        original: original(message, own)?,
        advice,
        transaction: number(message, 4)?.map(|value| amount(message, 4, value)).transpose()?,
        new_total: new_total
            .filter(|total| *total != 0)
            .map(|total| amount(message, 95, total))
            .transpose()?,
    }))
}

/// The key of the message that a reversal takes back: DE90, where a part that is zero-filled or
/// the whole of it absent means what the reversal itself carries. Source: iso8583 4.4.
fn original(message: &Message<'_>, own: MessageKey) -> Result<MessageKey, FormatError> {
    let mut parts = [0; ORIGINAL_PARTS.len()];
    let mut rest = message.bytes(90).unwrap_or_default();
    for (part, width) in parts.iter_mut().zip(ORIGINAL_PARTS) {
        let (head, tail) = rest.split_at_checked(width).unwrap_or_default();
        *part = digits(message, 90, head)?;
        rest = tail;
    }
    let [kind, stan, sent_at, acquirer, forwarder] = parts;
    let or = |part: u64, own: u64| if part == 0 { own } else { part };
    let class = match kind / 100 % 10 {
        2 => MessageClass::Financial,
        4 => MessageClass::Reversal,
        _ => MessageClass::Authorization,
    };
    Ok(MessageKey {
        link: own.link,
        class,
        stan: narrow(message, 90, or(stan, u64::from(own.stan)))?,
        sent_at: or(sent_at, own.sent_at),
        acquirer: or(acquirer, own.acquirer),
        forwarder: or(forwarder, own.forwarder),
    })
}

fn key(
    message: &Message<'_>,
    link: LinkId,
    class: MessageClass,
) -> Result<MessageKey, FormatError> {
    Ok(MessageKey {
        link,
        class,
        stan: narrow(message, 11, field(message, 11)?)?,
        sent_at: field(message, 7)?,
        acquirer: number(message, 32)?.unwrap_or(0),
        forwarder: number(message, 33)?.unwrap_or(0),
    })
}

fn expiry(message: &Message<'_>) -> Result<Option<YearMonth>, FormatError> {
    let Some(stated) = number(message, 14)? else { return Ok(None) };
    let month = u16::try_from(stated).ok().and_then(YearMonth::from_yymm);
    month.map(Some).ok_or_else(|| refused(message, 14, Rule::NotANumber))
}

fn money(
    message: &Message<'_>,
    (amount_field, value): (u8, u64),
    (currency_field, currency): (u8, u64),
) -> Result<Money, FormatError> {
    let currency = Currency(narrow(message, currency_field, currency)?);
    Ok(Money { amount: amount(message, amount_field, value)?, currency })
}

fn amount(message: &Message<'_>, field: u8, value: u64) -> Result<Amount, FormatError> {
    narrow(message, field, value).map(Amount)
}

fn field(message: &Message<'_>, field: u8) -> Result<u64, FormatError> {
    message.number(field)?.ok_or_else(|| refused(message, field, Rule::Missing))
}

fn number(message: &Message<'_>, field: u8) -> Result<Option<u64>, FormatError> {
    message.number(field)
}

fn digits(message: &Message<'_>, field: u8, text: &[u8]) -> Result<u64, FormatError> {
    text.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))),
        _ => Err(refused(message, field, Rule::NotANumber)),
    })
}

fn narrow<T: TryFrom<u64>>(message: &Message<'_>, field: u8, value: u64) -> Result<T, FormatError> {
    T::try_from(value).map_err(|_too_large| refused(message, field, Rule::NotANumber))
}

/// A text field of fixed length as received; spaces where it is absent.
fn text<const N: usize>(message: &Message<'_>, field: u8) -> [u8; N] {
    let received = message.bytes(field).and_then(|bytes| bytes.first_chunk().copied());
    received.unwrap_or([b' '; N])
}

fn refused(message: &Message<'_>, field: u8, rule: Rule) -> FormatError {
    let offset = message.offset_of(field).unwrap_or(4);
    FormatError { mti: Some(message.mti()), field, offset, rule }
}
