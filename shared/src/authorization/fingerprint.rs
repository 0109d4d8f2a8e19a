//! Fingerprints of a message's content, which tell an exact repeat from another message under the
//! same key, and of its references. Content is token, DE3, 4, 6, 49, 51, 42 and never what a repeat
//! may change. XXH3 is a published function, so that journaled fingerprints keep their meaning.
//! Source: authorization 4.

use xxhash_rust::xxh3::xxh3_64;

use crate::command::{Authorization, LockOutside, MessageKey, References, Reversal};
use crate::lock_code::LockCode;
use crate::money::{Amount, Currency, Money};

/// Over whole words: they are read again at once, and a word put together from parts would have to
/// wait for all of them.
fn fingerprint<const N: usize>(words: [u64; N]) -> u64 {
    const { assert!(N <= 8) };
    let mut bytes = [0; 64];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(bytes.get(..8 * N).unwrap_or_default())
}

/// Eight to sixteen bytes as two words, which may overlap.
fn ends<const N: usize>(bytes: &[u8; N]) -> [u64; 2] {
    const { assert!(8 <= N && N <= 16) };
    let (first, last) = (bytes.first_chunk(), bytes.last_chunk());
    [first, last].map(|word| word.map_or(0, |word| u64::from_le_bytes(*word)))
}

fn number(amount: Amount) -> u64 {
    amount.0.cast_unsigned()
}

/// Of an authorization, financial request or advice.
#[must_use]
pub fn of_authorization(request: &Authorization) -> u64 {
    let Authorization { transaction, .. } = request;
    let billing = request.billing.unwrap_or(Money::new(-1, Currency(0)));
    let [token, of_token] = ends(&request.token.0);
    let [name, of_name] = ends(&request.acceptance.merchant);
    let kind = u64::from(request.processing_code) << 32
        | u64::from(transaction.currency.0) << 16
        | u64::from(billing.currency.0);
    let (amount, billed) = (number(transaction.amount), number(billing.amount));
    fingerprint([token, of_token, kind, amount, billed, name, of_name])
}

/// Of a lock outside.
#[must_use]
pub(super) fn of_lock(asked: &LockOutside) -> u64 {
    let [token, of_token] = ends(&asked.token.0);
    fingerprint([token, of_token, u64::from(asked.lock.map_or(0, LockCode::number))])
}

/// Of a reversal: what it takes back, and how much of it.
#[must_use]
pub fn of_reversal(reversal: &Reversal) -> u64 {
    let MessageKey { stan, sent_at, acquirer, forwarder, .. } = reversal.original;
    let amounts = [reversal.transaction, reversal.new_total, reversal.new_billing];
    let [amount, total, billing] = amounts.map(|part| number(part.unwrap_or(Amount(-1))));
    fingerprint([stan, sent_at, acquirer, forwarder, amount, total, billing])
}

impl References {
    /// What transactions of one card are compared by: hashes of the life-cycle id and of DE37 with
    /// DE41; 0 where absent.
    #[must_use]
    pub fn fingerprints(&self) -> (u64, u64) {
        let life_cycle = match self.life_cycle == [b' '; 16] {
            true => 0,
            false => fingerprint(ends(&self.life_cycle)).max(1),
        };
        let retrieval = match self.rrn.iter().all(|byte| matches!(byte, b' ' | b'0')) {
            true => 0,
            false => {
                let ([first, last], [terminal, _]) = (ends(&self.rrn), ends(&self.terminal));
                fingerprint([first, last, terminal]).max(1)
            }
        };
        (life_cycle, retrieval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::YearMonth;
    use crate::command::{Acceptance, Credentials, EntryMode, MessageClass, ReversalKind};
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
        assert_eq!(of_authorization(&request()), 1_823_293_863_778_235_620);
        assert_eq!(of_reversal(&reversal()), 13_818_210_284_114_390_693);
    }
}
