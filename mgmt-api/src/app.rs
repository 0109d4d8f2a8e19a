//! The use cases, one a file, over one shared state.
//!
//! Order of every write: ids are drawn and their rows written `PENDING`, then the change goes over
//! the control link under a stored command id, then the row is settled. Invariant: nothing is
//! answered as done before the switch has it durably.

mod activate_card;
mod add_customer;
mod art;
mod bank_accounts;
mod block_balance;
mod card_tokens;
mod certificates;
pub(crate) mod charge_fees;
mod close_balance;
mod days;
pub(crate) mod decide_verification;
mod delete_customer;
mod endpoints;
mod explain_transaction;
mod fees;
pub(crate) mod import;
mod issue_card;
pub(crate) mod issue_later;
mod limits;
mod lock_card;
mod lock_outside;
mod log_in;
mod move_money;
mod open_balance;
mod open_partner_balance;
mod order_card;
mod pair_device;
mod personalise;
mod put_program;
mod register_key;
mod register_verification;
mod reload_by_two;
mod renew_card;
mod reset_cvc2;
mod send_otp;
mod set_pin;
mod show_audit;
mod show_balance;
mod show_card;
mod show_customer;
mod show_events;
mod show_full_card;
mod show_partners;
mod show_statement;
mod show_totals;
mod show_transactions;
mod simulate;
mod tell_of_card;
mod try_encryption;
mod update_customer;
pub(crate) mod watch_balances;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use shared::ids::{CardId, CommandId, CustomerId, Timestamp};
use shared::money::Currency;
use shared::pan::Pan;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

pub use self::activate_card::Activation;
pub use self::add_customer::{AddedCustomer, NewWallet};
pub use self::art::TakenArt;
pub use self::bank_accounts::{
    BankAccount, BankAccountList, MaskedBankAccountList, NewBankAccount, OfBalance,
};
pub use self::card_tokens::{CardToken, CardTokenList, NewCardToken};
pub(crate) use self::certificates::hex;
pub use self::certificates::{CertificateList, CertificateRequest, SignedCertificate};
pub use self::decide_verification::{
    FullVerification, RejectReason, Rejection, ShownVerification, VerificationList,
    VerificationPage,
};
pub use self::endpoints::{
    EndpointCertificate, EndpointCsr, EndpointList, EndpointSecret, EndpointWish, MadeEndpoint,
    ShownEndpoint,
};
pub use self::explain_transaction::ExplainedTransaction;
pub use self::fees::{FeeList, ProgramFee, ReportWish, ShownFee};
pub use self::import::{ImportWish, RowPage, ShownImport, TakenImport};
pub use self::issue_card::{IssuedCard, NewVirtualCard};
pub use self::issue_later::{BegunOperation, ShownOperation};
pub use self::limits::{LimitUsage, Limits, LimitsAsked};
pub use self::lock_card::LockRequest;
pub use self::lock_outside::OutsideLock;
pub use self::log_in::{
    BegunSession, NewCustomerSession, NewOperatorSession, OperatorSession, StepUp, StepUpEnd,
};
pub use self::move_money::{BookedMovement, Credit, Transfer};
pub use self::open_balance::{NewBalance, OpenedBalance};
pub use self::open_partner_balance::{NewPartnerBalance, PartnerBalanceList, ShownPartnerBalance};
pub use self::order_card::{NewPhysicalCard, NewPrint, PlacedOrder, ShownOrder};
pub use self::pair_device::{NewDevice, PairedDevice, PairingCode};
pub use self::personalise::{BureauBatch, ReportResult};
pub use self::put_program::{CardProgram, PartnerData, ProgramList, ShownProgram};
pub use self::register_key::{NewResponseKey, RegisteredKey};
pub use self::register_verification::{Image, RegisteredVerification, VerificationForm};
pub use self::reload_by_two::{AskedReload, AskedReloadList};
pub use self::renew_card::CardSummary;
pub use self::reset_cvc2::NewCvc2;
pub use self::send_otp::OneTimePassword;
pub use self::set_pin::NewPin;
pub use self::show_audit::{AuditList, AuditPage};
pub use self::show_balance::{BalanceList, Page, ShownBalance};
pub use self::show_card::{CardDetails, CardList, CardPage};
pub use self::show_customer::{CustomerDetails, CustomerList, CustomerPage, CustomerSearch};
pub use self::show_events::{BegunReplay, EventList, EventPage, Replay};
pub use self::show_full_card::FullCard;
pub use self::show_partners::PartnerList;
pub use self::show_statement::{Statement, StatementPage};
pub use self::show_totals::TotalList;
use self::show_transactions::Name;
pub(crate) use self::show_transactions::{
    Notified, TransactionData, data, kind_name, public_id, reason,
};
pub use self::show_transactions::{TransactionDetails, TransactionList, TransactionPage};
pub use self::simulate::{
    ClockAdvance, ClockState, OrderAdvance, SimulatedAnswer, SimulatedClearing, SimulatedExpiry,
    SimulatedPayment, SimulatedReversal,
};
pub use self::try_encryption::{EncryptionSample, Trial};
pub use self::update_customer::CustomerFlags;
pub use self::watch_balances::LowBalanceAlert;

