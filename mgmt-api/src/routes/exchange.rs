//! What surrounds every request: its id, its deadline, the cap, the form of errors, log and metrics.
//!
//! Invariant: an error leaves as `application/problem+json` with the request's id, whoever made it.

use core::time::Duration;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tracing::Instrument;
use uuid::Uuid;

use crate::app::App;
use crate::call::{self, Exchange, Trace};
use crate::error::{Code, Error};
use crate::metrics;
use crate::tls::Peer;

const TRACE: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id that is taken over from the caller.
const REQUEST_ID_CHARS_MAX: usize = 64;
/// What is answered without a permit.
const HEALTH: [&str; 3] = ["/livez", "/readyz", "/metrics"];
/// The route of a request that matched none.
const NO_ROUTE: &str = "none";

pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let trace = call::header(request.headers(), TRACE.as_str());
    let trace = Trace::of(trace, Uuid::new_v4());
    let (request_id, path) = (request_id(&request), request.uri().path().to_owned());
    let exchange = Exchange { request_id, path, trace };
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(NO_ROUTE, MatchedPath::as_str);
    let route = format!("{} {route}", method_name(request.method()));
    request.extensions_mut().insert(exchange.clone());
    let span = tracing::info_span!("request", id = exchange.request_id, route, trace = %trace);
    let response = bounded(&app, request, next).instrument(span.clone()).await;
    let response = finished(response, &exchange);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    metrics::count_request(&route, status, took);
    span.in_scope(|| tracing::info!(status, micros = took.as_micros(), "answered"));
    response
}

/// A method's name where it is one that routes have: labels are from a closed list.
fn method_name(method: &Method) -> &'static str {
    [(Method::GET, "GET"), (Method::POST, "POST"), (Method::PUT, "PUT"), (Method::DELETE, "DELETE")]
        .into_iter()
        .find_map(|(known, name)| (*method == known).then_some(name))
        .unwrap_or("OTHER")
}

async fn bounded(app: &App, request: Request, next: Next) -> Response {
    // Whether it lives is asked most of all when it has much to do.
    if HEALTH.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let address = request.extensions().get::<Peer>().and_then(|peer| peer.address);
    let share = app.in_flight.enter(address, app.config.limits.requests_per_address_max);
    let (Some(_share), Ok(_permit)) = (share, app.requests.try_acquire()) else {
        return Error::from(Code::Overloaded).into_response();
    };
    let deadline = Duration::from_millis(app.config.limits.request_timeout_ms);
    match timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Error::from(Code::RequestTimeout).into_response(),
    }
}

/// The caller's own id where it is a plain one, else a new one.
fn request_id(request: &Request) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    call::header(request.headers(), REQUEST_ID.as_str())
        .filter(|id| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn finished(mut response: Response, exchange: &Exchange) -> Response {
    let error = response.extensions_mut().remove::<Error>();
    let status = response.status();
    if let Some(error) = error {
        let body = error.body(&exchange.path, &exchange.request_id);
        *response.body_mut() = Body::from(body);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    } else if status.as_u16() >= 400 && !is_ours(&response) {
        response = finished(Error::from(code_of(status)).into_response(), exchange);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Ok(trace) = HeaderValue::from_str(&exchange.trace.to_string()) {
        headers.insert(TRACE, trace);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Bodies of ours are JSON or pages; the framework's own errors are plain text or empty.
fn is_ours(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.starts_with(b"application/") || content_type.starts_with(b"text/html")
}

/// The code of an error that the framework answered.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        status if status.is_client_error() => Code::InvalidRequest,
        _ => Code::InternalError,
    }
}
