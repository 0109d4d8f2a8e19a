//! The partner's bank: balances, transactions, and the answers that were given. No I/O, no clock.
//!
//! Invariants: a balance is what was granted to it plus the net of its transactions; a refused
//! command changes no money; a key has one effect and one answer for as long as it is remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::recent::Recent;

/// How much is kept.
const ROOM: Room = Room { answers: 100_000, transactions: 200_000, balances: 100_000 };
/// No user has an id that begins so.
const UNKNOWN_USER: &str = "unknown";
/// Merchants whose identifier begins so are refused.
const FRAUD: &str = "FRAUD";

/// Amounts that a simulated partner can be started with, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    /// What a balance has when it is linked.
    pub(super) opening_amount: i64,
    /// The largest debit.
    pub(super) debit_max: i64,
}

/// What the client says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    /// The money is wanted.
    Authorized,
    /// The amount is final.
    Cleared,
    /// It is taken back.
    Reversed,
}

/// What counts of a transaction object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movement {
    /// Its name, unique only together with the balance.
    pub(super) transaction_id: String,
    /// The balance that it moves.
    pub(super) balance_id: String,
    /// Minor units, not negative.
    pub(super) amount: i64,
    /// Of the amount.
    pub(super) currency: String,
    /// As the client says.
    pub(super) status: Status,
    /// `merchantIdentifier`; empty where there is none.
    pub(super) merchant: String,
}

/// Everything that may change the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Command {
    /// From here on these amounts count.
    Settings(Settings),
    /// A balance of a user.
    Link {
        /// Whose.
        user: String,
        /// Its id.
        balance: String,
        /// Three letters.
        currency: String,
    },
    /// A balance is given up.
    Delete {
        /// Whose.
        user: String,
        /// Its id.
        balance: String,
    },
    /// Takes money if it is there.
    Debit(Movement),
    /// Takes money whether it is there or not.
    ForceDebit(Movement),
    /// Brings money if that is allowed.
    Credit(Movement),
    /// Brings money.
    ForceCredit(Movement),
    /// Reverts what the transaction did.
    Reversal(Movement),
    /// Changes what the client says of the transaction.
    Update(Movement),
    /// Gives a balance this amount.
    Grant {
        /// Its id.
        balance: String,
        /// Minor units.
        amount: i64,
    },
}

/// Which request a command came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Once {
    /// Its `X-Idempotency-Key`.
    pub(super) key: String,
    /// A digest of method, path and body.
    pub(super) digest: String,
}

/// Done, or why not.
pub(super) type Answer = Result<(), Refusal>;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UserNotFound,
    BalanceNotFound,
    TransactionNotFound,
    Forbidden,
    BalanceNotEmpty,
    BalanceInAnotherCurrency,
    InsufficientFunds,
    LimitsExceeded,
    FraudsDetected,
    TransactionReversed,
    KeyReused,
    CurrencyMismatch,
    OutOfRange,
    TooManyBalances,
}

impl Refusal {
    /// Status, title and detail of the answer.
    pub(super) fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::UserNotFound => (404, "USER_NOT_FOUND", "no user has this id"),
            Self::BalanceNotFound => (404, "BALANCE_NOT_FOUND", "cannot find requested balance"),
            Self::TransactionNotFound => {
                (404, "TRANSACTION_NOT_FOUND", "cannot find requested transaction")
            }
            Self::Forbidden => (403, "FORBIDDEN", "the balance belongs to another user"),
            Self::BalanceNotEmpty => (409, "BALANCE_NOT_EMPTY", "there is money on the balance"),
            Self::BalanceInAnotherCurrency => {
                (409, "BALANCE_IN_ANOTHER_CURRENCY", "the balance has another currency")
            }
            Self::InsufficientFunds => {
                (422, "INSUFFICIENT_FUNDS", "the balance has less than the amount")
            }
            Self::LimitsExceeded => {
                (422, "LIMITS_EXCEEDED", "the amount is above the largest debit")
            }
            Self::FraudsDetected => (422, "FRAUDS_DETECTED", "the merchant is not trusted"),
            Self::TransactionReversed => {
                (422, "TRANSACTION_REVERSED", "a reversal of this transaction came before")
            }
            Self::KeyReused => {
                (422, "IDEMPOTENCY_KEY_REUSED", "another request came with this key before")
            }
            Self::CurrencyMismatch => {
                (400, "INVALID_REQUEST", "currency: it is not the balance's currency")
            }
            Self::OutOfRange => (422, "AMOUNT_OUT_OF_RANGE", "the sum is too large to be kept"),
            Self::TooManyBalances => (503, "TOO_MANY_BALANCES", "no room for another balance"),
        }
    }
}

