//! /admin: what operators have beside cardholders' things.

use axum::extract::DefaultBodyLimit;
use axum::response::Response;

use super::customer::EXPLAIN;
use super::secure::{ENDPOINT, EVENTS};
use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    App, ArtFile, ArtPath, Asked, AskedReload, AskedReloadList, AuditList, AuditPage, BegunReplay,
    BegunSession, Body, BookedMovement, BureauBatch, CardProgram, CertificateList, CertificatePath,
    CertificateRequest, Credit, CustomerList, CustomerPage, CustomerSearch, EndpointList,
    EndpointPath, EndpointWish, EventList, EventPage, ExplainedTransaction, FeeList, FeePath,
    FullVerification, ImagePath, LowBalanceAlert, MadeEndpoint, NewOperatorSession,
    NewPartnerBalance, Nothing, OperatorSession, Page, PartnerBalanceList, PartnerBalancePath,
    PartnerData, PartnerList, PartnerPath, ProgramFee, ProgramList, ProgramPath, Rejection,
    ReloadPath, Replay, Report, ReportResult, ReportWish, ShownEndpoint, ShownFee,
    ShownPartnerBalance, ShownProgram, SignedCertificate, TakenArt, TotalList, TransactionDetails,
    TransactionPath, VerificationList, VerificationPage, VerificationPath,
};
use crate::art;
use crate::auth::access::Access;
use crate::auth::role::Roles;
use crate::call::Call;
use crate::error::Code::*;
use crate::error::Result;

pub(super) fn routes() -> Vec<Route> {
    let all = Access::Operator(Roles::ALL);
    let money = Access::Operator(Roles::ADMIN | Roles::LICENSED);
    [
        first(all, money),
        partners(all),
        endpoints(),
        transactions(),
        partner_balances(all, money),
        checks(),
        programs(all),
        fees(all),
        certificates(),
    ]
    .concat()
}

fn certificates() -> Vec<Route> {
    let admin = Access::Operator(Roles::ADMIN);
    vec![
        Route::post("/admin/certificates", on!(sign_certificate: Call, Body<CertificateRequest>))
            .says("Signs a partner's certificate request and lets the certificate connect.")
            .takes::<CertificateRequest>(include_str!("csr.json"))
            .gives::<SignedCertificate>(201)
            .fails(&[FeatureNotEnabled, PartnerNotFound, InvalidCsr, CertificateExists])
            .to(admin),
        Route::get("/admin/certificates", on!(list_certificates: Call))
            .says("Partners' certificates, revoked ones too.")
            .gives::<CertificateList>(200)
            .to(admin),
        Route::delete(
            "/admin/certificates/{certificate}",
            on!(revoke_certificate: Call, CertificatePath, Nothing),
        )
        .says("Revokes a partner's or a processor's certificate, by its key: refused from the answer on.")
        .fails(&[CertificateNotFound])
        .to(admin),
    ]
}

