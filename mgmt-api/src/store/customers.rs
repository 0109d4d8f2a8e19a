//! Customers and their identity checks.

use super::{Result, RowState, Store, on};
use crate::call::Scope;

/// A customer to be written.
pub struct NewCustomer {
    /// Its id.
    pub id: i64,
    /// Whose it is.
    pub partner: i64,
    /// `NEW` or `VERIFIED`.
    pub lifecycle_state: &'static str,
    /// `NONE`, `IN_PROGRESS`, `SUCCESS` or `FAILED`.
    pub kyc: &'static str,
    /// Names and contacts, sealed.
    pub profile_sealed: Vec<u8>,
    /// The wallet PIN's argon2id hash.
    pub wpin_hash: Option<String>,
    /// Keyed hashes of its contacts.
    pub contacts: Vec<[u8; 32]>,
    /// Nobody else may have one of them.
    pub contacts_are_its_own: bool,
    /// Now.
    pub created_at_ms: i64,
}

/// What decisions need of a customer.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CustomerRow {
    /// Its id.
    pub id: i64,
    /// Whose it is.
    pub partner_id: i64,
    /// `NEW` or `VERIFIED`.
    pub lifecycle_state: String,
    /// `NONE`, `IN_PROGRESS`, `SUCCESS` or `FAILED`.
    pub kyc: String,
    /// 1 while every authorization of theirs is declined.
    pub locked: i64,
}

/// A customer as operators find it.
#[derive(Clone, sqlx::FromRow)]
pub struct FoundCustomerRow {
    /// Its flags.
    #[sqlx(flatten)]
    pub flags: CustomerRow,
    /// Names and contacts, sealed; nothing where they were wiped.
    pub profile_sealed: Vec<u8>,
    /// When it was added.
    pub created_at_ms: i64,
}

/// What changes of a customer; what is absent stays.
#[derive(Clone, Copy, Default)]
pub struct CustomerUpdate<'a> {
    /// `NEW` or `VERIFIED`.
    pub lifecycle_state: Option<&'a str>,
    /// `NONE`, `IN_PROGRESS`, `SUCCESS` or `FAILED`.
    pub kyc: Option<&'a str>,
    /// Whether every authorization is declined.
    pub locked: Option<bool>,
    /// The wallet PIN's argon2id hash; wrong ones are forgotten with it.
    pub wpin_hash: Option<&'a str>,
}

impl CustomerRow {
    /// Both flags that balances and cards need. Source: requirements #36.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.lifecycle_state == "VERIFIED" && self.kyc == "SUCCESS"
    }

    /// Whether every authorization of theirs is declined.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.locked != 0
    }
}

