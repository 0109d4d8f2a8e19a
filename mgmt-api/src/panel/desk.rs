//! An operator at the panel: its session, what it may do, and the API asked in its name.
//!
//! Invariant: what an address of the panel names is put into an address of the API only where it
//! is plain: it cannot lead to another one.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde_json::Value;
use tower::ServiceExt;
use zeroize::Zeroizing;

use super::{Panel, page};
use crate::auth::role::Roles;
use crate::call::Exchange;
use crate::routes::table::Verb;
use crate::tls::Peer;

/// Bytes of an answer: an image of an identity check at most.
const ANSWER_MAX: usize = 16 << 20;
/// The session's cookie, over TLS and without.
const COOKIES: (&str, &str) = ("__Host-panel", "panel");

/// An operator who is signed in, and where.
pub(super) struct Desk {
    pub(super) panel: Arc<Panel>,
    pub(super) roles: Roles,
    /// `operator:` and a number.
    pub(super) operator: String,
    /// Whether it sees what belongs to all partners.
    pub(super) sees_all: bool,
    /// An action that its form asked for was done.
    pub(super) was_done: bool,
    door: Door,
}

/// With whose session the API is asked, and from where.
#[derive(Clone, Default)]
pub(super) struct Door {
    token: Zeroizing<String>,
    peer: Option<Peer>,
    exchange: Exchange,
}

/// What is asked of the API.
#[derive(Default)]
pub(super) struct Wish {
    /// The request's idempotency key.
    pub(super) key: Option<String>,
    pub(super) body: Option<Value>,
    /// What is encrypted, and why it is asked for.
    pub(super) headers: HeaderMap,
}

impl Wish {
    /// The same with the operator's reason for the audit log, as far as a header can say it.
    pub(super) fn because(mut self, reason: &str) -> Self {
        let plain = |char: char| if (' '..='~').contains(&char) { char } else { '?' };
        let reason: String = reason.trim().chars().map(plain).collect();
        if let (false, Ok(reason)) = (reason.is_empty(), HeaderValue::from_str(&reason)) {
            self.headers.insert("x-audit-reason", reason);
        }
        self
    }
}

/// Why there is no page.
pub(super) enum Trouble {
    /// Nobody is signed in.
    SignIn,
    /// The API says no.
    Problem(StatusCode, Value),
    /// A form that no page of ours sent.
    Foreign,
    /// What came is no form of ours, or no address.
    Unreadable,
}

pub(super) type Result<T> = core::result::Result<T, Trouble>;

impl Trouble {
    /// Whether the API refused for this.
    pub(super) fn is(&self, title: &str) -> bool {
        matches!(self, Self::Problem(_, problem) if page::text(problem, "title") == title)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn => see_other("/panel/sign-in"),
            Self::Problem(status, problem) => page::problem(status, &problem, "/panel", &html! {}),
            Self::Foreign => page::refusal(
                StatusCode::FORBIDDEN,
                "This form was sent by another site, or by a browser that does not say by whom.",
            ),
            Self::Unreadable => {
                page::refusal(StatusCode::BAD_REQUEST, "There is nothing of this name or form.")
            }
        }
    }
}

/// Leads on with GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

impl FromRequestParts<Arc<Panel>> for Desk {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, panel: &Arc<Panel>) -> Result<Self> {
        let door = Door::of(panel, parts).ok_or(Trouble::SignIn)?;
        let path = "/admin/sessions/current";
        let session = door.json(panel, Verb::Get, path, Wish::default()).await?;
        let names = page::items(&session, "roles").iter().filter_map(Value::as_str);
        let roles = names.collect::<Vec<_>>().join(",").parse().unwrap_or(Roles::NONE);
        Ok(Self {
            panel: Arc::clone(panel),
            roles,
            operator: page::text(&session, "operator").to_owned(),
            sees_all: page::part(&session, "partnerId").is_null(),
            was_done: parts.uri.query().is_some_and(|query| query.contains("done=1")),
            door,
        })
    }
}

impl Door {
    /// For whoever comes without a session.
    pub(super) fn without_session(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<Peer>().copied();
        let exchange = parts.extensions.get::<Exchange>().cloned().unwrap_or_default();
        Self { peer, exchange, ..Self::default() }
    }

