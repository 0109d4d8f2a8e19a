//! Operators and how often they failed to show who they are.

use super::{Result, Store, on};

/// An operator to be written.
pub struct NewOperator<'a> {
    /// Its name, for ever.
    pub name: &'a str,
    /// The password's argon2id hash.
    pub password_hash: &'a str,
    /// Names of its roles, separated by commas.
    pub roles: &'a str,
    /// The one partner whose things it may see.
    pub partner: Option<i64>,
    /// Now.
    pub created_at_ms: i64,
}

/// An operator that may log in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OperatorRow {
    /// Its id.
    pub id: i64,
    /// The password's argon2id hash.
    pub password_hash: String,
    /// No password is looked at before.
    pub blocked_until_ms: i64,
}

impl Store {
    /// Writes an operator, or gives the one of this name another password, roles and partner; its
    /// sessions end.
    pub async fn put_operator(&self, new: &NewOperator<'_>) -> Result<()> {
        const PUT: &str = "INSERT INTO operators (id, name, password_hash, roles, partner_id, \
             state, failures, blocked_until_ms, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, 'ACTIVE', 0, 0, $6) ON CONFLICT (name) DO UPDATE SET \
             password_hash = excluded.password_hash, roles = excluded.roles, \
             partner_id = excluded.partner_id, state = 'ACTIVE', failures = 0, \
             blocked_until_ms = 0";
        let id = self.next_number("operator").await?;
        on!(self, write pool => {
            sqlx::query(PUT)
                .bind(id)
                .bind(new.name)
                .bind(new.password_hash)
                .bind(new.roles)
                .bind(new.partner)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        self.end_operator_sessions(new.name).await
    }

    /// Keeps an operator out from now on; `false` where there is none of this name.
    pub async fn disable_operator(&self, name: &str) -> Result<bool> {
        const SQL: &str = "UPDATE operators SET state = 'DISABLED' WHERE name = $1";
        let rows = on!(self, write pool => {
            let done = sqlx::query(SQL).bind(name).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?;
        self.end_operator_sessions(name).await?;
        Ok(rows == 1)
    }

    /// The operator of a name, if it may log in.
    pub async fn operator(&self, name: &str) -> Result<Option<OperatorRow>> {
        const SQL: &str = "SELECT id, password_hash, blocked_until_ms FROM operators \
             WHERE name = $1 AND state = 'ACTIVE'";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(name).fetch_optional(pool).await)?)
    }

    /// Counts a wrong password; from the `max`-th on none is looked at before `until_ms`.
    pub async fn count_wrong_password(&self, id: i64, max: i64, until_ms: i64) -> Result<()> {
        const SQL: &str = "UPDATE operators SET failures = failures + 1, blocked_until_ms = \
             CASE WHEN failures + 1 >= $2 THEN $3 ELSE blocked_until_ms END WHERE id = $1";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(max).bind(until_ms);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Forgets wrong passwords.
    pub async fn clear_wrong_passwords(&self, id: i64) -> Result<()> {
        const SQL: &str = "UPDATE operators SET failures = 0, blocked_until_ms = 0 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    async fn end_operator_sessions(&self, name: &str) -> Result<()> {
        const SQL: &str = "DELETE FROM sessions WHERE operator_id IN \
             (SELECT id FROM operators WHERE name = $1)";
        on!(self, write pool => sqlx::query(SQL).bind(name).execute(pool).await.map(drop))?;
        Ok(())
    }
}
