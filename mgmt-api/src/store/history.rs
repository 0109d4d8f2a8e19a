//! A database of its own for what happened to money: transactions, their steps and postings.
//!
//! Invariants: it holds nothing that the switch's journal does not, so it can be dropped and made
//! again; rows and cursor are written in one transaction, and by one writer at a time. It need not
//! reach the disk at once: what a power failure takes is read again.

mod reading;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::query_builder::Separated;
use sqlx::{Database, Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::{Db, Durability, Result, on};

pub use self::reading::{Period, StatementRow, StatementWish, TransactionWish};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/history/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/history/postgres");
/// Where the schema's version is kept, beside that of the other tables.
const MIGRATIONS_TABLE: &str = "_history_migrations";
/// Rows in one statement at most.
const ROWS_MAX: usize = 200;

/// The database.
#[derive(Clone)]
pub struct History {
    db: Db,
}

/// How far the switch's records were read, and the places that new cards and balances get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct CursorRow {
    /// The last record.
    pub sequence: i64,
    /// When it was decided.
    pub at_ms: i64,
    /// Place of the next card.
    pub next_card: i64,
    /// Place of the next balance.
    pub next_balance: i64,
}

/// A balance by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PlacedBalance {
    /// Its place.
    pub slot: i64,
    /// Its id.
    pub balance_id: Uuid,
    /// Its holder.
    pub customer_id: i64,
    /// ISO 4217 number.
    pub currency: i64,
    /// What is booked.
    pub booked: i64,
    /// 1 once it was closed.
    pub closed: i64,
    /// 1 where its money is with the partner.
    pub entrusted: i64,
}

/// A card by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PlacedCard {
    /// Its place.
    pub slot: i64,
    /// Its id.
    pub card_id: i64,
    /// Place of the balance that it spends from.
    pub balance: i64,
}

/// A message by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PlacedMessage {
    /// Its place.
    pub slot: i64,
    /// The transaction that it belongs to; 0 for none.
    pub transaction_id: i64,
    /// Place of the balance that it posts on.
    pub balance: Option<i64>,
    /// 1 where it credits.
    pub credit: i64,
    /// 1 where it began the transaction.
    pub root: i64,
    /// Where its partner was asked for it; 0 where it was not.
    pub sequence: i64,
    /// When.
    pub asked_at_ms: i64,
    /// Until when it could answer.
    pub asked_until_ms: i64,
    /// For how much.
    pub asked: i64,
}

/// A transaction; amounts in minor units, none negative.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct TransactionRow {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at_ms: i64,
    /// Whose.
    pub customer_id: i64,
    /// Place of the balance.
    pub balance: i64,
    /// With which card.
    pub card_id: Option<i64>,
    /// What made it: CARD, TOP_UP, CREDIT_TRANSFER, WITHDRAWAL, TRANSFER, FEE.
    pub kind: String,
    /// 1 where it credits.
    pub credit: i64,
    /// Where it stands, as the switch calls it.
    pub state: String,
    /// Number of the reason that was answered.
    pub reason: i64,
    /// Number of the check that an advice did not pass.
    pub flagged: Option<i64>,
    /// DE38.
    pub approval: Option<i64>,
    /// DE3.
    pub processing_code: i64,
    /// What the holder was to be billed.
    pub asked: i64,
    /// In which currency.
    pub currency: i64,
    /// What the terminal asked for.
    pub original_amount: i64,
    /// In which currency.
    pub original_currency: i64,
    /// The cash of it, in the terminal's currency.
    pub cash_back: i64,
    /// What was approved in all.
    pub authorised: i64,
    /// What of it was given back.
    pub released: i64,
    /// What of it was posted.
    pub captured: i64,
    /// What is posted in all, and was not taken back.
    pub posted: i64,
    /// What was taken back.
    pub returned: i64,
    /// What was taken for fees along with it.
    pub fee: i64,
    /// The transaction that it refers to.
    pub reference_id: Option<i64>,
    /// The command that asked for it.
    pub command_id: Option<Uuid>,
    /// DE11.
    pub stan: Option<i64>,
    /// DE37.
    pub rrn: Option<String>,
    /// The network's life-cycle id.
    pub life_cycle: Option<String>,
    /// DE41.
    pub terminal: Option<String>,
    /// DE42.
    pub merchant: Option<String>,
    /// DE18.
    pub mcc: Option<i64>,
    /// DE19.
    pub country: Option<i64>,
    /// How the card number came.
    pub entry: Option<String>,
    /// 1 where its money is with the partner.
    #[serde(default)]
    pub entrusted: i64,
    /// What the partner has of it, by what it was told.
    #[serde(default)]
    pub partner_amount: i64,
    /// In how many calls; more than one where no reversal of one of them undoes it.
    #[serde(default)]
    pub partner_calls: i64,
}

