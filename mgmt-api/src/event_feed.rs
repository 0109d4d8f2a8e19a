//! The switch's events: every durable record of its journal, read in order behind stored cursors.
//!
//! Invariants: a gap in the sequence is an error, never skipped: the feed starts again from the
//! cursors; rows whose confirmation was lost are confirmed, and what is kept of records is stored,
//! before a cursor passes them; nobody waits for it: it runs on a thread of its own that yields to
//! the rest of the machine, and catches up.

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::command::{Change, Command};
use shared::control::Outcome;
use shared::ids::{CommandId, Sequence};
use shared::journal_record::{Answer, Record};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;
use crate::history::{self, News, Page};
use crate::kept::Kept;
use crate::store::{CursorRow, History, RowState, Store, StoreError};
use crate::switch_link::{BACKOFF_MAX, BACKOFF_MIN, EventError, Events};
use crate::vault::{Vault, VaultError};
use crate::{clock, metrics, notices};

/// Records taken at once.
const BATCH_MAX: usize = 1_000;
/// How long the first record of a batch waits for others.
const LINGER: Duration = Duration::from_millis(5);
/// The cursor is stored this often at least.
const STORE_INTERVAL: Duration = Duration::from_secs(1);
/// And after this many events at the latest.
const STORE_EVENTS: u64 = 10_000;
/// How much the feed's thread yields to others: at 10 it gets a tenth of what they get.
const NICE: i32 = 10;

/// Why the feed starts again.
#[derive(Debug, Error)]
enum FeedError {
    #[error(transparent)]
    Events(#[from] EventError),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unknown(#[from] history::Unknown),
    #[error("vault: {0}")]
    Vault(#[from] VaultError),
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

async fn run(addresses: &Addresses) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let begun = Instant::now();
        let ended = async {
            let store = Store::open(&addresses.database).await?;
            let history = History::open(&addresses.history, 1).await?;
            let vault = Arc::clone(&addresses.vault);
            Feed::new(store, history, vault).follow(&addresses.socket).await
        };
        let error = match ended.await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        match &error {
            FeedError::Events(EventError::Connection(_)) | FeedError::Overtaken => {
                tracing::debug!(%error, "event feed ends");
            }
            FeedError::Store(_) | FeedError::Unknown(_) | FeedError::Vault(_) => {
                tracing::error!(%error, "event feed ends");
            }
            FeedError::Events(EventError::Gap { .. }) => {
                metrics::count_event_gap();
                tracing::error!(%error, "event feed starts again from its cursor");
            }
        }
        let lasted = begun.elapsed() > BACKOFF_MAX;
        backoff = if lasted { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
        sleep(backoff).await;
    }
}

struct Feed {
    store: Store,
    history: History,
    last: Sequence,
    stored: Sequence,
    kept: Kept,
    /// How far the history is.
    shown: CursorRow,
    vault: Arc<Vault>,
    /// Partners that want to know of transactions.
    told: BTreeSet<i64>,
}

impl Feed {
    fn new(store: Store, history: History, vault: Arc<Vault>) -> Self {
        let (last, stored) = (Sequence(0), Sequence(0));
        let (kept, shown) = (Kept::default(), CursorRow::default());
        Self { store, history, last, stored, kept, shown, vault, told: BTreeSet::new() }
    }

    /// Looks what is wanted of records now.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.kept.begin(&self.store).await?;
        self.told = self.store.partners_told_of(notices::TRANSACTION).await?.into_iter().collect();
        Ok(())
    }

    async fn follow(mut self, socket: &Path) -> Result<core::convert::Infallible, FeedError> {
        let ended = self.follow_until_it_fails(socket).await;
        // What was taken is stored, whatever ended it.
        self.store_cursor().await?;
        ended
    }

    async fn follow_until_it_fails(
        &mut self,
        socket: &Path,
    ) -> Result<core::convert::Infallible, FeedError> {
        self.last = sequence(self.store.event_cursor().await?);
        self.stored = self.last;
        self.shown = self.history.cursor().await?;
        self.look().await?;
        let after = self.last.min(sequence(self.shown.sequence));
        let mut events = Events::after(socket, after).await?;
        let mut store_at = Instant::now() + STORE_INTERVAL;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            if let Ok(record) = timeout_at(store_at, events.next()).await {
                batch.push(record?);
                let until = Instant::now() + LINGER;
                while batch.len() < BATCH_MAX
                    && let Ok(record) = timeout_at(until, events.next()).await
                {
                    batch.push(record?);
                }
                self.take(&batch).await?;
                batch.clear();
            }
            let due = Instant::now() >= store_at;
            if due || self.last.0 - self.stored.0 >= STORE_EVENTS || self.kept.is_full() {
                self.store_cursor().await?;
            }
            if due {
                self.look().await?;
                store_at = Instant::now() + STORE_INTERVAL;
            }
        }
    }

    /// Takes what of a batch was not taken before.
    async fn take(&mut self, batch: &[Record]) -> Result<(), FeedError> {
        let known = batch.partition_point(|record| record.sequence <= self.last);
        for record in batch.get(known..).unwrap_or_default() {
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
        }
        self.show(batch).await
    }

    /// Keeps what a batch did to money.
    async fn show(&mut self, batch: &[Record]) -> Result<(), FeedError> {
        let known = batch.partition_point(|it| it.sequence <= sequence(self.shown.sequence));
        let batch = batch.get(known..).unwrap_or_default();
        if batch.is_empty() {
            return Ok(());
        }
        let needs = history::needs(batch);
        let rows = self.history.load(self.shown, needs).await?;
        let mut page = Page::new(rows, !self.told.is_empty());
        for record in batch {
            page.take(record)?;
        }
        self.tell(page.take_news()).await?;
        let (changed, next) = page.finish();
        if !self.history.save(&changed, self.shown, next).await? {
            return Err(FeedError::Overtaken);
        }
        self.shown = next;
        metrics::set_history_cursor(next.sequence);
        Ok(())
    }

    /// Writes down what partners are told of transactions. It may be done again for a record, before
    /// the history's cursor is stored: a notice is made once of each.
    async fn tell(&self, news: Vec<News>) -> Result<(), FeedError> {
        let mut found = Vec::new();
        for News { sequence, at_ms, row } in news {
            let partner = self.store.partner_of_customer(row.customer_id).await?;
            if let Some(partner) = partner.filter(|partner| self.told.contains(partner)) {
                found.push(notices::of_transaction(&self.vault, (partner, sequence, at_ms), &row)?);
            }
        }
        Ok(self.store.insert_notices(&found, None, clock::now_millis()).await?)
    }

    /// Confirms the row that a change stands for, in case that its request could not.
    async fn settle(
        &self,
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
            self.kept.store(&self.store).await?;
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

fn sequence(row: i64) -> Sequence {
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
    }
}
