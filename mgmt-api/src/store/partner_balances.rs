//! Partners' deposit and credit balances.

use uuid::Uuid;

use super::{Result, RowState, Store, on};

/// A partner balance.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PartnerBalanceRow {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub partner_id: i64,
    /// `DEPOSIT` or `CREDIT`.
    pub kind: String,
    /// ISO 4217 number.
    pub currency: i64,
    /// Where it stands in the order of writes.
    pub row_state: String,
}

impl Store {
    /// Writes a pending partner balance, or finds the one of this partner, kind and currency.
    pub async fn insert_partner_balance(
        &self,
        row: &PartnerBalanceRow,
        now_ms: i64,
    ) -> Result<PartnerBalanceRow> {
        const INSERT: &str = "INSERT INTO partner_balances (id, partner_id, kind, currency, \
             row_state, created_at_ms) VALUES ($1, $2, $3, $4, 'PENDING', $5) \
             ON CONFLICT DO NOTHING";
        const SELECT: &str = "SELECT id, partner_id, kind, currency, row_state \
             FROM partner_balances WHERE partner_id = $1 AND kind = $2 AND currency = $3 \
             AND row_state <> 'REFUSED'";
        Ok(on!(self, write pool => {
            sqlx::query(INSERT)
                .bind(row.id)
                .bind(row.partner_id)
                .bind(&row.kind)
                .bind(row.currency)
                .bind(now_ms)
                .execute(pool)
                .await?;
            sqlx::query_as(SELECT)
                .bind(row.partner_id)
                .bind(&row.kind)
                .bind(row.currency)
                .fetch_one(pool)
                .await
        })?)
    }

    /// A partner balance that the switch has.
    pub async fn partner_balance(&self, id: Uuid) -> Result<Option<PartnerBalanceRow>> {
        const SQL: &str = "SELECT id, partner_id, kind, currency, row_state FROM partner_balances \
             WHERE id = $1 AND row_state = 'CONFIRMED'";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// A partner's balances.
    pub async fn partner_balances(&self, partner: i64) -> Result<Vec<PartnerBalanceRow>> {
        const SQL: &str = "SELECT id, partner_id, kind, currency, row_state FROM partner_balances \
             WHERE partner_id = $1 AND row_state = 'CONFIRMED' ORDER BY kind, currency";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(partner).fetch_all(pool).await)?)
    }

    /// Moves a pending partner balance on.
    pub async fn settle_partner_balance(&self, id: Uuid, state: RowState) -> Result<()> {
        const SQL: &str =
            "UPDATE partner_balances SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }
}
