//! Arrival times of an open loop, fixed in advance by rate and seed: whatever the switch does, the
//! next message is due when it is due.
//!
//! Invariant: times never go back, and their mean distance is one over the rate. The distances are
//! exponential, as those of independent cardholders are.

use std::time::Duration;

/// Times from the start of the run, for ever.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: fastrand::Rng,
    mean_seconds: f64,
    next_seconds: f64,
}

impl Arrivals {
    /// So many a second.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "a distance in time, not money")]
    pub fn new(rate: u32, seed: u64) -> Self {
        let mean_seconds = 1.0 / f64::from(rate.max(1));
        Self { random: fastrand::Rng::with_seed(seed), mean_seconds, next_seconds: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    #[expect(clippy::float_arithmetic, reason = "a distance in time, not money")]
    fn next(&mut self) -> Option<Duration> {
        self.next_seconds -= self.mean_seconds * (1.0 - self.random.f64()).ln();
        Some(Duration::from_secs_f64(self.next_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_the_seed_decides() {
        let times: Vec<Duration> = Arrivals::new(10_000, 1).take(20_000).collect();
        assert!(times.is_sorted());
        let last = times.last().unwrap();
        assert!((1_900..2_100).contains(&last.as_millis()), "{last:?}");
        assert_eq!(times, Arrivals::new(10_000, 1).take(20_000).collect::<Vec<_>>());
        assert_ne!(times, Arrivals::new(10_000, 2).take(20_000).collect::<Vec<_>>());
    }
}
