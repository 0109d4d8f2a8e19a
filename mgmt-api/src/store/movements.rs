//! Money that partners and operators move by hand, and what came by bank transfer, as it was asked
//! for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Result, Store, on};

/// What moves where.
#[derive(Clone, Serialize, Deserialize)]
pub enum Movement {
    /// Into a user balance.
    TopUp(Uuid),
    /// Into a partner balance.
    Reload(Uuid),
    /// Out of a user balance.
    Withdrawal(Uuid),
    /// From one user balance to another.
    Transfer(Uuid, Uuid),
    /// Into a user balance, to this IBAN of it.
    CreditTransfer(Uuid, String),
}

impl Movement {
    const fn kind(&self) -> &'static str {
        match self {
            // A top-up with an IBAN: the table knows no other kinds.
            Self::TopUp(_) | Self::CreditTransfer(..) => "TOP_UP",
            Self::Reload(_) => "RELOAD",
            Self::Withdrawal(_) => "WITHDRAWAL",
            Self::Transfer(..) => "TRANSFER",
        }
    }
}

/// A movement to be written; its id is the command's.
pub struct NewMovement {
    /// Its id.
    pub id: Uuid,
    /// What moves where.
    pub movement: Movement,
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

/// What was said of a movement.
#[derive(Default, sqlx::FromRow)]
pub struct MovementWords {
    /// The caller's own name for it.
    pub external_id: Option<String>,
    /// The caller's words, sealed.
    pub description_sealed: Option<Vec<u8>>,
    /// The IBAN that a bank transfer came to.
    pub iban: Option<String>,
}

impl Store {
    /// Writes a pending movement. Written already is no change.
    pub async fn insert_movement(&self, new: &NewMovement) -> Result<()> {
        const SQL: &str = "INSERT INTO movements (id, kind, balance_id, partner_balance_id, \
             to_balance_id, amount, currency, external_id, description_sealed, row_state, \
             created_at_ms, iban) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'PENDING', $10, $11) \
             ON CONFLICT (id) DO NOTHING";
        let (balance, partner_balance, to, iban) = match &new.movement {
            Movement::TopUp(id) | Movement::Withdrawal(id) => (Some(id), None, None, None),
            Movement::Reload(id) => (None, Some(id), None, None),
            Movement::Transfer(from, to) => (Some(from), None, Some(to), None),
            Movement::CreditTransfer(id, iban) => (Some(id), None, None, Some(iban)),
        };
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.id)
                .bind(new.movement.kind())
                .bind(balance)
                .bind(partner_balance)
                .bind(to)
                .bind(new.amount)
                .bind(new.currency)
                .bind(&new.external_id)
                .bind(&new.description_sealed)
                .bind(new.created_at_ms)
                .bind(iban)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// What was said of a movement.
    pub async fn movement_words(&self, id: Uuid) -> Result<Option<MovementWords>> {
        const SQL: &str =
            "SELECT external_id, description_sealed, iban FROM movements WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }
}
