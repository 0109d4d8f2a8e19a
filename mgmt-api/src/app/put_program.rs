//! Programs and partners as data: PUT and GET under /admin. Source: requirements #22, #23.
//!
//! Invariants: the switch has a program before SQL does, and refuses what would break open holds;
//! partner, currency and collateral of a program are for ever.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::command::{ANSWER_MS_MAX, Change, Policy};
use shared::control::Refusal;
use shared::ids::{CommandId, ConfigId, PartnerId};
use shared::lock_code::LockSource;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    App, Body, PartnerPath, ProgramPath, check_text, command_id, currency, currency_of_row,
    derived_command,
};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::iban;
use crate::store::{PartnerUpdate, ProgramRow, lock_source_name};

/// Milliseconds that a partner has to answer unless it says otherwise.
const ANSWER_MS: u16 = 2_000;
/// With less, nobody could be asked.
const ANSWER_MS_MIN: u16 = 100;
/// Months that a card may be good for.
const MONTHS: core::ops::RangeInclusive<u8> = 1..=120;
/// Digits of a BIN.
const BIN_DIGITS: core::ops::RangeInclusive<usize> = 6..=12;
const NAME_CHARS_MAX: usize = 64;

/// A card program, as it is put and shown.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CardProgram {
    /// Number of the partner whose it is, for ever.
    partner: u32,
    /// The only currency of its cards, for ever.
    currency: String,
    /// First digits of its cards' numbers, 6 to 12.
    bin: String,
    /// The BIN is the partner's own. Without, what a partner that keeps its holders' money lets
    /// them spend is bounded by what it put up.
    #[serde(default)]
    own_bin: bool,
    card_kind: ProgramKind,
    /// What the partner puts up, for ever.
    #[serde(default)]
    collateral: ProgramCollateral,
    /// Its cards are activated by their holders.
    #[serde(default)]
    starts_inactive: bool,
    /// Months that its cards are good for, 1 to 120.
    months_valid: u8,
    /// A customer whose identity is checked gets a balance in its currency by itself.
    #[serde(default)]
    automatic_balance: bool,
    /// Balances in its currency get an IBAN that begins with this: the country's letters and the
    /// first characters behind the check digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iban_prefix: Option<String>,
    /// What its application calls itself in `Application-Id` on /lifecycle, beside the
    /// installation's name: up to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application_id: Option<String>,
    /// Number of the processor that alone locks its cards from outside and has passwords sent for
    /// them. Without, each may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processor: Option<u32>,
    #[serde(default)]
    policy: ProgramPolicy,
    /// The money of its holders is with the partner, which needs a licence for that and is asked
    /// for each payment; for ever, from before its first card on. Without, it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custody: Option<ProgramCustody>,
}

/// How a partner is asked that keeps its holders' money.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProgramCustody {
    /// Milliseconds that it has to answer, 100 to 10,000.
    #[serde(default = "answer_ms")]
    answer_within_ms: u16,
    /// What is told where it does not answer.
    #[serde(default)]
    on_silence: ProgramSilence,
}

/// What is told where a partner does not answer in time.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProgramSilence {
    /// A final decline.
    #[default]
    Decline,
    /// That the issuer is not there: the network may decide by itself.
    StandIn,
}

const fn answer_ms() -> u16 {
    ANSWER_MS
}

/// What a program's cards are made of.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProgramKind {
    /// Numbers alone.
    Virtual,
    /// Plastic.
    Physical,
    /// Numbers with a blank plastic copy.
    DigitalFirst,
}

/// What stands behind a program's authorizations and top-ups.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProgramCollateral {
    /// Nothing.
    #[default]
    None,
    /// The partner's deposit is held at each authorization.
    Deposit,
    /// The partner's credit balance is charged at each top-up.
    Credit,
    /// The partner's technical balance is held at each authorization.
    Technical,
}

/// The rules of a program that may change; open holds keep the lifetime that they were given.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ProgramPolicy {
    /// Hours that a hold of a purchase lives.
    purchase_hold_hours: u16,
    /// Hours that a hold of cash lives.
    cash_hold_hours: u16,
    /// Hours that a pending credit lives.
    credit_hold_hours: u16,
    /// A part may be approved where the money does not cover the whole.
    partial_approval: bool,
    /// Payment credits up to this are available at once, in minor units.
    instant_credit_max: i64,
    /// Wrong PINs in a row after which lock 6 is set.
    pin_tries_max: u8,
    /// Whose locks of a card its holder may lift or replace; those for ever nobody lifts.
    cardholder_lifts: Vec<ProgramLocker>,
    /// The network verifies CVC2 by itself: none can be reset here.
    network_verifies_cvc2: bool,
}

