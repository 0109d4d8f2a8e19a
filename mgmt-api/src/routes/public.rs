//! What needs no identity: our public key, health, metrics, documentation.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Ours;
use super::table::Route;
use crate::metrics;

/// Media type of the Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// The key that requests are encrypted to: base64 of its PEM, and its name. Source: requirements
/// #58.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicKey {
    public_key: String,
    kid: String,
}

/// What is needed to serve.
#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    database: bool,
    switch: bool,
    programs: bool,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        public_key_at("/lifecycle/v1/public-key"),
        Route::get("/livez", ("alive", async || "alive\n"))
            .says("Whether the process answers.")
            .gives_as("text/plain"),
        Route::get("/readyz", ("ready", ready))
            .says("Whether database, switch and programs are there; 503 while not.")
            .gives::<Readiness>(200),
        Route::get("/metrics", ("metrics", shown_metrics))
            .says("Metrics in the Prometheus text format.")
            .gives_as("text/plain"),
    ]
}

/// Our public key at an address of the channel that needs it.
pub(super) fn public_key_at(path: &str) -> Route {
    Route::get(path, ("public_key", public_key))
        .says("The key that requests are encrypted to.")
        .gives::<PublicKey>(200)
}

async fn public_key(State(app): Ours) -> Response {
    let (public_key, kid) = (app.jwe.public_key(), app.jwe.kid().to_owned());
    Json(PublicKey { public_key, kid }).into_response()
}

async fn ready(State(app): Ours) -> Response {
    let database = app.store.ping().await.is_ok();
    let (switch, programs) = (app.link.is_up(), app.is_announced());
    let ready = database && switch && programs;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, database, switch, programs })).into_response()
}

async fn shown_metrics() -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics::handle().render()).into_response()
}
