//! The fields of a reply that come from the decision: amounts, approval code, action code, and the
//! additional amounts of DE54.
//!
//! Invariant: nothing is allocated; a field is in the reply only if the decision says so.
//! Source: iso8583 4.4 (partial approval), 4.6.

use shared::action_code::WireCode;
use shared::command::Authorization;
use shared::effect::{Decision, Detail};
use shared::iso8583::FieldSet;
use shared::money::{Amount, Currency};

/// Bytes of one amount in DE54.
const ADDITIONAL_AMOUNT: usize = 20;
/// The greatest amount that it can say.
const ADDITIONAL_AMOUNT_MAX: u64 = 999_999_999_999;
/// DE54's amount types.
const LEDGER: &[u8; 2] = b"01";
const AVAILABLE: &[u8; 2] = b"02";
const ORIGINAL: &[u8; 2] = b"57";

/// Values on their way into a reply.
#[derive(Default)]
pub struct ReplyFields {
    transaction: Option<[u8; 12]>,
    billed: Option<[u8; 12]>,
    approval: Option<[u8; 6]>,
    code: WireCode,
    additional: [[u8; ADDITIONAL_AMOUNT]; 2],
    additional_count: usize,
}

impl ReplyFields {
    /// Takes what the decision on `request` says.
    pub fn fill(&mut self, decision: &Decision, request: Option<&Authorization>, code: WireCode) {
        self.code = code;
        self.approval = decision.approval.map(|code| code.wire());
        match (decision.detail, request) {
            (Detail::Partial { transaction, billed }, Some(request)) => {
                self.transaction = Some(digits(transaction.0.unsigned_abs()));
                self.billed = request.billing.map(|_| digits(billed.0.unsigned_abs()));
                let original = request.transaction;
                self.add(ORIGINAL, original.amount, original.currency, (request, b'D'));
            }
            (Detail::Balances { ledger, available, currency }, Some(request)) => {
                self.add(LEDGER, ledger, currency, (request, b'C'));
                self.add(AVAILABLE, available, currency, (request, b'C'));
            }
            (Detail::None | Detail::Partial { .. } | Detail::Balances { .. }, _) => {}
        }
    }

    /// What is echoed besides: the currency beside a billed amount.
    #[must_use]
    pub fn echo(&self, usual: FieldSet) -> FieldSet {
        if self.billed.is_some() { usual.with(51) } else { usual }
    }

    /// Calls `write` with the fields, ascending; `data` is the link's own of the reason, and not
    /// there where it is empty.
    pub fn with<R>(&self, data: (u8, &[u8]), write: impl FnOnce(&[(u8, &[u8])]) -> R) -> R {
        let additional = self.additional.as_flattened();
        let additional = additional.get(..self.additional_count * ADDITIONAL_AMOUNT);
        let additional = additional.filter(|amounts| !amounts.is_empty());
        let found = [
            self.transaction.as_ref().map(|value| (4, value.as_slice())),
            self.billed.as_ref().map(|value| (6, value.as_slice())),
            self.approval.as_ref().map(|value| (38, value.as_slice())),
            Some((39, self.code.as_bytes())),
            additional.map(|amounts| (54, amounts)),
            Some(data).filter(|(_, text)| !text.is_empty()),
        ];
        let mut set: [(u8, &[u8]); 6] = [(0, &[]); 6];
        let mut count = 0;
        for (place, field) in set.iter_mut().zip(found.into_iter().flatten()) {
            *place = field;
            count += 1;
        }
        let set = set.get_mut(..count).unwrap_or_default();
        set.sort_unstable_by_key(|(field, _)| *field);
        write(set)
    }

    fn add(
        &mut self,
        kind: &[u8; 2],
        amount: Amount,
        currency: Currency,
        (request, positive): (&Authorization, u8),
    ) {
        // What twelve digits cannot say is not said.
        let value = Some(amount.0.unsigned_abs()).filter(|value| *value <= ADDITIONAL_AMOUNT_MAX);
        let place = self.additional.get_mut(self.additional_count);
        let (Some(value), Some(place)) = (value, place) else { return };
        let account = digits::<6>(u64::from(request.processing_code));
        let sign = match (positive, amount.0 < 0) {
            (b'C', true) => b'D',
            (b'D', true) => b'C',
            (sign, _) => sign,
        };
        let value = digits::<12>(value);
        let currency = digits::<3>(u64::from(currency.0));
        let parts = account.iter().skip(2).take(2).chain(kind).chain(&currency);
        for (to, from) in place.iter_mut().zip(parts.chain([&sign]).chain(&value)) {
            *to = *from;
        }
        self.additional_count += 1;
    }
}

/// A number as digits of fixed width, its highest ones left out where it has more.
fn digits<const N: usize>(value: u64) -> [u8; N] {
    let mut rest = value;
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_their_width() {
        assert_eq!(&digits::<3>(978), b"978");
        assert_eq!(&digits::<12>(1_050), b"000000001050");
        assert_eq!(&digits::<3>(36), b"036");
    }
}