/// Who set a lock.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProgramLocker {
    /// The cardholder.
    User,
    /// The partner.
    Partner,
    /// An operator.
    Admin,
    /// A network or an acquirer.
    Outside,
    /// The switch, after wrong PINs.
    Switch,
}

/// A program with its `configId`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownProgram {
    config_id: String,
    program: CardProgram,
}

/// Programs in order of their ids.
#[derive(Serialize, ToSchema)]
pub struct ProgramList {
    items: Vec<ShownProgram>,
}

/// A partner, as it is put.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartnerData {
    /// Its other name; for ever once it is given.
    issuer_code: Option<String>,
    /// Who decides its customers' identity checks.
    kyc_mode: Option<KycMode>,
    /// What people call it.
    name: Option<String>,
    /// It has a bank's or a payment institution's licence: it may keep its holders' money.
    licensed: Option<bool>,
}

/// Who decides identity checks. Source: requirements #44.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum KycMode {
    /// Operators.
    Manual,
    /// The automatic provider.
    Automatic,
    /// The partner, who sets the flag itself.
    External,
}

impl Default for ProgramPolicy {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            purchase_hold_hours: policy.purchase_hold_hours,
            cash_hold_hours: policy.cash_hold_hours,
            credit_hold_hours: policy.credit_hold_hours,
            partial_approval: policy.partial_approval,
            instant_credit_max: policy.instant_credit_max.0,
            pin_tries_max: policy.pin_tries_max,
            cardholder_lifts: ProgramLocker::ALL.map(|(locker, _)| locker).into(),
            network_verifies_cvc2: false,
        }
    }
}

impl App {
    /// Makes or changes a program.
    pub async fn put_program(
        &self,
        by: Call,
        at: ProgramPath,
        body: Body<CardProgram>,
    ) -> Result<Response> {
        by.check_sees_all()?;
        let row = body.content.row(&at.program)?;
        let draw = async || {
            let processor = body.content.processor;
            if processor.is_some_and(|id| self.processors.iter().all(|known| !known.is(id))) {
                return Err(Error::fault(Code::InvalidRequest, "processor", "is not known here"));
            }
            Ok(Uuid::now_v7())
        };
        let carry_out = async |command: Uuid| {
            self.put_program_row(command, &row).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// The programs that the caller may see.
    pub async fn list_programs(&self, by: Call) -> Result<Response> {
        let rows = self.store.programs(by.caller.scope().partner).await?;
        let items = rows.iter().map(ShownProgram::of).collect::<Result<_>>()?;
        Ok(Answer::ok(&ProgramList { items })?.into_response())
    }

    /// A card program.
    pub async fn show_program(&self, by: Call, at: ProgramPath) -> Result<Response> {
        let row = self.visible_program(&by, &at.program).await?;
        Ok(Answer::ok(&ShownProgram::of(&row)?)?.into_response())
    }

    /// Makes a partner known, or changes it.
    pub async fn put_partner(
        &self,
        by: Call,
        at: PartnerPath,
        body: Body<PartnerData>,
    ) -> Result<Response> {
        by.check_sees_all()?;
        let PartnerData { issuer_code, kyc_mode, name, licensed } = body.content;
        let number = at.partner.parse::<u32>().ok().filter(|number| *number > 0);
        let partner = PartnerId(number.ok_or_else(|| {
            Error::fault(Code::InvalidRequest, "partner", "must be a number above zero")
        })?);
        if let Some(code) = &issuer_code {
            check_text("issuerCode", code, NAME_CHARS_MAX)?;
        }
        if let Some(name) = &name {
            check_text("name", name, NAME_CHARS_MAX)?;
        }
        let carry_out = async |command: Uuid| {
            let update = PartnerUpdate {
                issuer_code: issuer_code.as_deref(),
                kyc_mode: kyc_mode.map(KycMode::name),
                name: name.as_deref(),
                licensed: licensed.map(i64::from),
            };
            if !self.store.update_partner(i64::from(partner.0), &update).await? {
                return Err(Code::PartnerExists.into());
            }
            self.link.change(command_id(command), Change::PutPartner(partner)).await?.result?;
            Ok(Answer::no_content())
        };
        self.once(&by, body.hash, async || Ok(Uuid::now_v7()), carry_out).await
    }

    async fn put_program_row(&self, command: Uuid, row: &ProgramRow) -> Result<()> {
        let unsound = |message| Error::fault(Code::InvalidRequest, "policy", message);
        let program = row.shared().ok_or_else(|| unsound("is out of its bounds"))?;
        let id = program.id;
        let known = self.store.program_of_card(&row.config_id).await?;
        if row.answer_ms.is_some() {
            let keeps = known.as_ref().is_some_and(|known| known.answer_ms.is_some());
            let partner = self.store.partner(row.partner_id).await?;
            // What is kept already stays where it is, and its rules may be tightened.
            if !keeps && partner.is_none_or(|partner| partner.licensed == 0) {
                return Err(Code::PartnerNotLicensed.into());
            }
            if self.balance_endpoint(row.partner_id).await?.is_none() {
                return Err(Code::BalanceEndpointMissing.into());
            }
        }
        if row.answer_ms.is_none() && known.as_ref().is_some_and(|known| known.answer_ms.is_some())
        {
            return Err(Code::ProgramFixed.into());
        }
        let custody = row.custody().map(|custody| Change::PutCustody(id, custody));
        let program = Change::PutProgram(program);
        let derived = derived_command(command, "custody");
        // Of what is refused nothing is kept: a program that has cards is asked for its custody
        // first.
        match (custody, known.is_some()) {
            (Some(custody), true) => {
                self.put_at_switch(derived, custody).await?;
                self.put_at_switch(command_id(command), program).await?;
            }
            (Some(custody), false) => {
                self.put_at_switch(command_id(command), program).await?;
                self.put_at_switch(derived, custody).await?;
            }
            (None, _) => self.put_at_switch(command_id(command), program).await?,
        }
        Ok(self.store.put_program(row).await?)
    }

    async fn put_at_switch(&self, command: CommandId, change: Change) -> Result<()> {
        let unsound = |message| Error::fault(Code::InvalidRequest, "policy", message);
        match self.link.change(command, change).await?.result {
            Ok(()) => Ok(()),
            Err(Refusal::Unsound) => Err(unsound("cannot be a policy")),
            Err(Refusal::IdTaken | Refusal::OtherCustody) => Err(Code::ProgramFixed.into()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl KycMode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::Automatic => "AUTOMATIC",
            Self::External => "EXTERNAL",
        }
    }
}

impl ProgramKind {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Virtual, "VIRTUAL"),
        (Self::Physical, "PHYSICAL"),
        (Self::DigitalFirst, "DIGITAL_FIRST"),
    ];
}

impl ProgramLocker {
    const ALL: [(Self, LockSource); 5] = [
        (Self::User, LockSource::User),
        (Self::Partner, LockSource::Partner),
        (Self::Admin, LockSource::Admin),
        (Self::Outside, LockSource::Outside),
        (Self::Switch, LockSource::Switch),
    ];

