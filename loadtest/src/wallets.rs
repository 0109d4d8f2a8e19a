//! Users with a funded balance and a card on it, made over REST in parallel.
//!
//! Invariant: identities are generated and belong to nobody; each card has a balance of its own, so
//! that its balance tells what was approved on it.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use shared::ids::BalanceId;
use tokio::task::JoinSet;

use crate::rest::{IssuedCard, Rest};

/// Requests under way at once.
const IN_PARALLEL: usize = 16;
/// Balances and cards of one user.
const CARDS_A_CUSTOMER: usize = 8;

/// A user's balance and the card on it.
pub struct Wallet {
    /// Whose.
    pub customer: String,
    /// The balance's id.
    pub balance: String,
    /// The card.
    pub card: IssuedCard,
}

impl Wallet {
    /// The balance as the switch names it.
    pub fn balance_id(&self) -> anyhow::Result<BalanceId> {
        let id = uuid::Uuid::parse_str(&self.balance).context("balanceId is no UUID")?;
        Ok(BalanceId(id.as_u128()))
    }
}

/// The currency of a sandbox program: code and number. Source: surface 2.
#[must_use]
pub fn currency_of(program: &str) -> (&'static str, u16) {
    match program {
        "0019167990" | "0019167994" => ("PLN", 985),
        "0019167993" => ("USD", 840),
        _ => ("EUR", 978),
    }
}

/// A user who may have balances. No PIN is given: hashing one takes long on purpose.
#[must_use]
pub fn identity(number: usize) -> Value {
    let number = number % 1_000_000;
    json!({
        "firstName": "Ada",
        "lastName": format!("Example {number}"),
        "phone": format!("48500{number:06}"),
        "email": format!("ada.{number}@example.com"),
        "birthDate": "1990-01-01",
        "state": "VERIFIED",
        "kyc": "SUCCESS",
    })
}

/// So many wallets on a program, each topped up by `amount` where it is more than zero.
pub async fn make(
    rest: &Arc<Rest>,
    program: &str,
    count: usize,
    amount: i64,
) -> anyhow::Result<Vec<Wallet>> {
    let mut waiting: VecDeque<usize> = (0..count)
        .step_by(CARDS_A_CUSTOMER)
        .map(|first| CARDS_A_CUSTOMER.min(count - first))
        .collect();
    let mut tasks = JoinSet::new();
    let mut wallets = Vec::with_capacity(count);
    let mut customers = 0;
    loop {
        while tasks.len() < IN_PARALLEL
            && let Some(cards) = waiting.pop_front()
        {
            let (rest, program) = (Arc::clone(rest), program.to_owned());
            tasks.spawn(of_customer(rest, program, customers, (cards, amount)));
            customers += 1;
        }
        match tasks.join_next().await {
            Some(made) => wallets.extend(made??),
            None => return Ok(wallets),
        }
    }
}

async fn of_customer(
    rest: Arc<Rest>,
    program: String,
    number: usize,
    (cards, amount): (usize, i64),
) -> anyhow::Result<Vec<Wallet>> {
    let customer = rest.add_customer(&identity(number)).await?;
    let (currency, _) = currency_of(&program);
    let mut wallets = Vec::with_capacity(cards);
    for _card in 0..cards {
        let balance = rest.open_balance(&customer, currency).await?;
        let card = rest.issue_card(&customer, &balance, &program).await?;
        if amount > 0 {
            rest.top_up(&customer, &balance, amount, currency).await?;
        }
        wallets.push(Wallet { customer: customer.clone(), balance, card });
    }
    Ok(wallets)
}
