//! Limits of a card or of a cardholder over all cards, of either side: the cardholder's and the
//! issuer's stand side by side. Source: requirements #138.

use super::table::{CustomerRoute, Route};
use super::{Ours, on};
use crate::app::{Asked, Body, CardPath, LimitUsage, Limits, LimitsAsked};
use crate::auth::role::Roles;
use crate::call::CustomerCall;
use crate::error::Code::*;

const STAFF: Roles = Roles::STAFF;

const LIMITS: &str = r#"{"currency":"EUR","timeZone":"Europe/Warsaw","perTransaction":20000,"monthly":150000,"count":{"daily":10},"channels":{"denied":["ATM"]},"mcc":{"denied":["7995","3000-3350"]}}"#;
/// Which of the two sides is asked for.
const SET_BY: &[(&str, &str)] =
    &[("setBy", "ISSUER or CARDHOLDER: whose limits; the caller's own where it is left out.")];

pub(super) fn routes() -> Vec<CustomerRoute> {
    vec![
        Route::get("/cards/{card}/limits", on!(show_card_limits: CustomerCall, CardPath, Asked<LimitsAsked>))
            .versioned()
            .says("A card's limits that the caller's side set; a cardholder's and the issuer's stand side by side, and both bind.")
            .asks(SET_BY)
            .gives::<Limits>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::put(
            "/cards/{card}/limits",
            on!(put_card_limits: CustomerCall, CardPath, Asked<LimitsAsked>, Body<Limits>),
        )
        .versioned()
        .says("Replaces a card's limits; what is absent is not limited.")
        .asks(SET_BY)
        .takes::<Limits>(LIMITS)
        .fails(&[CurrencyMismatch, InvalidCurrency, Forbidden])
        .of_customer()
        .partners()
        .customers()
        .operators(STAFF),
        Route::get("/cards/{card}/budget", on!(show_card_budget: CustomerCall, CardPath))
            .says("What is spent and left of a card's limits in the running periods.")
            .gives::<LimitUsage>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("/limits", on!(show_customer_limits: CustomerCall, Asked<LimitsAsked>))
            .versioned()
            .says("The limits over all cards that the caller's side set; a cardholder's and the issuer's stand side by side, and both bind.")
            .asks(SET_BY)
            .gives::<Limits>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::put("/limits", on!(put_customer_limits: CustomerCall, Asked<LimitsAsked>, Body<Limits>))
            .versioned()
            .says("Replaces the limits over all cards; what is absent is not limited.")
            .asks(SET_BY)
            .takes::<Limits>(LIMITS)
            .fails(&[CurrencyMismatch, InvalidCurrency, Forbidden])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("/budget", on!(show_customer_budget: CustomerCall))
            .says("What is spent and left of the limits over all cards in the running periods.")
            .gives::<LimitUsage>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
    ]
}
