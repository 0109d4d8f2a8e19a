//! Every way a request can fail: one enum, one table of status, title and advice.
//!
//! Invariants: `title` is the code that the seed's clients read; no text here repeats what the
//! caller sent; what went wrong inside is logged, never answered. Source: requirements #57, #192.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::control::Refusal;

use crate::store::StoreError;
use crate::switch_link::LinkError;
use crate::vault::VaultError;

/// Media type of an error's body.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds after which a caller may come back, where that helps.
const RETRY_AFTER_SECONDS: u16 = 1;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $title:literal $detail:literal;)*) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* #[doc = $detail] $name,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The code's name in answers.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means and what to do next.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

codes! {
    EncryptionRequired = 400 "ENCRYPTION_REQUIRED"
        "The answer carries card data: send Public-Key with Encrypted-Request, Encrypt-Response or Encrypted-Response set to true.";
    InvalidPublicKey = 400 "INVALID_PUBLIC_KEY"
        "Public-Key must be the base64 of a PEM or DER public key, RSA of 2048 to 4096 bits with exponent 65537, and the one registered for this client.";
    InvalidPayload = 400 "INVALID_PAYLOAD"
        "With Encrypted-Request the body is {\"payload\": \"..\"}, a compact JWE that holds a JSON object.";
    CantDecryptPayload = 400 "CANT_DECRYPT_PAYLOAD"
        "The payload cannot be decrypted: use RSA-OAEP-256 or RSA-OAEP with A256GCM and our current public key.";
    InvalidRequest = 400 "INVALID_REQUEST"
        "The request cannot be read; errors names the members at fault.";
    InvalidCustomerData = 422 "INVALID_CUSTOMER_DATA"
        "The customer's data are not acceptable; errors names the members at fault.";
    InvalidIdempotencyKey = 400 "INVALID_IDEMPOTENCY_KEY"
        "An idempotency key has 1 to 128 visible ASCII characters; where both headers are sent they must agree.";
    MissingHeader = 400 "MISSING_HEADER"
        "Issuer-Code, Application-Id and Collection are required here.";
    ClientCertificateRequired = 401 "CLIENT_CERTIFICATE_REQUIRED"
        "Connect with the client certificate that was signed for you.";
    ClientCertificateUnknown = 401 "CLIENT_CERTIFICATE_UNKNOWN"
        "The client certificate is not registered here, or no longer.";
    Unauthorized = 401 "UNAUTHORIZED"
        "Send Authorization: Bearer with the token of a session of this channel that has not ended.";
    InvalidCredentials = 401 "INVALID_CREDENTIALS"
        "What was given to show who you are is wrong, used up or too old.";
    Forbidden = 403 "FORBIDDEN"
        "The caller's role, or its Issuer-Code, Application-Id or Collection, does not allow this.";
    AddressForbidden = 403 "ADDRESS_FORBIDDEN"
        "This client may not connect from this address.";
    FeatureNotEnabled = 403 "FEATURE_NOT_ENABLED"
        "This is not set up here, or the card's program does not have it.";
    StepUpRequired = 403 "STEP_UP_REQUIRED"
        "Give the wallet PIN to /customers/sessions/current/step-up first.";
    RouteNotFound = 404 "ROUTE_NOT_FOUND" "There is nothing at this address.";
    UserNotFound = 404 "USER_NOT_FOUND" "There is no such customer.";
    BalanceNotFound = 404 "BALANCE_NOT_FOUND" "There is no such balance of this customer.";
    CardNotFound = 404 "CARD_NOT_FOUND" "There is no such card of this customer.";
    CardTokenNotFound = 404 "CARD_TOKEN_NOT_FOUND" "The card has no such token.";
    ProgramNotFound = 404 "PROGRAM_NOT_FOUND" "There is no such card program.";
    FeeNotFound = 404 "FEE_NOT_FOUND" "The program has no such fee.";
    ArtNotFound = 404 "ART_NOT_FOUND" "The program has no such file, or there is no such kind.";
    ImportNotFound = 404 "IMPORT_NOT_FOUND" "There is no such import.";
    BankAccountNotFound = 404 "BANK_ACCOUNT_NOT_FOUND" "There is no such bank account.";
    CertificateNotFound = 404 "CERTIFICATE_NOT_FOUND" "There is no such certificate.";
    VerificationNotFound = 404 "VERIFICATION_NOT_FOUND" "There is no such identity check.";
    OrderNotFound = 404 "ORDER_NOT_FOUND" "There is no such order of this customer.";
    OperationNotFound = 404 "OPERATION_NOT_FOUND" "There is no such operation of this customer.";
    ReloadNotFound = 404 "RELOAD_NOT_FOUND" "There is no such reload that was asked for.";
    EndpointNotFound = 404 "ENDPOINT_NOT_FOUND" "There is no such endpoint of this partner.";
    TransactionNotFound = 404 "TRANSACTION_NOT_FOUND"
        "There is no such transaction of this customer, or it is not in the history yet.";
    ConfigNotFound = 404 "CONFIG_NOT_FOUND" "There is no such configId for cards of this kind.";
    PartnerNotFound = 404 "PARTNER_NOT_FOUND" "There is no such partner.";
    PartnerBalanceNotFound = 404 "PARTNER_BALANCE_NOT_FOUND" "There is no such partner balance.";
    MethodNotAllowed = 405 "METHOD_NOT_ALLOWED" "This address does not take this method.";
    KycNotVerified = 409 "KYC_NOT_VERIFIED"
        "The customer's state must be VERIFIED and the identity check SUCCESS.";
    UserLocked = 409 "USER_LOCKED" "The customer is locked.";
    CardLockedIrreversibly = 409 "CARD_LOCKED_IRREVERSIBLY"
        "The card has a lock that is never lifted or replaced: issue another card.";
    CardLockedByOther = 409 "CARD_LOCKED_BY_OTHER"
        "Somebody else set the lock, and the program does not let the cardholder lift it: the issuer can.";
    CardStateForbidden = 409 "CARD_STATE_FORBIDDEN" "The card's state does not allow this.";
    CardNotLinked = 409 "CARD_NOT_LINKED"
        "The card is still being made: it can be activated when it is linked.";
    RenewalTooEarly = 409 "RENEWAL_TOO_EARLY"
        "The card is renewed in its last three months, for a later month.";
    TooManyResets = 409 "TOO_MANY_RESETS" "The card has no further CVC2: replace it.";
    VerificationDecided = 409 "VERIFICATION_DECIDED" "The identity check was decided otherwise.";
    SecondPersonRequired = 409 "SECOND_PERSON_REQUIRED"
        "A reload takes two operators: ask for it with reloads, another operator confirms it.";
    ReloadDecided = 409 "RELOAD_DECIDED" "The reload was decided already.";
    TooManyEndpoints = 409 "TOO_MANY_ENDPOINTS"
        "The partner has as many endpoints as it may: remove one first.";
    ProgramFixed = 409 "PROGRAM_FIXED"
        "Partner, currency and collateral of a program are for ever: make another program.";
    PartnerExists = 409 "PARTNER_EXISTS"
        "Another partner has this issuer code, or this partner has another one.";
    CardTokenExists = 409 "CARD_TOKEN_EXISTS" "The card has a token of this reference, or had one.";
    FeeExists = 409 "FEE_EXISTS"
        "The partner has a fee on accounts of this kind and currency.";
    TooManyFees = 409 "TOO_MANY_FEES" "The program has as many fees on payments as it may have.";
    BankAccountExists = 409 "BANK_ACCOUNT_EXISTS" "The balance has a bank account.";
    CertificateExists = 409 "CERTIFICATE_EXISTS"
        "This key has a certificate already: make another key.";
    ConcurrentChange = 409 "CONCURRENT_CHANGE"
        "Another change came first: look at what there is now, then ask again.";
    CustomerExists = 409 "CUSTOMER_EXISTS" "Another customer has this phone or e-mail.";
    PartnerBalanceExists = 409 "PARTNER_BALANCE_EXISTS"
        "The partner has a balance of this kind and currency.";
    BalanceNotEmpty = 409 "BALANCE_NOT_EMPTY"
        "Money is booked or held on the balance: bring both to zero first.";
    BalanceBlocked = 409 "BALANCE_BLOCKED"
        "The balance is blocked: nothing is taken out of it until it is unblocked.";
    BlockedByOther = 409 "BLOCKED_BY_OTHER"
        "An operator blocked the balance: operators unblock it.";
    TooManyCards = 409 "TOO_MANY_CARDS" "The balance has as many cards as it may have.";
    TooManyBalances = 409 "TOO_MANY_BALANCES" "The user has as many balances as it may have.";
    OtherCustody = 409 "OTHER_CUSTODY"
        "The balance's money is with the partner, or must be for this: a program's cards draw on balances of the same kind, and money that is with the partner is not moved here.";
    PartnerNotLicensed = 409 "PARTNER_NOT_LICENSED"
        "The partner has no licence to keep its holders' money.";
    BalanceEndpointMissing = 409 "BALANCE_ENDPOINT_MISSING"
        "The partner has no endpoint for balances: it makes one with POST /secure/endpoints first.";
    OtpEndpointMissing = 409 "OTP_ENDPOINT_MISSING"
        "The partner of the card's holder takes no one-time passwords.";
    EndpointInUse = 409 "ENDPOINT_IN_USE"
        "The endpoint is where the money of a program's holders is, or another one is already.";
    UserNotFoundAtPartner = 409 "USER_NOT_FOUND_AT_PARTNER"
        "The partner, which keeps the money, does not know this customer: add the user there first.";
    RefusedByPartner = 409 "REFUSED_BY_PARTNER"
        "The partner, which keeps the money, did not take the balance.";
    BalanceNotCovered = 409 "BALANCE_NOT_COVERED"
        "The balance holds money that the partner's credit balance does not cover.";
    IdempotencyKeyInUse = 409 "IDEMPOTENCY_KEY_IN_USE"
        "A request with this idempotency key is under way: wait and send it again.";
    PreconditionFailed = 412 "PRECONDITION_FAILED"
        "What there is now is not the version in If-Match: look at it, then ask again.";
    BodyTooLarge = 413 "BODY_TOO_LARGE" "The body or one of its parts is too large.";
    UnsupportedMediaType = 415 "UNSUPPORTED_MEDIA_TYPE"
        "Send application/json, or multipart/form-data for register.";
    CurrencyMismatch = 422 "CURRENCY_MISMATCH" "The currency is not the balance's.";
    InvalidAmount = 422 "INVALID_AMOUNT"
        "The amount must be more than zero and the sum must fit.";
    InvalidCurrency = 422 "INVALID_CURRENCY" "The currency is not an ISO 4217 code with minor units.";
    InsufficientFunds = 422 "INSUFFICIENT_FUNDS"
        "The balance does not have the amount available.";
    BalancesApart = 422 "BALANCES_APART"
        "No money moves from a balance to itself, or to one that other collateral stands behind.";
    OtpRefused = 422 "OTP_REFUSED"
        "The partner of the card's holder does not bring this password to them.";
    InsufficientCollateral = 422 "INSUFFICIENT_FUNDS_ON_COLLATERAL_BALANCE"
        "The partner's credit balance does not cover the amount: reload it first.";
    CollateralBalanceNotFound = 422 "COLLATERAL_BALANCE_NOT_FOUND"
        "The partner has no credit balance in this currency: create one first.";
    IdempotencyKeyReused = 422 "IDEMPOTENCY_KEY_REUSED"
        "This idempotency key was used with another request: take a new one.";
    InvalidArt = 422 "INVALID_ART" "The file cannot be used like this; errors says why.";
    InvalidCsr = 422 "INVALID_CSR"
        "The certificate request is not acceptable; errors says why.";
    InvalidReport = 422 "INVALID_REPORT"
        "The report does not add up or has a line that cannot be read: nothing of it was applied.";
    PinTooWeak = 422 "PIN_TOO_WEAK" "The PIN is easy to guess: choose another.";
    TooManyAttempts = 429 "TOO_MANY_ATTEMPTS"
        "Too many wrong tries: an operator waits, a wallet PIN is set again by the partner.";
    RateLimited = 429 "RATE_LIMITED"
        "This client asks too often: wait as long as Retry-After says.";
    TooManyIdempotencyKeys = 429 "TOO_MANY_IDEMPOTENCY_KEYS"
        "Too many idempotency keys are kept for this caller: wait until older ones end.";
    InternalError = 500 "INTERNAL_ERROR"
        "Something went wrong here: report the traceId. With an idempotency key the request may be sent again.";
    SwitchUnavailable = 503 "SWITCH_UNAVAILABLE"
        "The switch gave no durable answer in time: send the request again with the same idempotency key.";
    OtpNotDelivered = 503 "OTP_NOT_DELIVERED"
        "The partner of the card's holder did not take the password in time: the payment may try again.";
    PartnerUnavailable = 503 "PARTNER_UNAVAILABLE"
        "The partner, which keeps the money, gave no usable answer: try again.";
    ExplanationPending = 503 "EXPLANATION_PENDING"
        "The journal is being decided again: ask again when Retry-After says so.";
    ExplanationUnavailable = 409 "EXPLANATION_UNAVAILABLE"
        "It stands too far behind to be decided again beside live traffic: run switch explain on a copy of the journal.";
    CapacityReached = 503 "CAPACITY_REACHED" "A table of the switch is full: tell the operator.";
    Overloaded = 503 "OVERLOADED" "Too many requests are under way: send it again later.";
    RequestTimeout = 504 "REQUEST_TIMEOUT" "The request took too long: send it again.";
}

