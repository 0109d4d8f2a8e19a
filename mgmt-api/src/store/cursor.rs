//! How far the switch's events were read.

use super::{Result, Store, on};

impl Store {
    /// The last sequence whose event is done with.
    pub async fn event_cursor(&self) -> Result<i64> {
        const SQL: &str = "SELECT sequence FROM event_cursor WHERE id = 1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).fetch_one(pool).await)?)
    }

    /// Moves the cursor on; never back.
    pub async fn advance_event_cursor(&self, sequence: i64) -> Result<()> {
        const SQL: &str = "UPDATE event_cursor SET sequence = $1 WHERE id = 1 AND sequence < $1";
        on!(self, write pool => sqlx::query(SQL).bind(sequence).execute(pool).await.map(drop))?;
        Ok(())
    }
}
