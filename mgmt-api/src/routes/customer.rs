//! What belongs to a cardholder: the same under /secure/customers/{id}, /customers/me and
//! /admin/customers/{id}, each for whom the seed's tables name. Source: requirements 2.2.

use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::response::Response;

use super::multipart::read_form;
use super::table::{CustomerRoute, Route};
use super::{Ours, limits, on};
use crate::app::{
    Activation, Asked, BalanceList, BalancePath, BankAccount, BankAccountList, BankAccountPath,
    BegunOperation, Body, BookedMovement, CardDetails, CardList, CardPage, CardPath, CardSummary,
    CardToken, CardTokenList, CardTokenPath, Credit, CustomerDetails, ExplainedTransaction,
    FullCard, IssuedCard, LockRequest, MaskedBankAccountList, NewBalance, NewCardToken, NewCvc2,
    NewPhysicalCard, NewPin, NewPrint, NewVirtualCard, Nothing, OpenedBalance, OperationPath,
    Optional, OrderPath, Page, PlacedOrder, RegisteredVerification, ShownBalance, ShownOperation,
    ShownOrder, ShownVerification, Statement, StatementPage, TransactionDetails, TransactionList,
    TransactionPage, TransactionPath, Transfer, VerificationForm,
};
use crate::auth::access::Encryption;
use crate::auth::role::Roles;
use crate::call::CustomerCall;
use crate::config;
use crate::error::Code::*;
use crate::error::{Code, Error, Result};

const STAFF: Roles = Roles::STAFF;
const ADMIN: Roles = Roles::ADMIN;

/// Amounts, currency and what the caller says of it.
const CREDIT: &str =
    r#"{"amount":5000,"currency":"EUR","externalId":"order-17","description":"from savings"}"#;

pub(super) fn routes(bounds: &config::Limits) -> Vec<Route> {
    let routes = [
        checks(bounds),
        bank_accounts(),
        balances(),
        balance_changes(),
        history(),
        cards(),
        tokens(),
        orders(),
        life(),
        limits::routes(),
    ];
    routes.into_iter().flatten().flat_map(CustomerRoute::each).collect()
}

fn checks(limits: &config::Limits) -> Vec<CustomerRoute> {
    let uploads = DefaultBodyLimit::max(limits.multipart_bytes_max);
    vec![
        Route::post("/register", ("register", register))
            .around(uploads)
            .says("Registers an identity check: the form and images of face and document.")
            .takes_form::<VerificationForm>()
            .gives::<RegisteredVerification>(201)
            .fails(&[InvalidCustomerData, FeatureNotEnabled])
            .of_customer()
            .partners()
            .customers(),
        Route::get("/verification", on!(show_verification: CustomerCall))
            .says("How the newest identity check stands.")
            .gives::<ShownVerification>(200)
            .fails(&[VerificationNotFound])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("", on!(show_customer: CustomerCall))
            .says("A user: name, contacts, state.")
            .gives::<CustomerDetails>(200)
            .written_down()
            .of_customer()
            .operators(STAFF),
        Route::post("/lock", on!(lock_customer: CustomerCall, Nothing))
            .says("Locks a user: every authorization is declined from the answer on.")
            .of_customer()
            .operators(ADMIN),
        Route::post("/unlock", on!(unlock_customer: CustomerCall, Nothing))
            .says("Lifts a user's lock.")
            .of_customer()
            .operators(ADMIN),
        Route::delete("", on!(delete_customer: CustomerCall, Nothing))
            .says("Deletes the user: cards are removed and empty balances closed, or nothing is.")
            .fails(&[BalanceNotEmpty])
            .of_customer()
            .operators(ADMIN),
    ]
}

