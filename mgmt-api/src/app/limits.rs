//! Limits of a card or a cardholder: GET and PUT …/limits, GET …/budget. Source: requirements #138.
//!
//! Invariants: each limit is one rule of the switch under an id of its own, made of who set it, whom
//! it binds and its name, so that putting the same again changes nothing and keeps its counter; rules
//! that others made are left alone. What a cardholder sets stands beside what the issuer's side sets:
//! both bind, and neither lifts the other's.

mod form;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::control::{Query, RuleView, View};
use shared::money::Currency;
use shared::rule::{Bound, Rule, Subject};
use utoipa::ToSchema;
use uuid::Uuid;

use self::form::{BudgetPeriod, NAMES, SetBy, rule_id};
pub use self::form::{Limits, LimitsAsked};
use super::{App, Asked, Body, CardPath, card_id, currency, customer_id, derived_command};
use crate::answer::Answer;
use crate::call::{Call, CustomerCall};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;

/// Limits that count, and what is left of each in the running period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitUsage {
    items: Vec<UsedLimit>,
}

/// One limit that counts, and what is left of it in the running period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsedLimit {
    limit: &'static str,
    set_by: SetBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<BudgetPeriod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    max: i64,
    spent: i64,
    left: i64,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    subject: Subject,
    currency: Currency,
}

impl App {
    /// A card's limits.
    pub async fn show_card_limits(
        &self,
        by: CustomerCall,
        at: CardPath,
        Asked(asked): Asked<LimitsAsked>,
    ) -> Result<Response> {
        let subject = Subject::Card(card_id(self.card_at(&by, &at).await?.id));
        self.show_limits(asked.set_by(by.call.caller), subject).await
    }

    /// A cardholder's limits, over all cards.
    pub async fn show_customer_limits(
        &self,
        by: CustomerCall,
        Asked(asked): Asked<LimitsAsked>,
    ) -> Result<Response> {
        let subject = Subject::Customer(customer_id(self.customer(&by).await?.id));
        self.show_limits(asked.set_by(by.call.caller), subject).await
    }

    /// What is spent and left of a card's limits.
    pub async fn show_card_budget(&self, by: CustomerCall, at: CardPath) -> Result<Response> {
        let subject = Subject::Card(card_id(self.card_at(&by, &at).await?.id));
        self.show_budget(subject).await
    }

    /// What is spent and left of a cardholder's limits.
    pub async fn show_customer_budget(&self, by: CustomerCall) -> Result<Response> {
        let subject = Subject::Customer(customer_id(self.customer(&by).await?.id));
        self.show_budget(subject).await
    }

    /// Replaces a card's limits; amounts are in its balance's currency.
    pub async fn put_card_limits(
        &self,
        by: CustomerCall,
        at: CardPath,
        Asked(asked): Asked<LimitsAsked>,
        body: Body<Limits>,
    ) -> Result<Response> {
        let set_by = asked.set_by_one_of(by.call.caller)?;
        let find = async || {
            let row = self.card_at(&by, &at).await?;
            let currency = self.program_of(&row.config_id).await?.currency;
            Ok((Subject::Card(card_id(row.id)), super::currency_of_row(currency)))
        };
        self.put_limits(&by.call, set_by, &body, find).await
    }

    /// Replaces a cardholder's limits.
    pub async fn put_customer_limits(
        &self,
        by: CustomerCall,
        Asked(asked): Asked<LimitsAsked>,
        body: Body<Limits>,
    ) -> Result<Response> {
        let set_by = asked.set_by_one_of(by.call.caller)?;
        let stated = body.content.currency().map(currency).transpose()?;
        let find = async || {
            let customer = customer_id(self.customer(&by).await?.id);
            let none = || Error::fault(Code::InvalidCurrency, "currency", "is needed with amounts");
            let currency = match stated {
                Some(currency) => currency,
                None if body.content.has_amounts() => return Err(none()),
                None => Currency(0),
            };
            Ok((Subject::Customer(customer), currency))
        };
        self.put_limits(&by.call, set_by, &body, find).await
    }

