//! The audit log.

use sqlx::QueryBuilder;

use super::{Result, Store, is_taken, on};

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

impl Store {
    /// Appends entries, all or none, in one turn to the database; `false` where another server took
    /// a place of theirs a moment ago.
    pub async fn append_audit(&self, rows: &[AuditRow]) -> Result<bool> {
        const SQL: &str = "INSERT INTO audit_log (sequence, at_ms, caller, route, target, \
             request_id, reason, status, chain_hash) ";
        let done = on!(self, write pool => {
            let mut query = QueryBuilder::new(SQL);
            query.push_values(rows, |mut values, row| {
                values.push_bind(row.sequence).push_bind(row.at_ms);
                values.push_bind(&row.caller).push_bind(&row.route).push_bind(&row.target);
                values.push_bind(&row.request_id).push_bind(&row.reason).push_bind(row.status);
                values.push_bind(&row.chain_hash);
            });
            query.build().execute(pool).await.map(drop)
        });
        match done {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
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
