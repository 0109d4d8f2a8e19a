//! What is kept of the switch's records: what fees came to, and, as long as a fee depends on it,
//! what cards paid. Source: requirements #169, #172.
//!
//! Invariants: a payment counts when it is posted and no more when it is taken back, in the period
//! of the posting; a record that comes again counts once; all of it is stored before the cursor
//! passes it, many records at once.

use shared::effect::{Direction, Effect, TransactionSlot, TransactionState};
use shared::journal_record::Record;
use shared::money::Amount;

use crate::history::message;
use crate::store::{KeptPosting, NewCharge, Posting, PostingChange, Store, StoreError};

/// What may wait here.
const WAITING_MAX: usize = 4_096;

/// What waits to be stored.
#[derive(Default)]
pub(crate) struct Kept {
    /// Whether a fee depends on what cards pay.
    needs_postings: bool,
    postings: Vec<KeptPosting>,
    charges: Vec<NewCharge>,
}

impl Kept {
    /// Looks whether a fee depends on what cards pay now.
    pub(crate) async fn begin(&mut self, store: &Store) -> Result<(), StoreError> {
        self.needs_postings = store.has_conditional_fees().await?;
        // Places are given to others while nobody looks.
        if self.needs_postings { Ok(()) } else { store.forget_slots().await }
    }

    /// Takes what is to be kept of a record.
    pub(crate) fn take(&mut self, record: &Record) {
        let (sequence, at_ms) = (number(record.sequence.0), number(record.at.0));
        let charged = (0..).zip(record.effects.iter().filter_map(charge));
        self.charges.extend(charged.map(|(place, (fee_id, due, taken))| NewCharge {
            sequence,
            place,
            fee_id,
            due,
            taken,
            at_ms,
        }));
        if self.needs_postings {
            let token = message(&record.command).map(|message| message.token.0);
            let changes = record.effects.iter().filter_map(|effect| posting(effect, token));
            self.postings.extend((0..).zip(changes).map(|(place, change)| KeptPosting {
                sequence,
                place,
                at_ms,
                change,
            }));
        }
    }

    /// Whether it is time to store.
    pub(crate) fn is_full(&self) -> bool {
        self.postings.len() + self.charges.len() >= WAITING_MAX
    }

    /// Stores what waits.
    pub(crate) async fn store(&mut self, store: &Store) -> Result<(), StoreError> {
        if !self.postings.is_empty() || !self.charges.is_empty() {
            store.keep(&self.postings, &self.charges).await?;
            self.postings.clear();
            self.charges.clear();
        }
        Ok(())
    }
}

/// Which fee an effect charges: what fell due, and what was taken.
fn charge(effect: &Effect) -> Option<(i64, i64, i64)> {
    if let Effect::FeeSet { fee, taken, .. } = effect {
        (*taken != Amount::ZERO).then_some((number(fee.fee.0), taken.0, taken.0))
    } else if let Effect::FeeCharged { fee, due, taken, .. } = effect {
        Some((number(fee.0), due.0, taken.0))
    } else {
        None
    }
}

/// What an effect does to the postings of cards' debits.
fn posting(effect: &Effect, token: Option<[u8; 16]>) -> Option<PostingChange> {
    let moves = |slot: TransactionSlot, amount: i64| {
        (amount != 0).then_some(PostingChange::Moves(Posting { slot: i64::from(slot.0), amount }))
    };
    if let Effect::Remembered(slot, entry) = effect {
        let debit = entry.state == TransactionState::Posted && entry.direction == Direction::Debit;
        let (slot, amount) = (i64::from(slot.0), entry.captured.0);
        let token = token.filter(|_token| debit);
        Some(PostingChange::Begins { token, posting: Posting { slot, amount } })
    } else if let Effect::Settled(slot, amount) = effect {
        moves(*slot, amount.0)
    } else if let Effect::Returned(slot, amount) = effect {
        moves(*slot, amount.0.saturating_neg())
    } else {
        None
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
