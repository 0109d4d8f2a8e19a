//! /secure: a partner's customers, balances and cards.

use std::sync::Arc;

use axum::Router;
use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::multipart::read_form;
use super::public;
use super::received::Received;
use crate::app::{
    App, BalancePath, CardPath, Credit, LockRequest, NewBalance, NewVirtualCard, Page,
};
use crate::auth::client_cert::SecureCall;
use crate::error::{Code, Error, Result};

pub(super) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let uploads = DefaultBodyLimit::max(app.config.limits.multipart_bytes_max);
    Router::new()
        .route("/secure/public_key", get(public::public_key))
        .route("/secure/customers/{customer}/register", post(register).layer(uploads))
        .route("/secure/customers/{customer}/balances", get(list_balances).post(open_balance))
        .route(
            "/secure/customers/{customer}/balances/{balance}",
            get(show_balance).delete(close_balance),
        )
        .route("/secure/customers/{customer}/balances/{balance}/topup", post(top_up))
        .route("/secure/customers/{customer}/cards/virtual", post(issue_card))
        .route("/secure/customers/{customer}/cards/{card}", get(show_card))
        .route("/secure/customers/{customer}/cards/{card}/lock", post(lock_card))
        .route("/secure/customers/{customer}/cards/{card}/unlock", post(unlock_card))
}

async fn register(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(customer): Path<String>,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let multipart = multipart.map_err(|_other| Error::from(Code::UnsupportedMediaType))?;
    let _permit = app.uploads.acquire().await;
    let body = read_form(&app, multipart).await?;
    app.register_verification(&by, &customer, body).await
}

async fn open_balance(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(customer): Path<String>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<NewBalance>(&app, &by.call).await?;
    app.open_balance(&by, &customer, body).await
}

async fn list_balances(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(customer): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response> {
    let Query(page) = page.map_err(|_other| Error::from(Code::InvalidRequest))?;
    app.list_balances(&by, &customer, page).await
}

async fn show_balance(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<BalancePath>,
) -> Result<Response> {
    app.show_balance(&by, &at).await
}

async fn close_balance(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<BalancePath>,
) -> Result<Response> {
    app.close_balance(&by, &at).await
}

async fn top_up(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<BalancePath>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<Credit>(&app, &by.call).await?;
    app.top_up(&by, &at, body).await
}

async fn issue_card(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(customer): Path<String>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<NewVirtualCard>(&app, &by.call).await?;
    app.issue_card(&by, &customer, body).await
}

async fn show_card(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<CardPath>,
) -> Result<Response> {
    app.show_card(&by, &at).await
}

async fn lock_card(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<CardPath>,
    received: Received,
) -> Result<Response> {
    let body = received.json::<LockRequest>(&app, &by.call).await?;
    app.lock_card(&by, &at, body).await
}

async fn unlock_card(
    State(app): State<Arc<App>>,
    by: SecureCall,
    Path(at): Path<CardPath>,
    received: Received,
) -> Result<Response> {
    let hash = received.nothing(&app)?;
    app.unlock_card(&by, &at, hash).await
}