use crate::audit::Audit;
use crate::auth::admin_token::AdminToken;
use crate::auth::client_cert::Processor;
use crate::auth::rate::Rates;
use crate::call::{CustomerCall, Scope};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::idempotency::{ContentHash, Keys};
use crate::in_flight::InFlight;
use crate::jwe::{Jwe, ResponseKey};
use crate::mail::Mailer;
use crate::store::{BalanceRow, CardRow, CustomerRow, History, ProgramRow, Store};
use crate::switch_link::SwitchLink;
use crate::vault::{Purpose, Vault};
use crate::{clock, notices, pki};

/// Items of one page.
const PAGE_DEFAULT: u8 = 20;
const PAGE_MAX: u8 = 50;

/// Explanations waited for at once.
const EXPLAINING_MAX: usize = 4;

/// What all requests share.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// What happened to money.
    pub history: History,
    /// The switch.
    pub link: SwitchLink,
    /// Keys at rest.
    pub vault: Arc<Vault>,
    /// Keys of bodies.
    pub jwe: Arc<Jwe>,
    /// Checks operators.
    pub admin_token: AdminToken,
    /// Requests under way.
    pub requests: Semaphore,
    /// Multipart requests under way.
    pub uploads: Semaphore,
    /// Password hashes under way.
    pub crypto: Arc<Semaphore>,
    /// The one look at uploaded art that is under way: nobody waits for it but who uploads.
    pub art_looks: Arc<Semaphore>,
    pub(crate) keys: Keys,
    pub(crate) rates: Rates,
    pub(crate) in_flight: InFlight,
    /// Multipart requests under way or waiting for their turn.
    pub(crate) upload_queue: Semaphore,
    pub(crate) audit: Audit,
    pub(crate) bureau_key: Option<ResponseKey>,
    pub(crate) processors: Vec<Processor>,
    pub(crate) mailer: Option<Mailer>,
    /// Tells partners.
    pub(crate) notifier: notices::Client,
    /// Fees are made, changed and removed one at a time, here and at the switch in one order.
    pub(crate) fee_changes: tokio::sync::Mutex<()>,
    /// The clock of a sandbox is let run ahead by one at a time.
    pub(crate) clock_changes: tokio::sync::Mutex<()>,
    /// What has versions is changed by one at a time.
    pub(crate) versions: tokio::sync::Mutex<()>,
    /// Explanations that are waited for.
    pub(crate) explaining: Semaphore,
    pub(crate) operations_wait: Notify,
    pub(crate) imports_wait: Notify,
    announced: AtomicBool,
}

/// A balance as a path names it.
#[derive(Deserialize)]
pub struct BalancePath {
    balance: String,
}

/// A card as a path names it: by its `id` or its `resourceId`.
#[derive(Deserialize)]
pub struct CardPath {
    card: String,
}

/// A card's token as a path names it.
#[derive(Deserialize)]
pub struct CardTokenPath {
    card: String,
    token: String,
}

/// A transaction as a path names it.
#[derive(Deserialize)]
pub struct TransactionPath {
    transaction: String,
}

/// An endpoint as a path names it.
#[derive(Deserialize)]
pub struct EndpointPath {
    endpoint: String,
}

/// A reload that was asked for, as a path names it.
#[derive(Deserialize)]
pub struct ReloadPath {
    reload: String,
}

/// A processor as a path names it, by its number.
#[derive(Deserialize)]
pub struct ProcessorPath {
    processor: String,
}

/// A partner as a path names it: by its number or its issuer code.
#[derive(Deserialize)]
pub struct PartnerPath {
    partner: String,
}

/// A partner balance as a path names it.
#[derive(Deserialize)]
pub struct PartnerBalancePath {
    balance: String,
}

/// An order as a path names it.
#[derive(Deserialize)]
pub struct OrderPath {
    order: String,
}

/// An import as a path names it.
#[derive(Deserialize)]
pub struct ImportPath {
    import: String,
}

/// A file of rows, as it came.
pub struct ImportFile {
    /// CSV with a header, or lines of JSON.
    pub is_csv: bool,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Their keyed hash.
    pub hash: ContentHash,
}

