//! What needs no identity: our public key, health, metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::table::Route;
use crate::app::App;
use crate::metrics;

/// Media type of the Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/lifecycle/v1/public-key", public_key),
        Route::get("/livez", async || "alive\n"),
        Route::get("/readyz", ready),
        Route::get("/metrics", shown_metrics),
    ]
}

async fn shown_metrics() -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics::handle().render()).into_response()
}

/// Source: requirements #58.
pub(super) async fn public_key(State(app): State<Arc<App>>) -> Response {
    Json(json!({ "publicKey": app.jwe.public_key(), "kid": app.jwe.kid() })).into_response()
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = app.store.ping().await.is_ok();
    let (switch, programs) = (app.link.is_up(), app.is_announced());
    let is_ready = database && switch && programs;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": is_ready, "database": database, "switch": switch,
        "programs": programs });
    (status, Json(body)).into_response()
}
