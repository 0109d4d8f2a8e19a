//! What belongs to a cardholder: the same under /secure/customers/{id}, /customers/me and
//! /admin/customers/{id}, each for whom the seed's tables name. Source: requirements 2.2.

use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::response::Response;

use super::multipart::read_form;
use super::table::Route;
use super::{Ours, on};
use crate::app::{
    Asked, BalancePath, Body, CardPath, Credit, LockRequest, NewBalance, NewVirtualCard, Nothing,
    Page,
};
use crate::auth::access::Encryption;
use crate::auth::role::Roles;
use crate::call::CustomerCall;
use crate::config::Limits;
use crate::error::{Code, Error, Result};

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes(limits: &Limits) -> Vec<Route> {
    let uploads = DefaultBodyLimit::max(limits.multipart_bytes_max);
    let (staff, managers, admin) = (Roles::STAFF, Roles::ADMIN | Roles::MANAGER, Roles::ADMIN);
    [
        Route::post("/register", register).around(uploads)
            .of_customer().partners().customers(),
        Route::get("/balances", on!(list_balances: CustomerCall, Asked<Page>))
            .of_customer().partners().customers().operators(staff),
        Route::post("/balances", on!(open_balance: CustomerCall, Body<NewBalance>))
            .of_customer().partners().customers().operators(managers),
        Route::get("/balances/{balance}", on!(show_balance: CustomerCall, BalancePath))
            .of_customer().partners().customers().operators(staff),
        Route::delete("/balances/{balance}", on!(close_balance: CustomerCall, BalancePath, Nothing))
            .of_customer().partners().customers().operators(admin),
        Route::post("/balances/{balance}/topup", on!(top_up: CustomerCall, BalancePath, Body<Credit>))
            .of_customer().partners().operators(admin),
        Route::post("/cards/virtual", on!(issue_card: CustomerCall, Body<NewVirtualCard>))
            .encrypted(Encryption::Answer).of_customer().partners().customers().operators(managers),
        Route::get("/cards/{card}", on!(show_card: CustomerCall, CardPath))
            .of_customer().partners().customers().operators(staff),
        Route::post("/cards/{card}/lock", on!(lock_card: CustomerCall, CardPath, Body<LockRequest>))
            .of_customer().partners().customers().operators(staff),
        Route::post("/cards/{card}/unlock", on!(unlock_card: CustomerCall, CardPath, Nothing))
            .of_customer().partners().customers().operators(staff),
    ]
    .into_iter()
    .flat_map(|route| route.each())
    .collect()
}

async fn register(
    State(app): Ours,
    by: CustomerCall,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let multipart = multipart.map_err(|_other| Error::from(Code::UnsupportedMediaType))?;
    let _permit = app.uploads.acquire().await;
    let body = read_form(&app, multipart).await?;
    app.register_verification(by, body).await
}
