//! Keys and their answers: the repeat index, the holds, and what is kept for how long.
//!
//! Invariants: a key is remembered at most once; an approval is kept as long as its hold is open,
//! any other answer until its retention or the table's bound frees it, oldest first. Slots are
//! given out in one order, so that a replay gives out the same. Source: authorization 4.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

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

    /// Makes room for `count` transactions at once, so that no decision pays for growth, nor for
    /// the first touch of a page.
    pub(crate) fn reserve(&mut self, count: usize) {
        let Self { slots, index, hasher, .. } = self;
        let known = slots.len();
        slots.resize(known + count, None);
        slots.truncate(known);
        index.reserve(count, |slot| hash_at(hasher, slots, *slot));
    }

    pub(crate) fn get(&self, slot: TransactionSlot) -> Option<&Transaction> {
        self.slots.get(slot.index())?.as_ref()
    }

    /// The transaction remembered under `key`.
    pub(crate) fn find(&self, key: &MessageKey) -> Option<(TransactionSlot, &Transaction)> {
        let hash = self.hasher.hash_one(key);
        let slot = self.index.find(hash, |slot| key_at(&self.slots, *slot) == Some(key))?;
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
        let Self { slots, vacant, index, hasher, answered } = self;
        let reused = vacant.last() == Some(&slot);
        if !reused && slot.index() != slots.len() {
            return false;
        }
        let known = |at: &TransactionSlot| key_at(slots, *at) == Some(&entry.key);
        let rehash = |at: &TransactionSlot| hash_at(hasher, slots, *at);
        match index.entry(hasher.hash_one(entry.key), known, rehash) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(place) => place.insert(slot),
        };
        // What holds nothing from the start, an account verification, is kept like an answer.
        if !entry.open().is_positive() {
            answered.push_back((entry.at, slot));
        }
        if !reused {
            slots.push(Some(entry));
        } else if let Some(place) = slots.get_mut(slot.index()) {
            vacant.pop();
            *place = Some(entry);
        }
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

fn key_at(slots: &[Option<Transaction>], slot: TransactionSlot) -> Option<&MessageKey> {
    slots.get(slot.index())?.as_ref().map(|entry| &entry.key)
}

