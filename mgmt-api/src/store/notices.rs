//! Where partners are told of what happens, what they are told, and how far that is.
//!
//! Invariants: notices have numbers in the order in which they were committed, so that whoever
//! reads behind one misses none; what made a notice makes it once; with a notice come its
//! deliveries.

use uuid::Uuid;

use super::{Result, Store, on};

/// Where a partner is told.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EndpointRow {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub partner_id: i64,
    /// What paths of notices are put behind.
    pub url: String,
    /// Kinds of notices, each between two commas.
    pub kinds: String,
    /// ACTIVE or PAUSED.
    pub state: String,
    /// The key of its signatures, sealed.
    pub key_sealed: Vec<u8>,
    /// The one before it.
    pub key_before_sealed: Option<Vec<u8>>,
    /// 1 where what it is told is encrypted to its partner's key.
    pub encrypts: i64,
    /// The key of our client certificate, sealed.
    pub client_key_sealed: Option<Vec<u8>>,
    /// Our client certificate and those it came from, PEM.
    pub client_certificate: Option<String>,
    /// The key that a certificate was asked for, sealed.
    pub next_key_sealed: Option<Vec<u8>>,
}

/// What a partner is told, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// What made it.
    pub origin: String,
    /// Whom.
    pub partner: i64,
    /// What about.
    pub kind: &'static str,
    /// Notices of one subject come in order.
    pub subject: String,
    /// What it says, sealed under its origin.
    pub content_sealed: Vec<u8>,
    /// When it happened.
    pub at_ms: i64,
    /// Not sent before this instant.
    pub not_before_ms: i64,
}

/// What a partner is told.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NoticeRow {
    /// Its number.
    pub number: i64,
    /// What made it.
    pub origin: String,
    /// What about.
    pub kind: String,
    /// What it says, sealed.
    pub content_sealed: Vec<u8>,
    /// When it happened.
    pub at_ms: i64,
}

/// A notice on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DeliveryRow {
    /// Which notice.
    pub notice: i64,
    /// Where to.
    pub endpoint_id: Uuid,
    /// PENDING, DELIVERED or FAILED.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What was answered to the last try; none where nothing was, or not yet.
    pub status: Option<i64>,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryEnd {
    /// PENDING, DELIVERED or FAILED.
    pub state: &'static str,
    /// What was answered.
    pub status: Option<i64>,
    /// How many tries there were.
    pub attempts: i64,
    /// When the next one is.
    pub next_at_ms: i64,
}

/// When something is tried that waits for an earlier one of its subject.
pub(super) const NEVER: i64 = i64::MAX;

/// Takes numbers for so many notices, the first of which comes back. Whoever does holds the row until
/// its notices are there.
pub(super) const NUMBER: &str = "UPDATE sequences SET next_value = next_value + $1 \
     WHERE name = 'notice' RETURNING next_value - $1";
pub(super) const NOTICE: &str = "INSERT INTO notices (number, origin, partner_id, kind, subject, \
     content_sealed, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (origin) DO NOTHING";
/// Its deliveries, to the endpoints that want its kind now, or to the one that is named.
pub(super) const DELIVERY: &str = "INSERT INTO deliveries (notice, endpoint_id, subject, state, \
     attempts, not_before_ms, next_at_ms) SELECT $1, id, $2, 'PENDING', 0, $3, \
     CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE endpoint_id = endpoints.id \
     AND subject = $2 AND state = 'PENDING') THEN $7 ELSE $3 END FROM endpoints \
     WHERE partner_id = $4 AND (id = $6 OR CAST($6 AS UUID) IS NULL \
     AND (state = 'ACTIVE' OR $5 = '%,balance,%') AND kinds LIKE $5 \
     AND ($5 <> '%,balance,%' OR id = (SELECT id FROM endpoints \
     WHERE partner_id = $4 AND kinds LIKE $5 ORDER BY id LIMIT 1)))";

