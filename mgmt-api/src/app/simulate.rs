//! The other sides, for the sandbox: payments as a processor would send them, the bureau's work,
//! and time. Source: requirements 2.2, row "Sandbox".
//!
//! Invariant: a payment goes to the switch over its own link, as ISO 8583; nothing here decides.

use core::time::Duration;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::action_code::Reason;
use shared::control::{ClockView, Query, View};
use shared::money::Currency;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use uuid::Uuid;

use super::order_card::ShownOrder;
use super::show_transactions::{public_id, reason};
use super::{App, Body, CardPath, TransactionPath, check_text, currency};
use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::simulator::{Fields, Numbers, Reply, begin, exchange, leave, name_original, put};
use crate::store::{CardRow, OrderNews, Period, TransactionRow, TransactionWish};
use crate::switch_link::LinkError;
use crate::{clock, vault};

/// An amount has 12 digits on the wire.
const AMOUNT_MAX: i64 = 999_999_999_999;
/// Newest transactions of a card that are looked through.
const NEWEST: i64 = 50;
/// What happened is waited for so long.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The clock goes on by this much at once at most.
const SECONDS_MAX: u64 = 31 * 86_400;
/// A transaction with a hold.
const AUTHORIZED: &str = "AUTHORIZED";
/// Terminals (DE41) of requests and of advices: a later message names the type of the first.
const TERMINALS: [(&str, &str); 2] = [("0100", "SANDBOX1"), ("0120", "SANDBOX2")];

/// A payment with a card; amounts in minor units.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedPayment {
    /// Its `id` or its `resourceId`.
    card_id: String,
    amount: i64,
    currency: String,
    /// POS where it is left out.
    #[serde(default)]
    r#type: PaymentType,
    /// Merchant category code, ISO 18245.
    mcc: Option<String>,
    /// The merchant's identifier, up to 15 characters.
    merchant: Option<String>,
    /// The acquirer's country, ISO 3166 alpha-2.
    country: Option<String>,
}

/// What kind of payment it is.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PaymentType {
    #[default]
    Pos,
    Ecommerce,
    Atm,
    Aft,
    Refund,
    Payment,
    BalanceInquiry,
}

impl PaymentType {
    /// DE3 and DE22.
    const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Pos => ("000000", "051"),
            Self::Ecommerce => ("000000", "812"),
            Self::Atm => ("010000", "051"),
            Self::Aft => ("100000", "812"),
            Self::Refund => ("200000", "051"),
            Self::Payment => ("260000", "812"),
            Self::BalanceInquiry => ("310000", "051"),
        }
    }
}

/// The clearing of a payment that was made here.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedClearing {
    transaction_id: Uuid,
    /// What the merchant asked for where it is left out.
    amount: Option<i64>,
    /// Another part is to come: the rest stays held.
    #[serde(default)]
    more_to_come: bool,
}

/// The reversal of a payment that was made here.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedReversal {
    transaction_id: Uuid,
    /// What of it shall be left; nothing where it is left out.
    remaining: Option<i64>,
}

/// A payment whose hold shall end by itself.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatedExpiry {
    transaction_id: Uuid,
}

/// How far time goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockAdvance {
    /// 1 to 2678400, 31 days.
    seconds: u64,
}

/// An order that goes on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderAdvance {
    order_id: Uuid,
}

/// What the processor was answered, and what became of the payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedAnswer {
    /// Type of the answering message.
    mti: String,
    /// DE39.
    response_code: String,
    /// DE38.
    approval_code: Option<String>,
    /// DE11 of the message.
    system_trace_audit_number: String,
    /// The payment, where the history has it already.
    transaction_id: Option<Uuid>,
    /// Why a payment was answered as it was; of other messages the response code says it.
    reason: Option<&'static str>,
}

/// What time it is at the switch and here.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockState {
    now: String,
    /// How far that is ahead of the machine's clock.
    ahead_seconds: u64,
}

