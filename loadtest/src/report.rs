//! What a run reports: rates, counts, CPU time and latency percentiles to the worst.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the replies came within this time.
    pub p50: u64,
    /// 90 of 100.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// All of them.
    pub max: u64,
}

impl Latency {
    /// Of a histogram in nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile).div_ceil(1_000);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max().div_ceil(1_000),
        }
    }
}

/// Seconds of CPU time during the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuSeconds {
    /// This process.
    pub generator: f64,
    /// The switch; 0 where it was restarted meanwhile.
    pub switch: f64,
}

/// What `loadtest run` prints. Source: surface 3.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `open` or `closed`.
    pub mode: &'static str,
    /// Messages a second that were asked for; 0 in a closed loop, which takes what it gets.
    pub asked: u64,
    /// Replies a second.
    pub achieved: u64,
    /// Messages sent.
    pub sent: u64,
    /// Approved.
    pub approved: u64,
    /// Declined.
    pub declined: u64,
    /// Replies, records or balances that are not what they must be, and replies that never came.
    pub mismatches: u64,
    /// The first of them in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Messages whose connection was lost before the reply.
    pub unknown: u64,
    /// Records of the journal that were decided again.
    pub records: u64,
    /// From the first message to the last reply.
    pub seconds: f64,
    /// CPU time.
    pub cpu_seconds: CpuSeconds,
    /// From when a message was due to its reply.
    pub latency_us: Latency,
}

/// Events a second.
#[must_use]
pub fn rate(count: u64, elapsed: Duration) -> u64 {
    let nanoseconds = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { asked, achieved, approved, declined, mismatches, unknown, records, .. } = self;
        let Latency { p50, p90, p99, p999, max } = self.latency_us;
        let CpuSeconds { generator, switch } = self.cpu_seconds;
        let asked = if *asked == 0 { String::new() } else { format!(" of {asked} asked for") };
        let mut text = format!(
            "{} loop: {achieved} replies a second{asked}, {approved} approved, {declined} declined, \
             {unknown} unknown\n\
             latency in us: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}\n\
             CPU seconds: generator {generator:.2}, switch {switch:.2}\n\
             {records} records of the journal decided again, {mismatches} mismatches",
            self.mode
        );
        for detail in &self.details {
            text.push_str("\n  ");
            text.push_str(detail);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds_up_to_the_worst() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in 1..=1_000_u64 {
            histogram.record(value * 1_000).unwrap();
        }
        let latency = Latency::of(&histogram);
        assert!((499..=501).contains(&latency.p50), "{latency:?}");
        assert!((989..=991).contains(&latency.p99) && latency.max >= 1_000, "{latency:?}");
        assert_eq!(rate(500, Duration::from_millis(250)), 2_000);
    }
}
