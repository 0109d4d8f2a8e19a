//! The repeat index: message key to slot.
//!
//! A key says when its message was made, and equal keys say the same. So the index is cut into
//! parts, one a second of that time: what comes in now finds its part small and in the cache,
//! however many holds of past days there are, and no table ever grows at once by much.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::hash_table::{Entry, HashTable};
use hashbrown::{HashMap, hash_map};

use super::slab::Slab;
use crate::command::MessageKey;
use crate::effect::{Transaction, TransactionSlot};

/// Keys that a new part has room for at most before it grows.
const ROOM_MAX: usize = 1 << 15;

/// A slot with some bits of its key's hash, so that growing need not look at rows.
#[derive(Clone, Copy, Debug)]
struct Marked {
    hash: u32,
    slot: TransactionSlot,
}

/// The index.
#[derive(Clone, Debug)]
pub(super) struct KeyIndex {
    /// The second whose part was begun last; most keys are of it.
    second: u64,
    part: Part,
    others: HashMap<u64, Part, FixedState>,
    hasher: FixedState,
}

type Part = HashTable<Marked>;

impl KeyIndex {
    pub(super) fn new() -> Self {
        Self {
            second: 0,
            part: Part::new(),
            others: HashMap::with_hasher(FixedState::with_seed(0x706f_696e)),
            hasher: FixedState::with_seed(0x706f_696e_7473_6d61),
        }
    }

    #[inline]
    pub(super) fn find(
        &self,
        rows: &Slab<Transaction>,
        key: &MessageKey,
    ) -> Option<TransactionSlot> {
        let part = match key.sent_at == self.second {
            true => &self.part,
            false => self.others.get(&key.sent_at)?,
        };
        let hash = self.hash(key);
        part.find(spread(hash), |marked| is(rows, *marked, hash, key)).map(|marked| marked.slot)
    }

    /// False where the key is known.
    #[inline]
    pub(super) fn insert(
        &mut self,
        rows: &Slab<Transaction>,
        key: &MessageKey,
        slot: TransactionSlot,
    ) -> bool {
        let hash = self.hash(key);
        let known = |marked: &Marked| is(rows, *marked, hash, key);
        let part = self.part_for(key.sent_at);
        match part.entry(spread(hash), known, |marked| spread(marked.hash)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Marked { hash, slot });
                true
            }
        }
    }

    pub(super) fn remove(&mut self, key: &MessageKey, slot: TransactionSlot) {
        let place = spread(self.hash(key));
        let remove = |part: &mut Part| {
            if let Ok(found) = part.find_entry(place, |marked| marked.slot == slot) {
                found.remove();
            }
        };
        if key.sent_at == self.second {
            remove(&mut self.part);
        } else if let hash_map::Entry::Occupied(mut part) = self.others.entry(key.sent_at) {
            remove(part.get_mut());
            if part.get().is_empty() {
                part.remove();
            }
        }
    }

    fn part_for(&mut self, second: u64) -> &mut Part {
        if second == self.second {
            return &mut self.part;
        }
        if !self.others.contains_key(&second) {
            // The new one will be about as large as the one before it.
            let part = Part::with_capacity(self.part.len().min(ROOM_MAX));
            let before = std::mem::replace(&mut self.part, part);
            if !before.is_empty() {
                self.others.insert(self.second, before);
            }
            self.second = second;
            return &mut self.part;
        }
        self.others.entry(second).or_default()
    }

    /// All keys of a part are of one second.
    fn hash(&self, key: &MessageKey) -> u32 {
        let MessageKey { link, class, stan, sent_at: _, acquirer, forwarder } = *key;
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(stan);
        hasher.write_u64(acquirer);
        hasher.write_u64(forwarder);
        hasher.write_u64(u64::from(link.0) << 8 | class as u64);
        u32::try_from(hasher.finish() >> 32).unwrap_or_default()
    }
}

/// The table takes a place from the low bits and a mark from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn is(rows: &Slab<Transaction>, marked: Marked, hash: u32, key: &MessageKey) -> bool {
    marked.hash == hash && rows.get(marked.slot).is_some_and(|entry| entry.key == *key)
}