impl Store {
    /// Writes a pending customer; `false` where one of its contacts is taken. Written already is
    /// no change.
    pub async fn insert_customer(&self, new: &NewCustomer) -> Result<bool> {
        const CUSTOMER: &str = "INSERT INTO customers (id, partner_id, lifecycle_state, kyc, \
             profile_sealed, wpin_hash, row_state, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7) ON CONFLICT (id) DO NOTHING";
        const CLAIM: &str = "INSERT INTO contact_claims (token, customer_id, partner_id) \
             VALUES ($1, $2, $3) ON CONFLICT (partner_id, token) \
             DO UPDATE SET customer_id = contact_claims.customer_id \
             WHERE contact_claims.customer_id = excluded.customer_id";
        const CONTACT: &str = "INSERT INTO contacts (token, customer_id) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(CUSTOMER)
                .bind(new.id)
                .bind(new.partner)
                .bind(new.lifecycle_state)
                .bind(new.kyc)
                .bind(&new.profile_sealed)
                .bind(&new.wpin_hash)
                .bind(new.created_at_ms)
                .execute(&mut *transaction)
                .await?;
            for token in &new.contacts {
                let token = token.as_slice();
                if new.contacts_are_its_own {
                    let claim = sqlx::query(CLAIM).bind(token).bind(new.id).bind(new.partner);
                    if claim.execute(&mut *transaction).await?.rows_affected() == 0 {
                        transaction.rollback().await?;
                        return Ok(false);
                    }
                }
                sqlx::query(CONTACT).bind(token).bind(new.id).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// A customer that the switch has, if it is within `scope`.
    pub async fn customer(&self, scope: Scope, id: i64) -> Result<Option<CustomerRow>> {
        const SQL: &str = "SELECT id, partner_id, lifecycle_state, kyc, locked FROM customers \
             WHERE id = $3 AND partner_id = COALESCE($1, partner_id) AND id = COALESCE($2, id) \
             AND row_state = 'CONFIRMED' AND deleted_at_ms IS NULL";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer).bind(id);
            query.fetch_optional(pool).await
        })?)
    }

    /// The flags of a customer that the switch has, whatever became of it.
    pub async fn customer_flags(&self, id: i64) -> Result<Option<CustomerRow>> {
        const SQL: &str = "SELECT id, partner_id, lifecycle_state, kyc, locked FROM customers \
             WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// Customers within `scope` before `before`, newest first.
    pub async fn customers(
        &self,
        scope: Scope,
        before: i64,
        limit: i64,
    ) -> Result<Vec<FoundCustomerRow>> {
        const SQL: &str = "SELECT id, partner_id, lifecycle_state, kyc, locked, profile_sealed, \
             created_at_ms FROM customers WHERE partner_id = COALESCE($1, partner_id) \
             AND id = COALESCE($2, id) AND id < $3 AND row_state = 'CONFIRMED' \
             AND deleted_at_ms IS NULL ORDER BY id DESC LIMIT $4";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer);
            query.bind(before).bind(limit).fetch_all(pool).await
        })?)
    }

    /// Customers within `scope` who have this contact, newest first.
    pub async fn customers_with_contact(
        &self,
        scope: Scope,
        token: &[u8; 32],
        limit: i64,
    ) -> Result<Vec<FoundCustomerRow>> {
        const SQL: &str = "SELECT id, partner_id, lifecycle_state, kyc, locked, profile_sealed, \
             created_at_ms FROM customers JOIN contacts ON contacts.customer_id = customers.id \
             WHERE contacts.token = $3 AND partner_id = COALESCE($1, partner_id) \
             AND id = COALESCE($2, id) AND row_state = 'CONFIRMED' AND deleted_at_ms IS NULL \
             ORDER BY id DESC LIMIT $4";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer);
            query.bind(token.as_slice()).bind(limit).fetch_all(pool).await
        })?)
    }

    /// A customer's names and contacts, sealed.
    pub async fn sealed_profile(&self, id: i64) -> Result<Option<Vec<u8>>> {
        const SQL: &str = "SELECT profile_sealed FROM customers WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// Changes what is given of a customer, and gives back its flags.
    pub async fn update_customer(
        &self,
        id: i64,
        update: &CustomerUpdate<'_>,
    ) -> Result<Option<CustomerRow>> {
        const SQL: &str = "UPDATE customers SET kyc = COALESCE($2, kyc), \
             lifecycle_state = COALESCE($3, lifecycle_state), locked = COALESCE($4, locked), \
             wpin_failures = CASE WHEN $5 IS NULL THEN wpin_failures ELSE 0 END, \
             wpin_hash = COALESCE($5, wpin_hash) WHERE id = $1 \
             RETURNING id, partner_id, lifecycle_state, kyc, locked";
        Ok(on!(self, write pool => {
            sqlx::query_as(SQL)
                .bind(id)
                .bind(update.kyc)
                .bind(update.lifecycle_state)
                .bind(update.locked.map(i64::from))
                .bind(update.wpin_hash)
                .fetch_optional(pool)
                .await
        })?)
    }

    /// Moves a pending customer on.
    pub async fn settle_customer(&self, id: i64, state: RowState) -> Result<()> {
        const SQL: &str =
            "UPDATE customers SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Takes a customer out: its contacts are free, its sessions and devices end. What is sealed of
    /// it stays until its retention is over.
    pub async fn delete_customer(&self, id: i64, now_ms: i64) -> Result<()> {
        const MARK: &str = "UPDATE customers SET deleted_at_ms = COALESCE(deleted_at_ms, $2), \
             locked = 1 WHERE id = $1";
        const AFTER: [&str; 5] = [
            "DELETE FROM contact_claims WHERE customer_id = $1",
            "DELETE FROM contacts WHERE customer_id = $1",
            "DELETE FROM pairing_codes WHERE customer_id = $1",
            "DELETE FROM sessions WHERE installation_id IN \
             (SELECT id FROM installations WHERE customer_id = $1)",
            "UPDATE installations SET state = 'ENDED' WHERE customer_id = $1",
        ];
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(MARK).bind(id).bind(now_ms).execute(&mut *transaction).await?;
            for sql in AFTER {
                sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Wipes what is sealed of customers that went before `before_ms`, and of cards that were
    /// removed before it. Source: requirements #68, #104.
    pub async fn wipe_customers(&self, before_ms: i64) -> Result<u64> {
        const WIPES: [&str; 5] = [
            "UPDATE cards SET pan_sealed = $2 WHERE pan_sealed <> $2 AND removed_at_ms < $1",
            "UPDATE cards SET pan_sealed = $2 WHERE pan_sealed <> $2 AND balance_id IN \
             (SELECT balances.id FROM balances JOIN customers ON customers.id = customer_id \
             WHERE deleted_at_ms < $1)",
            "UPDATE card_orders SET delivery_sealed = $2 WHERE delivery_sealed <> $2 \
             AND card_id IN (SELECT cards.id FROM cards JOIN balances ON balances.id = balance_id \
             JOIN customers ON customers.id = customer_id WHERE deleted_at_ms < $1)",
            "UPDATE verifications SET form_sealed = $2 WHERE form_sealed <> $2 \
             AND customer_id IN (SELECT id FROM customers WHERE deleted_at_ms < $1)",
            "UPDATE customers SET profile_sealed = $2, wpin_hash = NULL \
             WHERE deleted_at_ms < $1 AND profile_sealed <> $2",
        ];
        let mut wiped = 0;
        for sql in WIPES {
            wiped += on!(self, write pool => {
                let query = sqlx::query(sql).bind(before_ms).bind([0_u8; 0].as_slice());
                query.execute(pool).await.map(|done| done.rows_affected())
            })?;
        }
        Ok(wiped)
    }
}
