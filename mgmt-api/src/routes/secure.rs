//! /secure: what partners have beside their cardholders' things.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{Body, NewResponseKey, Nothing, PartnerBalancePath};
use crate::auth::access::Access;
use crate::call::{Call, CustomerCall};

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/secure/keys", on!(register_response_key: Call, Body<NewResponseKey>)),
        Route::get("/secure/partner/balances", on!(list_partner_balances: Call)),
        Route::get("/secure/partner/balances/{balance}", on!(show_partner_balance: Call, PartnerBalancePath)),
        Route::post("/secure/customers/{customer}/pairing-code", on!(make_pairing_code: CustomerCall, Nothing)),
    ];
    let open = Route::get("/secure/public_key", public::public_key);
    ours.map(|route| route.to(Access::Partner)).into_iter().chain([open]).collect()
}
