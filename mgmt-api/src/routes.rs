//! The addresses of the two listeners. A handler reads, makes one call and answers.
//!
//! Invariants: every route names whom it is for; every body is bounded; errors of the framework
//! leave in the same form as ours.

mod admin;
mod customer;
mod customers;
mod exchange;
mod lifecycle;
mod limits;
mod multipart;
mod public;
mod received;
mod sandbox;
mod secure;
pub mod table;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_swagger_ui::SwaggerUi;

use self::table::Route;
use crate::app::App;
use crate::auth::access::Access;
use crate::config::Limits;
use crate::error::{Code, Error};
use crate::openapi;
use crate::panel::{self, Panel};

/// What every handler is given.
type Ours = axum::extract::State<Arc<App>>;

/// A handler that makes one call of the application with what it extracts.
macro_rules! on {
    ($call:ident: $a:ty) => {
        (stringify!($call), async |axum::extract::State(app): Ours, a: $a| app.$call(a).await)
    };
    ($call:ident: $a:ty, $b:ty) => {
        (stringify!($call), async |axum::extract::State(app): Ours, a: $a, b: $b| {
            app.$call(a, b).await
        })
    };
    ($call:ident: $a:ty, $b:ty, $c:ty, $d:ty) => {
        (stringify!($call), async |axum::extract::State(app): Ours, a: $a, b: $b, c: $c, d: $d| {
            app.$call(a, b, c, d).await
        })
    };
    ($call:ident: $a:ty, $b:ty, $c:ty) => {
        (stringify!($call), async |axum::extract::State(app): Ours, a: $a, b: $b, c: $c| {
            app.$call(a, b, c).await
        })
    };
}
use on;

/// Every route: with client certificates, and without.
#[must_use]
pub fn all(limits: &Limits) -> (Vec<Route>, Vec<Route>) {
    let of_customers: Vec<Route> = customer::routes(limits);
    let (secure, public): (Vec<_>, Vec<_>) =
        of_customers.into_iter().partition(|route| route.access == Access::Partner);
    (
        [secure, secure::routes(), lifecycle::routes(), sandbox::routes("/sandbox")].concat(),
        [
            public,
            customers::routes(),
            admin::routes(),
            public::routes(),
            sandbox::routes("/admin/sandbox"),
        ]
        .concat(),
    )
}

/// What the listener with client certificates serves, and what the other one does.
pub fn routers(app: &Arc<App>) -> (Router, Router) {
    let (secure, public) = all(&app.config.limits);
    // The page and its scripts are part of the program: it needs no network.
    let page = SwaggerUi::new("/docs")
        .external_url_unchecked(openapi::ADDRESS, openapi::document(&app.config.limits));
    // What the panel asks.
    let theirs = public.iter().filter(|route| route.path.starts_with("/admin/")).cloned();
    let operators = finished(app, table::router(app, theirs.collect()));
    let panel = Panel::new(operators, &public, app);
    let public = table::router(app, public).merge(page).merge(panel::router(panel));
    (finished(app, table::router(app, secure)), finished(app, public))
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
