//! How often a caller may ask: a bucket for each, refilled with time.
//!
//! Invariant: a caller that stays below its rate is never refused; what is kept of callers that
//! went away is dropped. Source: security 4.4, 4.6.

use core::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

/// A caller may ask for so many seconds' worth at once.
pub(crate) const BURST: Duration = Duration::from_secs(2);

/// The callers' buckets, each as the instant at which it is full again.
#[derive(Default)]
pub struct Rates {
    full_at: DashMap<String, Instant>,
}

/// How a caller stands with its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may ask now.
    pub within: bool,
    /// How often it may ask at once, when it has not asked for a while.
    pub burst: u32,
    /// How often it may ask at once now.
    pub left: u32,
    /// Seconds until it may ask as often as ever, rounded up.
    pub full_in: u64,
}

impl Rates {
    /// Takes one of `per_second`, if there is one left.
    pub fn take(&self, caller: &str, per_second: u32, now: Instant) -> Standing {
        let price = Duration::from_secs(1) / per_second.max(1);
        let standing = |within, full_at: Instant| {
            let taken = full_at.saturating_duration_since(now);
            let left = BURST.saturating_sub(taken).as_nanos() / price.as_nanos().max(1);
            Standing {
                within,
                burst: u32::try_from(BURST.as_secs()).unwrap_or(1).saturating_mul(per_second),
                left: u32::try_from(left).unwrap_or(u32::MAX),
                full_in: taken.as_secs() + u64::from(taken.subsec_nanos() > 0),
            }
        };
        if let Some(mut full_at) = self.full_at.get_mut(caller) {
            let after = (*full_at).max(now) + price;
            let within = after <= now + BURST;
            if within {
                *full_at = after;
            }
            return standing(within, *full_at);
        }
        self.full_at.insert(caller.to_owned(), now + price);
        standing(true, now + price)
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
            (0..1_000).filter(|_one| rates.take(caller, 10, start + at).within).count()
        };
        assert_eq!(passed("a", Duration::ZERO), 20);
        assert_eq!(passed("b", Duration::ZERO), 20);
        assert_eq!(passed("a", Duration::from_millis(500)), 5);
        assert_eq!(passed("a", Duration::from_secs(60)), 20);
        rates.sweep(start + Duration::from_secs(10));
        assert_eq!(rates.full_at.len(), 1);
    }

    #[test]
    fn a_caller_knows_how_often_it_may_ask_yet() {
        let (rates, start) = (Rates::default(), Instant::now());
        let take = |at| rates.take("a", 10, start + Duration::from_millis(at));
        let stands = |within, left, full_in| Standing { within, burst: 20, left, full_in };
        assert_eq!(take(0), stands(true, 19, 1));
        assert_eq!(take(0), stands(true, 18, 1));
        for _one in 0..18 {
            take(0);
        }
        assert_eq!(take(0), stands(false, 0, 2));
        assert_eq!(take(1_000), stands(true, 9, 2));
        assert_eq!(take(60_000), stands(true, 19, 1));
    }
}
