//! Versions of what is configured: a GET says which one it shows (`ETag`), and a PUT or DELETE with
//! `If-Match` is done only if that is the one there is. Source: requirements 3, RFC 9110 8.8, 13.1.
//!
//! Invariants: changes of what has versions are carried out one after the other here, so that none
//! comes between the look and the change; a request that was answered before is answered alike,
//! whatever there is now. Two servers on one database do not wait for each other.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tower::ServiceExt;

use super::received::read_bytes;
use crate::app::{App, hex};
use crate::call::{self, Call};
use crate::error::{Code, Error, Result};
use crate::pki;

/// Bytes of what is shown of a configuration.
const SHOWN_MAX: usize = 1 << 20;
/// Bytes of the hash that tells versions apart.
const TAG_BYTES: usize = 16;

/// What shows the version that there is.
#[derive(Clone)]
pub(super) struct Versioned {
    pub(super) app: Arc<App>,
    pub(super) shown_by: MethodRouter<Arc<App>>,
}

/// Says the version of what is shown.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    match with_tag(next.run(request).await).await {
        Ok((response, _tag)) => response,
        Err(error) => error.into_response(),
    }
}

/// Changes the version that was asked for, or nothing.
pub(super) async fn checked(
    State(versioned): State<Versioned>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    // All of it is here before anybody waits for it.
    let body = match read_bytes(whole, &versioned.app).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let _others_wait = versioned.app.versions.lock().await;
    match check(&versioned, &parts).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => error.into_response(),
    }
}

async fn check(versioned: &Versioned, parts: &Parts) -> Result<()> {
    let Some(wanted) = call::header(&parts.headers, IF_MATCH.as_str()) else {
        let is_there = parts.headers.contains_key(IF_MATCH);
        return if is_there { Err(Code::PreconditionFailed.into()) } else { Ok(()) };
    };
    if let Some(call) = parts.extensions.get::<Call>()
        && versioned.app.was_answered(call).await?
    {
        return Ok(());
    }
    let mut look = Request::from_parts(parts.clone(), Body::empty());
    *look.method_mut() = Method::GET;
    let shown_by = versioned.shown_by.clone().with_state(Arc::clone(&versioned.app));
    let Ok(shown) = shown_by.oneshot(look).await;
    let (_shown, tag) = with_tag(shown).await?;
    let tag = tag.ok_or(Code::PreconditionFailed)?;
    let mut tags = wanted.split(',').map(str::trim);
    match tags.any(|wanted| wanted == "*" || wanted == tag) {
        true => Ok(()),
        false => Err(Code::PreconditionFailed.into()),
    }
}

/// A response with its version, where it shows something.
async fn with_tag(response: Response) -> Result<(Response, Option<String>)> {
    if response.status() != StatusCode::OK {
        return Ok((response, None));
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, SHOWN_MAX).await.map_err(|error| Error::internal("etag", &error))?;
    let hash = pki::sha256(&body);
    let (first, _rest) = hash.split_at(TAG_BYTES);
    let tag = format!("\"{}\"", hex(first));
    let value = HeaderValue::from_str(&tag).map_err(|error| Error::internal("etag", &error))?;
    parts.headers.insert(ETAG, value);
    Ok((Response::from_parts(parts, Body::from(body)), Some(tag)))
}