/// What became of a transaction, or a posting.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StepRow {
    /// The record.
    pub sequence: i64,
    /// Its place among the record's.
    pub place: i64,
    /// Of which transaction.
    pub transaction_id: Option<i64>,
    /// Place of the balance, where it is posted on one.
    pub balance: Option<i64>,
    /// What.
    pub kind: String,
    /// How much more (less, where negative) the holder has by a posting; else how much it is about.
    pub amount: i64,
    /// What is booked behind it, where it is posted on a balance.
    pub booked: Option<i64>,
    /// When.
    pub at_ms: i64,
}

/// Which rows a batch of records needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Places of messages.
    pub messages: BTreeSet<i64>,
    /// Places of cards.
    pub cards: BTreeSet<i64>,
    /// Places of balances.
    pub balances: BTreeSet<i64>,
    /// Balances by id.
    pub balance_ids: BTreeSet<Uuid>,
}

/// Rows by their key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How far.
    pub cursor: CursorRow,
    /// Messages by place.
    pub messages: BTreeMap<i64, PlacedMessage>,
    /// Cards by place.
    pub cards: BTreeMap<i64, PlacedCard>,
    /// Balances by place.
    pub balances: BTreeMap<i64, PlacedBalance>,
    /// Transactions by number.
    pub transactions: BTreeMap<i64, TransactionRow>,
}

/// Rows to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Messages.
    pub messages: Vec<PlacedMessage>,
    /// Cards.
    pub cards: Vec<PlacedCard>,
    /// Balances.
    pub balances: Vec<PlacedBalance>,
    /// Transactions.
    pub transactions: Vec<TransactionRow>,
    /// Steps.
    pub steps: Vec<StepRow>,
}

/// A row and its columns, written once for both drivers.
trait Table<D: Database> {
    const SELECT: &str;
    const INSERT: &str;
    /// Behind the rows: what to do where one is there already.
    const OR: &str;

    fn bind(&self, values: Separated<'_, D, &'static str>);
}

macro_rules! columns {
    ($first:ident $(, $rest:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($rest))*) };
}

macro_rules! table {
    ($row:ty, $name:literal ($($column:ident),*), $or:expr) => {
        table!(Sqlite, $row, $name ($($column),*), $or);
        table!(Postgres, $row, $name ($($column),*), $or);
    };
    ($driver:ty, $row:ty, $name:literal ($($column:ident),*), $or:expr) => {
        impl Table<$driver> for $row {
            const SELECT: &str = concat!("SELECT ", columns!($($column),*), " FROM ", $name);
            const INSERT: &str = concat!("INSERT INTO ", $name, " (", columns!($($column),*), ") ");
            const OR: &str = $or;

            fn bind(&self, mut values: Separated<'_, $driver, &'static str>) {
                $(values.push_bind(self.$column.to_owned());)*
            }
        }
    };
}

