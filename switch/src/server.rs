//! Listens on a link's address, one task a connection, as many as the link allows.

use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::session::{LinkRules, Session};
use crate::shard::Shard;

/// Accepts until the drain begins. Beyond the bound, peers wait in the kernel's queue.
pub async fn serve(
    listener: TcpListener,
    link: Rc<LinkRules>,
    shard: Rc<Shard>,
    connections_max: usize,
    sessions: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(connections_max));
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
        let stream = match accepted {
            Ok((stream, peer)) => {
                debug!(link = link.name, %peer, "connection accepted");
                stream
            }
            Err(error) => {
                warn!(link = link.name, %error, "accept failed");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(link = link.name, %error, "the peer is gone already");
            continue;
        }
        let session = Session::new(Rc::clone(&shard), Rc::clone(&link), stream);
        let shard = Rc::clone(&shard);
        sessions.spawn_local(async move {
            shard.metrics.connected(1.0);
            session.run().await;
            shard.metrics.connected(-1.0);
            drop(permit);
        });
    }
}
