//! Fees of programs, what is due for cards and accounts, and what the switch charged.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Result, RowState, Store, is_taken, on};

/// A fee of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct FeeRow {
    /// Its id.
    pub id: i64,
    /// The program.
    pub config_id: String,
    /// Whose program it is.
    pub partner_id: i64,
    /// ISO 4217 number of the program's currency.
    pub currency: i64,
    /// What it is for.
    pub kind: String,
    /// `INSTANT` or `INVOICE`.
    pub settlement: String,
    /// Minor units.
    pub fixed: i64,
    /// Parts of a million.
    pub rate_ppm: i64,
    /// Where payments that it is on are acquired.
    pub region: Option<String>,
    /// What the region is seen from, ISO 3166 alpha-2.
    pub home_country: Option<String>,
    /// `DAY`, `WEEK` or `MONTH`.
    pub period: Option<String>,
    /// IANA name of the zone in which periods begin.
    pub zone: String,
    /// Turnover of a period from which on it costs nothing.
    pub waived_from: Option<i64>,
    /// Start of the next period that is to be charged.
    pub next_period_ms: Option<i64>,
}

/// One fee for one card or account.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DueRow {
    /// Which fee.
    pub fee_id: i64,
    /// The balance that pays.
    pub balance_id: Uuid,
    /// The card that it is for; 0 where it is for the account.
    pub card_id: i64,
    /// The card's token that it is for; 0 where it is for no token.
    pub token_no: i64,
    /// Start of the period; 0 for once and for all.
    pub period_ms: i64,
    /// Its end.
    pub period_end_ms: i64,
    /// How much, as the fee was when it fell due.
    pub amount: i64,
}

/// What became of something due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueEnd {
    /// The switch has it.
    Charged,
    /// There was turnover enough.
    Waived,
    /// The card or account was gone.
    Dropped,
}

/// What the switch charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCharge {
    /// The record.
    pub sequence: i64,
    /// Its place among the record's.
    pub place: i64,
    /// Which fee.
    pub fee_id: i64,
    /// What fell due.
    pub due: i64,
    /// What was taken; given back, where negative.
    pub taken: i64,
    /// When.
    pub at_ms: i64,
}

/// What a fee came to in one day.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FeeDayRow {
    /// Which fee.
    pub fee_id: i64,
    /// Days since 1970, UTC.
    pub day: i64,
    /// How often something fell due.
    pub charges: i64,
    /// What fell due.
    pub due: i64,
    /// What was taken.
    pub taken: i64,
}

