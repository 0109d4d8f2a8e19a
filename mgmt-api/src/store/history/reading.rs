//! What happened to money, as it is asked for.

use uuid::Uuid;

use super::{History, PlacedBalance, StepRow, TransactionRow};
use crate::store::{Result, on};

/// A part of time: from an instant to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first millisecond.
    pub from_ms: i64,
    /// The first one behind it.
    pub to_ms: i64,
}

/// A posting on a balance, and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StatementRow {
    /// The record.
    pub sequence: i64,
    /// Its place among the record's.
    pub place: i64,
    /// Of which transaction.
    pub transaction_id: Option<i64>,
    /// What.
    pub step: String,
    /// What made the transaction.
    pub kind: Option<String>,
    /// Its DE3.
    pub processing_code: Option<i64>,
    /// The command that asked for it.
    pub command_id: Option<Uuid>,
    /// When it began.
    pub begun_ms: Option<i64>,
    /// Its DE42.
    pub merchant: Option<String>,
    /// How much more (less, where negative) is booked.
    pub amount: i64,
    /// What is booked behind it.
    pub booked: i64,
    /// When.
    pub at_ms: i64,
}

/// Which transactions of a cardholder are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionWish {
    /// Whose.
    pub customer: i64,
    /// When they began.
    pub period: Period,
    /// On this balance only.
    pub balance: Option<Uuid>,
    /// With this card only.
    pub card: Option<i64>,
    /// Before this one: when it began, and its number.
    pub before: (i64, i64),
    /// So many at most.
    pub limit: i64,
}

/// Which postings on a balance are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementWish {
    /// Place of the balance.
    pub balance: i64,
    /// When they were made.
    pub period: Period,
    /// Behind this one: its time, its record, and its place among the record's.
    pub after: (i64, i64, i64),
    /// So many at most.
    pub limit: i64,
}

impl History {
    /// A cardholder's transactions, newest first.
    pub async fn transactions(&self, wish: &TransactionWish) -> Result<Vec<TransactionRow>> {
        const SQL: &str = "SELECT * FROM transactions WHERE customer_id = $1 AND at_ms >= $2 AND at_ms < $3 AND (at_ms, id) < ($4, $5) \
             AND (CAST($6 AS UUID) IS NULL OR balance = \
             (SELECT slot FROM history_balances WHERE balance_id = $6)) \
             AND (CAST($7 AS BIGINT) IS NULL OR card_id = $7) \
             ORDER BY at_ms DESC, id DESC LIMIT $8";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(wish.customer);
            let query = query.bind(wish.period.from_ms).bind(wish.period.to_ms);
            let query = query.bind(wish.before.0).bind(wish.before.1);
            let query = query.bind(wish.balance).bind(wish.card).bind(wish.limit);
            query.fetch_all(pool).await
        })?)
    }

    /// A transaction by its number, or by the command that asked for it.
    pub async fn transaction(
        &self,
        id: Option<i64>,
        command: Option<Uuid>,
    ) -> Result<Option<TransactionRow>> {
        const BY_ID: &str = "SELECT * FROM transactions WHERE id = $1";
        const BY_COMMAND: &str = "SELECT * FROM transactions WHERE command_id = $1";
        Ok(on!(self, pool => match (id, command) {
            (Some(id), _) => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await,
            (None, command) => sqlx::query_as(BY_COMMAND).bind(command).fetch_optional(pool).await,
        })?)
    }

    /// What became of a transaction, in order.
    pub async fn steps(&self, transaction: i64) -> Result<Vec<StepRow>> {
        const SQL: &str = "SELECT * FROM history_steps WHERE transaction_id = $1 \
             ORDER BY sequence, place LIMIT 1000";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(transaction).fetch_all(pool).await)?)
    }

    /// A balance by its id.
    pub async fn placed_balance(&self, id: Uuid) -> Result<Option<PlacedBalance>> {
        const SQL: &str = "SELECT * FROM history_balances WHERE balance_id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// The balance at a place.
    pub async fn balance_at(&self, slot: i64) -> Result<Option<Uuid>> {
        const SQL: &str = "SELECT balance_id FROM history_balances WHERE slot = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(slot).fetch_optional(pool).await)?)
    }

    /// Postings on a balance, oldest first.
    pub async fn statement(&self, wish: &StatementWish) -> Result<Vec<StatementRow>> {
        const SQL: &str = "SELECT sequence, place, history_steps.transaction_id, \
             history_steps.kind AS step, transactions.kind, transactions.processing_code, \
             transactions.command_id, transactions.at_ms AS begun_ms, transactions.merchant, \
             amount, booked, history_steps.at_ms \
             FROM history_steps LEFT JOIN transactions ON transactions.id = transaction_id \
             WHERE history_steps.balance = $1 AND booked IS NOT NULL \
             AND history_steps.at_ms >= $2 AND history_steps.at_ms < $3 \
             AND (history_steps.at_ms, sequence, place) > ($4, $5, $6) \
             ORDER BY history_steps.at_ms, sequence, place LIMIT $7";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(wish.balance);
            let query = query.bind(wish.period.from_ms).bind(wish.period.to_ms);
            let query = query.bind(wish.after.0).bind(wish.after.1).bind(wish.after.2);
            let query = query.bind(wish.limit);
            query.fetch_all(pool).await
        })?)
    }

    /// What was booked on a balance when an instant began; what is booked now where nothing
    /// was since.
    pub async fn booked_before(&self, balance: i64, at_ms: i64) -> Result<i64> {
        const SQL: &str = "SELECT COALESCE((SELECT booked - amount FROM history_steps \
             WHERE balance = $1 AND booked IS NOT NULL AND at_ms >= $2 \
             ORDER BY at_ms, sequence, place LIMIT 1), \
             (SELECT booked FROM history_balances WHERE slot = $1), 0)";
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(balance).bind(at_ms).fetch_one(pool).await
        })?)
    }

    /// Forgets transactions that ended, and postings, before an instant; how many.
    pub async fn drop_history(&self, before_ms: i64) -> Result<u64> {
        const OLD: &str = "DELETE FROM transactions WHERE id IN \
             (SELECT id FROM transactions ORDER BY id LIMIT 1000) \
             AND at_ms < $1 AND state <> 'AUTHORIZED'";
        const STEPS: &str = "DELETE FROM history_steps WHERE sequence IN \
             (SELECT sequence FROM history_steps ORDER BY sequence, place LIMIT 1000) \
             AND at_ms < $1";
        Ok(on!(self, write pool => {
            let mut dropped = 0;
            for sql in [OLD, STEPS] {
                dropped += sqlx::query(sql).bind(before_ms).execute(pool).await?.rows_affected();
            }
            dropped
        }))
    }
}
