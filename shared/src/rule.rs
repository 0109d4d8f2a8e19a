//! Limits and permissions as data: whom a rule binds, which payments it looks at, and what it
//! allows of them.
//!
//! Invariant: a rule is evaluated inside the decision and its counter changes by journaled effects
//! alone. A card, customer, program or partner without rules costs a decision nothing.
//! Source: authorization 2 (rows 14 to 17), requirements #138.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::action_code::Reason;
use crate::command::{Acceptance, Channel};
use crate::ids::{CardId, ConfigId, CustomerId, PartnerId, RuleId, Timestamp};
use crate::money::{Amount, Currency};

/// Rules of one card, customer, program or partner at most.
pub const RULES_A_SUBJECT_MAX: usize = 32;
/// Entries of each list in a filter at most.
pub const FILTER_ENTRIES_MAX: usize = 256;
/// Characters of a time zone's name at most.
const ZONE_MAX: usize = 64;

/// One limit or permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Whom it binds, for ever.
    pub subject: Subject,
    /// Which payments it looks at.
    pub filter: Filter,
    /// What it allows of them.
    pub bound: Bound,
    /// The IANA time zone in which its days, weeks and months begin, `Europe/Warsaw`.
    pub zone: String,
}

/// Whom a rule binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// One card.
    Card(CardId),
    /// A cardholder, over all cards and balances.
    Customer(CustomerId),
    /// A card program.
    Program(ConfigId),
    /// A partner, over all programs.
    Partner(PartnerId),
}

/// Which payments a rule looks at: those that match every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Made in one of these ways.
    pub channels: Vec<Channel>,
    /// At a merchant of one of these categories, each range inclusive.
    pub mccs: Vec<(u16, u16)>,
    /// Acquired in one of these countries, ISO 3166 numeric.
    pub countries: Vec<u16>,
    /// At one of these merchants, DE42 as received.
    pub merchants: Vec<[u8; 15]>,
}

/// What a rule allows of the payments that it looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// None of them (row 14).
    Denied,
    /// Nothing but them (row 14).
    Only,
    /// Amounts in one currency, in sum over a period (row 15 on a card or customer, 17 on others).
    Amount {
        /// Over what.
        period: Period,
        /// The currency that it counts; other payments it does not look at.
        currency: Currency,
        /// The sum, inclusive.
        max: Amount,
    },
    /// The same as a budget of a card or a customer (row 16).
    Budget {
        /// Over what.
        period: Period,
        /// The currency that it counts.
        currency: Currency,
        /// The sum, inclusive.
        max: Amount,
    },
    /// How many payments over a period (row 17).
    Count {
        /// Over what.
        period: Period,
        /// How many, inclusive.
        max: u32,
    },
}

/// What a limit adds up over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    /// One payment.
    Transaction,
    /// A day from midnight.
    Day,
    /// A week from Monday.
    Week,
    /// A month from its first day.
    Month,
}

/// The part of time that a counter stands for: from `start`, before `end`, both in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first instant.
    pub start: u64,
    /// The first instant behind it.
    pub end: u64,
}

/// A rule as the ledger holds it, with its counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleRow {
    pub(crate) rule: Rule,
    /// The time that the counter stands for.
    pub(crate) window: Window,
    /// What was spent in it.
    pub(crate) spent: Amount,
    /// How many payments there were.
    pub(crate) count: u32,
    /// How often the counter was begun anew by another rule in its place: what was counted before
    /// is not given back to it.
    pub(crate) version: u32,
}

/// The payment as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
    /// Whether it counts as one more payment: not where it adds to an earlier one.
    pub(crate) counts: bool,
    pub(crate) at: Timestamp,
}

