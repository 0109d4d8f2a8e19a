//! Orders of plastic, and operations in the background.

use uuid::Uuid;

use super::notices::put_notices;
use super::{NewNotice, Result, Store, on};
use crate::call::Scope;

/// An order to be written.
pub struct NewOrder {
    /// Its id.
    pub id: Uuid,
    /// The card that it is about.
    pub card: i64,
    /// `PHYSICAL` or `PRINT`.
    pub kind: &'static str,
    /// Name on the card, address, courier; sealed.
    pub delivery_sealed: Vec<u8>,
    /// Now.
    pub created_at_ms: i64,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderRow {
    /// Its id.
    pub id: Uuid,
    /// The card that it is about.
    pub card_id: i64,
    /// `PHYSICAL` or `PRINT`.
    pub kind: String,
    /// Where it is on its way.
    pub state: String,
    /// Name on the card, address, courier; sealed.
    pub delivery_sealed: Vec<u8>,
    /// The carrier's number.
    pub tracking_no: Option<String>,
    /// The bureau's own name for it.
    pub reference: Option<String>,
    /// When it last moved.
    pub changed_at_ms: i64,
}

/// What a bureau reports of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderNews {
    /// Which.
    pub id: Uuid,
    /// Where it is now.
    pub state: &'static str,
    /// The carrier's number.
    pub tracking_no: Option<String>,
    /// The bureau's own name for it.
    pub reference: Option<String>,
}

/// An operation in the background.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OperationRow {
    /// Its id.
    pub id: Uuid,
    /// For whom.
    pub customer_id: i64,
    /// `PENDING`, `DONE` or `FAILED`.
    pub state: String,
    /// What was drawn for it, sealed; gone when it is over.
    pub plan_sealed: Option<Vec<u8>>,
    /// The card that came of it.
    pub card_id: Option<i64>,
    /// The code that it failed with.
    pub error: Option<String>,
}

impl Store {
    /// Writes an order. Written already is no change.
    pub async fn insert_order(&self, new: &NewOrder) -> Result<()> {
        const SQL: &str = "INSERT INTO card_orders (id, card_id, kind, state, delivery_sealed, \
             created_at_ms, changed_at_ms) VALUES ($1, $2, $3, 'ORDERED', $4, $5, $5) \
             ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.id)
                .bind(new.card)
                .bind(new.kind)
                .bind(&new.delivery_sealed)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// An order, if its card is within `scope`.
    pub async fn order(&self, scope: Scope, id: Uuid) -> Result<Option<OrderRow>> {
        const SQL: &str = "SELECT card_orders.id, card_orders.card_id, kind, state, \
             delivery_sealed, tracking_no, reference, changed_at_ms FROM card_orders \
             JOIN cards ON cards.id = card_orders.card_id \
             JOIN balances ON balances.id = cards.balance_id \
             JOIN customers ON customers.id = balances.customer_id WHERE card_orders.id = $3 \
             AND customers.partner_id = COALESCE($1, customers.partner_id) \
             AND customers.id = COALESCE($2, customers.id)";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer).bind(id);
            query.fetch_optional(pool).await
        })?)
    }

    /// The newest order of a physical card, with where it went.
    pub async fn newest_order(&self, card: i64) -> Result<Option<OrderRow>> {
        const SQL: &str = "SELECT id, card_id, kind, state, delivery_sealed, tracking_no, \
             reference, changed_at_ms FROM card_orders WHERE card_id = $1 AND kind = 'PHYSICAL' \
             ORDER BY created_at_ms DESC, id DESC LIMIT 1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(card).fetch_optional(pool).await)?)
    }

    /// Gives the oldest orders that no bureau has to a batch; once given, the same for the same
    /// batch.
    pub async fn orders_of_batch(
        &self,
        batch: Uuid,
        limit: i64,
        now_ms: i64,
    ) -> Result<Vec<OrderRow>> {
        const GIVE: &str = "UPDATE card_orders SET state = 'SENT_TO_BUREAU', batch_id = $1, \
             changed_at_ms = $3 WHERE id IN (SELECT card_orders.id FROM card_orders \
             JOIN cards ON cards.id = card_id WHERE state = 'ORDERED' \
             AND length(delivery_sealed) > 0 AND length(pan_sealed) > 0 \
             ORDER BY card_orders.created_at_ms LIMIT $2) \
             AND NOT EXISTS (SELECT 1 FROM card_orders WHERE batch_id = $1)";
        const TAKE: &str = "SELECT id, card_id, kind, state, delivery_sealed, tracking_no, \
             reference, changed_at_ms FROM card_orders WHERE batch_id = $1 ORDER BY created_at_ms";
        Ok(on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let give = sqlx::query(GIVE).bind(batch).bind(limit).bind(now_ms);
            give.execute(&mut *transaction).await?;
            let rows = sqlx::query_as(TAKE).bind(batch).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            rows
        }))
    }

    /// Moves an order on as a bureau reports.
    pub async fn advance_order(&self, news: &OrderNews, now_ms: i64) -> Result<()> {
        const SQL: &str = "UPDATE card_orders SET state = $2, changed_at_ms = $5, \
             tracking_no = COALESCE($3, tracking_no), reference = COALESCE($4, reference) \
             WHERE id = $1 AND state <> $2";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(news.id)
                .bind(news.state)
                .bind(&news.tracking_no)
                .bind(&news.reference)
                .bind(now_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Writes a pending operation. Written already is no change.
    pub async fn insert_operation(
        &self,
        id: Uuid,
        customer: i64,
        plan_sealed: &[u8],
        now_ms: i64,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO operations (id, customer_id, state, plan_sealed, \
             created_at_ms) VALUES ($1, $2, 'PENDING', $3, $4) ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(customer).bind(plan_sealed).bind(now_ms);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// A customer's operation.
    pub async fn operation(&self, customer: i64, id: Uuid) -> Result<Option<OperationRow>> {
        const SQL: &str = "SELECT id, customer_id, state, plan_sealed, card_id, error \
             FROM operations WHERE id = $2 AND customer_id = $1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(customer).bind(id).fetch_optional(pool).await
        })?)
    }

    /// The oldest pending operations.
    pub async fn pending_operations(&self, limit: i64) -> Result<Vec<OperationRow>> {
        const SQL: &str = "SELECT id, customer_id, state, plan_sealed, card_id, error \
             FROM operations WHERE state = 'PENDING' ORDER BY created_at_ms LIMIT $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool).await)?)
    }

    /// Ends a pending operation with the card that came of it, or the code that it failed with, and
    /// writes the notice about it, both or neither; its plan is forgotten.
    pub async fn end_operation(
        &self,
        id: Uuid,
        result: core::result::Result<i64, &str>,
        notice: &[NewNotice],
    ) -> Result<()> {
        const SQL: &str = "UPDATE operations SET state = $2, card_id = $3, error = $4, \
             plan_sealed = NULL WHERE id = $1 AND state = 'PENDING'";
        let state = if result.is_ok() { "DONE" } else { "FAILED" };
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let query = sqlx::query(SQL).bind(id).bind(state).bind(result.ok()).bind(result.err());
            if query.execute(&mut *transaction).await?.rows_affected() == 1 {
                put_notices!(transaction, notice, None);
            }
            transaction.commit().await?;
        });
        Ok(())
    }
}
