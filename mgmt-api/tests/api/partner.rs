//! A partner's server: it takes notices, writes down what came, and answers as it is told to.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use mgmt_api::config::Limits;
use mgmt_api::tls::{self, Listener, Peer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Taken {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Default)]
struct Desk {
    taken: Vec<Taken>,
    answers: VecDeque<u16>,
    key: String,
    keys_asked: usize,
    wants_certificates: bool,
}

pub(crate) struct Partner {
    pub(crate) url: String,
    desk: Arc<Mutex<Desk>>,
    _stop: DropGuard,
}

impl Partner {
    /// Over plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// Over TLS with this certificate and key, to clients of this authority alone.
    pub(crate) async fn start_tls(certificate: &Path, key: &Path, ca: &Path) -> Self {
        Self::listen(Some(tls::acceptor(certificate, key, Some(ca)).unwrap())).await
    }

    async fn listen(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/base", socket.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let router = Router::new().fallback(take).with_state(Arc::clone(&desk));
        let stop = CancellationToken::new();
        let listener = Listener { name: "partner", socket, tls, router };
        let until = stop.clone();
        tokio::spawn(async move { tls::serve(listener, &Limits::default(), until).await });
        Self { url, desk, _stop: stop.drop_guard() }
    }

    /// What came so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.desk.lock().unwrap().taken.clone()
    }

    /// Has this public key from now on.
    pub(crate) fn set_key(&self, key: &str) {
        self.desk.lock().unwrap().key = key.to_owned();
    }

    /// How often it was asked for its key.
    pub(crate) fn keys_asked(&self) -> usize {
        self.desk.lock().unwrap().keys_asked
    }

    /// Refuses whoever shows no certificate.
    pub(crate) fn want_certificates(&self) {
        self.desk.lock().unwrap().wants_certificates = true;
    }

    /// Answers these next, then 204 again.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.desk.lock().unwrap().answers.extend(statuses);
    }
}

async fn take(
    State(desk): State<Arc<Mutex<Desk>>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Response {
    let mut desk = desk.lock().unwrap();
    if desk.wants_certificates && peer.key.is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.path() == "/base/public-key" {
        desk.keys_asked += 1;
        return Json(json!({ "publicKey": desk.key })).into_response();
    }
    desk.taken.push(Taken { path: uri.path().to_owned(), headers, bytes: body.to_vec() });
    StatusCode::from_u16(desk.answers.pop_front().unwrap_or(204)).unwrap().into_response()
}