/// Whose a balance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Money moved on it by force before anybody linked it.
    Nobody,
    /// A user's.
    Linked(String),
    /// It was a user's; late money still moves on it.
    Closed(String),
}

impl Holder {
    /// The user, if it is linked.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Linked(user) => Some(user),
            Self::Nobody | Self::Closed(_) => None,
        }
    }
}

/// A balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Balance {
    /// Whose.
    pub(super) holder: Holder,
    /// Three letters.
    pub(super) currency: String,
    /// Minor units; negative after forced debits.
    pub(super) amount: i64,
    /// What of it no remembered transaction brought or took.
    granted: i128,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Done.
    Done,
    /// Done and reverted.
    Reverted,
    /// A reversal came and it did not: it must have no effect any more.
    Overtaken,
}

/// A transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    /// What it changed on its balance, minor units.
    pub(super) net: i64,
    /// As the client said last.
    pub(super) status: Status,
    standing: Standing,
}

/// Id of the transaction, id of its balance.
pub(super) type Name = (String, String);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Answers that are remembered by their key.
    answers: usize,
    /// Transactions that can be reversed; what is older stays as it is.
    transactions: usize,
    /// Balances, closed ones too.
    balances: usize,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Bank {
    settings: Settings,
    balances_max: usize,
    balances: BTreeMap<String, Balance>,
    transactions: Recent<Name, Transaction>,
    answers: Recent<String, (String, Answer)>,
}

impl Movement {
    fn name(&self) -> Name {
        (self.transaction_id.clone(), self.balance_id.clone())
    }

    fn check_merchant(&self) -> Answer {
        if self.merchant.starts_with(FRAUD) { Err(Refusal::FraudsDetected) } else { Ok(()) }
    }
}

impl Bank {
    /// A bank without balances.
    pub(super) fn new(settings: Settings) -> Self {
        Self::within(settings, ROOM)
    }

    fn within(settings: Settings, room: Room) -> Self {
        Self {
            settings,
            balances_max: room.balances,
            balances: BTreeMap::new(),
            transactions: Recent::new(room.transactions),
            answers: Recent::new(room.answers),
        }
    }

    /// Does what is asked for, once a key.
    pub(super) fn apply(&mut self, command: &Command, once: Option<&Once>) -> Answer {
        if let Some(answer) = once.and_then(|once| self.remembered(once)) {
            return answer;
        }
        let answer = self.decide(command);
        if let Some(Once { key, digest }) = once {
            // What is forgotten for it is the oldest answer, which nobody waits for any more.
            drop(self.answers.put(key.clone(), (digest.clone(), answer)));
        }
        answer
    }

    /// What is answered without doing anything, as the key came before.
    pub(super) fn remembered(&self, once: &Once) -> Option<Answer> {
        let (digest, answer) = self.answers.get(&once.key)?;
        Some(if *digest == once.digest { *answer } else { Err(Refusal::KeyReused) })
    }

    /// A balance of a user.
    pub(super) fn balance(&self, user: &str, id: &str) -> Result<&Balance, Refusal> {
        let balance = self.linked(id)?;
        if balance.holder.user() == Some(user) { Ok(balance) } else { Err(Refusal::Forbidden) }
    }

