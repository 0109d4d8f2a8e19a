//! Art of programs.

use super::{Result, Store, on};

impl Store {
    /// Keeps a file in place of the one of its kind.
    pub async fn put_art(
        &self,
        program: &str,
        kind: &str,
        content: &[u8],
        now_ms: i64,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO program_art (config_id, kind, content, changed_at_ms) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (config_id, kind) DO UPDATE SET \
             content = excluded.content, changed_at_ms = excluded.changed_at_ms";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(program).bind(kind).bind(content).bind(now_ms);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// A program's file of a kind.
    pub async fn art(&self, program: &str, kind: &str) -> Result<Option<Vec<u8>>> {
        const SQL: &str = "SELECT content FROM program_art WHERE config_id = $1 AND kind = $2";
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(program).bind(kind).fetch_optional(pool).await
        })?)
    }
}
