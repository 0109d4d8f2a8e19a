//! /secure and /sandbox: what partners have beside their cardholders' things.

use super::customer::EXPLAIN;
use super::table::Route;
use super::{Ours, on, public};
use crate::app::{
    Asked, BankAccount, BankAccountList, BankAccountPath, Body, EncryptionSample,
    ExplainedTransaction, NewBankAccount, NewResponseKey, Nothing, OfBalance, OutsideLock,
    PairingCode, PartnerBalanceList, PartnerBalancePath, ProcessorPath, RegisteredKey,
    ShownPartnerBalance, TransactionDetails, TransactionPath, Trial,
};
use crate::auth::access::{Access, Encryption};
use crate::call::{Call, CustomerCall};
use crate::error::Code::*;

/// What networks and acquirers have. Source: requirements #102.
fn processors() -> Route {
    Route::post(
        "/secure/processors/{processor}/cards/lock",
        on!(lock_outside: Call, ProcessorPath, Body<OutsideLock>),
    )
    .says("Locks a card by its number, in the name of a network or an acquirer.")
    .takes::<OutsideLock>(
        r#"{"pan":"9999998400000000006","reason":2,"externalReference":"CASE-17"}"#,
    )
    .fails(&[CardNotFound, CardLockedIrreversibly])
    .encrypted(Encryption::Body)
    .to(Access::Processor)
}

pub(super) fn routes() -> Vec<Route> {
    let ours = [
        Route::post("/secure/keys", on!(register_response_key: Call, Body<NewResponseKey>))
            .says("Registers the key that answers to this client are encrypted to from now on.")
            .takes::<NewResponseKey>(PUBLIC_KEY)
            .gives::<RegisteredKey>(201)
            .fails(&[InvalidPublicKey]),
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
    ours.map(|route| route.to(Access::Partner)).into_iter().chain([open, processors()]).collect()
}

/// Any RSA key of 2048 bits: what stands here is a published one of nobody's.
const PUBLIC_KEY: &str = include_str!("public_key.json");
