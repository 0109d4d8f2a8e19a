//! /admin: what operators have beside cardholders' things.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    Body, Credit, NewOperatorSession, NewPartnerBalance, Nothing, PartnerBalancePath, PartnerPath,
};
use crate::auth::access::Access;
use crate::auth::role::Roles;
use crate::call::Call;

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes() -> Vec<Route> {
    let (all, money) = (Access::Operator(Roles::ALL), Access::Operator(Roles::ADMIN | Roles::LICENSED));
    vec![
        Route::get("/admin/public_key", public::public_key),
        Route::post("/admin/sessions", on!(begin_operator_session: Body<NewOperatorSession>)),
        Route::delete("/admin/sessions/current", on!(end_session: Call, Nothing))
            .to(all),
        Route::post("/admin/partners/{partner}/balances", on!(open_partner_balance: Call, PartnerPath, Body<NewPartnerBalance>))
            .to(money),
        Route::get("/admin/balances/summary", on!(show_totals: Call))
            .to(all),
        Route::get("/admin/partner-balances/{balance}", on!(show_partner_balance: Call, PartnerBalancePath))
            .to(all),
        Route::post("/admin/partner-balances/{balance}/reload", on!(reload: Call, PartnerBalancePath, Body<Credit>))
            .to(money),
    ]
}
