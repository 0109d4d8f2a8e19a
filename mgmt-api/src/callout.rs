//! Calls to partners that keep their holders' money. Source: requirements #81, #143 to #153,
//! authorization 5.
//!
//! Invariants: a question is asked once, within its time, and what became of it is told to the
//! switch, the doubt too; whatever must be told besides is in SQL before it is sent, and is told
//! until it was taken. Each try of a call has the same key and the same body.
//!
//! | file | does |
//! |---|---|
//! | `transaction` | the seed's transaction object, and what is told of it |
//! | `balance` | links, reads and unlinks balances |

mod balance;
mod transaction;

use std::sync::Arc;

use core::time::Duration;
use reqwest::Method;
use serde::Deserialize;
use shared::command::{PartnerAnswer, PartnerRefusal};
use shared::control::{Question, Request};
use shared::effect::Direction;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::transaction::{AUTHORIZED, Named, object, question_row};
pub(crate) use self::transaction::{Call, notice_of, unlink};
use crate::app::{App, public_id};
use crate::call::Scope;
use crate::error::{Error, Result};
use crate::notices::{BALANCE, Outgoing, Sent};
use crate::store::EndpointRow;
use crate::switch_link::{BACKOFF_MAX, BACKOFF_MIN, Questions};
use crate::{clock, metrics, pki};

/// What a partner's answer needs to come back to the switch.
const MARGIN_MS: i64 = 20;
/// Answers between the tasks that ask and the connection.
const ANSWERS_QUEUED_MAX: usize = 1_024;
/// What is under way at a stop has this long.
const DRAIN: Duration = Duration::from_secs(10);

/// How a partner says no.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
}

/// What a partner says that a balance has.
#[derive(Deserialize)]
struct Has {
    currency: String,
    amount: i64,
}

/// A key or id that is the same whenever it is made of the same name: 16 bytes of a hash, in the
/// form of a random UUID.
pub(crate) fn derived_id(name: &str) -> Uuid {
    let hash = pki::sha256(&[b"pointsman call v1 ".as_slice(), name.as_bytes()].concat());
    let (first, _rest) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
    uuid::Builder::from_random_bytes(*first).into_uuid()
}

