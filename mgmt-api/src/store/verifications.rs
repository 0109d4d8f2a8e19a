//! Identity checks.

use uuid::Uuid;

use super::{Result, Store, on};
use crate::call::Scope;

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

/// An identity check.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct VerificationRow {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub customer_id: i64,
    /// `IN_PROGRESS`, `ACCEPTED` or `REJECTED`.
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The form, sealed.
    pub form_sealed: Vec<u8>,
    /// When it came.
    pub created_at_ms: i64,
    /// When it was decided.
    pub decided_at_ms: Option<i64>,
}

/// What was decided.
pub struct Decision<'a> {
    /// Why not; accepted without.
    pub rejected: Option<&'a str>,
    /// By whom.
    pub by: &'a str,
    /// Now.
    pub at_ms: i64,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ImageRow {
    /// As sniffed.
    pub media_type: String,
    /// The bytes, sealed.
    pub content_sealed: Vec<u8>,
}

impl Store {
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

    /// A customer's newest check.
    pub async fn newest_verification(&self, customer: i64) -> Result<Option<VerificationRow>> {
        const SQL: &str = "SELECT id, customer_id, status, reason, form_sealed, created_at_ms, \
             decided_at_ms FROM verifications WHERE customer_id = $1 \
             ORDER BY created_at_ms DESC, id DESC LIMIT 1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(customer).fetch_optional(pool).await)?)
    }

    /// A check, if its customer is within `scope`.
    pub async fn verification(&self, scope: Scope, id: Uuid) -> Result<Option<VerificationRow>> {
        const SQL: &str = "SELECT verifications.id, customer_id, status, reason, form_sealed, \
             verifications.created_at_ms, decided_at_ms FROM verifications \
             JOIN customers ON customers.id = verifications.customer_id \
             WHERE verifications.id = $3 \
             AND customers.partner_id = COALESCE($1, customers.partner_id) \
             AND customers.id = COALESCE($2, customers.id)";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(scope.customer).bind(id);
            query.fetch_optional(pool).await
        })?)
    }

    /// Checks of a status behind `after` within `scope`, oldest first.
    pub async fn verifications(
        &self,
        scope: Scope,
        status: &str,
        (after, limit): (Uuid, i64),
    ) -> Result<Vec<VerificationRow>> {
        const SQL: &str = "SELECT verifications.id, customer_id, status, reason, form_sealed, \
             verifications.created_at_ms, decided_at_ms FROM verifications \
             JOIN customers ON customers.id = verifications.customer_id \
             WHERE status = $2 AND verifications.id > $3 \
             AND customers.partner_id = COALESCE($1, customers.partner_id) \
             ORDER BY verifications.id LIMIT $4";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(scope.partner).bind(status);
            query.bind(after).bind(limit).fetch_all(pool).await
        })?)
    }

    /// How the partner of a customer has identities checked.
    pub async fn kyc_mode(&self, customer: i64) -> Result<String> {
        const SQL: &str = "SELECT kyc_mode FROM partners JOIN customers \
             ON partners.id = partner_id WHERE customers.id = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(customer).fetch_one(pool).await)?)
    }

    /// The oldest open checks of partners whose checks decide themselves.
    pub async fn automatic_verifications(&self, limit: i64) -> Result<Vec<VerificationRow>> {
        const SQL: &str = "SELECT verifications.id, customer_id, status, reason, form_sealed, \
             verifications.created_at_ms, decided_at_ms FROM verifications \
             JOIN customers ON customers.id = verifications.customer_id \
             JOIN partners ON partners.id = customers.partner_id \
             WHERE status = 'IN_PROGRESS' AND partners.kyc_mode = 'AUTOMATIC' \
             AND deleted_at_ms IS NULL \
             ORDER BY verifications.created_at_ms LIMIT $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool).await)?)
    }

    /// Decides an open check and the customer's flag with it; a check that has succeeded before
    /// is not undone. `false` where it was decided before.
    pub async fn decide_verification(&self, id: Uuid, decision: &Decision<'_>) -> Result<bool> {
        const DECIDE: &str = "UPDATE verifications SET status = $2, reason = $3, decided_by = $4, \
             decided_at_ms = $5 WHERE id = $1 AND status = 'IN_PROGRESS'";
        const FLAG: &str = "UPDATE customers SET kyc = $2 WHERE kyc <> 'SUCCESS' \
             AND id = (SELECT customer_id FROM verifications WHERE id = $1)";
        let (status, kyc) = match decision.rejected {
            None => ("ACCEPTED", "SUCCESS"),
            Some(_) => ("REJECTED", "FAILED"),
        };
        Ok(on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let decided = sqlx::query(DECIDE)
                .bind(id)
                .bind(status)
                .bind(decision.rejected)
                .bind(decision.by)
                .bind(decision.at_ms)
                .execute(&mut *transaction)
                .await?;
            if decided.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            sqlx::query(FLAG).bind(id).bind(kyc).execute(&mut *transaction).await?;
            transaction.commit().await?;
            true
        }))
    }

    /// One image of a check.
    pub async fn verification_image(&self, id: Uuid, kind: &str) -> Result<Option<ImageRow>> {
        const SQL: &str = "SELECT media_type, content_sealed FROM verification_images \
             WHERE verification_id = $1 AND kind = $2";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).bind(kind).fetch_optional(pool).await)?)
    }

    /// Drops images of checks that were decided before `before_ms`, and of all whose customers went
    /// before it.
    pub async fn drop_images(&self, before_ms: i64) -> Result<u64> {
        const SQL: &str = "DELETE FROM verification_images WHERE verification_id IN \
             (SELECT id FROM verifications WHERE status <> 'IN_PROGRESS' \
             AND COALESCE(decided_at_ms, created_at_ms) < $1 \
             OR customer_id IN (SELECT id FROM customers WHERE deleted_at_ms < $1))";
        Ok(on!(self, write pool => {
            let done = sqlx::query(SQL).bind(before_ms).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?)
    }
}
