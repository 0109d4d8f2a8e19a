//! The External Balance API over the bank, and the control routes for tests and people who try.
//!
//! Invariants: the lock is never held across a wait; a command is written down before it is done;
//! each call is counted once, whatever it is answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, RawPathParams, Request, State,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use serde::Serialize;
use serde_json::{Value, json};

use super::bank::{Bank, Command, Movement, Once, Settings, Status};
use super::faults::{Fault, Faults, Wish};
use super::journal::{Journal, Record};
use super::operation::Operation;
use super::reply::Reply;
use super::transaction;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// Characters of a key.
const KEY_CHARS_MAX: usize = 128;
/// The header that names a request.
const KEY: &str = "X-Idempotency-Key";

/// A simulated partner.
#[derive(Debug)]
pub(super) struct Partner(Mutex<Desk>);

/// What a partner works with.
#[derive(Debug)]
struct Desk {
    bank: Bank,
    journal: Option<Journal>,
    faults: Faults,
    calls: BTreeMap<Operation, u64>,
    notifications: u64,
}

/// A request: where it goes, its name, its body.
struct Call {
    /// The variable parts of its address.
    parts: Vec<String>,
    once: Option<Once>,
    body: Bytes,
}

/// `GET /control/state`.
#[derive(Serialize)]
struct Shown<'a> {
    balances: Vec<ShownBalance<'a>>,
    transactions: Vec<ShownTransaction<'a>>,
    calls: &'a BTreeMap<Operation, u64>,
    notifications: u64,
}

#[derive(Serialize)]
struct ShownBalance<'a> {
    id: &'a str,
    /// Nobody where it is not linked.
    user: Option<&'a str>,
    currency: &'a str,
    amount: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTransaction<'a> {
    transaction_id: &'a str,
    balance_id: &'a str,
    net: i64,
    status: Status,
}

type Shared = State<Arc<Partner>>;

impl Partner {
    /// A partner as the file left it, or a new one.
    pub(super) fn open(settings: Settings, file: Option<&Path>) -> anyhow::Result<Arc<Self>> {
        let mut bank = Bank::new(settings);
        let journal = file.map(|file| Journal::open(file, &mut bank)).transpose()?;
        let (faults, calls) = (Faults::default(), BTreeMap::new());
        let mut desk = Desk { bank, journal, faults, calls, notifications: 0 };
        // The file may have been written under other amounts.
        desk.write_and_apply(Record { command: Command::Settings(settings), once: None })?;
        Ok(Arc::new(Self(Mutex::new(desk))))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, does it, and answers as the operation's next fault wants it.
    async fn answer(&self, operation: Operation, act: impl FnOnce(&mut Desk) -> Reply) -> Response {
        let Some(fault) = self.desk().begin(operation) else {
            return act(&mut self.desk()).into_response();
        };
        match fault.disturbance.instead() {
            Some(response) => {
                if fault.after {
                    drop(act(&mut self.desk()));
                }
                response
            }
            None if fault.after => {
                let reply = act(&mut self.desk());
                tokio::time::sleep(fault.disturbance.pause()).await;
                reply.into_response()
            }
            None => {
                tokio::time::sleep(fault.disturbance.pause()).await;
                act(&mut self.desk()).into_response()
            }
        }
    }
}

impl Desk {
    fn begin(&mut self, operation: Operation) -> Option<Fault> {
        *self.calls.entry(operation).or_default() += 1;
        self.faults.next(operation)
    }

    /// Answers a repeated request as before, and does any other.
    fn change(&mut self, command: Command, once: Option<Once>) -> Reply {
        if let Some(answer) = once.as_ref().and_then(|once| self.bank.remembered(once)) {
            return answer.into();
        }
        match self.write_and_apply(Record { command, once }) {
            Ok(reply) => reply,
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Reply::problem(status, "NOT_WRITTEN", &format!("{error:#}"))
            }
        }
    }

    fn write_and_apply(&mut self, record: Record) -> anyhow::Result<Reply> {
        if let Some(journal) = &mut self.journal {
            journal.append(&record)?;
        }
        Ok(self.bank.apply(&record.command, record.once.as_ref()).into())
    }

    fn show(&self) -> Reply {
        let balances = self.bank.balances().map(|(id, balance)| ShownBalance {
            id,
            user: balance.holder.user(),
            currency: &balance.currency,
            amount: balance.amount,
        });
        let transactions = self.bank.transactions().map(|((id, balance), found)| {
            let (net, status) = (found.net, found.status);
            ShownTransaction { transaction_id: id, balance_id: balance, net, status }
        });
        Reply::shown(&Shown {
            balances: balances.collect(),
            transactions: transactions.collect(),
            calls: &self.calls,
            notifications: self.notifications,
        })
    }
}

