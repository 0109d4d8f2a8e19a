//! Keys and their answers: the repeat index, the holds, and what is kept for how long.
//!
//! Invariants: a key is remembered at most once; an approval is kept as long as its hold is open,
//! any other answer until its retention or the table's bound frees it, oldest first. Slots are
//! given out in one order, so that a replay gives out the same. Source: authorization 4.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::command::MessageKey;
use crate::effect::{Transaction, TransactionSlot, TransactionState};
use crate::ids::Timestamp;
use crate::limits::Limits;
use crate::money::Amount;

/// Answers that one command may forget: more than it may remember, so that the backlog shrinks.
const FORGOTTEN_A_COMMAND_MAX: usize = 3;

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    slots: Vec<Option<Transaction>>,
    vacant: Vec<TransactionSlot>,
    index: HashTable<TransactionSlot>,
    hasher: FixedState,
    /// Answers without an open hold, by the time from which they are kept.
    answered: VecDeque<(Timestamp, TransactionSlot)>,
}

/// Slots that one command may fill, planned before anything changes.
pub(crate) struct Vacancies<'a> {
    table: &'a Transactions,
    forgotten: [Option<TransactionSlot>; FORGOTTEN_A_COMMAND_MAX],
    taken: usize,
    slots_max: usize,
}

impl Vacancies<'_> {
    /// The next slot to fill: of those forgotten now, of those vacant, or a new one.
    pub(crate) fn take(&mut self) -> Option<TransactionSlot> {
        let forgotten = self.forgotten.iter().rev().filter_map(Option::as_ref);
        let reused = self.forgotten().count() + self.table.vacant.len();
        let mut vacant = forgotten.chain(self.table.vacant.iter().rev());
        let slot = match vacant.nth(self.taken).copied() {
            Some(slot) => slot,
            None => {
                let place = self.table.slots.len() + self.taken - reused;
                let place = (place < self.slots_max).then_some(place)?;
                TransactionSlot(u32::try_from(place).ok()?)
            }
        };
        self.taken += 1;
        Some(slot)
    }

    /// What is forgotten first, in order.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = TransactionSlot> {
        self.forgotten.iter().filter_map(|slot| *slot)
    }
}

impl Transactions {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(0x706f_696e_7473_6d61),
            answered: VecDeque::new(),
        }
    }

    /// Makes room for `count` transactions at once, so that no decision pays for growth.
    pub(crate) fn reserve(&mut self, count: usize) {
        let Self { slots, index, hasher, .. } = self;
        slots.reserve(count);
        index.reserve(count, |slot| hash_at(hasher, slots, *slot));
    }

    pub(crate) fn get(&self, slot: TransactionSlot) -> Option<&Transaction> {
        self.slots.get(slot.index())?.as_ref()
    }

    /// The transaction remembered under `key`.
    pub(crate) fn find(&self, key: &MessageKey) -> Option<(TransactionSlot, &Transaction)> {
        let hash = self.hasher.hash_one(key);
        let slot = self.index.find(hash, |slot| self.get(*slot).is_some_and(|t| t.key == *key))?;
        Some((*slot, self.get(*slot)?))
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// How many of them are open holds, which nothing but their end frees.
    pub(crate) fn holds(&self) -> usize {
        self.len() - self.answered.len()
    }

    /// All remembered, in order of slot.
    pub(crate) fn all(&self) -> impl Iterator<Item = (TransactionSlot, &Transaction)> {
        (0..)
            .map(TransactionSlot)
            .zip(&self.slots)
            .filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    /// Slots in the order in which they will be given out again; part of the state.
    pub(crate) fn vacant(&self) -> &[TransactionSlot] {
        &self.vacant
    }

    /// Answers in the order in which they will be forgotten; part of the state.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &(Timestamp, TransactionSlot)> {
        self.answered.iter()
    }

    /// Plans room for the answers of one command.
    pub(crate) fn vacancies(&self, now: Timestamp, limits: &Limits) -> Vacancies<'_> {
        let excess = (self.answered.len() + 2)
            .saturating_sub(limits.answers_max)
            .max((self.len() + 2).saturating_sub(limits.transactions_max));
        let due = |(place, (since, _)): &(usize, &(Timestamp, TransactionSlot))| {
            since.0.saturating_add(limits.answer_retention_ms) <= now.0 || *place < excess
        };
        let mut forgotten = [None; FORGOTTEN_A_COMMAND_MAX];
        let due = self.answered.iter().enumerate().take_while(due);
        for (place, (_, (_, slot))) in forgotten.iter_mut().zip(due) {
            *place = Some(*slot);
        }
        Vacancies { table: self, forgotten, taken: 0, slots_max: limits.transactions_max }
    }

    /// Puts `entry` at `slot`; false where the slot is not the next one or the key is known.
    pub(crate) fn insert(&mut self, slot: TransactionSlot, entry: Transaction) -> bool {
        if self.find(&entry.key).is_some() {
            return false;
        }
        let hash = self.hasher.hash_one(entry.key);
        if !entry.open().is_positive() {
            self.answered.push_back((entry.at, slot));
        }
        if self.vacant.last() == Some(&slot) {
            self.vacant.pop();
            match self.slots.get_mut(slot.index()) {
                Some(place) => *place = Some(entry),
                None => return false,
            }
        } else if slot.index() == self.slots.len() {
            self.slots.push(Some(entry));
        } else {
            return false;
        }
        let Self { slots, index, hasher, .. } = self;
        index.insert_unique(hash, slot, |slot| hash_at(hasher, slots, *slot));
        true
    }

    /// Adds to what was released of an open hold; false where there is not that much.
    pub(crate) fn release(&mut self, slot: TransactionSlot, amount: Amount) -> bool {
        let Some(Some(entry)) = self.slots.get_mut(slot.index()) else { return false };
        if amount.0 < 0 || amount > entry.open() {
            return false;
        }
        entry.released = Amount(entry.released.0 + amount.0);
        true
    }

    /// Ends a hold that nothing is open on, or marks an answer as taken back.
    pub(crate) fn close(
        &mut self,
        slot: TransactionSlot,
        state: TransactionState,
        now: Timestamp,
    ) -> bool {
        let Some(Some(entry)) = self.slots.get_mut(slot.index()) else { return false };
        if entry.open() != Amount::ZERO || state == TransactionState::Authorized {
            return false;
        }
        if entry.authorised.is_positive() && entry.state == TransactionState::Authorized {
            self.answered.push_back((now, slot));
        }
        entry.state = state;
        true
    }

    /// Frees the slot of the oldest answer; false where it is another one.
    pub(crate) fn forget(&mut self, slot: TransactionSlot) -> bool {
        if self.answered.front().is_none_or(|(_, oldest)| *oldest != slot) {
            return false;
        }
        self.answered.pop_front();
        let Some(entry) = self.slots.get_mut(slot.index()).and_then(Option::take) else {
            return false;
        };
        let hash = self.hasher.hash_one(entry.key);
        if let Ok(found) = self.index.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        self.vacant.push(slot);
        true
    }
}

fn hash_at(hasher: &FixedState, slots: &[Option<Transaction>], slot: TransactionSlot) -> u64 {
    let entry = slots.get(slot.index()).and_then(Option::as_ref);
    entry.map_or(0, |entry| hasher.hash_one(entry.key))
}
