//! /admin: partner balances, by operators.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::public;
use super::received::Received;
use crate::app::{App, Credit, NewPartnerBalance};
use crate::auth::admin_token::AdminCall;
use crate::error::Result;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/admin/public_key", get(public::public_key))
        .route("/admin/partners/{partner}/balances", post(open_partner_balance))
        .route("/admin/partner-balances/{balance}", get(show_partner_balance))
        .route("/admin/partner-balances/{balance}/reload", post(reload))
}

async fn open_partner_balance(
    State(app): State<Arc<App>>,
    by: AdminCall,
    Path(partner): Path<String>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<NewPartnerBalance>(&app, &by.0).await?;
    app.open_partner_balance(&by, &partner, body).await
}

async fn show_partner_balance(
    State(app): State<Arc<App>>,
    _by: AdminCall,
    Path(balance): Path<String>,
) -> Result<Response> {
    app.show_partner_balance(&balance).await
}

async fn reload(
    State(app): State<Arc<App>>,
    by: AdminCall,
    Path(balance): Path<String>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<Credit>(&app, &by.0).await?;
    app.reload(&by, &balance, body).await
}