table!(
    PlacedBalance,
    "history_balances"(slot, balance_id, customer_id, currency, booked, closed, entrusted),
    " ON CONFLICT (slot) DO UPDATE SET booked = excluded.booked, closed = excluded.closed, \
     entrusted = excluded.entrusted"
);
table!(PlacedCard, "history_cards"(slot, card_id, balance), "");
table!(
    PlacedMessage,
    "history_slots"(
        slot,
        transaction_id,
        balance,
        credit,
        root,
        sequence,
        asked_at_ms,
        asked_until_ms,
        asked
    ),
    " ON CONFLICT (slot) DO UPDATE SET transaction_id = excluded.transaction_id, \
     balance = excluded.balance, credit = excluded.credit, root = excluded.root, \
     sequence = excluded.sequence, asked_at_ms = excluded.asked_at_ms, \
     asked_until_ms = excluded.asked_until_ms, asked = excluded.asked"
);
table!(
    TransactionRow,
    "transactions"(
        id,
        at_ms,
        customer_id,
        balance,
        card_id,
        kind,
        credit,
        state,
        reason,
        flagged,
        approval,
        processing_code,
        asked,
        currency,
        original_amount,
        original_currency,
        cash_back,
        authorised,
        released,
        captured,
        posted,
        returned,
        fee,
        reference_id,
        command_id,
        stan,
        rrn,
        life_cycle,
        terminal,
        merchant,
        mcc,
        country,
        entry,
        entrusted,
        partner_amount,
        partner_calls
    ),
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, authorised = excluded.authorised, \
     released = excluded.released, captured = excluded.captured, posted = excluded.posted, returned = excluded.returned, \
     fee = excluded.fee, reason = excluded.reason, approval = excluded.approval, \
     partner_amount = excluded.partner_amount, partner_calls = excluded.partner_calls"
);
table!(
    StepRow,
    "history_steps"(sequence, place, transaction_id, balance, kind, amount, booked, at_ms),
    ""
);

/// The rows whose `$column` is one of `$keys`.
macro_rules! rows_of {
    ($driver:ty, $connection:expr, $row:ty, $column:literal, $keys:expr) => {{
        let keys: Vec<_> = $keys.into_iter().collect();
        let mut rows: Vec<$row> = Vec::with_capacity(keys.len());
        for keys in keys.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::<$driver>::new(<$row as Table<$driver>>::SELECT);
            query.push(concat!(" WHERE ", $column, " IN ("));
            let mut list = query.separated(", ");
            for key in keys {
                list.push_bind(*key);
            }
            query.push(")");
            rows.extend(query.build_query_as::<$row>().fetch_all(&mut *$connection).await?);
        }
        rows
    }};
}

/// Writes rows, many in one statement.
macro_rules! put {
    ($driver:ty, $connection:expr, $rows:expr, $row:ty) => {
        for rows in $rows.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::<$driver>::new(<$row as Table<$driver>>::INSERT);
            query.push_values(rows, |values, row| Table::<$driver>::bind(row, values));
            query.push(<$row as Table<$driver>>::OR);
            query.build().execute(&mut *$connection).await?;
        }
    };
}

macro_rules! load {
    ($driver:ty, $pool:expr, $needs:expr, $rows:expr) => {{
        let mut connection = $pool.acquire().await?;
        let Needs { messages, cards, mut balances, balance_ids } = $needs;
        let found = rows_of!($driver, connection, PlacedMessage, "slot", &messages);
        balances.extend(found.iter().filter_map(|row| row.balance));
        let transactions: BTreeSet<i64> = found.iter().map(|row| row.transaction_id).collect();
        $rows.messages.extend(found.into_iter().map(|row| (row.slot, row)));
        let found = rows_of!($driver, connection, PlacedCard, "slot", &cards);
        balances.extend(found.iter().map(|row| row.balance));
        $rows.cards.extend(found.into_iter().map(|row| (row.slot, row)));
        let found = rows_of!($driver, connection, TransactionRow, "id", &transactions);
        balances.extend(found.iter().filter(|row| row.entrusted == 1).map(|row| row.balance));
        $rows.transactions.extend(found.into_iter().map(|row| (row.id, row)));
        let found = rows_of!($driver, connection, PlacedBalance, "slot", &balances);
        let named = rows_of!($driver, connection, PlacedBalance, "balance_id", &balance_ids);
        $rows.balances.extend(found.into_iter().chain(named).map(|row| (row.slot, row)));
    }};
}

