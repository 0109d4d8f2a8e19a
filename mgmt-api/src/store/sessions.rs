//! Paired devices and sessions.
//!
//! Invariant: codes, secrets and tokens are kept as hashes only.

use uuid::Uuid;

use super::{Result, Store, on};

/// An installation to be written.
pub struct NewInstallation {
    /// Its id.
    pub id: Uuid,
    /// Whose device it is on.
    pub customer: i64,
    /// Keyed hash of the device's id.
    pub device_hash: [u8; 32],
    /// Hash of the secret that it logs in with.
    pub credential_hash: [u8; 32],
    /// SHA-256 of the key that answers to it are encrypted to.
    pub response_key_sha256: Option<[u8; 32]>,
    /// Now.
    pub created_at_ms: i64,
}

/// An installation that may log in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct InstallationRow {
    /// Whose it is.
    pub customer_id: i64,
    /// Hash of its secret.
    pub credential_hash: Vec<u8>,
    /// The key that answers to it are encrypted to.
    pub response_key_sha256: Option<Vec<u8>>,
}

/// What a customer's wallet PIN is checked against.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WalletPinRow {
    /// Its argon2id hash.
    pub wpin_hash: Option<String>,
    /// Wrong ones in a row.
    pub wpin_failures: i64,
}

/// A session to be written.
pub struct NewSession {
    /// Hash of its token.
    pub token_hash: [u8; 32],
    /// The installation that it belongs to, or
    pub installation: Option<Uuid>,
    /// the operator.
    pub operator: Option<i64>,
    /// The key that answers to it are encrypted to.
    pub response_key_sha256: Option<Vec<u8>>,
    /// Now.
    pub created_at_ms: i64,
}

/// A session of somebody who may still act.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SessionRow {
    /// The installation and
    pub installation_id: Option<Uuid>,
    /// its customer, or
    pub customer_id: Option<i64>,
    /// the operator,
    pub operator_id: Option<i64>,
    /// its roles and
    pub roles: Option<String>,
    /// its partner.
    pub partner_id: Option<i64>,
    /// The key that answers to it are encrypted to.
    pub response_key_sha256: Option<Vec<u8>>,
    /// The wallet PIN counts as given until then.
    pub stepped_up_until_ms: i64,
    /// When it began.
    pub created_at_ms: i64,
    /// When it was last used.
    pub used_at_ms: i64,
}