impl Store {
    /// Writes a fee. Written already is no change; false where another one on accounts is of this
    /// kind.
    pub async fn insert_fee(&self, row: &FeeRow, state: RowState, now_ms: i64) -> Result<bool> {
        const SQL: &str = "INSERT INTO fees (id, config_id, partner_id, currency, kind, \
             settlement, fixed, rate_ppm, region, home_country, period, zone, waived_from, \
             next_period_ms, row_state, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT (id) DO NOTHING";
        let inserted = on!(self, write pool => {
            sqlx::query(SQL)
                .bind(row.id)
                .bind(&row.config_id)
                .bind(row.partner_id)
                .bind(row.currency)
                .bind(&row.kind)
                .bind(&row.settlement)
                .bind(row.fixed)
                .bind(row.rate_ppm)
                .bind(&row.region)
                .bind(&row.home_country)
                .bind(&row.period)
                .bind(&row.zone)
                .bind(row.waived_from)
                .bind(row.next_period_ms)
                .bind(state.name())
                .bind(now_ms)
                .execute(pool)
                .await
                .map(drop)
        });
        match inserted {
            Err(error) if is_taken(&error) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Moves a pending fee on.
    pub async fn settle_fee(&self, id: i64, state: RowState) -> Result<()> {
        const SQL: &str = "UPDATE fees SET row_state = $2 WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(state.name()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Changes how much a fee is that the switch does not know.
    pub async fn change_fee(&self, id: i64, (fixed, rate_ppm): (i64, i64)) -> Result<()> {
        const SQL: &str = "UPDATE fees SET fixed = $2, rate_ppm = $3 \
             WHERE id = $1 AND row_state = 'CONFIRMED'";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(fixed).bind(rate_ppm);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// A fee is in use at the switch, and so much, by this record of it; an older record, read
    /// late, does not change how much.
    pub async fn follow_fee(
        &self,
        id: i64,
        (fixed, rate_ppm): (i64, i64),
        sequence: i64,
    ) -> Result<()> {
        const SQL: &str = "UPDATE fees SET row_state = 'CONFIRMED', \
             fixed = CASE WHEN followed < $4 THEN $2 ELSE fixed END, \
             rate_ppm = CASE WHEN followed < $4 THEN $3 ELSE rate_ppm END, \
             followed = CASE WHEN followed < $4 THEN $4 ELSE followed END \
             WHERE id = $1 AND row_state IN ('PENDING', 'CONFIRMED')";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(fixed).bind(rate_ppm).bind(sequence);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Takes a fee out of use.
    pub async fn close_fee(&self, id: i64) -> Result<()> {
        const SQL: &str = "UPDATE fees SET row_state = 'CLOSED' WHERE id = $1";
        on!(self, write pool => sqlx::query(SQL).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The fees of a program that are in use, or all that ever were.
    pub async fn fees_of(&self, config_id: &str, closed_too: bool) -> Result<Vec<FeeRow>> {
        const SQL: &str = "SELECT id, config_id, partner_id, currency, kind, settlement, fixed, \
             rate_ppm, region, home_country, period, zone, waived_from, next_period_ms FROM fees \
             WHERE config_id = $1 AND row_state IN ('CONFIRMED', $2) ORDER BY id";
        let other = if closed_too { "CLOSED" } else { "CONFIRMED" };
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(config_id).bind(other).fetch_all(pool).await
        })?)
    }

    /// A fee, in use or not any more.
    pub async fn fee(&self, id: i64) -> Result<Option<FeeRow>> {
        const SQL: &str = "SELECT id, config_id, partner_id, currency, kind, settlement, fixed, \
             rate_ppm, region, home_country, period, zone, waived_from, next_period_ms FROM fees \
             WHERE id = $1 AND row_state IN ('CONFIRMED', 'CLOSED')";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// The fee on a partner's transfers in a currency.
    pub async fn transfer_fee(&self, partner: i64, currency: i64) -> Result<Option<FeeRow>> {
        const SQL: &str = "SELECT id, config_id, partner_id, currency, kind, settlement, fixed, \
             rate_ppm, region, home_country, period, zone, waived_from, next_period_ms FROM fees \
             WHERE partner_id = $1 AND currency = $2 AND kind = 'TRANSFER' \
             AND row_state = 'CONFIRMED'";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(partner).bind(currency).fetch_optional(pool).await
        })?)
    }

    /// Periodic fees whose next period began before `now_ms`.
    pub async fn periodic_fees(&self, now_ms: i64) -> Result<Vec<FeeRow>> {
        const SQL: &str = "SELECT id, config_id, partner_id, currency, kind, settlement, fixed, \
             rate_ppm, region, home_country, period, zone, waived_from, next_period_ms FROM fees \
             WHERE row_state = 'CONFIRMED' AND next_period_ms < $1 ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(now_ms).fetch_all(pool).await)?)
    }

    /// Lets the fee for opening an account at an instant fall due, where its partner had one then.
    pub async fn add_account_dues(&self, balance: Uuid, at_ms: i64) -> Result<()> {
        const ANY: &str = "SELECT 1 FROM fees WHERE kind = 'ACCOUNT_CREATION' \
             AND row_state = 'CONFIRMED' LIMIT 1";
        const SQL: &str = "INSERT INTO fee_dues (fee_id, balance_id, card_id, token_no, \
             period_ms, period_end_ms, amount, state) \
             SELECT fees.id, balances.id, 0, 0, 0, 0, fees.fixed, 'PENDING' FROM balances \
             JOIN customers ON customers.id = balances.customer_id \
             JOIN fees ON fees.partner_id = customers.partner_id \
             AND fees.currency = balances.currency \
             WHERE balances.id = $1 AND fees.kind = 'ACCOUNT_CREATION' \
             AND fees.row_state = 'CONFIRMED' AND fees.created_at_ms <= $2 \
             ON CONFLICT DO NOTHING";
        // A statement that may write waits for its turn, and most have no fee.
        let any: Option<i32> =
            on!(self, pool => sqlx::query_scalar(ANY).fetch_optional(pool).await)?;
        if any.is_some() {
            on!(self, write pool => {
                sqlx::query(SQL).bind(balance).bind(at_ms).execute(pool).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Lets the fee for making a card at an instant fall due, where its program had one then.
    pub async fn add_card_dues(&self, card: i64, at_ms: i64) -> Result<()> {
        const ANY: &str = "SELECT 1 FROM fees WHERE kind = 'CARD_CREATION' \
             AND row_state = 'CONFIRMED' LIMIT 1";
        const SQL: &str = "INSERT INTO fee_dues (fee_id, balance_id, card_id, token_no, \
             period_ms, period_end_ms, amount, state) \
             SELECT fees.id, cards.balance_id, cards.id, 0, 0, 0, fees.fixed, 'PENDING' FROM cards \
             JOIN fees ON fees.config_id = cards.config_id \
             WHERE cards.id = $1 AND fees.kind = 'CARD_CREATION' \
             AND fees.row_state = 'CONFIRMED' AND fees.created_at_ms <= $2 \
             ON CONFLICT DO NOTHING";
        let any: Option<i32> =
            on!(self, pool => sqlx::query_scalar(ANY).fetch_optional(pool).await)?;
        if any.is_some() {
            on!(self, write pool => {
                sqlx::query(SQL).bind(card).bind(at_ms).execute(pool).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Lets a periodic fee fall due for everything that it is on and was there in the period, and
    /// goes on to the next period; both or neither, once.
    pub async fn end_period(&self, fee: &FeeRow, (start, end): (i64, i64)) -> Result<()> {
        const CARDS: &str = "INSERT INTO fee_dues (fee_id, balance_id, card_id, token_no, \
             period_ms, period_end_ms, amount, state) \
             SELECT fees.id, cards.balance_id, cards.id, 0, $2, $3, fees.fixed, 'PENDING' \
             FROM fees JOIN cards ON cards.config_id = fees.config_id \
             WHERE fees.id = $1 AND cards.row_state = 'CONFIRMED' AND cards.created_at_ms < $3 \
             ON CONFLICT DO NOTHING";
        const ACCOUNTS: &str = "INSERT INTO fee_dues (fee_id, balance_id, card_id, token_no, \
             period_ms, period_end_ms, amount, state) \
             SELECT fees.id, balances.id, 0, 0, $2, $3, fees.fixed, 'PENDING' FROM fees \
             JOIN customers ON customers.partner_id = fees.partner_id \
             JOIN balances ON balances.customer_id = customers.id \
             AND balances.currency = fees.currency \
             WHERE fees.id = $1 AND balances.row_state = 'CONFIRMED' \
             AND balances.created_at_ms < $3 ON CONFLICT DO NOTHING";
        const NEXT: &str = "UPDATE fees SET next_period_ms = $3 \
             WHERE id = $1 AND next_period_ms = $2 AND row_state = 'CONFIRMED'";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            let next = sqlx::query(NEXT).bind(fee.id).bind(start).bind(end);
            if next.execute(&mut *transaction).await?.rows_affected() == 1 {
                let all = if fee.kind == "CARD_PERIODIC" { CARDS } else { ACCOUNTS };
                let all = sqlx::query(all).bind(fee.id).bind(start).bind(end);
                all.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Something of what is due and not charged yet.
    pub async fn pending_dues(&self, limit: i64) -> Result<Vec<DueRow>> {
        const SQL: &str = "SELECT fee_id, balance_id, card_id, token_no, period_ms, period_end_ms, \
             amount FROM fee_dues WHERE state = 'PENDING' ORDER BY fee_id, period_ms LIMIT $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(limit).fetch_all(pool).await)?)
    }

    /// Says what became of something due.
    pub async fn end_due(&self, due: &DueRow, end: DueEnd) -> Result<()> {
        const SQL: &str = "UPDATE fee_dues SET state = $6 WHERE fee_id = $1 AND balance_id = $2 \
             AND card_id = $3 AND token_no = $4 AND period_ms = $5 AND state = 'PENDING'";
        let state = match end {
            DueEnd::Charged => "CHARGED",
            DueEnd::Waived => "WAIVED",
            DueEnd::Dropped => "DROPPED",
        };
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(due.fee_id).bind(due.balance_id).bind(due.card_id);
            query.bind(due.token_no).bind(due.period_ms).bind(state).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Forgets what was due for periods that ended before an instant; how many.
    pub async fn drop_dues(&self, before_ms: i64) -> Result<u64> {
        const SQL: &str = "DELETE FROM fee_dues WHERE state <> 'PENDING' AND period_ms > 0 \
             AND period_end_ms < $1";
        Ok(on!(self, write pool => {
            sqlx::query(SQL).bind(before_ms).execute(pool).await.map(|done| done.rows_affected())
        })?)
    }

    /// What a program's fees came to, day by day, from one instant to before another.
    pub async fn fee_days(&self, config_id: &str, from: i64, to: i64) -> Result<Vec<FeeDayRow>> {
        const SQL: &str = "SELECT fee_id, at_ms / 86400000 AS day, \
             CAST(SUM(CASE WHEN due > 0 THEN 1 ELSE 0 END) AS BIGINT) AS charges, \
             CAST(SUM(due) AS BIGINT) AS due, CAST(SUM(taken) AS BIGINT) AS taken \
             FROM fee_charges JOIN fees ON fees.id = fee_charges.fee_id \
             WHERE fees.config_id = $1 AND at_ms >= $2 AND at_ms < $3 \
             GROUP BY fee_id, at_ms / 86400000 ORDER BY 2, 1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(config_id).bind(from).bind(to).fetch_all(pool).await
        })?)
    }
}
