//! Listens on a link's address, one task a connection, as many as the link allows.
//!
//! Invariants: a peer whose address is not allowed is closed before a byte of it is read; a TLS
//! handshake counts as a connection, has a deadline, and there are so few at once that peers which
//! never finish theirs leave room for the others.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::link::Link;
use crate::link::allow::AllowList;
use crate::link::connection::Connection;
use crate::link::stream::{self, Stream};
use crate::link::tls::Tls;
use crate::shard::Shard;

/// Who may come in, and how.
pub struct Door {
    /// From where.
    pub allow: AllowList,
    /// Plain TCP without.
    pub tls: Option<Rc<Tls>>,
    /// At once, handshakes among them.
    pub connections_max: usize,
}

/// Accepts until the drain begins. Beyond the bound, peers wait in the kernel's queue.
pub async fn serve(
    listener: TcpListener,
    link: Rc<Link>,
    shard: Rc<Shard>,
    door: Door,
    sessions: TaskTracker,
) {
    let name = &link.rules.name;
    let permits = Arc::new(Semaphore::new(door.connections_max));
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = shard.draining.cancelled() => return,
        };
        let Some((accepted, permit)) = accepted else { return };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(link = name, %error, "accept failed");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
        };
        if !door.allow.allows(peer.ip()) {
            link.metrics.peer_refused();
            debug!(link = name, %peer, "the peer is not on the link's list");
            continue;
        }
        debug!(link = name, %peer, "connection accepted");
        let (link, shard, tls) = (Rc::clone(&link), Rc::clone(&shard), door.tls.clone());
        sessions.spawn_local(async move {
            if let Some(stream) = opened(&link, &shard, (socket, peer), tls).await {
                Connection::new(shard, link, stream).run().await;
            }
            drop(permit);
        });
    }
}

/// The stream, when its handshake is done.
async fn opened(
    link: &Link,
    shard: &Shard,
    (socket, peer): (TcpStream, SocketAddr),
    tls: Option<Rc<Tls>>,
) -> Option<Stream> {
    let name = &link.rules.name;
    if let Err(error) = stream::tuned(&socket) {
        debug!(link = name, %peer, %error, "the peer is gone already");
        return None;
    }
    let Some(tls) = tls else { return Some(Stream::Plain(socket)) };
    let shaken = tokio::select! {
        shaken = tls.handshake(socket) => shaken,
        () = shard.draining.cancelled() => return None,
    };
    match shaken {
        Ok(stream) => Some(stream),
        Err(error) => {
            link.metrics.handshake_failed();
            debug!(link = name, %peer, %error, "no TLS");
            None
        }
    }
}
