//! The repeat index: message key to slot.
//!
//! A key says when its message was made, and equal keys say the same. So the index is cut into
//! parts, one a second of that time: what comes in now finds its part small and in the cache,
//! however many holds of past days there are, and no table ever grows at once by much.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::hash_table::{Entry, HashTable};
use hashbrown::{HashMap, hash_map};

use super::slab::Slab;
use crate::command::MessageKey;
use crate::effect::TransactionSlot;

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
    parts: HashMap<u64, HashTable<Marked>, FixedState>,
    hasher: FixedState,
    /// The part that was made last: the next one will be about as large.
    newest: u64,
}

impl KeyIndex {
    pub(super) fn new() -> Self {
        Self {
            parts: HashMap::with_hasher(FixedState::with_seed(0x706f_696e)),
            hasher: FixedState::with_seed(0x706f_696e_7473_6d61),
            newest: 0,
        }
    }

    pub(super) fn find(&self, slab: &Slab, key: &MessageKey) -> Option<TransactionSlot> {
        let part = self.parts.get(&key.sent_at)?;
        let hash = self.hash(key);
        part.find(spread(hash), |marked| is(slab, *marked, hash, key)).map(|marked| marked.slot)
    }

    /// False where the key is known.
    pub(super) fn insert(&mut self, slab: &Slab, key: &MessageKey, slot: TransactionSlot) -> bool {
        let hash = self.hash(key);
        let part = match self.parts.entry(key.sent_at) {
            hash_map::Entry::Occupied(part) => part.into_mut(),
            hash_map::Entry::Vacant(_) => self.begin(key.sent_at),
        };
        let known = |marked: &Marked| is(slab, *marked, hash, key);
        match part.entry(spread(hash), known, |marked| spread(marked.hash)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Marked { hash, slot });
                true
            }
        }
    }

    pub(super) fn remove(&mut self, key: &MessageKey, slot: TransactionSlot) {
        let hash = self.hash(key);
        if let hash_map::Entry::Occupied(mut part) = self.parts.entry(key.sent_at) {
            if let Ok(found) = part.get_mut().find_entry(spread(hash), |m| m.slot == slot) {
                found.remove();
            }
            if part.get().is_empty() {
                part.remove();
            }
        }
    }

    fn begin(&mut self, second: u64) -> &mut HashTable<Marked> {
        let before = self.parts.get(&self.newest).map_or(0, HashTable::len);
        self.newest = second;
        self.parts.entry(second).or_insert(HashTable::with_capacity(before.min(ROOM_MAX)))
    }

    fn hash(&self, key: &MessageKey) -> u32 {
        u32::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default()
    }
}

/// The table takes a place from the low bits and a mark from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn is(slab: &Slab, marked: Marked, hash: u32, key: &MessageKey) -> bool {
    marked.hash == hash && slab.get(marked.slot).is_some_and(|row| row.entry.key == *key)
}
