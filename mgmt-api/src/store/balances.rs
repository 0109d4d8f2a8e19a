//! Customers' balances.

use uuid::Uuid;

use super::{CustomerRow, Result, RowState, Store, on};
use crate::call::Scope;

/// A balance that the switch has.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BalanceRow {
    /// Its id.
    pub id: Uuid,
    /// Its holder.
    pub customer_id: i64,
    /// ISO 4217 number.
    pub currency: i64,
    /// 1 where its money is with the partner.
    pub entrusted: i64,
    /// The program that it was opened for, where one was named.
    pub opened_for: Option<String>,
}

/// Both, where there are both.
#[derive(sqlx::FromRow)]
struct CustomerAndBalance {
    #[sqlx(flatten)]
    customer: CustomerRow,
    balance_id: Option<Uuid>,
    currency: Option<i64>,
    entrusted: Option<i64>,
    opened_for: Option<String>,
}

impl Store {
    /// Writes a pending balance. Written already is no change.
    pub async fn insert_balance(&self, row: &BalanceRow, now_ms: i64) -> Result<()> {
        const SQL: &str = "INSERT INTO balances (id, customer_id, currency, row_state, \
             created_at_ms, opened_for) VALUES ($1, $2, $3, 'PENDING', $4, $5) ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(row.id)
                .bind(row.customer_id)
                .bind(row.currency)
                .bind(now_ms)
                .bind(&row.opened_for)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Moves a balance on that is pending, or was refused and is tried anew.
    pub async fn settle_balance(&self, id: Uuid, state: RowState) -> Result<()> {
        const SQL: &str = "UPDATE balances SET row_state = $2 WHERE id = $1 \
             AND row_state IN ('PENDING', 'REFUSED')";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Marks a balance's money as being with the partner.
    pub async fn set_entrusted(&self, id: Uuid) -> Result<()> {
        const SQL: &str = "UPDATE balances SET entrusted = 1 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Marks a balance as closed for ever, and its IBANs with it.
    pub async fn close_balance(&self, id: Uuid) -> Result<()> {
        const IBANS: &str = "UPDATE bank_accounts SET state = 'CLOSED' WHERE balance_id = $1";
        const SQL: &str = "UPDATE balances SET row_state = 'CLOSED' WHERE id = $1";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            for sql in [IBANS, SQL] {
                sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Whether a balance is open or was once.
    pub async fn was_opened(&self, id: Uuid) -> Result<bool> {
        const SQL: &str = "SELECT COUNT(*) FROM balances WHERE id = $1 \
             AND row_state IN ('CONFIRMED', 'CLOSED')";
        let found: i64 = on!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// Whether the switch refused to open it.
    pub async fn was_refused(&self, id: Uuid) -> Result<bool> {
        const SQL: &str = "SELECT COUNT(*) FROM balances WHERE id = $1 AND row_state = 'REFUSED'";
        let found: i64 = on!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// A customer's balance.
    pub async fn balance(&self, customer: i64, id: Uuid) -> Result<Option<BalanceRow>> {
        const SQL: &str = "SELECT id, customer_id, currency, entrusted, opened_for FROM balances \
             WHERE id = $2 AND customer_id = $1 AND row_state = 'CONFIRMED'";
        Ok(
            on!(self, pool => sqlx::query_as(SQL).bind(customer).bind(id).fetch_optional(pool).await)?,
        )
    }

    /// A customer within `scope`, and a balance of theirs, in one look.
    pub async fn customer_and_balance(
        &self,
        scope: Scope,
        customer: i64,
        balance: Uuid,
    ) -> Result<Option<(CustomerRow, Option<BalanceRow>)>> {
        const SQL: &str = "SELECT customers.id, partner_id, lifecycle_state, kyc, locked, \
             balances.id AS balance_id, currency, entrusted, opened_for \
             FROM customers LEFT JOIN balances ON balances.customer_id = customers.id AND balances.id = $4 \
             AND balances.row_state = 'CONFIRMED' \
             WHERE customers.id = $3 AND partner_id = COALESCE($1, partner_id) \
             AND customers.id = COALESCE($2, customers.id) \
             AND customers.row_state = 'CONFIRMED' AND deleted_at_ms IS NULL";
        let row: Option<CustomerAndBalance> = on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer);
            query.bind(customer).bind(balance).fetch_optional(pool).await
        })?;
        Ok(row.map(|row| {
            let CustomerAndBalance { customer, balance_id, currency, entrusted, opened_for } = row;
            let balance = balance_id.zip(currency).zip(entrusted);
            let balance = balance.map(|((id, currency), entrusted)| BalanceRow {
                id,
                customer_id: customer.id,
                currency,
                entrusted,
                opened_for,
            });
            (customer, balance)
        }))
    }

    /// A balance, if it is within `scope`.
    pub async fn balance_in(&self, scope: Scope, id: Uuid) -> Result<Option<BalanceRow>> {
        const SQL: &str = "SELECT balances.id, customer_id, currency, entrusted, opened_for \
             FROM balances JOIN customers ON customers.id = balances.customer_id \
             WHERE balances.id = $3 AND balances.row_state = 'CONFIRMED' \
             AND customers.partner_id = COALESCE($1, customers.partner_id) \
             AND customers.id = COALESCE($2, customers.id)";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer).bind(id);
            query.fetch_optional(pool).await
        })?)
    }

    /// The partner whose cardholder has a balance.
    pub async fn partner_of_balance(&self, id: Uuid) -> Result<Option<i64>> {
        const SQL: &str = "SELECT partner_id FROM customers \
             JOIN balances ON balances.customer_id = customers.id WHERE balances.id = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// A customer's balances behind `after`, oldest first.
    pub async fn balances(
        &self,
        customer: i64,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<BalanceRow>> {
        const SQL: &str = "SELECT id, customer_id, currency, entrusted, opened_for FROM balances \
             WHERE customer_id = $1 AND id > $2 AND row_state = 'CONFIRMED' ORDER BY id LIMIT $3";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(customer).bind(after).bind(limit).fetch_all(pool).await
        })?)
    }
}