/// IBANs; operators see them whole only where they ask for it. Source: requirements #34, #35.
fn bank_accounts() -> Vec<CustomerRoute> {
    let every = "/balances/{balance}/bank-accounts";
    vec![
        Route::get(every, on!(list_masked_bank_accounts: CustomerCall, BalancePath))
            .says("The IBANs that a balance has and had, masked.")
            .gives::<MaskedBankAccountList>(200)
            .of_customer()
            .operators(STAFF | Roles::LICENSED),
        Route::get(
            "/balances/{balance}/bank-accounts/full",
            on!(reveal_bank_accounts: CustomerCall, BalancePath),
        )
        .says("The IBANs that a balance has and had.")
        .gives::<BankAccountList>(200)
        .written_down()
        .of_customer()
        .operators(STAFF | Roles::LICENSED),
        Route::post(every, on!(open_bank_account_at: CustomerCall, BalancePath, Nothing))
            .says("Gives a balance an IBAN, where its partner has a program that gives them.")
            .gives::<BankAccount>(201)
            .fails(&[FeatureNotEnabled, BankAccountExists])
            .of_customer()
            .operators(Roles::LICENSED),
        Route::delete(
            "/balances/{balance}/bank-accounts/{iban}",
            on!(close_bank_account_at: CustomerCall, BalancePath, BankAccountPath, Nothing),
        )
        .says("Takes an IBAN out of use, for ever.")
        .fails(&[BankAccountNotFound])
        .of_customer()
        .operators(Roles::LICENSED),
    ]
}

