//! Card programs.

use shared::card::YearMonth;
use shared::command::{Collateral, Custody, OnSilence, Policy, Program};
use shared::ids::{ConfigId, PartnerId, Timestamp};
use shared::lock_code::LockSource;
use shared::money::{Amount, Currency};

use super::{Result, Store, on};
use crate::error::Error;

/// A program; what the switch has of it is told from here at every start.
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
    /// 1 where a customer whose identity is checked gets a balance in its currency by itself.
    pub auto_balance: i64,
    /// What the partner puts up: `NONE`, `DEPOSIT`, `CREDIT` or `TECHNICAL`.
    pub collateral: String,
    /// Hours that a hold of a purchase lives.
    pub purchase_hold_hours: i64,
    /// Hours that a hold of cash lives.
    pub cash_hold_hours: i64,
    /// Hours that a pending credit lives.
    pub credit_hold_hours: i64,
    /// 1 where a part may be approved.
    pub partial_approval: i64,
    /// Payment credits up to this are available at once.
    pub instant_credit_max: i64,
    /// Wrong PINs in a row after which lock 6 is set.
    pub wrong_entries_max: i64,
    /// Country and first characters of the IBANs of balances in its currency, where it gives them.
    pub iban_prefix: Option<String>,
    /// Milliseconds that its partner has to answer, where that keeps its holders' money.
    pub answer_ms: Option<i64>,
    /// What is told where the partner does not: `DECLINE` or `STAND_IN`.
    pub on_silence: Option<String>,
    /// Whose locks its cardholders may lift: names of [`LOCK_SOURCES`], with commas.
    pub cardholder_lifts: String,
    /// 1 where the network verifies CVC2 by itself.
    pub network_verifies: i64,
    /// 1 where the BIN is the partner's own.
    pub own_bin: i64,
    /// What its application calls itself on /lifecycle.
    pub application_id: Option<String>,
    /// The processor that alone speaks of its cards.
    pub processor: Option<i64>,
}

/// Those who set locks.
pub const LOCK_SOURCES: [LockSource; 5] = [
    LockSource::User,
    LockSource::Partner,
    LockSource::Admin,
    LockSource::Outside,
    LockSource::Switch,
];

/// The name of one of them.
#[must_use]
pub const fn lock_source_name(source: LockSource) -> &'static str {
    match source {
        LockSource::User => "USER",
        LockSource::Partner => "PARTNER",
        LockSource::Admin => "ADMIN",
        LockSource::Outside => "OUTSIDE",
        LockSource::Switch => "SWITCH",
    }
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

/// A collateral's name in SQL.
#[must_use]
pub const fn collateral_name(collateral: Collateral) -> &'static str {
    match collateral {
        Collateral::None => "NONE",
        Collateral::Deposit => "DEPOSIT",
        Collateral::Credit => "CREDIT",
        Collateral::Technical => "TECHNICAL",
    }
}

impl ProgramRow {
    /// What its cards are made of.
    pub fn kind(&self) -> crate::error::Result<CardKind> {
        [CardKind::Virtual, CardKind::Physical, CardKind::DigitalFirst]
            .into_iter()
            .find(|kind| kind.name() == self.card_kind)
            .ok_or_else(|| Error::internal("programs", &"a kind is unknown"))
    }

    /// The last month of a card that is issued or renewed at `now`.
    #[must_use]
    pub fn expiry_from(&self, now: Timestamp) -> YearMonth {
        YearMonth::of(now).plus_months(i32::try_from(self.months_valid).unwrap_or_default())
    }

    /// What the switch has of it; `None` where a row was written by other hands.
    #[must_use]
    pub fn shared(&self) -> Option<Program> {
        let kinds =
            [Collateral::None, Collateral::Deposit, Collateral::Credit, Collateral::Technical];
        let hours = |hours: i64| u16::try_from(hours).ok();
        Some(Program {
            id: ConfigId::parse(&self.config_id)?,
            partner: PartnerId(u32::try_from(self.partner_id).ok()?),
            currency: Currency(u16::try_from(self.currency).ok()?),
            collateral: kinds.into_iter().find(|kind| collateral_name(*kind) == self.collateral)?,
            policy: Policy {
                purchase_hold_hours: hours(self.purchase_hold_hours)?,
                cash_hold_hours: hours(self.cash_hold_hours)?,
                credit_hold_hours: hours(self.credit_hold_hours)?,
                partial_approval: self.partial_approval != 0,
                instant_credit_max: Amount(self.instant_credit_max),
                pin_tries_max: u8::try_from(self.wrong_entries_max).ok()?,
            },
        })
    }
}

/// Names of what is told where a partner does not answer.
const ON_SILENCE: [(OnSilence, &str); 2] =
    [(OnSilence::Decline, "DECLINE"), (OnSilence::LetNetworkStandIn, "STAND_IN")];

impl ProgramRow {
    /// Whose locks its cardholders may lift.
    #[must_use]
    pub fn lifted_by_holders(&self) -> Vec<LockSource> {
        let named = |name: &str| self.cardholder_lifts.split(',').any(|one| one == name);
        LOCK_SOURCES.into_iter().filter(|source| named(lock_source_name(*source))).collect()
    }

