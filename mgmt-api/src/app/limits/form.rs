//! The form of limits, and the rules of the switch that they are.
//!
//! Invariant: what is read back is what was put.

use serde::{Deserialize, Serialize};
use shared::command::Channel;
use shared::ids::RuleId;
use shared::money::{Amount, Currency};
use shared::rule::{Bound, FILTER_ENTRIES_MAX, Filter, Period, Rule, Subject};
use utoipa::ToSchema;

use crate::app::first_half;
use crate::call::Caller;
use crate::error::{Code, Error, Result};

/// The time zone in which days begin where none is given.
const ZONE_DEFAULT: &str = "UTC";
/// The limits' names: each has one rule.
pub(super) const NAMES: [&str; 14] = [
    "perTransaction",
    "daily",
    "weekly",
    "monthly",
    "count.daily",
    "count.weekly",
    "count.monthly",
    "budget",
    "channels.allowed",
    "channels.denied",
    "mcc.allowed",
    "mcc.denied",
    "countries.allowed",
    "countries.denied",
];

/// Whose a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SetBy {
    /// The issuer's side: an operator or the partner.
    Issuer,
    /// The cardholder.
    Cardholder,
}

impl SetBy {
    pub(super) const ALL: [Self; 2] = [Self::Issuer, Self::Cardholder];

    /// The side of a caller.
    pub(super) const fn of(caller: Caller) -> Self {
        match caller {
            Caller::Customer(_) => Self::Cardholder,
            Caller::Partner(_) | Caller::Operator(_) | Caller::Processor(_) => Self::Issuer,
        }
    }
}

/// Whose limits are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsAsked {
    set_by: Option<SetBy>,
}

impl LimitsAsked {
    /// The side that is asked for: the caller's own where none is named.
    pub(super) fn set_by(&self, caller: Caller) -> SetBy {
        self.set_by.unwrap_or(SetBy::of(caller))
    }

    /// The side that is to be replaced: the issuer's side may help a cardholder, and not the other
    /// way round.
    pub(super) fn set_by_one_of(&self, caller: Caller) -> Result<SetBy> {
        match (self.set_by(caller), SetBy::of(caller)) {
            (SetBy::Issuer, SetBy::Cardholder) => Err(Code::Forbidden.into()),
            (side, _) => Ok(side),
        }
    }
}

/// The body, and the answer; what is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Currency of every amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// IANA name of the zone in which days, weeks and months begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_transaction: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    daily: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weekly: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monthly: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<Counts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<Lists>,
    /// Merchant categories, `5411` or `3000-3350`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mcc: Option<Lists>,
    /// Countries of the acquirer, ISO 3166 numeric, `616`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    countries: Option<Lists>,
}

/// How many payments there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Counts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    daily: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weekly: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monthly: Option<u32>,
}

/// What may be spent in a period, declined with BUDGET_EXCEEDED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    period: BudgetPeriod,
    amount: i64,
}

/// How long a budget lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BudgetPeriod {
    /// A day.
    Daily,
    /// A week.
    Weekly,
    /// A month.
    Monthly,
}

/// What alone is allowed, or what is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lists {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    denied: Vec<String>,
}

impl Limits {
    pub(super) fn has_amounts(&self) -> bool {
        let amounts = [self.per_transaction, self.daily, self.weekly, self.monthly];
        amounts.iter().any(Option::is_some) || self.budget.is_some()
    }

    /// The currency that it states.
    pub(super) fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// The rules that these limits are.
    pub(super) fn rules(
        &self,
        set_by: SetBy,
        subject: Subject,
        currency: Currency,
    ) -> Result<Vec<(&'static str, Rule)>> {
        let zone = self.time_zone.as_deref().unwrap_or(ZONE_DEFAULT);
        let bounds = self.bounds(currency).into_iter();
        let bounds = bounds.map(|(name, bound)| (name, Filter::default(), bound));
        let rule = |(name, filter, bound)| {
            let zone = zone.to_owned();
            let id = rule_id(set_by, subject, name);
            let rule = Rule { id, subject, filter, bound, zone };
            if rule.is_sound() {
                return Ok((name, rule));
            }
            Err(Error::fault(Code::InvalidRequest, name, "cannot be a limit"))
        };
        bounds.chain(self.filters()?).map(rule).collect()
    }

