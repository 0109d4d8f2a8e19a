//! Customers and their identity checks.

use shared::ids::PartnerId;
use uuid::Uuid;

use super::{Result, RowState, Store, on};

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
    /// Keyed hashes of contacts that nobody else may have.
    pub claims: Vec<[u8; 32]>,
    /// Now.
    pub created_at_ms: i64,
}

/// What decisions need of a customer.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CustomerRow {
    /// Its id.
    pub id: i64,
    /// `NEW` or `VERIFIED`.
    pub lifecycle_state: String,
    /// `NONE`, `IN_PROGRESS`, `SUCCESS` or `FAILED`.
    pub kyc: String,
}

impl CustomerRow {
    /// Both flags that balances and cards need. Source: requirements #36.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.lifecycle_state == "VERIFIED" && self.kyc == "SUCCESS"
    }
}

/// An identity check to be written.
pub struct NewVerification {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub customer: i64,
    /// The form, sealed.
    pub form_sealed: Vec<u8>,
    /// Kind, media type and sealed content.
    pub images: Vec<(&'static str, &'static str, Vec<u8>)>,
    /// Now.
    pub created_at_ms: i64,
}

impl Store {
    /// Writes a pending customer; `false` where one of its contacts is taken. Written already is
    /// no change.
    pub async fn insert_customer(&self, new: &NewCustomer) -> Result<bool> {
        const CUSTOMER: &str = "INSERT INTO customers (id, partner_id, lifecycle_state, kyc, \
             profile_sealed, wpin_hash, row_state, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7) ON CONFLICT (id) DO NOTHING";
        const CLAIM: &str = "INSERT INTO contact_claims (token, customer_id) VALUES ($1, $2) \
             ON CONFLICT (token) DO UPDATE SET customer_id = contact_claims.customer_id \
             WHERE contact_claims.customer_id = excluded.customer_id";
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
            for token in &new.claims {
                let claimed = sqlx::query(CLAIM)
                    .bind(token.as_slice())
                    .bind(new.id)
                    .execute(&mut *transaction)
                    .await?;
                if claimed.rows_affected() == 0 {
                    transaction.rollback().await?;
                    return Ok(false);
                }
            }
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// A partner's customer that the switch has.
    pub async fn customer(&self, partner: PartnerId, id: i64) -> Result<Option<CustomerRow>> {
        const SQL: &str = "SELECT id, lifecycle_state, kyc FROM customers \
             WHERE id = $2 AND partner_id = $1 AND row_state = 'CONFIRMED'";
        Ok(
            on!(self, pool => sqlx::query_as(SQL).bind(i64::from(partner.0)).bind(id).fetch_optional(pool).await)?,
        )
    }

    /// Sets what is given of a customer's flags and gives back both.
    pub async fn set_customer_flags(
        &self,
        id: i64,
        lifecycle_state: Option<&str>,
        kyc: Option<&str>,
    ) -> Result<Option<CustomerRow>> {
        const SQL: &str = "UPDATE customers SET kyc = COALESCE($2, kyc), \
             lifecycle_state = COALESCE($3, lifecycle_state) WHERE id = $1 \
             RETURNING id, lifecycle_state, kyc";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(id).bind(kyc).bind(lifecycle_state).fetch_optional(pool).await
        })?)
    }

    /// Moves a pending customer on.
    pub async fn settle_customer(&self, id: i64, state: RowState) -> Result<()> {
        const SQL: &str =
            "UPDATE customers SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Writes an identity check and its images, and marks the customer as being checked unless a
    /// check has succeeded; gives back the check's status. Written already is no change.
    pub async fn insert_verification(&self, new: &NewVerification) -> Result<String> {
        const LOWER: &str = "UPDATE customers SET kyc = 'IN_PROGRESS' \
             WHERE id = $1 AND kyc IN ('NONE', 'FAILED')";
        const CHECK: &str = "INSERT INTO verifications (id, customer_id, status, form_sealed, \
             created_at_ms) SELECT $1, id, CASE WHEN kyc = 'SUCCESS' THEN 'ACCEPTED' \
             ELSE 'IN_PROGRESS' END, $3, $4 FROM customers WHERE id = $2 \
             ON CONFLICT (id) DO NOTHING";
        const IMAGE: &str = "INSERT INTO verification_images (verification_id, kind, media_type, \
             content_sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (verification_id, kind) DO NOTHING";
        const STATUS: &str = "SELECT status FROM verifications WHERE id = $1";
        Ok(on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(LOWER).bind(new.customer).execute(&mut *transaction).await?;
            sqlx::query(CHECK)
                .bind(new.id)
                .bind(new.customer)
                .bind(&new.form_sealed)
                .bind(new.created_at_ms)
                .execute(&mut *transaction)
                .await?;
            for (kind, media_type, content) in &new.images {
                sqlx::query(IMAGE)
                    .bind(new.id)
                    .bind(kind)
                    .bind(media_type)
                    .bind(content)
                    .execute(&mut *transaction)
                    .await?;
            }
            let status: String =
                sqlx::query_scalar(STATUS).bind(new.id).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            status
        }))
    }
}
