//! The audit log.

use super::{Result, Store, StoreError, is_taken, on};

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    /// Its place, from 1 on, without a gap.
    pub sequence: i64,
    /// When.
    pub at_ms: i64,
    /// Who asked.
    pub caller: String,
    /// For what, as the table of routes has it.
    pub route: String,
    /// Of what: the path.
    pub target: String,
    /// Under which request id.
    pub request_id: String,
    /// Why, as the caller says.
    pub reason: Option<String>,
    /// What came of it; none where it was asked for a moment ago.
    pub status: Option<i64>,
    /// Hash over this entry and the one before.
    pub chain_hash: Vec<u8>,
}

/// Writes one entry.
macro_rules! entry {
    ($row:expr) => {{
        let row: &AuditRow = $row;
        sqlx::query(
            "INSERT INTO audit_log (sequence, at_ms, caller, route, target, request_id, reason, \
             status, chain_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(row.sequence)
        .bind(row.at_ms)
        .bind(&row.caller)
        .bind(&row.route)
        .bind(&row.target)
        .bind(&row.request_id)
        .bind(&row.reason)
        .bind(row.status)
        .bind(&row.chain_hash)
    }};
}

impl Store {
    /// Appends entries; `false` where another server took a place of theirs a moment ago.
    pub async fn append_audit(&self, rows: &[AuditRow]) -> Result<bool> {
        let done: Result<()> = match rows {
            // One alone is a transaction by itself: two turns to the database less.
            [row] => on!(self, pool => entry!(row).execute(pool).await.map(drop))
                .map_err(StoreError::from),
            rows => self.append_together(rows).await,
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error.0) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn append_together(&self, rows: &[AuditRow]) -> Result<()> {
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            for row in rows {
                entry!(row).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The last entry.
    pub async fn last_audit(&self) -> Result<Option<AuditRow>> {
        const SQL: &str = "SELECT sequence, at_ms, caller, route, target, request_id, reason, \
             status, chain_hash FROM audit_log ORDER BY sequence DESC LIMIT 1";
        Ok(on!(self, pool => sqlx::query_as(SQL).fetch_optional(pool).await)?)
    }

    /// Entries behind `after`, oldest first.
    pub async fn audit(&self, after: i64, limit: i64) -> Result<Vec<AuditRow>> {
        const SQL: &str = "SELECT sequence, at_ms, caller, route, target, request_id, reason, \
             status, chain_hash FROM audit_log WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(after).bind(limit).fetch_all(pool).await)?)
    }
}
