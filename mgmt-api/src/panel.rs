//! The administration panel: pages for operators, made of what the API under /admin answers.
//! Source: requirements #35, #43, #173 to #179.
//!
//! Invariants: the panel has no store, no switch and no card keys. It asks the router of /admin
//! with the session of its operator, so that nobody can do here what they may not do there, and
//! everything is written down as it is there. Pages work without scripts. A form asks for its
//! effect once, however often it is sent.

mod act;
mod cards;
mod checks;
mod customers;
mod desk;
mod money;
mod page;
mod partners;
mod programs;
mod sign_in;
mod start;
mod transactions;

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::time::timeout;

use self::desk::Trouble;
use crate::app::App;
use crate::auth::access::Access;
use crate::auth::role::Roles;
use crate::call;
use crate::jwe::Jwe;
use crate::routes::table::{Route, Verb};

/// Where a page may take things from: here, and no script from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";
const HEADERS: [(&str, &str); 4] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    // Forms say where they come from; nobody else is told.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];
/// Bytes of a form.
const FORM_MAX: usize = 64 << 10;
const STYLE: &str = include_str!("panel/style.css");

/// What all pages share.
pub(crate) struct Panel {
    /// The router of /admin.
    api: Router,
    /// Whom its routes are for.
    doors: Vec<(Verb, String, Roles)>,
    jwe: Arc<Jwe>,
    /// Whether browsers come over TLS.
    is_tls: bool,
    /// How long a form may take to come.
    body_timeout: Duration,
}

impl Panel {
    pub(crate) fn new(api: Router, routes: &[Route], app: &App) -> Self {
        let doors = routes.iter().filter_map(|route| match route.access {
            Access::Operator(roles) => Some((route.verb, route.path.clone(), roles)),
            Access::Anyone
            | Access::Partner
            | Access::Lifecycle
            | Access::Customer
            | Access::Processor => None,
        });
        Self {
            api,
            doors: doors.collect(),
            jwe: Arc::clone(&app.jwe),
            is_tls: app.config.public.key.is_some(),
            body_timeout: Duration::from_millis(app.config.limits.body_timeout_ms),
        }
    }

    /// Whether one of `roles` may ask for this.
    fn admits(&self, roles: Roles, verb: Verb, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        self.doors.iter().any(|(door, template, allowed)| {
            *door == verb && is_like(template, path) && roles.meet(*allowed)
        })
    }
}

/// Whether a path is one of a template with names in braces.
fn is_like(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || one.starts_with('{') => {}
            (Some(_), Some(_)) | (None, Some(_)) | (Some(_), None) => return false,
        }
    }
}

/// Every page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(panel: Panel) -> Router<S> {
    let customer = "/panel/customers/{customer}";
    let of_customer = |rest: &str| format!("{customer}{rest}");
    let panel = Arc::new(panel);
    Router::new()
        .route("/panel", get(start::start))
        .route("/panel/style.css", get(style))
        .route("/panel/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/panel/sign-out", post(sign_in::sign_out))
        .route("/panel/act", post(act::act))
        .route("/panel/customers", get(customers::list))
        .route("/panel/customers/find", post(customers::find))
        .route(customer, get(customers::one))
        .route(&of_customer("/balances/{balance}"), get(money::balance))
        .route(&of_customer("/balances/{balance}/ibans"), post(money::reveal))
        .route(&of_customer("/cards/{card}"), get(cards::one))
        .route(&of_customer("/transactions"), get(transactions::list))
        .route("/panel/transactions/find", post(transactions::find))
        .route("/panel/transactions/{transaction}", get(transactions::one))
        .route("/panel/checks", get(checks::list))
        .route("/panel/checks/{check}", get(checks::one))
        .route("/panel/checks/{check}/images/{image}", get(checks::image))
        .route("/panel/partners", get(partners::list))
        .route("/panel/partners/{partner}", get(partners::one))
        .route("/panel/partner-balances/{balance}", get(partners::balance))
        .route("/panel/reloads", get(partners::reloads))
        .route("/panel/programs", get(programs::list))
        .route("/panel/programs/{program}", get(programs::one))
        .route("/panel/programs/{program}/report", get(programs::report))
        .route("/panel/log", get(start::log))
        .layer(middleware::from_fn_with_state(Arc::clone(&panel), guarded))
        .with_state(panel)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// A form of another site does nothing here; every answer says what its page may do.
async fn guarded(State(panel): State<Arc<Panel>>, request: Request, next: Next) -> Response {
    let is_ours = request.method() == Method::GET || comes_from_here(&request);
    let mut response = match is_ours {
        true => match whole(&panel, request).await {
            Ok(request) => next.run(request).await,
            Err(trouble) => trouble.into_response(),
        },
        false => Trouble::Foreign.into_response(),
    };
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A request of which all is here, however slowly it was sent, or none.
async fn whole(panel: &Panel, request: Request) -> Result<Request, Trouble> {
    let (parts, body) = request.into_parts();
    let read = timeout(panel.body_timeout, to_bytes(body, FORM_MAX)).await;
    let body = read.ok().and_then(Result::ok).ok_or(Trouble::Unreadable)?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Whether a form was sent by a page of ours, as its browser says.
fn comes_from_here(request: &Request) -> bool {
    let said = |name| call::header(request.headers(), name);
    if let Some(site) = said("sec-fetch-site") {
        return site == "same-origin";
    }
    let host = said("host").or_else(|| request.uri().authority().map(|at| at.as_str()));
    let origin = said("origin").and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_scheme, from)| Some(from) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_like_its_template_alone() {
        let template = "/admin/customers/{customer}/cards/{card}/lock";
        assert!(is_like(template, "/admin/customers/1/cards/2/lock"));
        for other in ["/admin/customers/1/cards/2", "/admin/customers/1/cards/2/lock/3", "/admin"] {
            assert!(!is_like(template, other), "{other}");
        }
    }
}
