//! Reloads of partner balances that wait for a second operator.
//!
//! Invariant: a request is decided once, and never by whoever made it.

use uuid::Uuid;

use super::{Result, Store, on};
use crate::call::Scope;

/// A reload that was asked for; its id is that of the movement and of the command.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ReloadRequestRow {
    /// Its id.
    pub id: Uuid,
    /// Into which balance.
    pub partner_balance_id: Uuid,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 number.
    pub currency: i64,
    /// The requester's own name for it.
    pub external_id: Option<String>,
    /// The requester's words, sealed.
    pub description_sealed: Option<Vec<u8>>,
    /// PENDING, CONFIRMED or REFUSED.
    pub state: String,
    /// By whom.
    pub requested_by: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When it was asked for.
    pub created_at_ms: i64,
}

impl Store {
    /// Writes a request. Written already is no change.
    pub async fn insert_reload_request(&self, row: &ReloadRequestRow) -> Result<()> {
        const SQL: &str = "INSERT INTO reload_requests (id, partner_balance_id, amount, currency, \
             external_id, description_sealed, state, requested_by, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7, $8) ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(row.id).bind(row.partner_balance_id);
            let query = query.bind(row.amount).bind(row.currency).bind(&row.external_id);
            let query = query.bind(&row.description_sealed).bind(&row.requested_by);
            query.bind(row.created_at_ms).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// A request within `scope`.
    pub async fn reload_request(&self, scope: Scope, id: Uuid) -> Result<Option<ReloadRequestRow>> {
        const SQL: &str = "SELECT reload_requests.* FROM reload_requests \
             JOIN partner_balances ON partner_balances.id = partner_balance_id \
             WHERE reload_requests.id = $1 AND partner_id = COALESCE($2, partner_id)";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(id).bind(scope.partner).fetch_optional(pool).await
        })?)
    }

    /// Requests within `scope` that wait, behind `after`, oldest first.
    pub async fn pending_reload_requests(
        &self,
        scope: Scope,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<ReloadRequestRow>> {
        const SQL: &str = "SELECT reload_requests.* FROM reload_requests \
             JOIN partner_balances ON partner_balances.id = partner_balance_id \
             WHERE state = 'PENDING' AND reload_requests.id > $1 \
             AND partner_id = COALESCE($2, partner_id) ORDER BY reload_requests.id LIMIT $3";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(after).bind(scope.partner).bind(limit);
            query.fetch_all(pool).await
        })?)
    }

    /// Decides a request; false where it was decided already, or whoever made it decides.
    pub async fn decide_reload_request(
        &self,
        id: Uuid,
        state: &str,
        by: &str,
        now_ms: i64,
    ) -> Result<bool> {
        const SQL: &str = "UPDATE reload_requests SET state = $2, decided_by = $3, \
             decided_at_ms = $4 WHERE id = $1 AND state = 'PENDING' AND requested_by <> $3";
        let decided = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(state).bind(by).bind(now_ms);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(decided == 1)
    }
}
