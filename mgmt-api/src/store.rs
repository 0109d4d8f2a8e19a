//! The only SQL: rows in, rows out, on SQLite and PostgreSQL with the same text.
//!
//! Invariants: a row that stands for something in the switch is `PENDING` until the switch has it
//! durably; confirming is repeatable; nothing readable of a card number or a person is written.

mod art;
mod audit;
mod balances;
mod bank_accounts;
mod card_tokens;
mod cards;
mod clients;
mod cursor;
mod customers;
mod fees;
mod history;
mod idempotency;
mod imports;
mod kept;
mod mails;
mod movements;
mod notices;
mod operators;
mod orders;
mod partner_balances;
mod programs;
mod reload_requests;
mod sessions;
mod verifications;

use core::time::Duration;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::secret_file;

pub use self::audit::AuditRow;
pub use self::balances::BalanceRow;
pub use self::bank_accounts::BankAccountRow;
pub use self::card_tokens::CardTokenRow;
pub use self::cards::{CardRow, NewCardRow};
pub use self::clients::{
    CertificateRow, ClientRow, IssuedCertificate, NewClient, PartnerRow, PartnerUpdate,
};
pub use self::cursor::Settled;
pub use self::customers::{CustomerRow, CustomerUpdate, FoundCustomerRow, NewCustomer};
pub use self::fees::{DueEnd, DueRow, FeeDayRow, FeeRow, NewCharge};
pub use self::history::{
    Changed, CursorRow, History, Needs, Period, PlacedBalance, PlacedCard, PlacedMessage, Rows,
    StatementRow, StatementWish, StepRow, TransactionRow, TransactionWish,
};
pub use self::idempotency::{KeyRow, NewKey};
pub use self::imports::{ImportRow, ImportedRow, NewImportRow, PendingRow};
pub use self::kept::{KeptPosting, Posting, PostingChange};
pub use self::mails::{EndingCertificate, MailRow, WatchedBalance};
pub use self::movements::{Movement, MovementWords, NewMovement};
pub use self::notices::{
    DeliveryRow, EndpointRow, NewNotice, NoticeRow, TryEnd, VerificationToTell,
};
pub use self::operators::{NewOperator, OperatorRow};
pub use self::orders::{NewOrder, OperationRow, OrderNews, OrderRow};
pub use self::partner_balances::PartnerBalanceRow;
pub use self::programs::{
    CardKind, LOCK_SOURCES, ProgramRow, collateral_name, lock_source_name, silence_name,
};
pub use self::reload_requests::ReloadRequestRow;
pub use self::sessions::{InstallationRow, NewInstallation, NewSession, SessionRow, WalletPinRow};
pub use self::verifications::{Decision, ImageRow, NewVerification, VerificationRow};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

const CONNECTIONS_MAX: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that lay idle for less is used without a look.
const IDLE_UNSEEN: Duration = Duration::from_secs(1);

/// The database did not do it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoreError(#[from] sqlx::Error);

type Result<T> = core::result::Result<T, StoreError>;

/// The database.
#[derive(Clone)]
pub struct Store {
    db: Db,
}

#[derive(Clone)]
enum Db {
    Sqlite(File),
    Pg(PgPool),
}

/// A file has one lock for all who write: whoever finds it taken sleeps and looks again. So a
/// store's writes take turns, and keep no reader waiting.
#[derive(Clone)]
struct File {
    readers: SqlitePool,
    writer: SqlitePool,
    /// For what means nothing before another row follows, or follows from the switch's journal
    /// anyhow: on the disk with the next commit of the `writer` at the latest. What a power cut
    /// takes away this process does not know any more either; a server that falls by itself would
    /// leave it behind, so there is no such thing on PostgreSQL.
    later: SqlitePool,
    turn: Arc<Mutex<()>>,
}

impl File {
    /// Waits for its turn to write.
    async fn turn(&self) -> sqlx::Result<MutexGuard<'_, ()>> {
        let turn = timeout(ACQUIRE_TIMEOUT, self.turn.lock()).await;
        turn.map_err(|_elapsed| sqlx::Error::PoolTimedOut)
    }
}

/// When what is committed must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// Before the commit is done.
    AtOnce,
    /// Some time later, in order.
    Later,
}

