//! The form of a fee, its row, and what the switch has of it.
//!
//! Invariant: what is read back is what was put.

use iso3166::Country;
use serde::{Deserialize, Serialize};
use shared::command::Channel;
use shared::fee::{FIXED_MAX, Fee, Payer, RATE_PPM_MAX, Terms};
use shared::ids::{ConfigId, Timestamp};
use shared::money::Amount;
use shared::rule::{Filter, Period};
use utoipa::ToSchema;

use super::fee_id;
use crate::error::{Code, Error, Result};
use crate::store::{FeeRow, ProgramRow};

/// The time zone in which periods begin where none is given.
const ZONE_DEFAULT: &str = "UTC";
/// The European Economic Area, within which a payment is intra-regional.
const EEA: [&str; 30] = [
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IS", "IE", "IT",
    "LV", "LI", "LT", "LU", "MT", "NL", "NO", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
];
/// So long after it was made a fee is known everywhere.
const KNOWN_AFTER_MS: u64 = 10_000;
/// A country that the message does not state.
const UNSTATED: u16 = 0;

/// A fee of a program, as it is put and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramFee {
    /// What it is for. All but fixed and ratePpm is for ever.
    pub(super) kind: FeeKind,
    /// Once for each thing, in minor units of the program's currency.
    #[serde(default)]
    fixed: i64,
    /// Parts of a million of the amount: 25000 is 2.5 %.
    #[serde(default)]
    rate_ppm: u32,
    #[serde(default)]
    settlement: Settlement,
    /// Where the payments that it is on are acquired, seen from homeCountry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
    /// ISO 3166 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home_country: Option<String>,
    /// How often a periodic fee is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<FeePeriod>,
    /// IANA name of the zone in which periods begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// A period in which the card or account paid this much costs nothing, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waived_from: Option<i64>,
}

/// What a fee is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FeeKind {
    /// A balance that is opened.
    AccountCreation,
    /// A card that is issued or ordered.
    CardCreation,
    /// A token that a wallet pays with in place of a card.
    TokenCreation,
    /// A balance that is open at the end of a period.
    AccountPeriodic,
    /// A card that is there at the end of a period.
    CardPeriodic,
    /// A payment at a merchant's terminal.
    Pos,
    /// A payment in e-commerce.
    Ecommerce,
    /// Cash or a payment at a cash machine.
    Atm,
    /// A transfer to another balance.
    Transfer,
    /// A payment in another currency than the balance's.
    Conversion,
}

/// When a fee is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Settlement {
    /// At once, by the holder.
    #[default]
    Instant,
    /// Later, by the partner.
    Invoice,
}

/// Where a payment is acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Region {
    /// In the home country, or where the message does not say.
    Domestic,
    /// Elsewhere in the European Economic Area.
    Intra,
    /// Everywhere else.
    Inter,
}

/// How often a fee is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FeePeriod {
    /// Each day.
    Day,
    /// Each week, from Monday.
    Week,
    /// Each month.
    Month,
}

impl FeeKind {
    const fn is_on_payments(self) -> bool {
        match self {
            Self::Pos | Self::Ecommerce | Self::Atm | Self::Conversion => true,
            Self::AccountCreation
            | Self::CardCreation
            | Self::TokenCreation
            | Self::AccountPeriodic
            | Self::CardPeriodic
            | Self::Transfer => false,
        }
    }

    const fn is_periodic(self) -> bool {
        matches!(self, Self::AccountPeriodic | Self::CardPeriodic)
    }

    fn channels(self) -> Vec<Channel> {
        match self {
            // What does not say how it was made was not made remotely or at a machine.
            Self::Pos => vec![Channel::Pos, Channel::Unknown],
            Self::Ecommerce => vec![Channel::Ecommerce],
            Self::Atm => vec![Channel::Atm],
            Self::AccountCreation
            | Self::CardCreation
            | Self::TokenCreation
            | Self::AccountPeriodic
            | Self::CardPeriodic
            | Self::Transfer
            | Self::Conversion => Vec::new(),
        }
    }
}

