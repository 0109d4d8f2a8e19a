//! Fingerprint of a message's content: tells an exact repeat from another message under the same
//! key. Over token, DE3, 4, 6, 49, 51, 42 and never over what a repeat may change. XXH3 is a
//! published function, so that journaled fingerprints keep their meaning. Source: authorization 4.

use xxhash_rust::xxh3::xxh3_64;

use crate::command::{Authorization, LockOutside, Reversal};
use crate::lock_code::LockCode;
use crate::money::{Amount, Currency, Money};

/// Bytes that a fingerprint is taken over.
struct Content {
    bytes: [u8; 80],
    length: usize,
}

impl Content {
    fn new() -> Self {
        Self { bytes: [0; 80], length: 0 }
    }

    #[inline]
    fn put(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        self.bytes
            .get_mut(self.length..end)
            .expect("the parts of a fingerprint are of fixed length and fit")
            .copy_from_slice(part);
        self.length = end;
    }

    fn put_amount(&mut self, amount: Amount) {
        self.put(&amount.0.to_le_bytes());
    }

    fn put_money(&mut self, money: Money) {
        self.put_amount(money.amount);
        self.put(&money.currency.0.to_le_bytes());
    }

    fn fingerprint(&self) -> u64 {
        xxh3_64(self.bytes.get(..self.length).unwrap_or_default())
    }
}

/// Of an authorization, financial request or advice.
#[must_use]
pub fn of_authorization(request: &Authorization) -> u64 {
    let billing = request.billing.unwrap_or(Money::new(-1, Currency(0)));
    let mut content = Content::new();
    content.put(&request.token.0);
    content.put(&request.processing_code.to_le_bytes());
    content.put_money(request.transaction);
    content.put_money(billing);
    content.put(&request.acceptance.merchant);
    content.fingerprint()
}

/// Of a lock outside.
#[must_use]
pub(super) fn of_lock(asked: &LockOutside) -> u64 {
    let mut content = Content::new();
    content.put(&asked.token.0);
    content.put(&[asked.lock.map_or(0, LockCode::number)]);
    content.fingerprint()
}

/// Of a reversal: what it takes back, and how much of it.
#[must_use]
pub fn of_reversal(reversal: &Reversal) -> u64 {
    let mut content = Content::new();
    content.put(&reversal.original.stan.to_le_bytes());
    content.put(&reversal.original.sent_at.to_le_bytes());
    content.put(&reversal.original.acquirer.to_le_bytes());
    content.put(&reversal.original.forwarder.to_le_bytes());
    content.put_amount(reversal.transaction.unwrap_or(Amount(-1)));
    content.put_amount(reversal.new_total.unwrap_or(Amount(-1)));
    content.put_amount(reversal.new_billing.unwrap_or(Amount(-1)));
    content.fingerprint()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::YearMonth;
    use crate::command::{
        Acceptance, Credentials, EntryMode, MessageClass, MessageKey, References, ReversalKind,
    };
    use crate::credential::CredentialResult;
    use crate::ids::LinkId;
    use crate::pan::PanToken;

    const KEY: MessageKey = MessageKey {
        link: LinkId(1),
        class: MessageClass::Authorization,
        stan: 1,
        sent_at: 2,
        acquirer: 3,
        forwarder: 4,
    };

    fn request() -> Authorization {
        Authorization {
            key: KEY,
            repeat: false,
            token: PanToken([7; 16]),
            processing_code: 90_000,
            transaction: Money::new(500, Currency(978)),
            billing: Some(Money::new(120, Currency(985))),
            cash_back: Amount(0),
            expiry: None,
            verification: false,
            incremental: false,
            partial_allowed: false,
            credentials: Credentials::default(),
            original: None,
            references: References::default(),
            acceptance: Acceptance { merchant: *b"SHOP           ", ..Acceptance::default() },
        }
    }

    fn reversal() -> Reversal {
        Reversal {
            key: MessageKey { class: MessageClass::Reversal, stan: 9, ..KEY },
            repeat: false,
            original: KEY,
            kind: ReversalKind::Request,
            token: None,
            references: References::default(),
            transaction: Some(Amount(500)),
            new_total: None,
            new_billing: None,
        }
    }

    #[test]
    fn whatever_is_content_changes_the_fingerprint_of_a_request() {
        let changes: [fn(&mut Authorization); 8] = [
            |r| r.token.0[15] ^= 1,
            |r| r.processing_code += 1,
            |r| r.transaction.amount.0 += 1,
            |r| r.transaction.currency.0 += 1,
            |r| r.billing = None,
            |r| r.billing = Some(Money::new(121, Currency(985))),
            |r| r.billing = Some(Money::new(120, Currency(986))),
            |r| r.acceptance.merchant[14] = b'x',
        ];
        let mut seen = vec![of_authorization(&request())];
        for change in changes {
            let mut other = request();
            change(&mut other);
            seen.push(of_authorization(&other));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), changes.len() + 1);
    }

    #[test]
    fn what_a_repeat_may_change_is_no_content() {
        let mut other = request();
        other.key.sent_at += 1;
        other.expiry = Some(YearMonth { year: 2029, month: 7 });
        other.repeat = true;
        other.references.rrn = *b"123456789012";
        other.references.terminal = *b"12345678";
        other.references.life_cycle = *b"MCC123456 1215  ";
        other.acceptance.entry = EntryMode::Chip;
        other.credentials.pin = CredentialResult::Ok;
        assert_eq!(of_authorization(&other), of_authorization(&request()));
        let mut advice = reversal();
        advice.repeat = true;
        advice.kind = ReversalKind::Advice;
        advice.token = Some(PanToken([7; 16]));
        assert_eq!(of_reversal(&advice), of_reversal(&reversal()));
    }

    #[test]
    fn whatever_is_content_changes_the_fingerprint_of_a_reversal() {
        let changes: [fn(&mut Reversal); 8] = [
            |r| r.original.stan += 1,
            |r| r.original.sent_at += 1,
            |r| r.original.acquirer += 1,
            |r| r.original.forwarder += 1,
            |r| r.transaction = None,
            |r| r.transaction = Some(Amount(501)),
            |r| r.new_total = Some(Amount(500)),
            |r| r.new_billing = Some(Amount(500)),
        ];
        let mut seen = vec![of_reversal(&reversal())];
        for change in changes {
            let mut other = reversal();
            change(&mut other);
            seen.push(of_reversal(&other));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), changes.len() + 1);
    }

    #[test]
    fn journaled_fingerprints_keep_their_meaning() {
        assert_eq!(of_authorization(&request()), 15_108_663_736_588_706_449);
        assert_eq!(of_reversal(&reversal()), 13_818_210_284_114_390_693);
    }
}
