//! Charges what is due for cards and accounts: once when they are made, and at the end of each
//! period. Source: requirements #165, #166, #168.
//!
//! Invariants: one thing and period is charged once, since the command is named after both; what
//! cannot be charged now waits; turnover is looked at when all of its period is known; a fee never
//! stands in the way of what it is for.

use core::time::Duration;
use std::sync::Arc;

use shared::card::CardState;
use shared::command::Change;
use shared::control::{Query, Refusal, View};
use shared::fee::Charge;
use shared::ids::{BalanceId, CommandId, RuleId};
use shared::money::Money;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::fees::{fee_id, form};
use super::{App, card_id, currency_of_row, first_half};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::{DueEnd, DueRow, FeeRow};

/// What is charged in one go.
const BATCH_MAX: i64 = 64;
/// So long what cards paid is kept: a month's fee may wait for a year.
const POSTINGS_KEPT_MS: i64 = 400 * 86_400_000;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Charges what falls due until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            match app.charge_fees().await {
                Ok(0) => sleep(PAUSE).await,
                Ok(_some) => {}
                Err(error) => {
                    tracing::warn!(code = error.code.title(), "fees wait");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl App {
    /// Forgets what was due and paid in periods that nobody asks for any more.
    pub(crate) async fn sweep_postings(&self) -> Result<u64> {
        let before = clock::now_millis() - POSTINGS_KEPT_MS;
        Ok(self.store.drop_dues(before).await? + self.store.drop_postings(before).await?)
    }

    /// Ends the periods that are over and charges a batch of what is due; how much that was.
    async fn charge_fees(&self) -> Result<usize> {
        let now = clock::now_millis();
        for fee in self.store.periodic_fees(now).await? {
            if let Some(start) = fee.next_period_ms
                && let Some(end) = form::period_end(&fee, start)?.filter(|end| *end <= now)
            {
                self.store.end_period(&fee, (start, end)).await?;
            }
        }
        let dues = self.store.pending_dues(BATCH_MAX).await?;
        let mut ended = 0;
        for due in &dues {
            if let Some(end) = self.charge_due(due).await? {
                self.store.end_due(due, end).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Charges something due; nothing where it is not known yet whether it is to be.
    async fn charge_due(&self, due: &DueRow) -> Result<Option<DueEnd>> {
        let fee = self.store.fee(due.fee_id).await?;
        let fee = fee.ok_or_else(|| Error::internal("fees", &"a fee that is due is gone"))?;
        if !self.is_there(due).await? {
            return Ok(Some(DueEnd::Dropped));
        }
        if let Some(enough) = fee.waived_from {
            if !self.has_seen_all_before(due.period_end_ms).await? {
                return Ok(None);
            }
            if self.store.turnover(due).await? >= enough {
                return Ok(Some(DueEnd::Waived));
            }
        }
        let balance = BalanceId(due.balance_id.as_u128());
        let charge = charge(&fee, due.amount)?;
        let outcome = self.link.change(command_of(due), Change::ChargeFee { balance, charge });
        match outcome.await?.result {
            Ok(()) => Ok(Some(DueEnd::Charged)),
            Err(refusal @ Refusal::TableFull) => Err(refusal.into()),
            // A closed balance. Nothing else that is refused is taken later either, and the others
            // must not wait for it.
            Err(refusal) => {
                if refusal != Refusal::BalanceNotFound {
                    tracing::error!(id = due.fee_id, cause = %refusal, "a fee was not charged");
                }
                Ok(Some(DueEnd::Dropped))
            }
        }
    }

    /// Whether everything that the switch did before an instant has been read here: a change that
    /// changes nothing marks a place behind it.
    async fn has_seen_all_before(&self, instant: i64) -> Result<bool> {
        let mark = CommandId(first_half(&format!("pointsman fee mark v1 {instant}")));
        let change = Change::RemoveRule(RuleId(mark.0));
        let outcome = self.link.change(mark, change).await?;
        let behind = i64::try_from(outcome.at.0).unwrap_or(i64::MAX) >= instant;
        let marked = i64::try_from(outcome.sequence.0).unwrap_or(i64::MAX);
        Ok(behind && self.store.event_cursor().await? >= marked)
    }

    /// Whether a card is still there; an account is looked at by the switch.
    async fn is_there(&self, due: &DueRow) -> Result<bool> {
        if due.card_id == 0 {
            return Ok(true);
        }
        let card = self.link.view(Query::Card(card_id(due.card_id)), View::into_card).await?;
        let gone = |state| matches!(state, CardState::Expired | CardState::Removed);
        Ok(card.is_some_and(|card| !gone(card.state)))
    }
}

/// A fee on something else than a payment, `amount` of it.
pub(crate) fn charge(fee: &FeeRow, amount: i64) -> Result<Charge> {
    let money = Money::new(amount, currency_of_row(fee.currency));
    Ok(Charge { fee: fee_id(fee.id), money, payer: form::terms(fee)?.payer })
}

/// The command that charges it, whoever sends it and however often.
fn command_of(due: &DueRow) -> CommandId {
    let DueRow { fee_id, balance_id, card_id, token_no, period_ms, .. } = due;
    let text = format!("pointsman fee v1 {fee_id} {balance_id} {card_id} {token_no} {period_ms}");
    CommandId(first_half(&text))
}