/// What tells a message from others, kept with its idempotency key.
#[derive(Serialize, Deserialize)]
struct Plan {
    stan: u32,
    sent: String,
    salt: u8,
}

impl Plan {
    fn draw() -> Result<Self> {
        let mut random = [0_u8; 5];
        vault::draw(&mut random)?;
        let [salt, rest @ ..] = random;
        let at = OffsetDateTime::from_unix_timestamp(clock::now_millis() / 1_000);
        let form = format_description!("[month][day][hour][minute][second]");
        let sent = at.ok().and_then(|at| at.format(form).ok()).unwrap_or_default();
        Ok(Self { stan: u32::from_be_bytes(rest) % 999_999 + 1, sent, salt: salt % 100 })
    }

    fn numbers(&self, mti: &'static str) -> Numbers {
        Numbers { mti, stan: self.stan, sent: self.sent.clone() }
    }

    /// DE37: begins with DE7, so that a later message can name this one.
    fn reference(&self) -> String {
        format!("{}{:02}", self.sent, self.salt)
    }
}

impl App {
    /// A payment as a processor asks for it.
    pub async fn simulate_authorization(
        &self,
        by: Call,
        body: Body<SimulatedPayment>,
    ) -> Result<Response> {
        self.simulate_payment(by, body, "0100").await
    }

    /// A payment that the network approved in our place.
    pub async fn simulate_advice(
        &self,
        by: Call,
        body: Body<SimulatedPayment>,
    ) -> Result<Response> {
        self.simulate_payment(by, body, "0120").await
    }

    async fn simulate_payment(
        &self,
        by: Call,
        body: Body<SimulatedPayment>,
        mti: &'static str,
    ) -> Result<Response> {
        self.sandbox_link()?;
        let wish = body.content;
        let money = wish.check()?;
        let scope = by.caller.scope();
        let card = self.card_in(scope, &CardPath { card: wish.card_id.clone() }).await?;
        let balance = self.store.balance_in(scope, card.balance_id).await?;
        let customer = balance.ok_or(Code::BalanceNotFound)?.customer_id;
        let carry_out = async |plan: Plan| {
            let numbers = plan.numbers(mti);
            let mut fields = begin(&numbers);
            wish.put(&mut fields, money, mti);
            let reference = plan.reference();
            put(&mut fields, 37, &reference);
            let reply = self.send_about(&card, &numbers, fields).await?;
            let row = self.until_known((customer, card.id), &numbers, &reference).await?;
            simulated(&numbers, reply, row.as_ref(), row.as_ref().map(reason))
        };
        self.once(&by, body.hash, async || Plan::draw(), carry_out).await
    }

    /// The clearing of a payment that was made here, or a part of it.
    pub async fn simulate_clearing(
        &self,
        by: Call,
        body: Body<SimulatedClearing>,
    ) -> Result<Response> {
        let SimulatedClearing { transaction_id, amount, more_to_come } = body.content;
        check_amount("amount", amount)?;
        let say = |fields: &mut Fields, row: &TransactionRow| {
            put(fields, 4, &format!("{:012}", amount.unwrap_or(row.original_amount)));
            if more_to_come {
                put(fields, 48, "6201M");
            }
        };
        self.simulate_about(by, body.hash, (transaction_id, "0220"), say).await
    }

    /// The reversal of a payment that was made here, or of a part of it.
    pub async fn simulate_reversal(
        &self,
        by: Call,
        body: Body<SimulatedReversal>,
    ) -> Result<Response> {
        let SimulatedReversal { transaction_id, remaining } = body.content;
        check_amount("remaining", remaining)?;
        let say = |fields: &mut Fields, row: &TransactionRow| {
            put(fields, 4, &format!("{:012}", row.original_amount));
            if let Some(remaining) = remaining {
                leave(fields, remaining);
            }
        };
        self.simulate_about(by, body.hash, (transaction_id, "0420"), say).await
    }