/// Takes questions from the switch and asks them, until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut backoff = BACKOFF_MIN;
    while !stop.is_cancelled() {
        match Questions::take(&app.config.switch.socket).await {
            Ok(questions) => {
                backoff = BACKOFF_MIN;
                tracing::info!("questions to partners are taken");
                let ended = converse(&app, questions, &stop).await;
                tracing::warn!(error = ?ended, "questions to partners are taken no more");
            }
            Err(error) => tracing::debug!(%error, "questions to partners are not taken"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// One connection: until it fails or, after `stop`, what was asked is answered.
async fn converse(
    app: &Arc<App>,
    mut questions: Questions,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let (answers, mut answered) = mpsc::channel::<Request>(ANSWERS_QUEUED_MAX);
    let mut asking = JoinSet::new();
    let mut until = None;
    loop {
        let stopping = until.is_some();
        if stopping && asking.is_empty() && answered.is_empty() {
            return Ok(());
        }
        tokio::select! {
            question = questions.next() => {
                let question = question?;
                if stopping {
                    let (key, id) = (question.waiting.key, question.waiting.id);
                    questions.put(&Request::Answered { key, id, answer: PartnerAnswer::NotAsked })?;
                    questions.flush().await?;
                    continue;
                }
                let (app, answers) = (Arc::clone(app), answers.clone());
                asking.spawn(async move {
                    let (key, id) = (question.waiting.key, question.waiting.id);
                    let answer = app.ask(&question).await;
                    // A connection that has gone takes no answers: time decides.
                    let _gone = answers.send(Request::Answered { key, id, answer }).await;
                });
            }
            Some(answer) = answered.recv() => {
                questions.put(&answer)?;
                while let Ok(more) = answered.try_recv() {
                    questions.put(&more)?;
                }
                questions.flush().await?;
            }
            Some(ended) = asking.join_next(), if !asking.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a question to a partner ended badly");
                }
            }
            () = stop.cancelled(), if !stopping => until = Some(Instant::now() + DRAIN),
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if stopping => {
                return Ok(());
            }
        }
    }
}

impl App {
    /// Asks a partner; what became of it.
    async fn ask(&self, question: &Question) -> PartnerAnswer {
        let begun = Instant::now();
        let answer = match self.try_ask(question).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(code = error.code.title(), "a partner was not asked");
                PartnerAnswer::NotAsked
            }
        };
        metrics::count_partner_question(name_of(answer), begun.elapsed());
        answer
    }

    /// An error only before anything was sent.
    async fn try_ask(&self, question: &Question) -> Result<PartnerAnswer> {
        let waiting = &question.waiting;
        let until = i64::try_from(waiting.expires_at.0).unwrap_or(i64::MAX);
        let deadline = Instant::now() + time_left(until);
        let endpoint = self.balance_endpoint(i64::from(question.partner.0)).await?;
        let Some(endpoint) = endpoint.filter(|row| row.state == "ACTIVE") else {
            return Ok(PartnerAnswer::NotAsked);
        };
        if !waiting.authorised.is_positive() {
            let path = format!(
                "/users/{}/balances/{}",
                question.customer.0,
                Uuid::from_u128(question.balance.0)
            );
            let sent = self.call_partner(&endpoint, Errand::get(path), deadline).await?;
            return Ok(balance_said(sent, &waiting.currency.to_string()));
        }
        let row = question_row(question);
        let card = match row.card_id {
            Some(id) => self.store.card(Scope::default(), Some(id), None).await?,
            None => None,
        };
        let reference = question.adds_to.map(|(id, at)| public_id(twice(id.0), number(at.0), None));
        let id = public_id(row.id, row.at_ms, None);
        let balance = Uuid::from_u128(question.balance.0);
        let named = Named { id, reference, balance, amount: waiting.authorised.0 };
        let body = serde_json::to_vec(&object(&row, &named, card.as_ref(), AUTHORIZED))?;
        let (verb, name) = match waiting.direction {
            Direction::Debit => ("debit", format!("debit {id}")),
            Direction::Credit => ("credit", format!("credit {id}")),
        };
        let errand = Errand::post(format!("/transactions/{verb}"), &name, body);
        Ok(said(self.call_partner(&endpoint, errand, deadline).await?))
    }

    /// Where a partner keeps its holders' money.
    pub(crate) async fn balance_endpoint(&self, partner: i64) -> Result<Option<EndpointRow>> {
        Ok(self.store.endpoint_for(partner, BALANCE).await?)
    }

    /// One call, all of it until an instant; nothing is sent behind it.
    pub(crate) async fn call_partner(
        &self,
        endpoint: &EndpointRow,
        errand: Errand,
        deadline: Instant,
    ) -> Result<Sent> {
        let Errand { method, path, key, body } = errand;
        let addressed = timeout_at(deadline, self.addressed(endpoint, body)).await;
        let Ok(addressed) = addressed else { return Ok(Sent::Not) };
        let Some((recipient, body)) = addressed? else { return Ok(Sent::Not) };
        let timeout = deadline.saturating_duration_since(Instant::now());
        if timeout.is_zero() {
            return Ok(Sent::Not);
        }
        let outgoing = Outgoing { method, path: &path, key, body, timeout: Some(timeout) };
        self.notifier.send(&recipient, outgoing).await
    }
}

/// What a partner is called for.
pub(crate) struct Errand {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Its idempotency key.
    pub(crate) key: Uuid,
    pub(crate) body: Option<Vec<u8>>,
}

impl Errand {
    /// Reads something.
    fn get(path: String) -> Self {
        Self { method: Method::GET, path, key: Uuid::new_v4(), body: None }
    }

    /// Has something done, once under its name.
    fn post(path: String, name: &str, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path, key: derived_id(name), body: Some(body) }
    }
}

fn twice(id: u64) -> i64 {
    number(id).saturating_mul(2)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is left until an instant, and the answer on its way back.
fn time_left(until_ms: i64) -> Duration {
    let left = until_ms - clock::now_millis() - MARGIN_MS;
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}

/// What a partner's answer to debit or credit means.
fn said(sent: Sent) -> PartnerAnswer {
    let (status, body) = match sent {
        Sent::Answered { status, body } => (status, body),
        Sent::Not => return PartnerAnswer::NotAsked,
        Sent::InDoubt => return PartnerAnswer::InDoubt,
    };
    let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    match (status, problem.title.as_str()) {
        (200 | 204, _) => PartnerAnswer::Agreed,
        (422, "INSUFFICIENT_FUNDS") => PartnerAnswer::Declined(PartnerRefusal::InsufficientFunds),
        (422, "LIMITS_EXCEEDED") => PartnerAnswer::Declined(PartnerRefusal::LimitsExceeded),
        (422, "FRAUDS_DETECTED") => PartnerAnswer::Declined(PartnerRefusal::FraudsDetected),
        (404, _) | (422, "BALANCE_NOT_FOUND") => {
            PartnerAnswer::Declined(PartnerRefusal::BalanceNotFound)
        }
        // It may be at work still.
        (408 | 409 | 425, _) => PartnerAnswer::InDoubt,
        (300..=499, _) => PartnerAnswer::Declined(PartnerRefusal::Other),
        (_, _) => PartnerAnswer::InDoubt,
    }
}

/// What a partner's answer to the question for a balance means.
fn balance_said(sent: Sent, currency: &str) -> PartnerAnswer {
    match sent {
        Sent::Answered { status: 200, body } => match serde_json::from_slice::<Has>(&body) {
            Ok(has) if has.currency == currency => {
                PartnerAnswer::Has(shared::money::Amount(has.amount))
            }
            Ok(_) | Err(_) => PartnerAnswer::InDoubt,
        },
        Sent::Answered { status: 403 | 404, .. } => {
            PartnerAnswer::Declined(PartnerRefusal::BalanceNotFound)
        }
        Sent::Answered { .. } | Sent::InDoubt => PartnerAnswer::InDoubt,
        Sent::Not => PartnerAnswer::NotAsked,
    }
}

fn name_of(answer: PartnerAnswer) -> &'static str {
    match answer {
        PartnerAnswer::Agreed | PartnerAnswer::Has(_) => "agreed",
        PartnerAnswer::Declined(_) => "declined",
        PartnerAnswer::NotAsked => "not-asked",
        PartnerAnswer::InDoubt => "in-doubt",
    }
}

