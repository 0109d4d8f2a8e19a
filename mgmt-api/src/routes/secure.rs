//! /secure: what partners have beside their cardholders' things.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    Body, NewResponseKey, Nothing, PairingCode, PartnerBalanceList, PartnerBalancePath,
    RegisteredKey, ShownPartnerBalance,
};
use crate::auth::access::Access;
use crate::call::{Call, CustomerCall};
use crate::error::Code::*;

pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/secure/keys", on!(register_response_key: Call, Body<NewResponseKey>))
            .says("Registers the key that answers to this client are encrypted to from now on.")
            .takes::<NewResponseKey>(PUBLIC_KEY)
            .gives::<RegisteredKey>(201)
            .fails(&[InvalidPublicKey]),
        Route::get("/secure/partner/balances", on!(list_partner_balances: Call))
            .says("The partner's own deposit and credit balances.")
            .gives::<PartnerBalanceList>(200),
        Route::get(
            "/secure/partner/balances/{balance}",
            on!(show_partner_balance: Call, PartnerBalancePath),
        )
        .says("One of the partner's own balances.")
        .gives::<ShownPartnerBalance>(200)
        .fails(&[PartnerBalanceNotFound]),
        Route::post(
            "/secure/customers/{customer}/pairing-code",
            on!(make_pairing_code: CustomerCall, Nothing),
        )
        .says("Draws the code with which a cardholder pairs a device; the one before is void.")
        .gives::<PairingCode>(201),
    ];
    let open = public::public_key_at("/secure/public_key");
    ours.map(|route| route.to(Access::Partner)).into_iter().chain([open]).collect()
}

/// Any RSA key of 2048 bits: what stands here is a published one of nobody's.
const PUBLIC_KEY: &str = include_str!("public_key.json");
