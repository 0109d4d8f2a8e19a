//! Fingerprint of a message's content: tells an exact repeat from another message under the same
//! key. Over token, DE3, 4, 6, 49, 51, 42 and never over what a repeat may change. XXH3 is a
//! published function, so that journaled fingerprints keep their meaning. Source: authorization 4.

use xxhash_rust::xxh3::xxh3_64;

use crate::command::{Authorization, Reversal};
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

/// Of an authorization.
#[must_use]
pub fn of_authorization(request: &Authorization) -> u64 {
    let mut content = Content::new();
    content.put(&request.token.0);
    content.put(&request.processing_code.to_le_bytes());
    content.put_money(request.transaction);
    content.put_money(request.billing.unwrap_or(Money::new(-1, Currency(0))));
    content.put(&request.acceptance.merchant);
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
    content.fingerprint()
}
