//! Checks another implementation of the External Balance API rule by rule. Source: seed, External
//! Balance; requirement #155.
//!
//! | to learn | read |
//! |---|---|
//! | which rules there are, in which order, and which need which | `rules` |
//! | how a request is made and an answer judged | `caller` |
//! | how each rule is checked | `links`, `money`, `repeats`, `reversals` |
//!
//! Invariants: a run moves money only on balances that it made itself, under random ids; a rule
//! counts as kept only if an answer showed it; what depends on a broken rule is skipped.

mod caller;
mod links;
mod money;
mod repeats;
mod reversals;
mod rules;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use caller::Caller;
use money::Transaction;
use rules::{ROWS, Row, Rule};

/// Where the implementation is, and who exists there.
#[derive(Clone, Debug)]
pub struct Options {
    /// What stands before `/users` and `/transactions`.
    pub url: Url,
    /// A user that exists there.
    pub user: String,
    /// One that does not.
    pub unknown_user: String,
    /// A second one that exists, for the rules about balances of others; they are left out without.
    pub other_user: Option<String>,
    /// Of the balance that is made.
    pub currency: String,
    /// Certificate and key of the client, PEM.
    pub identity: Option<Zeroizing<Vec<u8>>>,
    /// The only authority to trust, PEM; the system's if absent.
    pub ca: Option<Vec<u8>>,
    /// An answer must come within this time.
    pub answer_max: Duration,
}

impl Options {
    /// An implementation with the user `1`, without a client certificate.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            user: "1".to_owned(),
            unknown_user: "unknown-user".to_owned(),
            other_user: None,
            currency: "EUR".to_owned(),
            identity: None,
            ca: None,
            answer_max: Duration::from_secs(2),
        }
    }
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is kept.
    Ok,
    /// It is broken.
    Failed,
    /// It could not be checked.
    Skipped,
}

/// One rule and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// A short name that stays.
    pub name: &'static str,
    /// What the seed says, in short.
    pub rule: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen; of a broken rule, what was expected and what came.
    pub detail: String,
}

/// All rules.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order in which they were checked.
    pub checks: Vec<Check>,
    /// How many are kept.
    pub passed: usize,
    /// How many are broken.
    pub failed: usize,
    /// How many could not be checked.
    pub skipped: usize,
}

/// Why a rule does not count as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Miss {
    /// It is broken.
    Broken(String),
    /// Something else stood in the way.
    Blocked(String),
}

/// What was seen, or why it is not enough.
type Verdict = Result<String, Miss>;

/// A run: the implementation, and what earlier checks left there.
pub struct Suite {
    options: Options,
    caller: Arc<Caller>,
    /// The balance that is moved.
    balance: String,
    /// How it was linked.
    linked: Option<(caller::Request, caller::Answer)>,
    /// The debit that later checks repeat and update.
    debit: Option<(Transaction, caller::Request, caller::Answer)>,
    /// The transaction that was reversed.
    reversed: Option<Transaction>,
}

impl Suite {
    /// A run that has not begun.
    ///
    /// # Errors
    /// Certificate, key or authority cannot be used.
    pub fn new(options: Options) -> anyhow::Result<Self> {
        let caller = Arc::new(Caller::new(&options)?);
        let balance = Uuid::new_v4().to_string();
        Ok(Self { options, caller, balance, linked: None, debit: None, reversed: None })
    }

    /// Checks every rule; `tell` hears of each at once.
    pub async fn run(mut self, mut tell: impl FnMut(&Check)) -> Report {
        let mut checks = Vec::with_capacity(ROWS.len());
        let mut kept = Vec::with_capacity(ROWS.len());
        let with_other = self.options.other_user.is_some();
        for row in ROWS.iter().filter(|row| with_other || !row.rule.is_about_others()) {
            let missing = row.needs.iter().find(|need| !kept.contains(*need));
            let verdict = match missing.and_then(|need| ROWS.iter().find(|row| row.rule == *need)) {
                Some(missing) => Err(Miss::Blocked(format!("it needs {}", missing.name))),
                None => Box::pin(self.judge(row.rule)).await,
            };
            if verdict.is_ok() {
                kept.push(row.rule);
            }
            let check = Check::of(row, verdict);
            tell(&check);
            checks.push(check);
        }
        Report::of(checks)
    }

    async fn judge(&mut self, rule: Rule) -> Verdict {
        match rule {
            Rule::Link => self.link().await,
            Rule::LinkAgain => self.link_again().await,
            Rule::LinkUnknownUser => self.link_unknown_user().await,
            Rule::Read => self.read().await,
            Rule::List => self.list().await,
            Rule::ReadUnknown => self.read_unknown().await,
            Rule::ReadForeign => self.read_foreign().await,
            Rule::ListForeign => self.list_foreign().await,
            Rule::Credit => self.credit().await,
            Rule::CreditUnknown => self.credit_unknown().await,
            Rule::Debit => self.debit().await,
            Rule::DebitAgain => self.debit_again().await,
            Rule::DebitAtOnce => self.debit_at_once().await,
            Rule::OthersAgain => self.others_again().await,
            Rule::DebitTooMuch => self.debit_too_much().await,
            Rule::DebitUnknown => self.debit_unknown().await,
            Rule::ForceDebit => self.force_debit().await,
            Rule::ForceCredit => self.force_credit().await,
            Rule::Reversal => self.reversal().await,
            Rule::ReversalTwice => self.reversal_twice().await,
            Rule::ReversalOfOthers => self.reversal_of_others().await,
            Rule::ReversalUnknown => self.reversal_unknown().await,
            Rule::ReversalFirst => self.reversal_first().await,
            Rule::Update => self.update().await,
            Rule::UpdateUnknown => self.update_unknown().await,
            Rule::DeleteUnknown => self.delete_unknown().await,
            Rule::DeleteForeign => self.delete_foreign().await,
            Rule::DeleteWithMoney => self.delete_with_money().await,
            Rule::Delete => self.delete().await,
            Rule::ReadDeleted => self.read_deleted().await,
            Rule::LateForceDebit => self.late_force_debit().await,
            Rule::ErrorBodies => self.caller.error_bodies(),
            Rule::InTime => self.caller.in_time(self.options.answer_max),
        }
    }
}

impl Check {
    fn of(row: &Row, verdict: Verdict) -> Self {
        let (outcome, detail) = match verdict {
            Ok(seen) => (Outcome::Ok, seen),
            Err(Miss::Broken(why)) => (Outcome::Failed, why),
            Err(Miss::Blocked(why)) => (Outcome::Skipped, why),
        };
        Self { name: row.name, rule: row.says, outcome, detail }
    }
}

impl Report {
    fn of(checks: Vec<Check>) -> Self {
        let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
        let (passed, failed) = (count(Outcome::Ok), count(Outcome::Failed));
        let skipped = count(Outcome::Skipped);
        Self { checks, passed, failed, skipped }
    }

    /// Whether every rule was checked and is kept.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.passed == self.checks.len()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "FAIL",
            Outcome::Skipped => "skipped",
        };
        write!(out, "{outcome:<7} {:<18} {} -> {}", self.name, self.rule, self.detail)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checks, passed, failed, skipped } = self;
        write!(out, "{} rules: {passed} ok, {failed} failed, {skipped} skipped", checks.len())
    }
}