impl Rule {
    /// Whether it can be evaluated: its zone is known, its lists and its bound are within their
    /// bounds, and what it bounds fits its subject.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let bounded = match self.bound {
            Bound::Denied | Bound::Only => self.filter.lengths().iter().any(|length| *length > 0),
            Bound::Amount { max, .. } => max.0 >= 0,
            Bound::Budget { max, .. } => {
                max.0 >= 0 && matches!(self.subject, Subject::Card(_) | Subject::Customer(_))
            }
            Bound::Count { period, .. } => period != Period::Transaction,
        };
        bounded
            && self.filter.is_sound()
            && self.zone.len() <= ZONE_MAX
            && self.zone.parse::<Tz>().is_ok()
    }

    /// The row of the order of checks that it belongs to, and the reason of its decline.
    #[must_use]
    pub const fn row(&self) -> (u8, Reason) {
        match (self.bound, self.subject) {
            (Bound::Denied | Bound::Only, _) => (14, Reason::NotPermitted),
            (Bound::Amount { .. }, Subject::Card(_) | Subject::Customer(_)) => {
                (15, Reason::ExceedsAmountLimit)
            }
            (Bound::Budget { .. }, _) => (16, Reason::BudgetExceeded),
            (Bound::Amount { .. }, Subject::Program(_) | Subject::Partner(_))
            | (Bound::Count { .. }, _) => (17, Reason::LimitExceeded),
        }
    }

    /// Whether it counts the same payments over the same periods as `other`.
    pub(crate) fn counts_like(&self, other: &Self) -> bool {
        let currency = |rule: &Self| match rule.bound {
            Bound::Amount { currency, .. } | Bound::Budget { currency, .. } => Some(currency),
            Bound::Denied | Bound::Only | Bound::Count { .. } => None,
        };
        self.period() == other.period()
            && self.zone == other.zone
            && self.filter == other.filter
            && currency(self) == currency(other)
    }

    fn period(&self) -> Period {
        match self.bound {
            Bound::Denied | Bound::Only => Period::Transaction,
            Bound::Amount { period, .. }
            | Bound::Budget { period, .. }
            | Bound::Count { period, .. } => period,
        }
    }

    /// The window of its period that `at` falls in.
    #[must_use]
    pub fn window_of(&self, at: Timestamp) -> Window {
        let instant = Window { start: at.0, end: at.0.saturating_add(1) };
        self.calendar_window(at).unwrap_or(instant)
    }

    fn calendar_window(&self, at: Timestamp) -> Option<Window> {
        self.period().window(&self.zone, at)
    }
}

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Card(id) => format!("card {id}"),
            Self::Customer(id) => format!("customer {id}"),
            Self::Program(id) => format!("program {id}"),
            Self::Partner(id) => format!("partner {id}"),
        }
    }
}

impl Period {
    const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "a payment",
            Self::Day => "a day",
            Self::Week => "a week",
            Self::Month => "a month",
        }
    }

    /// The day, week or month that `at` falls in, in an IANA time zone; `None` for a single payment
    /// and where there is no such zone.
    #[must_use]
    pub fn window(self, zone: &str, at: Timestamp) -> Option<Window> {
        let zone: Tz = zone.parse().ok()?;
        let now = DateTime::from_timestamp_millis(i64::try_from(at.0).ok()?)?.with_timezone(&zone);
        let today = now.date_naive();
        let (first, next) = match self {
            Self::Transaction => return None,
            Self::Day => (today, today.checked_add_days(Days::new(1))?),
            Self::Week => {
                let since_monday = u64::from(today.weekday().num_days_from_monday());
                let monday = today.checked_sub_days(Days::new(since_monday))?;
                (monday, monday.checked_add_days(Days::new(7))?)
            }
            Self::Month => {
                let first = today.with_day(1)?;
                (first, first.checked_add_months(Months::new(1))?)
            }
        };
        Some(Window { start: beginning(zone, first)?, end: beginning(zone, next)? })
    }
}

/// The first instant of a day: where the clock is put forward over midnight, the first one after.
fn beginning(zone: Tz, day: NaiveDate) -> Option<u64> {
    let midnight = day.and_time(NaiveTime::MIN);
    let quarters = (0..=8).filter_map(|quarter| {
        let time = midnight.checked_add_signed(chrono::TimeDelta::minutes(15 * quarter))?;
        match zone.from_local_datetime(&time) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
            LocalResult::None => None,
        }
    });
    let first = quarters.take(1).next()?;
    u64::try_from(first.timestamp_millis()).ok()
}