/// One member that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its name.
    pub field: &'static str,
    /// What it must be.
    pub message: Cow<'static, str>,
}

/// A failure on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// The members at fault, where there are some.
    pub faults: Vec<Fault>,
}

/// The body of an error. Source: RFC 9457.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    instance: &'a str,
    code: &'static str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

/// The result of a request.
pub type Result<T, E = Error> = core::result::Result<T, E>;

impl Error {
    /// A fault of one member.
    #[must_use]
    pub fn fault(code: Code, field: &'static str, message: &'static str) -> Self {
        Self { code, faults: vec![Fault { field, message: message.into() }] }
    }

    /// Something went wrong inside: `cause` goes to the log.
    #[must_use]
    pub fn internal(what: &'static str, cause: &dyn core::fmt::Display) -> Self {
        tracing::error!(what, %cause, "request failed");
        Code::InternalError.into()
    }

    /// Sending the same again may succeed: nothing of it is remembered under an idempotency key.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.code.status() >= 500 || self.code.status() == 429
    }

    /// The same; others need not wait for it.
    #[must_use]
    pub fn holds_up_all(&self) -> bool {
        self.is_passing() && self.code != Code::PartnerUnavailable
    }

    /// The body for a request at `instance` with this trace id.
    #[must_use]
    pub fn body(&self, instance: &str, trace_id: &str) -> Vec<u8> {
        let problem = Problem {
            r#type: format!("urn:pointsman:error:{}", self.code.title()),
            title: self.code.title(),
            status: self.code.status(),
            detail: self.code.detail(),
            instance,
            code: self.code.title(),
            trace_id,
            errors: &self.faults,
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// The headers that go with it.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![(header::CONTENT_TYPE.to_string(), PROBLEM_JSON.to_owned())];
        if matches!(self.code.status(), 429 | 503) || self.code == Code::IdempotencyKeyInUse {
            headers.push((header::RETRY_AFTER.to_string(), RETRY_AFTER_SECONDS.to_string()));
        }
        if self.code.status() == 401 {
            headers.push((header::WWW_AUTHENTICATE.to_string(), "Bearer".to_owned()));
        }
        headers
    }
}

