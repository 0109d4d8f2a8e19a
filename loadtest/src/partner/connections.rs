//! Connections: so many at once, HTTP/1.1, closed without an answer where a fault asks for it.
//!
//! Invariant: no connection outlives the future that serves it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::faults::Close;

/// Connections at once; others wait.
const CONNECTIONS_MAX: usize = 1_024;
/// Between two requests of a connection at most.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let Ok((stream, _peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        connections.spawn(async move {
            serve_one(stream, router).await;
            drop(permit);
        });
    }
}

async fn serve_one(stream: TcpStream, router: Router) {
    let service = service_fn(|request| answer(router.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE_MAX);
    // A connection that breaks is the client's affair, and one that is cut was asked for.
    http.serve_connection(TokioIo::new(stream), service).await.ok();
}

/// An error closes the connection.
async fn answer(router: Router, request: hyper::Request<Incoming>) -> io::Result<Response> {
    let answered: Result<Response, Infallible> = router.oneshot(request).await;
    let Ok(response) = answered;
    if response.extensions().get::<Close>().is_some() {
        return Err(io::Error::other("closed on request"));
    }
    Ok(response)
}