    fn bounds(&self, currency: Currency) -> Vec<(&'static str, Bound)> {
        let amounts = [
            ("perTransaction", self.per_transaction, Period::Transaction),
            ("daily", self.daily, Period::Day),
            ("weekly", self.weekly, Period::Week),
            ("monthly", self.monthly, Period::Month),
        ];
        let amounts = amounts.into_iter().filter_map(|(name, max, period)| {
            Some((name, Bound::Amount { period, currency, max: Amount(max?) }))
        });
        let counts = self.count.unwrap_or_default();
        let counts = [
            ("count.daily", counts.daily, Period::Day),
            ("count.weekly", counts.weekly, Period::Week),
            ("count.monthly", counts.monthly, Period::Month),
        ];
        let counts = counts
            .into_iter()
            .filter_map(|(name, max, period)| Some((name, Bound::Count { period, max: max? })));
        let budget = self.budget.map(|Budget { period, amount }| {
            ("budget", Bound::Budget { period: period.shared(), currency, max: Amount(amount) })
        });
        amounts.chain(counts).chain(budget).collect()
    }

    fn filters(&self) -> Result<Vec<(&'static str, Filter, Bound)>> {
        type Read = fn(&[String]) -> Option<Filter>;
        let kinds: [(_, Read, _, _, _); 3] = [
            (&self.channels, channels, "channels", "channels.allowed", "channels.denied"),
            (&self.mcc, mccs, "mcc", "mcc.allowed", "mcc.denied"),
            (&self.countries, countries, "countries", "countries.allowed", "countries.denied"),
        ];
        let mut filters = Vec::new();
        for (lists, read, field, allowed, denied) in kinds {
            let Some(lists) = lists else { continue };
            for (list, name, bound) in
                [(&lists.allowed, allowed, Bound::Only), (&lists.denied, denied, Bound::Denied)]
            {
                if list.is_empty() {
                    continue;
                }
                let fits = list.len() <= FILTER_ENTRIES_MAX;
                let filter = read(list).filter(|_filter| fits).ok_or_else(|| {
                    let message = "has an entry that is none of its kind";
                    Error::fault(Code::InvalidRequest, field, message)
                })?;
                filters.push((name, filter, bound));
            }
        }
        Ok(filters)
    }

    /// Writes down a rule as the limit that it is.
    pub(super) fn note(&mut self, name: &str, rule: &Rule) {
        self.time_zone = Some(rule.zone.clone());
        if let Bound::Amount { currency, .. } | Bound::Budget { currency, .. } = rule.bound {
            self.currency = Some(currency.to_string());
        }
        match (name, rule.bound) {
            ("perTransaction", Bound::Amount { max, .. }) => self.per_transaction = Some(max.0),
            ("daily", Bound::Amount { max, .. }) => self.daily = Some(max.0),
            ("weekly", Bound::Amount { max, .. }) => self.weekly = Some(max.0),
            ("monthly", Bound::Amount { max, .. }) => self.monthly = Some(max.0),
            ("budget", Bound::Budget { period, max: Amount(amount), .. }) => {
                self.budget = BudgetPeriod::of(period).map(|period| Budget { period, amount });
            }
            (name, Bound::Count { max, .. }) => {
                let count = self.count.get_or_insert_default();
                match name {
                    "count.daily" => count.daily = Some(max),
                    "count.weekly" => count.weekly = Some(max),
                    _ => count.monthly = Some(max),
                }
            }
            (name, _) => self.note_list(name, &rule.filter),
        }
    }

    fn note_list(&mut self, name: &str, filter: &Filter) {
        let Some((kind, list)) = name.split_once('.') else { return };
        let (lists, entries) = match kind {
            "channels" => {
                let names = filter.channels.iter().filter_map(|one| channel_name(*one));
                (&mut self.channels, names.map(str::to_owned).collect())
            }
            "mcc" => (&mut self.mcc, filter.mccs.iter().map(range_text).collect()),
            _ => {
                let codes = filter.countries.iter();
                (&mut self.countries, codes.map(|code| format!("{code:03}")).collect())
            }
        };
        let lists = lists.get_or_insert_default();
        match list {
            "allowed" => lists.allowed = entries,
            _ => lists.denied = entries,
        }
    }
}

impl BudgetPeriod {
    pub(super) const fn shared(self) -> Period {
        match self {
            Self::Daily => Period::Day,
            Self::Weekly => Period::Week,
            Self::Monthly => Period::Month,
        }
    }

    pub(super) const fn of(period: Period) -> Option<Self> {
        match period {
            Period::Transaction => None,
            Period::Day => Some(Self::Daily),
            Period::Week => Some(Self::Weekly),
            Period::Month => Some(Self::Monthly),
        }
    }
}

/// The id of a subject's limit of this name, set by this side.
pub(super) fn rule_id(set_by: SetBy, subject: Subject, name: &str) -> RuleId {
    let subject = match subject {
        Subject::Card(id) => format!("card {id}"),
        Subject::Customer(id) => format!("customer {id}"),
        Subject::Program(id) => format!("program {id}"),
        Subject::Partner(id) => format!("partner {id}"),
    };
    let own = match set_by {
        SetBy::Issuer => "",
        SetBy::Cardholder => "of the cardholder, ",
    };
    RuleId(first_half(&format!("pointsman limit v1 {own}{subject} {name}")))
}