/// One transaction: `false`, and nothing is written, where the cursor is not where it was.
macro_rules! save {
    ($driver:ty, $pool:expr, $begin:expr, $changed:expr, $cursor:expr) => {{
        let mut transaction = $pool.begin_with($begin).await?;
        let (from, to): (CursorRow, CursorRow) = $cursor;
        let moved = sqlx::query(MOVE).bind(from.sequence).bind(to.sequence).bind(to.at_ms);
        let moved = moved.bind(to.next_card).bind(to.next_balance);
        let moved = moved.execute(&mut *transaction).await?.rows_affected();
        if moved == 1 {
            put!($driver, transaction, $changed.balances, PlacedBalance);
            put!($driver, transaction, $changed.cards, PlacedCard);
            put!($driver, transaction, $changed.messages, PlacedMessage);
            put!($driver, transaction, $changed.transactions, TransactionRow);
            put!($driver, transaction, $changed.steps, StepRow);
            transaction.commit().await?;
        }
        moved == 1
    }};
}

const MOVE: &str = "UPDATE history_cursor SET sequence = $2, at_ms = $3, next_card = $4, \
     next_balance = $5 WHERE id = 1 AND sequence = $1";

impl History {
    /// Connects to `sqlite://FILE` (made with mode 0600 where it is missing) or `postgres://..`,
    /// with `connections_max` at most.
    pub async fn open(url: &str, connections_max: u32) -> Result<Self> {
        Ok(Self { db: Db::open(url, connections_max, Durability::Later).await? })
    }

    /// Brings the schema up to date; refuses one that is newer than this program.
    pub async fn migrate(&self) -> core::result::Result<(), MigrateError> {
        let of = |migrations: &Migrator| {
            let mut own = Migrator::with_migrations(migrations.iter().cloned().collect());
            own.dangerous_set_table_name(MIGRATIONS_TABLE);
            own
        };
        match &self.db {
            Db::Sqlite(file) => of(&SQLITE_MIGRATIONS).run(&file.writer).await,
            Db::Pg(pool) => of(&POSTGRES_MIGRATIONS).run(pool).await,
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// How far the switch's records were read.
    pub async fn cursor(&self) -> Result<CursorRow> {
        const SQL: &str = "SELECT sequence, at_ms, next_card, next_balance FROM history_cursor";
        Ok(on!(self, pool => sqlx::query_as(SQL).fetch_one(pool).await)?)
    }

    /// The rows that a batch needs, as they were when the cursor stood there; those that are not
    /// there are left out. `None` where another has moved it.
    pub async fn load(&self, cursor: CursorRow, needs: Needs) -> Result<Option<Rows>> {
        let mut rows = Rows { cursor, ..Rows::default() };
        match &self.db {
            Db::Sqlite(file) => load!(Sqlite, file.readers, needs, rows),
            Db::Pg(pool) => load!(Postgres, pool, needs, rows),
        }
        // Rows and cursor change together: read last, it says that no row was newer.
        Ok((self.cursor().await? == cursor).then_some(rows))
    }

    /// Writes what changed and moves the cursor; `false`, and nothing is written, where another
    /// has moved it.
    pub async fn save(&self, changed: &Changed, from: CursorRow, to: CursorRow) -> Result<bool> {
        Ok(match &self.db {
            Db::Sqlite(file) => {
                let _turn = file.turn().await?;
                save!(Sqlite, file.writer, "BEGIN IMMEDIATE", changed, (from, to))
            }
            Db::Pg(pool) => save!(Postgres, pool, "BEGIN", changed, (from, to)),
        })
    }
}