/// Writes notices and their deliveries within a transaction, in order; those whose origin is known
/// are left out.
macro_rules! put_notices {
    ($transaction:expr, $notices:expr, $only:expr) => {{
        use crate::store::notices::{DELIVERY, NEVER, NOTICE, NUMBER};
        let notices: &[NewNotice] = $notices;
        let many = i64::try_from(notices.len()).unwrap_or(i64::MAX);
        let mut number: i64 = match many {
            0 => 0,
            many => {
                let number = sqlx::query_scalar(NUMBER).bind(many);
                number.fetch_one(&mut *$transaction).await?
            }
        };
        for notice in notices {
            let row = sqlx::query(NOTICE).bind(number).bind(&notice.origin);
            let row = row.bind(notice.partner).bind(notice.kind).bind(&notice.subject);
            let row = row.bind(&notice.content_sealed).bind(notice.at_ms);
            if row.execute(&mut *$transaction).await?.rows_affected() == 1 {
                let kind = format!("%,{},%", notice.kind);
                let row = sqlx::query(DELIVERY).bind(number).bind(&notice.subject);
                let row = row.bind(notice.not_before_ms).bind(notice.partner).bind(kind);
                let row = row.bind(Option::<Uuid>::from($only)).bind(NEVER);
                let made = row.execute(&mut *$transaction).await?;
                if notice.kind == crate::notices::BALANCE && made.rows_affected() == 0 {
                    let partner = notice.partner;
                    tracing::error!(%partner, "a partner has no endpoint for balances");
                }
            }
            number += 1;
        }
    }};
}
pub(super) use put_notices;

