//! How far the switch's events were read.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{Result, RowState, Store, on};

/// Rows of one statement.
const ROWS_MAX: usize = 500;

/// What became of rows, by what the switch did.
#[derive(Debug, Default)]
pub struct Settled {
    /// Cards.
    pub cards: Vec<(i64, RowState)>,
    /// Movements, and when they were booked.
    pub movements: Vec<(Uuid, RowState, i64)>,
}

impl Store {
    /// The last sequence whose event is done with.
    pub async fn event_cursor(&self) -> Result<i64> {
        const SQL: &str = "SELECT sequence FROM event_cursor WHERE id = 1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).fetch_one(pool).await)?)
    }

    /// Moves the cursor on, never back, and what still waits of the rows behind it: both or
    /// neither.
    pub async fn advance_event_cursor(&self, sequence: i64, settled: &Settled) -> Result<()> {
        const MOVE: &str = "UPDATE event_cursor SET sequence = $1 WHERE id = 1 AND sequence < $1";
        const CARDS: &str = "UPDATE cards SET row_state = it.column2 FROM (";
        const MOVEMENTS: &str =
            "UPDATE movements SET row_state = it.column2, booked_at_ms = it.column3 FROM (";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            for rows in settled.cards.chunks(ROWS_MAX) {
                let mut query = QueryBuilder::new(CARDS);
                query.push_values(rows, |mut values, (id, state)| {
                    values.push_bind(id).push_bind(state.name());
                });
                query.push(") AS it WHERE cards.id = it.column1 AND row_state = 'PENDING'");
                query.build().execute(&mut *transaction).await?;
            }
            for rows in settled.movements.chunks(ROWS_MAX) {
                let mut query = QueryBuilder::new(MOVEMENTS);
                query.push_values(rows, |mut values, (id, state, at_ms)| {
                    values.push_bind(id).push_bind(state.name()).push_bind(at_ms);
                });
                query.push(") AS it WHERE movements.id = it.column1 AND row_state = 'PENDING'");
                query.build().execute(&mut *transaction).await?;
            }
            sqlx::query(MOVE).bind(sequence).execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(())
    }
}