impl Filter {
    /// Whether its lists are within their bounds.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.lengths().iter().all(|length| *length <= FILTER_ENTRIES_MAX)
            && self.mccs.iter().all(|(first, last)| first <= last)
    }

    fn lengths(&self) -> [usize; 4] {
        let Self { channels, mccs, countries, merchants } = self;
        [channels.len(), mccs.len(), countries.len(), merchants.len()]
    }

    /// Whether a payment made so is looked at.
    pub(crate) fn matches(&self, made: &Acceptance) -> bool {
        let Self { channels, mccs, countries, merchants } = self;
        (channels.is_empty() || channels.contains(&made.channel))
            && (mccs.is_empty()
                || mccs.iter().any(|(first, last)| (*first..=*last).contains(&made.mcc)))
            && (countries.is_empty() || countries.contains(&made.country))
            && (merchants.is_empty() || merchants.contains(&made.merchant))
    }
}

impl RuleRow {
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, window: Window::default(), spent: Amount::ZERO, count: 0, version: 0 }
    }

    /// Whether the payment is one that the rule looks at.
    pub(crate) fn looks_at(&self, made: &Acceptance, payment: &Payment) -> bool {
        let counted = match self.rule.bound {
            Bound::Denied | Bound::Only | Bound::Count { .. } => true,
            Bound::Amount { currency, .. } | Bound::Budget { currency, .. } => {
                currency == payment.currency
            }
        };
        counted && self.rule.filter.matches(made)
    }

    /// Whether the rule lets the payment pass, given what was spent before it.
    pub(crate) fn allows(&self, made: &Acceptance, payment: &Payment) -> bool {
        let looked_at = self.looks_at(made, payment);
        let (spent, count) = self.used(payment.at);
        match self.rule.bound {
            Bound::Denied => !looked_at,
            Bound::Only => looked_at,
            Bound::Amount { max, .. } | Bound::Budget { max, .. } => {
                !looked_at || spent.checked_add(payment.amount).is_some_and(|sum| sum <= max)
            }
            Bound::Count { max, .. } => {
                !looked_at || !payment.counts || count.saturating_add(1) <= max
            }
        }
    }

    /// What it allows, and what of that was used before an instant.
    pub(crate) fn told(&self, at: Timestamp) -> String {
        let (spent, count) = self.used(at);
        let whose = self.rule.subject.name();
        let period = self.rule.period().name();
        match self.rule.bound {
            Bound::Denied => format!("{whose}: such payments are denied"),
            Bound::Only => format!("{whose}: nothing but such payments"),
            Bound::Amount { currency, max, .. } | Bound::Budget { currency, max, .. } => {
                format!("{whose}: {max} {currency} {period}, {spent} used")
            }
            Bound::Count { max, .. } => format!("{whose}: {max} payments {period}, {count} made"),
        }
    }

    /// Whether the payment adds to the counter.
    pub(crate) fn adds_up(&self, made: &Acceptance, payment: &Payment) -> bool {
        let over_time = match self.rule.bound {
            Bound::Denied | Bound::Only => false,
            Bound::Amount { .. } | Bound::Budget { .. } | Bound::Count { .. } => {
                self.rule.period() != Period::Transaction
            }
        };
        over_time && self.looks_at(made, payment)
    }

    /// The counter at an instant.
    pub(crate) fn used(&self, at: Timestamp) -> (Amount, u32) {
        if (self.window.start..self.window.end).contains(&at.0) {
            (self.spent, self.count)
        } else {
            (Amount::ZERO, 0)
        }
    }

    /// The window that a payment now is counted in.
    pub(crate) fn window_now(&self, at: Timestamp) -> Window {
        if (self.window.start..self.window.end).contains(&at.0) {
            self.window
        } else {
            self.rule.window_of(at)
        }
    }
}
