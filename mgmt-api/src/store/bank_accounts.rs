//! IBANs of balances.

use uuid::Uuid;

use super::{Result, Store, is_taken, on};

/// An IBAN.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BankAccountRow {
    /// The number.
    pub iban: String,
    /// Its balance.
    pub balance_id: Uuid,
    /// `ACTIVE` or `CLOSED`.
    pub state: String,
}

impl Store {
    /// Gives a balance an IBAN. Given already is no change; `false` where it has another one.
    pub async fn insert_bank_account(
        &self,
        iban: &str,
        balance: Uuid,
        now_ms: i64,
    ) -> Result<bool> {
        const SQL: &str = "INSERT INTO bank_accounts (iban, balance_id, state, created_at_ms) \
             VALUES ($1, $2, 'ACTIVE', $3) ON CONFLICT (iban) DO NOTHING";
        let done = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(iban).bind(balance).bind(now_ms);
            query.execute(pool).await.map(drop)
        });
        match done {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The IBANs that a balance has and had, of a partner's customer.
    pub async fn bank_accounts(&self, partner: i64, balance: Uuid) -> Result<Vec<BankAccountRow>> {
        const SQL: &str = "SELECT iban, balance_id, bank_accounts.state FROM bank_accounts \
             JOIN balances ON balances.id = bank_accounts.balance_id \
             JOIN customers ON customers.id = balances.customer_id \
             WHERE balances.id = $2 AND customers.partner_id = $1 \
             ORDER BY bank_accounts.created_at_ms, iban";
        Ok(
            on!(self, pool => sqlx::query_as(SQL).bind(partner).bind(balance).fetch_all(pool).await)?,
        )
    }

    /// An IBAN of a balance of a partner's customer.
    pub async fn bank_account(&self, partner: i64, iban: &str) -> Result<Option<BankAccountRow>> {
        const SQL: &str = "SELECT iban, balance_id, bank_accounts.state FROM bank_accounts \
             JOIN balances ON balances.id = bank_accounts.balance_id \
             JOIN customers ON customers.id = balances.customer_id \
             WHERE iban = $2 AND customers.partner_id = $1";
        Ok(
            on!(self, pool => sqlx::query_as(SQL).bind(partner).bind(iban).fetch_optional(pool).await)?,
        )
    }

    /// Takes an IBAN out of use; `false` where no balance of the partner's customers has it.
    pub async fn close_bank_account(&self, partner: i64, iban: &str) -> Result<bool> {
        const SQL: &str = "UPDATE bank_accounts SET state = 'CLOSED' WHERE iban = $2 \
             AND balance_id IN (SELECT balances.id FROM balances \
             JOIN customers ON customers.id = balances.customer_id \
             WHERE customers.partner_id = $1)";
        let rows = on!(self, write pool => {
            let done = sqlx::query(SQL).bind(partner).bind(iban).execute(pool).await;
            done.map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }
}