impl Db {
    async fn open(url: &str, connections_max: u32, durability: Durability) -> Result<Self> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
                .foreign_keys(true)
                .busy_timeout(ACQUIRE_TIMEOUT);
            // The files beside it (log, shared memory) get the same mode.
            secret_file::create_if_absent(options.get_filename(), b"")
                .map_err(|error| sqlx::Error::Configuration(error.into()))?;
            // A file does not hang up: its connections need no look before they are used.
            let pool = |connections_max| {
                SqlitePoolOptions::new()
                    .max_connections(connections_max)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .test_before_acquire(false)
            };
            let later = pool(1).connect_with(options.clone()).await?;
            let writer = match durability {
                Durability::AtOnce => {
                    let options = options.clone().synchronous(SqliteSynchronous::Full);
                    pool(1).connect_with(options).await?
                }
                Durability::Later => later.clone(),
            };
            let readers = options.pragma("query_only", "ON");
            let readers = pool(connections_max).connect_with(readers).await?;
            let turn = Arc::default();
            return Ok(Self::Sqlite(File { readers, writer, later, turn }));
        }
        let options = PgConnectOptions::from_str(url)?;
        let options = match durability {
            Durability::AtOnce => options,
            Durability::Later => options.options([("synchronous_commit", "off")]),
        };
        // A look at each connection before its use would double what a read costs: only one that
        // lay idle may have been hung up on meanwhile.
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    let is_good = meta.idle_for < IDLE_UNSEEN || connection.ping().await.is_ok();
                    Ok(is_good)
                })
            });
        Ok(Self::Pg(pool.connect_with(options).await?))
    }

    async fn close(&self) {
        match self {
            Self::Sqlite(File { readers, writer, later, turn: _ }) => {
                for pool in [readers, writer, later] {
                    pool.close().await;
                }
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

/// A row's place in the order of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Written; the switch may or may not have it.
    Pending,
    /// The switch has it durably.
    Confirmed,
    /// The switch refused it.
    Refused,
}

impl RowState {
    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Refused => "REFUSED",
        }
    }
}

/// The same typed statement once per driver: one that reads, one that may `write`, or one whose
/// writes may be on the disk `later` where that is a file's. With `begin`, the text that opens a
/// write transaction comes along: SQLite must take its lock at once, or an upgrade from read to
/// write fails.
macro_rules! on {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.db {
            crate::store::Db::Sqlite(crate::store::File { readers: $pool, .. }) => $body,
            crate::store::Db::Pg($pool) => $body,
        }
    };
    ($store:expr, write $pool:ident => $body:expr) => {
        on!($store, in_turn writer, $pool => $body)
    };
    ($store:expr, later $pool:ident => $body:expr) => {
        on!($store, in_turn later, $pool => $body)
    };
    ($store:expr, in_turn $own:ident, $pool:ident => $body:expr) => {
        match &$store.db {
            crate::store::Db::Sqlite(file) => {
                let _turn = file.turn().await?;
                let $pool = &file.$own;
                $body
            }
            crate::store::Db::Pg($pool) => $body,
        }
    };
    ($store:expr, $pool:ident, $begin:ident => $body:expr) => {
        match &$store.db {
            crate::store::Db::Sqlite(file) => {
                let _turn = file.turn().await?;
                let ($pool, $begin) = (&file.writer, "BEGIN IMMEDIATE");
                $body
            }
            crate::store::Db::Pg($pool) => {
                let $begin = "BEGIN";
                $body
            }
        }
    };
}
use on;

/// Whether something of its own key is there already.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

impl Store {
    /// Connects to `sqlite://FILE` (made with mode 0600 where it is missing) or `postgres://..`. An
    /// answer is stored before it is sent, so what is committed is on the disk.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self { db: Db::open(url, CONNECTIONS_MAX, Durability::AtOnce).await? })
    }

    /// Brings the schema up to date; refuses one that is newer than this program.
    pub async fn migrate(&self) -> core::result::Result<(), sqlx::migrate::MigrateError> {
        match &self.db {
            Db::Sqlite(file) => SQLITE_MIGRATIONS.run(&file.writer).await,
            Db::Pg(pool) => POSTGRES_MIGRATIONS.run(pool).await,
        }
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<()> {
        on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// The next number of a sequence.
    pub async fn next_number(&self, name: &str) -> Result<i64> {
        const SQL: &str = "UPDATE sequences SET next_value = next_value + 1 WHERE name = $1 \
                           RETURNING next_value - 1";
        Ok(on!(self, later pool => sqlx::query_scalar(SQL).bind(name).fetch_one(pool).await)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |migrator: &Migrator| -> Vec<(i64, String)> {
            migrator.iter().map(|one| (one.version, one.description.to_string())).collect()
        };
        assert_eq!(names(&SQLITE_MIGRATIONS), names(&POSTGRES_MIGRATIONS));
        assert!(!names(&SQLITE_MIGRATIONS).is_empty());
    }
}
