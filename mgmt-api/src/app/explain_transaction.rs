//! GET transactions/{transaction}/explain: every check with what it looked at, and the balances
//! before and after, as the switch decides the message again. Source: requirements 4.3,
//! authorization 7.
//!
//! Invariant: it is the switch's own code that decides again, on the state that there was before.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::action_code::Reason;
use shared::authorization::row_name;
use shared::balance::Funds;
use shared::control::{Query, View};
use shared::ids::Sequence;
use shared::journal_record::Answer as Recorded;
use shared::ledger::{Retold, Sight, Touched};
use utoipa::ToSchema;
use uuid::Uuid;

use super::show_transactions::{public_id, reason};
use super::{App, TransactionPath};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall};
use crate::error::{Code, Error, Result};
use crate::store::TransactionRow;
use crate::switch_link::LinkError;

/// Why a message was answered as it was.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedTransaction {
    transaction_id: Uuid,
    /// The reason in words that can be read out to a cardholder.
    explanation: &'static str,
    /// What was answered; of what no message asked for, whether it was done.
    reason: &'static str,
    /// The internal code of the answer.
    action_code: Option<String>,
    /// Deciding it again gives what was recorded, effects and all.
    as_recorded: bool,
    /// Everything that was looked at, in order.
    checks: Vec<ShownCheck>,
    /// The balances that it is about.
    accounts: Vec<ShownAccount>,
}

/// A row of the order of checks, or something found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownCheck {
    /// Its number in the manual's order of checks; none for what was found.
    row: Option<u8>,
    check: String,
    passed: bool,
    /// What it declines with, where it did not pass.
    reason: Option<&'static str>,
    inputs: String,
}

/// A balance before and after; amounts in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownAccount {
    /// `balance` or `partnerBalance`.
    kind: &'static str,
    id: Uuid,
    before: ShownFunds,
    after: ShownFunds,
}

/// Money on a balance.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownFunds {
    amount: i64,
    held: i64,
    available: i64,
}

impl App {
    /// Why one of a cardholder's transactions was answered as it was.
    pub async fn explain_transaction(
        &self,
        by: CustomerCall,
        at: TransactionPath,
    ) -> Result<Response> {
        let row = self.transaction_of(&by, &at).await?;
        self.explained(&row).await
    }

    /// The same of any of a partner's cardholders.
    pub async fn explain_any_transaction(&self, by: Call, at: TransactionPath) -> Result<Response> {
        let row = self.transaction_in(by.caller.scope(), &at).await?;
        self.explained(&row).await
    }

    async fn explained(&self, row: &TransactionRow) -> Result<Response> {
        // Each waits for the switch: they must not stand in the way of others.
        let permit = self.explaining.try_acquire();
        let _permit = permit.map_err(|_all_taken| Error::from(Code::ExplanationPending))?;
        let sequence = Sequence(u64::try_from(row.id / 2).unwrap_or_default());
        let retold = match self.link.view(Query::Retold(sequence), View::into_retold).await {
            Err(LinkError::Deadline) if self.link.is_up() => Err(Code::ExplanationPending.into()),
            other => other.map_err(Error::from),
        };
        let retold = retold?.ok_or(Code::ExplanationUnavailable)?;
        Ok(Answer::ok(&shown(row, *retold))?.into_response())
    }
}

fn shown(row: &TransactionRow, retold: Retold) -> ExplainedTransaction {
    let answered = match retold.answer {
        Recorded::Decision(decision) => Some(decision.reason),
        // The partner was asked: what it said was told.
        Recorded::Asked(_) => Some(reason(row)),
        Recorded::Outcome(_) | Recorded::Noted => None,
    };
    ExplainedTransaction {
        transaction_id: public_id(row.id, row.at_ms, row.command_id),
        explanation: answered.unwrap_or(reason(row)).sentence(),
        reason: answered.unwrap_or(reason(row)).description(),
        action_code: answered.map(|reason| reason.action_code().to_string()),
        as_recorded: retold.as_recorded,
        checks: retold.sights.into_iter().map(ShownCheck::from).collect(),
        accounts: retold.accounts.iter().filter_map(ShownAccount::of).collect(),
    }
}

impl From<Sight> for ShownCheck {
    fn from(sight: Sight) -> Self {
        match sight {
            Sight::Check { row, passed, reason, inputs } => Self {
                row: Some(row),
                check: row_name(row).to_owned(),
                passed,
                reason: (!passed).then(|| Reason::description(reason)),
                inputs,
            },
            Sight::Found(what) => {
                Self { row: None, check: what, passed: true, reason: None, inputs: String::new() }
            }
        }
    }
}

impl ShownAccount {
    fn of(touched: &Touched) -> Option<Self> {
        let (kind, id) = if let Query::Balance(id) = touched.account {
            ("balance", id.0)
        } else if let Query::PartnerBalance(id) = touched.account {
            ("partnerBalance", id.0)
        } else {
            return None;
        };
        let (before, after) = (touched.before.into(), touched.after.into());
        Some(Self { kind, id: Uuid::from_u128(id), before, after })
    }
}

impl From<Funds> for ShownFunds {
    fn from(funds: Funds) -> Self {
        Self { amount: funds.ledger.0, held: funds.held.0, available: funds.available().0 }
    }
}