fn balances() -> Vec<CustomerRoute> {
    vec![
        Route::get("/balances", on!(list_balances: CustomerCall, Asked<Page>))
            .says("A page of the balances, oldest first.")
            .paged()
            .gives::<BalanceList>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::post("/balances", on!(open_balance: CustomerCall, Body<NewBalance>))
            .says("Opens a balance at zero.")
            .takes::<NewBalance>(r#"{"currency":"EUR"}"#)
            .gives::<OpenedBalance>(201)
            .fails(&[KycNotVerified, InvalidCurrency, ConfigNotFound, TooManyBalances])
            .of_customer()
            .partners()
            .customers()
            .operators(ADMIN | Roles::MANAGER),
        Route::get("/balances/{balance}", on!(show_balance: CustomerCall, BalancePath))
            .says("A balance and the cards on it, as they are now.")
            .gives::<ShownBalance>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::delete(
            "/balances/{balance}",
            on!(close_balance: CustomerCall, BalancePath, Nothing),
        )
        .says("Closes a balance on which nothing is booked or held.")
        .fails(&[BalanceNotEmpty])
        .of_customer()
        .partners()
        .customers()
        .operators(ADMIN),
    ]
}

/// What an issuer and its partners do with a balance.
fn balance_changes() -> Vec<CustomerRoute> {
    vec![
        Route::post(
            "/balances/{balance}/block",
            on!(block_balance: CustomerCall, BalancePath, Nothing),
        )
        .says("Blocks a balance: from the answer on nothing is authorized against it, withdrawn or transferred; what comes in still does.")
        .of_customer()
        .partners()
        .operators(ADMIN | Roles::MANAGER),
        Route::post(
            "/balances/{balance}/unblock",
            on!(unblock_balance: CustomerCall, BalancePath, Nothing),
        )
        .says("Lifts the block of a balance; none is no error.")
        .fails(&[BlockedByOther])
        .of_customer()
        .partners()
        .operators(ADMIN | Roles::MANAGER),
        Route::post("/balances/{balance}/topup", on!(top_up: CustomerCall, BalancePath, Body<Credit>))
            .says("Credits a balance; in credit mode the partner's credit balance is charged.")
            .takes::<Credit>(CREDIT)
            .gives::<BookedMovement>(201)
            .fails(MONEY)
            .of_customer()
            .partners()
            .operators(ADMIN),
        Route::post(
            "/balances/{balance}/withdraw",
            on!(withdraw: CustomerCall, BalancePath, Body<Credit>),
        )
        .says("Pays out what is available on a balance.")
        .takes::<Credit>(CREDIT)
        .gives::<BookedMovement>(201)
        .fails(WITHDRAWAL)
        .of_customer()
        .partners()
        .operators(ADMIN),
        Route::post(
            "/balances/{balance}/transfer",
            on!(transfer: CustomerCall, BalancePath, Body<Transfer>),
        )
        .says("Moves what is available on a balance to another of the partner's cardholders.")
        .takes::<Transfer>(
            r#"{"toBalanceId":"019a0000-0000-7000-8000-000000000002","amount":500,"currency":"EUR"}"#,
        )
        .gives::<BookedMovement>(201)
        .fails(TRANSFER)
        .of_customer()
        .partners()
        .customers()
        .operators(ADMIN),
    ]
}

/// What can be wrong where a decision is explained.
pub(super) const EXPLAIN: &[Code] =
    &[TransactionNotFound, ExplanationPending, ExplanationUnavailable];

/// What happened to money. Source: requirements #83.
fn history() -> Vec<CustomerRoute> {
    vec![
        Route::get("/transactions", on!(list_transactions: CustomerCall, Asked<TransactionPage>))
            .says("A page of the transactions, newest first.")
            .asks(&[
                ("limit", "How many items, 1 to 50; 20 where it is left out."),
                ("after", "The last item's id of the page before."),
                ("from", "The first day, UTC, like 2026-11-25."),
                ("to", "The last day."),
                ("balanceId", "On this balance only."),
                ("cardId", "With this card only."),
            ])
            .gives::<TransactionList>(200)
            .fails(&[BalanceNotFound, CardNotFound, TransactionNotFound])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get(
            "/transactions/{transaction}",
            on!(show_transaction: CustomerCall, TransactionPath),
        )
        .says("A transaction and all that became of it.")
        .gives::<TransactionDetails>(200)
        .fails(&[TransactionNotFound])
        .of_customer()
        .partners()
        .customers()
        .operators(STAFF),
        Route::get(
            "/transactions/{transaction}/explain",
            on!(explain_transaction: CustomerCall, TransactionPath),
        )
        .says("Every check of the decision, and the balances before and after.")
        .gives::<ExplainedTransaction>(200)
        .fails(EXPLAIN)
        .of_customer()
        .partners()
        .operators(STAFF),
        Route::get(
            "/balances/{balance}/statement",
            on!(show_statement: CustomerCall, BalancePath, Asked<StatementPage>),
        )
        .says("Every posting in a range of days, oldest first, with what was booked behind it.")
        .asks(&[
            ("limit", "How many items, 1 to 50; 20 where it is left out."),
            ("after", "The last item's entryId of the page before."),
            ("from", "The first day, UTC, like 2026-11-25; a month before the last one."),
            ("to", "The last day; today where it is left out."),
        ])
        .gives::<Statement>(200)
        .of_customer()
        .partners()
        .customers()
        .operators(STAFF),
    ]
}

/// What can be wrong where money moves.
const MONEY: &[Code] = &[
    InvalidAmount,
    InvalidCurrency,
    CurrencyMismatch,
    InsufficientFunds,
    InsufficientCollateral,
    CollateralBalanceNotFound,
    OtherCustody,
];
const WITHDRAWAL: &[Code] = &[
    InvalidAmount,
    InvalidCurrency,
    CurrencyMismatch,
    InsufficientFunds,
    CollateralBalanceNotFound,
    OtherCustody,
    BalanceBlocked,
];
const TRANSFER: &[Code] = &[
    BalanceBlocked,
    InvalidAmount,
    InvalidCurrency,
    CurrencyMismatch,
    InsufficientFunds,
    BalancesApart,
    UserLocked,
];

fn cards() -> Vec<CustomerRoute> {
    vec![
        Route::post("/cards/virtual", on!(issue_card: CustomerCall, Body<NewVirtualCard>))
            .says("Issues a virtual card; the answer has its full data, encrypted.")
            .takes::<NewVirtualCard>(
                r#"{"balanceId":"019a0000-0000-7000-8000-000000000001","configId":"0019167984"}"#,
            )
            .gives::<IssuedCard>(201)
            .fails(&[
                KycNotVerified,
                BalanceNotFound,
                ConfigNotFound,
                CurrencyMismatch,
                TooManyCards,
                BalanceNotCovered,
            ])
            .encrypted(Encryption::Answer)
            .of_customer()
            .partners()
            .customers()
            .operators(ADMIN | Roles::MANAGER),
        Route::get("/cards", on!(list_cards: CustomerCall, Asked<CardPage>))
            .says("A page of the cards, oldest first, without their numbers.")
            .paged()
            .gives::<CardList>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("/cards/{card}", on!(show_card: CustomerCall, CardPath))
            .says("A card without its number.")
            .gives::<CardDetails>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("/cards/{card}/full", on!(show_full_card: CustomerCall, CardPath))
            .says("A card's full data, encrypted; a cardholder gives the wallet PIN before.")
            .gives::<FullCard>(200)
            .written_down()
            .fails(&[StepUpRequired, CardStateForbidden, CardNotLinked])
            .encrypted(Encryption::Answer)
            .of_customer()
            .partners()
            .customers(),
        Route::post("/cards/{card}/pin", on!(set_pin: CustomerCall, CardPath, Body<NewPin>))
            .says("Sets the PIN of a physical or digital first card; the body is encrypted, and the wallet PIN is given before.")
            .takes::<NewPin>(r#"{"pin":"4711"}"#)
            .fails(&[StepUpRequired, FeatureNotEnabled, PinTooWeak])
            .encrypted(Encryption::Body)
            .of_customer()
            .customers(),
        Route::post("/cards/{card}/cvv/reset", on!(reset_cvc2: CustomerCall, CardPath, Nothing))
            .says("Makes another CVC2 valid for a virtual or digital first card, where it is verified here.")
            .gives::<NewCvc2>(200)
            .fails(&[FeatureNotEnabled, CardStateForbidden, TooManyResets, ConcurrentChange])
            .encrypted(Encryption::Answer)
            .of_customer()
            .customers()
            .operators(STAFF),
    ]
}

/// Tokens of wallets, as their service tells the partner of them. Source: requirements #117.
fn tokens() -> Vec<CustomerRoute> {
    vec![
        Route::post(
            "/cards/{card}/tokens",
            on!(add_card_token: CustomerCall, CardPath, Body<NewCardToken>),
        )
        .says("Takes down that a wallet has a token of a card; it may cost a fee.")
        .takes::<NewCardToken>(
            r#"{"tokenReference":"DWSPMC00000000010906A349D9CA4EB1A4D53E3C90A11D9C","walletId":"103"}"#,
        )
        .gives::<CardToken>(201)
        .fails(&[CardTokenExists, CardStateForbidden])
        .of_customer()
        .partners()
        .operators(STAFF),
        Route::get("/cards/{card}/tokens", on!(list_card_tokens: CustomerCall, CardPath))
            .says("The tokens of a card, oldest first.")
            .gives::<CardTokenList>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::delete(
            "/cards/{card}/tokens/{token}",
            on!(end_card_token: CustomerCall, CardTokenPath, Nothing),
        )
        .says("Takes down that a wallet has a token no more.")
        .fails(&[CardTokenNotFound])
        .of_customer()
        .partners()
        .operators(STAFF),
    ]
}

const ADDRESS: &str = r#"{"deliveryAddress":{"recipient":"Ada Nowak","street":"Polna 7","postCode":"20-128","city":"Lublin","country":"PL"}}"#;

fn orders() -> Vec<CustomerRoute> {
    vec![
        Route::post(
            "/cards/virtual/async",
            on!(issue_card_later: CustomerCall, Body<NewVirtualCard>),
        )
        .says("Issues a virtual card in the background; no card data come back.")
        .takes::<NewVirtualCard>(
            r#"{"balanceId":"019a0000-0000-7000-8000-000000000001","configId":"0019167984"}"#,
        )
        .gives::<BegunOperation>(202)
        .fails(&[KycNotVerified, BalanceNotFound, ConfigNotFound, CurrencyMismatch])
        .of_customer()
        .partners()
        .customers(),
        Route::get("/operations/{operation}", on!(show_operation: CustomerCall, OperationPath))
            .says("Where an operation in the background is.")
            .gives::<ShownOperation>(200)
            .of_customer()
            .partners()
            .customers(),
        Route::post("/cards/physical", on!(order_card: CustomerCall, Body<NewPhysicalCard>))
            .says("Orders a physical card; it is inactive until it is linked and activated.")
            .takes::<NewPhysicalCard>(
                r#"{"balanceId":"019a0000-0000-7000-8000-000000000001","configId":"0019167988","cardholderName":"ADA NOWAK","deliveryAddress":{"recipient":"Ada Nowak","street":"Polna 7","postCode":"20-128","city":"Lublin","country":"PL"}}"#,
            )
            .gives::<PlacedOrder>(202)
            .fails(&[
                KycNotVerified,
                BalanceNotFound,
                ConfigNotFound,
                CurrencyMismatch,
                TooManyCards,
                BalanceNotCovered,
            ])
            .encrypted(Encryption::Body)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::post("/cards/{card}/print", on!(print_card: CustomerCall, CardPath, Body<NewPrint>))
            .says("Orders the blank plastic copy of a digital first card.")
            .takes::<NewPrint>(ADDRESS)
            .gives::<PlacedOrder>(202)
            .fails(&[FeatureNotEnabled, CardStateForbidden])
            .encrypted(Encryption::Body)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::get("/cards/orders/{order}", on!(show_order: CustomerCall, OrderPath))
            .says("Where an order of plastic is.")
            .gives::<ShownOrder>(200)
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
    ]
}

fn life() -> Vec<CustomerRoute> {
    vec![
        Route::post(
            "/cards/{card}/lock",
            on!(lock_card: CustomerCall, CardPath, Body<LockRequest>),
        )
        .says("Locks a card: every authorization is declined from the answer on.")
        .takes::<LockRequest>(r#"{"reason":3,"comment":"asked by phone"}"#)
        .fails(&[CardLockedIrreversibly, CardLockedByOther])
        .of_customer()
        .partners()
        .customers()
        .operators(STAFF),
        Route::post("/cards/{card}/unlock", on!(unlock_card: CustomerCall, CardPath, Nothing))
            .says("Lifts a reversible lock; none is no error. Whose locks a cardholder may lift is the program's to say.")
            .fails(&[CardLockedIrreversibly, CardLockedByOther])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::post(
            "/cards/{card}/activate",
            on!(activate_card: CustomerCall, CardPath, Optional<Activation>),
        )
        .says("Activates a card that is with its holder.")
        .may_take::<Activation>(r#"{"lastFourDigits":"1234"}"#)
        .fails(&[CardNotLinked, CardStateForbidden])
        .of_customer()
        .partners()
        .customers()
        .operators(STAFF),
        Route::post("/cards/{card}/renew", on!(renew_card: CustomerCall, CardPath, Nothing))
            .says("Gives a card in its last three months a later month. In place of a physical card another is ordered to the same address, as for replace.")
            .gives::<CardSummary>(201)
            .or_gives::<PlacedOrder>(202)
            .fails(&[
                RenewalTooEarly,
                CardStateForbidden,
                ConcurrentChange,
                KycNotVerified,
                ConfigNotFound,
                OrderNotFound,
                TooManyCards,
            ])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::post("/cards/{card}/replace", on!(replace_card: CustomerCall, CardPath, Nothing))
            .says("Issues another virtual card on the same balance, under the same limits, and locks this one with code 8. In place of a physical card another is ordered to the same address: this one is locked when that one is activated.")
            .gives::<CardSummary>(201)
            .or_gives::<PlacedOrder>(202)
            .fails(&[KycNotVerified, CardStateForbidden, ConfigNotFound, OrderNotFound, TooManyCards])
            .of_customer()
            .partners()
            .customers()
            .operators(STAFF),
        Route::delete("/cards/{card}", on!(remove_card: CustomerCall, CardPath, Nothing))
            .says("Removes a card for ever; what is open on it still clears.")
            .of_customer()
            .customers()
            .operators(ADMIN | Roles::MANAGER),
    ]
}

async fn register(
    State(app): Ours,
    by: CustomerCall,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let multipart = multipart.map_err(|_other| Error::from(UnsupportedMediaType))?;
    let Ok(_place) = app.upload_queue.try_acquire() else { return Err(Overloaded.into()) };
    let _permit = app.uploads.acquire().await;
    let body = read_form(&app, multipart).await?;
    app.register_verification(by, body).await
}