/// A file of art as a path names it.
#[derive(Deserialize)]
pub struct ArtPath {
    program: String,
    kind: String,
}

/// A file of art, as it came.
pub struct ArtFile {
    /// As its sender says.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Their keyed hash.
    pub hash: ContentHash,
}

/// A bank account as a path names it.
#[derive(Deserialize)]
pub struct BankAccountPath {
    iban: String,
}

/// A certificate as a path names it, by the SHA-256 of its public key.
#[derive(Deserialize)]
pub struct CertificatePath {
    certificate: String,
}

/// A program as a path names it, by its `configId`.
#[derive(Deserialize)]
pub struct ProgramPath {
    program: String,
}

/// A fee of a program as a path names it.
#[derive(Deserialize)]
pub struct FeePath {
    program: String,
    fee: String,
}

/// An identity check as a path names it.
#[derive(Deserialize)]
pub struct VerificationPath {
    verification: String,
}

/// An image of an identity check as a path names it.
#[derive(Deserialize)]
pub struct ImagePath {
    verification: String,
    image: String,
}

/// An operation in the background as a path names it.
#[derive(Deserialize)]
pub struct OperationPath {
    operation: String,
}

/// A bureau's report, as it came.
pub struct Report {
    /// Its bytes.
    pub text: Vec<u8>,
    /// Their keyed hash.
    pub hash: ContentHash,
}

/// What a query string asks for.
pub struct Asked<T>(pub T);

/// A body that may be left out.
pub struct Optional<T>(pub Body<T>);

/// A body that says nothing, empty or `{}`, as its hash.
pub struct Nothing(pub ContentHash);

/// A body that was read, and the hash that tells it from another.
pub struct Body<T> {
    /// What it says.
    pub content: T,
    /// Its keyed hash.
    pub hash: ContentHash,
}

impl App {
    /// The shared state over its parts.
    pub fn new(
        config: Config,
        (store, history): (Store, History),
        link: SwitchLink,
        (vault, audit): (Arc<Vault>, Audit),
    ) -> anyhow::Result<Self> {
        let crypto = Arc::new(Semaphore::new(config.limits.crypto_max));
        let jwe =
            Jwe::open(&config.jwe_key, config.jwe_key_before.as_deref(), Arc::clone(&crypto))?;
        let bureau_key =
            config.bureau_key.as_deref().map(|path| jwe.key_of_file(path)).transpose()?;
        let mailer = config.mail.as_ref().map(Mailer::open).transpose()?;
        let processors = config.processors.iter().map(Processor::open).collect::<Result<_, _>>()?;
        Ok(Self {
            vault,
            jwe: Arc::new(jwe),
            bureau_key,
            processors,
            mailer,
            notifier: notices::Client::open(&config)?,
            fee_changes: tokio::sync::Mutex::default(),
            clock_changes: tokio::sync::Mutex::default(),
            versions: tokio::sync::Mutex::default(),
            audit,
            explaining: Semaphore::new(EXPLAINING_MAX),
            operations_wait: Notify::new(),
            imports_wait: Notify::new(),
            admin_token: AdminToken::open(&config.admin_token)?,
            requests: Semaphore::new(config.limits.requests_max),
            uploads: Semaphore::new(config.limits.uploads_max),
            crypto,
            art_looks: Arc::new(Semaphore::new(1)),
            keys: Keys::default(),
            rates: Rates::default(),
            in_flight: InFlight::default(),
            upload_queue: Semaphore::new(
                config.limits.uploads_max + config.limits.uploads_waiting_max,
            ),
            announced: AtomicBool::new(false),
            config,
            store,
            history,
            link,
        })
    }

    /// Whether the switch knows our partners and programs.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }

    pub(crate) fn set_announced(&self) {
        self.announced.store(true, Ordering::Release);
    }

    /// The customer that a call is about; one that its caller may not see is not found.
    pub(crate) async fn customer(&self, by: &CustomerCall) -> Result<CustomerRow> {
        let id = by.customer.parse::<i64>().map_err(|_not_a_number| Code::UserNotFound)?;
        let row = self.store.customer(by.call.caller.scope(), id).await?;
        row.ok_or_else(|| Code::UserNotFound.into())
    }

    /// A balance of the customer that a call is about.
    pub(crate) async fn balance_at(
        &self,
        by: &CustomerCall,
        at: &BalancePath,
    ) -> Result<BalanceRow> {
        self.customer_and_balance(by, at).await.map(|(_customer, balance)| balance)
    }