    /// How its partner is asked, where that keeps its holders' money.
    #[must_use]
    pub fn custody(&self) -> Option<Custody> {
        let named = self.on_silence.as_deref();
        let known = ON_SILENCE.iter().find(|(_, name)| Some(*name) == named);
        Some(Custody {
            answer_ms: u16::try_from(self.answer_ms?).ok()?,
            on_silence: known.map_or(OnSilence::Decline, |(silence, _)| *silence),
        })
    }
}

/// The name of what is told where a partner does not answer.
#[must_use]
pub fn silence_name(silence: OnSilence) -> &'static str {
    ON_SILENCE.iter().find(|(known, _)| *known == silence).map_or("DECLINE", |(_, name)| name)
}

impl Store {
    /// Makes or replaces a program.
    pub async fn put_program(&self, row: &ProgramRow) -> Result<()> {
        const SQL: &str = "INSERT INTO programs \
             (config_id, partner_id, currency, bin, first_state, months_valid, card_kind, \
             auto_balance, collateral, purchase_hold_hours, cash_hold_hours, credit_hold_hours, \
             partial_approval, instant_credit_max, wrong_entries_max, iban_prefix, answer_ms, \
             on_silence, cardholder_lifts, network_verifies, own_bin, application_id, processor) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23) \
             ON CONFLICT (config_id) DO UPDATE SET \
             bin = excluded.bin, first_state = excluded.first_state, \
             months_valid = excluded.months_valid, card_kind = excluded.card_kind, \
             auto_balance = excluded.auto_balance, collateral = excluded.collateral, \
             purchase_hold_hours = excluded.purchase_hold_hours, \
             cash_hold_hours = excluded.cash_hold_hours, \
             credit_hold_hours = excluded.credit_hold_hours, \
             partial_approval = excluded.partial_approval, \
             instant_credit_max = excluded.instant_credit_max, \
             wrong_entries_max = excluded.wrong_entries_max, \
             iban_prefix = excluded.iban_prefix, answer_ms = excluded.answer_ms, \
             on_silence = excluded.on_silence, \
             cardholder_lifts = excluded.cardholder_lifts, \
             network_verifies = excluded.network_verifies, own_bin = excluded.own_bin, \
             application_id = excluded.application_id, processor = excluded.processor";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(&row.config_id)
                .bind(row.partner_id)
                .bind(row.currency)
                .bind(&row.bin)
                .bind(&row.first_state)
                .bind(row.months_valid)
                .bind(&row.card_kind)
                .bind(row.auto_balance)
                .bind(&row.collateral)
                .bind(row.purchase_hold_hours)
                .bind(row.cash_hold_hours)
                .bind(row.credit_hold_hours)
                .bind(row.partial_approval)
                .bind(row.instant_credit_max)
                .bind(row.wrong_entries_max)
                .bind(&row.iban_prefix)
                .bind(row.answer_ms)
                .bind(&row.on_silence)
                .bind(&row.cardholder_lifts)
                .bind(row.network_verifies)
                .bind(row.own_bin)
                .bind(&row.application_id)
                .bind(row.processor)
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// A partner's program.
    pub async fn program(&self, partner: i64, config_id: &str) -> Result<Option<ProgramRow>> {
        let program = self.program_of_card(config_id).await?;
        Ok(program.filter(|program| program.partner_id == partner))
    }

    /// The program of a card.
    pub async fn program_of_card(&self, config_id: &str) -> Result<Option<ProgramRow>> {
        const SQL: &str = "SELECT config_id, partner_id, currency, bin, first_state, \
             months_valid, card_kind, auto_balance, collateral, purchase_hold_hours, \
             cash_hold_hours, credit_hold_hours, partial_approval, instant_credit_max, \
             wrong_entries_max, iban_prefix, answer_ms, on_silence, cardholder_lifts, \
             network_verifies, own_bin, application_id, processor FROM programs \
             WHERE config_id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(config_id).fetch_optional(pool).await)?)
    }

    /// Every program, of one partner where one is given.
    pub async fn programs(&self, partner: Option<i64>) -> Result<Vec<ProgramRow>> {
        const SQL: &str = "SELECT config_id, partner_id, currency, bin, first_state, \
             months_valid, card_kind, auto_balance, collateral, purchase_hold_hours, \
             cash_hold_hours, credit_hold_hours, partial_approval, instant_credit_max, \
             wrong_entries_max, iban_prefix, answer_ms, on_silence, cardholder_lifts, \
             network_verifies, own_bin, application_id, processor FROM programs \
             WHERE partner_id = COALESCE($1, partner_id) ORDER BY config_id";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(partner).fetch_all(pool).await)?)
    }

    /// Whether a program of a partner calls its application so.
    pub async fn has_application(&self, partner: i64, application: &str) -> Result<bool> {
        const SQL: &str =
            "SELECT COUNT(*) FROM programs WHERE partner_id = $1 AND application_id = $2";
        let found: i64 = on!(self, pool => {
            sqlx::query_scalar(SQL).bind(partner).bind(application).fetch_one(pool).await
        })?;
        Ok(found > 0)
    }
}
