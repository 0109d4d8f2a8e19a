//! Keys and their answers: the repeat index, the holds, what is kept for how long, and which
//! transactions a card has.
//!
//! Invariants: a key is remembered at most once; an approval is kept as long as its hold is open and
//! then until its retention ends or the table's bound frees it, oldest first; an answer that moved
//! nothing likewise, in a queue of its own, so that no flood of declines drives out what was paid.
//! Slots are given out in one order, so that a replay gives out the same. Source: authorization 4.

mod key_index;
mod lanes;
mod slab;

use std::collections::VecDeque;

use crate::command::MessageKey;
use crate::effect::{Decision, Transaction, TransactionSlot, TransactionState};
use crate::ids::Timestamp;
use crate::limits::Limits;
use crate::money::Amount;
use key_index::KeyIndex;
use lanes::{Lanes, Place};
use slab::Slab;

/// What one message may forget of each queue: more than it may add, so that the backlog shrinks.
const FORGOTTEN_A_QUEUE_MAX: usize = 3;

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    rows: Slab<Transaction>,
    /// Apart from the rows: each message writes those of its card's older transaction too, and many
    /// more of these stay in the cache than of rows.
    links: Slab<Links>,
    vacant: Vec<TransactionSlot>,
    index: KeyIndex,
    lanes: Lanes,
    answered: Queue,
    ended: Queue,
}

/// What holds nothing, by the time from which it is kept.
type Queue = VecDeque<(Timestamp, TransactionSlot)>;

/// The neighbours of a transaction in the lists that it stands in.
#[derive(Clone, Copy, Debug)]
struct Links {
    /// The one before it on its card.
    older: Option<TransactionSlot>,
    /// The one behind it on its card.
    newer: Option<TransactionSlot>,
    lane: Place,
}

/// Slots that one message may fill, planned before anything changes.
#[derive(Clone)]
pub(crate) struct Vacancies<'a> {
    table: &'a Transactions,
    /// So many of the oldest answers, and of the oldest ended approvals, are forgotten.
    forgotten: [usize; 2],
    taken: usize,
    slots_max: usize,
}

/// Where a card's list of transactions changed its newest.
pub(crate) enum Newest {
    /// It did not.
    Same,
    /// To this one, or to none.
    Now(Option<TransactionSlot>),
}

impl Vacancies<'_> {
    /// The next slot to fill: of those forgotten now, of those vacant, or a new one.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<TransactionSlot> {
        let slot = self.nth(self.taken)?;
        self.taken += 1;
        Some(slot)
    }

    #[inline]
    fn nth(&self, place: usize) -> Option<TransactionSlot> {
        let [answered, ended] = self.forgotten;
        let forgotten = answered + ended;
        let vacant = &self.table.vacant;
        // What is vacated last is filled first.
        if let Some(earlier) = forgotten.checked_sub(place + 1) {
            return self.forgotten().nth(earlier);
        }
        let place = place - forgotten;
        if let Some(earlier) = vacant.len().checked_sub(place + 1) {
            return vacant.get(earlier).copied();
        }
        let new = self.table.rows.len() + place - vacant.len();
        let new = (new < self.slots_max).then_some(new)?;
        Some(TransactionSlot(u32::try_from(new).ok()?))
    }

    /// What is forgotten first, in order.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = TransactionSlot> {
        let [answered, ended] = self.forgotten;
        let answered = self.table.answered.iter().take(answered);
        answered.chain(self.table.ended.iter().take(ended)).map(|(_, slot)| *slot)
    }

    /// Whether nothing is forgotten.
    pub(crate) fn keep_all(&self) -> bool {
        self.forgotten == [0; 2]
    }

    /// Whether a transaction found before is still there behind them.
    pub(crate) fn keep(&self, slot: TransactionSlot) -> bool {
        self.keep_all() || self.forgotten().all(|forgotten| forgotten != slot)
    }
}

impl Transactions {
    pub(crate) fn new() -> Self {
        Self {
            rows: Slab::new(),
            links: Slab::new(),
            vacant: Vec::new(),
            index: KeyIndex::new(),
            lanes: Lanes::default(),
            answered: Queue::new(),
            ended: Queue::new(),
        }
    }

