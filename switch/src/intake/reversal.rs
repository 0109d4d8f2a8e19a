//! Reversals and negative acknowledgements, and the key of the message that a message names.

use shared::command::{MessageClass, MessageKey, Reversal, ReversalKind};
use shared::iso8583::mti::{Class, Function, Version};
use shared::iso8583::{FormatError, Message, Rule};
use shared::money::Amount;

use super::{Reading, fields};

/// DE90: original type, STAN, DE7, DE32, DE33.
const PARTS_1987: [usize; 5] = [4, 6, 10, 11, 11];
/// DE56 of 1993: original type, STAN, DE12; DE32 behind its own length.
const PARTS_1993: [usize; 5] = [4, 6, 12, 0, 0];
/// DE56 of 2003: original type, STAN, DE12; DE32 is the rest.
const PARTS_2003: [usize; 5] = [4, 12, 14, 11, 0];
/// Digits of one amount in DE30 and DE95.
const AMOUNT: usize = 12;

/// Amounts that a reversal states.
#[derive(Default)]
struct Stated {
    transaction: Option<Amount>,
    new_total: Option<Amount>,
    new_billing: Option<Amount>,
}

impl Reading {
    /// The field that names another message.
    pub(super) fn original_field(&self) -> u8 {
        match self.edition {
            Version::V1987 => 90,
            Version::V1993 | Version::V2003 => 56,
        }
    }

    /// Reads 0400, 0401, 0420, 0421, 0190 and 0290.
    pub(super) fn reversal(&self, message: &Message<'_>) -> Result<Reversal, FormatError> {
        let mti = message.mti();
        let (kind, class) = match mti.function {
            Function::NegativeAcknowledgement => {
                (ReversalKind::NegativeAcknowledgement, MessageClass::NegativeAcknowledgement)
            }
            Function::Advice => (ReversalKind::Advice, MessageClass::Reversal),
            Function::Request
            | Function::Response
            | Function::AdviceResponse
            | Function::Notification
            | Function::NotificationAcknowledgement
            | Function::Acknowledgement => (ReversalKind::Request, MessageClass::Reversal),
        };
        let key = self.key(message, class)?;
        let own_trace = MessageKey {
            class: match mti.class {
                Class::Financial => MessageClass::Financial,
                Class::Authorization
                | Class::FileAction
                | Class::Reversal
                | Class::Reconciliation
                | Class::Administrative
                | Class::FeeCollection
                | Class::NetworkManagement => MessageClass::Authorization,
            },
            ..key
        };
        let token = match message.has(2) {
            true => Some(self.token_key.token(&fields::pan(message)?)),
            false => None,
        };
        let Stated { transaction, new_total, new_billing } = self.stated(message)?;
        Ok(Reversal {
            key,
            repeat: mti.is_repeat(),
            original: self.original(message, own_trace)?,
            kind,
            token,
            references: fields::references(message, self.markers.life_cycle_field),
            transaction,
            new_total,
            new_billing,
        })
    }

    /// The key that DE90 or DE56 gives, where a part that is zero-filled and the whole of it absent
    /// mean what the message itself carries. Source: iso8583 4.4.
    pub(super) fn original(
        &self,
        message: &Message<'_>,
        own: MessageKey,
    ) -> Result<MessageKey, FormatError> {
        let field = self.original_field();
        let mut scratch = [0; 42];
        let text = match message.has(field) {
            true => message.text(field, &mut scratch).unwrap_or_default(),
            false => &[],
        };
        let (widths, needed) = match self.edition {
            Version::V1987 => (PARTS_1987, 42),
            Version::V1993 => (PARTS_1993, 22),
            Version::V2003 => (PARTS_2003, 30),
        };
        if !text.is_empty() && text.len() < needed {
            return Err(message.error(field, Rule::Truncated));
        }
        let mut parts = [0; PARTS_1987.len()];
        let mut rest = text;
        for (part, width) in parts.iter_mut().zip(widths) {
            let (head, tail) = rest.split_at_checked(width).unwrap_or((rest, &[]));
            *part = fields::digits(message, field, head)?;
            rest = tail;
        }
        let [kind, stan, sent_at, mut acquirer, forwarder] = parts;
        if let (Version::V1993, Some((length, digits))) = (self.edition, rest.split_at_checked(2)) {
            let length = fields::digits(message, field, length)?;
            if u64::try_from(digits.len()) != Ok(length) {
                return Err(message.error(field, Rule::Truncated));
            }
            acquirer = fields::digits(message, field, digits)?;
        }
        let or = |part: u64, own: u64| if part == 0 { own } else { part };
        Ok(MessageKey {
            link: own.link,
            class: class_of(kind).unwrap_or(own.class),
            stan: or(stan, own.stan),
            sent_at: or(self.lasting(sent_at), own.sent_at),
            acquirer: or(acquirer, own.acquirer),
            forwarder: or(forwarder, own.forwarder),
        })
    }

    /// What is taken back: DE95 has the new total in 1987; later editions carry the original in
    /// DE30 and the new total in DE4 and DE6.
    fn stated(&self, message: &Message<'_>) -> Result<Stated, FormatError> {
        let amount = |field| {
            let value = message.number(field)?;
            value.map(|value| fields::narrow(message, field, value).map(Amount)).transpose()
        };
        let part = |field, offset: usize| -> Result<Option<Amount>, FormatError> {
            let mut scratch = [0; 42];
            let text = match message.has(field) {
                true => message.text(field, &mut scratch).unwrap_or_default(),
                false => &[],
            };
            let Some(digits) = text.get(offset..offset + AMOUNT) else { return Ok(None) };
            let value = fields::digits(message, field, digits)?;
            fields::narrow(message, field, value).map(|value| Some(Amount(value)))
        };
        match self.edition {
            Version::V1987 => Ok(Stated {
                transaction: amount(4)?,
                new_total: part(95, 0)?.filter(|total| total.is_positive()),
                new_billing: match self.markers.replacement_billing_offset {
                    Some(offset) => part(95, offset)?.filter(|total| total.is_positive()),
                    None => None,
                },
            }),
            Version::V1993 | Version::V2003 => {
                let (now, first) = (amount(4)?, part(30, 0)?);
                match first.filter(|first| first.is_positive()) {
                    Some(first) if now.is_some_and(|now| now.is_positive() && now < first) => {
                        Ok(Stated {
                            transaction: Some(first),
                            new_total: now,
                            new_billing: amount(6)?.filter(|_| message.has(51)),
                        })
                    }
                    first => Ok(Stated { transaction: first.or(now), ..Stated::default() }),
                }
            }
        }
    }
}

/// The class that a message type names; `None` where it names none.
fn class_of(kind: u64) -> Option<MessageClass> {
    let advice = matches!(kind / 10 % 10, 2 | 3);
    match (kind / 100 % 10, advice) {
        (1, false) => Some(MessageClass::Authorization),
        (1, true) => Some(MessageClass::AuthorizationAdvice),
        (2, false) => Some(MessageClass::Financial),
        (2, true) => Some(MessageClass::FinancialAdvice),
        (4, _) => Some(MessageClass::Reversal),
        _ => None,
    }
}
