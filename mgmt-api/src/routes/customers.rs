//! /customers: devices and sessions of cardholders.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{Body, NewCustomerSession, NewDevice, Nothing, StepUp};
use crate::auth::access::Access;
use crate::call::Call;

#[rustfmt::skip] // one route a line and a half
pub(super) fn routes() -> Vec<Route> {
    let own = [
        Route::delete("/customers/sessions/current", on!(end_session: Call, Nothing)),
        Route::post("/customers/sessions/current/step-up", on!(step_up: Call, Body<StepUp>)),
    ];
    let open = [
        Route::get("/customers/public_key", public::public_key),
        Route::post("/customers/devices", on!(pair_device: Body<NewDevice>)),
        Route::post("/customers/sessions", on!(begin_customer_session: Body<NewCustomerSession>)),
    ];
    own.map(|route| route.to(Access::Customer)).into_iter().chain(open).collect()
}
