//! Tokens that wallets pay with in place of a card.

use super::{Result, Store, is_taken, on};

/// A token of a card.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CardTokenRow {
    /// Its id.
    pub id: i64,
    /// What its service calls it.
    pub reference: String,
    /// The wallet.
    pub wallet_id: Option<String>,
    /// `ACTIVE` or `ENDED`.
    pub state: String,
    /// When it was taken down.
    pub created_at_ms: i64,
}

impl Store {
    /// Writes a token of a card, and lets what its program charges for it fall due; both or
    /// neither. Written already is no change; false where the card has or had one of this
    /// reference.
    pub async fn insert_card_token(&self, card: i64, new: &CardTokenRow) -> Result<bool> {
        const TOKEN: &str = "INSERT INTO card_tokens (id, card_id, reference, wallet_id, state, \
             created_at_ms) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
        const DUE: &str = "INSERT INTO fee_dues (fee_id, balance_id, card_id, token_no, \
             period_ms, period_end_ms, amount, state) \
             SELECT fees.id, cards.balance_id, cards.id, $2, 0, 0, fees.fixed, 'PENDING' FROM cards \
             JOIN fees ON fees.config_id = cards.config_id \
             WHERE cards.id = $1 AND fees.kind = 'TOKEN_CREATION' \
             AND fees.row_state = 'CONFIRMED' ON CONFLICT DO NOTHING";
        let inserted = on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let token = sqlx::query(TOKEN).bind(new.id).bind(card).bind(&new.reference);
            let token = token.bind(&new.wallet_id).bind(&new.state).bind(new.created_at_ms);
            match token.execute(&mut *transaction).await {
                Ok(_written) => {
                    let due = sqlx::query(DUE).bind(card).bind(new.id);
                    due.execute(&mut *transaction).await?;
                    transaction.commit().await.map(|()| true)
                }
                Err(error) if is_taken(&error) => Ok(false),
                Err(error) => Err(error),
            }
        });
        Ok(inserted?)
    }

    /// The tokens of a card, oldest first.
    pub async fn card_tokens(&self, card: i64) -> Result<Vec<CardTokenRow>> {
        const SQL: &str = "SELECT id, reference, wallet_id, state, created_at_ms \
             FROM card_tokens WHERE card_id = $1 ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(card).fetch_all(pool).await)?)
    }

    /// The cards that tokens of this reference pay for and `processor` may speak of, two at most:
    /// services name their tokens each for itself.
    pub async fn cards_of_reference(&self, reference: &str, processor: i64) -> Result<Vec<i64>> {
        const SQL: &str = "SELECT card_id FROM card_tokens \
             JOIN cards ON cards.id = card_id \
             JOIN programs ON programs.config_id = cards.config_id \
             WHERE reference = $1 AND card_tokens.state = 'ACTIVE' \
             AND COALESCE(processor, $2) = $2 LIMIT 2";
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(reference).bind(processor).fetch_all(pool).await
        })?)
    }

    /// Ends a token of a card; whether it has it.
    pub async fn end_card_token(&self, card: i64, id: i64) -> Result<bool> {
        const SQL: &str = "UPDATE card_tokens SET state = 'ENDED' WHERE card_id = $1 AND id = $2";
        let done = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(card).bind(id);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(done == 1)
    }
}