    /// All balances with their ids, in order of id: linked, closed, and nobody's.
    pub(super) fn balances(&self) -> impl Iterator<Item = (&String, &Balance)> {
        self.balances.iter()
    }

    /// All transactions that are remembered, the oldest first.
    pub(super) fn transactions(&self) -> impl Iterator<Item = (&Name, &Transaction)> {
        self.transactions.iter()
    }

    fn decide(&mut self, command: &Command) -> Answer {
        match command {
            Command::Settings(settings) => {
                self.settings = *settings;
                Ok(())
            }
            Command::Link { user, balance, currency } => self.link(user, balance, currency),
            Command::Delete { user, balance } => self.delete(user, balance),
            Command::Debit(movement) => self.debit(movement),
            Command::ForceDebit(movement) => self.force(movement, -movement.amount),
            Command::Credit(movement) => self.credit(movement),
            Command::ForceCredit(movement) => self.force(movement, movement.amount),
            Command::Reversal(movement) => self.reverse(movement),
            Command::Update(movement) => self.update(movement),
            Command::Grant { balance, amount } => self.grant(balance, *amount),
        }
    }

    /// The same link again changes nothing. Who comes back finds the balance as it was left.
    fn link(&mut self, user: &str, id: &str, currency: &str) -> Answer {
        if user.starts_with(UNKNOWN_USER) {
            return Err(Refusal::UserNotFound);
        }
        self.make_room_for(id, currency)?;
        let opening = self.settings.opening_amount;
        let balance = self.balances.get_mut(id).ok_or(Refusal::BalanceNotFound)?;
        let opening = match &balance.holder {
            Holder::Linked(holder) | Holder::Closed(holder) if holder != user => {
                return Err(Refusal::Forbidden);
            }
            Holder::Linked(_) | Holder::Closed(_) => 0,
            Holder::Nobody => opening,
        };
        if balance.currency != currency {
            return Err(Refusal::BalanceInAnotherCurrency);
        }
        balance.amount = balance.amount.checked_add(opening).ok_or(Refusal::OutOfRange)?;
        balance.granted += i128::from(opening);
        balance.holder = Holder::Linked(user.to_owned());
        Ok(())
    }

    fn delete(&mut self, user: &str, id: &str) -> Answer {
        if self.balance(user, id)?.amount != 0 {
            return Err(Refusal::BalanceNotEmpty);
        }
        let balance = self.balances.get_mut(id).ok_or(Refusal::BalanceNotFound)?;
        balance.holder = Holder::Closed(user.to_owned());
        Ok(())
    }

    fn debit(&mut self, movement: &Movement) -> Answer {
        let has = self.amount_for(movement)?;
        self.check_not_reversed(movement)?;
        movement.check_merchant()?;
        if movement.amount > self.settings.debit_max {
            return Err(Refusal::LimitsExceeded);
        }
        if movement.amount > has {
            return Err(Refusal::InsufficientFunds);
        }
        self.book(movement, -movement.amount)
    }

    fn credit(&mut self, movement: &Movement) -> Answer {
        self.amount_for(movement)?;
        self.check_not_reversed(movement)?;
        movement.check_merchant()?;
        self.book(movement, movement.amount)
    }

    /// It has happened already, so that it counts after a reversal too, and without a link.
    fn force(&mut self, movement: &Movement, change: i64) -> Answer {
        self.make_room_for(&movement.balance_id, &movement.currency)?;
        let balance = self.balances.get(&movement.balance_id).ok_or(Refusal::BalanceNotFound)?;
        if balance.currency != movement.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        self.book(movement, change)
    }

