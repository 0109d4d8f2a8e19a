//! /customers: devices and sessions of cardholders.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    BegunSession, Body, NewCustomerSession, NewDevice, Nothing, PairedDevice, StepUp, StepUpEnd,
};
use crate::auth::access::Access;
use crate::call::Call;
use crate::error::Code::*;

pub(super) fn routes() -> Vec<Route> {
    let own = [
        Route::delete("/customers/sessions/current", on!(end_session: Call, Nothing))
            .says("Ends the session."),
        Route::post("/customers/sessions/current/step-up", on!(step_up: Call, Body<StepUp>))
            .says("Gives the wallet PIN: for a moment a card's full data may be seen.")
            .takes::<StepUp>(r#"{"wPIN":"4711"}"#)
            .gives::<StepUpEnd>(200)
            .fails(&[InvalidCredentials, TooManyAttempts]),
    ];
    let open = [
        public::public_key_at("/customers/public_key"),
        Route::post("/customers/devices", on!(pair_device: Body<NewDevice>))
            .says("Pairs a device with the partner's code and the wallet PIN.")
            .takes::<NewDevice>(
                r#"{"customerId":"100001","pairingCode":"0123456789","wPIN":"4711","deviceId":"a phone"}"#,
            )
            .gives::<PairedDevice>(201)
            .fails(&[InvalidCredentials, TooManyAttempts, InvalidPublicKey]),
        Route::post("/customers/sessions", on!(begin_customer_session: Body<NewCustomerSession>))
            .says("Begins a session on a paired device.")
            .takes::<NewCustomerSession>(
                r#"{"installationId":"019a0000-0000-4000-8000-000000000003","installationSecret":"from the pairing","wPIN":"4711"}"#,
            )
            .gives::<BegunSession>(201)
            .fails(&[InvalidCredentials, TooManyAttempts]),
    ];
    own.map(|route| route.to(Access::Customer)).into_iter().chain(open).collect()
}