    /// The customer that a call is about, and a balance of theirs.
    pub(crate) async fn customer_and_balance(
        &self,
        by: &CustomerCall,
        at: &BalancePath,
    ) -> Result<(CustomerRow, BalanceRow)> {
        let id = by.customer.parse::<i64>().map_err(|_not_a_number| Code::UserNotFound)?;
        // A name that is no id is that of no balance.
        let balance = Uuid::parse_str(&at.balance).unwrap_or_default();
        let found = self.store.customer_and_balance(by.call.caller.scope(), id, balance).await?;
        let (customer, balance) = found.ok_or(Code::UserNotFound)?;
        Ok((customer, balance.ok_or(Code::BalanceNotFound)?))
    }

    /// A customer's balance by its text.
    pub(crate) async fn balance(&self, customer: &CustomerRow, id: &str) -> Result<BalanceRow> {
        let id = Uuid::parse_str(id).map_err(|_not_a_uuid| Code::BalanceNotFound)?;
        let row = self.store.balance(customer.id, id).await?;
        row.ok_or_else(|| Code::BalanceNotFound.into())
    }

    /// A card of the customer that a call is about.
    pub(crate) async fn card_at(&self, by: &CustomerCall, at: &CardPath) -> Result<CardRow> {
        let customer = Some(self.customer(by).await?.id);
        self.card_in(Scope { partner: None, customer }, at).await
    }

    /// A card within `scope`.
    pub(crate) async fn card_in(&self, scope: Scope, at: &CardPath) -> Result<CardRow> {
        let (number, resource) = (at.card.parse::<i64>().ok(), Uuid::parse_str(&at.card).ok());
        let row = self.store.card(scope, number, resource).await?;
        row.ok_or_else(|| Code::CardNotFound.into())
    }

    /// A card's number, opened.
    pub(crate) async fn card_number(&self, card: i64) -> Result<Pan> {
        let sealed = self.store.sealed_number(card).await?;
        let sealed = sealed.filter(|sealed| !sealed.is_empty()).ok_or(Code::CardNotFound)?;
        let row = card_row_name(card);
        let digits = self.vault.unseal(Purpose::CardNumber, row.as_bytes(), &sealed)?;
        Pan::parse(&digits).ok_or_else(|| Error::internal("card numbers", &"a row is damaged"))
    }

    /// The program of a card.
    pub(crate) async fn program_of(&self, config: &str) -> Result<ProgramRow> {
        let program = self.store.program_of_card(config).await?;
        program.ok_or_else(|| Error::internal("programs", &"a card's program is gone"))
    }
}

/// What a card's number is sealed for.
pub(crate) fn card_row_name(card: i64) -> String {
    format!("card {card}")
}

/// Items of one page: 20, or as many as asked for up to 50.
pub(crate) fn page_limit(asked: Option<u8>) -> Result<u8> {
    let limit = asked.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::fault(Code::InvalidRequest, "limit", "must be 1 to 50"))
}

/// A currency that balances can have: in ISO 4217, with minor units.
pub(crate) fn currency(code: &str) -> Result<Currency> {
    Currency::from_alpha(code)
        .filter(|currency| currency.exponent().is_some())
        .ok_or_else(|| Error::fault(Code::InvalidCurrency, "currency", "must be one like EUR"))
}

/// A currency as SQL holds it.
pub(crate) fn currency_of_row(number: i64) -> Currency {
    Currency(u16::try_from(number).unwrap_or_default())
}

/// An instant as answers say it.
pub(crate) fn instant(at_ms: i64) -> String {
    clock::rfc3339(Timestamp(u64::try_from(at_ms).unwrap_or_default()))
}

pub(crate) fn customer_id(row: i64) -> CustomerId {
    CustomerId(u64::try_from(row).unwrap_or_default())
}

pub(crate) fn card_id(row: i64) -> CardId {
    CardId(u64::try_from(row).unwrap_or_default())
}

/// The command that makes, or is named by, what has this id.
pub(crate) fn command_id(id: Uuid) -> CommandId {
    CommandId(id.as_u128())
}

/// The command of one step of a request that takes several.
pub(crate) fn derived_command(request: Uuid, step: &str) -> CommandId {
    CommandId(first_half(&format!("pointsman step v1 {request} {step}")))
}

/// Half of the hash of a text, as an id.
pub(crate) fn first_half(text: &str) -> u128 {
    let hash = pki::sha256(text.as_bytes());
    let (first, _rest) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_be_bytes(*first)
}

/// Text of 1 to `max` characters without control characters.
pub(crate) fn check_text(field: &'static str, text: &str, max: usize) -> Result<()> {
    let length = text.chars().count();
    if length == 0 || length > max || text.chars().any(char::is_control) {
        let message = "must be printable text of a sensible length";
        return Err(Error::fault(Code::InvalidRequest, field, message));
    }
    Ok(())
}
