//! Top-ups of user balances and reloads of partner balances, as they were asked for.

use uuid::Uuid;

use super::{Result, RowState, Store, on};

/// What is credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FundedAccount {
    /// A user balance.
    User(Uuid),
    /// A partner balance.
    Partner(Uuid),
}

/// A credit to be written; its id is the command's.
pub struct NewFunding {
    /// Its id.
    pub id: Uuid,
    /// What is credited.
    pub account: FundedAccount,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 number.
    pub currency: i64,
    /// The caller's own name for it.
    pub external_id: Option<String>,
    /// The caller's words, sealed.
    pub description_sealed: Option<Vec<u8>>,
    /// Now.
    pub created_at_ms: i64,
}

impl Store {
    /// Writes a pending credit. Written already is no change.
    pub async fn insert_funding(&self, new: &NewFunding) -> Result<()> {
        const SQL: &str = "INSERT INTO fundings (id, balance_id, partner_balance_id, amount, \
             currency, external_id, description_sealed, row_state, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'PENDING', $8) ON CONFLICT (id) DO NOTHING";
        let (balance, partner_balance) = match new.account {
            FundedAccount::User(id) => (Some(id), None),
            FundedAccount::Partner(id) => (None, Some(id)),
        };
        on!(self, pool => {
            sqlx::query(SQL)
                .bind(new.id)
                .bind(balance)
                .bind(partner_balance)
                .bind(new.amount)
                .bind(new.currency)
                .bind(&new.external_id)
                .bind(&new.description_sealed)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Moves a pending credit on; `at_ms` is the switch's time.
    pub async fn settle_funding(&self, id: Uuid, state: RowState, at_ms: i64) -> Result<()> {
        const SQL: &str = "UPDATE fundings SET row_state = $2, booked_at_ms = $3 \
             WHERE id = $1 AND row_state = 'PENDING'";
        on!(self, pool => {
            sqlx::query(SQL).bind(id).bind(state.name()).bind(at_ms).execute(pool).await.map(drop)
        })?;
        Ok(())
    }
}
