//! Connections that we open, and open again whenever they end.
//!
//! Invariant: between two tries there is a pause that doubles up to its bound, and shrinks again
//! only when the peer has said something; it differs from link to link and time to time, so that a
//! peer that comes back is not met by everybody at once.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::{info, warn};

use super::Link;
use super::connection::Connection;
use super::stream::{self, Stream};
use super::tls::{HandshakeError, Tls};
use crate::config;
use crate::shard::Shard;

/// Where to, and how eagerly.
#[derive(Clone, Debug)]
pub struct Target {
    /// The peer.
    pub address: SocketAddr,
    /// A connection must be there within this time.
    pub connect_deadline: Duration,
    /// The first pause.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("no connection in time")]
    TooSlow,
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error("TLS: {0}")]
    Handshake(#[from] HandshakeError),
}

impl Target {
    /// From the configuration.
    #[must_use]
    pub fn of(link: &config::Link) -> Self {
        Self {
            address: link.address,
            connect_deadline: Duration::from_millis(link.connect_deadline_ms),
            pause_min: Duration::from_millis(link.reconnect_pause_ms_min),
            pause_max: Duration::from_millis(link.reconnect_pause_ms_max),
        }
    }
}

/// Keeps one connection open until the drain begins; then it ends when that has drained.
pub async fn keep(link: Rc<Link>, shard: Rc<Shard>, target: Target, tls: Option<Rc<Tls>>) {
    let name = &link.rules.name;
    let mut pause = target.pause_min;
    loop {
        let connected = tokio::select! {
            connected = connect(&target, tls.as_deref()) => connected,
            () = shard.draining.cancelled() => return,
        };
        match connected {
            Ok(stream) => {
                info!(link = name, peer = %target.address, "connected");
                let mut connection = Connection::new(Rc::clone(&shard), Rc::clone(&link), stream);
                let ended = connection.run().await;
                info!(link = name, peer = %target.address, reason = %ended, "connection ended");
                if connection.was_served() {
                    pause = target.pause_min;
                }
            }
            Err(error) => {
                link.metrics.connect_failed();
                warn!(link = name, peer = %target.address, %error, "not connected");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = shard.draining.cancelled() => return,
        }
        pause = pause.saturating_mul(2).min(target.pause_max);
    }
}

async fn connect(target: &Target, tls: Option<&Tls>) -> Result<Stream, DialError> {
    let connecting = TcpStream::connect(target.address);
    let socket = tokio::time::timeout(target.connect_deadline, connecting)
        .await
        .map_err(|_elapsed| DialError::TooSlow)??;
    stream::tuned(&socket)?;
    Ok(match tls {
        Some(tls) => tls.handshake(socket).await?,
        None => Stream::Plain(socket),
    })
}

/// Between half of a pause and all of it.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    let most = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(fastrand::u64(0..=most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_above_its_bound_nor_below_half_and_never_the_same_for_all() {
        for pause in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(30)] {
            let pauses: Vec<Duration> = (0..1_000).map(|_| jittered(pause)).collect();
            assert!(pauses.iter().all(|jittered| (pause / 2..=pause).contains(jittered)));
            let differs = pauses.iter().any(|jittered| *jittered != pauses[0]);
            assert_eq!(differs, !pause.is_zero());
        }
    }
}
