//! Imports and their rows.

use uuid::Uuid;

use super::{Result, Store, on};

/// A row to be written.
pub struct NewImportRow {
    /// Its place in the file, from 1 on.
    pub row_no: i64,
    /// What it says, sealed; none where it cannot be read.
    pub content_sealed: Option<Vec<u8>>,
    /// Code and member of what is wrong with it.
    pub error: Option<(&'static str, &'static str)>,
}

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PendingRow {
    /// Its import.
    pub import_id: Uuid,
    /// Its place in the file.
    pub row_no: i64,
    /// Whose import it is.
    pub partner_id: i64,
    /// What it says, sealed.
    pub content_sealed: Vec<u8>,
}

/// What became of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct ImportedRow {
    /// Its place in the file.
    pub row_no: i64,
    /// `PENDING`, `DONE` or `FAILED`.
    pub state: String,
    /// The customer.
    pub customer: Option<String>,
    /// The balance.
    pub balance: Option<String>,
    /// The card.
    pub card: Option<String>,
    /// The code that it failed with.
    pub error: Option<String>,
    /// The member that is at fault.
    pub field: Option<String>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ImportRow {
    /// Rows in all.
    pub row_count: i64,
    /// Rows that wait.
    pub pending: i64,
    /// Rows that failed.
    pub failed: i64,
}

impl Store {
    /// Writes an import and its rows. Written already is no change.
    pub async fn insert_import(
        &self,
        (id, partner): (Uuid, i64),
        rows: &[NewImportRow],
        now_ms: i64,
    ) -> Result<()> {
        const IMPORT: &str = "INSERT INTO imports (id, partner_id, row_count, created_at_ms) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
        const ROW: &str = "INSERT INTO import_rows (import_id, row_no, state, content_sealed, \
             error, field) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (import_id, row_no) DO NOTHING";
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(IMPORT)
                .bind(id)
                .bind(partner)
                .bind(count)
                .bind(now_ms)
                .execute(&mut *transaction)
                .await?;
            for row in rows {
                sqlx::query(ROW)
                    .bind(id)
                    .bind(row.row_no)
                    .bind(if row.error.is_some() { "FAILED" } else { "PENDING" })
                    .bind(&row.content_sealed)
                    .bind(row.error.map(|(code, _field)| code))
                    .bind(row.error.map(|(_code, field)| field))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The next rows that wait.
    pub async fn pending_rows(&self, limit: i64) -> Result<Vec<PendingRow>> {
        const SQL: &str = "SELECT import_id, row_no, partner_id, content_sealed FROM import_rows \
             JOIN imports ON imports.id = import_rows.import_id WHERE state = 'PENDING' \
             ORDER BY import_id, row_no LIMIT $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool).await)?)
    }

    /// Ends a row; what it said is forgotten.
    pub async fn end_row(&self, import: Uuid, row: &ImportedRow) -> Result<()> {
        const SQL: &str = "UPDATE import_rows SET state = $3, customer = $4, balance = $5, \
             card = $6, error = $7, field = $8, content_sealed = NULL \
             WHERE import_id = $1 AND row_no = $2 AND state = 'PENDING'";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(import)
                .bind(row.row_no)
                .bind(&row.state)
                .bind(&row.customer)
                .bind(&row.balance)
                .bind(&row.card)
                .bind(&row.error)
                .bind(&row.field)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// How far a partner's import is.
    pub async fn import(&self, partner: i64, id: Uuid) -> Result<Option<ImportRow>> {
        const SQL: &str = "SELECT row_count, \
             (SELECT COUNT(*) FROM import_rows WHERE import_id = $2 AND state = 'PENDING') \
             AS pending, \
             (SELECT COUNT(*) FROM import_rows WHERE import_id = $2 AND state = 'FAILED') \
             AS failed FROM imports WHERE id = $2 AND partner_id = $1";
        Ok(
            on!(self, pool => sqlx::query_as(SQL).bind(partner).bind(id).fetch_optional(pool).await)?,
        )
    }

    /// Rows of an import behind `after`.
    pub async fn import_rows(&self, id: Uuid, after: i64, limit: i64) -> Result<Vec<ImportedRow>> {
        const SQL: &str = "SELECT row_no, state, customer, balance, card, error, field \
             FROM import_rows WHERE import_id = $1 AND row_no > $2 ORDER BY row_no LIMIT $3";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(id).bind(after).bind(limit).fetch_all(pool).await
        })?)
    }
}
