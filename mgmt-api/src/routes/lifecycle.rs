//! /lifecycle: users, by partners.

use axum::extract::DefaultBodyLimit;

use super::table::Route;
use super::{Ours, on, public};
use crate::app::import;
use crate::app::{
    AddedCustomer, Asked, Body, CardPath, CustomerFlags, ImportFile, ImportPath, ImportWish,
    NewWallet, Nothing, RowPage, ShownImport, TakenImport,
};
use crate::auth::access::Access;
use crate::call::{Call, CustomerCall};
use crate::error::Code::*;

pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/lifecycle/v1/wallet", on!(add_customer: Call, Body<NewWallet>))
            .says("Adds a user.")
            .takes::<NewWallet>(
                r#"{"firstName":"John","lastName":"Doe","phone":"481234567899","email":"john.doe@verestro.com","birthDate":"2000-01-01","wPIN":"1234","state":"VERIFIED","kyc":"SUCCESS"}"#,
            )
            .gives::<AddedCustomer>(201)
            .fails(&[CustomerExists, FeatureNotEnabled]),
        Route::put(
            "/lifecycle/v1/users/{customer}",
            on!(update_customer: CustomerCall, Body<CustomerFlags>),
        )
        .says("Sets what the partner has found out: identity check, state, wallet PIN.")
        .takes::<CustomerFlags>(r#"{"kyc":"SUCCESS","state":"VERIFIED"}"#)
        .fails(&[FeatureNotEnabled]),
        Route::post("/lifecycle/v1/users/{customer}/lock", on!(lock_customer: CustomerCall, Nothing))
            .says("Locks a user: every authorization is declined from the answer on."),
        Route::post(
            "/lifecycle/v1/users/{customer}/unlock",
            on!(unlock_customer: CustomerCall, Nothing),
        )
        .says("Lifts a user's lock."),
        Route::delete("/lifecycle/v1/users/{customer}", on!(delete_customer: CustomerCall, Nothing))
            .says("Deletes a user: cards are removed and empty balances closed, or nothing is.")
            .fails(&[BalanceNotEmpty]),
        Route::post("/lifecycle/v1/imports", on!(import: Call, Asked<ImportWish>, ImportFile))
            .around(DefaultBodyLimit::max(import::BYTES_MAX))
            .says("Takes a file of users, balances and cards, CSV or JSON lines, or looks at it.")
            .takes_rows()
            .asks(&[("dryRun", "true: looks at every row and does nothing.")])
            .gives::<TakenImport>(202),
        Route::get(
            "/lifecycle/v1/imports/{import}",
            on!(show_import: Call, ImportPath, Asked<RowPage>),
        )
        .says("How far an import is, and what became of its rows.")
        .paged()
        .gives::<ShownImport>(200),
        Route::delete("/lifecycle/v1/cards/{card}", on!(remove_partner_card: Call, CardPath, Nothing))
            .says("Removes a card for ever; what is open on it still clears.")
            .fails(&[CardNotFound]),
    ];
    let open = public::public_key_at("/lifecycle/v1/public-key");
    ours.map(|route| route.to(Access::Lifecycle)).into_iter().chain([open]).collect()
}