/// Users, wherever they are, and partners. Source: requirements #174, #175.
fn partners(all: Access) -> Vec<Route> {
    let staff = Access::Operator(Roles::STAFF);
    vec![
        Route::get("/admin/customers", on!(list_customers: Call, Asked<CustomerPage>))
            .says("A page of the users, newest first.")
            .paged()
            .gives::<CustomerList>(200)
            .written_down()
            .to(staff),
        Route::post("/admin/customers/search", on!(search_customers: Call, Body<CustomerSearch>))
            .says("The users who have a phone number or an e-mail address, newest first.")
            .takes::<CustomerSearch>(r#"{"phone":"481234567899"}"#)
            .gives::<CustomerList>(200)
            .to(staff),
        Route::get("/admin/partners", on!(list_partners: Call))
            .says("The partners.")
            .gives::<PartnerList>(200)
            .to(all),
        Route::get(
            "/admin/partners/{partner}/balances",
            on!(list_balances_of_partner: Call, PartnerPath),
        )
        .says("A partner's deposit and credit balances.")
        .gives::<PartnerBalanceList>(200)
        .fails(&[PartnerNotFound])
        .to(all),
        Route::get(
            "/admin/partners/{partner}/endpoints",
            on!(list_endpoints_of_partner: Call, PartnerPath),
        )
        .says("Where a partner is told of what, oldest first.")
        .gives::<EndpointList>(200)
        .fails(&[PartnerNotFound])
        .to(staff),
        Route::get(
            "/admin/partners/{partner}/events",
            on!(list_events_of_partner: Call, PartnerPath, Asked<EventPage>),
        )
        .says("A page of what a partner was told, oldest first, and how far each is.")
        .asks(EVENTS)
        .gives::<EventList>(200)
        .written_down()
        .fails(&[PartnerNotFound])
        .to(staff),
        Route::post(
            "/admin/partners/{partner}/events/replay",
            on!(replay_events_of_partner: Call, PartnerPath, Body<Replay>),
        )
        .says("Has what happened on some days delivered to a partner again.")
        .takes::<Replay>(r#"{"from":"2026-11-01","to":"2026-11-02"}"#)
        .gives::<BegunReplay>(202)
        .fails(&[PartnerNotFound])
        .to(staff),
    ]
}

/// Where partners are told, changed in their name. Source: requirements 2.2.
fn endpoints() -> Vec<Route> {
    let staff = Access::Operator(Roles::STAFF);
    let heads = Access::Operator(Roles::ADMIN | Roles::MANAGER);
    vec![
        Route::post(
            "/admin/partners/{partner}/endpoints",
            on!(add_endpoint_of_partner: Call, PartnerPath, Body<EndpointWish>),
        )
        .says("Makes an endpoint of a partner; its key is shown once.")
        .takes::<EndpointWish>(ENDPOINT)
        .gives::<MadeEndpoint>(201)
        .fails(&[PartnerNotFound, TooManyEndpoints, EndpointInUse])
        .to(heads),
        Route::get("/admin/endpoints/{endpoint}", on!(show_endpoint: Call, EndpointPath))
            .versioned()
            .says("One endpoint.")
            .gives::<ShownEndpoint>(200)
            .fails(&[EndpointNotFound])
            .to(staff),
        Route::put(
            "/admin/endpoints/{endpoint}",
            on!(put_endpoint: Call, EndpointPath, Body<EndpointWish>),
        )
        .versioned()
        .says("Changes where an endpoint is, what it is told, and whether it is told now.")
        .takes::<EndpointWish>(ENDPOINT)
        .gives::<ShownEndpoint>(200)
        .fails(&[EndpointNotFound, EndpointInUse])
        .to(heads),
        Route::delete(
            "/admin/endpoints/{endpoint}",
            on!(remove_endpoint: Call, EndpointPath, Nothing),
        )
        .versioned()
        .says("Forgets an endpoint and what is on its way there.")
        .fails(&[EndpointNotFound, EndpointInUse])
        .to(heads),
        Route::post(
            "/admin/endpoints/{endpoint}/ping",
            on!(ping_endpoint: Call, EndpointPath, Nothing),
        )
        .says("Sends an endpoint a notice that says nothing.")
        .fails(&[EndpointNotFound])
        .to(heads),
    ]
}

/// A transaction by its id alone, as somebody on the phone has it. Source: requirements #178.
fn transactions() -> Vec<Route> {
    let staff = Access::Operator(Roles::STAFF);
    vec![
        Route::get(
            "/admin/transactions/{transaction}",
            on!(find_transaction: Call, TransactionPath),
        )
        .says("A transaction of any cardholder, and all that became of it.")
        .gives::<TransactionDetails>(200)
        .fails(&[TransactionNotFound])
        .to(staff),
        Route::get(
            "/admin/transactions/{transaction}/explain",
            on!(explain_any_transaction: Call, TransactionPath),
        )
        .says("Every check of a decision, and the balances before and after.")
        .gives::<ExplainedTransaction>(200)
        .fails(EXPLAIN)
        .to(staff),
    ]
}

/// The identity checks that wait for somebody. Source: requirements #75.
fn checks() -> Vec<Route> {
    let managers = Access::Operator(Roles::ADMIN | Roles::MANAGER);
    let check = "/admin/verifications/{verification}";
    let at = |rest: &str| format!("{check}{rest}");
    vec![
        Route::get("/admin/verifications", on!(list_verifications: Call, Asked<VerificationPage>))
            .says("A page of identity checks, open ones where no status is given.")
            .paged()
            .gives::<VerificationList>(200)
            .to(managers),
        Route::get(check, on!(show_full_verification: Call, VerificationPath))
            .says("An identity check with what the customer stated.")
            .gives::<FullVerification>(200)
            .written_down()
            .to(managers),
        Route::get(&at("/images/{image}"), on!(show_image: Call, ImagePath))
            .says("One image of an identity check: imageFace, imageFront or imageBack.")
            .gives_as("image/*")
            .written_down()
            .to(managers),
        Route::post(&at("/accept"), on!(accept_verification: Call, VerificationPath, Nothing))
            .says("Accepts an identity check.")
            .fails(&[VerificationDecided])
            .to(managers),
        Route::post(
            &at("/reject"),
            on!(reject_verification: Call, VerificationPath, Body<Rejection>),
        )
        .says("Rejects an identity check; the customer may register another.")
        .takes::<Rejection>(r#"{"reason":"DOCUMENT_UNREADABLE"}"#)
        .fails(&[VerificationDecided])
        .to(managers),
    ]
}

/// What programs charge: the licensed institution's alone. Source: requirements #171.
fn fees(all: Access) -> Vec<Route> {
    let licensed = Access::Operator(Roles::LICENSED);
    let (every, one) = ("/admin/programs/{program}/fees", "/admin/programs/{program}/fees/{fee}");
    vec![
        Route::get(every, on!(list_fees: Call, ProgramPath))
            .says("The fees of a program that are in use.")
            .gives::<FeeList>(200)
            .to(all),
        Route::post(every, on!(add_fee: Call, ProgramPath, Body<ProgramFee>))
            .says("Makes a fee: on what follows from now on, on periods from the next one on.")
            .takes::<ProgramFee>(r#"{"kind":"POS","fixed":30,"ratePpm":25000}"#)
            .gives::<ShownFee>(201)
            .fails(&[FeeExists, TooManyFees])
            .to(licensed),
        Route::get(one, on!(show_fee: Call, FeePath))
            .says("A fee of a program.")
            .gives::<ShownFee>(200)
            .fails(&[FeeNotFound])
            .versioned()
            .to(all),
        Route::put(one, on!(put_fee: Call, FeePath, Body<ProgramFee>))
            .versioned()
            .says("Changes how much a fee is: payments made before go on as they were, a period costs what it is at its end.")
            .takes::<ProgramFee>(r#"{"kind":"POS","fixed":35,"ratePpm":25000}"#)
            .gives::<ShownFee>(200)
            .fails(&[FeeNotFound])
            .to(licensed),
        Route::delete(one, on!(remove_fee: Call, FeePath, Nothing))
            .versioned()
            .says("Takes a fee out of use.")
            .fails(&[FeeNotFound])
            .to(licensed),
        Route::get(
            "/admin/programs/{program}/fees/report",
            on!(report_fees: Call, ProgramPath, Asked<ReportWish>),
        )
        .says("What a program's fees came to, as CSV: what fell due, and what was taken of it.")
        .asks(&[
            ("period", "What a line is about: DAY, WEEK or MONTH, which it is by itself."),
            ("from", "First day, 2026-11-01; 92 days before the last where none is given."),
            ("to", "Last day; today where none is given."),
        ])
        .gives_as("text/csv")
        .to(all),
    ]
}

fn programs(all: Access) -> Vec<Route> {
    let admin = Access::Operator(Roles::ADMIN);
    vec![
        Route::put(
            "/admin/partners/{partner}",
            on!(put_partner: Call, PartnerPath, Body<PartnerData>),
        )
        .says("Makes a partner known by its number, or changes it.")
        .takes::<PartnerData>(
            r#"{"issuerCode":"sandbox","kycMode":"MANUAL","name":"A bank","licensed":true}"#,
        )
        .fails(&[PartnerExists])
        .to(admin),
        Route::get("/admin/programs", on!(list_programs: Call))
            .says("The card programs.")
            .gives::<ProgramList>(200)
            .to(all),
        Route::get("/admin/programs/{program}", on!(show_program: Call, ProgramPath))
            .says("A card program.")
            .gives::<ShownProgram>(200)
            .fails(&[ProgramNotFound])
            .versioned()
            .to(all),
        Route::put(
            "/admin/programs/{program}",
            on!(put_program: Call, ProgramPath, Body<CardProgram>),
        )
        .versioned()
        .says("Makes a card program, or changes what may change of it.")
        .takes::<CardProgram>(PROGRAM)
        .fails(&[
            PartnerNotFound,
            ProgramFixed,
            InvalidCurrency,
            PartnerNotLicensed,
            BalanceEndpointMissing,
        ])
        .to(admin),
        Route::put("/admin/programs/{program}/art/{kind}", on!(put_art: Call, ArtPath, ArtFile))
            .around(DefaultBodyLimit::max(art::BYTES_MAX + 1))
            .says("Checks and keeps art: PNG, SVG or PDF, by its kind.")
            .takes_file()
            .gives::<TakenArt>(200)
            .fails(&[InvalidArt])
            .to(admin),
        Route::get("/admin/programs/{program}/art/{kind}", on!(show_art: Call, ArtPath))
            .says("Art as it was put.")
            .gives_as("*/*")
            .to(all),
    ]
}

const PROGRAM: &str = r#"{"partner":1,"currency":"EUR","bin":"99999901","cardKind":"VIRTUAL","monthsValid":36,"automaticBalance":true,"policy":{"partialApproval":true}}"#;

fn first(all: Access, money: Access) -> Vec<Route> {
    vec![
        public::public_key_at("/admin/public_key"),
        Route::post("/admin/sessions", on!(begin_operator_session: Body<NewOperatorSession>))
            .says("Begins an operator's session.")
            .takes::<NewOperatorSession>(
                r#"{"name":"ann","password":"correct horse battery staple"}"#,
            )
            .gives::<BegunSession>(201)
            .fails(&[InvalidCredentials, TooManyAttempts, InvalidPublicKey]),
        Route::get("/admin/sessions/current", ("show_operator_session", operator_session))
            .says("Whose session it is, and what for.")
            .gives::<OperatorSession>(200)
            .to(all),
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
        .fails(&[PartnerNotFound, PartnerBalanceExists, InvalidCurrency, FeatureNotEnabled])
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
    ]
}

fn partner_balances(all: Access, money: Access) -> Vec<Route> {
    vec![
        Route::get(
            "/admin/partner-balances/{balance}",
            on!(show_partner_balance: Call, PartnerBalancePath),
        )
        .says("A partner balance.")
        .gives::<ShownPartnerBalance>(200)
        .fails(&[PartnerBalanceNotFound])
        .to(all),
        Route::put(
            "/admin/partner-balances/{balance}/alert",
            on!(put_alert: Call, PartnerBalancePath, Body<LowBalanceAlert>),
        )
        .says("Lets somebody be told by e-mail when less than this is available.")
        .takes::<LowBalanceAlert>(r#"{"level":100000,"email":"treasury@partner.example"}"#)
        .fails(&[PartnerBalanceNotFound, FeatureNotEnabled])
        .to(money),
        Route::delete(
            "/admin/partner-balances/{balance}/alert",
            on!(remove_alert: Call, PartnerBalancePath, Nothing),
        )
        .says("Lets nobody be told any more.")
        .fails(&[PartnerBalanceNotFound])
        .to(money),
        Route::post(
            "/admin/partner-balances/{balance}/reload",
            on!(reload: Call, PartnerBalancePath, Body<Credit>),
        )
        .says("Credits a partner balance.")
        .takes::<Credit>(r#"{"amount":100000,"currency":"EUR"}"#)
        .gives::<BookedMovement>(201)
        .fails(&[
            PartnerBalanceNotFound,
            InvalidAmount,
            InvalidCurrency,
            CurrencyMismatch,
            SecondPersonRequired,
        ])
        .to(money),
        Route::post(
            "/admin/partner-balances/{balance}/reloads",
            on!(ask_reload: Call, PartnerBalancePath, Body<Credit>),
        )
        .says("Asks for a reload that another operator books.")
        .takes::<Credit>(r#"{"amount":100000,"currency":"EUR"}"#)
        .gives::<AskedReload>(202)
        .fails(&[PartnerBalanceNotFound, InvalidAmount, InvalidCurrency, CurrencyMismatch])
        .to(money),
        Route::get("/admin/reloads", on!(list_asked_reloads: Call, Asked<Page>))
            .says("A page of the reloads that wait for a second operator, oldest first.")
            .paged()
            .gives::<AskedReloadList>(200)
            .to(money),
        Route::post(
            "/admin/reloads/{reload}/confirm",
            on!(confirm_reload: Call, ReloadPath, Nothing),
        )
        .says("Books a reload that another operator asked for.")
        .gives::<BookedMovement>(201)
        .fails(&[ReloadNotFound, ReloadDecided, SecondPersonRequired])
        .to(money),
        Route::post(
            "/admin/reloads/{reload}/refuse",
            on!(refuse_reload: Call, ReloadPath, Nothing),
        )
        .says("Refuses a reload that another operator asked for.")
        .fails(&[ReloadNotFound, ReloadDecided, SecondPersonRequired])
        .to(money),
    ]
}

async fn operator_session(by: Call) -> Result<Response> {
    App::show_operator_session(&by)
}
