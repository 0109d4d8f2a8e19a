//! Idempotency keys: what was drawn for a request, and the answer it got.

use super::{Result, Store, on};

/// A key to be written.
pub struct NewKey<'a> {
    /// Keyed hash of caller, route and key.
    pub scope: &'a [u8; 32],
    /// Who sent it.
    pub caller: &'a str,
    /// Keyed hash of the request.
    pub fingerprint: &'a [u8; 32],
    /// What was drawn for it, sealed.
    pub plan_sealed: &'a [u8],
    /// Now.
    pub created_at_ms: i64,
}

/// A key that was written.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyRow {
    /// Keyed hash of the request.
    pub fingerprint: Vec<u8>,
    /// What was drawn for it, sealed.
    pub plan_sealed: Vec<u8>,
    /// The answer, sealed; absent while under way or cut off by a crash.
    pub answer_sealed: Option<Vec<u8>>,
}

impl Store {
    /// Finds a key.
    pub async fn idempotency_key(&self, scope: &[u8; 32]) -> Result<Option<KeyRow>> {
        const SQL: &str = "SELECT fingerprint, plan_sealed, answer_sealed FROM idempotency_keys \
             WHERE scope = $1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(scope.as_slice()).fetch_optional(pool).await
        })?)
    }

    /// Writes a key; `false` where it is there.
    pub async fn insert_idempotency_key(&self, new: &NewKey<'_>) -> Result<bool> {
        const SQL: &str = "INSERT INTO idempotency_keys (scope, caller, fingerprint, plan_sealed, \
             created_at_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope) DO NOTHING";
        let rows = on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.scope.as_slice())
                .bind(new.caller)
                .bind(new.fingerprint.as_slice())
                .bind(new.plan_sealed)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Writes the answer, once: the first one stays. `false` where one was there.
    pub async fn store_answer(&self, scope: &[u8; 32], answer_sealed: &[u8]) -> Result<bool> {
        const SQL: &str = "UPDATE idempotency_keys SET answer_sealed = $2 \
             WHERE scope = $1 AND answer_sealed IS NULL";
        let rows = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(scope.as_slice()).bind(answer_sealed);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Keys that a caller has.
    pub async fn count_idempotency_keys(&self, caller: &str) -> Result<i64> {
        const SQL: &str = "SELECT COUNT(*) FROM idempotency_keys WHERE caller = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(caller).fetch_one(pool).await)?)
    }

    /// Drops keys written before `before_ms`.
    pub async fn drop_idempotency_keys(&self, before_ms: i64) -> Result<u64> {
        const SQL: &str = "DELETE FROM idempotency_keys WHERE created_at_ms < $1";
        Ok(on!(self, write pool => {
            let done = sqlx::query(SQL).bind(before_ms).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?)
    }
}
