//! What belongs to a cardholder: the same under /secure/customers/{id}, /customers/me and
//! /admin/customers/{id}, each for whom the seed's tables name. Source: requirements 2.2.

use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::response::Response;

use super::multipart::read_form;
use super::table::Route;
use super::{Ours, on};
use crate::app::{
    Activation, Asked, BalancePath, Body, CardPage, CardPath, Credit, Limits, LockRequest,
    NewBalance, NewPin, NewVirtualCard, Nothing, Optional, Page, Transfer,
};
use crate::auth::access::Encryption;
use crate::auth::role::Roles;
use crate::call::CustomerCall;
use crate::config;
use crate::error::{Code, Error, Result};

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes(limits: &config::Limits) -> Vec<Route> {
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
        Route::post("/balances/{balance}/withdraw", on!(withdraw: CustomerCall, BalancePath, Body<Credit>))
            .of_customer().partners().operators(admin),
        Route::post("/balances/{balance}/transfer", on!(transfer: CustomerCall, BalancePath, Body<Transfer>))
            .of_customer().partners().customers().operators(admin),
        Route::post("/cards/virtual", on!(issue_card: CustomerCall, Body<NewVirtualCard>))
            .encrypted(Encryption::Answer).of_customer().partners().customers().operators(managers),
        Route::get("/cards", on!(list_cards: CustomerCall, Asked<CardPage>))
            .of_customer().partners().customers().operators(staff),
        Route::get("/cards/{card}/full", on!(show_full_card: CustomerCall, CardPath))
            .encrypted(Encryption::Answer).of_customer().partners().customers(),
        Route::post("/cards/{card}/activate", on!(activate_card: CustomerCall, CardPath, Optional<Activation>))
            .of_customer().partners().customers().operators(staff),
        Route::post("/cards/{card}/pin", on!(set_pin: CustomerCall, CardPath, Body<NewPin>))
            .encrypted(Encryption::Body).of_customer().customers(),
        Route::post("/cards/{card}/cvv/reset", on!(reset_cvc2: CustomerCall, CardPath, Nothing))
            .encrypted(Encryption::Answer).of_customer().customers().operators(staff),
        Route::get("/cards/{card}/limits", on!(show_card_limits: CustomerCall, CardPath))
            .of_customer().partners().customers().operators(staff),
        Route::put("/cards/{card}/limits", on!(put_card_limits: CustomerCall, CardPath, Body<Limits>))
            .of_customer().partners().customers().operators(staff),
        Route::get("/cards/{card}/budget", on!(show_card_budget: CustomerCall, CardPath))
            .of_customer().partners().customers().operators(staff),
        // A cardholder may limit single cards; what binds them over all cards is the issuer's.
        Route::get("/limits", on!(show_customer_limits: CustomerCall))
            .of_customer().partners().customers().operators(staff),
        Route::put("/limits", on!(put_customer_limits: CustomerCall, Body<Limits>))
            .of_customer().partners().operators(staff),
        Route::get("/budget", on!(show_customer_budget: CustomerCall))
            .of_customer().partners().customers().operators(staff),
        Route::post("/cards/{card}/renew", on!(renew_card: CustomerCall, CardPath, Nothing))
            .of_customer().partners().customers().operators(staff),
        Route::post("/cards/{card}/replace", on!(replace_card: CustomerCall, CardPath, Nothing))
            .of_customer().partners().customers().operators(staff),
        Route::delete("/cards/{card}", on!(remove_card: CustomerCall, CardPath, Nothing))
            .of_customer().customers().operators(managers),
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