fn channels(names: &[String]) -> Option<Filter> {
    let channel = |name: &String| {
        [Channel::Pos, Channel::Atm, Channel::Ecommerce]
            .into_iter()
            .find(|channel| channel_name(*channel) == Some(name))
    };
    let channels = names.iter().map(channel).collect::<Option<_>>()?;
    Some(Filter { channels, ..Filter::default() })
}

const fn channel_name(channel: Channel) -> Option<&'static str> {
    match channel {
        Channel::Unknown => None,
        Channel::Pos => Some("POS"),
        Channel::Atm => Some("ATM"),
        Channel::Ecommerce => Some("ECOMMERCE"),
    }
}

fn mccs(ranges: &[String]) -> Option<Filter> {
    let range = |text: &String| match text.split_once('-') {
        Some((first, last)) => Some((digits(first, 4)?, digits(last, 4)?)),
        None => digits(text, 4).map(|code| (code, code)),
    };
    let mccs = ranges.iter().map(range).collect::<Option<_>>()?;
    Some(Filter { mccs, ..Filter::default() })
}

fn range_text((first, last): &(u16, u16)) -> String {
    if first == last { format!("{first:04}") } else { format!("{first:04}-{last:04}") }
}

fn countries(codes: &[String]) -> Option<Filter> {
    let countries = codes.iter().map(|code| digits(code, 3)).collect::<Option<_>>()?;
    Some(Filter { countries, ..Filter::default() })
}

/// A number written with exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u16> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_number| is_number)
}

#[cfg(test)]
mod tests {
    use shared::ids::CardId;

    use super::*;

    const CARD: Subject = Subject::Card(CardId(7));
    const EUR: Currency = Currency(978);

    fn parsed(text: &str) -> Limits {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_put_is_read_back() {
        for text in [
            r#"{"currency":"EUR","timeZone":"Europe/Warsaw","perTransaction":1,"daily":2,"weekly":3,"monthly":4}"#,
            r#"{"timeZone":"UTC","count":{"daily":5,"weekly":6,"monthly":7}}"#,
            r#"{"currency":"EUR","timeZone":"UTC","budget":{"period":"weekly","amount":9}}"#,
            r#"{"timeZone":"UTC","channels":{"allowed":["POS"],"denied":["ATM","ECOMMERCE"]}}"#,
            r#"{"timeZone":"UTC","mcc":{"denied":["7995","3000-3350"]},"countries":{"allowed":["616","008"]}}"#,
        ] {
            let mut read = Limits::default();
            for (name, rule) in parsed(text).rules(SetBy::Issuer, CARD, EUR).unwrap() {
                read.note(name, &rule);
            }
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_limit_names_its_member() {
        for (text, member) in [
            (r#"{"daily":-1}"#, "daily"),
            (r#"{"daily":1,"timeZone":"Mars/Olympus"}"#, "daily"),
            (r#"{"budget":{"period":"daily","amount":-1}}"#, "budget"),
            (r#"{"channels":{"allowed":["POST"]}}"#, "channels"),
            (r#"{"mcc":{"denied":["12"]}}"#, "mcc"),
            (r#"{"mcc":{"denied":["5000-4000"]}}"#, "mcc.denied"),
            (r#"{"mcc":{"denied":["+123"]}}"#, "mcc"),
            (r#"{"countries":{"denied":["PL"]}}"#, "countries"),
        ] {
            let error = parsed(text).rules(SetBy::Issuer, CARD, EUR).unwrap_err();
            assert_eq!(error.faults[0].field, member, "{text}");
        }
        let many = vec!["616".to_owned(); FILTER_ENTRIES_MAX + 1];
        let countries = Some(Lists { allowed: many, denied: Vec::new() });
        let limits = Limits { countries, ..Limits::default() };
        assert!(limits.rules(SetBy::Issuer, CARD, EUR).is_err());
    }

    #[test]
    fn every_limit_has_a_rule_of_its_own_for_whom_it_binds() {
        let ids: std::collections::BTreeSet<_> =
            SetBy::ALL.iter().flat_map(|by| NAMES.map(|name| rule_id(*by, CARD, name))).collect();
        assert_eq!(ids.len(), 2 * NAMES.len());
        assert!(!ids.contains(&rule_id(SetBy::Issuer, Subject::Card(CardId(8)), "daily")));
        assert!(ids.len() <= shared::rule::RULES_A_SUBJECT_MAX);
    }
}