fn hash_at(hasher: &FixedState, slots: &[Option<Transaction>], slot: TransactionSlot) -> u64 {
    key_at(slots, slot).map_or(0, |key| hasher.hash_one(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action_code::Reason;
    use crate::command::MessageClass;
    use crate::effect::Decision;
    use crate::ids::{LinkId, Sequence};
    use crate::limits::TEST;

    fn entry(stan: u32, at: u64, state: TransactionState, authorised: i64) -> Transaction {
        let (link, class) = (LinkId(1), MessageClass::Authorization);
        Transaction {
            key: MessageKey { link, class, stan, sent_at: 0, acquirer: 0, forwarder: 0 },
            content: 0,
            id: Sequence(1),
            at: Timestamp(at),
            state,
            decision: Decision { reason: Reason::Approved, approval: None },
            card: None,
            balance: None,
            deposit: None,
            requested: Amount(authorised),
            authorised: Amount(authorised),
            released: Amount::ZERO,
        }
    }

    fn hold(stan: u32) -> Transaction {
        entry(stan, 0, TransactionState::Authorized, 10)
    }

    /// Carries out what was planned, and says which slots were forgotten and taken.
    fn fill(table: &mut Transactions, now: u64, stan: u32) -> (Vec<u32>, u32) {
        let mut vacancies = table.vacancies(Timestamp(now), &TEST);
        let slot = vacancies.take().unwrap();
        let forgotten: Vec<_> = vacancies.forgotten().collect();
        assert!(forgotten.iter().all(|slot| table.forget(*slot)));
        assert!(table.insert(slot, entry(stan, now, TransactionState::Answered, 0)));
        (forgotten.iter().map(|slot| slot.0).collect(), slot.0)
    }

    #[test]
    fn answers_past_their_retention_go_oldest_first_three_at_a_time() {
        let mut table = Transactions::new();
        for stan in 0..5 {
            assert_eq!(fill(&mut table, u64::from(stan), stan), (vec![], stan));
        }
        let last = TEST.answer_retention_ms;
        assert_eq!(fill(&mut table, last - 1, 10), (vec![], 5));
        assert_eq!(fill(&mut table, last, 11), (vec![0], 0));
        assert_eq!(fill(&mut table, last + 9, 12), (vec![1, 2, 3], 3));
        assert_eq!(fill(&mut table, last + 9, 13), (vec![4], 4));
        assert_eq!(table.vacant(), [TransactionSlot(1), TransactionSlot(2)]);
        assert_eq!(table.len(), 4);
        assert!(table.find(&hold(4).key).is_none());
        assert_eq!(table.find(&hold(13).key).map(|(slot, _)| slot.0), Some(4));
    }

    #[test]
    fn answers_past_their_bound_go_and_holds_stay() {
        let mut table = Transactions::new();
        assert!(table.insert(TransactionSlot(0), hold(1000)));
        for stan in 0..60 {
            let (_, slot) = fill(&mut table, 0, stan);
            assert_ne!(slot, 0);
            assert!(table.answered().count() <= TEST.answers_max);
        }
        assert_eq!((table.len(), table.holds()), (1 + TEST.answers_max - 1, 1));
        assert!(table.find(&hold(1000).key).is_some());
    }

    #[test]
    fn two_slots_are_found_as_long_as_two_are_no_holds() {
        let mut table = Transactions::new();
        let holds = u32::try_from(TEST.transactions_max).unwrap() - 2;
        for stan in 0..holds {
            assert!(table.insert(TransactionSlot(stan), hold(stan)));
        }
        for stan in 100..120 {
            let mut vacancies = table.vacancies(Timestamp(0), &TEST);
            let (first, second) = (vacancies.take(), vacancies.take());
            assert!(first.is_some() && second.is_some() && first != second, "{stan}");
            fill(&mut table, 0, stan);
        }
        assert!(table.insert(TransactionSlot(holds + 1), hold(500)));
        let mut vacancies = table.vacancies(Timestamp(0), &TEST);
        assert!(vacancies.take().is_some() && vacancies.take().is_none());
        assert!(table.len() <= TEST.transactions_max);
    }

    #[test]
    fn a_key_is_remembered_once_and_slots_are_given_out_in_order() {
        let mut table = Transactions::new();
        assert!(!table.insert(TransactionSlot(1), hold(1)), "0 is next");
        assert!(table.insert(TransactionSlot(0), hold(1)));
        assert!(!table.insert(TransactionSlot(1), hold(1)), "the key is known");
        assert_eq!((table.len(), table.all().count()), (1, 1));
    }

    #[test]
    fn no_more_is_released_than_is_open_and_only_nothing_is_closed() {
        let mut table = Transactions::new();
        let slot = TransactionSlot(0);
        assert!(table.insert(slot, hold(1)));
        assert!(!table.close(slot, TransactionState::Reversed, Timestamp(1)), "10 is open");
        assert!(!table.release(slot, Amount(11)) && !table.release(slot, Amount(-1)));
        assert!(table.release(slot, Amount(4)) && table.release(slot, Amount(6)));
        assert!(!table.release(slot, Amount(1)));
        assert!(!table.close(slot, TransactionState::Authorized, Timestamp(1)));
        assert!(table.close(slot, TransactionState::Reversed, Timestamp(9)));
        assert_eq!(table.answered().collect::<Vec<_>>(), [&(Timestamp(9), slot)]);
        assert!(table.close(slot, TransactionState::Reversed, Timestamp(10)));
        assert_eq!(table.answered().count(), 1, "it is kept from its first end");
        assert!(!table.forget(TransactionSlot(1)) && table.forget(slot) && !table.forget(slot));
    }

    #[test]
    fn what_holds_nothing_from_the_start_is_kept_like_an_answer() {
        let mut table = Transactions::new();
        let slot = TransactionSlot(0);
        assert!(table.insert(slot, entry(1, 5, TransactionState::Authorized, 0)));
        assert!(table.close(slot, TransactionState::Voided, Timestamp(6)));
        assert_eq!(table.answered().collect::<Vec<_>>(), [&(Timestamp(5), slot)]);
        assert_eq!(table.holds(), 0);
    }

    #[test]
    fn room_made_at_once_changes_no_answer() {
        let mut table = Transactions::new();
        assert!(table.insert(TransactionSlot(0), hold(1)));
        table.reserve(1_000);
        assert!(table.find(&hold(1).key).is_some() && table.find(&hold(2).key).is_none());
    }
}