impl Store {
    /// Writes an endpoint. Written already is no change.
    pub async fn insert_endpoint(&self, row: &EndpointRow, now_ms: i64) -> Result<()> {
        const SQL: &str = "INSERT INTO endpoints (id, partner_id, url, kinds, state, key_sealed, \
             encrypts, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(row.id).bind(row.partner_id).bind(&row.url);
            let query = query.bind(&row.kinds).bind(&row.state).bind(&row.key_sealed);
            query.bind(row.encrypts).bind(now_ms).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Changes where an endpoint is, what it is told, whether, and whether encrypted.
    pub async fn update_endpoint(&self, row: &EndpointRow) -> Result<()> {
        const SQL: &str =
            "UPDATE endpoints SET url = $2, kinds = $3, state = $4, encrypts = $5 WHERE id = $1";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(row.id).bind(&row.url).bind(&row.kinds);
            query.bind(&row.state).bind(row.encrypts).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Gives an endpoint another key for signatures; the one there is stays beside it.
    pub async fn change_endpoint_key(&self, id: Uuid, key_sealed: &[u8]) -> Result<()> {
        const SQL: &str = "UPDATE endpoints SET key_before_sealed = key_sealed, key_sealed = $2 \
             WHERE id = $1";
        on!(self, write pool => {
            sqlx::query(SQL).bind(id).bind(key_sealed).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Keeps the key that a client certificate was asked for.
    pub async fn set_next_client_key(&self, id: Uuid, key_sealed: &[u8]) -> Result<()> {
        const SQL: &str = "UPDATE endpoints SET next_key_sealed = $2 WHERE id = $1";
        on!(self, write pool => {
            sqlx::query(SQL).bind(id).bind(key_sealed).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Keeps a client certificate and its key; a key that another one was asked for stays.
    pub async fn set_client_certificate(
        &self,
        id: Uuid,
        key_sealed: &[u8],
        certificate: &str,
    ) -> Result<()> {
        const SQL: &str = "UPDATE endpoints SET client_key_sealed = $2, client_certificate = $3, \
             next_key_sealed = CASE WHEN next_key_sealed = $2 THEN NULL ELSE next_key_sealed END \
             WHERE id = $1";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(key_sealed).bind(certificate);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Forgets an endpoint and what was on its way there.
    pub async fn delete_endpoint(&self, id: Uuid) -> Result<()> {
        const DELIVERIES: &str = "DELETE FROM deliveries WHERE endpoint_id = $1";
        const SQL: &str = "DELETE FROM endpoints WHERE id = $1";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(DELIVERIES).bind(id).execute(&mut *transaction).await?;
            sqlx::query(SQL).bind(id).execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(())
    }

    /// A partner's endpoints, oldest first.
    pub async fn endpoints(&self, partner: i64) -> Result<Vec<EndpointRow>> {
        const SQL: &str = "SELECT * FROM endpoints WHERE partner_id = $1 ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(partner).fetch_all(pool).await)?)
    }

    /// An endpoint.
    pub async fn endpoint(&self, id: Uuid) -> Result<Option<EndpointRow>> {
        const SQL: &str = "SELECT * FROM endpoints WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// Where a partner is told of something of a kind; the oldest, where it is told in several.
    pub async fn endpoint_for(&self, partner: i64, kind: &str) -> Result<Option<EndpointRow>> {
        const SQL: &str = "SELECT * FROM endpoints WHERE partner_id = $1 AND kinds LIKE $2 \
             ORDER BY id LIMIT 1";
        let kind = format!("%,{kind},%");
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(partner).bind(kind).fetch_optional(pool).await
        })?)
    }

    /// How many notices of a kind were not taken yet, and could be.
    pub async fn count_pending(&self, kind: &str, now_ms: i64) -> Result<i64> {
        const SQL: &str = "SELECT COUNT(*) FROM deliveries JOIN notices ON number = notice \
             WHERE state = 'PENDING' AND kind = $1 AND not_before_ms <= $2";
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(kind).bind(now_ms).fetch_one(pool).await
        })?)
    }

    /// Partners that are told of something of a kind somewhere.
    pub async fn partners_told_of(&self, kind: &str) -> Result<Vec<i64>> {
        const SQL: &str = "SELECT DISTINCT partner_id FROM endpoints WHERE kinds LIKE $1";
        let kind = format!("%,{kind},%");
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(kind).fetch_all(pool).await)?)
    }

    /// The partner of a cardholder, whatever became of it.
    pub async fn partner_of_customer(&self, id: i64) -> Result<Option<i64>> {
        const SQL: &str = "SELECT partner_id FROM customers WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// Up to which record of the switch partners were told.
    pub async fn notice_cursor(&self) -> Result<i64> {
        const SQL: &str = "SELECT sequence FROM notice_cursor WHERE id = 1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).fetch_one(pool).await)?)
    }

    /// Writes notices and their deliveries, in order; those whose origin is known are left out. They
    /// go to the endpoints that want their kind now, or to the one that is named. Partners were told
    /// up to record `told` then, where it is given.
    pub async fn insert_notices(
        &self,
        notices: &[NewNotice],
        only: Option<Uuid>,
        told: Option<i64>,
    ) -> Result<()> {
        const TOLD: &str = "UPDATE notice_cursor SET sequence = $1 WHERE sequence < $1";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            put_notices!(transaction, notices, only);
            if let Some(told) = told {
                sqlx::query(TOLD).bind(told).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// What a partner was told behind a number, oldest first.
    pub async fn notices(&self, partner: i64, after: i64, limit: i64) -> Result<Vec<NoticeRow>> {
        const SQL: &str = "SELECT number, origin, kind, content_sealed, at_ms FROM notices \
             WHERE partner_id = $1 AND number > $2 AND kind <> 'balance' ORDER BY number LIMIT $3";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(partner).bind(after).bind(limit).fetch_all(pool).await
        })?)
    }

    /// A notice.
    pub async fn notice(&self, number: i64) -> Result<Option<NoticeRow>> {
        const SQL: &str = "SELECT number, origin, kind, content_sealed, at_ms FROM notices \
             WHERE number = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(number).fetch_optional(pool).await)?)
    }

    /// How far a notice is, endpoint by endpoint.
    pub async fn deliveries(&self, notice: i64) -> Result<Vec<DeliveryRow>> {
        const SQL: &str = "SELECT notice, endpoint_id, state, attempts, status FROM deliveries \
             WHERE notice = $1 ORDER BY endpoint_id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(notice).fetch_all(pool).await)?)
    }

    /// Endpoints where something is to be delivered now.
    pub async fn endpoints_due(&self, now_ms: i64) -> Result<Vec<Uuid>> {
        const SQL: &str = "SELECT id FROM endpoints WHERE state = 'ACTIVE' AND EXISTS \
             (SELECT 1 FROM deliveries WHERE endpoint_id = endpoints.id \
             AND deliveries.state = 'PENDING' AND next_at_ms <= $1)";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(now_ms).fetch_all(pool).await)?)
    }

