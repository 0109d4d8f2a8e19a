//! Card programs.

use super::{Result, Store, on};

/// What SQL keeps of a program; its collateral is the switch's business.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ProgramRow {
    /// Ten digits.
    pub config_id: String,
    /// Whose it is.
    pub partner_id: i64,
    /// ISO 4217 number.
    pub currency: i64,
    /// First digits of its cards' numbers.
    pub bin: String,
    /// `ACTIVE`, or `INACTIVE` where its cards are activated later.
    pub first_state: String,
    /// Months that its cards are good for; negative issues them expired, for tests.
    pub months_valid: i64,
}

impl Store {
    /// Makes or replaces a program.
    pub async fn put_program(&self, row: &ProgramRow) -> Result<()> {
        const SQL: &str = "INSERT INTO programs \
             (config_id, partner_id, currency, bin, first_state, months_valid) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (config_id) DO UPDATE SET \
             bin = excluded.bin, first_state = excluded.first_state, \
             months_valid = excluded.months_valid";
        on!(self, pool => {
            sqlx::query(SQL)
                .bind(&row.config_id)
                .bind(row.partner_id)
                .bind(row.currency)
                .bind(&row.bin)
                .bind(&row.first_state)
                .bind(row.months_valid)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// A partner's program.
    pub async fn program(&self, partner: i64, config_id: &str) -> Result<Option<ProgramRow>> {
        const SQL: &str = "SELECT config_id, partner_id, currency, bin, first_state, months_valid \
             FROM programs WHERE config_id = $2 AND partner_id = $1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(partner).bind(config_id).fetch_optional(pool).await
        })?)
    }
}
