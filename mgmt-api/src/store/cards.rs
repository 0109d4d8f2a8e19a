//! Cards: their two ids, the sealed number and its token.

use uuid::Uuid;

use super::{Result, RowState, Store, on};
use crate::call::Scope;

/// A card to be written.
pub struct NewCardRow {
    /// Its id.
    pub id: i64,
    /// Its other id.
    pub resource_id: Uuid,
    /// What it spends from.
    pub balance_id: Uuid,
    /// Its program.
    pub config_id: String,
    /// The token of its number.
    pub pan_token: [u8; 16],
    /// Its number, sealed.
    pub pan_sealed: Vec<u8>,
    /// Its last four digits.
    pub last_four: String,
    /// Its last month.
    pub expiry_yymm: i64,
    /// Now.
    pub created_at_ms: i64,
}

/// A card that the switch has.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CardRow {
    /// Its id.
    pub id: i64,
    /// Its other id.
    pub resource_id: Uuid,
    /// What it spends from.
    pub balance_id: Uuid,
    /// Its program.
    pub config_id: String,
    /// Its last four digits.
    pub last_four: String,
}

impl Store {
    /// Notes that a card was ordered in place of another.
    pub async fn set_replaced(&self, card: i64, old: i64) -> Result<()> {
        const SQL: &str = "UPDATE cards SET replaces = $2 WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(card).bind(old).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The card in whose place one was ordered.
    pub async fn replaced_by(&self, card: i64) -> Result<Option<i64>> {
        const SQL: &str = "SELECT replaces FROM cards WHERE id = $1";
        let found = on!(self, pool => {
            sqlx::query_scalar::<_, Option<i64>>(SQL).bind(card).fetch_optional(pool).await
        })?;
        Ok(found.flatten())
    }

    /// The card of a number's token, if `processor` may speak of it.
    pub async fn card_of_token(&self, token: [u8; 16], processor: i64) -> Result<Option<i64>> {
        const SQL: &str = "SELECT cards.id FROM cards \
             JOIN programs ON programs.config_id = cards.config_id \
             WHERE pan_token = $1 AND COALESCE(processor, $2) = $2";
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(token.as_slice()).bind(processor).fetch_optional(pool).await
        })?)
    }

    /// Takes a card number's token for a card to come; `false` where it is taken.
    pub async fn reserve_pan(&self, token: &[u8; 16], now_ms: i64) -> Result<bool> {
        const SQL: &str = "INSERT INTO pan_tokens (token, reserved_at_ms) VALUES ($1, $2) \
             ON CONFLICT (token) DO NOTHING";
        let rows = on!(self, later pool => {
            let done = sqlx::query(SQL).bind(token.as_slice()).bind(now_ms).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Writes a pending card. Written already is no change.
    pub async fn insert_card(&self, new: &NewCardRow) -> Result<()> {
        const SQL: &str = "INSERT INTO cards (id, resource_id, balance_id, config_id, pan_token, \
             pan_sealed, last_four, expiry_yymm, row_state, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'PENDING', $9) ON CONFLICT (id) DO NOTHING";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.id)
                .bind(new.resource_id)
                .bind(new.balance_id)
                .bind(&new.config_id)
                .bind(new.pan_token.as_slice())
                .bind(&new.pan_sealed)
                .bind(&new.last_four)
                .bind(new.expiry_yymm)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Moves a pending card on.
    pub async fn settle_card(&self, id: i64, state: RowState) -> Result<()> {
        const SQL: &str = "UPDATE cards SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, later pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// A card by either id, if it is within `scope`.
    pub async fn card(
        &self,
        scope: Scope,
        id: Option<i64>,
        resource_id: Option<Uuid>,
    ) -> Result<Option<CardRow>> {
        const SQL: &str = "SELECT cards.id, resource_id, balance_id, config_id, last_four \
             FROM cards JOIN balances ON balances.id = cards.balance_id \
             JOIN customers ON customers.id = balances.customer_id \
             WHERE (cards.id = $3 OR resource_id = $4) AND cards.row_state = 'CONFIRMED' \
             AND customers.partner_id = COALESCE($1, customers.partner_id) \
             AND customers.id = COALESCE($2, customers.id)";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL)
                .bind(scope.partner)
                .bind(scope.customer)
                .bind(id)
                .bind(resource_id)
                .fetch_optional(pool)
                .await
        })?)
    }

    /// A customer's cards behind `after`, oldest first.
    pub async fn cards(&self, customer: i64, after: i64, limit: i64) -> Result<Vec<CardRow>> {
        const SQL: &str = "SELECT cards.id, resource_id, balance_id, config_id, last_four \
             FROM cards JOIN balances ON balances.id = cards.balance_id \
             WHERE balances.customer_id = $1 AND cards.id > $2 \
             AND cards.row_state = 'CONFIRMED' ORDER BY cards.id LIMIT $3";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(customer).bind(after).bind(limit).fetch_all(pool).await
        })?)
    }

    /// Whose a card is, and what it spends from.
    pub async fn holder_of_card(&self, card: i64) -> Result<Option<(i64, Uuid)>> {
        const SQL: &str = "SELECT customer_id, balances.id FROM cards \
             JOIN balances ON balances.id = cards.balance_id WHERE cards.id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(card).fetch_optional(pool).await)?)
    }

    /// Notes that a card was removed, for its number's retention.
    pub async fn note_removed(&self, card: i64, now_ms: i64) -> Result<()> {
        const SQL: &str =
            "UPDATE cards SET removed_at_ms = $2 WHERE id = $1 AND removed_at_ms IS NULL";
        on!(self, write pool => sqlx::query(SQL).bind(card).bind(now_ms).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// A card's number, sealed; nothing where it was wiped.
    pub async fn sealed_number(&self, card: i64) -> Result<Option<Vec<u8>>> {
        const SQL: &str = "SELECT pan_sealed FROM cards WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(card).fetch_optional(pool).await)?)
    }

    /// The cards of a balance.
    pub async fn cards_of_balance(&self, balance: Uuid) -> Result<Vec<CardRow>> {
        const SQL: &str = "SELECT id, resource_id, balance_id, config_id, last_four FROM cards \
             WHERE balance_id = $1 AND row_state <> 'REFUSED' ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(balance).fetch_all(pool).await)?)
    }

    /// Notes that a card is to be locked for `reason`, or unlocked without one. Written already is
    /// no change.
    pub async fn insert_lock_request(
        &self,
        id: Uuid,
        card: i64,
        lock: Option<(u8, Option<&[u8]>)>,
        now_ms: i64,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO lock_requests (id, card_id, reason, comment_sealed, \
             row_state, created_at_ms) VALUES ($1, $2, $3, $4, 'PENDING', $5) \
             ON CONFLICT (id) DO NOTHING";
        let reason = lock.map(|(reason, _comment)| i64::from(reason));
        let comment = lock.and_then(|(_reason, comment)| comment);
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(id)
                .bind(card)
                .bind(reason)
                .bind(comment)
                .bind(now_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Moves a pending lock request on.
    pub async fn settle_lock_request(&self, id: Uuid, state: RowState) -> Result<()> {
        const SQL: &str =
            "UPDATE lock_requests SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }
}