    /// The lockers' names in SQL.
    fn names(lockers: &[Self]) -> String {
        let named = Self::ALL.iter().filter(|(locker, _)| lockers.contains(locker));
        let names: Vec<&str> = named.map(|(_, source)| lock_source_name(*source)).collect();
        names.join(",")
    }
}

impl ProgramSilence {
    const ALL: [(Self, &'static str); 2] =
        [(Self::Decline, "DECLINE"), (Self::StandIn, "STAND_IN")];
}

impl ProgramCollateral {
    const ALL: [(Self, &'static str); 4] = [
        (Self::None, "NONE"),
        (Self::Deposit, "DEPOSIT"),
        (Self::Credit, "CREDIT"),
        (Self::Technical, "TECHNICAL"),
    ];
}

/// The name of a value in a closed list.
fn name_in<T: PartialEq + Copy>(all: &[(T, &'static str)], value: T) -> String {
    let known = all.iter().find(|(known, _)| *known == value);
    known.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
}

fn value_in<T: Copy>(all: &[(T, &'static str)], name: &str) -> Result<T> {
    let known = all.iter().find(|(_, known)| *known == name).map(|(value, _)| *value);
    known.ok_or_else(|| Error::internal("programs", &"a name is unknown"))
}

impl CardProgram {
    fn row(&self, config: &str) -> Result<ProgramRow> {
        let fault = |field, message| Error::fault(Code::InvalidRequest, field, message);
        let config = ConfigId::parse(config)
            .ok_or_else(|| fault("configId", "must be ten digits"))?
            .to_string();
        let is_bin = BIN_DIGITS.contains(&self.bin.len())
            && self.bin.bytes().all(|byte| byte.is_ascii_digit());
        if !is_bin {
            return Err(fault("bin", "must be 6 to 12 digits"));
        }
        if !MONTHS.contains(&self.months_valid) {
            return Err(fault("monthsValid", "must be 1 to 120"));
        }
        if let Some(application) = &self.application_id {
            check_text("applicationId", application, NAME_CHARS_MAX)?;
        }
        if self.iban_prefix.as_deref().is_some_and(|prefix| iban::make(prefix, 1).is_none()) {
            return Err(fault("ibanPrefix", "must be a country and room for a serial number"));
        }
        let answers = self.custody.as_ref().map(|custody| custody.answer_within_ms);
        if answers.is_some_and(|within| !(ANSWER_MS_MIN..=ANSWER_MS_MAX).contains(&within)) {
            return Err(fault("custody.answerWithinMs", "must be 100 to 10000"));
        }
        if self.custody.is_some() && self.collateral == ProgramCollateral::Credit {
            return Err(fault("collateral", "CREDIT needs the holders' money here"));
        }
        if self.custody.is_some() && self.collateral == ProgramCollateral::None && !self.own_bin {
            return Err(fault("collateral", "is needed without a BIN of the partner's own"));
        }
        let first = if self.starts_inactive { CardState::Linked } else { CardState::Active };
        let policy = &self.policy;
        Ok(ProgramRow {
            config_id: config,
            partner_id: i64::from(self.partner),
            currency: i64::from(currency(&self.currency)?.0),
            bin: self.bin.clone(),
            first_state: first.name().to_owned(),
            months_valid: i64::from(self.months_valid),
            card_kind: name_in(&ProgramKind::ALL, self.card_kind),
            auto_balance: i64::from(self.automatic_balance),
            collateral: name_in(&ProgramCollateral::ALL, self.collateral),
            purchase_hold_hours: i64::from(policy.purchase_hold_hours),
            cash_hold_hours: i64::from(policy.cash_hold_hours),
            credit_hold_hours: i64::from(policy.credit_hold_hours),
            partial_approval: i64::from(policy.partial_approval),
            instant_credit_max: policy.instant_credit_max,
            wrong_entries_max: i64::from(policy.pin_tries_max),
            iban_prefix: self.iban_prefix.clone(),
            answer_ms: self.custody.as_ref().map(|custody| i64::from(custody.answer_within_ms)),
            cardholder_lifts: ProgramLocker::names(&policy.cardholder_lifts),
            network_verifies: i64::from(policy.network_verifies_cvc2),
            own_bin: i64::from(self.own_bin),
            application_id: self.application_id.clone(),
            processor: self.processor.map(i64::from),
            on_silence: self
                .custody
                .as_ref()
                .map(|custody| name_in(&ProgramSilence::ALL, custody.on_silence)),
        })
    }
}

impl ShownProgram {
    fn of(row: &ProgramRow) -> Result<Self> {
        let hours = |hours: i64| u16::try_from(hours).unwrap_or_default();
        let lifted = row.lifted_by_holders();
        let lockers = ProgramLocker::ALL.iter().filter(|(_, source)| lifted.contains(source));
        Ok(Self {
            config_id: row.config_id.clone(),
            program: CardProgram {
                partner: u32::try_from(row.partner_id).unwrap_or_default(),
                currency: currency_of_row(row.currency).to_string(),
                bin: row.bin.clone(),
                own_bin: row.own_bin != 0,
                card_kind: value_in(&ProgramKind::ALL, &row.card_kind)?,
                collateral: value_in(&ProgramCollateral::ALL, &row.collateral)?,
                starts_inactive: row.first_state == CardState::Linked.name(),
                months_valid: u8::try_from(row.months_valid).unwrap_or_default(),
                automatic_balance: row.auto_balance != 0,
                iban_prefix: row.iban_prefix.clone(),
                application_id: row.application_id.clone(),
                processor: row.processor.and_then(|id| u32::try_from(id).ok()),
                custody: row.answer_ms.map(|within| ProgramCustody {
                    answer_within_ms: u16::try_from(within).unwrap_or_default(),
                    on_silence: row
                        .on_silence
                        .as_deref()
                        .and_then(|name| value_in(&ProgramSilence::ALL, name).ok())
                        .unwrap_or_default(),
                }),
                policy: ProgramPolicy {
                    purchase_hold_hours: hours(row.purchase_hold_hours),
                    cash_hold_hours: hours(row.cash_hold_hours),
                    credit_hold_hours: hours(row.credit_hold_hours),
                    partial_approval: row.partial_approval != 0,
                    instant_credit_max: row.instant_credit_max,
                    pin_tries_max: u8::try_from(row.wrong_entries_max).unwrap_or_default(),
                    cardholder_lifts: lockers.map(|(locker, _)| *locker).collect(),
                    network_verifies_cvc2: row.network_verifies != 0,
                },
            },
        })
    }
}