impl Store {
    /// Makes a pairing code the only one of its customer.
    pub async fn put_pairing_code(
        &self,
        customer: i64,
        code_hash: &[u8; 32],
        expires_at_ms: i64,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO pairing_codes (customer_id, code_hash, attempts, \
             expires_at_ms) VALUES ($1, $2, 0, $3) ON CONFLICT (customer_id) DO UPDATE SET \
             code_hash = excluded.code_hash, attempts = 0, expires_at_ms = excluded.expires_at_ms";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(customer).bind(code_hash.as_slice());
            query.bind(expires_at_ms).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Counts a try at a customer's pairing code and gives the code's hash, while it lives and has
    /// not been tried `attempts_max` times.
    pub async fn try_pairing_code(
        &self,
        customer: i64,
        attempts_max: i64,
        now_ms: i64,
    ) -> Result<Option<Vec<u8>>> {
        const SQL: &str = "UPDATE pairing_codes SET attempts = attempts + 1 \
             WHERE customer_id = $1 AND attempts < $2 AND expires_at_ms > $3 RETURNING code_hash";
        Ok(on!(self, write pool => {
            let query = sqlx::query_scalar(SQL).bind(customer).bind(attempts_max).bind(now_ms);
            query.fetch_optional(pool).await
        })?)
    }

    /// Takes a pairing code and writes an installation in its place; the one that the device had
    /// ends, and its sessions. `false` where the code was taken a moment ago.
    pub async fn pair(&self, code_hash: &[u8], new: &NewInstallation) -> Result<bool> {
        const TAKE: &str = "DELETE FROM pairing_codes WHERE customer_id = $1 AND code_hash = $2";
        const SESSIONS: &str = "DELETE FROM sessions WHERE installation_id IN (SELECT id FROM \
             installations WHERE customer_id = $1 AND device_hash = $2)";
        const END: &str = "UPDATE installations SET state = 'ENDED' \
             WHERE customer_id = $1 AND device_hash = $2 AND state = 'ACTIVE'";
        const PUT: &str = "INSERT INTO installations (id, customer_id, device_hash, credential_hash, \
             response_key_sha256, state, created_at_ms) VALUES ($1, $2, $3, $4, $5, 'ACTIVE', $6)";
        Ok(on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let take = sqlx::query(TAKE).bind(new.customer).bind(code_hash);
            if take.execute(&mut *transaction).await?.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            for sql in [SESSIONS, END] {
                let query = sqlx::query(sql).bind(new.customer).bind(new.device_hash.as_slice());
                query.execute(&mut *transaction).await?;
            }
            sqlx::query(PUT)
                .bind(new.id)
                .bind(new.customer)
                .bind(new.device_hash.as_slice())
                .bind(new.credential_hash.as_slice())
                .bind(new.response_key_sha256.as_ref().map(<[u8; 32]>::as_slice))
                .bind(new.created_at_ms)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            true
        }))
    }

    /// An installation that may log in.
    pub async fn installation(&self, id: Uuid) -> Result<Option<InstallationRow>> {
        const SQL: &str = "SELECT customer_id, credential_hash, response_key_sha256 \
             FROM installations WHERE id = $1 AND state = 'ACTIVE'";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// What a customer's wallet PIN is checked against.
    pub async fn wallet_pin(&self, customer: i64) -> Result<Option<WalletPinRow>> {
        const SQL: &str = "SELECT wpin_hash, wpin_failures FROM customers \
             WHERE id = $1 AND row_state = 'CONFIRMED' AND deleted_at_ms IS NULL";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(customer).fetch_optional(pool).await)?)
    }

    /// Counts a wallet PIN before it is checked; `false` at the bound, where it is not looked at.
    pub async fn try_wallet_pin(&self, customer: i64, failures_max: i64) -> Result<bool> {
        const SQL: &str = "UPDATE customers SET wpin_failures = wpin_failures + 1 \
             WHERE id = $1 AND wpin_failures < $2";
        let rows = on!(self, write pool => {
            let done = sqlx::query(SQL).bind(customer).bind(failures_max).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Forgets wrong wallet PINs.
    pub async fn clear_wrong_wallet_pins(&self, customer: i64) -> Result<()> {
        const SQL: &str = "UPDATE customers SET wpin_failures = 0 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(customer).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Gives a customer another wallet PIN.
    pub async fn set_wallet_pin(&self, customer: i64, hash: &str) -> Result<()> {
        const SQL: &str = "UPDATE customers SET wpin_hash = $2, wpin_failures = 0 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(customer).bind(hash).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Begins a session.
    pub async fn insert_session(&self, new: &NewSession) -> Result<()> {
        const SQL: &str = "INSERT INTO sessions (token_hash, installation_id, operator_id, \
             response_key_sha256, stepped_up_until_ms, created_at_ms, used_at_ms) \
             VALUES ($1, $2, $3, $4, 0, $5, $5)";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.token_hash.as_slice())
                .bind(new.installation)
                .bind(new.operator)
                .bind(&new.response_key_sha256)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// The session of a token, if whoever it belongs to may still act.
    pub async fn session(&self, token_hash: &[u8; 32]) -> Result<Option<SessionRow>> {
        const SQL: &str = "SELECT sessions.installation_id, customers.id AS customer_id, \
             operators.id AS operator_id, operators.roles, operators.partner_id, \
             sessions.response_key_sha256, sessions.stepped_up_until_ms, \
             sessions.created_at_ms, sessions.used_at_ms FROM sessions \
             LEFT JOIN installations ON installations.id = sessions.installation_id \
             AND installations.state = 'ACTIVE' \
             LEFT JOIN customers ON customers.id = installations.customer_id \
             AND customers.row_state = 'CONFIRMED' AND customers.deleted_at_ms IS NULL \
             LEFT JOIN operators ON operators.id = sessions.operator_id \
             AND operators.state = 'ACTIVE' WHERE sessions.token_hash = $1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(token_hash.as_slice()).fetch_optional(pool).await
        })?)
    }

    /// Notes that a session was used.
    pub async fn touch_session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<()> {
        const SQL: &str =
            "UPDATE sessions SET used_at_ms = $2 WHERE token_hash = $1 AND used_at_ms < $2";
        on!(self, write pool => {
            sqlx::query(SQL).bind(token_hash.as_slice()).bind(now_ms).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Notes until when the wallet PIN counts as given.
    pub async fn step_up_session(&self, token_hash: &[u8; 32], until_ms: i64) -> Result<()> {
        const SQL: &str = "UPDATE sessions SET stepped_up_until_ms = $2 WHERE token_hash = $1";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(token_hash.as_slice()).bind(until_ms);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Binds a response key to a session that has none.
    pub async fn register_session_key(
        &self,
        token_hash: &[u8; 32],
        thumbprint: &[u8; 32],
    ) -> Result<()> {
        const SQL: &str = "UPDATE sessions SET response_key_sha256 = $2 \
             WHERE token_hash = $1 AND response_key_sha256 IS NULL";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(token_hash.as_slice()).bind(thumbprint.as_slice());
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Ends a session.
    pub async fn end_session(&self, token_hash: &[u8; 32]) -> Result<()> {
        const SQL: &str = "DELETE FROM sessions WHERE token_hash = $1";
        on!(self, write pool => {
            sqlx::query(SQL).bind(token_hash.as_slice()).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Drops sessions last used before `before_ms`, and pairing codes that ended before `now_ms`.
    pub async fn drop_sessions(&self, before_ms: i64, now_ms: i64) -> Result<u64> {
        const SESSIONS: &str = "DELETE FROM sessions WHERE used_at_ms < $1";
        const CODES: &str = "DELETE FROM pairing_codes WHERE expires_at_ms < $1";
        Ok(on!(self, write pool => {
            sqlx::query(CODES).bind(now_ms).execute(pool).await?;
            let done = sqlx::query(SESSIONS).bind(before_ms).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?)
    }
}
