//! What cards paid, posting by posting, as long as a fee depends on it. Source: requirements #169.
//!
//! Invariants: a payment counts when it is posted and no more when it is taken back, in the period
//! of the posting; a record that comes again counts once; where no fee depends on it, no record
//! costs more than a look at its kind.

use shared::command::{Authorization, Command};
use shared::effect::{Direction, Effect, TransactionSlot, TransactionState};
use shared::ids::Sequence;
use shared::journal_record::Record;
use shared::money::Amount;

use crate::store::{Posting, PostingChange, Store, StoreError};

/// Follows the switch's records.
#[derive(Default)]
pub(crate) struct Turnover {
    needed: bool,
}

impl Turnover {
    /// Looks whether a fee depends on turnover now.
    pub(crate) async fn of(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { needed: store.has_conditional_fees().await? })
    }

    /// Keeps what a record posts.
    pub(crate) async fn take(&self, store: &Store, record: &Record) -> Result<(), StoreError> {
        if !self.needed || !record.effects.iter().any(posts) {
            return Ok(());
        }
        let card = match message_of(&record.command) {
            Some(message) => store.card_of_token(message.token.0).await?,
            None => None,
        };
        let changes: Vec<_> = record.effects.iter().filter_map(|it| change(it, card)).collect();
        let at_ms = i64::try_from(record.at.0).unwrap_or(i64::MAX);
        store.keep_postings((number(record.sequence), at_ms), &changes).await
    }
}

/// Whether an effect makes, changes or ends a posting.
fn posts(effect: &Effect) -> bool {
    matches!(effect, Effect::Remembered(..) | Effect::Settled(..) | Effect::Returned(..))
}

fn message_of(command: &Command) -> Option<&Authorization> {
    match command {
        Command::Authorize(request) => Some(request),
        Command::Advise(advice) => Some(&advice.message),
        Command::Reverse(_)
        | Command::LockOutside(_)
        | Command::Void(..)
        | Command::Expire
        | Command::Manage(..) => None,
    }
}

/// What an effect does to the postings of a card's debits.
fn change(effect: &Effect, card: Option<i64>) -> Option<PostingChange> {
    let posting = |slot: TransactionSlot, amount: Amount| {
        let (slot, amount) = (i64::from(slot.0), amount.0);
        (amount != 0).then_some(PostingChange::Moves(Posting { slot, amount }))
    };
    if let Effect::Remembered(slot, entry) = effect {
        let debit = entry.state == TransactionState::Posted && entry.direction == Direction::Debit;
        let (slot, amount) = (i64::from(slot.0), entry.captured.0);
        let card = card.filter(|_card| debit);
        Some(PostingChange::Begins { card, posting: Posting { slot, amount } })
    } else if let Effect::Settled(slot, amount) = effect {
        posting(*slot, *amount)
    } else if let Effect::Returned(slot, amount) = effect {
        posting(*slot, Amount(amount.0.saturating_neg()))
    } else {
        None
    }
}

fn number(sequence: Sequence) -> i64 {
    i64::try_from(sequence.0).unwrap_or(i64::MAX)
}