/// The call was taken; no other answer is known to be one.
pub(crate) const fn is_taken(status: u16) -> bool {
    matches!(status, 200 | 204)
}

pub(crate) fn damaged(error: &dyn core::fmt::Display) -> Error {
    Error::internal("callout", &format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Sent {
        Sent::Answered { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_partners_answer_is_read_as_the_seed_prints_it() {
        let declined = PartnerAnswer::Declined;
        for (status, body, meaning) in [
            (204, "", PartnerAnswer::Agreed),
            (200, "{}", PartnerAnswer::Agreed),
            (
                422,
                r#"{"title":"INSUFFICIENT_FUNDS","detail":"x"}"#,
                declined(PartnerRefusal::InsufficientFunds),
            ),
            (422, r#"{"title":"LIMITS_EXCEEDED"}"#, declined(PartnerRefusal::LimitsExceeded)),
            (422, r#"{"title":"FRAUDS_DETECTED"}"#, declined(PartnerRefusal::FraudsDetected)),
            (422, r#"{"title":"SOMETHING"}"#, declined(PartnerRefusal::Other)),
            (422, "no JSON", declined(PartnerRefusal::Other)),
            (404, r#"{"title":"BALANCE_NOT_FOUND"}"#, declined(PartnerRefusal::BalanceNotFound)),
            (404, "", declined(PartnerRefusal::BalanceNotFound)),
            (400, "", declined(PartnerRefusal::Other)),
            (401, "", declined(PartnerRefusal::Other)),
            (302, "", declined(PartnerRefusal::Other)),
            (429, "", declined(PartnerRefusal::Other)),
            (409, "", PartnerAnswer::InDoubt),
            (408, "", PartnerAnswer::InDoubt),
            (500, "", PartnerAnswer::InDoubt),
            (503, r#"{"title":"INSUFFICIENT_FUNDS"}"#, PartnerAnswer::InDoubt),
            (201, "", PartnerAnswer::InDoubt),
        ] {
            assert_eq!(said(answered(status, body)), meaning, "{status} {body}");
        }
        assert_eq!(said(Sent::Not), PartnerAnswer::NotAsked);
        assert_eq!(said(Sent::InDoubt), PartnerAnswer::InDoubt);
    }

    #[test]
    fn a_balance_counts_in_its_own_currency_alone() {
        let has = |body: &str| balance_said(answered(200, body), "EUR");
        let amount = |amount| PartnerAnswer::Has(shared::money::Amount(amount));
        assert_eq!(has(r#"{"currency":"EUR","amount":250}"#), amount(250));
        assert_eq!(has(r#"{"currency":"PLN","amount":250}"#), PartnerAnswer::InDoubt);
        assert_eq!(has(r#"{"currency":"EUR","amount":2.5}"#), PartnerAnswer::InDoubt);
        let gone = PartnerAnswer::Declined(PartnerRefusal::BalanceNotFound);
        assert_eq!(balance_said(answered(404, ""), "EUR"), gone);
        assert_eq!(balance_said(answered(500, ""), "EUR"), PartnerAnswer::InDoubt);
    }

    #[test]
    fn a_derived_id_is_a_random_uuid_of_its_name() {
        let id = derived_id("debit 1");
        assert_eq!((id, id.get_version_num()), (derived_id("debit 1"), 4));
        assert_ne!(id, derived_id("debit 2"));
    }
}
