//! /secure and /sandbox: what partners have beside their cardholders' things.

use super::customer::EXPLAIN;
use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    Asked, BankAccount, BankAccountList, BankAccountPath, BegunReplay, Body, BookedMovement,
    Credit, EncryptionSample, EndpointCertificate, EndpointCsr, EndpointList, EndpointPath,
    EndpointSecret, EndpointWish, EventList, EventPage, ExplainedTransaction, MadeEndpoint,
    NewBankAccount, NewResponseKey, Nothing, OfBalance, OneTimePassword, OutsideLock, PairingCode,
    PartnerBalanceList, PartnerBalancePath, ProcessorPath, RegisteredKey, Replay, ShownEndpoint,
    ShownPartnerBalance, TransactionDetails, TransactionPath, Trial,
};
use crate::auth::access::{Access, Encryption};
use crate::call::{Call, CustomerCall};
use crate::error::Code::*;

/// What networks and acquirers have. Source: requirements #102, #162.
fn processors() -> [Route; 2] {
    [lock(), otp()].map(|route| route.encrypted(Encryption::Body).to(Access::Processor))
}

fn otp() -> Route {
    Route::post(
        "/secure/processors/{processor}/otp",
        on!(send_otp: Call, ProcessorPath, Body<OneTimePassword>),
    )
    .says("Hands the one-time password of a payment on to the partner, who brings it to the holder.")
    .takes::<OneTimePassword>(
        r#"{"pan":"9999998400000000006","amount":1000,"currency":"EUR","merchantName":"merchant test","otp":"1111"}"#,
    )
    .fails(&[CardNotFound, InvalidCurrency, OtpEndpointMissing, OtpRefused, OtpNotDelivered])
}

fn lock() -> Route {
    Route::post(
        "/secure/processors/{processor}/cards/lock",
        on!(lock_outside: Call, ProcessorPath, Body<OutsideLock>),
    )
    .says("Locks a card by its number or a token, in the name of a network or an acquirer.")
    .takes::<OutsideLock>(
        r#"{"pan":"9999998400000000006","reason":2,"externalReference":"CASE-17"}"#,
    )
    .fails(&[CardNotFound, CardLockedIrreversibly])
}

pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/secure/keys", on!(register_response_key: Call, Body<NewResponseKey>))
            .says("Registers the key that answers to this client are encrypted to from now on.")
            .takes::<NewResponseKey>(PUBLIC_KEY)
            .gives::<RegisteredKey>(201)
            .fails(&[InvalidPublicKey]),
        Route::get("/sandbox/encryption", on!(show_encryption_sample: Call))
            .says("A message encrypted to a key pair that is shown with it, to try decryption on.")
            .gives::<EncryptionSample>(200)
            .fails(&[FeatureNotEnabled]),
        Route::post("/sandbox/encryption", on!(try_encryption: Call, Body<Trial>))
            .says("Answers with one more than it was sent, encrypted as the headers say.")
            .takes::<Trial>(r#"{"card_no":1337}"#)
            .gives::<Trial>(200)
            .fails(&[FeatureNotEnabled]),
        Route::get(
            "/secure/transactions/{transaction}",
            on!(find_transaction: Call, TransactionPath),
        )
        .says("A transaction of any cardholder, and all that became of it.")
        .gives::<TransactionDetails>(200)
        .fails(&[TransactionNotFound]),
        Route::get(
            "/secure/transactions/{transaction}/explain",
            on!(explain_any_transaction: Call, TransactionPath),
        )
        .says("Every check of a decision, and the balances before and after.")
        .gives::<ExplainedTransaction>(200)
        .fails(EXPLAIN),
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
    ours.into_iter()
        .chain(bank_accounts())
        .chain(told())
        .map(|route| route.to(Access::Partner))
        .chain([open])
        .chain(processors())
        .collect()
}

