//! Card programs.

use shared::card::YearMonth;
use shared::ids::Timestamp;

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
    /// Name of a [`CardKind`].
    pub card_kind: String,
}

/// What cards of a program are made of. Source: requirements #94.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// Numbers alone.
    Virtual,
    /// Plastic.
    Physical,
    /// Numbers with a blank plastic copy.
    DigitalFirst,
}

impl CardKind {
    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Virtual => "VIRTUAL",
            Self::Physical => "PHYSICAL",
            Self::DigitalFirst => "DIGITAL_FIRST",
        }
    }

    /// Whether there is plastic to enter a PIN with. Source: requirements #113.
    #[must_use]
    pub const fn has_pin(self) -> bool {
        match self {
            Self::Physical | Self::DigitalFirst => true,
            Self::Virtual => false,
        }
    }

    /// Whether its CVC2 is printed nowhere and can be another. Source: requirements #106.
    #[must_use]
    pub const fn has_cvc2_reset(self) -> bool {
        match self {
            Self::Virtual | Self::DigitalFirst => true,
            Self::Physical => false,
        }
    }
}

impl ProgramRow {
    /// What its cards are made of.
    pub fn kind(&self) -> crate::error::Result<CardKind> {
        [CardKind::Virtual, CardKind::Physical, CardKind::DigitalFirst]
            .into_iter()
            .find(|kind| kind.name() == self.card_kind)
            .ok_or_else(|| crate::error::Error::internal("programs", &"a kind is unknown"))
    }

    /// The last month of a card that is issued or renewed at `now`.
    #[must_use]
    pub fn expiry_from(&self, now: Timestamp) -> YearMonth {
        YearMonth::of(now).plus_months(i32::try_from(self.months_valid).unwrap_or_default())
    }
}

impl Store {
    /// Makes or replaces a program.
    pub async fn put_program(&self, row: &ProgramRow) -> Result<()> {
        const SQL: &str = "INSERT INTO programs \
             (config_id, partner_id, currency, bin, first_state, months_valid, card_kind) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (config_id) DO UPDATE SET \
             bin = excluded.bin, first_state = excluded.first_state, \
             months_valid = excluded.months_valid, card_kind = excluded.card_kind";
        on!(self, pool => {
            sqlx::query(SQL)
                .bind(&row.config_id)
                .bind(row.partner_id)
                .bind(row.currency)
                .bind(&row.bin)
                .bind(&row.first_state)
                .bind(row.months_valid)
                .bind(&row.card_kind)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// A partner's program.
    pub async fn program(&self, partner: i64, config_id: &str) -> Result<Option<ProgramRow>> {
        const SQL: &str = "SELECT config_id, partner_id, currency, bin, first_state, \
             months_valid, card_kind FROM programs WHERE config_id = $2 AND partner_id = $1";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(partner).bind(config_id).fetch_optional(pool).await
        })?)
    }

    /// The program of a card.
    pub async fn program_of_card(&self, config_id: &str) -> Result<Option<ProgramRow>> {
        const SQL: &str = "SELECT config_id, partner_id, currency, bin, first_state, \
             months_valid, card_kind FROM programs WHERE config_id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(config_id).fetch_optional(pool).await)?)
    }
}
