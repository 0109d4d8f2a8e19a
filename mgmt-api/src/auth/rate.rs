//! How often a caller may ask: a bucket for each, refilled with time.
//!
//! Invariant: a caller that stays below its rate is never refused; what is kept of callers that
//! went away is dropped. Source: security 4.4, 4.6.

use core::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

/// A caller may ask for so many seconds' worth at once.
const BURST: Duration = Duration::from_secs(2);

/// The callers' buckets, each as the instant at which it is full again.
#[derive(Default)]
pub struct Rates {
    full_at: DashMap<String, Instant>,
}

impl Rates {
    /// Takes one of `per_second`, if there is one left.
    pub fn take(&self, caller: &str, per_second: u32, now: Instant) -> bool {
        let price = Duration::from_secs(1) / per_second.max(1);
        if let Some(mut full_at) = self.full_at.get_mut(caller) {
            let after = (*full_at).max(now) + price;
            let left = after <= now + BURST;
            if left {
                *full_at = after;
            }
            return left;
        }
        self.full_at.insert(caller.to_owned(), now + price);
        true
    }

    /// Drops buckets that are full.
    pub(crate) fn sweep(&self, now: Instant) {
        self.full_at.retain(|_caller, full_at| *full_at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_and_others_do_not_wait() {
        let (rates, start) = (Rates::default(), Instant::now());
        let passed = |caller, at: Duration| {
            (0..1_000).filter(|_one| rates.take(caller, 10, start + at)).count()
        };
        assert_eq!(passed("a", Duration::ZERO), 20);
        assert_eq!(passed("b", Duration::ZERO), 20);
        assert_eq!(passed("a", Duration::from_millis(500)), 5);
        assert_eq!(passed("a", Duration::from_secs(60)), 20);
        rates.sweep(start + Duration::from_secs(10));
        assert_eq!(rates.full_at.len(), 1);
    }
}
