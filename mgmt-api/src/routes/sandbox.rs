//! The other sides of a payment, in the sandbox profile alone: for partners under /sandbox, for
//! operators under /admin/sandbox. Source: requirements 2.2.

use super::table::Route;
use super::{Ours, on};
use crate::app::{
    Body, ClockAdvance, ClockState, OrderAdvance, ShownOrder, SimulatedAnswer, SimulatedClearing,
    SimulatedExpiry, SimulatedPayment, SimulatedReversal,
};
use crate::auth::access::Access;
use crate::auth::role::Roles;
use crate::call::Call;
use crate::error::Code::*;

const PAYMENT: &str = r#"{"cardId":"357001","amount":1250,"currency":"EUR","type":"POS","mcc":"5411","merchant":"FROGSHOP-000001","country":"PL"}"#;
const CLEARING: &str = r#"{"transactionId":"019a0000-0000-7000-8000-000000000003","amount":1200}"#;
const REVERSAL: &str = r#"{"transactionId":"019a0000-0000-7000-8000-000000000003"}"#;
const ORDER: &str = r#"{"orderId":"019a0000-0000-7000-8000-000000000004"}"#;

/// The routes below `at`.
pub(super) fn routes(at: &str) -> Vec<Route> {
    let access = match at {
        "/sandbox" => Access::Partner,
        _ => Access::Operator(Roles::STAFF),
    };
    let post = |path: &str| format!("{at}{path}");
    let routes = vec![
        Route::post(
            &post("/authorizations"),
            on!(simulate_authorization: Call, Body<SimulatedPayment>),
        )
        .says("Pays with a card, as a processor asks for it: a 0100 over the switch's own link.")
        .takes::<SimulatedPayment>(PAYMENT)
        .gives::<SimulatedAnswer>(200)
        .fails(&[
            FeatureNotEnabled,
            CardNotFound,
            BalanceNotFound,
            InvalidCurrency,
            SwitchUnavailable,
        ]),
        Route::post(&post("/advices"), on!(simulate_advice: Call, Body<SimulatedPayment>))
            .says("Tells of a payment that the network approved in our place: a 0120.")
            .takes::<SimulatedPayment>(PAYMENT)
            .gives::<SimulatedAnswer>(200)
            .fails(&[
                FeatureNotEnabled,
                CardNotFound,
                BalanceNotFound,
                InvalidCurrency,
                SwitchUnavailable,
            ]),
        Route::post(&post("/clearings"), on!(simulate_clearing: Call, Body<SimulatedClearing>))
            .says("Clears a payment that was made here, or a part of it: a 0220.")
            .takes::<SimulatedClearing>(CLEARING)
            .gives::<SimulatedAnswer>(200)
            .fails(&[FeatureNotEnabled, TransactionNotFound, SwitchUnavailable]),
        Route::post(&post("/reversals"), on!(simulate_reversal: Call, Body<SimulatedReversal>))
            .says("Takes a payment back that was made here, or a part of it: a 0420.")
            .takes::<SimulatedReversal>(REVERSAL)
            .gives::<SimulatedAnswer>(200)
            .fails(&[FeatureNotEnabled, TransactionNotFound, SwitchUnavailable]),
        Route::post(&post("/expire"), on!(simulate_expiry: Call, Body<SimulatedExpiry>))
            .says("Lets time go on, for all, until a payment's hold has ended by itself.")
            .takes::<SimulatedExpiry>(REVERSAL)
            .gives::<ClockState>(200)
            .fails(&[FeatureNotEnabled, TransactionNotFound]),
        Route::post(&post("/clock/advance"), on!(advance_clock: Call, Body<ClockAdvance>))
            .says("Lets time go on, for all, here and at the switch; it never goes back.")
            .takes::<ClockAdvance>(r#"{"seconds":86400}"#)
            .gives::<ClockState>(200)
            .fails(&[FeatureNotEnabled]),
        Route::post(
            &post("/personalisation/advance"),
            on!(advance_order: Call, Body<OrderAdvance>),
        )
        .says("The bureau does the next thing with an order: personalises, ships, delivers.")
        .takes::<OrderAdvance>(ORDER)
        .gives::<ShownOrder>(200)
        .fails(&[FeatureNotEnabled, OrderNotFound, CardStateForbidden, ConcurrentChange]),
    ];
    routes.into_iter().map(|route| route.to(access)).collect()
}
