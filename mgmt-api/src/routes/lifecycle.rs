//! /lifecycle: users, by partners.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{Body, CardPath, CustomerFlags, NewWallet, Nothing};
use crate::auth::access::Access;
use crate::call::{Call, CustomerCall};

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/lifecycle/v1/wallet", on!(add_customer: Call, Body<NewWallet>)),
        Route::put("/lifecycle/v1/users/{customer}", on!(update_customer: CustomerCall, Body<CustomerFlags>)),
        Route::delete("/lifecycle/v1/cards/{card}", on!(remove_partner_card: Call, CardPath, Nothing)),
        Route::post("/lifecycle/v1/users/{customer}/lock", on!(lock_customer: CustomerCall, Nothing)),
        Route::post("/lifecycle/v1/users/{customer}/unlock", on!(unlock_customer: CustomerCall, Nothing)),
    ];
    let open = ["/lifecycle/v1/public-key"].map(|path| Route::get(path, public::public_key));
    ours.map(|route| route.to(Access::Lifecycle)).into_iter().chain(open).collect()
}