    /// A message about a payment that was made here.
    async fn simulate_about(
        &self,
        by: Call,
        hash: ContentHash,
        (transaction, mti): (Uuid, &'static str),
        say: impl Fn(&mut Fields, &TransactionRow),
    ) -> Result<Response> {
        self.sandbox_link()?;
        let at = TransactionPath { transaction: transaction.to_string() };
        let row = self.transaction_in(by.caller.scope(), &at).await?;
        let original = made_here(&row).ok_or_else(|| {
            let message = "must be a payment that was made at /sandbox";
            Error::fault(Code::InvalidRequest, "transactionId", message)
        })?;
        let at = CardPath { card: row.card_id.unwrap_or_default().to_string() };
        let card = self.card_in(Scope::default(), &at).await?;
        let carry_out = async |plan: Plan| {
            let numbers = plan.numbers(mti);
            let mut fields = begin(&numbers);
            say(&mut fields, &row);
            put(&mut fields, 3, &format!("{:06}", row.processing_code));
            put(&mut fields, 37, row.rrn.as_deref().unwrap_or_default());
            put(&mut fields, 41, row.terminal.as_deref().unwrap_or_default());
            put(&mut fields, 42, &format!("{:<15}", row.merchant.as_deref().unwrap_or_default()));
            put(&mut fields, 49, &format!("{:03}", row.original_currency));
            name_original(&mut fields, &original);
            let reply = self.send_about(&card, &numbers, fields).await?;
            self.until_moved(row.id, |now| *now != row).await?;
            simulated(&numbers, reply, Some(&row), None)
        };
        self.once(&by, hash, async || Plan::draw(), carry_out).await
    }

    /// Time goes on until a hold is over, and those that end before it.
    pub async fn simulate_expiry(&self, by: Call, body: Body<SimulatedExpiry>) -> Result<Response> {
        self.sandbox_link()?;
        let transaction = body.content.transaction_id;
        let at = TransactionPath { transaction: transaction.to_string() };
        let row = self.transaction_in(by.caller.scope(), &at).await?;
        let _one_at_a_time = self.clock_changes.lock().await;
        let draw = || async {
            if row.state != AUTHORIZED {
                let message = "has no hold that could end";
                return Err(Error::fault(Code::InvalidRequest, "transactionId", message));
            }
            let clock = self.switch_clock().await?;
            let end = row.at_ms.saturating_add(self.longest_hold_ms(&row).await?);
            let end = u64::try_from(end).unwrap_or_default().saturating_add(1);
            Ok(clock.ahead_ms + end.saturating_sub(clock.now.0))
        };
        let carry_out = async |ahead_ms: u64| {
            let clock = self.run_ahead(ahead_ms, "transactionId").await?;
            match self.until_moved(row.id, |now| now.state != AUTHORIZED).await? {
                true => Answer::ok(&shown_clock(clock)),
                // The history follows; the same request finds it then.
                false => Err(Code::SwitchUnavailable.into()),
            }
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// How long the card's program lets a hold of this kind live at most.
    async fn longest_hold_ms(&self, row: &TransactionRow) -> Result<i64> {
        let card = row.card_id.unwrap_or_default().to_string();
        let card = self.card_in(Scope::default(), &CardPath { card }).await?;
        let program = self.program_of(&card.config_id).await?;
        let hours = match row.credit {
            1 => program.credit_hold_hours,
            _ => program.purchase_hold_hours.max(program.cash_hold_hours),
        };
        Ok(hours.saturating_mul(3_600_000))
    }

    /// Time goes on, at the switch and here.
    pub async fn advance_clock(&self, by: Call, body: Body<ClockAdvance>) -> Result<Response> {
        self.sandbox_link()?;
        let seconds = body.content.seconds;
        if !(1..=SECONDS_MAX).contains(&seconds) {
            let message = "must be 1 to 2678400";
            return Err(Error::fault(Code::InvalidRequest, "seconds", message));
        }
        let _one_at_a_time = self.clock_changes.lock().await;
        let draw = || async { Ok(self.switch_clock().await?.ahead_ms + seconds * 1_000) };
        let carry_out = async |ahead_ms: u64| {
            let clock = self.run_ahead(ahead_ms, "seconds").await?;
            Answer::ok(&shown_clock(clock))
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// The bureau does the next thing with an order.
    pub async fn advance_order(&self, by: Call, body: Body<OrderAdvance>) -> Result<Response> {
        self.check_sandbox()?;
        let (id, scope) = (body.content.order_id, by.caller.scope());
        let draw = || async {
            let row = self.store.order(scope, id).await?.ok_or(Code::OrderNotFound)?;
            Ok(row.state)
        };
        let carry_out = async |state: String| {
            let state = match state.as_str() {
                "ORDERED" | "SENT_TO_BUREAU" => "PERSONALISED",
                "PERSONALISED" => "SHIPPED",
                "SHIPPED" => "DELIVERED",
                _ => return Err(Code::ConcurrentChange.into()),
            };
            let (tracking_no, reference) = (Some("SANDBOX".to_owned()), None);
            let news = OrderNews { id, state, tracking_no, reference };
            self.apply_news(&by, &news).await?;
            let row = self.store.order(scope, id).await?.ok_or(Code::OrderNotFound)?;
            Answer::ok(&ShownOrder::of(row))
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// Runs ahead as the switch does.
    pub(crate) async fn follow_clock(&self) -> Result<()> {
        self.link.until_up().await?;
        clock::set_ahead(self.switch_clock().await?.ahead_ms);
        Ok(())
    }

    async fn switch_clock(&self) -> Result<ClockView> {
        let view = self.link.view(Query::Clock, View::into_clock).await?;
        Ok(view.ok_or(LinkError::Mismatch)?)
    }

    async fn run_ahead(&self, ahead_ms: u64, field: &'static str) -> Result<ClockView> {
        let clock = self.link.set_clock_ahead(ahead_ms).await?.ok_or_else(|| {
            let message = "the clock may not run ahead so far: a year at most, or not at all";
            Error::fault(Code::InvalidRequest, field, message)
        })?;
        clock::set_ahead(clock.ahead_ms);
        Ok(clock)
    }

    fn sandbox_link(&self) -> Result<std::net::SocketAddr> {
        self.check_sandbox()?;
        self.config.sandbox_iso8583.ok_or_else(|| Code::FeatureNotEnabled.into())
    }

    async fn send_about(
        &self,
        card: &CardRow,
        numbers: &Numbers,
        mut fields: Fields,
    ) -> Result<Reply> {
        let number = self.card_number(card.id).await?;
        fields.insert(2, zeroize::Zeroizing::new(number.expose().to_vec()));
        exchange(self.sandbox_link()?, numbers.mti, &fields).await
    }

    /// The payment of these numbers, as soon as the history has it; none if that takes long.
    async fn until_known(
        &self,
        (customer, card): (i64, i64),
        numbers: &Numbers,
        reference: &str,
    ) -> Result<Option<TransactionRow>> {
        let (period, before) = (Period { from_ms: 0, to_ms: i64::MAX }, (i64::MAX, i64::MAX));
        let (balance, card, limit) = (None, Some(card), NEWEST);
        let wish = TransactionWish { customer, period, balance, card, before, limit };
        let is_it = |row: &TransactionRow| {
            row.rrn.as_deref() == Some(reference) && row.stan == Some(numbers.stan.into())
        };
        let deadline = Instant::now() + KNOWN_WITHIN;
        loop {
            let found = self.history.transactions(&wish).await?.into_iter().find(is_it);
            if found.is_some() || Instant::now() > deadline {
                return Ok(found);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether the history shows a transaction so, in a moment at the latest.
    async fn until_moved(&self, id: i64, is_so: impl Fn(&TransactionRow) -> bool) -> Result<bool> {
        let deadline = Instant::now() + KNOWN_WITHIN;
        loop {
            let row = self.history.transaction(Some(id), None).await?;
            let is_so = row.is_some_and(|row| is_so(&row));
            if is_so || Instant::now() > deadline {
                return Ok(is_so);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}

fn simulated(
    numbers: &Numbers,
    reply: Reply,
    row: Option<&TransactionRow>,
    reason: Option<Reason>,
) -> Result<Answer> {
    Answer::ok(&SimulatedAnswer {
        mti: reply.mti,
        response_code: reply.code,
        approval_code: reply.approval,
        system_trace_audit_number: format!("{:06}", numbers.stan),
        transaction_id: row.map(|row| public_id(row.id, row.at_ms, row.command_id)),
        reason: reason.map(Reason::description),
    })
}

fn shown_clock(clock: ClockView) -> ClockState {
    ClockState { now: clock::rfc3339(clock.now), ahead_seconds: clock.ahead_ms / 1_000 }
}

/// The numbers of the message that made a transaction here.
fn made_here(row: &TransactionRow) -> Option<Numbers> {
    let terminal = row.terminal.as_deref()?.trim();
    let (mti, _) = TERMINALS.into_iter().find(|(_, of)| *of == terminal)?;
    let stan = u32::try_from(row.stan?).ok()?;
    let sent = row.rrn.as_deref()?.get(..10)?.to_owned();
    Some(Numbers { mti, stan, sent })
}

fn check_amount(field: &'static str, amount: Option<i64>) -> Result<()> {
    match amount {
        Some(amount) if !(0..=AMOUNT_MAX).contains(&amount) => {
            Err(Error::fault(Code::InvalidRequest, field, "must be 0 to 999999999999"))
        }
        Some(_) | None => Ok(()),
    }
}

impl SimulatedPayment {
    /// Its currency, where all of it can be said in a message.
    fn check(&self) -> Result<Currency> {
        check_amount("amount", Some(self.amount))?;
        let fault = |field, message| Err(Error::fault(Code::InvalidRequest, field, message));
        let is_mcc = |mcc: &String| mcc.len() == 4 && mcc.bytes().all(|byte| byte.is_ascii_digit());
        if !self.mcc.as_ref().is_none_or(is_mcc) {
            return fault("mcc", "must be 4 digits");
        }
        if let Some(merchant) = &self.merchant {
            check_text("merchant", merchant, 15)?;
            if !merchant.is_ascii() || merchant.trim() != merchant {
                return fault("merchant", "must be ASCII without blanks at its ends");
            }
        }
        if self.country.is_some() && self.country_number().is_none() {
            return fault("country", "must be one like PL");
        }
        currency(&self.currency)
    }

    fn country_number(&self) -> Option<u16> {
        let code = self.country.as_deref()?;
        let found = iso3166::LIST.iter().find(|country| country.alpha2 == code);
        found.map(|country| country.id)
    }

    fn put(&self, fields: &mut Fields, money: Currency, mti: &str) {
        let (processing, entry) = self.r#type.codes();
        let merchant = self.merchant.as_deref().unwrap_or("SANDBOX");
        let terminal = TERMINALS.into_iter().find(|(of, _)| *of == mti);
        put(fields, 3, processing);
        put(fields, 4, &format!("{:012}", self.amount));
        put(fields, 18, self.mcc.as_deref().unwrap_or("5411"));
        put(fields, 19, &format!("{:03}", self.country_number().unwrap_or(616)));
        put(fields, 22, entry);
        put(fields, 41, terminal.map_or("SANDBOX0", |(_, terminal)| terminal));
        put(fields, 42, &format!("{merchant:<15}"));
        put(fields, 49, &format!("{:03}", money.0));
        if mti == "0120" {
            put(fields, 39, "00");
        }
    }
}