    /// With the session of the request's cookie.
    pub(super) fn of(panel: &Panel, parts: &Parts) -> Option<Self> {
        // HTTP/2 sends each cookie in a field of its own.
        let fields = parts.headers.get_all(COOKIE).into_iter();
        let cookies = fields.filter_map(|field| field.to_str().ok());
        let mut pairs = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_name, token) = pairs.find(|(name, _)| *name == panel.cookie_name())?;
        let door = Self::without_session(parts);
        Some(Self { token: Zeroizing::new(token.to_owned()), ..door })
    }

    /// The answer to a request, whatever it is.
    pub(super) async fn ask(
        &self,
        panel: &Panel,
        verb: Verb,
        path: &str,
        wish: Wish,
    ) -> Result<Response> {
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        };
        let body = wish.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).body(body);
        let mut request = request.map_err(|_no_address| Trouble::Unreadable)?;
        let headers = request.headers_mut();
        headers.extend(wish.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let bearer = Zeroizing::new(format!("Bearer {}", &*self.token));
        if let (false, Ok(mut value)) = (self.token.is_empty(), HeaderValue::from_str(&bearer)) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(key) = wish.key.as_deref().map(HeaderValue::from_str) {
            let key = key.map_err(|_no_key| Trouble::Unreadable)?;
            headers.insert("x-idempotency-key", key);
        }
        for (name, text) in [
            ("x-request-id", self.exchange.request_id.clone()),
            ("traceparent", self.exchange.trace.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let Ok(response) = panel.api.clone().oneshot(request).await;
        match response.status() {
            status if status.is_success() => Ok(response),
            // A session that has ended, not a password that is wrong.
            StatusCode::UNAUTHORIZED if !self.token.is_empty() => Err(Trouble::SignIn),
            status => Err(Trouble::Problem(status, read(response).await)),
        }
    }

    /// The answer as JSON; null where it has none.
    pub(super) async fn json(
        &self,
        panel: &Panel,
        verb: Verb,
        path: &str,
        wish: Wish,
    ) -> Result<Value> {
        Ok(read(self.ask(panel, verb, path, wish).await?).await)
    }
}

async fn read(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), ANSWER_MAX).await.unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

impl Panel {
    /// A browser sends a cookie of this name back over TLS alone, and to this host alone.
    pub(super) const fn cookie_name(&self) -> &'static str {
        if self.is_tls { COOKIES.0 } else { COOKIES.1 }
    }
}

impl Desk {
    /// What the API has at a path.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.door.json(&self.panel, Verb::Get, path, Wish::default()).await
    }

    /// What the API has at a path, looked at for a reason that is written down.
    pub(super) async fn get_because(&self, path: &str, reason: &str) -> Result<Value> {
        let wish = Wish::default().because(reason);
        self.door.json(&self.panel, Verb::Get, path, wish).await
    }

    /// What the API has at a path, nothing where the operator may not see it or it is not there.
    pub(super) async fn get_if_admitted(&self, path: &str) -> Result<Option<Value>> {
        if !self.may(Verb::Get, path) {
            return Ok(None);
        }
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(Trouble::Problem(StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// What the API has at a path, as it is.
    pub(super) async fn file(&self, path: &str) -> Result<Response> {
        self.door.ask(&self.panel, Verb::Get, path, Wish::default()).await
    }

    /// Has the API do something.
    pub(super) async fn ask(&self, verb: Verb, path: &str, wish: Wish) -> Result<Value> {
        self.door.json(&self.panel, verb, path, wish).await
    }

    /// Whether the operator's roles admit it to a route.
    pub(super) fn may(&self, verb: Verb, path: &str) -> bool {
        self.panel.admits(self.roles, verb, path)
    }
}

/// A part of an address: letters, digits, hyphens. Ids and their like are no more than that.
pub(super) fn plain(part: &str) -> Result<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match (1..=64).contains(&part.len()) && part.bytes().all(is_plain) {
        true => Ok(part),
        false => Err(Trouble::Unreadable),
    }
}
