//! What is counted for each link.
//!
//! Invariant: handles are made once for a link; counting is one atomic operation.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use super::gauge_of;

/// Handles of one link's metrics.
pub struct LinkMetrics {
    connections: Gauge,
    signed_on: Gauge,
    peers_refused: Counter,
    handshakes_failed: Counter,
    connects_failed: Counter,
    unsigned_dropped: Counter,
}

impl LinkMetrics {
    /// Says what each is.
    pub(super) fn describe() {
        describe_gauge!("switch_connections", "Processor connections open now, by link");
        describe_gauge!("switch_signed_on", "Whether the link's last sign-on still holds");
        describe_counter!(
            "switch_peers_refused_total",
            "Connections closed at once: their address is not on the link's list"
        );
        describe_counter!("switch_handshakes_failed_total", "TLS handshakes that came to nothing");
        describe_counter!(
            "switch_connects_failed_total",
            "Tries to connect to the peer that came to nothing"
        );
        describe_counter!(
            "switch_unsigned_dropped_total",
            "Messages before the sign-on that were not answered"
        );
    }

    /// Makes the handles, with the local recorder.
    pub(super) fn register(link: &str) -> Self {
        let link = link.to_owned();
        Self {
            connections: gauge!("switch_connections", "link" => link.clone()),
            signed_on: gauge!("switch_signed_on", "link" => link.clone()),
            peers_refused: counter!("switch_peers_refused_total", "link" => link.clone()),
            handshakes_failed: counter!("switch_handshakes_failed_total", "link" => link.clone()),
            connects_failed: counter!("switch_connects_failed_total", "link" => link.clone()),
            unsigned_dropped: counter!("switch_unsigned_dropped_total", "link" => link),
        }
    }

    /// So many connections are open.
    pub fn connections(&self, count: usize) {
        self.connections.set(gauge_of(count as u64));
    }

    /// The link was signed on or off.
    pub fn signed_on(&self, signed_on: bool) {
        self.signed_on.set(gauge_of(u64::from(signed_on)));
    }

    /// A peer is not on the list.
    pub fn peer_refused(&self) {
        self.peers_refused.increment(1);
    }

    /// A handshake came to nothing.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.increment(1);
    }

    /// A try to connect came to nothing.
    pub fn connect_failed(&self) {
        self.connects_failed.increment(1);
    }

    /// A message before the sign-on was dropped.
    pub fn unsigned_dropped(&self) {
        self.unsigned_dropped.increment(1);
    }
}