impl Call {
    fn part(&self, index: usize) -> &str {
        self.parts.get(index).map(String::as_str).unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = Reply;

    async fn from_request(request: Request, state: &S) -> Result<Self, Reply> {
        let (mut head, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut head, state).await;
        let params = params.map_err(|error| Reply::invalid(&error.body_text()))?;
        let parts = params
            .iter()
            .map(|(name, part)| transaction::checked_id(name, part))
            .collect::<Result<Vec<_>, _>>()?;
        let key = key_of(&head.headers)?;
        let place = format!("{} {}\n", head.method, head.uri.path());
        let body = Bytes::from_request(Request::from_parts(head, body), state).await;
        let body = body
            .map_err(|error| Reply::problem(error.status(), "BODY_NOT_READ", &error.body_text()))?;
        let once = key.map(|key| {
            let mut digest = blake3::Hasher::new();
            digest.update(place.as_bytes()).update(&body);
            Once { key, digest: digest.finalize().to_hex().to_string() }
        });
        Ok(Self { parts, once, body })
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Reply> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => {
            Err(Reply::invalid(&format!("{KEY}: it must have 1 to {KEY_CHARS_MAX} characters")))
        }
    }
}

/// Every route.
pub(super) fn router(partner: Arc<Partner>) -> Router {
    Router::new()
        .route("/users/{user}/balances", post(link).get(list))
        .route("/users/{user}/balances/{balance}", get(read).delete(delete))
        .route("/transactions/debit", moving(Operation::Debit, Command::Debit))
        .route("/transactions/force-debit", moving(Operation::ForceDebit, Command::ForceDebit))
        .route("/transactions/credit", moving(Operation::Credit, Command::Credit))
        .route("/transactions/force-credit", moving(Operation::ForceCredit, Command::ForceCredit))
        .route("/transactions/reversal", moving(Operation::Reversal, Command::Reversal))
        .route("/transactions/{transaction}", put(update))
        .route("/notifications/{kind}", post(notify))
        .route("/control/state", get(state))
        .route("/control/faults", post(disturb))
        .route("/control/balances/{balance}", put(grant))
        .fallback(async || Reply::problem(StatusCode::NOT_FOUND, "NOT_FOUND", "no such address"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Reply::problem(status, "METHOD_NOT_ALLOWED", "the address has other methods")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(partner)
}

/// A route that takes a transaction object and must have a key.
fn moving(operation: Operation, command: fn(Movement) -> Command) -> MethodRouter<Arc<Partner>> {
    post(async move |State(partner): Shared, call: Call| {
        let read = match (transaction::movement(&call.body), call.once) {
            (Err(invalid), _) => Err(Reply::from(invalid)),
            (Ok(_), None) => Err(Reply::invalid(&format!("{KEY}: the header is missing"))),
            (Ok(movement), Some(once)) => Ok((command(movement), once)),
        };
        let act = |desk: &mut Desk| match read {
            Ok((command, once)) => desk.change(command, Some(once)),
            Err(reply) => reply,
        };
        partner.answer(operation, act).await
    })
}

async fn link(State(partner): Shared, call: Call) -> Response {
    let act = |desk: &mut Desk| match transaction::link(&call.body) {
        Ok((balance, currency)) => {
            let user = call.part(0).to_owned();
            desk.change(Command::Link { user, balance, currency }, call.once)
        }
        Err(invalid) => invalid.into(),
    };
    partner.answer(Operation::Link, act).await
}

async fn list(State(partner): Shared, call: Call) -> Response {
    let act = |desk: &mut Desk| {
        let all = desk.bank.balances();
        let own = all.filter(|(_, balance)| balance.holder.user() == Some(call.part(0)));
        let shown = own.map(|(id, balance)| {
            json!({ "id": id, "currency": balance.currency, "amount": balance.amount })
        });
        Reply::shown(&shown.collect::<Vec<Value>>())
    };
    partner.answer(Operation::List, act).await
}

async fn read(State(partner): Shared, call: Call) -> Response {
    let act = |desk: &mut Desk| match desk.bank.balance(call.part(0), call.part(1)) {
        Ok(found) => Reply::shown(&json!({ "currency": found.currency, "amount": found.amount })),
        Err(refusal) => refusal.into(),
    };
    partner.answer(Operation::Read, act).await
}

async fn delete(State(partner): Shared, call: Call) -> Response {
    let act = |desk: &mut Desk| {
        let (user, balance) = (call.part(0).to_owned(), call.part(1).to_owned());
        desk.change(Command::Delete { user, balance }, call.once)
    };
    partner.answer(Operation::Delete, act).await
}

async fn update(State(partner): Shared, call: Call) -> Response {
    let act = |desk: &mut Desk| match transaction::movement(&call.body) {
        Ok(movement) if movement.transaction_id == call.part(0) => {
            desk.change(Command::Update(movement), call.once)
        }
        Ok(_) => Reply::invalid("transactionId: the address names another transaction"),
        Err(invalid) => invalid.into(),
    };
    partner.answer(Operation::Update, act).await
}

async fn notify(State(partner): Shared, _call: Call) -> Response {
    let act = |desk: &mut Desk| {
        desk.notifications += 1;
        Reply::done()
    };
    partner.answer(Operation::Notification, act).await
}

async fn state(State(partner): Shared) -> Reply {
    partner.desk().show()
}

async fn disturb(State(partner): Shared, call: Call) -> Reply {
    let wish = serde_json::from_slice::<Wish>(&call.body).map_err(|error| error.to_string());
    match wish.and_then(|wish| partner.desk().faults.add(wish)) {
        Ok(()) => Reply::done(),
        Err(why) => Reply::invalid(&why),
    }
}

async fn grant(State(partner): Shared, call: Call) -> Reply {
    let balance = call.part(0).to_owned();
    match transaction::grant(&call.body) {
        Ok(amount) => partner.desk().change(Command::Grant { balance, amount }, None),
        Err(invalid) => invalid.into(),
    }
}
