//! The addresses of the two listeners. A handler reads, makes one call and answers.
//!
//! Invariants: every route names its caller by extractor; every body is bounded; errors of the
//! framework leave in the same form as ours.

mod admin;
mod exchange;
mod lifecycle;
mod multipart;
mod public;
mod received;
mod secure;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::error::{Code, Error};

/// What the listener with client certificates serves.
pub fn secure(app: &Arc<App>) -> Router {
    finished(app, secure::routes(app).merge(lifecycle::routes()))
}

/// What the other listener serves.
pub fn public(app: &Arc<App>) -> Router {
    finished(app, public::routes().merge(admin::routes()))
}

/// Fallbacks, the default bound of bodies, and the layer that every request goes through.
fn finished(app: &Arc<App>, routes: Router<Arc<App>>) -> Router {
    routes
        .fallback(async || Error::from(Code::RouteNotFound))
        .method_not_allowed_fallback(async || Error::from(Code::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(app.config.limits.json_bytes_max))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(app), exchange::exchange))
        .with_state(Arc::clone(app))
}