    /// Notices that are to be tried at an endpoint now: of each subject the first one that is
    /// pending.
    pub async fn deliveries_due(
        &self,
        endpoint: Uuid,
        now_ms: i64,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>> {
        const SQL: &str = "SELECT notice, endpoint_id, state, attempts, status \
             FROM deliveries AS due WHERE endpoint_id = $1 AND state = 'PENDING' \
             AND next_at_ms <= $2 AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier \
             WHERE earlier.endpoint_id = $1 AND earlier.subject = due.subject \
             AND earlier.state = 'PENDING' AND earlier.notice < due.notice) \
             AND (subject NOT LIKE 'unlink %' OR NOT EXISTS (SELECT 1 FROM deliveries AS open \
             WHERE open.endpoint_id = $1 AND open.state = 'PENDING' \
             AND open.notice <> due.notice AND open.subject LIKE '%on ' || substr(due.subject, 8))) \
             ORDER BY next_at_ms, notice LIMIT $3";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(endpoint).bind(now_ms).bind(limit);
            query.fetch_all(pool).await
        })?)
    }

    /// Takes a delivery up for one more try, until an instant; false where somebody else did.
    pub async fn claim_delivery(&self, row: &DeliveryRow, until_ms: i64) -> Result<bool> {
        const SQL: &str = "UPDATE deliveries SET attempts = attempts + 1, status = NULL, \
             next_at_ms = $4 \
             WHERE notice = $1 AND endpoint_id = $2 AND attempts = $3 AND state = 'PENDING'";
        let claimed = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(row.notice).bind(row.endpoint_id);
            let query = query.bind(row.attempts).bind(until_ms);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(claimed == 1)
    }

    /// What came of a try: what was answered, how many tries there were, and when the next one is.
    /// What is done with lets the next one of its subject go.
    pub async fn end_try(&self, row: &DeliveryRow, end: &TryEnd) -> Result<()> {
        const SQL: &str = "UPDATE deliveries SET state = $4, status = $5, next_at_ms = $6, \
             attempts = $7 WHERE notice = $1 AND endpoint_id = $2 AND attempts = $3 \
             AND state = 'PENDING'";
        const NEXT: &str = "UPDATE deliveries SET next_at_ms = not_before_ms WHERE endpoint_id = $1 \
             AND next_at_ms = $3 AND state = 'PENDING' AND notice = (SELECT MIN(notice) \
             FROM deliveries AS other WHERE other.endpoint_id = $1 AND other.state = 'PENDING' \
             AND other.subject = (SELECT subject FROM deliveries AS ended \
             WHERE ended.endpoint_id = $1 AND ended.notice = $2))";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let query = sqlx::query(SQL).bind(row.notice).bind(row.endpoint_id);
            let query = query.bind(row.attempts + 1).bind(end.state).bind(end.status);
            let query = query.bind(end.next_at_ms).bind(end.attempts);
            query.execute(&mut *transaction).await?;
            if end.state != "PENDING" {
                let next = sqlx::query(NEXT).bind(row.endpoint_id).bind(row.notice).bind(NEVER);
                next.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Lets the first pending notice of each subject go that waits for nothing any more; how many.
    pub async fn release_waiting(&self) -> Result<u64> {
        const SQL: &str = "UPDATE deliveries SET next_at_ms = not_before_ms \
             WHERE state = 'PENDING' AND next_at_ms = $1 AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier \
             WHERE earlier.endpoint_id = deliveries.endpoint_id \
             AND earlier.subject = deliveries.subject AND earlier.state = 'PENDING' \
             AND earlier.notice < deliveries.notice)";
        Ok(on!(self, write pool => {
            let query = sqlx::query(SQL).bind(NEVER);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?)
    }

    /// Has what happened in a period delivered again, to the endpoints that want it now; how many.
    /// It is done part by part, so that others write in between.
    pub async fn replay(&self, partner: i64, (from_ms, to_ms): (i64, i64)) -> Result<u64> {
        const NUMBERS: &str = "SELECT number FROM notices WHERE partner_id = $1 AND number > $2 \
             AND at_ms >= $3 AND at_ms < $4 AND kind <> 'balance' ORDER BY number LIMIT 500";
        const SQL: &str = "INSERT INTO deliveries (notice, endpoint_id, subject, state, attempts, \
             next_at_ms) SELECT number, endpoints.id, subject, 'PENDING', 0, $6 FROM notices \
             JOIN endpoints ON endpoints.partner_id = notices.partner_id \
             AND endpoints.state = 'ACTIVE' AND endpoints.kinds LIKE '%,' || kind || ',%' \
             WHERE notices.partner_id = $1 AND number > $2 AND number <= $3 \
             AND at_ms >= $4 AND at_ms < $5 AND kind <> 'balance' \
             ON CONFLICT (notice, endpoint_id) DO UPDATE SET state = 'PENDING', attempts = 0, \
             next_at_ms = excluded.next_at_ms, status = NULL";
        let (mut after, mut begun) = (0, 0);
        loop {
            let numbers: Vec<i64> = on!(self, pool => {
                let query = sqlx::query_scalar(NUMBERS).bind(partner).bind(after);
                query.bind(from_ms).bind(to_ms).fetch_all(pool).await
            })?;
            let Some(last) = numbers.last().copied() else { break };
            begun += on!(self, write pool => {
                let query = sqlx::query(SQL).bind(partner).bind(after).bind(last);
                let query = query.bind(from_ms).bind(to_ms).bind(NEVER);
                query.execute(pool).await.map(|done| done.rows_affected())
            })?;
            after = last;
        }
        self.release_waiting().await?;
        Ok(begun)
    }

    /// Identity checks whose state was not told yet: their state, and the one told last.
    pub async fn verifications_to_tell(&self, limit: i64) -> Result<Vec<VerificationToTell>> {
        const SQL: &str = "SELECT verifications.id, customer_id, customers.partner_id, status, \
             reason, told, verifications.created_at_ms, decided_at_ms FROM verifications \
             JOIN customers ON customers.id = customer_id \
             WHERE told IS NULL OR told <> status ORDER BY verifications.id LIMIT $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool).await)?)
    }

    /// An identity check's state was told, or there is nobody to tell.
    pub async fn verification_told(&self, id: Uuid, status: &str) -> Result<()> {
        const SQL: &str = "UPDATE verifications SET told = $2 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(status).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets notices from before an instant and their deliveries; how many.
    pub async fn drop_notices(&self, before_ms: i64) -> Result<u64> {
        // A call is kept until it was taken.
        const DELIVERIES: &str = "DELETE FROM deliveries WHERE notice IN \
             (SELECT number FROM notices WHERE at_ms < $1) AND (state <> 'PENDING' OR NOT EXISTS \
             (SELECT 1 FROM notices WHERE number = notice AND kind = 'balance'))";
        const SQL: &str = "DELETE FROM notices WHERE at_ms < $1 AND NOT EXISTS \
             (SELECT 1 FROM deliveries WHERE notice = number)";
        Ok(on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(DELIVERIES).bind(before_ms).execute(&mut *transaction).await?;
            let dropped = sqlx::query(SQL).bind(before_ms).execute(&mut *transaction).await?;
            transaction.commit().await?;
            dropped.rows_affected()
        }))
    }
}

/// An identity check whose state was not told yet.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct VerificationToTell {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub customer_id: i64,
    /// Whom to tell.
    pub partner_id: i64,
    /// Its state.
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The state that was told last.
    pub told: Option<String>,
    /// When it was begun.
    pub created_at_ms: i64,
    /// When it was decided.
    pub decided_at_ms: Option<i64>,
}