impl FeePeriod {
    const fn shared(self) -> Period {
        match self {
            Self::Day => Period::Day,
            Self::Week => Period::Week,
            Self::Month => Period::Month,
        }
    }
}

/// The name that a value has in JSON and in SQL.
fn name_of(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_value(value)?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

fn value_of<T: for<'a> Deserialize<'a>>(name: &str) -> Result<T> {
    Ok(serde_json::from_value(serde_json::Value::String(name.to_owned()))?)
}

fn fault(field: &'static str, message: &'static str) -> Error {
    Error::fault(Code::InvalidRequest, field, message)
}

impl ProgramFee {
    /// The row of a fee of `program` that is made at `now`.
    pub(super) fn row(&self, program: &ProgramRow, now: Timestamp) -> Result<FeeRow> {
        self.check()?;
        let zone = self.time_zone.clone().unwrap_or_else(|| ZONE_DEFAULT.to_owned());
        // A period that runs already is not charged any more, nor one that begins before everybody
        // knows of the fee.
        let known = Timestamp(now.0.saturating_add(KNOWN_AFTER_MS));
        let next = self.period.map(|period| {
            let window = period.shared().window(&zone, known);
            window.ok_or_else(|| fault("timeZone", "must be an IANA time zone"))
        });
        let next = next.transpose()?.map(|window| i64::try_from(window.end).unwrap_or(i64::MAX));
        Ok(FeeRow {
            id: 0,
            config_id: program.config_id.clone(),
            partner_id: program.partner_id,
            currency: program.currency,
            kind: name_of(&self.kind)?,
            settlement: name_of(&self.settlement)?,
            fixed: self.fixed,
            rate_ppm: i64::from(self.rate_ppm),
            region: self.region.as_ref().map(name_of).transpose()?,
            home_country: self.home_country.clone(),
            period: self.period.as_ref().map(name_of).transpose()?,
            zone,
            waived_from: self.waived_from,
            next_period_ms: next,
        })
    }

    fn check(&self) -> Result<()> {
        let takes_rate = self.kind.is_on_payments() || self.kind == FeeKind::Transfer;
        if !(0..=FIXED_MAX.0).contains(&self.fixed) {
            return Err(fault("fixed", "must be 0 to 1000000000000"));
        }
        if self.rate_ppm > if takes_rate { RATE_PPM_MAX } else { 0 } {
            let message = "must be up to 1000000 on payments and transfers, and 0 on all else";
            return Err(fault("ratePpm", message));
        }
        if self.fixed == 0 && self.rate_ppm == 0 {
            return Err(fault("fixed", "nothing would be charged"));
        }
        if self.region.is_some() != self.home_country.is_some() {
            return Err(fault("homeCountry", "comes with region, and only with it"));
        }
        if self.region.is_some() && !self.kind.is_on_payments() {
            return Err(fault("region", "is for fees on payments"));
        }
        countries(self.region, self.home_country.as_deref())?;
        if self.period.is_some() != self.kind.is_periodic() {
            return Err(fault("period", "is for periodic fees, which must have it"));
        }
        if self.time_zone.is_some() && self.period.is_none() {
            return Err(fault("timeZone", "is for periodic fees"));
        }
        match self.waived_from {
            Some(_) if !self.kind.is_periodic() => Err(fault("waivedFrom", "is for periodic fees")),
            Some(..=0) => Err(fault("waivedFrom", "must be more than zero")),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn of(row: &FeeRow) -> Result<Self> {
        let period: Option<FeePeriod> = row.period.as_deref().map(value_of).transpose()?;
        Ok(Self {
            kind: value_of(&row.kind)?,
            fixed: row.fixed,
            rate_ppm: u32::try_from(row.rate_ppm).unwrap_or_default(),
            settlement: value_of(&row.settlement)?,
            region: row.region.as_deref().map(value_of).transpose()?,
            home_country: row.home_country.clone(),
            period,
            time_zone: period.map(|_periodic| row.zone.clone()),
            waived_from: row.waived_from,
        })
    }
}

/// Numbers of the countries that a payment may be acquired in; none for all.
fn countries(region: Option<Region>, home: Option<&str>) -> Result<Vec<u16>> {
    let (Some(region), Some(home)) = (region, home) else { return Ok(Vec::new()) };
    let home = Country::from_alpha2(home)
        .ok_or_else(|| fault("homeCountry", "must be an ISO 3166 code of two letters"))?;
    let at_home = EEA.contains(&home.alpha2);
    let near = |country: &&Country| at_home && EEA.contains(&country.alpha2);
    let others = iso3166::LIST.iter().copied().filter(|country| country.id != home.id);
    let number = |country: &Country| country.id;
    let found: Vec<u16> = match region {
        Region::Domestic => vec![home.id, UNSTATED],
        Region::Intra => others.filter(near).map(number).collect(),
        Region::Inter => others.filter(|country| !near(country)).map(number).collect(),
    };
    match found.is_empty() {
        true => Err(fault("region", "INTRA is within the European Economic Area")),
        false => Ok(found),
    }
}

/// What the switch has of a fee; `None` where it is not on payments.
pub(super) fn on_payments(row: &FeeRow) -> Result<Option<Fee>> {
    let form = ProgramFee::of(row)?;
    if !form.kind.is_on_payments() {
        return Ok(None);
    }
    let program = ConfigId::parse(&row.config_id)
        .ok_or_else(|| Error::internal("fees", &"a program's id is damaged"))?;
    let countries = countries(form.region, form.home_country.as_deref())?;
    let filter = Filter { channels: form.kind.channels(), countries, ..Filter::default() };
    let converted = form.kind == FeeKind::Conversion;
    Ok(Some(Fee { id: fee_id(row.id), program, filter, converted, terms: terms(row)? }))
}

/// What a fee comes to, and who pays.
pub(crate) fn terms(row: &FeeRow) -> Result<Terms> {
    let payer = match value_of::<Settlement>(&row.settlement)? {
        Settlement::Instant => Payer::Holder,
        Settlement::Invoice => Payer::Partner,
    };
    let rate_ppm = u32::try_from(row.rate_ppm).unwrap_or_default();
    Ok(Terms { fixed: Amount(row.fixed), rate_ppm, payer })
}

/// The period of a fee that begins at `start`: its end; `None` where it has none.
pub(crate) fn period_end(row: &FeeRow, start: i64) -> Result<Option<i64>> {
    let period: Option<FeePeriod> = row.period.as_deref().map(value_of).transpose()?;
    let at = Timestamp(u64::try_from(start).unwrap_or_default());
    let window = period.and_then(|period| period.shared().window(&row.zone, at));
    Ok(window.map(|window| i64::try_from(window.end).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLAND: u16 = 616;
    const GERMANY: u16 = 276;
    const BRITAIN: u16 = 826;

    #[test]
    fn every_country_is_in_one_region() {
        for home in ["PL", "GB", "US"] {
            let of = |region| countries(Some(region), Some(home)).unwrap_or_default();
            let all: Vec<u16> =
                [Region::Domestic, Region::Intra, Region::Inter].into_iter().flat_map(of).collect();
            let mut once = all.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), all.len(), "{home}");
            assert_eq!(all.len(), iso3166::LIST.len() + 1, "{home}, and unstated");
        }
        let from_poland = |region| countries(Some(region), Some("PL")).unwrap();
        assert_eq!(from_poland(Region::Domestic), [POLAND, UNSTATED]);
        assert!(from_poland(Region::Intra).contains(&GERMANY));
        assert!(from_poland(Region::Inter).contains(&BRITAIN));
        assert!(countries(Some(Region::Intra), Some("GB")).is_err());
        assert!(countries(Some(Region::Inter), Some("pl")).is_err());
        assert_eq!(countries(None, None), Ok(Vec::new()));
    }

    #[test]
    fn all_countries_fit_a_filter() {
        for region in [Region::Domestic, Region::Intra, Region::Inter] {
            let countries = countries(Some(region), Some("PL")).unwrap();
            assert!(Filter { countries, ..Filter::default() }.is_sound(), "{region:?}");
        }
    }
}
