//! /lifecycle: users, by partners.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post, put};

use super::public;
use super::received::Received;
use crate::app::{App, CustomerFlags, NewWallet};
use crate::auth::client_cert::LifecycleCall;
use crate::error::Result;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/lifecycle/v1/wallet", post(add_customer))
        .route("/lifecycle/v1/users/{id}", put(set_customer_flags))
        .route("/lifecycle/v1/public-key", get(public::public_key))
}

async fn add_customer(
    State(app): State<Arc<App>>,
    LifecycleCall(by): LifecycleCall,
    received: Received,
) -> Result<Response> {
    let body = received.json::<NewWallet>(&app, &by.call).await?;
    app.add_customer(&by, body).await
}

async fn set_customer_flags(
    State(app): State<Arc<App>>,
    LifecycleCall(by): LifecycleCall,
    Path(id): Path<String>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<CustomerFlags>(&app, &by.call).await?;
    app.set_customer_flags(&by, &id, body).await
}