/// IBANs of balances, and what comes to them. Source: requirements #34, #92.
fn bank_accounts() -> Vec<Route> {
    vec![
        Route::post("/secure/bank-accounts", on!(open_bank_account: Call, Body<NewBankAccount>))
            .says("Gives a balance an IBAN, where the partner has a program that gives them.")
            .takes::<NewBankAccount>(r#"{"balanceId":"019a0000-0000-7000-8000-000000000001"}"#)
            .gives::<BankAccount>(201)
            .fails(&[BalanceNotFound, FeatureNotEnabled, BankAccountExists]),
        Route::get("/secure/bank-accounts", on!(list_bank_accounts: Call, Asked<OfBalance>))
            .says("The IBANs that a balance has and had.")
            .asks(&[("balanceId", "Whose.")])
            .gives::<BankAccountList>(200),
        Route::delete(
            "/secure/bank-accounts/{iban}",
            on!(close_bank_account: Call, BankAccountPath, Nothing),
        )
        .says("Takes an IBAN out of use, for ever.")
        .fails(&[BankAccountNotFound]),
        Route::post(
            "/secure/bank-accounts/{iban}/credits",
            on!(credit_by_iban: Call, BankAccountPath, Body<Credit>),
        )
        .says(
            "Credits the balance that has an IBAN with a bank transfer that came to it; in credit mode \
             the partner's credit balance is charged. The bank's reference as the idempotency key books \
             it once.",
        )
        .takes::<Credit>(
            r#"{"amount":5000,"currency":"EUR","externalId":"E2E-17","description":"salary"}"#,
        )
        .gives::<BookedMovement>(201)
        .fails(&[
            BankAccountNotFound,
            BalanceNotFound,
            InvalidAmount,
            InvalidCurrency,
            CurrencyMismatch,
            InsufficientCollateral,
            CollateralBalanceNotFound,
            OtherCustody,
        ]),
    ]
}

/// Where and of what the partner is told. Source: requirements #156.
fn told() -> Vec<Route> {
    vec![
        Route::post("/secure/endpoints", on!(add_endpoint: Call, Body<EndpointWish>))
            .says(
                "Makes an endpoint, which is told of what happens by POST; its key is shown once.",
            )
            .takes::<EndpointWish>(ENDPOINT)
            .gives::<MadeEndpoint>(201)
            .fails(&[TooManyEndpoints]),
        Route::get("/secure/endpoints", on!(list_endpoints: Call))
            .says("The partner's endpoints, oldest first.")
            .gives::<EndpointList>(200),
        Route::get("/secure/endpoints/{endpoint}", on!(show_endpoint: Call, EndpointPath))
            .versioned()
            .says("One endpoint.")
            .gives::<ShownEndpoint>(200)
            .fails(&[EndpointNotFound]),
        Route::put(
            "/secure/endpoints/{endpoint}",
            on!(put_endpoint: Call, EndpointPath, Body<EndpointWish>),
        )
        .versioned()
        .says("Changes where an endpoint is, what it is told, and whether it is told now.")
        .takes::<EndpointWish>(ENDPOINT)
        .gives::<ShownEndpoint>(200)
        .fails(&[EndpointNotFound]),
        Route::delete(
            "/secure/endpoints/{endpoint}",
            on!(remove_endpoint: Call, EndpointPath, Nothing),
        )
        .versioned()
        .says("Forgets an endpoint and what is on its way there.")
        .fails(&[EndpointNotFound]),
        Route::post(
            "/secure/endpoints/{endpoint}/secret",
            on!(change_endpoint_key: Call, EndpointPath, Nothing),
        )
        .says("Makes another key; notices are signed with the one before too, until the next.")
        .gives::<EndpointSecret>(200)
        .fails(&[EndpointNotFound]),
        Route::post(
            "/secure/endpoints/{endpoint}/certificate-request",
            on!(request_endpoint_certificate: Call, EndpointPath, Nothing),
        )
        .says("Draws a key for our client certificate there; the partner's authority signs it.")
        .gives::<EndpointCsr>(201)
        .fails(&[EndpointNotFound]),
        Route::put(
            "/secure/endpoints/{endpoint}/certificate",
            on!(put_endpoint_certificate: Call, EndpointPath, Body<EndpointCertificate>),
        )
        .says("Takes our client certificate, which is shown there from now on.")
        .takes::<EndpointCertificate>(r#"{"certificate":"-----BEGIN CERTIFICATE-----"}"#)
        .gives::<ShownEndpoint>(200)
        .fails(&[EndpointNotFound]),
        Route::post(
            "/secure/endpoints/{endpoint}/ping",
            on!(ping_endpoint: Call, EndpointPath, Nothing),
        )
        .says("Sends an endpoint a notice that says nothing.")
        .fails(&[EndpointNotFound]),
        Route::get("/secure/events", on!(list_events: Call, Asked<EventPage>))
            .says("A page of what the partner was told, oldest first, and how far each is.")
            .asks(EVENTS)
            .gives::<EventList>(200),
        Route::post("/secure/events/replay", on!(replay_events: Call, Body<Replay>))
            .says("Has what happened on some days delivered again.")
            .takes::<Replay>(r#"{"from":"2026-11-01","to":"2026-11-02"}"#)
            .gives::<BegunReplay>(202),
    ]
}

/// Which part of the events is asked for.
pub(super) const EVENTS: &[(&str, &str)] = &[
    ("limit", "How many items, 1 to 50; 20 where it is left out."),
    ("after", "The last item's eventId of the page before."),
];
/// Where nobody is.
pub(super) const ENDPOINT: &str =
    r#"{"url":"https://127.0.0.1:9","events":["transaction","verification"]}"#;
/// Any RSA key of 2048 bits: what stands here is a published one of nobody's.
const PUBLIC_KEY: &str = include_str!("public_key.json");
