//! The switch's events: every durable record of its journal, read in order behind a stored cursor.
//!
//! Invariants: a gap in the sequence is an error, never skipped: the feed starts again from the
//! cursor; rows whose confirmation was lost are confirmed, and what is kept of records is stored,
//! before the cursor passes them.

use core::time::Duration;
use std::path::PathBuf;

use shared::command::{Change, Command};
use shared::control::{Outcome, Reply, Request};
use shared::ids::{CommandId, Sequence};
use shared::journal_record::{Answer, Record};
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kept::Kept;
use crate::metrics;
use crate::store::{RowState, Store, StoreError};
use crate::switch_link::{self, BACKOFF_MAX, BACKOFF_MIN};

/// The cursor is stored this often at least.
const STORE_INTERVAL: Duration = Duration::from_secs(1);
/// And after this many events at the latest.
const STORE_EVENTS: u64 = 10_000;

/// Why the feed starts again.
#[derive(Debug, Error)]
enum FeedError {
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("sequence {got} came where {expected} was due")]
    Gap { expected: Sequence, got: Sequence },
}

/// Reads events until `stop`.
pub async fn run(socket: PathBuf, store: Store, stop: CancellationToken) {
    let work = async {
        let mut backoff = BACKOFF_MIN;
        loop {
            let (last, kept) = (Sequence(0), Kept::default());
            let mut feed = Feed { store: &store, last, stored: last, kept };
            let error = match feed.follow(&socket).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            match &error {
                FeedError::Connection(cause) => tracing::debug!(%cause, "event feed ends"),
                FeedError::Store(cause) => tracing::error!(%cause, "event feed ends"),
                FeedError::Gap { .. } => {
                    metrics::count_event_gap();
                    tracing::error!(%error, "event feed starts again from its cursor");
                }
            }
            backoff = if feed.last > feed.stored { BACKOFF_MIN } else { backoff * 2 };
            if let Err(cause) = feed.store_cursor().await {
                tracing::warn!(%cause, "the event cursor was not stored");
            }
            backoff = backoff.min(BACKOFF_MAX);
            sleep(backoff).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

struct Feed<'a> {
    store: &'a Store,
    last: Sequence,
    stored: Sequence,
    kept: Kept,
}

impl Feed<'_> {
    async fn follow(
        &mut self,
        socket: &std::path::Path,
    ) -> Result<core::convert::Infallible, FeedError> {
        let cursor = self.store.event_cursor().await?;
        self.last = Sequence(u64::try_from(cursor).unwrap_or_default());
        self.stored = self.last;
        self.kept.begin(self.store).await?;
        let (mut reader, mut writer) = switch_link::connect(socket).await?;
        writer.put(&Request::Subscribe { after: self.last })?;
        writer.flush().await?;
        let mut store_at = Instant::now() + STORE_INTERVAL;
        loop {
            tokio::select! {
                reply = reader.next() => match reply? {
                    Reply::Event(record) => self.take(&record).await?,
                    Reply::Rejected { detail } => {
                        return Err(std::io::Error::other(detail).into());
                    }
                    Reply::Welcome { .. }
                    | Reply::Outcome { .. }
                    | Reply::Busy { .. }
                    | Reply::View { .. } => {}
                },
                () = sleep_until(store_at) => {
                    self.store_cursor().await?;
                    self.kept.begin(self.store).await?;
                    store_at = Instant::now() + STORE_INTERVAL;
                }
            }
            if self.last.0 - self.stored.0 >= STORE_EVENTS || self.kept.is_full() {
                self.store_cursor().await?;
            }
        }
    }

    async fn take(&mut self, record: &Record) -> Result<(), FeedError> {
        let expected = self.last.next();
        if record.sequence != expected {
            return Err(FeedError::Gap { expected, got: record.sequence });
        }
        metrics::count_event(kind(&record.command));
        if let (Command::Manage(id, change), Answer::Outcome(outcome)) =
            (&record.command, &record.answer)
        {
            self.settle(*id, change, outcome).await?;
            if outcome.result.is_ok() {
                self.let_fees_fall_due(change, outcome).await?;
            }
        }
        self.kept.take(record);
        self.last = record.sequence;
        Ok(())
    }

    /// Confirms the row that a change stands for, in case that its request could not.
    async fn settle(
        &self,
        id: CommandId,
        change: &Change,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let state = state_after(outcome);
        let store = self.store;
        let command = Uuid::from_u128(id.0);
        let at_ms = i64::try_from(outcome.at.0).unwrap_or(i64::MAX);
        match change {
            Change::PutPartner(_)
            | Change::PutProgram(_)
            | Change::SetCardState { .. }
            | Change::SetPin { .. }
            | Change::ResetCvv2 { .. }
            | Change::RenewCard { .. }
            | Change::PutRule(_)
            | Change::RemoveRule(_)
            | Change::ResolveException(_)
            | Change::ChargeFee { .. } => Ok(()),
            Change::PutFee(fee) => match outcome.result {
                Ok(()) => {
                    let amounts = (fee.terms.fixed.0, i64::from(fee.terms.rate_ppm));
                    store.follow_fee(number(fee.id.0), amounts).await
                }
                Err(_) => store.settle_fee(number(fee.id.0), state).await,
            },
            Change::RemoveFee(_, fee) => match outcome.result {
                Ok(()) => store.close_fee(number(fee.0)).await,
                Err(_) => Ok(()),
            },
            Change::PutCustomer { id, .. } => {
                store.settle_customer(i64::try_from(id.0).unwrap_or_default(), state).await
            }
            Change::OpenBalance { id, .. } => {
                store.settle_balance(Uuid::from_u128(id.0), state).await
            }
            Change::CloseBalance(id) => match outcome.result {
                Ok(()) => store.close_balance(Uuid::from_u128(id.0)).await,
                Err(_) => Ok(()),
            },
            Change::OpenPartnerBalance { id, .. } => {
                store.settle_partner_balance(Uuid::from_u128(id.0), state).await
            }
            Change::IssueCard(card) => {
                store.settle_card(i64::try_from(card.id.0).unwrap_or_default(), state).await
            }
            Change::LockCard { .. } | Change::UnlockCard(_) => {
                store.settle_lock_request(command, state).await
            }
            Change::TopUp { .. }
            | Change::Reload { .. }
            | Change::Withdraw { .. }
            | Change::Transfer { .. }
            | Change::TransferCharged { .. } => store.settle_movement(command, state, at_ms).await,
        }
    }

    /// What was made costs something, where its partner or program says so.
    async fn let_fees_fall_due(
        &self,
        change: &Change,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let at_ms = number(outcome.at.0);
        if let Change::OpenBalance { id, .. } = change {
            self.store.add_account_dues(Uuid::from_u128(id.0), at_ms).await
        } else if let Change::IssueCard(card) = change {
            self.store.add_card_dues(number(card.id.0), at_ms).await
        } else {
            Ok(())
        }
    }

    async fn store_cursor(&mut self) -> Result<(), StoreError> {
        if self.last > self.stored {
            self.kept.store(self.store).await?;
            let sequence = i64::try_from(self.last.0).unwrap_or(i64::MAX);
            self.store.advance_event_cursor(sequence).await?;
            self.stored = self.last;
            metrics::set_event_cursor(self.last);
        }
        Ok(())
    }
}

/// What becomes of a row by the switch's outcome.
#[must_use]
pub fn state_after(outcome: &Outcome) -> RowState {
    match outcome.result {
        Ok(()) => RowState::Confirmed,
        Err(_) => RowState::Refused,
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::Authorize(_) => "authorize",
        Command::Advise(_) => "advise",
        Command::Reverse(_) => "reverse",
        Command::LockOutside(_) => "lock-outside",
        Command::Void(..) => "void",
        Command::Expire => "expire",
        Command::Manage(..) => "manage",
    }
}
