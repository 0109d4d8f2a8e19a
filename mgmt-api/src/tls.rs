//! The listeners: accept with a cap, TLS with an optional client certificate, HTTP with deadlines.
//!
//! Invariants: at the cap a connection is closed, not queued; handshake and header have deadlines;
//! a client certificate that is presented chains to our authority, and routes decide whether one is
//! needed. Source: security 4.6.

use core::convert::Infallible;
use core::time::Duration;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::Limits;
use crate::lingering::lingering;
use crate::{metrics, pki};

/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Bytes of a request's header.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// After accept fails (no file descriptor left), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of the public key of the certificate that it presented.
    pub key: Option<[u8; 32]>,
    /// Where it connects from.
    pub address: Option<IpAddr>,
}

/// A listener that is bound.
pub struct Listener {
    /// For logs and metrics.
    pub name: &'static str,
    /// The socket.
    pub socket: TcpListener,
    /// TLS; plain HTTP without.
    pub tls: Option<TlsAcceptor>,
    /// What answers.
    pub router: Router,
}

/// TLS with our certificate; with `client_ca` a client may present one of that authority.
pub fn acceptor(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(certificate)?;
    let key_file = crate::secret_file::read(key)?;
    let key = PrivateKeyDer::from_pem_slice(key_file.as_bytes())
        .with_context(|| format!("key {}", key.display()))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated()
                .build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts until `stop`, then drains what is under way for as long as the limits allow.
pub async fn serve(listener: Listener, limits: &Limits, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    let Listener { name, socket, tls, router } = listener;
    let door = Arc::new(Door { tls, router, limits: limits.clone() });
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, listener = name, "accept failed");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            metrics::count_refused_connection(name);
            continue;
        };
        let (door, watcher) = (Arc::clone(&door), graceful.watcher());
        tokio::spawn(async move {
            door.serve_connection(stream, from.ip(), watcher).await;
            drop(permit);
        });
    }
    // From here on a new client is refused at once and goes elsewhere.
    drop(socket);
    let drain = Duration::from_millis(limits.drain_timeout_ms);
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(listener = name, "requests were cut off at the drain deadline");
    }
}

/// What every connection of a listener shares.
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
}

impl Door {
    async fn serve_connection(&self, stream: TcpStream, from: IpAddr, watcher: Watcher) {
        let mut peer = Peer { key: None, address: Some(from.to_canonical()) };
        // Small answers leave at once; a socket that refuses the option still works.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            return self.speak_http(stream, peer, watcher).await;
        };
        let handshake = Duration::from_millis(self.limits.handshake_timeout_ms);
        match timeout(handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let first = certificates.and_then(<[_]>::first);
                peer.key = first.and_then(|certificate| pki::spki_sha256(certificate));
                Box::pin(self.speak_http(stream, peer, watcher)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn speak_http<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            answer(self.router.clone(), peer, lingering(request))
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.limits.header_timeout_ms));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!(error, "connection ended");
        }
    }
}

async fn answer(router: Router, peer: Peer, mut request: Request) -> Result<Response, Infallible> {
    request.extensions_mut().insert(peer);
    router.oneshot(request).await
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let what = || format!("certificate {}", path.display());
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).with_context(what)?.collect();
    let found = found.with_context(what)?;
    anyhow::ensure!(!found.is_empty(), "{} holds no certificate", path.display());
    Ok(found)
}