    /// Reverts all that the transaction did since it was reverted last.
    fn reverse(&mut self, movement: &Movement) -> Answer {
        let name = movement.name();
        let standing = match self.transactions.get(&name).copied() {
            None => Standing::Overtaken,
            Some(Transaction { net, standing: Standing::Done, .. }) => {
                let balance =
                    self.balances.get_mut(&movement.balance_id).ok_or(Refusal::BalanceNotFound)?;
                balance.amount = balance.amount.checked_sub(net).ok_or(Refusal::OutOfRange)?;
                Standing::Reverted
            }
            Some(Transaction { standing: Standing::Reverted | Standing::Overtaken, .. }) => {
                return Ok(());
            }
        };
        self.keep(name, Transaction { net: 0, status: Status::Reversed, standing });
        Ok(())
    }

    /// Moves no money.
    fn update(&mut self, movement: &Movement) -> Answer {
        let name = movement.name();
        let Some(found) = self.transactions.get(&name).copied() else {
            return Err(Refusal::TransactionNotFound);
        };
        match found.standing {
            Standing::Overtaken => Err(Refusal::TransactionNotFound),
            Standing::Done | Standing::Reverted => {
                self.keep(name, Transaction { status: movement.status, ..found });
                Ok(())
            }
        }
    }

    fn grant(&mut self, id: &str, amount: i64) -> Answer {
        let balance = self.balances.get_mut(id).ok_or(Refusal::BalanceNotFound)?;
        balance.granted += i128::from(amount) - i128::from(balance.amount);
        balance.amount = amount;
        Ok(())
    }

    fn linked(&self, id: &str) -> Result<&Balance, Refusal> {
        let balance = self.balances.get(id).ok_or(Refusal::BalanceNotFound)?;
        match balance.holder {
            Holder::Linked(_) => Ok(balance),
            Holder::Nobody | Holder::Closed(_) => Err(Refusal::BalanceNotFound),
        }
    }

    /// What the linked balance of a movement has.
    fn amount_for(&self, movement: &Movement) -> Result<i64, Refusal> {
        let balance = self.linked(&movement.balance_id)?;
        if balance.currency == movement.currency {
            Ok(balance.amount)
        } else {
            Err(Refusal::CurrencyMismatch)
        }
    }

    fn check_not_reversed(&self, movement: &Movement) -> Answer {
        match self.transactions.get(&movement.name()).map(|found| found.standing) {
            Some(Standing::Reverted | Standing::Overtaken) => Err(Refusal::TransactionReversed),
            Some(Standing::Done) | None => Ok(()),
        }
    }

    /// Adds nobody's empty balance where there is none of this id.
    fn make_room_for(&mut self, id: &str, currency: &str) -> Answer {
        if self.balances.contains_key(id) {
            return Ok(());
        }
        if self.balances.len() >= self.balances_max {
            return Err(Refusal::TooManyBalances);
        }
        let currency = currency.to_owned();
        let balance = Balance { holder: Holder::Nobody, currency, amount: 0, granted: 0 };
        self.balances.insert(id.to_owned(), balance);
        Ok(())
    }

    /// Both sums are known before either changes.
    fn book(&mut self, movement: &Movement, change: i64) -> Answer {
        let name = movement.name();
        let net = self.transactions.get(&name).map_or(0, |found| found.net);
        let net = net.checked_add(change).ok_or(Refusal::OutOfRange)?;
        let balance =
            self.balances.get_mut(&movement.balance_id).ok_or(Refusal::BalanceNotFound)?;
        balance.amount = balance.amount.checked_add(change).ok_or(Refusal::OutOfRange)?;
        let status = movement.status;
        self.keep(name, Transaction { net, status, standing: Standing::Done });
        Ok(())
    }

    /// What is forgotten for it can be reverted no more: its net is granted for good.
    fn keep(&mut self, name: Name, transaction: Transaction) {
        if let Some(((_, id), forgotten)) = self.transactions.put(name, transaction)
            && let Some(balance) = self.balances.get_mut(&id)
        {
            balance.granted += i128::from(forgotten.net);
        }
    }
}

#[cfg(test)]
mod tests;
