//! A partner's server: it takes notices, writes down what came, and answers as it is told to.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
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
    pub(crate) method: String,
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
    answers: VecDeque<(u16, Value)>,
    /// What is read, by path.
    there: HashMap<String, Value>,
    /// Milliseconds until an answer.
    slow: u64,
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
        let answers = statuses.iter().map(|status| (*status, Value::Null));
        self.desk.lock().unwrap().answers.extend(answers);
    }

    /// Answers with this problem next.
    pub(crate) fn refuse(&self, status: u16, title: &str) {
        let problem = json!({ "title": title, "detail": "the partner's words" });
        self.desk.lock().unwrap().answers.push_back((status, problem));
    }

    /// Has this to be read under a path.
    pub(crate) fn put(&self, path: &str, value: Value) {
        self.desk.lock().unwrap().there.insert(format!("/base{path}"), value);
    }

    /// Takes so long to answer from now on.
    pub(crate) fn be_slow(&self, milliseconds: u64) {
        self.desk.lock().unwrap().slow = milliseconds;
    }
}

async fn take(
    State(desk): State<Arc<Mutex<Desk>>>,
    (method, OriginalUri(uri)): (Method, OriginalUri),
    headers: HeaderMap,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Response {
    let (answer, slow) = {
        let mut desk = desk.lock().unwrap();
        if desk.wants_certificates && peer.key.is_none() {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if uri.path() == "/base/public-key" {
            desk.keys_asked += 1;
            return Json(json!({ "publicKey": desk.key })).into_response();
        }
        let (path, method) = (uri.path().to_owned(), method.to_string());
        let there = desk.there.get(&path).cloned().filter(|_| method == "GET");
        if there.is_none() {
            desk.taken.push(Taken { method, path, headers, bytes: body.to_vec() });
        }
        let answer = match there {
            Some(value) => (200, value),
            None => desk.answers.pop_front().unwrap_or((204, Value::Null)),
        };
        (answer, desk.slow)
    };
    tokio::time::sleep(Duration::from_millis(slow)).await;
    let status = StatusCode::from_u16(answer.0).unwrap();
    if answer.1.is_null() {
        status.into_response()
    } else {
        (status, Json(answer.1)).into_response()
    }
}
