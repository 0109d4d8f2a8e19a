//! Why a command is decided as it is: the same code with somebody looking, and nothing changed.

use serde::{Deserialize, Serialize};

use super::{Ledger, ReplayError, Stamp};
use crate::action_code::Reason;
use crate::authorization::Witness;
use crate::balance::Funds;
use crate::books::Account;
use crate::command::Command;
use crate::control::{Query, View};
use crate::effect::{BalanceSlot, Effect, PartnerBalanceSlot, Transaction, TransactionSlot};
use crate::ids::Timestamp;
use crate::journal_record::{Answer, Record};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// A row of the order of checks.
    Check {
        /// Its number in the documented table.
        row: u8,
        /// Whether it passed.
        passed: bool,
        /// What it declines with.
        reason: Reason,
        /// What it looked at.
        inputs: String,
    },
    /// Something found: which transaction a message means.
    Found(String),
}

/// A balance before and after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Which: a user's, or a partner's.
    pub account: Query,
    /// Before.
    pub before: Funds,
    /// After.
    pub after: Funds,
}

/// A record decided again: how its answer came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retold {
    /// Everything looked at, in order.
    pub sights: Vec<Sight>,
    /// What is answered.
    pub answer: Answer,
    /// Whether answer and effects are those of the record.
    pub as_recorded: bool,
    /// The balances that it is about.
    pub accounts: Vec<Touched>,
}

/// A decision and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Everything looked at, in order.
    pub sights: Vec<Sight>,
    /// What is answered.
    pub answer: Answer,
    /// What changes.
    pub effects: Vec<Effect>,
}

#[derive(Default)]
struct Notes(Vec<Sight>);

impl Witness for Notes {
    fn saw(&mut self, row: u8, passed: bool, reason: Reason, inputs: impl FnOnce() -> String) {
        self.0.push(Sight::Check { row, passed, reason, inputs: inputs() });
    }

    fn found(&mut self, what: impl FnOnce() -> String) {
        self.0.push(Sight::Found(what()));
    }
}

impl Ledger {
    /// The balances that a command is about: those that its effects touch, and those of its card.
    /// Asked before the effects are applied.
    #[must_use]
    pub fn accounts_of(&self, command: &Command, effects: &[Effect]) -> Vec<Query> {
        let mut found: Vec<(Option<BalanceSlot>, Option<PartnerBalanceSlot>)> = Vec::new();
        let token = match command {
            Command::Authorize(request) => Some(request.token),
            Command::Advise(advice) => Some(advice.message.token),
            Command::Reverse(reversal) => reversal.token,
            Command::LockOutside(lock) => Some(lock.token),
            Command::Void(..) | Command::Expire | Command::Manage(..) | Command::Answered(..) => {
                None
            }
        };
        if let Some((_, card)) = token.and_then(|token| self.card_of(token)) {
            let held = self.program_at(card.program).and_then(|row| row.held);
            found.push((Some(card.balance), held));
        }
        // What a record remembers itself stands where another transaction stood before it.
        let own = |slot: TransactionSlot| {
            effects.iter().any(|effect| {
                if let Effect::Remembered(new, _) = effect { *new == slot } else { false }
            })
        };
        for effect in effects {
            self.touched(effect, &own, &mut found);
        }
        let mut queries = Vec::new();
        for (balance, deposit) in found {
            let balance = balance.and_then(|slot| self.balance(slot));
            let deposit = deposit.and_then(|slot| self.partner_balance(slot));
            let both = [
                balance.map(|row| Query::Balance(row.id)),
                deposit.map(|row| Query::PartnerBalance(row.id)),
            ];
            for query in both.into_iter().flatten() {
                if !queries.contains(&query) {
                    queries.push(query);
                }
            }
        }
        queries
    }

    fn funds(&self, account: Query) -> Funds {
        match self.view(account) {
            Some(View::Balance(view)) => Funds { ledger: view.ledger, held: view.held },
            Some(View::PartnerBalance(view)) => Funds { ledger: view.ledger, held: view.held },
            Some(
                View::Card(_)
                | View::Rules(_)
                | View::Exceptions(_)
                | View::Status(_)
                | View::Clock(_)
                | View::Totals(_)
                | View::Retold(_),
            )
            | None => Funds::default(),
        }
    }

    /// Decides the next record again, with somebody looking, and applies it.
    pub fn retell(&mut self, record: &Record) -> Result<Retold, ReplayError> {
        let Explanation { sights, answer, effects } = self.explain(&record.command, record.at);
        let queries = self.accounts_of(&record.command, &record.effects);
        let before: Vec<_> = queries.iter().map(|query| self.funds(*query)).collect();
        self.replay(record)?;
        let accounts = queries.into_iter().zip(before);
        let accounts = accounts.map(|(account, before)| {
            let after = self.funds(account);
            Touched { account, before, after }
        });
        let as_recorded = answer == record.answer && effects == record.effects;
        Ok(Retold { accounts: accounts.collect(), sights, answer, as_recorded })
    }

    fn touched(
        &self,
        effect: &Effect,
        own: &impl Fn(TransactionSlot) -> bool,
        found: &mut Vec<(Option<BalanceSlot>, Option<PartnerBalanceSlot>)>,
    ) {
        let of_entry = |entry: &Transaction| (entry.balance, entry.deposit);
        let of_slot = |slot: TransactionSlot| {
            self.transactions.get(slot).filter(|_| !own(slot)).map(of_entry)
        };
        if let Effect::Remembered(_, entry) = effect {
            found.push(of_entry(entry));
        } else if let Effect::FeeCharged { balance, .. } = effect {
            found.push((Some(*balance), None));
        } else if let Effect::Posted { from, to, .. } = effect {
            found.extend([*from, *to].into_iter().filter_map(|account| match account {
                Account::User(slot) => Some((Some(slot), None)),
                Account::Partner(slot) => Some((None, Some(slot))),
                Account::Funding
                | Account::Settlement
                | Account::Receivable
                | Account::UsersCover
                | Account::PartnerSettlement
                | Account::Bank
                | Account::Fees
                | Account::Invoiced
                | Account::PartnerHeld
                | Account::IbanTechnical => None,
            }));
        } else {
            found.extend(effect.transaction().and_then(of_slot));
        }
    }

    /// Decides `command` as of `now` and says how; the state stays as it is.
    #[must_use]
    pub fn explain(&self, command: &Command, now: Timestamp) -> Explanation {
        let stamp = Stamp { sequence: self.last.sequence.next(), at: now.max(self.last.at) };
        let (mut notes, mut effects) = (Notes::default(), Vec::new());
        let answer = self.decide_before(command, stamp, &mut effects, &mut notes);
        Explanation { sights: notes.0, answer, effects }
    }
}
