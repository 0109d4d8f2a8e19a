//! Levels below which partners are told of a balance, and e-mails on their way.

use uuid::Uuid;

use super::notices::put_notices;
use super::{NewNotice, Result, Store, on};

/// A partner balance whose partner is told when it runs low.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WatchedBalance {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub partner_id: i64,
    /// Below this, minor units.
    pub alert_level: i64,
    /// Whom by e-mail.
    pub alert_email: Option<String>,
    /// 1 from when it was told until there is enough again.
    pub alerted: i64,
}

/// An e-mail.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct MailRow {
    /// Its id.
    pub id: i64,
    /// To whom.
    pub email: String,
    /// What about.
    pub subject: String,
    /// What it says.
    pub content: String,
    /// How often it was tried.
    pub attempts: i64,
}

/// A certificate that ends soon.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EndingCertificate {
    /// SHA-256 of its public key.
    pub spki_sha256: Vec<u8>,
    /// Its common name.
    pub name: String,
    /// Whoever looks after it.
    pub email: String,
    /// Its end.
    pub not_after_ms: i64,
}

const MAIL: &str = "INSERT INTO mails (id, email, subject, content, state, attempts, \
     next_at_ms, created_at_ms) VALUES ($1, $2, $3, $4, 'PENDING', 0, $5, $5)";

impl Store {
    /// Sets or clears the level below which somebody is told of a balance, and begins anew where it
    /// is another one.
    pub async fn set_alert(&self, balance: Uuid, alert: Option<(i64, Option<&str>)>) -> Result<()> {
        const SQL: &str = "UPDATE partner_balances SET alert_level = $2, alert_email = $3, \
             alerted = CASE WHEN alert_level = $2 \
             AND COALESCE(alert_email, '') = COALESCE($3, '') THEN alerted ELSE 0 END \
             WHERE id = $1";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(balance)
                .bind(alert.map(|(level, _email)| level))
                .bind(alert.and_then(|(_level, email)| email))
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// A balance's level and whom it is told to, where it has one.
    pub async fn alert_of(&self, balance: Uuid) -> Result<Option<WatchedBalance>> {
        const SQL: &str = "SELECT id, partner_id, alert_level, alert_email, alerted \
             FROM partner_balances WHERE id = $1 AND alert_level IS NOT NULL";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(balance).fetch_optional(pool).await)?)
    }

    /// Every balance that has a level.
    pub async fn watched_balances(&self) -> Result<Vec<WatchedBalance>> {
        const SQL: &str = "SELECT id, partner_id, alert_level, alert_email, alerted \
             FROM partner_balances WHERE alert_level IS NOT NULL AND row_state = 'CONFIRMED' \
             ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await)?)
    }

    /// Notes that a balance is low and writes e-mail and notice about it, all or nothing;
    /// once until there is enough again.
    pub async fn alert(
        &self,
        balance: &WatchedBalance,
        mail: Option<&MailRow>,
        notice: &[NewNotice],
        now_ms: i64,
    ) -> Result<()> {
        const NOTE: &str = "UPDATE partner_balances SET alerted = 1 \
             WHERE id = $1 AND alerted = 0 AND alert_level = $2";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let note = sqlx::query(NOTE).bind(balance.id).bind(balance.alert_level);
            if note.execute(&mut *transaction).await?.rows_affected() == 1 {
                if let Some(mail) = mail {
                    let row = sqlx::query(MAIL).bind(mail.id).bind(&mail.email);
                    let row = row.bind(&mail.subject).bind(&mail.content).bind(now_ms);
                    row.execute(&mut *transaction).await?;
                }
                put_notices!(transaction, notice, None);
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// The next certificate whose owner is to be told that it ends: one that ends before an instant
    /// and was not told of so many days yet.
    pub async fn certificate_to_warn_of(
        &self,
        (now_ms, before_ms): (i64, i64),
        days: i64,
    ) -> Result<Option<EndingCertificate>> {
        const SQL: &str = "SELECT spki_sha256, name, email, not_after_ms FROM client_certificates \
             WHERE state = 'ACTIVE' AND email IS NOT NULL AND not_after_ms > $1 \
             AND not_after_ms < $2 AND (warned_days IS NULL OR warned_days > $3) \
             ORDER BY not_after_ms LIMIT 1";
        Ok(on!(self, pool => {
            let query = sqlx::query_as(SQL).bind(now_ms).bind(before_ms).bind(days);
            query.fetch_optional(pool).await
        })?)
    }

    /// Notes that a certificate's owner is told, and writes the e-mail about it, both or neither;
    /// once for so many days.
    pub async fn warn_of_certificate(
        &self,
        spki_sha256: &[u8],
        days: i64,
        mail: &MailRow,
        now_ms: i64,
    ) -> Result<()> {
        const NOTE: &str = "UPDATE client_certificates SET warned_days = $2 \
             WHERE spki_sha256 = $1 AND (warned_days IS NULL OR warned_days > $2)";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let note = sqlx::query(NOTE).bind(spki_sha256).bind(days);
            if note.execute(&mut *transaction).await?.rows_affected() == 1 {
                let row = sqlx::query(MAIL).bind(mail.id).bind(&mail.email).bind(&mail.subject);
                let row = row.bind(&mail.content).bind(now_ms);
                row.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Notes that a balance has enough again.
    pub async fn end_alert(&self, balance: Uuid) -> Result<()> {
        const SQL: &str = "UPDATE partner_balances SET alerted = 0 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(balance).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The oldest e-mails that are to be tried now.
    pub async fn pending_mails(&self, now_ms: i64, limit: i64) -> Result<Vec<MailRow>> {
        const SQL: &str = "SELECT id, email, subject, content, attempts FROM mails \
             WHERE state = 'PENDING' AND next_at_ms <= $1 ORDER BY id LIMIT $2";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(now_ms).bind(limit).fetch_all(pool).await
        })?)
    }

    /// Takes an e-mail up for one more try, whose next one would be at a time; false where somebody
    /// else did.
    pub async fn claim_mail(&self, mail: &MailRow, next_at_ms: i64) -> Result<bool> {
        const SQL: &str = "UPDATE mails SET attempts = attempts + 1, next_at_ms = $3 \
             WHERE id = $1 AND attempts = $2 AND state = 'PENDING'";
        let claimed = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(mail.id).bind(mail.attempts).bind(next_at_ms);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(claimed == 1)
    }

    /// An e-mail has left, or never will.
    pub async fn end_mail(&self, id: i64, state: &str) -> Result<()> {
        const SQL: &str = "UPDATE mails SET state = $2 WHERE id = $1 AND state = 'PENDING'";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets e-mails that were written before an instant and have left or never will; how many.
    pub async fn drop_mails(&self, before_ms: i64) -> Result<u64> {
        const SQL: &str = "DELETE FROM mails WHERE state <> 'PENDING' AND created_at_ms < $1";
        Ok(on!(self, write pool => {
            sqlx::query(SQL).bind(before_ms).execute(pool).await.map(|done| done.rows_affected())
        })?)
    }
}