    async fn put_limits(
        &self,
        call: &Call,
        set_by: SetBy,
        body: &Body<Limits>,
        find: impl AsyncFnOnce() -> Result<(Subject, Currency)>,
    ) -> Result<Response> {
        let limits = &body.content;
        // Under one key the two sides are two requests.
        let hash = match set_by == SetBy::of(call.caller) {
            true => body.hash,
            false => ContentHash(self.vault.fingerprint(&[b"the other side", &body.hash.0])),
        };
        let draw = || async {
            let (subject, currency) = find().await?;
            if limits.currency().is_some_and(|stated| *stated != currency.to_string()) {
                return Err(Code::CurrencyMismatch.into());
            }
            // What cannot be a rule is refused before the first one is put.
            limits.rules(set_by, subject, currency)?;
            Ok(Plan { command: Uuid::new_v4(), subject, currency })
        };
        let carry_out = async |plan: Plan| {
            let wanted = limits.rules(set_by, plan.subject, plan.currency)?;
            let present = self.rules(plan.subject).await?;
            for name in NAMES {
                let rule = wanted.iter().find(|(wanted, _)| *wanted == name).map(|(_, rule)| rule);
                let id = rule_id(set_by, plan.subject, name);
                let known = present.iter().find(|view| view.rule.id == id).map(|view| &view.rule);
                let change = match (rule, known) {
                    (Some(rule), known) if known != Some(rule) => Change::PutRule(rule.clone()),
                    (None, Some(_)) => Change::RemoveRule(id),
                    (Some(_), _) | (None, None) => continue,
                };
                self.link.change(derived_command(plan.command, name), change).await?.result?;
            }
            Ok(Answer::no_content())
        };
        self.once(call, hash, draw, carry_out).await
    }

    /// Binds a card that is issued in place of another by all that bound that one.
    pub(super) async fn take_limits_along(
        &self,
        (old, new): (i64, i64),
        request: Uuid,
    ) -> Result<()> {
        let subject = Subject::Card(card_id(new));
        for (by, name, view) in self.named_rules(Subject::Card(card_id(old))).await? {
            let rule = Rule { id: rule_id(by, subject, name), subject, ..view.rule };
            let command = derived_command(request, &format!("limit {by:?} {name}"));
            self.link.change(command, Change::PutRule(rule)).await?.result?;
        }
        Ok(())
    }

    async fn show_limits(&self, set_by: SetBy, subject: Subject) -> Result<Response> {
        let mut limits = Limits::default();
        for (by, name, view) in self.named_rules(subject).await? {
            if by == set_by {
                limits.note(name, &view.rule);
            }
        }
        Ok(Answer::ok(&limits)?.into_response())
    }

    async fn show_budget(&self, subject: Subject) -> Result<Response> {
        let rules = self.named_rules(subject).await?;
        let items = rules.iter().filter_map(|(by, name, view)| counter(*by, name, view));
        let items = items.collect();
        Ok(Answer::ok(&LimitUsage { items })?.into_response())
    }

    /// The limits of a subject, the issuer's first.
    async fn named_rules(&self, subject: Subject) -> Result<Vec<(SetBy, &'static str, RuleView)>> {
        let views = self.rules(subject).await?;
        let both = SetBy::ALL.into_iter().flat_map(|by| NAMES.map(|name| (by, name)));
        let named = both.filter_map(|(by, name)| {
            let id = rule_id(by, subject, name);
            let view = views.iter().find(|view| view.rule.id == id)?;
            Some((by, name, view.clone()))
        });
        Ok(named.collect())
    }

    async fn rules(&self, subject: Subject) -> Result<Vec<RuleView>> {
        let views = self.link.view(Query::Rules(subject), View::into_rules).await?;
        Ok(views.unwrap_or_default())
    }
}

/// What is left of a limit that counts.
fn counter(set_by: SetBy, limit: &'static str, view: &RuleView) -> Option<UsedLimit> {
    let (period, currency, max, spent) = match view.rule.bound {
        Bound::Denied | Bound::Only => return None,
        Bound::Amount { period, currency, max } | Bound::Budget { period, currency, max } => {
            (period, Some(currency.to_string()), max.0, view.spent.0)
        }
        Bound::Count { period, max } => (period, None, i64::from(max), i64::from(view.count)),
    };
    let left = max.saturating_sub(spent).max(0);
    let period = BudgetPeriod::of(period);
    Some(UsedLimit { limit, set_by, period, currency, max, spent, left })
}
