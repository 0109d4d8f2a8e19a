//! /admin: what operators have beside cardholders' things.

use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    Asked, AuditList, AuditPage, BegunSession, Body, BookedMovement, BureauBatch, Credit,
    NewOperatorSession, NewPartnerBalance, Nothing, PartnerBalancePath, PartnerPath, Report,
    ReportResult, ShownPartnerBalance, TotalList,
};
use crate::auth::access::Access;
use crate::auth::role::Roles;
use crate::call::Call;
use crate::error::Code::*;

pub(super) fn routes() -> Vec<Route> {
    let all = Access::Operator(Roles::ALL);
    let money = Access::Operator(Roles::ADMIN | Roles::LICENSED);
    vec![
        public::public_key_at("/admin/public_key"),
        Route::post("/admin/sessions", on!(begin_operator_session: Body<NewOperatorSession>))
            .says("Begins an operator's session.")
            .takes::<NewOperatorSession>(
                r#"{"name":"ann","password":"correct horse battery staple"}"#,
            )
            .gives::<BegunSession>(201)
            .fails(&[InvalidCredentials, TooManyAttempts, InvalidPublicKey]),
        Route::delete("/admin/sessions/current", on!(end_session: Call, Nothing))
            .says("Ends the session.")
            .to(all),
        Route::post(
            "/admin/partners/{partner}/balances",
            on!(open_partner_balance: Call, PartnerPath, Body<NewPartnerBalance>),
        )
        .says("Opens a partner balance at zero.")
        .takes::<NewPartnerBalance>(r#"{"kind":"DEPOSIT","currency":"GBP"}"#)
        .gives::<ShownPartnerBalance>(201)
        .fails(&[PartnerNotFound, PartnerBalanceExists, InvalidCurrency])
        .to(money),
        Route::post("/admin/personalisation/batches", on!(make_bureau_batch: Call, Nothing))
            .says("Gives the oldest orders to the bureau, as a file that only it can read.")
            .gives::<BureauBatch>(201)
            .fails(&[FeatureNotEnabled])
            .to(Access::Operator(Roles::ADMIN)),
        Route::post("/admin/personalisation/reports", on!(take_report: Call, Report))
            .says("Takes the bureau's report: cards that were personalised become linked.")
            .takes_report()
            .gives::<ReportResult>(202)
            .fails(&[InvalidReport])
            .to(Access::Operator(Roles::ADMIN)),
        Route::get("/admin/audit", on!(show_audit: Call, Asked<AuditPage>))
            .says("A page of the audit log: what was asked for, and what came of it.")
            .paged()
            .gives::<AuditList>(200)
            .to(Access::Operator(Roles::ADMIN)),
        Route::get("/admin/balances/summary", on!(show_totals: Call))
            .says("What users and partners have, by currency.")
            .gives::<TotalList>(200)
            .to(all),
        Route::get(
            "/admin/partner-balances/{balance}",
            on!(show_partner_balance: Call, PartnerBalancePath),
        )
        .says("A partner balance.")
        .gives::<ShownPartnerBalance>(200)
        .fails(&[PartnerBalanceNotFound])
        .to(all),
        Route::post(
            "/admin/partner-balances/{balance}/reload",
            on!(reload: Call, PartnerBalancePath, Body<Credit>),
        )
        .says("Credits a partner balance.")
        .takes::<Credit>(r#"{"amount":100000,"currency":"EUR"}"#)
        .gives::<BookedMovement>(201)
        .fails(&[PartnerBalanceNotFound, InvalidAmount, InvalidCurrency, CurrencyMismatch])
        .to(money),
    ]
}
