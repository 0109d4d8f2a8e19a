//! The model's limits and permissions: periods by plain arithmetic, counters, and what is given
//! back.

use shared::command::Acceptance;
use shared::money::Currency;
use shared::rule::{Bound, Period, Rule, Subject};

use crate::state::{Counted, Model};

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

#[derive(Clone, Debug)]
pub(crate) struct LimitRow {
    /// Never used again.
    pub(crate) number: u64,
    pub(crate) rule: Rule,
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) spent: i64,
    pub(crate) payments: u32,
}

/// Days since 1970 to year, month, day, by counting.
fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 1970 + days / 366;
    while first_of(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && first_of(year, month + 1) <= days {
        month += 1;
    }
    (year, month, days - first_of(year, month) + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970 to the first of a month.
fn first_of(year: i64, month: i64) -> i64 {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400 - 719_162;
    let months: i64 = LENGTHS.iter().take(usize::try_from(month - 1).unwrap()).sum();
    years + months + i64::from(month > 2 && is_leap(year))
}

/// The first of the month behind.
fn next_month(year: i64, month: i64) -> i64 {
    if month == 12 { first_of(year + 1, 1) } else { first_of(year, month + 1) }
}

/// The last Sunday of a month.
fn last_sunday(year: i64, month: i64) -> i64 {
    let last = next_month(year, month) - 1;
    last - (last + 4) % 7
}

/// Milliseconds that a zone is ahead of UTC at an instant.
fn ahead(zone: &str, at: i64) -> i64 {
    match zone {
        "UTC" => 0,
        "Asia/Kolkata" => 11 * HOUR / 2,
        "Asia/Tokyo" => 9 * HOUR,
        "Europe/Warsaw" => {
            let (year, ..) = civil(at.div_euclid(DAY));
            let summer = last_sunday(year, 3) * DAY + HOUR..last_sunday(year, 10) * DAY + HOUR;
            if summer.contains(&at) { 2 * HOUR } else { HOUR }
        }
        _ => panic!("the model does not know {zone}"),
    }
}

/// The instant at which a local day begins.
fn beginning(zone: &str, day: i64) -> i64 {
    let guess = day * DAY - ahead(zone, day * DAY);
    day * DAY - ahead(zone, guess)
}

fn period_of(rule: &Rule) -> Period {
    match rule.bound {
        Bound::Denied | Bound::Only => Period::Transaction,
        Bound::Amount { period, .. }
        | Bound::Budget { period, .. }
        | Bound::Count { period, .. } => period,
    }
}

fn currency_of(rule: &Rule) -> Option<Currency> {
    match rule.bound {
        Bound::Amount { currency, .. } | Bound::Budget { currency, .. } => Some(currency),
        Bound::Denied | Bound::Only | Bound::Count { .. } => None,
    }
}

fn window(rule: &Rule, at: u64) -> (i64, i64) {
    let at = i64::try_from(at).unwrap();
    let today = (at + ahead(&rule.zone, at)).div_euclid(DAY);
    let (year, month, day) = civil(today);
    let (first, behind) = match period_of(rule) {
        Period::Transaction => return (at, at + 1),
        Period::Day => (today, today + 1),
        Period::Week => {
            let monday = today - (today + 3) % 7;
            (monday, monday + 7)
        }
        Period::Month => (today - day + 1, next_month(year, month)),
    };
    (beginning(&rule.zone, first), beginning(&rule.zone, behind))
}

/// What a limit looks at.
#[derive(Clone, Copy)]
pub(crate) struct Spending {
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    /// Whether it is one more payment.
    pub(crate) payment: bool,
}

impl LimitRow {
    fn looks_at(&self, made: &Acceptance, spending: Spending) -> bool {
        let filter = &self.rule.filter;
        currency_of(&self.rule).is_none_or(|currency| currency == spending.currency)
            && (filter.channels.is_empty() || filter.channels.contains(&made.channel))
            && (filter.mccs.is_empty()
                || filter.mccs.iter().any(|(a, b)| *a <= made.mcc && made.mcc <= *b))
            && (filter.countries.is_empty() || filter.countries.contains(&made.country))
            && (filter.merchants.is_empty() || filter.merchants.contains(&made.merchant))
    }

    /// Spent and payments in the period that `now` falls in.
    pub(crate) fn used(&self, now: u64) -> (i64, u32) {
        let now = i64::try_from(now).unwrap();
        let running = self.from <= now && now < self.until;
        if running { (self.spent, self.payments) } else { (0, 0) }
    }

    fn allows(&self, made: &Acceptance, spending: Spending, now: u64) -> bool {
        let looked_at = self.looks_at(made, spending);
        let (spent, payments) = self.used(now);
        match self.rule.bound {
            Bound::Denied => !looked_at,
            Bound::Only => looked_at,
            Bound::Amount { max, .. } | Bound::Budget { max, .. } => {
                !looked_at || spent + spending.amount <= max.0
            }
            Bound::Count { max, .. } => !looked_at || !spending.payment || payments < max,
        }
    }
}

fn row_of(rule: &Rule) -> u8 {
    let personal = matches!(rule.subject, Subject::Card(_) | Subject::Customer(_));
    match rule.bound {
        Bound::Denied | Bound::Only => 14,
        Bound::Amount { .. } if personal => 15,
        Bound::Budget { .. } => 16,
        Bound::Amount { .. } | Bound::Count { .. } => 17,
    }
}

impl Model {
    /// Whether a rule binds the card, its holder, its program or its partner.
    fn binds(&self, rule: &Rule, card: usize) -> bool {
        let card = &self.cards[card];
        let program = &self.programs[card.program];
        match rule.subject {
            Subject::Card(id) => id == card.id,
            Subject::Customer(id) => id == self.users[card.user].customer,
            Subject::Program(id) => id == program.id,
            Subject::Partner(id) => id == program.partner,
        }
    }

    /// Whether all rules of one row of the order of checks let it pass.
    pub(crate) fn limits_allow(
        &self,
        row: u8,
        card: usize,
        made: &Acceptance,
        spending: Spending,
    ) -> bool {
        self.rules
            .iter()
            .filter(|limit| row_of(&limit.rule) == row && self.binds(&limit.rule, card))
            .all(|limit| limit.allows(made, spending, self.now))
    }

    /// Counts a spending of entry `number` in every limit over time that looks at it.
    pub(crate) fn count(&mut self, number: u64, card: usize, made: &Acceptance, spent: Spending) {
        let now = self.now;
        if spent.amount <= 0 {
            return;
        }
        let places: Vec<usize> = (0..self.rules.len())
            .filter(|place| self.binds(&self.rules[*place].rule, card))
            .collect();
        for place in places {
            let limit = &mut self.rules[place];
            let over_time = period_of(&limit.rule) != Period::Transaction;
            if !over_time || !limit.looks_at(made, spent) {
                continue;
            }
            let (from, until) = window(&limit.rule, now);
            if (limit.from, limit.until) != (from, until) {
                (limit.from, limit.until, limit.spent, limit.payments) = (from, until, 0, 0);
            }
            limit.spent += spent.amount;
            limit.payments += u32::from(spent.payment);
            let (rule, window_start) = (limit.number, u64::try_from(from).unwrap());
            let entry = self.entry_mut(number);
            let same = |c: &&mut Counted| c.rule == rule && c.window_start == window_start;
            match entry.counted.iter_mut().find(same) {
                Some(counted) => {
                    counted.amount += spent.amount;
                    counted.payment |= spent.payment;
                }
                None => entry.counted.push(Counted {
                    rule,
                    window_start,
                    amount: spent.amount,
                    payment: spent.payment,
                }),
            }
        }
    }

    /// Gives `amount` of entry `number` back to each limit, the newest period first; the payment
    /// as well where the `whole` of it did not come to pass.
    pub(crate) fn uncount(&mut self, number: u64, amount: i64, whole: bool) {
        let mut counted = std::mem::take(&mut self.entry_mut(number).counted);
        let mut given: Vec<(u64, i64)> = Vec::new();
        for counted in counted.iter_mut().rev() {
            let before: i64 =
                given.iter().filter(|(rule, _)| *rule == counted.rule).map(|(_, back)| back).sum();
            let back = (amount - before).min(counted.amount);
            given.push((counted.rule, back));
            counted.amount -= back;
            let payment = u32::from(whole && counted.payment);
            counted.payment &= !whole;
            let same_period = |limit: &&mut LimitRow| {
                limit.number == counted.rule
                    && u64::try_from(limit.from).unwrap() == counted.window_start
            };
            if let Some(limit) = self.rules.iter_mut().find(same_period) {
                limit.spent = (limit.spent - back).max(0);
                limit.payments = limit.payments.saturating_sub(payment);
            }
        }
        self.entry_mut(number).counted = counted;
    }

    pub(crate) fn put_rule(&mut self, rule: &Rule) {
        let known = self.rules.iter_mut().find(|limit| limit.rule.id == rule.id);
        self.numbers_given += 1;
        match known {
            Some(limit) => {
                let goes_on = period_of(&limit.rule) == period_of(rule)
                    && limit.rule.zone == rule.zone
                    && limit.rule.filter == rule.filter
                    && currency_of(&limit.rule) == currency_of(rule);
                if !goes_on {
                    (limit.from, limit.until, limit.spent, limit.payments) = (0, 0, 0, 0);
                    limit.number = self.numbers_given;
                }
                limit.rule = rule.clone();
            }
            None => {
                self.rules_made += 1;
                self.rules.push(LimitRow {
                    number: self.numbers_given,
                    rule: rule.clone(),
                    from: 0,
                    until: 0,
                    spent: 0,
                    payments: 0,
                });
            }
        }
    }
}