/// Status, headers and the error itself as an extension: the outermost layer writes the body,
/// because only there address and trace id are known.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let mut response = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        for (name, value) in self.headers() {
            if let (Ok(name), Ok(value)) =
                (name.parse::<header::HeaderName>(), HeaderValue::from_str(&value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self { code, faults: Vec::new() }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::internal("database", &error)
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Self::internal("vault", &error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(_error: serde_json::Error) -> Self {
        Self::internal("serialization", &"a stored value does not serialize")
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        tracing::warn!(%error, "no answer from the switch");
        Code::SwitchUnavailable.into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            // Asked for by nothing that this API sends.
            Refusal::IdTaken
            | Refusal::TokenTaken
            | Refusal::Unsound
            | Refusal::TooManyOwed
            | Refusal::SubjectNotFound
            | Refusal::NotLater => {
                return Self::internal("switch", &refusal);
            }
            Refusal::PartnerNotFound => Code::PartnerNotFound,
            Refusal::ProgramNotFound => Code::ConfigNotFound,
            Refusal::CustomerNotFound => Code::UserNotFound,
            Refusal::CustomerNotVerified => Code::KycNotVerified,
            Refusal::BalanceNotFound => Code::BalanceNotFound,
            Refusal::BalanceNotEmpty => Code::BalanceNotEmpty,
            Refusal::TooManyCards => Code::TooManyCards,
            Refusal::TooManyBalances => Code::TooManyBalances,
            Refusal::PartnerBalanceNotFound => Code::PartnerBalanceNotFound,
            Refusal::PartnerBalanceExists => Code::PartnerBalanceExists,
            Refusal::CardNotFound => Code::CardNotFound,
            Refusal::CurrencyMismatch => Code::CurrencyMismatch,
            Refusal::InvalidAmount => Code::InvalidAmount,
            Refusal::CardStateForbidden { .. } => Code::CardStateForbidden,
            Refusal::LockedIrreversibly => Code::CardLockedIrreversibly,
            Refusal::BalanceNotCovered => Code::BalanceNotCovered,
            Refusal::CollateralBalanceNotFound => Code::CollateralBalanceNotFound,
            Refusal::InsufficientCollateral => Code::InsufficientCollateral,
            Refusal::InsufficientFunds => Code::InsufficientFunds,
            Refusal::BalancesApart => Code::BalancesApart,
            Refusal::BalanceBlocked => Code::BalanceBlocked,
            Refusal::LockedByOther => Code::CardLockedByOther,
            Refusal::OtherCustody => Code::OtherCustody,
            Refusal::TableFull => Code::CapacityReached,
        };
        code.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_a_title_of_its_own_and_an_error_status() {
        let titles: HashSet<_> = Code::ALL.iter().map(|code| code.title()).collect();
        assert_eq!(titles.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert!(code.detail().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn the_body_has_the_members_of_rfc_9457_and_the_seeds_title() {
        let error = Error::fault(Code::InvalidRequest, "amount", "must be an integer");
        let body: serde_json::Value =
            serde_json::from_slice(&error.body("/secure/x", "t-1")).unwrap();
        assert_eq!(body["title"], "INVALID_REQUEST");
        assert_eq!(body["code"], "INVALID_REQUEST");
        assert_eq!(body["status"], 400);
        assert_eq!(body["instance"], "/secure/x");
        assert_eq!(body["traceId"], "t-1");
        assert_eq!(body["errors"][0]["field"], "amount");
    }
}
