//! The switch's events: every durable record of its journal, read in order behind stored cursors.
//!
//! Invariants: a gap in the sequence is an error, never skipped: the feed starts again from the
//! cursors; rows whose confirmation was lost are confirmed, and what is kept of records is stored,
//! before a cursor passes them; nobody waits for it: it runs on a thread of its own that yields to
//! the rest of the machine, and catches up.

use core::convert::Infallible;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::card::CardState;
use shared::command::{Change, Command};
use shared::control::Outcome;
use shared::ids::{CommandId, Sequence};
use shared::journal_record::{Answer, Record};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;
use crate::history::{self, Keeper};
use crate::kept::Kept;
use crate::metrics;
use crate::store::{History, RowState, Settled, Store, StoreError};
use crate::switch_link::{BACKOFF_MAX, BACKOFF_MIN, EventError, Events};
use crate::vault::{Vault, VaultError};

/// The cursor is stored this often at least.
const STORE_INTERVAL: Duration = Duration::from_secs(1);
/// And after this many events at the latest.
const STORE_EVENTS: u64 = 10_000;
/// How much the feed's thread yields to others: at 10 it gets a tenth of what they get.
const NICE: i32 = 10;

/// Why the feed starts again.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    #[error(transparent)]
    Events(#[from] EventError),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unknown(#[from] history::Unknown),
    #[error("vault: {0}")]
    Vault(#[from] VaultError),
    #[error("whose the money of record {0} is, is not known")]
    Whose(i64),
    #[error("the history was moved on by another server")]
    Overtaken,
}

/// Where the feed reads and writes.
struct Addresses {
    socket: PathBuf,
    database: String,
    history: String,
    vault: Arc<Vault>,
}

/// Starts to read events, until `stop`; what is given back ends with it.
pub(crate) fn start(
    config: &Config,
    vault: Arc<Vault>,
    stop: CancellationToken,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel();
    let addresses = Addresses {
        socket: config.switch.socket.clone(),
        database: config.database.clone(),
        history: config.history_url(),
        vault,
    };
    std::thread::Builder::new().name("events".into()).spawn(move || {
        // Of this thread and those that it starts, the databases' among them.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "the event feed does not yield to others");
        }
        runtime.block_on(stop.run_until_cancelled(run(&addresses)));
        drop(ended);
    })?;
    Ok(end)
}

/// Both readers, each with a cursor and failures of its own.
async fn run(addresses: &Addresses) {
    let Addresses { socket, database, history, vault } = addresses;
    let feed =
        again("event feed", async || Feed::new(Store::open(database).await?).follow(socket).await);
    let keeper = again("history", async || {
        let (store, history) = (Store::open(database).await?, History::open(history, 1).await?);
        Keeper::new(store, history, Arc::clone(vault)).follow(socket).await
    });
    tokio::join!(feed, keeper);
}

/// Does something that fails now and then again and again.
async fn again(what: &str, work: impl AsyncFn() -> Result<Infallible, FeedError>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let begun = Instant::now();
        let error = match work().await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        match &error {
            FeedError::Events(EventError::Connection(_)) | FeedError::Overtaken => {
                tracing::debug!(%error, what, "begins again");
            }
            FeedError::Store(_)
            | FeedError::Unknown(_)
            | FeedError::Vault(_)
            | FeedError::Whose(_) => {
                tracing::error!(%error, what, "begins again");
            }
            FeedError::Events(EventError::Gap { .. }) => {
                metrics::count_event_gap();
                tracing::error!(%error, what, "begins again from its cursor");
            }
        }
        let lasted = begun.elapsed() > BACKOFF_MAX;
        backoff = if lasted { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
        sleep(backoff).await;
    }
}

struct Feed {
    store: Store,
    last: Sequence,
    stored: Sequence,
    kept: Kept,
    /// What becomes of rows, until the cursor is stored: they are settled with it.
    settled: Settled,
}

impl Feed {
    fn new(store: Store) -> Self {
        let (kept, settled) = (Kept::default(), Settled::default());
        Self { store, last: Sequence(0), stored: Sequence(0), kept, settled }
    }

    async fn follow(mut self, socket: &Path) -> Result<Infallible, FeedError> {
        let ended = self.follow_until_it_fails(socket).await;
        // What was taken is stored, whatever ended it.
        self.store_cursor().await?;
        ended
    }

    async fn follow_until_it_fails(&mut self, socket: &Path) -> Result<Infallible, FeedError> {
        self.last = sequence(self.store.event_cursor().await?);
        self.stored = self.last;
        self.kept.begin(&self.store).await?;
        let mut events = Events::after(socket, self.last).await?;
        let mut store_at = Instant::now() + STORE_INTERVAL;
        loop {
            for record in events.batch(store_at).await? {
                self.take(&record).await?;
            }
            let due = Instant::now() >= store_at;
            if due || self.last.0 - self.stored.0 >= STORE_EVENTS || self.kept.is_full() {
                self.store_cursor().await?;
            }
            if due {
                self.kept.begin(&self.store).await?;
                store_at = Instant::now() + STORE_INTERVAL;
            }
        }
    }

    async fn take(&mut self, record: &Record) -> Result<(), StoreError> {
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
        &mut self,
        id: CommandId,
        change: &Change,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let state = state_after(outcome);
        let store = &self.store;
        let command = Uuid::from_u128(id.0);
        let at_ms = i64::try_from(outcome.at.0).unwrap_or(i64::MAX);
        match change {
            Change::PutPartner(_)
            | Change::PutProgram(_)
            | Change::SetPin { .. }
            | Change::ResetCvv2 { .. }
            | Change::RenewCard { .. }
            | Change::PutRule(_)
            | Change::RemoveRule(_)
            | Change::ResolveException(_)
            | Change::ChargeFee { .. }
            | Change::PutCustody(..)
            | Change::BlockBalance { .. }
            | Change::PutCounts(_) => Ok(()),
            Change::SetCardState { card, state } => match outcome.result {
                Ok(()) if *state == CardState::Removed => {
                    store.note_removed(number(card.0), at_ms).await
                }
                Ok(()) | Err(_) => Ok(()),
            },
            Change::EntrustBalance(id) => match outcome.result {
                Ok(()) => store.set_entrusted(Uuid::from_u128(id.0)).await,
                Err(_) => Ok(()),
            },
            Change::PutFee(fee) => match outcome.result {
                Ok(()) => {
                    let amounts = (fee.terms.fixed.0, i64::from(fee.terms.rate_ppm));
                    store.follow_fee(number(fee.id.0), amounts, number(outcome.sequence.0)).await
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
                self.settled.cards.push((number(card.id.0), state));
                Ok(())
            }
            Change::LockCard { .. } | Change::UnlockCard(_) | Change::LockByHolder { .. } => {
                store.settle_lock_request(command, state).await
            }
            Change::TopUp { .. }
            | Change::CreditTransfer { .. }
            | Change::Reload { .. }
            | Change::Withdraw { .. }
            | Change::Transfer { .. }
            | Change::TransferCharged { .. } => {
                self.settled.movements.push((command, state, at_ms));
                Ok(())
            }
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
            self.kept.store(&self.store).await?;
            let settled = std::mem::take(&mut self.settled);
            self.store.advance_event_cursor(number(self.last.0), &settled).await?;
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

pub(crate) fn sequence(row: i64) -> Sequence {
    Sequence(u64::try_from(row).unwrap_or_default())
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
        Command::Answered(..) => "answered",
    }
}
