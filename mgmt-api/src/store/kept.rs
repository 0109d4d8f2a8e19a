//! What cards paid, posting by posting, and what fees came to, record by record.

use super::{DueRow, NewCharge, Result, Store, on};

/// An amount on a place of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The place.
    pub slot: i64,
    /// Minor units; taken back, where negative.
    pub amount: i64,
}

/// What a record does to postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostingChange {
    /// The place is another transaction's from now on: a card's payment, or nothing that counts.
    Begins {
        /// The token of the card whose payment it is.
        token: Option<[u8; 16]>,
        /// Which place, and what is posted already.
        posting: Posting,
    },
    /// More or less of it is posted.
    Moves(Posting),
}

/// The same, of which record, and its place among the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPosting {
    /// The record.
    pub sequence: i64,
    /// Its place.
    pub place: i64,
    /// When.
    pub at_ms: i64,
    /// What it does.
    pub change: PostingChange,
}

impl Store {
    /// Whether a fee depends on turnover.
    pub async fn has_conditional_fees(&self) -> Result<bool> {
        const SQL: &str = "SELECT 1 FROM fees WHERE waived_from IS NOT NULL \
             AND (row_state = 'CONFIRMED' OR EXISTS (SELECT 1 FROM fee_dues \
             WHERE fee_dues.fee_id = fees.id AND fee_dues.state = 'PENDING')) LIMIT 1";
        let any: Option<i32> =
            on!(self, pool => sqlx::query_scalar(SQL).fetch_optional(pool).await)?;
        Ok(any.is_some())
    }

    /// Forgets whose posting each place of the switch is.
    pub async fn forget_slots(&self) -> Result<()> {
        const ANY: &str = "SELECT 1 FROM posted_slots LIMIT 1";
        const SQL: &str = "DELETE FROM posted_slots";
        let any: Option<i32> =
            on!(self, pool => sqlx::query_scalar(ANY).fetch_optional(pool).await)?;
        if any.is_some() {
            on!(self, write pool => sqlx::query(SQL).execute(pool).await.map(drop))?;
        }
        Ok(())
    }

    /// Keeps what records posted and charged, in order; kept already is no change.
    pub async fn keep(&self, postings: &[KeptPosting], charges: &[NewCharge]) -> Result<()> {
        const END: &str = "DELETE FROM posted_slots WHERE slot = $1";
        const BEGIN: &str = "INSERT INTO posted_slots (slot, card_id) \
             SELECT $1, id FROM cards WHERE pan_token = $2";
        const MOVE: &str = "INSERT INTO card_postings (sequence, place, card_id, amount, at_ms) \
             SELECT $1, $2, card_id, $4, $5 FROM posted_slots WHERE slot = $3 \
             ON CONFLICT (sequence, place) DO NOTHING";
        const CHARGE: &str = "INSERT INTO fee_charges (sequence, place, fee_id, due, taken, at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (sequence, place) DO NOTHING";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            for KeptPosting { sequence, place, at_ms, change } in postings {
                let posting = match change {
                    PostingChange::Begins { token, posting } => {
                        sqlx::query(END).bind(posting.slot).execute(&mut *transaction).await?;
                        if let Some(token) = token {
                            let begun = sqlx::query(BEGIN).bind(posting.slot).bind(&token[..]);
                            begun.execute(&mut *transaction).await?;
                        }
                        posting
                    }
                    PostingChange::Moves(posting) => posting,
                };
                if posting.amount != 0 {
                    let moved = sqlx::query(MOVE).bind(sequence).bind(place).bind(posting.slot);
                    let moved = moved.bind(posting.amount).bind(at_ms);
                    moved.execute(&mut *transaction).await?;
                }
            }
            for charge in charges {
                let row = sqlx::query(CHARGE).bind(charge.sequence).bind(charge.place);
                let row = row.bind(charge.fee_id).bind(charge.due).bind(charge.taken);
                row.bind(charge.at_ms).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// What was paid with the card, or with all cards of the account, in the period of something
    /// due.
    pub async fn turnover(&self, due: &DueRow) -> Result<i64> {
        const SQL: &str = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM card_postings \
             JOIN cards ON cards.id = card_postings.card_id \
             WHERE cards.balance_id = $1 AND ($2 = 0 OR cards.id = $2) \
             AND at_ms >= $3 AND at_ms < $4";
        Ok(on!(self, pool => {
            let query = sqlx::query_scalar(SQL).bind(due.balance_id).bind(due.card_id);
            query.bind(due.period_ms).bind(due.period_end_ms).fetch_one(pool).await
        })?)
    }

    /// Forgets postings before an instant; how many.
    pub async fn drop_postings(&self, before_ms: i64) -> Result<u64> {
        const SQL: &str = "DELETE FROM card_postings WHERE at_ms < $1";
        Ok(on!(self, write pool => {
            sqlx::query(SQL).bind(before_ms).execute(pool).await.map(|done| done.rows_affected())
        })?)
    }
}