    /// Makes room for `count` transactions at once, so that no decision pays for growth, nor for
    /// the first touch of a page.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.rows.reserve(count);
        self.links.reserve(count);
    }

    /// Asks for the memory that the next transaction of a card writes to, beside its own: that of
    /// the `newest` until then.
    #[inline]
    pub(crate) fn foresee(&self, newest: TransactionSlot) {
        self.links.foresee(newest);
    }

    pub(crate) fn get(&self, slot: TransactionSlot) -> Option<&Transaction> {
        self.rows.get(slot)
    }

    /// What a transaction adds to, clears or adjusts, if it is still remembered: a slot that was
    /// given to another since has a later one.
    pub(crate) fn base_of(&self, entry: &Transaction) -> Option<(TransactionSlot, &Transaction)> {
        let slot = entry.base?;
        Some((slot, self.get(slot).filter(|base| base.id < entry.id)?))
    }

    /// The transaction remembered under `key`.
    pub(crate) fn find(&self, key: &MessageKey) -> Option<(TransactionSlot, &Transaction)> {
        let slot = self.index.find(&self.rows, key)?;
        Some((slot, self.get(slot)?))
    }

    /// The transactions of a card from its newest on, `most` of them at most.
    pub(crate) fn of_card(
        &self,
        newest: Option<TransactionSlot>,
        most: usize,
    ) -> impl Iterator<Item = (TransactionSlot, &Transaction)> {
        let mut next = newest;
        let rows = std::iter::from_fn(move || {
            let slot = next?;
            next = self.links.get(slot)?.older;
            Some((slot, self.rows.get(slot)?))
        });
        rows.take(most)
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.vacant.len()
    }

    /// How many of them are open holds, which nothing but their end frees.
    pub(crate) fn holds(&self) -> usize {
        self.len() - self.answered.len() - self.ended.len()
    }

    /// All remembered, in order of slot.
    pub(crate) fn all(&self) -> impl Iterator<Item = (TransactionSlot, &Transaction)> {
        self.rows.iter()
    }

    /// Slots in the order in which they will be given out again; part of the state.
    pub(crate) fn vacant(&self) -> &[TransactionSlot] {
        &self.vacant
    }

    /// Answers that moved nothing, then ended approvals, each in the order in which they will be
    /// forgotten; part of the state.
    pub(crate) fn queues(
        &self,
    ) -> [impl ExactSizeIterator<Item = &(Timestamp, TransactionSlot)>; 2] {
        [self.answered.iter(), self.ended.iter()]
    }

    /// When the next hold ends by itself.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.lanes.next(&self.rows)
    }

    /// Holds past their lifetime.
    pub(crate) fn expired(&self, now: Timestamp) -> impl Iterator<Item = TransactionSlot> {
        self.lanes.due(&self.rows, &self.links, now)
    }

    /// Answers, then ended approvals, past their retention, oldest first.
    pub(crate) fn outdated(
        &self,
        now: Timestamp,
        limits: &Limits,
    ) -> impl Iterator<Item = TransactionSlot> {
        let due = move |queue: &'_ Queue, retention: u64| {
            let due = |(since, _): &&(Timestamp, TransactionSlot)| {
                since.0.saturating_add(retention) <= now.0
            };
            queue.iter().take_while(due).count()
        };
        let answered = due(&self.answered, limits.answer_retention_ms);
        let ended = due(&self.ended, limits.ended_retention_ms);
        let both = self.answered.iter().take(answered).chain(self.ended.iter().take(ended));
        both.map(|(_, slot)| *slot)
    }

    /// Plans room for the answers of one message.
    #[inline]
    pub(crate) fn vacancies(&self, now: Timestamp, limits: &Limits) -> Vacancies<'_> {
        let over = (self.len() + 2).saturating_sub(limits.transactions_max);
        let oldest = |queue: &Queue, most: usize, retention: u64, over: usize| {
            let excess = (queue.len() + 2).saturating_sub(most).max(over);
            let kept = |(since, _): &(Timestamp, _)| since.0.saturating_add(retention) > now.0;
            if excess == 0 && queue.front().is_none_or(kept) {
                return 0;
            }
            let due = |(place, (since, _)): &(usize, &(Timestamp, TransactionSlot))| {
                since.0.saturating_add(retention) <= now.0 || *place < excess
            };
            queue.iter().take(FORGOTTEN_A_QUEUE_MAX).enumerate().take_while(due).count()
        };
        let answered = oldest(&self.answered, limits.answers_max, limits.answer_retention_ms, over);
        let over = over.saturating_sub(answered);
        let ended = oldest(&self.ended, limits.ended_max, limits.ended_retention_ms, over);
        let slots_max = limits.transactions_max;
        Vacancies { table: self, forgotten: [answered, ended], taken: 0, slots_max }
    }

    /// Puts `entry` at `slot`, behind the `newest` of its card; `None` where the slot is not the
    /// next one or the key is known.
    pub(crate) fn insert(
        &mut self,
        slot: TransactionSlot,
        entry: &Transaction,
        newest: Option<TransactionSlot>,
    ) -> Option<()> {
        let reused = self.vacant.last() == Some(&slot);
        if !reused && slot.index() != self.rows.len() {
            return None;
        }
        if !self.index.insert(&self.rows, &entry.key, slot) {
            return None;
        }
        let lane = self.line_up(slot, entry);
        let links = || Links { older: newest, newer: None, lane };
        if !self.rows.put(slot, || *entry) || !self.links.put(slot, links) {
            return None;
        }
        if reused {
            self.vacant.pop();
        }
        if let Some(older) = newest.and_then(|newest| self.links.get_mut(newest)) {
            older.newer = Some(slot);
        }
        if let Some(base) = entry.base.and_then(|base| self.rows.get_mut(base)) {
            base.spoken_of = true;
        }
        Some(())
    }

    /// Queues a new transaction by how it stands: a hold behind those that end before it, the
    /// others behind those that are forgotten before it.
    #[inline]
    fn line_up(&mut self, slot: TransactionSlot, entry: &Transaction) -> Place {
        let queue = match entry.state {
            TransactionState::Authorized | TransactionState::Asked => {
                return self.lanes.append(&mut self.links, slot, entry.at, entry.expires_at);
            }
            TransactionState::Posted => &mut self.ended,
            TransactionState::Answered if entry.is_increment() => &mut self.ended,
            TransactionState::Answered
            | TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone => &mut self.answered,
        };
        queue.push_back((entry.at, slot));
        Place::default()
    }

    /// Changes a transaction's amounts; `None` where it is unknown or they would no longer add up.
    pub(crate) fn change(
        &mut self,
        slot: TransactionSlot,
        change: impl FnOnce(&mut Transaction) -> Option<()>,
    ) -> Option<Transaction> {
        let row = self.rows.get_mut(slot)?;
        let mut entry = *row;
        change(&mut entry)?;
        let sound = entry.open().0 >= 0 && entry.posted().0 >= 0;
        let none_negative = [entry.authorised, entry.captured, entry.released, entry.returned]
            .iter()
            .all(|amount| amount.0 >= 0);
        if !sound || !none_negative {
            return None;
        }
        *row = entry;
        Some(entry)
    }

    /// Lets an open hold live until its new `expires_at`, counted from `now`.
    pub(crate) fn prolong(&mut self, slot: TransactionSlot, now: Timestamp) {
        let Some(entry) = self.rows.get(slot) else { return };
        self.lanes.leave(&mut self.links, slot);
        self.lanes.join(&mut self.links, slot, now, entry.expires_at);
    }

    /// Ends a hold that nothing is open on, or marks an answer as taken back.
    pub(crate) fn close(
        &mut self,
        slot: TransactionSlot,
        state: TransactionState,
        now: Timestamp,
    ) -> Option<()> {
        let entry = self.rows.get_mut(slot)?;
        let was = entry.state;
        if entry.open() != Amount::ZERO || !was.may_become(state) {
            return None;
        }
        entry.state = state;
        if was == TransactionState::Authorized {
            self.lanes.leave(&mut self.links, slot);
            self.ended.push_back((now, slot));
        }
        Some(())
    }

    /// Answers what a partner was asked for: how it stood before and stands now.
    pub(crate) fn decide(
        &mut self,
        slot: TransactionSlot,
        (decision, state): (Decision, TransactionState),
        until: Timestamp,
        now: Timestamp,
    ) -> Option<(Transaction, Transaction)> {
        let entry = self.rows.get_mut(slot)?;
        let before = *entry;
        if before.state != TransactionState::Asked || !before.state.may_become(state) {
            return None;
        }
        (entry.decision, entry.state, entry.expires_at) = (decision, state, until);
        let after = *entry;
        self.lanes.leave(&mut self.links, slot);
        match state {
            TransactionState::Authorized => {
                self.lanes.join(&mut self.links, slot, now, until);
            }
            TransactionState::Answered if !after.is_increment() => {
                self.answered.push_back((now, slot));
            }
            TransactionState::Answered
            | TransactionState::Posted
            | TransactionState::Cleared
            | TransactionState::Expired
            | TransactionState::Reversed
            | TransactionState::Voided
            | TransactionState::Tombstone
            | TransactionState::Asked => self.ended.push_back((now, slot)),
        }
        Some((before, after))
    }

    /// Frees the slot of the oldest of a queue, and says what its card's newest is now; `None`
    /// where it is another one.
    pub(crate) fn forget(&mut self, slot: TransactionSlot) -> Option<(Transaction, Newest)> {
        let is_oldest = |queue: &&mut Queue| queue.front().is_some_and(|(_, it)| *it == slot);
        [&mut self.answered, &mut self.ended].into_iter().find(is_oldest)?.pop_front();
        let (entry, links) = (self.rows.take(slot)?, self.links.take(slot)?);
        let Links { older, newer, .. } = links;
        if let Some(older) = older.and_then(|older| self.links.get_mut(older)) {
            older.newer = newer;
        }
        let newest = match newer.and_then(|newer| self.links.get_mut(newer)) {
            Some(newer) => {
                newer.older = older;
                Newest::Same
            }
            None => Newest::Now(older),
        };
        self.index.remove(&entry.key, slot);
        self.vacant.push(slot);
        Some((entry, newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action_code::Reason;
    use crate::command::MessageClass;
    use crate::effect::{Decision, Direction};
    use crate::ids::{LinkId, Sequence};
    use crate::limits::TEST;
    use crate::money::Currency;

    fn entry(stan: u32, at: u64, state: TransactionState, authorised: i64) -> Transaction {
        let (link, class, stan) = (LinkId(1), MessageClass::Authorization, u64::from(stan));
        Transaction {
            key: MessageKey { link, class, stan, sent_at: 0, acquirer: 0, forwarder: 0 },
            content: 0,
            life_cycle: 0,
            retrieval: 0,
            id: Sequence(1),
            at: Timestamp(at),
            state,
            direction: Direction::Debit,
            decision: Decision::bare(Reason::Approved),
            flagged: None,
            card: None,
            balance: None,
            deposit: None,
            currency: Currency(978),
            base: None,
            spoken_of: false,
            requested: Amount(authorised),
            authorised: Amount(authorised),
            captured: Amount::ZERO,
            released: Amount::ZERO,
            returned: Amount::ZERO,
            expires_at: Timestamp(at + LIFETIME_MS),
        }
    }

    const LIFETIME_MS: u64 = 1_000;

    fn put(table: &mut Transactions, slot: u32, entry: &Transaction) -> bool {
        table.insert(TransactionSlot(slot), entry, None).is_some()
    }

    fn release(table: &mut Transactions, slot: TransactionSlot, amount: i64) -> bool {
        let change = |entry: &mut Transaction| {
            entry.released = entry.released.checked_add(Amount(amount))?;
            Some(())
        };
        table.change(slot, change).is_some()
    }

    fn answered(table: &Transactions) -> Vec<(Timestamp, TransactionSlot)> {
        table.answered.iter().copied().collect()
    }

    fn ended(table: &Transactions) -> Vec<(Timestamp, TransactionSlot)> {
        table.ended.iter().copied().collect()
    }

    fn hold(stan: u32) -> Transaction {
        entry(stan, 0, TransactionState::Authorized, 10)
    }

    /// Carries out what was planned, and says which slots were forgotten and taken.
    fn fill(table: &mut Transactions, now: u64, stan: u32) -> (Vec<u32>, u32) {
        let mut vacancies = table.vacancies(Timestamp(now), &TEST);
        let slot = vacancies.take().unwrap();
        let forgotten: Vec<_> = vacancies.forgotten().collect();
        assert!(forgotten.iter().all(|slot| table.forget(*slot).is_some()));
        assert!(put(table, slot.0, &entry(stan, now, TransactionState::Answered, 0)));
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
        assert!(put(&mut table, 0, &hold(1000)));
        for stan in 0..60 {
            let (_, slot) = fill(&mut table, 0, stan);
            assert_ne!(slot, 0);
            assert!(answered(&table).len() <= TEST.answers_max);
        }
        assert_eq!((table.len(), table.holds()), (1 + TEST.answers_max - 1, 1));
        assert!(table.find(&hold(1000).key).is_some());
    }

    #[test]
    fn two_slots_are_found_as_long_as_two_are_no_holds() {
        let mut table = Transactions::new();
        let holds = u32::try_from(TEST.transactions_max).unwrap() - 2;
        for stan in 0..holds {
            assert!(put(&mut table, stan, &hold(stan)));
        }
        for stan in 100..120 {
            let mut vacancies = table.vacancies(Timestamp(0), &TEST);
            let (first, second) = (vacancies.take(), vacancies.take());
            assert!(first.is_some() && second.is_some() && first != second, "{stan}");
            fill(&mut table, 0, stan);
        }
        assert!(put(&mut table, holds + 1, &hold(500)));
        let mut vacancies = table.vacancies(Timestamp(0), &TEST);
        assert!(vacancies.take().is_some() && vacancies.take().is_none());
        assert!(table.len() <= TEST.transactions_max);
    }

    #[test]
    fn a_key_is_remembered_once_and_slots_are_given_out_in_order() {
        let mut table = Transactions::new();
        assert!(!put(&mut table, 1, &hold(1)), "0 is next");
        assert!(put(&mut table, 0, &hold(1)));
        assert!(!put(&mut table, 1, &hold(1)), "the key is known");
        assert_eq!((table.len(), table.all().count()), (1, 1));
    }

    #[test]
    fn no_more_is_released_than_is_open_and_only_nothing_is_closed() {
        let mut table = Transactions::new();
        let slot = TransactionSlot(0);
        assert!(put(&mut table, slot.0, &hold(1)));
        assert!(
            table.close(slot, TransactionState::Reversed, Timestamp(1)).is_none(),
            "10 is open"
        );
        assert!(!release(&mut table, slot, 11) && !release(&mut table, slot, -1));
        assert!(release(&mut table, slot, 4) && release(&mut table, slot, 6));
        assert!(!release(&mut table, slot, 1));
        assert!(table.close(slot, TransactionState::Authorized, Timestamp(1)).is_none());
        assert!(table.close(slot, TransactionState::Reversed, Timestamp(9)).is_some());
        assert_eq!(ended(&table), [(Timestamp(9), slot)]);
        assert!(table.close(slot, TransactionState::Reversed, Timestamp(10)).is_none());
        assert_eq!(ended(&table).len(), 1, "it ends once");
        assert!(table.forget(TransactionSlot(1)).is_none());
        assert!(table.forget(slot).is_some() && table.forget(slot).is_none());
    }

    #[test]
    fn what_holds_nothing_from_the_start_is_kept_like_an_answer() {
        let mut table = Transactions::new();
        let slot = TransactionSlot(0);
        assert!(put(&mut table, slot.0, &entry(1, 5, TransactionState::Answered, 0)));
        assert!(table.close(slot, TransactionState::Voided, Timestamp(6)).is_some());
        assert_eq!(answered(&table), [(Timestamp(5), slot)]);
        assert_eq!(table.holds(), 0);
    }

    #[test]
    fn room_made_at_once_changes_no_answer() {
        let mut table = Transactions::new();
        assert!(put(&mut table, 0, &hold(1)));
        table.reserve(1_000);
        assert!(table.find(&hold(1).key).is_some() && table.find(&hold(2).key).is_none());
    }
}
